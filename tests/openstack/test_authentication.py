# SPDX-License-Identifier: Apache-2.0
"""The real server behind a real Keystone: tokens of every kind, roles where they count, a Keystone that goes away."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from congress.api.application import routes
from congress.api.auth.names import Access
from tests.openstack.raw import Json, Raw
from tests.openstack.stage import Stage
from tests.server.daemon import Server, serving

pytestmark = pytest.mark.openstack
PASSWORD = "a long way to Tipperary 7"


class Forwarder:
    """The way to Keystone, which a test can cut."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.cut:
                    client.close()
                    continue
                there = socket.create_connection(self.target, timeout=60)
                for one, other in ((client, there), (there, client)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


@dataclass
class People:
    """Who asks: users of the cloud with a role in a project, made for the test."""

    raw: Raw
    stage: Stage
    home: str
    away: str

    def user(self, name: str, role: str, project: str) -> Json:
        """A user with one role."""
        full = f"{self.stage.name}-{name}"
        user = self.stage.make(
            "identity", "/users", "user", name=full, password=PASSWORD, domain_id="default", enabled=True
        )
        [found] = self.raw.get("identity", f"/roles?name={role}", "roles")
        self.raw.ask("PUT", "identity", f"/projects/{project}/users/{user['id']}/roles/{found['id']}")
        return user | {"project": project}

    def token(self, user: Json, **scope: Any) -> str:
        """A token by password: for the user's project unless another scope is given."""
        identity = {"methods": ["password"], "password": {"user": {"id": user["id"], "password": PASSWORD}}}
        return self._token({"identity": identity, "scope": scope or {"project": {"id": user["project"]}}})

    def _token(self, auth: Json) -> str:
        answer = requests.post(f"{self.raw.auth_url}/auth/tokens", json={"auth": auth}, timeout=60)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Subject-Token"]

    def token_of_credential(self, user: Json, **more: Any) -> str:
        """A token of an application credential of the user."""
        body = {"application_credential": {"name": f"{self.stage.name}-credential-{len(more)}", **more}}
        url = f"{self.raw.auth_url}/users/{user['id']}/application_credentials"
        made = requests.post(url, json=body, headers={"X-Auth-Token": self.token(user)}, timeout=60)
        assert made.status_code == 201, made.text
        found = made.json()["application_credential"]
        given = {"id": found["id"], "secret": found["secret"]}
        return self._token({"identity": {"methods": ["application_credential"], "application_credential": given}})

    def revoke(self, token: str) -> None:
        self.raw.ask("DELETE", "identity", "/auth/tokens", headers={"X-Subject-Token": token})


@pytest.fixture(scope="module")
def people(raw: Raw, stage: Stage) -> People:
    home, away = (
        stage.make("identity", "/projects", "project", name=f"{stage.name}-{name}", domain_id="default")["id"]
        for name in ("home", "away")
    )
    return People(raw, stage, home, away)


@pytest.fixture(scope="module")
def way(raw: Raw, stage: Stage) -> Iterator[Forwarder]:
    """A way to Keystone of our own, and a region of the catalogue in which it is the only one."""
    parts = urlsplit(raw.auth_url)
    made = Forwarder(parts.hostname or "", parts.port or 80)
    [identity] = raw.get("identity", "/services?type=identity", "services")
    stage.make("identity", "/regions", "region", id=stage.name)
    policy = stage.make("identity", "/services", "service", type="policy", name=stage.name)
    ours = f"http://127.0.0.1:{made.port}{parts.path}"
    for service, interface, url in ((identity, "internal", ours), (policy, "public", "http://127.0.0.1:1789")):
        endpoint = {"service_id": service["id"], "interface": interface, "region_id": stage.name, "url": url}
        stage.make("identity", "/endpoints", "endpoint", **endpoint)
    yield made
    made.close()


@pytest.fixture(scope="module")
def secured(raw: Raw, way: Forwarder, people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The daemon, with the cloud's administrator as its service user."""
    folder = tmp_path_factory.mktemp("keystone")
    auth = yaml.safe_load(raw.file.read_text())["clouds"][raw.cloud]["auth"]
    path = urlsplit(raw.auth_url).path
    (folder / "congress.conf").write_text(
        f"""
[DEFAULT]
auth_strategy = keystone
bind_host = 0.0.0.0
[authorization]
trusted_projects = {people.home}
[keystone_authtoken]
www_authenticate_uri = {raw.auth_url}
auth_type = password
auth_url = http://127.0.0.1:{way.port}{path}
username = {auth["username"]}
password = {auth["password"]}
project_name = {auth["project_name"]}
user_domain_name = {auth.get("user_domain_name", "Default")}
project_domain_name = {auth.get("project_domain_name", "Default")}
region_name = {people.stage.name}
token_cache_time = 1
http_request_max_retries = 0
"""
    )
    with serving(folder / "state", "--config-file", str(folder / "congress.conf")) as made:
        yield made


class Client:
    """Requests with a token."""

    def __init__(self, server: Server, token: str) -> None:
        self.server, self.headers = server, {"X-Auth-Token": token}

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        return self.server.request(method, path, body, self.headers)

    def status(self, method: str, path: str, body: Any = None) -> int:
        return self(method, path, body)[0]


@pytest.fixture(scope="module")
def member(people: People) -> Json:
    return people.user("member", "member", people.home)


def test_every_route_with_every_role(secured: Server, people: People, raw: Raw, member: Json) -> None:
    callers = {
        "admin": raw.http.headers["X-Auth-Token"],
        "member": people.token(member),
        "reader": people.token(people.user("reader", "reader", people.home)),
        "stranger": people.token(people.user("stranger", "member", people.away)),
    }
    passes = {
        "admin": {Access.OPEN, Access.READER, Access.MEMBER, Access.ADMIN},
        "member": {Access.OPEN, Access.READER, Access.MEMBER},
        "reader": {Access.OPEN, Access.READER},
        "stranger": {Access.OPEN},
    }
    for declared in routes():
        path = declared.path.replace("{", "no-such-").replace("}", "")
        if path.endswith("/stream") and "no-such" not in path:
            path += "?table=nowhere:nothing"
        path += ("&" if "?" in path else "?") + f"action={declared.action}" if declared.action else ""
        for name, token in callers.items():
            status, found, _ = Client(secured, str(token))(declared.method, path, None)
            refused = status == 403 and declared.rule in str(found)
            assert refused is (declared.access not in passes[name]), (name, declared.operation, status, found)


def test_without_a_token(secured: Server, raw: Raw) -> None:
    for headers in ({}, {"X-Auth-Token": "nonsense"}, {"X-Roles": "admin", "X-Identity-Status": "Confirmed"}):
        status, found, said = secured.request("GET", "/v1/policies", headers=headers)
        assert (status, found["error"]["error_code"]) == (401, 401)
        assert said["WWW-Authenticate"] == f'Keystone uri="{raw.auth_url}"'
    for path in ("/", "/v1", "/health/live", "/health/ready"):
        assert secured.request("GET", path)[0] == 200


def test_the_log_says_who(secured: Server, people: People, member: Json) -> None:
    _, _, headers = Client(secured, people.token(member))("GET", "/v1/policies?limit=3")
    request_id = headers["X-Openstack-Request-Id"]
    deadline = time.monotonic() + 30
    while not (lines := [line for line in secured.log if line.get("request_id") == request_id]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {(line["user"], line["user_id"], line["project_id"]) for line in lines} == {
        (f"{member['name']}@Default", member["id"], people.home)
    }


def test_other_scopes(secured: Server, people: People, raw: Raw, member: Json) -> None:
    """A domain's token is of no trusted project; the system's is trusted."""
    [reader] = raw.get("identity", "/roles?name=reader", "roles")
    raw.ask("PUT", "identity", f"/domains/default/users/{member['id']}/roles/{reader['id']}")
    raw.ask("PUT", "identity", f"/system/users/{member['id']}/roles/{reader['id']}")
    domain = Client(secured, people.token(member, domain={"id": "default"}))
    system = Client(secured, people.token(member, system={"all": True}))
    assert domain.status("GET", "/v1/policies") == 403
    assert system.status("GET", "/v1/policies") == 200
    assert system.status("POST", "/v1/policies", {"name": "systemic"}) == 403


def test_application_credentials(secured: Server, people: People, member: Json) -> None:
    client = Client(secured, people.token_of_credential(member))
    assert client.status("POST", "/v1/policies", {"name": "by_credential"}) == 201
    assert client.status("DELETE", "/v1/policies/by_credential") == 200
    rules = [{"service": "policy", "method": "GET", "path": "/v1/policies"}]
    narrow = Client(secured, people.token_of_credential(member, access_rules=rules))
    assert narrow.status("GET", "/v1/policies") == 200
    assert narrow.status("GET", "/v1/system/drivers") == 401
    assert narrow.status("POST", "/v1/policies", {"name": "by_credential"}) == 401


def test_a_revoked_token(secured: Server, people: People, member: Json) -> None:
    token = people.token(member)
    client = Client(secured, token)
    assert client.status("GET", "/v1/policies") == 200
    people.revoke(token)
    deadline = time.monotonic() + 60  # the token is remembered for token_cache_time
    while client.status("GET", "/v1/policies") != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_role_that_is_taken_away(secured: Server, people: People, raw: Raw) -> None:
    user = people.user("leaver", "member", people.home)
    client = Client(secured, people.token(user))
    assert client.status("GET", "/v1/policies") == 200
    [role] = raw.get("identity", "/roles?name=member", "roles")
    raw.ask("DELETE", "identity", f"/projects/{people.home}/users/{user['id']}/roles/{role['id']}")
    deadline = time.monotonic() + 60
    while client.status("GET", "/v1/policies") not in (401, 403):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_keystone_that_goes_away(secured: Server, people: People, way: Forwarder, member: Json) -> None:
    known, fresh = people.token(member), people.token(member)
    assert Client(secured, known).status("GET", "/v1/policies") == 200
    way.cut = True
    try:
        status, found, headers = Client(secured, fresh)("GET", "/v1/policies")
        assert (status, found["error"]["error_code"]) == (503, 503)
        assert headers["Retry-After"]
        assert secured.request("GET", "/health/live")[0] == 200
        assert secured.request("GET", "/v1")[0] == 200
    finally:
        way.cut = False
    assert Client(secured, fresh).status("GET", "/v1/policies") == 200
