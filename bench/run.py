#!/usr/bin/env python3
"""Compares `replicator copy` with other tools: see docs/internals/benchmarks.md.

    python3 bench/run.py [--quick] [--only cold,warm] [--tools ours,skopeo] [--runs N] [--link plain|shaped|both] [--write]
    python3 bench/run.py --link plain --minutes 9 --write            # less than 12 minutes
    python3 bench/run.py --link shaped --lean --minutes 12 --write   # less than 15 minutes

REPLICATOR=PROGRAM      the program to measure, instead of building it
BENCH_PEERS=PROGRAM     further tools, separated by colons; each gets a file of "source target" lines
BENCH_STORAGE=FOLDER    where the registries keep their files; by default a folder in memory, if there is room
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH))

import corpus  # noqa: E402
import link as links  # noqa: E402
import registry  # noqa: E402
import table  # noqa: E402
import tools as peers  # noqa: E402

MIB = 1 << 20
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "replicator-bench"
DOCUMENT = BENCH.parent / "docs/internals/benchmarks.md"
SCENARIOS = ("cold", "warm", "changed", "big", "small")
RATE = 25_000_000  # bytes a second: 200 Mbit/s, which two cores and a process that carries packets handle easily
ROUND_TRIP = 0.040
FAR = 1.4  # a peer that takes so many times what the best takes is measured once
# The corpora's sizes: bytes and number of the images, bytes of the big layer, number of small artifacts.
FULL = {"plain": (1024 * MIB, 68), "shaped cold": (1024 * MIB, 68), "shaped": (256 * MIB, 68),
        "big plain": 2048 * MIB, "big shaped": 128 * MIB, "small": 300}
QUICK = {"plain": (64 * MIB, 12), "shaped cold": (64 * MIB, 6), "shaped": (32 * MIB, 12),
         "big plain": 256 * MIB, "big shaped": 32 * MIB, "small": 24}


class Bench:
    def __init__(self, options):
        self.options = options
        self.sizes = QUICK if options.quick else FULL
        self.started = time.monotonic()
        self.deadline = self.started + 60 * options.minutes
        self.work = Path(tempfile.mkdtemp(prefix="bench-", dir=CACHE))
        self.storage = self._storage()
        self.link, self.measured, self.notes = None, None, []
        self.runs, self.contents, self.bytes = [], {}, {}
        self.slow = set()
        self.raw = open(CACHE / "runs.jsonl", "a")

    def _storage(self):
        """In memory where there is room: the disk's moods are none of the tools' doing."""
        given = os.environ.get("BENCH_STORAGE")
        memory = Path("/dev/shm")
        if given:
            parent = Path(given)
        else:
            available = int(re.search(r"MemAvailable: *(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
            needed = 2 * self.sizes["big plain"] + 512 * MIB
            parent = memory if memory.is_dir() and min(available, shutil.disk_usage(memory).free) > needed else self.work
        return Path(tempfile.mkdtemp(prefix="bench-storage-", dir=parent))

    def end(self):
        if self.link:
            self.link.end()
        shutil.rmtree(self.storage, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)
        self.raw.close()

    def corpora(self, where, scenario):
        """What the target has at the start, and what is to be copied."""
        if scenario == "big":
            return None, corpus.big(CACHE, self.sizes[f"big {where}"])
        if scenario == "small":
            return None, corpus.small(CACHE, self.sizes["small"])
        if scenario == "cold":
            return None, corpus.images(CACHE, *self.sizes.get(f"{where} cold", self.sizes[where]))
        images = corpus.images(CACHE, *self.sizes[where])
        return images, images if scenario == "warm" else corpus.changed(CACHE, *self.sizes[where])

    def scenario(self, where, scenario, tools, number):
        """Every tool once, in random order."""
        before, content = self.corpora(where, scenario)
        new = content.bytes - sum(size for digest, size in before.blobs.items() if digest in content.blobs) if before else content.bytes
        self.bytes[where, scenario] = new
        self.contents[where, scenario] = (
            f"{len(content.artifacts)} artifacts, {content.manifests} manifests, {len(content.blobs)} distinct contents, "
            f"{content.bytes / 1e6:.0f} MB, of which the target lacks {new / 1e6:.1f} MB.")
        content.read_through()
        place = ("127.0.0.1",)
        if where == "shaped":
            place = (links.SERVER, self.link.inside(self.link.server), lambda: links.within(self.link.server))
        source = registry.Registry(self.program, content.storage, self.work, "source", *place)
        try:
            random.shuffle(tools)
            for tool in tools:
                if tool.takes_part(where, scenario) and (where, scenario, tool.name) not in self.slow:
                    self.run(where, scenario, tool, number, before, content, source, place)
        finally:
            source.end()

    def run(self, where, scenario, tool, number, before, content, source, place):
        home, storage = self.work / "home", self.storage / "target"
        for folder in (home, storage):
            shutil.rmtree(folder, ignore_errors=True)
        home.mkdir()
        if before:
            subprocess.run(["cp", "-a", before.storage, storage], check=True)
        else:
            storage.mkdir()
        target = registry.Registry(self.program, storage, self.work, "target", *place)
        try:
            job = peers.Job(content.artifacts, source.address, target.address, home)
            if scenario == "warm" and tool.name not in table.OURS:
                self.spawn(where, tool, job)  # its caches may be warm, ours are absent
            source.forget()
            target.forget()
            if tool.prepare:
                prepared = self.spawn(where, tool, job, tool.prepare)
                source.forget()
                target.forget()
            carried = self.link.carried() if where == "shaped" else None
            before_run = source.cpu(), target.cpu(), machine_time()
            figures = self.spawn(where, tool, job)
            of_source, of_target = source.cpu() - before_run[0], target.cpu() - before_run[1]
            figures["servers cpu"] = of_source + of_target
            # A registry receives one blob in one thread.
            if scenario == "big":
                figures["one upload"] = of_target / figures["wall"]
            spent = [after - first for after, first in zip(machine_time(), before_run[2])]
            figures["busy"], figures["disk wait"] = spent[1] / max(spent[0], 1), spent[2] / max(spent[0], 1)
            if carried:
                moved = [after - first for after, first in zip(self.link.carried(), carried)]
                figures["carried"] = moved
                figures["link share"] = max(moved) / figures["wall"] / RATE
                figures["content share"] = self.bytes[where, scenario] / figures["wall"] / RATE
            time.sleep(0.05)  # the last lines of the logs
            figures["source"], figures["target"] = source.counted(content.blobs), target.counted(content.blobs)
            wrong = registry.wrong_tags(target.address, content.artifacts, self.reach(where))
        finally:
            target.end()
            shutil.rmtree(storage, ignore_errors=True)
        failed = None
        if tool.prepare and prepared["exit"] != 0:
            failed = f"preparing it failed: {prepared['said']}"
        elif figures["exit"] != 0:
            failed = "took too long" if figures["exit"] == -signal.SIGKILL else f"exit code {figures['exit']}: {figures['said']}"
        elif wrong:
            failed = f"{len(wrong)} tags are wrong at the target, {wrong[0]} is one"
        record = {"link": where, "scenario": scenario, "tool": tool.name, "version": tool.version, "round": number,
                  "quick": self.options.quick, "at": datetime.datetime.now().isoformat(timespec="seconds"),
                  "failed": failed, **figures}
        self.runs.append(record)
        self.raw.write(json.dumps(record) + "\n")
        self.raw.flush()
        if figures["wall"] > self.options.patience or failed or tool.once:
            self.slow.add((where, scenario, tool.name))
        print(f"{where:7}{scenario:8}{tool.name:22}{figures['wall']:8.2f} s {figures['cpu']:7.2f} CPU s "
              f"{figures['rss'] / MIB:5.0f} MiB {record['source']['requests']:6} + {record['target']['requests']:5} requests"
              f"{'  FAILED: ' + failed if failed else ''}", flush=True)

    def spawn(self, where, tool, job, words=None):
        result, output = self.work / "figures", self.work / "said"
        command = [sys.executable, "-I", "-S", str(BENCH / "spawn.py"), str(result), str(self.options.limit),
                   *map(str, (words or tool.command)(job))]
        inside = self.link.inside(self.link.client) if where == "shaped" else []
        with open(output, "wb") as said:
            child = subprocess.Popen([*inside, *command], env=peers.environment(job.home), cwd=job.home, stdout=said,
                                     stderr=said, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            child.wait(self.options.limit + 20)
        except BaseException:
            child.terminate()  # it ends the tool
            child.wait()
            raise
        lines = output.read_text(errors="replace").strip().splitlines() or [""]
        telling = [line for line in lines if re.search(r"(?i)error|fail|fatal", line)] or lines
        return {**json.loads(result.read_text()), "said": telling[-1][:300].replace("|", "/")}

    def reach(self, where):
        """How we ask the target, who is in another namespace when the link is shaped."""
        if where == "plain":
            return registry.http.client.HTTPConnection
        return lambda address, timeout: _Inside(self.link.client, address, timeout=timeout)

    def settle(self, where, scenario):
        """Peers that are far from the best in time and in CPU are not repeated: no goal is measured against them."""
        runs = [run for run in self.runs if (run["link"], run["scenario"]) == (where, scenario) and not run["failed"]]
        peers = [run for run in runs if run["tool"] not in table.OURS]
        for run in peers:
            if all(run[name] > FAR * min(peer[name] for peer in peers) for name in ("wall", "cpu")):
                self.slow.add((where, scenario, run["tool"]))

    def all(self, tools, scenarios, where):
        if "shaped" in where:
            self.link = links.Link(self.work, RATE, ROUND_TRIP)
            self.measured = self.link.measured()
        for number in range(1, self.options.runs + 1):
            for name in where:
                for scenario in scenarios:
                    if number > 1 and time.monotonic() > self.deadline:
                        self.notes.append(f"the time limit was reached in round {number} of {self.options.runs}")
                        return
                    self.scenario(name, scenario, tools, number)
                    self.settle(name, scenario)


class _Inside(registry.http.client.HTTPConnection):
    """A connection from within a network namespace: a socket belongs to the one it was made in."""

    def __init__(self, namespace, address, timeout):
        super().__init__(address, timeout=timeout)
        self.namespace = namespace

    def connect(self):
        with links.within(self.namespace):
            super().connect()


def machine_time():
    """Ticks of all processors so far: in all, busy, and waiting for a disk."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle, disk = ticks[3], ticks[4]
    return sum(ticks), sum(ticks) - idle - disk, disk


