#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Energies explored: basin interpolate, and the walks that basin sample draws and shows, with every mistake
# a user can make.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
unset BASIN_DATA

cd "$tmp" || exit 1
check "points are learnt" basin train --data two-moons --network mlp --hidden 32,32 \
    --objective denoising-score-matching --noise-level 0.3 --updates 1000 --batch 64 \
    --learning-rate 3e-3 --seed 1 --sample-every 0 --out plain --quiet
check "points are learnt at noise levels" basin train --data two-moons --network mlp --hidden 16 \
    --objective diffusion --noise-conditional --noise-low 0.3 --updates 100 --batch 64 \
    --sample-every 0 --out levels --quiet
check "images are learnt" basin train --data strokes --image-size 8 --network mlp --hidden 16 \
    --objective denoising-score-matching --updates 50 --batch 64 --sample-every 0 --out images --quiet

{
    printf '\223NUMPY\1\0\166\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 3), }"
    head -c 92 /dev/zero
    printf '\0\0\200\077' # 1
} >solid.npy
check "points of space are learnt" basin train --data solid.npy --network mlp --hidden 4 --batch 2 \
    --objective denoising-score-matching --updates 1 --sample-every 0 --out solid --quiet

# ---- interpolate ----

moons() { # MODEL OPTION…
    model=$1
    shift
    basin interpolate --model "$model" --data two-moons "$@"
}
number() { # FILE WAY: the barrier
    sed -n 's/.*"'"$2"'": {[^}]*"barrier": \([^,}]*\),.*/\1/p' "$1"
}

expect 0 "relaxed after" moons plain --from 0 --to 1
expect 0 "halfway between neighbours" moons plain --from 0 --to 1 --images 3
expect 0 "not relaxed after 1 steps" moons plain --from 0 --to 1 --n-steps 1
expect 0 '"is_relaxed": true' moons plain --from 0 --to 1 --images 9 --json --chart energies.png
check "a chart is written" test -s energies.png
check "line and path are drawn in the plane" moons plain --from 0 --to 1 --picture plane.png
check "it is a picture" test -s plane.png
for threads in 1 3; do
    moons plain --from 0 --to 1 --json --threads $threads >$threads.json
done
check "one path for any number of threads" cmp 1.json 3.json
check "its barrier is below the line's" awk -v line="$(number 1.json line)" \
    -v path="$(number 1.json path)" \
    'BEGIN { exit !(line != "" && path != "" && path + 0 < line + 0) }'
moons levels --from 0 --to 1 --json >low.json
moons levels --from 0 --to 1 --json --noise-level 1 >high.json
expect 1 differ cmp low.json high.json
expect 0 "barrier over" basin interpolate --model images --data strokes --from 3 --to 8 --images 5 \
    --n-steps 3 --picture path.png
check "a picture is written" test -s path.png

expect_error 2 "basin interpolate: --from 20000: two-moons:test holds 10000 examples, counted from 0" \
    moons plain --from 20000 --to 1
expect 2 "--to 10000: two-moons:test holds" moons plain --from 1 --to 10000
expect 2 "--from is missing" moons plain --to 1
expect 2 "--to is missing" moons plain --from 1
expect 2 "--model is missing" basin interpolate --data two-moons --from 0 --to 1
expect 2 "--data is missing" basin interpolate --model plain --from 0 --to 1
expect 2 "there is no way between" moons plain --from 1 --to 1
expect 2 "images" moons plain --from 0 --to 1 --images 2
expect 2 "takes no noise level" moons plain --from 0 --to 1 --noise-level 0.5
expect 2 "nor points of the plane" basin interpolate --model solid --data solid.npy --from 0 --to 1 \
    --picture path.png
expect 1 "no/x.png" moons plain --from 0 --to 1 --chart no/x.png
expect 1 "the model takes" basin interpolate --model plain --data strokes --from 0 --to 1
{
    printf '\223NUMPY\1\0\166\0%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"
    printf '\346\261\141\177\0\0\0\0\0\0\0\0\346\261\141\177' # 3e38
} >far.npy
expect 3 "is not finite" basin interpolate --model levels --data far.npy --from 0 --to 1

# ---- walks ----

