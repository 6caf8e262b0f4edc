# SPDX-License-Identifier: Apache-2.0
"""The policies and rules of one runtime: in the engine and in the database, always the same in both.

Every change is made in the engine first, which checks it, then in the database, inside one engine transaction: when
the database does not take it, the engine goes back exactly to where it was.  Nothing here knows the bus.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from congress.datalog import syntax
from congress.datalog.diagnostics import Diagnostic, PolicyError
from congress.datalog.engine import Delta, Engine, EngineError, NewRule
from congress.datalog.parser import parse
from congress.datalog.program import DUPLICATE
from congress.db.errors import DbError, NameTaken, Unstorable
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.records import utcnow
from congress.db.rules import RuleRecord, RuleStore
from congress.policy import errors
from congress.policy.deltas import merge
from congress.policy.dependencies import tables_read
from congress.policy.naming import checked_abbreviation, checked_kind, checked_name, checked_rule_name

LOG = logging.getLogger(__name__)

PROTECTED: Final[Mapping[str, tuple[str, str]]] = {
    "classification": ("nonrecursive", "default policy"),
    "action": ("action", "default action policy"),
}
"""Policies that are always there: name to kind and description."""


@dataclass(slots=True)
class StoredRule:
    """A rule of a policy.  ``refused`` says why the engine did not take it when it was loaded; empty when it did."""

    record: RuleRecord
    parsed: syntax.Rule | None
    refused: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class StoredPolicy:
    """A policy and its rules by id, in the order in which they came."""

    record: PolicyRecord
    rules: dict[str, StoredRule] = field(default_factory=dict)


@dataclass(slots=True)
class RuleText:
    """A rule as a user gives it."""

    rule: str
    name: str | None = None
    comment: str = ""
    _parsed: syntax.Rule | None = field(default=None, repr=False, compare=False)

    def parsed(self, policy: str) -> syntax.Rule:
        """The rule, parsed once.

        :raises RuleInvalid: it is none.  :raises MultipleRules: there are several.
        """
        if self._parsed is None:
            self._parsed = parse_one(self.rule, policy)
        return self._parsed


class Policies:
    """Creates, changes and deletes policies and rules.  One thread; blocks on the database."""

    def __init__(self, engine: Engine, policies: PolicyStore, rules: RuleStore) -> None:
        self.engine = engine
        self._policies = policies
        self._rules = rules
        self._by_name: dict[str, StoredPolicy] = {}
        self._names: dict[str, str] = {}  # by id
        self._reads: dict[str, Counter[str]] = {}  # by the policy or service that a table is of
        self._refusals = False  # whether there may be refused rules

    # Reading

    def all(self) -> list[StoredPolicy]:
        """Every policy, oldest first."""
        return list(self._by_name.values())

    def find(self, key: str) -> StoredPolicy:
        """A policy by name or id.

        :raises PolicyNotFound: nothing is called so.
        """
        found = self._by_name.get(key) or self._by_name.get(self._names.get(key, ""))
        if found is None:
            raise errors.PolicyNotFound(f"there is no policy {key!r:.100}")
        return found

    def knows(self, key: str) -> bool:
        """Whether a policy has this name or id."""
        return key in self._by_name or key in self._names

    def find_rule(self, policy: StoredPolicy, key: str) -> StoredRule:
        """A rule of a policy by id, or by its name where no other rule of the policy has the same.

        :raises RuleNotFound: nothing is called so.
        """
        found = policy.rules.get(key)
        if found is not None:
            return found
        named = [rule for rule in policy.rules.values() if rule.record.name == key]
        if len(named) != 1:
            many = f"; {len(named)} rules have that name" if named else ""
            raise errors.RuleNotFound(f"policy {policy.record.name!r} has no rule {key!r:.100}{many}")
        return named[0]

    def in_state(self, state: str) -> Iterator[tuple[str, syntax.Rule]]:
        """The rules that are ``active``, in force, or ``waiting`` for something, each with its policy's name."""
        for policy in self._by_name.values():
            for rule_id, rule in policy.rules.items():
                if rule.parsed is not None and not rule.refused and self.engine.status(rule_id).state == state:
                    yield policy.record.name, rule.parsed

    def wanted(self) -> set[str]:
        """Keys of the tables that rules read and that are of none of these policies.

        Costs what there are of those, not what there are rules.
        """
        mine = self.engine.policies()
        return {key for owner, keys in self._reads.items() if owner not in mine for key in keys}

    def _count(self, policy: str, rule: StoredRule, number: int) -> None:
        """Take note that a rule came into the engine (1) or went (-1)."""
        if rule.parsed is None:
            return
        for key in tables_read(policy, rule.parsed):
            owner = key.partition(":")[0]
            keys = self._reads.setdefault(owner, Counter())
            keys[key] += number
            if not keys[key]:
                del keys[key]
                if not keys:
                    del self._reads[owner]

    # Loading

    def load(self) -> Delta:
        """Read everything from the database; make the default policies if they are not there.

        A rule that fits no longer (the language, a built-in or another rule changed) is kept, out of force, with the
        findings that say why; it never keeps the others from being loaded.

        :raises DbError: the database cannot be read; nothing is loaded, and it may be tried again.
        """
        self._by_name, self._names, self._reads = {}, {}, {}
        policies, rules = self._policies.all(), self._rules.all()
        deltas = []
        with self.engine.transaction():
            for record in policies:
                deltas.append(self.engine.create_policy(record.name, record.kind))
                self._remember(StoredPolicy(record))
            for name, (kind, description) in PROTECTED.items():
                if name not in self._by_name:
                    deltas.append(self.create(name, description, kind=kind)[1])
            for rule in rules:
                policy = self._by_name[self._names[rule.policy_id]]
                policy.rules[rule.id] = self._parse_stored(policy.record.name, rule)
            for policy in self._by_name.values():
                deltas.append(self._take_in(policy, [r for r in policy.rules.values() if not r.refused]))
        return merge(deltas)

    def retry_refused(self) -> Delta:
        """Try again to put rules into force that did not fit when they were loaded; something has changed since."""
        if not self._refusals:
            return {}
        self._refusals = False
        deltas = []
        for policy in self._by_name.values():
            for rule in policy.rules.values():
                if rule.refused and rule.parsed is not None:
                    rule.refused = ()
                    deltas.append(self._take_in(policy, [rule]))
                self._refusals = self._refusals or bool(rule.refused)
        return merge(deltas)

    def _parse_stored(self, policy: str, record: RuleRecord) -> StoredRule:
        try:
            return StoredRule(record, parse_one(record.rule, policy))
        except errors.PolicyRuntimeError as error:
            self._refusals = True
            finding = Diagnostic("", str(error))
            found = tuple(error.__cause__.diagnostics) if isinstance(error.__cause__, PolicyError) else (finding,)
            LOG.warning("policy.rule_refused policy=%s rule=%s error=%s", policy, record.id, error)
            return StoredRule(record, None, found)

    def _take_in(self, policy: StoredPolicy, rules: Sequence[StoredRule]) -> Delta:
        """Put stored rules into force: all at once when they fit, else each that does."""
        if not rules:
            return {}
        name = policy.record.name
        try:
            delta = self.engine.apply(add=[_new(name, rule) for rule in rules])
        except (PolicyError, EngineError) as error:
            if len(rules) > 1:
                half = len(rules) // 2
                return merge([self._take_in(policy, rules[:half]), self._take_in(policy, rules[half:])])
            self._refusals = True
            found = tuple(error.diagnostics) if isinstance(error, PolicyError) else ()
            rules[0].refused = found or (Diagnostic("", str(error)),)
            LOG.warning("policy.rule_refused policy=%s rule=%s error=%s", name, rules[0].record.id, error)
            return {}
        for rule in rules:
            self._count(name, rule, 1)
        return delta

    # Changing

    def create(
        self,
        name: object,
        description: str = "",
        abbreviation: str | None = None,
        kind: str | None = None,
        rules: Iterable[RuleText] = (),
    ) -> tuple[StoredPolicy, Delta]:
        """Make a policy, with all of these rules or not at all; a rule that is given twice is taken once.

        :raises PolicyNameTaken: a policy or service has the name.
        :raises PolicyRuntimeError: one of the others for what is wrong with a part of it.
        """
        text = checked_name(name)
        if text in self._by_name or self.engine.schema(text) is not None:
            raise errors.PolicyNameTaken(f"the name {text!r} is taken")
        record = PolicyRecord(
            text, checked_abbreviation(abbreviation, text), description or "", kind=checked_kind(kind)
        )
        policy = StoredPolicy(record)
        added, findings = self._parse_new(policy, rules)
        with self._atomically():
            delta = self.engine.create_policy(record.name, record.kind)
            delta = merge([delta, self._exchange(policy, added, (), findings)])
            self._policies.create(record, [rule.record for rule in added])
        self._remember(policy)
        self._exchanged(policy, added, ())
        return policy, delta

    def update(self, key: str, changes: Mapping[str, Any]) -> tuple[StoredPolicy, Delta]:
        """Change ``description``, ``abbreviation`` or, as a whole, ``rules`` of a policy: all of it or nothing.

        A rule that stays the same keeps its id and stays in force throughout.

        :raises PolicyRuntimeError: for another key, an unknown policy, or what is wrong with a part of it.
        """
        policy = self.find(key)
        unknown = changes.keys() - {"description", "abbreviation", "rules"}
        if unknown:
            raise errors.InvalidPolicy(f"{min(unknown)!r:.100} of a policy cannot be changed")
        record = replace(policy.record, updated_at=utcnow())
        if "description" in changes:
            record = replace(record, description=changes["description"] or "")
        if "abbreviation" in changes:
            record = replace(record, abbreviation=checked_abbreviation(changes["abbreviation"], record.name))
        added: list[StoredRule] = []
        removed: list[str] = []
        findings: list[Diagnostic] = []
        if "rules" in changes:
            given, findings = self._parse_new(policy, changes["rules"])
            wanted = {_shape(rule): rule for rule in given}
            kept = {_shape(rule) for rule in policy.rules.values() if not rule.refused and _shape(rule) in wanted}
            removed = [key for key, rule in policy.rules.items() if rule.refused or _shape(rule) not in kept]
            added = [rule for shape, rule in wanted.items() if shape not in kept]
        with self._atomically():
            delta = self._exchange(policy, added, removed, findings)
            self._policies.update(record, [rule.record for rule in added], removed)
        policy.record = record
        self._exchanged(policy, added, removed)
        return policy, delta

    def delete(self, key: str) -> tuple[StoredPolicy, Delta]:
        """Delete a policy and its rules.

        :raises PolicyNotFound: nothing is called so.
        :raises PolicyProtected: it is one of those that are always there.
        """
        policy = self.find(key)
        record = policy.record
        if record.name in PROTECTED:
            raise errors.PolicyProtected(f"the policy {record.name!r} cannot be deleted")
        with self._atomically():
            delta = self.engine.delete_policy(record.name)
            self._policies.delete(record.id)
        del self._by_name[record.name], self._names[record.id]
        for rule in policy.rules.values():
            self._forgotten(policy, rule)
        return policy, merge([delta, self.retry_refused()])

    def add_rule(self, key: str, text: RuleText) -> tuple[StoredRule, Delta]:
        """Add one rule to a policy.

        :raises RuleInvalid: with every finding in it.  :raises RuleExists: the policy has it already.
        :raises PolicyRuntimeError: one of the others.
        """
        policy = self.find(key)
        rule = self._parse_single(policy, text)
        self._refuse_twins(policy, rule)
        with self._atomically():
            delta = self._exchange(policy, [rule], ())
            self._rules.change(policy.record.id, [rule.record])
        self._exchanged(policy, [rule], ())
        return rule, delta

    def delete_rule(self, key: str, rule_key: str) -> tuple[StoredRule, Delta]:
        """Delete one rule of a policy.  :raises RuleNotFound: it is not there."""
        policy = self.find(key)
        rule = self.find_rule(policy, rule_key)
        removed = [rule.record.id]
        with self._atomically():
            delta = self._exchange(policy, [], removed)
            self._rules.change(policy.record.id, remove=removed)
        self._exchanged(policy, [], removed)
        return rule, merge([delta, self.retry_refused()])

    def update_rule(self, key: str, rule_key: str, changes: Mapping[str, Any]) -> tuple[StoredRule, Delta]:
        """Change ``rule``, ``name`` or ``comment`` of a rule; it keeps its id.

        Where its text changes, the new rule takes the place of the old one as one change.
        :raises RuleNotFound: it is not there.  :raises RuleInvalid: with every finding in the new one.
        :raises RuleExists: another rule of the policy is the same.
        """
        policy = self.find(key)
        old = self.find_rule(policy, rule_key)
        record = replace(old.record, **{**changes, "comment": changes.get("comment", old.record.comment) or ""})
        if record.name != old.record.name:
            record = replace(record, name=checked_rule_name(record.name))
        new = replace(old, record=record)
        if record.rule != old.record.rule:
            parsed = self._parse_single(policy, RuleText(record.rule, record.name, record.comment)).parsed
            new = StoredRule(record, parsed)
            self._refuse_twins(policy, new)
        exchanged = new.parsed is not old.parsed
        with self._atomically():
            delta = self._exchange(policy, [new], [record.id]) if exchanged else {}
            self._rules.update(record)
        policy.rules[record.id] = new
        if exchanged:
            self._forgotten(policy, old)
            self._count(policy.record.name, new, 1)
            delta = merge([delta, self.retry_refused()])
        return new, delta

    # Parts

    def _parse_new(self, policy: StoredPolicy, texts: Iterable[RuleText]) -> tuple[list[StoredRule], list[Diagnostic]]:
        """Rules as users give them, each once, and all that is wrong with the texts of the others."""
        found: dict[object, StoredRule] = {}
        findings: list[Diagnostic] = []
        for text in texts:
            with gathering(findings):
                rule = self._parse_single(policy, text)
                found.setdefault(_shape(rule), rule)
        return list(found.values()), findings

    def _parse_single(self, policy: StoredPolicy, text: RuleText) -> StoredRule:
        try:
            name = checked_rule_name(text.name)
        except errors.InvalidRuleName:
            if not any(rule.record.name == text.name for rule in policy.rules.values()):
                raise
            name = text.name  # from before names were checked
        parsed = text.parsed(policy.record.name)
        return StoredRule(RuleRecord(policy.record.id, text.rule, name, text.comment), parsed)

    def _refuse_twins(self, policy: StoredPolicy, rule: StoredRule) -> None:
        """The engine knows no rule that is out of force, so it cannot tell that this is one of them.

        :raises RuleExists: it is.
        """
        others = (other for other in policy.rules.values() if other.record.id != rule.record.id)
        if self._refusals and any(other.refused and _shape(rule) == _shape(other) for other in others):
            raise errors.RuleExists(f"policy {policy.record.name!r} has this rule already, out of force")

    def _exchange(
        self,
        policy: StoredPolicy,
        added: Sequence[StoredRule],
        removed: Iterable[str],
        findings: Sequence[Diagnostic] = (),
    ) -> Delta:
        """Put rules into force and take others out; ``findings`` are what is wrong with the texts of yet others."""
        add = [_new(policy.record.name, rule) for rule in added]
        remove = [rule_id for rule_id in removed if not policy.rules[rule_id].refused]
        if not (add or remove or findings):
            return {}
        try:
            return self.engine.apply(add=add, remove=remove, findings=findings)
        except PolicyError as error:
            if {d.code for d in error.diagnostics} == {DUPLICATE}:
                raise errors.RuleExists(error.diagnostics[0].message) from error
            raise errors.RuleInvalid(diagnostics=error.diagnostics) from error
        except EngineError as error:
            raise errors.RuleInvalid(str(error)) from error

    def _exchanged(self, policy: StoredPolicy, added: Iterable[StoredRule], removed: Iterable[str]) -> None:
        for rule_id in removed:
            self._forgotten(policy, policy.rules.pop(rule_id))
        for rule in added:
            policy.rules[rule.record.id] = rule
            self._count(policy.record.name, rule, 1)

    def _forgotten(self, policy: StoredPolicy, rule: StoredRule) -> None:
        if not rule.refused:
            self._count(policy.record.name, rule, -1)

    def _remember(self, policy: StoredPolicy) -> None:
        self._by_name[policy.record.name] = policy
        self._names[policy.record.id] = policy.record.name

    @contextmanager
    def _atomically(self) -> Iterator[None]:
        """What happens inside happens in the engine and in the database, or in neither."""
        try:
            with self.engine.transaction():
                yield
        except NameTaken as error:
            raise errors.PolicyNameTaken(str(error)) from error
        except Unstorable as error:
            raise errors.InvalidPolicy(str(error)) from error
        except DbError as error:
            raise errors.StorageFailed(str(error)) from error


