# SPDX-License-Identifier: Apache-2.0
"""JSON in: strict, because what is guessed at the door is believed inside.

Refused with 400, always naming the reason: text that is not UTF-8, anything that is not JSON by RFC 8259 (``NaN``, a
trailing comma), a key given twice in one object, an integer that 64 bits cannot hold, a number that is infinite as a
float, half of a surrogate pair, the character U+0000 (databases cannot store it), and nesting deeper than
:data:`MAX_DEPTH`.
"""

import json
import re
from functools import partial
from typing import Any, Final

import orjson

from congress.api.errors import ApiError

MAX_DEPTH: Final = 64
_LONG_NUMBER: Final = re.compile(rb"\d{19}")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_NUL: Final = re.compile(rb"\\u0000")


def parse(body: bytes, what: str = "The request body") -> Any:
    """The value of a JSON text; ``what`` it is, for messages.

    :raises ApiError: 400 with the place and the reason.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"{what} is not valid JSON: {error}") from error
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(value, what)
    if body.count(b"{") or _LONG_NUMBER.search(body):
        _check_keys_and_numbers(body, what)
    if _NUL.search(body):
        _check_text(value, what)
    return value


def _check_depth(value: object, what: str) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return
    raise ApiError(400, f"{what} is nested deeper than {MAX_DEPTH} levels.")


def _check_keys_and_numbers(body: bytes, what: str) -> None:
    # orjson keeps the last of two equal keys and makes a float of a long integer; the standard library tells both.
    long = _LONG_NUMBER.search(body)
    json.loads(body, object_pairs_hook=partial(_check_pairs, what), parse_int=_integer if long else None)


def _check_pairs(what: str, pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ApiError(400, f"{what} gives the key {twice!r:.80} twice in one object.")


def _integer(digits: str) -> int:
    if len(digits) <= 20 and _SMALLEST <= (number := int(digits)) <= _LARGEST:
        return number
    raise ApiError(400, f"The number {digits[:40]} does not fit in 64 bits.")


def _check_text(value: object, what: str) -> None:
    level = [value]
    while level:
        parent = level.pop()
        if isinstance(parent, str) and "\0" in parent:
            raise ApiError(400, f"{what} has the character U+0000 in a text.")
        if isinstance(parent, dict):
            level += [*parent, *parent.values()]
        elif isinstance(parent, list):
            level += parent
