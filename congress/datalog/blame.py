# SPDX-License-Identifier: Apache-2.0
"""Which of a table's rules made it outgrow its limit: the one that derives most of its rows, not the last to write."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from congress.datalog.graph import Graph, Node
from congress.datalog.operators import Operator
from congress.datalog.runtime import RuleNode
from congress.datalog.values import Row

SAMPLE = 1000
"""About as many rows of a table are looked at: it may have millions."""


def culprit(graph: Graph, node: Node, latest: RuleNode | None, inner: Collection[str] = ()) -> RuleNode | None:
    """The rule to switch off; None where there is none, but rows of services or facts.

    :param latest: the one to name when none derives more.
    :param inner: rules that read these tables are not meant.
    """
    plain = [rule for rule in node.rules.values() if not any(key in inner for key in rule.positives)]
    staged = list(_owners(graph, node.inputs))
    if len(plain) + len(staged) < 2:
        return next(iter([*plain, *(rule for _, rule in staged)]), None)
    rows = _sample(node)
    derived = [(rule.probe(rows), rule) for rule in plain]
    derived += [(operator.makes([row for row, _ in rows]), rule) for operator, rule in staged]
    return max(derived, key=lambda entry: (entry[0], entry[1] is latest))[1]


def recursive_culprit(node: Node, latest: RuleNode, inner: Collection[str]) -> RuleNode:
    """The recursive rule of a table to switch off; ``inner`` are the tables of its component."""
    rules = [rule for rule in node.rules.values() if any(key in inner for key in rule.positives)]
    if len(rules) < 2:
        return latest
    rows = _sample(node)
    return max(rules, key=lambda rule: (rule.probe(rows), rule is latest))


def _sample(node: Node) -> list[tuple[Row, int]]:
    """Rows spread over a table, each with the rank that what derives it must be below (a count serves as well)."""
    return list(islice(node.table.rows.items(), 0, None, max(1, len(node.table.rows) // SAMPLE)))


def _owners(graph: Graph, operators: Sequence[Operator]) -> Iterator[tuple[Operator, RuleNode]]:
    """Stages with the rules whose rows they pass on."""
    for operator in operators:
        source = graph.nodes[operator.stage.source]
        while source.inputs:
            source = graph.nodes[source.inputs[0].stage.source]
        for rule in source.rules.values():
            yield operator, rule
