# SPDX-License-Identifier: Apache-2.0
"""Whose word about where a request comes from is taken."""

from typing import Any

import pytest

from congress.api.application import Settings
from congress.api.proxy import Proxies
from tests.api.fakes import Client, FakeBackend

PROXY = "10.0.0.1"


def applied(peer: str, trusted: tuple[str, ...] = (PROXY, "10.1.0.0/16", "fd00::/8"), **said: str) -> dict[str, Any]:
    environ: dict[str, Any] = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "inner:1789"}
    environ |= {f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in said.items()}
    Proxies(trusted).apply(environ)
    assert not [name for name in environ if "FORWARDED" in name]
    return environ


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.1.2.3", "10.1.2.3"),
        ("192.0.2.7, nonsense", PROXY),
        ("nonsense, 10.1.2.3", "10.1.2.3"),
        ("", PROXY),
    ],
)
def test_the_client_is_the_nearest_that_is_no_proxy(chain: str, client: str) -> None:
    assert applied(PROXY, **{"for": chain})["REMOTE_ADDR"] == client


@pytest.mark.parametrize("peer", ["192.0.2.66", "10.2.0.1", "127.0.0.1", "", "unix"])
def test_nobody_else_is_believed(peer: str) -> None:
    environ = applied(peer, proto="https", host="evil.example", prefix="/x", **{"for": "127.0.0.1"})
    assert environ["REMOTE_ADDR"] == peer
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "inner:1789")
    assert "SCRIPT_NAME" not in environ


@pytest.mark.parametrize("peer", [PROXY, "10.1.255.255", "::ffff:10.0.0.1", "fd00::5"])
def test_a_proxy_is_believed(peer: str) -> None:
    environ = applied(peer, proto="https", host="congress.example:8443", prefix="/policy/", **{"for": "192.0.2.7"})
    assert environ["REMOTE_ADDR"] == "192.0.2.7"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "congress.example:8443"
    assert environ["SCRIPT_NAME"] == "/policy"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proto", "javascript"),
        ("proto", "https, http"),
        ("host", 'a"b'),
        ("host", "a/b"),
        ("host", "evil.example, inner:1789"),
        ("prefix", "//evil.example"),
        ("prefix", "/a/../b?"),
        ("prefix", "x"),
    ],
)
def test_what_makes_no_sense_is_not_taken(name: str, value: str) -> None:
    environ = applied(PROXY, **{name: value})
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("http", "inner:1789")
    assert "SCRIPT_NAME" not in environ


def test_no_proxies_unless_configured() -> None:
    assert applied("127.0.0.1", (), **{"for": "192.0.2.7"})["REMOTE_ADDR"] == "127.0.0.1"
    with pytest.raises(ValueError, match="10"):
        Proxies(["10.0.0.0.1"])


def test_addresses_in_answers_are_the_outer_ones() -> None:
    backend = FakeBackend({"policy.create_policy": lambda **given: {"id": "9", **given}})
    client = Client(backend, Settings(trusted_proxies=[PROXY], allowed_hosts=["congress.example"]))
    said = {
        "REMOTE_ADDR": PROXY,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "congress.example",
        "HTTP_X_FORWARDED_PREFIX": "/policy",
    }
    answer = client("POST", "/v1/policies", {"name": "x"}, **said)
    assert answer.headers["Location"] == "https://congress.example/policy/v1/policies/9"
    assert "Strict-Transport-Security" in answer.headers
    assert "Strict-Transport-Security" not in client("GET", "/v1").headers
