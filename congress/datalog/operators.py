# SPDX-License-Identifier: Apache-2.0
"""Stages at work: groups kept up to date row by row, and rows let in while the time allows.

An operator takes the rows that its source table gained and lost, and adds to ``acc`` by how much each row of its
target changed.  Applying a change and then its inverse restores its state.
"""

import heapq
import math
import sys
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from itertools import count, islice
from typing import Any, Protocol

from congress.datalog.builtins.moments import parse_datetime
from congress.datalog.codegen import UNDEFINED
from congress.datalog.core import AggregateStage, Const, Guard, Stage, TemporalStage
from congress.datalog.values import LARGEST, SMALLEST, Row, Value, kind

Note = Callable[[int, tuple[Any, ...], Exception], None]
Match = Callable[[tuple[int, ...], Row], Iterable[Row]]


class Operator(Protocol):
    """A stage and its state."""

    stage: Stage

    def apply(self, inserted: Iterable[Row], retracted: Iterable[Row], acc: MutableMapping[Row, int]) -> None:
        """Take in a change of the source table."""
        ...

    def sources(self, made: Row, match: Match) -> list[Row]:
        """The source rows behind a row of the target; ``match`` finds rows of the source by columns."""
        ...

    def makes(self, rows: Iterable[Row]) -> int:
        """How many of these rows of the target come from here."""
        ...

    def memory(self) -> int:
        """About how many bytes its state takes; values are not counted."""
        ...


SLACK = 16
"""A heap may hold this many entries more than twice what it needs before those that mean nothing are thrown out."""

SAMPLE = 100
"""Groups that are looked at to judge the size of all."""


# One float is n / 2**1074 with n an integer, so sums over this scale are exact and lose nothing when taken back.
_SCALE_BITS = 1074
_SCALE = 1 << _SCALE_BITS


