# SPDX-License-Identifier: Apache-2.0
"""Every option of the daemon, in one place.

The sample file, the reference page and the tests are made from :func:`list_opts`.  An option without a help text
fails a test.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from congress.conf.guard import GUARD
from congress.conf.security import API_SECURITY, AUTH_STRATEGY, AUTHORIZATION, HTTP_BASIC, POLICY_FILE


def default_state_path() -> str:
    """``$CONGRESS_STATE_PATH``, else where this user's programs keep their state."""
    named = os.environ.get("CONGRESS_STATE_PATH")
    if named:
        return named
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "congress")


DEFAULT: Final = (
    cfg.HostAddressOpt(
        "bind-host",
        default="127.0.0.1",
        help="The address to listen on. While auth_strategy is noauth it must be one that only this machine reaches.",
    ),
    cfg.PortOpt("bind-port", default=1789, help="The port to listen on; 0 lets the system choose one."),
    cfg.StrOpt(
        "state-path",
        default=default_state_path(),
        sample_default="$XDG_STATE_HOME/congress",
        help="The folder of the embedded database and of the encryption keys. The environment variable "
        "CONGRESS_STATE_PATH gives another default.",
    ),
    AUTH_STRATEGY,
    cfg.StrOpt(
        "encryption_key_path",
        default="",
        sample_default="$state_path/keys",
        help="The file with the keys that secrets in the database are encrypted with; made when it is not there. "
        "Keep a copy apart from the database.",
    ),
    cfg.StrOpt(
        "node-id",
        default="",
        sample_default="the name of the host, and of the parts where not all run",
        help="What this process is called in logs and among its peers. No two may have one name: the later is taken "
        "for the earlier one, started anew.",
    ),
    cfg.StrOpt(
        "policy_library_path",
        default="",
        help="A folder with library policies of your own, YAML or JSON files. They fill an empty policy library "
        "together with those that come with Congress, and go before one of the same name; congress-db load-library "
        "loads them later.",
    ),
    cfg.ListOpt("disabled_drivers", default=[], help="Drivers that no service may use."),
)

# oslo.messaging registers this option itself; it stands here for the sample and the reference.
TRANSPORT_URL: Final = cfg.StrOpt(
    "transport_url",
    default="inproc://",
    secret=True,
    help="The bus: inproc:// within this process, or rabbit://user:password@host:5672/vhost between several. "
    "RabbitMQ's own options are in the group [oslo_messaging_rabbit]; see the documentation of oslo.messaging.",
)

PARTS: Final = (
    cfg.BoolOpt(
        "api",
        dest="api_part",
        default=False,
        help="Run the REST API in this process. Where none of the three parts is named, all of them run.",
    ),
    cfg.BoolOpt("policy-engine", default=False, help="Run the policy runtime in this process."),
    cfg.BoolOpt("datasources", default=False, help="Run the cloud services in this process."),
)

LOGGING: Final = (
    cfg.StrOpt(
        "log-format",
        default="text",
        choices=[("text", "a line to read"), ("json", "a JSON object a line")],
        help="How log lines look. They go to standard error.",
    ),
    cfg.StrOpt(
        "log-level",
        default="INFO",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        ignore_case=True,
        help="The least severe lines that are written.",
    ),
    cfg.BoolOpt("debug", default=False, help="The same as log_level = DEBUG."),
    cfg.BoolOpt("log_requests", default=True, help="Write a line for each request that the API serves."),
)

API: Final = (
    cfg.IntOpt("threads", default=8, min=1, max=256, help="Requests that are worked on at the same time."),
    cfg.IntOpt(
        "max_streams",
        default=64,
        min=0,
        max=4096,
        help="Event streams that may be open at the same time; each holds a thread. One more is refused with 503.",
    ),
    cfg.IntOpt(
        "stream_memory",
        default=64 * 1024 * 1024,
        min=1024 * 1024,
        help="Bytes that may wait for the clients of event streams, all together. A client that reads too slowly for "
        "its part of it loses the changes that wait and gets the whole table anew. Besides, the HTTP server keeps up "
        "to 1 MiB in memory for each connection.",
    ),
    cfg.FloatOpt(
        "stream_heartbeat",
        default=15.0,
        min=0.1,
        max=3600,
        help="Seconds of silence after which a stream sends a comment, so that a client that vanished is noticed.",
    ),
    cfg.IntOpt("max_body_size", default=32 * 1024 * 1024, min=1024, help="Bytes that a request's body may have."),
    cfg.IntOpt("max_connections", default=1000, min=16, help="Connections that may be open at the same time."),
    cfg.FloatOpt(
        "call_timeout",
        default=30.0,
        min=0.1,
        help="Seconds until a request to a service inside the daemon is given up and answered with 503.",
    ),
    cfg.ListOpt(
        "allowed_hosts",
        default=[],
        help="Names, besides loopback addresses, that requests may call this server by while auth_strategy is noauth.",
    ),
)

DATABASE: Final = (
    cfg.StrOpt(
        "connection",
        default="",
        sample_default="sqlite:///$state_path/congress.sqlite",
        secret=True,
        help="The database: sqlite:///PATH, postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME.",
    ),
)

POLICY: Final = (
    cfg.IntOpt(
        "max_table_rows",
        default=5_000_000,
        min=1,
        help="Rows that a table of a policy may have; a rule that brings more is switched off.",
    ),
    cfg.FloatOpt(
        "max_rule_seconds",
        default=20.0,
        min=0.1,
        help="Seconds that a rule may take for one change; a rule that takes longer is switched off. All policies "
        "wait for it meanwhile, so this should be less than [api] call_timeout.",
    ),
)

BUS: Final = (
    cfg.StrOpt(
        "bus_id",
        default="bus",
        deprecated_group="dse",
        help="Separates installations that share a message broker.",
    ),
)

EXECUTIONS: Final = (
    cfg.FloatOpt(
        "retention_days",
        default=30.0,
        min=0.0,
        help="Days for which executions that are over are kept, with their trails. One whose row is still true is kept "
        "longer: it is how the row is known to have been acted on.",
    ),
)

GROUPS: Final[Mapping[str, Sequence[Any]]] = {
    "DEFAULT": (*DEFAULT, *PARTS, *LOGGING),
    "api": (*API, *API_SECURITY),
    "authorization": AUTHORIZATION,
    "bus": BUS,
    "database": DATABASE,
    "executions": EXECUTIONS,
    "guard": GUARD,
    "http_basic": HTTP_BASIC,
    "policy": POLICY,
}

CLI: Final = frozenset(
    {"bind-host", "bind-port", "state-path", "node-id", "log-format", "log-level", "debug"}
    | {option.name for option in PARTS}
)
"""Those of the group DEFAULT that are command-line options too."""


def list_opts() -> list[tuple[str, list[Any]]]:
    """All options by group, as oslo.config's generators want them (entry point ``oslo.config.opts``)."""
    listed = {group: list(options) for group, options in GROUPS.items()}
    listed["DEFAULT"].append(TRANSPORT_URL)
    listed["oslo_policy"] = [POLICY_FILE]
    return list(listed.items())
