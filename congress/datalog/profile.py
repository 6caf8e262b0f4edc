# SPDX-License-Identifier: Apache-2.0
"""What tables hold and what rules cost."""

import sys
from dataclasses import dataclass

from congress.datalog.program import Program
from congress.datalog.table import Table


@dataclass(frozen=True, slots=True)
class TableProfile:
    """A table's rows, its indexes and an estimate of the memory both take (bytes; values are not counted)."""

    key: str
    rows: int
    indexes: tuple[tuple[int, ...], ...]
    memory: int


@dataclass(frozen=True, slots=True)
class RuleProfile:
    """What a rule's evaluations took: calls, changed rows given to it, derivations that came and went, seconds.

    A recursive rule's derivations are counted where the row is new.  ``memory`` is an estimate of what its groups and
    its rows that wait for their time take (bytes; values are not counted).
    """

    id: str
    policy: str
    text: str
    calls: int
    changed_rows: int
    derivations: int
    seconds: float
    error_count: int
    memory: int


@dataclass(frozen=True, slots=True)
class Profile:
    """All tables, largest first, and all rules in force, dearest first."""

    tables: tuple[TableProfile, ...]
    rules: tuple[RuleProfile, ...]


def profile_of(program: Program) -> Profile:
    """Take stock of a program."""
    tables = [
        TableProfile(key, len(table.rows), tuple(table.indexes), _memory(table))
        for key, table in program.graph.tables.items()
    ]
    rules = []
    for written in program.rules.values():
        node = written.node
        if node is not None:
            cost = node.cost
            rules.append(
                RuleProfile(
                    node.id, node.policy, written.new.rule.text, cost.calls, cost.changed_rows, cost.derivations,
                    cost.seconds, node.error_count, sum(operator.memory() for operator in node.operators),
                )
            )  # fmt: skip
    return Profile(
        tuple(sorted(tables, key=lambda t: -t.memory)),
        tuple(sorted(rules, key=lambda r: (-r.seconds, -r.derivations))),
    )


def _memory(table: Table) -> int:
    """Dictionaries, and rows at the size of an empty tuple and a pointer per column; buckets by a sample."""
    total = sys.getsizeof(table.rows) + len(table.rows) * (sys.getsizeof(()) + 8 * table.arity)
    for index in table.indexes.values():
        total += sys.getsizeof(index.map)
        sample = [entry for _, entry in zip(range(100), index.map.values(), strict=False)]
        buckets = [sys.getsizeof(entry) for entry in sample if type(entry) is not tuple]
        if sample:
            total += sum(buckets) * len(index.map) // len(sample)
    return total
