#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin restore: tasks and methods on built-in strokes, its files, and every mistake a user can make;
# and the example program, where it is built.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
example=$(dirname "$(realpath "$1")")/example_restore
PATH="$tmp:$PATH"
unset BASIN_DATA
unet=$(pwd)/models/mnist-unet.safetensors

cd "$tmp" || exit 1
# A model of 28 × 28 pixels at every noise level, of digits, on strokes: good enough for these.
restore() { basin restore --model "$unet" --data strokes --count 3 --seed 1 "$@"; }
field() { # field FILE ROW MEASURE: prints its number
    sed -n "s/.*\"$2\": {[^}]*\"$3\": \([^,}]*\).*/\1/p" "$1"
}
above() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 > b + 0) }'; }

check "the posterior mean" sh -c 'basin restore --model "$0" --data strokes --count 20 --noise-std 0.3 \
    --method mean --json >mean.json' "$unet"
check "takes off noise" above "$(field mean.json restored psnr)" 20
check "of which there was much" above 11 "$(field mean.json degraded psnr)"
check "and structures come back" above "$(field mean.json restored ssim)" \
    "$(field mean.json degraded ssim)"

expect 0 "sample    " restore --noise-std 0.3 --levels 6 --samples 3 --out a.png --out a.npy \
    --samples-out s.npy --deviation-out d.npy --degraded-out y.npy --labels-out l.npy
for file in a.npy s.npy d.npy y.npy l.npy; do
    check "$file is an array" sh -c 'head -c 6 "$0" | grep -q NUMPY' "$file"
done
check "a.png is a PNG" sh -c 'head -c 8 "$0" | grep -q PNG' a.png
expect 0 "examples  9" basin data s.npy
restore --noise-std 0.3 --levels 6 --samples 3 --out b.npy --quiet --threads 1
check "one result for any number of threads" cmp a.npy b.npy
basin restore --model "$unet" --data y.npy --degraded --noise-std 0.3 --levels 6 --samples 3 \
    --seed 1 --out c.npy --quiet
check "what was written as degraded is restored alike" cmp a.npy c.npy
expect 0 "langevin" restore --noise-std 0.5 --method langevin --steps 8 --levels 2 --json
expect 0 "of moves accepted" restore --task inpaint --hidden 0,0,14,28 --noise-std 0 --method map \
    --steps 6 --levels 2
expect 0 "anneal" restore --task super-resolve --factor 4 --noise-std 0.02 --levels 3 --out x.png
expect 0 "anneal" restore --task deblur --blur-std 1 --noise-std 0.05 --levels 2

# an energy without noise levels
check "a plain model is trained" basin train --data strokes --data-count 200 --image-size 16 \
    --base-channels 4 --n-steps 2 --updates 2 --batch 16 --buffer-size 32 --out run --quiet
plain() { basin restore --model run --data strokes --count 2 "$@"; }
expect 0 "langevin" plain --method langevin --steps 5 --temperature 0.01
expect 0 "map" plain --method map --steps 5 --task inpaint --hidden 0,8,16,8 --out small.npy
expect 2 "method anneal needs an energy at every noise level" plain
expect 2 "method mean needs an energy at every noise level" plain --method mean

# mistakes
expect_error 2 "basin restore: --model is missing" basin restore --data strokes
expect_error 2 "basin restore: --data is missing" basin restore --model "$unet"
expect 2 "did you mean denoise?" restore --task denois
expect 2 "did you mean anneal?" restore --method aneal
expect 2 "method mean gives one answer" restore --method mean --samples 2
expect 2 "mean takes the energy as it was trained" restore --method mean --temperature 3
expect 2 "rho-min has no effect here, with the other options of anneal" restore --rho-min 0.1
expect 2 "--samples-out y.npy is --out too" restore --out y.npy --samples-out y.npy
expect 2 "--shown and --zoom are of a picture" restore --out x.npy --zoom 3
expect 2 "nothing is hidden" restore --task inpaint
expect 2 "is no box within images of 28 x 28" restore --task inpaint --hidden 0,0,29,1
expect 1 "images have 1 channel, and are grey" restore --task colourise
expect 1 "factor 3 does not divide images of 28 x 28" restore --task super-resolve --factor 3
expect 1 "no.png" restore --task inpaint --mask no.png
expect 2 "method mean is of task denoise alone" restore --task deblur --method mean
expect 2 "not among the levels" restore --noise-std 0.001
expect 2 "--out x.jpg is neither X.png nor X.npy" restore --out x.jpg
expect 2 "--samples-out x is no X.npy" restore --samples-out x
expect 2 "--out is missing" basin restore --model "$unet" --data y.npy --degraded
expect 2 "has no labels" basin restore --model "$unet" --data y.npy --degraded --labels-out l.npy \
    --out x.npy
expect 1 "task super-resolve leaves 14 x 14 x 1" basin restore --model "$unet" --data y.npy \
    --degraded --task super-resolve --out x.npy
expect 2 "expected one of images" sh -c 'basin train --data two-moons --objective nce --updates 1 \
    --out moons --quiet && basin restore --model moons --data two-moons'
expect 1 "the model takes 28 x 28 x 1" basin restore --model "$unet" --data small.npy

if [ -x "$example" ]; then
    head -c 784 /dev/zero >black.raw
    "$example" "$unet" <black.raw >pixels.txt
    check "the example prints a mean and a deviation for each pixel" \
        awk 'NF != 2 || $1 < -0.5 || $1 > 1.5 || $2 < 0 { exit 1 } END { exit NR != 784 }' pixels.txt
else
    echo "ok - the example # skip it is not built"
fi
finish
