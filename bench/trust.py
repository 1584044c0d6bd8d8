#!/usr/bin/env python3
"""What verifying sources costs over the shaped link: `deploy` with `Trust: off` and with `require`, in turn.

    python3 bench/trust.py [--runs N] [--mib N]

The corpus are the benchmark's 68 images, each signed by a key under cosign's tag, 256 MiB in all. Needs root for the link,
the program in REPLICATOR, and a Python with `cryptography` (that of the interop tests).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "tests/interop")]

from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

import corpus  # noqa: E402
import link as links  # noqa: E402
import registry  # noqa: E402
import sigstore  # noqa: E402

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "replicator-bench"
RATE, ROUND_TRIP, IMAGES = 25_000_000, 0.040, 68
MODES = ("off", "require")


def signed(program, content, storage, work):
    """Signs every image of a copy of the corpus; gives the public key."""
    subprocess.run(["cp", "-a", content.storage, storage], check=True)
    key = ec.generate_private_key(ec.SECP256R1())
    server = registry.Registry(program, storage, work, "signing")
    try:
        for image in content.artifacts:
            by = sigstore.Keyed(lambda data: sigstore.sign(key, data), image["digest"])
            sigstore.push(f"{server.address}/{image['name']}", image["digest"], "tag", by)
    finally:
        server.end()
    return key.public_key().public_bytes(serialization.Encoding.PEM, sigstore.SPKI).decode()


def data_files(folder, content, source, key):
    folder.mkdir(exist_ok=True)
    images = "".join(f"  image{n}: \"{source}/{a['name']}:{a['tag']}\"\n" for n, a in enumerate(content.artifacts))
    rule = f"trust:\n  - match: \"*\"\n    cosign:\n      key: {json.dumps(key)}\n"
    (folder / "default.yaml").write_text(f"additional_images:\n{images}{rule}")
    (folder / "1.34.yaml").write_text("ami: {}\n")


def deploy(ours, mode, work, link, source, target):
    """One deployment with spawn.py's figures."""
    home, result = work / "home", work / "figures"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    command = [*link.inside(link.client), sys.executable, "-I", "-S", str(BENCH / "spawn.py"), str(result), "300",
               ours, "deploy", "--eks-version", "1.34", "--data-dir", str(work / "data"), "--out", str(home / "out"),
               "--registry-prefix", f"{target.address}/copies/", "--plain-http", source.address,
               "--plain-http", target.address, "--trust", mode]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], "HOME": str(home)}, capture_output=True, text=True)
    figures = json.loads(result.read_text())
    if figures["exit"] != 0:
        sys.exit(f"{mode}: {done.stderr}")
    return figures


def measure(options, ours, program, work, link):
    content = corpus.images(CACHE, options.mib * corpus.MIB, IMAGES)
    key = signed(program, content, work / "source", work)
    place = (links.SERVER, link.inside(link.server), lambda: links.within(link.server))
    source = registry.Registry(program, work / "source", work, "source", *place)
    runs = {mode: [] for mode in MODES}
    try:
        data_files(work / "data", content, source.address, key)
        for number in range(options.runs):
            for mode in MODES if number % 2 == 0 else reversed(MODES):
                storage = work / "target"
                shutil.rmtree(storage, ignore_errors=True)
                storage.mkdir()
                target = registry.Registry(program, storage, work, "target", *place)
                try:
                    source.forget()
                    figures = deploy(ours, mode, work, link, source, target)
                    figures["requests"] = source.counted(content.blobs)["requests"]
                finally:
                    target.end()
                runs[mode].append(figures)
                print(f"{mode:8} {figures['wall']:6.2f} s {figures['cpu']:6.2f} CPU s {figures['requests']} requests", flush=True)
    finally:
        source.end()
    return runs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=256)
    options = parser.parse_args()
    if why := links.Link.impossible():
        sys.exit(f"there is no shaped link here: {why}")
    CACHE.mkdir(parents=True, exist_ok=True)
    ours, program = os.environ.get("REPLICATOR"), registry.find_program(CACHE)
    if not ours or not program:
        sys.exit("REPLICATOR names the program, and docker-registry is needed")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        work = Path(folder)
        link = links.Link(work, RATE, ROUND_TRIP)
        try:
            runs = measure(options, str(Path(ours).resolve()), program, work, link)
        finally:
            link.end()
    middle = {mode: statistics.median(run["wall"] for run in runs[mode]) for mode in MODES}
    requests = {mode: statistics.median(run["requests"] for run in runs[mode]) for mode in MODES}
    more = (middle["require"] / middle["off"] - 1) * 100
    print(f"medians: off {middle['off']:.2f} s, require {middle['require']:.2f} s ({more:+.1f} %); requests to the source: "
          f"{requests['off']:.0f} and {requests['require']:.0f}; load {os.getloadavg()[0]:.1f}")


main()
