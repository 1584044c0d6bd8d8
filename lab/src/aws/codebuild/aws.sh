#!/bin/bash
# What a buildspec needs of the AWS CLI, which the machine of a test need not have:
#   aws s3 cp [--only-show-errors|--quiet|--no-progress] s3://BUCKET/KEY FILE

fail() {
    echo "fatal error: $1" >&2
    exit 1
}

[[ "$1 $2" == "s3 cp" ]] || fail "the lab has no: aws $*"
shift 2
places=()
for argument; do
    case $argument in
        --only-show-errors | --quiet | --no-progress) ;;
        --*) fail "the lab has no option $argument" ;;
        *) places+=("$argument") ;;
    esac
done
[[ ${#places[@]} == 2 && ${places[0]} == s3://*/* ]] || fail "wanted: aws s3 cp s3://BUCKET/KEY FILE"
source=${places[0]} file=${places[1]}
[[ -d $file ]] && file=$file/${source##*/}
[[ $AWS_ENDPOINT_URL =~ ^http://([^:/]+):([0-9]+)/?$ ]] || fail "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL"
host=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}

exec 3<>"/dev/tcp/$host/$port" || fail "no connection to $host:$port"
printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${source#s3://}" "$host:$port" >&3
read -r _ status _ <&3
length=
while IFS= read -r line <&3 && [[ $line != $'\r' ]]; do
    [[ ${line,,} =~ ^content-length:\ *([0-9]+) ]] && length=${BASH_REMATCH[1]}
done
[[ $status == 200 ]] || fail "An error occurred ($status) when calling the GetObject operation: $source"
# read took no byte more than the headers: from here on they are the object's.
cat <&3 >"$file" || fail "cannot write $file"
[[ -z $length || $(wc -c <"$file") -eq $length ]] || fail "the connection broke within $source"
