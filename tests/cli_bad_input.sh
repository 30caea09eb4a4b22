#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Everything a user can get wrong: broken files of every format, headers that
# lie, shapes that do not fit, folders that cannot be written, names with odd
# characters. Each ends with the right exit code and one clear line, and leaves
# nothing half-written. Files are made with printf, head and gzip alone.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
unset BASIN_DATA
cd "$tmp" || exit 1

# refuse CODE TEXT VERB ARGUMENT…: CODE, nothing on stdout, and one line on stderr, "basin VERB: …"
# with TEXT in it.
refuse() {
    code=$1 text=$2
    shift 2
    basin "$@" >refuse.out 2>refuse.err
    got=$?
    what=$(printf '%s' "basin $* ($code: $text)" | tr '\n' ' ' | head -c 200)
    if [ "$got" -eq "$code" ] && [ ! -s refuse.out ] && [ "$(wc -l <refuse.err)" -eq 1 ] &&
        grep -qF -e "$text" refuse.err && grep -q "^basin $1: " refuse.err; then
        ok "$what"
    else
        not_ok "$what" "code $got" "stderr: $(cat refuse.err)" "stdout: $(head -c 300 refuse.out)"
    fi
}

byte() { printf "\\$(printf %o $(($1 & 255)))"; }
big_32() { byte $(($1 >> 24)) && byte $(($1 >> 16)) && byte $(($1 >> 8)) && byte "$1"; }
little_64() {
    for shift in 0 8 16 24 32 40 48 56; do
        byte $(($1 >> shift))
    done
}
zeros() { head -c "$1" /dev/zero; }

# ---- IDX ----

idx() { # N HEIGHT WIDTH BYTES
    printf '\0\0\10\3' && big_32 "$1" && big_32 "$2" && big_32 "$3" && zeros "$4"
}
: >empty-idx3-ubyte
idx 2 3 4 20 >cut-idx3-ubyte
idx 2 3 4 30 >long-idx3-ubyte
idx 0 3 4 0 >none-idx3-ubyte
idx 4294967295 65535 65535 99 >lie-idx3-ubyte
idx 2 3 4 24 | gzip -c | head -c 30 >ends-early-idx3-ubyte.gz
refuse 1 "cut short: expected at least 4 bytes" data empty-idx3-ubyte
refuse 1 "promises 2 × 3 × 4 bytes, more than the file of 36 bytes" data cut-idx3-ubyte
refuse 1 "too long: expected 40 bytes" data long-idx3-ubyte
refuse 1 "byte 4: expected a size from 1" data none-idx3-ubyte
refuse 1 "promises 4294967295 × 65535 × 65535" data lie-idx3-ubyte
refuse 1 "gzip file that is cut short at byte 30" data ends-early-idx3-ubyte.gz
refuse 1 "no such file or folder" data ./nowhere-idx3-ubyte
printf '\0\0\10\1' >a-labels-idx1-ubyte
big_32 3 >>a-labels-idx1-ubyte
printf '\1\2\3' >>a-labels-idx1-ubyte
idx 2 3 4 24 >a-images-idx3-ubyte
refuse 1 "expected 2 labels, as many as images" data a-images-idx3-ubyte
refuse 1 "holds labels" data a-labels-idx1-ubyte
mkdir no-images no-labels nothing
cp a-labels-idx1-ubyte no-images/train-labels-idx1-ubyte
cp a-images-idx3-ubyte no-labels/train-images-idx3-ubyte
refuse 1 "holds labels but not its images" data no-images:train
refuse 1 "holds images but not its labels" train --data no-labels --out run
refuse 1 "holds no data: expected PNG images" data nothing

# ---- CIFAR ----

