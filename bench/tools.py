"""The programs that are compared, each in the best configuration that we found for copying a list of images.

A tool that copies one image per run goes over the list with xargs: four runs at once. More do not help on two cores.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

PINNED = {
    "crane": ("github.com/google/go-containerregistry/cmd/crane", "v0.22.1"),
    "oras": ("oras.land/oras/cmd/oras", "v1.3.6"),
    "regctl": ("github.com/regclient/regclient/cmd/regctl", "v0.11.7"),
    "regsync": ("github.com/regclient/regclient/cmd/regsync", "v0.11.7"),
}
PARALLEL = 4


class Job:
    """What one run has to do. `home` is its own folder, with everything that a tool keeps between runs."""

    def __init__(self, artifacts, source, target, home: Path):
        self.source, self.target, self.home = source, target, home
        self.pairs = [(f"{source}/{a['name']}:{a['tag']}", f"{target}/{a['name']}:{a['tag']}") for a in artifacts]

    def write(self, name, text) -> str:
        path = self.home / name
        path.write_text(text)
        return str(path)

    def each(self, parallel, *command, prefix=""):
        lines = "".join(f"{prefix}{source} {prefix}{target}\n" for source, target in self.pairs)
        return ["xargs", "-a", self.write("list", lines), "-n", "2", "-P", str(parallel), *command]


class Tool:
    def __init__(self, name, command, version, scenarios=None, links=None, once=False, prepare=None, is_hook=False):
        """`command`: from a job to the words that do it. `scenarios`, `links`: where it takes part; None is all.
        `once`: it is not repeated, because no goal asks for it. `prepare`: words that run before, unmeasured.
        `is_hook`: it was given from outside."""
        self.name, self.command, self.version, self.once = name, command, version, once
        self.prepare, self.is_hook = prepare, is_hook
        self.scenarios, self.links = scenarios, links

    def takes_part(self, link, scenario):
        return (self.scenarios is None or scenario in self.scenarios) and (self.links is None or link in self.links)


def environment(home: Path):
    """Nothing of this machine's user: no logins, no caches but those in `home`."""
    for part in ("tmp", "run"):
        (home / part).mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(home / "run"), "DOCKER_CONFIG": str(home / ".docker"),
        # Or skopeo, started by root, would use and keep the machine's own cache.
        "_CONTAINERS_ROOTLESS_UID": "1000",
    }


