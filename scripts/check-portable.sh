#!/usr/bin/env bash
# Runs bin/replicator-linux-<this machine's arch> in a root file system that holds nothing but the C library of an
# old distribution: Debian 11 (glibc 2.31), the oldest that Debian's mirrors still have. Needs root or sudo, and apt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=bullseye
binary=bin/replicator-linux-$(uname -m)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/replicator-dist/$suite

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# fetch_library: libc6 of the suite, from the mirror that this machine uses.
fetch_library() {
    local work mirror
    [ ! -e "$folder/complete" ] || return 0
    # shellcheck disable=SC2016 # for apt
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sort --unique | grep -m 1 '/debian$')
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    printf 'deb %s %s main\n' "$mirror" "$suite" >"$work/sources.list"
    local options=(-qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$work/cache"
        -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$work" && apt-get "${options[@]}" download libc6)
    rm -rf "$folder"
    mkdir -p "$folder/root"
    dpkg-deb --extract "$work"/libc6_*.deb "$folder/root"
    rm -rf "$work"
    touch "$folder/complete"
}

fetch_library
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -r "$folder/root/." "$root"
install -m 755 "$binary" "$root/replicator"
as_root chroot "$root" /lib/x86_64-linux-gnu/libc.so.6 2>/dev/null | head -n 1 ||
    as_root chroot "$root" /lib/aarch64-linux-gnu/libc.so.6 | head -n 1
as_root chroot "$root" /replicator --version
# Past the command line, into settings and data files: bad input is exit code 2.
status=0
as_root chroot "$root" /replicator plan --eks-version 0.0 --registry-prefix oci:mirror >"$root/said" 2>&1 || status=$?
cat "$root/said"
[ "$status" -eq 2 ]
echo "check-portable: $binary runs on $suite"
