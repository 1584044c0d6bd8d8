#!/usr/bin/env bash
# Builds bin/replicator-linux-<arch> for each named architecture (by default this machine's) so that it runs on any
# Linux with glibc 2.17 (2012) or later, proves that, and pins its sum in bin/SHA256SUMS.
#
#   bash scripts/dist.sh [x86_64] [aarch64] [x86_64-static] [aarch64-static]
#
# The static ones, without any C library, are for the container image: .target/static/replicator-linux-<arch>.
#
# Needs cargo with the target's standard library (rustup adds it) and Python, with which it installs Zig as the
# linker that knows old versions of glibc. Runs on Linux and macOS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

glibc=2.17
zig=0.17.1
zigbuild=0.24.0
tools=${XDG_CACHE_HOME:-$HOME/.cache}/replicator-dist/zig-$zig-$zigbuild

say() {
    printf 'dist: %s\n' "$@"
}

fail() {
    say "$@" >&2
    exit 1
}

install_tools() {
    [ ! -e "$tools/complete" ] || return 0
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "ziglang==$zig" "cargo-zigbuild==$zigbuild"
    touch "$tools/complete"
}

has_target() {
    [ -d "$(rustc --print target-libdir --target "$1")" ]
}

# newest_glibc FILE: the newest version of glibc whose symbols a program asks for.
newest_glibc() {
    # The names of the versions are texts of the program.
    { LC_ALL=C grep -a -o 'GLIBC_[0-9][0-9.]*' "$1" || true; } | sed 's/GLIBC_//' | sort -u -V | tail -n 1
}

# is_portable FILE
is_portable() {
    local newest needed
    newest=$(newest_glibc "$1")
    [ -n "$newest" ] || fail "$1: it names no version of glibc"
    [ "$(printf '%s\n' "$newest" "$glibc" | sort -V | tail -n 1)" = "$glibc" ] ||
        fail "$1: it needs glibc $newest, and it is to run with $glibc"
    if ! command -v readelf >/dev/null; then
        say "$1: glibc $newest and no later; what it links to is not checked, there is no readelf"
        return
    fi
    needed=$(LC_ALL=C readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
    case " $needed" in
        *' libgcc_s'* | *' libstdc++'* | *' libssl'*) fail "$1: it needs $needed" ;;
    esac
    say "$1: glibc $newest and no later; $needed"
}

# sha256 FILE
sha256() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi
}

# pin FILE: its line in bin/SHA256SUMS, in the place of an older one.
pin() {
    local name=${1##*/} sum
    sum=$(sha256 "$1")
    { grep -v "[ *]$name\$" bin/SHA256SUMS || true; } >bin/SHA256SUMS.new
    printf '%s  %s\n' "${sum%% *}" "$name" >>bin/SHA256SUMS.new
    mv bin/SHA256SUMS.new bin/SHA256SUMS
}

for tool in cargo python3; do
    command -v "$tool" >/dev/null || fail "$tool is missing: it builds the binary"
done
[ "$#" -gt 0 ] || set -- "$(uname -m)"
install_tools
folder=$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')

# build TARGET [GLIBC]: the program is at $built.
build() {
    has_target "$1" || rustup target add "$1" ||
        fail "the standard library for $1 is not here: rustup target add $1"
    PATH=$tools/bin:$PATH cargo zigbuild --profile dist --locked --bin replicator --target "$1${2:+.$2}"
    built=$folder/$1/dist/replicator
}

for name; do
    arch=${name%-static}
    case $arch in
        x86_64 | aarch64) ;;
        *) fail "\`$name\`: there are binaries for x86_64 and aarch64" ;;
    esac
    if [ "$name" != "$arch" ]; then
        build "$arch-unknown-linux-musl"
        binary=$folder/static/replicator-linux-$arch
        mkdir -p "$folder/static"
        install -m 755 "$built" "$binary"
    else
        build "$arch-unknown-linux-gnu" "$glibc"
        binary=bin/replicator-linux-$arch
        install -m 755 "$built" "$binary.new"
        is_portable "$binary.new"
        mv "$binary.new" "$binary"
        pin "$binary"
    fi
    if [ "$(uname -s) $arch" = "Linux $(uname -m)" ]; then "$binary" --version; fi
    say "$binary: $(wc -c <"$binary") bytes"
    if [ "$name" = "$arch" ]; then
        say "for a module that is fetched by git, commit it: git add -f $binary bin/SHA256SUMS"
    fi
done
