# Whole deployments against AWS as others emulate it, with an ECR that has both the API and /v2/: ministack, and fakecloud
# where it is installed. Sourced by run.sh. docs/internals/interop.md lists what the emulators do differently from AWS.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

ministack_version=1.5.33
emulator_account=123456789012 emulator_region=us-east-1
emulator_key=arn:aws:kms:$emulator_region:$emulator_account:key/1234abcd-12ab-34cd-56ef-1234567890ab
emulator_host=$emulator_account.dkr.ecr.$emulator_region.amazonaws.com

# Sets `ministack_python`: it pins its own version of botocore, so it has a separate environment.
find_ministack() {
    local folder=$cache/ministack-$ministack_version
    ministack_python=$folder/bin/python
    [ ! -e "$folder/complete-kms" ] || return 0
    rm -rf "$folder"
    # Its KMS needs the second one.
    python3 -m venv "$folder" &&
        "$folder/bin/pip" install --quiet --disable-pip-version-check "ministack==$ministack_version" cryptography==50.0.2 &&
        touch "$folder/complete-kms"
}

# start_ministack: sets `emulator`, its URL. It listens on the loopback only.
start_ministack() {
    local port
    port=$(free_port)
    emulator=http://127.0.0.1:$port
    background ministack env HOME="$work" GATEWAY_PORT="$port" MINISTACK_ACCOUNT_ID="$emulator_account" \
        "$ministack_python" -m hypercorn ministack.app:app --bind "127.0.0.1:$port"
    answers "$emulator/v2/"
}

# start_fakecloud: only a program that is there. It is not built: that takes most of an hour.
start_fakecloud() {
    local port
    port=$(free_port)
    emulator=http://127.0.0.1:$port
    background fakecloud bash -c 'ulimit -v 4194304; exec "$@"' - "$fakecloud" --addr "127.0.0.1:$port" \
        --account-id "$emulator_account" --region "$emulator_region"
    answers "$emulator/v2/"
}

# as_build PROJECT DEPLOYMENT COMMAND...: the program in an environment as Seed-Farmer's build has it.
as_build() {
    # There, because it writes the metadata of the module to the current folder.
    (cd "$work" && as_build_here "$@")
}

# The same in the current folder.
as_build_here() {
    env -i PATH="$PATH" HOME="$work" AWS_ENDPOINT_URL="$emulator" AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
        AWS_REGION=$emulator_region AWS_ACCOUNT_ID=$emulator_account SEEDFARMER_PROJECT_NAME="$1" \
        SEEDFARMER_DEPLOYMENT_NAME="$2" SEEDFARMER_MODULE_NAME=replication-images timeout 300 "$replicator_program" "${@:3}"
}

# at_emulator PROJECT DEPLOYMENT OUT FLAG...: deploys.
at_emulator() {
    as_build "$1" "$2" deploy --eks-version 1.34 --data-dir "$work/source/data" --out "$3" "${endpoints[@]}" \
        --endpoint "$emulator_host=$emulator" "${@:4}"
}

# verifies_there OUT
verifies_there() {
    as_build idf dev verify "$1/replication_result.json" --endpoint "$emulator_host=$emulator"
}

# ecr_api OPERATION JSON: the API without our program or the AWS CLI.
ecr_api() {
    AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$venv/bin/python" - "$emulator" "$emulator_region" "$@" <<'PYTHON'
import json, sys
import boto3
url, region, operation, arguments = sys.argv[1:]
answer = getattr(boto3.client("ecr", endpoint_url=url, region_name=region), operation)(**json.loads(arguments))
json.dump(answer, sys.stdout, default=str)
PYTHON
}

# repositories_of PROJECT: how many there are.
repositories_of() {
    ecr_api describe_repositories '{"maxResults": 1000}' |
        jq --arg prefix "$1-" '[.repositories[] | select(.repositoryName | startswith($prefix))] | length'
}

