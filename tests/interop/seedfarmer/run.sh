#!/usr/bin/env bash
# The real Seed-Farmer CLI deploys and destroys this module: `seedfarmer apply`, with moto as AWS, codebuild.py as
# the builds, and Debian's docker-registry as what is behind ECR's host name. The sources are the lab's.
# Installs what it needs; what it installed is kept in ~/.cache/replicator-interop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
root=$PWD here=$PWD/tests/interop/seedfarmer
export PYTHONDONTWRITEBYTECODE=1

account=123456789012 region=us-east-1
# Mixed case: repositories and bucket are to have it in lower case.
project=IdfMix lower=idfmix

# shellcheck disable=SC2154 # tools.sh sets the programs
work=$(mktemp -d)
children=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local child
    for child in "${children[@]}"; do
        kill "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# shellcheck source=tests/interop/checks.sh
. tests/interop/checks.sh
# shellcheck source=tests/interop/tools.sh
. tests/interop/tools.sh

# What it needs --------------------------------------------------------------------------------------------------

# first_line FILE: once it is there.
first_line() {
    local line
    for _ in {1..300}; do
        if [ -s "$1" ] && read -r line <"$1"; then
            printf '%s' "$line"
            return
        fi
        sleep 0.1
    done
    return 1
}

start_registry() {
    printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $work/storage}}" \
        'http: {addr: "127.0.0.1:0"}' >"$work/registry.yml"
    touch "$work/registry.log"
    timeout 1500 "$registry_program" serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
    children+=("$!")
    for _ in {1..100}; do
        registry=127.0.0.1:$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/registry.log")
        if [ "$registry" != 127.0.0.1: ]; then
            echo "$registry" >"$work/registry.address"
            return
        fi
        sleep 0.1
    done
    return 1
}

start_source() {
    coproc source_process { exec "$lab_programs/lab-source" "$work/source" 1500; }
    # shellcheck disable=SC2154 # coproc sets it
    children+=("$source_process_PID")
    local line
    read -r -t 60 line <&"${source_process[0]}"
    [ "$line" = ready ]
}

start_aws() {
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=$region
    timeout 1500 "$venv/bin/python" "$here/aws.py" "$work/registry.address" >"$work/moto.address" 2>"$work/moto.log" &
    children+=("$!")
    AWS_ENDPOINT_URL=$(first_line "$work/moto.address")
    export AWS_ENDPOINT_URL
    mkdir "$work/builds"
    timeout 1500 "$venv/bin/python" "$here/codebuild.py" "$work/builds" "$AWS_ENDPOINT_URL" "$venv" \
        >"$work/codebuild.address" 2>"$work/codebuild.log" &
    children+=("$!")
    AWS_ENDPOINT_URL_CODEBUILD=$(first_line "$work/codebuild.address")
    export AWS_ENDPOINT_URL_CODEBUILD
}

# The project ----------------------------------------------------------------------------------------------------

# make_module: the module as a user has it in a project, with a program that knows where the stand-ins are. No file
# has a run bit, as when the module came out of a zip archive.
make_module() {
    local module=$work/project/modules/dockerimage-replication binary file
    mkdir -p "$module/bin"
    for file in deployspec.yaml modulestack.yaml README.md Cargo.toml scripts; do
        cp -r "$root/$file" "$module/"
    done
    binary=replicator-linux-$(uname -m)
    {
        printf '#!/bin/sh\nprogram=%s\n' "$replicator_program"
        # shellcheck disable=SC2016 # for the script that is written
        printf '[ "$1" = deploy ] || exec "$program" "$@"\nshift\nexec "$program" deploy'
        printf " --endpoint '%s'" "$account.dkr.ecr.$region.amazonaws.com=http://$registry"
        jq -r '.endpoints | to_entries[] | " --endpoint \u0027\(.key)=\(.value)\u0027"' "$work/source/source.json" | tr -d '\n'
        # shellcheck disable=SC2016 # for the script that is written
        printf ' "$@"\n'
    } >"$module/bin/$binary"
    (cd "$module/bin" && sha256sum "$binary" >SHA256SUMS)
    find "$module" -type f -exec chmod 644 {} +
}

