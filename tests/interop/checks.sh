# Counts checks. Sourced by run.sh and seedfarmer/run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # they set `work`

passed=0 failed=0 skipped=0 known=0

# check NAME COMMAND...: one line; what the command printed only where it failed.
# The command is not a condition here, so that `set -e` holds in it too. What `known-failures` names is to fail.
check() {
    local name=$1 log=$work/check.log status before=$SECONDS took=''
    shift
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    [ $((SECONDS - before)) -lt 10 ] || took=" ($((SECONDS - before)) s)"
    if grep -qxF "$name" tests/interop/known-failures; then
        if [ "$status" -ne 0 ]; then
            known=$((known + 1))
            printf 'known %s%s\n' "$name" "$took"
            return
        fi
        echo 'it does not fail any more: take it off tests/interop/known-failures' >>"$log"
        status=1
    fi
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok    %s%s\n' "$name" "$took"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s%s\n' "$name" "$took"
        sed 's/^/        /' "$log" | tail -n 20
    fi
}

# is WHAT FOUND WANTED
is() {
    if [ "$2" != "$3" ]; then
        echo "$1: $2, and not $3"
        return 1
    fi
}

# skip NAME REASON
skip() {
    skipped=$((skipped + 1))
    printf 'skip  %s: %s\n' "$1" "$2"
    if [ "${CI:-}" = true ] && ! grep -q "^$1 " tests/interop/expected-skips; then
        failed=$((failed + 1))
        printf 'FAIL  %s must not be skipped in CI\n' "$1"
    fi
}

# summary NAME: the closing lines; fails when something failed, or nothing was checked.
summary() {
    printf '%s took %d min %d s; %d known failures\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)) "$known"
    printf '%s: %d passed, %d failed, %d skipped\n' "$1" "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
