#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# basin demo, cut short: its files and summary, the same for any number of
# threads, and a folder that is used again.
. tests/script.sh
ln -s "$(realpath "$1")" "$tmp/basin"
PATH="$tmp:$PATH"

expect 0 "AUROC of 500 held-out strokes" basin demo --updates 2 --out "$tmp/two" --threads 2
check "the summary names every comparison" sh -c '
    for line in "energy  " "samples  " "shapes  " "inverted strokes  " \
        "denoised  " "filled in  " "pictures  " "time  "; do
        grep -q "^ *$line" "$0" || { echo "no line $line"; exit 1; }
    done' "$tmp/expect.out"
for picture in samples restored demo; do
    check "$picture.png is a PNG" sh -c 'head -c 8 "$0" | grep -q PNG' "$tmp/two/$picture.png"
done
check "demo.png is below 300 kB" sh -c '[ "$(wc -c <"$0")" -lt 300000 ]' "$tmp/two/demo.png"
expect 0 "unet" basin info "$tmp/two"

mkdir "$tmp/one"
echo stale >"$tmp/one/demo.png"
check "a folder is used again, quietly" basin demo --updates 2 --out "$tmp/one" --threads 1 --quiet
check "--quiet prints nothing" [ ! -s "$tmp/check.out" ]
for picture in samples restored demo; do
    check "$picture.png is the same for 1 and 2 threads" \
        cmp "$tmp/one/$picture.png" "$tmp/two/$picture.png"
done

expect_error 2 "basin demo: --updates 0 is out of range: 1 to 1000000" basin demo --updates 0
expect_error 2 "basin demo: --out is missing" basin demo --out ""
touch "$tmp/file"
expect 1 "file" basin demo --updates 2 --out "$tmp/file"
finish
