# SPDX-License-Identifier: Apache-2.0
"""Changes of tables, from the bus to any number of HTTP clients.

The API subscribes to each streamed table once, keeps one copy of it, and gives every client a snapshot of that copy and
then the changes.  A client that reads too slowly has its waiting changes thrown away and gets a fresh
snapshot when it has caught up: memory is bounded (see :mod:`congress.api.backlog`), and what a client applies in order
always gives the table.
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from congress.api.backlog import Event, Item, Room, Snapshot
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.values import Row

LOG = logging.getLogger(__name__)

Key = tuple[str, str]  # publisher, table

LINGER: Final = 30.0  # seconds that a table stays subscribed after its last client, for those that come back
HISTORY: Final = 256  # changes of a table that a client that comes back can ask for
HISTORY_BYTES: Final = 1024 * 1024  # bytes of them
STALLED: Final = 30.0  # seconds without reading after which a client is sent away where others wait for memory


def table_name(key: Key) -> str:
    """What clients call a table: ``nova:servers``, ``alice:error``."""
    publisher, table = key
    return table if ":" in table else f"{publisher}:{table}"


def event_id(update: TableUpdate) -> str:
    """Which state of the table an event leads to."""
    return f"{update.epoch}.{update.sequence}"


class Stream:
    """The items that wait for one client: put in by the hub's worker thread, taken out by the client's thread."""

    def __init__(self, hub: "StreamHub", last_event_id: str) -> None:
        self._hub = hub
        self._condition = threading.Condition()
        self._items: deque[tuple[Item, bool]] = deque()  # and whether the common memory holds it
        self._current: tuple[Item, bool] | None = None  # what the client is reading
        self._pieces: Iterator[bytes] = iter(())
        self._waiting = 0  # bytes of the stream's own part
        self.read_at = time.monotonic()
        self.last_event_id = last_event_id
        self.keys: set[Key] = set()
        self.behind: set[Key] = set()  # tables whose snapshot this client needs; only the worker thread touches it
        self.closed = False

    def offer(self, item: Item) -> bool:
        """Put an item in.  :returns: False when there is no room for it.

        A change that finds no room makes all that waits worthless, so it is thrown away; a snapshot can come later.
        """
        with self._condition:
            if self.closed:
                return True
            common = item.weight > self._hub.part
            fits = self._hub.room.hold(item) if common else self._waiting + item.weight <= self._hub.part
            if not fits:
                if not isinstance(item, Snapshot):
                    self._drop_waiting()
                return False
            self._items.append((item, common))
            self._waiting += 0 if common else item.weight
            self._condition.notify()
            return True

    def take(self, timeout: float) -> bytes | None:
        """The next piece of what waits, or None when nothing came in time or the stream was closed."""
        with self._condition:
            self.read_at = time.monotonic()
            piece = next(self._pieces, None)
            if piece is not None:
                return piece
            self._let_go_of_current()
            idle = not self._items
        if idle:
            self._hub.drained(self)
        with self._condition:
            if not self._items and not self.closed:
                self._condition.wait(timeout)
            if not self._items:
                return None
            self._current = self._items.popleft()
            self._pieces = self._current[0].pieces()
            return next(self._pieces, None)

    @property
    def holds_much(self) -> bool:
        """Whether the common memory holds anything for this stream."""
        with self._condition:
            return any(common for _, common in (*self._items, self._current or (None, False)))

    def close(self) -> None:
        """End it, from either side.  Doing it twice does nothing."""
        with self._condition:
            self.closed = True
            self._drop_waiting()
            self._pieces = iter(())
            self._let_go_of_current()
            self._condition.notify_all()

    def _drop_waiting(self) -> None:
        while self._items:
            self._let_go(*self._items.pop())

    def _let_go_of_current(self) -> None:
        if self._current is not None:
            self._let_go(*self._current)
            self._current = None

    def _let_go(self, item: Item, common: bool) -> None:
        if common:
            self._hub.room.let_go(item)
        else:
            self._waiting -= item.weight


@dataclass(slots=True)
class _Table:
    """One subscribed table: the copy, who reads it, and the latest changes."""

    rows: set[Row] = field(default_factory=set)
    state: str = ""  # the id of the latest event; empty before the first snapshot
    streams: set[Stream] = field(default_factory=set)
    history: deque[tuple[str, Event]] = field(default_factory=deque)  # state before, change
    remembered: int = 0  # bytes of the history
    snapshot: "weakref.ref[Snapshot] | None" = None  # the latest, for as long as a client waits for it
    idle_since: float = 0.0

    def remember(self, before: str, event: Event) -> None:
        """Keep a change for clients that come back."""
        self.history.append((before, event))
        self.remembered += event.weight
        while len(self.history) > HISTORY or self.remembered > HISTORY_BYTES:
            self.remembered -= self.history.popleft()[1].weight

    def snapshot_of(self, name: str) -> Snapshot:
        """The table as it is now; the same object for all clients that want it in this state."""
        known = self.snapshot() if self.snapshot is not None else None
        if known is None or known.id != self.state:
            known = Snapshot(name, self.state, list(self.rows))
            self.snapshot = weakref.ref(known)
        return known


class StreamHub(Subscriber):
    """The API's place on the bus: subscribes to tables for its clients.  All state belongs to the worker thread."""

    keep_copies = False  # the copies are in _Table

    def __init__(self, name: str, *, memory: int = 64 * 1024 * 1024, streams: int = 64) -> None:
        """
        :param memory: bytes that may wait for all clients together.
        :param streams: how many clients there may be.
        """
        super().__init__(name)
        self.room = Room(memory // 2)
        self.part = max(1, memory // 2 // max(1, streams))
        self._streamed: dict[Key, _Table] = {}
        self._clients: set[Stream] = set()
        self._clients_lock = threading.Lock()

    # For the threads of clients

    def open(self, keys: Iterable[Key], last_event_id: str = "") -> Stream:
        """A stream of these tables: a snapshot of each, then its changes.

        ``last_event_id`` of a client that comes back to one table lets it go on where it was, while that is known.
        """
        wanted = list(keys)
        stream = Stream(self, last_event_id if len(wanted) == 1 else "")
        with self._clients_lock:
            self._clients.add(stream)
        self.add_tables(stream, wanted)
        return stream

    def add_tables(self, stream: Stream, keys: Iterable[Key]) -> None:
        """Have a stream show these tables too."""
        self.submit(self._attach, stream, list(keys))

    def release(self, stream: Stream) -> None:
        """A client has gone."""
        stream.close()
        with self._clients_lock:
            self._clients.discard(stream)
        self.submit(self._detach, stream)

    def drained(self, stream: Stream) -> None:
        """A client has taken all that waited for it; if it fell behind, it gets its snapshots now."""
        if stream.behind:
            self.submit(self._catch_up, stream)

    def close_all(self) -> None:
        """End every stream: the daemon stops."""
        with self._clients_lock:
            streams = list(self._clients)
        for stream in streams:
            stream.close()

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return len(self._clients)

    # On the worker thread

    def copy_of(self, publisher: str, table: str) -> Collection[Row]:
        found = self._streamed.get((publisher, table))
        return found.rows if found else ()

    def on_updates(self, updates: list[TableUpdate]) -> None:
        for update in updates:
            key = (update.publisher, update.table)
            table = self._streamed.get(key)
            if table is None:
                continue
            table.rows.difference_update(update.retractions)
            table.rows.update(update.insertions)
            event = self._delta(key, update)
            before, table.state = table.state, event.id
            if before:
                table.remember(before, event)
            for stream in table.streams:
                if key not in stream.behind:
                    self._change(stream, event)
                elif not before:
                    self._snapshot(stream, key)

    def on_publisher_gone(self, publisher: str) -> None:
        self._announce(publisher, "gone")

    def on_publisher_back(self, publisher: str) -> None:
        self._announce(publisher, "back")

    def on_stop(self) -> None:
        self.close_all()

    def _announce(self, publisher: str, name: str) -> None:
        streams = {stream for key, table in self._streamed.items() if key[0] == publisher for stream in table.streams}
        event = Event(name, "", {"service": publisher})
        for stream in streams:
            self._change(stream, event)

    def _delta(self, key: Key, update: TableUpdate) -> Event:
        data = {
            "table": table_name(key),
            "insertions": list(update.insertions),
            "retractions": list(update.retractions),
            **({"ids": dict(update.ids)} if update.ids else {}),
        }
        return Event("delta", event_id(update), data)

    def _change(self, stream: Stream, event: Event) -> None:
        if not stream.offer(event):
            stream.behind |= stream.keys

    def _attach(self, stream: Stream, keys: list[Key]) -> None:
        if stream.closed:
            return
        for key in keys:
            if key in stream.keys:
                continue
            stream.keys.add(key)
            stream.behind.add(key)
            table = self._streamed.get(key)
            if table is None:
                table = self._streamed[key] = _Table()
                self.subscribe(*key)
            table.streams.add(stream)
            if table.state and not self._resume(stream, key, table):
                self._snapshot(stream, key)

    def _resume(self, stream: Stream, key: Key, table: _Table) -> bool:
        """Give a client that comes back just what it missed.  :returns: False when that is not known any more."""
        wanted, stream.last_event_id = stream.last_event_id, ""
        if not wanted:
            return False
        states = [before for before, _ in table.history]
        if wanted != table.state and wanted not in states:
            return False
        missed = [] if wanted == table.state else [event for _, event in list(table.history)[states.index(wanted) :]]
        stream.behind.discard(key)
        for event in missed:
            self._change(stream, event)
        return True

    def _snapshot(self, stream: Stream, key: Key) -> None:
        snapshot = self._streamed[key].snapshot_of(table_name(key))
        if stream.offer(snapshot) or (self._send_away_stalled() and stream.offer(snapshot)):
            stream.behind.discard(key)  # else it comes when the client has taken what waits for it

    def _send_away_stalled(self) -> bool:
        """End the streams of clients that do not read what much memory is held for.  :returns: whether there were."""
        late = time.monotonic() - STALLED
        with self._clients_lock:
            stalled = [stream for stream in self._clients if stream.read_at < late and stream.holds_much]
        for stream in stalled:
            LOG.warning("stream.stalled tables=%d seconds=%.0f", len(stream.keys), time.monotonic() - stream.read_at)
            stream.close()
        return bool(stalled)

    def _catch_up(self, stream: Stream) -> None:
        for key in sorted(stream.behind):
            if key in self._streamed and self._streamed[key].state:
                self._snapshot(stream, key)

    def _detach(self, stream: Stream) -> None:
        for key in stream.keys:
            table = self._streamed.get(key)
            if table is not None:
                table.streams.discard(stream)
                if not table.streams:
                    table.idle_since = time.monotonic()
                    self.after(LINGER, self._forget_idle)

    def _forget_idle(self) -> None:
        now = time.monotonic()
        idle = [k for k, t in self._streamed.items() if not t.streams and now - t.idle_since >= LINGER * 0.99]
        for key in idle:
            del self._streamed[key]
            self.unsubscribe(*key)
