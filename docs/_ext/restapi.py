# SPDX-License-Identifier: Apache-2.0
"""Directives that write the reference of the REST API from its OpenAPI document.

``.. declared-routes:: PATH...``    operations, each with an example; ``/a/*`` means ``/a`` and what is below it
``.. declared-schemas::``           the objects that requests and answers hold
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.api.openapi import OLD_TAG, document

_WIDTH = 100
_LIST = ("limit", "marker", "sort", "fields")
_EVERYWHERE = ("400", "default")
_ROLES = {"reader": "readers", "member": "members", "admin": "administrators"}
_VALUE = {"string", "number", "boolean", "null"}
_KINDS = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}


def operations() -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Method, path, action (or nothing) and what is said of each operation, older paths left out."""
    for path, methods in document()["paths"].items():
        for method, found in methods.items():
            if OLD_TAG in found["tags"]:
                continue
            for one in found.get("x-actions", (found,)):
                yield method.upper(), path, one.get("action", ""), one


def routes_text(paths: Sequence[str]) -> Iterator[str]:
    """One definition for each operation; ``/a/*`` stands for ``/a`` and what is below it."""
    exact = {path.removesuffix("/*") for path in paths}
    below = tuple(path.removesuffix("*") for path in paths if path.endswith("/*"))
    for method, path, action, one in operations():
        if path in exact or (below and path.startswith(below)):
            yield f"``{method} {path}{f'?action={action}' if action else ''}``"
            yield indent("\n\n".join(_operation(one)), "    ")
            yield ""


def _operation(one: Mapping[str, Any]) -> Iterator[str]:
    who = "Open to everybody." if one["x-access"] == "open" else f"For {_ROLES[one['x-access']]} (``{one['x-rule']}``)."
    yield f"{one['summary']}. {_prose(one.get('description', ''))} {who}".replace("  ", " ")
    yield from _parameters([found for found in one.get("parameters", ()) if "const" not in found.get("schema", ())])
    if "requestBody" in one:
        need = "" if one["requestBody"]["required"] else ", if any"
        yield f"Body{need}: {_type(_json(one['requestBody'])['schema'])}."
    yield " ".join(_answers(one["responses"]))
    yield from _example(one)


