#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin eval: measures of samples and of a classifier, on small built-in sets, with every mistake a
# user can make.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
unset BASIN_DATA
models=$(pwd)/models

cd "$tmp" || exit 1
reader() { # reader DATA CLASSES
    basin train --data "$1" --data-count 400 --image-size 16 --network conv --base-channels 4 \
        --logits "$2" --objective classify --updates 30 --batch 32 --out "reader$2" --quiet
}
check "a classifier is trained" reader strokes 10
check "a model is trained" basin train --data strokes --data-count 200 --image-size 16 \
    --base-channels 4 --n-steps 2 --updates 2 --batch 16 --buffer-size 32 --out run --quiet
check "images go through a model unchanged" \
    basin sample --model run --n 40 --from strokes --n-steps 0 --out a.npy --quiet
basin sample --model run --n 40 --from strokes --n-steps 0 --out pictures/ --quiet
for i in 00 01 02 03 04 05 06 07 08 09 10; do
    mkdir -p "tree/$i" && cp pictures/0000[0-2]*.png "tree/$i"
done
check "a classifier with one output more than the classes is trained" reader tree 11

# samples
expect 0 "samples   a.npy:all-train, 40 examples, values 0 to 1" basin eval --samples a.npy --data strokes \
    --count 40
expect 0 "Distances are of 256 features (pixels): the Fréchet distance is not FID" \
    basin eval --samples a.npy --data strokes --count 40
# What was copied from the data is at no distance from them, and all of it is in their balls.
value() { basin eval --data strokes --count 40 --json "$@" >v.json; }
field() { # field MEASURE COLUMN: prints its number
    tr -d '\n' <v.json | sed -n "s/.*\"$1\": {[^}]*\"$2\": \([^,} ]*\).*/\1/p"
}
is() { awk -v value="$(field "$1" "$2")" "BEGIN { exit !(value != \"\" && value $3) }"; }
value --samples a.npy
check "the data themselves are at distance 0" is frechet samples "< 1e-6"
check "and precise" is precision samples "== 1"
check "and covering" is coverage samples "== 1"
check "no train set, no column of real images" test "$(field frechet real)" = null

# train, picture
expect 0 "nearer to train than most data" basin eval --samples a.npy --data strokes \
    --train strokes:train --count 40 --picture near.png
check "a picture of pairs is written" test -s near.png
value --samples strokes:train --train strokes:train
check "training images are copies of themselves" is near_train samples "== 1"
check "as many training images are what samples are compared with" \
    test "$(field frechet samples)" = "$(field frechet real)"

# one result for any number of threads
for features in pixels random reader10; do
    check "one result for any number of threads, features $features" sh -c "
        basin eval --samples a.npy --data strokes --train strokes:train --count 40 \
            --features $features --classifier reader10 --threads 1 --json >1.json &&
        basin eval --samples a.npy --data strokes --train strokes:train --count 40 \
            --features $features --classifier reader10 --threads 3 --json >3.json &&
        cmp 1.json 3.json"
done

# scales: a model of images from -1 to 1 writes samples from -1 to 1
pixels() { # pixels FILE NUMBER…: 6 images of 8 × 8 with these values in turn
    file=$1
    shift
    { printf '\223NUMPY\001\000\166\000%-117s\n' \
        "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 8, 8, 1), }"
    for i in $(seq 96); do printf '%b%b%b%b' "$@"; done; } >"$file"
}
zero='\000\000\000\000' one='\000\000\200\077' minus='\000\000\200\277' half='\000\000\000\077'
two='\000\000\000\100'
pixels unit.npy $zero $one $half $one
pixels signs.npy $minus $one $zero $one
pixels wild.npy $minus $two $zero $one
expect 0 "values -1 to 1" basin eval --samples signs.npy --data unit.npy
basin eval --samples signs.npy --data unit.npy --json >v.json
check "scales are told apart" is frechet samples "< 1e-6"
expect 2 "--black and --white" basin eval --samples wild.npy --data unit.npy
expect 2 "neither [0, 1] nor [-1, 1]: scale it to one" basin eval --samples unit.npy --data wild.npy
expect 0 "of which 25 % lay outside and were clamped" basin eval --samples wild.npy \
    --data unit.npy --black -1 --white 1
expect 2 "must be the smaller one" basin eval --samples unit.npy --data unit.npy --black 1 --white 0

# classifier
expect 0 "class balance" basin eval --samples a.npy --data strokes --classifier reader11
expect 0 "legible: one class above 0.5" basin eval --samples a.npy --data strokes --features none \
    --classifier reader11 --count 3
expect 0 "its expected calibration error" basin eval --data strokes --classifier reader10 \
    --reliability r.png
check "a reliability diagram is written" test -s r.png
basin eval --samples strokes:test --data strokes --classifier reader10 --count 50 --json >v.json
check "the same images are as legible" test "$(field legible samples)" = "$(field legible real)"
check "accuracy is among the measures" is accuracy real ">= 0"

# A reader's last output is "none of these", whatever labels the data have: noise is not legible.
basin train --data strokes --data-count 20 --base-channels 4 --n-steps 1 --updates 1 --batch 4 \
    --buffer-size 8 --out run28 --quiet
basin sample --model run28 --n 50 --n-steps 0 --out noise.npy --quiet
for reader in reader-mnist reader-fashion-mnist; do
    basin eval --samples noise.npy --data noise.npy --features none \
        --classifier "$models/$reader.safetensors" --json >v.json
    check "noise is not legible to $reader" is legible real "< 0.05"
done
mkdir with-photos && cp a.npy with-photos/
expect 0 "with-photos/a.npy:valid" basin eval --samples with-photos/a.npy:valid --data strokes \
    --features none --classifier reader10
check "few examples of another set are enough" timeout 60 \
    basin data wreck-other-set:strokes --count 1 --seed 16

# mistakes
expect 2 "--features is for --samples" basin eval --data strokes --classifier reader10 --features random
expect 2 "are for images" basin eval --samples two-moons --data two-moons --count 50 --black -4
expect 2 "--data is missing" basin eval
expect 2 "--samples or --classifier is missing" basin eval --data strokes
expect 2 "--train is for --samples" basin eval --data strokes --train strokes --classifier reader10
expect 2 "--picture needs --train" basin eval --samples a.npy --data strokes --picture x.png
expect 2 "--reliability needs --classifier" basin eval --samples a.npy --data strokes \
    --reliability x.png
expect 1 "no/x.png" basin eval --samples a.npy --data strokes --train strokes --picture no/x.png
expect 1 "none.npy" basin eval --samples none.npy --data strokes
expect 2 "it is not a classifier" basin eval --data strokes --classifier run
expect 1 "they must be the same" basin eval --samples a.npy --data unit.npy
expect 1 "the model takes" basin eval --samples unit.npy --data unit.npy --classifier reader10
expect 2 "at least 6 are needed" basin eval --samples a.npy --data strokes --count 4
expect 1 "none-such" basin eval --samples a.npy --data strokes --features none-such
expect 2 "classes and the classifier" basin eval --data two-moons --classifier reader10
finish
