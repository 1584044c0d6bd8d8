# What cosign and Helm accept, the program copies with `--trust require`; what they refuse, it refuses. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

# copied FOLDER: whether a deployment of the data files in it copies all: 0 or 1; anything else is an error.
copied() {
    local status=0
    env -i PATH="$PATH" HOME="$work/empty-home" timeout 60 "$replicator_program" deploy --eks-version 1.34 --data-dir "$1" \
        --registry-prefix "oci:$1/mirror" --out "$1/out" --trust require || status=$?
    case $status in
        0) verdict=accepted ;;
        1) verdict=refused ;;
        *) return "$status" ;;
    esac
}

# they COMMAND...: whether the others accept it.
they() {
    if "$@"; then theirs=accepted; else theirs=refused; fi
}

# agree WANTED FOLDER COMMAND...
agree() {
    local verdict='' theirs='' wanted=$1 folder=$2
    shift 2
    copied "$folder"
    they "$@"
    is 'what the other program says' "$theirs" "$wanted"
    is 'what ours says' "$verdict" "$wanted"
}

# image_data NAME IMAGE RULE: a folder of data files for one image; sets `folder`.
image_data() {
    folder=$work/trust/$1
    mkdir -p "$folder"
    printf 'additional_images:\n  app: "%s"\ntrust:\n  - {match: "*", %s}\n' "$2" "$3" >"$folder/default.yaml"
    echo 'ami: {}' >"$folder/1.34.yaml"
}

# new_image REPOSITORY: sets `name`, `digest` and `platform`.
new_image() {
    name=$trust_host/$1
    read -r digest platform < <("$venv/bin/python" tests/interop/sigstore.py image "$name:1")
    [ -n "$platform" ]
}

# keyed SCHEME CASE WANTED
keyed() {
    local name digest platform folder bundle=false key=cosign
    [ "$1" = tags ] || bundle=true
    new_image "keyed/$1-$2"
    case $2 in
        signed) signs sign --new-bundle-format=$bundle "$name@$digest" ;;
        recursive) signs sign --recursive --new-bundle-format=$bundle "$name@$digest" ;;
        unsigned) ;;
        wrong-key)
            signs sign --new-bundle-format=$bundle "$name@$digest"
            key=stranger
            ;;
        one-platform) signs sign --new-bundle-format=$bundle "$name@$platform" ;;
        attestation) signs attest --new-bundle-format=$bundle --type custom --predicate "$work/predicate.json" "$name@$digest" ;;
        moved)
            signs sign --new-bundle-format=$bundle "$name@$digest"
            # The tag gets other content.
            "$venv/bin/python" tests/interop/sigstore.py image "$name:2"
            curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json' "http://$trust_host/v2/keyed/$1-$2/manifests/2" -o "$work/moved.json"
            curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$work/moved.json" \
                "http://$trust_host/v2/keyed/$1-$2/manifests/1"
            ;;
    esac
    image_data "keyed-$1-$2" "$name:1" "cosign: {key: $work/$key.pub}"
    agree "$3" "$folder" verifies verify "$name:1"
}

# kind SPEC: a private key of a kind, `$work/kinds/SPEC.pem`, its public half `SPEC.pub`, and cosign's file of it.
kind() {
    local file=$work/kinds/$1
    case $1 in
        p256) openssl ecparam -name prime256v1 -genkey -noout -out "$file.pem" ;;
        p384) openssl ecparam -name secp384r1 -genkey -noout -out "$file.pem" ;;
        p521) openssl ecparam -name secp521r1 -genkey -noout -out "$file.pem" ;;
        rsa*) openssl genrsa -out "$file.pem" "${1#rsa}" ;;
        ed25519) openssl genpkey -algorithm ed25519 -out "$file.pem" ;;
    esac
    COSIGN_PASSWORD='' "$cosign" import-key-pair --key "$file.pem" --output-key-prefix "$file" --yes
}

# of_kind SPEC SCHEME SIGNER WANTED: SIGNER is cosign, or sha256: as cosign 2 signed with every kind of key.
of_kind() {
    local name digest platform folder bundle=false file=$work/kinds/$1
    [ "$2" = tag ] || bundle=true
    new_image "kinds/$1-$2-$3"
    case $3 in
        cosign)
            COSIGN_PASSWORD='' timeout 60 "$cosign" sign --yes --key "$file.key" --tlog-upload=false --use-signing-config=false \
                --allow-insecure-registry --new-bundle-format=$bundle "$name@$digest"
            ;;
        sha256) "$venv/bin/python" tests/interop/sigstore.py sign-key "$file.pem" "$name" "$digest" "$2" ;;
    esac
    image_data "kind-$1-$2-$3" "$name:1" "cosign: {key: $file.pub}"
    agree "$4" "$folder" timeout 60 "$cosign" verify --key "$file.pub" --insecure-ignore-tlog --allow-insecure-registry "$name:1"
}

