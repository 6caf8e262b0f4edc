# SPDX-License-Identifier: Apache-2.0
"""The values that rows hold: string, integer, float, boolean and null, each its own kind.

Python's ``True == 1`` would make ``t(true)`` and ``t(1)`` one row.  So inside rows the booleans are the two
objects :data:`TRUE` and :data:`FALSE`, which equal nothing but themselves; :func:`encode` makes them from
Python's and :func:`decode` turns them back.  ``1`` and ``1.0`` are one value, as in Python.  Null is ``None``.

This module imports nothing: the bus, the drivers and the API share it with the engine.
"""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, TypeAlias


class Bool:
    """One of the two boolean values of the language.  There are no others: use TRUE and FALSE."""

    __slots__ = ("_truth",)

    def __init__(self, truth: bool) -> None:
        self._truth = truth

    def __bool__(self) -> bool:
        return self._truth

    def __repr__(self) -> str:
        return "true" if self._truth else "false"

    def __lt__(self, other: object) -> bool:
        return (not self._truth) and bool(other) if isinstance(other, Bool) else NotImplemented

    def __le__(self, other: object) -> bool:
        return (not self._truth) or bool(other) if isinstance(other, Bool) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._truth and not other if isinstance(other, Bool) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._truth or not other if isinstance(other, Bool) else NotImplemented

    def __reduce__(self) -> str:
        # Copies and pickles are the very same object, so identity stays equality.
        return "TRUE" if self._truth else "FALSE"


TRUE: Final = Bool(True)
FALSE: Final = Bool(False)

Value: TypeAlias = str | int | float | Bool | None
Row: TypeAlias = tuple[Value, ...]

_PLAIN: Final = frozenset({str, int, float, type(None), Bool})
_SAFE: Final = frozenset({str, int, type(None), Bool})


SMALLEST: Final = -(2**63)
LARGEST: Final = 2**64 - 1
"""The integers of the language: those that JSON readers and databases take as integers."""


class NotAValue(TypeError):
    """A row holds something that is not a value of the language."""


def encode(value: object) -> Value:
    """The row value for a Python scalar.

    :raises NotAValue: for NaN and the infinities (which no comparison can order) and for any other type.
    """
    if value is True:
        return TRUE
    if value is False:
        return FALSE
    if type(value) is int and not _in_range(value):
        raise NotAValue("an integer of more than 64 bits cannot be a value in a row")
    if type(value) in _SAFE:
        return value  # type: ignore[return-value]  # just checked
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotAValue(f"{value!r} is not a number that can be compared")
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise NotAValue(f"a {type(value).__name__} cannot be a value in a row: {value!r:.80}")


def decode(value: Value) -> str | int | float | bool | None:
    """The Python scalar for a row value."""
    return bool(value) if isinstance(value, Bool) else value


def encode_row(row: Iterable[object]) -> Row:
    """One row of Python scalars as row values."""
    return tuple(map(encode, row))


def decode_row(row: Row) -> tuple[str | int | float | bool | None, ...]:
    """One row of values as Python scalars."""
    return tuple(map(decode, row))


def _in_range(value: int) -> bool:
    return SMALLEST <= value <= LARGEST


def all_in_range(rows: Iterable[Iterable[Any]]) -> bool:
    """Whether the integers in these rows, of which there is one at least, are values."""
    integers = [value for value in chain.from_iterable(rows) if type(value) is int]
    return _in_range(min(integers)) and _in_range(max(integers))


def encode_rows(rows: Iterable[Iterable[object]]) -> list[Row]:
    """Many rows as row values; tuples that need no change are passed on as they are.

    Costs about 40 ns a value where nothing has to change.
    """
    kept: list[Any] = rows if isinstance(rows, list) else list(rows)
    if set(map(type, kept)) <= {tuple}:
        kinds = set(map(type, chain.from_iterable(kept)))
        if kinds <= _SAFE and (int not in kinds or all_in_range(kept)):
            return kept
    return [tuple(map(encode, row)) for row in kept]


def kind(value: Value) -> str:
    """The name users know a value's type by."""
    if value is None:
        return "null"
    if isinstance(value, Bool):
        return "boolean"
    return {str: "string", int: "integer", float: "float"}[type(value)]
