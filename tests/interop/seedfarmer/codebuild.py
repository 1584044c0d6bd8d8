#!/usr/bin/env python3
"""Runs builds as AWS CodeBuild does, on this machine, because moto only says that they succeeded.

    codebuild.py FOLDER MOTO_URL SEEDFARMER_VENV

Answers StartBuild and BatchGetBuilds, hands everything else to moto, and prints its own address. For each build it
makes FOLDER/<number>/: `request.json` (StartBuild as it came), `src/` (the unpacked bundle), `home/`, `log`.

The commands run one after the other in one shell, the first that fails ends its phase and the build. In the
environment there is what StartBuild brings, what CodeBuild and Seed-Farmer's CodeBuild project add, and where moto
is; credentials come from a container endpoint, as in CodeBuild. Two things are not CodeBuild's: `pip` and `uv` are
stand-ins that hand out SEEDFARMER_VENV instead of fetching it, and /var/scripts is a folder in `home/`.
"""

import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import boto3
import yaml

ACCOUNT, REGION = "123456789012", "us-east-1"
PHASES = ("install", "pre_build", "build", "post_build")
UV = """#!/bin/sh
case "$1" in
venv) mkdir -p "$HOME/.venv/bin"; ln -sf "{venv}"/bin/python* "$HOME/.venv/bin/"
    echo 'PATH=$HOME/.venv/bin:$PATH' >"$HOME/.venv/bin/activate" ;;
tool) mkdir -p "$HOME/.local/bin"; ln -sf "{venv}/bin/seedfarmer" "$HOME/.local/bin/" ;;
esac
"""


class Builds:
    def __init__(self, folder, moto, venv):
        self.folder, self.moto, self.venv = folder, moto, venv
        self.builds = {}
        self.lock = threading.Lock()

    def start(self, request, address):
        with self.lock:
            number = len(self.builds) + 1
            build = {
                "id": f"{request['projectName']}:{number}", "startTime": time.time(), "phases": [],
                "buildStatus": "IN_PROGRESS", "currentPhase": "BUILD", "logs": {"cloudWatchLogs": {"status": "DISABLED"}},
            }
            self.builds[build["id"]] = build
        place = self.folder / str(number)
        (place / "src").mkdir(parents=True)
        (place / "home").mkdir()
        (place / "request.json").write_text(json.dumps(request, indent=1))
        threading.Thread(target=self.run, args=(build, request, place, address), daemon=True).start()
        return {"build": build}

    def run(self, build, request, place, address):
        try:
            succeeded = self.execute(build, request, place, address)
        except Exception as error:  # whatever it is, Seed-Farmer must not wait for ever
            with open(place / "log", "a", encoding="utf-8") as log:
                print(f"codebuild.py: {error!r}", file=log)
            succeeded = False
        build |= {"endTime": time.time(), "currentPhase": "COMPLETED",
                  "buildStatus": "SUCCEEDED" if succeeded else "FAILED"}

    def execute(self, build, request, place, address):
        bucket, key = request["sourceLocationOverride"].split("/", 1)
        client = boto3.client("s3", endpoint_url=self.moto, region_name=REGION)
        bundle = zipfile.ZipFile(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read()))
        for entry in bundle.infolist():
            path = bundle.extract(entry, place / "src")
            if mode := entry.external_attr >> 16 & 0o777:
                os.chmod(path, mode)

        tools = place / "tools"
        tools.mkdir()
        for name, text in (("pip", "#!/bin/sh\n"), ("uv", UV.format(venv=self.venv))):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)

        script = ["fail() { echo \"codebuild.py: phase $1, command $2: exit code $3\"; exit 1; }"]
        for phase in PHASES:
            commands = yaml.safe_load(request["buildspecOverride"])["phases"].get(phase, {}).get("commands", [])
            for number, command in enumerate(commands):
                file = place / "commands" / f"{phase}-{number:02}.bash"
                file.parent.mkdir(exist_ok=True)
                file.write_text(command.replace("/var/scripts", str(place / "home/scripts")) + "\n")
                script.append(f". {file} || fail {phase} {number} $?")
        (place / "build.bash").write_text("\n".join(script) + "\n")

        environment = {
            "HOME": str(place / "home"), "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ACCOUNT_ID": ACCOUNT,
            "AWS_CODESEEDER_NAME": request["projectName"], "AWS_CODESEEDER_DOCKER_SECRET": "NONE",
            "AWS_CODESEEDER_PYPI_MIRROR_SECRET": "NONE", "AWS_CODESEEDER_NPM_MIRROR_SECRET": "NONE",
            "CODEBUILD_SRC_DIR": str(place / "src"), "CODEBUILD_BUILD_ID": build["id"],
            "CODEBUILD_BUILD_ARN": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:build/{build['id']}",
            "CODEBUILD_BUILD_URL": f"https://{REGION}.console.aws.amazon.com/codebuild/{build['id']}",
            "CODEBUILD_PROJECT_ARN": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{request['projectName']}",
            "CODEBUILD_SOURCE_REPO_URL": request["sourceLocationOverride"],
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{address}/credentials",
            "AWS_ENDPOINT_URL": self.moto,
        }
        environment |= {item["name"]: item["value"] for item in request.get("environmentVariablesOverride", [])}
        with open(place / "log", "wb") as log:
            done = subprocess.run(["bash", str(place / "build.bash")], cwd=place / "src", env=environment,
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=600, check=False)
        return done.returncode == 0


class Handler(http.server.BaseHTTPRequestHandler):
    builds = None

    def do_GET(self):
        key = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x" * 40, "Token": "token",
               "Expiration": "2099-01-01T00:00:00Z"}
        self.answer(200, json.dumps(key).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if action == "StartBuild":
            address = f"http://127.0.0.1:{self.server.server_address[1]}"
            answer = self.builds.start(json.loads(body), address)
        elif action == "BatchGetBuilds":
            answer = {"builds": [self.builds.builds[name] for name in json.loads(body)["ids"] if name in self.builds.builds]}
        else:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
            try:
                with urllib.request.urlopen(urllib.request.Request(self.builds.moto, body, headers)) as response:
                    self.answer(response.status, response.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read())
            return
        self.answer(200, json.dumps(answer).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    folder, moto, venv = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    Handler.builds = Builds(folder, moto, venv)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
