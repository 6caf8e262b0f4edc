# SPDX-License-Identifier: Apache-2.0
"""Whether answers are what the OpenAPI document declares: used on every answer that the tests get from a real daemon.

Stricter than the document: there an object may come to have further members, here each must be declared.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator

from congress.api.application import make_router
from congress.api.errors import ApiError
from congress.api.openapi import document
from congress.api.routing import Router

# Any request may meet these: who asks, how, how often, and what is behind.
ANYWHERE: Final = frozenset({400, 401, 403, 405, 408, 413, 421, 429, 431, 502, 503})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


@cache
def router() -> Router:
    return make_router()


@cache
def closed() -> dict[str, Any]:
    """The document, its answers' objects without room for members that it does not know."""
    made = document()
    schemas = {name: _closed(schema) for name, schema in made["components"]["schemas"].items()}
    return {**made, "components": {**made["components"], "schemas": schemas}}


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made and "type" in made:
        made["additionalProperties"] = False
    return made


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an entry, or of a list of them, that was cut to some of its fields: none must be there."""
    if "$ref" in schema:
        schema = closed()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "results" in schema.get("properties", {}):
        results = schema["properties"]["results"]
        opened = {**results, "items": _opened(results["items"])}
        return {**schema, "properties": {**schema["properties"], "results": opened}}
    return {key: value for key, value in schema.items() if key != "required"}


def operation(method: str, path: str, action: str = "") -> dict[str, Any]:
    """What the document says of an operation."""
    found: dict[str, Any] = document()["paths"][path][method.lower()]
    if action:
        return next(one for one in found["x-actions"] if one["action"] == action)
    return found


@cache
def _validator(method: str, path: str, action: str, status: str, kind: str, cut: bool) -> Draft202012Validator | None:
    response = operation(method, path, action)["responses"][status]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {})
    if kind not in content:
        return None
    schema = _closed(content[kind]["schema"])
    if cut:
        schema = _opened(schema)
    return Draft202012Validator({**schema, "components": closed()["components"]})


@cache
def _error() -> Draft202012Validator:
    return Draft202012Validator({"$ref": "#/components/schemas/Error", "components": closed()["components"]})


def problem_with(
    method: str, path: str, query: Mapping[str, list[str]], status: int, content_type: str, body: bytes
) -> str:
    """What is wrong with an answer; empty where nothing is."""
    kind = content_type.partition(";")[0].strip()
    if method not in _METHODS:
        return ""
    try:
        route = router().find(method, path, query.get("action", []))[0].route
    except ApiError as error:
        if status == 300 and not path.startswith("/v1"):
            return ""
        wanted = error.status if status not in ANYWHERE - {404, 405} else status
        return _invalid(_error(), body) if status == wanted else f"{status}, where {wanted} was to come"
    responses = operation(method, route.path, route.action)["responses"]
    if str(status) not in responses and status not in ANYWHERE:
        return f"{status} is not declared for {route.operation}; {', '.join(responses)} are"
    declared = str(status) if str(status) in responses else "default"
    cut = "fields" in query and status == 200
    validator = _validator(method, route.path, route.action, declared, kind, cut)
    if validator is None:
        has_content = "content" in responses[declared]
        if body or has_content:
            return f"{route.operation}: {len(body)} bytes of {kind!r} with {status} are not declared"
        return ""
    if kind == "application/x-ndjson":
        return next(filter(None, (_invalid(validator, one) for one in body.splitlines())), "")
    if not kind.endswith("json"):
        return ""
    return _invalid(validator, body)


def _invalid(validator: Draft202012Validator, body: bytes) -> str:
    errors = validator.iter_errors(orjson.loads(body))
    return next((f"{error.json_path}: {error.message:.300}" for error in errors), "")
