#!/usr/bin/env python3
"""Whether what a plan publishes covers every image that Helm renders from the charts: make closure-check.

    check.py --helm HELM --replicator REPLICATOR --charts DIR [--versions 1.30,...] [--closure MODE] [--switches]
             [--discover-switches] [--json FILE]

For each EKS version it plans from our data files and the archives in DIR, renders each chart with Helm and the published
values on top of each scenario (as the charts come, as the EKS module installs them, with the charts' own switches on),
and looks for images in what comes out. Finder and switch search are its own. What the program's own proof finds in the first two
must be the same. An image whose name stands in a template of a part that is off is counted by itself: no values can move
it. Prints a table in Markdown, every gap and every difference; exit code 1 where the scenarios default and eks are not covered
to 100 %, or the proof differs.
"""

import argparse
import fnmatch
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from finder import find
from repositories import Repositories

VERSIONS = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
PREFIX = "123456789012.dkr.ecr.us-east-1.amazonaws.com/idf-"
SCENARIOS = ["default", "eks", "switches"]
SWITCHES = {"enabled", "create", "install", "force", "deploy", "use"}
# What the operator's own source starts for the chart's custom resources on EKS with the AWS VPC CNI: kinds, images,
# and the registry without `spec.registry`. Calico is at the chart's version.
OPERATED = [
    ("Installation", ["node", "typha", "kube-controllers", "pod2daemon-flexvol"]),
    ("Installation", ["csi", "node-driver-registrar"]),
    ("APIServer", ["apiserver"]),
    ("Goldmane", ["goldmane"]),
    ("Whisker", ["whisker", "whisker-backend"]),
]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Failed(Exception):
    """Helm does not render a chart with some values."""


