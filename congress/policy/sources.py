# SPDX-License-Identifier: Apache-2.0
"""What the runtime knows of other services' tables: which it wants, and whether their rows can be relied on.

A publisher that has just started may publish an empty table because it has not looked yet.  Taken at its word, that
would retract everything derived from its rows and derive it again a moment later, actions and all.  So the rows of a
new life of a publisher are kept aside (*pending*) until it is known that they are complete; the engine goes on with
the rows of the life before.  This module only keeps the books; the runtime talks to the bus and to the engine.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from congress.bus.subscriber import TableUpdate
from congress.datalog.values import Row

Change = tuple[Collection[Row], Collection[Row]]

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


_REMEMBERED: Final = 10_000
"""Of so many rows of a table it is remembered with which publication they came."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What brought rows.

    :ivar ids: of the request, the poll or the execution that caused it; empty where they are not known.
    :ivar or_before: whether the rows may have come with an earlier one.
    """

    sequence: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    or_before: bool = True


class Arrivals:
    """With which publication each row of a table came, for the latest of them."""

    def __init__(self) -> None:
        self._of: dict[Row, Publication] = {}
        self._others = Publication()

    def take(self, update: TableUpdate) -> None:
        """Rows came and went."""
        now = Publication(update.sequence, update.ids, or_before=update.snapshot)
        if update.snapshot or len(update.insertions) > _REMEMBERED:
            self._of.clear()
            self._others = now
            return
        for row in update.retractions:
            self._of.pop(row, None)
        for row in update.insertions:
            self._of[row] = now
        while len(self._of) > _REMEMBERED:
            oldest = next(iter(self._of))
            self._others = Publication(self._of.pop(oldest).sequence)

    def of(self, row: Row) -> Publication:
        """What brought a row that is there."""
        return self._of.get(row, self._others)


@dataclass(slots=True)
class Source:
    """One table that rules read.

    :ivar pending: the rows of the publisher's present life while it is in doubt that they are complete; else None.
    :ivar known: whether complete rows have ever come.
    :ivar initial: whether it was wanted by rules that were loaded at the start.
    """

    key: str
    epoch: str = ""
    pending: set[Row] | None = None
    known: bool = False
    initial: bool = False
    sequence: int = 0
    ids: Mapping[str, str] = field(default_factory=dict)
    arrivals: Arrivals = field(default_factory=Arrivals)

    @property
    def settled(self) -> bool:
        """Whether the engine has complete rows of it, and of the publisher's present life."""
        return self.known and self.pending is None


@dataclass(slots=True)
class Publisher:
    """A service that the runtime subscribes to.

    :ivar schema_of: the life of it whose schema the engine has.
    :ivar asking: whether an answer of it is awaited.
    :ivar next_look: when to ask again, by the clock of the caller.
    :ivar trouble: what was wrong with its rows when it was last told.
    """

    name: str
    tables: dict[str, Source] = field(default_factory=dict)
    epoch: str = ""
    schema_of: str | None = None
    asking: bool = False
    pause: float = _FIRST_PAUSE
    next_look: float = 0.0
    trouble: str = ""

    def later(self, now: float) -> None:
        """Put the next question off, longer each time."""
        self.next_look = now + self.pause
        self.pause = min(self.pause * 2, _LONGEST_PAUSE)

    def soon(self) -> None:
        """Something new has come: ask at once."""
        self.pause, self.next_look = _FIRST_PAUSE, 0.0

    @property
    def doubtful(self) -> list[Source]:
        """Its tables whose rows are kept aside."""
        return [source for source in self.tables.values() if source.pending is not None]


class Sources:
    """All publishers and their tables.  One thread."""

    def __init__(self, rows: Callable[[str], Collection[Row]]) -> None:
        """:param rows: the engine's rows of a table."""
        self._rows = rows
        self.publishers: dict[str, Publisher] = {}

    # What is wanted

    def want(self, keys: Iterable[str], initial: bool = False) -> tuple[list[str], list[str]]:
        """Make these the wanted tables.  :returns: those that are new, and those that are wanted no more."""
        wanted = set(keys)
        known = {source.key for source in self}
        for key in wanted - known:
            name, _, table = key.partition(":")
            publisher = self.publishers.setdefault(name, Publisher(name))
            publisher.tables[table] = Source(key, initial=initial)
        for key in known - wanted:
            name, _, table = key.partition(":")
            publisher = self.publishers[name]
            del publisher.tables[table]
            if not publisher.tables:
                del self.publishers[name]
        return sorted(wanted - known), sorted(known - wanted)

    def __iter__(self) -> Iterator[Source]:
        for publisher in self.publishers.values():
            yield from publisher.tables.values()

    def find(self, key: str) -> Source | None:
        """The source of a table, or None when it is not wanted."""
        name, _, table = key.partition(":")
        publisher = self.publishers.get(name)
        return publisher.tables.get(table) if publisher is not None else None

    def settled(self, keys: Iterable[str]) -> bool:
        """Whether all of these that are sources are settled."""
        return all(source is None or source.settled for source in map(self.find, keys))

    def copy_of(self, key: str) -> Collection[Row]:
        """The rows that have come of a table, applied or not: what the next update builds on."""
        source = self.find(key)
        if source is not None and source.pending is not None:
            return source.pending
        return self._rows(key)

    # What comes

    def receive(self, updates: Iterable[TableUpdate]) -> dict[str, Change]:
        """Take the updates of one publication in.  :returns: the changes that may be applied now."""
        changes: dict[str, Change] = {}
        for update in updates:
            publisher = self.publishers.get(update.publisher)
            source = publisher.tables.get(update.table) if publisher is not None else None
            if publisher is None or source is None:
                continue  # it crossed with our unsubscribing
            if update.epoch != source.epoch:
                source.pending = set(self.copy_of(source.key))
                source.epoch = publisher.epoch = update.epoch
                publisher.soon()
            source.sequence, source.ids = update.sequence, update.ids
            source.arrivals.take(update)
            if source.pending is None:
                changes[source.key] = (update.insertions, update.retractions)
            else:
                source.pending.difference_update(update.retractions)
                source.pending.update(update.insertions)
                if not update.snapshot:
                    publisher.soon()  # it has looked in the meantime
        return changes

    def release(self, publisher: Publisher, complete: Callable[[Source], bool]) -> dict[str, Change]:
        """Stop keeping aside the tables that are complete.  :returns: what to apply: the net changes.

        They count as settled only after :meth:`applied`.
        """
        changes: dict[str, Change] = {}
        for source in publisher.doubtful:
            pending = source.pending
            if pending is not None and complete(source):
                old = self._rows(source.key)
                changes[source.key] = (
                    [row for row in pending if row not in old],
                    [row for row in old if row not in pending],
                )
        return changes

    def applied(self, changes: Mapping[str, Any]) -> bool:
        """The engine has these changes now.

        :returns: whether among them are the first rows of a table that was wanted from the start.
        """
        first = False
        for source in map(self.find, changes):
            if source is not None:
                first = first or (source.initial and not source.known)
                source.known, source.pending = True, None
        return first
