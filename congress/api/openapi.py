# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI 3.1 document, made of what the routes declare: what checks requests describes them.

Two things the format has no words for.  Operations that ``?action=`` tells apart share a method and a path: they are
one operation in the document, which takes what any of them takes, and the extension ``x-actions`` has each for itself.
The older paths of cloud services are operations of their own, with the tag "Data sources".

Further extensions: ``x-rule`` names the rule of the authorisation, ``x-access`` the role that passes it by default.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from http.client import responses
from typing import Any, Final

import orjson

from congress import __version__
from congress.api.answers.common import ERROR
from congress.api.auth.names import Access
from congress.api.encoding import JSON
from congress.api.examples import Example, examples
from congress.api.routing import Route, Router, Target
from congress.api.schema import Parameter, Schema
from congress.api.shapes import Empty, Shape, named

OPENAPI: Final = "3.1.0"
_JSON: Final = JSON.partition(";")[0]
OLD_TAG: Final = "Data sources"
_OLD: Final = "The operations on cloud services under their older path, as clients of OpenStack Congress know them."
_ABOUT: Final = """\
A policy-and-action daemon: cloud state as tables, Datalog policies over them, safe actions.

Every answer has a header `X-Openstack-Request-Id`; every error has the body of the schema `Error`. `HEAD` is answered \
wherever `GET` is. Unknown query parameters and unknown keys of bodies are refused. Which of the ways to log in holds, \
if any, is configured.
"""
PATH_PARAMETERS: Final[Mapping[str, str]] = {
    "policy": "The policy, by id or name.",
    "rule": "The rule, by id, or by name where only one has it.",
    "table": "The name of the table.",
    "service": "The cloud service, by id or name.",
    "driver": "The id of the driver.",
    "execution": "The id of the execution.",
    "set": "The id of the set.",
    "library_policy": "The policy of the library, by id or name.",
}
_LOCATION: Final = {"Location": {"description": "The address of what was made.", "schema": {"type": "string"}}}
_SECURITY: Final = {
    "keystone": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
        "description": "A token of Keystone, with `auth_strategy = keystone`.",
    },
    "basic": {"type": "http", "scheme": "basic", "description": "With `auth_strategy = http_basic`."},
}
_WORDS: Final[Mapping[int, str]] = {
    400: "The request is not as it must be; nothing was changed.",
    403: "The caller may not do this.",
    404: "What the path names is not there.",
    409: "It is in the way of what is there already, or of what it has become.",
    503: "It cannot be done now; `Retry-After` says when to try again.",
}
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}


@cache
def document() -> dict[str, Any]:
    """The document, as plain JSON types."""
    from congress.api.application import make_router  # noqa: PLC0415  # its controllers serve this document

    made: dict[str, Any] = orjson.loads(orjson.dumps(_document(make_router())))
    return made


@cache
def text() -> bytes:
    """The document as it is served."""
    return orjson.dumps(document())


def _document(router: Router) -> dict[str, Any]:
    operations = _operations(router.targets)
    paths: dict[str, dict[str, Any]] = {}
    used: dict[str, str] = {}
    for (method, path), targets in operations.items():
        tag, about = tag_of(targets[0])
        paths.setdefault(path, {})[method.lower()] = _operation(targets, path, tag)
        used.setdefault(tag, about)
        for alias in targets[0].route.aliases:
            paths.setdefault(alias, {})[method.lower()] = _operation(targets, alias, OLD_TAG)
            used.setdefault(OLD_TAG, _OLD)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Congress",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": about} for tag, about in used.items()],
        "security": [{"keystone": []}, {"basic": []}, {}],
        "paths": paths,
        "components": {
            "schemas": named([ERROR, *_shapes(router.routes)]),
            "responses": {_name_of(status): _error(status) for status in [*_WORDS, 0]},
            "securitySchemes": _SECURITY,
        },
    }


