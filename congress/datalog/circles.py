# SPDX-License-Identifier: Apache-2.0
"""Circles through an absence or an aggregate among rules as they are written.

The graph finds the first of those among rules in force.  What a rule reads and derives is known before the schema
that it waits for is, so a circle is found where it is written, not on the day when a service comes; and all circles of
a text are found, whatever else is wrong with it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, pairwise
from typing import Final, NamedTuple, TypeAlias

from congress.datalog import syntax
from congress.datalog.diagnostics import Diagnostic, Span
from congress.datalog.ordering import components
from congress.datalog.resolve import head_terms, literal_table
from congress.datalog.written import UNSTRATIFIED, Written

MOST: Final = 100
"""As many circles of one change are shown; a way is looked for through all tables that depend on one another."""


class Edge(NamedTuple):
    """A rule that derives one table from another; where it asks for an absence there, or for a whole group."""

    written: Written
    strict: Span | None


Edges: TypeAlias = Mapping[str, Mapping[str, Edge]]


def circles(batch: Sequence[Written], readers: Callable[[str], Iterable[Written]]) -> list[Diagnostic]:
    """A finding for every circle that new rules close, at the absence or aggregate if that is new, too.

    :param readers: the rules there are that read a table.
    """
    fresh: defaultdict[str, list[Written]] = defaultdict(list)
    for written in batch:
        for table in written.resolution.uses:
            fresh[table].append(written)

    def followers(table: str) -> dict[str, Edge]:
        found: dict[str, Edge] = {}
        for written in (*fresh.get(table, ()), *readers(table)):
            before = found.get(written.table)
            if before is None or before.strict is None:
                edge = Edge(written, _strict_span(written.new.rule, written.new.policy, table))
                if before is None or edge.strict is not None:
                    found[written.table] = edge
        return found

    edges = _all_that_follows([written.table for written in batch], followers)
    new = set(batch)
    findings = []
    for way in islice(_bad_ways(edges), MOST):
        closing = [edges[a][b] for a, b in pairwise(way) if edges[a][b].written in new]
        if closing:
            edge = max(closing, key=lambda edge: (edge.strict is not None, edge.written.number))
            findings.append(circle(edge.written, way, edge.strict))
    return findings


def circle(written: Written, way: Sequence[str], span: Span | None = None) -> Diagnostic:
    """The finding for a way around."""
    keys = [key.split("#")[0] for key in way]  # without the engine's own tables in between
    path = " -> ".join([key for key, _ in groupby(keys)] if len(set(keys)) > 1 else [keys[0], keys[0]])
    return written.finding(
        UNSTRATIFIED,
        f"{written.table} would depend on its own absence or aggregate: {path}",
        "negation and aggregates may only look at tables that do not depend on this one",
        span,
    )


def is_strict(rule: syntax.Rule, policy: str, table: str) -> bool:
    """Whether a rule that reads this table asks for an absence in it, or for a whole group."""
    return _strict_span(rule, policy, table) is not None


def _strict_span(rule: syntax.Rule, policy: str, table: str) -> Span | None:
    for term in head_terms(rule.head):
        if isinstance(term, syntax.Aggregate):
            return term.span
    for item in rule.body:
        if isinstance(item, syntax.Literal) and item.negated and literal_table(item.atom, policy) == table:
            return item.span
    return None


def _bad_ways(edges: Edges) -> Iterator[list[str]]:
    """Shortest ways around such that each absence or aggregate in a circle is on one of them."""
    shown: set[tuple[str, str]] = set()
    for group in components(edges):
        inside = set(group)
        for last in group:
            for first, edge in edges[last].items():
                if edge.strict is not None and first in inside and (last, first) not in shown:
                    way = [*_way(first, last, edges, inside), first]
                    shown.update(pairwise(way))
                    yield way


def _all_that_follows(starts: Iterable[str], followers: Callable[[str], Mapping[str, Edge]]) -> Edges:
    edges: dict[str, Mapping[str, Edge]] = {}
    queue = list(starts)
    while queue:
        table = queue.pop()
        if table not in edges:
            edges[table] = followers(table)
            queue.extend(edges[table])
    return edges


def _way(first: str, last: str, edges: Edges, inside: set[str]) -> list[str]:
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
