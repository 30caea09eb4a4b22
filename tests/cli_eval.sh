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
basin eval --samples noise.npy --data noise.npy --features none \
    --classifier "$models/reader-mnist.safetensors" --json >v.json
check "noise is not legible" is legible real "< 0.05"
basin eval --samples wreck-blurred-noise:strokes --data strokes:test --features none --count 200 \
    --classifier "$models/reader-fashion-mnist.safetensors" --json >v.json
check "blurred noise is no garment" is legible samples "< 0.05"

# The model that comes with Basin makes digits. Fewer levels than its own, to be quick.
basin sample --model "$models/mnist-unet.safetensors" --n 16 --sampler ode --levels 20 --churn 20 \
    --box clamp --out digits.npy --quiet
basin eval --samples digits.npy --data digits.npy --features none --black -1 --white 1 \
    --classifier "$models/reader-mnist.safetensors" --json >v.json
check "most of its digits are legible" is legible samples ">= 0.6"
mkdir with-photos && cp a.npy with-photos/
expect 0 "with-photos/a.npy:valid" basin eval --samples with-photos/a.npy:valid --data strokes \
    --features none --classifier reader10
check "few examples of another set are enough" timeout 60 \
    basin data wreck-other-set:strokes --count 1 --seed 16

# asked classes: of the data themselves by their labels, as many agree as in the data
array() { # array FILE NUMBER…: whole numbers
    file=$1
    shift
    { printf '\223NUMPY\001\000\166\000%-117s\n' \
        "{'descr': '|u1', 'fortran_order': False, 'shape': ($#,), }"
    for i in "$@"; do printf "\\$(printf %03o "$i")"; done; } >"$file"
}
labels=$(basin score --model run --data strokes --count 40 --quiet | awk -F, 'NR > 1 { print $2 }')
array labels.npy $labels
array others.npy $(for i in $labels; do echo $(((i + 1) % 10)); done)
number() { tr -d '\n' <v.json | sed -n "s/.*\"$1\": \([^,} ]*\).*/\1/p"; }
asked() { # asked FILE: "SAMPLES REAL", the shares over all
    basin eval --samples strokes:test --data strokes --features none --classifier reader10 \
        --count 40 --asked "$1" --json | tr -d '\n ' >v.json
    sed -n 's/.*"all":{"samples":{[^}]*"likeliest":\([^,]*\),[^}]*},"real":{[^}]*"likeliest":\([^,]*\),.*/\1 \2/p' v.json
}
accuracy() { sed -n 's/.*"accuracy":{"samples":null,"real":\([^,}]*\)}.*/\1/p' v.json; }
check "labels of the data agree as often as the classifier is right" sh -c '[ "$1" = "$2 $2" ]' - \
    "$(asked labels.npy)" "$(asked labels.npy >/dev/null && accuracy)"
check "other labels agree with what is left" awk -v a="$(asked labels.npy)" -v b="$(asked others.npy)" \
    'BEGIN { split(a, x); split(b, y); exit !(x[1] > 0 && y[1] + x[1] <= 1 && y[2] == x[2]) }'

# The joint energy that comes with Basin makes the digits that are asked for.
basin sample --model "$models/mnist-jem.safetensors" --n 20 --classes --sampler ode --levels 20 \
    --churn 20 --guidance 2 --out asked.npy --labels-out asked-labels.npy --quiet
basin eval --samples asked.npy --black -1 --white 1 --data strokes --count 10 --features none \
    --classifier "$models/reader-mnist.safetensors" --asked asked-labels.npy --json | tr -d '\n ' >v.json
check "four of five digits are those asked for" awk -v right="$(
    sed -n 's/.*"all":{"samples":{[^}]*"likeliest":\([^,]*\),.*/\1/p' v.json)" \
    'BEGIN { exit !(right >= 0.8) }'
expect 0 "all, and above 0.5" basin eval --samples strokes:test --data strokes --count 30 \
    --features none --classifier reader10 --asked labels.npy
expect 0 "of 40 " basin eval --samples a.npy --data strokes --features none --classifier reader11 --asked 3
check "a model of classes is trained" basin train --data strokes --data-count 40 --image-size 16 \
    --network unet --channels 4,4 --embedding 4 --classes 10 --objective diffusion --updates 2 \
    --batch 8 --sample-every 0 --out classes --quiet
