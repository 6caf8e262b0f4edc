# SPDX-License-Identifier: Apache-2.0
"""Executions and their trail as they are stored."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import Conflict, RecordNotFound, SecretUnreadable, Stale
from congress.db.models import execution_events as events_table
from congress.db.models import executions as table
from congress.executions.model import Event, Execution, mask_of
from congress.executions.rows import (
    FIXED,
    SEALED,
    event_from_row,
    event_to_row,
    from_row,
    key_of,
    to_row,
)
from congress.executions.states import OPEN, Reason, State, Trigger

PAGE: Final = 500
"""Executions that are read or deleted at once where there may be any number of them."""

_BATCH: Final = 500  # parameters of one statement
_CHANGING: Final = [c.name for c in table.c if c.name not in FIXED | SEALED | {"sequence"}]


def _update_of(names: Iterable[str]) -> sa.Update:
    update = table.update().where(table.c.id == sa.bindparam("key"))
    return update.values({name: sa.bindparam(f"new_{name}") for name in names})


# Made once: SQLAlchemy takes longer over one than the database does.
_UPDATE: Final = _update_of([*_CHANGING, *SEALED])
_UPDATE_UNREADABLE: Final = _update_of(_CHANGING)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions; None is any.  ``since`` <= created_at < ``until``."""

    states: Collection[State] | None = None
    reasons: Collection[Reason] | None = None
    policy: str | None = None
    service: str | None = None
    action: str | None = None
    set_id: str | None = None
    digest: str | None = None
    since: float | None = None
    until: float | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """What the database is asked for."""
        if self.states is not None:
            yield table.c.state.in_(sorted(self.states))
        if self.reasons is not None:
            yield table.c.reason.in_(sorted(self.reasons))
        for column, name in ((table.c.policy, self.policy), (table.c.service, self.service)):
            if name is not None:
                yield column == key_of(name)
        if self.action is not None:
            yield table.c.action == key_of(self.action)
        if self.set_id is not None:
            yield table.c.set_id == key_of(self.set_id)
        if self.digest is not None:
            yield table.c.digest == key_of(self.digest)
        if self.since is not None:
            yield table.c.created_at >= self.since
        if self.until is not None:
            yield table.c.created_at < self.until


ANY: Final = ExecutionFilter()


