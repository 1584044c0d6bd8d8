#!/usr/bin/env python3
"""Runs the commands of the guides as they are written, against stand-ins for registries, charts and AWS.

    check.py REPLICATOR LAB_GUIDES [GUIDE...]

Every fenced block that begins with ```sh test is run, those of one guide one after the other in one folder, by bash with
`set -euo pipefail`. README.md is a guide too."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^( *)```sh test\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LATEST = 120


def blocks(text):
    """The commands of a guide, without the indentation of lists."""
    for indent, commands in BLOCK.findall(text):
        yield "".join(line.removeprefix(indent) for line in commands.splitlines(keepends=True))


def start(stand_ins, folder):
    """The stand-ins' process, and the environment of commands."""
    process = subprocess.Popen([stand_ins, str(folder)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if not line:
        raise SystemExit("docs-check: the stand-ins do not start")
    return process, json.loads(line)


def run(guide, commands, program):
    """Whether the commands of a guide end well."""
    stand_ins = Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        process, variables = start(stand_ins, folder)
        try:
            (folder / "bin").mkdir()
            (folder / "bin/replicator").symlink_to(program)
            (folder / "home").mkdir()
            environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": f"{folder}/home", **variables}
            script = "set -euo pipefail\n" + "\n".join(commands)
            ended = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LATEST, check=False)
        finally:
            process.kill()
            process.wait()
    if ended.returncode == 0:
        print(f"ok    {guide}: {len(commands)} blocks")
        return True
    print(f"FAIL  {guide}: exit code {ended.returncode}")
    print("\n".join("        " + line for line in ended.stdout.splitlines()[-30:]))
    return False


def main():
    program = Path(sys.argv[1]).resolve()
    guides = [Path(one) for one in sys.argv[3:]] or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    passed = failed = 0
    for guide in guides:
        commands = list(blocks(guide.read_text(encoding="utf-8")))
        if commands:
            if run(guide.name, commands, program):
                passed += 1
            else:
                failed += 1
    print(f"docs-check: {passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
