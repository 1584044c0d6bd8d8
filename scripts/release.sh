#!/usr/bin/env bash
# Makes the files of a release from binaries that are built: bill of materials, container image, module archive and
# their sums. The release workflow and `make release-check` call it.
#
#   bash scripts/release.sh OUT
#
# Takes bin/replicator-linux-* and, for the image, .target/static/replicator-linux-*. SOURCE_URL is written into the image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:?the folder to write to}
version=$(sed -n '/^\[package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=dockerimage-replication-$version
mkdir -p "$out"
rm -rf "$out/image"

cp bin/replicator-linux-* "$out/"
python3 scripts/sbom.py "$out/replicator-$version.cdx.json"

programs=()
for pair in amd64=x86_64 arm64=aarch64; do
    program=.target/static/replicator-linux-${pair#*=}
    if [ -f "$program" ]; then programs+=("--program=${pair%=*}=$program"); fi
done
if [ "${#programs[@]}" -gt 0 ]; then
    digest=$(python3 scripts/image.py --version "$version" --source "${SOURCE_URL:-}" \
        --certificates "${CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}" "${programs[@]}" "$out/image")
    # With names in order and no date or owner, two runs write the same bytes.
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --file "$out/replicator-image-$version.oci.tar" --directory "$out/image" .
    echo "release: the image is $digest"
else
    echo 'release: there is no static binary in .target/static, so no image is made' >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/$name"
git archive HEAD | tar --extract --directory "$work/$name"
# What the workflow writes into them is not committed in a dry run.
cp bin/SHA256SUMS bin/replicator-linux-* "$work/$name/bin/"
cp scripts/get-replicator.sh "$work/$name/scripts/"
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" --directory "$work" "$name" |
    gzip --no-name >"$out/$name.tar.gz"

(
    cd "$out"
    rm -f SHA256SUMS
    find . -maxdepth 1 -type f ! -name '*.sigstore.json' -printf '%f\n' | sort | xargs sha256sum >"$work/sums"
    mv "$work/sums" SHA256SUMS
)
