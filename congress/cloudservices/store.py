# SPDX-License-Identifier: Apache-2.0
"""What the driver manager needs of a database, and the same in memory for tests and for daemons that keep
nothing.
"""

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from congress.cloudservices.errors import ServiceExists, ServiceNotFound
from congress.datalog.values import Row


class StoredService(Protocol):
    """The definition of a service as a store gives it; a dataclass.

    ``config`` has all options in clear, secrets too; ``secret_options`` names those that the store
    encrypts, and ``unreadable`` those that it could not decrypt, which are missing in ``config``.
    """

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def secret_options(self) -> frozenset[str]: ...
    @property
    def unreadable(self) -> frozenset[str]: ...
    @property
    def description(self) -> str: ...
    @property
    def enabled(self) -> bool: ...


class ServiceStore(Protocol):
    """Where definitions of services are kept.

    Called on the manager's thread; may block; may raise anything.
    """

    def all(self) -> Sequence[StoredService]:
        """Every service."""

    # The store is given records of the class that the manager was told to make.
    def create(self, service: Any) -> None:
        """Keep a new one."""

    def update(self, service: Any) -> None:
        """Keep it in place of the one with the same id; unreadable options stay as they are."""

    def delete(self, service_id: str) -> None:
        """Forget it, and the rows that are kept for it."""


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """The definition of a service, where no database gives it another class."""

    name: str
    driver: str
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secret_options: frozenset[str] = frozenset()
    description: str = ""
    enabled: bool = True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    unreadable: frozenset[str] = frozenset()


class MemoryStore:
    """A store of services that ends with the process.  Any thread."""

    def __init__(self, services: Iterable[StoredService] = ()) -> None:
        self._lock = threading.Lock()
        self._services = {service.id: service for service in services}

    def all(self) -> Sequence[StoredService]:
        with self._lock:
            return list(self._services.values())

    def create(self, service: StoredService) -> None:
        with self._lock:
            if any(service.name == other.name for other in self._services.values()):
                raise ServiceExists(f"there is a service {service.name!r} already")
            self._services[service.id] = service

    def update(self, service: StoredService) -> None:
        with self._lock:
            if service.id not in self._services:
                raise ServiceNotFound(f"there is no service with the id {service.id!r}")
            self._services[service.id] = service

    def delete(self, service_id: str) -> None:
        with self._lock:
            if self._services.pop(service_id, None) is None:
                raise ServiceNotFound(f"there is no service with the id {service_id!r}")


class MemoryRowStore:
    """A store of pushed rows that ends with the process.  Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, dict[str, set[Row]]] = {}

    def load(self, service_id: str) -> Mapping[str, Iterable[Row]]:
        with self._lock:
            return {table: list(rows) for table, rows in self._rows.get(service_id, {}).items()}

    def replace(self, service_id: str, table: str, rows: Iterable[Row]) -> None:
        with self._lock:
            self._rows.setdefault(service_id, {})[table] = set(rows)

    def change(self, service_id: str, table: str, insert: Iterable[Row], delete: Iterable[Row]) -> None:
        with self._lock:
            held = self._rows.setdefault(service_id, {}).setdefault(table, set())
            held.difference_update(delete)
            held.update(insert)
