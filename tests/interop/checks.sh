# Counts checks. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets `work`

passed=0 failed=0 skipped=0

# What CI may lack; any other skip is a failure there. Debian 12 has a Go that is too old to build Helm,
# and a skopeo that does not find Docker's media types in a folder.
expected_skips=(go docker-types)

# check NAME COMMAND...: one line; what the command printed only where it failed.
# The command is no condition here, so that `set -e` holds in it too.
check() {
    local name=$1 log=$work/check.log status
    shift
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok    %s\n' "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$name"
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

# skip TOOL REASON
skip() {
    skipped=$((skipped + 1))
    printf 'skip  %s: %s\n' "$1" "$2"
    if [ "${CI:-}" = true ] && [[ " ${expected_skips[*]} " != *" $1 "* ]]; then
        failed=$((failed + 1))
        printf 'FAIL  %s must not be skipped in CI\n' "$1"
    fi
}

# The closing line; fails when something failed, or nothing was checked.
summary() {
    printf 'interop: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