# make_project RETENTION
make_project() {
    local data=$work/project/data/eks_dockerimage-replication/versions
    mkdir -p "$data"
    cp "$work/source/data/"*.yaml "$data/"
    cp -r "$root/examples/manifests/." "$work/project/"
    printf 'project: %s\n' "$project" >"$work/project/seedfarmer.yaml"
    # dataFiles as the example has them in its remarks; retention and more parameters.
    sed -e '/^# dataFiles:/s/^# //' -e '/^#   - filePath: data\//s/^# //' \
        -e "/name: RetentionType/,/value:/s/value: .*/value: '$1'/" \
        "$root/examples/manifests/replication-modules.yaml" >"$work/project/replication-modules.yaml"
    printf '  - name: %s\n    value: %s\n' Jobs 4 custom-tags '{team: platform}' >>"$work/project/replication-modules.yaml"
    make_module
}

# seedfarmer COMMAND...
seedfarmer() {
    (
        cd "$work/project"
        # In the foreground, where an interrupt reaches it.
        PRIMARY_ACCOUNT=$account timeout --foreground 400 "$venv/bin/seedfarmer" "$@"
    )
}

# The command of README.md that prepares an account.
bootstrap() {
    seedfarmer bootstrap toolchain --project "$project" --as-target --trusted-principal "arn:aws:iam::$account:user/me"
}

# apply and destroy, whose log has the build's at its end.
apply() {
    seedfarmer apply deployment.yaml || { last_log && return 1; }
}

destroy() {
    seedfarmer destroy dev || { last_log && return 1; }
}

last_build() {
    find "$work/builds" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1
}

last_log() {
    tail -n 40 "$work/builds/$(last_build)/log"
}

# ask EXPRESSION: of moto, in Python; `client` makes a client, `json` and `names` are at hand.
ask() {
    "$venv/bin/python" - "$1" <<'PYTHON'
import json, sys
import boto3
client = boto3.client
names = lambda: sorted(found["repositoryName"] for page in client("ecr").get_paginator("describe_repositories").paginate()
                       for found in page["repositories"])
print(eval(sys.argv[1]))
PYTHON
}

# Checks -----------------------------------------------------------------------------------------------------------

# Every parameter of the example, whether in a remark or not, goes through Seed-Farmer's own model, and all that there
# are stand in it.
example_is_accepted() {
    sed -E -e 's/^  # (- name:|  )/  \1/' "$root/examples/manifests/replication-modules.yaml" >"$work/all-parameters.yaml"
    cd "$root/examples/manifests"
    "$venv/bin/python" - "$work/all-parameters.yaml" "$root/docs/reference/parameters.md" <<'PYTHON'
import re, sys, yaml
from seedfarmer.models.manifests import ModuleManifest
manifest = ModuleManifest(**yaml.safe_load(open(sys.argv[1])))
found = {parameter.upper_snake_case for parameter in manifest.parameters}
wanted = set(re.findall(r"`SEEDFARMER_PARAMETER_([A-Z0-9_]+)`", open(sys.argv[2]).read()))
assert found == wanted, found ^ wanted
PYTHON
}

build_is_as_the_deployspec_says() {
    local request=$work/builds/1/request.json
    is "machine" "$(jq -r .computeTypeOverride "$request")" BUILD_GENERAL1_MEDIUM
    is "variables" "$(jq -rc '[.environmentVariablesOverride[].name] | sort | join(" ")' "$request")" \
        "AWS_PARTITION SEEDFARMER_DEPLOYMENT_NAME SEEDFARMER_HASH SEEDFARMER_MODULE_MD5 SEEDFARMER_MODULE_METADATA SEEDFARMER_MODULE_NAME SEEDFARMER_PARAMETER_CUSTOM_TAGS SEEDFARMER_PARAMETER_EKS_VERSION SEEDFARMER_PARAMETER_JOBS SEEDFARMER_PARAMETER_RETENTION_TYPE SEEDFARMER_PROJECT_NAME SEEDFARMER_VERSION"
    is "metadata of a first deployment" \
        "$(jq -r '.environmentVariablesOverride[] | select(.name == "SEEDFARMER_MODULE_METADATA") | .value' "$request")" null
    grep -q "from bin/replicator-linux-" "$work/builds/1/log"
}

