"""Checks the documents of a YAML stream against Kubernetes CRDs, as an API server with strict validation does.

    schema.py CRD... < documents

A kind that no CRD describes is not checked, except that it must be a Secret of the core API."""

import sys
from pathlib import Path

import jsonschema
import yaml


def closed(schema):
    """The schema, with fields refused that it does not list."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value if key in ("default", "enum") else closed(value) for key, value in schema.items()}
    keeps = made.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made and not keeps:
        made["additionalProperties"] = False
    return made


def schemas(paths):
    found = {}
    for path in paths:
        for crd in yaml.safe_load_all(Path(path).read_text(encoding="utf-8")):
            if not crd or crd.get("kind") != "CustomResourceDefinition":
                continue
            for version in crd["spec"]["versions"]:
                name = f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                found[name] = schema
    return found


def main():
    known, checked = schemas(sys.argv[1:]), 0
    for document in yaml.safe_load_all(sys.stdin):
        name = document["apiVersion"], document["kind"]
        if name == ("v1", "Secret"):
            assert all(isinstance(value, str) for value in document["stringData"].values()), document
            continue
        jsonschema.validate(document, known[name])
        checked += 1
    assert checked, "no document was checked"
    print(f"{checked} documents fit their schemas")


if __name__ == "__main__":
    main()
