#!/usr/bin/env python3
"""Renders charts with real Helm 3, with Helm 4 and with replicator, and compares the outputs byte for byte.

    check.py (--helm3 PROGRAM | --batch PROGRAM) --ours PROGRAM [--helm4 PROGRAM] [--sets default,on,off,m1,m2]
             [--cases N] [--seed N] [--jobs N] [--json FILE] [--differences FILE] CHARTS...

With --batch Helm 3 is one process for many charts, which takes a hundredth of the time for small ones (batch.go).

CHARTS are archives, folders of charts, charts in a text file (charts.py), or folders that hold such. Sets
of values: `own` (those in a text file), `default` (none), `on` and `off` (each switch of values.yaml), `m1`,
`m2`, … (mutated values, from the seed, the chart's name and the number). With --cases, that many mutated
sets are spread over all charts.

What Helm itself renders differently twice (certificates, random passwords) is left out, line by line.
Exits 1 when a document differs, when only one of the two fails, or when an error's text differs, and
--differences does not explain it: a file of lines `KIND | WHERE | REASON`, where KIND is
  error   both fail; WHERE is a regular expression that finds the same text in both errors
  blank   both fail; the errors are the same without what the regular expression WHERE finds, whatever the order of lines
  case    WHERE is a chart and a set, or `*` for all sets; an entry that explains nothing is a failure
"""

import argparse
import base64
import collections
import concurrent.futures
import difflib
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

import yaml

import charts as own_charts

SWITCHES = {"enabled", "create", "install", "force", "deploy", "use"}
TIMEOUT = 120
# What our errors begin with, before Helm's own words: chart and version, a flag, or a path.
OURS_BEFORE = re.compile(r"\A(?:chart \S+ \S+|--[a-z-]+(?: \S+)?|/\S+): ")
NOT_YAML = "error converting YAML to JSON: yaml: "


class Raw(str):
    """Text that goes into a values file without quotes."""


# Written in C where there is one: values of real charts are long.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MUTANTS = [
    Raw("yes"), Raw("off"), Raw("0x10"), Raw("0o17"), Raw("010"), Raw("1e3"), Raw("1_000"), Raw(".5"),
    Raw("12e03"), Raw("2001-01-01"), Raw("~"), Raw("null"), Raw("null"), Raw("1.10"), Raw("-0"),
    True, False, 0, 1, -1, 8080, 1.5, 1e21, 123456789, 12345678901234567890, 0.000001, "", " ", "a", "true", "0",
    "1.10", "yes", "a: b", "- a", "# no comment", "{{ .Release.Name }}", "{{ fail \"x\" }}", "é\u4e16\U0001F600",
    "two\nlines\n", "\n leading", "trailing  \n\n", "tab\there", "quote\"s and 'those'", "x" * 200,
    "a long text with many words " * 8, [], {}, [1, "two", None], {"a": {"b": [{"c": 1}]}}, [[]], {"a": None},
]


def find(paths):
    """The charts below some paths: archives, and folders with a Chart.yaml."""
    for path in paths:
        if os.path.isfile(path) or os.path.isfile(os.path.join(path, "Chart.yaml")):
            yield path
        elif os.path.isdir(path):
            yield from find(sorted(os.path.join(path, name) for name in os.listdir(path)
                                   if name.endswith((".tgz", ".txt")) or os.path.isdir(os.path.join(path, name))))


def chart_values(path):
    """values.yaml of a chart, with those of its subcharts below their names."""
    def read(load, names):
        values = {}
        try:
            values = yaml.load(load("values.yaml"), LOADER) or {}
        except (KeyError, OSError, yaml.YAMLError, ValueError):
            pass
        return values if isinstance(values, dict) else {}

    if os.path.isdir(path):
        return read(lambda name: open(os.path.join(path, name), "rb").read(), None)
    with tarfile.open(path) as archive:
        tops = [m for m in archive.getmembers() if m.name.count("/") == 1 and m.name.endswith("/values.yaml")]
        return read(lambda name: archive.extractfile(tops[0]).read() if tops else b"", None)


def switched(values, to):
    """Only the switches of some values that stand differently, turned."""
    out = {}
    for key, value in values.items():
        if isinstance(value, dict):
            inner = switched(value, to)
            if inner:
                out[key] = inner
        elif isinstance(value, bool) and value is not to and str(key) in SWITCHES:
            out[key] = to
    return out


def mutated(values, random_, share):
    """Some leaves of some values, replaced."""
    out = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and random_.random() > 0.02:
            inner = mutated(value, random_, share)
            if inner:
                out[key] = inner
        elif random_.random() < share:
            out[key] = random_.choice(MUTANTS)
    return out


def leaves(values):
    return sum(leaves(v) if isinstance(v, dict) and v else 1 for v in values.values())


