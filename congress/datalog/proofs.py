# SPDX-License-Identifier: Apache-2.0
"""Why a row is there: the rules that derive it run backwards, down to rows of services and facts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from congress.datalog.codegen import Purpose
from congress.datalog.core import Guard, Item, Negative, Positive, Rule, Test
from congress.datalog.graph import Node
from congress.datalog.held_back import guard_names
from congress.datalog.limits import LimitExceeded
from congress.datalog.lookups import Lookups
from congress.datalog.operators import Aggregator, Operator, TemporalGate
from congress.datalog.program import Program
from congress.datalog.recursion import FOREVER
from congress.datalog.runtime import RuleNode
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode
from congress.datalog.values import Row, Value, decode
from congress.datalog.written import Written

GROUP_ROWS = 20
"""Rows of a group that a proof of an aggregate shows."""

DEEPEST = 100
"""Levels of a proof as nested JSON.  What writes and reads such texts goes no deeper than some 250 objects and lists,
of which each level is two."""

INDENTED = 100
"""Levels of a proof as a text that are indented; deeper ones begin with their numbers."""

_NOTES = {
    "service": "published by the service",
    "fact": "a fact",
    "cut": "left out: the proof is too large",
}


def _nothing(_: "Proof") -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Proof:
    """Why a row is there.

    ``reason`` is ``"service"`` (a service published it), ``"fact"``, ``"rule"``, or in branches ``"absent"`` (no row
    fits a negated literal), ``"test"`` (a built-in holds) and ``"cut"`` (left out for size).

    A proof may be as deep as it has rows: walk it with :meth:`walk`.
    """

    table: str
    row: Row
    reason: str
    rule_id: str = ""
    rule: str = ""
    bindings: Mapping[str, Value] = field(default_factory=dict)
    children: tuple["Proof", ...] = ()
    text: str = ""

    def walk(self) -> Iterator[tuple[int, "Proof"]]:
        """This one (level 0) and all that it rests on with their levels, depth first."""
        stack = [(0, self)]
        while stack:
            level, proof = stack.pop()
            yield level, proof
            stack += [(level + 1, child) for child in reversed(proof.children)]

    def to_dict(self, more: Callable[["Proof"], Mapping[str, Any]] = _nothing) -> dict[str, Any]:
        """The proof as plain JSON types, ``DEEPEST`` levels of it: a deeper row that rests on others is ``cut``.

        :param more: what to add to each.
        """
        way: list[dict[str, Any]] = []  # from the top to the one before
        for level, proof in self.walk():
            if level > DEEPEST:
                continue
            shown = {**proof._shown(level == DEEPEST), **more(proof)}
            del way[level:]
            if way:
                way[-1].setdefault("because", []).append(shown)
            way.append(shown)
        return way[0]

    def _shown(self, last: bool) -> dict[str, Any]:
        """All but what it rests on."""
        made: dict[str, Any] = {"table": self.table, "row": [decode(v) for v in self.row], "reason": self.reason}
        if last and self.children:
            return made | {"reason": "cut"}
        if self.rule_id:
            made |= {"rule_id": self.rule_id, "rule": self.rule}
            made["bindings"] = {name: decode(value) for name, value in self.bindings.items()}
        if self.text:
            made["text"] = self.text
        return made

    def render(self) -> str:
        """The proof as an indented tree; from level ``INDENTED`` on lines begin with their levels."""
        lines = []
        for level, proof in self.walk():
            indent = "  " * level if level <= INDENTED else "  " * INDENTED + f"{level}: "
            lines.append(indent + proof._line())
        return "\n".join(lines)

    def _line(self) -> str:
        line = self.text or f"{self.table}({', '.join(map(show, self.row))})"
        if self.reason == "rule":
            return f"{line}   by rule {self.rule_id}: {' '.join(self.rule.split())}"
        return f"{line}   {_NOTES[self.reason]}" if self.reason in _NOTES else line


def show(value: Value) -> str:
    """A value as the language writes it, near enough for people."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "null" if value is None else str(value)


Branch: TypeAlias = Proof | tuple[Node, Row]
"""What a row rests on: a literal that is no row, or a row that is to be proved."""


@dataclass(slots=True)
class _Step:
    """A proof while what it rests on is found out."""

    proof: Proof
    branches: Iterator[Branch] = field(default_factory=lambda: iter(()))
    children: list[Proof] = field(default_factory=list)


