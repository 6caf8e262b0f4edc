# SPDX-License-Identifier: Apache-2.0
"""Paging, order, filters, a choice of fields and lines instead of a document: the same on every list."""

import json
from typing import Any
from urllib.parse import quote

import pytest
import webob
from hypothesis import given
from hypothesis import strategies as st

from congress.api.application import routes
from congress.api.paging import order
from congress.api.shapes import Object
from congress.datalog.values import FALSE, TRUE
from tests.api.fakes import Client, FakeBackend, answering

DRIVERS = [
    {"id": f"d{n}", "description": "odd" if n % 2 else "even", **({"error": "bad"} if n == 3 else {})} for n in range(5)
]
SERVICES = [
    {"id": "1", "name": "b", "enabled": True, "description": None},
    {"id": "2", "name": "a", "enabled": False, "description": "x, y"},
    {"id": "3", "name": "a", "enabled": True, "description": ""},
    {"id": "4", "name": "É", "enabled": True, "description": "x"},
]
ROWS = [("b", 2, TRUE), ("a", 1, None), (None, 1.5, FALSE), ("c", 1, FALSE), ("B", -7, "text")]
NAMES = ["id", "n", None]
PATHS = ("/v1/policies/alice/tables/t/rows", "/v1/cloud-services/nova/tables/t/rows")


@pytest.fixture
def client() -> Client:
    columns = [{"name": name} for name in NAMES]
    return Client(
        FakeBackend(
            {
                "_drivers.list_drivers": DRIVERS,
                "_drivers.list_services": SERVICES,
                "_drivers.resolve": answering("nova"),
                "_drivers.service_schema": answering([{"table_id": "t", "columns": [*columns[:2], {"name": "2"}]}]),
                "policy.list_rows": answering(ROWS),
                "policy.get_table": answering({"id": "t", "columns": columns}),
                "policy.why_rows": lambda policy, table, rows: [{"row": list(row)} for row in rows],
                "policy.trace": answering("so it is"),
                "nova.rows": answering(ROWS),
            }
        )
    )


def ids(client: Client, query: str, path: str = "/v1/cloud-services") -> list[str]:
    return [entry["id"] for entry in client("GET", f"{path}?{query}").json["results"]]


def test_without_parameters_a_list_is_what_it_was(client: Client) -> None:
    assert client("GET", "/v1/cloud-services").json == {"results": SERVICES}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=name", ["2", "3", "1", "4"]),
        ("sort=name:desc", ["4", "1", "2", "3"]),
        ("sort=name,id:desc", ["3", "2", "1", "4"]),
        ("sort=name:ASC,id:DESC", ["3", "2", "1", "4"]),
        ("sort=enabled,name", ["2", "3", "1", "4"]),
        ("sort=description", ["1", "3", "4", "2"]),
        ("name=a", ["2", "3"]),
        ("name=a&name=b&sort=id:desc", ["3", "2", "1"]),
        ("name=a&enabled=true", ["3"]),
        ("enabled=FALSE", ["2"]),
        ("enabled=1", ["1", "3", "4"]),
        ("enabled=False&enabled=True", ["1", "2", "3", "4"]),
        ("name=%C3%89", ["4"]),
        ("description=", ["1", "3"]),
        ("description=x,+y", ["2"]),
        ("name=nobody", []),
        ("sort=name&limit=2", ["2", "3"]),
        ("sort=name&limit=2&marker=3", ["1", "4"]),
        ("enabled=true&marker=1", ["3", "4"]),
    ],
)
def test_order_and_filters(client: Client, query: str, found: list[str]) -> None:
    assert ids(client, query) == found


def test_members_that_some_entries_lack(client: Client) -> None:
    assert ids(client, "sort=error:desc", "/v1/system/drivers")[0] == "d3"
    assert ids(client, "error=bad", "/v1/system/drivers") == ["d3"]
    chosen = client("GET", "/v1/system/drivers?fields=error,id&limit=1&marker=d2").json["results"]
    assert chosen == [{"error": "bad", "id": "d3"}]
    assert client("GET", "/v1/system/drivers?fields=error&limit=1").json["results"] == [{}]


