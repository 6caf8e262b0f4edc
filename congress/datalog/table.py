# SPDX-License-Identifier: Apache-2.0
"""Tables and their hash indexes.

``rows`` maps each row to a number: for a base table 1, for a counted table the number of its derivations, for a
ranked (recursive) table the round in which it was derived, which is later than that of the rows it was derived from.

An index maps a key to its rows in the cheapest form that serves: the row itself, a list, or from
``LIST_LIMIT`` rows on a dict.  A row is a tuple, so ``type(entry) is tuple`` tells the first from the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from congress.datalog.values import Row

Entry: TypeAlias = Row | list[Row] | dict[Row, None]
LIST_LIMIT = 8
SAMPLE = 256


class Mode(Enum):
    """What the number beside a row means."""

    BASE = "base"
    COUNTED = "counted"
    RANKED = "ranked"


class Index:
    """The rows of a table by the values of some columns (one column: the value itself; several: their tuple).

    ``add(map, rows)`` takes in rows that the table did not have, ``remove(map, rows)`` forgets rows that it had.
    """

    __slots__ = ("add", "columns", "map", "remove", "users")

    def __init__(self, columns: tuple[int, ...], rows: Iterable[Row]) -> None:
        self.columns = columns
        self.map: dict[Any, Entry] = {}
        self.users = 0
        self.add, self.remove = _maintainers(columns)
        self.add(self.map, rows)

    def key(self, row: Row) -> Any:
        """The key under which a row stands."""
        columns = self.columns
        return row[columns[0]] if len(columns) == 1 else tuple(row[c] for c in columns)

    def get(self, key: Any) -> Iterable[Row]:
        """All rows under a key."""
        entry = self.map.get(key)
        if entry is None:
            return ()
        return (entry,) if isinstance(entry, tuple) else entry

    def dump(self) -> dict[Any, list[Row]]:
        """The contents without regard to form and order."""
        return {key: sorted(self.get(key), key=repr) for key in self.map}


class Table:
    """One table: its rows, the indexes that rules asked for, and what it is called."""

    __slots__ = ("_sample", "_sampled", "arity", "indexes", "key", "mode", "rows")

    def __init__(self, key: str, arity: int, mode: Mode) -> None:
        self.key = key
        self.arity = arity
        self.mode = mode
        self.rows: dict[Row, int] = {}
        self.indexes: dict[tuple[int, ...], Index] = {}
        self._sample: list[Row] = []
        self._sampled = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def index(self, columns: tuple[int, ...]) -> Index:
        """The index on these columns, made now when there is none.  Each call counts one user more."""
        index = self.indexes.get(columns)
        if index is None:
            index = self.indexes[columns] = Index(columns, self.rows)
        index.users += 1
        return index

    def release(self, columns: tuple[int, ...]) -> None:
        """One user less; an index without users is dropped."""
        index = self.indexes[columns]
        index.users -= 1
        if not index.users:
            del self.indexes[columns]

    def insert_into_indexes(self, rows: Iterable[Row]) -> None:
        for index in self.indexes.values():
            index.add(index.map, rows)

    def remove_from_indexes(self, rows: Iterable[Row]) -> None:
        for index in self.indexes.values():
            index.remove(index.map, rows)

    def distinct(self, columns: tuple[int, ...]) -> float:
        """About how many different values these columns have, judged from a sample spread over the table.

        The estimate of Chao (1984): seen, plus what the numbers of values seen once and twice tell of the unseen.
        """
        size = len(self.rows)
        if self._sampled * 2 < size or size * 2 < self._sampled:
            self._sample = list(islice(self.rows, 0, None, max(1, size // SAMPLE)))
            self._sampled = size
        times = Counter(map(itemgetter(*columns), self._sample))
        once = sum(1 for n in times.values() if n == 1)
        if once == len(self._sample):
            return max(1.0, size)
        twice = sum(1 for n in times.values() if n == 2)
        unseen = once * once / (2 * twice) if twice else once * (once - 1) / 2
        return min(max(1.0, size), len(times) + unseen)

    def match(self, columns: tuple[int, ...], key: Any) -> Iterable[Row]:
        """Rows whose columns have these values, by an index if one happens to exist, else by looking at all."""
        if not columns:
            return self.rows
        index = self.indexes.get(columns)
        if index is not None:
            return index.get(key)
        if columns == tuple(range(self.arity)):
            row = (key,) if len(columns) == 1 else key
            return (row,) if row in self.rows else ()
        if len(columns) == 1:
            column = columns[0]
            return [row for row in self.rows if row[column] == key]
        return [row for row in self.rows if tuple([row[c] for c in columns]) == key]

    def dump(self) -> tuple[str, dict[Row, int], dict[tuple[int, ...], dict[Any, list[Row]]]]:
        """Everything the table holds, comparable with ``==``."""
        return self.mode.value, dict(self.rows), {c: i.dump() for c, i in self.indexes.items()}


_Maintainer: TypeAlias = Callable[[dict[Any, Entry], Iterable[Row]], None]
_MAINTAINERS: dict[tuple[int, ...], tuple[_Maintainer, _Maintainer]] = {}

_SOURCE = """
def add(index, rows):
    put = index.setdefault
    for row in rows:
        entry = put({key}, row)
        if entry is not row:
            if type(entry) is tuple:
                index[{key}] = [entry, row]
            elif type(entry) is list:
                if len(entry) < {limit}:
                    entry.append(row)
                else:
                    entry = index[{key}] = dict.fromkeys(entry)
                    entry[row] = None
            else:
                entry[row] = None

def remove(index, rows):
    for row in rows:
        key = {key}
        entry = index[key]
        if type(entry) is tuple:
            del index[key]
        elif type(entry) is list:
            entry.remove(row)
            if len(entry) == 1:
                index[key] = entry[0]
        else:
            del entry[row]
            if len(entry) == {limit}:
                index[key] = list(entry)
"""


def key_expression(columns: tuple[int, ...], row: str = "row") -> str:
    """Python source of the key of a row for an index on these columns."""
    parts = [f"{row}[{c}]" for c in columns]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _maintainers(columns: tuple[int, ...]) -> tuple[_Maintainer, _Maintainer]:
    made = _MAINTAINERS.get(columns)
    if made is None:
        scope: dict[str, Any] = {}
        source = _SOURCE.format(key=key_expression(columns), limit=LIST_LIMIT)
        # The source is this module's own text with column numbers in it.
        exec(compile(source, f"<index {columns}>", "exec"), scope)  # noqa: S102
        made = _MAINTAINERS[columns] = (scope["add"], scope["remove"])
    return made