@contextmanager
def gathering(findings: list[Diagnostic]) -> Iterator[None]:
    """What is wrong with the text of a rule is noted, so that the next one can be looked at, too."""
    try:
        yield
    except errors.RuleInvalid as error:
        if not isinstance(error.__cause__, PolicyError):
            raise
        findings += error.__cause__.diagnostics


def parse_one(text: object, policy: str) -> syntax.Rule:
    """The one rule of a text.

    :raises RuleInvalid: it is none.  :raises MultipleRules: there are several.
    """
    if not isinstance(text, str):
        raise errors.RuleInvalid("a rule is a text")
    try:
        statements = parse(text, policy).statements
    except PolicyError as error:
        raise errors.RuleInvalid(diagnostics=error.diagnostics) from error
    if not statements:
        raise errors.RuleInvalid("there is no rule in the text")
    if len(statements) > 1:
        raise errors.MultipleRules(f"there are {len(statements)} rules in the text")
    return statements[0]


def _new(policy: str, rule: StoredRule) -> NewRule:
    assert rule.parsed is not None  # those without were refused before
    return NewRule(policy, rule.parsed, rule.record.id)


def _shape(rule: StoredRule) -> object:
    """What makes two rules the same: all but the order of the body's literals."""
    parsed = rule.parsed
    return rule.record.id if parsed is None else (parsed.heads, frozenset(parsed.body), parsed.has_body)
