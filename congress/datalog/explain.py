# SPDX-License-Identifier: Apache-2.0
"""Why a row is there, and why one is not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from congress.datalog.codegen import UNDEFINED, Purpose
from congress.datalog.core import AggregateStage, Arg, Const, Equal, Guard, Item, Negative, Positive, Rule, Test
from congress.datalog.graph import Node
from congress.datalog.held_back import HeldBack, guard_names, held_back
from congress.datalog.operators import Aggregator, TemporalGate
from congress.datalog.plan import make_plan
from congress.datalog.program import Program
from congress.datalog.recursion import FOREVER
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode
from congress.datalog.values import Row, Value, decode
from congress.datalog.written import Written

VISITS = 20_000
"""Rows looked at for one rule before why-not gives up on finding a nearer miss."""

GROUP_ROWS = 20
"""Rows of a group that a proof of an aggregate shows."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a row is there.

    ``reason`` is ``"service"`` (a service published it), ``"fact"``, ``"rule"``, or in branches ``"absent"`` (no row
    fits a negated literal), ``"test"`` (a built-in holds) and ``"cut"`` (left out for size).
    """

    table: str
    row: Row
    reason: str
    rule_id: str = ""
    rule: str = ""
    bindings: Mapping[str, Value] = field(default_factory=dict)
    children: tuple["Proof", ...] = ()
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The proof as plain JSON types."""
        made: dict[str, Any] = {
            "table": self.table,
            "row": [decode(v) for v in self.row],
            "reason": self.reason,
        }
        if self.rule_id:
            made |= {"rule_id": self.rule_id, "rule": self.rule}
            made["bindings"] = {name: decode(value) for name, value in self.bindings.items()}
        if self.text:
            made["text"] = self.text
        if self.children:
            made["because"] = [child.to_dict() for child in self.children]
        return made

    def render(self, indent: str = "") -> str:
        """The proof as an indented tree."""
        note = {
            "service": "published by the service",
            "fact": "a fact",
            "cut": "left out: the proof is too large",
        }
        line = self.text or f"{self.table}({', '.join(map(show, self.row))})"
        if self.reason == "rule":
            line += f"   by rule {self.rule_id}: {' '.join(self.rule.split())}"
        elif self.reason in note:
            line += f"   {note[self.reason]}"
        return "\n".join([indent + line, *(child.render(indent + "  ") for child in self.children)])


@dataclass(frozen=True, slots=True)
class Miss:
    """How near a rule comes: the literal that fails and the bindings with which it does."""

    literal: str
    bindings: Mapping[str, Value]
    nearest: tuple[Row, ...] = ()  # rows of the literal's table that fit its bound columns but one


@dataclass(frozen=True, slots=True)
class RuleMiss:
    """Why one rule does not derive the row."""

    rule_id: str
    rule: str
    reason: str
    misses: tuple[Miss, ...] = ()


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
            "rules": [
                {
                    "rule_id": r.rule_id,
                    "rule": r.rule,
                    "reason": r.reason,
                    "misses": [
                        {
                            "literal": m.literal,
                            "bindings": {n: decode(v) for n, v in m.bindings.items()},
                            "nearest": [[decode(v) for v in row] for row in m.nearest],
                        }
                        for m in r.misses
                    ],
                }
                for r in self.rules
            ],
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
            for miss in rule.misses:
                with_ = ", ".join(f"{n} = {show(v)}" for n, v in miss.bindings.items())
                lines.append(f"    fails at {' '.join(miss.literal.split())}" + (f" with {with_}" if with_ else ""))
                lines += [f"      nearest row: ({', '.join(map(show, row))})" for row in miss.nearest]
        return "\n".join(lines)


