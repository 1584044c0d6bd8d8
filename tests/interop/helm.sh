# Helm uses what was brought to the registry. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

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

helm_shows_the_values() {
    local key version target wrong=0
    while read -r key _ version _ target; do
        diff <(helm show values "$target" --version "$version" --plain-http) <(helm show values "$work/served/$key.tgz") || wrong=1
    done < <(charts_of "$work/registry")
    return "$wrong"
}

# As the EKS module does: in a shell line, where the version has no quotes, and then the folder that is called as the
# last part of the repository.
helm_pulls_as_the_consumer() {
    local version target into wrong=0
    while read -r _ _ version _ target; do
        into=$(mktemp -d -p "$work")
        (
            cd "$into" || exit
            HOME=$work/helm-home bash -c "$cache/helm-$helm_version/helm pull $target --version $version --untar --plain-http"
        )
        [ -f "$into/${target##*/}/Chart.yaml" ] || { echo "$target: not in ${target##*/}" && wrong=1; }
    done < <(charts_of "$work/registry")
    return "$wrong"
}

check_helm() {
    for helm_version in "${helm_versions[@]}"; do
        if ! build_helm "$helm_version"; then
            skip "helm-$helm_version" "$why"
            continue
        fi
        check "Helm $helm_version pulls $charts charts, byte for byte as at their sources" helm_pulls_the_archives
        check "Helm $helm_version pulls $charts charts in the EKS module's shell line" helm_pulls_as_the_consumer
        check "Helm $helm_version pulls a provenance file" helm_pulls_the_provenance
        check "Helm $helm_version shows the values that the sources have" helm_shows_the_values
        check "Helm $helm_version renders, without the values, what the program read from the charts" helm_renders_the_sources
        check "Helm $helm_version renders, with the values, exactly the copies" helm_renders_only_copies
    done
}
