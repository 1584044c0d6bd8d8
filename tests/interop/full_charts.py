#!/usr/bin/env python3
"""Lays out full chart archives as the repositories that our data files name.

    full_charts.py EKS_VERSION CHARTS_DIR OUT

Writes OUT/repos/<host>/<path>/ with the archives that are there, OUT/data with the data files, where all other charts
are skipped, OUT/charts with `key name archive` of each that is there, and OUT/defaults/<key>.json: what a chart
demands of everybody who renders it.
"""

import json
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml

DEMANDED = {
    "alb_controller": {"clusterName": "example"},
    "cluster_autoscaler": {"autoDiscovery": {"clusterName": "example"}},
}


class Text(yaml.SafeLoader):
    """Scalars keep their text, as in the program."""


Text.yaml_implicit_resolvers = {
    letter: [pair for pair in pairs if pair[0] in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:bool")]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def main():
    version, archives, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    data = Path("data/eks_dockerimage-replication/versions")
    there = {path.name: path for path in archives.rglob("*.tgz")}
    default = yaml.load((data / "default.yaml").read_text("utf-8"), Text)
    pinned = yaml.load((data / f"{version}.yaml").read_text("utf-8"), Text)
    (out / "data").mkdir(parents=True)
    (out / "defaults").mkdir()
    (out / "repos").mkdir()
    lines = []
    for key, chart in default["charts"].items():
        own = pinned.setdefault("charts", {}).setdefault(key, {})
        chart = chart | own
        archive = there.get(f"{chart['name']}-{chart['version']}.tgz")
        if chart.get("skip"):
            continue
        if not archive:
            own["skip"] = True
            print(f"{key}: {chart['name']} {chart['version']} is not there")
            continue
        place = urlsplit(chart["repository"])
        folder = out / "repos" / place.netloc / place.path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(archive, folder)
        (out / "defaults" / f"{key}.json").write_text(json.dumps(DEMANDED.get(key, {})))
        lines.append(f"{key} {chart['name']} {folder / archive.name}\n")
    (out / "charts").write_text("".join(lines))
    shutil.copy(data / "default.yaml", out / "data")
    (out / "data" / f"{version}.yaml").write_text(json.dumps(pinned))


if __name__ == "__main__":
    main()
