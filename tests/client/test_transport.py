# SPDX-License-Identifier: Apache-2.0
"""Errors as a tree, whoever wrote them; lists page by page; where the server is and who asks."""

import base64
from pathlib import Path

import pytest

from congress.client import Connection, connect, errors
from congress.client.settings import Settings, root_of
from congress.client.transport import path_of
from congress.client.values import value_of
from tests.client.scripted import answer, scripted, stream


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", errors.InvalidRequest),
        ("401 Unauthorized", errors.NotAuthenticated),
        ("403 Forbidden", errors.Forbidden),
        ("404 Not Found", errors.NotFound),
        ("405 Method Not Allowed", errors.Refused),
        ("409 Conflict", errors.Conflict),
        ("429 Too Many Requests", errors.TooManyRequests),
        ("500 Internal Server Error", errors.ServerFault),
        ("503 Service Unavailable", errors.Unavailable),
    ],
)
def test_each_status_has_its_error(status: str, kind: type[errors.ApiError]) -> None:
    body = '{"error": {"message": "the reason", "error_code": 1000, "error_data": {"a": 1}}}'
    told = answer(body, status, Retry_After="7", X_Openstack_Request_Id="req-1")
    with scripted(told) as server, pytest.raises(errors.ApiError) as caught:
        connect(server.url).policies.get("p")
    found = caught.value
    assert type(found) is kind
    assert (found.status, found.code, found.message) == (int(status[:3]), 1000, "the reason")
    assert (found.data, found.request_id, found.retry_after) == ({"a": 1}, "req-1", 7.0)
    assert found.hint or status[:3] in ("400", "405", "409")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<html>who?</html>", "HTTP 401 Unauthorized"),
        ('{"error": {"code": 401, "title": "Unauthorized", "message": "no token"}}', "no token"),
        ('{"error": "plain"}', "plain"),
        ("[]", "HTTP 401 Unauthorized"),
    ],
)
def test_an_error_that_another_program_wrote_is_understood(body: str, message: str) -> None:
    with scripted(answer(body, "401 Unauthorized")) as server, pytest.raises(errors.NotAuthenticated) as caught:
        connect(server.url).policies.get("p")
    assert caught.value.message == message
    assert "--user" in caught.value.hint


def test_what_is_not_congress_is_said_to_be_so() -> None:
    with scripted(answer("<html>", kind="text/html"), answer("{}"), answer("{}", "300 Multiple Choices")) as server:
        cloud = connect(server.url)
        with pytest.raises(errors.NotCongress, match="no JSON"):
            cloud.policies.get("p")
        with pytest.raises(errors.NotCongress, match="no list"):
            next(cloud.policies.list())
        with pytest.raises(errors.NotCongress, match="300"):
            cloud.policies.get("p")


def test_nobody_there() -> None:
    with pytest.raises(errors.Unreachable, match=r"127\.0\.0\.1:9.*connection refused") as caught:
        connect("http://127.0.0.1:9").policies.get("p")
    assert "congress-server" in caught.value.hint


def test_findings_in_a_rule_come_with_their_place(cloud: Connection) -> None:
    cloud.policies.create("findings")
    with pytest.raises(errors.InvalidRule) as caught:
        cloud.rules.create("findings", "p(x) :- q(y), x > ")
    assert [(found.code, found.line) for found in caught.value.diagnostics] == [("S001", 1)]
    assert str(caught.value.diagnostics[0]).startswith("findings:1:19: error[S001]: ")
    with pytest.raises(errors.InvalidRule):
        cloud.policies.create("worse", rules=["p(x) :- q(y)"])
    with pytest.raises(errors.NotFound) as missing:
        cloud.rules.get("findings", "nothing")
    assert missing.value.hint == "`congress rule list POLICY` shows the rules of a policy."


def test_a_page_after_the_other_is_asked_for_at_our_address() -> None:
    # Behind a proxy, a server takes itself to be elsewhere: only the query of its links counts.
    first = (
        '{"results": [{"id": "1"}], "links": [{"rel": "next", "href": "http://inside:1/v1/policies?limit=1&marker=1"}]}'
    )
    with scripted(answer(first), answer('{"results": [{"id": "2"}]}')) as server:
        assert [policy.id for policy in connect(server.url).policies.list()] == ["1", "2"]
    assert server.requests[0].startswith("GET /v1/policies?limit=1000 ")
    assert server.requests[1].startswith("GET /v1/policies?limit=1&marker=1 ")


def test_rows_come_in_pages_from_a_real_server(cloud: Connection) -> None:
    cloud.cloud_services.create("paged", "push", config={"tables": {"t": ["x"]}})
    cloud.rows.replace("paged:t", [[number] for number in range(25)])
    assert [row for (row,) in cloud.rows.list("paged:t", page=10)] == list(range(25))
    assert sorted(cloud.rows.list("paged:t", page=None)) == [(number,) for number in range(25)]
    reading = cloud.rows.list("paged:t", page=10)
    next(reading)
    cloud.rows.change("paged:t", delete=[[3], [15]])
    assert 15 not in [row for (row,) in reading]