walks() { # OUT OPTION…
    out=$1
    shift
    basin sample --model plain --n 3 --n-steps 20 --seed 1 --out "$out" --quiet "$@"
}
for sampler in langevin mala hmc; do
    check "$sampler: chains are watched" walks seen.npy --sampler $sampler --walks walks.png
    check "$sampler: a picture is written" test -s walks.png
    walks unseen.npy --sampler $sampler
    check "$sampler: who watches changes nothing" cmp seen.npy unseen.npy
done
check "walks on one thread" walks a.npy --walks 1.png --threads 1
check "walks on three threads" walks b.npy --walks 3.png --threads 3
check "one picture for any number of threads" cmp 1.png 3.png
check "no step is a walk too" walks c.npy --n-steps 0 --walks none.png
expect 1 differ cmp 1.png none.png
expect 2 "walks are drawn in the plane" basin sample --model images --n 2 --out x.npy --walks x.png
expect 2 "is no X.png" walks x.npy --walks x.jpg
expect 1 "no/x.png" walks x.npy --walks no/x.png
expect 2 "cannot be watched" basin sample --model levels --sampler ode --method rk45 --n 2 \
    --out x.npy --walks x.png
check "walks down noise levels" basin sample --model levels --sampler ode --n 2 --out x.npy --walks x.png

# ---- animations ----

animate() { # MODEL OUT FILE OPTION…
    model=$1 out=$2 file=$3
    shift 3
    basin sample --model "$model" --n 3 --seed 1 --out "$out" --animation "$file" --quiet "$@"
}
for threads in 1 3; do
    check "walks are shown, $threads threads" animate plain seen.npy $threads.gif --n-steps 50 \
        --threads $threads --walks $threads.png
    check "images are shown, $threads threads" animate images seen.png image$threads.gif --n-steps 50 \
        --threads $threads
    check "estimates are shown, $threads threads" animate levels levels.npy levels$threads.gif \
        --sampler ode --frames-of estimates --frames 5 --threads $threads
done
check "one animation of walks for any number of threads" cmp 1.gif 3.gif
check "one animation of images for any number of threads" cmp image1.gif image3.gif
check "one animation of estimates for any number of threads" cmp levels1.gif levels3.gif
check "it is a GIF" test "$(head -c 6 image1.gif)" = GIF89a
basin sample --model images --n 3 --seed 1 --out unseen.png --n-steps 50 --quiet
check "who watches images changes nothing" cmp seen.png unseen.png
basin sample --model levels --n 3 --seed 1 --out unseen.npy --sampler ode --quiet
check "who asks for estimates changes nothing" cmp levels.npy unseen.npy
check "chains at levels are shown" animate levels x.npy chains.gif --sampler ode --frames 5
expect 1 differ cmp chains.gif levels1.gif
frames() { # FILE: its graphics control blocks, one a frame
    od -An -v -tx1 "$1" | tr -d ' \n' | grep -o '21f904..[0-9a-f]\{6\}002c' | wc -l
}
animate images x.png few.gif --n-steps 50 --frames 2
animate images x.png short.gif --n-steps 4
check "as many frames as asked for" test "$(frames few.gif)" -eq 2
check "no more than there are steps" test "$(frames short.gif)" -eq 5
animate images x.png still.gif --n-steps 0
check "no step is one frame" test "$(frames still.gif)" -eq 1
expect_error 2 "basin sample: --animation x.mp4 is no X.gif" animate images x.png x.mp4
expect_error 2 "basin sample: --animation .gif is no X.gif" animate images x.png .gif
expect 2 "frames" animate images x.png x.gif --frames 1
expect 2 "--frames is of --animation" basin sample --model images --out x.png --frames 9
expect 2 "--frames-of is of --animation" basin sample --model images --out x.png --frames-of chains
expect 2 "walks at one noise level" animate images x.png x.gif --frames-of estimates
expect 2 "images and points of the plane" animate solid x.npy x.gif
expect 2 "cannot be watched" animate levels x.npy x.gif --sampler ode --method rk45
expect 1 "no/x.gif" animate images x.png no/x.gif
check "nothing is left of what was refused" test ! -e x.gif
finish
