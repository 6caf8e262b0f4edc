# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: right by its own rules, and about every route."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from congress.api.application import routes
from congress.api.auth.names import Access
from congress.api.examples import examples
from congress.api.openapi import document
from congress.api.routing import Route
from congress.api.shapes import Empty, Member, Object, Plain, named
from tests.api.declared import operation, problem_with
from tests.api.fakes import Client, FakeBackend

ROUTES = routes()
REFUSED = {  # by every driver of our own: only drivers of others have a use for them
    "POST /v1/cloud-services/{service}/webhook",
    "POST /v1/executions/{execution}?action=complete",
}


def test_it_is_served_to_everybody_and_linked() -> None:
    client = Client(FakeBackend())
    answer = client("GET", "/v1/openapi.json")
    assert answer.json == document()
    for links in (
        client("GET", "/").json["versions"][0]["links"],
        client("GET", "/v1").json["version"]["links"],
    ):
        found = {link["rel"]: link for link in links}["service-desc"]
        assert (found["href"], found["type"]) == ("http://localhost:80/v1/openapi.json", "application/json")


def test_it_keeps_the_rules_of_the_format() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def _schemas(value: Any, place: str = "") -> Any:
    """Every ``schema`` in the document, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "schema":
                yield f"{place}/{key}", inner
            yield from _schemas(inner, f"{place}/{key}")
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _schemas(inner, f"{place}/{at}")


def test_every_schema_is_json_schema_and_every_reference_leads_somewhere() -> None:
    components = document()["components"]["schemas"]
    for _, schema in [*_schemas(document()["paths"]), *components.items()]:
        Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document())))
    assert references == set(components)


def test_operations_have_names_of_their_own_and_nothing_is_left_unsaid() -> None:
    ids = []
    tags = {tag["name"]: tag["description"] for tag in document()["tags"]}
    assert all(tags.values())
    assert "needs no login" in tags["Operations"]
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            ids.append(found["operationId"])
            assert found["summary"], (method, path)
            assert set(found["tags"]) <= set(tags)
            for one in (found, *found.get("x-actions", ())):
                assert all(parameter["description"] for parameter in one.get("parameters", ())), (method, path)
                named_in_path = set(re.findall(r"\{(\w+)\}", path))
                assert {p["name"] for p in one.get("parameters", ()) if p["in"] == "path"} == named_in_path
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_]+", found) for found in ids)


def _undescribed(schema: Any, place: str) -> Any:
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if not inner.get("description"):
                yield f"{place}.{name}"
            yield from _undescribed(inner, f"{place}.{name}")
        for key in ("items", "additionalProperties"):
            yield from _undescribed(schema.get(key), place)
        for inner in schema.get("anyOf", ()):
            yield from _undescribed(inner, place)


def test_every_field_of_every_object_says_what_it_is() -> None:
    for name, schema in document()["components"]["schemas"].items():
        assert list(_undescribed(schema, name)) == []
    for place, schema in _schemas(document()["paths"]):
        assert list(_undescribed(schema, place)) == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_route_is_in_it_under_all_its_paths(route: Route) -> None:
    for path in (route.path, *route.aliases):
        found = operation(route.method, path, route.action)
        assert found["summary"] == route.summary
        assert found["x-rule"] == route.rule
        assert (found.get("security") == []) == (route.access is Access.OPEN)
        assert ("requestBody" in found) == (route.body is not None)
        assert set(route.query) <= {parameter["name"] for parameter in found.get("parameters", ())}
        assert {str(status) for status in (route.status, 400, *route.errors)} <= set(found["responses"])
        assert "default" in found["responses"]
        good = found["responses"][str(route.status)]
        has_body = not (route.status == 204 or isinstance(route.answer, Empty))
        assert ("content" in good) == has_body, route.operation


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_answer_has_a_type(route: Route) -> None:
    if route.status != 204 and not isinstance(route.answer, Empty):
        for content in operation(route.method, route.path, route.action)["responses"][str(route.status)][
            "content"
        ].values():
            assert content["schema"] != {}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_every_route_has_an_example(route: Route) -> None:
    shown = [example for example in examples() if example.operation == route.operation]
    assert shown, f"no example of {route.operation}: add a step to tests/server/examples.yaml"
    assert any(example.status == route.status for example in shown) or route.operation in REFUSED
    if route.body is not None and not route.body_optional:
        assert any(example.has_body for example in shown)


def test_examples_are_what_is_declared() -> None:
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415

    known = {route.operation: route for route in ROUTES}
    for example in examples():
        method, _, target = example.request.partition(" ")
        parts = urlsplit(target)
        body = b"" if not example.kind else json.dumps(example.answer).encode()
        if example.kind.endswith("x-ndjson"):
            body = "\n".join(json.dumps(one) for one in example.answer).encode()
        query = parse_qs(parts.query, keep_blank_values=True)
        problem = problem_with(method, parts.path, query, example.status, example.kind, body)
        assert not problem, f"{example.request}: {problem}"
        if example.has_body and example.status < 400:
            schema = known[example.operation].body
            assert schema is not None
            wanted = operation(method, known[example.operation].path, known[example.operation].action)["requestBody"]
            Draft202012Validator(
                {**wanted["content"]["application/json"]["schema"], "components": document()["components"]}
            ).validate(example.body)


def test_two_things_of_one_name_are_a_mistake() -> None:
    one = Object("Thing", "One.", {"a": Member(Plain("string"), "A.")})
    other = Object("Thing", "Another.", {"b": Member(Plain("string"), "B.")})
    assert list(named([one, one])) == ["Thing"]
    with pytest.raises(ValueError, match="Thing"):
        named([one, Object("", "", {"inner": Member(other, "It.")})])


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "kind", "body"),
    [
        ("GET", "/v1/policies", {}, 200, "application/json", b'{"results":[{"id":"1"}]}'),  # members are missing
        ("GET", "/v1/policies", {}, 200, "application/json", b'{"results":[],"more":1}'),  # one is not declared
        ("GET", "/v1/policies", {}, 200, "text/html", b"<p>"),
        ("GET", "/v1/policies", {}, 200, "", b""),
        ("GET", "/v1/policies", {}, 404, "application/json", b'{"error":{}}'),
        ("GET", "/v1/policies/x", {}, 500, "application/json", b"{}"),
        ("GET", "/v1/policies/x", {}, 404, "application/json", b'{"error":{"message":"x"}}'),
        ("GET", "/v1/nothing", {}, 200, "application/json", b"{}"),
        ("DELETE", "/v1/cloud-services/x", {}, 200, "application/json", b"{}"),
        ("POST", "/v1/policies/x", {"action": ["execute"]}, 200, "application/json", b"{}"),
        ("PUT", "/v1/data-sources/x/tables/t/rows", {}, 200, "application/json", b"null"),
        ("GET", "/v1/data-sources/x/tables/t/rows", {}, 200, "application/x-ndjson", b'{"data":[1]}\n{"data":[[]]}'),
    ],
)
def test_the_check_finds_what_is_wrong(
    method: str, path: str, query: dict[str, list[str]], status: int, kind: str, body: bytes
) -> None:
    """The check that all tests with a real daemon make."""
    assert problem_with(method, path, query, status, kind, body)
