#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin train from a shell: a run, its folder, mistakes, Ctrl-C and going on.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
cd "$tmp" || exit 1

small="--data strokes --data-count 200 --image-size 12 --base-channels 4 --batch 8 --n-steps 2
    --buffer-size 20 --log-every 5 --sample-every 10 --sample-count 4 --sample-steps 2"

expect 0 "updates      10, roll-backs 0" basin train $small --updates 10 --out run
for file in config.json metrics.jsonl log.txt events.out.tfevents.basin samples/step-000010.png \
    checkpoints/latest checkpoints/step-000010/model.safetensors \
    checkpoints/step-000010/average.safetensors checkpoints/step-000010/optimiser.safetensors \
    checkpoints/step-000010/buffer.safetensors checkpoints/step-000010/state.json; do
    [ -s "run/$file" ] && ok "run/$file" || not_ok "run/$file"
done
[ "$(wc -l <run/metrics.jsonl)" -eq 2 ] && ok "two lines of metrics" || not_ok "two lines of metrics"
expect 0 "updates      20, roll-backs 0" basin train --resume run --updates 20
cp -r run elsewhere
expect 0 "this run had convolution fast and goes on with direct: results differ by rounding" \
    basin train --resume elsewhere --updates 22 --exact-convolution
expect 0 "this run had chain_precision fp32 and goes on with bf16: results differ by rounding" \
    basin train --resume elsewhere --updates 24 --precision bf16
expect 0 "updates      5, roll-backs 0" basin train --config run/config.json --updates 5 --out again
expect 0 "estimate     20000 updates" basin train $small --dry-run --out dry
[ ! -e dry ] && ok "a dry run writes nothing" || not_ok "a dry run writes nothing"

expect_error 2 "basin train: run is not empty: choose another folder, --force to replace the run \
in it, or --resume to go on with it" basin train $small --out run
expect_error 2 "basin train: run has done 20 updates and 20 are asked for; give more with \
--updates" basin train --resume run
expect_error 2 "basin train: batch cannot change when a run is resumed; start a new run" \
    basin train --resume run --batch 4
expect_error 2 "basin train: --resume names the run folder; leave --out away" \
    basin train --resume run --out other
expect_error 2 "basin train: --resume keeps a run, --force replaces it" \
    basin train --resume run --force
expect_error 1 "basin train: nothing/config.json: not there; is nothing a run folder?" \
    basin train --resume nothing
expect_error 2 "basin train: buffer-size 20 is below batch 64: each chain needs its own slot" \
    basin train $small --batch=64 --out other
expect_error 2 "basin train: unknown option --bacth; did you mean --batch?" \
    basin train --bacth 4 --out other
expect_error 2 "basin train: restart-from is for chains from the buffer, and chain-start is not \
buffer: leave it away" basin train --restart-from faint --chain-start noise --out other
expect_error 2 "basin train: buffer-size is for chains from the buffer, and the objective runs no \
chains: leave it away" basin train --objective nce --buffer-size 64 --out other
expect_error 2 "basin train: chain-start is for chains, and the objective runs none: leave it away" \
    basin train --objective nce --chain-start noise --out other
expect_error 2 "basin train: augment-shift is for chains that are augmented, and augment-probability \
is 0: leave it away" basin train --augment-shift 3 --out other
expect 2 "image-size is for images, and the data are points" basin train --data two-moons \
    --image-size 16 --out other
expect 0 "mlp" basin train --data two-moons --hidden 8 --dry-run
check "an option is changed beside a run's own configuration" \
    basin train --config run/config.json --noise-std 0.01 --out changed --quiet
expect 0 "updates      1" basin train --data two-moons --objective diffusion --noise-conditional --levels 9 \
    --updates 1 --batch 4 --sample-every 0 --out sampled
rm -r sampled
expect 2 "label-smoothing 2 is out of range" basin train --preset classify --label-smoothing 2
expect 2 "unknown option --hidden: it is of network mlp, and conv is chosen" \
    basin train --data strokes --hidden 8 --dry-run
expect 2 "unknown option --churn: it is of sampler ode, and langevin is chosen" \
    basin train --data strokes --churn 8 --dry-run
expect 2 "noise-low 5 is not below noise-high 1" basin train --data two-moons --objective diffusion \
    --noise-conditional --noise-low 5 --noise-high 1 --out other