def test_pages_of_a_list_that_is_sorted_filtered_and_cut_are_the_list(client: Client) -> None:
    whole = client("GET", "/v1/cloud-services?sort=name:desc&enabled=true&fields=name,enabled").json["results"]
    seen, path = [], "/v1/cloud-services?sort=name:desc&enabled=true&fields=name,enabled&limit=1"
    while path:
        answer = client("GET", path).json
        seen += answer["results"]
        path = answer["links"][0]["href"].removeprefix("http://localhost:80") if "links" in answer else ""
    assert seen == whole
    assert [entry["name"] for entry in whole] == ["É", "b", "a"]


@pytest.mark.parametrize(
    "query",
    ["sort=", "sort=config", "sort=name:up", "sort=name,,id", "fields=", "fields=nope", "fields=id,,name", "nope=1",
     "marker=nobody", "enabled=false&marker=1", "enabled=banana", "enabled=", "limit=0", "limit=100001"],
)  # fmt: skip
def test_what_a_list_cannot_do_is_said(client: Client, query: str) -> None:
    answer = client("GET", f"/v1/cloud-services?{query}")
    assert answer.status_int == 400
    assert answer.json["error"]["message"]


def rows(client: Client, path: str, query: str) -> list[Any]:
    return [entry["data"] for entry in client("GET", f"{path}?{query}").json["results"]]


PLAIN = {row[0]: [row[0], row[1], bool(row[2]) if row[2] in (TRUE, FALSE) else row[2]] for row in ROWS}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=id", [None, "B", "a", "b", "c"]),
        ("sort=id:desc", ["c", "b", "a", "B", None]),
        ("sort=0:desc", ["c", "b", "a", "B", None]),
        ("sort=n,id:desc", ["B", "c", "a", None, "b"]),
        ("sort=2,id", ["a", None, "c", "b", "B"]),
        ('where={"n":1}&sort=id', ["a", "c"]),
        ('where={"n":1.0,"0":"a"}', ["a"]),
        ('where={"2":false}&sort=id', [None, "c"]),
        ('where={"2":null}', ["a"]),
        ('where={"id":null}', [None]),
        ('where={"2":"false"}', []),
        ("where={}&limit=2", [None, "B"]),
        ("sort=id:desc&limit=2", ["c", "b"]),
        ('sort=id:desc&limit=2&marker=["b",2,true]', ["a", "B"]),
        ('sort=id:desc&marker=["az",0,null]', ["a", "B", None]),
    ],
)
def test_order_and_filters_of_rows(client: Client, path: str, query: str, found: list[Any]) -> None:
    assert rows(client, path, query) == [PLAIN[name] for name in found]


@pytest.mark.parametrize("path", PATHS)
def test_a_choice_of_columns(client: Client, path: str) -> None:
    assert rows(client, path, "fields=n,id&sort=id&limit=2") == [[1.5, None], [-7, "B"]]
    assert rows(client, path, "fields=2&sort=id&limit=1") == [[False]]
    pages, query = [], "fields=n&sort=n:desc&limit=2"
    while query:
        answer = client("GET", f"{path}?{query}").json
        pages += [entry["data"][0] for entry in answer["results"]]
        query = answer["links"][0]["href"].partition("?")[2] if "links" in answer else ""
    assert pages == [2, 1.5, 1, 1, -7]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query",
    ["sort=nope", "sort=3", "sort=-1", "sort=id,", "fields=nope", "fields=", 'where={"nope":1}', 'where={"id":[1]}',
     "where=[1]", "where=5", "where={", 'where={"n":1e999}', 'where={"n":99999999999999999999}',
     'sort=id&marker=["a"]', 'where={}&marker=["a",1,null,1]'],
)  # fmt: skip
def test_what_rows_cannot_do_is_said(client: Client, path: str, query: str) -> None:
    assert client("GET", f"{path}?{quote(query, safe='=&')}").status_int == 400


VALUES = st.one_of(
    st.none(), st.sampled_from([TRUE, FALSE]), st.integers(-3, 3), st.just(0.5), st.sampled_from(["", "a", "b"])
)