def layer(base, over):
    """Helm's merge of value files."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = layer(merged[key], value)
        merged[key] = value
    return merged


class Chart:
    """A chart with what the data files say of it and what the plan published for it."""

    def __init__(self, key, archive, data, published, version, options):
        self.key, self.archive, self.data, self.options = key, archive, data, options
        self.published = published["values"]
        self.namespace = data.get("namespace") or "default"
        self.flags = ["--kube-version", f"v{version}.0-eks-0", "--namespace", self.namespace]
        for api in options.api_versions:
            self.flags += ["--api-versions", api]

    def values(self, scenario):
        values = self.data.get("values") or {}
        return layer(values, (self.data.get("scenarios") or {}).get(scenario) or {})

    def render(self, values):
        """(kind, name, field, image, is_test) of every image that Helm renders."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as below, \
                tempfile.NamedTemporaryFile("w", suffix=".json") as above:
            json.dump(values, below), json.dump(self.published, above)
            below.flush(), above.flush()
            done = subprocess.run(
                [self.options.helm, "template", "release", str(self.archive), *self.flags,
                 "-f", below.name, "-f", above.name], capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
            raise Failed(errors[0] if errors else done.stderr.strip())
        documents = [d for d in yaml.load_all(done.stdout, Loader) if isinstance(d, dict)]
        return list(self.images(documents))

    def images(self, documents):
        for document in documents:
            metadata = document.get("metadata") or {}
            hooks = str((metadata.get("annotations") or {}).get("helm.sh/hook", "")).split(",")
            is_test = all(hook.strip().startswith("test") for hook in hooks)
            for field, image in find(document):
                yield document.get("kind"), metadata.get("name"), field.lstrip("."), image, is_test
        yield from self.operated(documents)

    def operated(self, documents):
        """What the operator of Calico starts by itself."""
        if self.data["name"] != "tigera-operator":
            return
        version = self.data["version"]
        specs = {document["kind"]: document.get("spec") or {} for document in documents if "kind" in document}
        installation = specs.get("Installation")
        if installation is None:
            return
        usual = "quay.io/" if tuple(map(int, version.lstrip("v").split("."))) >= (3, 29) else "docker.io/"
        registry = installation.get("registry") or usual
        for kind, names in OPERATED:
            no_csi = "csi" in names and installation.get("kubeletVolumePluginPath") == "None"
            if kind in specs and not no_csi:
                for name in names:
                    yield kind, "default", "by the operator", f"{registry.rstrip('/')}/calico/{name}:{version}", False

    def switches(self):
        """Paths of the switches that are off, subcharts' among them."""
        with tarfile.open(self.archive) as packed:
            files = {member.name: packed.extractfile(member).read() for member in packed.getmembers()
                     if member.isfile() and Path(member.name).name in ("values.yaml", "Chart.yaml")}
        top = min(files, key=lambda name: name.count("/")).split("/")[0]
        tree = self.tree(files, top)
        found = []

        def walk(node, path):
            for key, value in node.items():
                if isinstance(value, dict):
                    walk(value, path + [key])
                elif value is False and key in SWITCHES:
                    found.append(path + [key])
        walk(tree, [])
        return found

    def fixed(self, reference):
        """Whether a template has the name of an image, so that no value changes it."""
        name = reference.partition("@")[0]
        bare = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        return any(bare.encode() in text for text in templates(self.archive.read_bytes()))

    def tree(self, files, folder):
        """A chart's values with those of its subcharts below them."""
        values = yaml.load(files.get(f"{folder}/values.yaml", b"{}"), Loader) or {}
        declared = yaml.load(files[f"{folder}/Chart.yaml"], Loader).get("dependencies") or []
        for name in files:
            if name.startswith(f"{folder}/charts/") and name.endswith("/Chart.yaml") \
                    and name.count("/") == folder.count("/") + 3:
                inner = name.removesuffix("/Chart.yaml")
                own = yaml.load(files[name], Loader)["name"]
                keys = [d.get("alias") or d["name"] for d in declared if d["name"] == own] or [own]
                for key in keys:
                    values[key] = layer(self.tree(files, inner), values.get(key) or {})
        return values

    def with_switches(self):
        """Images with as many switches on as Helm renders at once, and those of the groups that it renders alone."""
        base = self.values("default")
        images, off = list(self.render(base)), []

        def turned_on(paths):
            values = json.loads(json.dumps(base))
            for path in paths:
                node = values
                for key in path[:-1]:
                    node = node.setdefault(key, {})
                node[path[-1]] = True
            return values

        def attempt(paths, beside):
            try:
                images.extend(self.render(turned_on(beside + paths)))
                return paths
            except Failed:
                if len(paths) <= 1:
                    off.extend(paths)
                    return []
                half = len(paths) // 2
                left = attempt(paths[:half], beside)
                return left + attempt(paths[half:], beside + left)
        on = attempt(self.switches(), [])
        # A switch that the others do not go with may go without them.
        for path in off:
            try:
                images.extend(self.render(turned_on([path])))
            except Failed:
                pass
        return images, len(on), [".".join(path) for path in off]


def templates(archive):
    """The templates of a chart, of its subcharts and of those that are packed in it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for member in packed.getmembers():
            if not member.isfile():
                continue
            data = packed.extractfile(member).read()
            if "/templates/" in member.name:
                yield data
            elif member.name.endswith(".tgz") and "/charts/" in member.name:
                yield from templates(data)


def allowed(reference, patterns):
    name, _, last = reference.partition("@")[0].rpartition("/")
    bare = f"{name}/{last.partition(':')[0]}"
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns for text in (reference, bare))


def classify(chart, images, targets, is_switched):
    """One finding for each reference: (class, reference, reason, place)."""
    by_reference = {}
    for kind, name, field, image, is_test in images:
        by_reference.setdefault(image, []).append((kind, name, field, is_test))
    for reference, places in sorted(by_reference.items()):
        kind, name, field, _ = places[0]
        place = f"{kind}/{name} {field}"
        if reference in targets:
            yield "covered", reference, "", place
        elif allowed(reference, chart.data.get("allow") or []):
            yield "allowed", reference, "", place
        elif all(is_test for *_, is_test in places):
            yield "test", reference, "only `helm test` starts it", place
        elif reference.startswith(PREFIX):
            yield "gap", reference, "it is below the prefix, but not copied", place
        elif is_switched and chart.fixed(reference):
            yield "fixed", reference, "it is written into a template, and no value changes it", place
        else:
            yield "gap", reference, "a switch adds it, and no entry moves it" if is_switched else "no entry moves it", place


def compare(chart, images, proof):
    """Where our program's proof names other references than Helm renders by default and with the EKS module's values."""
    ours = {reference["image"] for reference in proof["references"]
            if any(use["place"] != "operator" and set(use["scenarios"]) & set(SCENARIOS) for use in reference["uses"])}
    theirs = {image for _, _, field, image, _ in images if field != "by the operator"}
    for image in sorted(ours ^ theirs):
        yield f"DIFFERS: {image} is found by {'our program' if image in ours else 'Helm and the finder'} alone"
    for reference in proof["references"]:
        scenarios = {name for use in reference["uses"] for name in use["scenarios"]}
        if reference["state"] in ("gap", "not at the target") and scenarios & set(SCENARIOS):
            yield f"DIFFERS: {reference['image']} is a gap to our program"


def check_chart(chart, targets, proof):
    """{scenario: findings}, and what could not be rendered."""
    found, notes, rendered = {}, [], []
    for scenario in SCENARIOS:
        try:
            if scenario == "switches":
                images, on, off = chart.with_switches()
                notes.append(f"{on} switches on" + (f", not rendered together: {', '.join(off)}" if off else ""))
            else:
                images = chart.render(chart.values(scenario))
                rendered += images
            found[scenario] = list(classify(chart, images, targets, scenario == "switches"))
        except Failed as error:
            found[scenario] = [("gap", "(not rendered)", str(error), "")]
    if proof:
        notes += compare(chart, rendered, proof)
    return found, notes


def plan(options, version, folder):
    """The repositories of a version, what is published, the names of all copies, and what our program proves."""
    with Repositories(Path(options.charts), folder, version, options.discover_switches) as served:
        out = folder / "out"
        done = subprocess.run(
            [options.replicator, "plan", "--no-observe", "--eks-version", version, "--data-dir", str(folder / "data"),
             "--registry-prefix", PREFIX, "--out", str(out), *served.endpoints(), *options.flags],
            capture_output=True, text=True, check=False, env=os.environ | {"AWS_EC2_METADATA_DISABLED": "true"})
    if done.returncode:
        sys.exit(f"plan of {version} ended with {done.returncode}:\n{done.stderr}")
    result = json.loads((out / "replication_result.json").read_text("utf-8"))
    pairs = json.loads((out / "updated_images.json").read_text("utf-8"))
    proof = json.loads((out / "replication_closure.json").read_text("utf-8"))
    return served, result, {pair["target"] for pair in pairs}, proof["charts"]


def check_version(options, version):
    with tempfile.TemporaryDirectory() as folder:
        served, result, targets, proofs = plan(options, version, Path(folder))
        options.api_versions = served.data.get("apiVersions") or []
        charts = [Chart(key, archive, served.data["charts"][key], result["charts"][key], version, options)
                  for key, archive in served.archives.items()]
        with ThreadPoolExecutor(options.jobs) as pool:
            checked = list(pool.map(lambda chart: check_chart(chart, targets, proofs.get(chart.key)), charts))
    return served.missing, {chart.key: one for chart, one in zip(charts, checked)}


def cell(counts):
    total = sum(counts.values()) - counts["test"] - counts["fixed"]
    closed = counts["covered"] + counts["allowed"]
    return f"{closed} of {total} ({100 * closed / total if total else 100:.1f} %)"


def main():
    parser = argparse.ArgumentParser()
    for name in ("--helm", "--replicator", "--charts"):
        parser.add_argument(name, required=True)
    parser.add_argument("--versions", default=",".join(VERSIONS))
    parser.add_argument("--closure", help="how the plan treats gaps: report, require or complete")
    parser.add_argument("--switches", action="store_true", help="plan with the charts' switches on, too")
    parser.add_argument("--discover-switches", action="store_true",
                        help="plan with `auto` and `switches` for every chart: what its switches add is discovered")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", help="all findings, into this file")
    options = parser.parse_args()
    options.flags = (["--closure", options.closure] if options.closure else []) + ["--switches"] * options.switches
    everything, bad = {}, False
    print("| EKS | default: covered and allowed | eks | switches on | allowed | `helm test` only | fixed | gaps |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    notes = []
    for version in options.versions.split(","):
        missing, charts = check_version(options, version)
        everything[version] = {key: found for key, (found, _) in charts.items()}
        notes += [f"{version}: {name} is not in the folder" for name in missing]
        counts = {scenario: Counter(f[0] for found, _ in charts.values() for f in found[scenario]) for scenario in SCENARIOS}
        sums = [f"{' / '.join(str(counts[s][kind]) for s in SCENARIOS)}" for kind in ("allowed", "test", "fixed", "gap")]
        print(f"| {version} | {' | '.join(cell(counts[s]) for s in SCENARIOS)} | {' | '.join(sums)} |", flush=True)
        bad = bad or any(counts[scenario]["gap"] for scenario in ("default", "eks"))
        for key, (found, said) in charts.items():
            notes += [f"{version} {key}: {note}" for note in said if "not rendered" in note or "DIFFERS" in note]
            bad = bad or any("DIFFERS" in note for note in said)
            for scenario, findings in found.items():
                notes += [f"{version} {key} {scenario}: {reference}: {reason} ({place})"
                          for kind, reference, reason, place in findings if kind in ("gap", "test", "fixed")]
    print("\n" + "\n".join(notes))
    if options.json:
        Path(options.json).write_text(json.dumps(everything, indent=1), "utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
