# SPDX-License-Identifier: Apache-2.0
"""What browsers are told: what not to do with an answer, and whose pages may read it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import webob

from congress.api.application import Settings
from congress.api.headers import DEFAULTS, secure
from tests.api.auth import login, settings
from tests.api.fakes import Client, FakeBackend, answering

PAGE = "https://console.example"


@pytest.mark.parametrize(
    "path", ["/", "/v1/policies", "/v1/nothing", "/nothing", "/v1/policies?limit=0", "/health/live"]
)
def test_every_answer_has_them(path: str) -> None:
    answer = Client(FakeBackend({"policy.list_policies": answering([])}))("GET", path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_what_an_answer_says_itself_stays() -> None:
    headers = [("content-security-policy", "default-src 'self'"), ("CACHE-CONTROL", "no-cache")]
    secure(headers, "http")
    assert not [value for name, value in headers if name in DEFAULTS]


def client(origins: Sequence[str]) -> Client:
    return Client(FakeBackend({"policy.list_policies": answering([])}), Settings(allowed_origins=origins))


def preflight(client: Client, origin: str, **more: str) -> webob.Response:
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PUT", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "content-type"}
    return client("OPTIONS", "/v1/policies", HTTP_ORIGIN=origin, **{**asked, **more})


def test_preflight() -> None:
    answer = preflight(client([PAGE]), PAGE)
    assert (answer.status_int, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Vary"] == "Origin"
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"content-type", "authorization", "x-auth-token", "last-event-id"} <= set(allowed)
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://console.example", "https://console.example.evil.example", "null"]
)
def test_preflight_of_others(origin: str) -> None:
    answer = preflight(client([PAGE]), origin)
    assert answer.status_int in (403, 405)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_no_preflight_unless_configured() -> None:
    assert preflight(client([]), "http://localhost:80").status_int == 405


def test_options_that_asks_nothing_is_no_preflight() -> None:
    assert client([PAGE])("OPTIONS", "/v1/policies").status_int == 405


def test_an_answer_can_be_read_by_allowed_pages() -> None:
    asked = client([PAGE + "/"])
    answer = asked("GET", "/v1/policies", HTTP_ORIGIN=PAGE)
    assert answer.status_int == 200
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Link", "Location", "X-Openstack-Request-Id"} <= set(
        exposed
    )  # the address of a next page of lines is in Link
    assert asked("GET", "/v1/nothing", HTTP_ORIGIN=PAGE).headers["Access-Control-Allow-Origin"] == PAGE
    other = asked("GET", "/v1/policies", HTTP_ORIGIN="https://evil.example")
    assert other.status_int == 403
    assert "Access-Control-Allow-Origin" not in other.headers
    assert other.headers["Vary"] == "Origin"


def test_all_pages_can_be_allowed() -> None:
    answer = client(["*"])("GET", "/v1/policies", HTTP_ORIGIN="https://any.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight(client(["*"]), "https://any.example").status_int == 204


def test_a_page_cannot_use_a_password_that_the_browser_knows(tmp_path: Path) -> None:
    asked = Client(FakeBackend({"policy.list_policies": answering([])}), settings(tmp_path))
    known = {**login("admin"), "HTTP_HOST": "congress.example"}
    assert asked("GET", "/v1/policies", **known).status_int == 200
    assert asked("GET", "/v1/policies", **known, HTTP_ORIGIN="https://congress.example").status_int == 200
    for origin in ("https://evil.example", "null", "https://[x"):
        assert asked("GET", "/v1/policies", **known, HTTP_ORIGIN=origin).status_int == 403


def test_401_can_be_read_by_allowed_pages(tmp_path: Path) -> None:
    asked = Client(FakeBackend(), settings(tmp_path, allowed_origins=[PAGE]))
    answer = asked("GET", "/v1/policies", HTTP_ORIGIN=PAGE)
    assert answer.status_int == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
