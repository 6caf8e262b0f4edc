# SPDX-License-Identifier: Apache-2.0
"""The ledger's tables among those of the service ``congress``, whichever process each of the two is in."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row
from congress.executions.board import TABLES
from congress.executions.service import NAME as LEDGER

NAME: Final = "_ledger_tables"


class Tables(Protocol):
    """A service that publishes tables for others."""

    def declare(self, tables: Mapping[str, TableSchema]) -> None:
        """Add tables; they are empty at first."""

    def change(self, changes: Mapping[str, tuple[Iterable[Row], Iterable[Row]]]) -> None:
        """Say what changed; any thread."""


class LedgerTables(Subscriber):
    """Passes ``executions``, ``holds`` and ``breakers`` on, so that policies read ``congress:executions(...)``."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(NAME)
        self._tables = tables
        tables.declare(TABLES)

    def on_start(self) -> None:
        for table in TABLES:
            self.subscribe(LEDGER, table)

    def on_updates(self, updates: list[TableUpdate]) -> None:
        self._tables.change({update.table: (update.insertions, update.retractions) for update in updates})
