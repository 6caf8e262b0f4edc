# SPDX-License-Identifier: Apache-2.0
"""Changes that are tried on an engine: facts, rows and rules of whatever policy or service they name."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from congress.datalog import syntax
from congress.datalog.diagnostics import DatalogError, PolicyError
from congress.datalog.engine import Delta, Engine, NewRule
from congress.datalog.values import Row
from congress.policy.errors import PolicyRuntimeError, RuleNotFound, SimulationInvalid
from congress.policy.policies import Policies, parse_one
from congress.policy.steps import Change

_ID: Final = "rehearsed {}"  # no stored rule has such an id

Facts = dict[str, dict[Row, syntax.Rule]]


class Rehearsal:
    """Applies changes to an engine that is within ``hypothetical()``, each all or nothing.

    What is wrong is :class:`~congress.policy.errors.SimulationInvalid`.
    """

    def __init__(self, engine: Engine, policies: Policies, policy: str) -> None:
        """:param policy: whose facts and rules are meant where none is named."""
        self.engine = engine
        self.policy = policy
        self._policies = policies
        self._made = 0

    def change(self, change: Change, step: int | None = None) -> Delta:
        """Carry one change out.  What is inserted and deleted at once is inserted."""
        with refusals(step):
            insertions, deletions = self._facts(change.insertions), self._facts(change.deletions)
            rows: dict[str, tuple[list[Row], list[Row]]] = {}
            added: list[NewRule] = []
            removed = self._removed(change.removed)
            for key in {**insertions, **deletions}:
                gained = insertions.get(key, {})
                lost = {row: fact for row, fact in deletions.get(key, {}).items() if row not in gained}
                owner = key.partition(":")[0]
                if self.engine.schema(owner) is not None:
                    rows[key] = (list(gained), list(lost))
                    continue
                ids = (self.engine.find_rule(owner, fact) for fact in lost.values())
                removed |= {rule_id: None for rule_id in ids if rule_id is not None}
                added += [self.new(owner, f) for f in gained.values() if self.engine.find_rule(owner, f) is None]
            for rule in change.added:
                owner, local = self._localized(rule)
                known = self.engine.find_rule(owner, local)
                if known is None or known in removed:
                    added.append(self.new(owner, local))
            delta = self.engine.apply(rows, added, removed)
            refuse_exceeded(self.engine)
            return delta

    def new(self, policy: str, rule: syntax.Rule) -> NewRule:
        """A rule with an id that no other has."""
        self._made += 1
        return NewRule(policy, rule, _ID.format(self._made))

    def owners(self, change: Change) -> set[str]:
        """The policies and services that a change touches."""
        rules = (*change.insertions, *change.deletions, *change.rules())
        named = {rule.head.service if isinstance(rule.head, syntax.Atom) else None for rule in rules}
        if any(isinstance(rule, str) for rule in change.removed):
            named.add(None)
        return {self.policy if name is None else name for name in named}

    # Parts

    def _facts(self, facts: Iterable[syntax.Rule]) -> Facts:
        found: Facts = {}
        for fact in facts:
            atom = fact.head
            assert isinstance(atom, syntax.Atom)  # steps make sure of it
            owner = self._owner(atom)
            args = self._complete(f"{owner}:{atom.table}", atom)
            row = tuple(term.value for term in args if isinstance(term, syntax.Constant))
            local = replace(fact, heads=(replace(atom, service=None, args=args, named=()),))
            found.setdefault(f"{owner}:{atom.table}", {})[row] = local
        return found

    def _owner(self, atom: syntax.Atom) -> str:
        owner = self.policy if atom.service is None else atom.service
        if owner not in self.engine.policies() and self.engine.schema(owner) is None:
            raise SimulationInvalid(f"there is no policy or service {owner!r:.100}")
        return owner

    def _complete(self, key: str, atom: syntax.Atom) -> tuple[syntax.Term, ...]:
        """The values in the order of the columns."""
        if not atom.named:
            return atom.args
        table = self.engine.table(key)
        columns: tuple[str | None, ...] = () if table is None else table.columns
        placed: dict[int, syntax.Term] = dict(enumerate(atom.args))
        for item in atom.named:
            at = item.column if isinstance(item.column, int) else _index(columns, item.column)
            if at is None or at >= len(columns):
                known = ", ".join(column or "?" for column in columns) or "not known"
                raise SimulationInvalid(f"{key} has no column {item.column!r}; its columns are {known}")
            if at in placed:
                raise SimulationInvalid(f"column {item.column!r} of {key} is given twice")
            placed[at] = item.term
        missing = [column or str(at) for at, column in enumerate(columns) if at not in placed]
        if missing:
            raise SimulationInvalid(f"a row of {key} needs a value for each column; there is none for {missing[0]}")
        return tuple(placed[at] for at in sorted(placed))

    def _localized(self, rule: syntax.Rule) -> tuple[str, syntax.Rule]:
        """The policy that a rule is for, and the rule as that policy writes it."""
        head = rule.head
        if isinstance(head, syntax.Modal) or head.service is None:
            return self.policy, rule
        if head.service not in self.engine.policies():
            raise SimulationInvalid(f"there is no policy {head.service!r:.100} whose rule this could be")
        return head.service, replace(rule, heads=(replace(head, service=None),))

    def _removed(self, rules: Iterable[syntax.Rule | str]) -> dict[str, None]:
        """The ids of rules to remove.  One written out that is not there is none, as it always was."""
        found: dict[str, None] = {}
        for rule in rules:
            if isinstance(rule, str):
                found[self._named(rule)] = None
                continue
            rule_id = self.engine.find_rule(*self._localized(rule))
            if rule_id is not None:
                found[rule_id] = None
        return found

    def _named(self, name: str) -> str:
        """The id of the rule with that id, name or text."""
        try:
            stored = self._policies.find_rule(self._policies.find(self.policy), name)
        except RuleNotFound:
            owner, local = self._localized(parse_one(name, self.policy))
            found = self.engine.find_rule(owner, local)
            if found is None:
                raise SimulationInvalid(f"policy {owner!r} has no such rule: {name:.200}") from None
            return found
        if stored.refused:
            raise SimulationInvalid(f"the rule {name!r:.100} is out of force already")
        return stored.record.id


@contextmanager
def refusals(step: int | None = None) -> Iterator[None]:
    """What the engine refuses inside is an invalid simulation."""
    try:
        yield
    except PolicyError as error:
        raise SimulationInvalid(diagnostics=error.diagnostics, step=step) from error
    except DatalogError as error:
        raise SimulationInvalid(str(error), step=step) from error
    except SimulationInvalid as error:
        if step is None or error.data["step"] is not None:
            raise
        raise SimulationInvalid(str(error), step=step) from error
    except PolicyRuntimeError as error:
        cause = error.__cause__
        raise SimulationInvalid(
            str(error), cause.diagnostics if isinstance(cause, PolicyError) else (), step
        ) from error


def refuse_exceeded(engine: Engine) -> None:
    """What the engine did without a rule that went over a limit is not what would happen."""
    if engine.exceeded:
        raise SimulationInvalid(diagnostics=engine.exceeded)


def _index(columns: tuple[str | None, ...], name: str) -> int | None:
    return columns.index(name) if name in columns else None
