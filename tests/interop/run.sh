#!/usr/bin/env bash
# The program meets software that we did not write: Debian's docker-registry as its target, skopeo and
# Helm as those who use what it brought there. The sources are the lab's (examples/lab-source.rs).
# Installs what it needs, as root or with sudo; what it built is kept in ~/.cache/replicator-interop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

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

# shellcheck source=tests/interop/checks.sh
. tests/interop/checks.sh
# shellcheck source=tests/interop/tools.sh
. tests/interop/tools.sh

# The sources ----------------------------------------------------------------------------------------

start_source() {
    coproc source_process { exec "$programs/examples/lab-source" "$work/source" 1500; }
    # shellcheck disable=SC2154 # coproc sets it
    children+=("$source_process_PID")
    local line
    read -r -t 60 line <&"${source_process[0]}"
    [ "$line" = ready ]
    mapfile -t endpoints < <(jq -r '.endpoints | to_entries[] | "--endpoint\n\(.key)=\(.value)"' "$work/source/source.json")
}

# at_source REFERENCE: where the stand-in of the reference's host has it, without a scheme.
at_source() {
    local url
    url=$(jq -r --arg host "${1%%/*}" '.endpoints[$host]' "$work/source/source.json")
    printf '%s/%s' "${url#http://}" "${1#*/}"
}

