#!/usr/bin/env bash
# Compares what Helm and we render, outside of `make interop`: all arguments go to check.py.
#
#     run.sh --sets '' --cases 20000 --seed 1 tests/interop/render/charts
#     run.sh --sets default,on,off,m1,m2 FOLDER-OF-CHARTS
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

main() {
    prepares_renders render
    replicator_program=$REPLICATOR
    if ! { build_stock_helm "${helm_versions[0]}" && helm3=$stock_helm && build_batch_helm; }; then
        echo "render: Helm cannot be built: $why" >&2
        exit 1
    fi
    # Thousands of small charts: one process of Helm for all of them.
    case " $* " in
        *' --cases '*) compares_renders --batch "$helm3_batch" "$@" ;;
        *) compares_renders --helm3 "$helm3" "$@" ;;
    esac
}

main "$@"
