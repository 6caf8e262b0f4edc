# SPDX-License-Identifier: Apache-2.0
"""The steps of a simulation, read from the sequence language or from JSON.  Nothing here knows an engine."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from congress.datalog import syntax
from congress.datalog.builtins.registry import Registry
from congress.datalog.checks import check
from congress.datalog.diagnostics import Diagnostic, PolicyError, Source, Span
from congress.datalog.formatter import format_atom, format_rule
from congress.datalog.parser import parse_sequence
from congress.datalog.values import NotAValue, encode
from congress.policy.errors import MultipleRules, RuleInvalid, SimulationInvalid
from congress.policy.policies import parse_one

OPTIONS: Final = "options:value"
"""The table in which an action finds its options: name and value."""

_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.\w+)*(?::[^\W\d]\w*(?:\.\w+)*)?")
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
_CHANGES: Final = ("insert", "delete", "add_rule", "remove_rule")
_KEYS: Final = f"a step has {', '.join(_CHANGES)} (several of them are one change), or action"


@dataclass(frozen=True, slots=True)
class Change:
    """What comes and goes as one transaction: facts or rows, and rules; a rule may be named by its id or name."""

    text: str
    insertions: tuple[syntax.Rule, ...] = ()
    deletions: tuple[syntax.Rule, ...] = ()
    added: tuple[syntax.Rule, ...] = ()
    removed: tuple[syntax.Rule | str, ...] = ()

    def rules(self) -> Iterable[syntax.Rule]:
        """The rules that it speaks of, as far as it has them."""
        return (*self.added, *(rule for rule in self.removed if isinstance(rule, syntax.Rule)))


@dataclass(frozen=True, slots=True)
class Invocation:
    """An action to carry out: its head, then facts that it may look at; a body gives their variables values."""

    text: str
    rule: syntax.Rule

    def rules(self) -> Iterable[syntax.Rule]:
        """The rule, where it has a body."""
        return (self.rule,) if self.rule.has_body else ()


Step = Change | Invocation


def read_sequence(text: str, registry: Registry) -> list[Step]:
    """The steps of the old sequence language.

    :raises SimulationInvalid: with everything that is wrong in the text.
    """
    try:
        program = parse_sequence(text)
    except PolicyError as error:
        raise SimulationInvalid(diagnostics=error.diagnostics) from error
    _check(program, registry, None)
    return [_statement(rule, number) for number, rule in enumerate(program.statements, 1)]


def read_steps(steps: Sequence[Any], registry: Registry) -> list[Step]:
    """The steps of the JSON form.

    :raises SimulationInvalid: for the first that is wrong.
    """
    return [_Entry(number, registry).step(entry) for number, entry in enumerate(steps, 1)]


def _check(statements: syntax.Program | syntax.Rule, registry: Registry, step: int | None) -> None:
    found = [d for d in check(statements, kind="sequence", registry=registry) if d.severity == "error"]
    if found:
        raise SimulationInvalid(diagnostics=found, step=step)


def _statement(rule: syntax.Rule, number: int) -> Step:
    heads = [head for head in rule.heads if isinstance(head, syntax.Atom)]
    if len(heads) < len(rule.heads):
        hint = 'to add a rule for an action, use the JSON form: {"add_rule": "execute[...] :- ..."}'
        raise _wrong(rule, number, "execute[...] is no step", hint)
    if not any(head.sign for head in heads):
        return Invocation(rule.text, rule)
    if len(heads) > 1:
        raise _wrong(rule, number, "an update has one head", "write each update as a step of its own")
    inserts = heads[0].sign == "+"
    plain = (replace(rule, heads=(replace(heads[0], sign=""),)),)
    if rule.has_body:
        return Change(rule.text, added=plain) if inserts else Change(rule.text, removed=plain)
    return Change(rule.text, insertions=plain) if inserts else Change(rule.text, deletions=plain)


def _wrong(rule: syntax.Rule, number: int, message: str, hint: str) -> SimulationInvalid:
    return SimulationInvalid(diagnostics=[Diagnostic("", message, rule.source, rule.span, hint)], step=number)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Reads one step of the JSON form."""

    number: int
    registry: Registry

    def step(self, entry: Any) -> Step:
        if not isinstance(entry, Mapping) or not entry:
            raise self._refuse(_KEYS)
        if "action" in entry:
            if len(entry) > 1:
                raise self._refuse("an action is a step of its own")
            return self._action(entry["action"])
        unknown = [key for key in entry if key not in _CHANGES]
        if unknown:
            raise self._refuse(f"{unknown[0]!r:.80} is not known; {_KEYS}")
        insertions = self._facts(entry.get("insert", {}), "insert")
        deletions = self._facts(entry.get("delete", {}), "delete")
        added = tuple(self._rule(text) for text in self._texts(entry.get("add_rule", ()), "add_rule"))
        removed = self._texts(entry.get("remove_rule", ()), "remove_rule")
        parts = [_signed(fact, "+") for fact in insertions] + [_signed(fact, "-") for fact in deletions]
        parts += [f"add rule {format_rule(rule, None)}" for rule in added]
        parts += [f"remove rule {rule}" for rule in removed]
        return Change("; ".join(parts) or "nothing", insertions, deletions, added, removed)

    def _refuse(self, message: str) -> SimulationInvalid:
        return SimulationInvalid(message, step=self.number)

    def _texts(self, given: Any, key: str) -> tuple[str, ...]:
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise self._refuse(f"{key} is a text or a list of texts")
        return tuple(texts)

    def _rule(self, text: str) -> syntax.Rule:
        try:
            return parse_one(text, f"step {self.number}")
        except (RuleInvalid, MultipleRules) as error:
            cause = error.__cause__
            found = cause.diagnostics if isinstance(cause, PolicyError) else ()
            raise SimulationInvalid(str(error), found, self.number) from error

    def _facts(self, given: Any, key: str) -> tuple[syntax.Rule, ...]:
        if not isinstance(given, Mapping):
            raise self._refuse(f"{key} is an object with a list of rows for each table")
        facts = []
        for table, rows in given.items():
            if not isinstance(rows, list | tuple):
                raise self._refuse(f"{key} of {table!r:.80} is a list of rows")
            facts += [self._row(table, row) for row in rows]
        return tuple(facts)

    def _row(self, table: str, row: Any) -> syntax.Rule:
        if isinstance(row, Mapping):
            return self._fact(table, (), row)
        if isinstance(row, list | tuple):
            return self._fact(table, row, {})
        raise self._refuse(f"a row of {table!r:.80} is a list of values, or an object with a value for each column")

    def _fact(self, table: str, positional: Iterable[Any], named: Mapping[str, Any]) -> syntax.Rule:
        if not _NAME.fullmatch(table):
            raise self._refuse(f"{table!r:.80} is not the name of a table")
        for column in named:
            if not _PLAIN.fullmatch(column):
                raise self._refuse(f"{column!r:.80} is not the name of a column")
        service, _, name = table.rpartition(":")
        args = tuple(self._constant(value) for value in positional)
        columns = tuple(syntax.Named(column, self._constant(value)) for column, value in named.items())
        atom = syntax.Atom(service or None, name, args, columns)
        text = format_atom(atom, head=True)
        span = Span(0, len(text))
        source = Source(text, f"step {self.number}")
        rule = syntax.Rule((replace(atom, span=span, name_span=span),), (), False, span, source)
        _check(rule, self.registry, self.number)
        return rule

    def _constant(self, value: Any) -> syntax.Constant:
        try:
            return syntax.Constant(encode(value))
        except NotAValue as error:
            raise self._refuse(str(error)) from error

    def _action(self, given: Any) -> Invocation:
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            raise self._refuse('an action is {"name": ..., "args": [...], "options": {...}}')
        unknown = sorted(given.keys() - {"name", "args", "options"})
        args, options = given.get("args") or (), given.get("options") or {}
        if unknown:
            raise self._refuse(f"{unknown[0]!r:.80} of an action is not known; it has name, args and options")
        if not isinstance(args, list | tuple) or not isinstance(options, Mapping):
            raise self._refuse("args of an action is a list, options is an object")
        rules = [self._fact(given["name"], args, {})]
        rules += [self._fact(OPTIONS, pair, {}) for pair in options.items()]
        heads = tuple(rule.head for rule in rules)
        text = ", ".join(rule.source.text for rule in rules)
        return Invocation(text, syntax.Rule(heads, (), False, Span(0, len(text)), Source(text, f"step {self.number}")))


def _signed(fact: syntax.Rule, sign: str) -> str:
    head = fact.head
    assert isinstance(head, syntax.Atom)  # facts are made of atoms
    return format_atom(replace(head, sign=sign), head=True)
