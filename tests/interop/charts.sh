# Charts from where others serve them, `helm repo index` over HTTP and a registry that `helm push` filled, with their
# provenance; and full charts of CHARTS_DIR. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# serve_folder NAME FOLDER: over plain HTTP; sets `address`.
serve_folder() {
    background "$1" "$venv/bin/python" -u -m http.server 0 --bind 127.0.0.1 --directory "$2"
    address=127.0.0.1:$(first_line "$work/$1.out" | sed -n 's/.* port \([0-9]*\) .*/\1/p')
}

# gpg_key NAME: a key that signs, and the two keyrings that Helm reads.
gpg_key() {
    local home=$work/gnupg-$1
    mkdir -m 700 "$home"
    gpg --homedir "$home" --batch --quiet --pinentry-mode loopback --passphrase '' \
        --quick-generate-key "$1 <$1@example.com>" rsa2048 sign never
    gpg --homedir "$home" --batch --quiet --pinentry-mode loopback --passphrase '' --export-secret-keys >"$work/$1.secret.gpg"
    gpg --homedir "$home" --batch --quiet --export >"$work/$1.public.gpg"
    gpgconf --homedir "$home" --kill gpg-agent
}

# signed_chart NAME FOLDER: packed and signed, into the folder.
signed_chart() {
    local made=$work/made/$1
    mkdir -p "$made/templates" "$2"
    printf '%s\n' 'apiVersion: v2' "name: $1" 'version: 1.0.0+b.1' 'appVersion: "1.0"' >"$made/Chart.yaml"
    printf '%s\n' '# A comment, which stays.' 'image: {repository: registry.example/team/parent, tag: "1.0"}' >"$made/values.yaml"
    printf '%s\n' 'apiVersion: v1' 'kind: Pod' 'metadata: {name: pod}' \
        "spec: {containers: [{name: c, image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'}]}" >"$made/templates/pod.yaml"
    helm package --sign --key maker --keyring "$work/maker.secret.gpg" --destination "$2" "$made"
}

# Three sources: an index with relative and one with absolute addresses, and a registry.
makes_sources() {
    gpg_key maker
    gpg_key stranger
    signed_chart over-http "$work/charts/relative"
    signed_chart over-http-absolute "$work/charts/absolute"
    signed_chart over-oci "$work/charts/pushed"
    helm repo index "$work/charts/relative"
    helm repo index "$work/charts/absolute" --url "http://$charts_at/absolute"
    helm push "$work/charts/pushed/over-oci-1.0.0+b.1.tgz" "oci://$charts_registry/sources" --plain-http
    mkdir -p "$work/charts-data"
    local name repository
    {
        echo 'charts:'
        while read -r name repository; do
            printf '  %s:\n    name: %s\n    repository: %s\n    version: 1.0.0+b.1\n' "${name//-/_}" "$name" "$repository"
            printf '    images: {app: {repository: {location: values, path: image.repository}, tag: {location: values, path: image.tag}}}\n'
        done <<<"over-http http://$charts_at/relative
over-http-absolute http://$charts_at/absolute
over-oci oci://$charts_registry/sources"
    } >"$work/charts-data/default.yaml"
    echo 'ami: {version: v1}' >"$work/charts-data/1.34.yaml"
}

deploys_the_sources() {
    replicator "$work/charts-out" deploy --eks-version 1.34 --data-dir "$work/charts-data" --registry-prefix "$charts_registry/idf-"
    is "artifacts that were copied" "$(jq .totals.copied "$work/charts-out/replication_report.json")" 4
}

# archive_of NAME: as it was made.
archive_of() {
    find "$work/charts" -name "$1-1.0.0+b.1.tgz"
}

