# The matrix: the corpus of corpus.py is copied from each registry to each, and read back by crane, oras and skopeo.
# Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# name -> host:port, and name -> what stands in front of a repository's name in a reference of ours and in its path.
declare -A host_of ours_of
registries=()

# add_registry NAME: starts it with start_NAME, and pushes the corpus.
add_registry() {
    if ! "start_$1" || ! python3 tests/interop/corpus.py "$work/catalogue.json" "http://$address" seed/ || ! list_catalogue; then
        sed 's/^/        /' "$work/$1.log" | tail -n 5
        return 1
    fi
    host_of[$1]=$address ours_of[$1]=$address
    [ "$1" != ecr ] || ours_of[$1]=$ecr_host
    registries+=("$1")
}

# artifacts [FILTER]: name and tag of each of the corpus, or of those that the filter keeps.
artifacts() {
    jq -r ".[] | select(${1:-true}) | \"\(.name) \(.tag)\"" "$work/catalogue.json"
}

# list_catalogue: for `of`, which is asked some thousand times: jq takes 40 ms, whatever it does.
list_catalogue() {
    jq -r '.[] | .name as $name | (
        ["digest", .digest], ["manifest", .manifests[]], ["blob", .blobs[]],
        (["tag", "\(.tag) \(.digest)"], (.tags | to_entries[] | ["tag", "\(.key) \(.value)"])),
        (.platforms | to_entries[] | ["platform", "\(.key) \(.value)"]),
        (.referrers | to_entries[] | ["referrers", "\(.key) \(.value | sort | join(","))"])
    ) | .[0] as $field | .[1:][] | [$name, $field, .] | @tsv' "$work/catalogue.json" >"$work/catalogue.tsv"
}

# of NAME FIELD: what the catalogue says of an artifact, one a line.
of() {
    awk -F '\t' -v name="$1" -v field="$2" '$1 == name && $2 == field { print $3 }' "$work/catalogue.tsv"
}

# copy_list SOURCE TARGET PREFIX: the pairs for `replicator copy --list`.
copy_list() {
    jq --arg from "${ours_of[$1]}/seed/" --arg to "${ours_of[$2]}/$3" \
        'map("\(.name):\(.tag)" as $name | {src: ($from + $name), target: ($to + $name)})' "$work/catalogue.json"
}

# ours OUT ARGUMENTS...: `replicator copy` with what it needs for the ECR, and nothing else that could help it.
ours() {
    local out=$1
    shift
    env -i PATH="$PATH" HOME="$work/empty-home" AWS_ENDPOINT_URL="${AWS_ENDPOINT_URL:-}" AWS_ACCESS_KEY_ID=test \
        AWS_SECRET_ACCESS_KEY=test AWS_REGION="$region" AWS_ACCOUNT_ID="$account" timeout 300 "$replicator_program" \
        copy --out "$out" --endpoint "$ecr_host=http://${host_of[ecr]:-127.0.0.1:1}" "$@"
}

# copies SOURCE TARGET PREFIX: all of the corpus; a second run brings nothing.
copies() {
    local wanted=$work/copies/$1-$2
    mkdir -p "$wanted"
    copy_list "$@" >"$wanted/list.json"
    ours "$wanted" --referrers all --list "$wanted/list.json"
    is failed "$(jq .totals.failed "$wanted/replication_report.json")" 0
    ours "$wanted/again" --list "$wanted/list.json"
    is "copied by a second run" "$(jq -c '[.totals.copied, .totals.failed]' "$wanted/again/replication_report.json")" '[0,0]'
}

# each_artifact FUNCTION HOST PREFIX [FILTER]: FUNCTION NAME REPOSITORY TAG for each, four at once; all are tried, and
# there must be one. Each has its own folder, `mine`. What does not report success has failed.
each_artifact() {
    local all name tag place started=0 wrong=0
    all=$(artifacts "${4:-true}")
    [ -n "$all" ] || { echo 'no artifact is like that' && return 1; }
    rm -rf "$work/each"
    while read -r name tag; do
        [ $((started += 1)) -le 4 ] || wait -n || true
        place=$work/each/$name mine=$work/each/$name/files
        mkdir -p "$mine"
        # A separate command and not a condition, so that `set -e` holds in it.
        {
            "$1" "$name" "$2/$3$name" "$tag"
            touch "$place/right"
        } >"$place/log" 2>&1 </dev/null &
    done <<<"$all"
    wait
    while read -r name tag; do
        place=$work/each/$name
        [ ! -e "$place/right" ] || continue
        cat "$place/log"
        echo "wrong: $2/$3$name:$tag"
        wrong=1
    done <<<"$all"
    return "$wrong"
}

