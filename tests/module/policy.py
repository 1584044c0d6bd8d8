#!/usr/bin/env python3
"""Asks modulestack.yaml what the module's role may do.

Resolves the template as CloudFormation would for given parameters, and answers for a list of AWS calls which of them
IAM would deny, and which statements none of them needed.

  policy.py --param ProjectName=MyProj --param RetentionType=DESTROY --calls calls.json
  policy.py --param ProjectName=idf            (prints the policy)
  policy.py --statements policy.json --calls calls.json      (an IAM policy instead of the template)
  policy.py --review       (docs/permissions.md, its table made anew; a test compares them)

calls.json: [{"action": "ecr:CreateRepository", "resource": "arn:aws:ecr:…", "context": {"aws:ResourceTag/x": "y"}}].
`resource` defaults to `*`, `context` (the condition keys of the call) to nothing.

Exit codes: 0 all allowed, 1 a call is denied (or, with --strict, an action was granted and never used), 2 bad input.
Needs PyYAML.
"""

import argparse
import fnmatch
import functools
import json
import re
import sys
from pathlib import Path

try:
    import yaml
except ImportError:
    sys.exit("policy.py: it needs PyYAML, which the Python in the folder that `bash tests/module/tools.sh` prints has")

TEMPLATE = Path(__file__).resolve().parents[2] / "modulestack.yaml"
NO_VALUE = object()
# What Seed-Farmer fills in by itself, and CloudFormation's own; --param can say otherwise.
GIVEN = {
    "ProjectName": "idf",
    "DeploymentName": "dev",
    "ModuleName": "replication-images",
    "RoleName": "a-role",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "us-east-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "a-stack",
    "AWS::NoValue": NO_VALUE,
}


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


@functools.lru_cache
def read(text):
    """A template's document; it is never changed."""
    return yaml.load(text, Loader)


class Template:
    """A template with its parameters filled in."""

    def __init__(self, text, parameters):
        self.document = read(text)
        declared = self.document.get("Parameters", {})
        defaults = {name: spec["Default"] for name, spec in declared.items() if "Default" in spec}
        unknown = [name for name in parameters if name not in declared and not name.startswith("AWS::")]
        if unknown:
            raise ValueError(f"the template has no parameter {', '.join(unknown)}")
        self.values = {**GIVEN, **defaults, **parameters}
        missing = [name for name in declared if name not in self.values]
        if missing:
            raise ValueError(f"a value is missing for {', '.join(missing)}")

    def condition(self, name):
        return self.resolve(self.document["Conditions"][name])

    def substitute(self, argument):
        text, names = argument if isinstance(argument, list) else (argument, {})
        names = {name: self.resolve(value) for name, value in names.items()}

        def value(match):
            name = match[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            return names[name] if name in names else self.values[name]

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def resolve(self, node):
        """A node without its functions. Only the chosen side of an Fn::If is looked at."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self.values[argument]
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function == "Fn::Sub":
                return self.substitute(argument)
            if function == "Fn::If":
                name, yes, no = argument
                return self.resolve(yes if self.condition(name) else no)
            if function.startswith("Fn::"):
                return self.call(function, self.resolve(argument))
        resolved = {name: self.resolve(value) for name, value in node.items()}
        return {name: value for name, value in resolved.items() if value is not NO_VALUE}

    def call(self, function, argument):
        if function == "Fn::Equals":
            return argument[0] == argument[1]
        if function == "Fn::Not":
            return not argument[0]
        if function in ("Fn::Or", "Fn::And"):
            if not 2 <= len(argument) <= 10:
                raise ValueError(f"{function} takes 2 to 10 conditions")
            return any(argument) if function == "Fn::Or" else all(argument)
        if function == "Fn::Join":
            return argument[0].join(argument[1])
        if function == "Fn::Split":
            return argument[1].split(argument[0])
        if function == "Fn::Select":
            return argument[1][int(argument[0])]
        raise ValueError(f"{function} is not known here")

    def statements(self):
        """All statements of the policies, as lists where IAM takes one or many."""
        found = []
        for resource in self.document["Resources"].values():
            if "Condition" in resource and not self.condition(resource["Condition"]):
                continue
            properties = self.resolve(resource["Properties"])
            for statement in properties["PolicyDocument"]["Statement"]:
                listed = {key: [statement[key]] if isinstance(statement[key], str) else statement[key]
                          for key in ("Action", "Resource")}
                found.append({**statement, **listed})
        return found


def like(pattern, text):
    """IAM's wildcards: `*` and `?`, and nothing else."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


OPERATORS = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": like,
    "Bool": lambda wanted, found: str(wanted).lower() == str(found).lower(),
}


def holds(conditions, context):
    """Every operator and key must hold; for one key any of its values may."""
    for operator, keys in conditions.items():
        base = operator.removesuffix("IfExists")
        for key, wanted in keys.items():
            if key not in context:
                if base == operator:
                    return False
                continue
            values = wanted if isinstance(wanted, list) else [wanted]
            if not any(OPERATORS[base](value, context[key]) for value in values):
                return False
    return True


def grants(statement, call):
    """The statement's own words for the action when it allows the call."""
    if statement["Effect"] != "Allow" or not holds(statement.get("Condition", {}), call.get("context", {})):
        return None
    if not any(like(pattern, call.get("resource", "*")) for pattern in statement["Resource"]):
        return None
    return next((word for word in statement["Action"] if like(word.lower(), call["action"].lower())), None)


