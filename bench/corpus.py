"""The corpora: what is copied. Deterministic by seed, made once and kept in the cache folder.

A corpus is written straight into the storage folder of a CNCF distribution registry, which is far cheaper than
uploading it and gives the same files. Layers are valid gzip members of incompressible bytes (stored blocks): some tools
look at a layer's first bytes and would compress what is not compressed yet, which is not what we want to compare.
"""

import hashlib
import json
import random
import shutil
import subprocess
import zlib
from pathlib import Path

VERSION = 4  # raise it when the contents change, so that the old ones are made anew
MIB = 1 << 20
CHUNK = 1 * MIB
SMALLEST, LARGEST = 0.004, 85  # MB, before they are scaled to the corpus's size
PLATFORMS = ("amd64", "arm64")
OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}
DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


class Corpus:
    """`artifacts`: what to copy, as {name, tag, digest}; `blobs`: every distinct content's size by digest."""

    def __init__(self, folder: Path):
        described = json.loads((folder / "corpus.json").read_text())
        self.storage = folder / "storage"
        self.artifacts = described["artifacts"]
        self.blobs = described["blobs"]
        self.manifests = described["manifests"]
        self.bytes = sum(self.blobs.values())

    def read_through(self):
        """Brings it into the page cache, so that the first tool does not pay for the disk."""
        for path in self.storage.rglob("data"):
            with open(path, "rb", buffering=0) as file:
                while file.read(4 * MIB):
                    pass