check "and drawn from" basin sample --model classes --n 20 --classes --sampler ode --levels 3 \
    --out c.npy --labels-out c-labels.npy
expect 0 "asked class is likeliest" basin eval --samples c.npy --black 0 --white 1 --data strokes \
    --features none --classifier reader10 --asked c-labels.npy
array some.npy 1 2 3
array far.npy $(seq 40)
expect 2 "has 3 classes, and a.npy:all-train 40 samples" basin eval --samples a.npy --data strokes \
    --features none --classifier reader10 --asked some.npy
expect 2 "sample 9 is asked for class 10, and there are 10 classes" basin eval --samples a.npy \
    --data strokes --features none --classifier reader10 --asked far.npy
expect 2 "class 10, and there are 10 classes" basin eval --samples a.npy --data strokes \
    --features none --classifier reader10 --asked 10
expect 2 "has 4 dimensions" basin eval --samples a.npy --data strokes --features none \
    --classifier reader10 --asked a.npy
expect 1 "none.npy" basin eval --samples a.npy --data strokes --features none \
    --classifier reader10 --asked none.npy
expect 2 "--asked needs --classifier" basin eval --samples a.npy --data strokes --asked 1
expect 2 "--asked is for --samples" basin eval --data strokes --classifier reader10 --asked 1

# The flow's likelihood. A fresh network of the form inner is the Gaussian N(0, s^2 + sigma^2) at each
# level, so the flow is known: see tests/test_likelihood.c. Dequantised by u, x is x + w u.
gaussian() { # gaussian OUT OPTION…
    out=$1
    shift
    basin train --data strokes --data-count 20 --image-size 8 --network unet --channels 4,4 \
        --embedding 4 --energy-form inner --data-std 0.5 --objective diffusion --noise-low 0.1 \
        --noise-high 5 --updates 1 --learning-rate 0 --batch 4 --sample-every 0 --out "$out" \
        --quiet "$@"
}
check "a Gaussian at every level is made" gaussian normal
pixels levels.npy $zero $one '\315\314\114\076' $one
basin eval --likelihood --model normal --data levels.npy --repeats 8 --json >v.json
known() { # known LOW HIGH: of a model of values from LOW to HIGH
    awk -v low="$1" -v high="$2" -v got="$(number bits_per_dimension)" \
        -v error="$(number bits_per_dimension_error)" \
        -v draws="$(number bits_per_dimension_error_of_draws)" '
    BEGIN {
        a = 0.25 + 0.01; b = 0.25 + 25; w = (high - low) / 255; pi = 3.14159265358979
        split("0 1 0.2 1", x, " ")
        for (i = 1; i <= 4; i++) {
            from = sqrt(b / a) * (low + (high - low) * x[i])
            square += ((from - (low + high) / 2) ^ 2 + b / a * w * w / 12) / 4
        }
        nats = -0.5 * (square / 25 + log(2 * pi * 25)) + 0.5 * log(b / a) + log(w)
        off = got + nats / log(2)
        if (got == "" || error <= 0 || error > 1e-3 || draws <= 0 || draws > 1e-3) exit 1
        exit !(off * off < (5 * error + 1e-4) ^ 2)
    }'
}
check "its bits per dimension are known" known 0 1
check "nothing was rounded" test "$(number is_rounded)" = false
basin eval --likelihood --model normal --data levels.npy --bits 0 --exact-trace --json >w.json
check "without levels it is a density" awk -v density="$(sed -n 's/.*"log_likelihood": \([^,]*\).*/\1/p' w.json)" \
    -v level="$(number log_likelihood)" \
    'BEGIN { off = density - 64 * log(255) - level; exit !(density != "" && off * off < 0.1 ^ 2) }'
check "a Gaussian of values from -1 to 1 is made" gaussian signed --range=-1,1
basin eval --likelihood --model signed --data levels.npy --repeats 8 --json >v.json
check "and its bits are known too" known -1 1
expect 0 "to which values were rounded" basin eval --likelihood --model normal --data unit.npy --bits 8
expect 0 "of 5-bit levels with uniform noise" basin eval --likelihood --model normal --data strokes \
    --count 4 --bits 5 --tolerance-absolute 1e-3 --tolerance-relative 1e-3