# repository_field FIELD PROJECT
repository_field() {
    ecr_api describe_repositories "{\"repositoryNames\": [\"$2-registry.example/team/one-text\"]}" |
        jq -r ".repositories[0].$1"
}

# move_tag: another writer moves a tag: the same index with a blank line more.
move_tag() {
    local url=$emulator/v2/idf-registry.example/team/one-text/manifests/3.1 index=application/vnd.oci.image.index.v1+json
    curl -fsS -H "Accept: $index" -D "$work/moved.head" -o "$work/moved" "$url"
    echo >>"$work/moved"
    curl -fsS -o /dev/null -X PUT --data-binary "@$work/moved" "$url" \
        -H "$(grep -i '^content-type:' "$work/moved.head" | tr -d '\r')"
}

emulator_plans() {
    local out=$work/$1-plan
    as_build idf dev plan --eks-version 1.34 --data-dir "$work/source/data" "${endpoints[@]}" \
        --endpoint "$emulator_host=$emulator" >"$out"
    grep -q "^at the target: $artifacts missing" "$out"
    is repositories "$(repositories_of idf)" 0
}

emulator_deploys() {
    at_emulator idf dev "$work/$1"
    totals_are "$work/$1" "$artifacts" "$artifacts" 0 0
    at_emulator idf dev "$work/$1-again"
    totals_are "$work/$1-again" "$artifacts" 0 "$artifacts" 0
    verifies_there "$work/$1"
}

emulator_mutable_drift() {
    move_tag
    ! verifies_there "$work/$1" || return 1
    at_emulator idf dev "$work/$1-moved"
    totals_are "$work/$1-moved" "$artifacts" 1 $((artifacts - 1)) 0
    verifies_there "$work/$1"
}

emulator_immutable_drift() {
    move_tag
    local status=0
    at_emulator idf dev "$work/$1-immutable" --image-tag-mutability IMMUTABLE >"$work/$1-immutable.log" 2>&1 || status=$?
    is "exit code" "$status" 1
    grep -q "the repository's tags are immutable" "$work/$1-immutable.log"
    is mutability "$(repository_field imageTagMutability idf)" IMMUTABLE
    at_emulator idf dev "$work/$1-healed" --image-tag-mutability MUTABLE
    verifies_there "$work/$1"
}

# lifecycle_rule TAGSTATUS
lifecycle_rule() {
    printf '{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "%s", "countType": "sinceImagePushed", ' "$1"
    printf '"countUnit": "days", "countNumber": 14}, "action": {"type": "expire"}}]}'
}

emulator_lifecycle() {
    local status=0
    at_emulator idf dev "$work/$1-policy" --lifecycle-policy "$(lifecycle_rule tagged)" 2>"$work/$1-policy.log" || status=$?
    is "exit code" "$status" 2
    at_emulator idf dev "$work/$1-policy" --lifecycle-policy "$(lifecycle_rule untagged)"
    is "rule" "$(ecr_api get_lifecycle_policy '{"repositoryName": "idf-registry.example/team/one-text"}' |
        jq -r '.lifecyclePolicyText | fromjson | .rules[0].selection.tagStatus')" untagged
}

emulator_kms() {
    at_emulator idf dev "$work/$1-kms" --kms-key-arn "$emulator_key" 2>"$work/$1-kms.log"
    grep -q "is encrypted with ECR's own key and not with" "$work/$1-kms.log"
    at_emulator idk dev "$work/$1-kms" --kms-key-arn "$emulator_key"
    is key "$(repository_field encryptionConfiguration.kmsKey idk)" "$emulator_key"
}

emulator_concurrent() {
    local runs=() run status=0
    for run in 1 2 3 4; do
        at_emulator idc "dev$run" "$work/$1-run$run" &
        runs+=("$!")
    done
    for run in "${runs[@]}"; do wait "$run" || status=$?; done
    is "exit code" "$status" 0
    for run in 1 2 3 4; do
        is "failed of run $run" "$(jq .totals.failed "$work/$1-run$run/replication_report.json")" 0
        verifies_there "$work/$1-run$run"
    done
}

