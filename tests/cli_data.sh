#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin data on a built-in set, on real images where there are some, and on
# paths that hold none.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"
data=${BASIN_DATA:-}
unset BASIN_DATA

expect 0 "examples  50" basin data strokes --count 50
expect 0 "shape     16x16x1" basin data strokes:train --count 50 --image-size 16
expect 0 '"examples": 50,' basin data strokes --count 50 --json
check "one seed gives one checksum, for any threads" sh -c '
    basin data strokes --count 50 --threads 1 >"$0/a" && basin data strokes --count 50 --threads 3 >"$0/b" &&
        cmp "$0/a" "$0/b"' "$tmp"
check "another seed gives another checksum" sh -c '
    basin data strokes --count 50 --seed 1 >"$0/b" && ! cmp -s "$0/a" "$0/b"' "$tmp"
check "a contact sheet is a PNG" sh -c '
    basin data strokes --count 50 --sheet 9 --out "$0/sheet.png" >/dev/null &&
        [ "$(head -c 8 "$0/sheet.png" | od -An -tx1 | tr -d " ")" = 89504e470d0a1a0a ]' "$tmp"
expect 1 "$tmp/no/sheet.png" basin data strokes --count 50 --out "$tmp/no/sheet.png"

expect 2 "did you mean 'strokes'?" basin data stroks
expect 1 "mnist" basin data mnist --data-dir "$tmp"
expect 1 "$tmp/missing-idx3-ubyte" basin data "$tmp/missing-idx3-ubyte"
printf '\0\0\10\3' >"$tmp/cut-idx3-ubyte"
expect 1 "$tmp/cut-idx3-ubyte" basin data "$tmp/cut-idx3-ubyte"

if [ -d "$data/mnist" ]; then
    expect 0 "examples  10000" basin data mnist --data-dir "$data"
    expect 0 "examples  50000" env BASIN_DATA="$data" basin data mnist:train
else
    echo "ok - MNIST # skip BASIN_DATA is not set or holds no mnist"
fi
finish
