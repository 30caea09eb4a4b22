#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin density: likelihoods of models of the plane, with every mistake a user can make.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
unset BASIN_DATA

cd "$tmp" || exit 1
train() { # train OBJECTIVE OUT OPTION…
    objective=$1 out=$2
    shift 2
    basin train --data two-moons --network mlp --hidden 16 --objective "$objective" --updates 200 \
        --batch 64 --sample-every 0 --out "$out" --quiet "$@"
}
check "an energy is trained" train nce plain --noise-components 4
check "an energy at noise levels is trained" train diffusion levels --noise-conditional --noise-low 0.3
check "an energy of noisy data is trained" train denoising-score-matching noisy --noise-level 0.5

expect 0 "KL(data|model)" basin density --model plain --data two-moons --count 500
expect 0 "500 points, noise 0" basin density --model plain --data two-moons --count 500
expect 0 "noise 0.3" basin density --model levels --data two-moons --count 500
expect 0 "noise 0.5" basin density --model levels --data two-moons --count 500 --noise-level 0.5
expect 0 "noise 0.5" basin density --model noisy --data two-moons --count 500
check "noise is added to the data" train nce plain-noisy --data-noise 0.3
check "noise is added to noisy data" train diffusion levels-noisy --noise-conditional \
    --noise-low 0.3 --data-noise 0.4
expect 0 "noise 0.3" basin density --model plain-noisy --data two-moons --count 500
expect 0 "noise 0.5" basin density --model levels-noisy --data two-moons --count 500
expect 0 '"kl":' basin density --model plain --data two-moons --count 500 --json \
    --picture moons.png
check "a picture is written" test -s moons.png
for threads in 1 3; do
    basin density --model plain --data pinwheel --count 300 --threads $threads >$threads.txt
done
check "one result for any number of threads" cmp 1.txt 3.txt

# mistakes
expect 2 "--model is missing" basin density --data two-moons
expect 2 "--data is missing" basin density --model plain
expect 2 "takes no noise level" basin density --model plain --data two-moons --noise-level 0.5
expect 2 "expected 0 or more" basin density --model plain --data two-moons --noise-std -0.5
expect 1 "no/x.png" basin density --model plain --data two-moons --picture no/x.png
expect 1 "the model takes" basin density --model plain --data strokes --count 10
finish