class Prover:
    """Proves rows by a program's rules and present tables."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._graph = program.graph
        self._lookups = Lookups(self._graph.tables)

    def prove(self, node: Node, row: Row, limit: int) -> Proof:
        """A proof of at most ``limit`` rows; those left out are ``cut``."""
        if limit < 1:
            return Proof(_key(node), row, "cut")
        way = [self._step(node, row)]
        limit -= 1
        while True:
            step = way[-1]
            branch = next(step.branches, None)
            if branch is None:
                made = replace(way.pop().proof, children=tuple(step.children))
                if not way:
                    return made
                way[-1].children.append(made)
            elif isinstance(branch, Proof):
                step.children.append(branch)
            elif limit < 1:
                step.children.append(Proof(_key(branch[0]), branch[1], "cut"))
            else:
                limit -= 1
                way.append(self._step(*branch))

    def _step(self, node: Node, row: Row) -> _Step:
        key = _key(node)
        if node.table.mode is Mode.BASE:
            return _Step(Proof(key, row, "service"))
        for operator in node.inputs:
            made = self._passed_on(operator, key, row)
            if made is not None:
                return made
        if row in node.given and not node.inputs:
            return _Step(Proof(key, row, "fact"))
        below = node.table.rows[row] if node.table.mode is Mode.RANKED else FOREVER
        try:
            for rule in node.rules.values():
                for bindings, rows in _derivations(rule, row, below):
                    written = self._program.rules[rule.id]
                    proof = Proof(key, row, "rule", rule.id, written.new.rule.text, bindings)
                    return _Step(proof, self._branches(rule.core, written, bindings, rows))
        except LimitExceeded:
            return _Step(Proof(key, row, "cut"))
        return _Step(Proof(key, row, "fact"))

    def _branches(
        self, core: Rule, written: Written, bindings: Mapping[str, Value], rows: Mapping[int, Row]
    ) -> Iterator[Branch]:
        for position, item in enumerate(core.body):
            if isinstance(item, Positive):
                if item.table != CLOCK:
                    yield self._graph.nodes[item.table], rows[position]
            elif item.source >= 0 and not (isinstance(item, Test) and item.outputs and not item.negated):
                reason = "absent" if isinstance(item, Negative) else "test"
                known = {n: bindings[n] for n in _names(item) if n in bindings}
                yield Proof("", (), reason, text=_with(literal_text(written, item), known))

    # -- what a stage passed on

    def _passed_on(self, operator: Operator, key: str, row: Row) -> _Step | None:
        if isinstance(operator, Aggregator) and operator.row_of(row) != row:
            return None  # it is the row of another rule
        source = self._graph.nodes[operator.stage.source]
        sources = operator.sources(row, partial(self._lookups.match, source.key))
        if not sources:
            return None
        if isinstance(operator, TemporalGate):
            step = self._step(source, sources[0])
            guards = self._guards(operator, step.proof) if step.proof.reason == "rule" else ()
            return _Step(replace(step.proof, table=key, row=row), chain(step.branches, guards))
        steps = [self._step(source, r) for r in sources[:GROUP_ROWS]]
        more = len(sources) - len(steps)
        rest = [Proof(key, row, "cut", text=f"... and {more} more in the group")] if more else []
        branches = chain(chain.from_iterable(step.branches for step in steps), rest)
        first = steps[0].proof
        return _Step(Proof(key, row, "rule", first.rule_id, first.rule), branches)

    def _guards(self, gate: TemporalGate, made: Proof) -> Iterator[Proof]:
        """The literals over the time that a rule was cut at."""
        written = self._program.rules[made.rule_id]
        assert written.node is not None
        for guard in gate.guards:
            known = {n: made.bindings[n] for n in guard_names(guard, written.node.core) if n in made.bindings}
            yield Proof("", (), "test", text=_with(literal_text(written, guard), known))


def _derivations(rule: RuleNode, row: Row, below: int) -> Iterator[tuple[Mapping[str, Value], Mapping[int, Row]]]:
    """The variables and rows of each derivation of a row.

    :raises LimitExceeded: when finding one takes the rule over a limit of its own.
    """
    function = rule.compiled(None, Purpose.FIND).function
    rule.begin()
    yield from function(row, below)


def _key(node: Node) -> str:
    """The key of the table that a node's rows end up in."""
    return node.key.partition("#")[0]


def _with(literal: str, known: Mapping[str, Value]) -> str:
    shown = ", ".join(f"{name} = {show(value)}" for name, value in known.items())
    return literal + (f"   with {shown}" if shown else "")


def literal_text(written: Written, item: Item | Guard) -> str:
    """A literal as it was written; the head for what an expression in it became."""
    rule = written.new.rule
    span = rule.body[item.source].span if 0 <= item.source < len(rule.body) else rule.head.span
    return rule.source.text[span.start : span.end]


def _names(item: Item) -> list[str]:
    if isinstance(item, Positive | Negative):
        args = item.args
    elif isinstance(item, Test):
        args = item.inputs + item.outputs
    else:
        args = (item.left, item.right)
    return list(dict.fromkeys(arg for arg in args if isinstance(arg, str) and not arg.startswith("$")))
