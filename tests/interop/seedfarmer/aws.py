#!/usr/bin/env python3
"""moto's server on a free port, which it prints, without what stands in Seed-Farmer's way in moto 5.2.5.

The argument is a file with the address of the registry behind ECR's host name (behind.py)."""

import sys

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import Export, OutputMap
from moto.core.common_models import CloudFormationModel
from moto.iam.access_control import PermissionResult
from moto.iam.models import ManagedPolicy
from moto.kms.models import KmsBackend
from moto.s3.models import FakeBucket
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from behind import ask_behind


def execute_change_set(self, change_set_name, stack_name=None):
    """As when the template is deployed without a change set, because with one moto makes no outputs."""
    change_set = self.describe_change_set(change_set_name)
    stack, template, parameters = change_set.stack, change_set.template, change_set.parameters
    if change_set.change_set_type == "CREATE":
        del self.stacks[stack.stack_id]
        self.create_stack(stack.name, template, parameters, tags=change_set.tags)
    else:
        stack.update(template, None, parameters=parameters, tags=change_set.tags)
    change_set.execution_status = "EXECUTE_COMPLETE"


clean_json = parsing.clean_json


def clean_json_of_nothing(node, resources):
    """AWS::NoValue takes an element out of a list; moto leaves null there."""
    value = clean_json(node, resources)
    return [entry for entry in value if entry is not None] if isinstance(node, list) else value


def exports(self):
    """Only of the outputs that there are; moto asks those too whose condition does not hold."""
    found = ((value.get("Export"), self[name]) for name, value in (self._output_json_map or {}).items())
    return [Export(self._stack_id, parsing.clean_json(export["Name"], self._resource_map), output.value)
            for export, output in found if export and output]


create_key = KmsBackend.create_key


def create_key_with_tags(self, *arguments, **named):
    """In a template a key's tags have `Key` and `Value`; moto looks for `TagKey` and `TagValue`."""
    def renamed(argument):
        if isinstance(argument, list) and argument and isinstance(argument[0], dict) and "Key" in argument[0]:
            return [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in argument]
        return argument

    return create_key(self, *map(renamed, arguments), **{name: renamed(value) for name, value in named.items()})


class CodeBuildProject(CloudFormationModel):
    """A project of a template, of which moto makes nothing; codebuild.py runs the builds."""

    # moto files its models by the module they come from.
    __module__ = "moto.codebuild.models"

    def __init__(self, name, account, region):
        self.physical_resource_id = name
        self.arn = f"arn:aws:codebuild:{region}:{account}:project/{name}"

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::CodeBuild::Project"

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Arn"

    def get_cfn_attribute(self, attr):
        return self.arn

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **_):
        return cls(resource_name, account_id, region_name)


# The module's bucket denies what does not come over TLS, which nothing does here.
FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
# moto leaves a template's managed policies when the stack goes.
ManagedPolicy.delete = lambda self, *_: self.backend.delete_policy(self.arn)
parsing.clean_json = clean_json_of_nothing
OutputMap.exports = property(exports)
CloudFormationBackend.execute_change_set = execute_change_set
KmsBackend.create_key = create_key_with_tags
ask_behind(sys.argv[1])
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
