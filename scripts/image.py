#!/usr/bin/env python3
"""Writes the container image as an OCI layout, without docker: the program and the CA certificates, and nothing else.

  image.py --version 0.2.0 --certificates FILE --program amd64=FILE --program arm64=FILE FOLDER

There is no C library in the image, so the program has to be a static one. Two runs write the same bytes.
"""

import argparse
import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MACHINES = {"amd64": 62, "arm64": 183}
PT_INTERP = 3


def check_program(content, architecture):
    """A static 64-bit ELF program for the architecture, or ValueError."""
    if content[:6] != b"\x7fELF\x02\x01" or len(content) < 64:
        raise ValueError("it is not a 64-bit little-endian ELF program")
    machine, = struct.unpack_from("<H", content, 18)
    if machine != MACHINES[architecture]:
        raise ValueError(f"its ELF machine is {machine} and not {MACHINES[architecture]} ({architecture})")
    start, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    if start + size * count > len(content):
        raise ValueError("it is cut short")
    if any(struct.unpack_from("<I", content, start + size * i)[0] == PT_INTERP for i in range(count)):
        raise ValueError("it is dynamically linked, and the image has no C library: build it with "
                         "`scripts/dist.sh <arch>-static`")


def layer(files):
    """A tar of (path, mode, content), with the folders above them, owned by root and of no date."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = {str(parent) for path, _, _ in files for parent in Path(path).parents if str(parent) != "."}
        for name in sorted(folders):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, mode, content in files:
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Layout:
    """An OCI image layout that is being written."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "blobs/sha256").mkdir(parents=True)

    def blob(self, media_type, content):
        """Writes a blob; its descriptor."""
        if not isinstance(content, bytes):
            content = json.dumps(content, separators=(",", ":")).encode()
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, architecture, program, certificates, labels):
        """The descriptor of one platform's image."""
        check_program(program, architecture)
        tar = layer([("etc/ssl/certs/ca-certificates.crt", 0o644, certificates), ("replicator", 0o755, program)])
        compressed = gzip.compress(tar, compresslevel=9, mtime=0)
        config = self.blob(CONFIG, {
            "architecture": architecture, "os": "linux",
            "config": {"Entrypoint": ["/replicator"], "User": "65532:65532", "WorkingDir": "/",
                       "Env": ["SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"], "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
            "history": [{"comment": "scripts/image.py"}],
        })
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [self.blob(LAYER, compressed)],
                    "annotations": labels}
        return {**self.blob(MANIFEST, manifest), "platform": {"architecture": architecture, "os": "linux"}}

    def finish(self, images, version, labels):
        """Writes the index that the tag names, and the layout's own; the index's digest."""
        index = self.blob(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": images, "annotations": labels})
        top = {"schemaVersion": 2, "mediaType": INDEX,
               "manifests": [{**index, "annotations": {"org.opencontainers.image.ref.name": version}}]}
        (self.folder / "index.json").write_text(json.dumps(top), encoding="utf-8")
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")
        return index["digest"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--version", required=True)
    parser.add_argument("--source", default="", help="the repository's URL")
    parser.add_argument("--certificates", required=True, type=Path, metavar="FILE")
    parser.add_argument("--program", required=True, action="append", metavar="ARCH=FILE")
    arguments = parser.parse_args()
    labels = {"org.opencontainers.image.title": "replicator", "org.opencontainers.image.version": arguments.version,
              "org.opencontainers.image.licenses": "Apache-2.0"}
    if arguments.source:
        labels["org.opencontainers.image.source"] = arguments.source
    certificates = arguments.certificates.read_bytes()
    if b"-----BEGIN CERTIFICATE-----" not in certificates:
        sys.exit(f"image.py: {arguments.certificates}: there is no certificate in it")
    layout, images = Layout(arguments.folder), []
    for entry in arguments.program:
        architecture, _, name = entry.partition("=")
        if architecture not in MACHINES:
            sys.exit(f"image.py: `{architecture}`: amd64 and arm64 are known")
        try:
            images.append(layout.image(architecture, Path(name).read_bytes(), certificates, labels))
        except (OSError, ValueError) as error:
            sys.exit(f"image.py: {name}: {error}")
    print(layout.finish(images, arguments.version, labels))


if __name__ == "__main__":
    main()