def _shapes(routes: Iterable[Route]) -> Iterable[Shape]:
    for route in routes:
        told = (
            *(parameter.json for parameter in route.query.values()),
            route.body,
            route.answer,
            *route.others.values(),
            *route.statuses.values(),
        )
        yield from (shape for shape in told if shape is not None)


def _operations(targets: Iterable[Target]) -> dict[tuple[str, str], list[Target]]:
    """Targets by method and path; several are told apart by their actions."""
    found: dict[tuple[str, str], list[Target]] = {}
    for target in targets:
        found.setdefault((target.route.method, target.route.path), []).append(target)
    return found


def tag_of(target: Target) -> tuple[str, str]:
    """The tag of an operation and what is said about it: the name and the docstring of its controller."""
    cls = type(target.handler.__self__)  # type: ignore[attr-defined]  # a bound method
    words = re.findall("[A-Z][a-z]*", cls.__name__.removesuffix("Controller"))
    return " ".join(words).capitalize(), " ".join((cls.__doc__ or "").replace("``", "`").split())


def operation_id(route: Route, path: str) -> str:
    """A stable name: the words of the path, then what is done."""
    words = [re.sub(r"\W", "_", word) for word in path.split("/") if word and word[0] != "{" and word != "v1"]
    if route.action:
        verb = "act"
    elif route.method == "GET":
        verb = "list" if route.rule.endswith(":list") else "get"
    else:
        verb = _VERBS[route.method]
    return "_".join([*(words or ["version"]), verb])


def _operation(targets: Sequence[Target], path: str, tag: str) -> dict[str, Any]:
    first = targets[0].route
    head = {"operationId": operation_id(first, path), "tags": [tag]}
    if not first.action:
        return {**head, **_one(first, path)}
    whole = [{"action": target.route.action, **_one(target.route, path)} for target in targets]
    made = {
        **head,
        "summary": "; ".join(target.route.summary for target in targets),
        "description": "\n".join(f"* `action={one['action']}`: {_told(one)}" for one in whole),
        "parameters": _merged_parameters(whole, targets),
        "responses": _merged_responses(whole),
        "x-actions": whole,
    }
    bodies = [one["requestBody"]["content"][_JSON]["schema"] for one in whole if "requestBody" in one]
    if bodies:
        required = len(bodies) == len(whole) and all(one["requestBody"]["required"] for one in whole)
        made["requestBody"] = {"required": required, "content": {_JSON: {"schema": _any_of(bodies)}}}
    if all(target.route.access is Access.OPEN for target in targets):
        made["security"] = []
    return made


def _told(one: Mapping[str, Any]) -> str:
    return f"{one['summary']}. {one.get('description', '')}".strip()