def test_rows_can_be_chosen_and_come_from_one_answer(cloud: Connection) -> None:
    cloud.cloud_services.create("chosen", "push", config={"tables": {"t": ["x", "y"]}})
    cloud.rows.replace("chosen:t", [[number, number % 2 == 0] for number in range(20)] + [["ä\u2028b\r", None]])
    even = cloud.rows.list("chosen:t", where={"y": True}, sort="x:desc", columns=["x"], page=3)
    assert [x for (x,) in even] == list(range(18, -1, -2))
    rows = list(cloud.rows.list("chosen:t", page=None))
    assert len(rows) == 21
    assert ("ä\u2028b\r", None) in rows
    with pytest.raises(errors.InvalidRequest, match="no column"):
        next(cloud.rows.list("chosen:t", where={"z": 1}))
    assert [policy.name for policy in cloud.policies.list(kind="action", sort="name")] == ["action"]
    found = cloud.cloud_services.list(name=["chosen", "nothing"])
    assert [(service.name, service.state) for service in found] == [("chosen", "running")]


def test_an_answer_that_ends_in_the_middle_is_an_error() -> None:
    part = stream('{"data": [1]}\n{"da').replace(b"text/event-stream", b"application/x-ndjson")
    found = answer('{"id": "1"}')
    with scripted(found, part) as server:
        rows = connect(server.url).rows.list("p:t", page=None)
        assert next(rows) == (1,)
        with pytest.raises(errors.Broken, match="in the middle"):
            next(rows)


def test_who_asks_by_a_name_and_a_password() -> None:
    with scripted(answer('{"id": "1"}')) as server:
        connect(server.url, user="ann", password="pass:word").policies.get("p")
    token = base64.b64encode(b"ann:pass:word").decode()
    assert f"authorization: basic {token}".lower() in server.requests[0].lower()
    assert "user-agent: congress-client/" in server.requests[0].lower()


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answer('{"id": "1"}'), answer('{"id": "2"}')) as server:
        monkeypatch.setenv("CONGRESS_URL", server.url + "/v1/")
        monkeypatch.setenv("CONGRESS_USER", "bob")
        monkeypatch.setenv("CONGRESS_PASSWORD", "b")
        assert connect().policies.get("p").id == "1"
        monkeypatch.setenv("CONGRESS_URL", "http://127.0.0.1:9")
        assert connect(server.url, user="ann", password="a").policies.get("p").id == "2"
    assert base64.b64encode(b"bob:b").decode() in server.requests[0]
    assert base64.b64encode(b"ann:a").decode() in server.requests[1]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("auth_type: none, auth: {endpoint: URL}", "x-auth-token: notused"),
        ("auth_type: http_basic, auth: {endpoint: URL, username: ann, password: a}", "authorization: basic YW5uOmE="),
        ("auth_type: admin_token, auth: {endpoint: URL, token: abc}", "x-auth-token: abc"),
        ("auth_type: none, policy_endpoint_override: URL, auth: {endpoint: 'http://127.0.0.1:9'}", "notused"),
    ],
)
def test_a_cloud_says_where_and_who(text: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answer('{"id": "1"}'), answer('{"id": "2"}')) as server:
        file = tmp_path / "clouds.yaml"
        file.write_text(f"clouds: {{mine: {{{text.replace('URL', server.url)}}}}}", encoding="utf-8")
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        assert connect(cloud="mine").policies.get("p").id == "1"
        monkeypatch.setenv("OS_CLOUD", "mine")
        assert connect().policies.get("p").id == "2"
    assert all(asked.lower() in request.lower() for request in server.requests)


def test_settings_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.SettingsError, match="nowhere"):
        connect(cloud="nowhere")
    with pytest.raises(errors.SettingsError, match="no address"):
        connect("localhost:1789")
    with pytest.raises(errors.SettingsError, match="a name is empty"):
        connect("http://127.0.0.1:9").policies.get("")
    with pytest.raises(errors.SettingsError, match="no table"):
        connect("http://127.0.0.1:9").rows.why("error", [])


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_does_not_lead_out_of_its_folder(name: str) -> None:
    with pytest.raises(errors.SettingsError, match="is no name"):
        connect("http://127.0.0.1:9").policies.get(name)
    assert path_of("policies", "...") == "/v1/policies/..."


def test_no_log_has_the_secrets_of_a_service(cloud: Connection, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(errors.InvalidRequest):
        cloud.cloud_services.create("secretive", "nova", config={"password": "hunter2"})
    cloud.policies.create("talkative", description="a word that may be logged")
    assert "a word that may be logged" in caplog.text
    assert "hunter2" not in caplog.text


def test_addresses() -> None:
    assert root_of("https://h/congress/v1/") == "https://h/congress"
    assert path_of("policies", "a/b", "tables", "nova:servers") == "/v1/policies/a%2Fb/tables/nova:servers"
    assert "secret" not in repr(Settings("http://h", "ann", "secret", openstack={"password": "secret"}))


@pytest.mark.parametrize(
    ("text", "value"),
    [("vm-1", "vm-1"), ("5", 5), ('"5"', "5"), ("1.5", 1.5), ("true", True), ("null", None), ("[1]", "[1]"), ("", "")],
)
def test_values_as_they_are_typed(text: str, value: object) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)
