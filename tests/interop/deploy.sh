# `replicator deploy` of the lab's charts and images (tools/lab-source.rs) into a docker-registry and into a folder,
# read by skopeo. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # run.sh sets what is used here, and uses what is set here

# The sources --------------------------------------------------------------------------------------------

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
    env -i PATH="$PATH" HOME="$work" timeout 300 "$replicator_program" "$command" \
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
    serve_distribution registry "$registry_program"
    registry=$address prefix=$address/idf-
}

# writes_since BYTES: how many requests after so many bytes of the access log changed something.
writes_since() {
    tail -c "+$(($1 + 1))" "$work/registry.out" | grep -cE '"(PUT|POST|PATCH|DELETE) /v2/' || true
}

log_size() {
    wc -c <"$work/registry.out"
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

# nests FILE: a manifest that is an index of indexes, which skopeo does not copy.
nests() {
    jq -e 'any(.manifests[]?.mediaType; contains("index") or contains("list"))' "$1" >/dev/null
}

# is_nested REFERENCE
is_nested() {
    skopeo_raw "$1" >"$work/manifest"
    nests "$work/manifest"
}

# copies_whole REFERENCE FOLDER: skopeo reads all platforms and all blobs, and checks their digests.
copies_whole() {
    rm -rf "$2"
    skopeo --insecure-policy copy --quiet --all --preserve-digests --src-tls-verify=false "$1" "dir:$2"
}

registry_gives_all_blobs() {
    local target wrong=0
    while read -r _ target; do
        target=docker://$(by_digest "$target")
        is_nested "$target" && continue
        copies_whole "$target" "$work/whole" || { echo "not whole: $target" && wrong=1; }
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
        cd "$work/layout/blobs/sha256" || exit
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
        copies_whole "$target" "$work/whole" || { echo "not whole: $target" && wrong=1; }
    done < <(images_of "$work/folder")
    return "$wrong"
}

# The bundle -----------------------------------------------------------------------------------------

saves_a_bundle() {
    on_data "$work/saved" save "$work/bundle.tar"
    on_data "$work/saved" save "$work/again.tar"
    cmp "$work/bundle.tar" "$work/again.tar"
    mkdir "$work/carried"
    tar xf "$work/bundle.tar" -C "$work/carried"
    cd "$work/carried" || exit
    sha256sum --check --quiet --strict bundle.json.sha256
    cd blobs/sha256 || exit
    find . -type f -printf '%f  %f\n' | sha256sum --check --quiet --strict
}

# names_of_bundle: the names of its images and charts with their digests.
names_of_bundle() {
    jq -r '.manifests[] | select(.mediaType | contains("docker") | not)
        | "\(.annotations["org.opencontainers.image.ref.name"] // empty) \(.digest)"' "$work/carried/index.json"
}

bundle_is_read_by_skopeo() {
    local name digest wrong=0 count=0
    while read -r name digest; do
        # skopeo takes a tag or a digest, not both.
        [[ $name == *@* ]] && continue
        is "digest of $name" "sha256:$(skopeo_raw "oci:$work/carried:$name" | sha256sum | cut -d ' ' -f 1)" "$digest" || wrong=1
        count=$((count + 1))
    done < <(names_of_bundle)
    [ "$count" -gt 20 ] || wrong=1
    return "$wrong"
}

# Without endpoints no source can be reached.
loads_what_a_deployment_copies() {
    local result="replication_result.json"
    env -i PATH="$PATH" HOME="$work" timeout 300 "$replicator_program" load "$work/bundle.tar" \
        --out "$work/loaded" --registry-prefix "$registry/loaded/"
    totals_are "$work/loaded" "$1" "$1" 0 0
    cmp <(sed "s#$registry/loaded/##g" "$work/loaded/$result" | jq -S 'del(.closure.proof)') \
        <(sed "s#$prefix##g" "$work/registry/$result" | jq -S 'del(.closure.proof)')
}

check_bundle() {
    check "save: the same bytes twice, and tar makes an image layout of them" saves_a_bundle
    check "skopeo reads the images and charts of the bundle under the names of their sources" bundle_is_read_by_skopeo
    check "load into docker-registry without any source: what deploy copies" loads_what_a_deployment_copies "$artifacts"
}

check_folder() {
    check "deploy into a folder: $artifacts artifacts, none of them twice" deploys_into_a_folder "$artifacts"
    check "the folder is an image layout whose blobs have their digests" folder_is_a_layout "$artifacts"
    without_docker_types=
    if ! skopeo_raw "oci:$work/layout:registry.example/team/one-text:3.1" >/dev/null 2>&1; then
        without_docker_types=yes
        skip docker-types 'this skopeo does not find them in a folder, so it reads only the images of OCI types there'
    fi
    check "skopeo reads the images of the folder, byte for byte as at their sources" folder_has_the_bytes_of_the_sources
    check "skopeo copies the images of the folder, all platforms and blobs" folder_gives_all_blobs
}

check_registry() {
    start_registry
    check "plan to docker-registry: all is missing, nothing is written" plan_writes_nothing
    check "deploy to docker-registry: $artifacts artifacts" deploys_everything "$artifacts"
    check "deploy again: nothing copied, nothing written, the same result" second_run_copies_nothing "$artifacts"
    check "skopeo reads $images images of the registry, byte for byte as at their sources" registry_has_the_bytes_of_the_sources
    check "skopeo copies the images of the registry, all platforms and blobs" registry_gives_all_blobs
    check "copy from the folder into the registry keeps every byte" folder_to_registry
    check "the chart archives of the sources can be had" fetch_archives
    check "$charts charts are Helm artifacts with the archives of their sources" charts_are_helm_artifacts
}

check_deploy() {
    start_source
    charts=$(grep -c '^    version: ' "$work/source/data/default.yaml")
    images=30 artifacts=$((charts + images))
    check_folder
    check_registry
    check_bundle
}
