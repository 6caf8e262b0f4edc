# SPDX-License-Identifier: Apache-2.0
"""What a client can rely on, whatever is behind: statuses, headers, errors, links."""

import logging
import re
from typing import Any

import pytest

from congress.api.application import Settings
from congress.bus.errors import NotFound, Timeout
from congress.datalog.values import FALSE, TRUE
from tests.api.fakes import Client, FakeBackend, answering

POLICY = {"id": "1", "name": "alice", "description": "", "abbreviation": "alice", "kind": "nonrecursive"}


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(
        {
            "policy.list_policies": [{"id": str(n), "name": f"p{n}"} for n in range(5)],
            "policy.get_policy": lambda policy: {**POLICY, "name": policy},
            "policy.create_policy": lambda **given: {"id": "9", **given},
            "policy.update_policy": lambda policy, changes: {**POLICY, **changes},
            "policy.list_rows": answering([("b", 2), ("a", 1), (None, TRUE), ("c", FALSE), ("d", 2.5)]),
            "policy.check_action": lambda policy, **given: policy,
            "executions.request": answering("x-1"),
            "_drivers.resolve": lambda service: "nova" if service in ("nova", "id-of-nova") else nothing(service),
            "nova.rows": lambda table: [("é", 2**70), ("\ud800", None)],
            "nova.put_rows": answering(True),
        }
    )


def nothing(service: str) -> str:
    raise NotFound(f"there is no service {service!r}")


@pytest.fixture
def client(backend: FakeBackend) -> Client:
    return Client(backend)


def test_versions(client: Client) -> None:
    version = client("GET", "/").json["versions"][0]
    assert (version["id"], version["status"]) == ("v1", "CURRENT")
    for path in ("/v1", "/v1/"):
        answer = client("GET", path)
        assert [link["rel"] for link in answer.json["version"]["links"]] == ["self", "describedby", "service-desc"]
    answer = client("GET", "/zzz/y")
    assert answer.status_int == 300
    assert answer.json["choices"][0]["links"][0]["href"] == "http://localhost:80/v1/zzz/y"


def test_headers_of_every_answer(client: Client) -> None:
    for path, status in (("/v1/policies", 200), ("/v1/nothing", 404), ("/v1/policies?limit=0", 400)):
        answer = client("GET", path)
        assert answer.status_int == status
        assert re.fullmatch(r"req-[0-9a-f-]{36}", answer.headers["X-Openstack-Request-Id"])
        assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.body.endswith(b"}\n")
        assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_head(client: Client) -> None:
    answer = client("HEAD", "/v1/policies")
    assert (answer.status_int, answer.body) == (200, b"")
    assert client("HEAD", "/v1/nothing").body == b""


def test_create_points_at_what_was_made(client: Client, backend: FakeBackend) -> None:
    answer = client("POST", "/v1/policies", {"name": "x", "rules": [{"rule": "p(1)"}]})
    assert answer.status_int == 201
    assert answer.headers["Location"] == "http://localhost:80/v1/policies/9"
    given = backend.calls[-1][2]
    assert given["rules"] == [{"rule": "p(1)", "name": None, "comment": None}]
    assert (given["description"], given["kind"]) == (None, None)


def test_what_old_clients_send(client: Client) -> None:
    nulls = {"name": "x", "description": None, "abbreviation": None, "kind": "NonRecursive"}
    assert client("POST", "/v1/policies", nulls).json["kind"] == "nonrecursive"
    assert client("GET", "/v1/policies/alice/tables/t/rows?trace=False").status_int == 200


def test_pages(client: Client) -> None:
    seen, path = [], "/v1/policies?limit=2"
    while True:
        answer = client("GET", path).json
        seen += [entry["id"] for entry in answer["results"]]
        assert len(answer["results"]) <= 2
        if "links" not in answer:
            break
        path = answer["links"][0]["href"].removeprefix("http://localhost:80")
    assert seen == ["0", "1", "2", "3", "4"]
    assert client("GET", "/v1/policies?marker=77").status_int == 400