def hash_rate():
    """Bytes of SHA-256 in a second of CPU, as OpenSSL does it."""
    data, started = bytes(32 * MIB), time.process_time()
    for _ in range(8):
        hashlib.sha256(data).digest()
    return 8 * len(data) / (time.process_time() - started)


def find_ours():
    given = os.environ.get("REPLICATOR")
    if given:
        return str(Path(given).resolve())
    subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "replicator"], cwd=BENCH.parent, check=True)
    metadata = subprocess.run(["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"], cwd=BENCH.parent,
                              check=True, capture_output=True).stdout
    return str(Path(json.loads(metadata)["target_directory"]) / "release/replicator")


def arguments():
    names = lambda text: text.split(",")  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="an eighth of everything, once: to see that it works")
    parser.add_argument("--only", type=names, default=SCENARIOS, help=f"of {','.join(SCENARIOS)}")
    parser.add_argument("--tools", type=names, help="those whose names begin so; `ours` is always among them")
    parser.add_argument("--lean", action="store_true", help="only the peers that were best so far (regsync, oras) and "
                        "those of BENCH_PEERS")
    parser.add_argument("--runs", type=int, help="how often each is measured [default: 5; quick: 1]")
    parser.add_argument("--link", choices=("plain", "shaped", "both"), default="both")
    parser.add_argument("--write", action="store_true", help="writes the tables into docs/internals/benchmarks.md, those of the "
                        "links that were measured")
    parser.add_argument("--minutes", type=float, default=22, help="no further repetitions after so long [22]")
    parser.add_argument("--patience", type=int, default=60, help="a run of more seconds is not repeated [60]")
    parser.add_argument("--limit", type=int, default=300, help="a run is ended after so many seconds [300]")
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 5)
    unknown = set(options.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    return options


def machine():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    memory = int(re.search(r"MemTotal: *(\d+)", Path("/proc/meminfo").read_text())[1]) >> 20
    control = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return (f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory} GiB, Linux "
            f"{platform.release()}, TCP congestion control {control}")