class ExecutionStore:
    """The stored executions.  Any thread; every method is one transaction and blocks on the database.

    :meth:`export`, :meth:`prune` and :meth:`reencrypt` are many short transactions.
    """

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    # Writing

    def add(self, executions: Sequence[Execution], events: Sequence[Event]) -> None:
        """Store new executions and the begin of their trails; see :meth:`write`."""
        self.write(executions, (), events)

    def change(self, executions: Sequence[Execution], events: Sequence[Event]) -> None:
        """Store new states of executions and what their trails say to it; see :meth:`write`."""
        self.write((), executions, events)

    def write(self, added: Sequence[Execution], changed: Sequence[Execution], events: Sequence[Event]) -> None:
        """Store new executions, new states of others, and events of both: all of it or nothing.

        An execution that was added already is left alone, with its events.  A changed one is written over the
        version before its own only.  A call that is repeated, because nobody knew whether the first one arrived,
        finds its own work and does nothing.

        :raises Stale: some of the changed ones have another version, or are gone; nothing was written.
        :raises ValueError: an event belongs to none of the executions.
        :raises Conflict: an event has the number of another one.
        :raises Unstorable: an argument, a row or a proof is not JSON.
        """
        rows = _Rows(added, changed, events, self._cipher)
        try:
            self._database.run(rows.write, rows.done)
        except Conflict:
            # Somebody may have added the very same at the very same time: then it is there now.
            self._database.run(rows.write, rows.done)

    def prune(self, before: float, keep: int | None = None) -> int:
        """Delete what is over and finished before the moment, with its trail; how many executions.

        :param keep: at most so many that are over stay, the latest: older ones go even if they are not that old.

        One whose row is still true (or whose rule went) is never deleted: it is how the row is known again.
        """
        count = self._delete(table.c.settled_at < before)
        if keep is not None and (last := self._beyond(keep)) is not None:
            moment, sequence = last
            same = (table.c.settled_at == moment) & (table.c.sequence <= sequence)
            count += self._delete((table.c.settled_at < moment) | same)
        return count

    def reencrypt(self) -> int:
        """Encrypt the secrets of every execution anew under the newest key; of how many.

        Those that no key opens stay as they are.
        """
        total, after = 0, 0
        while True:
            found, count = self._database.run(
                lambda connection, after=after: self._reencrypt(connection, after),  # type: ignore[misc]  # a default
                lambda connection: False,
            )
            total += count
            if not found:
                return total
            after = found

    # Reading

    def open(self) -> list[Execution]:
        """Those that are not over, oldest first."""
        return self._select(table.c.state.in_(sorted(OPEN)))

    def triggers(self) -> list[Execution]:
        """Those whose row is true, or was when its rule went: over or not, oldest first."""
        return self._select(table.c.trigger_state.in_([Trigger.LIVE, Trigger.SUSPENDED]))

    def since(self, moment: float) -> Iterator[tuple[Execution, list[Event]]]:
        """Those that may have been approved, sent or finished at the moment or later, with their trails."""
        live = table.c.state.in_(sorted(OPEN)) | table.c.trigger_state.in_([Trigger.LIVE, Trigger.SUSPENDED])
        acted_on = table.c.approved_at.is_not(None) & (table.c.updated_at >= moment)
        found = self._select((table.c.approved_at >= moment) | (table.c.settled_at >= moment) | (live & acted_on))
        for batch in _batches(found):
            trails = self.trails(execution.id for execution in batch)
            yield from ((execution, trails[execution.id]) for execution in batch)

    def latest(self, limit: int) -> list[Execution]:
        """Those that are over and whose rows are gone, or never were: the latest ones, oldest first."""
        query = sa.select(table).where(table.c.settled_at.is_not(None))
        query = query.order_by(table.c.settled_at.desc(), table.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [from_row(row, self._cipher) for row in reversed(rows)]

    def get(self, execution_id: str) -> Execution:
        """
        :raises RecordNotFound: no execution has that id.
        """
        found = self._select(table.c.id == key_of(execution_id))
        if not found:
            raise RecordNotFound(f"there is no execution {execution_id!r:.100}")
        return found[0]

    def find(
        self,
        filters: ExecutionFilter = ANY,
        limit: int = PAGE,
        after: str | None = None,
        *,
        oldest_first: bool = False,
    ) -> list[Execution]:
        """The newest ones first, unless said otherwise; at most ``limit``, only those after the one with the id
        ``after`` in that order.

        What is added between two pages is in neither; what is changed is in the page that its new state belongs to.

        :raises RecordNotFound: no execution has the id ``after`` (any more).
        """
        place = table.c.sequence
        order = place.asc() if oldest_first else place.desc()
        query = sa.select(table).where(*filters.conditions()).order_by(order).limit(limit)
        with self._database.read() as connection:
            if after is not None:
                at = _sequence(connection, after)
                query = query.where(place > at if oldest_first else place < at)
            rows = connection.execute(query).all()
        return [from_row(row, self._cipher) for row in rows]

    def count(self, filters: ExecutionFilter = ANY) -> dict[State, int]:
        """How many are in each state; a state that none is in has 0."""
        query = sa.select(table.c.state, sa.func.count()).where(*filters.conditions()).group_by(table.c.state)
        with self._database.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in State}

    def events(self, execution_id: str) -> list[Event]:
        """The trail of an execution, in order; empty for one that is not there."""
        return self.trails([execution_id])[execution_id]

    def trails(self, ids: Iterable[str]) -> dict[str, list[Event]]:
        """The trails of many executions."""
        with self._database.read() as connection:
            return _trails(connection, list(ids))

    def lengths(self, ids: Iterable[str]) -> dict[str, int]:
        """How many events the trails of executions have: the number of the latest of each, or 0."""
        wanted = list(ids)
        found = dict.fromkeys(wanted, 0)
        with self._database.read() as connection:
            for batch in _batches(wanted):
                where = events_table.c.execution_id.in_(batch)
                columns = (events_table.c.execution_id, sa.func.max(events_table.c.number))
                query = sa.select(*columns).where(where).group_by(events_table.c.execution_id)
                found |= {row[0]: row[1] for row in connection.execute(query)}
        return found

    def export(self, filters: ExecutionFilter = ANY) -> Iterator[tuple[Execution, list[Event]]]:
        """Executions with their trails, oldest first, read in pages: the memory does not grow with their number.

        Each is as it is when its page is read; one that is pruned or added meanwhile may or may not come.
        """
        after = 0
        while True:
            query = sa.select(table).where(table.c.sequence > after, *filters.conditions())
            with self._database.read() as connection:
                rows = connection.execute(query.order_by(table.c.sequence).limit(PAGE)).all()
                trails = _trails(connection, [row.id for row in rows])
            for row in rows:
                yield from_row(row, self._cipher), trails[row.id]
            if len(rows) < PAGE:
                return
            after = rows[-1].sequence

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Execution]:
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).where(condition)).all()
        # Sorted here: asked for an order, SQLite rather reads the whole table in it than a few rows by an index.
        return [from_row(row, self._cipher) for row in sorted(rows, key=lambda row: row.sequence)]

    def _beyond(self, keep: int) -> tuple[float, int] | None:
        """Of those that are over, the latest one that is too many for only so many to stay."""
        query = sa.select(table.c.settled_at, table.c.sequence).where(table.c.settled_at.is_not(None))
        query = query.order_by(table.c.settled_at.desc(), table.c.sequence.desc()).offset(keep).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.settled_at, row.sequence)

    def _delete(self, condition: sa.ColumnElement[bool]) -> int:
        """Delete in bounded transactions; how many went."""
        total = 0
        while True:
            found, count = self._database.run(lambda connection: _delete(connection, condition), lambda _: False)
            total += count
            if found < PAGE:
                return total

    def _reencrypt(self, connection: sa.Connection, after: int) -> tuple[int, int]:
        """One page: the last sequence in it (0 when it is empty), and how many were encrypted."""
        query = sa.select(table.c.sequence, table.c.sealed).where(table.c.sealed.is_not(None))
        query = query.where(table.c.sequence > after).order_by(table.c.sequence).limit(PAGE).with_for_update()
        rows = connection.execute(query).all()
        renewed = []
        for row in rows:
            try:
                renewed.append({"key": row.sequence, "value": self._cipher.encrypt(self._cipher.decrypt(row.sealed))})
            except SecretUnreadable:
                continue
        if renewed:
            update = table.update().where(table.c.sequence == sa.bindparam("key"))
            connection.execute(update.values(sealed=sa.bindparam("value")), renewed)
        return (rows[-1].sequence if rows else 0), len(renewed)


