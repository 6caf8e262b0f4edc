# SPDX-License-Identifier: Apache-2.0
"""What a change of a policy's rules would lead to, before it is made."""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from congress.datalog import syntax
from congress.datalog.diagnostics import DatalogError, Diagnostic, PolicyError
from congress.datalog.engine import Engine, NewRule
from congress.policy import errors
from congress.policy.borrowing import Borrower
from congress.policy.dependencies import tables_read
from congress.policy.enforcement import ACTION_MARK, calls_of
from congress.policy.naming import checked_kind, checked_name
from congress.policy.outcome import SHOWN, Discretion, Outcome, Secrets
from congress.policy.policies import Policies, gathering, parse_one


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rules to come, as texts, and rules to go, by id, name or text.

    ``replace``: all rules go that are not among those to come.  ``kind``: the policy is not there yet.
    """

    policy: str
    rules: Sequence[str] = ()
    remove: Sequence[str] = ()
    replace: bool = False
    kind: str | None = None


class Preview:
    """Tries a bundle of rules on live data.  Runs on the engine's thread; may block on services, as simulations do."""

    def __init__(self, engine: Engine, policies: Policies, borrower: Borrower, secrets: Secrets) -> None:
        """:param secrets: for a service, what marks the secret arguments of its actions."""
        self._secrets = secrets
        self._engine = engine
        self._policies = policies
        self._borrower = borrower

    def run(self, bundle: Bundle, now: float) -> dict[str, Any]:
        """Rows that would appear and vanish, actions that would fire or be asked for no more: plain JSON types.

        :raises RuleInvalid: with every finding in the rules.  :raises RuleNotFound: one to go is not there.
        :raises PolicyNotFound: there is no such policy, and no ``kind``.  :raises PolicyNameTaken: there is, and one.
        """
        with self._engine.hypothetical():
            self._engine.advance(now)
            policy = self._policy(bundle)
            rules, findings = _parse_all(bundle.rules, policy)
            removed = self._removed(policy, bundle.remove)
            if bundle.replace:
                kept = {self._engine.find_rule(policy, rule) for rule in rules}
                removed |= {new.id: None for new in self._engine.rules(policy) if new.id not in kept}
            tables = {key for rule in rules for key in tables_read(policy, rule)}
            unsettled = self._borrower.borrow({key.partition(":")[0] for key in tables}, tables)
            added = self._added(policy, rules, removed)
            outcome = Outcome(self._engine, discretion := Discretion(self._secrets))
            withdrawing = {info.key: info for info in self._engine.tables() if info.action is not None}
            with _refusals():
                delta = outcome.add(self._engine.apply(add=added, remove=removed, findings=findings))
                if self._engine.exceeded:
                    raise errors.RuleInvalid(diagnostics=self._engine.exceeded)
            withdrawn = [
                call
                for key, change in delta.items()
                if ACTION_MARK in key and key in withdrawing
                for call in calls_of(withdrawing[key], change.retractions)
            ]
            return {
                "changes": outcome.changes(),
                "actions": outcome.actions(),
                "withdrawn": [discretion.view(call) for call in withdrawn[:SHOWN]],
                "rules": [self._status(new) for new in added],
                "unsettled": unsettled,
            }

    def _policy(self, bundle: Bundle) -> str:
        if bundle.kind is None:
            return self._policies.find(bundle.policy).record.name
        name, kind = checked_name(bundle.policy), checked_kind(bundle.kind)
        if name in self._engine.policies() or self._engine.schema(name) is not None:
            raise errors.PolicyNameTaken(f"the name {name!r} is taken; leave out kind to change what is there")
        self._engine.create_policy(name, kind)
        return name

    def _removed(self, policy: str, keys: Sequence[str]) -> dict[str, None]:
        """The ids of the rules to go, as far as they are in force."""
        found: dict[str, None] = {}
        for key in keys:
            try:
                stored = self._policies.find_rule(self._policies.find(policy), key)
            except errors.RuleNotFound as error:
                rule_id = self._engine.find_rule(policy, _parsed(key, policy, error))
                if rule_id is None:
                    raise
                found[rule_id] = None
            else:
                if not stored.refused:
                    found[stored.record.id] = None
        return found

    def _added(self, policy: str, rules: Sequence[syntax.Rule], removed: Container[str]) -> list[NewRule]:
        """The rules that are not there yet, each once."""
        found: list[NewRule] = []
        seen: set[object] = set()
        for number, rule in enumerate(rules, 1):
            shape = rule.heads, frozenset(rule.body), rule.has_body
            known = self._engine.find_rule(policy, rule)
            if shape not in seen and (known is None or known in removed):
                seen.add(shape)
                found.append(NewRule(policy, rule, f"previewed {number}"))
        return found

    def _status(self, new: NewRule) -> dict[str, Any]:
        status = self._engine.status(new.id)
        return {
            "rule": new.rule.text,
            "state": status.state,
            "diagnostics": [finding.to_dict() for finding in status.diagnostics],
            "error_count": status.error_count,
        }


def _parse_all(texts: Iterable[str], policy: str) -> tuple[list[syntax.Rule], list[Diagnostic]]:
    """The rules of some texts, and all that is wrong with the others."""
    rules: list[syntax.Rule] = []
    findings: list[Diagnostic] = []
    for text in texts:
        with gathering(findings):
            rules.append(parse_one(text, policy))
    return rules, findings


def _parsed(text: str, policy: str, unknown: errors.RuleNotFound) -> syntax.Rule:
    """The rule of a text that is no rule's id or name."""
    try:
        return parse_one(text, policy)
    except errors.PolicyRuntimeError:
        raise unknown from None


@contextmanager
def _refusals() -> Iterator[None]:
    """What the engine refuses inside are invalid rules."""
    try:
        yield
    except PolicyError as error:
        raise errors.RuleInvalid(diagnostics=error.diagnostics) from error
    except DatalogError as error:
        raise errors.RuleInvalid(str(error)) from error