# What CloudFormation made of modulestack.yaml is what tests/module/policy.py says.
policy_is_what_the_check_resolves() {
    local role
    role=$(jq -r '.serviceRoleOverride | split("/")[-1]' "$work/builds/1/request.json")
    ask "json.dumps(client('iam').get_role_policy(RoleName='$role', PolicyName='dockerimage-replication')['PolicyDocument'])" |
        jq -S '.Statement | map(.Action |= (if type == "string" then [.] else . end)
            | .Resource |= (if type == "string" then [.] else . end))' >"$work/policy.moto"
    "$venv/bin/python" "$root/tests/module/policy.py" --param ProjectName=$project --param RetentionType="$1" \
        --param RoleName="$role" 2>/dev/null | jq -S . | diff "$work/policy.moto" -
}

repositories_are_ours() {
    local names
    names=$(jq -r '[.charts[].helm.repository] + [.additional_images[]] | length' \
        "$work/builds/1/src/bundle/module/replication_result.json")
    [ "$names" -gt 5 ]
    ask "json.dumps([{'name': found['repositoryName'], 'tags': {tag['Key']: tag['Value'] for tag in
        client('ecr').list_tags_for_resource(resourceArn=found['repositoryArn'])['tags']}}
        for found in client('ecr').describe_repositories(maxResults=1000)['repositories']])" >"$work/repositories.json"
    is "repositories that are not ours" \
        "$(jq -c '[.[] | select((.name | startswith("idfmix-") | not) or .tags.SeedFarmerProjectName != "idfmix"
            or .tags.SeedFarmerDeploymentName != "dev" or .tags.SeedFarmerModuleName != "replication-images"
            or .tags.team != "platform") | .name]' "$work/repositories.json")" '[]'
    [ "$(jq length "$work/repositories.json")" -gt 5 ]
}

# skopeo reads at the registry what the report says it has.
images_are_there() {
    local target digest found wrong=0 count=0
    while read -r target digest; do
        # skopeo takes a tag or a digest, not both.
        target=$registry/$(sed -E 's/:[^/@]+@/@/' <<<"${target#*/}")
        found=$(skopeo inspect --raw --tls-verify=false "docker://$target" | sha256sum)
        is "$target" "sha256:${found%% *}" "$digest" || wrong=1
        count=$((count + 1))
    done < <(jq -r '.artifacts[] | select(.kind == "image") | "\(.target) \(.digest)"' \
        "$work/builds/1/src/bundle/module/replication_report.json")
    [ "$count" -gt 5 ]
    return "$wrong"
}

bucket=$lower-dkr-img-rep-md-$region-$account object=dev-replication-images-metadata.json

document_is_published() {
    ask "client('s3').get_object(Bucket='$bucket', Key='$object')['Body'].read().decode()" | jq -c . >"$work/document"
    jq -c . "$work/builds/1/src/bundle/module/replication_result.json" | diff - "$work/document"
}

metadata_key=/$lower/dev/replication/images/metadata

# What Seed-Farmer stored, without what it adds itself.
stored() {
    ask "client('ssm').get_parameter(Name='$metadata_key')['Parameter']['Value']" |
        jq -cS 'del(.SeedFarmerDeployed, .ModuleDeploymentRoleName, .CodeBuildBuildUrl, .CloudWatchLogStream, .CloudWatchLogStreamArn)'
}

outputs() {
    jq -ncS --arg b "$bucket" --arg o "$object" '{S3Bucket: $b, S3Object: $o, S3FullPath: "\($b)/\($o)",
        s3_bucket: $b, s3_object: $o, s3_full_path: "\($b)/\($o)"}'
}