class _Rows:
    """One call of :meth:`ExecutionStore.write`, ready to be run as often as it takes."""

    def __init__(
        self, added: Sequence[Execution], changed: Sequence[Execution], events: Sequence[Event], cipher: Cipher
    ) -> None:
        masks = {one.id: mask_of(one.call) if one.call.secret else None for one in (*added, *changed)}
        if any(event.execution_id not in masks for event in events):
            raise ValueError("an event of an execution that is not written")  # nobody could tell its secrets
        self._added = [to_row(execution, cipher, masks[execution.id]) for execution in added]
        self._changed = {execution.id: to_row(execution, cipher, masks[execution.id]) for execution in changed}
        self._unreadable = {execution.id for execution in changed if not execution.call.readable}
        self._events = [event_to_row(event, masks[event.execution_id]) for event in events]

    def write(self, connection: sa.Connection) -> None:
        known = self._known(connection)
        stale = self._stale(connection)
        if stale:
            if len(stale) == len(self._changed) and self.done(connection):
                return
            raise Stale(stale)
        if rows := [row for row in self._added if row["id"] not in known]:
            connection.execute(table.insert(), rows)
        self._update(connection)
        if trail := [event for event in self._events if event["execution_id"] not in known]:
            connection.execute(events_table.insert(), trail)

    def done(self, connection: sa.Connection) -> bool:
        """Whether all of it is in the database."""
        if len(self._known(connection)) < len(self._added):
            return False
        found = {row.id: row[1:] for row in _current(connection, list(self._changed), _CHANGING)}
        for execution_id, values in self._changed.items():
            if found.get(execution_id) != tuple(values[name] for name in _CHANGING):
                return False
        trails = _trails(connection, list({event["execution_id"] for event in self._events}))
        there = {(event.execution_id, event.number, event.at, event.after) for t in trails.values() for event in t}
        wanted = {(event["execution_id"], event["number"], event["at"], event["after"]) for event in self._events}
        return wanted <= there

    def _known(self, connection: sa.Connection) -> set[str]:
        """Those of the added that are there."""
        return {row.id for row in _current(connection, [row["id"] for row in self._added])}

    def _stale(self, connection: sa.Connection) -> list[str]:
        """Those of the changed that cannot be written over.  The others are locked until the transaction ends."""
        versions = {row.id: row.version for row in _current(connection, sorted(self._changed), ("version",), lock=True)}
        return [key for key, values in self._changed.items() if versions.get(key) != values["version"] - 1]

    def _update(self, connection: sa.Connection) -> None:
        for update, names, unreadable in (
            (_UPDATE, [*_CHANGING, *SEALED], False),
            (_UPDATE_UNREADABLE, _CHANGING, True),
        ):
            rows = [
                {"key": key, **{f"new_{name}": values[name] for name in names}}
                for key, values in self._changed.items()
                if (key in self._unreadable) is unreadable
            ]
            if rows:
                connection.execute(update, rows)


