#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# --energy EXPRESSION in place of --model, by every verb that takes it, with every mistake a user can
# make; and the example that composes.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
example=$(dirname "$(realpath "$1")")/example_compose
PATH="$tmp:$PATH"
unset BASIN_DATA

cd "$tmp" || exit 1
check "a model of points" basin train --data two-moons --network mlp --hidden 16 --objective nce \
    --updates 100 --batch 64 --sample-every 0 --out moons --quiet
check "one at noise levels, by class" basin train --data two-moons --network mlp --hidden 16 \
    --classes 2 --noise-conditional --objective diffusion --updates 100 --batch 64 \
    --sample-every 0 --out levels --quiet

# by every verb
both="0.5 * moons + gaussian([1, 0], 1)"
expect 0 "20 samples" basin sample --energy "$both" --n 20 --out both.npy
expect 0 '"temperature": 1' basin sample --energy "$both" --n 20 --out both.npy --json
expect 0 "20 samples" basin sample --energy "levels + ring(1, 0.3)" --classes --n 20 --out ring.npy \
    --labels-out labels.npy
expect 0 "20 samples" basin sample --energy "levels + ring(1, 0.3)" --class 1 --guidance 1 --n 20 \
    --sampler predictor-corrector --out ring.npy --levels 5
expect 0 "20 samples" basin sample --energy "levels + ring(1, 0.3)" --noise-level 0.5 \
    --sampler mala --n 20 --out ring.npy
expect 0 "index,label,energy" basin score --energy "$both" --data two-moons --count 5
expect 0 '"model": "0.5 * moons + gaussian([1, 0], 1)"' basin score --energy "$both" \
    --data two-moons --count 5 --json
expect 0 "AUROC" basin ood --energy "$both" --in two-moons --out-data uniform-noise --count 200
expect 0 "KL(data|model)" basin density --energy "$both" --data two-moons --count 500
expect 0 "log-likelihood" basin density --energy "$both" --data both.npy --picture both.png
check "a picture is written" test -s both.png
expect 0 '"kl": null, "kl_error": null' basin density --energy "$both" --data both.npy --json
expect 0 "log-likelihood" basin eval --energy levels --data two-moons --likelihood --count 10
check "a model of images" basin train --data strokes --image-size 8 --network mlp --hidden 16 \
    --noise-conditional --objective diffusion --updates 20 --batch 16 --sample-every 0 --out strokes --quiet
expect 0 "strokes" basin restore --energy "strokes + box(0, 1)" --data strokes --noise-std 0.3 --count 2
printf 'energy: "%s"\nn: 7\nout: c.npy\n' "$both" >config.yaml
expect 0 "7 samples" basin sample --config config.yaml
for threads in 1 3; do
    basin sample --energy "mixture(moons, ring(2, 0.3); log-z = estimate)" --n 40 --quiet \
        --threads $threads --out $threads.npy
done
check "one result for any number of threads" cmp 1.npy 3.npy
check "a part alone has its energies" sh -c '
    basin score --model moons --data two-moons --count 50 --quiet >a.csv &&
    basin score --energy moons --data two-moons --count 50 --quiet >b.csv && cmp a.csv b.csv'

# help
expect 0 "mixture" basin help energy
expect 0 "negate(a, b; weight = 1; at = ENERGY | DATA)" basin help energy negate
expect 2 "did you mean mixture?" basin help energy mixtur

# mistakes
expect_error 2 "basin sample: --energy: character 9, at ')': expected a model, a function, a number or '('" \
    basin sample --energy "moons + )"
expect 1 "character 7, at 'moon': cannot open 'moon'" basin sample --energy "2.00* moon" --out x.npy
expect 2 "contradict each other" basin sample --model moons --energy moons --out x.npy
expect 2 "--model is missing" basin score --data two-moons
expect 2 "--network is of one model's file" basin sample --energy moons --network mlp --out x.npy
expect 2 "an expression has none" basin sample --energy moons --from buffer --out x.npy
expect 2 "takes no noise level" basin sample --energy moons --noise-level 0.5 --out x.npy
expect 2 "are walked by sampler hmc" basin sample --energy moons --n-steps 3 --out x.npy
expect 2 "of what shape examples are" basin sample --energy "brightness(0, 1)" --out x.npy
expect 0 "64 samples" basin sample --energy "gaussian(0, 1)" --shape 1x1x3 --out x.npy
expect 1 "examples are 28 x 28 x 1" basin score --energy "ring(1, 1)" --data strokes --count 3
expect 2 "unknown data set" basin sample --energy "negate(moons, ring(1, 1); at = two-moon)" --out x.npy

# the example
if [ -x "$example" ]; then
    "$example" "$both" 3 >example.txt
    check "the example composes and draws" test "$(wc -l <example.txt) $(wc -w <example.txt)" = "3 9"
    expect 1 "compose: character 1, at ')'" "$example" ")"
fi
# a detector knows the expression that it was fitted with
expect 0 "threshold" basin calibrate --energy "gaussian(0, 1)" --shape 1x1x2 --data two-moons --count 400 \
    --false-alarm-rate 0.1 --out d.json
expect 0 "flagged" basin score --energy "gaussian(0, 1)" --data two-moons --count 50 --flag --detector d.json
expect 2 "was fitted with another model" basin score --energy "gaussian(0, 2)" --data two-moons --count 50 \
    --flag --detector d.json
finish
