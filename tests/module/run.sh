#!/usr/bin/env bash
# Checks what Seed-Farmer reads: the commands of deployspec.yaml and the scripts they call (shellcheck), the
# template (cfn-lint), what it grants, and where the program comes from. Installs what it needs; what cannot be
# had is said, and in CI a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONDONTWRITEBYTECODE=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missing=0

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# has PROGRAM PACKAGE
has() {
    command -v "$1" >/dev/null && return
    command -v apt-get >/dev/null || return 1
    as_root apt-get -qq update >/dev/null &&
        DEBIAN_FRONTEND=noninteractive as_root apt-get -qq install --no-install-recommends "$2" >/dev/null
}

# lacks WHAT: goes on without a tool, but not in CI.
lacks() {
    printf 'module-lint: %s\n' "$1" >&2
    missing=$((missing + 1))
}

if has shellcheck shellcheck; then
    shellcheck --external-sources scripts/*.sh tests/module/*.sh tests/interop/*.sh tests/interop/seedfarmer/*.sh
else
    lacks 'shellcheck is not here and cannot be installed, so scripts and commands are not checked'
fi

if has python3 python3-venv && has curl curl && has openssl openssl && tools=$(bash tests/module/tools.sh); then
    "$tools/bin/python" tests/module/deployspec.py "$work"
    if command -v shellcheck >/dev/null; then
        shellcheck --shell=bash "$work"/*.bash
    fi
    "$tools/bin/cfn-lint" modulestack.yaml
    "$tools/bin/python" -m unittest discover --quiet --start-directory tests/module
else
    lacks 'cfn-lint (or python3, curl, openssl) cannot be had, so the template and the scripts are not checked'
fi

if [ "$missing" -gt 0 ] && [ "${CI:-}" = true ]; then
    echo 'module-lint: in CI nothing may be missing' >&2
    exit 1
fi