def show(value: Value) -> str:
    """A value as the language writes it, near enough for people."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else str(value)


class Explainer:
    """Answers why and why-not from a program's rules and present tables."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._graph = program.graph
        self._left = 0

    # -- why

    def why(self, table: str, row: Row, limit: int) -> Proof | None:
        """A proof of at most ``limit`` rows, or None."""
        node = self._graph.nodes.get(table)
        if node is None or row not in node.table.rows:
            return None
        self._left = limit
        return self._prove(node, row)

    def _prove(self, node: Node, row: Row) -> Proof:
        key = node.key.split("#")[0]
        self._left -= 1
        if self._left < 0:
            return Proof(key, row, "cut")
        if node.table.mode is Mode.BASE:
            return Proof(key, row, "service")
        for operator in node.inputs:
            made = self._prove_stage(operator, node, row)
            if made is not None:
                return made
        if row in node.given and not node.inputs:
            return Proof(key, row, "fact")
        below = node.table.rows[row] if node.table.mode is Mode.RANKED else FOREVER
        for rule in node.rules.values():
            for bindings, rows in rule.compiled(None, Purpose.FIND).function(row, below):
                written = self._program.rules[rule.id]
                children = tuple(self._children(rule.core, written, bindings, rows))
                return Proof(key, row, "rule", rule.id, written.new.rule.text, bindings, children)
        return Proof(key, row, "fact")

    def _prove_stage(self, operator: Any, node: Node, row: Row) -> Proof | None:
        source = self._graph.nodes[operator.stage.source]
        sources = [r for r in operator.sources(row, source.table.rows) if r in source.table.rows]
        if not sources:
            return None
        if isinstance(operator, TemporalGate):
            made = self._prove(source, sources[0])
            guards = tuple(self._guards(operator, made)) if made.reason == "rule" else ()
            return replace(made, table=node.key.split("#")[0], row=row, children=made.children + guards)
        shown = sources[:GROUP_ROWS]
        proofs = [self._prove(source, r) for r in shown]
        children = [child for proof in proofs for child in proof.children]
        if len(sources) > len(shown):
            more = f"... and {len(sources) - len(shown)} more in the group"
            children.append(Proof(node.key, row, "cut", text=more))
        first = proofs[0]
        return Proof(node.key, row, "rule", first.rule_id, first.rule, {}, tuple(children))

    def _guards(self, gate: TemporalGate, made: Proof) -> Iterator[Proof]:
        """The literals over the time that a rule was cut at."""
        written = self._program.rules[made.rule_id]
        assert written.node is not None
        for guard in gate.guards:
            known = {n: made.bindings[n] for n in guard_names(guard, written.node.core) if n in made.bindings}
            yield Proof("", (), "test", text=_with(_literal_text(written, guard), known))

    def _children(
        self, core: Rule, written: Written, bindings: Mapping[str, Value], rows: Mapping[int, Row]
    ) -> Iterator[Proof]:
        for position, item in enumerate(core.body):
            if isinstance(item, Positive):
                if item.table == CLOCK:
                    continue
                yield self._prove(self._graph.nodes[item.table], rows[position])
            elif item.source >= 0 and not (isinstance(item, Test) and item.outputs and not item.negated):
                reason = "absent" if isinstance(item, Negative) else "test"
                known = {n: bindings[n] for n in _names(item) if n in bindings}
                yield Proof("", (), reason, text=_with(_literal_text(written, item), known))

    # -- why not

    def why_not(self, table: str, row: Row, limit: int) -> WhyNot:
        """For each rule for the table, the furthest it gets towards the row."""
        node = self._graph.nodes.get(table)
        present = node is not None and row in node.table.rows
        rules: list[RuleMiss] = []
        if not present:
            for written in self._program.books.listed():
                if written.table == table and written.fact is None:
                    rules.append(self._miss(written, row, limit))
        return WhyNot(table, row, present, tuple(rules))

    def _miss(self, written: Written, row: Row, limit: int) -> RuleMiss:
        rule_id, text = written.new.id, written.new.rule.text
        node = written.node
        if node is None:
            why = "; ".join(d.message for d in written.diagnostics) or f"the rule is {written.state}"
            return RuleMiss(rule_id, text, f"the rule is {written.state}: {why}")
        resolved = written.resolution.resolved
        assert resolved is not None
        targets = resolved.rule.args
        aggregate = None
        for stage in resolved.stages:
            if isinstance(stage, AggregateStage):
                aggregate = stage
        bindings: dict[str, Value] = {}
        for position, value in enumerate(row):
            wanted: Arg
            if aggregate is not None:
                column = aggregate.output[position] if position < len(aggregate.output) else None
                if isinstance(column, tuple):
                    continue
                wanted = column if isinstance(column, Const) else targets[column] if column is not None else None
            else:
                wanted = targets[position] if position < len(targets) else None
            if isinstance(wanted, Const) and wanted.value != value:
                return RuleMiss(rule_id, text, f"its head has {show(wanted.value)} where the row has {show(value)}")
            if isinstance(wanted, str) and bindings.setdefault(wanted, value) != value:
                return RuleMiss(rule_id, text, f"its head has {wanted} in two places where the row has two values")
        search = _Search(self._graph.tables, limit)
        if search.run(resolved.rule, bindings):
            if aggregate is not None:
                return RuleMiss(rule_id, text, "its body holds, but the group's value is another")
            return self._too_early(written, bindings, limit)
        misses = tuple(
            Miss(_literal_text(written, item), {n: v for n, v in known.items() if not n.startswith("$")}, near)
            for item, known, near in search.found
        )
        given = " the search was cut short" if search.visits <= 0 else ""
        return RuleMiss(rule_id, text, "its body does not hold." + given, misses)

    def _too_early(self, written: Written, known: Mapping[str, Value], limit: int) -> RuleMiss:
        """The literals over the time that keep a row out, and until when."""
        node = written.node
        assert node is not None
        found: list[HeldBack] = []
        now = self._program.now
        for operator in node.operators:
            if isinstance(operator, TemporalGate):
                source = self._graph.tables[operator.stage.source]
                found = held_back(source, node.core, operator.guards, known, now, VISITS)
        misses = [Miss(_literal_text(written, guard), row.bindings) for row in found[:limit] for guard in row.failing]
        when = f": {found[0].when(now)}" if found else ""
        reason = "its body holds, but not at this time" + when
        return RuleMiss(written.new.id, written.new.rule.text, reason, tuple(misses[:limit]))


