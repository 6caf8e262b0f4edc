# SPDX-License-Identifier: Apache-2.0
"""Requests with holes in them: ``/servers/{server}/pause``.  Pure.

A hole is ``{name}``; a brace is written twice.  In a path the value is one segment, escaped, so that it
cannot lead elsewhere.  In a JSON body a string that is nothing but a hole becomes the value itself, with
its type.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from congress.cloudservices.convert import json_text
from congress.cloudservices.errors import ActionArgumentError

Values = Mapping[str, Any]
Filled = Callable[[Values], Any]

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def holes(template: Any) -> frozenset[str]:
    """The names of the holes in a text, or in the strings of a JSON structure.

    :raises ValueError: a brace has no partner.
    """
    if isinstance(template, str):
        return frozenset(name for name, _ in _parts(template) if name is not None)
    if isinstance(template, Mapping):
        return frozenset().union(*(holes(key) | holes(value) for key, value in template.items()))
    if isinstance(template, list | tuple):
        return frozenset().union(*map(holes, template))
    return frozenset()


def fill_path(template: str, values: Values) -> str:
    """A path with its holes filled.  :raises ActionArgumentError: a value cannot be a segment of a path."""
    return _fill(template, lambda name: _segment(name, values.get(name)))


def fill_text(template: str, values: Values) -> str:
    """A text with its holes filled; nothing for null."""
    return _fill(template, lambda name: _text(values.get(name)))


def fill_header(template: str, values: Values) -> str:
    """A header's value.  :raises ActionArgumentError: an argument would end the header."""
    text = fill_text(template, values)
    if not text.isprintable() or not text.isascii():
        raise ActionArgumentError("an argument that goes into a header has characters that none can hold")
    return text


def fill_value(template: Any, values: Values) -> Any:
    """A JSON structure with its holes filled."""
    if isinstance(template, str):
        parts = _parts(template)
        if len(parts) == 1 and parts[0][0] is not None:
            return values.get(parts[0][0])
        return fill_text(template, values)
    if isinstance(template, Mapping):
        return {fill_text(key, values): fill_value(value, values) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill_value(value, values) for value in template]
    return template


def fill_params(template: Mapping[str, Any], values: Values) -> dict[str, str]:
    """A query's parameters; one whose value is null is left out."""
    filled = {key: fill_value(value, values) for key, value in template.items()}
    return {key: _text(value) for key, value in filled.items() if value is not None}


def _fill(template: str, fill: Callable[[str], str]) -> str:
    return "".join(text if name is None else fill(name) for name, text in _parts(template))


def _parts(template: str) -> list[tuple[str | None, str]]:
    """Texts as (None, text) and holes as (name, ""), in order."""
    parts: list[tuple[str | None, str]] = []
    at = 0
    for found in _PART.finditer(template):
        if found.start() > at:
            parts.append((None, template[at : found.start()]))
        at = found.end()
        if found[0] in ("{{", "}}"):
            parts.append((None, found[0][0]))
        elif found[1] is not None and found[1].isidentifier():
            parts.append((found[1], ""))
        else:
            # Not the text itself: it may have a secret in it.
            raise ValueError(
                f"character {at} of a text is a brace that belongs to no hole; a plain one is written twice"
            )
    if at < len(template):
        parts.append((None, template[at:]))
    return parts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json_text(value)
    return str(value)


def _segment(name: str, value: Any) -> str:
    text = _text(value)
    if text in ("", ".", ".."):
        raise ActionArgumentError(f"argument {name!r} cannot be part of a path", argument=name)
    return quote(text, safe="")