helm_verifies() {
    local name version target pulled wrong=0
    while read -r _ name version _ target; do
        pulled=$work/verified-$helm_version/$name
        mkdir -p "$pulled"
        helm pull "$target" --version "$version" --plain-http --verify --keyring "$work/maker.public.gpg" --destination "$pulled" || wrong=1
        cmp "$pulled"/*.tgz "$(archive_of "$name")" || wrong=1
        cmp "$pulled"/*.prov "$(archive_of "$name").prov" || wrong=1
        if helm pull "$target" --version "$version" --plain-http --verify --keyring "$work/stranger.public.gpg" --destination "$work"; then
            echo "$name verifies with the key of a stranger too"
            wrong=1
        fi
    done < <(charts_of "$work/charts-out")
    return "$wrong"
}

helm_renders_the_copies() {
    local key name version target wrong=0
    while read -r key name version _ target; do
        diff <(helm show values "$target" --version "$version" --plain-http) <(helm show values "$(archive_of "$name")") || wrong=1
        jq -c --arg key "$key" '.charts[$key].values' "$work/charts-out/replication_result.json" >"$work/values.json"
        is "$name" "$(helm template release "$target" --version "$version" --plain-http --values "$work/values.json" | images_of_manifests)" \
            "$charts_registry/idf-registry.example/team/parent:1.0" || wrong=1
    done < <(charts_of "$work/charts-out")
    return "$wrong"
}

# The images of rendered manifests on standard input.
images_of_manifests() {
    "$venv/bin/python" tests/interop/images.py
}

check_charts() {
    local charts_at charts_registry
    [ -d "$work/source" ] || start_source
    serve_distribution charts "$registry_program"
    charts_registry=$address
    mkdir -p "$work/charts"
    serve_folder charts-http "$work/charts"
    charts_at=$address
    for helm_version in "${helm_versions[@]}"; do
        if ! build_helm "$helm_version"; then
            skip "helm-$helm_version" "$why"
            continue
        fi
        [ -d "$work/charts-data" ] ||
            check "Helm $helm_version signs charts, indexes them and pushes one" makes_sources
        [ -d "$work/charts-out" ] ||
            check "deploy takes charts from two HTTP repositories and a registry" deploys_the_sources
        check "Helm $helm_version verifies the copies' provenance, with the maker's key only" helm_verifies
        check "Helm $helm_version shows the same values, and renders only copies" helm_renders_the_copies
        [ -z "${CHARTS_DIR:-}" ] || check_full_charts
    done
    [ -n "${CHARTS_DIR:-}" ] || skip charts-dir 'CHARTS_DIR names no folder of full charts to render'
}

# Full charts ----------------------------------------------------------------------------------------------

# full_charts_render VERSION: what our data files say of the charts that are there.
full_charts_render() {
    local out=$work/full-$1 key name chart wrong=0 count=0
    rm -rf "$out"
    "$venv/bin/python" tests/interop/full_charts.py "$1" "$CHARTS_DIR" "$out"
    find "$out/repos" -name '*.tgz' -printf '%h\n' | sort -u | while read -r chart; do helm repo index "$chart"; done
    serve_folder "full-$1-$helm_version" "$out/repos"
    local hosts=()
    mapfile -t hosts < <(find "$out/repos" -mindepth 1 -maxdepth 1 -printf "--endpoint\n%f=http://$address/%f\n")
    env -i PATH="$PATH" HOME="$work" timeout 120 "$replicator_program" plan --no-observe --out "$out" --eks-version "$1" \
        --data-dir "$out/data" --registry-prefix "$ecr_host/idf-" "${hosts[@]}"
    while read -r key name chart; do
        jq -c --arg key "$key" '.charts[$key].values // {}' "$out/replication_result.json" >"$out/values.json"
        helm template "$name" "$chart" --kube-version "$1.0" --skip-tests --values "$out/defaults/$key.json" \
            --values "$out/values.json" >"$out/rendered.yaml" || { wrong=1 && continue; }
        images_of_manifests <"$out/rendered.yaml" >"$out/images"
        if grep -v "^$ecr_host/idf-" "$out/images"; then
            echo "$key: these images are not copies"
            wrong=1
        fi
        count=$((count + $(wc -l <"$out/images")))
    done <"$out/charts"
    [ "$count" -gt 0 ]
    return "$wrong"
}

check_full_charts() {
    local version
    for version in 1.30 1.31 1.32 1.33 1.34; do
        check "Helm $helm_version renders the full charts for $version: only copies" full_charts_render "$version"
    done
}
