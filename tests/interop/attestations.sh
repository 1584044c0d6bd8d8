# Attestations of the copies, signed by KMS as moto emulates it, and what real cosign says of them. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

attested_type=https://github.com/awslabs/idf-modules/replication/copy/v1

# Sets `kms`, the URL of moto. Not in a check, which is a shell of its own and would keep the variable.
start_kms() {
    local port
    port=$(free_port)
    kms=http://127.0.0.1:$port
    background kms "$venv/bin/moto_server" -H 127.0.0.1 -p "$port"
}

# kms_key SPEC FILE: creates a key, writes its public half, and prints its ARN.
kms_key() {
    "$venv/bin/python" - "$kms" "$1" "$2" <<'PYTHON'
import base64, sys, textwrap
import boto3
url, spec, path = sys.argv[1:]
kms = boto3.client("kms", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
arn = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["Arn"]
text = base64.b64encode(kms.get_public_key(KeyId=arn)["PublicKey"]).decode()
with open(path, "w", encoding="ascii") as file:
    file.write("\n".join(["-----BEGIN PUBLIC KEY-----", *textwrap.wrap(text, 64), "-----END PUBLIC KEY-----", ""]))
print(arn)
PYTHON
}

# with_kms COMMAND...: the program, with moto as AWS.
with_kms() {
    env -i PATH="$PATH" HOME="$work" AWS_ENDPOINT_URL="$kms" AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x \
        AWS_REGION=us-east-1 timeout 120 "$replicator_program" "$@"
}

# deploys_attested AT KEY OUT
deploys_attested() {
    with_kms deploy --eks-version 1.34 --data-dir "$work/attested/data" --registry-prefix "${ours_of[$1]}/attested-by-$2/" \
        --out "$3" --attestation-kms-key-arn "$(cat "$work/attested/$2.arn")"
}

# attested_name AT KEY: the copy by its digest.
attested_name() {
    local name=${host_of[$1]}/attested-by-$2/$attested_source/seed/index
    printf '%s@%s' "$name" "$("$crane" digest "$name:1.0")"
}

# cosign_accepts FILE REFERENCE
cosign_accepts() {
    timeout 60 "$cosign" verify-attestation --key "$1" --insecure-ignore-tlog --allow-insecure-registry \
        --type "$attested_type" "$2" >"$work/attested/said.json"
}

cosign_refuses() {
    if cosign_accepts "$@"; then
        echo 'it verifies with the key of a stranger too'
        return 1
    fi
}

# statement_names REFERENCE: what cosign verified is about the copy.
statement_names() {
    jq -r .payload "$work/attested/said.json" | head -n 1 | base64 -d |
        jq -e --arg digest "${1##*@}" '.predicate.target.digest == $digest and .predicate.program.name == "replicator"'
}

# writes_no_more AT KEY OUT: the same deployment again.
writes_no_more() {
    deploys_attested "$1" "$2" "$3" 2>&1 | tee "$work/attested/again.log"
    grep -q '^0 artifacts attested' "$work/attested/again.log"
}

# long_statement AT: KMS hashes at most 4096 bytes itself, and a statement about 300 platforms has more. By ministack's KMS:
# moto's does not know digests.
long_statement() {
    local name=${host_of[$1]}/seed/many copy kms=$emulator key=$work/attested/long
    kms_key ECC_NIST_P256 "$key.pem" >"$key.arn"
    read -r digest _ < <("$venv/bin/python" tests/interop/sigstore.py image "$name:1" 300)
    mkdir -p "$work/attested/many"
    printf 'additional_images: {many: "%s/seed/many:1"}\n' "${ours_of[$1]}" >"$work/attested/many/default.yaml"
    printf 'ami: {version: 1.34.0}\n' >"$work/attested/many/1.34.yaml"
    with_kms deploy --eks-version 1.34 --data-dir "$work/attested/many" --registry-prefix "${ours_of[$1]}/attested-many/" \
        --out "$work/attested/many-out" --attestation-kms-key-arn "$(cat "$key.arn")"
    copy=${host_of[$1]}/attested-many/$(printf '%s' "${host_of[$1]}" | tr : -)/seed/many@$digest
    cosign_accepts "$key.pem" "$copy"
    jq -r .payload "$work/attested/said.json" | head -n 1 | base64 -d | jq -e '.predicate.platforms | length == 300'
}

check_attestations() {
    local at key kind
    for at in olareg zot distribution2; do
        if [ -n "${host_of[$at]:-}" ]; then break; fi
    done
    attested_source=$(printf '%s' "${host_of[$at]}" | tr : -)
    mkdir -p "$work/attested/data"
    printf 'additional_images: {index: "%s/seed/index:1.0"}\n' "${ours_of[$at]}" >"$work/attested/data/default.yaml"
    printf 'ami: {version: 1.34.0}\n' >"$work/attested/data/1.34.yaml"
    start_kms
    check "moto starts" answers "$kms/"
    for kind in p256=ECC_NIST_P256 rsa=RSA_2048; do
        key=${kind%%=*}
        kms_key "${kind#*=}" "$work/attested/$key.pem" >"$work/attested/$key.arn"
        kms_key "${kind#*=}" "$work/attested/stranger.pem" >/dev/null
        for at in olareg distribution2; do
            [ -n "${host_of[$at]:-}" ] || continue
            check "$key at $at: the copy is attested" deploys_attested "$at" "$key" "$work/attested/$at-$key"
            check "$key at $at: cosign verifies it" cosign_accepts "$work/attested/$key.pem" "$(attested_name "$at" "$key")"
            check "$key at $at: the statement is about the copy" statement_names "$(attested_name "$at" "$key")"
            check "$key at $at: cosign refuses another key" cosign_refuses "$work/attested/stranger.pem" "$(attested_name "$at" "$key")"
            check "$key at $at: a second run writes nothing" writes_no_more "$at" "$key" "$work/attested/$at-$key"
            check "$key at $at: replicator verifies it" with_kms verify "$work/attested/$at-$key/replication_result.json" \
                --attestation-key "$work/attested/$key.pem"
        done
    done
    if ! find_ministack; then
        skip ministack 'it cannot be had from PyPI'
        return
    fi
    start_ministack
    for at in olareg distribution2; do
        [ -n "${host_of[$at]:-}" ] || continue
        check "$at: cosign verifies a statement that KMS does not hash" long_statement "$at"
    done
}
