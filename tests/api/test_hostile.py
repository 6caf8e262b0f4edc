# SPDX-License-Identifier: Apache-2.0
"""Hostile requests to the API alone: behind it everything answers, so whatever goes wrong goes wrong in it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from congress.api.application import routes
from congress.datalog.values import TRUE
from tests.api.fakes import Client, FakeBackend
from tests.api.hostile import Hostile, check, requests


class Everything(dict[str, Any]):
    """Every method answers with something that fits most questions."""

    def __missing__(self, key: str) -> Any:
        method = key.rpartition(".")[2]
        if method.startswith("list_") and method != "list_rows":
            return lambda **_: [{"id": "1", "name": "alice"}, {"id": "2", "name": "bob"}]
        if method == "export":
            return lambda filters, after: [] if after else [{"id": "1"}]
        if method == "service_actions":
            return lambda **_: [{"name": "servers.stop", "description": ""}]
        if method == "service_schema":
            return lambda **_: [{"table_id": "t", "columns": [{"name": "x"}, {"name": "y"}]}]
        if method in ("list_rows", "rows"):
            return lambda **_: [("a", 1), (None, 2.5), ("\ud800", TRUE)]
        if method == "get_table":
            return lambda **_: {"id": "t", "columns": [{"name": "x"}, {"name": None}]}
        if method == "why_rows":
            return lambda rows, **_: [{} for _ in rows]
        if method == "query":
            return lambda **_: {"columns": ["x"], "rows": [("a",), (TRUE,)]}
        if method == "resolve":
            return lambda service: "nova"
        if method == "service_status":
            return lambda service: {"driver": "x", "state": "running", "tables": {}, "last_updated": 1.0}
        if method in ("status", "ping", "execute", "trace"):
            return lambda **_: "x"
        return lambda **given: {"id": "1", "name": "alice"}


class Tireless(FakeBackend):
    """A bus on which all services are there."""

    def call(self, service: str, method: str, /, **arguments: Any) -> Any:
        answer = self.methods[f"{service}.{method}"]
        return answer(**arguments)


CLIENT = Client(Tireless(Everything()))


def test_no_request_breaks_the_api(pytestconfig: pytest.Config) -> None:
    wanted = pytestconfig.getoption("--hostile")

    @settings(
        max_examples=wanted or 600,
        derandomize=not wanted,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests(routes()))
    def ask(request: Hostile) -> None:
        answer = CLIENT(request.method, request.path, request.body, **request.environ)
        check(request, answer.status_int, answer.body)

    ask()
