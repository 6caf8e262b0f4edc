# SPDX-License-Identifier: Apache-2.0
"""Values of rows, and what tells two of them apart."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Value: TypeAlias = str | int | float | bool | None
"""What a row holds; ``True``, ``1`` and ``"true"`` are three values, ``1`` and ``1.0`` are one."""

Row: TypeAlias = tuple[Value, ...]


def as_row(values: Iterable[Value]) -> Row:
    """A row from any sequence of values.

    :raises TypeError: one of them is no value.
    """
    row = tuple(values)
    for value in row:
        if value is not None and not isinstance(value, str | int | float):
            raise TypeError(f"a {type(value).__name__} is no value of a row: texts, numbers, true, false and null are")
    return row


def identity(row: Sequence[Value]) -> tuple[object, ...]:
    """What is equal for two rows when they are the same row: in Python ``True == 1``, in a table not."""
    return tuple((bool, value) if isinstance(value, bool) else value for value in row)


def value_of(text: str) -> Value:
    """The value that somebody typed: ``5``, ``1.5``, ``true`` and ``null`` are such, and so is ``"5"`` in quotes.

    Whatever is no JSON stands for itself: ``vm-1``.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, str | int | float) else text


def show(value: Any) -> str:
    """A value as the policy language writes it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return json.dumps(value)


def show_row(table: str, row: Iterable[Any]) -> str:
    """``alice:error("vm-1", 5)``"""
    return f"{table}({', '.join(map(show, row))})"
