# SPDX-License-Identifier: Apache-2.0
"""One change on its way through the graph: from base rows up, each table once, until nothing more follows.

A table passes from its old to its new state while all others are wholly old or wholly new, so what each rule
contributes for each changed table adds up to exactly the difference (also for self-joins, whose earlier places do
not see the changed rows).  Everything done is written to a journal that :meth:`Transaction.undo` takes back.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from contextlib import nullcontext
from typing import Any

from congress.datalog.blame import culprit
from congress.datalog.codegen import Purpose
from congress.datalog.graph import Component, Graph, Node
from congress.datalog.limits import TABLE_LIMIT, LimitExceeded
from congress.datalog.recursion import Upkeep
from congress.datalog.runtime import Meter, Occurrence, RuleNode, Said
from congress.datalog.table import Mode, Table
from congress.datalog.values import Row

Numbers = dict[Row, int]


class Pending:
    """What a table is about to gain and lose.

    For a counted table ``gains`` has the sum of both; for a ranked one ``losses`` is kept apart, since a derivation
    lost may be another than the one gained.
    """

    __slots__ = ("gains", "losses", "rule")

    def __init__(self, ranked: bool) -> None:
        self.gains: defaultdict[Row, int] = defaultdict(int)
        self.losses: defaultdict[Row, int] = defaultdict(int) if ranked else self.gains
        self.rule: RuleNode | None = None

    def side(self, sign: int, ranked: bool) -> tuple[defaultdict[Row, int], int]:
        """Where contributions of this sign go, and the number to add for each."""
        return (self.losses if ranked and sign < 0 else self.gains), sign


class Transaction:
    """Carries changes through the graph and remembers how to take them back."""

    def __init__(self, graph: Graph, meter: Meter) -> None:
        self.graph = graph
        self.meter = meter
        self.limits = meter.limits
        self.deltas: dict[str, tuple[Numbers, Numbers]] = {}
        self.said: Said = {}  # by rules that noted something, before they did
        self._journal: list[Callable[[], None]] = []
        self._afterwards: list[Callable[[], None]] = []
        self._pending: dict[str, Pending] = {}
        self._agenda: list[tuple[int, int, Node]] = []
        self._order = 0

    # -- journal

    def on_undo(self, action: Callable[[], None]) -> None:
        """Remember how to take something back."""
        self._journal.append(action)

    def on_commit(self, action: Callable[[], None]) -> None:
        """Do something once nothing can be taken back any more."""
        self._afterwards.append(action)

    def commit(self) -> None:
        """Let go of the journal."""
        self._journal = []
        for action in self._afterwards:
            action()
        self._afterwards = []

    def undo(self) -> None:
        """Take everything back, last first."""
        self._afterwards = []
        while self._journal:
            self._journal.pop()()
        for rule, (errors, number) in self.said.items():
            rule.errors, rule.error_count = errors, number
        self.said.clear()
        self.deltas = {}
        self._pending.clear()
        self._agenda.clear()

    def adopt(self, other: "Transaction") -> None:
        """Take over another transaction's journal, as if it had been part of this one."""
        self._journal.extend(other._journal)
        self._afterwards.extend(other._afterwards)
        other._journal, other._afterwards = [], []
        for rule, said in other.said.items():
            self.said.setdefault(rule, said)

    # -- entry points

    def change_base(self, node: Node, insertions: Iterable[Row], retractions: Iterable[Row]) -> None:
        """Change a base table; rows that are there already, or are not there to retract, do not count."""
        rows = node.table.rows
        lost: Numbers = {row: 1 for row in retractions if row in rows}
        if not rows:
            gained: Numbers = dict.fromkeys(insertions, 1)
        else:
            gained = {row: 1 for row in insertions if row not in rows or row in lost}
            if lost and gained:
                both = lost.keys() & gained.keys()
                for row in both:
                    del lost[row], gained[row]
        if gained or lost:
            self.transition(node, gained, lost)

    def give(self, node: Node, row: Row, sign: int) -> None:
        """One unconditional support of a row more or less: a fact."""
        pending = self.pending(node)
        acc, number = pending.side(sign, node.table.mode is Mode.RANKED)
        acc[row] += number
        self._change_given(node, {row: sign})

    def evaluate(self, rule: RuleNode) -> None:
        """Add everything that a rule derives from the present rows."""
        if self._may_derive(rule):
            pending = self.pending(self.graph.nodes[rule.core.table])
            pending.rule = rule
            rule.count_all(1, pending.gains)

    def withdraw(self, rule: RuleNode) -> None:
        """Take away everything that a rule, still connected, derives; no limit keeps it from that.

        What it derived bit by bit it may not derive at once, within its limits.  Then its table is told what the other
        rules derive.
        """
        node = self.graph.nodes[rule.core.table]
        if not node.table.rows and node.key not in self._pending:
            return
        pending = self.pending(node)
        ranked = node.table.mode is Mode.RANKED
        if len(node.rules) > 1 or (ranked and pending.gains):
            lost = self._derived_by(rule, bounded=not (ranked and pending.gains))
            if lost is not None:
                acc, number = pending.side(-1, ranked)
                for row, times in lost.items():
                    acc[row] -= number * times
                return
        if ranked:
            # Each row is looked at: what it is derived from is no question of how often.
            pending.losses.update(dict.fromkeys(node.table.rows, -1))
            return
        counts = self.counts(node, [other for other in node.rules.values() if other is not rule])
        pending.gains.clear()
        pending.gains.update({row: -number for row, number in node.table.rows.items()})
        for row, number in counts.items():
            pending.gains[row] += number

    def counts(self, node: Node, rules: Iterable[RuleNode]) -> dict[Row, int]:
        """How many derivations each row of a table has by these of its rules, its facts and stages."""
        counts = defaultdict(int, node.given)
        with self.meter.unbounded():
            for rule in rules:
                if self._may_derive(rule):
                    rule.count_all(1, counts)
        counts.default_factory = None
        return counts

    def _derived_by(self, rule: RuleNode, *, bounded: bool) -> dict[Row, int] | None:
        """How many derivations a rule has for each row, below zero; None when that takes it over a limit."""
        found: defaultdict[Row, int] = defaultdict(int)
        if not self._may_derive(rule):
            return found
        rule.begin()
        try:
            with nullcontext() if bounded else self.meter.unbounded():
                rule.count_all(-1, found)
        except LimitExceeded:
            return None
        return found

    def _may_derive(self, rule: RuleNode) -> bool:
        return all(self.graph.tables[key].rows for key in rule.positives)

    def operate(self, node: Node, changes: Mapping[Row, int]) -> None:
        """Take in what a stage changed in its target table."""
        pending = self.pending(node)
        ranked = node.table.mode is Mode.RANKED
        kept = {row: number for row, number in changes.items() if number}
        for row, number in kept.items():
            if ranked and number < 0:
                pending.losses[row] += number
            else:
                pending.gains[row] += number
        self._change_given(node, kept)

    def _change_given(self, node: Node, changes: Mapping[Row, int]) -> None:
        _add(node.given, changes, 1)
        self.on_undo(lambda: _add(node.given, changes, -1))

    def run(self) -> None:
        """Pass everything pending on, from lower to higher levels."""
        while self._agenda:
            _, _, node = heapq.heappop(self._agenda)
            if node.component is not None:
                self._finish_component(node.component)
            else:
                self._finish_counted(node)

    # -- pending

    def pending(self, node: Node) -> Pending:
        """What waits for a node, queueing the node when nothing did yet."""
        waiting = self._pending.get(node.key)
        if waiting is None:
            waiting = self._pending[node.key] = Pending(node.table.mode is Mode.RANKED)
            self._order += 1
            heapq.heappush(self._agenda, (node.level, self._order, node))
        return waiting

    # -- one table from old to new

    def unshare(self, node: Node) -> None:
        """A table that was filled at once shares its rows with the books; before it changes again they get a copy."""
        recorded = self.deltas.get(node.key)
        if recorded is not None and recorded[0] is node.table.rows:
            self.deltas[node.key] = (dict(recorded[0]), recorded[1])

    def transition(self, node: Node, gained: Numbers, lost: Numbers, rule: RuleNode | None = None) -> None:
        """Move a table to its new state, telling everything that reads it.

        ``gained`` is kept: do not change it.  ``rule`` is the one to blame should the table outgrow its limit.
        """
        table = node.table
        readers, absences = node.readers, node.absences
        if node.key in self.deltas:
            self.unshare(node)
        if lost:
            if readers:
                self._tell_positive(node, readers.values(), lost, -1)
            self._remove(table, lost)
            if absences:
                self._tell_negative(node, absences.values(), lost, 1)
        if gained:
            if absences:
                self._tell_negative(node, absences.values(), gained, -1)
            self._insert(node, gained, rule)
            if readers and len(gained) >= FILLED_FROM and len(gained) == len(table.rows):
                self._tell_all(node, readers.values())
            elif readers:
                self._tell_positive(node, readers.values(), gained, 1)
        self._record(node, gained, lost)
        if node.outputs:
            self._feed_operators(node, gained, lost)

    def publish_component(self, changes: Mapping[Node, tuple[Numbers, Numbers]]) -> None:
        """Tell readers outside a component what it has already changed in its own tables."""
        changed = {node: change for node, change in changes.items() if any(change)}
        outside = {
            node: [r for r in node.readers.values() if self.graph.nodes[r.core.table].component is not node.component]
            for node in changed
        }
        if self._only_gains(changed, outside):
            for node, (gained, _) in changed.items():
                self._tell_positive(node, outside[node], gained, 1)
        elif any(outside.values()):
            changed = {
                node: (dict(gained) if gained is node.table.rows else gained, lost)
                for node, (gained, lost) in changed.items()
            }
            # A reader is to see one table change at a time, so all go back to where they were first.
            for node, (gained, lost) in changed.items():
                self._move(node.table, lost, gained)
            for node, (gained, lost) in changed.items():
                readers = outside[node]
                if lost:
                    self._tell_positive(node, readers, lost, -1)
                    self._move(node.table, {}, lost)
                    self._tell_negative(node, readers, lost, 1)
                if gained:
                    self._tell_negative(node, readers, gained, -1)
                    self._move(node.table, gained, {})
                    self._tell_positive(node, readers, gained, 1)
        for node, (gained, lost) in changed.items():
            self._record(node, gained, lost)
            if node.outputs:
                self._feed_operators(node, gained, lost)

    def _only_gains(
        self, changed: Mapping[Node, tuple[Numbers, Numbers]], outside: Mapping[Node, list[RuleNode]]
    ) -> bool:
        """Whether one table changed, by gains alone, and nobody asks for absences in it."""
        if len(changed) != 1:
            return False
        ((node, (_, lost)),) = changed.items()
        return not lost and not any(node.key in rule.negatives for rule in outside[node])

    def _move(self, table: Table, come: Numbers, go: Numbers) -> None:
        """Put rows in and take others out, with no word to anyone."""

        def move(put: Numbers, take: Numbers) -> None:
            for row in take:
                del table.rows[row]
            table.remove_from_indexes(take)
            table.rows.update(put)
            table.insert_into_indexes(put)

        move(come, go)
        self.on_undo(lambda: move(go, come))

    def _insert(self, node: Node, gained: Numbers, rule: RuleNode | None) -> None:
        table = node.table
        if not table.rows:
            old = table.rows
            table.rows = gained if len(gained) > SWAP_FROM else dict(gained)
            table.insert_into_indexes(gained)

            def back() -> None:
                table.rows = old
                for index in table.indexes.values():
                    index.map = {}

            self.on_undo(back)
        else:
            table.rows.update(gained)
            table.insert_into_indexes(gained)
            self.on_undo(lambda: _take_out(table, gained))
        if len(table.rows) > node.replan_at:
            node.replan_at = 8 * len(table.rows)
            for reader in node.readers.values():
                reader.replan()
        if len(table.rows) > self.limits.rows:
            guilty = culprit(self.graph, node, rule)
            if guilty is not None:
                raise self.too_many(node, guilty)

    def too_many(self, node: Node, rule: RuleNode) -> LimitExceeded:
        """What to raise when a rule made a table outgrow its limit."""
        return LimitExceeded(rule.id, TABLE_LIMIT, f"{node.key} has more than {self.limits.rows} rows")

    def _remove(self, table: Table, lost: Numbers) -> None:
        rows = table.rows
        for row in lost:
            del rows[row]
        table.remove_from_indexes(lost)

        def back() -> None:
            table.rows.update(lost)
            table.insert_into_indexes(lost)

        self.on_undo(back)

    def _record(self, node: Node, gained: Numbers, lost: Numbers) -> None:
        if node.hidden:
            return
        key = node.key
        before = self.deltas.get(key)
        if before is None:
            self.deltas[key] = (gained, lost)
            return
        gains, losses = dict(before[0]), dict(before[1])
        for row, number in lost.items():
            if gains.pop(row, None) is None:
                losses[row] = number
        for row, number in gained.items():
            if losses.pop(row, None) is None:
                gains[row] = number
        self.deltas[key] = (gains, losses)

    def _feed_operators(self, node: Node, gained: Numbers, lost: Numbers) -> None:
        for operator in node.outputs:
            acc: defaultdict[Row, int] = defaultdict(int)
            operator.apply(gained, lost, acc)
            self.on_undo(lambda operator=operator: operator.apply(lost, gained, {}))  # type: ignore[misc]
            if acc:
                self.operate(self.graph.nodes[operator.stage.table], acc)

    # -- telling rules

    def _tell_positive(self, node: Node, readers: Iterable[RuleNode], delta: Numbers, sign: int) -> None:
        for rule in readers:
            for occurrence in rule.positives.get(node.key, ()):
                for other in occurrence.others:
                    if not other.rows:
                        break
                else:
                    acc, number = self._side(rule, sign)
                    rule.count(occurrence, delta, number, acc)

    def _tell_all(self, node: Node, readers: Iterable[RuleNode]) -> None:
        """A table that had no rows was filled at once: all that its readers derive is new."""
        tables = self.graph.tables
        for rule in readers:
            if node.key in rule.positives and all(tables[key].rows for key in rule.positives):
                acc, number = self._side(rule, 1)
                rule.count_all(number, acc)

    def _tell_negative(self, node: Node, readers: Iterable[RuleNode], delta: Numbers, sign: int) -> None:
        """``sign`` 1: rows are gone, absences came to hold; -1: rows are about to come, absences cease to hold."""
        for rule in readers:
            occurrences = rule.negatives.get(node.key)
            if not occurrences or not any(all(t.rows for t in o.others) for o in occurrences):
                continue
            changed = {o.columns: self._changed_keys(rule, node.table, o, delta) for o in occurrences}
            # See congress.datalog.codegen: later places of the same table are to be in their other state.
            for occurrence in occurrences if sign > 0 else reversed(occurrences):
                keys = changed[occurrence.columns]
                if keys and all(other.rows for other in occurrence.others):
                    acc, number = self._side(rule, sign)
                    rule.run(occurrence.start, Purpose.COUNT, keys, number, acc, (), changed)

    def _changed_keys(self, rule: RuleNode, table: Table, occurrence: Occurrence, delta: Numbers) -> Any:
        """Values of the negated literal's columns that no row has any more, or that none has yet."""
        columns = occurrence.columns
        if occurrence.whole:
            return delta
        if not columns:
            return () if table.rows else ((),)
        index = rule.index(table, columns)
        single = columns[0]
        keys = {row[single] for row in delta} if len(columns) == 1 else {index.key(row) for row in delta}
        return [key for key in keys if key not in index.map]

    def _side(self, rule: RuleNode, sign: int) -> tuple[defaultdict[Row, int], int]:
        node = self.graph.nodes[rule.core.table]
        pending = self._pending.get(node.key) or self.pending(node)
        pending.rule = rule
        if sign < 0 and pending.losses is not pending.gains:
            return pending.losses, sign
        return pending.gains, sign

    # -- finishing tables

    def _finish_counted(self, node: Node) -> None:
        table = node.table
        pending = self._pending.pop(node.key)
        acc = pending.gains
        rows = table.rows
        acc.default_factory = None
        if not rows and (not acc or min(acc.values()) > 0):
            gained: Numbers = acc
            lost: Numbers = {}
        else:
            gained, lost = self._add_counts(table, acc)
        if gained or lost:
            self.transition(node, gained, lost, pending.rule)

    def _add_counts(self, table: Table, acc: Mapping[Row, int]) -> tuple[Numbers, Numbers]:
        """Add to the counts of rows that stay; the rows that come and go."""
        rows = table.rows
        gained: Numbers = {}
        lost: Numbers = {}
        kept: Numbers = {}
        for row, number in acc.items():
            if not number:
                continue
            old = rows.get(row)
            if old is None:
                gained[row] = number
            elif old + number:
                rows[row] = old + number
                kept[row] = number
            else:
                lost[row] = old
        if kept:
            self.on_undo(lambda: _add_present(table, kept, -1))
        return gained, lost

    def _finish_component(self, component: Component) -> None:
        waiting = {}
        for node in component.nodes:
            pending = self._pending.get(node.key)
            if pending is not None:
                waiting[node] = pending
        for node in waiting:
            del self._pending[node.key]
        if waiting:  # else another of the component's tables had its turn for all of them
            self.publish_component(Upkeep(self, component).run(waiting))


# Bulk loads hand their dict over instead of copying it; small ones are copied since deltas are read later.
SWAP_FROM = 1000

# Fewer rows than this drive what follows from them though their table had none before: more like them will come, and
# the indexes that takes are made for those as well.
FILLED_FROM = 100


def _add(counts: MutableMapping[Row, int], changes: Mapping[Row, int], sign: int) -> None:
    for row, number in changes.items():
        total = counts.get(row, 0) + sign * number
        if total:
            counts[row] = total
        else:
            del counts[row]


def _add_present(table: Table, changes: Mapping[Row, int], sign: int) -> None:
    rows = table.rows
    for row, number in changes.items():
        rows[row] += sign * number


def _take_out(table: Table, rows: Mapping[Row, int]) -> None:
    for row in rows:
        del table.rows[row]
    table.remove_from_indexes(rows)
