# SPDX-License-Identifier: Apache-2.0
"""Hostile requests to the real server, over a socket, with real services behind."""

import http.client
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from congress.api.application import routes
from tests.api.hostile import Hostile, check, requests
from tests.server.daemon import Server

# Streams do not end; how they are refused is tested in process.
ROUTES = [route for route in routes() if "stream" not in route.path]


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    config = {"tables": {"t": ["x", "y"]}}
    server.ok("POST", "/v1/cloud-services", {"name": "alice", "driver": "push", "config": config})
    server.ok("POST", "/v1/policies", {"name": "index", "rules": [{"rule": "p(x) :- alice:t(x, y)", "name": "_route"}]})
    made = server.connect()
    yield made
    made.close()


def test_no_request_breaks_the_server(
    server: Server, connection: http.client.HTTPConnection, pytestconfig: pytest.Config
) -> None:
    wanted = pytestconfig.getoption("--hostile")

    @settings(
        max_examples=wanted or 400,
        derandomize=not wanted,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests(ROUTES))
    def ask(request: Hostile) -> None:
        headers = {"Content-Type": "application/json", **request.headers}
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        connection.request(request.method, request.path, request.data, encoded)
        answer = connection.getresponse()
        check(request, answer.status, answer.read())
        assert server.process.poll() is None

    ask()