def _any_of(schemas: Sequence[Any]) -> Any:
    distinct = [schema for at, schema in enumerate(schemas) if schema not in schemas[:at]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _merged_parameters(whole: Sequence[Mapping[str, Any]], targets: Sequence[Target]) -> list[dict[str, Any]]:
    action = {
        "name": "action",
        "in": "query",
        "required": True,
        "description": "What to do.",
        "schema": {"enum": [target.route.action for target in targets]},
    }
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in whole:
        for parameter in one.get("parameters", ()):
            if parameter["in"] != "query":
                found.setdefault((parameter["in"], parameter["name"]), parameter)
            elif parameter["name"] != "action":
                text = f"With `action={one['action']}`: {parameter['description']}"
                found.setdefault(("query", parameter["name"]), {**parameter, "description": text, "required": False})
    return [
        *(p for p in found.values() if p["in"] == "path"),
        action,
        *(p for p in found.values() if p["in"] != "path"),
    ]


def _merged_responses(whole: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in whole:
        for status, response in one["responses"].items():
            if status not in found:
                found[status] = response
            elif "content" in response and "content" in found[status]:
                schemas = [r["content"][_JSON]["schema"] for r in (found[status], response)]
                inner = [s for schema in schemas for s in schema.get("anyOf", [schema])]
                description = f"{found[status]['description']} {response['description']}"
                found[status] = {"description": description, "content": {_JSON: {"schema": _any_of(inner)}}}
    return dict(sorted(found.items()))


def _one(route: Route, path: str) -> dict[str, Any]:
    shown = [example for example in examples() if example.operation == route.operation]
    if path != route.path:
        shown = []
    made: dict[str, Any] = {"summary": route.summary}
    notes = [*([route.notes] if route.notes else []), *(f"Also under `{a}`." for a in route.aliases if a != path)]
    if notes:
        made["description"] = " ".join(notes)
    parameters = [*_path_parameters(path), *_query_parameters(route), *_headers(route)]
    if parameters:
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = _body(route.body, not route.body_optional, shown)
    made["responses"] = _responses(route, shown)
    if route.access is Access.OPEN:
        made["security"] = []
    return {**made, "x-rule": route.rule, "x-access": route.access}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH_PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    made = [_parameter(name, parameter) for name, parameter in route.query.items()]
    if route.action:
        made.insert(
            0,
            {
                "name": "action",
                "in": "query",
                "required": True,
                "description": "What to do.",
                "schema": {"const": route.action},
            },
        )
    return made


def _parameter(name: str, parameter: Parameter) -> dict[str, Any]:
    if parameter.json is not None:
        content = {_JSON: {"schema": parameter.json.document()}}
        head = {"name": name, "in": "query", "required": parameter.required}
        return {**head, "description": parameter.description, "content": content}
    schema: dict[str, Any] = dict(parameter.schema.document())
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.repeated:
        schema = {"type": "array", "items": schema}
    return {
        "name": name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    }


def _headers(route: Route) -> list[dict[str, Any]]:
    if "text/event-stream" not in route.others:
        return []
    text = "The `id` of the last event that the client has had, to go on from there."
    return [{"name": "Last-Event-ID", "in": "header", "description": text, "schema": {"type": "string"}}]


def _body(schema: Schema, required: bool, shown: Sequence[Example]) -> dict[str, Any]:
    given = {name: _example(one, one.body) for name, one in _numbered(shown) if one.has_body}
    content: dict[str, Any] = {"schema": schema.document()}
    if given:
        content["examples"] = given
    return {"required": required, "content": {_JSON: content}}


def _responses(route: Route, shown: Sequence[Example]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": responses[route.status] if route.status == 204 else "It is done."}
    if route.method == "GET":
        good["description"] = "Here it is."
    content: dict[str, Any] = {}
    if route.answer is not None and not isinstance(route.answer, Empty):
        content[_JSON] = {"schema": route.answer.document()}
    content.update({kind: {"schema": shape.document()} for kind, shape in route.others.items()})
    for name, one in _numbered(shown):
        if one.kind in content and one.status == route.status:
            content[one.kind].setdefault("examples", {})[name] = _example(one, one.answer)
    if content:
        good["content"] = content
    if route.status == 201 or (route.status == 204 and route.action == "execute"):
        good["headers"] = _LOCATION
    made: dict[str, Any] = {str(route.status): good}
    for status in sorted({400, *route.errors}):
        made[str(status)] = {"$ref": f"#/components/responses/{_name_of(status)}"}
    for status, shape in route.statuses.items():
        made[str(status)] = {"description": responses[status], "content": {_JSON: {"schema": shape.document()}}}
    made["default"] = {"$ref": f"#/components/responses/{_name_of(0)}"}
    return made


def _numbered(shown: Sequence[Example]) -> Iterable[tuple[str, Example]]:
    return ((f"example{number}", one) for number, one in enumerate(shown, 1))


def _example(example: Example, value: Any) -> dict[str, Any]:
    return {"summary": example.request, "value": value}


def _name_of(status: int) -> str:
    return responses[status].replace(" ", "") if status else "Error"


def _error(status: int) -> dict[str, Any]:
    words = _WORDS.get(status, "Any other error: 401 without a login, 405, 413, 429, 500 and so on.")
    return {"description": words, "content": {_JSON: {"schema": ERROR.document()}}}