# by_kms SCHEME: a rule that names a key of KMS, as moto emulates it; cosign has the key's public half.
by_kms() {
    local name digest platform folder verdict='' arn
    new_image "kms/$1"
    arn=$(kms_key ECC_NIST_P256 "$work/kms-$1.pem")
    "$venv/bin/python" tests/interop/sigstore.py sign-kms "$kms" "$arn" "$name" "$digest" "$1"
    image_data "kms-$1" "$name:1" "cosign: {key: \"awskms:///$arn\"}"
    with_kms deploy --eks-version 1.34 --data-dir "$folder" --registry-prefix "oci:$folder/mirror" --out "$folder/out" --trust require
    timeout 60 "$cosign" verify --key "$work/kms-$1.pem" --insecure-ignore-tlog --allow-insecure-registry "$name:1"
    # A key of KMS that did not sign it.
    arn=$(kms_key ECC_NIST_P256 "$work/kms-stranger.pem")
    image_data "kms-$1" "$name:1" "cosign: {key: \"awskms:///$arn\"}"
    if with_kms deploy --eks-version 1.34 --data-dir "$folder" --registry-prefix "oci:$folder/other" --out "$folder/out" --trust require; then
        echo 'it is accepted with the key of a stranger too'
        return 1
    fi
}

# keyless SCHEME CASE WANTED
keyless() {
    local name digest platform folder identity=team@example.com issuer=https://issuer.example.com times=()
    [ "$1" != bundle2 ] || times=(--use-signed-timestamps)
    new_image "keyless/$1-$2"
    case $2 in
        identity) identity=other@example.com ;;
        issuer) issuer=https://other.example.com ;;
    esac
    "$venv/bin/python" tests/interop/sigstore.py sign "$work/sigstore" "$name" "$digest" "$1" "$2"
    image_data "keyless-$1-$2" "$name:1" \
        "keyless: {issuer: \"$issuer\", identity: $identity, trustRoot: $work/sigstore/trusted_root.json}"
    agree "$3" "$folder" timeout 60 "$cosign" verify --trusted-root "$work/sigstore/trusted_root.json" \
        --certificate-identity "$identity" --certificate-oidc-issuer "$issuer" --allow-insecure-registry "${times[@]}" "$name:1"
}

# of_scheme SCHEME TAG BUNDLE BUNDLE2: what is right for the scheme.
of_scheme() {
    case $1 in
        tag) printf %s "$2" ;;
        bundle) printf %s "$3" ;;
        bundle2) printf %s "$4" ;;
    esac
}

gpg_at() {
    gpg --homedir "$work/gpg" --batch --quiet --yes --passphrase '' --pinentry-mode loopback "$@"
}

makes_charts_and_keys() {
    mkdir -m 700 "$work/gpg"
    local name
    for name in signer stranger; do
        gpg_at --quick-generate-key "$name <$name@example.com>" "$([ $name = signer ] && echo rsa3072 || echo ed25519)" sign,cert never
        gpg_at --export "$name@example.com" >"$work/$name.gpg"
    done
    mkdir -p "$work/chart/app/templates"
    printf 'apiVersion: v2\nname: app\nversion: 1.0.0\n' >"$work/chart/app/Chart.yaml"
    helm package "$work/chart/app" --destination "$work/chart"
    # Once it is expired, a key cannot sign any more.
    gpg_at --quick-generate-key 'late <late@example.com>' ed25519 sign,cert seconds=5
    gpg_at --export late@example.com >"$work/late.gpg"
    signed_text "$(sha256sum "$work/chart/app-1.0.0.tgz" | cut -d ' ' -f 1)" | gpg_at --local-user late@example.com --clearsign >"$work/late.prov"
}

# signed_text SUM: what Helm signs of the chart.
signed_text() {
    printf 'apiVersion: v2\nname: app\nversion: 1.0.0\n\n...\nfiles:\n  app-1.0.0.tgz: sha256:%s\n' "$1"
}

