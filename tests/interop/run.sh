#!/usr/bin/env bash
# The program meets software that we did not write: registries as its sources and targets; skopeo, crane, oras, Helm
# and cosign as those who use what it brought there; and the EKS module, as its contract says. docs/internals/interop.md tells
# what came out.
#
# Installs what it needs, as root or with sudo; what it built is kept in ~/.cache/replicator-interop. What cannot be
# had is skipped by name; in CI (CI=true) only what `expected-skips` lists may be.
#
#     REPLICATOR=PROGRAM   the program to test, instead of building it
#     CHARTS_DIR=FOLDER    full chart archives, to be rendered with the values that the program makes for them
#     ONLY='deploy helm'   only these parts, of: deploy helm export browser copies clients charts signatures trust consumer emulators rendering
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PYTHONDONTWRITEBYTECODE=1

work=$(mktemp -d)
children=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local child
    for child in "${children[@]}"; do
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
# Where other people's clients look for logins: an empty home.
export DOCKER_CONFIG=$work/docker

for part in checks tools servers deploy helm export browser copies clients charts signatures attestations trust consumer emulators rendering; do
    # shellcheck source=/dev/null
    . "tests/interop/$part.sh"
done

# shellcheck disable=SC2154 # the parts set it
# wants PART
wants() {
    [[ -z "${ONLY:-}" || " $ONLY " == *" $1 "* ]]
}

# shellcheck disable=SC2154 # the parts set what is used here
main() {
    local tool
    for tool in jq curl skopeo perl gpg; do
        install_package "$tool" "${tool/gpg/gnupg}" && continue
        echo "interop: $tool is needed and cannot be installed" >&2
        exit 1
    done
    if ! find_registry; then
        echo 'interop: docker-registry is needed and cannot be had from apt' >&2
        exit 1
    fi
    if ! find_python; then
        echo 'interop: Python with moto and deepmerge is needed and cannot be had' >&2
        exit 1
    fi
    find_ours
    skopeo --version
    "$registry_program" --version
    if find_go; then "$go_program" version; else skip go 'there is no Go to build the others with'; fi

    if wants deploy || wants helm || wants export || wants browser; then check_deploy; fi
    if wants helm; then check_helm; fi
    if wants export; then
        check_export
        check_completions
    fi
    if wants browser; then check_browser; fi
    if { wants copies || wants clients || wants signatures; } &&
        use crane "$crane_version" github.com/google/go-containerregistry cmd/crane &&
        use oras "$oras_version" oras.land/oras cmd/oras; then
        check_copies
        if wants clients; then check_clients; fi
        if wants signatures; then
            check_signatures
            if [ -n "${cosign:-}" ]; then check_attestations; fi
        fi
    fi
    if wants trust; then check_trust; fi
    if wants charts; then check_charts; fi
    if wants consumer; then check_consumer; fi
    if wants emulators; then check_emulators; fi
    if wants rendering; then check_rendering; fi
    summary interop
}

main "$@"