def report(bench, tools, skipped, hashing, where):
    """The report of one link, written into the document if that is asked for."""
    figures = {key: its for key, its in table.medians(bench.runs).items() if key[0] == where}
    if not figures:
        return
    versions = dict.fromkeys(f"{tool.name.split(',')[0].split(' ')[0]} {tool.version}" for tool in
                             sorted(tools, key=lambda tool: tool.name))
    command = " ".join(["python3 bench/run.py", *sys.argv[1:]])
    lines = [
        f"Measured on {datetime.date.today()} with `{command}`, in {(time.monotonic() - bench.started) / 60:.0f} minutes.", "",
        f"- machine: {machine()}; load {os.getloadavg()[1]:.1f} over the last five minutes",
        f"- versions: {', '.join(versions)}; registry docker-registry 2.8.2",
        f"- SHA-256: {hashing / 1e6:.0f} MB in a second of CPU",
        f"- the registries' files: {'in memory' if str(bench.storage).startswith('/dev/shm') else 'on disk'} at the target",
        f"- runs: at most {bench.options.runs} of each; a peer that takes {FAR} times as long as the best one, and {FAR} "
        "times its CPU time, runs once",
    ]
    if bench.measured and where == "shaped":
        m = bench.measured
        lines.append(
            f"- shaped link: {bench.link.how}; {RATE / 1e6:.0f} MB/s each way, headers included; measured: round trip "
            f"{m['round_trip'] * 1000:.1f} ms, one TCP connection {m['down'] / 1e6:.1f} MB/s down, {m['up'] / 1e6:.1f} MB/s up")
    lines += [f"- skipped: {name}: {why}" for name, why in skipped.items()] + [f"- {note}" for note in bench.notes]
    text = "\n".join(lines) + "\n\n" + table.goals_markdown(table.goals(figures, hashing, bench.bytes))
    text += "\n" + table.markdown(figures, bench.contents, skipped)
    print("\n" + text)
    if bench.options.write:
        old, markers = DOCUMENT.read_text(), (f"<!-- measured {where} -->", f"<!-- /measured {where} -->")
        first, last = (old.index(marker) for marker in markers)
        DOCUMENT.write_text(old[:first] + markers[0] + "\n" + text + old[last:])


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    CACHE.mkdir(parents=True, exist_ok=True)
    where = ["plain", "shaped"] if options.link == "both" else [options.link]
    tools, skipped = peers.find(CACHE, find_ours())
    if options.lean:
        best = ("ours", "regsync", "oras")
        tools = [t for t in tools if t.is_hook or t.name.startswith(best)]
    if options.tools:
        tools = [t for t in tools if t.name in ("ours", "ours, locked") or any(t.name.startswith(name) for name in options.tools)]
    why = links.Link.impossible() if "shaped" in where else None
    if why:
        where.remove("shaped")
        skipped["shaped link"] = why
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}", flush=True)
    program = registry.find_program(CACHE)
    if not program:
        sys.exit("bench: docker-registry is needed and cannot be had from apt")
    bench = Bench(options)
    bench.program = program
    try:
        hashing = hash_rate()
        bench.all(tools, options.only, where)
        for link in where:
            report(bench, tools, skipped, hashing, link)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        bench.end()


main()
