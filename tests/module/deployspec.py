#!/usr/bin/env python3
"""Checks deployspec.yaml by Seed-Farmer's rules, and writes the commands of each phase into FOLDER for shellcheck."""

import json
import sys
from pathlib import Path

import yaml

MODULE = Path(__file__).resolve().parents[2]
# Seed-Farmer makes the smallest machine of any other word.
BUILD_TYPES = tuple(f"BUILD_GENERAL1_{size}" for size in ("SMALL", "MEDIUM", "LARGE", "2XLARGE"))
PHASES = ("install", "pre_build", "build", "post_build")
# It is stored as one parameter of SSM, of which Seed-Farmer uses the large kind.
MOST_BYTES = 8192


def main(folder):
    document = yaml.safe_load((MODULE / "deployspec.yaml").read_text(encoding="utf-8"))
    problems = []
    if document.get("publishGenericEnvVariables") is not True:
        problems.append("publishGenericEnvVariables is not true")
    if document.get("build_type") not in BUILD_TYPES:
        problems.append(f"build_type is none of {', '.join(BUILD_TYPES)}")
    if set(document) - {"publishGenericEnvVariables", "build_type", "deploy", "destroy"}:
        problems.append("a key that Seed-Farmer passes over in silence")
    size = len(json.dumps(document))
    if size > MOST_BYTES:
        problems.append(f"{size} bytes as JSON, and Seed-Farmer stores {MOST_BYTES}")
    for action in ("deploy", "destroy"):
        for phase, body in document[action]["phases"].items():
            commands = body["commands"]
            if phase not in PHASES or not all(isinstance(command, str) for command in commands):
                problems.append(f"{action}.{phase} is not a phase, or holds something that is not a text")
            for command in commands:
                if "\n" in command.strip() and "set -euo pipefail" not in command:
                    problems.append(f"{action}.{phase}: more than one line and not strict:\n{command}")
            (folder / f"{action}-{phase}.bash").write_text("\n".join(commands) + "\n", encoding="utf-8")
    if (MODULE / "seedfarmer.yaml").exists():
        problems.append("a seedfarmer.yaml at the module's root makes Seed-Farmer take the module for the project")
    for problem in problems:
        print(f"deployspec.yaml: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
