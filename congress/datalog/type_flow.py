# SPDX-License-Identifier: Apache-2.0
"""What the tables of policies can hold, by all the rules that derive them.

It depends on every rule upstream and, where rules are recursive, is a least fixed point: a rule that goes can take
from it what no count of derivations would show.  So nothing of it is kept while rules come and go, which costs them
nothing; it is found anew when somebody asks (``congress check`` does).
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from congress.datalog import syntax
from congress.datalog.column_types import ANY, NUMBER, Kinds, Services, Tables, kind_of
from congress.datalog.core import AggregateStage, Const, Negative, Positive, Resolved
from congress.datalog.diagnostics import Diagnostic
from congress.datalog.ordering import sources_first
from congress.datalog.type_inference import Inference
from congress.datalog.values import Row


@dataclass(frozen=True, slots=True)
class Derivation:
    """A rule or fact of a policy, and the table it derives.  One that is not in force has nothing ``resolved``."""

    rule: syntax.Rule
    table: str
    columns: tuple[str | None, ...]
    fact: Row | None
    resolved: Resolved | None


class Flow(Tables):
    """The kinds that policies' tables have by their rules: the least that agree with each other."""

    def __init__(self, services: Services, derivations: Sequence[Derivation]) -> None:
        super().__init__(services)
        self.derived: dict[str, list[Kinds]] = {}
        self.names: dict[str, tuple[str | None, ...]] = {}
        reads = [tuple(dict.fromkeys(_reads(made))) for made in derivations]
        readers: dict[str, list[int]] = {}
        for number, made in enumerate(derivations):
            self.derived.setdefault(made.table, [0] * len(made.columns))
            names = self.names.setdefault(made.table, made.columns)
            if names != made.columns:
                both = zip(names, made.columns, strict=True)
                self.names[made.table] = tuple(a if a == b else None for a, b in both)
            for table in reads[number]:
                readers.setdefault(table, []).append(number)
        numbers = list(range(len(derivations)))
        order = sources_first(numbers, lambda n: derivations[n].table, lambda n: reads[n])
        queue = deque(order)
        waiting = set(queue)
        while queue:
            number = queue.popleft()
            waiting.discard(number)
            made = derivations[number]
            if self._join(made):
                more = [reader for reader in readers.get(made.table, ()) if reader not in waiting]
                queue += more
                waiting.update(more)

    def kinds(self, table: str) -> Sequence[Kinds]:
        return self.derived.get(table) or super().kinds(table)

    def column(self, table: str, at: int) -> str:
        names = self.names.get(table)
        return (names[at] or str(at)) if names is not None else super().column(table, at)

    def _join(self, made: Derivation) -> bool:
        """Add what a rule gives its table; whether that was anything new."""
        before = self.derived[made.table]
        after = [old | new for old, new in zip(before, self._head(made), strict=True)]
        self.derived[made.table] = after
        return before != after

    def _head(self, made: Derivation) -> Sequence[Kinds]:
        if made.fact is not None:
            return [kind_of(value) for value in made.fact]
        resolved = made.resolved
        if resolved is None:
            return [ANY] * len(made.columns)  # who knows what it derives when it comes to that
        inference = Inference(resolved.rule.body, self, None)
        kinds = [inference.held(arg).kinds for arg in resolved.rule.args]
        if inference.dead:
            return [0] * len(made.columns)
        for stage in resolved.stages:
            if isinstance(stage, AggregateStage):
                kinds = [_grouped(output, kinds) for output in stage.output]
            else:
                kinds = [kinds[at] for at in stage.output]
        return kinds


def _grouped(output: Const | int | tuple[str, int], kinds: Sequence[Kinds]) -> Kinds:
    if isinstance(output, Const):
        return kind_of(output.value)
    if isinstance(output, int):
        return kinds[output]
    function, at = output
    return kinds[at] if function in ("min", "max") else NUMBER


def _reads(made: Derivation) -> Iterator[str]:
    for item in made.resolved.rule.body if made.resolved is not None else ():
        if isinstance(item, Positive | Negative):
            yield item.table


def flow_warnings(derivations: Mapping[str, Derivation], services: Services) -> dict[str, list[Diagnostic]]:
    """By rule id, what :func:`type_warnings` finds once it is known what policies' tables hold.

    Literals over the time, which rules in force no longer have, and aggregates are not looked at.
    """
    flow = Flow(services, list(derivations.values()))
    found = {}
    for rule_id, made in derivations.items():
        if made.resolved is not None and not flow.derived.keys().isdisjoint(_reads(made)):
            inference = Inference(made.resolved.rule.body, flow, made.rule)
            if inference.found:
                found[rule_id] = inference.found
    return found
