#!/usr/bin/env python3
"""Renders charts with real Helm 3, with Helm 4 and with replicator, and compares the outputs byte for byte.

    check.py --helm3 PROGRAM --ours PROGRAM [--helm4 PROGRAM] [--sets default,on,off,m1,m2]
             [--cases N] [--seed N] [--jobs N] [--json FILE] CHARTS...

CHARTS are archives, folders of charts, or folders that hold such. Sets of values: `default` (none),
`on` and `off` (each switch of values.yaml), `m1`, `m2`, … (mutated values, from the seed, the chart's
name and the number). With --cases, that many mutated sets are spread over all charts.

What Helm itself renders differently twice (certificates, random passwords) is left out, line by line.
Exits 1 when a document differs, when only one of the two fails, or when an error's text differs.
"""

import argparse
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
import time

import yaml

SWITCHES = {"enabled", "create", "install", "force", "deploy", "use"}
TIMEOUT = 120
NOT_YAML = "error converting YAML to JSON: yaml: "


class Raw(str):
    """Text that goes into a values file without quotes."""


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
                                   if name.endswith(".tgz") or os.path.isdir(os.path.join(path, name))))


def chart_values(path):
    """values.yaml of a chart, with those of its subcharts below their names."""
    def read(load, names):
        values = {}
        try:
            values = yaml.safe_load(load("values.yaml")) or {}
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


def values_text(path, name, seed):
    if name == "default":
        return ""
    values = chart_values(path)
    if name in ("on", "off"):
        return flow(switched(values, name == "on"))
    chance = random.Random(f"{seed} {os.path.basename(path)} {name}")
    count = max(1, leaves(values))
    return flow(mutated(values, chance, min(1, chance.choice([1, 2, 4, 8]) / count)))


def render(program, chart, values, extra):
    run = subprocess.run([program, "template", "release-name", chart, "-f", values, "--kube-version", "v1.34.0", *extra],
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


def compare(options, chart, name):
    result = {"chart": chart, "set": name, "documents": 0, "equal": 0, "state": "equal"}
    with tempfile.TemporaryDirectory() as folder:
        values = os.path.join(folder, "values.yaml")
        with open(values, "w", encoding="utf8", errors="surrogatepass") as file:
            file.write(values_text(chart, name, options.seed))
        try:
            code, wanted, error = render(options.helm3, chart, values, options.extra)
        except subprocess.TimeoutExpired:
            return {**result, "state": "helm timed out"}
        try:
            our_code, ours, our_error = render(options.ours, chart, values, options.extra)
        except subprocess.TimeoutExpired:
            return {**result, "state": "we timed out"}
        if (code == 0) != (our_code == 0):
            who = "only helm renders" if code == 0 else "only we render"
            return {**result, "state": who, "detail": our_error if code == 0 else error}
        if code != 0:
            same = comparable(our_error) == comparable(error)
            # Go ranges over maps in any order, and so do its messages.
            for _ in range(0 if same else 4):
                _, _, error = render(options.helm3, chart, values, options.extra)
                same = same or comparable(our_error) == comparable(error)
            return {**result, "state": "both fail" if same else "errors differ",
                    "detail": "" if same else f"helm: {error}\nours: {our_error}"}
        if ours != wanted:
            # The clock shows seconds.
            time.sleep(1.1)
            _, second, _ = render(options.helm3, chart, values, options.extra)
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
            code4, out4, _ = render(options.helm4, chart, values, options.extra)
            result["helm4"] = "equal" if (code4, out4) == (code, wanted) else "differs"
            if result["helm4"] == "differs" and images(out4) != images(wanted):
                result["helm4"] = "other images"
    return result


def images(output):
    return sorted(set(re.findall(rb"(?m)^\s*(?:- )?image: *(.*)$", output)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--helm3", required=True)
    parser.add_argument("--helm4")
    parser.add_argument("--ours", required=True)
    parser.add_argument("--sets", default="default")
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--json")
    parser.add_argument("--known", help="a file of lines `chart set reason`: differences that are explained")
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("charts", nargs="+")
    options = parser.parse_args()
    charts = list(find(options.charts))
    if not charts:
        sys.exit("check: no charts found")
    print(f"check: {len(charts)} charts, seed {options.seed}", flush=True)
    sets = [name for name in options.sets.split(",") if name]
    work = [(chart, name) for chart in charts for name in sets]
    work += [(charts[i % len(charts)], f"c{i // len(charts)}") for i in range(options.cases)]
    known = {}
    if options.known:
        for line in open(options.known, encoding="utf8"):
            if line.strip() and not line.startswith("#"):
                chart, name, reason = line.split(None, 2)
                known[(chart, name)] = reason.strip()
    results, counts = [], collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda item: compare(options, *item), work):
            results.append(result)
            label = os.path.basename(result["chart"]).removesuffix(".tgz")
            state = result["state"]
            if state not in ("equal", "both fail"):
                reason = known.get((label, result["set"])) or known.get((label, "*"))
                if reason:
                    state = "explained"
                else:
                    print(f"{state.upper()} {label} {result['set']}\n{result.get('detail', '')}", flush=True)
            if result.get("helm4") == "other images":
                print(f"HELM 4 RENDERS OTHER IMAGES {label} {result['set']}", flush=True)
                counts["helm 4: other images"] += 1
            counts[state] += 1
            counts["documents"] += result["documents"]
            counts["documents equal"] += result["equal"]
            counts["helm 4: differs"] += result.get("helm4") == "differs"
    if options.json:
        with open(options.json, "w", encoding="utf8") as file:
            json.dump(results, file, indent=1)
    print("check: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    bad = sum(n for state, n in counts.items()
              if state not in ("equal", "both fail", "explained", "documents", "documents equal", "helm 4: differs"))
    print(f"{len(results) - bad} passed, {bad} failed")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
