# SPDX-License-Identifier: Apache-2.0
"""The order in which many rules are best put into force."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def sources_first(
    items: Sequence[T], gives: Callable[[T], str], takes: Callable[[T], Iterable[str]], *, stable: bool = True
) -> list[T]:
    """The items, each after all that give what it takes.

    A rule that is put into force before those it reads from has to be lifted above each of them as it comes, with all
    that reads from it: for a chain of n rules that is n² steps instead of n.

    :param stable: those that need one another are left in the order they come in; else they are put so that most stand
        after what they take.
    """
    if len(items) < 2:
        return list(items)
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(gives(item), []).append(item)
    needs = {
        name: list(dict.fromkeys(taken for item in group for taken in takes(item) if taken in groups))
        for name, group in groups.items()
    }
    place = {id(item): number for number, item in enumerate(items)}
    ordered: list[T] = []
    for names in components(needs):
        together = [item for name in names for item in groups[name]]
        ordered += sorted(together, key=lambda item: place[id(item)]) if stable and len(names) > 1 else together
    return ordered


def components(needs: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Names that need one another, each group after those it needs (Tarjan's algorithm, without recursion)."""
    found: list[list[str]] = []
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}  # names seen whose group is not known yet, in order
    for root, first in needs.items():
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_[root] = None
        way = [(root, iter(first))]
        while way:
            name, rest = way[-1]
            for needed in rest:
                if needed not in number:
                    number[needed] = low[needed] = len(number)
                    open_[needed] = None
                    way.append((needed, iter(needs[needed])))
                    break
                if needed in open_:
                    low[name] = min(low[name], number[needed])
            else:
                way.pop()
                if way:
                    low[way[-1][0]] = min(low[way[-1][0]], low[name])
                if low[name] == number[name]:
                    found.append(_close(open_, name))
    return found


def _close(open_: dict[str, None], first: str) -> list[str]:
    group = []
    while True:
        name, _ = open_.popitem()
        group.append(name)
        if name == first:
            return group
