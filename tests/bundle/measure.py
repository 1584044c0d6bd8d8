#!/usr/bin/env python3
"""How fast a bundle is saved and loaded, beside a plain copy of the same images, and in how much memory.

    measure.py REPLICATOR LAB_REGISTRY [--mebibytes 1024] [--rounds 3] [--folder DIR]

A registry of the lab serves the images over loopback. In each round come, one after the other: `copy` from the registry
into a folder and `save` into a file; `copy` from the folder into a folder and `load` of the file into a folder; `copy` from
the folder into a registry and `load` into a registry. The speed of a pair is the time of the copy by that of the bundle;
what counts is the median over the rounds. Exit code 1 if more than 64 MiB of memory were used."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

MEBIBYTE = 1 << 20
LIMIT = 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layout:
    """An image layout that is written."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.manifests = []

    def blob(self, media_type, pieces):
        """Adds a blob; returns its descriptor."""
        hasher, size, path = sha256(), 0, self.folder / "blobs/new"
        with path.open("wb") as file:
            for piece in pieces:
                hasher.update(piece)
                size += len(piece)
                file.write(piece)
        path.rename(self.folder / "blobs/sha256" / hasher.hexdigest())
        return {"mediaType": media_type, "digest": f"sha256:{hasher.hexdigest()}", "size": size}

    def image(self, name, layers):
        """Adds an image with layers of so many MiB of random bytes."""
        described = [self.blob(LAYER, (os.urandom(MEBIBYTE) for _ in range(size))) for size in layers]
        config = self.blob(CONFIG, [json.dumps({"architecture": "amd64", "os": "linux", "n": name}).encode()])
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
        descriptor = self.blob(MANIFEST, [json.dumps(manifest).encode()])
        self.manifests.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests}
        (self.folder / "index.json").write_text(json.dumps(index))


class Bench:
    """Commands with their time and peak memory."""

    def __init__(self, program, registry, folder):
        self.program, self.registry, self.folder = Path(program).resolve(), Path(registry).resolve(), folder
        self.seconds, self.cpu, self.peaks = {}, {}, {}

    def serve(self):
        """An empty registry: the process and its host."""
        process = subprocess.Popen([self.registry, "7200"], stdout=subprocess.PIPE, text=True)
        return process, process.stdout.readline().strip()

    def run(self, what, *arguments):
        """Runs a command; `what` is the name of its figures, or none."""
        log = (self.folder / "log").open("w+")
        started = time.monotonic()
        process = subprocess.Popen([self.program, "--progress", "none", *map(str, arguments)], stdout=log, stderr=log,
                                   cwd=self.folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - started
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"bundle-check: {' '.join(map(str, arguments))}: exit code {process.returncode}\n{log.read()}")
        if what:
            self.seconds.setdefault(what, []).append(took)
            self.cpu.setdefault(what, []).append(usage.ru_utime + usage.ru_stime)
            self.peaks[what] = max(self.peaks.get(what, 0), usage.ru_maxrss // 1024)

    def remove(self, *names):
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).unlink(missing_ok=True)

    def pairs(self, name, pairs):
        """A list for `copy`."""
        (self.folder / name).write_text(json.dumps([{"src": src, "target": target} for src, target in pairs]))
        return name


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("replicator")
    parser.add_argument("lab_registry")
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=None, help="where the files go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        bench = Bench(given.replicator, given.lab_registry, Path(folder))
        measure(bench, given.mebibytes, given.rounds)
    report(bench, given.mebibytes)


def measure(bench, mebibytes, rounds):
    # A big image with one large layer, and the rest in layers of 50 MiB.
    big, small = mebibytes // 2, 50
    images = {"big": [big], **{f"app{n}": [small, 1] for n in range((mebibytes - big) // (small + 1))}}
    layout = Layout(bench.folder / "made")
    for name, layers in images.items():
        layout.image(name, layers)
    source, host = bench.serve()
    try:
        pushed = [(f"oci:made:{name}", f"{host}/team/{name}:1") for name in images]
        bench.run(None, "copy", "--list", bench.pairs("push.json", pushed))
        bench.remove("made")
        versions = bench.folder / "data"
        versions.mkdir()
        listed = "".join(f"  {name}: quay.io/team/{name}:1\n" for name in images)
        (versions / "default.yaml").write_text("charts: {}\nadditional_images:\n" + listed)
        (versions / "1.34.yaml").write_text("ami: {version: 1.34.0}\n")
        for number in range(rounds):
            turn(bench, host, list(images), number % 2 == 1)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    finally:
        source.kill()
        source.wait()


def turn(bench, host, names, is_bundle_first):
    """One round; which of a pair comes first alternates."""

    def both(*steps):
        for step in reversed(steps) if is_bundle_first else steps:
            os.sync()
            step()

    def copy(what, name, pairs):
        return lambda: bench.run(what, "copy", "--list", bench.pairs(name, pairs))

    save = ["save", "--eks-version", "1.34", "--data-dir", "data", "--endpoint", f"quay.io=http://{host}", "bundle.tar"]
    bench.remove("plain", "bundle.tar")
    from_registry = [(f"{host}/team/{name}:1", f"oci:plain:{name}") for name in names]
    both(copy("copy: registry to folder", "a.json", from_registry), lambda: bench.run("save: registry to file", *save))

    load = ["load", "bundle.tar", "--out", "out", "--registry-prefix"]
    from_folder = [(f"oci:plain:{name}", f"oci:again:{name}") for name in names]
    both(copy("copy: folder to folder", "b.json", from_folder),
         lambda: bench.run("load: file to folder", *load, "oci:loaded"))
    bench.remove("again", "loaded", "out")

    (one, first), (other, second) = bench.serve(), bench.serve()
    try:
        to_registry = [(f"oci:plain:{name}", f"{first}/team/{name}:1") for name in names]
        both(copy("copy: folder to registry", "c.json", to_registry),
             lambda: bench.run("load: file to registry", *load, f"{second}/mirror/"))
    finally:
        for process in (one, other):
            process.kill()
            process.wait()
    bench.remove("out")


def report(bench, mebibytes):
    median = {what: statistics.median(took) for what, took in bench.seconds.items()}
    print(f"{mebibytes} MiB, median of {len(next(iter(bench.seconds.values())))} rounds, load {os.getloadavg()[0]:.0f}")
    for what, seconds in median.items():
        every = " ".join(f"{took:.1f}" for took in bench.seconds[what])
        print(f"{what:26} {seconds:6.1f} s  {mebibytes / seconds:5.0f} MiB/s  {statistics.median(bench.cpu[what]):5.1f} s of CPU  "
              f"{bench.peaks[what]:3} MiB of memory  ({every})")
    for plain, bundle in [("copy: registry to folder", "save: registry to file"),
                          ("copy: folder to folder", "load: file to folder"),
                          ("copy: folder to registry", "load: file to registry")]:
        ratios = [one / other for one, other in zip(bench.seconds[plain], bench.seconds[bundle])]
        cpu = [one / other for one, other in zip(bench.cpu[plain], bench.cpu[bundle])]
        print(f"{bundle} beside {plain}: {statistics.median(ratios):.2f} of its speed, "
              f"{statistics.median(cpu):.2f} by CPU time")
    most = max(bench.peaks[what] for what in bench.peaks if not what.startswith("copy"))
    if most >= LIMIT:
        sys.exit(f"bundle-check: {most} MiB of memory, {LIMIT} are allowed")


if __name__ == "__main__":
    main()