def _parameters(parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    query = {found["name"]: found for found in parameters if found["in"] == "query"}
    headers = {found["name"]: found for found in parameters if found["in"] == "header"}
    if set(_LIST) <= set(query):
        sorts = re.findall(r"`(\w[\w-]*)`(?=[,.])", query["sort"]["description"])
        filters = [name for name, found in query.items() if found["description"].startswith("Only entries whose")]
        both = sorts == filters
        can = _names("Can be sorted and filtered by " if both else "Can be sorted by ", sorts)
        if can:
            yield f"{can}{'' if both else _names(', filtered by ', filters)}."
        query = {name: found for name, found in query.items() if name not in (*_LIST, *filters)}
    for head, given in (("Query", query), ("Headers", headers)):
        if given:
            yield f"{head}:\n\n" + "\n".join(f"* {_parameter(name, found)}" for name, found in given.items())


def _names(head: str, names: Sequence[str]) -> str:
    return head + ", ".join(f"``{name}``" for name in names) if names else ""


def _parameter(name: str, found: Mapping[str, Any]) -> str:
    need = ", required" if found.get("required") else ""
    schema = found.get("schema") or _json(found)["schema"]
    kind = "JSON" if "content" in found else _type(schema)
    return f"``{name}`` ({kind}{need}): {_prose(found['description'])}"


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    errors = []
    for status, found in responses.items():
        if status in _EVERYWHERE:
            continue
        if "$ref" in found:
            errors.append(status)
            continue
        content = dict(found.get("content", {}))
        if "application/json" in content:
            content.pop("application/x-ndjson", None)  # as every list has it
        kinds = [f"{_type(inner['schema'])}{_as(kind)}" for kind, inner in content.items()]
        what = f": {' or '.join(kinds)}" if kinds else ", without a body"
        where = " ``Location`` is its address." if "headers" in found else ""
        yield f"Answers {status}{what}.{where}"
    if errors:
        yield f"Errors: {', '.join(errors)}."


def _as(kind: str) -> str:
    return "" if kind == "application/json" else f" (``{kind}``)"


def _json(found: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = found["content"]["application/json"]
    return content


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f":ref:`{name} <schema-{name.lower()}>`"
    if "enum" in schema:
        return "one of " + ", ".join("null" if word is None else f"``{word}``" for word in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(inner) for inner in schema["anyOf"]))
    kinds = schema.get("type", "")
    if kinds == "array":
        return f"a list of {_types(schema['items'])}" if schema.get("items") else "a list"
    if kinds == "object":
        return _object(schema)
    if not kinds:
        return "any JSON"
    if set(kinds) == _VALUE:
        return "a value"
    text = " or ".join(_KINDS[kind] for kind in ([kinds] if isinstance(kinds, str) else kinds))
    return text + _bounds(schema)


def _types(schema: Mapping[str, Any]) -> str:
    """The same of many."""
    text = _type(schema)
    for one in ("a text", "a list", "a value", "a number", "an integer", "an object"):
        if text.startswith(one):
            return f"{one.split()[1]}s{text.removeprefix(one)}"
    return text


def _object(schema: Mapping[str, Any]) -> str:
    properties = schema.get("properties")
    if properties and "links" in properties:
        rest = "".join(f", with ``{name}``" for name in properties if name not in ("results", "links"))
        return f"a :ref:`list <lists>` of {_types(properties['results']['items'])}{rest}"
    if properties:
        inner = ", ".join(f"``{name}`` ({_type(found)})" for name, found in properties.items())
        return f"an object of {inner}"
    values = schema.get("additionalProperties")
    return f"an object of {_types(values)} by keys" if isinstance(values, dict) and values else "an object"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "maxLength" in schema:
        return f" of at most {schema['maxLength']:,} characters"
    if "minimum" in schema:
        return f" from {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    return ""


def _number(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else str(number)


def _prose(text: str) -> str:
    return text.replace("`", "``")


def _example(one: Mapping[str, Any]) -> Iterator[str]:
    """The first example: the request, and below it the answer."""
    asked = _json(one["requestBody"]).get("examples", {}) if "requestBody" in one else {}
    good = next((found for status, found in one["responses"].items() if status.startswith("2")), {})
    given = {
        name: (kind, example)
        for kind, content in good.get("content", {}).items()
        for name, example in content.get("examples", {}).items()
    }
    names = [*given, *asked]
    if not names:
        return
    name = names[0]
    lines = [(asked.get(name) or given[name][1])["summary"]]
    if name in asked:
        lines += ["", *_written(asked[name]["value"]).splitlines()]
    if name in given:
        kind, example = given[name]
        text = example["value"] if isinstance(example["value"], str) else _written_as(kind, example["value"])
        lines += ["", *text.rstrip().splitlines()]
    yield ".. code-block:: text\n\n" + indent("\n".join(lines), "   ")


def _written_as(kind: str, value: Any) -> str:
    if kind == "application/x-ndjson":
        return "\n".join(json.dumps(entry, ensure_ascii=False) for entry in value)
    return _written(value)


def _written(value: Any, depth: int = 0) -> str:
    """JSON in few lines: what fits in one stands in one."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) + 2 * depth <= _WIDTH or not isinstance(value, dict | list):
        return whole
    inner = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_written(item, depth + 1)}" for key, item in value.items()]
    else:
        lines = [f"{inner}{_written(item, depth + 1)}" for item in value]
    marks = "{}" if isinstance(value, dict) else "[]"
    return f"{marks[0]}\n" + ",\n".join(lines) + f"\n{'  ' * depth}{marks[1]}"


def schemas_text() -> Iterator[str]:
    """A section for each object, with its members."""
    for name, schema in document()["components"]["schemas"].items():
        yield f".. _schema-{name.lower()}:"
        yield ""
        yield name
        yield "^" * len(name)
        yield ""
        if "description" in schema:
            yield f"{_prose(schema['description'])}\n"
        required = schema.get("required", ())
        for key, member in schema["properties"].items():
            need = "" if key in required else ", optional"
            yield f"``{key}`` ({_type(member)}{need})"
            yield f"    {_prose(member['description'])}"
            yield ""


class Routes(Declared):
    source = "declared-routes"

    def lines(self) -> Iterable[str]:
        return routes_text(self.arguments)


class Schemas(Declared):
    source = "declared-schemas"

    def lines(self) -> Iterable[str]:
        return schemas_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for directive in (Routes, Schemas):
        app.add_directive(directive.source, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
