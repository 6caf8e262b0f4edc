# SPDX-License-Identifier: Apache-2.0
"""A REST API on loopback: paging, logins, limits, errors, redirects, actions."""

import email.utils
import json
import socket
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from congress.cloudservices.errors import ActionArgumentError, ActionFailed, ConfigError
from congress.cloudservices.http_client import HttpClient, Limits, Request
from congress.cloudservices.http_errors import BadAnswer, NotSent, retry_after
from congress.cloudservices.http_json import HttpJsonDriver
from congress.cloudservices.testing import RunningDriver, running
from congress.datalog.values import FALSE, TRUE
from tests.cloudservices.api_server import ApiServer, Asked, Reply, api_server

COLUMNS = [{"name": "id", "type": "string"}]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as made:
        yield made


def driver(server: ApiServer, tables: dict[str, Any] | None = None, **more: Any) -> HttpJsonDriver:
    tables = tables or {"hosts": {"path": "/hosts", "columns": COLUMNS}}
    config = {"base_url": f"{server.url}/api", "tables": tables, "poll_time": 0, "timeout": 5, **more}
    return HttpJsonDriver("http", config)


def ids(it: RunningDriver, table: str = "hosts") -> set[Any]:
    return {row[0] for row in it.copy(table)}


def error_of(it: RunningDriver, table: str = "hosts") -> str:
    it._watcher.subscribe("http", table)
    it.wait(lambda: it.freshness(table).error is not None, lambda: "no error")
    return str(it.freshness(table).error)