def test_pages_of_rows(client: Client) -> None:
    seen, path = [], "/v1/policies/alice/tables/t/rows?limit=2"
    while True:
        answer = client("GET", path).json
        seen += [entry["data"] for entry in answer["results"]]
        if "links" not in answer:
            break
        path = answer["links"][0]["href"].removeprefix("http://localhost:80")
    assert seen == [[None, True], ["a", 1], ["b", 2], ["c", False], ["d", 2.5]]
    for marker in ("7", '"x"', "[[1]]", "[", "", "null", '{"a":1}'):
        assert client("GET", f"/v1/policies/alice/tables/t/rows?marker={marker}").status_int == 400


def test_rows_that_json_finds_hard(client: Client) -> None:
    answer = client("GET", "/v1/cloud-services/id-of-nova/tables/t/rows")
    assert answer.json["results"] == [{"data": ["é", 2**70]}, {"data": ["\ud800", None]}]


def test_many_rows_come_in_pieces(client: Client, backend: FakeBackend) -> None:
    backend.methods["nova.rows"] = answering([(n, TRUE) for n in range(12_345)])
    answer = client("GET", "/v1/cloud-services/nova/tables/t/rows")
    assert "Content-Length" not in answer.headers
    assert [entry["data"] for entry in answer.json["results"]] == [[n, True] for n in range(12_345)]
    backend.methods["nova.rows"] = answering([])
    assert client("GET", "/v1/cloud-services/nova/tables/t/rows").json == {"results": []}


def test_rows_are_put_as_they_are(client: Client, backend: FakeBackend) -> None:
    rows = [["a", 1, True, None], {"id": "b"}]
    answer = client("PUT", "/v1/data-sources/nova/tables/t/rows", rows)
    assert (answer.status_int, answer.body) == (200, b"")
    assert backend.calls[-1] == ("nova", "put_rows", {"table": "t", "rows": rows})


@pytest.mark.parametrize(
    ("body", "positional", "named"),
    [
        ({"args": ["a", True, 1.5, None], "options": {}}, ["a", TRUE, 1.5, None], {}),
        ({"args": ["a"], "options": {"n": False}}, ["a"], {"n": FALSE}),
        ({"args": {"positional": ["a"], "named": {"n": 1}}}, ["a"], {"n": 1}),
        ({"args": {"named": {"n": [1]}}}, [], {"n": [1]}),
        ({"args": None}, [], {}),
        ({}, [], {}),
    ],
)
def test_both_forms_of_execute(
    client: Client, backend: FakeBackend, body: dict[str, Any], positional: list[Any], named: dict[str, Any]
) -> None:
    for path, name, policy in (
        ("/v1/cloud-services/nova?action=execute", "servers.pause", ""),
        ("/v1/policies/alice?action=execute", "nova:servers.pause", "alice"),
    ):
        answer = client("POST", path, {"name": name, **body})
        assert (answer.status_int, answer.body) == (204, b"")
        assert answer.headers["Location"] == "http://localhost:80/v1/executions/x-1"
        assert "Content-Type" not in answer.headers
        _, method, given = backend.calls[-1]
        assert (method, given["name"], given["policy"]) == ("request", "nova:servers.pause", policy)
        assert (given["positional"], given["named"]) == (positional, named)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('application/json;charset="UTF-8"', 201),
        ("Application/JSON", 201),
        ("", 201),
        ("application/json; charset=latin-1", 400),
        ("application/x-www-form-urlencoded", 400),
        ("text/plain", 400),
        ("multipart/form-data; boundary=x", 400),
    ],
)
def test_content_types(client: Client, content_type: str, status: int) -> None:
    answer = client("POST", "/v1/policies", b'{"name": "x"}', CONTENT_TYPE=content_type)
    assert answer.status_int == status


def test_actions_take_any_content_type(client: Client) -> None:
    for content_type in ("application/x-www-form-urlencoded", "text/plain", ""):
        path = "/v1/cloud-services/nova?action=execute"
        assert client("POST", path, b'{"name": "x"}', CONTENT_TYPE=content_type).status_int == 204


