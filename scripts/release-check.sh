#!/usr/bin/env bash
# A dry run of a release, as far as one machine can: the Linux binaries, the bill of materials, the image and the module
# archive, all signed with a key made for the occasion and verified; the workflows are linted. What only the workflow
# can do is named at the end. What cannot be had here is said, and counts as a failure unless ALLOW_MISSING=yes.
#
#   REUSE=yes bash scripts/release-check.sh    takes the binaries that are there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2034 # tools.sh uses it
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/interop/tools.sh
. tests/interop/tools.sh
actionlint_version=v1.7.12
out=.target/release-check
missing=0

lacks() {
    printf 'release-check: %s\n' "$1" >&2
    missing=$((missing + 1))
}

# says_its_version COMMAND...
says_its_version() {
    local said
    said=$("$@" --version) || return
    printf 'release-check: %s, by %s\n' "$said" "$*"
}

# runs_alone ARCH MACHINE: the image's program runs where nothing but the image's own files is: in a container and in an
# empty root, or one of another machine in an emulator.
runs_alone() {
    local root=$work/root-$1/rootfs layer
    layer=$(jq -r '.layers[0].digest' "$work/$1/manifest.json")
    mkdir -p "$root"
    tar --extract --gzip --directory "$root" --file "$work/$1/${layer#sha256:}"
    if [ "$2" != "$(uname -m)" ]; then
        if install_package "qemu-$2" qemu-user; then
            says_its_version "qemu-$2" "$root/replicator"
        else
            lacks "qemu-user cannot be had, so the $2 image is not run"
        fi
        return
    fi
    says_its_version as_root chroot "$root" /replicator
    if install_package runc runc; then
        (cd "$root/.." && runc spec &&
            jq '.process.terminal = false | .process.args = ["/replicator", "--version"]' config.json >new &&
            mv new config.json)
        echo "release-check: $(as_root runc run --bundle "$root/.." "release-check-$$"), by runc"
    else
        lacks 'runc cannot be had, so the image is not run in a container'
    fi
}

# runs_with_glibc MACHINE ARCH: the binary of another machine runs in an emulator with that machine's glibc.
runs_with_glibc() {
    local glibc=/usr/$1-linux-gnu
    if install_package "qemu-$1" qemu-user &&
        { [ -d "$glibc/lib" ] || install_package "$1-linux-gnu-libc" "libc6-$2-cross"; }; then
        says_its_version "qemu-$1" -L "$glibc" "bin/replicator-linux-$1"
    else
        lacks "qemu-user and glibc for $1 cannot be had, so the $1 binary is not run"
    fi
}

for arch in x86_64 aarch64; do
    for name in "$arch" "$arch-static"; do
        file=bin/replicator-linux-$arch
        [ "$name" = "$arch" ] || file=.target/static/replicator-linux-$arch
        if [ "${REUSE:-}" = yes ] && [ -f "$file" ]; then continue; fi
        bash scripts/dist.sh "$name" || lacks "$name cannot be built here"
    done
done

rm -rf "$out"
bash scripts/release.sh "$out"
(cd "$out" && sha256sum --check --quiet SHA256SUMS)

# shellcheck disable=SC2154 # tools.sh sets the programs
if find_go && build cosign "$cosign_version" "github.com/sigstore/cosign/${cosign_version%%.*}" cmd/cosign; then
    cosign=$cache/cosign-$cosign_version/cosign
    (cd "$work" && COSIGN_PASSWORD='' "$cosign" generate-key-pair 2>/dev/null)
    COSIGN_PASSWORD='' "$cosign" sign-blob --yes --key "$work/cosign.key" --tlog-upload=false --use-signing-config=false \
        --bundle "$out/SHA256SUMS.sigstore.json" "$out/SHA256SUMS" >/dev/null
    "$cosign" verify-blob --key "$work/cosign.pub" --insecure-ignore-tlog --bundle "$out/SHA256SUMS.sigstore.json" \
        "$out/SHA256SUMS"
else
    lacks "cosign cannot be had, so nothing is signed: ${why:-}"
fi
if find_go && build actionlint "$actionlint_version" github.com/rhysd/actionlint cmd/actionlint; then
    "$cache/actionlint-$actionlint_version/actionlint" .github/workflows/*.yml
    echo 'release-check: actionlint has nothing to say'
else
    lacks "actionlint cannot be had, so the workflows are not linted: ${why:-}"
fi
if [ ! -d "$out/image" ]; then
    lacks 'there is no image'
elif install_package skopeo skopeo; then
    version=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$out/image/index.json")
    for pair in amd64:x86_64 arm64:aarch64; do
        [ -f ".target/static/replicator-linux-${pair#*:}" ] || continue
        skopeo --override-os linux --override-arch "${pair%:*}" inspect "oci:$out/image:$version" |
            jq -r '"release-check: skopeo sees \(.Os)/\(.Architecture) \(.Digest)"'
        # All blobs are read and compared with their digests.
        skopeo --override-os linux --override-arch "${pair%:*}" copy --quiet "oci:$out/image:$version" "dir:$work/${pair%:*}"
    done
    for pair in amd64:x86_64 arm64:aarch64; do
        if [ -d "$work/${pair%:*}" ]; then runs_alone "${pair%:*}" "${pair#*:}"; fi
    done
else
    lacks 'skopeo cannot be had, so the image is not checked'
fi

for pair in amd64:x86_64 arm64:aarch64; do
    if [ "${pair#*:}" != "$(uname -m)" ] && [ -f "bin/replicator-linux-${pair#*:}" ]; then
        runs_with_glibc "${pair#*:}" "${pair%:*}"
    fi
done

find "$out" -maxdepth 1 -type f -printf '%s %f\n' | sort -k 2 |
    awk '{ printf "release-check: %9.1f KiB  %s\n", $1 / 1024, $2 }'
echo 'release-check: only the workflow can build for macOS, attest the provenance, sign without a key and publish'
if [ "$missing" -gt 0 ] && [ "${ALLOW_MISSING:-}" != yes ]; then exit 1; fi
