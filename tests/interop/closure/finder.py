"""Which strings of rendered manifests name images: an implementation of its own, to compare ours with.

It knows no list of fields and no kinds of workloads. A string counts where its key says that it is an image, where it
stands beside a repository's tag, or where a whole reference with a host and a tag or digest is part of it.
"""

import re

HOST = r"(?:localhost|(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]*)(?::\d+)?"
PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
PATH = rf"{PART}(?:/{PART})*"
TAG = r"\w[\w.-]{0,127}"
DIGEST = r"sha256:[0-9a-f]{64}"
REFERENCE = re.compile(rf"(?:(?:{HOST}|[\w.-]+:\d+)/)?{PATH}(?::{TAG})?(?:@{DIGEST})?", re.ASCII)
# In text: never behind a scheme, a slash or a letter, nor before more of a path.
INSIDE = re.compile(rf"(?<![\w./@:-]){HOST}/{PATH}(?::{TAG}(?:@{DIGEST})?|@{DIGEST})(?![\w/@])", re.ASCII)


def find(document):
    """(field, reference) of every image in a document, in order."""
    if document.get("kind") == "CustomResourceDefinition":
        return
    yield from walk(document, "", "")


def walk(node, key, path):
    if isinstance(node, dict):
        if node.get("kind") == "CustomResourceDefinition" and "spec" in node:
            return
        repository, tag, digest = (node.get(name) for name in ("repository", "tag", "digest"))
        if isinstance(repository, str) and repository and isinstance(tag or digest, (str, int, float)):
            registry = node.get("registry")
            name = f"{registry}/{repository}" if registry else repository
            name += f":{tag}" if tag else ""
            name += f"@{digest}" if digest else ""
            if REFERENCE.fullmatch(name):
                yield path, name
        for inner, value in node.items():
            yield from walk(value, key if key == "image" and inner == "reference" else str(inner), f"{path}.{inner}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, key, f"{path}[{index}]")
    elif isinstance(node, str):
        text = node.strip()
        if key.endswith(("image", "Image")) and text and REFERENCE.fullmatch(text):
            yield path, text
        else:
            for found in INSIDE.finditer(node):
                yield path, found.group()
