# The report page in Chromium. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# find_axe: sets `axe` to axe-core's script.
find_axe() {
    local version=4.14.1
    axe=$cache/axe-core-$version/package/axe.min.js
    [ ! -f "$axe" ] || return 0
    command -v npm >/dev/null || install_package npm npm || return
    mkdir -p "$cache/axe-core-$version"
    (
        cd "$work" || exit
        npm pack --silent "axe-core@$version" >/dev/null && tar -xzf "axe-core-$version.tgz" -C "$cache/axe-core-$version"
    )
    [ -f "$axe" ]
}

pages_are_fine() {
    "$venv/bin/python" tests/interop/browser/look.py "$chromium" "$axe" "$work/screenshots" "$@"
}

# page_of JSON: the page that `report` makes of it.
page_of() {
    env -i PATH="$PATH" HOME="$work" timeout 60 "$replicator_program" report "$1" >/dev/null
}

check_browser() {
    local name chromium axe
    if ! install_package chromium chromium || ! chromium=$(command -v chromium); then
        skip chromium 'it cannot be installed'
        return
    fi
    if ! find_axe; then
        skip axe-core 'npm does not have it'
        return
    fi
    "$venv/bin/python" tests/interop/browser/reports.py "$work/reports"
    for name in many hostile empty; do
        check "a report page is made: $name" page_of "$work/reports/$name.json"
        check "the report page in Chromium: $name" pages_are_fine "$work/reports/$name.html"
    done
    check 'the report page of a deployment in Chromium' pages_are_fine "$work/registry/replication_report.html"
}
