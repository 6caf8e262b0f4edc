# SPDX-License-Identifier: Apache-2.0
"""The query of a simulation: which rows, or which instances of a rule, hold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from congress.datalog import syntax
from congress.datalog.checks import check
from congress.datalog.engine import Delta, Engine
from congress.datalog.formatter import format_atom, format_item
from congress.datalog.parser import parse_query
from congress.datalog.values import NotAValue, Row, encode
from congress.policy.errors import SimulationInvalid
from congress.policy.rehearsal import refusals

Answers = dict[Row, Row]
"""What tells one answer from another, and its row: of the table that is asked for, or of the rule's head."""


def read_question(given: object) -> syntax.Rule | syntax.Atom:
    """A query as a text, or as ``{"table": ..., "where": {column: value}}``.

    :raises SimulationInvalid: when it is neither.
    """
    if isinstance(given, str):
        with refusals():
            return parse_query(given)
    if not isinstance(given, Mapping) or not isinstance(given.get("table"), str) or given.keys() - {"table", "where"}:
        raise SimulationInvalid('a query is a text, or {"table": ..., "where": {column: value}}')
    where = given.get("where") or {}
    if not isinstance(where, Mapping):
        raise SimulationInvalid("where of a query is an object with values by column")
    with refusals():
        atom = parse_query(given["table"])
    if not isinstance(atom, syntax.Atom) or atom.args or atom.named or atom.sign:
        raise SimulationInvalid(f"{given['table']!r:.100} is not the name of a table")
    return replace(atom, named=tuple(_condition(column, value) for column, value in where.items()))


def _condition(column: str, value: Any) -> syntax.Named:
    try:
        constant = syntax.Constant(encode(value))
    except NotAValue as error:
        raise SimulationInvalid(str(error)) from error
    return syntax.Named(int(column) if column.isascii() and column.isdecimal() else column, constant)


class Question:
    """A query in a policy's terms.

    An atom asks for the rows of a table that fit it, a rule for the instances of itself that hold (of a rule with an
    aggregate: the rows of its head).
    """

    def __init__(self, engine: Engine, policy: str, query: syntax.Rule | syntax.Atom) -> None:
        """:raises SimulationInvalid: it is no query."""
        self._engine = engine
        self._policy = policy
        self._query = query
        if isinstance(query, syntax.Atom):
            self.rule = _asking((syntax.Literal(query, span=query.span),), (), query)
        else:
            self.rule = query
        if not self.rule.has_body or not isinstance(self.rule.head, syntax.Atom):
            raise SimulationInvalid("a query is an atom, table(x), or a rule for a table")
        self._head = self.rule.head
        found = [d for d in check(self.rule, policy=policy) if d.severity == "error"]
        if found:
            raise SimulationInvalid(diagnostics=found)

    @property
    def whole_table(self) -> str | None:
        """The key of the table that is asked for with all its rows; None when something else is asked for."""
        if not isinstance(self._query, syntax.Atom):
            return None
        terms = list(self._query.terms())
        names = {term.name for term in terms if isinstance(term, syntax.Variable)}
        others = sum(isinstance(term, syntax.Anonymous) for term in terms)
        return self._key if len(names) + others == len(terms) else None

    @property
    def _key(self) -> str:
        atom = self._query
        assert isinstance(atom, syntax.Atom)  # asked for atoms only
        return f"{atom.service or self._policy}:{atom.table}"

    def check(self) -> None:
        """:raises SimulationInvalid: the query does not fit the tables there are."""
        never = syntax.Literal(syntax.Atom(None, "false"))
        with refusals():
            self._engine.query(self._policy, replace(self.rule, body=(never, *self.rule.body)))

    def answers(self) -> Answers:
        """What holds now.

        :raises SimulationInvalid: the query does not fit the tables there are.
        """
        with refusals():
            if isinstance(self._query, syntax.Atom):
                terms = self._columns(self._query)
                atom = replace(self._query, args=terms, named=())
                asking = _asking((syntax.Literal(atom, span=atom.span),), terms, atom)
                return {row: row for row in self._engine.query(self._policy, asking).rows}
            if self._aggregates:
                return {row: row for row in self._engine.query(self._policy, self.rule).rows}
            names = _names(self.rule)
            terms = (*self._head.args, *map(syntax.Variable, names))
            asking = replace(self.rule, heads=(replace(self._head, args=terms),))
            count = len(self._head.args)
            rows = self._engine.query(self._policy, asking).rows
            return {row[count:]: row[:count] for row in rows}

    def changes(self, delta: Delta) -> tuple[Answers, Answers]:
        """What came to hold and what ceases to, where a whole table is asked for."""
        change = delta.get(self._key)
        gained, lost = ((), ()) if change is None else change
        return {row: row for row in gained}, {row: row for row in lost}

    def text(self, answer: Row, sign: str = "") -> str:
        """One answer as a literal, or as the instance of a rule; the table with a sign where it came or went."""
        if isinstance(self._query, syntax.Atom):
            args = tuple(map(syntax.Constant, answer))
            return format_atom(replace(self._query, args=args, named=(), sign=sign), head=True)
        if self._aggregates:
            return format_atom(replace(self._head, args=tuple(map(syntax.Constant, answer)), sign=sign), head=True)
        values = dict(zip(_names(self.rule), answer, strict=True))
        head = format_atom(replace(_filled_atom(self._head, values), sign=sign), head=True)
        return f"{head} :- {', '.join(format_item(_filled_item(item, values)) for item in self.rule.body)}"

    @property
    def _aggregates(self) -> bool:
        return any(isinstance(term, syntax.Aggregate) for term in self._head.args)

    def _columns(self, atom: syntax.Atom) -> tuple[syntax.Term, ...]:
        """A term for each column of the table: what the query does not mention may be anything."""
        table = self._engine.table(self._key)
        if table is None:
            return tuple(_free(at) if isinstance(term, syntax.Anonymous) else term for at, term in enumerate(atom.args))
        placed = dict(enumerate(atom.args))
        for item in atom.named:
            at = table.columns.index(item.column) if item.column in table.columns else item.column
            if isinstance(at, str) or at >= len(table.columns) or at in placed:
                self.check()  # says what is wrong
                raise SimulationInvalid(f"{self._key} has no column {item.column!r} that is not given already")
            placed[at] = item.term
        found = (placed.get(at) for at in range(max(len(table.columns), len(atom.args))))
        return tuple(
            _free(at) if term is None or isinstance(term, syntax.Anonymous) else term for at, term in enumerate(found)
        )


