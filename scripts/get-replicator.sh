#!/usr/bin/env bash
# Puts the program at $HOME/.replicator/bin/replicator, for all phases of a build. It takes the first there is of
#
# 1. bin/replicator-linux-<x86_64|aarch64>, bundled in the module
# 2. the parameter ReplicatorDistroUrl: https://… or s3://…, the program itself, not an archive;
#    ReplicatorDistroSecretName (and ReplicatorDistroSecretKey) name a secret with username and password for it
# 3. the release of this version
# 4. a build from the sources in the module. Where there is no cargo, rustup installs the toolchain that
#    rust-toolchain.toml pins: from static.rust-lang.org, or from the mirror that the parameter RustupMirror names
#    (https://…, laid out alike). CargoRegistry names a mirror for the dependencies (sparse+https://…/)
#
# What was not built here runs only with the SHA-256 that bin/SHA256SUMS pins; for ReplicatorDistroUrl the
# parameter ReplicatorDistroSha256 may give it. Another sum, or none, ends the run: what was put there on
# purpose is never passed over in silence. The same goes for a ReplicatorDistroUrl that cannot be fetched.
#
#   bash scripts/get-replicator.sh [--for-destroy]
#
# With --for-destroy nothing is built unless RetentionType is DESTROY, because then there is nothing to do.
# shellcheck disable=SC2016 # backticks in messages are not commands
set -euo pipefail
# A trace would show the credentials.
set +x
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# <owner>/<repository> on GitHub whose releases hold the binaries; the release workflow fills it in. Empty: this
# is not a release.
release_repository=''

program=$HOME/.replicator/bin/replicator

# The installer of toolchains runs only with this sum, whatever mirror it comes from.
rustup_version=1.29.0
declare -A rustup_sums=(
    [x86_64]=4acc9acc76d5079515b46346a485974457b5a79893cfb01112423c89aeb5aa10
    [aarch64]=9732d6c5e2a098d3521fca8145d826ae0aaa067ef2385ead08e6feac88fa5792
)

# No download lasts longer than this many seconds, or stays below this many bytes a second for half a minute.
download_seconds=${REPLICATOR_DOWNLOAD_SECONDS:-600}
minimum_speed=10240
build_minutes=30

say() {
    printf 'get-replicator: %s\n' "$@"
}

fail() {
    say "$@" >&2
    exit 1
}

# cannot_build REASON: what else there is, easiest first.
cannot_build() {
    fail "there is no binary for this machine, and none can be built: $1" \
        'do one of these and apply again:' \
        '  1. run `make bundle` in the module on a laptop: it puts the binary into bin/' \
        '  2. put a binary where this build can fetch it, and name it: ReplicatorDistroUrl (s3://… or https://…) and' \
        '     ReplicatorDistroSha256' \
        '  3. let the build reach a mirror for Rust (RustupMirror, CargoRegistry), or name a build image with Rust and' \
        '     a C compiler (codebuildImage in the module'"'"'s manifest, for instance' \
        '     aws/codebuild/amazonlinux-x86_64-standard:6.0)'
}

# limited COMMAND...: ends a command that has no time limit.
limited() {
    timeout --kill-after 10 "$download_seconds" "$@"
}

# parameter NAME: its value; `null` is what Seed-Farmer makes of one that is given without a value.
parameter() {
    local name=SEEDFARMER_PARAMETER_$1
    local value=${!name:-}
    # Seed-Farmer leaves the dashes of a name in capitals, and bash has no variable of such a name.
    [ -n "$value" ] || value=$(printenv "SEEDFARMER_PARAMETER_${1//_/-}") || value=
    [ "$value" = null ] || printf '%s' "$value"
}

# pinned: the sum of this machine's binary in bin/SHA256SUMS; nothing where there is none.
pinned() {
    local sum name
    [ -f bin/SHA256SUMS ] || return 0
    while read -r sum name; do
        if [ "${name#\*}" = "$binary" ]; then printf '%s' "$sum"; fi
    done <bin/SHA256SUMS
}

# check_sum FILE SUM PLACE HINT
check_sum() {
    local found
    [[ $2 =~ ^[0-9a-f]{64}$ ]] ||
        fail "$3: refused, because no SHA-256 is pinned for it${2:+ (\`$2\` is none)}" "$4"
    found=$(sha256sum <"$1")
    found=${found%% *}
    [ "$found" = "$2" ] || fail "$3: refused, its SHA-256 is $found and not $2" "$4"
}

