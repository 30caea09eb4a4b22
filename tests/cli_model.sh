#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The verbs that use a model: a small one is trained, then described, sampled
# from, scored with and measured, with every mistake a user can make.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
unset BASIN_DATA

train() {
    basin train --data strokes --data-count 200 --image-size 16 --base-channels 4 --updates 6 \
        --n-steps 2 --batch 16 --buffer-size 32 --out "$tmp/run" --quiet
}
check "a small model is trained" train
run=$tmp/run
model=$(echo "$run"/checkpoints/*/average.safetensors)

# info
expect 0 "network     conv, base_channels 4" basin info "$run"
expect 0 "examples    16 x 16 x 1, values 0 to 1" basin info "$model"
expect 0 "temperature 1.25e-06, nominal" basin info "$run"
expect 0 "4 x 1 x 3 x 3" basin info "$run"
expect 0 '"is_exact": false' basin info "$run" --json
expect 1 "$tmp/none" basin info "$tmp/none"
expect 1 "holds no model" basin info "$tmp"
expect 2 "MODEL is missing" basin info
expect 2 "holds a network conv, not mlp" basin info "$run" --network mlp
expect 2 "is not HEIGHTxWIDTH" basin info "$run" --shape 16

# Each model that comes with Basin is the one of its card.
is_of_its_card() {
    sed -n "/^## $1\$/,/^| SHA-256/p" models/README.md | grep -qF "$(sha256sum <"models/$1" | cut -c 1-64)"
}
for file in models/*.safetensors; do
    check "$file is the one of its card" is_of_its_card "$(basename "$file")"
    expect 0 "model       $file" basin info "$file"
done

head -c 300 "$model" >"$tmp/cut.safetensors"
expect 1 "$tmp/cut.safetensors" basin info "$tmp/cut.safetensors"

# export
expect 0 "$tmp/whole.safetensors: 1637 parameters" \
    basin export "$run" --out "$tmp/whole.safetensors"
check "an exported model is the checkpoint's average" cmp "$model" "$tmp/whole.safetensors"
expect 0 "$tmp/half.safetensors: " basin export "$run" --half --out "$tmp/half.safetensors"
check "its halves take fewer bytes" test "$(wc -c <"$tmp/half.safetensors")" -lt \
    "$(wc -c <"$tmp/whole.safetensors")"
expect 0 "network     conv, base_channels 4" basin info "$tmp/half.safetensors"
expect 2 "--out is missing" basin export "$run"
expect 1 "no/x.safetensors" basin export "$run" --out "$tmp/no/x.safetensors"

# sample
cd "$tmp" || exit 1
expect 0 "samples.png: 4 samples" basin sample --model "$run" --n 4
expect 0 "a.npy: 4 samples" basin sample --model "$run" --n 4 --out a.npy --threads 1
check "one seed, one set of samples, for any threads" sh -c '
    basin sample --model run --n 4 --out b.npy --threads 3 && cmp a.npy b.npy &&
        basin sample --model run --n 4 --out b.npy --seed 1 && ! cmp -s a.npy b.npy'
check "no steps leave what was given" sh -c '
    basin sample --model run --n 4 --from a.npy --n-steps 0 --out b.npy && cmp a.npy b.npy'
expect 0 "buffer.npy: 9 samples" basin sample --model "$run" --from buffer --n 9 --out buffer.npy
expect 2 "holds 32 chains; --n 33 asks for more" \
    basin sample --model "$run" --from buffer --n 33 --out buffer.npy
expect 0 "temperature 1.25e-05" \
    basin sample --model "$run" --from strokes --n 3 --step-size 1 --out pictures/
check "a folder holds one picture a sample" test -f pictures/000002.png -a ! -f pictures/000003.png
expect 2 "is not empty; --force" basin sample --model "$run" --n 3 --out pictures/
expect 0 "pictures/: 3 samples" basin sample --model "$run" --n 3 --out pictures/ --force
expect 2 "neither X.png, X.npy nor a folder" basin sample --model "$run" --out x.jpg
expect 2 "did you mean --n-steps?" basin sample --model "$run" --n-stps 3
expect 2 "--model is missing" basin sample
expect 1 "no/x.png" basin sample --model "$run" --n 1 --out no/x.png

# sample from a model of noise levels and classes
check "a model of noise levels and classes is trained" basin train --data strokes --data-count 200 \
    --image-size 16 --network unet --channels 4,8 --embedding 8 --classes 10 --objective diffusion \
    --updates 4 --batch 16 --out "$tmp/flow" --quiet
for sampler in "ode --levels 4" "ode --method rk45 --tolerance-relative 0.1 --tolerance-absolute 0.1" \
    "predictor-corrector --levels 3 --corrector hmc" "annealed-langevin --levels 2 --level-steps 3" \
    "ddim --levels 4 --eta 1" "recovery-langevin --levels 3 --level-steps 4"; do
    expect 0 "samples.png: 4 samples" basin sample --model flow --n 4 --classes --sampler $sampler
done
check "a class of its own for each sample, and one for all" sh -c '
    sample() { basin sample --model flow --n 11 --sampler ode --levels 4 --guidance 2 --out "$@"; }
    sample a.npy --classes && sample b.npy --class 3 && sample c.npy --class 0 &&
        tail -c 1024 a.npy >a && tail -c 1024 c.npy | cmp a - && ! cmp -s b.npy c.npy'
check "the class of each sample is written" sh -c '
    labels() { basin sample --model flow --sampler ode --levels 2 --out a.npy --labels-out l.npy --quiet "$@" &&
        tail -c +129 l.npy | od -An -v -td4 | tr -s " \n" " "; }
    [ "$(labels --n 12 --classes)" = " 0 1 2 3 4 5 6 7 8 9 0 1 " ] &&
        [ "$(labels --n 2 --class 7)" = " 7 7 " ]'
expect 0 "a sample: 7 evaluations of the gradient, " basin sample --model flow --n 2 --sampler ode --levels 4
expect 0 "a sample: 14 evaluations of the gradient, " basin sample --model flow --n 2 --sampler ode \
    --levels 4 --class 1 --guidance 1
check "what a sample cost is a number too" sh -c '
    flops=$(basin info flow --json | sed -n "s/.*\"flops_per_step\": \([0-9]*\).*/\1/p")
    basin sample --model flow --n 2 --sampler ode --levels 4 --json --quiet >cost.json &&
        grep -q "\"evaluations_per_sample\": 7, \"flops_per_sample\": $((7 * flops)), \"time_s_per_sample\": [0-9.e-]*, " cost.json'
expect 2 "no class is asked for" basin sample --model flow --n 2 --labels-out l.npy
expect 2 "no class is asked for" basin sample --model "$run" --n 2 --labels-out l.npy
expect 2 "is no X.npy" basin sample --model flow --n 2 --classes --labels-out l.txt
expect 2 "is --out too" basin sample --model flow --n 2 --classes --out l.npy --labels-out ./l.npy
expect 2 "--out needs the name of a file" basin sample --model flow --n 2 --out ''
expect 2 "are of a grid" basin sample --model flow --n 2 --out l.npy --zoom 3
expect 2 "--heat-count is of --heat-map" basin score --model flow --data strokes --heat-count 3
expect 2 "--sheet is of --out" basin data strokes --sheet 4
expect 2 "levels has no effect" basin sample --model flow --sampler ode --method rk45 --levels 4
expect 2 "rho has no effect" basin sample --model flow --sampler ode --schedule geometric --rho 3
expect 2 "leapfrog-steps has no effect" basin sample --model flow --sampler predictor-corrector \
    --leapfrog-steps 3
expect 2 "gradient-clip-value has no effect" basin sample --model "$run" --gradient-clip none \
    --gradient-clip-value 1
expect 1 "of 2 scores none is finite" basin score --energy "flow[temperature = 1e-320]" --data strokes \
    --shape 16x16 --count 2
expect 1 '"mean": null, "std": null' basin score --energy "flow[temperature = 1e-320]" --data strokes \
    --shape 16x16 --count 2 --json
note() { # FROM TO: a number of the file's metadata changed in place
    sed "s/$1/$2/" "$(find flow/checkpoints -name average.safetensors | sort | tail -n 1)" >noted.safetensors
}
note '"noise_level_low":"0' '"noise_level_low":"x'
expect 1 "metadata noise_level_low is 'x" basin info noted.safetensors
note '"noise_level_high":"[0-9]*' '"noise_level_high":"00'
expect 1 "the first not the higher" basin info noted.safetensors
note '\\"guidance\\":' '\\"guidence\\":'
expect 1 "the model's metadata sampler_options: unknown key guidence" basin sample \
    --model noted.safetensors --n 2
expect 1 "no/l.npy" basin sample --model flow --n 2 --classes --labels-out no/l.npy
expect 0 "8 samples, mean energy" basin sample --model flow --n 8 --sampler mala --noise-level 0.5
expect 2 "no class is given" basin sample --model flow --sampler ode --guidance 1
expect 2 "contradict each other" basin sample --model flow --class 1 --classes
expect 2 "the model takes no class" basin sample --model run --classes
expect 2 "there is no class 10" basin sample --model flow --class 10
expect 2 "for samplers that walk at one level" basin sample --model flow --sampler ode --noise-level 1
expect 2 "the model takes none" basin sample --model run --sampler ode
expect 2 "takes no noise level" basin sample --model run --noise-level 1

# score
check "CSV has a head and a line an example, label before energy" sh -c '
    basin score --model run --data strokes --count 30 --quiet >s.csv &&
        [ "$(head -n 1 s.csv)" = index,label,energy ] && [ "$(wc -l <s.csv)" = 31 ] &&
        grep -Eq "^29,[0-9],-?[0-9.e-]+$" s.csv'
check "scores do not depend on the threads" sh -c '
    basin score --model run --data strokes --count 30 --quiet --threads 3 | cmp - s.csv'
check "the energy is that of the level asked for" sh -c '
    for level in 0 1 2; do
        basin score --model flow --data strokes --count 3 --noise-level $level >$level.csv || exit
    done
    ! cmp -s 0.csv 1.csv && ! cmp -s 1.csv 2.csv'
expect 0 "strokes:test: 30 examples, energy" basin score --model "$run" --data strokes --count 30
expect 0 '"non_finite": 0' basin score --model "$run" --data strokes --count 30 --json
expect 2 "--data is missing" basin score --model "$run"
expect 2 "did you mean 'strokes'?" basin score --model "$run" --data stroks
expect 2 "takes no noise level" basin score --model "$run" --data strokes --noise-level 1
expect 2 "the model gives no logits" basin score --model "$run" --data strokes --count 9 \
    --probabilities p.npy

# a classifier
check "a small classifier is trained" basin train --preset classify --data strokes --data-count 200 \
    --image-size 16 --channels 4,4 --kernels 3 --strides 2 --updates 6 --batch 16 --log-every 3 \
    --out reader --quiet
check "its accuracy on held-out data is told" sh -c '
    grep -q "\"accuracy_held_out\": 0\.[0-9]*" reader/metrics.jsonl &&
        grep -q "held-out accuracy 0\.[0-9]*" reader/log.txt'
expect 0 "cross-entropy" basin score --model reader --data strokes --count 30 --probabilities p.npy
check "a row of probabilities an example" sh -c '
    head -c 128 p.npy | grep -q "(30, 10)" && [ "$(wc -c <p.npy)" = 1328 ]'

# ood
expect 0 "energy histograms: ood.png" basin ood --model "$run" --in strokes --count 60 \
    --out-data uniform-noise --out-data shuffled-patches,rotated --resamples 20 --histogram ood.png
check "the histogram is a PNG" sh -c '
    [ "$(head -c 8 ood.png | od -An -tx1 | tr -d " ")" = 89504e470d0a1a0a ]'
expect 0 "pca_gaussian" basin ood --model "$run" --in strokes --count 60 --out-data inverted \
    --resamples 0
expect 0 '"is_reversed": ' basin ood --model "$run" --in strokes --count 60 --out-data rotated \
    --json
expect 0 "confidence  " basin ood --model reader --in strokes --count 40 --out-data uniform-noise \
    --resamples 0
expect 2 "--out-data is missing" basin ood --model "$run" --in strokes
expect 2 "did you mean 'shuffled-patches'?" basin ood --model "$run" --in strokes --out-data shufled-patches
expect 0 "gradient-norm  " basin ood --model "$run" --in strokes --count 60 --resamples 0 --score all \
    --out-data interpolated --hold-out-class 3
check "a class that is held out is a set of its own" sh -c '
    basin ood --model "$1" --in strokes --count 60 --resamples 0 --hold-out-class 3 --json |
        grep -qF "\"data\": \"strokes:test of class 3\""' sh "$run"
expect 0 "disagreement  " basin ood --model "$run" --ensemble "$run" --in strokes --count 60 \
    --resamples 0 --score disagreement,typicality --out-data inverted
expect 2 "there are energy, typicality" basin ood --model "$run" --in strokes --out-data inverted \
    --score enrgy
expect 2 "score levels: it needs a model that takes a noise level" basin ood --model "$run" --in strokes \
    --out-data inverted --score levels
expect 2 "there is no class 12" basin ood --model "$run" --in strokes --hold-out-class 12

# calibrate, and score --flag
expect 1 "fit one with" basin score --model "$run" --data strokes --count 9 --flag
expect 2 "--data is missing" basin calibrate --model "$run"
expect 2 "cannot be had from" basin calibrate --model "$run" --data strokes --count 100
expect 2 "it needs a classifier" basin calibrate --model "$run" --data strokes --score confidence
expect 0 "threshold" basin calibrate --model "$run" --data strokes --count 400 --false-alarm-rate 0.1 \
    --score typicality
check "the detector is beside the model" [ -f "$run/detector.json" ]
expect 0 "flagged" basin score --model "$run" --data strokes --count 200 --flag
check "few of the inside's are flagged, most inverted ones" sh -c '
    basin score --model "$1" --data strokes --count 300 --flag --quiet |
        awk -F, "NR > 1 { n += \$4 } END { exit !(n > 5 && n < 70) }"' sh "$run"
expect 2 "the detector says which it is" basin score --model "$run" --data strokes --flag --descent-steps 3
expect 2 "the detector says which it is" basin score --model "$run" --data strokes --flag --score energy
expect 2 "was fitted with another model" basin score --model reader --data strokes --count 9 --flag \
    --detector "$run/detector.json"
expect 2 "is standardised on inside data" basin score --model "$run" --data strokes --score typicality

# images as they come
check "paths on stdin give the scores of the folder" sh -c '
    ls pictures/*.png | basin score --model "$1" --data - --quiet | cut -d, -f2 >a.txt &&
        basin score --model "$1" --data pictures --quiet | cut -d, -f2 >b.txt && cmp a.txt b.txt &&
        [ "$(wc -l <a.txt)" = 4 ]' sh "$run"
check "a bad image is told, and the others go on" sh -c '
    ! printf "pictures/000000.png\nnone.png\n\n%s" pictures/000001.png |
        basin score --model "$1" --data - --flag >a.txt 2>b.txt && [ "$(wc -l <a.txt)" = 3 ] &&
        grep -qF "none.png" b.txt' sh "$run"
expect 0 '"path": "pictures/000000.png"' sh -c \
    "echo pictures/000000.png | basin score --model '$run' --data - --json"
expect 2 "not for stdin" basin score --model reader --data - --probabilities p.npy
expect 0 "heat map: heat.png, 3 images" basin score --model "$run" --data strokes --count 9 \
    --heat-map heat.png --heat-count 3
expect 2 "is not smaller than an image" basin score --model "$run" --data strokes --count 9 \
    --heat-map heat.png --heat-side 16
expect 1 "cannot write" basin score --model "$run" --data strokes --count 9 --heat-map no/heat.png
finish
