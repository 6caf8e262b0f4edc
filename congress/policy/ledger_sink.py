# SPDX-License-Identifier: Apache-2.0
"""Wanted actions on their way to the ledger of executions."""

from collections.abc import Collection, Sequence

from congress.datalog.values import Row
from congress.db.records import new_id
from congress.executions.model import Call, Origin
from congress.executions.service import ExecutionService
from congress.policy.enforcement import Cause, Wanted


class LedgerSink:
    """An :class:`~congress.policy.enforcement.ActionSink`: hands everything to the ledger's own thread, in order."""

    def __init__(self, executions: ExecutionService) -> None:
        self._executions = executions

    def began(self, tables: Collection[str]) -> None:
        self._executions.submit(self._executions.began, list(tables))

    def appeared(self, wanted: Sequence[Wanted], cause: Cause) -> None:
        self._executions.submit(self._executions.appeared, wanted)

    def present(self, table: str, rows: Collection[Row]) -> None:
        self._executions.submit(self._executions.present, table, rows)

    def vanished(self, places: Sequence[tuple[str, Row]], cause: Cause) -> None:
        self._executions.submit(self._executions.vanished, places, cause.for_good)

    def forget(self, policy: str) -> None:
        self._executions.submit(self._executions.forget, policy)

    def requested(self, call: Call, origin: Origin) -> str:
        execution_id = new_id()
        self._executions.submit(self._executions.requested, execution_id, call, origin)
        return execution_id
