# SPDX-License-Identifier: Apache-2.0
"""Every route with every role: those who may come through, the others do not, and nothing behind is asked for them."""

import re

import pytest

from congress.api.application import routes
from congress.api.auth.names import Access, rule_of
from congress.api.auth.registered import list_rules
from congress.api.routing import Route, Router, route
from tests.api.auth import login, settings
from tests.api.fakes import Client, FakeBackend

ROUTES = routes()
PASSES = {
    "admin": {Access.OPEN, Access.READER, Access.MEMBER, Access.ADMIN},
    "member": {Access.OPEN, Access.READER, Access.MEMBER},
    "reader": {Access.OPEN, Access.READER},
    "nemo": {Access.OPEN},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(FakeBackend(), settings(tmp_path_factory.mktemp("auth")))


def addresses(declared: Route) -> list[str]:
    query = f"?action={declared.action}" if declared.action else ""
    return [re.sub(r"[{}]", "", path) + query for path in (declared.path, *declared.aliases)]


@pytest.mark.parametrize("caller", PASSES)
@pytest.mark.parametrize("declared", ROUTES, ids=lambda declared: declared.operation)
def test_walk(client: Client, declared: Route, caller: str) -> None:
    for address in addresses(declared):
        client.backend.calls.clear()
        answer = client(declared.method, address, **login(caller))
        if declared.access in PASSES[caller]:
            assert answer.status_int not in (401, 403, 429)
        else:
            assert answer.status_int == 403
            assert declared.rule in answer.json["error"]["message"]
            assert client.backend.calls == []


@pytest.mark.parametrize("declared", ROUTES, ids=lambda declared: declared.operation)
def test_walk_of_somebody_unknown(client: Client, declared: Route) -> None:
    for address in addresses(declared):
        for shown in ({}, {"HTTP_AUTHORIZATION": "Bearer x"}, {"HTTP_X_ROLES": "admin", "HTTP_X_USER_ID": "root"}):
            client.backend.calls.clear()
            answer = client(declared.method, address, **shown)
            if declared.access == Access.OPEN:
                assert answer.status_int not in (401, 403)
            else:
                assert answer.status_int == 401
                assert answer.headers["WWW-Authenticate"] == 'Basic realm="congress", charset="UTF-8"'
                assert answer.json["error"]["error_code"] == 401
                assert client.backend.calls == []


def test_only_what_tells_nothing_is_open() -> None:
    """A new open route is a decision: who makes one says so here too."""
    assert {declared.operation for declared in ROUTES if declared.access == Access.OPEN} <= {
        "GET /",
        "GET /v1",
        "GET /health/live",
        "GET /health/ready",
        "GET /v1/openapi.json",
        "POST /v1/executions/{execution}?action=complete",
    }


def test_what_only_administrators_do() -> None:
    """Whatever holds credentials, acts, or says what may act."""
    sensitive = re.compile(r"guard|breaker|approv|execut|hold|/v1/cloud-services(/{service})?$")
    permitted = {
        "congress:policies:simulate",
        "congress:policies:preview",
        "congress:executions:complete",  # by whoever has the execution's one-time token
    }
    for declared in ROUTES:
        if declared.method != "GET" and sensitive.search(declared.operation) and declared.rule not in permitted:
            assert declared.access == Access.ADMIN, declared.operation


def test_nothing_that_changes_is_for_readers() -> None:
    """A POST that only reads is listed by name, here as well as in the program."""
    posts = {d.rule for d in ROUTES if d.method != "GET" and d.access in (Access.READER, Access.OPEN)}
    posts.discard("congress:executions:complete")  # for whoever has the one-time token
    asks = re.compile(r"congress:[a-z:-]+:(query|simulate|preview|dry-run|explain|check|why|validate)")
    assert not [rule for rule in posts if not asks.fullmatch(rule)]


@pytest.mark.parametrize(
    ("method", "path", "action", "rule"),
    [
        ("GET", "/", "", "congress:versions:list"),
        ("GET", "/v1", "", "congress:versions:get"),
        ("GET", "/v1/policies", "", "congress:policies:list"),
        ("POST", "/v1/policies", "", "congress:policies:create"),
        ("GET", "/v1/policies/{policy}", "", "congress:policies:get"),
        ("PUT", "/v1/policies/{policy}", "", "congress:policies:update"),
        ("PATCH", "/v1/policies/{policy}", "", "congress:policies:update"),
        ("DELETE", "/v1/policies/{policy}/rules/{rule}", "", "congress:policies:rules:delete"),
        ("GET", "/v1/policies/{policy}/status", "", "congress:policies:status:get"),
        ("POST", "/v1/policies/{policy}", "simulate", "congress:policies:simulate"),
        ("GET", "/v1/cloud-services/{s}/tables/{t}/rows", "", "congress:cloud-services:tables:rows:list"),
        ("GET", "/metrics", "", "congress:metrics:get"),
        ("BREW", "/v1/pots/{pot}", "", "congress:pots:brew"),
    ],
)
def test_names_of_rules(method: str, path: str, action: str, rule: str) -> None:
    assert rule_of(method, path, action) == rule


def test_a_route_that_says_nothing_is_for_administrators_or_readers() -> None:
    assert Route("POST", "/v1/things", "Make").access == Access.ADMIN
    assert Route("POST", "/v1/policies/{policy}/guard", "Set").access == Access.ADMIN
    assert Route("GET", "/v1/things", "List").access == Access.READER
    assert Route("POST", "/v1/things", "Make", access="member").access == Access.MEMBER


def test_a_route_with_a_wrong_rule_is_a_mistake_at_import() -> None:
    for wrong in ("things:create", "congress:things", "congress:Things:create", "congress:things:%(x)s", "rule:admin"):
        with pytest.raises(ValueError, match="no name of a rule"):
            route("GET", "/v1/things", "List", rule=wrong)
    with pytest.raises(ValueError, match="boss"):
        route("GET", "/v1/things", "List", access="boss")


def test_one_rule_has_one_default() -> None:
    class Things:
        @route("PUT", "/v1/things/{thing}", "Set")
        def put(self, call: object, thing: str) -> None: ...

        @route("PATCH", "/v1/things/{thing}", "Set", access="member")
        def patch(self, call: object, thing: str) -> None: ...

    with pytest.raises(ValueError, match="one rule"):
        Router([Things()])


def test_every_route_has_a_registered_rule() -> None:
    registered = {rule.name: rule for rule in list_rules()}
    for declared in ROUTES:
        rule = registered[declared.rule]
        assert {"method": declared.method, "path": addresses_of_rule(declared)} in rule.operations
        assert rule.description
    assert set(registered) == {d.rule for d in ROUTES} | {"admin", "member", "reader"}


def addresses_of_rule(declared: Route) -> str:
    return declared.path + (f"?action={declared.action}" if declared.action else "")
