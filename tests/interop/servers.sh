# The servers: our own of the lab, and those of others. Sourced by run.sh and seedfarmer/run.sh. All of them are on
# 127.0.0.1, end by themselves when their time is over, and are in `children`, which the caller ends.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # they set `work` and `children`, and use what is set here

server_seconds=2400

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

# answers URL: waits until a server responds, whatever the response.
answers() {
    for _ in {1..300}; do
        if curl -s -o /dev/null --max-time 5 "$1"; then return; fi
        sleep 0.1
    done
    return 1
}

free_port() {
    "${venv:+$venv/bin/}python3" -c 'import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])'
}

# background NAME COMMAND...: its output goes to NAME.out and NAME.log, which are there from now on.
background() {
    local name=$1
    shift
    touch "$work/$name.out" "$work/$name.log"
    timeout "$server_seconds" "$@" >"$work/$name.out" 2>"$work/$name.log" </dev/null &
    children+=("$!")
}

# The lab ------------------------------------------------------------------------------------------------

start_source() {
    coproc source_process { exec "$lab_programs/lab-source" "$work/source" "$server_seconds"; }
    # shellcheck disable=SC2154 # coproc sets it
    children+=("$source_process_PID")
    local line
    read -r -t 60 line <&"${source_process[0]}"
    [ "$line" = ready ]
    mapfile -t endpoints < <(jq -r '.endpoints | to_entries[] | "--endpoint\n\(.key)=\(.value)"' "$work/source/source.json")
}

# Registries ---------------------------------------------------------------------------------------------

# serve_distribution NAME PROGRAM [AUTH]: CNCF distribution, 2.x or 3.x; sets `address`.
serve_distribution() {
    local port
    printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $work/$1-storage}}" \
        'http: {addr: "127.0.0.1:0"}' ${3:+"auth: $3"} >"$work/$1.yml"
    OTEL_TRACES_EXPORTER=none background "$1" "$2" serve "$work/$1.yml"
    for _ in {1..100}; do
        port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$work/$1.log" "$work/$1.out" 2>/dev/null | head -n 1)
        if [ -n "$port" ]; then
            address=127.0.0.1:$port
            return
        fi
        sleep 0.1
    done
    cat "$work/$1.log"
    return 1
}

start_distribution2() {
    serve_distribution distribution2 "$registry_program"
}

start_distribution3() {
    serve_distribution distribution3 "$distribution3"
}

start_olareg() {
    local port
    port=$(free_port)
    mkdir -p "$work/olareg-storage"
    background olareg "$olareg" serve --addr 127.0.0.1 --port "$port" --dir "$work/olareg-storage"
    address=127.0.0.1:$port
    answers "http://$address/v2/"
}

start_zot() {
    local port
    port=$(free_port)
    jq -n --arg port "$port" --arg storage "$work/zot-storage" '{storage: {rootDirectory: $storage, gc: false},
        http: {address: "127.0.0.1", port: $port}, log: {level: "warn"}}' >"$work/zot.json"
    background zot "$zot" serve "$work/zot.json"
    address=127.0.0.1:$port
    answers "http://$address/v2/"
}

start_lab() {
    background lab "$lab_programs/lab-registry" "$server_seconds"
    address=$(first_line "$work/lab.out")
}

# AWS ----------------------------------------------------------------------------------------------------

account=123456789012 region=us-east-1
ecr_host=$account.dkr.ecr.$region.amazonaws.com

# moto, with what seedfarmer/aws.py corrects in it; of images it knows what the registry at `ecr.address` has.
start_aws() {
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=$region
    background moto "$venv/bin/python" tests/interop/seedfarmer/aws.py "$work/ecr.address"
    AWS_ENDPOINT_URL=$(first_line "$work/moto.out")
    export AWS_ENDPOINT_URL
}

# ECR: its own API from moto, and behind its host name a docker-registry, which only lets in who has the password
# that the API gives. The clients of others find that password in DOCKER_CONFIG.
start_ecr() {
    local password
    start_aws
    password=$("$venv/bin/python" -c 'import base64, boto3
token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
print(base64.b64decode(token).decode().partition(":")[2])')
    # shellcheck disable=SC2016 # Perl's
    perl -e 'print "AWS:", crypt($ARGV[0], q($2y$05$) . "a" x 22), "\n"' "$password" >"$work/htpasswd"
    serve_distribution ecr "$registry_program" "{htpasswd: {realm: ecr, path: $work/htpasswd}}"
    echo "$address" >"$work/ecr.address"
    mkdir -p "$DOCKER_CONFIG"
    jq -n --arg host "$address" --arg auth "$(printf 'AWS:%s' "$password" | base64 -w0)" \
        '{auths: {($host): {auth: $auth}}}' >"$DOCKER_CONFIG/config.json"
}
