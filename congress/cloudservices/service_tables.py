# SPDX-License-Identifier: Apache-2.0
"""The daemon as a cloud service of its own: what it knows about itself, as tables of the service
``congress``.
"""

import threading
from collections.abc import Mapping
from typing import ClassVar, Final

from congress.cloudservices.datasource_driver import DataSourceDriver, Rows
from congress.cloudservices.freshness import Freshness
from congress.datalog.schema import Column, TableSchema

NAME: Final = "congress"

SERVICES: Final = TableSchema(
    (
        Column("name", "string", False, "name of the service, as in rules"),
        Column("id", "string", False, "its id"),
        Column("driver", "string", False, "the driver that it runs on"),
        Column("enabled", "boolean", False, "whether it is to run"),
        Column("state", "string", False, "new, starting, running, error, stopped or disabled"),
        Column("error", "string", True, "what keeps it from running"),
    ),
    "Every cloud service that is defined.",
)
FRESHNESS: Final = TableSchema(
    (
        Column("service", "string", False, "name of the service"),
        Column("table", "string", False, "one of its tables"),
        Column("updated_at", "float", True, "when its rows were last known to be right, in seconds since 1970"),
        Column("stale", "boolean", False, "whether the latest attempt to bring it up to date failed"),
        Column("error", "string", True, "what went wrong in that attempt"),
        Column("rows", "integer", False, "how many rows it has"),
    ),
    "How current each table of each service is.",
)


class CongressService(DataSourceDriver):
    """Publishes tables about the daemon.

    Any part of it may add tables and say what is in them, from any thread.
    """

    NAME: ClassVar[str] = NAME
    DESCRIPTION: ClassVar[str] = "The daemon itself"
    TABLES: ClassVar[Mapping[str, TableSchema]] = {"services": SERVICES, "freshness": FRESHNESS}

    def __init__(self) -> None:
        self._declaring = threading.Lock()
        self._declared: dict[str, TableSchema] = dict(self.TABLES)
        super().__init__(NAME)

    def tables(self) -> Mapping[str, TableSchema]:
        with self._declaring:
            return dict(self._declared)

    def declare(self, tables: Mapping[str, TableSchema]) -> None:
        """Add tables; they are empty at first.  Any thread; best before the service is on the bus."""
        with self._declaring:
            self._declared.update(tables)
            self._schemas = dict(self._declared)
            self.freshness = {table: self.freshness.get(table, Freshness()) for table in self._schemas}

    def put(self, tables: Mapping[str, Rows]) -> None:
        """Say what is in tables, as one consistent set.  Any thread; does not block."""
        self.submit(self.replace_rows, tables)

    def change(self, changes: Mapping[str, tuple[Rows, Rows]]) -> None:
        """Say what changed, ``{"services": (insertions, retractions)}``.  Any thread; does not block."""
        self.submit(self.change_rows_of, changes)
