# Finds or installs the software that we did not write. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # run.sh sets `work`, and uses what is set here

# What was built or unpacked by an earlier run.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/replicator-interop

helm_versions=(v3.22.0 v4.3.1)

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# apt_has_lists: the lists of packages are fetched once, and only when something is missing.
apt_has_lists() {
    command -v apt-get >/dev/null || return 1
    if [ -z "${apt_updated:-}" ]; then
        as_root apt-get -qq update >/dev/null || return 1
        apt_updated=yes
    fi
}

# install_package PROGRAM PACKAGE
install_package() {
    command -v "$1" >/dev/null && return
    apt_has_lists || return
    DEBIAN_FRONTEND=noninteractive as_root apt-get -qq install --no-install-recommends "$2" >/dev/null
}

# Sets `registry_program`. The package is unpacked and not installed: installing it would start a
# service on port 5000.
find_registry() {
    registry_program=$(command -v docker-registry) && return
    registry_program=$cache/docker-registry/usr/bin/docker-registry
    [ -x "$registry_program" ] && return
    apt_has_lists || return
    mkdir -p "$cache"
    (
        cd "$work" || exit
        apt-get -qq download docker-registry 2>/dev/null
        dpkg-deb --extract docker-registry_*.deb "$cache/docker-registry"
    )
}

# Go 1.21 and later fetch by themselves the version that a module asks for.
find_go() {
    install_package go golang-go || return
    local minor
    minor=$(go env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
    [ "${minor:-0}" -ge 21 ]
}

# build_helm VERSION: once; it stays in the cache.
build_helm() {
    [ -x "$cache/helm-$1/helm" ] && return
    printf '      building Helm %s, some minutes\n' "$1"
    mkdir -p "$cache/helm-$1"
    GOBIN=$cache/helm-$1 timeout 1500 \
        go install "helm.sh/helm/${1%%.*}/cmd/helm@$1" 2>"$cache/helm-$1/build.log"
}