# crane: tags, the bytes of each manifest, and each blob.
crane_has() {
    local tag digest found wrong=0
    while read -r tag digest; do
        is "digest of $tag" "$("$crane" digest "$2:$tag")" "$digest" || wrong=1
    done < <(of "$1" tag)
    while read -r digest; do
        found=$("$crane" manifest "$2@$digest" | sha256sum)
        is "bytes of the manifest" "sha256:${found%% *}" "$digest" || wrong=1
    done < <(of "$1" manifest)
    while read -r digest; do
        found=$("$crane" blob "$2@$digest" | sha256sum)
        is "bytes of the blob" "sha256:${found%% *}" "$digest" || wrong=1
    done < <(of "$1" blob)
    return "$wrong"
}

# crane reads the images themselves: configs, layers unpacked, their DiffIDs.
crane_validates() {
    "$crane" validate --remote "$2:$3"
}

# oras: the whole graph, with all referrers of all manifests, is exactly what the catalogue says.
oras_has() {
    "$oras" copy --recursive --no-tty --from-plain-http "$2:$3" --to-oci-layout "$mine/layout:x" >/dev/null
    diff <({ of "$1" manifest && of "$1" blob; } | sort -u) \
        <(find "$mine/layout/blobs/sha256" -type f -printf 'sha256:%f\n' | sort)
}

# oras: who refers to which manifest.
oras_discovers() {
    local subject wanted found wrong=0
    while read -r subject wanted; do
        found=$("$oras" discover --plain-http --depth 1 --format json "$2@$subject" |
            jq -r '[(.referrers // .manifests)[].digest] | sort | join(",")')
        is "referrers of $subject" "$found" "$wanted" || wrong=1
    done < <(of "$1" referrers)
    return "$wrong"
}

# skopeo: the bytes behind the tag, and all platforms and blobs of what it can copy.
skopeo_has() {
    local found
    skopeo_raw "docker://$2:$3" >"$mine/manifest"
    found=$(sha256sum <"$mine/manifest")
    is "bytes of $3" "sha256:${found%% *}" "$(of "$1" digest)"
    nests "$mine/manifest" || copies_whole "docker://$2:$3" "$mine/whole"
}

# What crane's `validate` can judge: it looks into no index of an index, takes every layer for gzip, and leaves out the
# layers of attestations.
crane_can='.platforms != {} and (.name | test("nested|attested|zstd|plain") | not)'
# What oras sees whole: cosign's tags are not edges of the graph.
oras_can='.tags == {}'

check_pair() {
    local source=$1 target=$2 prefix=from-$1/ host=${host_of[$2]} count
    count=$(jq length "$work/catalogue.json")
    check "$source -> $target: replicator copies $count artifacts, then nothing" copies "$source" "$target" "$prefix"
    check "$source -> $target: crane reads all tags, manifests and blobs" each_artifact crane_has "$host" "$prefix"
    check "$source -> $target: crane validates the images" each_artifact crane_validates "$host" "$prefix" "$crane_can"
    check "$source -> $target: oras finds the whole graphs, nothing more" each_artifact oras_has "$host" "$prefix" "$oras_can"
    check "$source -> $target: oras discovers the referrers" each_artifact oras_discovers "$host" "$prefix" '.referrers != {}'
    check "$source -> $target: skopeo reads and copies what it can" each_artifact skopeo_has "$host" "$prefix"
}

check_copies() {
    local source target name
    for name in distribution2 distribution3 olareg zot lab ecr; do
        case $name in
            distribution3) use distribution3 "$distribution_version" github.com/distribution/distribution/v3 cmd/registry || continue ;;
            olareg) use olareg "$olareg_version" github.com/olareg/olareg cmd/olareg in-module || continue ;;
            zot) use zot "$zot_version" zotregistry.dev/zot/v2 cmd/zot in-module || continue ;;
        esac
        add_registry "$name" || check "$name serves, and takes the corpus" false
    done
    for source in "${registries[@]}"; do
        for target in "${registries[@]}"; do
            check_pair "$source" "$target"
        done
    done
}