def _with(literal: str, known: Mapping[str, Value]) -> str:
    shown = ", ".join(f"{name} = {show(value)}" for name, value in known.items())
    return literal + (f"   with {shown}" if shown else "")


def _literal_text(written: Written, item: Item | Guard) -> str:
    rule = written.new.rule
    span = rule.body[item.source].span if 0 <= item.source < len(rule.body) else rule.span
    return rule.source.text[span.start : span.end]


def _names(item: Item) -> list[str]:
    if isinstance(item, Positive | Negative):
        args: tuple[Arg, ...] = item.args
    elif isinstance(item, Test):
        args = item.inputs + item.outputs
    else:
        args = (item.left, item.right)
    return list(dict.fromkeys(arg for arg in args if isinstance(arg, str) and not arg.startswith("$")))


class _Search:
    """Walks a body in planned order and remembers the failures that came furthest."""

    def __init__(self, tables: Mapping[str, Any], limit: int) -> None:
        self.tables = tables
        self.limit = limit
        self.visits = VISITS
        self.depth = -1
        self.found: list[tuple[Item, dict[str, Value], tuple[Row, ...]]] = []

    def run(self, rule: Rule, bindings: dict[str, Value]) -> bool:
        """Whether the body holds for some binding."""
        steps = [step.item for step in make_plan(rule, None, bindings, self.tables)]
        return self._walk(steps, 0, bindings)

    def _walk(self, steps: list[Item], at: int, known: dict[str, Value]) -> bool:
        if at == len(steps):
            return True
        item = steps[at]
        any_ = False
        for extended in self._matches(item, known):
            any_ = True
            self.visits -= 1
            if self._walk(steps, at + 1, extended):
                return True
            if self.visits <= 0:
                return False
        if not any_:
            self._failed(at, item, known)
        return False

    def _failed(self, at: int, item: Item, known: dict[str, Value]) -> None:
        if at > self.depth:
            self.depth = at
            self.found.clear()
        if at == self.depth and len(self.found) < self.limit:
            self.found.append((item, dict(known), self._nearest(item, known)))

    def _value(self, arg: Arg, known: Mapping[str, Value]) -> Value:
        if isinstance(arg, Const):
            return arg.value
        assert arg is not None
        return known[arg]

    def _matches(self, item: Item, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if isinstance(item, Positive):
            yield from self._rows(item, known)
        elif isinstance(item, Negative):
            if next(iter(self._rows(Positive(item.table, item.args), known)), None) is None:
                yield known
        elif isinstance(item, Equal):
            yield from self._equal(item, known)
        else:
            yield from self._test(item, known)

    def _rows(self, item: Positive, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        table = self.tables[item.table]
        fixed = tuple(
            c for c, arg in enumerate(item.args) if isinstance(arg, Const) or (isinstance(arg, str) and arg in known)
        )
        values = tuple(self._value(item.args[c], known) for c in fixed)
        for row in table.match(fixed, values[0] if len(values) == 1 else values):
            extended = dict(known)
            if all(
                arg is None or isinstance(arg, Const) or extended.setdefault(arg, value) == value
                for arg, value in zip(item.args, row, strict=True)
            ):
                yield extended

    def _equal(self, item: Equal, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        for one, other in ((item.left, item.right), (item.right, item.left)):
            if isinstance(one, str) and one not in known:
                yield known | {one: self._value(other, known)}
                return
        if (self._value(item.left, known) == self._value(item.right, known)) != item.negated:
            yield known

    def _test(self, item: Test, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        builtin = item.builtin
        try:
            result = builtin.function(*[self._value(arg, known) for arg in item.inputs])
        except UNDEFINED:
            return
        if not builtin.outputs:
            if bool(result) != item.negated:
                yield known
            return
        found = False
        for one in result if builtin.many else (result,):
            values = (one,) if len(builtin.outputs) == 1 else tuple(one)
            extended = dict(known)
            if all(
                arg is None or (arg.value if isinstance(arg, Const) else extended.setdefault(arg, value)) == value
                for arg, value in zip(item.outputs, values, strict=True)
            ):
                found = True
                if not item.negated:
                    yield extended
        if item.negated and not found:
            yield known

    def _nearest(self, item: Item, known: Mapping[str, Value]) -> tuple[Row, ...]:
        """Rows that fit all bound columns but one."""
        if not isinstance(item, Positive):
            return ()
        table = self.tables[item.table]
        fixed = [
            c for c, arg in enumerate(item.args) if isinstance(arg, Const) or (isinstance(arg, str) and arg in known)
        ]
        near: list[Row] = []
        if len(fixed) > 1:
            for left_out in fixed:
                columns = tuple(c for c in fixed if c != left_out)
                values = tuple(self._value(item.args[c], known) for c in columns)
                for row in table.match(columns, values[0] if len(values) == 1 else values):
                    near.append(row)
                    if len(near) >= self.limit:
                        return tuple(near)
        return tuple(near)


__all__ = ["Aggregator", "Explainer", "Miss", "Proof", "RuleMiss", "WhyNot", "show"]
