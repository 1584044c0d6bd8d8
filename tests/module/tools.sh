#!/usr/bin/env bash
# Prints the folder of a Python environment with cfn-lint and PyYAML, which it makes on first use.
set -euo pipefail

cfn_lint=1.58.0
pyyaml=6.0.3

folder=${XDG_CACHE_HOME:-$HOME/.cache}/replicator-module/cfn-lint-$cfn_lint
if [ ! -e "$folder/complete" ]; then
    {
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "cfn-lint==$cfn_lint" "PyYAML==$pyyaml"
        touch "$folder/complete"
    } >&2
fi
printf '%s\n' "$folder"
