# SPDX-License-Identifier: Apache-2.0
"""Rows that nearly fit a literal."""

import difflib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Final

from congress.datalog.attempts import fixed
from congress.datalog.core import Positive
from congress.datalog.lookups import Lookups
from congress.datalog.table import Table
from congress.datalog.values import Row, Value

SAMPLE: Final = 20_000
"""Rows, spread over a table, among which near values are looked for."""

ALIKE: Final = 100
"""Texts that are compared closely: those with the longest beginnings and ends in common."""

LONGEST: Final = 200
"""Characters of a text that is compared with others."""


class Nearest:
    """Finds near rows, at most ``limit`` for one literal."""

    def __init__(self, lookups: Lookups, limit: int) -> None:
        self._lookups = lookups
        self._limit = limit
        self._near: dict[tuple[str, int, Value], list[Row]] = {}

    def rows(self, item: Positive, known: Mapping[str, Value]) -> tuple[Row, ...]:
        """Rows that fit all columns whose values are known, or all but one.

        Where only one column's value is known: rows that have one near to it, the next numbers or texts much alike.
        """
        columns = fixed(item, known)
        if not columns:
            return ()
        groups = [self._match(item.table, columns)]  # they have two values where one variable stands
        if len(columns) == 1:
            [(column, value)] = columns.items()
            groups.append(self._like(item.table, column, value))
        else:
            fewer = [{c: v for c, v in columns.items() if c != left_out} for left_out in columns]
            groups += sorted((self._match(item.table, some) for some in fewer), key=len)
        return tuple(islice(dict.fromkeys(_in_turns(groups)), self._limit))

    def _match(self, table: str, columns: Mapping[int, Value]) -> list[Row]:
        found = self._lookups.match(table, tuple(columns), tuple(columns.values()))
        return list(islice(found, self._limit))

    def _like(self, table: str, column: int, value: Value) -> list[Row]:
        key = (table, column, value)
        if key not in self._near:
            self._near[key] = near(self._lookups.tables[table], column, value, self._limit)
        return self._near[key]


def near(table: Table, column: int, value: Value, limit: int) -> list[Row]:
    """Rows with other values in a column that are near to this one, the nearest first; one row for each value."""
    rows: dict[Value, Row] = {}
    for row in islice(table.rows, 0, None, len(table.rows) // SAMPLE + 1):
        rows.setdefault(row[column], row)
    if isinstance(value, str):
        return [rows[text] for text in _texts(value, rows, limit)]
    if isinstance(value, int | float):
        numbers = [other for other in rows if isinstance(other, int | float) and other != value]
        return [rows[number] for number in heapq.nsmallest(limit, numbers, key=lambda other: abs(other - value))]
    return []


def _texts(text: str, among: Iterable[Value], limit: int) -> list[str]:
    if len(text) > LONGEST:
        return []
    others = [other for other in among if isinstance(other, str) and other != text and len(other) <= LONGEST]
    back = text[::-1]
    likely = heapq.nlargest(ALIKE, others, key=lambda other: _shared(text, other) + _shared(back, other[::-1]))
    return difflib.get_close_matches(text, likely, limit)


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _in_turns(groups: Iterable[Iterable[Row]]) -> Iterator[Row]:
    """The first of each group, the second of each, and so on."""
    for rows in zip_longest(*groups):
        yield from (row for row in rows if row is not None)