metadata_is_stored() {
    is "what Seed-Farmer stored" "$(stored)" "$(outputs)"
    ask "client('ssm').get_parameter(Name='$metadata_key')['Parameter']['Value']" |
        jq -e '.SeedFarmerDeployed and .ModuleDeploymentRoleName and .CodeBuildBuildUrl' >/dev/null
    # As README.md has a person look at it.
    is "seedfarmer list moduledata" \
        "$(seedfarmer list moduledata -d dev -g replication -m images | jq -r .S3FullPath)" "$bucket/$object"
}

# six_calls EARLIER: the same bytes as the six calls of the Python module's deployspec, on the same environment.
six_calls() {
    local folder=$work/six-calls name value
    rm -rf "$folder"
    mkdir -p "$folder/module" "$folder/ours"
    cp "$work/project/seedfarmer.yaml" "$folder/"
    cp "$root/deployspec.yaml" "$folder/module/"
    while read -r name value; do
        (cd "$folder/module" && SEEDFARMER_MODULE_METADATA=$1 "$venv/bin/seedfarmer" metadata add -k "$name" -v "$value")
    done < <(outputs | jq -r '["S3Bucket", "S3Object", "S3FullPath", "s3_bucket", "s3_object", "s3_full_path"][] as $k | "\($k) \(.[$k])"')
    (
        cd "$folder/ours"
        ln -s "$work/project/data" data
        env -i PATH=/usr/bin:/bin HOME="$work" AWS_ENDPOINT_URL="$AWS_ENDPOINT_URL" AWS_ACCESS_KEY_ID=test \
            AWS_SECRET_ACCESS_KEY=test AWS_REGION=$region AWS_ACCOUNT_ID=$account AWS_PARTITION=aws \
            SEEDFARMER_PROJECT_NAME=$lower SEEDFARMER_DEPLOYMENT_NAME=dev SEEDFARMER_MODULE_NAME=replication-images \
            SEEDFARMER_PARAMETER_EKS_VERSION=1.34 SEEDFARMER_PARAMETER_CUSTOM_TAGS='{"team": "platform"}' \
            SEEDFARMER_MODULE_METADATA="$1" \
            sh "$work/project/modules/dockerimage-replication/bin/replicator-linux-$(uname -m)" deploy
    )
    cmp "$folder/module/SEEDFARMER_MODULE_METADATA" "$folder/ours/SEEDFARMER_MODULE_METADATA"
}

nothing_to_do() {
    apply
    is "builds" "$(last_build)" "$1"
}

tainted_module_copies_nothing() {
    local before
    before=$(ask 'names()')
    seedfarmer taint module -d dev -g replication -m images
    apply
    grep -qE '^0 copied .* 0 failed' "$work/builds/$(last_build)/log" || { last_log && return 1; }
    is "repositories" "$(ask 'names()')" "$before"
    is "what Seed-Farmer stored" "$(stored)" "$(outputs)"
}

seedfarmer_has_forgotten() {
    is "stored metadata" "$(ask "client('ssm').describe_parameters(ParameterFilters=[{'Key': 'Name', 'Values': ['$metadata_key']}])['Parameters']")" '[]'
    is "roles" "$(ask "[role['RoleName'] for role in client('iam').list_roles()['Roles'] if 'replication-images' in role['RoleName']]")" '[]'
}

destroy_keeps_all() {
    local before
    before=$(ask 'names()')
    destroy
    is "repositories" "$(ask 'names()')" "$before"
    document_is_published
    seedfarmer_has_forgotten
}

# Neighbours: what is not ours (`other` has the project's tag, but this program did not make it), and one that the Python module made, which has no tag.
make_neighbours() {
    legacy=$(jq -r '.[0].name' "$work/repositories.json")
    ask "[client('ecr').create_repository(repositoryName=name, tags=[{'Key': 'SeedFarmerProjectName', 'Value': value}] if value else [])
        for name, value in {'idfmix2-tool': None, 'idfmix': None, 'idfmix-dev-apps-ecr': None, 'idfmix-dev-other': '$lower', 'idf-tool': 'idf',
        'idfmix-x-tool': 'idfmix-x'}.items()] and None"
    ask "[client('ecr').untag_resource(resourceArn=arn, tagKeys=[tag['Key'] for tag in
        client('ecr').list_tags_for_resource(resourceArn=arn)['tags']])
        for arn in ['arn:aws:ecr:$region:$account:repository/$legacy']] and None"
}

