# SPDX-License-Identifier: Apache-2.0
#
# For test scripts, to be sourced: a temporary folder $tmp, and checks that print
# "ok - what" or "not ok - what" and are counted one by one. End with `finish`.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    failures=$((failures + 1))
    shift
    for line in "$@"; do
        echo "    $line"
    done
}

# check WHAT COMMAND…: the command succeeds.
check() {
    what=$1
    shift
    if "$@" >"$tmp/check.out" 2>&1; then
        ok "$what"
    else
        not_ok "$what" "$(head -c 2000 "$tmp/check.out")"
    fi
}

# expect CODE TEXT COMMAND…: the command ends with CODE and prints TEXT somewhere (stdout, stderr).
expect() {
    code=$1 text=$2
    shift 2
    "$@" >"$tmp/expect.out" 2>&1
    got=$?
    if [ "$got" -ne "$code" ]; then
        not_ok "$* (exit code $code)" "it is $got" "$(head -c 2000 "$tmp/expect.out")"
    elif ! grep -qF -e "$text" "$tmp/expect.out"; then
        not_ok "$* (prints: $text)" "$(head -c 2000 "$tmp/expect.out")"
    else
        ok "$* ($code: $text)"
    fi
}

# expect_error CODE LINE COMMAND…: CODE, nothing on stdout, and exactly LINE on stderr.
expect_error() {
    code=$1 line=$2
    shift 2
    "$@" >"$tmp/stdout" 2>"$tmp/stderr"
    got=$?
    if [ "$got" -eq "$code" ] && [ ! -s "$tmp/stdout" ] && [ "$(cat "$tmp/stderr")" = "$line" ]; then
        ok "$* ($code)"
    else
        not_ok "$* ($code)" "code $got" "wanted: $line" "stderr: $(cat "$tmp/stderr")" \
            "stdout: $(head -c 500 "$tmp/stdout")"
    fi
}

finish() { [ "$failures" -eq 0 ]; exit; }
