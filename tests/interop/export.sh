# What `replicator values` prints, read by the tools that it is for. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# printed ARGUMENT...: what `values` prints of the deployment to the registry.
printed() {
    env -i PATH="$PATH" HOME="$work" timeout 60 "$replicator_program" values --out "$work/registry" "$@"
}

# exported FORMAT: all charts.
exported() {
    printed --format "$1" --namespace apps
}

# The chart from the registry with the printed values renders as with those of the document.
helm_takes_printed_values() {
    local key version target wrong=0
    while read -r key _ version _ target; do
        printed "$key" >"$work/printed.yaml"
        jq -c --arg key "$key" '.charts[$key].values' "$work/registry/replication_result.json" >"$work/values.json"
        diff <(helm template r "$target" --version "$version" --plain-http --values "$work/printed.yaml") \
            <(helm template r "$target" --version "$version" --plain-http --values "$work/values.json") >&2 ||
            { echo "differs: $key" && wrong=1; }
    done < <(charts_of "$work/registry")
    return "$wrong"
}

# find_crds MODULE VERSION FOLDER: sets `crds` to the files of a module's CRDs.
find_crds() {
    local folder
    [ -n "${go_program:-}" ] || return
    folder=$(cd "$work" && GOFLAGS=-mod=mod "$go_program" mod download -json "$1@$2" | jq -er .Dir) || return
    mapfile -t crds < <(ls "$folder/$3"/*.yaml)
}

fits_schemas() {
    exported "$1" >"$work/$1.yaml"
    "$venv/bin/python" tests/interop/schema.py "${crds[@]}" <"$work/$1.yaml"
}

# terraform_reads: `terraform fmt` finds nothing to change, and the text parses.
terraform_reads() {
    exported terraform >"$work/charts.tf"
    if command -v terraform >/dev/null; then
        terraform fmt -check -diff "$work/charts.tf" >&2
    fi
    "$venv/bin/python" -c '
import json, sys, hcl2
resources = hcl2.load(open(sys.argv[1]))["resource"]
charts = json.load(open(sys.argv[2]))["charts"]
assert len(resources) == len(charts), (len(resources), len(charts))
' "$work/charts.tf" "$work/registry/replication_result.json"
}

# Each release of the Helmfile with its repository and values renders with Helm.
helmfile_is_complete() {
    exported helmfile >"$work/helmfile.yaml"
    "$venv/bin/python" - "$work/helmfile.yaml" "$work/helmfile-values" >"$work/helmfile-releases" <<'PYTHON'
import json, pathlib, sys, yaml

file, folder = yaml.safe_load(open(sys.argv[1])), pathlib.Path(sys.argv[2])
folder.mkdir(exist_ok=True)
urls = {one["name"]: one["url"] for one in file["repositories"] if one["oci"] is True}
for release in file["releases"]:
    repository, chart = release["chart"].split("/")
    path = folder / (release["name"] + ".json")
    path.write_text(json.dumps(release["values"][0]))
    print(release["name"], f"oci://{urls[repository]}/{chart}", release["version"], path)
PYTHON
    local name chart version values
    while read -r name chart version values; do
        helm template "$name" "$chart" --version "$version" --plain-http --values "$values" >/dev/null
    done <"$work/helmfile-releases"
    is releases "$(wc -l <"$work/helmfile-releases")" "$charts"
}

# helmfile_renders HELM: Helmfile itself takes the file, and fetches and renders each chart of it. The registry is
# without TLS, which a user would have to say too.
helmfile_renders() {
    exported helmfile >"$work/helmfile.yaml"
    printf 'helmDefaults: {plainHttp: true}\n' >>"$work/helmfile.yaml"
    local run=(env -i PATH="$PATH" HOME="$work/helmfile-home" timeout 300 "$helmfile" --quiet --helm-binary "$1" --file "$work/helmfile.yaml")
    "${run[@]}" template >/dev/null
    is releases "$("${run[@]}" list --output json | jq length)" "$charts"
}

check_export() {
    local helm_version=${helm_versions[0]}
    if build_helm "$helm_version"; then
        check "Helm $helm_version renders $charts charts with the values that \`values\` prints" helm_takes_printed_values
        check 'a Helmfile names charts that Helm renders' helmfile_is_complete
        # Its go.mod replaces modules, which `go install` refuses.
        if build helmfile "$helmfile_version" github.com/helmfile/helmfile . in-module; then
            helmfile=$cache/helmfile-$helmfile_version/helmfile
            check "Helmfile $helmfile_version renders what \`values\` prints" helmfile_renders "$cache/helm-$helm_version/helm"
        else
            skip helmfile "$why"
        fi
    else
        skip "helm-$helm_version" "$why"
    fi
    if find_crds github.com/argoproj/argo-cd/v3 v3.2.0 manifests/crds; then
        check 'Argo CD manifests fit the CRDs' fits_schemas argocd
    else
        skip argocd-crds 'the Go module proxy does not have the module'
    fi
    local of_helm=()
    if find_crds github.com/fluxcd/helm-controller v1.6.0 config/crd/bases && of_helm=("${crds[@]}") &&
        find_crds github.com/fluxcd/source-controller v1.8.0 config/crd/bases; then
        crds+=("${of_helm[@]}")
        check 'Flux manifests fit the CRDs' fits_schemas flux
    else
        skip flux-crds 'the Go module proxy does not have the modules'
    fi
    check 'Terraform resources are formatted and parse' terraform_reads
}

# The scripts of shells that are not everywhere; `cargo test` checks bash.
check_completions() {
    local shell
    for shell in zsh fish; do
        if ! install_package "$shell" "$shell"; then
            skip "$shell" 'it cannot be installed'
            continue
        fi
        "$replicator_program" completions "$shell" >"$work/completions.$shell"
        case $shell in
            zsh) check 'zsh parses its completions' zsh -n "$work/completions.zsh" ;;
            fish) check 'fish parses its completions' fish --no-execute "$work/completions.fish" ;;
        esac
    done
}
