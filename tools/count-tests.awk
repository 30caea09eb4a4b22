# SPDX-License-Identifier: Apache-2.0
#
# Count tests in the log of `ctest --verbose`: each test function of a cmocka
# program, each "ok" and "not ok" line of a script, and one for a program that
# failed without saying where (a crash, a time-out, a leak). Prints
# "passed failed skipped".
match($0, /^[0-9]+: /) {
    id = substr($0, 1, RLENGTH - 2)
    line = substr($0, RLENGTH + 1)
    if (line ~ /^\[==========\] .* run\.$/)
        is_over[id] = 1                         # what follows repeats names
    if (is_over[id])
        next
    if (line ~ /^\[       OK \]/ || (line ~ /^ok / && line !~ /# skip/))
        passed[id]++
    else if (line ~ /^\[  FAILED  \]/ || line ~ /^\[  ERROR   \]/ || line ~ /^not ok /)
        failed[id]++
    else if (line ~ /^\[  SKIPPED \]/ || line ~ /^ok .*# skip/)
        skipped[id]++
    next
}
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    id = $0
    sub(/^[^#]*#/, "", id)
    sub(/:.*/, "", id)
    if ($0 ~ /\*\*\*Skipped/)
        skipped[id] += skipped[id] + passed[id] == 0
    else if ($0 ~ /   Passed/)
        passed[id] += skipped[id] + passed[id] == 0
    else
        failed[id] += failed[id] == 0
}
END {
    for (id in passed) all_passed += passed[id]
    for (id in failed) all_failed += failed[id]
    for (id in skipped) all_skipped += skipped[id]
    print all_passed + 0, all_failed + 0, all_skipped + 0
}
