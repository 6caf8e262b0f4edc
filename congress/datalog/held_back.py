# SPDX-License-Identifier: Apache-2.0
"""Rows for which a rule's body holds and that its guards over the time keep out, and when they will not."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from congress.datalog.builtins.moments import from_epoch
from congress.datalog.codegen import UNDEFINED
from congress.datalog.core import Const, Guard, Rule
from congress.datalog.operators import guard_span
from congress.datalog.table import Table
from congress.datalog.values import Row, Value

NEVER = (math.inf, -math.inf)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """One such row, with the guards that fail now and the time in which none does."""

    bindings: Mapping[str, Value]
    failing: tuple[Guard, ...]
    start: float
    end: float

    def when(self, now: float) -> str:
        """When the rule derives it, as far as that is known."""
        if self.start >= self.end:
            return "it never will"
        if self.start > now:
            return f"it will from {_shown(self.start)} on"
        return f"it did until {_shown(self.end)}"


def held_back(
    table: Table, rule: Rule, guards: Sequence[Guard], known: Mapping[str, Value], now: float, visits: int
) -> list[HeldBack]:
    """What the guards keep out of the rows of their table that fit the known variables, soonest first.

    :param visits: the most rows to look at.
    """
    columns = tuple(c for c, arg in enumerate(rule.args) if isinstance(arg, str) and arg in known)
    values = tuple(known[arg] for arg in rule.args if isinstance(arg, str) and arg in known)
    found = []
    for row in islice(table.match(columns, values[0] if len(values) == 1 else values), visits):
        spans = [(guard, _span(guard, row)) for guard in guards]
        failing = tuple(guard for guard, (first, last) in spans if not first <= now < last)
        if failing:
            start, end = max(first for _, (first, _) in spans), min(last for _, (_, last) in spans)
            found.append(HeldBack(dict(_bindings(rule, row)), failing, start, end))
    return sorted(found, key=lambda row: (not now < row.start < row.end, row.start))


def guard_names(guard: Guard, rule: Rule) -> list[str]:
    """The variables of a guard."""
    places = (place for place in (guard.datetime, guard.seconds) if not isinstance(place, Const))
    args = (rule.args[place] for place in places)
    return [arg for arg in args if isinstance(arg, str) and not arg.startswith("$")]


def _bindings(rule: Rule, row: Row) -> Iterator[tuple[str, Value]]:
    for arg, value in zip(rule.args, row, strict=True):
        if isinstance(arg, str) and not arg.startswith("$"):
            yield arg, value


def _span(guard: Guard, row: Row) -> tuple[float, float]:
    try:
        return guard_span(guard, row)
    except UNDEFINED:
        return NEVER


def _shown(moment: float) -> str:
    try:
        return from_epoch(round(moment, 3)).isoformat() + "Z"
    except UNDEFINED:
        return f"{moment:.0f} s after 1970"
