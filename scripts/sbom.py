#!/usr/bin/env python3
"""Writes the bill of materials of the program as CycloneDX 1.6: what Cargo.lock resolves for the shipped binary.

  sbom.py FILE

Dependencies that only tests or build scripts have are left out. Two runs write the same bytes. Needs cargo.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

PROGRAM = "dockerimage-replication"


def shipped(metadata):
    """The packages that are linked into the program, by id, each with the ids that it links."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    root = next(package["id"] for package in metadata["packages"] if package["name"] == PROGRAM)
    links, queue = {}, [root]
    while queue:
        package = queue.pop()
        if package in links:
            continue
        links[package] = sorted(
            dependency["pkg"] for dependency in nodes[package]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]))
        queue += links[package]
    return root, links


def component(package, checksums):
    """A package as CycloneDX has it."""
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{quote(name)}@{quote(version)}"
    found = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if package.get("license"):
        # Cargo's older spelling of "or".
        found["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    if checksum := checksums.get((name, version)):
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


def bill(metadata, lock):
    """The whole document."""
    checksums = {(name, version): checksum for name, version, checksum in re.findall(
        r'\[\[package\]\]\nname = "(.*)"\nversion = "(.*)"\nsource = ".*"\nchecksum = "([0-9a-f]{64})"', lock)}
    root, links = shipped(metadata)
    made = {package["id"]: component(package, checksums) for package in metadata["packages"] if package["id"] in links}
    program = {**made.pop(root), "type": "application"}
    refs = {root: program["bom-ref"], **{key: value["bom-ref"] for key, value in made.items()}}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": program},
        "components": sorted(made.values(), key=lambda entry: entry["bom-ref"]),
        "dependencies": sorted(
            ({"ref": refs[key], "dependsOn": sorted({refs[link] for link in value})} for key, value in links.items()),
            key=lambda entry: entry["ref"]),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    root = Path(__file__).resolve().parents[1]
    metadata = json.loads(subprocess.run(
        ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"],
        cwd=root, check=True, capture_output=True, text=True).stdout)
    document = bill(metadata, (root / "Cargo.lock").read_text(encoding="utf-8"))
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"sbom: {len(document['components'])} components")


if __name__ == "__main__":
    main()
