# SPDX-License-Identifier: Apache-2.0
"""The ledger's tables among those of the service ``congress``, whichever process each of the two is in."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row
from congress.executions.board import LOADED, TABLES
from congress.executions.service import NAME as LEDGER

NAME: Final = "_ledger_tables"


class Tables(Protocol):
    """A service that publishes tables for others."""

    def declare(self, tables: Mapping[str, TableSchema]) -> None:
        """Add tables; they are empty at first."""

    def put(self, tables: Mapping[str, Collection[Row]]) -> None:
        """Say what is in tables: they are known from then on; any thread."""

    def change(self, changes: Mapping[str, tuple[Iterable[Row], Iterable[Row]]]) -> None:
        """Say what changed; any thread."""


class LedgerTables(Subscriber):
    """Passes ``executions``, ``holds`` and ``breakers`` on, so that policies read ``congress:executions(...)``.

    Not before the ledger has read its database: until then the tables are not known, and nothing is concluded from what
    is not in them; those of a ledger that has started anew stay as they were.
    """

    def __init__(self, tables: Tables) -> None:
        super().__init__(NAME)
        self._tables = tables
        self._lives: dict[str, str] = {}  # the life of the ledger in which each table came last
        self._passed = ""  # the one whose tables are passed on
        tables.declare(TABLES)

    def on_start(self) -> None:
        for table in (*TABLES, LOADED):
            self.subscribe(LEDGER, table)

    def on_updates(self, updates: list[TableUpdate]) -> None:
        life = updates[0].epoch
        self._lives |= {update.table: life for update in updates}
        if self._passed == life:
            changes = {u.table: (u.insertions, u.retractions) for u in updates if u.table in TABLES}
            self._tables.change(changes)
        elif self._complete(life):
            self._tables.put({table: list(self.copy_of(LEDGER, table)) for table in TABLES})
            self._passed = life

    def _complete(self, life: str) -> bool:
        """Whether everything that a life of the ledger has read has come."""
        come = all(self._lives.get(table) == life for table in (*TABLES, LOADED))
        return come and bool(self.copy_of(LEDGER, LOADED))
