# SPDX-License-Identifier: Apache-2.0
"""Whether anything mentions the tables of a query: one of a policy that nothing does is a slip of the pen."""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from congress.datalog import syntax
from congress.datalog.diagnostics import NOWHERE, Diagnostic, Source
from congress.datalog.engine import Engine
from congress.datalog.program import UNDEFINED_TABLE
from congress.datalog.resolve import head_table
from congress.policy.dependencies import tables_read
from congress.policy.policies import Policies
from congress.policy.steps import Change, Step


def tables_mentioned(policy: str, rules: Iterable[syntax.Rule]) -> Iterator[str]:
    """Keys of the tables that rules make or read; an update, ``t+``, mentions ``t``."""
    for rule in rules:
        for head in rule.heads:
            yield (
                head_table(policy, head) if isinstance(head, syntax.Modal) else f"{head.service or policy}:{head.table}"
            )
        for key in tables_read(policy, rule):
            yield key.rstrip("+-")


def mentioned_by_steps(policy: str, steps: Iterable[Step]) -> set[str]:
    """Keys of the tables that the steps of a simulation mention."""
    found: set[str] = set()
    for step in steps:
        rules = (*step.insertions, *step.deletions, *step.rules()) if isinstance(step, Change) else (step.rule,)
        found.update(tables_mentioned(policy, rules))
    return found


class Mentions:
    """The tables of policies that something mentions: a rule, in force or not, a fact, or what somebody tries."""

    def __init__(self, engine: Engine, policies: Policies) -> None:
        self._engine = engine
        self._policies = policies

    def of(self, policy: str, as_policy: str) -> set[str]:
        """Keys of the tables that a policy's rules mention, as if they were rules of another."""
        stored = self._policies.find(policy).rules.values()
        return set(tables_mentioned(as_policy, (rule.parsed for rule in stored if rule.parsed is not None)))

    def check(
        self, policy: str, query: syntax.Rule, text: str, besides: Callable[[], Collection[str]] = tuple
    ) -> list[Diagnostic]:
        """What to say of the tables of policies that a query names and nothing mentions.

        :param text: the query as it was written; "" where it was not.
        :param besides: gives more tables that are mentioned; called only if need be.
        """
        undefined = [(item, key) for item, key in self._tables(policy, query) if self._engine.table(key) is None]
        if not undefined:
            return []
        known = {key for stored in self._policies.all() for key in self.of(stored.record.name, stored.record.name)}
        known = known.union(besides())
        return [_unknown(item, key, known, text) for item, key in undefined if key not in known]

    def _tables(self, policy: str, query: syntax.Rule) -> Iterator[tuple[syntax.Literal, str]]:
        owners = self._engine.policies()
        for item in query.body:
            if isinstance(item, syntax.Literal):
                for key in tables_read(policy, replace(query, body=(item,))):
                    if key.partition(":")[0] in owners:
                        yield item, key


def _unknown(item: syntax.Literal, key: str, known: Collection[str], text: str) -> Diagnostic:
    owner = key.partition(":")[0]
    there = sorted(other for other in known if other.partition(":")[0] == owner and "[" not in other)
    near = difflib.get_close_matches(key, there, 3)
    hint = f"is {' or '.join(near)} meant?" if near else f"the tables of {owner} are {_some(there)}"
    span = item.atom.name_span if text else NOWHERE
    return Diagnostic(UNDEFINED_TABLE, f"nothing mentions a table {key}", Source(text, "<query>"), span, hint)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:10]) or "none"
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
