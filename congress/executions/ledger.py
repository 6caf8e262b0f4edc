# SPDX-License-Identifier: Apache-2.0
"""The one place in which executions change: in memory and in the database, always the same in both."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

from congress.datalog.values import Row
from congress.executions.model import Event, Execution
from congress.executions.moments import Moments
from congress.executions.states import WAITING, Reason, State, Trigger, check
from congress.executions.store import ExecutionStore

LOG = logging.getLogger(__name__)

Place = tuple[str, Row]
"""What a row is known by: its table's key and itself."""


@dataclass(slots=True)
class Batch:
    """Changes that are to be written as one.  Nothing has happened until :meth:`Ledger.write` returns.

    ``after`` is run then, in order.  It may be written again when nobody knows whether it was: ``numbered`` keeps the
    events as they were then, and the lengths of the trails.
    """

    added: dict[str, Execution] = field(default_factory=dict)
    changed: dict[str, Execution] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    after: list[Callable[[], object]] = field(default_factory=list)
    numbered: tuple[list[Event], dict[str, int]] | None = None

    def __bool__(self) -> bool:
        return bool(self.added or self.changed)


class Ledger:
    """Executions that are not over, and rows that were acted on, in memory; everything in the database.

    One thread.  A batch is written first and taken over into memory then: when the database does not take it,
    nothing has changed anywhere.
    """

    def __init__(self, store: ExecutionStore, now: Callable[[], float]) -> None:
        self.store = store
        self._now = now
        self._open: dict[str, Execution] = {}
        self._lanes: dict[str, dict[str, Execution]] = {}  # on their way, by service, in order
        self._running: Counter[str] = Counter()  # by service
        self._open_of: Counter[str] = Counter()  # by policy
        self._moments = Moments()
        self._by_place: dict[Place, Execution] = {}
        self._untold: set[Place] = set()
        self._duplicates: dict[str, dict[str, Execution]] = {}  # of what was on its way already, by digest
        self._lengths: dict[str, int] = {}  # of the trails of open executions that changed in this life

    def load(self) -> None:
        """Read what is not over, and the rows that were acted on.  :raises DbError: nothing is loaded."""
        opened, rows = self.store.open(), self.store.triggers()
        self._open, self._lanes, self._by_place, self._moments = {}, {}, {}, Moments()
        self._duplicates, self._lengths = {}, {}
        self._running.clear()
        self._open_of.clear()
        for execution in (*opened, *rows):
            self._take(execution)

    # Reading

    def all_open(self) -> Iterable[Execution]:
        """Those that are not over, oldest first."""
        return self._open.values()

    def in_state(self, *states: State) -> Iterator[Execution]:
        return (execution for execution in self._open.values() if execution.state in states)

    def lanes(self, batch: Batch) -> Iterator[tuple[str, Iterator[Execution]]]:
        """Those on their way to each service, as they will be when a batch is written, in the order of their turns."""
        new: dict[str, list[Execution]] = {}
        for execution in (*batch.changed.values(), *batch.added.values()):
            if on_its_way(execution):
                new.setdefault(execution.call.service, []).append(execution)
        for service in [*self._lanes, *(service for service in new if service not in self._lanes)]:
            there = (e for e in self._lanes.get(service, {}).values() if e.id not in batch.changed)
            yield service, chain(there, new.get(service, ()))

    def running(self, batch: Batch) -> Counter[str]:
        """How many are at each service, as it will be when a batch is written."""
        found = Counter(self._running)
        for execution in batch.changed.values():
            before = self._open.get(execution.id)
            found[execution.call.service] += at_service(execution)
            found[execution.call.service] -= before is not None and at_service(before)
        return found

    def open_of(self, batch: Batch) -> Counter[str]:
        """How many of each policy are not over, as it will be when a batch is written."""
        found = Counter(self._open_of)
        for execution in (*batch.changed.values(), *batch.added.values()):
            found[execution.origin.policy] += (not execution.state.terminal) - (execution.id in self._open)
        return found

    def next_moment(self, now: float) -> float | None:
        """When the first of those that wait for a moment goes on."""
        return self._moments.after(now)

    def at(self, table: str, row: Row) -> Execution | None:
        """The execution that a row which was true (or whose rule went) caused."""
        return self._by_place.get((table, row))

    def places(self, table: str | None = None) -> list[Execution]:
        """Executions whose row was true when it was last heard of, of one table or of all."""
        return [found for (key, _), found in self._by_place.items() if table is None or key == table]

    def opened(self, execution_id: str) -> Execution | None:
        """One that is not over; None for one that is, or never was."""
        return self._open.get(execution_id)

    def find(self, execution_id: str) -> Execution:
        """:raises RecordNotFound: there is none."""
        return self._open.get(execution_id) or self.store.get(execution_id)

    # What is known of rows

    def doubt_rows(self) -> None:
        """After a start: rows were true when the process ended; whether they are is yet to be told."""
        self._untold = {place for place, found in self._by_place.items() if found.trigger is Trigger.LIVE}

    def untold(self, execution: Execution) -> bool:
        """Whether nobody has told since the start that the row of an execution is true."""
        return bool(self._untold) and place_of(execution) in self._untold

    def tell(self, execution: Execution) -> None:
        """It is known again whether the row of an execution is true."""
        self._untold.discard(place_of(execution))

    def duplicate(self, digest: str) -> Execution | None:
        """One that was left out because the same action was on its way; its row is true, or its rule is gone."""
        found = self._duplicates.get(digest)
        return next(iter(found.values())) if found else None

    # Changing

    def add(self, batch: Batch, execution: Execution, who: str) -> Execution:
        """A new one, in the state that it begins in."""
        check(None, execution.state)
        batch.added[execution.id] = execution
        self._tell(batch, execution, None, who)
        return execution

    def move(
        self,
        batch: Batch,
        execution: Execution,
        state: State,
        who: str,
        reason: Reason | None = None,
        detail: str = "",
        **more: Any,
    ) -> Execution:
        """One step of an execution; several steps in one batch are one write and a line of the trail each.

        :raises IllegalTransition: there is no way there.
        """
        before = self._latest(batch, execution)
        moved = before.moved(state, self._now(), reason, detail, **more)
        if state.terminal and moved.finished_at is None:
            moved = replace(moved, finished_at=moved.updated_at)
        return self._put(batch, before, moved, who)

    def note(self, batch: Batch, execution: Execution, who: str, told: str, /, **more: Any) -> Execution:
        """A change that leaves the state as it is.  :param told: what the trail says of it."""
        before = self._latest(batch, execution)
        return self._put(batch, before, replace(before, updated_at=self._now(), **more), who, told)

    def _latest(self, batch: Batch, execution: Execution) -> Execution:
        return batch.changed.get(execution.id) or batch.added.get(execution.id) or execution

    def _put(self, batch: Batch, before: Execution, after: Execution, who: str, detail: str = "") -> Execution:
        if after.id in batch.added:
            batch.added[after.id] = after = replace(after, version=0)
        else:
            written = batch.changed.get(after.id)
            after = replace(after, version=written.version if written else before.version + 1)
            batch.changed[after.id] = after
        self._tell(batch, after, before.state, who, detail)
        return after

    def _tell(self, batch: Batch, execution: Execution, before: State | None, who: str, detail: str = "") -> None:
        batch.events.append(
            Event(
                execution.id,
                0,  # numbered when it is written
                execution.updated_at,
                before,
                execution.state,
                who,
                execution.reason,
                detail or execution.detail,
            )
        )

    def write(self, batch: Batch) -> list[Execution]:
        """Make a batch come true: one transaction.  :returns: what changed, as it is now.

        :raises DbError: nothing happened; it may be tried again.
        """
        if not batch:
            return []
        batch.numbered = events, lengths = batch.numbered or self._numbered(batch)
        self.store.write(list(batch.added.values()), list(batch.changed.values()), events)
        self._lengths |= lengths
        done = [*batch.added.values(), *batch.changed.values()]
        for execution in done:
            self._take(execution)
        for after in batch.after:
            try:
                after()
            except Exception:
                LOG.exception("executions.follow_up_failed")  # the others' are not to be missed for it
        return done

    def _numbered(self, batch: Batch) -> tuple[list[Event], dict[str, int]]:
        """The events with their places in the trails, and how long these are then."""
        unknown = [key for key in batch.changed if key not in self._lengths and key not in batch.added]
        lengths = self.store.lengths(unknown) if unknown else {}
        events = []
        for event in batch.events:
            key = event.execution_id
            lengths[key] = lengths.get(key, self._lengths.get(key, 0)) + 1
            events.append(replace(event, number=lengths[key]))
        return events, lengths

    def _take(self, execution: Execution) -> None:
        self._sort_in(execution)
        self._open_of[execution.origin.policy] += (not execution.state.terminal) - (execution.id in self._open)
        if execution.state.terminal:
            self._open.pop(execution.id, None)
            self._lengths.pop(execution.id, None)
        else:
            self._open[execution.id] = execution
        if not execution.origin.table:
            return
        place = place_of(execution)
        if execution.reason is Reason.DUPLICATE and execution.trigger is not Trigger.ENDED:
            self._duplicates.setdefault(execution.digest, {})[execution.id] = execution
        elif found := self._duplicates.get(execution.digest):
            found.pop(execution.id, None)
            if not found:
                del self._duplicates[execution.digest]
        if execution.trigger in (Trigger.LIVE, Trigger.SUSPENDED):
            self._by_place[place] = execution
        elif (there := self._by_place.get(place)) is not None and there.id == execution.id:
            del self._by_place[place]

    def _sort_in(self, execution: Execution) -> None:
        service, before = execution.call.service, self._open.get(execution.id)
        self._running[service] += at_service(execution)
        self._running[service] -= before is not None and at_service(before)
        if on_its_way(execution):
            self._lanes.setdefault(service, {})[execution.id] = execution
        elif service in self._lanes:
            self._lanes[service].pop(execution.id, None)
            if not self._lanes[service]:
                del self._lanes[service]
        self._moments.put(execution.id, _moments_of(execution))


ACCEPTED: Final = "the service accepted it and will tell when it is done"


def at_service(execution: Execution) -> bool:
    """Whether its service is at it now; one that was accepted for later keeps nobody waiting."""
    return execution.state is State.RUNNING and execution.detail != ACCEPTED


def on_its_way(execution: Execution) -> bool:
    """Whether it is sent to its service as soon as it may be."""
    if execution.state is State.HELD:
        return execution.reason in WAITING
    return execution.state is State.QUEUED


def place_of(execution: Execution) -> Place:
    """The row that asked for an execution."""
    return execution.origin.table, execution.origin.row


def _moments_of(execution: Execution) -> frozenset[float]:
    """When something becomes of it without anybody's doing."""
    if execution.state.terminal:
        return frozenset()
    limited = on_its_way(execution) or execution.state is State.RUNNING
    moments = (execution.not_before, execution.deadline if limited else None)
    return frozenset(moment for moment in moments if moment is not None)
