# SPDX-License-Identifier: Apache-2.0
"""A rule as it stands in a policy, and the books in which all of them are kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from congress.datalog import syntax
from congress.datalog.diagnostics import Diagnostic, Span, register_code
from congress.datalog.resolve import Resolution
from congress.datalog.runtime import RuleNode
from congress.datalog.values import Row

UNSTRATIFIED = register_code("P001", "The rule makes a table depend on its own absence or on an aggregate of itself.")

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule (or fact) for a policy; the id is the caller's."""

    policy: str
    rule: syntax.Rule
    id: str


@dataclass(eq=False, slots=True)
class Written:
    """A rule as it stands in a policy."""

    new: NewRule
    state: str = "active"  # or "waiting" or "off"
    limited: bool = False  # off because it went over a limit: nothing but a new rule changes that
    listed: bool = False  # among the users of the tables it reads
    checked: tuple[Diagnostic, ...] = ()  # warnings that hold whatever the schemas are
    faults: tuple[Span, ...] = ()  # where it was found wrong by itself
    diagnostics: tuple[Diagnostic, ...] = ()
    resolution: Resolution = field(default_factory=Resolution)
    node: RuleNode | None = None
    fact: Row | None = None
    table: str = ""
    columns: tuple[str | None, ...] = ()
    number: int = 0  # the rules in the order they came

    @property
    def shape(self) -> tuple[Any, ...]:
        return shape_of(self.new.policy, self.new.rule)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What is to be said of it while it is in force."""
        return *self.checked, *(d for d in self.resolution.warnings if d not in self.checked)

    def finding(self, code: str, message: str, hint: str = "", span: Span | None = None) -> Diagnostic:
        """An error of this rule; where it is no single part of it, of the whole."""
        rule = self.new.rule
        return Diagnostic(code, message, rule.source, span or rule.span, hint)


def shape_of(policy: str, rule: syntax.Rule) -> tuple[Any, ...]:
    """What makes two rules of a policy the same: all but the order of the body's literals."""
    return policy, rule.heads, frozenset(rule.body), rule.has_body


class Books:
    """All rules: by id, by policy, by shape, by the services they mention; those that wait and those in a circle.

    What changes the books returns how to take it back.
    """

    def __init__(self) -> None:
        self.rules: dict[str, Written] = {}
        self.waiting: dict[str, Written] = {}
        self.circular: dict[str, Written] = {}  # off, since they would close a circle
        self._by_policy: dict[str, dict[str, Written]] = {}
        self._shapes: dict[tuple[Any, ...], str] = {}
        self._by_service: dict[str, dict[str, None]] = {}
        self._numbers = count(1)
        self._in_order = True

    def find(self, shape: tuple[Any, ...]) -> str | None:
        """The id of the rule with this shape."""
        return self._shapes.get(shape)

    def listed(self, policy: str | None = None) -> list[Written]:
        """All rules, or those of one policy, in the order they came."""
        if not self._in_order:  # a removal was undone
            for books in (self.rules, *self._by_policy.values()):
                ordered = sorted(books.items(), key=lambda entry: entry[1].number)
                books.clear()
                books.update(ordered)
            self._in_order = True
        return list((self.rules if policy is None else self._by_policy.get(policy, {})).values())

    def enter(self, written: Written) -> Undo:
        """Take in a rule that is new."""
        written.number = next(self._numbers)
        self._enter(written)

        def back() -> None:
            self._strike(written)

        return back

    def strike(self, written: Written) -> Undo:
        """Strike a rule out."""
        services = self._strike(written)

        def back() -> None:
            self._in_order = False
            self._enter(written)
            self.sort(written)
            for service in services:
                self._mention(service, written)

        return back

    def _enter(self, written: Written) -> None:
        new = written.new
        self._shapes[written.shape] = new.id
        self.rules[new.id] = written
        self._by_policy.setdefault(new.policy, {})[new.id] = written

    def _strike(self, written: Written) -> list[str]:
        """Let nothing be left of a rule; the services that it was listed under."""
        new = written.new
        del self._shapes[written.shape], self.rules[new.id]
        _take_out(self._by_policy, new.policy, new.id)
        self.waiting.pop(new.id, None)
        self.circular.pop(new.id, None)
        names = {item.atom.service for item in new.rule.body if isinstance(item, syntax.Literal)}
        return [name for name in names if name is not None and _take_out(self._by_service, name, new.id)]

    def sort(self, written: Written) -> None:
        """Enter a rule among those that wait and those in a circle, or strike it out there."""
        rule_id, state = written.new.id, written.state
        circular = state == "off" and any(d.code == UNSTRATIFIED for d in written.diagnostics)
        for listed, belongs in ((self.waiting, state == "waiting"), (self.circular, circular)):
            if belongs:
                listed[rule_id] = written
            else:
                listed.pop(rule_id, None)

    def mention(self, written: Written) -> None:
        """Remember which services a rule reads."""
        for service in written.resolution.services:
            self._mention(service, written)

    def _mention(self, service: str, written: Written) -> None:
        self._by_service.setdefault(service, {})[written.new.id] = None

    def mentioning(self, service: str) -> list[Written]:
        """The rules that read tables of a service, in the order they came."""
        listed = self._by_service.get(service, {})
        found = []
        for rule_id in list(listed):
            written = self.rules.get(rule_id)
            if written is None or service not in written.resolution.services:
                del listed[rule_id]
            else:
                found.append(written)
        return sorted(found, key=lambda written: written.number)

    def wanted(self) -> Iterator[str]:
        """The tables of cloud services (and of policies elsewhere) that rules mention, known or not."""
        for written in self.rules.values():
            for item in written.new.rule.body:
                if isinstance(item, syntax.Literal) and item.atom.service in written.resolution.services:
                    yield item.atom.name


def _take_out(listed: dict[str, dict[str, Any]], name: str, rule_id: str) -> bool:
    """Take a rule out of a list of that name, which goes with its last; whether it was there."""
    rules = listed.get(name, {})
    if rule_id not in rules:
        return False
    del rules[rule_id]
    if not rules:
        del listed[name]
    return True
