# SPDX-License-Identifier: Apache-2.0
"""Parts of JSON texts: rows often carry a column of JSON, such as a server's metadata."""

import re
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from congress.datalog.builtins.kinds import MAX_ROWS, MAX_TEXT, bounded, short_text, show, text
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, gives_each, undefined
from congress.datalog.values import Value, encode

json_paths = Shelf(
    "JSON",
    "Strings that are JSON texts of at most 1 MiB. Objects and arrays in them come out as JSON texts "
    "again, all else as values. A path that leads nowhere makes the literal false; a text that is no "
    "JSON makes it undefined.",
)

Steps: TypeAlias = tuple[str | int, ...]

_STEP: Final = re.compile(
    r"""(?:^|\.)([^.\[\]"'$]+)|\[\s*(-?[0-9]{1,9})\s*\]|\[\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*\]"""
)
_KEPT: Final = 8192  # longer texts are parsed each time, so that little memory is held


def _parse(document: str) -> Any:
    if len(document) > MAX_TEXT:
        raise BuiltinError("the JSON text is too long")
    try:
        return orjson.loads(document)
    except ValueError as error:
        raise BuiltinError(f"{show(document)} is no JSON: {error}") from error


_parse_small = lru_cache(maxsize=256)(_parse)


def _document(value: Value) -> Any:
    document = text(value)
    return _parse_small(document) if len(document) <= _KEPT else _parse(document)


@lru_cache(maxsize=256)
def _steps(path: str) -> Steps:
    """The keys and indexes of a path."""
    steps: list[str | int] = []
    at = 1 if path.startswith("$") else 0
    while at < len(path):
        # A name stands bare only at the very start; after "$" or a step it has a dot before it.
        found = _STEP.match(path, at)
        if found is None or path.startswith(".", 0, 1):
            raise BuiltinError(f"{show(path)} is no path: see from {show(path[at:])} on")
        key, index, quoted, single = found.groups()
        if index is not None:
            steps.append(int(index))
        elif quoted is not None:
            steps.append(str(_parse(f'"{quoted}"')))
        else:
            steps.append(single if key is None else key)
        at = found.end()
    return tuple(steps)


def _walk(value: Value, path: Value) -> list[Any]:
    """The node at a path, in a list; an empty list where there is none."""
    steps = _steps(short_text(path, "path", 1000))
    node = _document(value)
    for step in steps:
        if isinstance(node, dict):
            if str(step) not in node:
                return []
            node = node[str(step)]
        elif isinstance(node, list) and isinstance(step, int):
            if not -len(node) <= step < len(node):
                return []
            node = node[step]
        else:
            return []
    return [node]


def _value(node: Any) -> Value:
    return bounded(orjson.dumps(node).decode()) if isinstance(node, dict | list) else encode(node)


@json_paths(
    "json_get(text: json, path: path -> value: any)",
    gives_each('json_get("{\\"disk\\": [{\\"gb\\": 20}]}", "disk[0].gb", x)', {"x": 20}),
    gives_each('json_get("{\\"a.b\\": true, \\"c\\": null}", "[\'a.b\']", x)', {"x": True}),
    gives_each('json_get("{\\"a\\": {\\"b\\": 1}}", "a", x)', {"x": '{"b":1}'}),
    gives_each('json_get("{\\"a\\": 1}", "b", x)'),
    undefined('json_get("{a: 1}", "a", x)'),
    undefined('json_get("{}", "a[", x)'),
    many=True,
)
def json_get(document: Value, path: Value) -> list[Value]:
    """The value at the path, if there is one; so ``not json_get(t, "a.b", _)`` holds where there is none.

    An index counts from 0, and a negative one from the end.
    """
    return list(map(_value, _walk(document, path)))


@json_paths(
    "json_items(text: json, path: path -> key: any, value: any)",
    gives_each('json_items("{\\"a\\": 1, \\"b\\": [2]}", "", k, v)', {"k": "a", "v": 1}, {"k": "b", "v": "[2]"}),
    gives_each('json_items("{\\"tags\\": [\\"x\\", \\"y\\"]}", "tags", i, v)', {"i": 0, "v": "x"}, {"i": 1, "v": "y"}),
    gives_each('json_items("{\\"tags\\": 5}", "tags", i, v)'),
    undefined('json_items(null, "", k, v)'),
    many=True,
)
def json_items(document: Value, path: Value) -> list[tuple[Value, Value]]:
    """Each member of the object at the path with its key, or each element of the array with its index.

    Any other value has none. More than 10,000 are undefined.
    """
    for node in _walk(document, path):
        if isinstance(node, dict | list):
            if len(node) > MAX_ROWS:
                raise BuiltinError(f"there are more than {MAX_ROWS} items")
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            return [(key, _value(item)) for key, item in pairs]
    return []


@json_paths(
    "json_length(text: json, path: path -> length: integer)",
    gives_each('json_length("[1, 2, 3]", "$", x)', {"x": 3}),
    gives_each('json_length("{\\"a\\": \\"text\\"}", "a", x)'),
    undefined('json_length("[1, 2", "$", x)'),
    many=True,
)
def json_length(document: Value, path: Value) -> list[int]:
    """How many members or elements the object or array at the path has, if there is one."""
    return [len(node) for node in _walk(document, path) if isinstance(node, dict | list)]
