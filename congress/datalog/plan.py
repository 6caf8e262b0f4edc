# SPDX-License-Identifier: Apache-2.0
"""The order in which a rule's literals are joined when one of them has changed.

Greedy: a filter runs as soon as its variables are bound; then comes the literal that is expected to match the
fewest rows, judged from the sizes of the tables and a sample of their rows at the time of planning.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from congress.datalog.core import Equal, Item, Negative, Positive, Rule, Test
from congress.datalog.safety import binds, is_fixed, needs
from congress.datalog.table import Table


@dataclass(frozen=True, slots=True)
class Step:
    """One literal in its place: which columns are bound when it runs, and how many rows are expected."""

    position: int  # in the rule's body
    item: Item
    bound: tuple[int, ...]  # columns with a value, for tables
    estimate: float


def make_plan(rule: Rule, start: int | None, given: Collection[str], tables: Mapping[str, Table]) -> list[Step]:
    """Order the body, except the literal at ``start`` (whose rows drive the evaluation and bind ``given``)."""
    bound = set(given)
    rest = [(position, item) for position, item in enumerate(rule.body) if position != start]
    steps: list[Step] = []
    while rest:
        position, item, estimate = _choose(rest, bound, tables)
        args = item.args if isinstance(item, Positive | Negative) else ()
        columns = tuple(c for c, arg in enumerate(args) if is_fixed(arg, bound))
        steps.append(Step(position, item, columns, estimate))
        rest.remove((position, item))
        bound |= binds(item)
    return steps


def _choose(rest: Sequence[tuple[int, Item]], bound: set[str], tables: Mapping[str, Table]) -> tuple[int, Item, float]:
    for kinds in ((Equal,), (Test,), (Negative,)):
        for position, item in rest:
            if isinstance(item, kinds) and not needs(item, bound):
                return position, item, 1.0
    best: tuple[float, int, Item] | None = None
    for position, item in rest:
        if isinstance(item, Positive):
            cost = estimate(tables[item.table], item, bound)
            if best is None or cost < best[0]:
                best = (cost, position, item)
    if best is None:
        raise AssertionError("an unsafe rule reached the planner")
    return best[1], best[2], best[0]


def estimate(table: Table, item: Positive, bound: set[str]) -> float:
    """How many rows of the table are expected to fit, for one set of bound values."""
    size = len(table.rows)
    columns = tuple(c for c, arg in enumerate(item.args) if is_fixed(arg, bound))
    if not columns:
        return float(size) + 1.0  # after any literal with a bound column, should that be as long
    if len(columns) == len(item.args):
        return 0.5
    index = table.indexes.get(columns)
    if index is not None:
        return size / (len(index.map) or 1)
    return size / table.distinct(columns)