: >empty.bin
zeros 3000 >cut.bin
zeros 3100 >long.bin
{ printf '\12' && zeros 3072; } >label.bin
zeros 30730 | gzip -c | head -c 40 >ends-early.bin.gz
refuse 1 "'empty.bin' is empty: expected CIFAR records" data empty.bin
refuse 1 "ends at byte 3000 of its content" data cut.bin
refuse 1 "found 27 over" data long.bin
refuse 1 "byte 0: expected a label from 0 to 9, found 10" data label.bin
refuse 1 "gzip file that is cut short at byte 40" data ends-early.bin.gz
refuse 1 "no such file or folder" data ./nowhere.bin
mkdir cifar-10-batches-bin
cp long.bin cifar-10-batches-bin/test_batch.bin
refuse 1 "cifar-10-batches-bin/test_batch.bin' ends at byte 3100" data cifar10 --data-dir .

# ---- PNG ----

basin data strokes --count 4 --sheet 4 --out good.png >/dev/null
# The CRC of a chunk is in the trailer of its gzip file.
ihdr() { # WIDTH HEIGHT
    { printf IHDR && big_32 "$1" && big_32 "$2" && printf '\10\0\0\0\0'; } >chunk
    big_32 13 && cat chunk
    set -- $(gzip -c <chunk | tail -c 8 | head -c 4 | od -An -tu1)
    byte "$4" && byte "$3" && byte "$2" && byte "$1"
}
: >empty.png
head -c 60 good.png >cut.png
{ head -c 8 good.png && ihdr 2147483647 2147483647 && tail -c +34 good.png; } >lie.png
{ head -c 8 good.png && ihdr 0 5 && tail -c +34 good.png; } >none.png
{ head -c 20 good.png && zeros 4 && tail -c +25 good.png; } >crc.png
refuse 1 "does not begin with the PNG signature" data empty.png
refuse 1 "the file is cut short" data cut.png
refuse 1 "'lie.png'" data lie.png
refuse 1 "'none.png'" data none.png
refuse 1 "'crc.png'" data crc.png
refuse 1 "no such file or folder" data ./nowhere.png
mkdir mixed
cp good.png mixed/a.png
basin data strokes --count 4 --sheet 2 --out mixed/b.png >/dev/null
refuse 1 "'mixed/b.png' is 114x56" data mixed

# ---- npy ----

