# SPDX-License-Identifier: Apache-2.0
"""How a rule is evaluated, for people: join orders, indexes and generated code."""

from dataclasses import dataclass

from congress.datalog.closing import FEW, MANY
from congress.datalog.codegen import Purpose, describe
from congress.datalog.core import Negative, Positive
from congress.datalog.written import Written


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One literal in its place: what it is, the index columns used, and how many rows are expected to fit."""

    literal: str
    access: str  # "index on ...", "look-up", "scan", "test"
    estimate: float


@dataclass(frozen=True, slots=True)
class DeltaPlan:
    """What happens when one literal of the rule changes."""

    changed: str
    steps: tuple[PlanStep, ...]
    code: str
    bulk: str = ""  # the code for many changed rows at once, where that is another


@dataclass(frozen=True, slots=True)
class RulePlan:
    """All plans of a rule, one for each literal that can change."""

    rule_id: str
    text: str
    deltas: tuple[DeltaPlan, ...]

    def render(self) -> str:
        """The plans as a person reads them."""
        lines = [f"rule {self.rule_id}: {self.text}"]
        for delta in self.deltas:
            lines.append(f"  when {delta.changed} changes:")
            for number, step in enumerate(delta.steps, 1):
                lines.append(f"    {number}. {step.literal:<40} {step.access:<28} ~{step.estimate:.4g} rows")
            lines += ["    code:", *("      " + line for line in delta.code.splitlines())]
            if delta.bulk:
                lines += [
                    f"    code from {MANY} rows on, {FEW} or more to a group:",
                    *("      " + line for line in delta.bulk.splitlines()),
                ]
        return "\n".join(lines)


def plan_of(written: Written) -> RulePlan:
    """The plans of a rule that is in force; none for a fact or a rule that waits."""
    rule = written.node
    if rule is None:
        return RulePlan(written.new.id, written.new.rule.text, ())
    deltas = []
    for position, item in enumerate(rule.core.body):
        if not isinstance(item, Positive | Negative):
            continue
        made = rule.compiled(position, Purpose.NEW if item.table in rule.recursive else Purpose.COUNT)
        steps = []
        for step in made.steps:
            steps.append(PlanStep(describe(step.item), _access(step.item, step.bound), step.estimate))
        closes = any(o.start == position and o.group for o in rule.positives.get(item.table, ()))
        bulk = rule.compiled(position, Purpose.CLOSE).source if closes else ""
        deltas.append(DeltaPlan(describe(item), tuple(steps), made.source, bulk))
    return RulePlan(written.new.id, written.new.rule.text, tuple(deltas))


def _access(item: object, bound: tuple[int, ...]) -> str:
    if not isinstance(item, Positive | Negative):
        return "test"
    if len(bound) == len(item.args):
        return "look-up"
    if not bound:
        return "scan"
    return "index on column" + ("s " if len(bound) > 1 else " ") + ", ".join(map(str, bound))
