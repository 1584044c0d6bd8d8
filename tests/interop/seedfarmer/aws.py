#!/usr/bin/env python3
"""moto's server on a free port, which it prints, without moto's defects that stand in Seed-Farmer's way."""

from moto.kms.models import KmsBackend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

create_key = KmsBackend.create_key


def create_key_with_tags(self, *arguments, **named):
    """In a template a key's tags have `Key` and `Value`, which moto 5.2.5 looks up as `TagKey` and `TagValue`."""
    def renamed(argument):
        if isinstance(argument, list) and argument and isinstance(argument[0], dict) and "Key" in argument[0]:
            return [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in argument]
        return argument

    return create_key(self, *map(renamed, arguments), **{name: renamed(value) for name, value in named.items()})


KmsBackend.create_key = create_key_with_tags
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
