# SPDX-License-Identifier: Apache-2.0
"""The policy runtime together with the ledger that all its actions go through."""

from typing import Any

from congress.bus.bus import Bus
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.executions.service import ExecutionService
from congress.policy.dse_runtime import DseRuntime
from congress.policy.ledger_sink import LedgerSink


def host_policies(
    bus: Bus, database: Database, cipher: Cipher, *, ledger: dict[str, Any] | None = None, **options: Any
) -> DseRuntime:
    """Put a ledger and a policy runtime on the bus, in this order, over one database.

    :param database: upgraded.
    :param ledger: options of :class:`ExecutionService`.
    :param options: those of :class:`DseRuntime`.
    """
    executions = ExecutionService(database, cipher, **(ledger or {}))
    bus.add(executions)
    runtime = DseRuntime(database, sink=LedgerSink(executions), **options)
    bus.add(runtime)
    return runtime
