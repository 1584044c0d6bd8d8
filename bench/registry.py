"""The registries on both ends, CNCF distribution 2.8.2 of Debian, and what their access logs say."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
from pathlib import Path

# The most seconds that a server lives if it is not ended.
LIFE = 3000
MANIFESTS = ", ".join((
    "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"))
LINE = re.compile(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/[\d.]+" (\d+) (\d+)')
KINDS = ("ping", "HEAD manifest", "GET manifest", "HEAD blob", "GET blob", "mount", "POST upload", "PATCH upload",
         "PUT upload", "PUT manifest", "other")


def find_program(cache: Path) -> Path | None:
    """The program: installed, unpacked by the interop tests or by an earlier run, or unpacked now. Not installed,
    because Debian's package would start a service."""
    found = shutil.which("docker-registry")
    if found:
        return Path(found)
    for folder in (cache.parent / "replicator-interop", cache):
        program = folder / "docker-registry/usr/bin/docker-registry"
        if program.exists():
            return program
    work = cache / "docker-registry.download"
    work.mkdir(parents=True, exist_ok=True)
    quiet = {"cwd": work, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(["apt-get", "-qq", "download", "docker-registry"], **quiet).returncode == 0:
        package = next(work.glob("docker-registry_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package, cache / "docker-registry"], check=True)
    shutil.rmtree(work)
    return program if program.exists() else None


def cpu_of(process):
    """CPU seconds of a process so far, without those that it started."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Registry:
    """One server over `storage`, on `host`; `inside` is the command that starts it in a network
    namespace, and `within` makes sockets there."""

    def __init__(self, program, storage, work: Path, name, host="127.0.0.1", inside=(), within=None):
        self.log = work / f"{name}.access"
        errors = work / f"{name}.log"
        settings = work / f"{name}.yml"
        with within() if within else contextlib.nullcontext(), socket.create_server((host, 0)) as free:
            self.address = "%s:%d" % free.getsockname()
        # As Debian ships it, except for the place, and for the log of requests as JSON, which costs more than they do;
        # the access log stays.
        settings.write_text(
            f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: false}}}}\n"
            f"storage:\n  cache: {{blobdescriptor: inmemory}}\n  filesystem: {{rootdirectory: {storage}}}\n"
            f"http: {{addr: \"{self.address}\", secret: bench}}\n")
        with open(self.log, "wb") as out, open(errors, "wb") as err:
            self.process = subprocess.Popen([*inside, "timeout", str(LIFE), str(program), "serve", str(settings)],
                                            stdout=out, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
        for _ in range(200):
            try:
                with within() if within else contextlib.nullcontext():
                    socket.create_connection((host, int(self.address.split(":")[1])), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            self.end()
            raise RuntimeError(f"the registry does not start: {errors.read_text()}")
        self.seen = 0

    def end(self):
        # `timeout` passes the signal on to the server.
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu(self):
        """CPU seconds of the server so far. It is what `timeout` has started."""
        first = self.process.pid
        try:
            children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
            return sum(cpu_of(child) for child in children)
        except OSError:
            return 0.0

    def forget(self):
        self.seen = self.log.stat().st_size

    def counted(self, sizes):
        """What was asked since `forget`: requests by kind, bytes of content out and in. `sizes`: of blobs by digest;
        the log has the bytes of answers, those of uploads follow from the digest in the closing request."""
        with open(self.log, "rb") as file:
            file.seek(self.seen)
            text = file.read().decode()
        kinds = dict.fromkeys(KINDS, 0)
        out = into = 0
        for method, uri, status, size in LINE.findall(text):
            path, _, query = uri.partition("?")
            query = urllib.parse.parse_qs(query)
            if path.rstrip("/") == "/v2":
                kind = "ping"
            elif "/blobs/uploads" in path:
                kind = "mount" if method == "POST" and "mount" in query else f"{method} upload"
                if method == "PUT" and status == "201":
                    into += sizes.get(query.get("digest", [""])[0], 0)
            else:
                kind = f"{method} manifest" if "/manifests/" in path else f"{method} blob" if "/blobs/" in path else "other"
            kinds[kind if kind in kinds else "other"] += 1
            if method == "GET":
                out += int(size)
        return {"kinds": {k: n for k, n in kinds.items() if n}, "requests": sum(kinds.values()), "out": out, "in": into}


def wrong_tags(address, artifacts, client=http.client.HTTPConnection):
    """The artifacts whose tag at `address` is not the digest it should be. The registry takes a manifest only when all
    it names is there, so that a right digest means a whole image."""
    connection = client(address, timeout=20)
    wrong = []
    for artifact in artifacts:
        connection.request("HEAD", f"/v2/{artifact['name']}/manifests/{artifact['tag']}", headers={"Accept": MANIFESTS})
        answer = connection.getresponse()
        answer.read()
        if answer.getheader("Docker-Content-Digest") != artifact["digest"]:
            wrong.append(f"{artifact['name']}:{artifact['tag']}")
    connection.close()
    return wrong