expect 0 "bits per dimension needs about" basin eval --likelihood --model normal --data strokes \
    --count 4 --error-wanted 1e-6 --tolerance-absolute 1e-3 --tolerance-relative 1e-3
check "one likelihood for any number of threads" sh -ec '
    for threads in 1 3; do
        basin eval --likelihood --model normal --data strokes --count 5 --threads $threads --json >$threads.json
    done; cmp 1.json 3.json'

# of points, whose density is known
check "points at noise levels are learnt" basin train --data two-moons --network mlp --hidden 16 \
    --noise-conditional --objective diffusion --noise-low 0.3 --noise-high 5 --updates 200 --batch 64 \
    --sample-every 0 --out moons --quiet
flow() { basin eval --likelihood --model moons --data two-moons --count 100 --json "$@" >v.json; }
flow --exact-trace
exact=$(number log_likelihood)
check "what is known is put beside it" awk -v p="$(number exact_log_density)" -v q="$exact" -v kl="$(number kl)" \
    -v density="$(basin density --model moons --data two-moons --count 100 --noise-std 0 --json)" '
    function of(key) { match(density, "\"" key "\": [^,}]*"); s = substr(density, RSTART, RLENGTH); sub(/.*: /, "", s); return s }
    BEGIN {
        off = p - q - kl; away = p - of("log_likelihood") - of("kl")
        exit !(p != "" && kl > 0 && off * off < 1e-12 && away * away < 1e-8)
    }'
basin eval --likelihood --model moons --data two-moons --count 1 --exact-trace --json >w.json
check "of one example mean, median and least are one" awk -v n="$(sed -n 's/.*"log_likelihood[a-z_]*": \([^,]*\).*/\1/p' w.json | sort -u | grep -vc null)" \
    'BEGIN { exit n != 1 }'
check "one example has no error" grep -q '"log_likelihood_error": null' w.json
check "the median is above the least" awk -v median="$(number log_likelihood_median)" \
    -v least="$(number log_likelihood_least)" -v mean="$exact" \
    'BEGIN { exit !(least != "" && least < median && least < mean) }'
check "an exact trace draws nothing" test "$(number repeats)" = 1
flow --repeats 16
check "random directions are right in the mean" awk -v got="$(number log_likelihood)" -v exact="$exact" \
    -v draws="$(number log_likelihood_error_of_draws)" \
    'BEGIN { exit !(draws > 0 && (got - exact) ^ 2 < (5 * draws + 1e-4) ^ 2) }'
check "points have no bits" test -z "$(number bits_per_dimension)"
expect 0 "KL(data|flow), nat" basin eval --likelihood --model moons --data two-moons --count 20
expect 2 "--bits 8: two-moons:test holds points" basin eval --likelihood --model moons \
    --data two-moons --bits 8
expect 2 "would be the same" basin eval --likelihood --model moons --data two-moons --count 5 \
    --exact-trace --repeats 2
expect 2 "--likelihood needs --model" basin eval --likelihood --data two-moons
expect 2 "--model is for --likelihood" basin eval --data strokes --classifier reader10 --model moons
expect 2 "--repeats is for --likelihood" basin eval --data strokes --classifier reader10 --repeats 2
expect 2 "the model takes none" basin eval --likelihood --model run --data strokes --count 5
expect 2 "the model takes no class" basin eval --likelihood --model moons --data two-moons --given-class
expect 2 "a.npy:all-train has no labels" basin eval --likelihood --model classes --data a.npy \
    --given-class
expect 1 "the model takes" basin eval --likelihood --model moons --data levels.npy
expect 1 "none" basin eval --likelihood --model none --data two-moons
expect 2 "must be lower" basin eval --likelihood --model moons --data two-moons --count 5 --sigma-min 9
expect 3 "more than the 16 evaluations allowed" basin eval --likelihood --model moons --data two-moons --count 5 \
    --evaluations-max 16
expect 0 "log-probability" basin eval --likelihood --model classes --data strokes --count 3 --given-class \
    --tolerance-absolute 1e-2 --tolerance-relative 1e-2

# mistakes
expect 2 "--features is for --samples" basin eval --data strokes --classifier reader10 --features random
expect 2 "are for images" basin eval --samples two-moons --data two-moons --count 50 --black -4
expect 2 "--data is missing" basin eval
expect 2 "--samples, --classifier or --likelihood is missing" basin eval --data strokes
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
