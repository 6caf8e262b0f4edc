# SPDX-License-Identifier: Apache-2.0
"""Which variables a body binds, and the order in which its literals can run.

The order of a written body does not matter: a literal runs when its inputs are bound, wherever it stands.
"""

from collections.abc import Iterable, Sequence

from congress.datalog.core import Const, Equal, Item, Negative, Positive, Test, variables


def needs(item: Item, bound: set[str]) -> set[str]:
    """Variables that must be bound before this literal can run, given those that are."""
    if isinstance(item, Positive):
        return set()
    if isinstance(item, Negative):
        return set(variables(item.args)) - bound
    if isinstance(item, Test):
        wanted = set(variables(item.inputs))
        if item.negated:
            wanted |= set(variables(item.outputs))
        return wanted - bound
    free = [arg for arg in (item.left, item.right) if isinstance(arg, str) and arg not in bound]
    if item.negated or len(free) > 1:
        return set(free)
    return set()


def binds(item: Item) -> set[str]:
    """Variables that are bound once this literal has run."""
    if isinstance(item, Positive):
        return set(variables(item.args))
    if isinstance(item, Test):
        return set() if item.negated else set(variables(item.outputs))
    if isinstance(item, Equal) and not item.negated:
        return {arg for arg in (item.left, item.right) if isinstance(arg, str)}
    return set()


def closure(body: Sequence[Item], bound: Iterable[str] = ()) -> tuple[set[str], list[Item]]:
    """All variables that the body can bind, and the literals that can never run."""
    known = set(bound)
    rest = list(body)
    while True:
        stuck = []
        for item in rest:
            if needs(item, known):
                stuck.append(item)
            else:
                known |= binds(item)
        if len(stuck) == len(rest):
            return known, stuck
        rest = stuck


def is_fixed(arg: object, bound: set[str]) -> bool:
    """Whether an argument has a value, given the bound variables."""
    return isinstance(arg, Const) or (isinstance(arg, str) and arg in bound)