@given(
    found=st.sets(st.tuples(VALUES, VALUES), max_size=12),
    limit=st.integers(1, 4),
    by=st.sampled_from(["", "id", "n:desc", "1,0:desc"]),
    kind=st.sampled_from([None, int, str]),
)
def test_pages_of_rows_are_the_rows_in_order(found: set[Any], limit: int, by: str, kind: type | None) -> None:
    rows = [row for row in found if kind is None or {type(value) for value in row} == {kind}]
    columns = [{"name": "id"}, {"name": "n"}]
    methods = {"policy.list_rows": answering(rows), "policy.get_table": answering({"columns": columns})}
    client = Client(FakeBackend(methods))
    query = f"limit={limit}{f'&sort={by}' if by else ''}"
    seen = []
    while query:
        answer = client("GET", f"{PATHS[0]}?{query}").json
        assert len(answer["results"]) <= limit
        seen += [entry["data"] for entry in answer["results"]]
        query = answer["links"][0]["href"].partition("?")[2] if "links" in answer else ""
    assert seen == [entry["data"] for entry in client("GET", f"{PATHS[0]}?sort={by or 'id,n'}").json["results"]]
    plain = [[bool(value) if value in (TRUE, FALSE) else value for value in row] for row in sorted(rows, key=order)]
    assert sorted(seen, key=repr) == sorted(plain, key=repr)
    assert by not in ("", "id") or seen == plain


def lines(answer: webob.Response) -> list[Any]:
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert not answer.body or answer.body.endswith(b"\n")
    return [json.loads(one) for one in answer.body.splitlines()]


@pytest.mark.parametrize(
    "accept",
    ["application/x-ndjson", "application/x-ndjson, application/json;q=0.5", "text/html, application/x-ndjson;q=0.3"],
)
def test_lines_instead_of_a_document(client: Client, accept: str) -> None:
    assert lines(client("GET", "/v1/cloud-services", HTTP_ACCEPT=accept)) == SERVICES
    for path in PATHS:
        found = lines(client("GET", f"{path}?sort=id&fields=id", HTTP_ACCEPT=accept))
        assert [entry["data"] for entry in found] == [[None], ["B"], ["a"], ["b"], ["c"]]
    explained = lines(client("GET", f"{PATHS[0]}?why=true&sort=id&limit=1", HTTP_ACCEPT=accept))
    assert explained == [{"data": [None, 1.5, False], "why": {"row": [None, 1.5, False]}}]


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "application/json, application/x-ndjson", "application/x-ndjson;q=0", "ndjson;;;"],
)
def test_a_document_unless_lines_are_asked_for(client: Client, accept: str) -> None:
    for path in ("/v1/cloud-services", *PATHS):
        answer = client("GET", path, HTTP_ACCEPT=accept)
        assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert answer.json["results"]


def test_the_next_page_of_lines_is_in_a_header(client: Client) -> None:
    for path in ("/v1/cloud-services", *PATHS):
        answer = client("GET", f"{path}?limit=2", HTTP_ACCEPT="application/x-ndjson")
        assert len(lines(answer)) == 2
        address, _, rel = answer.headers["Link"].partition("; ")
        assert rel == 'rel="next"'
        next_page = client("GET", address[1:-1].removeprefix("http://localhost:80"), HTTP_ACCEPT="application/x-ndjson")
        assert len(lines(next_page)) == 2
        assert lines(next_page) != lines(answer)
        assert "Link" not in client("GET", path, HTTP_ACCEPT="application/x-ndjson").headers


def test_a_trace_has_no_place_among_lines(client: Client) -> None:
    answer = client("GET", f"{PATHS[0]}?trace=true", HTTP_ACCEPT="application/x-ndjson")
    assert answer.status_int == 400
    assert client("GET", f"{PATHS[0]}?trace=true").json["trace"] == "so it is"


def test_no_rows_in_lines(client: Client) -> None:
    client.backend.methods["nova.rows"] = answering([])
    assert lines(client("GET", PATHS[1], HTTP_ACCEPT="application/x-ndjson")) == []
    client.backend.methods["policy.list_rows"] = answering([])
    client.backend.methods["policy.get_table"] = answering({"id": "t", "columns": None})
    assert client("GET", f"{PATHS[0]}?limit=1").json == {"results": []}


def test_every_list_takes_them() -> None:
    """Every route that answers ``results`` has the five parameters, or is one of those that answer a question."""
    questions = {"POST /v1/policies/{policy}?action=query", "POST /v1/policies/{policy}?action=dry-run"}
    seen = 0
    for route in routes():
        if isinstance(route.answer, Object) and "results" in route.answer.members and route.operation not in questions:
            seen += 1
            assert {"limit", "marker", "sort", "fields"} <= set(route.query), route.operation
            assert "application/x-ndjson" in route.others, route.operation
            assert "links" in route.answer.members, route.operation
    assert seen >= 14
