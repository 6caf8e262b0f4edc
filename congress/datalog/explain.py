# SPDX-License-Identifier: Apache-2.0
"""Why a row is there, and why one is not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from congress.datalog.attempts import Attempts, Bindings, Failure, answers, value_of
from congress.datalog.codegen import UNDEFINED
from congress.datalog.core import AggregateStage, Arg, Const, Equal, Item, Negative, Positive, Test
from congress.datalog.held_back import HeldBack, held_back
from congress.datalog.lookups import Lookups
from congress.datalog.nearest import Nearest
from congress.datalog.operators import Aggregator, TemporalGate
from congress.datalog.program import Program
from congress.datalog.proofs import Proof, Prover, literal_text, show
from congress.datalog.values import Row, Value, decode
from congress.datalog.written import Written

GATED = 20_000
"""Rows looked at for those that only the time keeps out."""

GIVEN = 5
"""Answers of a built-in that are shown."""


@dataclass(frozen=True, slots=True)
class Miss:
    """How near a rule comes: the literal that fails and the bindings with which it does.

    ``nearest`` are rows of a literal's table that nearly fit: all bound columns but one, or, where one only is
    bound, a value near to it.  ``detail`` says what a comparison or built-in came to, and which row it is that a
    negated literal denies.
    """

    literal: str
    bindings: Mapping[str, Value]
    nearest: tuple[Row, ...] = ()
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The miss as plain JSON types."""
        return {
            "literal": self.literal,
            "bindings": {name: decode(value) for name, value in self.bindings.items()},
            "nearest": _plain(self.nearest),
            "detail": self.detail,
        }

    def lines(self) -> Iterator[str]:
        """The miss as a person reads it."""
        bound = ", ".join(f"{name} = {show(value)}" for name, value in self.bindings.items())
        yield f"fails at {' '.join(self.literal.split())}" + (f" with {bound}" if bound else "")
        if self.detail:
            yield f"  {self.detail}"
        yield from (f"  nearest row: ({', '.join(map(show, row))})" for row in self.nearest)


