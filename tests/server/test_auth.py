# SPDX-License-Identifier: Apache-2.0
"""Who may use the real server: password files, rules, proxies, limits, and what it will not start with."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.auth import hashed, login, write_users
from tests.server.daemon import Server, serving
from tests.server.test_stream import Events

CONF = """
[DEFAULT]
auth_strategy = http_basic
[http_basic]
users_file = {0}/users
roles_file = {0}/roles
[api]
trusted_proxies = 127.0.0.1
allowed_origins = https://console.example
rate_limit = 1
rate_burst = 4
login_failures = 3
"""


def header(name: str, password: str | None = None) -> dict[str, str]:
    """The header of a login."""
    environ = login(name) if password is None else login(name, password)
    return {"Authorization": environ["HTTP_AUTHORIZATION"]}


class User:
    """A client that logs in."""

    def __init__(self, server: Server, name: str, **more: str) -> None:
        self.server, self.headers = server, {**header(name), **more}

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Mapping[str, str]]:
        return self.server.request(method, path, body, self.headers)

    def status(self, method: str, path: str, body: Any = None) -> int:
        return self(method, path, body)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("secured")
    write_users(made)
    (made / "congress.conf").write_text(CONF.format(made))
    (made / "policy.yaml").write_text("'congress:metrics:get': '@'\n")
    return made


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[Server]:
    """A server with users, on all addresses of this machine."""
    with serving(folder / "state", "--bind-host", "0.0.0.0", "--config-file", str(folder / "congress.conf")) as made:
        yield made
        assert [line for line in made.log if line["level"] == "ERROR"] == []


def test_what_each_may_do(secured: Server) -> None:
    admin, member, reader, nemo = (User(secured, name) for name in ("admin", "member", "reader", "nemo"))
    service = {"name": "box", "driver": "push", "config": {"tables": {"t": ["x"]}}}
    assert member.status("POST", "/v1/cloud-services", service) == 403
    assert admin.status("POST", "/v1/cloud-services", service) == 201
    policy = {"name": "watch", "rules": [{"rule": "error(x) :- box:t(x)"}]}
    assert reader.status("POST", "/v1/policies", policy) == 403
    assert member.status("POST", "/v1/policies", policy) == 201
    assert reader.status("PUT", "/v1/cloud-services/box/tables/t/rows", [["a"]]) == 403
    assert member.status("PUT", "/v1/cloud-services/box/tables/t/rows", [["a"]]) == 200
    assert reader.status("GET", "/v1/cloud-services/box/tables/t/rows") == 200
    assert member.status("DELETE", "/v1/cloud-services/box") == 403
    assert member.status("POST", "/v1/policies/watch?action=execute", {"name": "box:x"}) == 403
    for user in (nemo, User(secured, "nobody")):
        assert user.status("GET", "/v1/policies") in (401, 403)
    assert secured.request("GET", "/v1/policies")[0] == 401


def test_the_trail_says_who_asked(secured: Server) -> None:
    admin = User(secured, "admin")
    assert admin.status("POST", "/v1/cloud-services", {"name": "sky", "driver": "fake"}) == 201
    act = {"name": "things.rename", "args": ["a"]}
    status, _, headers = admin("POST", "/v1/cloud-services/sky?action=execute", act)
    assert status == 204
    _, execution, _ = User(secured, "reader")("GET", urlsplit(headers["Location"]).path)
    assert execution["requested_by"] == "admin"


def test_what_is_open(secured: Server) -> None:
    assert secured.request("GET", "/health/live")[0] == 200
    assert secured.request("GET", "/")[0] == 200
    assert secured.request("GET", "/v1")[0] == 200
    assert secured.request("GET", "/metrics")[0] == 200  # by the policy file
    status, found, headers = secured.request("GET", "/v1/policies")
    assert (status, found["error"]["error_code"]) == (401, 401)
    assert headers["WWW-Authenticate"].startswith("Basic ")


def test_the_log_says_who(secured: Server) -> None:
    assert secured.event("server.plain_http")["host"] == "0.0.0.0"
    _, _, headers = User(secured, "reader")("GET", "/v1/policies?limit=7")
    request_id = headers["X-Openstack-Request-Id"]
    deadline = time.monotonic() + 20
    while not (lines := [line for line in secured.log if line.get("request_id") == request_id]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {line["user"] for line in lines} == {"reader"}
    assert "open sesame" not in str(secured.log)


def test_a_change_of_the_password_file_counts_at_once(secured: Server, folder: Path) -> None:
    write_users(folder, more=f"ann:{hashed('x')}\n", more_roles="reader: ann\n")
    assert secured.request("GET", "/v1/policies", headers=header("ann", "x"))[0] == 200
    write_users(folder)
    assert secured.request("GET", "/v1/policies", headers=header("ann", "x"))[0] == 401


def test_a_stream_is_for_readers_and_tells_them(secured: Server) -> None:
    assert User(secured, "nemo").status("GET", "/v1/stream?service=congress") == 403
    events = Events(secured, "/v1/stream?table=congress:services", **header("reader"))
    assert events.next()[0] == "snapshot"
    events.close()


def test_behind_a_proxy(secured: Server) -> None:
    outer = {"X-Forwarded-For": "192.0.2.50", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "congress.example"}
    status, made, headers = User(secured, "member", **outer)("POST", "/v1/policies", {"name": "outside"})
    assert status == 201
    assert headers["Location"] == f"https://congress.example/v1/policies/{made['id']}"
    assert headers["Strict-Transport-Security"].startswith("max-age=")


def test_limits(secured: Server) -> None:
    def many(number: int, **headers: str) -> list[int]:
        return [secured.request("GET", "/health/live", headers=headers)[0] for _ in range(number)]

    statuses = many(12, **{"X-Forwarded-For": "192.0.2.60"})
    assert statuses[:4] == [200] * 4
    assert 429 in statuses
    assert many(12) == [200] * 12  # this machine
    far = {"X-Forwarded-For": "192.0.2.61"}
    guesses = [secured.request("GET", "/v1/policies", headers={**header("admin", f"{n}"), **far})[0] for n in range(4)]
    assert guesses == [401, 401, 401, 429]
    status, _, headers = secured.request("GET", "/v1/policies", headers={**header("admin"), **far})
    assert (status, int(headers["Retry-After"]) >= 1) == (429, True)


def test_pages_of_browsers(secured: Server) -> None:
    asked = {"Origin": "https://console.example", "Access-Control-Request-Method": "DELETE"}
    status, body, headers = secured.request("OPTIONS", "/v1/policies/x", headers=asked)
    assert (status, body, headers["Access-Control-Allow-Origin"]) == (204, None, "https://console.example")
    foreign = {**header("admin"), "Origin": "https://evil.example"}
    assert secured.request("GET", "/v1/policies", headers=foreign)[0] == 403


def test_no_version_is_told(secured: Server) -> None:
    for path in ("/", "/nothing", "/v1/nothing"):
        _, found, headers = secured.request("GET", path)
        assert headers["Server"] == "congress"
        assert not re.search(r"waitress|python|pecan", f"{headers} {found}", re.IGNORECASE)


def refused(*arguments: str) -> str:
    """What a daemon says that does not start."""
    command = [sys.executable, "-m", "congress.cmd.server", "--bind-port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[DEFAULT]\nauth_strategy = keystone\n", r"\[keystone_authtoken\] does not say"),
        ("[DEFAULT]\nauth_strategy = http_basic\n", "users cannot be read"),
        ("[DEFAULT]\nbind_host = 0.0.0.0\n", "auth_strategy is noauth"),
        ("[api]\nallowed_origins = *\n", "Name the origins"),
        ("[api]\ntrusted_proxies = everybody\n", "trusted_proxies"),
    ],
)
def test_it_does_not_start(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "congress.conf"
    file.write_text(text)
    assert re.search(word, refused("--config-file", str(file), "--state-path", str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "text", "mode", "word"),
    [
        ("users", "", 0o666, "chmod go-w"),
        ("roles", "", 0o620, "chmod go-w"),
        ("users", "eve:secret\n", 0o600, "users line 1"),
        ("policy.yaml", "'congress:policies:make': '@'\n", 0o600, "congress:policies:make"),
        ("policy.yaml", "x: y: z", 0o600, "policy file"),
    ],
)
def test_it_does_not_start_with_such_a_file(tmp_path: Path, name: str, text: str, mode: int, word: str) -> None:
    write_users(tmp_path)
    (tmp_path / "congress.conf").write_text(CONF.format(tmp_path))
    (tmp_path / name).write_text(text)
    (tmp_path / name).chmod(mode)
    said = refused("--config-file", str(tmp_path / "congress.conf"), "--state-path", str(tmp_path / "state"))
    assert word in said
    assert "secret" not in said