def _current(
    connection: sa.Connection, ids: Sequence[str], names: Sequence[str] = (), lock: bool = False
) -> Iterator[sa.Row[Any]]:
    for batch in _batches(ids):
        query = sa.select(table.c.id, *(table.c[name] for name in names)).where(table.c.id.in_(batch))
        # Always locked in the same order, so that two writers wait for each other and do not deadlock.
        yield from connection.execute(query.order_by(table.c.id).with_for_update() if lock else query)


def _trails(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {execution_id: [] for execution_id in ids}
    for batch in _batches(ids):
        query = sa.select(events_table).where(events_table.c.execution_id.in_(batch))
        for row in connection.execute(query.order_by(events_table.c.execution_id, events_table.c.number)):
            found[row.execution_id].append(event_from_row(row))
    return found


def _sequence(connection: sa.Connection, execution_id: str) -> int:
    query = sa.select(table.c.sequence).where(table.c.id == key_of(execution_id))
    found: int | None = connection.execute(query).scalar()
    if found is None:
        raise RecordNotFound(f"there is no execution {execution_id!r:.100}")
    return found


def _delete(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> tuple[int, int]:
    """One page: how many were found, and how many deleted."""
    query = sa.select(table.c.sequence).where(condition).order_by(table.c.settled_at).limit(PAGE)
    found = connection.execute(query).scalars().all()
    # Asked again: somebody may have had one of them tried again this moment.
    deletion = table.delete().where(table.c.sequence.in_(found), condition)
    return len(found), connection.execute(deletion).rowcount if found else 0


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