def _scaled(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_SCALE // denominator)


class _Group:
    """What is known of one group: how many rows, and per aggregate its accumulators."""

    __slots__ = ("cells", "rows")

    def __init__(self, cells: list["_Cell"]) -> None:
        self.rows = 0
        self.cells = cells


class _Cell(Protocol):
    def change(self, value: Value, sign: int) -> None: ...

    def value(self) -> Value: ...

    def memory(self) -> int: ...


class NoValue(Exception):
    """The aggregate of this group has no value: nothing in it could be aggregated."""


class _Count:
    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0

    def change(self, value: Value, sign: int) -> None:
        self.number += sign

    def value(self) -> Value:
        return self.number

    def memory(self) -> int:
        return sys.getsizeof(self)


class _Sum:
    """Integers and floats apart: a group without floats has an exact integer sum of any size."""

    __slots__ = ("floats", "fractions", "numbers", "whole")

    def __init__(self) -> None:
        self.whole = 0
        self.fractions = 0
        self.floats = 0
        self.numbers = 0

    def change(self, value: Value, sign: int) -> None:
        if type(value) is int:
            self.whole += sign * value
        elif type(value) is float:
            self.fractions += sign * _scaled(value)
            self.floats += sign
        else:
            raise TypeError(f"cannot add up a {kind(value)}")
        self.numbers += sign

    def total(self, divisor: int) -> Value:
        if not self.numbers:
            raise NoValue
        if not self.floats and divisor == 1:
            if not SMALLEST <= self.whole <= LARGEST:
                raise OverflowError(f"the sum {self.whole} is beyond 64 bits")
            return self.whole
        # Dividing integers rounds once, correctly.
        return (self.whole * _SCALE + self.fractions) / (_SCALE * divisor)

    def value(self) -> Value:
        return self.total(1)

    def memory(self) -> int:
        return sys.getsizeof(self) + sys.getsizeof(self.whole) + sys.getsizeof(self.fractions)


class _Average(_Sum):
    __slots__ = ()

    def value(self) -> Value:
        return self.total(self.numbers or 1)


class _Extreme:
    """The values of a group per kind.  Kinds have no order among them: a group that mixes them has no extreme."""

    __slots__ = ("_kinds", "_ordered")

    def __init__(self, ordered: Callable[[Value], Any]) -> None:
        self._kinds: dict[str, _Ordered] = {}
        self._ordered = ordered

    def change(self, value: Value, sign: int) -> None:
        if value is None:
            raise TypeError("null has no order")
        family = _family(value)
        kept = self._kinds.get(family)
        if kept is None:
            kept = self._kinds[family] = _Ordered(self._ordered)
        kept.change(value, sign)
        if not kept.times:
            del self._kinds[family]
        if sign > 0 and len(self._kinds) > 1:
            raise TypeError("values of different kinds have no order")

    def value(self) -> Value:
        if len(self._kinds) != 1:
            raise NoValue
        (kept,) = self._kinds.values()
        return kept.first()

    def memory(self) -> int:
        return sys.getsizeof(self) + sys.getsizeof(self._kinds) + sum(k.memory() for k in self._kinds.values())


class _Ordered:
    """Values of one kind with how often each occurs, and a heap of them.

    A value that leaves stays in the heap until it is met at its top, or until such entries are the most of it.
    """

    __slots__ = ("_heap", "_ordered", "times")

    def __init__(self, ordered: Callable[[Value], Any]) -> None:
        self.times: dict[Value, int] = {}
        self._ordered = ordered
        self._heap: list[Any] = []

    def change(self, value: Value, sign: int) -> None:
        seen = self.times.get(value, 0) + sign
        if not seen:
            del self.times[value]
        else:
            self.times[value] = seen
            if sign > 0 and seen == 1:
                heapq.heappush(self._heap, self._ordered(value))
        if len(self._heap) > 2 * len(self.times) + SLACK:
            self.times = dict(self.times)  # which takes the room of all that it ever held
            self._heap = list(map(self._ordered, self.times))
            heapq.heapify(self._heap)

    def first(self) -> Value:
        heap = self._heap
        while heap[0].value not in self.times:
            heapq.heappop(heap)
        best: Value = heap[0].value
        return best

    def memory(self) -> int:
        entries = len(self._heap) * sys.getsizeof(self._heap[0]) if self._heap else 0
        return sys.getsizeof(self) + sys.getsizeof(self.times) + sys.getsizeof(self._heap) + entries


def _family(value: Value) -> str:
    return "number" if isinstance(value, int | float) else kind(value)


class _Smallest:
    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __lt__(self, other: "_Smallest") -> bool:
        return self.value < other.value  # type: ignore[operator]  # differing kinds raise TypeError, as they should


class _Largest:
    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __lt__(self, other: "_Largest") -> bool:
        return other.value < self.value  # type: ignore[operator]  # as above


AGGREGATES: Mapping[str, Callable[[], _Cell]] = {
    "count": _Count,
    "sum": _Sum,
    "avg": _Average,
    "min": lambda: _Extreme(_Smallest),
    "max": lambda: _Extreme(_Largest),
}


class Aggregator:
    """Keeps the groups of one rule.  A value that cannot be aggregated is passed over, and noted on the rule."""

    def __init__(self, stage: AggregateStage, note: Note) -> None:
        self.stage: Stage = stage
        self._note = note
        self._output = stage.output
        self._keys = [c for c in stage.output if isinstance(c, int)]
        self._cells = [c for c in stage.output if isinstance(c, tuple)]
        self._groups: dict[Row, _Group] = {}

    def apply(self, inserted: Iterable[Row], retracted: Iterable[Row], acc: MutableMapping[Row, int]) -> None:
        before: dict[Row, Row | None] = {}
        overflowing: set[Row] = set()  # groups, before
        for rows, sign in ((retracted, -1), (inserted, 1)):
            for row in rows:
                key = tuple([row[c] for c in self._keys])
                if key not in before:
                    try:
                        before[key] = self._made(key)
                    except NoValue:
                        before[key] = None
                    except OverflowError:
                        before[key] = None
                        overflowing.add(key)
                self._change(key, row, sign)
        for key, old in before.items():
            try:
                new = self._made(key)
            except NoValue:
                new = None
            except OverflowError as error:
                new = None
                if key not in overflowing:
                    self._note(-1, key, error)
            if old != new:
                if old is not None:
                    acc[old] = acc.get(old, 0) - 1
                if new is not None:
                    acc[new] = acc.get(new, 0) + 1

    def sources(self, made: Row, match: Match) -> list[Row]:
        return list(match(tuple(self._keys), self._key(made)))

    def makes(self, rows: Iterable[Row]) -> int:
        return sum(1 for row in rows if self.row_of(row) == row)

    def memory(self) -> int:
        groups = self._groups
        sample = [
            sys.getsizeof(key)
            + sys.getsizeof(group)
            + sys.getsizeof(group.cells)
            + sum(c.memory() for c in group.cells)
            for key, group in islice(groups.items(), SAMPLE)
        ]
        return sys.getsizeof(groups) + (sum(sample) * len(groups) // len(sample) if sample else 0)

    def has(self, row: Row) -> bool:
        """Whether there is a group with the keys of a row of the target."""
        return self._key(row) in self._groups

    def row_of(self, row: Row) -> Row | None:
        """The row of the target for the group whose keys a row has; None when the group has no value, or is not."""
        try:
            return self._made(self._key(row))
        except (NoValue, OverflowError):
            return None

    def _key(self, row: Row) -> Row:
        return tuple([row[at] for at, c in enumerate(self._output) if isinstance(c, int)])

    def _change(self, key: Row, row: Row, sign: int) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group([AGGREGATES[function]() for function, _ in self._cells])
        group.rows += sign
        for cell, (function, column) in zip(group.cells, self._cells, strict=True):
            try:
                cell.change(row[column], sign)
            except TypeError as error:
                if sign > 0:
                    self._note(-1, (function, row[column]), error)
        if not group.rows:
            del self._groups[key]

    def _made(self, key: Row) -> Row | None:
        group = self._groups.get(key)
        if group is None:
            return None
        keys, cells = iter(key), iter(group.cells)
        row: list[Value] = []
        for column in self._output:
            if isinstance(column, Const):
                row.append(column.value)
            else:
                row.append(next(keys) if isinstance(column, int) else next(cells).value())
        return tuple(row)


class TemporalGate:
    """Lets rows in from the moment their guards begin to hold until the moment they cease to."""

    def __init__(self, stage: TemporalStage, note: Note, now: Callable[[], float]) -> None:
        self.stage: Stage = stage
        self._note = note
        self._now = now
        self._output = stage.output
        self.guards = stage.guards
        self._spans: dict[Row, tuple[float, float]] = {}
        self._inside: set[Row] = set()
        self._agenda: list[tuple[float, int, Row]] = []
        self._order = count()

    @property
    def next_wake(self) -> float | None:
        """When a row next comes in or goes out; None when none ever will without another change."""
        agenda = self._agenda
        while agenda and not self._is_due(agenda[0][0], agenda[0][2]):
            heapq.heappop(agenda)
        return agenda[0][0] if agenda else None

    def _is_due(self, moment: float, row: Row) -> bool:
        span = self._spans.get(row)
        return span is not None and moment in span and (row in self._inside) == (moment == span[1])

    def apply(self, inserted: Iterable[Row], retracted: Iterable[Row], acc: MutableMapping[Row, int]) -> None:
        for row in retracted:
            self._spans.pop(row, None)
            if row in self._inside:
                self._inside.discard(row)
                self._emit(row, -1, acc)
        now = self._now()
        for row in inserted:
            span = self._span(row)
            if span is None or span[0] >= span[1] or span[1] <= now:
                continue
            self._spans[row] = span
            if span[0] <= now:
                self._inside.add(row)
                self._emit(row, 1, acc)
            self._wait(row, span)
        if len(self._agenda) > 4 * len(self._spans) + SLACK:
            # Rows that left have their entries still, which may not be due for long.
            self._agenda = []
            for row, span in self._spans.items():
                self._wait(row, span)

    def _wait(self, row: Row, span: tuple[float, float]) -> None:
        """Enter when something is yet to be done for a row."""
        if row not in self._inside:
            heapq.heappush(self._agenda, (span[0], next(self._order), row))
        if span[1] != math.inf:
            heapq.heappush(self._agenda, (span[1], next(self._order), row))

    def advance(self, acc: MutableMapping[Row, int]) -> Callable[[], None] | None:
        """Do what the time asks for; how to take it back, or None when nothing was due."""
        now = self._now()
        taken: list[tuple[float, int, Row]] = []
        touched: list[tuple[Row, tuple[float, float], bool]] = []
        while self._agenda and self._agenda[0][0] <= now:
            entry = heapq.heappop(self._agenda)
            taken.append(entry)
            row = entry[2]
            span = self._spans.get(row)
            if span is None:
                continue
            was, is_now = row in self._inside, span[0] <= now < span[1]
            touched.append((row, span, was))
            if was != is_now:
                (self._inside.add if is_now else self._inside.discard)(row)
                self._emit(row, 1 if is_now else -1, acc)
            if now >= span[1]:
                del self._spans[row]

        def undo() -> None:
            for row, span, was in reversed(touched):
                self._spans[row] = span
                (self._inside.add if was else self._inside.discard)(row)
            for entry in taken:
                heapq.heappush(self._agenda, entry)

        return undo if touched else None

    def sources(self, made: Row, match: Match) -> list[Row]:
        return [row for row in match(self._output, made) if row in self._inside]

    def makes(self, rows: Iterable[Row]) -> int:
        made = {tuple([row[c] for c in self._output]) for row in self._inside}
        return sum(1 for row in rows if row in made)

    def memory(self) -> int:
        spans = len(self._spans) * (sys.getsizeof((0.0, 0.0)) + 2 * sys.getsizeof(0.0))
        entries = len(self._agenda) * (sys.getsizeof((0.0, 0, ())) + sys.getsizeof(1 << 31))
        return sum(map(sys.getsizeof, (self._spans, self._inside, self._agenda))) + spans + entries

    def _emit(self, row: Row, sign: int, acc: MutableMapping[Row, int]) -> None:
        made = tuple([row[c] for c in self._output])
        acc[made] = acc.get(made, 0) + sign

    def _span(self, row: Row) -> tuple[float, float] | None:
        """When all guards hold for a row: from (inclusive) to (exclusive), in seconds since the epoch."""
        start, end = -math.inf, math.inf
        for guard in self.guards:
            try:
                first, last = guard_span(guard, row)
            except UNDEFINED as error:
                self._note(-1, row, error)
                return None
            start, end = max(start, first), min(end, last)
        return start, end


def guard_span(guard: Guard, row: Row) -> tuple[float, float]:
    """When one guard holds for a row."""
    text, seconds = _argument(guard.datetime, row), _argument(guard.seconds, row)
    if not isinstance(text, str):
        raise TypeError(f"a {kind(text)} is not a date")
    if not isinstance(seconds, int | float):
        raise TypeError(f"a {kind(seconds)} is not a number of seconds")
    moment = parse_datetime(text) + seconds
    if guard.whole:
        # now() is cut to whole seconds: it is past the moment one second later than a clock that is not.
        edge = {"<": math.ceil(moment), ">=": math.ceil(moment)}.get(guard.op, math.floor(moment) + 1)
        return (-math.inf, float(edge)) if guard.op in ("<", "<=") else (float(edge), math.inf)
    after = math.nextafter(moment, math.inf)
    return {
        "<": (-math.inf, moment),
        "<=": (-math.inf, after),
        ">": (after, math.inf),
        ">=": (moment, math.inf),
    }[guard.op]


def _argument(source: Const | int, row: Row) -> Value:
    return source.value if isinstance(source, Const) else row[source]