def flow(value):
    """A value as YAML in flow style."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return json.dumps(value, default=str, ensure_ascii=False)


def values_text(path, name, seed, label, sets):
    """The text of a generated set of values. For our own charts, one of their sets is mutated."""
    if name == "default":
        return ""
    values = chart_values(path)
    if name in ("on", "off"):
        return flow(switched(values, name == "on"))
    chance = random.Random(f"{seed} {label} {name}")
    own = {}
    if sets:
        try:
            own = yaml.load(chance.choice(sets)[1], LOADER) or {}
        except (yaml.YAMLError, ValueError):
            pass
        own = own if isinstance(own, dict) else {}
        values = merged(values, own)
    count = max(1, leaves(values))
    return flow(merged(own, mutated(values, chance, min(1, chance.choice([1, 2, 4, 8]) / count))))


def merged(base, over):
    """Two mappings as Helm merges files of values."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


class Batch:
    """A program that renders one chart after the other (batch.go), one for each thread."""

    def __init__(self, program):
        self.program, self.local = program, threading.local()

    def ask(self, arguments):
        if not hasattr(self.local, "process"):
            self.local.process = subprocess.Popen([self.program, "batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = self.local.process
        process.stdin.write(json.dumps(arguments).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        return bool(answer["Error"]), base64.b64decode(answer["Output"] or ""), message("Error: " + answer["Error"])


def render(program, chart, values, extra):
    version = [] if "--kube-version" in extra else ["--kube-version", "v1.34.0"]
    if isinstance(program, Batch):
        return program.ask(["release-name", chart, "-f", values, *version, *extra])
    run = subprocess.run([program, "template", "release-name", chart, "-f", values, *version, *extra],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
                         env={**os.environ, "NO_COLOR": "1"})
    return run.returncode, run.stdout, message(run.stderr.decode("utf8", "replace"))


def message(text):
    """The error of a run without the program's own prefix and logs."""
    found = re.search(r"^(?:Error|error): (.*)", text, re.M | re.S)
    text = found.group(1) if found else text
    return text.replace("\n\nUse --debug flag to render out invalid YAML", "").strip()


def comparable(error):
    """An error without what differs for a known reason: the words and lines of goyaml about a text that is
    not YAML, and the order in which a schema's problems are listed."""
    error = error.split(NOT_YAML)[0]
    return sorted(error.split("\n")) if error.startswith("values don't meet") else error


def documents(output):
    parts = re.split(rb"(?m)^---\n(?=# Source: )", output)
    return [part for part in parts if part.strip()]


def masked(ours, first, second):
    """Three outputs without the lines that two runs of Helm print differently."""
    if first == second:
        return ours, first
    a, b, c = first.split(b"\n"), second.split(b"\n"), ours.split(b"\n")
    if not len(a) == len(b) == len(c):
        return ours, first
    keep = [i for i in range(len(a)) if a[i] == b[i]]
    return b"\n".join(c[i] for i in keep), b"\n".join(a[i] for i in keep)


Case = collections.namedtuple("Case", "label chart set values flags")


def compare(options, case):
    result = {"chart": case.label, "set": case.set, "documents": 0, "equal": 0, "state": "equal"}
    with tempfile.TemporaryDirectory() as folder:
        values = os.path.join(folder, "values.yaml")
        with open(values, "w", encoding="utf8", errors="surrogatepass", newline="") as file:
            file.write(case.values())
        flags = [*options.extra, *case.flags]
        try:
            code, wanted, error = render(options.helm3, case.chart, values, flags)
        except subprocess.TimeoutExpired:
            return {**result, "state": "helm timed out"}
        try:
            our_code, ours, our_error = render(options.ours, case.chart, values, flags)
        except subprocess.TimeoutExpired:
            return {**result, "state": "we timed out"}
        error, our_error = error.replace(folder, ""), OURS_BEFORE.sub("", our_error.replace(folder, ""))
        if (code == 0) != (our_code == 0):
            who = "only helm renders" if code == 0 else "only we render"
            return {**result, "state": who, "detail": our_error if code == 0 else error}
        if code != 0:
            same = comparable(our_error) == comparable(error)
            # Go ranges over maps in any order, and so do its messages.
            for _ in range(0 if same else 4):
                _, _, error = render(options.helm3, case.chart, values, flags)
                error = error.replace(folder, "")
                same = same or comparable(our_error) == comparable(error)
            return {**result, "state": "both fail" if same else "errors differ", "errors": [error, our_error],
                    "detail": "" if same else f"helm: {error}\nours: {our_error}"}
        if ours != wanted:
            # The clock shows seconds.
            time.sleep(1.1)
            _, second, _ = render(options.helm3, case.chart, values, flags)
            ours, wanted = masked(ours, wanted, second)
        a, b = documents(wanted), documents(ours)
        result["documents"] = len(a)
        result["equal"] = sum(1 for x, y in zip(a, b) if x == y) if len(a) == len(b) else len(set(a) & set(b))
        if ours != wanted:
            lines = difflib.unified_diff(wanted.decode("utf8", "replace").split("\n"),
                                         ours.decode("utf8", "replace").split("\n"), "helm", "ours", lineterm="", n=1)
            result["state"] = "differs"
            result["detail"] = "\n".join(line[:300] for line, _ in zip(lines, range(40)))
        if options.helm4:
            code4, out4, error4 = render(options.helm4, case.chart, values, flags)
            if code4 != 0:
                result["helm4"] = f"fails: {error4[:200]}"
            elif images(out4) != images(wanted):
                result["helm4"] = "other images"
            elif lines_of(out4) != lines_of(wanted):
                result["helm4"] = "other documents"
    return result


def lines_of(output):
    """The lines that are not blank: Helm 4 ends documents with other ones."""
    return [line for line in output.split(b"\n") if line.strip()]


def images(output):
    return sorted(set(re.findall(rb"(?m)^\s*(?:- )?image: *(.*)$", output)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--helm3")
    parser.add_argument("--batch", type=Batch, dest="helm3")
    parser.add_argument("--helm4")
    parser.add_argument("--ours", required=True)
    parser.add_argument("--sets", default="default")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--json")
    parser.add_argument("--differences", help="a file that explains differences")
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("charts", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(run(options, folder))


def cases(options, folder):
    """All cases, in the order in which they are reported."""
    found, work = [], []
    for path in find(options.charts):
        label, sets = os.path.basename(path).removesuffix(".tgz").removesuffix(".txt"), []
        if path.endswith(".txt"):
            path, sets = own_charts.unpack(path, folder)
        found.append((label, path, sets))
        for name in options.sets.split(","):
            if name == "own":
                work += [Case(label, path, own, lambda text=text: text, flags) for own, text, flags in sets]
            elif name:
                work.append(generated(options, name, label, path, sets))
    if not found:
        sys.exit("check: no charts found")
    for number in range(options.cases):
        work.append(generated(options, f"c{number // len(found)}", *found[number % len(found)]))
    print(f"check: {len(found)} charts, {len(work)} cases, seed {options.seed}", flush=True)
    return work


def generated(options, name, label, path, sets):
    return Case(label, path, name, lambda: values_text(path, name, options.seed, label, sets), [])


class Differences:
    """What is known to differ, and why."""

    def __init__(self, path):
        self.errors, self.blanks, self.cases, self.used = [], [], {}, set()
        for line in open(path, encoding="utf8") if path else []:
            if not line.strip() or line.startswith("#"):
                continue
            kind, where, _ = (part.strip() for part in line.split(" | ", 2))
            if kind == "error":
                self.errors.append(re.compile(where, re.S))
            elif kind == "blank":
                self.blanks.append(re.compile(where, re.S))
            else:
                self.cases[tuple(where.split())] = kind

    def explain(self, result):
        for case in ((result["chart"], result["set"]), (result["chart"], "*")):
            if case in self.cases:
                self.used.add(case)
                return True
        if result["state"] == "errors differ":
            for pattern in self.errors:
                # In any order: Go ranges over maps.
                found = [sorted(match.group() for match in pattern.finditer(error)) for error in result["errors"]]
                if found[0] and found[0] == found[1]:
                    return True
            return self.blanked(result["errors"][0]) == self.blanked(result["errors"][1])
        return False

    def blanked(self, error):
        for pattern in self.blanks:
            error = pattern.sub("", error)
        return sorted(error.splitlines())


def run(options, folder):
    differences = Differences(options.differences)
    results, counts, helm4 = [], collections.Counter(), []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda case: compare(options, case), cases(options, folder)):
            results.append(result)
            state = result["state"]
            if state not in ("equal", "both fail"):
                if differences.explain(result):
                    state = "explained"
                else:
                    print(f"{state.upper()} {result['chart']} {result['set']}\n{result.get('detail', '')}", flush=True)
            if result.get("helm4") == "other images":
                print(f"HELM 4 RENDERS OTHER IMAGES {result['chart']} {result['set']}", flush=True)
                counts["helm 4: other images"] += 1
            elif "helm4" in result:
                counts["helm 4: differs"] += 1
                helm4.append(f"{result['chart']} {result['set']}: {result['helm4']}")
            counts[state] += 1
            counts["documents"] += result["documents"]
            counts["documents equal"] += result["equal"]
    known = {result["chart"] for result in results}
    unused = [" ".join(case) for case in differences.cases if case not in differences.used and case[0] in known]
    unused = [] if options.cases else unused
    for case in unused:
        print(f"EXPLAINED WITHOUT NEED {case}: take it off {options.differences}")
    if options.json:
        with open(options.json, "w", encoding="utf8") as file:
            json.dump(results, file, indent=1)
    for line in helm4:
        print(f"helm 4 differs: {line}")
    print("check: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    good = ("equal", "both fail", "explained", "documents", "documents equal", "helm 4: differs")
    bad = sum(n for state, n in counts.items() if state not in good) + len(unused)
    print(f"{len(results)} cases, seed {options.seed}: {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