class TestReading:
    def test_rows_and_columns_by_path(self, server: ApiServer) -> None:
        hosts = [
            {"name": "h1", "os": {"name": "linux"}, "up": True, "tags": ["a", {"b": 1}], "cpus": "4"},
            {"name": "h2", "os": None, "up": False},
        ]
        server.routes["GET /api/hosts"] = Reply({"data": {"hosts": hosts}})
        columns = [
            {"name": "name", "type": "string", "nullable": False},
            {"name": "os", "from": "$.os.name"},
            {"name": "up", "type": "boolean"},
            {"name": "tags"},
            {"name": "cpus", "type": "integer"},
            {"name": "first", "from": "$.tags[0]"},
        ]
        table = {"path": "/hosts", "rows": "$.data.hosts[*]", "columns": columns, "params": {"all": "1"}}
        with running(driver(server, {"hosts": table}, headers={"X-Team": "ops"})) as it:
            it.subscribe()
            assert it.copy("hosts") == {
                ("h1", "linux", TRUE, '["a",{"b":1}]', 4, "a"),
                ("h2", None, FALSE, None, None, None),
            }
        asked = server.asked[0]
        assert (asked.query, asked.headers["X-Team"]) == ({"all": "1"}, "ops")
        assert asked.headers["User-Agent"].startswith("congress/")

    def test_a_list_of_plain_values(self, server: ApiServer) -> None:
        server.routes["GET /api/names"] = Reply(["a", "b"])
        table = {"path": "/names", "columns": [{"name": "name", "from": "$"}]}
        with running(driver(server, {"names": table})) as it:
            it.subscribe()
            assert it.copy("names") == {("a",), ("b",)}

    def test_tables_of_one_list_are_one_request(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply([{"id": 1, "zone": "a"}, {"id": 2, "zone": "a"}])
        zones = {"path": "/hosts", "columns": ["zone"]}
        with running(driver(server, {"hosts": {"path": "hosts", "columns": ["id"]}, "zones": zones})) as it:
            it.subscribe()
            assert it.copy("zones") == {("a",)}
            assert len(server.asked) == 1

    def test_a_service_that_knows_that_nothing_changed(self, server: ApiServer) -> None:
        rows = [{"id": "1"}]

        def hosts(asked: Asked) -> Reply:
            tag = f'"{len(rows)}"'
            if asked.headers.get("If-None-Match") == tag:
                return Reply(status=304)
            return Reply(rows, headers={"ETag": tag})

        server.routes["GET /api/hosts"] = hosts
        with running(driver(server)) as it:
            it.subscribe()
            before = it.freshness("hosts").updated_at
            it.poll()
            assert server.asked[-1].headers["If-None-Match"] == '"1"'
            assert it.freshness("hosts").updated_at > before  # type: ignore[operator]  # both are numbers here
            rows.append({"id": "2"})
            it.poll()
            it.settle()
            assert ids(it) == {"1", "2"}


def pages(kind: str) -> Any:
    """An API of three pages of two, two and one row."""
    rows = [{"id": str(number)} for number in range(5)]

    def answer(asked: Asked) -> Reply:
        start, size = 0, int(asked.query.get("limit", 2))
        if kind == "page":
            start = (int(asked.query["p"]) - 1) * size
        elif kind == "offset":
            start = int(asked.query["o"])
        elif kind == "marker":
            start = int(asked.query["after"]) + 1 if "after" in asked.query else 0
        else:
            start = int(asked.query.get("s", 0))
        following = f"/api/hosts?s={start + size}" if start + size < 5 else None
        headers = {"Link": f'<{following}>; rel="next", <http://x/>; rel="last"'} if following else {}
        document = {"rows": rows[start : start + size], "next": following}
        return Reply(document, headers=headers if kind == "link" else {})

    return answer


class TestPaging:
    @pytest.mark.parametrize(
        ("paging", "requests"),
        [
            ({"type": "link"}, 3),
            ({"type": "next", "from": "$.next"}, 3),
            ({"type": "page", "param": "p"}, 4),
            ({"type": "page", "param": "p", "size": 2, "size_param": "limit"}, 3),
            ({"type": "offset", "param": "o", "size": 4, "size_param": "limit"}, 2),
            ({"type": "marker", "param": "after", "from": "$.id"}, 4),
        ],
    )
    def test_all_kinds(self, server: ApiServer, paging: dict[str, Any], requests: int) -> None:
        server.routes["GET /api/hosts"] = pages(paging["type"])
        table = {"path": "/hosts", "rows": "$.rows", "columns": COLUMNS, "paging": paging}
        with running(driver(server, {"hosts": table})) as it:
            it.subscribe()
            assert ids(it) == {"0", "1", "2", "3", "4"}
            assert len(server.asked) == requests

    @pytest.mark.parametrize(
        ("following", "more", "error"),
        [
            ("/api/hosts", {}, "go round in circles"),
            ("https://elsewhere.example/", {}, "leads to another host"),
            ("file:///etc/passwd", {}, "leads to another host"),
            ("//127.0.0.1:1/", {}, "leads to another host"),
            ("http://[", {}, "leads to another host"),
        ],
    )
    def test_links_that_lead_astray(self, server: ApiServer, following: str, more: Any, error: str) -> None:
        server.routes["GET /api/hosts"] = Reply({"rows": [{"id": 1}], "next": following})
        paging = {"type": "next", "from": "$.next"}
        table = {"path": "/hosts", "rows": "$.rows", "columns": COLUMNS, "paging": paging}
        with running(driver(server, {"hosts": table}, **more)) as it:
            assert error in error_of(it)
            assert it.rows("hosts") == frozenset()

    def test_lists_without_an_end(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply([{"id": 1}])
        table = {"path": "/hosts", "columns": COLUMNS, "paging": {"type": "page", "param": "p"}}
        with running(driver(server, {"hosts": table}, max_pages=7)) as it:
            assert "more than 7 pages" in error_of(it)
            assert len(server.asked) == 7

    @pytest.mark.parametrize(
        ("paging", "error"),
        [
            ("link", "paging must be an object with a type"),
            ({"type": "scroll"}, "with a type: link, next, page, offset, marker"),
            ({"type": "page"}, "needs 'param'"),
            ({"type": "next"}, "needs 'from'"),
            ({"type": "next", "from": "$["}, "is not a JSON path"),
            ({"type": "link", "colour": 1}, "unknown key 'colour'"),
            ({"type": "page", "param": 5}, "param must be a string"),
            ({"type": "page", "param": "p", "size": "2"}, "size must be a whole number"),
            ({"type": "page", "param": "p", "start": -1}, "start must be a whole number"),
        ],
    )
    def test_paging_that_makes_no_sense(self, server: ApiServer, paging: Any, error: str) -> None:
        with pytest.raises(ConfigError, match=error.replace("$", r"\$")):
            driver(server, {"hosts": {"columns": ["id"], "paging": paging}})


class TestLogins:
    @pytest.mark.parametrize(
        ("config", "header"),
        [
            ({"auth": "basic", "username": "alice", "password": "s:ö"}, "Basic YWxpY2U6czrDtg=="),
            ({"auth": "bearer", "token": "t-1"}, "Bearer t-1"),
        ],
    )
    def test_fixed_credentials(self, server: ApiServer, config: dict[str, str], header: str) -> None:
        server.routes["GET /api/hosts"] = Reply([])
        with running(driver(server, **config)) as it:
            it.subscribe()
        assert server.asked[0].headers["Authorization"] == header

    def test_keystone(self, server: ApiServer) -> None:
        tokens: list[str] = []

        def issue(asked: Asked) -> Reply:
            identity = asked.json["auth"]["identity"]["password"]["user"]
            assert (identity["name"], identity["password"]) == ("alice", "sesame-1")
            assert asked.json["auth"]["scope"]["project"]["name"] == "demo"
            tokens.append(f"token-{len(tokens)}")
            token = {"expires_at": "2999-01-01T00:00:00.000000Z", "methods": ["password"], "catalog": []}
            return Reply({"token": token}, 201, {"X-Subject-Token": tokens[-1]})

        def hosts(asked: Asked) -> Reply:
            good = asked.headers.get("X-Auth-Token") == tokens[-1] and len(tokens) > 1
            return Reply([{"id": "1"}]) if good else Reply({"message": "expired"}, 401)

        server.routes |= {
            "POST /identity/v3/auth/tokens": issue,
            "GET /identity/v3": Reply({"version": {"id": "v3.14", "status": "stable", "links": []}}),
            "GET /api/hosts": hosts,
        }
        config = {
            "auth": "keystone",
            "auth_url": f"{server.url}/identity/v3",
            "username": "alice",
            "password": "sesame-1",
            "project_name": "demo",
        }
        with running(driver(server, **config)) as it:
            it.subscribe()
            assert ids(it) == {"1"}
            assert tokens == ["token-0", "token-1"]
            with server.broken(Reply({"error": {"message": "no"}}, 401)):
                it.poll()
                assert "HTTP 401" in str(it.freshness("hosts").error)

    @pytest.mark.parametrize(
        ("config", "missing"),
        [
            ({"auth": "basic", "username": "a"}, "password"),
            ({"auth": "bearer"}, "token"),
            ({"auth": "keystone", "auth_url": "http://k", "username": "a", "password": "b"}, "project_name"),
        ],
    )
    def test_incomplete_logins(self, server: ApiServer, config: dict[str, str], missing: str) -> None:
        with pytest.raises(ConfigError, match=f"option '{missing}' is required with auth"):
            driver(server, **config)


class TestTrouble:
    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (Reply([{"id": "a\0b"}]), "column 'id': U+0000 is a character that no text may hold"),
            (Reply({"message": "no\nentry"}, 403), 'GET /api/hosts: HTTP 403: {"message":"no\\nentry"}'),
            (Reply(None, 500, body=b"x" * 5000), "HTTP 500: " + "x" * 200),
            (Reply(body=b"<html>"), "the answer is not JSON (line 1"),
            (Reply({"error": "x"}), "row 0 is no object"),
            (Reply([{"id": 1}, 5]), "row 1 is no object"),
            (Reply(cut=True), "the connection was cut"),
            (Reply(body=b""), "row 0 is no object"),
        ],
    )
    def test_answers_that_cannot_be_used(self, server: ApiServer, reply: Reply, error: str) -> None:
        server.routes["GET /api/hosts"] = reply
        if reply.document == {"error": "x"} or reply.body == b"":
            table = {"path": "/hosts", "rows": "$.hosts", "columns": COLUMNS}
            error = "there is nothing at '$.hosts'"
        else:
            table = {"path": "/hosts", "columns": COLUMNS}
        with running(driver(server, {"hosts": table})) as it:
            assert error in error_of(it)

    def test_a_cut_connection_is_tried_once_more(self, server: ApiServer) -> None:
        replies = iter([Reply(cut=True), Reply([{"id": "1"}])])
        server.routes["GET /api/hosts"] = lambda asked: next(replies)
        with running(driver(server)) as it:
            it.subscribe()
            assert ids(it) == {"1"}

    def test_an_action_is_not_tried_once_more(self, server: ApiServer) -> None:
        server.routes["POST /api/reboot"] = Reply(cut=True)
        with running(driver(server, actions={"reboot": {"path": "/reboot"}})) as it:
            with pytest.raises(ActionFailed) as failed:
                it.call("execute", name="reboot")
            assert (failed.value.retryable, failed.value.maybe_done) == (True, True)
            assert len(server.asked) == 1

    def test_too_large(self, server: ApiServer) -> None:
        bomb = zlib.compress(b"[" + b" " * 10_000_000 + b"]")
        server.routes["GET /api/hosts"] = Reply(body=bomb, headers={"Content-Encoding": "deflate"})
        with running(driver(server, max_bytes=100_000)) as it:
            assert "larger than 100000 bytes" in error_of(it)

    def test_too_slow(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply([], delay=0.5)
        with running(driver(server, timeout=0.1)) as it:
            assert "GET /api/hosts: no answer in time" in error_of(it)

    def test_a_byte_now_and_then(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply(body=b" " * 200, drip=0.02)
        with running(driver(server, poll_timeout=0.3)) as it:
            began = time.monotonic()
            assert "not finished within 0.3 seconds" in error_of(it)
            assert time.monotonic() - began < 2

    @pytest.mark.parametrize("limits", [{"timeout": 0.3}, {"poll_timeout": 0.3}])
    def test_a_line_of_the_head_now_and_then(self, server: ApiServer, limits: dict[str, float]) -> None:
        server.routes["GET /api/hosts"] = Reply(head_drip=0.1)
        with running(driver(server, **limits)) as it:
            began = time.monotonic()
            error = error_of(it)
            assert "GET /api/hosts: no answer in time" in error or "not finished within 0.3 seconds" in error
            assert time.monotonic() - began < 2
            assert server.paths == ["/api/hosts"]
            server.routes["GET /api/hosts"] = Reply([{"id": "a"}])
            it.poll()
            it.wait(lambda: it.fresh("hosts"), lambda: "not fresh")
            assert ids(it) == {"a"}

    def test_a_head_now_and_then_for_an_action(self, server: ApiServer) -> None:
        server.routes["POST /api/reboot"] = Reply(head_drip=0.1)
        with running(driver(server, timeout=0.3, actions={"reboot": {"path": "/reboot"}})) as it:
            with pytest.raises(ActionFailed, match="no answer in time") as failed:
                it.call("execute", name="reboot")
            assert (failed.value.retryable, failed.value.maybe_done) == (True, True)

    def test_a_chunk_that_never_begins(self, server: ApiServer) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server.routes["GET /api/hosts"] = lambda asked: Reply(raw=head + b"0" * 1000, drip=0.005)
        with running(driver(server, poll_timeout=1)) as it:
            began = time.monotonic()
            error = error_of(it)
            assert "no answer in time" in error or "not finished within 1 seconds" in error
            assert time.monotonic() - began < 4

    def test_a_login_now_and_then(self, server: ApiServer) -> None:
        server.routes["POST /v3/auth/tokens"] = Reply(head_drip=0.1)
        login = {"auth_url": f"{server.url}/v3", "username": "u", "password": "p", "project_name": "p"}
        with running(driver(server, auth="keystone", timeout=0.3, **login)) as it:
            began = time.monotonic()
            assert "Keystone: no answer in time" in error_of(it)
            assert time.monotonic() - began < 3

    def test_by_a_proxy_now_and_then(self, server: ApiServer) -> None:
        server.failing = Reply(head_drip=0.1)
        made = driver(server, timeout=0.3, base_url="http://elsewhere.example.org/api", proxy=server.url)
        with running(made) as it:
            began = time.monotonic()
            assert "no answer in time" in error_of(it)
            assert time.monotonic() - began < 2

    def test_nobody_there(self, server: ApiServer) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            config = {"base_url": url, "tables": {"hosts": {"columns": ["id"]}}, "poll_time": 0}
            with running(HttpJsonDriver("http", {**config, "actions": {"go": {"path": "/go"}}})) as it:
                assert error_of(it) == "GET /: no connection to the service"
                with pytest.raises(ActionFailed) as failed:
                    it.call("execute", name="go")
                assert (failed.value.retryable, failed.value.maybe_done) == (True, False)

    def test_a_certificate_nobody_knows(self, server: ApiServer) -> None:
        url = server.url.replace("http:", "https:")
        config = {"base_url": url, "tables": {"hosts": {"columns": ["id"]}}, "poll_time": 0}
        with running(HttpJsonDriver("http", config)) as it:
            assert "no secure connection" in error_of(it)

    def test_one_table_of_several(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply([{"id": "1"}])
        tables = {"hosts": {"path": "/hosts", "columns": COLUMNS}, "gone": {"path": "/gone", "columns": ["id"]}}
        with running(driver(server, tables)) as it:
            it._watcher.subscribe("http", "hosts")
            it._watcher.subscribe("http", "gone")
            it.wait(lambda: ids(it) == {"1"}, lambda: "not read")
            it.wait(lambda: "HTTP 404" in str(it.freshness("gone").error), lambda: "no error")
            assert it.fresh("hosts")

    @pytest.mark.parametrize(("status", "header"), [(429, "30"), (503, "30"), (413, "30")])
    def test_rate_limits(self, server: ApiServer, status: int, header: str) -> None:
        server.routes["GET /api/hosts"] = Reply({}, status, {"Retry-After": header})
        made = driver(server)
        with running(made) as it:
            error_of(it)
            assert 29 < made.schedule.allowed(time.monotonic(), 0) <= 30
            it.call("request_refresh")
            time.sleep(0.05)
            assert len(server.asked) == 1

    def test_retry_after_in_all_its_forms(self) -> None:
        now = 1_000_000.0
        assert retry_after("7", now) == 7
        assert retry_after("0.5", now) == 0.5
        assert retry_after(email.utils.formatdate(now + 20, usegmt=True), now) == 20
        assert retry_after(email.utils.formatdate(now - 20, usegmt=True), now) == 0
        assert retry_after("999999999", now) == 86400
        assert retry_after("-5", now) == 0
        assert [retry_after(text, now) for text in ("soon", "", None)] == [None, None, None]


class TestSecretsInPlainSight:
    """Tokens that somebody puts where no secret is expected."""

    def test_they_are_shown_nowhere(self, server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("DEBUG")
        echo = "who is Bearer sesame-1 with sesame/2 or sesame%2F2 and sesame-3?"
        server.routes["GET /api/hosts"] = Reply({"message": echo}, status=403)
        tables = {
            "hosts": {"path": "/hosts?access_token=sesame%2F2", "columns": COLUMNS, "params": {"api_key": "sesame-3"}}
        }
        headers = {"Authorization": "Bearer sesame-1", "X-Kind": "some"}
        with running(driver(server, tables, headers=headers)) as it:
            told = error_of(it)
            assert "who is <hidden> with <hidden> or <hidden> and <hidden>?" in told
            status = it.call("status")
            assert status["config"]["headers"] == {"Authorization": "<hidden>", "X-Kind": "some"}
            assert status["config"]["tables"]["hosts"]["path"] == "/hosts?access_token=<hidden>"
            assert status["config"]["tables"]["hosts"]["params"] == {"api_key": "<hidden>"}
            assert server.asked[0].headers["Authorization"] == "Bearer sesame-1"
            assert server.asked[0].query["access_token"] == "sesame/2"
            assert "sesame" not in repr(status) + caplog.text

    def test_nor_in_what_is_wrong_with_them(self, server: ApiServer) -> None:
        with pytest.raises(ConfigError) as refused:
            driver(server, actions={"go": {"path": "/go", "headers": {"Cookie": "sesame-1 {"}}})
        assert "sesame" not in str(refused.value)


class TestRedirects:
    def test_on_the_same_host(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply(status=302, headers={"Location": "/elsewhere?x=1"})
        server.routes["GET /elsewhere"] = Reply([{"id": "1"}])
        with running(driver(server, auth="bearer", token="t-12345")) as it:
            it.subscribe()
            assert ids(it) == {"1"}
            assert server.asked[-1].headers["Authorization"] == "Bearer t-12345"

    def test_to_another_host(self, server: ApiServer) -> None:
        with api_server() as other:
            other.routes["GET /api/hosts"] = Reply([{"id": "1"}])
            server.routes["GET /api/hosts"] = Reply(status=307, headers={"Location": f"{other.url}/api/hosts"})
            login = {"auth": "bearer", "token": "t-12345", "secret_headers": {"X-Key": "k-12345"}}
            login["secret_params"] = {"sig": "s-12345"}
            with running(driver(server, **login)) as it:
                assert "leads to another host" in error_of(it)
                assert other.asked == []
            allowed = f"127.0.0.1:{other.server.server_port}"
            with running(driver(server, **login, allowed_hosts=[allowed])) as it:
                it.subscribe()
                assert ids(it) == {"1"}
            assert "Authorization" not in other.asked[0].headers
            assert "X-Key" not in other.asked[0].headers
            assert other.asked[0].query == {}

    def test_what_headers_of_a_table_tell_stays_here(self, server: ApiServer) -> None:
        with api_server() as other:
            other.routes["GET /api/hosts"] = Reply([{"id": "1"}])
            server.routes["GET /api/hosts"] = Reply(status=307, headers={"Location": f"{other.url}/api/hosts"})
            headers = {"X-Auth-Token": "t-12345", "X-Version": "2"}
            tables = {"hosts": {"path": "/hosts", "columns": COLUMNS, "headers": headers}}
            allowed = f"127.0.0.1:{other.server.server_port}"
            with running(driver(server, tables, allowed_hosts=[allowed])) as it:
                it.subscribe()
                assert ids(it) == {"1"}
            assert server.asked[0].headers["X-Auth-Token"] == "t-12345"
            assert "X-Auth-Token" not in other.asked[0].headers
            assert other.asked[0].headers["X-Version"] == "2"

    def test_for_ever(self, server: ApiServer) -> None:
        server.routes["GET /api/hosts"] = Reply(status=302, headers={"Location": "/api/hosts"})
        with running(driver(server)) as it:
            assert "more than 5 redirects" in error_of(it)

    def test_not_for_actions(self, server: ApiServer) -> None:
        server.routes["POST /api/go"] = Reply(status=307, headers={"Location": "/api/gone"})
        with running(driver(server, actions={"go": {"path": "/go"}})) as it:
            with pytest.raises(ActionFailed, match="redirects") as failed:
                it.call("execute", name="go")
            assert failed.value.maybe_done
            assert server.paths == ["/api/go"]


ACTIONS: dict[str, Any] = {
    "hosts.rename": {
        "method": "PUT",
        "path": "/hosts/{host}",
        "params": {"notify": "{notify}", "v": 2},
        "headers": {"X-Reason": "because {reason}"},
        "body": {"name": "{name}", "labels": ["{count}", "n-{count}"], "{name}": {"on": "{on}"}},
        "arguments": [
            {"name": "host", "type": "string", "description": "id"},
            "name",
            {"name": "count", "type": "integer", "default": 3},
            {"name": "on", "type": "boolean", "default": None, "nullable": True},
            {"name": "reason", "type": "string", "default": "of a policy"},
            {"name": "notify", "type": "string", "required": False},
        ],
        "effects": ["hosts"],
        "result": "$.host.name",
    },
    "hosts.list": {"method": "get", "path": "/hosts"},
}


class TestActions:
    def test_a_request_filled_with_arguments(self, server: ApiServer) -> None:
        server.routes["PUT /api/hosts/a%2Fb"] = Reply({"host": {"name": "x"}})
        with running(driver(server, actions=ACTIONS)) as it:
            given = {"positional": ["a/b", "x"], "named": {"on": TRUE}}
            assert it.call("execute", name="hosts.rename", **given) == "x"
        asked = server.asked[0]
        assert asked.query == {"v": "2"}
        assert asked.json == {"name": "x", "labels": [3, "n-3"], "x": {"on": True}}
        assert asked.headers["X-Reason"] == "because of a policy"
        assert asked.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        ("note", "text"),
        [({"a": [1, True]}, '{"a":[1,true]}'), (["x", None], '["x",null]'), ("5", "5"), (TRUE, "true")],
    )
    def test_arguments_of_any_type(self, server: ApiServer, note: Any, text: str) -> None:
        """With its type in a JSON body; as JSON text, as rows hold it, where only texts can stand."""
        server.routes["POST /api/note"] = Reply({})
        action = {
            "path": "/note",
            "params": {"q": "{note}"},
            "headers": {"X-Note": "n {note}"},
            "body": {"note": "{note}", "{note}": "a {note}"},
            "arguments": ["note"],
        }
        with running(driver(server, actions={"note": action})) as it:
            it.call("execute", name="note", named={"note": note})
        (asked,) = server.asked
        assert asked.json == {"note": True if note is TRUE else note, text: f"a {text}"}
        assert (asked.query["q"], asked.headers["X-Note"]) == (text, f"n {text}")

    def test_an_argument_of_the_path_is_a_text(self, server: ApiServer) -> None:
        """So that null and structures are refused when the action is asked for, not when it is tried."""
        server.routes["POST /api/hosts/3/7"] = Reply({})
        action = {
            "path": "/hosts/{host}/{port}",
            "body": {"port": "{port}", "x": "{x}"},
            "arguments": ["host", "port", "x"],
        }
        with running(driver(server, actions={"go": action})) as it:
            (told,) = it.call("actions")
            assert told.signature == "go(host: string, port: any, x: any)"
            for host in (None, ["h"], {"h": 1}):
                with pytest.raises(ActionArgumentError):
                    it.call("execute", name="go", positional=[host, 7, 1])
            it.call("execute", name="go", positional=[3, 7, 1])
        (asked,) = server.asked
        assert asked.json == {"port": 7, "x": 1}
        typed = {**action, "arguments": [{"name": "host", "type": "any"}, "port", "x"]}
        assert driver(server, actions={"go": typed}).actions()[0].arguments[0].type == "any"

    def test_signatures(self, server: ApiServer) -> None:
        rename = driver(server, actions=ACTIONS).actions()[1]
        assert rename.signature == (
            "hosts.rename(host: string, name: any, count: integer?, on: boolean?, reason: string?, notify: string?)"
        )
        assert (rename.changes, rename.idempotent, rename.effects) == (True, True, ("hosts",))
        listing = driver(server, actions=ACTIONS).actions()[0]
        assert (listing.changes, listing.idempotent) == (False, True)

    @pytest.mark.parametrize(
        ("named", "error"),
        [
            ({"host": ".."}, "argument 'host' cannot be part of a path"),
            ({"host": ""}, "argument 'host' cannot be part of a path"),
            ({"reason": "x\r\nX-Admin: yes"}, "characters that none can hold"),
        ],
    )
    def test_arguments_that_would_lead_elsewhere(self, server: ApiServer, named: dict[str, str], error: str) -> None:
        with running(driver(server, actions=ACTIONS)) as it:
            with pytest.raises(ActionArgumentError, match=error):
                it.call("execute", name="hosts.rename", named={"host": "h", "name": "n", **named})
            assert server.asked == []

    @pytest.mark.parametrize(
        ("reply", "retryable", "maybe_done", "wait"),
        [
            (Reply({"message": "no"}, 409), False, False, None),
            (Reply({}, 429, {"Retry-After": "3"}), True, False, 3),
            (Reply({}, 503), True, True, None),
            (Reply(body=b"<html>"), False, True, None),
        ],
    )
    def test_refusals(
        self, server: ApiServer, reply: Reply, retryable: bool, maybe_done: bool, wait: float | None
    ) -> None:
        server.routes["POST /api/go"] = reply
        with running(driver(server, actions={"go": {"path": "/go", "body": {}}})) as it:
            with pytest.raises(ActionFailed) as failed:
                it.call("execute", name="go")
            found = failed.value
            assert (found.retryable, found.maybe_done, found.retry_after) == (retryable, maybe_done, wait)

    def test_asynchronous(self, server: ApiServer) -> None:
        """The service gets what it takes to tell the outcome; nobody is told of a secret."""
        server.routes["POST /api/hosts/h1/repair"] = Reply({"job": 7})
        action = {
            "path": "/hosts/{host}/repair",
            "asynchronous": True,
            "headers": {"X-Execution": "{execution_id}"},
            "body": {"token": "{completion_token}", "pin": "{pin}"},
            "arguments": ["host", {"name": "pin", "secret": True}],
        }
        with running(driver(server, actions={"repair": action})) as it:
            call = {"name": "repair", "positional": ["h1", "1234"], "execution_id": "e-1"}
            with pytest.raises(ActionFailed, match="completion token"):
                it.call("execute", **call)
            assert it.call("execute", **call, completion_token="t-1") == {"job": 7}
            (asked,) = server.asked
            assert (asked.headers["X-Execution"], json.loads(asked.body)) == ("e-1", {"token": "t-1", "pin": "1234"})
            (told,) = it.call("actions")
            assert (told.asynchronous, [argument.secret for argument in told.arguments]) == (True, [False, True])

    def test_an_answer_without_a_body(self, server: ApiServer) -> None:
        server.routes["POST /api/go"] = Reply(status=204, body=b"")
        with running(driver(server, actions={"go": {"path": "/go"}})) as it:
            assert it.call("execute", name="go") is None
        assert server.asked[0].body == b""

    @pytest.mark.parametrize(
        ("action", "error"),
        [
            ("go", "it must be an object"),
            ({"colour": 1}, "unknown key 'colour'"),
            ({"method": "TRACE"}, "method must be one of"),
            ({"path": 5}, "path must be a string"),
            ({"path": "/{x}"}, "{x} is none of its arguments"),
            ({"path": "/{"}, "a brace that belongs to no hole"),
            ({"arguments": ["x"]}, "argument 'x' is used nowhere"),
            ({"arguments": "x"}, "arguments must be a list"),
            ({"arguments": ["x", "x"]}, "the same name"),
            ({"arguments": ["a b"]}, "'a b' cannot name an argument"),
            ({"arguments": [{"name": "x", "type": "text"}]}, "the types are"),
            ({"arguments": [{"name": "x", "kind": "text"}]}, "an argument is a name or an object"),
            ({"path": "/{x}", "arguments": [{"name": "x", "default": 1}]}, "must be required and not nullable"),
            ({"effects": ["nets"]}, "effects must be a list of the service's tables"),
            ({"headers": {"a": 1}}, "headers must be an object of strings"),
            ({"changes": "no"}, "changes must be true or false"),
            ({"result": "$["}, "is not a JSON path"),
            ({"asynchronous": True}, "{completion_token} must be in the request"),
            (
                {"asynchronous": True, "path": "/{completion_token}", "arguments": ["execution_id"]},
                "cannot name an argument",
            ),
            ({"path": "/{execution_id}"}, "{execution_id} is none of its arguments"),
        ],
    )
    def test_actions_that_make_no_sense(self, server: ApiServer, action: Any, error: str) -> None:
        with pytest.raises(ConfigError) as refused:
            driver(server, actions={"go": action})
        assert error in str(refused.value)
        assert refused.value.option == "actions"


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"tables": {"t": {"columns": ["id"], "path": "http://evil/"}}}, "path must be a path below"),
        ({"tables": {"t": {"columns": ["id"], "params": []}}}, "params must be an object"),
        ({"tables": {"t": {"columns": ["id"], "headers": {"a": 1}}}}, "headers must be an object of strings"),
        ({"tables": {"t": {"columns": ["id"], "rows": "$["}}}, "is not a JSON path"),
        ({"tables": {"t": {"columns": ["id"], "rows": 5}}}, "rows must be a JSON path"),
        ({"headers": {"a": 1}}, "option 'headers' must be an object of strings"),
        ({"secret_headers": {"a": ["sesame"]}}, "option 'secret_headers' must be an object of strings"),
        ({"actions": []}, "must be an object"),
        ({"actions": {"a b": {}}}, "'a b' cannot name an action"),
    ],
)
def test_configurations_that_make_no_sense(server: ApiServer, config: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError) as refused:
        driver(server, **config)
    assert error in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_the_environment_is_not_asked(server: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password sesame\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.routes["GET /api/hosts"] = Reply([{"id": "1"}])
    with running(driver(server)) as it:
        it.subscribe()
    assert "Authorization" not in server.asked[0].headers


def test_urls_below_the_base() -> None:
    client = HttpClient("https://api.example/v2/", lambda most: most)
    assert client.url("/hosts") == client.url("hosts") == "https://api.example/v2/hosts"
    assert client.url("") == "https://api.example/v2/"
    assert client.link("https://api.example/v2/hosts", "?p=2") == "https://api.example/v2/hosts?p=2"
    assert client.link("https://api.example/v2/hosts", "https://API.example:443/x") == "https://API.example:443/x"
    for astray in ("http://api.example/x", "https://api.example:8443/x", "https://api.example.evil/"):
        with pytest.raises(BadAnswer):
            client.link("https://api.example/v2/hosts", astray)


def test_requests_that_cannot_be_made() -> None:
    client = HttpClient("http://127.0.0.1:9", lambda most: most, limits=Limits(timeout=1))
    with pytest.raises(NotSent):
        client.request(Request("GET", "http://127.0.0.1:9/"))
    with pytest.raises(Exception, match="the request cannot be made"):
        client.request(Request("GET", "http://127.0.0.1:9/", headers={"X": "a\nb"}))
