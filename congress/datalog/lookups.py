# SPDX-License-Identifier: Apache-2.0
"""Rows by the values of some columns, for questions that nobody has put before and that leave no index behind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from congress.datalog.table import Index, Table
from congress.datalog.values import Row

SCANS = 3
"""How often a table is looked through for the same columns before an index pays."""


class Lookups:
    """The tables of an engine while one question is answered, with indexes of its own where the tables have none."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self._indexes: dict[tuple[str, tuple[int, ...]], Index] = {}
        self._scans: Counter[tuple[str, tuple[int, ...]]] = Counter()

    def match(self, table: str, columns: tuple[int, ...], values: Row) -> Iterable[Row]:
        """The rows of a table that have these values in these columns."""
        found = self.tables[table]
        key: Any = values[0] if len(values) == 1 else values
        if not columns or columns in found.indexes or columns == tuple(range(found.arity)):
            return found.match(columns, key)
        index = self._indexes.get((table, columns))
        if index is None:
            self._scans[table, columns] += 1
            if self._scans[table, columns] <= SCANS:
                return found.match(columns, key)
            index = self._indexes[table, columns] = Index(columns, found.rows)
        return index.get(key)
