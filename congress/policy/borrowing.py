# SPDX-License-Identifier: Apache-2.0
"""Tables of services that no rule reads yet, fetched for as long as somebody only tries something."""

import logging
from collections.abc import Iterable
from typing import Any, Final, Protocol

from congress.bus.errors import BusError
from congress.datalog.diagnostics import DatalogError
from congress.datalog.engine import Engine
from congress.datalog.values import encode_rows
from congress.policy.sources import Sources
from congress.policy.steps import OPTIONS

LOG = logging.getLogger(__name__)

_ANSWER: Final = 5.0  # seconds that a service has


class Asking(Protocol):
    """How a method of a service is called."""

    def __call__(self, target: str, method: str, /, *, timeout: float, **arguments: Any) -> Any: ...


class Borrower:
    """Completes an engine that is within ``hypothetical()``.  Blocks while services answer."""

    def __init__(self, engine: Engine, sources: Sources, call: Asking, name: str) -> None:
        """:param name: of the runtime itself, which is asked for nothing."""
        self._engine = engine
        self._sources = sources
        self._call = call
        self._name = name

    def borrow(self, services: Iterable[str], tables: Iterable[str]) -> list[str]:
        """Fetch the schemas of services and the rows of tables that the engine does not have.

        :returns: the tables whose rows are not known, among these and all others that rules read.
        """
        for service in sorted(set(services)):
            if self._engine.schema(service) is None and service not in {self._name, *self._engine.policies()}:
                self._learn(service)
        missing = {source.key for source in self._sources if not source.settled} - {OPTIONS}
        for key in sorted(set(tables)):
            service, _, table = key.partition(":")
            schema = self._engine.schema(service)
            if service in self._engine.policies() or self._sources.find(key) is not None:
                continue
            if schema is None or table not in schema or not self._load(service, table):
                missing.add(key)
        return sorted(missing)

    def _learn(self, service: str) -> None:
        try:
            self._engine.set_schema(service, self._call(service, "schema", timeout=_ANSWER))
        except (BusError, DatalogError):
            return  # whoever names the service is told that it is not known

    def _load(self, service: str, table: str) -> bool:
        try:
            rows = self._call(service, "rows", timeout=_ANSWER, table=table)
            self._engine.load(f"{service}:{table}", encode_rows(rows))
        except Exception as error:  # noqa: BLE001  # whatever keeps it from answering, its rows are not known
            LOG.info("policy.rows_not_known table=%s:%s error=%s", service, table, error)
            return False
        return True
