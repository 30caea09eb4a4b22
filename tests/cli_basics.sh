#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The command line's common ground: help, versions, mistakes and their words,
# exit codes, configuration files, manual pages, completion.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"

expect 0 "Usage: basin <verb> [options]" basin
expect 0 "Usage: basin <verb> [options]" basin --help
expect 0 "basin 0." basin --version
expect 0 "Usage: basin <verb> [options]" basin help
expect 0 "--sheet N" basin data --help
expect 0 "default 100" basin data --no-such --help
expect 0 "Usage: basin data DATA" basin help verb data
expect 0 "langevin" basin help samplers
expect 0 "--step-size X" basin help sampler langevin
expect 0 "strokes" basin help data

expect_error 2 "basin: unknown verb hlep; did you mean help?" basin hlep
expect_error 2 "basin: unknown verb zzzzzzzz; see basin help" basin zzzzzzzz
expect_error 2 "basin help: unknown sampler langevn; did you mean langevin?" \
    basin help sampler langevn
expect_error 2 "basin data: DATA is missing; see basin data --help" basin data
expect_error 2 "basin data: 'b' is one argument too many; see basin data --help" basin data a b
expect_error 2 "basin data: unknown option --zom; did you mean --zoom?" basin data a --zom 3
expect_error 2 "basin data: unknown option -z; options begin with two dashes" basin data a -z
expect_error 2 "basin data: --sheet 0 is out of range: 1 to 10000" basin data a --sheet 0
expect_error 2 "basin data: --sheet 0 is out of range: 1 to 10000" basin data a --sheet=0
expect_error 2 "basin data: --sheet needs a value" basin data a --sheet
expect_error 2 "basin data: --no-json takes no value" basin data a --no-json=1
expect_error 2 \
    "basin data: --out needs a value, and --json follows; write --out=--json if it is one" \
    basin data a --out --json
expect_error 2 "basin help: BASIN_CPU=pentium is unknown, or this processor lacks it; \
use reference, generic, neon, avx2, avx512 or avx512-bf16, or unset it" env BASIN_CPU=pentium basin help
case "$(uname -m)" in
aarch64) foreign=avx512 ;;
*) foreign=neon ;;
esac
expect_error 2 "basin help: BASIN_CPU=$foreign is unknown, or this processor lacks it; \
use reference, generic, neon, avx2, avx512 or avx512-bf16, or unset it" env "BASIN_CPU=$foreign" basin help
expect_error 1 "basin help: cannot write to stdout: No space left on device" \
    sh -c 'basin help >/dev/full'

echo 'shet: 4' >"$tmp/typo.yaml"
echo '{"sheet": 0}' >"$tmp/range.json"
expect_error 2 "basin data: $tmp/typo.yaml: unknown key shet; did you mean sheet?" \
    basin data a --config "$tmp/typo.yaml"
expect_error 2 "basin data: $tmp/range.json: sheet 0 is out of range: 1 to 10000" \
    basin data a --config "$tmp/range.json"
expect_error 1 "basin data: cannot open '$tmp/none.yaml': No such file or directory" \
    basin data a --config "$tmp/none.yaml"

