# SPDX-License-Identifier: Apache-2.0
"""Which of a table's rules made it outgrow its limit: the one that derives most of its rows, not the last to write."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from congress.datalog.codegen import Purpose
from congress.datalog.graph import Graph, Node
from congress.datalog.operators import Operator
from congress.datalog.runtime import RuleNode
from congress.datalog.values import Row

SAMPLE = 1000
"""About as many rows of a table are looked at: it may have millions."""


def culprit(graph: Graph, node: Node, latest: RuleNode | None, inner: Collection[str] = ()) -> RuleNode | None:
    """The rule to switch off.

    :param latest: the one to name when none derives more.
    :param inner: rules that read these tables are not meant.
    """
    plain = [rule for rule in node.rules.values() if not any(key in inner for key in rule.positives)]
    staged = list(_owners(graph, node.inputs))
    if len(plain) + len(staged) < 2:
        return next(iter([*plain, *(rule for _, rule in staged)]), latest)
    rows = list(islice(node.table.rows, 0, None, max(1, len(node.table.rows) // SAMPLE)))
    derived = [(_derives(rule, rows), rule) for rule in plain]
    derived += [(operator.makes(rows), rule) for operator, rule in staged]
    return max(derived, key=lambda entry: (entry[0], entry[1] is latest))[1]


def _owners(graph: Graph, operators: Sequence[Operator]) -> Iterator[tuple[Operator, RuleNode]]:
    """Stages with the rules whose rows they pass on."""
    for operator in operators:
        source = graph.nodes[operator.stage.source]
        while source.inputs:
            source = graph.nodes[source.inputs[0].stage.source]
        for rule in source.rules.values():
            yield operator, rule


def _derives(rule: RuleNode, rows: Sequence[Row]) -> int:
    """How many of these rows a rule derives; the indexes that takes are let go of again."""
    key = (None, Purpose.EXISTS)
    had = key in rule.functions
    made = rule.compiled(*key)
    if rule.meter.clock is not None:
        rule.started = rule.meter.clock()
    try:
        return sum(1 for row in rows if made.function(row, 0))
    finally:
        if not had:
            del rule.functions[key]
            made.release()
