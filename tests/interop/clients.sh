# What `docker pull` does, by crane and skopeo: for each platform the image that the source has. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# crane_pulls NAME REPOSITORY TAG
crane_pulls() {
    local platform digest wrong=0
    while read -r platform digest; do
        rm -rf "$mine/pulled"
        "$crane" pull --platform "$platform" --format oci "$2:$3" "$mine/pulled"
        is "$platform" "$(jq -r '.manifests[].digest' "$mine/pulled/index.json")" "$digest" || wrong=1
    done < <(of "$1" platform)
    return "$wrong"
}

skopeo_pulls() {
    local platform digest system machine variant found wrong=0
    while read -r platform digest; do
        IFS=/ read -r system machine variant <<<"$platform"
        rm -rf "$mine/pulled"
        skopeo --insecure-policy --override-os "$system" --override-arch "$machine" ${variant:+--override-variant "$variant"} \
            copy --quiet --preserve-digests --src-tls-verify=false "docker://$2:$3" "dir:$mine/pulled"
        found=$(sha256sum <"$mine/pulled/manifest.json")
        is "$platform" "sha256:${found%% *}" "$digest" || wrong=1
    done < <(of "$1" platform)
    return "$wrong"
}

# What has platforms to choose from, one index deep: neither client looks into an index of an index.
to_choose='(.platforms | length) > 1 and (.name | test("nested") | not)'

# From each registry what was brought there from another.
check_clients() {
    local at number source
    for number in "${!registries[@]}"; do
        at=${registries[number]} source=${registries[(number + 1) % ${#registries[@]}]}
        check "crane pulls each platform from $at" each_artifact crane_pulls "${host_of[$at]}" "from-$source/" "$to_choose"
        check "skopeo pulls each platform from $at" each_artifact skopeo_pulls "${host_of[$at]}" "from-$source/" "$to_choose"
    done
}
