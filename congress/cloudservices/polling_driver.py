# SPDX-License-Identifier: Apache-2.0
"""Drivers that ask their service for its state again and again."""

import logging
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, TypeAlias

from congress.bus import context
from congress.bus.service import Timer, exposed
from congress.cloudservices import rows as shapes
from congress.cloudservices.datasource_driver import DataSourceDriver, Rows
from congress.cloudservices.errors import DriverError, PollError, RateLimited, Unavailable
from congress.cloudservices.options import Option
from congress.cloudservices.schedule import PollSchedule
from congress.cloudservices.signatures import Action
from congress.datalog.values import Row, Value

LOG = logging.getLogger(__name__)

# Tables that come to be wanted within this time are read by one poll.
GATHER: Final = 0.02
# So many seconds after an action the tables it may have changed are read: services seldom act at once.
SETTLE: Final = 0.5
# A table that somebody looked at, or unsubscribed, is kept up to date for so many seconds more.
LINGER: Final = 120.0


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What an incremental read found out about one table.

    The ``rows`` of the objects that changed are given whole; all rows that were there before with the same
    value in column ``key`` go.  ``touched`` has the keys of all objects that changed or are gone; by
    default those in ``rows``.
    """

    key: str
    rows: Rows
    touched: Collection[Value] | None = None


Changes: TypeAlias = Mapping[str, RowChanges]


class Unchanged(Enum):
    """The kind of :data:`UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""In place of a table's rows: they are what the last poll that went well gave (see
:meth:`PollingDriver.holds`).
"""

Fetched: TypeAlias = Rows | Unchanged | DriverError
"""What a poll gives for one table: its rows; UNCHANGED; or, where tables fail apart, the error of this one.
"""


class PollingDriver(DataSourceDriver, ABC):
    """Asks its service every ``poll_time`` seconds for the tables that somebody wants, and only for those.

    Write :meth:`fetch`.  All tables of one poll are published as one consistent set; where nothing changed,
    nothing is sent.  A poll that fails leaves the rows as they were and marks them stale; the next attempts
    come after 1, 2, 4, ... seconds, up to ``max_backoff``, and not before a service that said so may be
    asked again.  A driver is never polled while it executes an action.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "poll_time",
            "number",
            default=10.0,
            minimum=0,
            maximum=86400.0 * 7,
            description="Seconds between polls; 0: only when somebody asks (subscribes, reads, requests).",
        ),
        Option(
            "poll_timeout",
            "number",
            default=60.0,
            minimum=0.1,
            maximum=86400,
            description=("Seconds that a whole poll, or an action, may take."),
        ),
        Option(
            "max_backoff",
            "number",
            default=300.0,
            minimum=1,
            maximum=86400,
            description=("The longest pause after failed polls, in seconds."),
        ),
        Option(
            "eager_tables",
            "list",
            default=[],
            description=("Tables to read even when nobody wants them; `*` stands for all."),
        ),
        Option("lazy_tables", "list", description="Accepted from old configurations; every table is lazy."),
    )

    FULL_EVERY: ClassVar[int] = 30
    """After so many incremental reads there is a full one again."""

    # What a driver writes -------------------------------------------------------------------------------

    @abstractmethod
    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        """Read tables of the service and return their rows: **the one method a polling driver must write**.

        Called on the worker thread, at each poll; it may block, and gives :meth:`time_left` to every
        request as its time-out.  The result holds at least the wanted tables, each whole; what else it
        holds is left out.  Rows may repeat and come in any order.

        A table may be given as :data:`UNCHANGED` where the service says so, or as a DriverError where only
        this table could not be read.

        It raises :class:`RateLimited` when the service asks for fewer requests, with the seconds to wait if
        it says; anything else it raises is a failed poll as well.
        """

    def fetch_changes(self, since: float, wanted: frozenset[str]) -> Changes | None:
        """Optional: read only what changed, where the API can tell.

        Called instead of :meth:`fetch` when all wanted tables were read before; now and then there is a
        full read all the same (``FULL_EVERY``).  Tables that are not in the result did not change.

        :param since: when the last poll that went well began, in seconds since the epoch by this machine's
        clock;
            allow for the service's clock to differ.
        :returns: the changes, or None to have everything read.
        """
        return None

    def holds(self, table: str) -> bool:
        """Whether the rows of a table are here, of the last poll that went well: it may be UNCHANGED then."""
        return table in self._whole and table in self._kept

    # ----------------------------------------------------------------------------------------------------

    def __init__(self, name: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, config)
        self.schedule = PollSchedule(self.config["poll_time"], self.config["max_backoff"])
        self.polls = 0
        self._poll_timer: Timer | None = None
        self._subscribed_tables: set[str] = set()
        self._lingering: dict[str, float] = {}
        self._forget_timer: Timer | None = None
        self._polled_at: float | None = None
        self._whole: frozenset[str] = frozenset()
        self._incremental = 0
        self._last_error: str | None = None

    @property
    def time_limit(self) -> float:
        return float(self.config["poll_timeout"])

    def wanted(self) -> frozenset[str]:
        """The tables that a poll would read now."""
        eager = self.config["eager_tables"]
        if "*" in eager:
            return frozenset(self._schemas)
        now = time.monotonic()
        lingering = (table for table, until in list(self._lingering.items()) if until > now)
        return frozenset(self._schemas) & self._subscribed_tables.union(eager, lingering)

    def wants(self, table: str) -> bool:
        return table in self.wanted()

    @exposed
    def status(self) -> dict[str, object]:
        return {
            **super().status(),
            "polls": self.polls,
            "failed_polls_in_a_row": self.schedule.failures,
            "poll_time": self.schedule.poll_time,
            "last_error": self._last_error,
        }

    @exposed
    def request_refresh(self) -> None:
        """Poll at once, or when the service may be asked again; requests that come together are one poll."""
        if not self.wanted():
            self._keep_a_while(self._schemas)
        # Those that waited in the inbox during a poll are all taken before this time is over.
        self.plan_poll(GATHER, context.ids())

    @exposed
    def rows(self, table: str) -> list[Row]:
        """The rows of a table; one that nobody wants is read now, and kept up to date for a while.

        May block for a poll.  :raises PollError: it could not be read, and there are no older rows.
        """
        self.schema_of(table)
        known = table in self.wanted() and not self.freshness[table].stale
        self._keep_a_while((table,))
        if not known and self.state == "running" and self.schedule.allowed(time.monotonic(), 0.0) == 0.0:
            self.poll_now()
        fresh = self.freshness[table]
        if fresh.updated_at is None:
            raise PollError(f"table {table!r} of service {self.name!r} could not be read: {fresh.error or self.error}")
        return list(self.table_rows(table))

    def on_first_subscriber(self, table: str) -> None:
        self._subscribed_tables.add(table)
        if table in self._schemas and self.state == "running":
            self.plan_poll(GATHER if self.freshness[table].updated_at is None else self.schedule.poll_time or GATHER)

    def on_last_unsubscribed(self, table: str) -> None:
        self._subscribed_tables.discard(table)
        if table in self._schemas:
            self._keep_a_while((table,))

    def started(self) -> None:
        if self.wanted():
            self.plan_poll(self.schedule.first())

    def after_action(self, done: Action) -> None:
        if not done.effects or self.wanted() & set(done.effects):
            self.plan_poll(SETTLE, context.ids())

    # A poll ---------------------------------------------------------------------------------------------

    def plan_poll(self, delay: float, ids: context.Ids = context.NO_IDS) -> None:
        """Have the next poll begin in so many seconds, or earlier if that is planned.  Worker thread.

        :param ids: the ids (of a request, of an execution) that it is to run under.
        """
        delay = self.schedule.allowed(time.monotonic(), delay)
        when = time.monotonic() + delay
        if self._poll_timer is not None:
            if self._poll_timer.when <= when:
                return
            self._poll_timer.cancel()
        self._poll_timer = self.after(delay, self.poll_now)
        self._poll_timer.ids = ids

    def poll_now(self) -> None:
        """Read what is wanted and publish it.  Whatever goes wrong ends here."""
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        wanted = self.wanted()
        if not wanted or self.state != "running":
            return
        with context.bind(poll_id=f"poll-{uuid.uuid4().hex[:12]}"):
            began, self.polls = time.time(), self.polls + 1
            try:
                with self.deadline(self.time_limit):
                    failed = self._read_service(began, wanted)
            except Exception as error:  # noqa: BLE001  # the boundary at which a driver's fault is cut
                self._poll_failed(error, wanted)
            else:
                self._poll_done(failed, wanted, time.time() - began)

    def _read_service(self, began: float, wanted: frozenset[str]) -> Mapping[str, DriverError]:
        """Read and publish; gives the errors of tables that failed by themselves."""
        changes: Changes | None = None
        if self._polled_at is not None and wanted <= self._whole and self._incremental < self.FULL_EVERY:
            changes = self.fetch_changes(self._polled_at, wanted)
        if changes is None:
            failed = self._publish_poll(self.fetch(wanted), wanted)
            self._whole, self._incremental = wanted - failed.keys(), 0
        else:
            failed = {}
            self._apply_changes(changes, wanted)
            self._incremental += 1
        self._polled_at = began
        return failed

    def _publish_poll(self, found: Mapping[str, Fetched], wanted: frozenset[str]) -> Mapping[str, DriverError]:
        whole: dict[str, Rows] = {}
        same: list[str] = []
        failed: dict[str, DriverError] = {}
        for table in sorted(wanted):
            match found.get(table):
                case None:
                    raise PollError(f"the driver did not give the table {table!r}")
                case DriverError() as error:
                    failed[table] = error
                case Unchanged():
                    if not self.holds(table):
                        raise PollError(f"the driver called the table {table!r} unchanged before it gave it")
                    same.append(table)
                case rows:
                    whole[table] = rows
        if whole or same:
            self.replace_rows(whole, unchanged=same)
        return failed

    def _apply_changes(self, changes: Changes, wanted: frozenset[str]) -> None:
        """Publish the difference that an incremental read makes; every wanted table is fresh then."""
        deltas: dict[str, tuple[Collection[Row], Collection[Row]]] = dict.fromkeys(sorted(wanted), ((), ()))
        for table in wanted & changes.keys():
            change, schema = changes[table], self.schema_of(table)
            index = schema.index(change.key)
            if index is None:
                raise PollError(f"the driver named {change.key!r} as a key, which table {table!r} does not have")
            new = shapes.shaped(table, schema, change.rows)
            touched = {row[index] for row in new}.union(change.touched or ())
            deltas[table] = (new, [row for row in self.table_rows(table) if row[index] in touched])
        self.change_rows_of(deltas)

    def _poll_done(self, failed: Mapping[str, DriverError], wanted: frozenset[str], seconds: float) -> None:
        """A poll came to its end; single tables may have failed in it."""
        for table, error in failed.items():
            text = self.explain(error)
            if self.freshness[table].error != text:  # logged once, however often it happens
                LOG.error("poll.table_failed service=%s table=%s error=%s", self.name, table, text)
            self.mark_stale((table,), text)
        error_now = self.explain(next(iter(failed.values()))) if failed else None
        if self._last_error is not None and error_now is None:
            LOG.info("poll.recovered service=%s driver=%s", self.name, self.NAME)
        self._last_error = error_now
        LOG.debug("poll.done service=%s tables=%d seconds=%.3f", self.name, len(wanted), seconds)
        unavailable = [error for error in failed.values() if isinstance(error, Unavailable)]
        if unavailable:
            self._try_again(unavailable)
        elif (pause := self.schedule.succeeded()) is not None:
            self.plan_poll(pause)

    def _poll_failed(self, error: Exception, wanted: Iterable[str]) -> None:
        """A poll gave nothing: the rows stay, and are stale."""
        text = self.explain(error)
        self.faults += 1
        if text != self._last_error:  # logged once, however often it happens
            self.log_failure("poll.failed", error)
        self._last_error = self.last_fault = text
        self._whole = frozenset()
        self._try_again([error])
        self.mark_stale(wanted, text)

    def _try_again(self, errors: Iterable[Exception]) -> None:
        waits = [e.retry_after for e in errors if isinstance(e, RateLimited) and e.retry_after is not None]
        self.plan_poll(self.schedule.failed(time.monotonic(), max(waits, default=None)))

    def _keep_a_while(self, tables: Iterable[str]) -> None:
        until = time.monotonic() + max(LINGER, 3 * self.schedule.poll_time)
        self._lingering.update((table, until) for table in tables)
        self._plan_forgetting()

    def _plan_forgetting(self) -> None:
        if self._forget_timer is None and self._lingering:
            soon = min(self._lingering.values()) - time.monotonic()
            self._forget_timer = self.after(max(soon, 0.0) + GATHER, self._forget_unwanted)

    def _forget_unwanted(self) -> None:
        """Let go of the rows of tables that nobody has wanted for a while."""
        self._forget_timer = None
        now = time.monotonic()
        for table in [table for table, until in self._lingering.items() if until <= now]:
            del self._lingering[table]
        self.drop_rows(self._kept.keys() - self.wanted())
        self._plan_forgetting()
