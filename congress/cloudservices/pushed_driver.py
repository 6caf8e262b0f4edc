# SPDX-License-Identifier: Apache-2.0
"""Drivers whose rows are handed to them: whole tables, or rows to insert and to delete."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from congress.bus.service import exposed
from congress.cloudservices import rows as shapes
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import RowsError
from congress.cloudservices.options import Option
from congress.datalog.values import Row


class RowStore(Protocol):
    """Where pushed rows outlive the daemon, by the id of the service.

    Called on services' worker threads; may block; may raise anything.
    """

    def load(self, service_id: str) -> Mapping[str, Iterable[Row]]:
        """The rows of a service by table."""

    def replace(self, service_id: str, table: str, rows: Iterable[Row]) -> None:
        """Keep these rows of a table, and no others."""

    def change(self, service_id: str, table: str, insert: Iterable[Row], delete: Iterable[Row]) -> None:
        """Keep these rows too, and those no more; a row in both is kept."""


class PushedDriver(DataSourceDriver):
    """Publishes rows that are pushed to it, by :meth:`put_rows` and :meth:`change_rows`.

    A table is stale until rows were first pushed to it (or restored): after a restart nobody knows whether
    the service's state is still what it was, and an empty table is no answer.
    """

    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "persist",
            "boolean",
            default=False,
            synonyms=("persist_data",),
            description=("Keep pushed rows in the daemon's database, so that they survive a restart."),
        ),
        Option(
            "max_age",
            "number",
            default=0.0,
            minimum=0,
            maximum=86400.0 * 366,
            description=("Seconds without a push after which a table counts as stale; 0: never."),
        ),
    )

    CHECKS_TYPES = False
    row_store: RowStore | None = None
    """Where rows are kept when ``persist`` is on; the manager sets it before the service starts."""
    service_id = ""
    """What the rows are kept under; the manager sets it too."""

    def __init__(self, name: str, config: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, config)
        self._watched: set[str] = set()

    def open(self) -> None:
        """Bring back what was kept."""
        if not self.config["persist"] or self.row_store is None:
            return
        kept = self.row_store.load(self.service_id)
        tables = {}
        for table, schema in self.tables().items():
            if table in kept:
                try:
                    tables[table] = shapes.parse(table, schema, list(kept[table]))
                except RowsError as error:  # the table's columns were redefined since
                    self.log_failure("push.kept_rows_do_not_fit", error)
        self.replace_rows(tables)
        for table in tables:
            self._watch_age(table)

    @exposed
    def put_rows(self, table: str, rows: object) -> bool:
        """Replace a whole table.

        :param rows: a list of rows, each a list in column order or an object by column name.
        :returns: whether anything changed.
        :raises RowsError: with the row's number and the column; nothing is changed then.
        """
        parsed = shapes.parse(table, self.schema_of(table), rows)
        self.check_keys(table, parsed)
        if self._keeps is not None:
            self._keeps.replace(self.service_id, table, parsed)
        changed = self.replace_rows({table: parsed})
        self._watch_age(table)
        return changed

    @exposed
    def change_rows(self, table: str, insert: object = (), delete: object = ()) -> bool:
        """Insert and delete rows; a row in both is inserted, one that is (not) there already is no change.

        :returns: whether anything changed.  :raises RowsError: as :meth:`put_rows`.
        """
        schema = self.schema_of(table)
        new, old = shapes.parse(table, schema, insert), self.parse_deletions(table, delete)
        old += self.replaced_by(table, new)
        if self._keeps is not None:
            self._keeps.change(self.service_id, table, new, old)
        changed = self.change_sets({table: (set(new), set(old))})
        self._watch_age(table)
        return changed

    def check_keys(self, table: str, rows: Sequence[Row]) -> None:
        """Optional: refuse rows of a whole table that contradict each other, by RowsError."""

    def parse_deletions(self, table: str, given: object) -> list[Row]:
        """Optional: which rows a request to delete means; here, the rows that are given whole."""
        return shapes.parse(table, self.schema_of(table), given)

    def replaced_by(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """Optional: rows that go because others come in their place."""
        return []

    @property
    def _keeps(self) -> RowStore | None:
        return self.row_store if self.config["persist"] else None

    def _watch_age(self, table: str) -> None:
        """Have the table looked at when it may be too old; one timer a table, however often rows are
        pushed.
        """
        if self.config["max_age"] and table not in self._watched:
            self._watched.add(table)
            self.after(self.config["max_age"], self._check_age, table)

    def _check_age(self, table: str) -> None:
        self._watched.discard(table)
        age, updated = self.config["max_age"], self.freshness[table].updated_at or 0.0
        left = updated + age - time.time()
        if left > 0:
            self._watched.add(table)
            self.after(left, self._check_age, table)
        else:
            self.mark_stale([table], f"no rows were pushed for {age:g} seconds")
