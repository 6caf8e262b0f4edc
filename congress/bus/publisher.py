# SPDX-License-Identifier: Apache-2.0
"""Publishing tables: the mix-in that drivers and the policy runtime share."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING, Final

from congress.bus import context
from congress.bus.errors import BusError
from congress.bus.messages import Census, Joined, Left
from congress.bus.service import Service
from congress.bus.stream import Ack, Frame, Outflow, Piece, Tip, Want, Window
from congress.datalog.values import Row

if TYPE_CHECKING:
    from congress.bus.bus import Bus

Deltas = Mapping[str, tuple[Iterable[Row], Iterable[Row]]]

MISSING_LIMIT: Final = 10
"""After how many announcements of a subscriber's node that do not know a stream the stream is dropped."""
STREAMS_REMEMBERED: Final = 1024


class TablePublisher(Service):
    """A service that publishes tables.

    Guarantee: **tables effectively once**.  Each subscriber gets a snapshot of a table and then every change
    to it, none lost, doubled or out of order, over restarts of the broker too; a subscriber that falls too
    far behind has its stream cut and gets a fresh snapshot when it has caught up, so this process holds a
    bounded backlog for it.
    """

    window = Window()
    """How much may be on its way to one subscriber before its stream is cut."""

    def __init__(self, name: str) -> None:
        """:param name: see :class:`Service`."""
        super().__init__(name)
        self.sequence = 0
        """How many publications there were in this life of the service."""
        self._tables: dict[str, set[Row]] = {}
        self._outflows: dict[str, Outflow] = {}
        self._streams: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._watchers: dict[str, frozenset[str]] = {}
        self._nodes: frozenset[str] = frozenset()

    def publish(self, deltas: Deltas) -> bool:
        """Publish changes of tables: ``{"servers": (insertions, retractions)}``.

        One call is one consistent set: each subscriber gets all its tables of it together.  A row in both
        counts as inserted.  Rows are tuples of row values.  Where this class keeps the rows itself, what
        changes nothing is left out.  Worker thread only (from elsewhere: ``submit(self.publish, deltas)``);
        does not block.

        :returns: whether anything changed.
        """
        self._require_worker()
        pieces = []
        for table, (insertions, retractions) in deltas.items():
            piece = self._merge(table, insertions, retractions)
            if piece.insertions or piece.retractions:
                pieces.append(piece)
        return self._send_out(pieces)

    def publish_snapshot(self, tables: Mapping[str, Iterable[Row]]) -> bool:
        """Publish whole tables; what goes out is the difference to what was published last, as one consistent
        set.

        Worker thread only; does not block.  :returns: whether anything changed.
        """
        self._require_worker()
        deltas = {}
        for table, rows in tables.items():
            new = rows if isinstance(rows, Set) else set(rows)
            old = self.table_rows(table)
            old = old if isinstance(old, Set) else set(old)
            deltas[table] = (new - old, old - new)
        return self.publish(deltas)

    def table_rows(self, table: str) -> Collection[Row]:
        """The rows of a table as last published: what a snapshot is made of, on the worker thread.

        Override it where the rows are kept elsewhere (the engine); ``publish`` then trusts its deltas to be
        exact, nothing is kept here, and ``publish_snapshot`` compares with what this returns.
        """
        return self._tables.get(table, frozenset())

    def subscribers(self, table: str) -> frozenset[str]:
        """The names of the services subscribed to a table now.  Any thread."""
        return self._watchers.get(table, frozenset())

    def subscribed_tables(self) -> Mapping[str, frozenset[str]]:
        """The tables that somebody is subscribed to, and by whom.  Any thread."""
        return self._watchers

    def on_first_subscriber(self, table: str) -> None:
        """Optional hook: somebody wants this table, nobody did before.

        Runs on the worker thread before the subscriber's snapshot is taken, so rows published here are in it.
        """

    def on_last_unsubscribed(self, table: str) -> None:
        """Optional hook: nobody wants this table any more (unsubscribed, service removed, process gone).

        Worker thread.
        """

    @property
    def subscriber_nodes(self) -> frozenset[str]:
        """The nodes on which there are subscribers.  Any thread."""
        return self._nodes

    def attach(self, bus: "Bus", instance: str) -> None:
        """A new life begins: everybody subscribes anew.  Called by :meth:`Bus.add` only."""
        super().attach(bus, instance)
        self.sequence = 0
        self._outflows.clear()
        self._streams.clear()
        self._watchers = {}
        self._nodes = frozenset()

    def _handle(self, message: object) -> None:
        if isinstance(message, Want):
            self._wanted(message)
        elif isinstance(message, Ack):
            self._acked(message)
        elif isinstance(message, Census):
            self._counted(message)
        else:
            if isinstance(message, Left | Joined):
                self._moved(message)
            super()._handle(message)

    def _require_worker(self) -> None:
        if not (self.on_worker or self._thread is None):
            raise BusError(f"only {self.name}'s worker thread publishes; use submit(self.publish, ...)")

    def _merge(self, table: str, insertions: Iterable[Row], retractions: Iterable[Row]) -> Piece:
        """The net change; applied, where the rows are kept here."""
        inserted = dict.fromkeys(insertions)
        if type(self).table_rows is not TablePublisher.table_rows:
            return Piece(table, False, tuple(inserted), tuple(row for row in retractions if row not in inserted))
        rows = self._tables.setdefault(table, set())
        gone = tuple(row for row in dict.fromkeys(retractions) if row in rows and row not in inserted)
        new = tuple(row for row in inserted if row not in rows)
        rows.difference_update(gone)
        rows.update(new)
        return Piece(table, False, new, gone)

    def _send_out(self, pieces: list[Piece]) -> bool:
        if not pieces:
            return False
        self.sequence += 1
        ids = context.ids()
        for outflow in self._outflows.values():
            self._send_frames(outflow, outflow.send(self.sequence, pieces, ids))
        return True

    def _send_frames(self, outflow: Outflow, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self.bus.send(outflow.node, frame)

    def _send_whole(self, outflow: Outflow, tables: Iterable[str]) -> None:
        """Snapshots, as of the last publication."""
        try:
            pieces = [Piece(table, True, tuple(self.table_rows(table))) for table in sorted(tables)]
        except Exception:
            # The subscriber will find that it has no stream, and ask again.
            self._drop(outflow)
            raise
        if pieces:
            self._send_frames(outflow, outflow.whole(self.sequence, pieces, context.ids()))

    def _wanted(self, want: Want) -> None:
        key = (want.subscriber, want.instance)
        outflow = self._outflows.get(want.subscriber)
        if want.stream > self._streams.get(key, 0):
            self._streams[key] = want.stream
            self._streams.move_to_end(key)
            while len(self._streams) > STREAMS_REMEMBERED:
                self._streams.popitem(last=False)
            outflow = Outflow(want, self.instance, self.window, self.bus.chunk(want.node))
        elif outflow is None or (outflow.instance, outflow.stream) != (want.instance, want.stream):
            # It asks on a stream that was given up; that number cannot be begun again.
            self.bus.send(want.node, Tip(self.name, want.subscriber, want.stream, -1))
            return
        whole = outflow.wants(want)
        if whole is None:
            self.bus.send(want.node, Tip(self.name, want.subscriber, want.stream, outflow.sent))
            return
        if want.tables:
            self._outflows[want.subscriber] = outflow
        else:
            self._outflows.pop(want.subscriber, None)
        self._recount()
        if self._outflows.get(want.subscriber) is outflow:
            self._send_whole(outflow, whole)

    def _acked(self, ack: Ack) -> None:
        outflow = self._outflows.get(ack.subscriber)
        if outflow is not None and (outflow.instance, outflow.stream) == (ack.instance, ack.stream):
            self._progressed(outflow, ack.number)

    def _progressed(self, outflow: Outflow, number: int) -> None:
        if outflow.ack(number):
            self._send_whole(outflow, outflow.tables)

    def _counted(self, census: Census) -> None:
        """Set right what an announcement shows to be wrong: streams that one side alone believes in."""
        for outflow in [one for one in self._outflows.values() if one.node == census.node]:
            instance, stream, number = census.flows.get(outflow.subscriber, ("", 0, 0))
            if instance != outflow.instance:
                outflow.missing += 1
                if outflow.missing >= MISSING_LIMIT:
                    self._drop(outflow)
                continue
            outflow.missing = 0
            if stream == outflow.stream:
                self._progressed(outflow, number)
                if outflow.stalled(number):
                    tip = Tip(self.name, outflow.subscriber, outflow.stream, outflow.sent)
                    self.bus.send(outflow.node, tip)
        for subscriber, (instance, stream, _) in census.flows.items():
            known = self._outflows.get(subscriber)
            if known is None or (known.instance == instance and known.stream < stream):
                self.bus.send(census.node, Tip(self.name, subscriber, stream, -1))

    def _moved(self, change: Joined | Left) -> None:
        outflow = self._outflows.get(change.name)
        if outflow is not None and (isinstance(change, Left) == (outflow.instance == change.instance)):
            self._drop(outflow)

    def _drop(self, outflow: Outflow) -> None:
        if self._outflows.get(outflow.subscriber) is outflow:
            del self._outflows[outflow.subscriber]
            self._recount()

    def _recount(self) -> None:
        """Who watches what changed: call the hooks for tables that gained a first or lost the last
        subscriber.
        """
        before = self._watchers
        watchers: dict[str, set[str]] = {}
        for outflow in self._outflows.values():
            for table in outflow.tables:
                watchers.setdefault(table, set()).add(outflow.subscriber)
        self._watchers = {table: frozenset(names) for table, names in watchers.items()}
        self._nodes = frozenset(outflow.node for outflow in self._outflows.values())
        for table in sorted(self._watchers.keys() - before.keys()):
            self._guarded(partial(self.on_first_subscriber, table), context.ids())
        for table in sorted(before.keys() - self._watchers.keys()):
            self._guarded(partial(self.on_last_unsubscribed, table), context.ids())