# prune EMULATOR ARGUMENT...: in a folder of that emulator, where the plan stays.
prune() {
    mkdir -p "$work/$1-prune"
    (cd "$work/$1-prune" && as_build_here idf dev prune "${@:2}")
}

# images_of REPOSITORY FILTER: what jq makes of its images.
images_of() {
    ecr_api describe_images "{\"repositoryName\": \"$1\", \"maxResults\": 1000}" | jq "$2"
}

# An index that no result names, in a repository that a result names; and what a tag moved away from before.
emulator_prunes() {
    local name=registry.example/team/one-text index=application/vnd.oci.image.index.v1+json
    local url=$emulator/v2/idf-$name/manifests plan=$work/$1-prune/prune-plan.json before planned
    rm -rf "$work/$1-prune"
    curl -fsS -H "Accept: $index" "$url/3.1" | jq -c '.annotations = {"old": "yes"}' >"$work/old-index"
    curl -fsS -o /dev/null -X PUT --data-binary "@$work/old-index" -H "Content-Type: $(jq -r .mediaType "$work/old-index")" \
        "$url/old"
    before=$(images_of "idf-$name" '.imageDetails | length')
    # Emulators record no pulls, and what was pushed seconds ago is old enough for this.
    sleep 2
    prune "$1" --unused-for 0
    is "what is planned" "$(jq -c '[.repositories[] | {name, tags: [.images[].tags[]?]}]' "$plan")" \
        "[{\"name\":\"idf-$name\",\"tags\":[\"old\"]}]"
    planned=$(jq .totals.manifests "$plan")
    prune "$1" --apply prune-plan.json
    is "images left" "$(images_of "idf-$name" '.imageDetails | length')" $((before - planned))
    is "its tag" "$(images_of "idf-$name" '[.imageDetails[].imageTags[]? | select(. == "old")] | length')" 0
    verifies_there "$work/$1"
    prune "$1" --unused-for 0 | grep -q '^nothing to delete'
}

emulator_destroys() {
    local before
    before=$(repositories_of idf)
    as_build idf dev destroy --retention-type RETAIN
    is "repositories after RETAIN" "$(repositories_of idf)" "$before"
    as_build idf dev destroy --retention-type DESTROY
    is "repositories after DESTROY" "$(repositories_of idf)" 0
    is "another project's repositories" "$(repositories_of idk)" "$before"
}

# check_emulator NAME
check_emulator() {
    check "$1: plan finds nothing there and writes nothing" emulator_plans "$1"
    check "$1: deploy, deploy again, verify" emulator_deploys "$1"
    check "$1: a tag that moved in a mutable repository is found and brought back" emulator_mutable_drift "$1"
    check "$1: in an immutable one it is a conflict" emulator_immutable_drift "$1"
    check "$1: lifecycle policies, and one that is refused" emulator_lifecycle "$1"
    check "$1: a KMS key for new repositories, and a warning for others" emulator_kms "$1"
    check "$1: four deployments at once" emulator_concurrent "$1"
    check "$1: prune finds and deletes an image that no result names" emulator_prunes "$1"
    check "$1: RETAIN keeps and DESTROY deletes this project's only" emulator_destroys "$1"
}

check_emulators() {
    local fakecloud
    [ -d "$work/source" ] || start_source
    artifacts=$(($(grep -c '^    version: ' "$work/source/data/default.yaml") + 30))
    if find_ministack && start_ministack; then check_emulator ministack; else skip ministack 'it cannot be had from PyPI'; fi
    if fakecloud=$(command -v fakecloud || { [ -x "$cache/fakecloud" ] && echo "$cache/fakecloud"; }); then
        start_fakecloud && check_emulator fakecloud
    else
        skip fakecloud 'it is not in a cache, and takes most of an hour to build'
    fi
}