# Every table: defaults that parse, names that no two options of a command share.
for verb in $(basin help | sed '1,/^Verbs/d' | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    for kind in network sampler objective optimiser task method; do
        basin "$verb" --help | grep -q "^  --$kind " || continue
        for name in $(basin help "$kind" | sed -n 's/^  \([a-z][a-z0-9-]*\)  *.*/\1/p'); do
            check "basin $verb --$kind $name: its options" sh -c '
                basin "$1" "--$2" "$3" --help >"$0/help" && grep -q -- "--threads" "$0/help" &&
                    [ -z "$(sed -n "s/^  \(--[a-z0-9-]*\).*/\1/p" "$0/help" | sort | uniq -d)" ]' \
                "$tmp" "$verb" "$kind" "$name"
        done
    done
done

# Benchmarks: what they print has the keys that are promised, whatever the times are.
tiny="--base-channels 4 --shape 8x8x1 --chains 4 --n-steps 2 --rounds 1 --threads 2"
for name in chain scaling; do
    expect 0 '"share_of_peak": ' basin bench $name $tiny --json
    expect 0 " of a measured peak of " basin bench $name $tiny
done
expect 0 '"hidden": [64, 64], "chains": 16, "time_ms_per_step": ' \
    basin bench small --n-steps 20 --rounds 1 --json
expect 0 '"algorithm": "direct"' basin bench chain $tiny --json
tiny="--base-channels 16 --shape 8x8x1 --chains 4 --n-steps 2 --rounds 1 --threads 2"
expect 0 '"algorithm": "fast"' basin bench chain $tiny --json
expect 0 '"algorithm": "fast"' basin bench update $tiny --json
expect 0 '"algorithm": "direct"' basin bench chain $tiny --json --exact-convolution
expect_error 2 "basin data: --precision is that of chains, and data runs none: leave it away" \
    basin data strokes --precision bf16
expect 0 '"precision": "bf16"' basin bench chain $tiny --json --precision bf16
expect 0 "(direct, bf16, generic, 1 thread)" \
    env BASIN_CPU=generic basin bench chain $tiny --precision bf16 --threads 1
expect_error 2 "basin bench: BASIN_CPU=reference has no bf16; use another or --precision fp32" \
    env BASIN_CPU=reference basin bench chain $tiny --precision bf16
expect 0 '"chain_steps": 2, "update_in_steps": ' basin bench update $tiny --json
expect 0 " an update of 2 chain steps and the parameter step " \
    basin bench update --network mlp --shape 2 --chains 4 --n-steps 2 --rounds 1 --box none
expect_error 2 "basin bench: n-steps 0: there is no step to time" basin bench chain --n-steps 0
denoise="--objective diffusion --network unet --channels 16,32 --embedding 8"
tiny_update="--shape 8x8x1 --chains 4 --rounds 1 --threads 2"
expect 0 '"share_of_peak": ' basin bench update $denoise $tiny_update --json
expect 0 '"share_of_peak": ' basin bench update $denoise $tiny_update --classes 3 --json
expect 0 '"share_of_peak": ' basin bench update $denoise $tiny_update --logits 3 --class-weight 1 --json
check "updates without chains tell of none" sh -c \
    '! basin bench update '"$denoise $tiny_update"' --json | grep -q step'
expect 0 " s an update without chains (" basin bench update $denoise $tiny_update
expect 0 '"algorithm": "direct"' \
    basin bench update $denoise $tiny_update --json --exact-convolution
expect_error 2 "basin bench: objective diffusion has no chains: leave --sampler and its options away" \
    basin bench update $denoise $tiny_update --levels 2
expect_error 2 \
    "basin bench: --precision is that of chains, and objective diffusion runs none: leave it away" \
    basin bench update $denoise $tiny_update --precision bf16
expect_error 2 "basin bench: only update trains: leave --objective and its options away" \
    basin bench chain --objective diffusion
expect 0 " an update of 3 chain steps and the parameter step " \
    basin bench update --objective recovery-likelihood --level-steps 3 --network mlp \
    --noise-conditional --shape 2 --chains 4 --rounds 1
check "one line for each number of threads" sh -c \
    '[ "$(basin bench scaling '"$tiny"' | wc -l)" -eq 2 ]'

check "manual pages are written" basin man "$tmp/man"
check "each verb has a page" sh -c '
    verbs=$(basin help | sed -n "/^Verbs/,/^$/s/^  \([a-z]*\) .*/\1/p")
    [ -n "$verbs" ] || exit 1
    for verb in $verbs; do
        grep -q "^.SH OPTIONS" "$0/basin-$verb.1" || exit 1
    done' "$tmp/man"
check "completion is bash" sh -c 'basin completion >"$0" && bash -n "$0"' "$tmp/completion"
complete() {
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _basin; echo "${COMPREPLY[@]}"' \
        "$tmp/completion" "$@"
}
[ "$(complete basin hel)" = help ] && ok "completes verbs" || not_ok "completes verbs"
[ "$(complete basin data --she)" = --sheet ] && ok "completes options" || not_ok "completes options"
[ "$(complete basin help sampler lang)" = langevin ] && ok "completes names" ||
    not_ok "completes names"
finish
