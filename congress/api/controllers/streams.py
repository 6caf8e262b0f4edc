# SPDX-License-Identifier: Apache-2.0
"""Changes of tables as they happen, as server-sent events."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from congress.api.answers.common import TEXT
from congress.api.call import Call
from congress.api.controllers.services import both, name_of, table_of, tables_of
from congress.api.errors import ApiError
from congress.api.names import POLICY
from congress.api.routing import route
from congress.api.schema import Parameter, Text
from congress.api.streams import Key

_NAME: Final = Text(512, shortest=1)
_EVENTS: Final = {"text/event-stream": TEXT}
_LIMIT: Final = 1000  # tables in one stream


def _policy_tables(call: Call, policy: str) -> list[Key]:
    name = call.backend.call(POLICY, "get_policy", policy=policy)["name"]
    tables = [table["id"] for table in call.backend.call(POLICY, "list_tables", policy=name)]
    return [(POLICY, f"{name}:{table}") for table in tables if ":" not in table]


def _service_tables(call: Call, service: str) -> list[Key]:
    name = name_of(call, service)
    return [(name, table["table_id"]) for table in tables_of(call, name)]


def _policy_table(call: Call, policy: str, table: str) -> Key:
    name = call.backend.call(POLICY, "get_policy", policy=policy)["name"]
    call.backend.call(POLICY, "get_table", policy=name, table=table)
    return (POLICY, f"{name}:{table}")


def _service_table(call: Call, service: str, table: str) -> Key:
    name = name_of(call, service)
    return (name, table_of(call, name, table)["table_id"])


def _named_table(call: Call, text: str) -> Key:
    owner, colon, table = text.partition(":")
    if not (owner and colon and table):
        raise ApiError(400, f"A table is named owner:table, not {text!r:.100}.")
    if any(policy["name"] == owner for policy in call.backend.call(POLICY, "list_policies")):
        return _policy_table(call, owner, table)
    return _service_table(call, owner, table)


class StreamsController:
    """``/v1/stream`` and the streams below tables, policies and services."""

    @route(
        "GET",
        "/v1/stream",
        "Follow any tables, policies and services",
        query={
            "table": Parameter(_NAME, "A table, as `policy:table` or `service:table`.", repeated=True),
            "policy": Parameter(_NAME, "All tables of a policy.", repeated=True),
            "service": Parameter(_NAME, "All tables of a service.", repeated=True),
        },
        others=_EVENTS,
        errors=(400, 404, 503),
    )
    def stream(self, call: Call) -> Any:
        tables, policies, services = (call.parameters[name] for name in ("table", "policy", "service"))
        if not (tables or policies or services):
            raise ApiError(400, "At least one of the query parameters table=, policy= and service= must be given.")
        named = [_named_table(call, text) for text in tables]

        def find() -> list[Key]:
            groups = [_policy_tables(call, policy) for policy in policies]
            groups += [_service_tables(call, service) for service in services]
            return named + [key for group in groups for key in group]

        return _open(call, find, grows=bool(policies or services))

    @route("GET", "/v1/policies/{policy}/stream", "Follow all tables of a policy", others=_EVENTS, errors=(404, 503))
    def stream_policy(self, call: Call, policy: str) -> Any:
        return _open(call, lambda: _policy_tables(call, policy), grows=True)

    @route(
        "GET",
        "/v1/policies/{policy}/tables/{table}/stream",
        "Follow a table of a policy",
        others=_EVENTS,
        errors=(404, 503),
    )
    def stream_policy_table(self, call: Call, policy: str, table: str) -> Any:
        return _open(call, lambda: [_policy_table(call, policy, table)])

    @route(
        "GET", **both("/{service}/stream"), summary="Follow all tables of a service", others=_EVENTS, errors=(404, 503)
    )
    def stream_service(self, call: Call, service: str) -> Any:
        return _open(call, lambda: _service_tables(call, service), grows=True)

    @route(
        "GET",
        **both("/{service}/tables/{table}/stream"),
        summary="Follow a table of a service",
        others=_EVENTS,
        errors=(404, 503),
    )
    def stream_service_table(self, call: Call, service: str, table: str) -> Any:
        return _open(call, lambda: [_service_table(call, service, table)])


def _open(call: Call, find: Callable[[], Iterable[Key]], *, grows: bool = False) -> Any:
    keys = list(dict.fromkeys(find()))
    if len(keys) > _LIMIT:
        raise ApiError(400, f"A stream has at most {_LIMIT} tables; these are {len(keys)}.")
    return call.backend.follow(keys, call.headers.get("last-event-id", ""), find if grows else None, call.disconnected)
