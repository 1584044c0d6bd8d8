# cosign signs at a source; what replicator copied verifies at the target with the same key. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# No transparency log, no key server, no configuration from elsewhere: nothing but the key.
signs() {
    COSIGN_PASSWORD='' timeout 60 "$cosign" "$1" --yes --key "$work/cosign.key" --tlog-upload=false \
        --use-signing-config=false --allow-insecure-registry "${@:2}"
}

verifies() {
    timeout 60 "$cosign" "$1" --key "$work/${key:-cosign}.pub" --insecure-ignore-tlog --allow-insecure-registry "${@:2}"
}

makes_keys() {
    (
        cd "$work" || exit
        COSIGN_PASSWORD='' "$cosign" generate-key-pair
        COSIGN_PASSWORD='' "$cosign" generate-key-pair --output-key-prefix stranger
    )
}

# signed AT KIND: the corpus' index, in a separate repository, signed and attested; as cosign's tags, or as bundles.
signed() {
    local bundle=false name=${host_of[$1]}/signed/$2 digest
    [ "$2" = tags ] || bundle=true
    "$crane" copy "${host_of[$1]}/seed/index:1.0" "$name:1.0"
    digest=$("$crane" digest "$name:1.0")
    echo '{"made": "by hand"}' >"$work/predicate.json"
    signs sign --new-bundle-format=$bundle "$name@$digest"
    signs attest --new-bundle-format=$bundle --type custom --predicate "$work/predicate.json" "$name@$digest"
    # The kind is what it is meant to be.
    if [ "$2" = tags ]; then
        "$crane" manifest "$name:${digest/:/-}.sig" >/dev/null
        "$crane" manifest "$name:${digest/:/-}.att" >/dev/null
    else
        "$oras" discover --plain-http --format json "$name@$digest" |
            jq -e '[(.referrers // .manifests)[].artifactType] | length == 2 and all(contains("sigstore.bundle"))'
    fi
}

# verified NAME
verified() {
    local digest
    digest=$("$crane" digest "$1")
    verifies verify "${1%:*}@$digest"
    verifies verify-attestation --type custom "${1%:*}@$digest"
    if key=stranger verifies verify "${1%:*}@$digest"; then
        echo 'it verifies with the key of a stranger too'
        return 1
    fi
}

signatures_come_along() {
    ours "$work/signed-$1-$2" "${ours_of[$1]}/signed/$3:1.0" "${ours_of[$2]}/signed-at-$1/$3:1.0"
    verified "${host_of[$2]}/signed-at-$1/$3:1.0"
}

# From a registry with the referrers API, and from one without.
check_signatures() {
    use cosign "$cosign_version" github.com/sigstore/cosign/v3 cmd/cosign || return 0
    check "cosign makes keys" makes_keys
    local source target kind
    for source in olareg distribution2; do
        [ -n "${host_of[$source]:-}" ] || continue
        for kind in tags bundles; do
            check "cosign signs and attests at $source, as $kind" signed "$source" "$kind"
            for target in "${registries[@]}"; do
                check "$source -> $target: cosign verifies the $kind with the same key" signatures_come_along "$source" "$target" "$kind"
            done
        done
    done
}
