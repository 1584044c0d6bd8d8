#!/usr/bin/env python3
"""The corpus: one artifact of each kind, pushed into a registry without any of our code.

    corpus.py FILE                     writes what there is: the catalogue
    corpus.py FILE http://HOST PREFIX  and pushes it to HOST, each artifact to its repository behind PREFIX

The catalogue is the same on every run: a list of {name, tag, digest, manifests, blobs, platforms, tags, referrers},
where `manifests` and `blobs` are all that a copy must bring, `tags` those besides `tag`, and `referrers` says which
digest has which referrers. Credentials come from DOCKER_CONFIG.
"""

import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile
import urllib.error
import urllib.request

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST, INDEX = OCI + "manifest.v1+json", OCI + "index.v1+json"
DOCKER_MANIFEST, DOCKER_LIST = DOCKER + "distribution.manifest.v2+json", DOCKER + "distribution.manifest.list.v2+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(name, size):
    """A layer with one file of so many bytes, the same for the same name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = size
        archive.addfile(entry, io.BytesIO(random.Random(name).randbytes(size)))
    return out.getvalue()


def zstd(data):
    """A frame of uncompressed blocks."""
    blocks = [data[at:at + 100_000] for at in range(0, len(data), 100_000)]
    frame = b"\x28\xb5\x2f\xfd\x00\x58"
    for number, block in enumerate(blocks):
        frame += (len(block) << 3 | (number == len(blocks) - 1)).to_bytes(3, "little") + block
    return frame


class Artifact:
    """What is to be pushed to one repository, children first."""

    def __init__(self, name, tag="1.0"):
        self.name, self.tag = name, tag
        self.blobs, self.manifests, self.tags = {}, {}, {}
        self.platforms, self.referrers = {}, {}

    def blob(self, media_type, data):
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def put(self, content, media_type, tag=None, indent=None):
        data = json.dumps(content, indent=indent, ensure_ascii=False).encode()
        self.manifests[digest(data)] = (media_type, data)
        if tag:
            self.tags[tag] = digest(data)
        found = {"mediaType": media_type, "digest": digest(data), "size": len(data)}
        if subject := content.get("subject"):
            entry = found | {"artifactType": content.get("artifactType") or content["config"]["mediaType"]}
            self.referrers.setdefault(subject["digest"], []).append(entry)
        return found

    def image(self, platform="linux/amd64", layers=(("a", 3000), ("b", 200)), docker=False, kind="gzip", **more):
        os_, architecture, *variant = platform.split("/")
        suffix, pack = {"gzip": ("+gzip", lambda data: gzip.compress(data, 1, mtime=0)), "zstd": ("+zstd", zstd),
                        "plain": ("", bytes)}[kind]
        layer_type = DOCKER + "image.rootfs.diff.tar.gzip" if docker else OCI + "layer.v1.tar" + suffix
        tars = [tar(f"{self.name}-{name}", size) for name, size in layers]
        config = {"architecture": architecture, "os": os_, "config": {"Env": [f"PLATFORM={platform}"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in tars]},
                  "history": [{"created_by": "corpus.py"}] * len(tars)}
        if variant:
            config["variant"] = variant[0]
        if os_ == "windows":
            config["os.version"] = "10.0.20348.2700"
        config_type = DOCKER + "container.image.v1+json" if docker else OCI + "config.v1+json"
        content = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST if docker else MANIFEST,
                   "config": self.blob(config_type, json.dumps(config).encode()),
                   "layers": [self.blob(layer_type, pack(data)) for data in tars]}
        found = self.put(content | more, content["mediaType"])
        self.platforms[platform] = found["digest"]
        about = {key: config[key] for key in ("architecture", "os", "os.version", "variant") if key in config}
        return found | {"platform": about}

    def index(self, children, docker=False, tag=None, indent=None, **more):
        media_type = DOCKER_LIST if docker else INDEX
        return self.put({"schemaVersion": 2, "mediaType": media_type, "manifests": children} | more, media_type, tag, indent)

    def artifact(self, artifact_type, layers, tag=None, **more):
        content = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type,
                   "config": self.blob(EMPTY, b"{}"), "layers": layers}
        return self.put(content | more, MANIFEST, tag)

    def done(self, root):
        self.tags[self.tag] = root["digest"]
        return self

    def catalogue(self):
        return {"name": self.name, "tag": self.tag, "digest": self.tags[self.tag],
                "manifests": sorted(self.manifests), "blobs": sorted(self.blobs), "platforms": self.platforms,
                "tags": {tag: found for tag, found in self.tags.items() if tag != self.tag},
                "referrers": {subject: sorted(entry["digest"] for entry in entries)
                              for subject, entries in self.referrers.items()}}


def attestation(art, image):
    """As BuildKit makes it: an image of no platform whose layer is an in-toto statement."""
    statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": image["digest"]}]}).encode()
    config = {"architecture": "unknown", "os": "unknown", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [digest(statement)]}}
    layer = art.blob("application/vnd.in-toto+json", statement)
    layer["annotations"] = {"in-toto.io/predicate-type": "https://spdx.dev/Document"}
    found = art.put({"schemaVersion": 2, "mediaType": MANIFEST,
                     "config": art.blob(OCI + "config.v1+json", json.dumps(config).encode()), "layers": [layer]}, MANIFEST)
    return found | {"platform": {"architecture": "unknown", "os": "unknown"}, "annotations": {
        "vnd.docker.reference.digest": image["digest"], "vnd.docker.reference.type": "attestation-manifest"}}


def chart():
    art = Artifact("charts/thing", "1.2.3_build.4")
    about = {"name": "thing", "version": "1.2.3+build.4", "apiVersion": "v2"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("thing/Chart.yaml")
        text = json.dumps(about).encode()
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    layers = [art.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", gzip.compress(out.getvalue(), mtime=0)),
              art.blob("application/vnd.cncf.helm.chart.provenance.v1.prov", b"made up\n")]
    config = art.blob("application/vnd.cncf.helm.config.v1+json", json.dumps(about).encode())
    # As Helm has it: without a media type in the manifest.
    return art.done(art.put({"schemaVersion": 2, "config": config, "layers": layers}, MANIFEST))


def corpus():
    found = []

    def new(name):
        found.append(Artifact(name))
        return found[-1]

    art = new("single")
    art.done(art.image())

    four = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7", "windows/amd64"]
    art = new("index")
    art.done(art.index([art.image(platform) for platform in four], annotations={"org.example": "größer"}))

    art = new("deep/er/nested-index")
    inner = [art.index([art.image(platform)]) for platform in four[:2]]
    art.done(art.index(inner))

    art = new("docker-list")
    art.done(art.index([art.image(platform, docker=True) for platform in four[:2]], docker=True))

    art = new("docker-single")
    art.done(art.image(docker=True))

    # Written by hand: indented, with an unknown field, and a new line at the end.
    art = new("odd-bytes")
    child = art.image()
    data = json.dumps({"x": [1.0, "\u00e9"], "manifests": [child], "schemaVersion": 2}, indent=7).encode() + b"\n\n"
    art.manifests[digest(data)] = (INDEX, data)
    art.done({"digest": digest(data)})

    art = new("attested")
    images = [art.image(platform) for platform in four[:2]]
    art.done(art.index(images + [attestation(art, image) for image in images]))

    art = new("referred-to")
    images = [art.image(platform) for platform in four[:2]]
    root = art.index(images)
    signature = art.artifact("application/vnd.example.signature", [art.blob("text/plain", b"signed")], subject=root,
                             annotations={"org.example.key": "1"})
    art.artifact("application/vnd.example.sbom", [art.blob("text/plain", b"what is in it")], subject=root)
    art.artifact("application/vnd.example.countersignature", [art.blob(EMPTY, b"{}")], subject=signature)
    # What has no artifactType is known by its config.
    art.put({"schemaVersion": 2, "mediaType": MANIFEST, "subject": root, "layers": [art.blob(EMPTY, b"{}")],
             "config": art.blob("application/vnd.example.config", b'{"a":1}')}, MANIFEST)
    art.done(root)

    art = new("platforms-referred-to")
    images = [art.image(platform) for platform in four[:2]]
    art.artifact("application/vnd.example.sbom", [art.blob("text/plain", b"of one platform")], subject=images[1])
    art.done(art.index(images))

    art = new("cosign-tags")
    root = art.image()
    for suffix in ("sig", "att", "sbom"):
        layer = art.blob("application/vnd.dev.cosign.simplesigning.v1+json", suffix.encode())
        config = art.blob(OCI + "config.v1+json", b'{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}')
        art.put({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}, MANIFEST,
                f"{root['digest'].replace(':', '-')}.{suffix}")
    art.done(root)

    found.append(chart())

    art = new("without-layers")
    art.done(art.artifact("application/vnd.example.thing", []))

    art = new("artifact")
    art.done(art.artifact("application/vnd.example.thing", [art.blob(EMPTY, b"{}")]))

    art = new("zstd")
    art.done(art.image(layers=(("a", 300_000), ("b", 10)), kind="zstd"))

    art = new("big")
    art.done(art.image(layers=(("a", 64 << 20), ("b", 5 << 20))))

    art = new("plain-tar")
    art.done(art.image(kind="plain"))

    art = new("tiny")
    layers = [art.blob("application/octet-stream", bytes([number])) for number in range(30)]
    art.done(art.artifact("application/vnd.example.thing", layers))
    return found


class Registry:
    def __init__(self, url):
        self.url = url
        host = url.split("//")[1]
        config = os.path.join(os.environ.get("DOCKER_CONFIG", "."), "config.json")
        auths = json.load(open(config, encoding="utf-8"))["auths"] if os.path.exists(config) else {}
        self.login = auths.get(host, {}).get("auth")

    def ask(self, method, url, data=None, content_type="application/octet-stream"):
        headers = {"Content-Type": content_type} if data is not None else {}
        if self.login:
            headers["Authorization"] = "Basic " + self.login
        url = url if url.startswith("http") else self.url + url
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=120) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            if method == "HEAD":
                return error.code, error.headers
            raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode()}") from error

    def push(self, prefix, art):
        repository = f"/v2/{prefix}{art.name}"
        for name, data in art.blobs.items():
            if self.ask("HEAD", f"{repository}/blobs/{name}")[0] != 200:
                place = self.ask("POST", f"{repository}/blobs/uploads/", b"")[1]["Location"]
                self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={name}", data)
        for name, (media_type, data) in art.manifests.items():
            answer = self.ask("PUT", f"{repository}/manifests/{name}", data, media_type)[1]
            subject = json.loads(data).get("subject")
            if subject and "OCI-Subject" not in answer:
                # A registry without the referrers API: the client keeps the list.
                entries = art.referrers[subject["digest"]]
                listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
                # Every entry must be there before its list.
                art.lists[subject["digest"].replace(":", "-")] = json.dumps(listed).encode()
        for tag, data in art.lists.items():
            self.ask("PUT", f"{repository}/manifests/{tag}", data, INDEX)
        for tag, name in art.tags.items():
            media_type, data = art.manifests[name]
            self.ask("PUT", f"{repository}/manifests/{tag}", data, media_type)


def main():
    found = corpus()
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump([art.catalogue() for art in found], file, indent=1)
    if len(sys.argv) > 2:
        registry = Registry(sys.argv[2])
        for art in found:
            art.lists = {}
            registry.push(sys.argv[3], art)


if __name__ == "__main__":
    main()
