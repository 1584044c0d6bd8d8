#!/usr/bin/env bash
# Compares what our data files publish with what Helm renders: all arguments go to check.py.
#
#     CHARTS=DIR run.sh [--versions 1.35,1.36] [--closure complete] [--json FILE]
#
#     HELM=PROGRAM         instead of the Helm that is built here
#     REPLICATOR=PROGRAM   instead of a release build of this repository
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
export PYTHONDONTWRITEBYTECODE=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# shellcheck source=tests/interop/tools.sh
. tests/interop/tools.sh
# shellcheck source=tests/interop/rendering.sh
. tests/interop/rendering.sh

: "${CHARTS:?names the folder of packed charts}"

main() {
    prepares_renders closure
    if [ -z "${HELM:-}" ]; then
        # shellcheck disable=SC2154 # tools.sh and rendering.sh set them
        if ! build_stock_helm "${helm_versions[0]}"; then
            echo "closure: Helm cannot be built: $why" >&2
            exit 1
        fi
        HELM=$stock_helm
    fi
    # shellcheck disable=SC2154 # tools.sh sets it
    "$venv/bin/python" tests/interop/closure/check.py --helm "$HELM" --replicator "$REPLICATOR" --charts "$CHARTS" "$@"
}

main "$@"