# install_program FILE PLACE: the program is there whole or not at all, and it runs.
install_program() {
    local version
    chmod 755 "$1"
    version=$("$1" --version) || fail "$2: it does not run on this machine ($(uname -sm))"
    mv -f "$1" "$program"
    say "$version from $2"
    exit 0
}

# download URL FILE [CREDENTIALS]: URL and credentials reach curl on its standard input, because everybody on
# the machine can read arguments. curl sends credentials to no other host than the URL's.
download() {
    local url=${1//\\/\\\\}
    url=${url//\"/\\\"}
    printf 'url = "%s"\n%s\n' "$url" "${3:-}" |
        limited curl --config - --fail --silent --show-error --location --proto '=https' \
            --connect-timeout 20 --max-time "$download_seconds" --speed-limit "$minimum_speed" --speed-time 30 \
            --retry 3 --retry-max-time "$download_seconds" --output "$2"
}

# credentials SECRET KEY: a line of curl's configuration. The secret is {"username", "password"}, or holds
# that under the key.
credentials() {
    limited aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text |
        SECRET_NAME=$1 SECRET_KEY=$2 python3 -c '
import json, os, sys

name, key = os.environ["SECRET_NAME"], os.environ["SECRET_KEY"]
where = f"the secret `{name}`" + (f", key `{key}`" if key else "")
try:
    entry = json.load(sys.stdin)
    if key:
        entry = entry[key]
    pair = [entry["username"], entry["password"]]
    sound = all(isinstance(part, str) and part.isprintable() for part in pair) and ":" not in pair[0]
except (ValueError, LookupError, TypeError):
    sound = False
if not sound:
    sys.exit("get-replicator: " + where + " is not JSON with the texts `username` and `password`")
text = ":".join(pair).replace("\\", "\\\\").replace("\"", "\\\"")
print("user = \"" + text + "\"")
'
}

from_bundle() {
    [ -f "bin/$binary" ] || return 0
    # A copy is checked and run, so that the file cannot be replaced in between.
    cp "bin/$binary" "$download"
    check_sum "$download" "$(pinned)" "bin/$binary" \
        'make it anew with `make bundle`, which pins its sum in bin/SHA256SUMS, or delete it'
    install_program "$download" "bin/$binary"
}

from_parameter() {
    local url secret sum user='' host place
    url=$(parameter REPLICATOR_DISTRO_URL)
    secret=$(parameter REPLICATOR_DISTRO_SECRET_NAME)
    sum=$(parameter REPLICATOR_DISTRO_SHA256)
    sum=${sum//[[:space:]]/}
    sum=${sum,,}
    [ -n "$url" ] || return 0
    host=${url#*://}
    host=${host%%[/?]*}
    case $url in
        *[[:cntrl:][:space:]]*) fail 'ReplicatorDistroUrl: it holds blanks or control characters' ;;
    esac
    case $host in
        *@*) fail 'ReplicatorDistroUrl: it holds credentials' 'put them into a secret: ReplicatorDistroSecretName' ;;
    esac
    # A signature in the query is as good as a password.
    place="ReplicatorDistroUrl ${url%%\?*}"
    case $url in
        s3://*)
            limited aws s3 cp --only-show-errors "$url" "$download" || fail "$place: cannot be fetched"
            ;;
        https://*)
            if [ -n "$secret" ]; then
                user=$(credentials "$secret" "$(parameter REPLICATOR_DISTRO_SECRET_KEY)") ||
                    fail "$place: the secret \`$secret\` (ReplicatorDistroSecretName) gives no credentials"
            fi
            download "$url" "$download" "$user" || fail "$place: cannot be fetched"
            ;;
        *) fail "$place: it begins neither with https:// nor with s3://" ;;
    esac
    check_sum "$download" "${sum:-$(pinned)}" "$place" \
        'give the sum in the parameter ReplicatorDistroSha256 (it is what `sha256sum` prints)'
    install_program "$download" "$place"
}

from_release() {
    local version url sum
    sum=$(pinned)
    if [ -z "$release_repository" ] || [ -z "$sum" ]; then return 0; fi
    version=$(sed -n '/^\[package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
    url=https://github.com/$release_repository/releases/download/v$version/$binary
    if ! download "$url" "$download"; then
        say "the release $url cannot be fetched" >&2
        return 0
    fi
    check_sum "$download" "$sum" "$url" 'take a version of the module as it was released'
    install_program "$download" "$url"
}

# mirror_of NAME VARIABLE: the parameter's URL without its last slash, or nothing.
mirror_of() {
    local url
    url=$(parameter "$2")
    case $url in
        *[[:cntrl:][:space:]\"\\]*) fail "$1: it holds blanks, quotes or control characters" ;;
        '' | https://?* | sparse+https://?*) printf '%s' "${url%/}" ;;
        *) fail "$1: it does not begin with https://" ;;
    esac
}

# install_rust CHANNEL: rustup and the toolchain, into their usual places below HOME.
install_rust() {
    local target=$arch-unknown-linux-gnu sum=${rustup_sums[$arch]:-} url
    [ -n "$sum" ] || cannot_build "rustup is not known for $arch"
    url=$RUSTUP_DIST_SERVER/rustup/archive/$rustup_version/$target/rustup-init
    download "$url" "$download" || cannot_build "rustup cannot be fetched from $url"
    check_sum "$download" "$sum" "$url" 'the parameter RustupMirror has to name an unchanged copy of rustup'
    chmod 755 "$download"
    # The program looks at its own name to know what to do.
    mv "$download" "${download%/*}/rustup-init"
    RUSTUP_INIT_SKIP_PATH_CHECK=yes RUSTUP_INIT_SKIP_SUDO_CHECK=yes limited "${download%/*}/rustup-init" -y --quiet --no-modify-path \
        --profile minimal --default-toolchain "$1" || {
        rm -f "${download%/*}/rustup-init"
        cannot_build "rustup cannot install Rust $1 from $RUSTUP_DIST_SERVER"
    }
    rm -f "${download%/*}/rustup-init"
}

from_source() {
    local channel mirror registry options=()
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/cargo/bin
    command -v cc >/dev/null || cannot_build 'there is no C compiler (cc)'
    channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
    mirror=$(mirror_of RustupMirror RUSTUP_MIRROR) || exit 1
    registry=$(mirror_of CargoRegistry CARGO_REGISTRY) || exit 1
    export RUSTUP_DIST_SERVER=${mirror:-https://static.rust-lang.org}
    export RUSTUP_UPDATE_ROOT=$RUSTUP_DIST_SERVER/rustup
    if ! command -v cargo >/dev/null; then
        say "no binary for this machine and no cargo: installs Rust $channel and builds from source, about 6 to 12 minutes"
        install_rust "$channel"
    else
        say 'no binary for this machine: builds from source, about 5 to 10 minutes'
        # A rustup that lacks the pinned toolchain would fetch it at its own pace.
        if command -v rustup >/dev/null && ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
            limited rustup toolchain install "$channel" --profile minimal --no-self-update ||
                cannot_build "rustup cannot install Rust $channel from $RUSTUP_DIST_SERVER"
        fi
    fi
    if [ -n "$registry" ]; then
        options=(--config 'source.crates-io.replace-with="mirror"' --config "source.mirror.registry=\"$registry/\"")
    fi
    # Outside the module, or the next bundle would carry it.
    export CARGO_TARGET_DIR=$HOME/.replicator/target CARGO_HTTP_TIMEOUT=30 CARGO_HTTP_LOW_SPEED_LIMIT=$minimum_speed
    limited cargo "${options[@]}" fetch --locked --target "$arch-unknown-linux-gnu" || cannot_build 'the dependencies cannot be fetched'
    timeout --kill-after 10 "${build_minutes}m" cargo "${options[@]}" build --release --locked --offline --bin replicator ||
        cannot_build 'cargo build failed, as it says above'
    cp "$CARGO_TARGET_DIR/release/replicator" "$download"
    install_program "$download" 'its source'
}

retention=$(parameter RETENTION_TYPE)
retention=${retention//[[:space:]]/}
may_build=yes
case ${1:-} in
    '') ;;
    --for-destroy) [ "${retention^^}" = DESTROY ] || may_build='' ;;
    *) fail "\`$1\`: the only argument there is is --for-destroy" ;;
esac

arch=$(uname -m)
case $arch in
    x86_64 | aarch64) ;;
    arm64) arch=aarch64 ;;
    *) say "there are no binaries for $arch" ;;
esac
binary=replicator-linux-$arch

if [ -n "$(parameter HELM_DISTRO_URL)$(parameter HELM_DISTRO_SECRET_NAME)$(parameter HELM_DISTRO_SECRET_KEY)" ]; then
    say 'HelmDistroUrl, HelmDistroSecretName and HelmDistroSecretKey are accepted and not used: no helm is needed'
fi

mkdir -p "$HOME/.replicator/bin"
rm -f "$program"
download=$(mktemp "$HOME/.replicator/bin/download.XXXXXX")
trap 'rm -f "$download"' EXIT

from_bundle
from_parameter
from_release
[ -n "$may_build" ] || fail 'there is no binary for this machine, and none is built, because RetentionType is not DESTROY'
from_source
