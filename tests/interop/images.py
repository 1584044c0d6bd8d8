#!/usr/bin/env python3
"""The images of rendered Kubernetes manifests on standard input: every text under a key `image`, each once."""

import sys

import yaml


def images(node):
    if isinstance(node, dict):
        if isinstance(node.get("image"), str) and node["image"]:
            yield node["image"]
        for key, value in node.items():
            # The schemas of custom resources have properties of this name.
            if key != "openAPIV3Schema":
                yield from images(value)
    elif isinstance(node, list):
        for value in node:
            yield from images(value)


print("\n".join(sorted({image for document in yaml.safe_load_all(sys.stdin) for image in images(document)})))