# provenance CASE WANTED
provenance() {
    local folder=$work/trust/provenance-$1 signer=signer keyring=signer sum prov
    prov=$folder/charts/app-1.0.0.tgz.prov
    mkdir -p "$folder/charts"
    cp "$work/chart/app-1.0.0.tgz" "$folder/charts"
    sum=$(sha256sum "$folder/charts/app-1.0.0.tgz" | cut -d ' ' -f 1)
    case $1 in
        stranger) signer=stranger ;;
        ed25519) signer=stranger keyring=stranger ;;
        late) keyring=late ;;
        other) sum=$(printf %064d 7) ;;
    esac
    case $1 in
        none) ;;
        late) cp "$work/late.prov" "$prov" ;;
        *) signed_text "$sum" | gpg_at --local-user "$signer@example.com" --clearsign >"$prov" ;;
    esac
    if [ "$1" = changed ]; then sed -i 's/^name: app$/name: bad/' "$prov"; fi
    printf 'charts:\n  app: {name: app, repository: charts, version: 1.0.0, images: {}}\ntrust:\n  - {match: "*", provenance: {keyring: %s}}\n' \
        "$work/$keyring.gpg" >"$folder/default.yaml"
    echo 'ami: {}' >"$folder/1.34.yaml"
    agree "$2" "$folder" helm verify "$folder/charts/app-1.0.0.tgz" --keyring "$work/$keyring.gpg"
}

check_trust() {
    use cosign "$cosign_version" github.com/sigstore/cosign/v3 cmd/cosign || return 0
    use olareg "$olareg_version" github.com/olareg/olareg cmd/olareg || return 0
    local scheme trust_host address
    start_olareg
    trust_host=$address
    echo '{"made": "by hand"}' >"$work/predicate.json"
    [ -e "$work/cosign.key" ] || check "cosign makes keys for trust" makes_keys
    for scheme in tags bundles; do
        check "trust: cosign's $scheme by the key are accepted" keyed $scheme signed accepted
        check "trust: cosign's $scheme of index and platforms are accepted" keyed $scheme recursive accepted
        check "trust: $scheme by another key are refused" keyed $scheme wrong-key refused
        check "trust: $scheme of a tag that moved are refused" keyed $scheme moved refused
        check "trust: $scheme of one platform are refused" keyed $scheme one-platform refused
    done
    check "trust: an unsigned image is refused" keyed tags unsigned refused
    check "trust: an attestation in a bundle counts as cosign counts it" keyed bundles attestation accepted
    local case spec
    mkdir -p "$work/kinds"
    for spec in p256 p384 p521 rsa2048 rsa3072 rsa4096 ed25519; do
        check "cosign takes a key of the kind $spec" kind $spec
        for scheme in tag bundle; do
            # cosign 3 signs with another hash than it verifies with by default, for these.
            case $spec in
                p384 | p521 | ed25519) case=refused ;;
                *) case=accepted ;;
            esac
            check "trust: what cosign signed with $spec, as a $scheme, is $case" of_kind $spec $scheme cosign $case
            check "trust: what $spec signed over SHA-256, as a $scheme, is accepted" of_kind $spec $scheme sha256 accepted
        done
    done
    start_kms
    check "moto starts" answers "$kms/"
    for scheme in tag bundle; do
        check "trust: a $scheme by a key of KMS is accepted, and refused with another" by_kms $scheme
    done
    check "local authorities and logs are made" "$venv/bin/python" tests/interop/sigstore.py make "$work/sigstore"
    for scheme in tag bundle bundle2; do
        check "trust: a keyless $scheme is accepted" keyless $scheme good accepted
        check "trust: a keyless $scheme by P-384 over SHA-256" keyless $scheme p384-sha256 "$(of_scheme $scheme accepted accepted refused)"
        check "trust: a keyless $scheme by P-384 over SHA-384" keyless $scheme p384 "$(of_scheme $scheme refused accepted accepted)"
        for case in identity issuer expired tampered other stranger unlogged; do
            check "trust: a keyless $scheme is refused: $case" keyless $scheme $case refused
        done
    done
    check "trust: a keyless bundle with an older kind of entry is accepted" keyless bundle intoto accepted
    for case in untimed clock replayed; do
        check "trust: a keyless bundle2 is refused: $case" keyless bundle2 $case refused
    done
    for helm_version in "${helm_versions[@]}"; do
        build_helm "$helm_version" || continue
        # An agent whose folder goes away ends later, and takes the socket of its successor with it.
        [ ! -d "$work/gpg" ] || gpgconf --homedir "$work/gpg" --kill gpg-agent
        rm -rf "$work/gpg" "$work/chart" "$work"/trust/provenance-*
        check "Helm $helm_version packages a chart, keys are made" makes_charts_and_keys
        sleep 6
        for case in signer:accepted ed25519:accepted stranger:refused changed:refused other:refused none:refused late:refused; do
            check "trust: provenance as Helm $helm_version verifies it: ${case/:/ is }" provenance "${case%:*}" "${case#*:}"
        done
    done
}
