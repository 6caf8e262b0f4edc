# SPDX-License-Identifier: Apache-2.0
"""The order in which a rule's literals are joined when one of them has changed.

Greedy: a filter runs as soon as its variables are bound; then comes the literal that is expected to match the
fewest rows, judged from the sizes of the tables and a sample of their rows at the time of planning.

When all of a rule is evaluated, any of its literals may be the one to begin with; there what is cheapest is told from
the rows met and from the indexes that are yet to be made.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from congress.datalog.core import Equal, Item, Negative, Positive, Rule, Test, variables
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


# What a row costs, in look-ups: passed by in order, fetched by an index, put into an index.  That takes the time of
# two look-ups, and memory, and it is to be kept up from then on.
PASSED, FETCHED, INDEXED = 0.1, 0.5, 4.0


def best_start(rule: Rule, tables: Mapping[str, Table]) -> tuple[int, Table]:
    """The positive literal, of those that a rule has, whose table's rows all of it is best begun with."""
    start, first = min(rule.positives(), key=lambda entry: _whole_cost(rule, entry[0], entry[1], tables))
    return start, tables[first.table]


def _whole_cost(rule: Rule, start: int, first: Positive, tables: Mapping[str, Table]) -> float:
    met = float(len(tables[first.table].rows))
    cost = met * PASSED
    for step in make_plan(rule, start, set(variables(first.args)), tables):
        if isinstance(step.item, Positive):
            table = tables[step.item.table]
            cost += met
            if step.bound and len(step.bound) < len(step.item.args) and step.bound not in table.indexes:
                cost += len(table.rows) * INDEXED
            met *= step.estimate
            cost += met * (FETCHED if step.bound else PASSED)
    return cost


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