destroy_deletes_exactly_ours() {
    destroy
    is "what is left" "$(ask 'names()')" "['idf-tool', 'idfmix', 'idfmix-dev-apps-ecr', 'idfmix-dev-other', 'idfmix-x-tool', 'idfmix2-tool']"
    is "buckets" "$(ask "[found['Name'] for found in client('s3').list_buckets()['Buckets'] if 'dkr-img' in found['Name']]")" '[]'
    seedfarmer_has_forgotten
}

# without_program COMMAND...: the destroy phase of deployspec.yaml in a folder that holds nothing.
without_program() {
    rm -rf "$work/empty"
    mkdir "$work/empty"
    "$venv/bin/python" -c '
import sys, yaml
for phase in ("install", "build"):
    for command in yaml.safe_load(open(sys.argv[1]))["destroy"]["phases"][phase]["commands"]:
        print(command)
' "$root/deployspec.yaml" >"$work/destroy.bash"
    (
        cd "$work/empty"
        env -i PATH=/usr/bin:/bin HOME="$work/empty" "$@" bash -e "$work/destroy.bash"
    )
}

destroy_without_program() {
    without_program SEEDFARMER_PARAMETER_RETENTION_TYPE=RETAIN | grep 'all is kept'
    without_program | grep 'all is kept'
    if without_program SEEDFARMER_PARAMETER_RETENTION_TYPE=' Destroy ' >"$work/said" 2>&1; then
        echo 'it says that it deleted what it could not delete'
        return 1
    fi
    grep 'no replicator to delete anything with' "$work/said"
}

# ------------------------------------------------------------------------------------------------------------------

main() {
    if ! install_package jq jq || ! install_package skopeo skopeo; then
        echo 'interop-seedfarmer: jq and skopeo are needed and cannot be installed' >&2
        exit 1
    fi
    find_ours

    if ! find_python; then
        skip seed-farmer 'it is not here and cannot be had from PyPI'
    elif ! find_registry; then
        skip docker-registry 'it is not here and cannot be had from apt'
    else
        "$venv/bin/seedfarmer" version 2>/dev/null || true
        start_registry
        start_source
        start_aws
        check "the examples: Seed-Farmer knows every parameter" example_is_accepted
        make_project RETAIN
        check "seedfarmer bootstrap, as README.md has it" bootstrap
        check "seedfarmer apply: deployed, from a module without run bits" apply
        check "the build has the machine, the variables and the bundled program" build_is_as_the_deployspec_says
        check "the role's policy is what tests/module/policy.py resolves" policy_is_what_the_check_resolves RETAIN
        check "the repositories have the project's name in lower case, and the tags" repositories_are_ours
        check "skopeo reads the images by their digests" images_are_there
        check "the result document is in the bucket" document_is_published
        check "Seed-Farmer has stored the six outputs" metadata_is_stored
        check "the metadata is that of six CLI calls, on a first deployment" six_calls null
        check "the metadata is that of six CLI calls, on a later one" six_calls '{"s3_bucket": "old", "kept": "caf\u00e9"}'
        check "seedfarmer apply again: nothing to do" nothing_to_do 1
        check "seedfarmer taint and apply: nothing copied, the same outputs" tainted_module_copies_nothing
        check "seedfarmer destroy with RETAIN keeps everything" destroy_keeps_all
        make_project DESTROY
        check "seedfarmer apply with DESTROY" apply
        check "the role's policy is what tests/module/policy.py resolves, with DESTROY" policy_is_what_the_check_resolves DESTROY
        check "neighbours" make_neighbours
        check "seedfarmer destroy with DESTROY deletes exactly this module's" destroy_deletes_exactly_ours
    fi
    check "destroy without a program: keeps with RETAIN, fails with DESTROY" destroy_without_program
    summary interop-seedfarmer
}

main "$@"