@dataclass(frozen=True, slots=True)
class RuleMiss:
    """Why one rule does not derive the row; ``instead`` are the rows that it derives for the row's group."""

    rule_id: str
    rule: str
    reason: str
    misses: tuple[Miss, ...] = ()
    instead: tuple[Row, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The rule's part of the explanation as plain JSON types."""
        return {
            "rule_id": self.rule_id,
            "rule": self.rule,
            "reason": self.reason,
            "misses": [miss.to_dict() for miss in self.misses],
            "instead": _plain(self.instead),
        }


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a row is absent; ``present`` when it is not."""

    table: str
    row: Row
    present: bool
    rules: tuple[RuleMiss, ...]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain JSON types."""
        return {
            "table": self.table,
            "row": [decode(v) for v in self.row],
            "present": self.present,
            "rules": [rule.to_dict() for rule in self.rules],
        }

    def render(self) -> str:
        """The explanation as a person reads it."""
        shown = f"{self.table}({', '.join(map(show, self.row))})"
        if self.present:
            return f"{shown} holds"
        lines = [f"{shown} does not hold"]
        if not self.rules:
            lines.append("  no rule derives this table")
        for rule in self.rules:
            lines.append(f"  rule {rule.rule_id}: {' '.join(rule.rule.split())}")
            lines.append(f"    {rule.reason}")
            lines += [f"    {line}" for miss in rule.misses for line in miss.lines()]
        return "\n".join(lines)


class Explainer:
    """Answers why and why-not from a program's rules and present tables."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._graph = program.graph

    def why(self, table: str, row: Row, limit: int) -> Proof | None:
        """A proof of at most ``limit`` rows, or None."""
        node = self._graph.nodes.get(table)
        if node is None or row not in node.table.rows:
            return None
        return Prover(self._program).prove(node, row, limit)

    def why_not(self, table: str, row: Row, limit: int) -> WhyNot:
        """For each rule for the table, the first literal that fails on the way to the row."""
        node = self._graph.nodes.get(table)
        if node is not None and row in node.table.rows:
            return WhyNot(table, row, True, ())
        failing = _Failing(self._program, limit)
        rules = [w for w in self._program.books.listed() if w.table == table and w.fact is None]
        return WhyNot(table, row, False, tuple(failing.miss(written, row) for written in rules))


class _Failing:
    """Tells why rules do not derive a row."""

    def __init__(self, program: Program, limit: int) -> None:
        lookups = Lookups(program.graph.tables)
        self._program = program
        self._limit = limit
        self._attempts = Attempts(lookups, limit)
        self._nearest = Nearest(lookups, limit)

    def miss(self, written: Written, row: Row) -> RuleMiss:
        """Why one rule does not."""
        made = partial(RuleMiss, written.new.id, written.new.rule.text)
        node = written.node
        if node is None:
            why = "; ".join(d.message for d in written.diagnostics) or f"the rule is {written.state}"
            return made(f"the rule is {written.state}: {why}")
        known = head_bindings(written, row)
        if isinstance(known, str):
            return made(known)
        for operator in node.operators:
            if isinstance(operator, Aggregator) and operator.has(row):
                actual = operator.row_of(row)
                if actual is None:
                    return made(f"its body holds, but the group has no {_functions(operator)}")
                return made(_other_values(operator, actual, row), instead=(actual,))
        early = self._too_early(written, known)
        if early is not None:
            return early
        failure = self._attempts.failure(node.core, known)
        misses = [self._miss(written, failure.item, bindings) for bindings in failure.bindings if failure.item]
        return made(_reason(failure), tuple(misses))

    def _miss(self, written: Written, item: Item, known: Bindings) -> Miss:
        shown = {name: value for name, value in known.items() if not name.startswith("$")}
        nearest = self._nearest.rows(item, known) if isinstance(item, Positive) else ()
        return Miss(literal_text(written, item), shown, nearest, self._detail(item, known))

    def _detail(self, item: Item, known: Bindings) -> str:
        if isinstance(item, Positive):
            return ""
        if isinstance(item, Negative):
            rows = self._attempts.rows_of(item, known)
            return "".join(f"{item.table}({', '.join(map(show, row))}) is there" for row in rows)
        if isinstance(item, Equal):
            left, right = (show(value_of(arg, known)) for arg in (item.left, item.right))
            return f"both are {left}" if item.negated else f"{left} is not {right}"
        return _of_builtin(item, known)

    def _too_early(self, written: Written, known: Bindings) -> RuleMiss | None:
        """The literals over the time that keep a row out, and until when; None when it is not the time."""
        node = written.node
        assert node is not None
        found: list[HeldBack] = []
        now = self._program.now
        for operator in node.operators:
            if isinstance(operator, TemporalGate):
                source = self._program.graph.tables[operator.stage.source]
                found = held_back(source, node.core, operator.guards, known, now, GATED)
        if not found:
            return None
        shown = [(guard, row.bindings) for row in found[: self._limit] for guard in row.failing]
        misses = [Miss(literal_text(written, guard), bindings) for guard, bindings in shown]
        reason = f"its body holds, but not at this time: {found[0].when(now)}"
        return RuleMiss(written.new.id, written.new.rule.text, reason, tuple(misses[: self._limit]))


def head_bindings(written: Written, row: Row) -> Bindings | str:
    """The variables to which a row binds a rule's head, or why it is no row of that head."""
    resolved = written.resolution.resolved
    assert resolved is not None
    wanted: list[Arg] = list(resolved.rule.args[: len(row)])
    for stage in resolved.stages:
        if isinstance(stage, AggregateStage):
            wanted = [_group_argument(column, resolved.rule.args) for column in stage.output]
    known: Bindings = {}
    for arg, value in zip(wanted, row, strict=False):
        if isinstance(arg, Const) and arg.value != value:
            return f"its head has {show(arg.value)} where the row has {show(value)}"
        if isinstance(arg, str) and known.setdefault(arg, value) != value:
            return f"its head has {arg} in two places where the row has two values"
    return known


def _group_argument(column: Const | int | tuple[str, int], args: tuple[Arg, ...]) -> Arg:
    """What a column of groups has in the head; nothing for an aggregate."""
    if isinstance(column, tuple):
        return None
    return column if isinstance(column, Const) else args[column]


def _aggregates(operator: Aggregator) -> Iterator[tuple[int, str]]:
    """The columns of groups that are aggregates, with their functions."""
    assert isinstance(operator.stage, AggregateStage)
    for at, column in enumerate(operator.stage.output):
        if isinstance(column, tuple):
            yield at, column[0]


def _functions(operator: Aggregator) -> str:
    """Those that some groups have no value for."""
    return " or ".join(dict.fromkeys(function for _, function in _aggregates(operator) if function != "count"))


def _other_values(operator: Aggregator, actual: Row, row: Row) -> str:
    differing = [(at, function) for at, function in _aggregates(operator) if actual[at] != row[at]]
    parts = [f"{function} is {show(actual[at])}, not {show(row[at])}" for at, function in differing]
    return "the group's " + ", and its ".join(parts)


def _of_builtin(item: Test, known: Bindings) -> str:
    """What a built-in came to, where the bindings do not show it."""
    try:
        results = list(answers(item, known))
    except UNDEFINED as error:
        return f"it has no value: {error}"
    if not item.builtin.outputs:
        made = any(isinstance(arg, str) and arg.startswith("$") for arg in item.inputs)
        return f"its values are {', '.join(show(value_of(arg, known)) for arg in item.inputs)}" if made else ""
    if not results:
        return "it gives nothing"
    given = " or ".join(", ".join(map(show, values)) for values in results[:GIVEN])
    wanted = ", ".join(show(value_of(arg, known)) for arg in item.outputs if arg is not None)
    return f"it gives {given}" + ("" if item.negated else f", not {wanted}")


def _reason(failure: Failure) -> str:
    if failure.item is None:
        return "its body holds" if failure.complete else "its body was not looked at: there is too much to look at"
    reason = "its body does not hold."
    if not failure.as_written:
        reason += " There is too much to look at in the order of the text: this fails first in the order of evaluation"
        reason += "." if failure.complete else ", as far as it was looked at."
    return reason


def _plain(rows: tuple[Row, ...]) -> list[list[Any]]:
    return [[decode(value) for value in row] for row in rows]


__all__ = ["Explainer", "Miss", "Proof", "RuleMiss", "WhyNot", "show"]
