#!/usr/bin/env bash
# run.sh and seedfarmer/run.sh at the same time: the latter mostly waits. What both need is installed and built before.
# What the second prints is shown when the first is done. Fails when one of them does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
runs=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local run
    for run in "${runs[@]}"; do
        kill -- "-$run" 2>/dev/null || true
    done
    for run in "${runs[@]}"; do
        wait "$run" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# shellcheck source=tests/interop/tools.sh
. tests/interop/tools.sh

# start COMMAND...: as a process group, which can be ended as a whole.
start() {
    set -m
    "$@" </dev/null &
    runs+=("$!")
    set +m
}

main() {
    local tool status=0
    for tool in jq skopeo; do
        install_package "$tool" "$tool" && continue
        echo "interop: $tool is needed and cannot be installed" >&2
        exit 1
    done
    if ! find_python || ! find_registry; then
        echo 'interop: moto and Seed-Farmer from PyPI and docker-registry from apt are needed and cannot be had' >&2
        exit 1
    fi
    find_ours
    # shellcheck disable=SC2154 # find_ours sets them
    export REPLICATOR=$replicator_program LAB_PROGRAMS=$lab_programs

    start bash tests/interop/seedfarmer/run.sh >"$work/seedfarmer.log" 2>&1
    start bash tests/interop/run.sh
    wait "${runs[1]}" || status=$?
    wait "${runs[0]}" || status=$?
    cat "$work/seedfarmer.log"
    printf 'interop: both took %d min %d s\n' $((SECONDS / 60)) $((SECONDS % 60))
    exit "$status"
}

main "$@"
