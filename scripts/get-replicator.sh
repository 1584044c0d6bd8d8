#!/usr/bin/env bash
# Puts the program at $HOME/.replicator/bin/replicator, for all phases of a build. It takes the first there is of
#
# 1. bin/replicator-linux-<x86_64|aarch64>, bundled in the module
# 2. the parameter ReplicatorDistroUrl: https://… or s3://…, the program itself, not an archive;
#    ReplicatorDistroSecretName (and ReplicatorDistroSecretKey) name a secret with username and password for it
# 3. the release of this version
# 4. cargo, from the sources in the module
#
# What was not built here runs only with the SHA-256 that bin/SHA256SUMS pins; for ReplicatorDistroUrl the
# parameter ReplicatorDistroSha256 may give it. Another sum, or none, ends the run: what somebody put there on
# purpose is never passed over in silence. The same goes for a ReplicatorDistroUrl that cannot be fetched.
#
#   bash scripts/get-replicator.sh [--for-destroy]
#
# With --for-destroy nothing is built unless RetentionType is DESTROY, because then there is nothing to do.
# shellcheck disable=SC2016 # backticks in what is said are no commands
set -euo pipefail
# A trace would show the credentials.
set +x
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# <owner>/<repository> on GitHub whose releases hold the binaries; the release workflow fills it in. Empty: this
# is no release.
release_repository=''

program=$HOME/.replicator/bin/replicator

say() {
    printf 'get-replicator: %s\n' "$@"
}

fail() {
    say "$@" >&2
    exit 1
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
        curl --config - --fail --silent --show-error --location --proto '=https' \
            --connect-timeout 20 --retry 3 --output "$2"
}

# credentials SECRET KEY: a line of curl's configuration. The secret is {"username", "password"}, or holds
# that under the key.
credentials() {
    aws secretsmanager get-secret-value --secret-id "$1" --query SecretString --output text |
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
    # A copy is checked and run, so that nobody can put another file in its place in between.
    cp "bin/$binary" "$download"
    check_sum "$download" "$(pinned)" "bin/$binary" \
        'make it anew with `make dist`, which pins its sum in bin/SHA256SUMS, or delete it'
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
            aws s3 cp --only-show-errors "$url" "$download" || fail "$place: cannot be fetched"
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

from_source() {
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:/usr/local/cargo/bin
    command -v cargo >/dev/null || fail 'there is no binary for this machine, and no cargo to build one with' \
        'remedies: bundle one (`make dist`), name one (parameter ReplicatorDistroUrl), or use a build image with Rust'
    say 'there is no binary for this machine, so it is built from source, which takes some minutes'
    # Outside the module, or the next bundle would carry it.
    CARGO_TARGET_DIR=$HOME/.replicator/target cargo build --release --locked --bin replicator ||
        fail 'the build from source failed' \
            'remedies: bundle a binary (`make dist`), or name one (parameter ReplicatorDistroUrl)'
    cp "$HOME/.replicator/target/release/replicator" "$download"
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