npy() { # SHAPE [DTYPE]: the header
    header="{'descr': '${2:-<f4}', 'fortran_order': False, 'shape': ($1), }"
    printf '\223NUMPY\1\0' && byte $((${#header} + 1)) && byte 0 && printf '%s\n' "$header"
}
: >empty.npy
npy "2, 3, 4, 1" >bare.npy
{ npy "2, 3, 4, 1" && zeros 90; } >cut.npy
{ npy "2, 3, 4, 1" && zeros 100; } >long.npy
{ npy "2, 3, 4, 1" && zeros 92 && printf '\0\0\300\177'; } >nan.npy
{ npy "2, 3, 4, 1" && zeros 92 && printf '\0\0\200\377'; } >infinite.npy
{ npy "24," && zeros 96; } >flat.npy
{ npy "2, 3, 4, 1" && zeros 96; } >small.npy
npy "0, 3, 4" >none.npy
npy "9223372036854775807, 9223372036854775807" >lie.npy
npy "2, 3" "|O" >object.npy
printf '\223NUMPY\1\0\377\377{' >head.npy
{ npy "1, 12, 12, 1" && zeros 572 && printf '\0\0\200\100'; } >four.npy
{ npy "1, 12, 12, 1" && zeros 572 && printf '\0\0\200\277'; } >minus.npy
gzip -c small.npy | head -c 60 >ends-early.npy.gz
refuse 1 "byte 0: it does not begin with" data empty.npy
refuse 1 "promises 96 bytes of data, but 0 follow" data bare.npy
refuse 1 "promises 96 bytes of data, but 90 follow" data cut.npy
refuse 1 "promises 96 bytes of data, but 100 follow" data long.npy
refuse 1 "index [1, 2, 3, 0] is not finite" data nan.npy
refuse 1 "index [1, 2, 3, 0] is not finite" train --data infinite.npy --out run
refuse 1 "has shape [24]: expected [N, D]" data flat.npy
refuse 1 "none.npy: 0 examples of 3 x 4 x 1" data none.npy
refuse 1 "past what can be addressed" data lie.npy
refuse 1 "has the element type '|O'" data object.npy
refuse 1 "header's length is past the end" data head.npy
refuse 1 "gzip file that is cut short at byte 60" data ends-early.npy.gz
refuse 1 "no such file or folder" data ./nowhere.npy

# ---- a model to break ----

small="--data strokes --data-count 100 --image-size 12 --base-channels 4 --batch 8 --n-steps 2
    --buffer-size 20 --log-every 5 --sample-every 0 --checkpoint-every 4 --keep-checkpoints 2"
check "a small model is trained" basin train $small --updates 8 --out run --quiet
basin train $small --updates 2 --out quiet --quiet >quiet.out 2>&1
[ ! -s quiet.out ] && ok "a quiet run says nothing" || not_ok "a quiet run says nothing"
newest=run/checkpoints/step-000008
model=$newest/average.safetensors

# ---- safetensors ----

tensors() { # HEADER BYTES
    little_64 ${#1} && printf '%s' "$1" && zeros "$2"
}
: >empty.safetensors
head -c 200 $model >head.safetensors
head -c 3000 $model >cut.safetensors
{ cat $model && zeros 100; } >long.safetensors
printf '\377\377\377\377\377\377\377\177{}' >huge.safetensors
tensors '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
    "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}' 12 >overlap.safetensors
tensors '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
    "a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}' 16 >twice.safetensors
tensors '{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,8],
    "data_offsets":[0,8]}}' 8 >lie.safetensors
tensors '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}' 16 >gap.safetensors
tensors '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}' 8 >foreign.safetensors
tensors '[1' 0 >text.safetensors
refuse 1 "do not even hold the header's length" info empty.safetensors
refuse 1 "192 bytes follow" info head.safetensors
refuse 1 "data_offsets" info cut.safetensors
refuse 1 "bytes of data are there" info long.safetensors
refuse 1 "a header of 9223372036854775807 bytes" score --model huge.safetensors --data strokes
refuse 1 "before the end of the one before it" info overlap.safetensors
refuse 1 "duplicate object key" info twice.safetensors
refuse 1 "a size past what can be addressed" info lie.safetensors
refuse 1 "leaving a gap" info gap.safetensors
refuse 2 "say which network it is" sample --model foreign.safetensors
refuse 1 "its tensors are not those of network conv" info foreign.safetensors --network conv \
    --shape 28x28
refuse 1 "the header, byte 10" info text.safetensors
refuse 1 "No such file" info nowhere.safetensors
edit() { sed "s/$1/$2/" $model >edited.safetensors; } # of one length
edit '"version":"1"' '"version":"9"'
refuse 1 "version 9 is newer than this Basin reads (1); use a newer Basin" info edited.safetensors
edit '"network":"conv"' '"network":"cmnv"'
refuse 2 "did you mean conv?" info edited.safetensors
edit '"range_high":"1"' '"range_high":"0"'
refuse 1 "range_low is 0 and range_high 0" sample --model edited.safetensors
edit '"temperature":"1.25' '"temperature":"tiny'
refuse 1 "expected a finite number" info edited.safetensors
edit '"temperature_exact":"false"' '"temperature_exact":"maybe"'
refuse 1 "expected true or false" info edited.safetensors
edit '"shape":"12,12,1"' '"shape":"12;12,1"'
refuse 1 "expected height,width,channels" info edited.safetensors
{ head -c $(($(wc -c <$model) - 4)) $model && printf '\0\0\300\177'; } >edited.safetensors
refuse 1 "non-finite number at element" score --model edited.safetensors --data strokes

# ---- data that the model does not take ----

fits="has examples of 3 x 4 x 1 (height, width, channels); the model takes 12 x 12 x 1"
refuse 1 "$fits" score --model run --data small.npy
refuse 1 "$fits" sample --model run --from small.npy --n 1
refuse 1 "$fits" ood --model run --in small.npy --out-data rotated
refuse 1 "$fits" ood --model run --in strokes --count 9 --out-data small.npy
refuse 1 "has examples of 1 x 1 x 2" score --model run --data two-moons
refuse 1 "has values from 0 to 4, which is neither [0, 1] nor [-1, 1] nor the model's [0, 1]" \
    score --model run --data four.npy
refuse 2 "neither [0, 1] nor [-1, 1]: scale it to one, or take range data" \
    train --data four.npy:all-train --base-channels 4 --updates 1 --out fours
refuse 2 "four.npy:all-train has values from 0 to 4" \
    train --data minus.npy:all-train --held-out four.npy:all-train --base-channels 4 --updates 1 --out fours
expect 0 "1 examples of 12 x 12 x 1 in [0, 4]" \
    basin train --data four.npy:all-train --range data --base-channels 4 --batch 2 --n-steps 2 --dry-run
expect 0 "1 examples of 12 x 12 x 1 in [0, 1]" \
    basin train --data minus.npy:all-train --base-channels 4 --batch 2 --n-steps 2 --dry-run
refuse 1 "the kernel is larger than the input" train --data small.npy --out other
refuse 1 "takes 1 channels; --shape says 3" info run --shape 12x12x3

# ---- configuration files ----

config() { # NAME TEXT
    printf "$2" >"$1"
}
bad_config() { # CODE TEXT FILE
    refuse "$1" "$2" train $small --out other --config "$3"
}
config empty.yaml ''
config open.yaml 'batch: [1, 2\n'
config words.yaml 'batch 8\n'
config twice.yaml 'batch: 8\nbatch: 9\n'
config spelt.yaml 'step-size: 1\nstep_size: 2\n'
config list.yaml 'batch: [1, 2]\n'
config type.yaml 'batch: many\n'
config flag.yaml 'flip: maybe\n'
config unknown.yaml 'bacth: 8\n'
config huge.yaml 'updates: 99999999999999999999\n'
config kind.yaml 'network: cnov\n'
config anchor.yaml 'batch: &a 8\n'
config latin.yaml 'data: "\351"\n'
config help.yaml 'help: true\n'
config cut.json '{"batch": 8'
config twice.json '{"batch": 8, "batch": 9}'
zeros 5000000 | tr '\0' a >long.yaml
bad_config 2 "'empty.yaml' holds no values" empty.yaml
bad_config 2 "'open.yaml', line 2" open.yaml
bad_config 2 "expected a mapping (key: value)" words.yaml
bad_config 2 "line 2, column 1: a key that is there twice" twice.yaml
bad_config 2 "step_size is there twice: with - and with _" spelt.yaml
bad_config 2 "list.yaml: batch a list is no single value" list.yaml
bad_config 2 "type.yaml: batch many is not an integer" type.yaml
bad_config 2 "flag.yaml: flip maybe is neither true nor false" flag.yaml
bad_config 2 "unknown key bacth; did you mean batch?" unknown.yaml
bad_config 2 "an integer past 64 bits" huge.yaml
bad_config 2 "unknown network cnov; did you mean conv?" kind.yaml
bad_config 2 "an anchor" anchor.yaml
bad_config 2 "UTF-8" latin.yaml
bad_config 2 "help is for the command line alone" help.yaml
bad_config 2 "'cut.json', line 1, column 11" cut.json
bad_config 2 "duplicate object key" twice.json
bad_config 2 "is too large" long.yaml
bad_config 2 "its name must end with .yaml, .yml or .json" nothing
bad_config 1 "No such file" nowhere.yaml
mkdir folder.yaml
bad_config 1 "Is a directory" folder.yaml
refuse 2 "--config needs a value" train --config

# ---- options ----

refuse 2 "--threads -1 is out of range: 0 to 4096" train --threads -1
refuse 2 "--updates 0 is out of range" train --updates 0
refuse 2 "--updates 1.5 is not an integer" train --updates 1.5
refuse 2 "--batch 1000000000 is out of range" train --batch 1000000000
refuse 2 "--seed 1e30 is out of range" train --seed 1e30
refuse 2 "--step-size nan is not a finite number" train --step-size nan
refuse 2 "--step-size -1 is out of range" train --step-size -1
refuse 2 "--n 0 is out of range" sample --model run --n 0
refuse 2 "--n-steps -1 is out of range" sample --model run --n-steps -1
refuse 2 "--shape 0x5x1" bench chain --shape 0x5x1
refuse 1 "more than 268435456 values" bench chain --shape 65536x65536x1 --base-channels 4096
refuse 2 "MODEL is missing" info
refuse 2 "FOLDER is missing" man
refuse 2 "scaling is missing" bench
refuse 2 "--model is missing" ood
refuse 2 "did you mean --base-channels?" train $small --base-chanels 8 --updates 1 --out other
suggested=$(sed 's/.*did you mean \(.*\)?/\1/' refuse.err)
check "what is suggested works" basin train $small "$suggested" 8 --updates 1e0 --out suggested
refuse 2 "leave --out away" train --resume run --out other

if ! (ulimit -v 600000) 2>/dev/null || ! (ulimit -v 600000 && basin info run) >/dev/null 2>&1; then
    echo "ok - no memory # skip the address space cannot be limited"
else
    limited() {
        (failures=0 && ulimit -v 600000 && refuse "$@" && [ $failures -eq 0 ]) ||
            failures=$((failures + 1))
    }
    limited 1 "out of memory: 5760000000 bytes" sample --model run --n 1e7 --out other.npy
    limited 1 "out of memory" train --base-channels 4096 --data strokes --out other
    limited 1 "memory could not be had" score --model run --data strokes --threads 4096
fi
[ ! -e other ] && [ ! -e other.npy ] && ok "mistakes leave nothing behind" ||
    not_ok "mistakes leave nothing behind"

# ---- places that cannot be written ----

: >file
mkdir kept
echo mine >kept/notes.txt
refuse 1 "Not a directory" train $small --out file
refuse 1 "Not a directory" train $small --out file --force
refuse 1 "Not a directory" train $small --out file/run
refuse 2 "kept is not empty" train $small --out kept
refuse 1 "cannot write 'file/x.png': Not a directory" sample --model run --n-steps 1e9 \
    --out file/x.png
refuse 1 "cannot write 'file/x.npy': Not a directory" sample --model run --n-steps 1e9 \
    --out file/x.npy
refuse 1 "cannot make the folder" sample --model run --n-steps 1e9 --out file/x/
refuse 2 "kept is not empty" sample --model run --n-steps 1e9 --out kept
refuse 1 "cannot write 'file/x.png'" ood --model run --in strokes --out-data inverted \
    --histogram file/x.png
refuse 1 "cannot make the folder" man file
[ "$(cat kept/notes.txt)" = mine ] && [ ! -s file ] && [ "$(ls kept)" = notes.txt ] &&
    ok "what was there is as it was" || not_ok "what was there is as it was"
(basin score --model run --data strokes --count 9 --quiet >/dev/full) 2>full.err
code=$?
[ $code -eq 1 ] && [ "$(cat full.err)" = \
    "basin score: cannot write to stdout: No space left on device" ] &&
    ok "scores on a full disk" || not_ok "scores on a full disk" "code $code" "$(cat full.err)"
ln -s /dev/full full.npy
refuse 1 "No space left on device" sample --model run --n 4 --n-steps 1 --out full.npy
mkdir disk
if mount -t tmpfs -o size=128k tmpfs disk 2>/dev/null; then
    refuse 1 "No space left on device" train $small --quiet --updates 40 --keep-checkpoints 0 \
        --out disk/run
    latest=$(cat disk/run/checkpoints/latest)
    check "a checkpoint from before the disk was full is whole" basin info \
        "disk/run/checkpoints/$latest"
    [ "$(ls disk/run/checkpoints | grep -cv -e '^step-' -e '^latest$')" -eq 0 ] &&
        ok "nothing half-written is left" ||
        not_ok "nothing half-written is left" "$(ls disk/run/checkpoints)"
    refuse 1 "No space left on device" sample --model run --n 1000 --n-steps 1 --out disk/x.npy
    [ ! -e disk/x.npy ] && ok "nor half an array" || not_ok "nor half an array"
    mount -o remount,ro disk
    refuse 1 "Read-only file system" train $small --out disk/other
    umount disk
else
    echo "ok - a full disk # skip mounting is not permitted"
fi

# ---- runs that are none, or are damaged ----

refuse 1 "is nothing a run folder?" train --resume nothing
refuse 1 "is file a run folder?" train --resume file
damaged() { # CODE TEXT COMMAND…: on a copy of the run that COMMAND damages
    code=$1 text=$2
    shift 2
    rm -rf copy
    cp -r run copy
    (cd copy && "$@")
    refuse "$code" "$text" train --resume copy --updates 12 --quiet
}
other="step-000004 is there too: to go on from it, write that name into copy/checkpoints/latest"
at=checkpoints/step-000008
cut() { head -c 100 "$1" >cut && mv cut "$1"; }
for name in optimiser buffer; do
    damaged 1 "$other" cut $at/$name.safetensors
    damaged 1 "$other" rm $at/$name.safetensors
done
damaged 1 "$other" cut $at/state.json
damaged 1 "$other" rm -r $at
damaged 1 "$other" sed -i 's/"version": 1/"version": 7/' $at/state.json
echo step-000004 >copy/checkpoints/latest
check "that advice works" basin train --resume copy --updates 12
damaged 1 "step-000008 is there too" rm checkpoints/latest
damaged 1 "should hold the name of a folder beside it" sh -c ': >checkpoints/latest'
damaged 1 "should hold the name of a folder beside it" sh -c 'echo ../.. >checkpoints/latest'
refuse 1 "should name a checkpoint's folder" info copy
damaged 1 "'copy/config.json', line 1" sh -c ': >config.json'
damaged 2 "batch x is not an integer" sed -i 's/"batch": 8/"batch": "x"/' config.json

# ---- names with odd characters ----

long=$(zeros 5000 | tr '\0' a)
odd=$(printf 'a\n"b" \033[31m,c'"'")
for name in "$odd" "$long" "$(printf '\351t\351')"; do
    refuse 2 "unknown data set" data "$name"
    refuse 2 "unknown option" data strokes "--$name"
    refuse 2 "is not an integer" data strokes --sheet "$name"
    refuse 1 "cannot open" info "$name"
    refuse 2 "unknown network" train --network "$name"
    refuse 2 "unknown benchmark" bench "$name"
    refuse 2 "unknown topic" help "$name"
    refuse 2 "expected HEIGHTxWIDTH" bench chain --shape "$name"
    basin "$name" 2>verb.err
    code=$?
    [ $code -eq 2 ] && [ "$(wc -l <verb.err)" -eq 1 ] && grep -q "^basin: unknown verb" verb.err &&
        ok "a verb of that name" || not_ok "a verb of that name" "code $code" "$(cat verb.err)"
done
# json ARGUMENT…: what is printed is JSON. --config reads it and minds its keys, not its syntax.
json() {
    what=$(printf '%s' "basin $* --json" | tr '\n' ' ')
    if basin "$@" --json >odd.json 2>odd.err; then
        refuse 2 "unknown key" data strokes --config odd.json
    else
        not_ok "$what" "$(cat odd.err)"
    fi
}
for name in "$odd" "$(printf '\351t\351')"; do
    cp small.npy "$name.npy"
    mkdir -p "tree/$name"
    cp good.png "tree/$name/"
    cp $model "$name.safetensors"
    json data "$name.npy"
    json data tree
    grep -qF 'u001B[31m,c' odd.json && ok "the class is in it" ||
        not_ok "the class is in it" "$(cat odd.json)"
    json info "$name.safetensors"
    json score --model "$name.safetensors" --data strokes --count 2
    json ood --model "$name.safetensors" --in strokes --count 20 --resamples 0 --out-data inverted
done
finish
