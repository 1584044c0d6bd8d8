#!/usr/bin/env python3
"""Reads a result as the EKS module does, written from the contract (fields, merge rules, size limit, shell line).

    consumer.py S3_FULL_PATH IMAGES   a result is in SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA, as that
                                      module's deployspec puts it there; IMAGES is its updated_images.json
    consumer.py --self-test           what the contract says of bad results

Fails with all that would go wrong there: a crash, a public address, or a value that is not what was meant.
"""

import copy
import fnmatch
import json
import os
import re
import shlex
import sys

from deepmerge import always_merger

VARIABLE = "SEEDFARMER_PARAMETER_REPLICATED_ECR_IMAGES_METADATA"
LIMIT = 131_019
# A role of the EKS module reads no other buckets.
BUCKETS = "*-d*-rep*-*"
REPOSITORY = re.compile(r"oci://\d{12}\.dkr\.ecr\.[a-z0-9-]+\.[a-z0-9.-]+/[a-z0-9._/-]+")
DEFAULTS = {"replicas": 2, "image": {"repository": "public.example/default", "pullPolicy": "Always"}, "args": ["--a"]}


def jsii(node):
    """What comes out of the bridge to the CDK: keys and elements that are null are gone."""
    if isinstance(node, dict):
        return {key: jsii(value) for key, value in node.items() if value is not None}
    if isinstance(node, list):
        return [jsii(value) for value in node if value is not None]
    return node


def chart_of(entry, defaults, wrong, name):
    """What is installed for one chart: name, repository, version, values."""
    helm = entry.get("helm") or {}
    for field in ("name", "repository", "version"):
        if not helm.get(field):
            wrong.append(f"{name}: without helm.{field} the public chart of the data files is used")
    version = helm.get("version") or "1.0.0"
    if not isinstance(version, str):
        raise TypeError(f"{name}: helm.version is {version!r}, which is not a text")
    values = entry.get("values", {})
    if values is None:
        wrong.append(f"{name}: values: null takes all defaults of this chart away")
    merged = None if values is None else jsii(always_merger.merge(copy.deepcopy(defaults), values))
    return helm.get("name"), helm.get("repository"), version, merged


def leaves(node, path=()):
    if isinstance(node, (dict, list)):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def at(node, path):
    for key in path:
        node = node[key] if isinstance(node, dict) and key in node else None
    return node


def look(text):
    """All that is wrong with a result, and the texts in it that name places."""
    wrong, texts = [], []
    if len(text.encode()) > LIMIT:
        wrong.append(f"{len(text.encode())} bytes are more than one variable can hold")
    document = json.loads(text)
    for key, address in document.get("additional_images", {}).items():
        if not isinstance(address, str) or not address:
            wrong.append(f"additional_images.{key}: {address!r}")
        texts.append(address)
    for key, entry in document.get("charts", {}).items():
        values = entry.get("values") or {}
        name, repository, version, merged = chart_of(entry, DEFAULTS, wrong, key)
        if repository and not REPOSITORY.fullmatch(repository):
            wrong.append(f"{key}: {repository} is not a chart in ECR")
        elif repository and repository.rsplit("/", 1)[1] != name:
            wrong.append(f"{key}: the folder {name} is not the last part of {repository}")
        line = f"helm pull {repository} --version {version} --untar"
        if shlex.split(line) != ["helm", "pull", repository, "--version", version, "--untar"] or re.search(r"[^\w.+:/ -]", line):
            wrong.append(f"{key}: the shell does not read this as it is meant: {line}")
        for path, value in leaves(values):
            where = f"{key}: {'.'.join(map(str, path))}"
            if value is None:
                wrong.append(f"{where} is null: the chart's own value is used")
            elif not isinstance(value, (str, bool)):
                wrong.append(f"{where} is {value!r}, which is not a text")
            elif any(isinstance(part, int) for part in path):
                # Lists are appended to the defaults', so that an index moves.
                texts.append(value)
            elif at(merged, path) != value:
                wrong.append(f"{where} does not arrive")
            else:
                texts.append(value)
        if "tigeraOperator" in values:
            registry = values["tigeraOperator"].get("registry")
            texts.append(f"{registry} for the operator")
    return wrong, [text for text in texts if isinstance(text, str)]


def unreachable(images, texts):
    """The images whose copy no value names, neither whole, nor without tag, nor by registry or repository alone."""
    for image in images:
        address = image["target"].split("@")[0]
        repository = address.rpartition(":")[0]
        parts = repository.split("/")
        known = {address, repository} | {"/".join(parts[:end]) for end in range(2, len(parts))} | {parts[0]}
        if not any(text in known or text.startswith(repository) for text in texts):
            yield image["target"]


def self_test():
    good = {"helm": {"name": "a", "version": "1.0+b", "repository": "oci://123456789012.dkr.ecr.eu-west-1.amazonaws.com/idf-x/a"},
            "values": {"image": {"tag": "1.10", "digest": ""}}}

    def outcome(change=None, **document):
        entry = copy.deepcopy(good)
        for path, value in (change or {}).items():
            *parents, last = path.split(".")
            at(entry, parents)[last] = value
        try:
            return look(json.dumps({"charts": {"c": entry}, "extra": 1} | document))[0]
        except (TypeError, AttributeError):
            return "crash"

    assert outcome() == [], outcome()
    assert jsii(always_merger.merge({"a": [1], "b": 1, "c": 2}, {"a": [None, 2], "b": None})) == {"a": [1, 2], "c": 2}
    assert outcome(charts=None) == outcome(charts={"c": None}) == outcome(additional_images=None) == "crash"
    assert outcome({"helm.version": 1.1}) == "crash"
    for change in ({"values.image.tag": None}, {"values.image.tag": 1.1}, {"values": None}, {"helm.version": ""}, {"helm": None},
                   {"helm.version": "1.0;id"}, {"helm.version": ">=1 <2"}, {"helm.name": "b"}, {"helm.repository": "https://charts.example"},
                   {"values.list": [None]}):
        assert outcome(change), change
    assert outcome(extra="x" * LIMIT)
    assert list(unreachable([{"target": "r/a/b:1"}], ["r/other", "b"])) == ["r/a/b:1"]


def main():
    if sys.argv[1] == "--self-test":
        self_test()
        return
    bucket, _, key = sys.argv[1].partition("/")
    wrong, texts = look(os.environ[VARIABLE])
    if not fnmatch.fnmatchcase(bucket, BUCKETS) or not key:
        wrong.append(f"{sys.argv[1]}: the EKS module may not read this")
    with open(sys.argv[2], encoding="utf-8") as file:
        images = json.load(file)
    wrong += [f"no value names {target}" for target in unreachable(images, texts)]
    charts = json.loads(os.environ[VARIABLE])["charts"]
    if not charts or not images:
        wrong.append("there is nothing in it")
    print("\n".join(wrong) or f"{len(charts)} charts, {len(images)} images")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
