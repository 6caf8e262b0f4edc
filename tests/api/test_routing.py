# SPDX-License-Identifier: Apache-2.0
"""Paths, methods and actions to handlers."""

from typing import Any

import pytest

from congress.api.application import make_router, routes
from congress.api.errors import ApiError
from congress.api.routing import Route, Router, route
from tests.api.fakes import Client, FakeBackend


class Things:
    @route("GET", "/t/{thing}", "One", aliases=("/old/{thing}",))
    def one(self, call: Any, thing: str) -> Any:
        return {"one": thing}

    @route("GET", "/t/all", "All")
    def all(self, call: Any) -> Any:
        return {"all": True}

    @route("POST", "/t/{thing}", "Do", action="do")
    def do(self, call: Any, thing: str) -> Any:
        return {"do": thing}

    @route("POST", "/t/{thing}", "Undo", action="undo")
    def undo(self, call: Any, thing: str) -> Any:
        return {"undo": thing}


ROUTER = Router([Things()])


@pytest.mark.parametrize(
    ("method", "path", "actions", "found", "values"),
    [
        ("GET", "/t/x", [], "One", ["x"]),
        ("HEAD", "/t/x", [], "One", ["x"]),
        ("GET", "/old/x", [], "One", ["x"]),
        ("GET", "/t/all", [], "All", []),
        ("GET", "/t/_lookup", [], "One", ["_lookup"]),
        ("GET", "/t/index", [], "One", ["index"]),
        ("GET", "/t/__class__", [], "One", ["__class__"]),
        ("POST", "/t/x", ["do"], "Do", ["x"]),
    ],
)
def test_found(method: str, path: str, actions: list[str], found: str, values: list[str]) -> None:
    target, given = ROUTER.find(method, path, actions)
    assert (target.route.summary, given) == (found, values)


@pytest.mark.parametrize(
    ("method", "path", "actions", "status"),
    [
        ("GET", "/", [], 404),
        ("GET", "/t", [], 404),
        ("GET", "/t/", [], 404),
        ("GET", "/t//", [], 404),
        ("GET", "/t/x/y", [], 404),
        ("POST", "/t/all", ["do"], 405),  # a literal path is itself for all methods
        ("DELETE", "/t/x", [], 405),
        ("BREW", "/t/x", [], 405),
        ("POST", "/t/x", [], 400),
        ("POST", "/t/x", ["fly"], 400),
        ("POST", "/t/x", ["do", "do"], 400),
        ("GET", "/" + "a/" * 5000, [], 404),
    ],
)
def test_not_found(method: str, path: str, actions: list[str], status: int) -> None:
    with pytest.raises(ApiError) as raised:
        ROUTER.find(method, path, actions)
    assert raised.value.status == status


def test_allow() -> None:
    with pytest.raises(ApiError) as raised:
        ROUTER.find("DELETE", "/t/x", [])
    assert raised.value.headers == {"Allow": "GET, HEAD, POST"}


def test_twice_is_a_mistake() -> None:
    class Again:
        @route("GET", "/t/{other}", "One more")
        def one(self, call: Any, other: str) -> Any:
            return None

    with pytest.raises(ValueError, match="declared twice"):
        Router([Things(), Again()])


@pytest.mark.parametrize("declared", routes(), ids=lambda declared: declared.operation)
def test_every_route_is_described(declared: Route) -> None:
    assert declared.summary
    assert not declared.summary.endswith(".")
    assert declared.answer or declared.others or declared.status == 204
    assert all(parameter.description for parameter in declared.query.values())
    assert "{" not in declared.path or {400, 404} & set(declared.errors)


def test_routes_of_services_have_both_names() -> None:
    ours = [declared for declared in routes() if declared.path.startswith("/v1/cloud-services")]
    assert len(ours) > 15
    for declared in ours:
        assert declared.aliases == (declared.path.replace("cloud-services", "data-sources"),)


def test_every_route_refuses_other_methods() -> None:
    """Never a 500 or 501: 405, with what is allowed."""
    client = Client(FakeBackend())
    for declared in make_router().routes:
        for method in ("BREW", "OPTIONS", "TRACE"):
            answer = client(method, declared.path.replace("{", "").replace("}", ""))
            assert answer.status_int == 405, (method, declared.path)
            assert declared.method in answer.headers["Allow"].split(", ")
            assert answer.json["error"]["error_code"] == 405