# fetch_archives: every chart as its source has it, as served/KEY.tgz.
fetch_archives() {
    local key name version repository url digest
    mkdir -p "$work/served"
    while read -r key name version repository _; do
        if [[ $repository == oci://* ]]; then
            url=$(at_source "${repository#oci://}/$name")
            digest=$(skopeo_raw "docker://$url:$version" | layer helm.chart.content)
            url=http://${url/\//\/v2\/}/blobs/$digest
        else
            repository=${repository#https://}
            url=http://$(at_source "${repository%/}/$name-$version.tgz")
        fi
        curl -fsS -o "$work/served/$key.tgz" "$url"
    done < <(charts_of "$work/registry")
}

# The program ----------------------------------------------------------------------------------------

# replicator OUT COMMAND...: with nothing in its environment that could help it.
replicator() {
    local out=$1 command=$2
    shift 2
    env -i PATH="$PATH" HOME="$work" timeout 300 "$programs/replicator" "$command" \
        --out "$out" "${endpoints[@]}" "$@"
}

on_data() {
    replicator "$@" --eks-version 1.34 --data-dir "$work/source/data"
}

# totals_are OUT ARTIFACTS COPIED THERE FAILED
totals_are() {
    local totals
    totals=$(jq -r '.totals | "\(.artifacts) \(.copied) \(.alreadyThere) \(.failed)"' "$1/replication_report.json")
    shift
    is "artifacts, copied, already there, failed" "$totals" "$*"
}

# images_of OUT: source and target of each image.
images_of() {
    jq -r '.[] | "\(.src) \(.target)"' "$1/updated_images.json"
}

# charts_of OUT: key, name, version, source repository and target repository of each chart.
charts_of() {
    jq -r '.charts | to_entries[] | .key as $key | .value.helm
        | "\($key) \(.name) \(.version) \(.srcRepository) \(.repository)"' "$1/replication_result.json"
}

# What others say ------------------------------------------------------------------------------------

skopeo_raw() {
    skopeo inspect --raw --tls-verify=false "$1"
}

# by_digest REFERENCE: skopeo takes a tag or a digest, not both.
by_digest() {
    sed -E 's/:[^/@]+@/@/' <<<"$1"
}

# layer TYPE: the digest of the layer whose media type holds TYPE, of a manifest on standard input.
layer() {
    jq -er --arg type "$1" '.layers[] | select(.mediaType | contains($type)) | .digest'
}

# The plain registry ---------------------------------------------------------------------------------

start_registry() {
    printf '%s\n' 'version: 0.1' \
        "storage: {filesystem: {rootdirectory: $work/storage}}" \
        'http: {addr: "127.0.0.1:0"}' >"$work/registry.yml"
    timeout 1500 "$registry_program" serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    children+=("$!")
    local port
    for _ in {1..100}; do
        port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/registry.log")
        if [ -n "$port" ]; then
            registry=127.0.0.1:$port prefix=127.0.0.1:$port/idf-
            return
        fi
        sleep 0.1
    done
    cat "$work/registry.log"
    return 1
}

# writes_since BYTES: how many requests after so many bytes of the access log changed something.
writes_since() {
    tail -c "+$(($1 + 1))" "$work/registry.log" | grep -cE '"(PUT|POST|PATCH|DELETE) /v2/' || true
}

log_size() {
    wc -c <"$work/registry.log"
}

plan_writes_nothing() {
    local before
    before=$(log_size)
    on_data "$work/plan" plan --registry-prefix "$prefix" --json >"$work/plan.json"
    is states "$(jq -c '[.artifacts[].state] | unique' "$work/plan.json")" '["missing"]'
    is "requests that write" "$(writes_since "$before")" 0
}

deploys_everything() {
    local before
    before=$(log_size)
    on_data "$work/registry" deploy --registry-prefix "$prefix"
    totals_are "$work/registry" "$1" "$1" 0 0
    # Otherwise the same question after the second run proves nothing.
    [ "$(writes_since "$before")" -gt "$1" ]
}

second_run_copies_nothing() {
    local before
    before=$(log_size)
    on_data "$work/again" deploy --registry-prefix "$prefix"
    totals_are "$work/again" "$1" 0 "$1" 0
    is "requests that write" "$(writes_since "$before")" 0
    cmp "$work/registry/replication_result.json" "$work/again/replication_result.json"
}

# same_bytes SOURCE TARGET: skopeo reads the same manifest at both.
same_bytes() {
    if cmp <(skopeo_raw "$1") <(skopeo_raw "$2"); then return; fi
    echo "differs: $1 and $2"
    return 1
}

registry_has_the_bytes_of_the_sources() {
    local source target wrong=0
    while read -r source target; do
        same_bytes "docker://$(at_source "$(by_digest "$source")")" "docker://$(by_digest "$target")" || wrong=1
    done < <(images_of "$work/registry")
    return "$wrong"
}

# is_nested REFERENCE: an index of indexes, which skopeo does not copy.
is_nested() {
    skopeo_raw "$1" | jq -e 'any(.manifests[]?.mediaType; contains("index") or contains("list"))' >/dev/null
}

# copies_whole REFERENCE: skopeo reads all platforms and all blobs, and checks their digests.
copies_whole() {
    rm -rf "$work/whole"
    skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false \
        "$1" "dir:$work/whole"
}

registry_gives_all_blobs() {
    local target wrong=0
    while read -r _ target; do
        target=docker://$(by_digest "$target")
        is_nested "$target" && continue
        copies_whole "$target" || { echo "not whole: $target" && wrong=1; }
    done < <(images_of "$work/registry")
    return "$wrong"
}

charts_are_helm_artifacts() {
    local key version target manifest url wrong=0
    while read -r key _ version _ target; do
        target=${target#oci://}
        manifest=$(skopeo_raw "docker://$target:${version//+/_}")
        url=http://${target/\//\/v2\/}/blobs
        jq -e '.config.mediaType == "application/vnd.cncf.helm.config.v1+json"
            and .layers[0].mediaType == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"' \
            <<<"$manifest" || wrong=1
        curl -fsS "$url/$(layer helm.chart.content <<<"$manifest")" | cmp - "$work/served/$key.tgz" || wrong=1
    done < <(charts_of "$work/registry")
    return "$wrong"
}

# All images out of the folder into another place of the registry.
folder_to_registry() {
    local source target wrong=0
    jq --arg from "oci:$work/layout:" --arg to "$registry/back/" \
        'map({src: .target, target: ($to + (.target | ltrimstr($from)))})' \
        "$work/folder/updated_images.json" >"$work/back.json"
    replicator "$work/back" copy --list "$work/back.json"
    while read -r source target; do
        target=$registry/back/${target#"oci:$work/layout:"}
        same_bytes "docker://$(at_source "$(by_digest "$source")")" "docker://$(by_digest "$target")" || wrong=1
    done < <(images_of "$work/folder")
    return "$wrong"
}

# The folder -----------------------------------------------------------------------------------------

deploys_into_a_folder() {
    on_data "$work/folder" deploy --registry-prefix "oci:$work/layout"
    totals_are "$work/folder" "$1" "$1" 0 0
    on_data "$work/folder-again" deploy --registry-prefix "oci:$work/layout"
    totals_are "$work/folder-again" "$1" 0 "$1" 0
}

folder_is_a_layout() {
    is version "$(jq -r .imageLayoutVersion "$work/layout/oci-layout")" 1.0.0
    is "entries of index.json" "$(jq '.manifests | length' "$work/layout/index.json")" "$1"
    (
        cd "$work/layout/blobs/sha256"
        find . -type f -printf '%f  %f\n' | sha256sum --check --quiet --strict
    )
}

# skopeo_finds REFERENCE: older ones do not find what has one of Docker's media types in a folder
# (skopeo issue 1975); such images are left to the copy from the folder into the registry.
skopeo_finds() {
    local name=${1#"oci:$work/layout:"}
    [ -z "$without_docker_types" ] || jq -e --arg name "$name" '.manifests[]
        | select(.annotations["org.opencontainers.image.ref.name"] == $name)
        | .mediaType | contains("docker") | not' "$work/layout/index.json" >/dev/null
}

folder_has_the_bytes_of_the_sources() {
    local source target wrong=0
    while read -r source target; do
        skopeo_finds "$target" || continue
        same_bytes "docker://$(at_source "$(by_digest "$source")")" "$target" || wrong=1
    done < <(images_of "$work/folder")
    return "$wrong"
}

folder_gives_all_blobs() {
    local target wrong=0
    while read -r _ target; do
        skopeo_finds "$target" || continue
        is_nested "$target" && continue
        copies_whole "$target" || { echo "not whole: $target" && wrong=1; }
    done < <(images_of "$work/folder")
    return "$wrong"
}

# Helm -----------------------------------------------------------------------------------------------

helm() {
    env -i PATH="$PATH" HOME="$work/helm-home" timeout 60 "$cache/helm-$helm_version/helm" "$@"
}

helm_pulls_the_archives() {
    local key version target pulled wrong=0
    while read -r key _ version _ target; do
        pulled=$work/pulled-$helm_version/$key
        mkdir -p "$pulled"
        helm pull "$target" --version "$version" --plain-http --destination "$pulled" || wrong=1
        cmp "$pulled"/*.tgz "$work/served/$key.tgz" || wrong=1
    done < <(charts_of "$work/registry")
    return "$wrong"
}

helm_pulls_the_provenance() {
    local name version repository target pulled=$work/provenance-$helm_version
    mkdir -p "$pulled"
    read -r _ name version repository target < <(charts_of "$work/registry" | grep '^with_port ')
    helm pull "$target" --version "$version" --plain-http --prov --destination "$pulled"
    curl -fsS "http://$(at_source "${repository#https://}/$name-$version.tgz.prov")" | cmp - "$pulled"/*.prov
}

# rendered KEY VALUES: the images of the chart's deployments, with values from a file.
rendered() {
    helm template release "$work/pulled-$helm_version/$1"/*.tgz --values "$2" |
        sed -n "s/.* image: '\(.*\)'}.*/\1/p" | sort -u
}

helm_renders_only_copies() {
    local key wrong=0
    while read -r key _; do
        jq -c --arg key "$key" '.charts[$key].values' "$work/registry/replication_result.json" >"$work/values.json"
        rendered "$key" "$work/values.json" >"$work/rendered"
        jq -r --arg key "$key" '.artifacts[] | select(.kind == "image" and (.usedBy | index($key))) | .target' \
            "$work/registry/replication_report.json" | sort -u >"$work/replicated"
        if ! diff "$work/replicated" "$work/rendered" || grep -v "^$prefix" "$work/rendered"; then
            echo "$key: < what was replicated, > what the chart uses"
            wrong=1
        fi
    done < <(charts_of "$work/registry")
    return "$wrong"
}

# Without the override, all that the charts use is what was read from: nothing was missed, and the
# program reads charts as Helm does.
helm_renders_the_sources() {
    echo '{}' >"$work/values.json"
    charts_of "$work/registry" | while read -r key _; do
        # What a data file replaces or removes is not what the chart says.
        case $key in replaced | digest_removed) continue ;; esac
        rendered "$key" "$work/values.json"
    done | sort -u >"$work/rendered"
    jq -r '.artifacts[] | select(.kind == "image") | select([.usedBy[] | in($charts)] | any)
        | select(.usedBy | index("replaced") or index("digest_removed") | not) | .source' \
        --argjson charts "$(jq -c .charts "$work/registry/replication_result.json")" \
        "$work/registry/replication_report.json" | sort -u | diff - "$work/rendered"
}

# ----------------------------------------------------------------------------------------------------

main() {
    if ! { install_package jq jq && install_package curl curl; }; then
        echo 'interop: jq and curl are needed and cannot be installed' >&2
        exit 1
    fi
    cargo build --locked --quiet --bin replicator --example lab-source
    programs=$(cargo metadata --locked --no-deps --format-version 1 | jq -r .target_directory)/debug
    "$programs/replicator" --version

    local has_skopeo='' has_registry='' has_go=''
    install_package skopeo skopeo && has_skopeo=yes && skopeo --version
    find_registry && has_registry=yes && "$registry_program" --version
    find_go && has_go=yes && go version

    start_source
    local charts images artifacts
    charts=$(grep -c '^    version: ' "$work/source/data/default.yaml")
    images=30 artifacts=$((charts + images))

    check "deploy into a folder: $artifacts artifacts, none of them twice" deploys_into_a_folder "$artifacts"
    check "the folder is an image layout whose blobs have their digests" folder_is_a_layout "$artifacts"
    if [ -n "$has_skopeo" ]; then
        without_docker_types=
        if ! skopeo_raw "oci:$work/layout:registry.example/team/one-text:3.1" >/dev/null 2>&1; then
            without_docker_types=yes
            skip docker-types 'this skopeo does not find them in a folder, so it reads only the images of OCI types there'
        fi
        check "skopeo reads the images of the folder, byte for byte as at their sources" folder_has_the_bytes_of_the_sources
        check "skopeo copies the images of the folder, all platforms and blobs" folder_gives_all_blobs
    else
        skip skopeo 'it is not here and cannot be installed'
    fi

    if [ -z "$has_registry" ]; then
        skip docker-registry 'it is not here and cannot be had from apt'
        summary
        return
    fi
    start_registry
    check "plan to docker-registry: all is missing, nothing is written" plan_writes_nothing
    check "deploy to docker-registry: $artifacts artifacts" deploys_everything "$artifacts"
    check "deploy again: nothing copied, nothing written, the same result" second_run_copies_nothing "$artifacts"
    if [ -n "$has_skopeo" ]; then
        check "skopeo reads $images images of the registry, byte for byte as at their sources" registry_has_the_bytes_of_the_sources
        check "skopeo copies the images of the registry, all platforms and blobs" registry_gives_all_blobs
        check "copy from the folder into the registry keeps every byte" folder_to_registry
        check "the chart archives of the sources can be had" fetch_archives
        check "$charts charts are Helm artifacts with the archives of their sources" charts_are_helm_artifacts
    fi

    if [ -z "$has_go" ]; then
        skip go 'there is no Go 1.21 or later to build Helm with'
    elif [ -n "$has_skopeo" ]; then
        for helm_version in "${helm_versions[@]}"; do
            if ! build_helm "$helm_version"; then
                skip "helm-$helm_version" "$(tail -n 1 "$cache/helm-$helm_version/build.log")"
                continue
            fi
            check "Helm $helm_version pulls $charts charts, byte for byte as at their sources" helm_pulls_the_archives
            check "Helm $helm_version pulls a provenance file" helm_pulls_the_provenance
            check "Helm $helm_version renders, without the values, what the program read from the charts" helm_renders_the_sources
            check "Helm $helm_version renders, with the values, exactly the copies" helm_renders_only_copies
        done
    fi
    summary
}

main "$@"
