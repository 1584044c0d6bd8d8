# The EKS module reads our results for all versions. consumer.py is that module as the contract describes it; the charts
# are the corpus' real ones. Sourced by run.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154 # run.sh sets what is used here

corpus=../shared/corpus

# serve_corpus: with the two charts that it lacks; sets `address`.
serve_corpus() {
    local place=$work/corpus/kubernetes.github.io/autoscaler version made=$work/cluster-autoscaler
    cp -r "$corpus/repos" "$work/corpus"
    mkdir -p "$made" "$work/new-charts"
    for version in 9.44.0 9.46.6; do
        printf 'apiVersion: v2\nname: cluster-autoscaler\nversion: %s\n' "$version" >"$made/Chart.yaml"
        printf 'image: {repository: registry.k8s.io/autoscaling/cluster-autoscaler, tag: v0}\n' >"$made/values.yaml"
        tar -czf "$place/cluster-autoscaler-$version.tgz" -C "$work" cluster-autoscaler
        printf '  - {name: cluster-autoscaler, version: %s, urls: [cluster-autoscaler-%s.tgz]}\n' "$version" "$version"
    done >"$work/new-entries"
    sed -i "/^  cluster-autoscaler:/r $work/new-entries" "$place/index.yaml"
    serve_folder corpus-http "$work/corpus"
}

# The first line of the EKS module's deployspec, with `aws` from stand_in_aws.
# shellcheck disable=SC2016 # for the shell that is started
consumer_line='if [ -n "$SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA_S3_PATH" ]; then
    aws s3 cp s3://$SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA_S3_PATH replication-metadata.json
    export SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA=$(cat replication-metadata.json)
fi'

# stand_in_aws FILE: `aws s3 cp` that brings this file.
stand_in_aws() {
    mkdir -p "$work/aws-bin"
    # shellcheck disable=SC2016 # for the script that is written
    printf '#!/bin/sh\n[ "$1 $2 $4" = "s3 cp replication-metadata.json" ] && cp "%s" "$4"\n' "$1" >"$work/aws-bin/aws"
    chmod +x "$work/aws-bin/aws"
}

# consumed OUT S3_FULL_PATH: what is in OUT, through the shell line into the consumer.
consumed() {
    stand_in_aws "$(realpath "$1")/replication_result.json"
    env -i PATH="$work/aws-bin:$PATH" SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA_S3_PATH="$2" \
        bash -ec "cd '$work'
$consumer_line
'$venv/bin/python' '$PWD/tests/interop/consumer.py' \"\$SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA_S3_PATH\" \
    '$(realpath "$1")/updated_images.json'"
}

# consumer_reads VERSION
consumer_reads() {
    local out=$work/consumer-$1 hosts=()
    mapfile -t hosts < <(find "$work/corpus" -mindepth 1 -maxdepth 1 -type d -printf "--endpoint\n%f=http://$address/%f\n")
    env -i PATH="$PATH" HOME="$work" timeout 120 "$replicator_program" plan --no-observe --out "$out" --eks-version "$1" \
        --registry-prefix "$ecr_host/idf-" "${hosts[@]}"
    consumed "$out" "idf-dkr-img-rep-md-$region-$account/dev-replication-images-metadata.json"
}

# The limit is where the contract says: one byte more, and nothing can be started any more.
limit_is_where_the_contract_says() {
    head -c 131019 /dev/zero | tr '\0' x >"$work/longest"
    stand_in_aws "$work/longest"
    local run=(env -i PATH="$work/aws-bin:$PATH" SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA_S3_PATH=a/b
        bash -ec "cd '$work'; $consumer_line; exec /bin/true")
    "${run[@]}"
    echo -n x >>"$work/longest"
    if "${run[@]}"; then
        echo 'one byte more goes through too'
        return 1
    fi
}

check_consumer() {
    local version
    check "the consumer finds what the contract calls bad" "$venv/bin/python" tests/interop/consumer.py --self-test
    check "the variable of the consumer holds 131019 bytes, and no more" limit_is_where_the_contract_says
    if [ ! -d "$corpus" ]; then
        if [ "${REPLICATION_CORPUS:-}" = required ]; then
            check "the corpus is at $corpus" false
        else
            skip corpus "$corpus is not here"
        fi
        return
    fi
    serve_corpus
    for version in 1.30 1.31 1.32 1.33 1.34; do
        check "the consumer reads the result for $version" consumer_reads "$version"
    done
}
