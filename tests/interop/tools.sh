# Finds or installs the software that we did not write. Sourced by run.sh and seedfarmer/run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # they set `work`, and use what is set here

# What was built or unpacked by an earlier run.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/replicator-interop

helm_versions=(v3.22.0 v4.3.1)
crane_version=v0.22.1 oras_version=v1.3.6 cosign_version=v3.1.3
helmfile_version=v1.8.0
distribution_version=v3.1.2 olareg_version=v0.2.2 zot_version=v2.1.8
# All of them are built with this Go, or a later one that is here.
go_minor=26 go_toolchain=v0.0.1-go1.26.8
python_packages=(seed-farmer==8.0.9 'moto[server]==5.2.5' deepmerge==2.0 jsonschema==4.26.0 PyYAML==6.0.3 python-hcl2==7.3.1 websocket-client==1.9.0)

# Debian -------------------------------------------------------------------------------------------------

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

# Python -------------------------------------------------------------------------------------------------

# Sets `venv`: Python with `python_packages`.
find_python() {
    venv=$cache/python-$(printf '%s\n' "${python_packages[@]}" | sha256sum | head -c 12)
    [ ! -e "$venv/complete" ] || return 0
    install_package python3 python3-venv || return
    printf '      installing Python packages\n'
    rm -rf "$venv"
    python3 -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}" &&
        touch "$venv/complete"
}

# Go -----------------------------------------------------------------------------------------------------

# minor_of GO
minor_of() {
    GOTOOLCHAIN=local "$1" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p'
}

# Sets `go_program`. Where there is only an older one, as in Debian, that fetches a later one: a module too.
find_go() {
    install_package go golang-go || return
    go_program=$(command -v go)
    local minor machine module
    minor=$(minor_of "$go_program")
    [ "${minor:-0}" -lt "$go_minor" ] || return 0
    case $(uname -m) in
        x86_64) machine=amd64 ;;
        aarch64) machine=arm64 ;;
        *) return 1 ;;
    esac
    if [ ! -x "$cache/$go_toolchain/bin/go" ]; then
        printf '      fetching Go %s\n' "${go_toolchain#*-go}"
        module=$(cd "$work" && GOFLAGS=-mod=mod "$go_program" mod download -json \
            "golang.org/toolchain@$go_toolchain.linux-$machine" | jq -er .Dir) || return
        mkdir -p "$cache"
        cp -r "$module" "$work/toolchain"
        chmod -R u+w "$work/toolchain"
        find "$work/toolchain/bin" "$work/toolchain/pkg/tool" -type f -exec chmod +x {} +
        mv "$work/toolchain" "$cache/$go_toolchain"
    fi
    go_program=$cache/$go_toolchain/bin/go
}

# go_builds COMMAND...: static programs, with nothing of this machine in them.
go_builds() {
    CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-buildvcs=false -trimpath' timeout 1200 nice "$go_program" "$@"
}

# build NAME VERSION MODULE PACKAGE: once; the program stays in the cache, as NAME-VERSION/NAME. On failure the
# variable `why` tells why. With `in-module` as a fifth word it is built in the module's own folder: for a module
# whose list of versions cannot be had.
build() {
    local name=$1 version=$2 module=$3 package=$4 folder=$cache/$1-$2 started=$SECONDS
    [ ! -x "$folder/$name" ] || return 0
    if [ -z "${go_program:-}" ]; then
        why="there is no Go to build it with"
        return 1
    fi
    mkdir -p "$folder"
    if [ "${5:-}" = in-module ]; then
        build_in_module "$name" "$version" "$module" "$package"
    else
        GOBIN=$folder go_builds install -ldflags='-s -w' "$module/$package@$version" 2>"$folder/build.log" &&
            { [ -x "$folder/$name" ] || mv "$folder/${package##*/}" "$folder/$name"; }
    fi || {
        why=$(grep -v '^go: downloading' "$folder/build.log" | tail -n 1)
        return 1
    }
    printf '      built %s %s in %d s\n' "$name" "$version" $((SECONDS - started))
}

build_in_module() {
    local source=$work/source-of-$1
    source_of=$(cd "$work" && go_builds mod download -json "$3@$2" 2>"$cache/$1-$2/build.log" | tee "$work/download.json" | jq -er .Dir) || {
        jq -r .Error "$work/download.json" >>"$cache/$1-$2/build.log"
        return 1
    }
    cp -r "$source_of" "$source"
    chmod -R u+w "$source"
    (cd "$source" && go_builds build -ldflags='-s -w' -o "$cache/$1-$2/$1" "./$4") 2>"$cache/$1-$2/build.log"
}

# use NAME VERSION MODULE PACKAGE: builds it, and sets NAME to the program's path; skips it by name otherwise.
use() {
    if build "$@"; then
        printf -v "$1" '%s' "$cache/$1-$2/$1"
    else
        skip "$1" "$why"
        return 1
    fi
}

build_helm() {
    build helm "$1" "helm.sh/helm/${1%%.*}" cmd/helm
}

# Ours ---------------------------------------------------------------------------------------------------

# Sets `replicator_program` and `lab_programs`, which are built, unless REPLICATOR and LAB_PROGRAMS name them.
find_ours() {
    local built=''
    if [ -z "${REPLICATOR:-}" ] || [ -z "${LAB_PROGRAMS:-}" ]; then
        # The example brings the features that `cargo test` builds with. Without them half of the dependencies,
        # the AWS SDK among them, would be built once more.
        cargo build --locked --quiet -p dockerimage-replication --bin replicator --example quickstart \
            -p replicator-tools --bin lab-source --bin lab-registry
        built=$(cargo metadata --locked --no-deps --format-version 1 | jq -r .target_directory)/debug
    fi
    replicator_program=${REPLICATOR:-$built/replicator} lab_programs=${LAB_PROGRAMS:-$built}
    "$replicator_program" --version
}