def _said(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[0].strip()


def _built(cache: Path, name):
    """Path and version of a pinned Go program, built once; the reason as a string where it cannot be had."""
    package, version = PINNED[name]
    for folder in (cache.parent / f"replicator-interop/{name}-{version}", cache / f"tools/{name}-{version}"):
        if (folder / name).exists():
            return folder / name, version
    go = shutil.which("go")
    if not go:
        return "there is no Go to build it with", None
    print(f"building {name} {version}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["nice", "timeout", "1200", go, "install", "-ldflags=-s -w", f"{package}@{version}"], cwd=folder, text=True,
        capture_output=True, env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-trimpath"})
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["go install failed"])[-1], None
    return folder / name, version


def _ours(program, *flags):
    def command(job):
        pairs = json.dumps([{"src": source, "target": target} for source, target in job.pairs])
        return [program, "copy", "--list", job.write("list.json", pairs), *_plain(job), *flags]
    return command


def _plain(job):
    return [word for host in (job.source, job.target) for word in ("--plain-http", host)]


def _data(job):
    """The same images in a data file: names of Docker Hub, which are read from the source."""
    folder = job.home / "data"
    folder.mkdir(exist_ok=True)
    names = {f"image-{number}": source.split("/", 1)[1] for number, (source, _) in enumerate(job.pairs)}
    # JSON is YAML.
    data = {"docker_mappings": {"docker.io": job.source}, "additional_images": names}
    (folder / "default.yaml").write_text(json.dumps(data))
    (folder / "1.34.yaml").write_text("ami: {}\n")
    return ["--data-dir", str(folder), "--eks-version", "1.34", "--lock", str(job.home / "lock.json"), *_plain(job)]


def _lock(program):
    return lambda job: [program, "lock", *_data(job)]


def _locked(program):
    return lambda job: [program, "deploy", *_data(job), "--registry-prefix", f"{job.target}/",
                        "--out", str(job.home / "out")]


def _skopeo(parallel):
    return lambda job: job.each(
        parallel, "skopeo", "--insecure-policy", "copy", "--all", "--quiet", "--src-tls-verify=false",
        "--dest-tls-verify=false", prefix="docker://")


def _regsync(program):
    def command(job):
        settings = {
            "version": 1,
            "creds": [{"registry": host, "tls": "disabled", "reqConcurrent": 8} for host in (job.source, job.target)],
            "defaults": {"parallel": 8},
            "sync": [{"source": source, "target": target, "type": "image"} for source, target in job.pairs],
        }
        # JSON is YAML.
        return [program, "once", "-v", "warn", "-c", job.write("regsync.yml", json.dumps(settings))]
    return command


def _regctl(program):
    def command(job):
        hosts = [word for host in (job.source, job.target) for word in ("--host", f"reg={host},tls=disabled")]
        return job.each(PARALLEL, program, "image", "copy", *hosts)
    return command


def _hook(program):
    """Any other tool: gets a file of "source target" lines, and the two addresses in its environment."""
    def command(job):
        words = job.write("pairs", "".join(f"{source} {target}\n" for source, target in job.pairs))
        return ["env", f"BENCH_SOURCE={job.source}", f"BENCH_TARGET={job.target}", program, words]
    return command


def find(cache: Path, ours: str):
    """All tools that can be had, and the others by name with the reason."""
    tools, skipped = [], {}
    version = _said(ours, "--version").split()[-1]
    # The peers leave signatures and other referrers behind unless told otherwise, so the first one does the same work.
    tools.append(Tool("ours", _ours(ours, "--no-referrers"), version))
    tools.append(Tool("ours, with referrers", _ours(ours), version, once=True))
    # A deployment of what a lock has: it asks the sources nothing. No peer has locks.
    tools.append(Tool("ours, locked", _locked(ours), version, scenarios=("warm",), prepare=_lock(ours)))
    if shutil.which("skopeo"):
        version = _said("skopeo", "--version").split()[-1]
        # One after the other, as its manual shows it; that this is slow needs to be shown only once.
        tools.append(Tool("skopeo", _skopeo(1), version, scenarios=("cold", "warm"), links=("plain",), once=True))
        tools.append(Tool("skopeo -P4", _skopeo(PARALLEL), version))
    else:
        skipped["skopeo"] = "it is not installed"
    builders = {
        "crane": lambda p: lambda job: job.each(PARALLEL, p, "copy", "--insecure", "--jobs", "4"),
        "oras": lambda p: lambda job: job.each(
            PARALLEL, p, "cp", "--no-tty", "--from-plain-http", "--to-plain-http", "--concurrency", "5"),
        "regctl": _regctl, "regsync": _regsync,
    }
    for name, builder in builders.items():
        program, version = _built(cache, name)
        if version is None:
            skipped[name] = program
        else:
            tools.append(Tool(name if name == "regsync" else f"{name} -P4", builder(str(program)), version))
    for program in filter(None, os.environ.get("BENCH_PEERS", "").split(os.pathsep)):
        if os.access(program, os.X_OK):
            tools.append(Tool(Path(program).name, _hook(str(Path(program).resolve())), "given", is_hook=True))
        else:
            skipped[Path(program).name] = "it cannot be executed"
    if not any(name.startswith("ocync") for name in [*skipped, *(tool.name for tool in tools)]):
        skipped["ocync"] = "no program of this name in BENCH_PEERS"
    return tools, skipped
