# SPDX-License-Identifier: Apache-2.0
"""Recursive components kept up to date by ranks.

Each row of a recursive table carries the round in which it was derived: it has a derivation whose recursive rows
are all of earlier rounds.  That makes deletion exact and cheap: a row that lost a derivation stays when another one
from earlier rows is left, without looking further; only rows without one go, in the order of their ranks, and
what still has any derivation afterwards comes back in a new round.  (Deletion and rederivation as in Gupta, Mumick
and Subrahmanian, "Maintaining Views Incrementally", SIGMOD 1993, bounded by the round numbers of semi-naive
evaluation.)

Many new rows at once go, where a rule allows it, through a function that takes them group by group to their end
(:mod:`congress.datalog.closing`): it gives its rows the ranks of its own rounds, and the component's clock follows.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from congress.datalog import closing
from congress.datalog.blame import culprit, recursive_culprit
from congress.datalog.codegen import Purpose
from congress.datalog.graph import Component, Node
from congress.datalog.runtime import Occurrence, RuleNode
from congress.datalog.values import Row

if TYPE_CHECKING:
    from congress.datalog.transaction import Numbers, Pending, Transaction

FOREVER = 1 << 62  # above every rank


class Upkeep:
    """One component's turn in one transaction."""

    def __init__(self, transaction: "Transaction", component: Component) -> None:
        self.transaction = transaction
        self.meter = transaction.meter
        self.latest: RuleNode | None = None  # the rule that last derived anything
        self.component = component
        self.inner = {node.key for node in component.nodes}
        self.gained: dict[Node, list[list[Row]]] = {node: [] for node in component.nodes}
        self.lost: dict[Node, Numbers] = {node: {} for node in component.nodes}
        self.empty = {node for node in component.nodes if not node.table.rows}
        self.closed: dict[Occurrence, slice] = {}  # which new rows it need not see: they came of it, to the end
        for node in component.nodes:
            transaction.unshare(node)
        clock = component.clock
        transaction.on_undo(lambda: setattr(component, "clock", clock))

    def run(self, waiting: Mapping[Node, "Pending"]) -> dict[Node, tuple["Numbers", "Numbers"]]:
        """Bring all tables of the component up to date; what each gained and lost."""
        self._delete({node: pending.losses for node, pending in waiting.items()})
        fresh: dict[Node, list[Row]] = {}
        deleted = any(self.lost.values())
        if deleted:
            for node, lost in self.lost.items():
                fresh[node] = self._supported(node, lost)
        for node, pending in waiting.items():
            rows = node.table.rows
            lost, losses = self.lost[node], pending.losses
            new = [
                row
                for row, number in pending.gains.items()
                if row not in rows and row not in lost and number + losses.get(row, 0) > 0
            ]
            if new:
                # A derivation may have begun with a row that has just gone.
                fresh.setdefault(node, []).extend(self._supported(node, new) if deleted else new)
        self._insert(fresh)
        return {node: (self._net_gain(node), self.lost[node]) for node in self.component.nodes}

    def _net_gain(self, node: Node) -> "Numbers":
        """What the table gained; what it lost and got back is taken from both."""
        if node in self.empty:
            return node.table.rows  # shared, not copied: see Transaction.unshare
        lost = self.lost[node]
        gained: Numbers = {}
        ranks = node.table.rows
        for rows in self.gained[node]:
            for row in rows:
                if row in lost:
                    del lost[row]
                else:
                    gained[row] = ranks[row]
        return gained

    # -- deletion

    def _delete(self, candidates: Mapping[Node, Iterable[Row]]) -> None:
        """Remove rows left without a derivation from earlier rows, lowest ranks first."""
        doubtful: dict[int, dict[Node, set[Row]]] = {}
        heap: list[int] = []

        def doubt(node: Node, rows: Iterable[Row], above: int) -> None:
            rank_of = node.table.rows.get
            for row in rows:
                rank = rank_of(row)
                if rank is not None and rank > above:
                    level = doubtful.get(rank)
                    if level is None:
                        level = doubtful[rank] = {}
                        heapq.heappush(heap, rank)
                    if node in level:
                        level[node].add(row)
                    else:
                        level[node] = {row}

        for node, rows in candidates.items():
            doubt(node, rows, -1)
        while heap:
            before = self.meter.beside()
            rank = heapq.heappop(heap)
            gone = {node: self._unsupported(node, rows, rank) for node, rows in doubtful.pop(rank).items()}
            for node, lost in gone.items():
                if lost:
                    for head, heads in self._derived_from(node, lost):
                        doubt(head, heads, rank)
                    self._remove(node, lost, rank)
            self._charge(before)

    def _derived_from(self, node: Node, rows: list[Row]) -> list[tuple[Node, set[Row]]]:
        """Heads within the component that have a derivation through one of these rows."""
        found = []
        for rule in node.readers.values():
            if rule.core.table not in self.inner:
                continue
            heads: set[Row] = set()
            for occurrence in rule.positives[node.key]:
                if all(table.rows for table in occurrence.others):
                    rule.run(occurrence.start, Purpose.HEADS, rows, 0, heads)
            if heads:
                self.latest = rule
                found.append((self.transaction.graph.nodes[rule.core.table], heads))
        return found

    def _remove(self, node: Node, rows: list[Row], rank: int) -> None:
        table = node.table
        numbers = dict.fromkeys(rows, rank)
        for row in rows:
            del table.rows[row]
        table.remove_from_indexes(rows)
        self.lost[node].update(numbers)

        def back() -> None:
            table.rows.update(numbers)
            table.insert_into_indexes(numbers)

        self.transaction.on_undo(back)

    def _unsupported(self, node: Node, rows: Iterable[Row], below: int) -> list[Row]:
        """Rows that are neither given nor derived by a rule from rows of the component that rank below."""
        given = node.given
        left = [row for row in rows if row not in given] if given else list(rows)
        for rule in node.rules.values():
            left = rule.lacks(left, below)
        return left

    def _supported(self, node: Node, rows: Iterable[Row]) -> list[Row]:
        """Rows that are given, or derived from anything that is left."""
        kept = list(rows)
        lost = set(self._unsupported(node, kept, FOREVER))
        return [row for row in kept if row not in lost]

    # -- insertion

    def _insert(self, fresh: Mapping[Node, list[Row]]) -> None:
        """Put rows in and derive round after round until nothing new follows."""
        component = self.component
        self._compile()
        component.clock += 1
        rank = component.clock
        for node, rows in fresh.items():
            node.table.rows.update(dict.fromkeys(rows, rank))
            self._note_raw(node, rows)
            self._limit(node)
        delta = {node: rows for node, rows in fresh.items() if rows}
        while delta:
            before = self.meter.beside()
            for node, rows in delta.items():
                self._settle(node, rows)
            self._compile_closing(delta)
            component.clock += 1
            delta = self._round(delta, component.clock)
            self._charge(before)

    def _charge(self, before: float) -> None:
        """The time of a round or rank beside its joins goes to the rule that derived what it was for."""
        if self.meter.timed and self.latest is not None:
            self.latest.charge(self.meter.beside() - before)

    def _round(self, delta: Mapping[Node, list[Row]], rank: int) -> dict[Node, list[Row]]:
        """What the rules derive anew from these rows, in the tables already."""
        following: dict[Node, list[Row]] = {}
        closed, self.closed = self.closed, {}
        for node, rows in delta.items():
            for rule in node.readers.values():
                if rule.core.table not in self.inner:
                    continue
                for occurrence in rule.positives[node.key]:
                    done = closed.get(occurrence)
                    new = rows if done is None else rows[: done.start] + rows[done.stop :]
                    if new and all(table.rows for table in occurrence.others):
                        self._derive(rule, occurrence, new, rank, following)
        return following

    def _limit(self, node: Node) -> None:
        """Rows that come into the component from outside are not to be blamed on its recursive rules."""
        if len(node.table.rows) > self.transaction.limits.rows:
            rule = culprit(self.transaction.graph, node, None, self.inner)
            if rule is not None:
                raise self.transaction.too_many(node, rule)

    def _compile(self) -> None:
        """Make all functions of the rounds first: an index made in a round would hold rows that come in at its end."""
        for node in self.component.nodes:
            for rule in node.readers.values():
                if rule.core.table in self.inner:
                    for occurrence in rule.positives[node.key]:
                        rule.compiled(occurrence.start, Purpose.NEW)

    def _compile_closing(self, delta: Mapping[Node, list[Row]]) -> None:
        """The same for the functions that only many rows need; between two rounds all rows are in the indexes."""
        for node, rows in delta.items():
            if len(rows) >= closing.MANY:
                for rule in node.readers.values():
                    for occurrence in rule.positives.get(node.key, ()):
                        if occurrence.group is not None:
                            rule.compiled(occurrence.start, Purpose.CLOSE)

    def _derive(
        self, rule: RuleNode, occurrence: Occurrence, rows: list[Row], rank: int, following: dict[Node, list[Row]]
    ) -> None:
        component = self.component
        head = self.transaction.graph.nodes[rule.core.table]
        closes = len(rows) >= closing.MANY and occurrence.group is not None and closing.pays(occurrence.group, rows)
        found: list[Row] = []
        try:
            top = rule.run(occurrence.start, Purpose.CLOSE if closes else Purpose.NEW, rows, rank, found)
        finally:
            # The function has put the rows in already; whatever happens now, they must go out again.
            if found:
                self.latest = rule
                batch = following.setdefault(head, [])
                if closes:
                    self.closed[occurrence] = slice(len(batch), len(batch) + len(found))
                batch.extend(found)
                self._note_raw(head, found)
        if closes:
            component.clock = max(component.clock, top)
        if len(head.table.rows) > self.transaction.limits.rows:
            raise self.transaction.too_many(head, recursive_culprit(head, rule, self.inner))

    def _note_raw(self, node: Node, rows: list[Row]) -> None:
        table = node.table

        def back() -> None:
            for row in rows:
                del table.rows[row]

        self.transaction.on_undo(back)

    def _settle(self, node: Node, rows: list[Row]) -> None:
        """Rows that are in the table: now into its indexes and the books."""
        table = node.table
        table.insert_into_indexes(rows)
        self.gained[node].append(rows)
        self.transaction.on_undo(lambda: table.remove_from_indexes(rows))
