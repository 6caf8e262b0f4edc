# SPDX-License-Identifier: Apache-2.0
"""Requests by nobody's rules: made from what the routes declare, sound ones and spoilt ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from congress.api.routing import Route
from congress.api.schema import (
    Anything,
    Choice,
    Either,
    Fields,
    Flag,
    Listed,
    Mapped,
    Moment,
    Number,
    Schema,
    Text,
    Told,
)

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "alice", "a:b", "a" * 300, "\u0000", "\U0001f600", "-h", "../..", "%s", "execute", "null"]),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), TEXTS
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)


def sound(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit a schema, mostly."""
    if isinstance(schema, Text):
        made = st.text(min_size=schema.shortest, max_size=min(schema.longest, 30))
        return st.one_of(made, st.none()) if schema.nullable else made
    if isinstance(schema, Choice):
        return st.sampled_from(schema.words)
    if isinstance(schema, Flag):
        return st.booleans()
    if isinstance(schema, Number):
        return st.integers(schema.smallest, schema.largest)
    if isinstance(schema, Moment):
        return st.integers(0, 2**50).map(lambda number: number / 1024)
    if isinstance(schema, Mapped):
        return st.dictionaries(TEXTS, JSON, max_size=3)
    if isinstance(schema, Listed):
        return st.lists(sound(schema.item), max_size=3)
    if isinstance(schema, Either):
        return st.one_of(*map(sound, schema.by_type.values()))
    if isinstance(schema, Told):
        return sound(schema.checked)
    if isinstance(schema, Fields):
        optional = {name: near(key.schema) for name, key in schema.keys.items() if not key.required}
        required = {name: near(key.schema) for name, key in schema.keys.items() if key.required}
        return st.fixed_dictionaries(required, optional=optional)
    assert isinstance(schema, Anything)
    return JSON


def near(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit, and some that do not."""
    return st.one_of(sound(schema), sound(schema), sound(schema), JSON)


def bodies(route: Route) -> st.SearchStrategy[Any]:
    spoilt = st.one_of(JSON, st.binary(max_size=40), st.none())
    return spoilt if route.body is None else st.one_of(near(route.body), near(route.body), spoilt)


def queries(route: Route) -> st.SearchStrategy[list[tuple[str, str]]]:
    words = st.one_of(
        TEXTS,
        st.sampled_from(
            [
                "true",
                "False",
                "1",
                "10",
                "-1",
                "9" * 30,
                '["a",1]',
                "[1e999]",
                "[NaN]",
                "id:desc,name",
                "x",
                "0",
                '{"x":1}',
                "[" * 999,
            ]
        ),
    )
    names = st.sampled_from([*route.query, "action", "nobody", "limit", "sort", "fields", "where"])
    more = st.lists(st.tuples(names, words), max_size=3)
    return more.map(lambda pairs: [*pairs, *([("action", route.action)] if route.action else [])])


PARTS = st.one_of(TEXTS.filter(lambda text: "/" not in text and text), st.sampled_from(["alice", "_route", "index"]))


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
HEADERS: dict[str, Sequence[str]] = {
    "Accept": ("*/*", "text/html", "application/x-ndjson", "application/x-ndjson;q=x", ";;;", "a/b" * 500),
    "Content-Type": ("application/json", "application/json; charset=utf-8", "text/plain", "", "\xff", "a" * 5000),
    "Origin": ("null", "http://evil.example", "http://[", ""),
    "Host": ("localhost", "evil.example", "[::1", "localhost:99999", ":"),
    "Last-Event-ID": ("x.1", "9" * 400, "\xe9"),
    "X-Forwarded-For": ("1.2.3.4", "x, y", ""),
    "X-HTTP-Method-Override": ("DELETE",),
    "Authorization": ("Basic", "Basic !!!", "Bearer x", "Basic " + "A" * 3000),
    "X-Auth-Token": ("x", ""),
}


@dataclass(frozen=True)
class Hostile:
    """A request; ``body`` is bytes, something for JSON, or None."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]

    @property
    def environ(self) -> dict[str, str]:
        """Its headers as WSGI has them."""
        names = {name: name.upper().replace("-", "_") for name in self.headers}
        return {n if n == "CONTENT_TYPE" else f"HTTP_{n}": self.headers[name] for name, n in names.items()}

    @property
    def data(self) -> bytes | None:
        """Its body as it is sent."""
        return self.body if isinstance(self.body, bytes | None) else json.dumps(self.body).encode()


HEADER_SETS = st.one_of(
    st.just({}),
    st.just({}),
    st.sampled_from(sorted(HEADERS)).flatmap(
        lambda name: st.sampled_from(HEADERS[name]).map(lambda text: {name: text})
    ),
)
PATHS = st.one_of(
    st.sampled_from(
        ["//", "/v1//policies", "/v1/policies/", "/%00", "/%ff", "/v1/policies/%2e%2e", "/" + "a/" * 300, "/v1/%"]
    ),
    st.text(max_size=30).map(lambda text: "/v1/" + quote(text, errors="surrogatepass")),
)


@st.composite
def requests(draw: st.DrawFn, routes: Sequence[Route]) -> Hostile:
    """Requests for routes, sound ones and spoilt ones; now and then for what is none, or by another method."""
    route = draw(st.sampled_from(routes))
    path = draw(st.sampled_from([route.path, *route.aliases]))
    while "{" in path:
        start, end = path.index("{"), path.index("}")
        path = path[:start] + quote(draw(PARTS), safe="") + path[end + 1 :]
    query = urlencode(draw(queries(route)), errors="surrogatepass")
    method = route.method
    if draw(st.integers(0, 19)) == 0:
        path = draw(PATHS)
    if draw(st.integers(0, 9)) == 0:
        method = draw(st.sampled_from(METHODS))
    return Hostile(method, f"{path}?{query}", draw(bodies(route)), draw(HEADER_SETS))


def check(request: Hostile, status: int, body: bytes) -> None:
    """Whatever was asked: no fault of the server, and errors in their one form."""
    assert status < 500, body
    if status >= 400 and request.method != "HEAD":
        error = json.loads(body)["error"]
        assert set(error) == {"message", "error_code", "error_data"}
        assert error["message"]