class Writer:
    """Writes the storage folder of a registry. Files are replaced, never written in place: they may be hard links."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "storage/docker/registry/v2"
        self.blobs, self.artifacts, self.manifests = {}, {}, 0

    def _data(self, digest):
        algorithm, hexes = digest.split(":")
        return self.root / "blobs" / algorithm / hexes[:2] / hexes / "data"

    def _link(self, repository, *parts, digest):
        path = self.root.joinpath("repositories", repository, *parts, "link")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(digest)

    def blob(self, content: bytes):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        path = self._data(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        self.blobs[digest] = len(content)
        return {"digest": digest, "size": len(content)}

    def layer(self, key: str, size: int):
        """About `size` incompressible bytes that `key` determines; also gives what they unpack to."""
        source, zipped, plain = random.Random(key), hashlib.sha256(), hashlib.sha256()
        packer = zlib.compressobj(0, wbits=31)
        temporary = self.folder / "layer"
        written = 0
        with open(temporary, "wb") as file:
            for start in range(0, size, CHUNK):
                piece = source.randbytes(min(CHUNK, size - start))
                plain.update(piece)
                packed = packer.compress(piece)
                zipped.update(packed)
                written += file.write(packed)
            packed = packer.flush()
            zipped.update(packed)
            written += file.write(packed)
        digest = "sha256:" + zipped.hexdigest()
        path = self._data(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        self.blobs[digest] = written
        return {"digest": digest, "size": written, "diff_id": "sha256:" + plain.hexdigest()}

    def _manifest(self, repository, document):
        entry = self.blob(json.dumps(document, separators=(",", ":")).encode())
        self.manifests += 1
        hexes = entry["digest"].split(":")[1]
        self._link(repository, "_manifests", "revisions", "sha256", hexes, digest=entry["digest"])
        return {"mediaType": document["mediaType"], **entry}

    def image(self, repository, types, layers, architecture, note):
        config = {
            "architecture": architecture, "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Labels": {"bench": note, "pad": "x" * (len(note) * 97 % 4000)}},
            "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
        }
        config_entry = self.blob(json.dumps(config).encode())
        for part in (config_entry, *layers):
            self._link(repository, "_layers", "sha256", part["digest"].split(":")[1], digest=part["digest"])
        return self._manifest(repository, {
            "schemaVersion": 2, "mediaType": types["manifest"],
            "config": {"mediaType": types["config"], **config_entry},
            "layers": [{"mediaType": types["layer"], "digest": l["digest"], "size": l["size"]} for l in layers],
        })

    def index(self, repository, types, images):
        return self._manifest(repository, {
            "schemaVersion": 2, "mediaType": types["index"],
            "manifests": [{**image, "platform": {"architecture": a, "os": "linux"}} for a, image in images],
        })

    def tag(self, repository, tag, entry):
        digest = entry["digest"]
        self._link(repository, "_manifests", "tags", tag, "current", digest=digest)
        self._link(repository, "_manifests", "tags", tag, "index", "sha256", digest.split(":")[1], digest=digest)
        self.artifacts[repository] = {"name": repository, "tag": tag, "digest": digest}

    def finish(self):
        document = {"artifacts": list(self.artifacts.values()), "blobs": self.blobs, "manifests": self.manifests}
        (self.folder / "corpus.json").write_text(json.dumps(document))


def _kept(cache: Path, name: str, make) -> Corpus:
    """The corpus `name`, made by `make` unless an earlier run did."""
    folder = cache / "corpora" / f"{name}-v{VERSION}"
    if not (folder / "corpus.json").exists():
        print(f"making the corpus {folder.name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
    return Corpus(folder)


def _plan(total: int, images: int):
    """Who has which layers: (key, size) lists per image and platform, `total` distinct bytes in all."""
    chosen = random.Random("plan 4")
    bases = {(i, a): [(f"base {i} {a} {n}", chosen.uniform(2, 20)) for n in range(1 + i % 3)]
             for i in range(6) for a in PLATFORMS}
    plan = []
    for number in range(images):
        # As in a cluster: most images are small programs on a common base, some bring a lot along. In MB.
        sizes = [SMALLEST * (LARGEST / SMALLEST) ** chosen.random() ** 3 for _ in range(chosen.randint(2, 4))]
        data = [(f"data {number}", chosen.uniform(0.01, 2))] if number % 4 == 0 else []  # same for both platforms
        plan.append({a: bases[number % 6, a] + data + [(f"layer {number} {a} {n}", s) for n, s in enumerate(sizes)]
                     for a in PLATFORMS})
    sizes = {key: size for image in plan for layers in image.values() for key, size in layers}
    factor = total / sum(sizes.values())
    return [{a: [(key, max(1000, int(size * factor))) for key, size in layers] for a, layers in image.items()}
            for image in plan]


def _image(writer, number, layers_of, note=""):
    types = DOCKER if number % 2 else OCI
    repository = f"bench/team-{number % 7}/image-{number:02}"
    images = [(a, writer.image(repository, types, layers_of(a), a, f"{number} {a}{note}")) for a in PLATFORMS]
    writer.tag(repository, f"v1.{number}", writer.index(repository, types, images))


def images(cache: Path, total: int, count: int = 68) -> Corpus:
    """`count` images of two platforms with shared base layers, `total` bytes in all."""
    def make(folder):
        writer, made = Writer(folder), {}

        def layer(key, size):
            if key not in made:
                made[key] = writer.layer(f"1 {key}", size)
            return made[key]

        for number, image in enumerate(_plan(total, count)):
            _image(writer, number, lambda a, i=image: [layer(key, size) for key, size in i[a]])
        writer.finish()
    return _kept(cache, f"images-{count}-{total // MIB}m", make)


def changed(cache: Path, total: int, count: int = 68) -> Corpus:
    """`images` after 5 % of the tags moved on: a new last layer and a new config for each platform."""
    before = images(cache, total, count)

    def make(folder):
        subprocess.run(["cp", "-al", before.storage, folder / "storage"], check=True)
        writer = Writer(folder)
        writer.blobs, writer.manifests = dict(before.blobs), before.manifests
        writer.artifacts = {artifact["name"]: artifact for artifact in before.artifacts}
        plan = _plan(total, count)
        for number in range(5, count, 20):
            image = plan[number]

            def layers_of(architecture, number=number, image=image):
                known = {}
                layers = image[architecture]
                for key, size in layers[:-1]:
                    known[key] = writer.layer(f"1 {key}", size)  # the same bytes again, for what they unpack to
                return [*known.values(), writer.layer(f"2 {layers[-1][0]}", total // 512)]
            _image(writer, number, layers_of, " again")
        writer.finish()
    return _kept(cache, f"changed-{count}-{total // MIB}m", make)


def big(cache: Path, size: int) -> Corpus:
    """One image of one platform with one layer of `size` bytes."""
    def make(folder):
        writer = Writer(folder)
        image = writer.image("bench/big", OCI, [writer.layer("big", size)], "amd64", "big")
        writer.tag("bench/big", "v1", image)
        writer.finish()
    return _kept(cache, f"big-{size // MIB}m", make)


def small(cache: Path, count: int) -> Corpus:
    """`count` artifacts each in its own repository: one to three layers of 1 to 20 kB."""
    def make(folder):
        writer, chosen = Writer(folder), random.Random("small")
        for number in range(count):
            layers = [writer.layer(f"small {number} {n}", chosen.randint(1000, 20000)) for n in range(chosen.randint(1, 3))]
            repository = f"bench/small-{number:03}"
            writer.tag(repository, "v1", writer.image(repository, OCI, layers, "amd64", f"small {number}"))
        writer.finish()
    return _kept(cache, f"small-{count}", make)
