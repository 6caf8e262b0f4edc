# SPDX-License-Identifier: Apache-2.0
"""Streams from the real server: as a browser or ``curl -N`` reads them."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server.daemon import Server


class Events:
    """A client of a stream."""

    def __init__(self, server: Server, path: str, **headers: str) -> None:
        self.connection = http.client.HTTPConnection(*server.address, timeout=20)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def next(self) -> tuple[str, str, Any]:
        """Name, id and data of the next event."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        if "event" not in fields:  # a comment, or the pause for coming back
            return self.next()
        return fields["event"], fields.get("id", ""), json.loads(fields["data"])

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@pytest.fixture
def source(server: Server) -> Iterator[Server]:
    """A pushed table with a policy on it."""
    config = {"tables": {"t": ["x"], "u": ["x"]}}
    server.ok("POST", "/v1/cloud-services", {"name": "brook", "driver": "push", "config": config})
    server.ok("POST", "/v1/policies", {"name": "mill", "rules": [{"rule": "big(x) :- brook:t(x), x > 1"}]})
    server.ok("PUT", "/v1/cloud-services/brook/tables/t/rows", [[1], [2]])
    server.until("/v1/policies/mill/tables/big/rows", [[2]])
    yield server
    server.ok("DELETE", "/v1/policies/mill")
    server.ok("DELETE", "/v1/cloud-services/brook")


def open_streams(server: Server) -> int:
    text = server.request("GET", "/metrics")[1].decode()
    return int(float(next(line for line in text.splitlines() if line.startswith("congress_streams_open")).split()[1]))


def test_a_policy_and_its_service(source: Server) -> None:
    events = Events(source, "/v1/stream?table=mill:big&table=brook:t")
    first = {data["table"]: data["rows"] for _, _, data in (events.next(), events.next())}
    assert {table: sorted(rows) for table, rows in first.items()} == {"mill:big": [[2]], "brook:t": [[1], [2]]}
    source.ok("POST", "/v1/cloud-services/brook/tables/t/rows", {"insert": [[3]], "delete": [[2]]})
    changes = {data["table"]: data for name, _, data in (events.next(), events.next()) if name == "delta"}
    for table in ("mill:big", "brook:t"):
        assert (changes[table]["insertions"], changes[table]["retractions"]) == ([[3]], [[2]])
    # What the request is called goes along all the way.
    _, _, headers = source.request("POST", "/v1/cloud-services/brook/tables/t/rows", {"insert": [[4]]})
    ids = {data["ids"]["request_id"] for _, _, data in (events.next(), events.next())}
    assert ids == {headers["X-Openstack-Request-Id"]}
    events.close()


def test_a_client_that_goes_gives_its_place_back(source: Server) -> None:
    before = open_streams(source)
    events = Events(source, "/v1/policies/mill/stream")
    events.next()
    assert open_streams(source) == before + 1
    events.close()
    deadline = time.monotonic() + 10
    while open_streams(source) > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_head_opens_nothing(source: Server) -> None:
    before = open_streams(source)
    for _ in range(3):
        assert source.request("HEAD", "/v1/policies/mill/stream")[0] == 200
    assert open_streams(source) == before


def test_coming_back(source: Server) -> None:
    path = "/v1/policies/mill/tables/big/stream"
    events = Events(source, path)
    _, seen, _ = events.next()
    events.close()
    source.ok("POST", "/v1/cloud-services/brook/tables/t/rows", {"insert": [[7]]})
    source.until("/v1/policies/mill/tables/big/rows", [[2], [7]])
    again = Events(source, path, **{"Last-Event-ID": seen})
    name, _, data = again.next()
    assert (name, data["insertions"], data["retractions"]) == ("delta", [[7]], [])
    again.close()


def test_a_new_table_joins_the_stream_of_its_policy(source: Server) -> None:
    events = Events(source, "/v1/policies/mill/stream")
    events.next()
    source.ok("POST", "/v1/policies/mill/rules", {"rule": "small(x) :- brook:t(x), x < 2"})
    while True:
        name, _, data = events.next()
        if data["table"] == "mill:small":
            break
    assert (name, data["rows"]) == ("snapshot", [[1]])
    events.close()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/stream?table=nobody:t",
        "/v1/stream?table=mill:none",
        "/v1/stream?service=nobody",
        "/v1/policies/nobody/stream",
    ],
)
def test_what_is_not_there_is_no_stream(source: Server, path: str) -> None:
    status, found, _ = source.request("GET", path)
    assert status == 404
    assert found["error"]["message"]
