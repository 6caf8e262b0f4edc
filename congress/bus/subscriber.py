# SPDX-License-Identifier: Apache-2.0
"""Subscribing to other services' tables."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from congress.bus.context import NO_IDS
from congress.bus.errors import Overloaded
from congress.bus.messages import Joined, Left
from congress.bus.service import Service
from congress.bus.stream import Ack, Batch, Frame, Inflow, Piece, Tip, Want
from congress.datalog.values import Row

if TYPE_CHECKING:
    from congress.bus.bus import Bus

LOG = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 0.5
"""Seconds between looks at streams for which something is waited for."""


@dataclass(frozen=True, slots=True)
class TableUpdate:
    """What became of one table: exactly the rows to add to and take from the subscriber's copy.

    :ivar publisher: whose table.
    :ivar epoch: which life of the publisher; another one after it restarted.
    :ivar sequence: the number of the publication, counted by the publisher within its epoch.
    :ivar snapshot: whether it came of a whole table (a first one, or after a cut); the rows are the net
        change then too.
    :ivar ids: the ids in force when it was published (the poll's, say).
    """

    publisher: str
    table: str
    epoch: str
    sequence: int
    snapshot: bool
    insertions: Sequence[Row]
    retractions: Sequence[Row]
    ids: Mapping[str, str] = field(default_factory=lambda: NO_IDS)


class Subscriber(Service):
    """A service that subscribes to tables.

    Guarantee: **tables effectively once**.  The updates of a table, applied in the order they come, give the
    publisher's table: first a snapshot, then every change.  Gaps, duplicates, reordering, a publisher's
    restart are seen to here and show only as updates with ``snapshot`` set that hold the net change.  When
    :meth:`on_updates` raises, its updates count as not applied: after a pause a fresh snapshot gives the net
    change again.
    """

    keep_copies = True
    """Whether a copy of each subscribed table is kept here.

    Set it False and override :meth:`copy_of` to hold it elsewhere.
    """

    def __init__(self, name: str) -> None:
        """:param name: see :class:`Service`."""
        super().__init__(name)
        self._inflows: dict[str, Inflow] = {}
        self._copies: dict[tuple[str, str], set[Row]] = {}
        self._progress: dict[str, tuple[str, int, int]] = {}
        self._checking = False
        self._former_resyncs = 0

    def subscribe(self, publisher: str, table: str) -> None:
        """Want a table.  Any thread; does not block; subscribing twice is once.

        A publisher that is not on the bus yet: the subscription becomes active when it comes.
        """
        self.submit(self._subscribe, publisher, table)

    def unsubscribe(self, publisher: str, table: str) -> None:
        """Want a table no more.  Any thread; does not block.

        The copy is dropped; no retractions are delivered for it.
        """
        self.submit(self._unsubscribe, publisher, table)

    def copy_of(self, publisher: str, table: str) -> Collection[Row]:
        """This service's copy of a table; empty when there is none yet.  Worker thread; a live view."""
        return self._copies.get((publisher, table), frozenset())

    def subscriptions(self) -> dict[str, frozenset[str]]:
        """The tables wanted, by publisher.  Worker thread."""
        return {name: inflow.tables for name, inflow in self._inflows.items() if inflow.tables}

    def on_update(self, update: TableUpdate) -> None:
        """Hook: one table changed.  Worker thread; while it runs the publisher's stream backs up."""

    def on_updates(self, updates: list[TableUpdate]) -> None:
        """Hook: all tables of one publication.

        Worker thread; calls :meth:`on_update` for each unless overridden.  The copies hold the changes
        already.
        """
        for update in updates:
            self.on_update(update)

    def on_publisher_gone(self, publisher: str) -> None:
        """Optional hook: the publisher left the bus or its process died.

        The copies stay as they were.  Worker thread.
        """

    def on_publisher_back(self, publisher: str) -> None:
        """Optional hook: a publisher that was gone, or not there yet, is on the bus; snapshots follow.

        Worker thread.
        """

    @property
    def resyncs(self) -> int:
        """How often tables of a publisher had to be fetched anew for something that was lost, cut or could not be
        applied.  Any thread.
        """
        return self._former_resyncs + sum(inflow.resyncs for inflow in list(self._inflows.values()))

    def progress(self) -> dict[str, tuple[str, int, int]]:
        """How far it has come: ``{publisher: (own instance, stream, number)}``.  Any thread."""
        return dict(self._progress)

    def attach(self, bus: "Bus", instance: str) -> None:
        """A new life begins: subscribe anew to everything.  Called by :meth:`Bus.add` only."""
        super().attach(bus, instance)
        self._former_resyncs = self.resyncs
        wanted, self._inflows, self._progress = self.subscriptions(), {}, {}
        self._checking = False
        for publisher, tables in wanted.items():
            for table in tables:
                self.subscribe(publisher, table)

    def _handle(self, message: object) -> None:
        if isinstance(message, Frame):
            self._receive(message)
        elif isinstance(message, Tip):
            inflow = self._inflows.get(message.publisher)
            if inflow is not None:
                self._tell(inflow.tip(message, time.monotonic()))
                self._arm_check()
        else:
            if isinstance(message, Joined):
                self._publisher_joined(message.name)
            elif isinstance(message, Left):
                self._publisher_left(message.name)
            super()._handle(message)

    def _subscribe(self, publisher: str, table: str) -> None:
        now = time.monotonic()
        inflow = self._inflows.get(publisher)
        if inflow is None:
            inflow = Inflow(publisher, self.name, self.instance, self.bus.node_id)
            self._inflows[publisher] = inflow
            if self.bus.find(publisher) is not None:
                inflow.appeared(now)
        self._tell(inflow.want(table, now))
        self._arm_check()

    def _unsubscribe(self, publisher: str, table: str) -> None:
        inflow = self._inflows.get(publisher)
        if inflow is not None:
            self._tell(inflow.unwant(table, time.monotonic()))
            self._copies.pop((publisher, table), None)
            if not inflow.tables:
                self._progress.pop(publisher, None)

    def _publisher_joined(self, publisher: str) -> None:
        inflow = self._inflows.get(publisher)
        if inflow is None or inflow.present:
            return
        self._tell(inflow.appeared(time.monotonic()))
        self._arm_check()
        self._guarded(lambda: self.on_publisher_back(publisher))

    def _publisher_left(self, publisher: str) -> None:
        inflow = self._inflows.get(publisher)
        if inflow is not None and inflow.present:
            inflow.vanished()
            self._guarded(lambda: self.on_publisher_gone(publisher))

    def _receive(self, frame: Frame) -> None:
        inflow = self._inflows.get(frame.publisher)
        if inflow is None:
            return
        batches = inflow.receive(frame, time.monotonic())
        if inflow.number and self._progress.get(inflow.publisher, ("", 0))[1] != inflow.stream:
            self._progress[inflow.publisher] = (self.instance, inflow.stream, 0)
        for batch in batches:
            if not self._apply(inflow, batch):
                inflow.failed(time.monotonic())
                break
        if inflow.unsettled:
            self._arm_check()

    def _apply(self, inflow: Inflow, batch: Batch) -> bool:
        """Bring the copies and the subclass up to date.

        :returns: whether that went well; if not, nothing changed.
        """
        publisher = inflow.publisher
        updates = []
        for piece in batch.pieces:
            insertions, retractions = self._net(publisher, piece)
            if insertions or retractions or piece.snapshot:
                updates.append(
                    TableUpdate(
                        publisher,
                        piece.table,
                        batch.epoch,
                        batch.sequence,
                        piece.snapshot,
                        insertions,
                        retractions,
                        batch.ids,
                    )
                )
        if updates and not self._guarded(partial(self.on_updates, updates), batch.ids):
            self._take_back(updates)
            return False
        self._progress[publisher] = (self.instance, inflow.stream, batch.number)
        if batch.confirm:
            self._tell(Ack(publisher, self.name, self.instance, inflow.stream, batch.number))
        return True

    def _net(self, publisher: str, piece: Piece) -> tuple[Sequence[Row], Sequence[Row]]:
        """What a piece changes; applied, where the copy is kept here."""
        if not self.keep_copies:
            if not piece.snapshot:
                return piece.insertions, piece.retractions
            return _difference(self.copy_of(publisher, piece.table), piece.insertions)
        copy = self._copies.setdefault((publisher, piece.table), set())
        if piece.snapshot:
            insertions, retractions = _difference(copy, piece.insertions)
        else:
            insertions = [row for row in piece.insertions if row not in copy]
            retractions = [row for row in piece.retractions if row in copy]
        copy.difference_update(retractions)
        copy.update(insertions)
        return insertions, retractions

    def _take_back(self, updates: list[TableUpdate]) -> None:
        if self.keep_copies:
            for update in updates:
                copy = self._copies.get((update.publisher, update.table))
                if copy is not None:
                    copy.difference_update(update.insertions)
                    copy.update(update.retractions)

    def _tell(self, message: Want | Ack | None) -> None:
        if message is None:
            return
        member = self.bus.find(message.publisher)
        if member is None:
            return
        try:
            self.bus.send(member.node, message)
        except Overloaded as error:
            # What it says is said again: a wish by the check, an acknowledgement by the announcements.
            LOG.info("subscriber.untold service=%s publisher=%s error=%s", self.name, message.publisher, error)

    def _arm_check(self) -> None:
        if not self._checking:
            self._checking = True
            self.after(CHECK_INTERVAL, self._check)

    def _check(self) -> None:
        self._checking = False
        now = time.monotonic()
        for inflow in self._inflows.values():
            self._tell(inflow.check(now))
            if inflow.unsettled:
                self._arm_check()


def _difference(old: Collection[Row], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    if not old:
        return list(dict.fromkeys(rows)), []
    new = set(rows)
    known = old if isinstance(old, Set) else set(old)
    return list(new - known), list(known - new)
