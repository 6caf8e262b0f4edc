# SPDX-License-Identifier: Apache-2.0
"""Tokens, with a stand-in that speaks the two requests of Keystone that matter here.

The real one is asked in ``tests/openstack/test_authentication.py``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from congress.api.application import Settings
from congress.api.auth.contracts import Unauthenticated
from congress.api.auth.gate import Gate
from congress.api.auth.keystone import KeystoneAuthenticator, KeystoneConfigError, TokenCache
from congress.api.errors import ApiError
from congress.conf import load
from tests.api.auth import authorizer
from tests.api.fakes import Client, FakeBackend, answering
from tests.cloudservices.api_server import ApiServer, Asked, Reply, api_server

OURS, OUTER = "password-of-the-service", "https://keystone.example/v3"


@dataclass
class Keystone:
    """Tokens and who they are of."""

    server: ApiServer
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        version = {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": f"{self.server.url}/v3/"}]}
        self.server.routes["GET /v3"] = self.server.routes["GET /v3/"] = Reply({"version": version})
        self.server.routes["POST /v3/auth/tokens"] = self._login
        self.server.routes["GET /v3/auth/tokens"] = self._validate

    def _login(self, asked: Asked) -> Reply:
        if asked.json["auth"]["identity"]["password"]["user"]["password"] != OURS:
            return Reply({"error": {"code": 401, "message": "no", "title": "Unauthorized"}}, 401)
        return Reply({"token": self.token("service", ["service"])}, 201, {"X-Subject-Token": "ours"})

    def _validate(self, asked: Asked) -> Reply:
        assert asked.headers["X-Auth-Token"] == "ours"
        found = self.tokens.get(asked.headers["X-Subject-Token"])
        if found is None:
            return Reply({"error": {"code": 404, "message": "no such token", "title": "Not Found"}}, 404)
        return Reply({"token": found})

    def token(self, name: str, roles: list[str], *, lasts: int = 3600, project: Any = "p1", **more: Any) -> Any:
        domain = {"id": "default", "name": "Default"}
        endpoint = {"id": "e", "interface": "internal", "region": "R", "region_id": "R", "url": f"{self.server.url}/v3"}
        if isinstance(project, str):
            project = project and {"id": project, "name": f"name-{project}", "domain": domain}
        scope = {"project": project} if project else {}
        return {
            "methods": ["password"],
            "user": {"id": f"id-{name}", "name": name, "domain": domain, "password_expires_at": None},
            "roles": [{"id": role, "name": role} for role in roles],
            "expires_at": f"{datetime.now(UTC) + timedelta(seconds=lasts):%Y-%m-%dT%H:%M:%S.000000Z}",
            "issued_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000000Z}",
            "audit_ids": ["a"],
            "catalog": [{"id": "c", "type": "identity", "name": "keystone", "endpoints": [endpoint]}],
            **scope,
            **more,
        }

    @property
    def validations(self) -> int:
        return sum(asked.method == "GET" and asked.path == "/v3/auth/tokens" for asked in self.server.asked)


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    with api_server() as server:
        yield Keystone(server)


def options(folder: Path, keystone: Keystone, more: str = "", password: str = OURS) -> Any:
    file = folder / "congress.conf"
    file.write_text(
        f"[keystone_authtoken]\nauth_type = password\nauth_url = {keystone.server.url}/v3\nusername = congress\n"
        f"password = {password}\nproject_name = service\nuser_domain_name = Default\nproject_domain_name = Default\n"
        f"www_authenticate_uri = {OUTER}\nhttp_request_max_retries = 0\n{more}\n"
    )
    return load([], files=[str(file)]).options


@pytest.fixture
def authenticator(tmp_path: Path, keystone: Keystone) -> KeystoneAuthenticator:
    return KeystoneAuthenticator(options(tmp_path, keystone), ["p1", "Default/name-p2"])


def request(**more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/v1/policies", "SCRIPT_NAME": "", "SERVER_NAME": "x", "SERVER_PORT": "1",
        "wsgi.url_scheme": "http", **more,
    }  # fmt: skip


def test_a_token_becomes_a_caller(keystone: Keystone, authenticator: KeystoneAuthenticator) -> None:
    keystone.tokens["t"] = keystone.token("ann", ["member", "reader"])
    asked = request(HTTP_X_AUTH_TOKEN="t")
    found = authenticator.authenticate(asked)
    assert (found.who, found.user_id, found.project_id, found.roles) == (
        "ann@Default",
        "id-ann",
        "p1",
        ("member", "reader"),
    )
    assert found.trusted
    assert asked == request(HTTP_X_AUTH_TOKEN="t")


@pytest.mark.parametrize(
    ("project", "more", "trusted"),
    [
        ("p1", {}, True),
        ("p2", {}, True),
        ("p3", {}, False),
        ("", {"system": {"all": True}}, True),
        ("", {"domain": {"id": "default", "name": "Default"}}, False),
        ("", {}, False),
        ({"id": "x", "name": "name-p2", "domain": {"id": "o", "name": "Other"}}, {}, False),
        ({"id": "x", "name": "p2", "domain": {"id": "o", "name": "Default/name-"}}, {}, False),
    ],
)
def test_where_roles_count(
    keystone: Keystone, authenticator: KeystoneAuthenticator, project: Any, more: dict[str, Any], trusted: bool
) -> None:
    keystone.tokens["t"] = keystone.token("ann", ["member"], project=project, **more)
    assert authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t")).trusted is trusted


def test_full_names_with_a_slash_are_not_taken(tmp_path: Path, keystone: Keystone) -> None:
    authenticator = KeystoneAuthenticator(options(tmp_path, keystone), ["a/b/c"])
    project = {"id": "x", "name": "c", "domain": {"id": "o", "name": "a/b"}}
    keystone.tokens["t"] = keystone.token("ann", ["member"], project=project)
    assert not authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t")).trusted


def test_all_projects(tmp_path: Path, keystone: Keystone) -> None:
    authenticator = KeystoneAuthenticator(options(tmp_path, keystone), ["*"])
    keystone.tokens["t"] = keystone.token("ann", ["member"], project="p9")
    assert authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t")).trusted
    keystone.tokens["u"] = keystone.token("ann", ["member"], project="")
    assert not authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="u")).trusted


@pytest.mark.parametrize(
    ("environ", "tried"),
    [
        ({}, False),
        ({"HTTP_X_AUTH_TOKEN": "wrong"}, True),
        ({"HTTP_X_AUTH_TOKEN": "old"}, True),
        ({"HTTP_X_AUTH_TOKEN": ""}, True),
        ({"HTTP_X_AUTH_TOKEN": "é\n"}, True),
        (
            {
                "HTTP_X_IDENTITY_STATUS": "Confirmed",
                "HTTP_X_ROLES": "admin",
                "HTTP_X_USER_ID": "1",
                "keystone.token_auth": "x",
            },
            False,
        ),
    ],
)
def test_who_does_not_come_in(
    keystone: Keystone, authenticator: KeystoneAuthenticator, environ: dict[str, str], tried: bool
) -> None:
    keystone.tokens["old"] = keystone.token("ann", ["admin"], lasts=-10)
    with pytest.raises(Unauthenticated) as raised:
        authenticator.authenticate(request(**environ))
    assert raised.value.headers["WWW-Authenticate"] == f'Keystone uri="{OUTER}"'
    assert raised.value.tried is tried


def test_delay_auth_decision_does_not_let_anybody_in(tmp_path: Path, keystone: Keystone) -> None:
    authenticator = KeystoneAuthenticator(options(tmp_path, keystone, "delay_auth_decision = true"))
    for environ in ({}, {"HTTP_X_AUTH_TOKEN": "wrong"}):
        with pytest.raises(Unauthenticated):
            authenticator.authenticate(request(**environ))


def test_keystone_is_asked_once_for_a_token(keystone: Keystone, authenticator: KeystoneAuthenticator) -> None:
    keystone.tokens["t"] = keystone.token("ann", ["member"])
    for _ in range(5):
        authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t"))
    assert keystone.validations == 1


def test_a_remembered_token_still_expires(keystone: Keystone, authenticator: KeystoneAuthenticator) -> None:
    keystone.tokens["t"] = keystone.token("ann", ["member"], lasts=3)
    authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t"))
    expires = datetime.fromisoformat(keystone.tokens["t"]["expires_at"])
    while datetime.now(UTC) <= expires:
        time.sleep(0.1)
    with pytest.raises(Unauthenticated):
        authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t"))
    assert keystone.validations == 1


def test_keystone_that_cannot_answer(keystone: Keystone, authenticator: KeystoneAuthenticator) -> None:
    for reply in (Reply({}, 500), Reply({}, 503), Reply(body=b"<html>", status=200), Reply(cut=True)):
        with keystone.server.broken(reply), pytest.raises(ApiError) as raised:
            authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t"))
        assert raised.value.status == 503
        assert raised.value.headers["Retry-After"]
    keystone.tokens["t"] = keystone.token("ann", ["member"])
    assert authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t")).who == "ann@Default"


def test_a_login_of_ours_that_is_refused(tmp_path: Path, keystone: Keystone) -> None:
    authenticator = KeystoneAuthenticator(options(tmp_path, keystone, password="wrong"))
    with pytest.raises(ApiError) as raised:
        authenticator.authenticate(request(HTTP_X_AUTH_TOKEN="t"))
    assert raised.value.status == 503
    assert "wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "auth_type = password"),
        ("[keystone_authtoken]\nauth_type = nonsense\n", "cannot be used"),
        ("[keystone_authtoken]\nauth_type = password\n", "cannot be used: .*auth_url|Auth plugin requires"),
    ],
)
def test_configurations_that_lack_something(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "congress.conf"
    file.write_text(text)
    with pytest.raises(KeystoneConfigError, match=word):
        KeystoneAuthenticator(load([], files=[str(file)]).options)


def test_the_memory_of_tokens() -> None:
    now = [0.0]
    cache = TokenCache(most=2, clock=lambda: now[0])
    cache.set("a", "1", time=10)
    cache.set("b", "2", time=20)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("1", "2", None)
    now[0] = 10
    assert (cache.get("a"), cache.get("b")) == (None, "2")
    cache.set("c", "3", time=20)
    cache.set("d", "4", time=20)
    assert (cache.get("b"), cache.get("c"), cache.get("d")) == (None, "3", "4")


def test_through_the_api(keystone: Keystone, authenticator: KeystoneAuthenticator) -> None:
    backend = FakeBackend({"policy.list_policies": answering([]), "policy.create_policy": lambda **given: {"id": "1"}})
    client = Client(backend, Settings(gate=Gate(authenticator, authorizer()), guard_origin=False))
    for token, roles, project in (
        ("admin", ["admin"], "p3"),
        ("member", ["member"], "p1"),
        ("other", ["member"], "p3"),
    ):
        keystone.tokens[token] = keystone.token(token, roles, project=project)

    def status(token: str, method: str, path: str, body: Any = None) -> int:
        return client(method, path, body, HTTP_X_AUTH_TOKEN=token).status_int

    assert [status(who, "GET", "/v1/policies") for who in ("admin", "member", "other", "x")] == [200, 200, 403, 401]
    assert [status(who, "POST", "/v1/policies", {"name": "p"}) for who in ("admin", "member", "other")] == [
        201,
        201,
        403,
    ]
    answer = client("GET", "/v1/policies", HTTP_X_AUTH_TOKEN="other")
    assert "[authorization] trusted_projects" in answer.json["error"]["message"]
    answer = client("GET", "/v1/policies")
    assert answer.status_int == 401
    assert answer.headers["WWW-Authenticate"] == f'Keystone uri="{OUTER}"'
    assert answer.json["error"]["error_code"] == 401
    with keystone.server.broken():
        assert status("x", "GET", "/v1/policies") == 503
        assert status("x", "GET", "/health/live") == 200
