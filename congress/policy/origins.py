# SPDX-License-Identifier: Apache-2.0
"""Where wanted actions come from: the policy, the rules, the proof, the tables underneath."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from congress.datalog.definitions import TableInfo
from congress.datalog.engine import Engine
from congress.datalog.values import Row
from congress.executions.model import Call, Origin
from congress.policy import views
from congress.policy.enforcement import Cause, Wanted, calls_of
from congress.policy.sources import Sources

PROVEN: Final = 1000
"""How many rows of one transaction get a proof each; the rules of the others are told all the same."""
PROOF_ROWS: Final = 40
"""How many rows one proof may have."""


class Origins:
    """Tells why rows of action tables are there.  The runtime's worker thread."""

    def __init__(self, engine: Engine, sources: Sources, leaves: Callable[[str], Collection[str]]) -> None:
        """:param leaves: the tables of services that a table depends on."""
        self._engine = engine
        self._sources = sources
        self._leaves = leaves

    def of(self, table: TableInfo, rows: Sequence[Row], cause: Cause) -> list[Wanted]:
        """The actions that rows ask for."""
        if not rows:
            return []
        tables = tuple(sorted(self._leaves(table.key)))
        populations: dict[str, int] = {}
        found: list[Wanted] = []
        for index, asked in enumerate(calls_of(table, rows)):
            proof = self._proof(table.key, asked.row) if index < PROVEN else None
            if asked.service not in populations:
                populations[asked.service] = self._population(asked.service, tables)
            origin = Origin(
                policy=asked.policy,
                table=asked.table,
                row=asked.row,
                rules=() if proof is None else (proof["rule_id"],) if "rule_id" in proof else (),
                proof=proof,
                cause=cause.kind,
                ids=dict(cause.ids),
                sources=tables,
                population=populations[asked.service],
            )
            found.append((Call(asked.service, asked.action, asked.positional, asked.named), origin))
        return found

    def _proof(self, table: str, row: Row) -> Mapping[str, Any] | None:
        proof = self._engine.why(table, row, limit=PROOF_ROWS)
        return None if proof is None else views.proof_view(proof, self._sources)

    def _population(self, service: str, tables: Sequence[str]) -> int:
        """Rows of the largest table that the action's own service published and that its row depends on; where there
        is none, of the largest of all."""
        own = [table for table in tables if table.partition(":")[0] == service]
        return max((len(self._engine.rows(table)) for table in own or tables), default=0)
