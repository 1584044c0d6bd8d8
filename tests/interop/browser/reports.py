"""Makes reports to look at: many images, hostile names, failures.

    reports.py FOLDER"""

import json
import random
import sys
from pathlib import Path

HOSTILE = [
    "<script>document.title='run'</script>",
    "\"><img src=x onerror=document.title='run'>",
    "' onload='document.title=1",
    "</style></title><svg onload=alert(1)>",
    "javascript:alert(1)//.corp/a:1",
    "https://evil.corp/a?<iframe src=//evil.corp>:1",
    "\u202egnp.exe\u202c\u0000\u001b[31m\u200b",
    "x" * 4000,
    "&lt;b&gt;&amp;",
    "]]><!--<![CDATA[",
]


def artifact(kind, source, used_by, number, **more):
    return {"kind": kind, "source": source, "target": f"target.corp/mirror/{source}", "usedBy": used_by,
            "digest": f"sha256:{number:064x}", "platforms": ["linux/amd64", "linux/arm64"], "bytes": number * 100_000,
            "contentBytes": number * 130_000, "done": "copied", "seconds": 1 + number % 7, "start": number / 10, **more}


def report(artifacts, **more):
    done = [one["done"] for one in artifacts]
    totals = {"artifacts": len(artifacts), "copied": done.count("copied"), "alreadyThere": done.count("already there"),
              "failed": done.count("failed"), "bytes": sum(one["bytes"] for one in artifacts), "seconds": 123.4}
    run = {"program": "0.0.0", "prefix": "target.corp/mirror/", "eksVersion": "1.34", "startedAt": 1_790_000_000}
    return {"artifacts": artifacts, "totals": totals, "run": run, **more}


def many():
    draw, artifacts = random.Random(1), []
    hosts = ["quay.io", "registry.k8s.io", "ghcr.io", "public.ecr.aws", "docker.io"]
    for number in range(40):
        artifacts.append(artifact("chart", f"https://charts.corp/chart-{number}:1.{number}.0", [f"chart_{number}"], number))
    for number in range(500):
        chart = f"chart_{draw.randrange(50)}"
        source = f"{draw.choice(hosts)}/team-{number % 23}/component-with-a-long-name-{number}:v1.{number}.0-alpine3.20"
        state = draw.choice(["copied"] * 8 + ["already there"])
        artifacts.append(artifact("image", source, [chart], number, done=state, start=draw.random() * 100,
                                  **({"replaced": f"sha256:{1:064x}"} if number % 100 == 0 else {})))
    return report(artifacts)


def hostile():
    artifacts = []
    for number, name in enumerate(HOSTILE):
        artifacts.append(artifact("chart", name, [name], number, target=name, digest=name, platforms=[name], notes=[name],
                                  replaced=name))
        artifacts.append(artifact("image", name + "/image", [name], number, done="failed", error=[name, name], remedy=name))
    # Numbers that no run writes.
    artifacts[0].update(start=-1e308, seconds=1e308)
    artifacts[2].update(start=1e308, seconds=1e308)
    made = report(artifacts, error=HOSTILE, warnings=HOSTILE)
    made["run"].update(prefix=HOSTILE[0], program=HOSTILE[1], eksVersion=HOSTILE[2], startedAt=2**63)
    return made


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in (("many", many()), ("hostile", hostile()), ("empty", report([]))):
        (folder / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")


if __name__ == "__main__":
    main()