def size(statements):
    """The characters that IAM counts: all inline policies of a role may have 10,240, white space not counted."""
    return len(re.sub(r"\s", "", json.dumps(statements)))


def examine(statements, calls):
    """The calls that are denied, and the (statement, action) pairs that no call used."""
    denied = []
    unused = [(statement["Sid"], action) for statement in statements for action in statement["Action"]]
    for call in calls:
        used = [(statement["Sid"], word) for statement in statements if (word := grants(statement, call))]
        if not used:
            denied.append(call)
        unused = [pair for pair in unused if pair not in used]
    return denied, unused


# What each parameter adds to what is always granted.
ADDED_BY = {
    '`FanOut` is not `"off"`': {"FanOut": "auto"},
    "`RetentionType: DESTROY`": {"RetentionType": "DESTROY"},
    "`BlobMounting: enable`": {"BlobMounting": "enable"},
    "`ImageTagMutability` is given": {"ImageTagMutability": "IMMUTABLE"},
    "`KmsKeyArn` is given": {"KmsKeyArn": "<KmsKeyArn>"},
    "`AttestationKmsKeyArn` is given": {"AttestationKmsKeyArn": "<AttestationKmsKeyArn>"},
    "`TrustKmsKeyArns` is given": {"TrustKmsKeyArns": "<TrustKmsKeyArns>"},
    "`HelmRepoSecretName` is given": {"HelmRepoSecretName": "<HelmRepoSecretName>"},
    "`Bundle` is in S3": {"Bundle": "s3://<bucket>/<object>"},
    "`ReplicatorDistroUrl` is in S3": {"ReplicatorDistroUrl": "s3://<bucket/object>"},
    "`ReplicatorDistroSecretName` is given": {"ReplicatorDistroSecretName": "<ReplicatorDistroSecretName>"},
}
PLACEHOLDERS = {"ProjectName": "<project>", "DeploymentName": "<deployment>", "ModuleName": "<module>", "RoleName": "<role>",
                "AWS::AccountId": "<account>", "AWS::Region": "<region>", "FanOut": "off"}


def review(text):
    """The permissions as a table in Markdown, by statement, with what grants each action."""
    def grants_of(parameters):
        found = {}
        for statement in Template(text, {**PLACEHOLDERS, **parameters}).statements():
            key = (statement["Sid"], tuple(statement["Resource"]), json.dumps(statement.get("Condition", {})))
            found[key] = statement["Action"]
        return found

    always = grants_of({})
    rows = [(key, "always", actions) for key, actions in always.items()]
    for reason, parameters in ADDED_BY.items():
        for key, actions in grants_of(parameters).items():
            if more := [action for action in actions if action not in always.get(key, [])]:
                rows.append((key, reason, more))
    lines = ["| statement | granted | actions | on | if |", "|---|---|---|---|---|"]
    for (sid, resources, condition), reason, actions in rows:
        cells = [sid, reason, " ".join(f"`{action}`" for action in actions),
                 "<br>".join(f"`{resource}`" for resource in resources), "" if condition == "{}" else f"`{condition}`"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--param", action="append", default=[], metavar="K=V",
                        help="a parameter of the template, or a pseudo parameter such as AWS::Region")
    parser.add_argument("--calls", type=Path, metavar="FILE", help="the calls, as JSON; without it the policy is printed")
    parser.add_argument("--template", type=Path, default=TEMPLATE, metavar="FILE")
    parser.add_argument("--statements", type=Path, metavar="FILE", help="an IAM policy to ask instead of the template")
    parser.add_argument("--review", action="store_true", help="print docs/permissions.md")
    parser.add_argument("--strict", action="store_true", help="an action that was granted and never used is a failure")
    arguments = parser.parse_args()
    if arguments.review:
        page = (TEMPLATE.parent / "docs/permissions.md").read_text(encoding="utf-8")
        print(page[:page.index("| statement |")] + review(arguments.template.read_text(encoding="utf-8")), end="")
        return 0
    try:
        parameters = dict(pair.split("=", 1) for pair in arguments.param)
        if arguments.statements:
            statements = json.loads(arguments.statements.read_text(encoding="utf-8"))["Statement"]
        else:
            statements = Template(arguments.template.read_text(encoding="utf-8"), parameters).statements()
        calls = json.loads(arguments.calls.read_text(encoding="utf-8")) if arguments.calls else []
    except (OSError, ValueError, KeyError) as error:
        print(f"policy.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if not arguments.calls:
        print(json.dumps(statements, indent=2))
        print(f"policy.py: {size(statements)} of the 10,240 characters of a role's inline policies", file=sys.stderr)
        return 0
    denied, unused = examine(statements, calls)
    for call in denied:
        print("denied", call["action"], call.get("resource", "*"), json.dumps(call.get("context", {})))
    for sid, action in unused:
        print("never used", sid, action)
    for sid in {statement["Sid"] for statement in statements}:
        if all((sid, action) in unused for s in statements if s["Sid"] == sid for action in s["Action"]):
            print("statement never used", sid)
    print(f"policy.py: {len(calls)} calls, {len(denied)} denied, {len(unused)} actions never used", file=sys.stderr)
    return 1 if denied or (arguments.strict and unused) else 0


if __name__ == "__main__":
    sys.exit(main())
