# SPDX-License-Identifier: Apache-2.0
"""The plug-in of OpenStackClient: ``openstack congress ...`` beside the commands of python-congressclient.

OpenStackClient imports this module, and those of all commands, at each of its starts.
"""

import argparse
import os
from typing import Any, Final

from congress.client.connection import Connection, connect

DEFAULT_API_VERSION: Final = "1"
API_VERSION_OPTION: Final = "os_congress_api_version"
API_NAME: Final = "congress"  # the client manager's attribute; that of python-congressclient is congressclient
API_VERSIONS: Final = ("1",)


def make_client(instance: Any) -> Connection:
    """Called by OpenStackClient, once, when a command asks for the client: it has logged in by then."""
    return connect(
        os.environ.get("CONGRESS_URL", ""),
        session=instance.session,
        region_name=instance.region_name or None,
        interface=instance.interface or "public",
    )


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Called by OpenStackClient for options of its own."""
    parser.add_argument(
        "--os-congress-api-version",
        metavar="<congress-api-version>",
        default=os.environ.get("OS_CONGRESS_API_VERSION") or DEFAULT_API_VERSION,
        help=f"Congress API version, default={DEFAULT_API_VERSION} (Env: OS_CONGRESS_API_VERSION)",
    )
    return parser