def test_queries(client: Client, backend: FakeBackend) -> None:
    backend.methods["policy.query"] = answering({"columns": ["x"], "rows": [(1, TRUE), (None, "a")]})
    answer = client("POST", "/v1/policies/alice?action=query", {"query": "p(x, y)"})
    assert answer.json == {"columns": ["x"], "results": [{"data": [1, True]}, {"data": [None, "a"]}]}


def test_faults_are_logged_under_the_id(client: Client, backend: FakeBackend, caplog: pytest.LogCaptureFixture) -> None:
    backend.methods["policy.list_policies"] = KeyError("secret")
    with caplog.at_level(logging.ERROR):
        answer = client("GET", "/v1/policies")
    assert answer.status_int == 500
    assert "secret" not in answer.text
    assert "KeyError" in caplog.text


def test_a_service_that_is_too_busy(client: Client, backend: FakeBackend) -> None:
    backend.methods["policy.list_policies"] = Timeout("no answer in 30 s")
    answer = client("GET", "/v1/policies")
    assert (answer.status_int, answer.headers["Retry-After"]) == (503, "1")


def test_body_limit(backend: FakeBackend) -> None:
    client = Client(backend, Settings(max_body=100))
    assert client("POST", "/v1/policies", {"name": "x" * 200}).status_int == 413


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:1789", None, 200),
        ("127.0.0.1:1789", "http://127.0.0.1:1789", 200),
        ("[::1]:1789", None, 200),
        ("127.8.8.8", None, 200),
        ("friend.example:80", None, 200),
        ("evil.example", None, 421),
        ("localhost.evil.example", None, 421),
        ("[::1", None, 421),
        ("127.0.0.1:1789", "http://evil.example", 403),
        ("127.0.0.1:1789", "null", 403),
        ("127.0.0.1:1789", "http://127.0.0.1:8080", 403),
    ],
)
def test_pages_of_other_sites(backend: FakeBackend, host: str, origin: str | None, status: int) -> None:
    client = Client(backend, Settings(allowed_hosts=["friend.example"]))
    more = {} if origin is None else {"HTTP_ORIGIN": origin}
    assert client("GET", "/v1/policies", HTTP_HOST=host, **more).status_int == status


def test_the_guard_can_be_off(backend: FakeBackend) -> None:
    client = Client(backend, Settings(guard_origin=False))
    assert client("GET", "/v1/policies", HTTP_HOST="evil.example", HTTP_ORIGIN="http://x").status_int == 200


def test_accept_is_not_needed(client: Client) -> None:
    for accept in ("text/html", "application/xml", "*/*", "nonsense;;;", ""):
        assert client("GET", "/v1/policies", HTTP_ACCEPT=accept).status_int == 200


def test_streams_are_asked_for(client: Client, backend: FakeBackend) -> None:
    backend.methods["policy.get_table"] = answering({"id": "error"})
    backend.methods["policy.list_tables"] = answering([{"id": "error"}, {"id": "nova:servers"}])
    backend.methods["_drivers.service_schema"] = answering([{"table_id": "servers"}, {"table_id": "flavors"}])

    def keys(path: str, **environ: str) -> Any:
        answer = client("GET", path, **environ)
        return answer.json if answer.status_int == 200 else answer.status_int

    error, servers = ["policy", "alice:error"], ["nova", "servers"]
    assert keys("/v1/policies/alice/tables/error/stream")["keys"] == [error]
    assert keys("/v1/policies/alice/stream") == {"keys": [error], "last": "", "grows": True}
    assert keys("/v1/data-sources/nova/tables/servers/stream", HTTP_LAST_EVENT_ID="e.7")["last"] == "e.7"
    assert keys("/v1/cloud-services/nova/stream")["keys"] == [servers, ["nova", "flavors"]]
    backend.methods["policy.list_policies"] = answering([POLICY])
    both = keys("/v1/stream?table=alice:error&service=nova&table=nova:servers")
    assert both["keys"] == [error, servers, ["nova", "flavors"]]
    assert keys("/v1/stream") == 400
    assert keys("/v1/stream?table=servers") == 400
    assert keys("/v1/cloud-services/nova/tables/nope/stream") == 404
    assert keys("/v1/cloud-services/nobody/stream") == 404
