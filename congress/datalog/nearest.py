# SPDX-License-Identifier: Apache-2.0
"""Rows that nearly fit a literal."""

import difflib
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Final

from congress.datalog.attempts import fixed
from congress.datalog.core import Positive
from congress.datalog.lookups import Lookups
from congress.datalog.table import Table
from congress.datalog.values import Row, Value

SAMPLE: Final = 100_000
"""Rows, spread over a table, among which near values are looked for; of less than twice as many none is left out."""

ALL_SAMPLES: Final = 5 * SAMPLE
"""Rows looked at for near values in one answer."""

ALIKE: Final = 50
"""Texts with the same beginning, and with the same end, that are compared closely."""

LONGEST: Final = 200
"""Characters of a text that is compared with others."""


class Nearest:
    """Finds near rows, at most ``limit`` for one literal."""

    def __init__(self, lookups: Lookups, limit: int) -> None:
        self._lookups = lookups
        self._limit = limit
        self._near: dict[tuple[str, int, Value], list[Row]] = {}
        self._left = ALL_SAMPLES

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
            found = self._lookups.tables[table]
            self._left -= min(len(found), SAMPLE)
            self._near[key] = near(found, column, value, self._limit) if self._left >= 0 else []
        return self._near[key]


def near(table: Table, column: int, value: Value, limit: int) -> list[Row]:
    """Rows with other values in a column that are near to this one, the nearest first; one row for each value."""
    rows: dict[Value, Row] = {}
    for row in islice(table.rows, 0, None, max(1, len(table.rows) // SAMPLE)):
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
    return difflib.get_close_matches(text, dict.fromkeys(_likely(text, others)), limit)


def _likely(text: str, others: list[str]) -> Iterator[str]:
    """Those of other texts that share most of its beginning or end, and of such with the same those that share most
    of both.
    """
    for one, two in ((_begins, _ends), (_ends, _begins)):
        few, many = one(text, others)
        fewer, rest = two(text, many)
        yield from (*few, *fewer, *rest[:ALIKE])


def _begins(text: str, others: list[str]) -> tuple[list[str], list[str]]:
    return _sharing(others, len(text), str.startswith, lambda size: text[:size])


def _ends(text: str, others: list[str]) -> tuple[list[str], list[str]]:
    return _sharing(others, len(text), str.endswith, lambda size: text[len(text) - size :])


def _sharing(
    texts: list[str], longest: int, shares: Callable[[str, str], bool], part: Callable[[int], str]
) -> tuple[list[str], list[str]]:
    """A few texts that share most, and the many that share the most that many do; found by halving."""
    few: list[str] = []
    shortest = 0
    while shortest < longest:
        size = (shortest + longest + 1) // 2
        wanted = part(size)
        some = [text for text in texts if shares(text, wanted)]
        if len(some) < ALIKE:
            few += some
            longest = size - 1
        else:
            texts, shortest = some, size
    return few, texts


def _in_turns(groups: Iterable[Iterable[Row]]) -> Iterator[Row]:
    """The first of each group, the second of each, and so on."""
    for rows in zip_longest(*groups):
        yield from (row for row in rows if row is not None)
