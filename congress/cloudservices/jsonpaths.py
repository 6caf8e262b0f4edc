# SPDX-License-Identifier: Apache-2.0
"""JSON paths, made ready once: plain ones (``$.a.b``, ``a.b[0]``) at a dictionary's speed, all others by
jsonpath-ng.
"""

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import jsonpath_ng.ext
from jsonpath_ng.exceptions import JSONPathError

Values: TypeAlias = Callable[[Any], list[Any]]

_STEP: Final = re.compile(r"\.?([^\W\d][\w\-]*)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]|(\[\*\])")


def compile_values(path: str) -> Values:
    """A function from a document to all values that the path leads to, in order; none where it leads nowhere.

    :raises ValueError: the path is not a JSON path.
    """
    steps = _plain_steps(path)
    if steps is not None:
        return lambda document: _follow(document, steps)
    try:
        parsed = jsonpath_ng.ext.parse(path)
    except (JSONPathError, AttributeError, TypeError, ValueError) as error:
        # The parser of jsonpath-ng meets some texts with errors of its own inside.
        raise ValueError(f"{path!r:.200} is not a JSON path: {error}") from error
    return lambda document: [match.value for match in parsed.find(document)]


def compile_value(path: str) -> Callable[[Any], Any]:
    """A function from a document to the one value that the path leads to: null for none, a list for several.

    :raises ValueError: the path is not a JSON path.
    """
    steps = _plain_steps(path)
    if steps is not None and len(steps) == 1 and isinstance(steps[0], str):
        key = steps[0]
        return lambda document: document.get(key) if isinstance(document, dict) else None
    values = compile_values(path)

    def value(document: Any) -> Any:
        found = values(document)
        return found[0] if len(found) == 1 else found or None

    return value


def compile_rows(path: str) -> Values:
    """A function from a document to its rows: the items of the list that the path leads to.

    The function raises ValueError where the path leads nowhere, or to a text or number instead of a list: an
    answer of another shape is not an empty one.
    :raises ValueError: the path is not a JSON path.
    """
    steps = _plain_steps(path)
    if steps is None:
        return compile_values(path)
    each = bool(steps) and isinstance(steps[-1], _Each)
    base = steps[:-1] if each else steps
    one = not any(isinstance(step, _Each) for step in base)

    def rows(document: Any) -> list[Any]:
        found = _follow(document, base)
        if not found:
            raise ValueError(f"there is nothing at {path!r:.200}")
        if (each or one) and not all(isinstance(value, list | dict | None) for value in found):
            raise ValueError(f"there is no list at {path!r:.200}")
        if each or (len(found) == 1 and isinstance(found[0], list | None)):
            return [item for value in found for item in _items(value)]
        return found

    return rows


class _Each:
    """The step ``[*]``."""


_EACH: Final = _Each()


def _plain_steps(path: str) -> list[str | int | _Each] | None:
    """The keys, numbers and ``[*]`` of a plain path, or None for one that needs the library."""
    at = 1 if path.startswith("$") else 0
    steps: list[str | int | _Each] = []
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or (steps and step[1] is not None and path[at] != "."):
            return None
        key = step[1] or step[2] or step[3]
        steps.append(key if key is not None else _EACH if step[5] else int(step[4]))
        at = step.end()
    return steps


def _follow(document: Any, steps: list[str | int | _Each]) -> list[Any]:
    found = [document]
    for step in steps:
        if isinstance(step, str):
            found = [value[step] for value in found if isinstance(value, dict) and step in value]
        elif isinstance(step, int):
            found = [value[step] for value in found if isinstance(value, list) and step < len(value)]
        else:
            # As in the library, each value of an object counts as well as each item of a list.
            found = [item for value in found for item in _items(value)]
    return found


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []
