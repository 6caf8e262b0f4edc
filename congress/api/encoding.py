# SPDX-License-Identifier: Apache-2.0
"""JSON out: row values, identifiers and times as the API shows them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import orjson

from congress.datalog.values import FALSE, TRUE, Bool

JSON: Final = "application/json; charset=UTF-8"
NDJSON: Final = "application/x-ndjson"
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS
# A look-up in C: rows have many booleans, and a function in Python for each would cost more than all the rest.
_truth: Final = {TRUE: True, FALSE: False}.__getitem__
_CHUNK: Final = 2000


def plain(value: object) -> object:
    """What JSON has no word for, in words that it has.  Called by the encoder for each such value."""
    if isinstance(value, Bool):
        return bool(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def dumps(value: object) -> bytes:
    """Compact JSON.

    Integers beyond 64 bits and text that is not valid Unicode, which a driver may bring from its service, are
    written too (the latter with escapes), by the slower encoder of the standard library.
    """
    try:
        return orjson.dumps(value, default=_truth, option=_OPTIONS)
    except orjson.JSONEncodeError:
        pass
    try:
        return orjson.dumps(value, default=plain, option=_OPTIONS)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=plain, separators=(",", ":")).encode("ascii")


def line(value: object) -> bytes:
    """Compact JSON with a line feed at its end, so that a terminal's prompt starts on a line of its own."""
    return dumps(value) + b"\n"


def rows_document(
    rows: Sequence[Sequence[object]], more: dict[str, object], places: Sequence[int] | None = None
) -> Iterator[bytes]:
    """``{"results": [{"data": [...]}, ...], **more}`` in pieces: a big table is never one string in memory.

    :param places: the columns to give, in this order; None for all as they are.
    """
    yield b'{"results":['
    for start in range(0, len(rows), _CHUNK):
        yield (b"," if start else b"") + _entries(_chunk(rows, start, places), b",")
    yield b"]" + (b"," + dumps(more)[1:] if more else b"}") + b"\n"


def ndjson_of_rows(rows: Sequence[Sequence[object]], places: Sequence[int] | None = None) -> Iterator[bytes]:
    """``{"data": [...]}`` for each row, a line each, many of them in a piece."""
    for start in range(0, len(rows), _CHUNK):
        yield _entries(_chunk(rows, start, places), b"\n") + b"\n"


def ndjson_of(entries: Iterable[object]) -> Iterator[bytes]:
    """A line for each entry."""
    for entry in entries:
        yield line(entry)


def _chunk(rows: Sequence[Sequence[object]], start: int, places: Sequence[int] | None) -> Sequence[Sequence[object]]:
    chunk = rows[start : start + _CHUNK]
    return chunk if places is None else [[row[place] for place in places] for row in chunk]


def _entries(rows: Sequence[Sequence[object]], between: bytes) -> bytes:
    """``{"data":[...]}`` for each row, with something between them."""
    text = dumps(rows)[1:-1]
    if text.count(b"],[") == len(rows) - 1:
        # Rows hold no lists, so this stands between rows and, as its number shows, in no string: a third of the cost
        # of a dictionary for each row.
        return b'{"data":' + text.replace(b"],[", b"]}" + between + b'{"data":[') + b"}"
    return between.join(dumps({"data": row}) for row in rows)
