# SPDX-License-Identifier: Apache-2.0
"""The contract of drivers that bring a cloud service's state as tables.

Three kinds: a :class:`~congress.cloudservices.polling_driver.PollingDriver` asks its service again and again,
a :class:`~congress.cloudservices.pushed_driver.PushedDriver` is handed rows, and a
:class:`DataSourceDriver` of neither kind calls :meth:`~DataSourceDriver.replace_rows` or
:meth:`~DataSourceDriver.change_rows_of` whenever it learns something.  All that a polling driver has to
    write::

    class LampsDriver(PollingDriver):
        NAME = "lamps"
        DESCRIPTION = "The lamps of a house"
        OPTIONS = (Option("url", "url", required=True, description="where the bridge is"),)
        TABLES = {"lamps": TableSchema((Column("id", "string", False), Column("shines", "boolean")))}

        def fetch(self, wanted: frozenset[str]) -> Mapping[str, Iterable[Sequence[object]]]:
            lamps = requests.get(self.config["url"], timeout=self.time_left()).json()
            return {"lamps": [(lamp["id"], lamp["on"]) for lamp in lamps]}

``congress scaffold driver NAME`` writes a whole package of this shape, with tests and documentation.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from congress.bus.publisher import TablePublisher
from congress.bus.service import exposed
from congress.cloudservices import rows as shapes
from congress.cloudservices.errors import (
    ActionFailed,
    ActionNotFound,
    DeadlineExceeded,
    DriverError,
    NotSupported,
    TableNotFound,
)
from congress.cloudservices.execution_driver import ActionHooks
from congress.cloudservices.freshness import Freshness
from congress.cloudservices.options import Option, merge, redact, scrub, secret_values, validate
from congress.cloudservices.schedule import PollSchedule
from congress.cloudservices.signatures import Action
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row, Value

__all__ = ["DataSourceDriver", "Rows"]

LOG = logging.getLogger(__name__)

Rows = Iterable[Sequence[object]]
"""Rows as a driver gives them: tuples in column order, of str, int, float, bool (or TRUE, FALSE) and None."""

ACTION_TIMEOUT: Final = 60.0


class DataSourceDriver(TablePublisher, ActionHooks):
    """A cloud service on the bus: publishes its state as tables, tells how current they are.

    A driver class declares ``NAME``, ``DESCRIPTION``, ``OPTIONS`` and ``TABLES``.  All its code but
    ``__init__`` and
    :meth:`configure` runs on the service's one worker thread.  What it raises ends at the boundary here: it
    is logged with the service's name and without secrets, counted, and shown in :meth:`status`; what was
    published stays.
    """

    NAME: ClassVar[str] = ""
    """The name that a service's definition calls the driver by; the same as its entry point's."""
    DESCRIPTION: ClassVar[str] = ""
    """One sentence for the list of drivers."""
    OPTIONS: ClassVar[tuple[Option, ...]] = ()
    """The options that this class adds to those of its bases."""
    TABLES: ClassVar[Mapping[str, TableSchema]] = {}
    """The tables, where they do not depend on the configuration; else override :meth:`tables`."""

    CHECKS_TYPES: ClassVar[bool] = True
    """Whether rows are looked through for values of other types than the schema's; a kind that refuses them
    need not.
    """

    def __init__(self, name: str, config: Mapping[str, Any] | None = None) -> None:
        """Check the configuration.  Does no input or output; override :meth:`configure` rather than this.

        :param name: the service's name on the bus.
        :param config: options by name, as the user gave them.
        :raises ConfigError: the configuration is not valid.
        """
        super().__init__(name)
        self.config: dict[str, Any] = validate(self.options(), config)
        self.secrets = secret_values(self.options(), self.config)
        self.state = "new"
        self.error: str | None = None
        self.observer: Callable[[DataSourceDriver], None] | None = None
        self.updates = 0
        self.last_updated: float | None = None
        self.warnings: Mapping[tuple[str, str], str] = {}
        self._must_end: float | None = None
        self._worker: threading.Thread | None = None
        self._open_retry = PollSchedule(0.0)
        self._kept: dict[str, set[Row]] = {}
        self.configure()
        self._schemas: Mapping[str, TableSchema] = dict(self.tables())
        self.freshness: Mapping[str, Freshness] = {table: Freshness() for table in self._schemas}

    # What a driver writes -------------------------------------------------------------------------------

    def configure(self) -> None:
        """Optional: turn ``self.config`` into what the driver needs.  Last part of the constructor; no I/O.

        :raises ConfigError: options contradict each other, or one is wrong in a way that its type cannot
        tell.
        """

    def tables(self) -> Mapping[str, TableSchema]:
        """Optional: the tables and their columns, after :meth:`configure`; and again after :meth:`open`."""
        return self.TABLES

    def open(self) -> None:
        """Optional: connect.  On the worker thread, before anything else of the service happens; may block.

        Whatever it raises is shown as the service's error, and it is called again after a growing pause.
        """

    def close(self) -> None:
        """Optional: let go of what :meth:`open` took.

        On the worker thread, at the end; may block a second or two.
        """

    # What a driver uses ---------------------------------------------------------------------------------

    @classmethod
    def options(cls) -> tuple[Option, ...]:
        """All options: those of the class and of its bases."""
        return merge(*(base.__dict__.get("OPTIONS", ()) for base in reversed(cls.__mro__)))

    def time_left(self, most: float | None = None) -> float:
        """Seconds that the poll or action under way may still take: give it to every request as its time-out.

        :param most: a shorter limit of the driver's own.
        :raises DeadlineExceeded: there is no time left.
        """
        if self._must_end is None:
            return most if most is not None else self.time_limit
        left = self._must_end - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"not finished within {self.time_limit:g} seconds")
        return left if most is None else min(left, most)

    @property
    def time_limit(self) -> float:
        """Seconds that a poll, or an action, may take."""
        return ACTION_TIMEOUT

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """What runs inside has so many seconds, by :meth:`time_left`."""
        before = self._must_end
        self._must_end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._must_end = before

    def schema_of(self, table: str) -> TableSchema:
        """The columns of a table.  :raises TableNotFound: there is no such table."""
        if isinstance(table, str) and (schema := self._schemas.get(table)) is not None:
            return schema
        names = ", ".join(sorted(self._schemas)) or "none"
        raise TableNotFound(f"service {self.name!r} has no table {str(table)[:100]!r}; its tables are: {names}")

    def replace_rows(self, tables: Mapping[str, Rows], unchanged: Iterable[str] = ()) -> bool:
        """Publish whole tables as one consistent set; they are fresh then, and so are the unchanged ones.

        Worker thread; from elsewhere ``submit(self.replace_rows, tables)``.

        :returns: whether anything changed.  Where nothing did, nothing is sent.
        :raises RowsError: rows do not have the shape of their table; nothing is published.
        """
        shaped = {table: shapes.shaped(table, self.schema_of(table), rows) for table, rows in tables.items()}
        deltas: dict[str, tuple[Collection[Row], Collection[Row]]] = {}
        for table, rows in shaped.items():
            held = self._kept.setdefault(table, set())
            # One look at each row where nothing changed.  The rows that are held stay the same objects, so
            # that the new ones are garbage at once.
            retractions = held.difference(rows)
            if len(rows) == len(held) and not retractions:
                continue
            insertions = {row for row in rows if row not in held}
            held -= retractions
            held |= insertions
            if insertions or retractions:
                deltas[table] = (insertions, retractions)
        return self._publish_changes(deltas, {*shaped, *unchanged})

    def change_rows_of(self, changes: Mapping[str, tuple[Rows, Rows]]) -> bool:
        """Publish changes, ``{"lamps": (insertions, retractions)}``, as one consistent set.  Worker thread.

        A row in both is inserted.  What is there already, or is not there, is no change.  Costs follow the
        change.
        :returns: whether anything changed.  :raises RowsError: as :meth:`replace_rows`.
        """
        shaped: dict[str, tuple[set[Row], set[Row]]] = {}
        for table, (wanted, unwanted) in changes.items():
            schema = self.schema_of(table)
            shaped[table] = (
                set(shapes.shaped(table, schema, wanted)),
                set(shapes.shaped(table, schema, unwanted)),
            )
        return self.change_sets(shaped)

    def change_sets(self, changes: Mapping[str, tuple[Set[Row], Set[Row]]]) -> bool:
        """As :meth:`change_rows_of`, for rows that have the shape of their table for certain."""
        deltas: dict[str, tuple[Collection[Row], Collection[Row]]] = {}
        for table, (wanted, unwanted) in changes.items():
            held = self._kept.setdefault(table, set())
            insertions = wanted - held
            retractions = (unwanted - wanted) & held if unwanted else unwanted
            held |= insertions
            held -= retractions
            if insertions or retractions:
                deltas[table] = (insertions, retractions)
        return self._publish_changes(deltas, changes)

    def drop_rows(self, tables: Iterable[str]) -> None:
        """Let go of the rows of tables that nobody subscribes to: they are as never read.  Worker thread."""
        dropped = set(tables)
        if dropped:
            for table in dropped:
                self._kept.pop(table, None)
            self.freshness = {**self.freshness, **{table: Freshness() for table in dropped}}
            self.notify()

    def mark_stale(self, tables: Iterable[str], error: str | None) -> None:
        """Say that tables could not be brought up to date; their rows stay.  Worker thread."""
        marked = {
            table: Freshness(known.updated_at, True, error, known.rows)
            for table in tables
            if (known := self.freshness.get(table)) is not None
        }
        self.freshness = {**self.freshness, **marked}
        self.notify()

    def notify(self) -> None:
        """Tell the manager that state or freshness changed.  Worker thread."""
        if self.observer is not None:
            self.observer(self)

    def clean(self, text: str) -> str:
        """A text of unknown origin (a library's error) without this service's secrets."""
        return scrub(text, self.secrets)

    def cause(self, error: BaseException) -> BaseException | None:
        """The error to keep as ``__cause__``: None where its text, or that of what led to it, holds a
        secret.
        """
        text = "".join(traceback.format_exception(error))
        return error if self.clean(text) == text else None

    def explain(self, error: BaseException) -> str:
        """An error as a text for users: a driver's own message, or the library's with its class; no
        secrets.
        """
        if isinstance(error, DriverError):
            return self.clean(error.message)
        return self.clean(f"{type(error).__name__}: {error}")

    # What the bus calls ---------------------------------------------------------------------------------

    @exposed
    def status(self) -> dict[str, object]:
        """How the service is, as plain JSON types, without secrets.

        Any thread; see the manager for a busy service.
        """
        tables = {
            table: {
                **fresh.to_dict(),
                "subscribers": sorted(self.subscribers(table)),
                "wanted": self.wants(table),
            }
            for table, fresh in self.freshness.items()
        }
        return {
            "name": self.name,
            "driver": self.NAME,
            "state": self.state,
            "error": self.error,
            "last_updated": self.last_updated,
            "number_of_updates": self.updates,
            "stale": any(fresh.stale for table, fresh in self.freshness.items() if self.wants(table)),
            "config": redact(self.options(), self.config),
            "tables": tables,
            "warnings": sorted(self.warnings.values()),
        }

    @exposed
    def schema(self) -> dict[str, TableSchema]:
        """The tables and their columns."""
        return dict(self._schemas)

    @exposed
    def actions(self) -> list[Action]:
        """What can be asked of the service; nothing, unless the class is an ExecutionDriver too."""
        return []

    @exposed
    def rows(self, table: str) -> list[Row]:
        """The rows of a table.  :raises TableNotFound: there is no such table."""
        self.schema_of(table)
        return list(self._kept.get(table, ()))

    @exposed
    def request_refresh(self) -> None:
        """Bring the tables up to date soon.

        Many requests come to one; no effect on services that are pushed.
        """

    @exposed
    def execute(
        self,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
        execution_id: str | None = None,
        completion_token: str | None = None,
    ) -> object:
        """Carry out an action.

        :raises ActionNotFound: always, unless the class is an ExecutionDriver too.
        """
        raise ActionNotFound(f"service {self.name!r} has no action {str(name)[:100]!r}")

    @exposed
    def put_rows(self, table: str, rows: object) -> bool:
        """Replace a whole table.  :raises NotSupported: the service's rows are not pushed."""
        raise NotSupported(f"service {self.name!r} reads its rows itself; they cannot be pushed")

    @exposed
    def change_rows(self, table: str, insert: object = (), delete: object = ()) -> bool:
        """Insert and delete rows.  :raises NotSupported: the service's rows are not pushed."""
        raise NotSupported(f"service {self.name!r} reads its rows itself; they cannot be pushed")

    @exposed
    def webhook(self, payload: object) -> None:
        """Take a notification of the service.

        :raises NotSupported: unless the driver has a meaning for them.
        """
        raise NotSupported(f"service {self.name!r} takes no notifications")

    @exposed
    def table_webhook(self, table: str, payload: object) -> None:
        """Take a notification that is about one table.

        :raises NotSupported: unless the driver has a meaning for them.
        """
        raise NotSupported(f"service {self.name!r} takes no notifications for a table")

    def table_rows(self, table: str) -> Collection[Row]:
        """A live view of a table's rows.  Worker thread."""
        return self._kept.get(table, frozenset())

    def wants(self, table: str) -> bool:
        """Whether the service keeps this table up to date at present."""
        return True

    # The service's life ---------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the worker thread, once begun, is still there.  Any thread."""
        return self._worker is None or self._worker.is_alive()

    def on_start(self) -> None:
        self._worker = threading.current_thread()
        self._enter_state("starting", None)
        self._try_open()

    def on_stop(self) -> None:
        try:
            self.close()
        except Exception as error:  # noqa: BLE001  # the boundary at which a driver's fault is cut
            self.log_failure("driver.close_failed", error)
        self._enter_state("stopped", None)

    def started(self) -> None:
        """The service is open; a kind of driver begins its work here."""

    def around_action(self, wanted: Action) -> Any:
        if self.state != "running":
            raise ActionFailed(f"service {self.name!r} is not running: {self.error}", retryable=True)
        return self.deadline(self.time_limit)

    def log_failure(self, event: str, error: BaseException) -> None:
        """Log a driver's fault; with a traceback where the driver did not raise it on purpose."""
        trace = "" if isinstance(error, DriverError) else "\n" + self.clean("".join(traceback.format_exception(error)))
        LOG.error("%s service=%s driver=%s error=%s%s", event, self.name, self.NAME, self.explain(error), trace)

    def _try_open(self) -> None:
        try:
            with self.deadline(self.time_limit):
                self.open()
            self._schemas = dict(self.tables())
        except Exception as error:  # noqa: BLE001  # the boundary at which a driver's fault is cut
            self.faults += 1
            if self.error != self.explain(error):
                self.log_failure("driver.open_failed", error)
            self._enter_state("error", self.explain(error))
            self.after(self._open_retry.failed(time.monotonic()), self._try_open)
            return
        self.freshness = {table: self.freshness.get(table, Freshness()) for table in self._schemas}
        self._open_retry.succeeded()
        self._enter_state("running", None)
        self.started()

    def _enter_state(self, state: str, error: str | None) -> None:
        self.state, self.error = state, error
        self.notify()

    def _publish_changes(
        self, deltas: Mapping[str, tuple[Collection[Row], Collection[Row]]], seen: Iterable[str]
    ) -> bool:
        """Publish what changed; everything seen is fresh now."""
        now = time.time()
        if self.CHECKS_TYPES:
            for table, (insertions, _) in deltas.items():
                self._warn_of_types(table, insertions)
        self.freshness = {
            **self.freshness,
            **{table: Freshness(now, False, None, len(self._kept[table])) for table in seen},
        }
        self.last_updated = now
        self.updates += 1
        if deltas:
            self.publish(deltas)
        self.notify()
        return bool(deltas)

    def _warn_of_types(self, table: str, insertions: Collection[Row]) -> None:
        """Note columns that hold values of another type than the schema says; each is logged once."""
        schema = self._schemas[table]
        for column, found in shapes.misfits(schema, insertions).items():
            text = f"table {table!r}, column {column!r}: there are values of kind {found}, against its schema"
            if (table, column) not in self.warnings:
                LOG.warning("driver.column_type service=%s driver=%s %s", self.name, self.NAME, text)
            self.warnings = {**self.warnings, (table, column): text}
