# SPDX-License-Identifier: Apache-2.0
"""Which table is derived from which by rules as they are written, those that wait included.

All that is asked of it is whether new rules may close a circle; the graph knows more, of rules in force.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
Undo = Callable[[], None]
Reading = tuple[str, Mapping[str, bool]]


class Readings:
    """For each rule the table that it derives and those that it reads."""

    def __init__(self) -> None:
        self._of: dict[str, Reading] = {}
        self._ties: Counter[tuple[str, str, bool]] = Counter()
        self._follows: dict[str, Counter[str]] = {}
        self._precedes: dict[str, Counter[str]] = {}

    def enter(self, rule_id: str, head: str, tables: Mapping[str, bool]) -> Undo:
        """Note what a rule reads, for each table whether an absence or a group in it is what counts; how to go back."""
        before = self._of.get(rule_id)
        if before == (head, tables):
            return _nothing
        self._exchange(rule_id, (head, tables))
        return lambda: self._exchange(rule_id, before)

    def strike(self, rule_id: str) -> Undo:
        """Forget a rule; how to go back."""
        before = self._of.get(rule_id)
        self._exchange(rule_id, None)
        return lambda: self._exchange(rule_id, before)

    def may_close(self, rule_ids: Iterable[str]) -> bool:
        """Whether one of these rules brought a reading that no other rule has, and that is part of a circle."""
        for rule_id in rule_ids:
            head, tables = self._of.get(rule_id, ("", {}))
            for table, strict in tables.items():
                if self._ties[table, head, strict] == 1 and self._leads(head, table):
                    return True
        return False

    def _exchange(self, rule_id: str, reading: Reading | None) -> None:
        before = self._of.pop(rule_id, None)
        if before is not None:
            self._count(before, -1)
        if reading is not None:
            self._of[rule_id] = reading
            self._count(reading, 1)

    def _count(self, reading: Reading, number: int) -> None:
        head, tables = reading
        for table, strict in tables.items():
            _add(self._ties, (table, head, strict), number)
            _add(self._follows.setdefault(table, Counter()), head, number)
            _add(self._precedes.setdefault(head, Counter()), table, number)
            if not self._follows[table]:
                del self._follows[table]
            if not self._precedes[head]:
                del self._precedes[head]

    def _leads(self, start: str, goal: str) -> bool:
        """Whether a table follows from another, looked for from both ends: that costs what the smaller side does."""
        ahead, behind = {start}, {goal}
        forward, backward = [start], [goal]
        while start != goal:
            if not (forward and backward):
                return False
            if not behind.isdisjoint(_step(self._follows, forward, ahead)):
                return True
            if not ahead.isdisjoint(_step(self._precedes, backward, behind)):
                return True
        return True


def _step(edges: Mapping[str, Counter[str]], queue: list[str], seen: set[str]) -> set[str]:
    """Go on from one table of a queue; the tables that are seen for the first time."""
    found = edges.get(queue.pop(), Counter()).keys() - seen
    seen |= found
    queue.extend(found)
    return found


def _add(counts: Counter[T], key: T, number: int) -> None:
    counts[key] += number
    if not counts[key]:
        del counts[key]


def _nothing() -> None:
    """Nothing to undo."""