expect_error 2 "basin train: shift, flip, treat and range are for images, and two-moons holds points" \
    basin train --data two-moons --shift 2 --out other
recovery="--data two-moons --network mlp --noise-conditional --objective recovery-likelihood"
expect_error 2 "basin train: objective recovery-likelihood starts each chain at a noisier copy of its \
example: leave chain-start away" basin train $recovery --chain-start buffer --out other
expect_error 2 "basin train: objective recovery-likelihood learns from chains that are bound to noisier \
copies, and sampler ode binds none: take sampler recovery-langevin" \
    basin train $recovery --sampler ode --out other
expect 0 "of 3 steps an update" basin train $recovery --levels 4 --level-steps 3 --dry-run
plain="--data strokes --data-count 200 --image-size 12 --network unet --channels 4,8 --embedding 8"
expect 2 "gradient-clip-value has no effect here, with the other options of langevin: leave it away" \
    basin train $small --gradient-clip none --gradient-clip-value 0.1 --out other
expect 2 "noise-mean has no effect here, with the other options of diffusion" \
    basin train $plain --objective diffusion --noise-distribution vp --noise-mean 0 --out other
expect 2 "class-dropout has no effect here" \
    basin train $plain --objective diffusion --class-dropout 0.2 --out other
expect 2 "base-channels has no effect here, with the other options of conv: leave it away" \
    basin train --preset uva --base-channels 8 --out other
expect 2 "heads has no effect here" basin train $plain --objective diffusion --heads 2 --out other
expect 2 "data-std has no effect here" basin train --data rings --network mlp --data-std 2 --out other
expect 2 "time-std has no effect here" basin train $plain --objective flow-matching --time-std 2 --out other
expect 2 "class-dropout has no effect here" basin train $small --class-dropout 0.2 --out other
expect 2 "neighbours has no effect here" \
    basin train $small --objective improved-cd --entropy-weight 0 --neighbours 3 --out other
expect 2 "decay-factor is for exponential decay, and decay is another" \
    basin train $small --decay cosine --decay-factor 0.5 --out other
expect 2 "parameter-clip-value is for clipping, and parameter-clip is none" \
    basin train $small --parameter-clip none --parameter-clip-value 3 --out other
expect 2 "sample-steps is for samplers that take steps" \
    basin train $plain --objective diffusion --sample-steps 9 --out other
expect 0 "of 2 steps an update" basin train $small --gradient-clip none --dry-run
check "what has no effect is no part of a run's configuration" sh -c \
    '! grep -q "\"temperature\"" run/config.json && grep -q "\"noise_std\"" run/config.json'
[ ! -e other ] && ok "mistakes leave no folder" || not_ok "mistakes leave no folder"
expect 0 "updates      5, roll-backs 0" basin train $small --updates 5 --out run --force
expect 3 "training ran away" basin train $small --updates 50 --out away --gap-limit 1e-9

# Ctrl-C saves; a run that goes on has no mark of it
basin train $small --updates 100000 --out stopped 2>"$tmp/stopped.err" &
pid=$!
while [ ! -s stopped/metrics.jsonl ] && kill -0 $pid 2>/dev/null; do sleep 0.1; done
kill -TERM $pid
wait $pid
code=$?
[ "$code" -eq 143 ] && ok "SIGTERM ends with 143" || not_ok "SIGTERM ends with 143" "it is $code"
step=$(sed 's/step-0*//' stopped/checkpoints/latest)
grep -qF "stopped at update $step, saved; --resume goes on from there" "$tmp/stopped.err" &&
    ok "it says where it stopped" || not_ok "it says where it stopped" "$(cat "$tmp/stopped.err")"
end=$(((step / 10 + 1) * 10))
expect 0 "updates      $end, roll-backs 0" basin train --resume stopped --updates $end
basin train $small --updates $end --out whole >/dev/null 2>&1
same=yes
for file in average model optimiser buffer; do
    cmp -s "stopped/checkpoints/$(cat stopped/checkpoints/latest)/$file.safetensors" \
        "whole/checkpoints/$(cat whole/checkpoints/latest)/$file.safetensors" || same="no: $file"
done
[ "$same" = yes ] && ok "the same bits as a run in one piece" ||
    not_ok "the same bits as a run in one piece" "$same"

finish