def _free(column: int) -> syntax.Variable:
    return syntax.Variable(f"column {column}")  # a name that no variable of a text has


def _asking(body: tuple[syntax.BodyItem, ...], terms: tuple[syntax.Term, ...], query: syntax.Atom) -> syntax.Rule:
    return syntax.Rule((syntax.Atom(None, "query", terms),), body, True, query.span)


def _names(rule: syntax.Rule) -> list[str]:
    """The variables of a rule that have a value in each of its instances."""
    found: dict[str, None] = {}
    for item in rule.body:
        if isinstance(item, syntax.Literal):
            terms = [] if item.negated else list(item.atom.terms())
        else:
            terms = [item.left, item.right] if item.op == "=" and not item.negated else []
        found |= {term.name: None for term in terms if isinstance(term, syntax.Variable)}
    return list(found)


def _filled(term: syntax.Term, values: Mapping[str, Any]) -> syntax.Term:
    """A term with the values of its variables."""
    if isinstance(term, syntax.Variable):
        return syntax.Constant(values[term.name]) if term.name in values else term
    if isinstance(term, syntax.Operation):
        return replace(term, left=_filled(term.left, values), right=_filled(term.right, values))
    if isinstance(term, syntax.Call):
        return replace(term, args=tuple(_filled(arg, values) for arg in term.args))
    return term


def _filled_atom(atom: syntax.Atom, values: Mapping[str, Any]) -> syntax.Atom:
    args = tuple(_filled(term, values) for term in atom.args)
    named = tuple(replace(item, term=_filled(item.term, values)) for item in atom.named)
    return replace(atom, args=args, named=named)


def _filled_item(item: syntax.BodyItem, values: Mapping[str, Any]) -> syntax.BodyItem:
    if isinstance(item, syntax.Literal):
        return replace(item, atom=_filled_atom(item.atom, values))
    return replace(item, left=_filled(item.left, values), right=_filled(item.right, values))
