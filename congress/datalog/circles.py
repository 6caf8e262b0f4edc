# SPDX-License-Identifier: Apache-2.0
"""Circles through an absence or an aggregate among rules as they are written.

The graph finds those among rules in force.  What a rule reads and derives is known before the schema that it waits
for is, so a circle is found where it is written, not on the day when a service comes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from congress.datalog import syntax
from congress.datalog.ordering import components
from congress.datalog.resolve import head_terms, literal_table

Followers: TypeAlias = Callable[[str], Mapping[str, bool]]
"""The tables derived from one, with whether its absence or a whole group of it is what counts."""


def is_strict(rule: syntax.Rule, policy: str, table: str) -> bool:
    """Whether a rule that reads this table asks for an absence in it, or for a whole group."""
    if any(isinstance(term, syntax.Aggregate) for term in head_terms(rule.head)):
        return True
    return any(
        isinstance(item, syntax.Literal) and item.negated and literal_table(item.atom, policy) == table
        for item in rule.body
    )


def bad_circles(starts: Iterable[str], followers: Followers) -> Iterator[tuple[set[str], list[str]]]:
    """What depends on its own absence or aggregate among all that follows from some tables.

    Each time the tables that depend on one another, and a way around.
    """
    edges = _all_that_follows(starts, followers)
    for group in components(edges):
        inside = set(group)
        strict = [(a, b) for a in group for b, counts in edges[a].items() if counts and b in inside]
        if strict:
            last, first = strict[0]
            yield inside, [*_way(first, last, edges, inside), first]


def _all_that_follows(starts: Iterable[str], followers: Followers) -> dict[str, Mapping[str, bool]]:
    edges: dict[str, Mapping[str, bool]] = {}
    queue = list(starts)
    while queue:
        table = queue.pop()
        if table not in edges:
            edges[table] = followers(table)
            queue.extend(edges[table])
    return edges


def _way(first: str, last: str, edges: Mapping[str, Iterable[str]], inside: set[str]) -> list[str]:
    """A shortest way between two tables of a group."""
    came: dict[str, str] = {first: ""}
    queue = [first]
    for table in queue:
        for following in edges[table]:
            if following in inside and following not in came:
                came[following] = table
                queue.append(following)
    way = [last]
    while way[-1] != first:
        way.append(came[way[-1]])
    return way[::-1]
