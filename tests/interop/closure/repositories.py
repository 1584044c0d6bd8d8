"""Chart archives served on loopback as the repositories that our data files name."""

import http.server
import io
import json
import re
import tarfile
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

EXACT = re.compile(r"v?\d+\.\d+\.\d+")
DATA = Path("data/eks_dockerimage-replication/versions")


def merge(base, over):
    """Mappings merge, all else is replaced; null takes back."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def data_of(version):
    """What the data files say for a version, merged."""
    files = [yaml.safe_load((DATA / name).read_text("utf-8")) for name in ("default.yaml", f"{version}.yaml")]
    return merge(*files)


def released(archive):
    """The archive as its publisher releases it, where it was packed from a source repository: without what
    .helmignore names, without a subchart's folder where its pinned version is packed beside it, and with an appVersion."""
    with tarfile.open(archive) as packed:
        files = {member.name: (member, packed.extractfile(member).read()) for member in packed.getmembers() if member.isfile()}
    top = min((name for name in files if name.endswith("/Chart.yaml")), key=lambda name: name.count("/")).split("/")[0]
    chart = yaml.safe_load(files[f"{top}/Chart.yaml"][1])
    ignored = files[f"{top}/.helmignore"][1].decode().split("\n") if f"{top}/.helmignore" in files else []
    gone = {f"{top}/{line.strip()}" for line in ignored} & files.keys()
    pinned = {one["name"]: str(one["version"]) for one in chart.get("dependencies") or [] if EXACT.fullmatch(str(one["version"]))}
    for name, (_, data) in files.items():
        folder = name.removesuffix("/Chart.yaml")
        if folder != name and folder.startswith(f"{top}/charts/") and folder.count("/") == 2:
            inner = yaml.safe_load(data)
            packed = any(re.fullmatch(rf"{re.escape(folder)}[^/]*\.tgz", other) for other in files)
            if packed and pinned.get(inner["name"]) != str(inner["version"]):
                gone |= {other for other in files if other.startswith(f"{folder}/")}
    if not chart.get("appVersion") and chart["name"] == "tigera-operator":
        member, data = files[f"{top}/Chart.yaml"]
        data = data.rstrip() + f"\nappVersion: {chart['version']}\n".encode()
        member.size = len(data)
        files[f"{top}/Chart.yaml"] = member, data
    elif not gone:
        return archive.read_bytes()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, (member, data) in files.items():
            if name not in gone:
                packed.addfile(member, io.BytesIO(data))
    return out.getvalue()


class Repositories:
    """Charts of one EKS version, below a folder, and the server for it."""

    def __init__(self, charts, folder, version, with_switches=False):
        self.folder, self.data = folder, data_of(version)
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "default.yaml").write_text((DATA / "default.yaml").read_text("utf-8"))
        pinned = yaml.safe_load((DATA / f"{version}.yaml").read_text("utf-8"))
        self.archives, self.missing, entries = {}, [], {}
        for key, chart in self.data["charts"].items():
            if chart.get("skip"):
                continue
            archive = charts / f"{chart['name']}-{chart['version']}.tgz"
            if not archive.is_file():
                self.missing.append(f"{chart['name']} {chart['version']}")
                pinned.setdefault("charts", {}).setdefault(key, {})["skip"] = True
                continue
            if with_switches:
                images = pinned.setdefault("charts", {}).setdefault(key, {}).setdefault("images", {})
                images |= {"auto": True, "switches": True}
            place = urlsplit(chart["repository"])
            below = folder / "repos" / place.netloc / place.path.strip("/")
            below.mkdir(parents=True, exist_ok=True)
            self.archives[key] = below / archive.name
            self.archives[key].write_bytes(released(archive))
            entry = {"name": chart["name"], "version": chart["version"], "urls": [archive.name]}
            entries.setdefault(below, {}).setdefault(chart["name"], []).append(entry)
        for below, charts_of in entries.items():
            (below / "index.yaml").write_text(json.dumps({"apiVersion": "v1", "entries": charts_of}))
        (folder / "data" / f"{version}.yaml").write_text(json.dumps(pinned))
        self.hosts = sorted(path.name for path in (folder / "repos").iterdir())

    def __enter__(self):
        root = str(self.folder / "repos")

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=root)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    def endpoints(self):
        """Flags that send every repository's host here."""
        url = f"http://127.0.0.1:{self.server.server_port}"
        return [flag for host in self.hosts for flag in ("--endpoint", f"{host}={url}/{host}")]
