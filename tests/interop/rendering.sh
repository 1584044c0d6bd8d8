# Helm renders charts, and so do we: charts of our own (render/charts), each with its own values and with mutated
# ones. Sourced by run.sh, and run by `make render-cases` and `make corpus-check`.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# build_stock_helm VERSION [FILE]: as its release is built, because templates see the version of Helm and of
# Kubernetes; with a FILE, that is part of it. Sets `stock_helm`.
build_stock_helm() {
    local module source folder=$cache/helm-stock-$1 kubernetes
    [ -z "${2:-}" ] || folder=$cache/helm-batch-$1-$(sha256sum "$2" | head -c 12)
    stock_helm=$folder/helm
    [ ! -x "$stock_helm" ] || return 0
    if [ -z "${go_program:-}" ]; then
        why="there is no Go to build it with"
        return 1
    fi
    module=helm.sh/helm/${1%%.*}
    mkdir -p "$folder"
    source=$work/${folder##*/}
    if ! cp -r "$(cd "$work" && go_builds mod download -json "$module@$1" 2>"$folder/build.log" | jq -er .Dir)" "$source"; then
        why="$module cannot be had"
        return 1
    fi
    chmod -R u+w "$source"
    [ -z "${2:-}" ] || cp "$2" "$source/cmd/helm"
    # As in Helm's Makefile: the minor version of Kubernetes is that of client-go.
    kubernetes=$(sed -n 's/.*k8s\.io\/client-go v0\.\([0-9]*\).*/\1/p' "$source/go.mod" | head -n 1)
    local util=$module/pkg/chartutil lint=$module/pkg/lint/rules internal=$module/internal/version
    [ "${1%%.*}" = v3 ] || { util=$module/pkg/chart/common lint=$module/pkg/chart/v2/lint/rules; }
    (
        cd "$source" && go_builds build -o "$stock_helm" -ldflags "-s -w -X $internal.version=$1 \
            -X $lint.k8sVersionMajor=1 -X $lint.k8sVersionMinor=$kubernetes \
            -X $util.k8sVersionMajor=1 -X $util.k8sVersionMinor=$kubernetes" ./cmd/helm
    ) 2>"$folder/build.log" || {
        why=$(tail -n 1 "$folder/build.log")
        return 1
    }
}

# Sets `helm3_batch`: Helm 3 as one process for many charts.
build_batch_helm() {
    build_stock_helm "${helm_versions[0]}" tests/interop/render/batch.go && helm3_batch=$stock_helm
}

# Sets `helm3` and `helm4`.
build_stock_helms() {
    build_stock_helm "${helm_versions[0]}" && helm3=$stock_helm &&
        build_stock_helm "${helm_versions[1]}" && helm4=$stock_helm
}

# compares_renders ARGUMENTS...: with --helm3 or --batch, and with Helm 4 where that is asked for.
compares_renders() {
    "$venv/bin/python" tests/interop/render/check.py --ours "$replicator_program" \
        --differences tests/interop/render/differences "$@"
}

check_rendering() {
    if ! { build_stock_helms && build_batch_helm; }; then
        skip helm-stock "$why"
        return
    fi
    local charts
    charts=$(find tests/interop/render/charts -name '*.txt' | wc -l)
    check "Helm 3 and 4 and we render $charts charts of our own alike" \
        compares_renders --helm3 "$helm3" --helm4 "$helm4" --sets own tests/interop/render/charts
    check "Helm 3 and we render ${RENDER_CASES:-300} mutated values alike, seed ${RENDER_SEED:-1}" \
        compares_renders --batch "$helm3_batch" --sets '' --cases "${RENDER_CASES:-300}" --seed "${RENDER_SEED:-1}" tests/interop/render/charts
}

# prepares_renders WHO: Python, the program that REPLICATOR names or else a release build, and Go where there is one.
prepares_renders() {
    if ! find_python; then
        echo "$1: Python with PyYAML is needed and cannot be had" >&2
        exit 1
    fi
    # Thousands of renders: the optimized program.
    if [ -z "${REPLICATOR:-}" ]; then
        cargo build --locked --quiet --release --bin replicator
        REPLICATOR=$(cargo metadata --locked --no-deps --format-version 1 | jq -r .target_directory)/release/replicator
    fi
    # Without Go, Helm may still be in the cache; what cannot be built is said where it is needed.
    find_go || true
}
