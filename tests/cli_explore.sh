#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Energies explored: basin interpolate, and the walks that basin sample draws, with every mistake
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
finish
