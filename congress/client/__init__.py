# SPDX-License-Identifier: Apache-2.0
"""A Python client for Congress: synchronous, typed, over HTTP and nothing else.

::

    from congress.client import connect

    cloud = connect()                     # the daemon on this machine, or where the environment says
    cloud.cloud_services.create("inventory", "push", config={"tables": {"servers": ["id", "owner"]}})
    cloud.policies.create("care", rules=["error(s) :- inventory:servers(id=s, owner=null)"])
    cloud.rows.replace("inventory:servers", [["web-1", "ann"], ["web-2", None]])

    for row in cloud.rows.list("care:error"):
        print(cloud.why("care:error", row).proof.render())

    with cloud.follow("care:error") as events:
        for event in events:
            print(event)

:func:`connect` gives a :class:`Connection`; what it has is listed there.  What can go wrong is in
:mod:`congress.client.errors`.
"""

from congress.client.connection import Connection, connect
from congress.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    Forbidden,
    InvalidRequest,
    InvalidRule,
    NotAuthenticated,
    NotFound,
    Unavailable,
    Unreachable,
)
from congress.client.following import Back, Copies, Delta, Gone, Snapshot

__all__ = [
    "ApiError",
    "Back",
    "ClientError",
    "Conflict",
    "Connection",
    "Copies",
    "Delta",
    "Forbidden",
    "Gone",
    "InvalidRequest",
    "InvalidRule",
    "NotAuthenticated",
    "NotFound",
    "Snapshot",
    "Unavailable",
    "Unreachable",
    "connect",
]
