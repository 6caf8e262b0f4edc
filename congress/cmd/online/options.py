# SPDX-License-Identifier: Apache-2.0
"""Where the daemon is and who asks, on the command line.  Nothing is imported here that takes time."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from congress.cmd.online.numbers import pause

if TYPE_CHECKING:
    from congress.client import Connection

_OPENSTACK: Final[Mapping[str, str]] = {
    "auth-type": "how to log in: password, v3applicationcredential, v3token, http_basic, none, ...",
    "auth-url": "the address of Keystone",
    "endpoint": "the address of the service, for the kinds of login without a catalogue",
    "token": "a token that is there already",
    "username": "the user's name",
    "user-id": "the user's id",
    "password": "the user's password",
    "user-domain-name": "the domain of the user",
    "user-domain-id": "the id of the domain of the user",
    "project-name": "the project",
    "project-id": "the id of the project",
    "project-domain-name": "the domain of the project",
    "project-domain-id": "the id of the domain of the project",
    "system-scope": "the whole system instead of a project: all",
    "application-credential-id": "the id of an application credential",
    "application-credential-name": "the name of an application credential",
    "application-credential-secret": "the secret of an application credential",
    "region-name": "the region, where the catalogue has several",
    "interface": "the kind of endpoint: public, internal or admin",
    "cert": "the file of a client's certificate",
    "key": "the file of its key",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that come before the command."""
    server = parser.add_argument_group("where the daemon is, and who asks")
    server.add_argument(
        "--endpoint",
        metavar="URL",
        default="",
        help="the root of the server; by default CONGRESS_URL, the cloud's catalogue, or http://127.0.0.1:1789",
    )
    server.add_argument(
        "--user", metavar="NAME", default="", help="a user for HTTP basic authentication; by default CONGRESS_USER"
    )
    server.add_argument(
        "--password",
        metavar="TEXT",
        default="",
        help="the user's password; by default CONGRESS_PASSWORD, which other users of the machine cannot see",
    )
    server.add_argument(
        "--timeout", metavar="SECONDS", type=pause, default=60.0, help="how long to wait for an answer (60)"
    )
    server.add_argument("--insecure", action="store_true", help="believe any certificate")
    server.add_argument("--os-cacert", metavar="FILE", default="", help="authorities to believe; OS_CACERT")
    cloud = parser.add_argument_group("with an OpenStack; by default the variables OS_CLOUD, OS_AUTH_URL, ...")
    cloud.add_argument("--os-cloud", metavar="NAME", default="", help="a cloud of clouds.yaml")
    for name, text in _OPENSTACK.items():
        cloud.add_argument(f"--os-{name}", metavar=name.rpartition("-")[2].upper(), help=text)


def connection(options: argparse.Namespace) -> "Connection":
    """The connection that the options describe; nothing is sent yet.

    :raises congress.client.errors.SettingsError: they cannot be used.
    """
    # 0.15 s that the other commands need not wait
    from congress.client.connection import Connection, user_agent  # noqa: PLC0415
    from congress.client.settings import Settings, adapter_for  # noqa: PLC0415

    openstack: dict[str, Any] = {}
    for name in _OPENSTACK:
        value = getattr(options, f"os_{name.replace('-', '_')}")
        if value:
            openstack[name.replace("-", "_")] = value
    settings = Settings(
        options.endpoint,
        options.user,
        options.password,
        options.os_cloud,
        openstack,
        verify=False if options.insecure else options.os_cacert or True,
        timeout=options.timeout,
    )
    return Connection(adapter_for(settings, user_agent()))
