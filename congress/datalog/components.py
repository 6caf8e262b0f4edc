# SPDX-License-Identifier: Apache-2.0
"""Tables that become recursive, and those that cease to be: from counting derivations to ranking rows, and back."""

from collections.abc import Iterable

from congress.datalog.graph import Component, Graph, Node
from congress.datalog.table import Mode
from congress.datalog.transaction import Transaction


def rank(tx: Transaction, merged: list[tuple[Node, Component | None]]) -> None:
    """Turn the tables of a new component, lowest first, from counting derivations to ranking rows."""
    nodes = [node for node, _ in merged]
    component = nodes[0].component
    assert component is not None
    before = [(node, node.table.mode, node.table.rows) for node in nodes]
    offsets: dict[Component, int] = {}
    for node, previous in merged:
        table = node.table
        if previous is None:
            component.clock += 1
            table.rows = dict.fromkeys(table.rows, component.clock)
            table.mode = Mode.RANKED
            continue
        if previous not in offsets:
            offsets[previous] = component.clock
            component.clock += previous.clock
        offset = offsets[previous]
        table.rows = {row: number + offset for row, number in table.rows.items()}
    refresh(nodes)

    def back() -> None:
        for node, mode, rows in before:
            node.table.mode, node.table.rows = mode, rows

    tx.on_undo(back)


def refresh(nodes: Iterable[Node]) -> None:
    """Rules whose head is in a component have to know the component's tables."""
    known: dict[Component | None, frozenset[str]] = {None: frozenset()}
    for node in nodes:
        component = node.component
        if component not in known:
            known[component] = frozenset(n.key for n in component.nodes) if component else frozenset()
        keys = known[component]
        for rule in node.rules.values():
            if rule.recursive != keys:
                rule.recursive = keys
                rule.replan()


def split(tx: Transaction, graph: Graph, component: Component) -> None:
    """A rule of the component went: tables that are recursive no more count derivations again."""
    members = component.nodes
    tx.run()
    result = graph.split(component)
    if result is None:
        return
    freed, undo = result
    tx.on_undo(lambda: refresh(members))
    tx.on_undo(undo)
    refresh(members)
    for node in freed:
        _recount(tx, node)


def _recount(tx: Transaction, node: Node) -> None:
    table = node.table
    before = table.rows
    counts = tx.counts(node, node.rules.values())
    table.rows = {row: counts[row] for row in before}
    table.mode = Mode.COUNTED

    def back() -> None:
        table.rows, table.mode = before, Mode.RANKED

    tx.on_undo(back)
