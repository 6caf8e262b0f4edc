# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon, put together, started in their order and stopped in the other."""

import gc
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from congress.api.application import make_application
from congress.api.backend import BusBackend
from congress.api.http_server import HttpServer, Listening
from congress.api.measures import Measures
from congress.api.streams import StreamHub
from congress.bus.bus import Bus
from congress.bus.codec import portable
from congress.cloudservices.catalog import DriverCatalog
from congress.cloudservices.manager import DriverManager
from congress.cloudservices.service_tables import CongressService
from congress.cmd.occupancy import Occupancy
from congress.cmd.security import api_settings
from congress.cmd.security import check as check_security
from congress.conf import Configuration, ConfigurationError
from congress.conf.guard import guard_defaults
from congress.datalog.limits import Limits
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import (
    Conflict,
    DbError,
    NameTaken,
    OutcomeUnknown,
    RecordNotFound,
    Stale,
    Unavailable,
    Unstorable,
)
from congress.db.migrate import upgrade
from congress.db.names import POLICY, NameStore
from congress.db.service_rows import ServiceRowStore
from congress.db.services import ServiceRecord, ServiceStore
from congress.executions.relay import LedgerTables
from congress.library.service import LibraryService
from congress.policy.hosting import host_policies

LOG = logging.getLogger(__name__)

# What the stores raise may travel: a database that is away is no fault of the services that asked it.
for _error in (Conflict, NameTaken, OutcomeUnknown, RecordNotFound, Stale, Unavailable, Unstorable):
    portable(_error)

STOP_SECONDS: Final = 1.8
SWITCH_INTERVAL: Final = 0.0005
"""Seconds that a busy Python thread keeps the interpreter while others wait.

The engine is one busy thread; at Python's own 0.005 a request beside it takes 16 ms, at this 2 ms, for some 20 % of the
engine's speed while requests come.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts run in this process."""

    api: bool = True
    policy_engine: bool = True
    datasources: bool = True

    @property
    def all(self) -> bool:
        """Whether nothing is left to other processes."""
        return self.api and self.policy_engine and self.datasources


class Daemon:
    """One process of Congress.  ``start`` and ``stop`` are called once each, on the main thread."""

    def __init__(self, configuration: Configuration, parts: Parts) -> None:
        self._configuration = configuration
        self._parts = parts
        self._bus: Bus | None = None
        self._database: Database | None = None
        self._hub: StreamHub | None = None
        self._http: HttpServer | None = None
        self._occupied: list[Occupancy] = []

    def check(self) -> None:
        """Refuse what must not be run.

        :raises ConfigurationError: saying which option to change.
        """
        options = self._configuration.options
        if self._parts.api:
            check_security(self._configuration)
        if not self._parts.all and options.transport_url.startswith("inproc:"):
            raise ConfigurationError(
                "The parts of the daemon can only run in several processes over a message broker: "
                "set transport_url to rabbit://..."
            )

    def start(self) -> list[str]:
        """Start everything; returns when requests are served.

        Policies and services are loaded while requests are served already; ``/health/ready`` tells when they are.

        :returns: the addresses that the API listens on.
        :raises ConfigurationError: the address is in use, the folder cannot be made, and the like.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        gc.disable()  # what is made now stays; looking for cycles in it doubles the time
        began = time.perf_counter()
        options = self._configuration.options
        urls: list[str] = []
        node = self._configuration.node_id
        self._bus = bus = Bus(options.transport_url, bus_id=options.bus.bus_id, node_id=node, conf=options)
        measures = Measures()
        if self._parts.api:
            self._hub = StreamHub(f"_api.{node}", memory=options.api.stream_memory, streams=options.api.max_streams)
            backend = BusBackend(
                bus,
                self._hub,
                timeout=options.api.call_timeout,
                streams=options.api.max_streams,
                streams_each=options.api.max_user_streams,
                heartbeat=options.api.stream_heartbeat,
            )
            self._http = self._listen(make_application(backend, measures, api_settings(self._configuration)))
            urls = [_url(host, port) for host, port in self._http.addresses]
        bus.start()
        if self._parts.policy_engine or self._parts.datasources:
            self._start_services(bus)
        if self._hub is not None and self._http is not None:
            bus.add(self._hub)
            self._http.start()
        gc.collect()
        gc.freeze()
        gc.enable()
        gc.set_threshold(50_000, 20, 50)
        LOG.info("server.started url=%s seconds=%.3f", " ".join(urls), time.perf_counter() - began)
        return urls

    def stop(self) -> bool:
        """Stop everything, within :data:`STOP_SECONDS` about.  :returns: whether all of it ended in time."""
        until = time.monotonic() + STOP_SECONDS
        LOG.info("server.stopping")
        good = True
        if self._hub is not None:
            self._hub.close_all()
        if self._http is not None:
            good = self._http.stop(0.8)
        if self._bus is not None:
            good = self._bus.stop(max(0.3, until - time.monotonic())) and good
        if self._database is not None:
            self._database.close()
        for occupancy in self._occupied:
            occupancy.give_up()
        LOG.info("server.stopped clean=%s", good)
        return good

    def _listen(self, application: object) -> HttpServer:
        options = self._configuration.options
        listening = Listening(
            host=options.bind_host,
            port=options.bind_port,
            threads=options.api.threads,
            streams=options.api.max_streams,
            connections=options.api.max_connections,
            max_body=options.api.max_body_size,
        )
        try:
            return HttpServer(application, listening)  # type: ignore[arg-type]  # a WSGI application
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {options.bind_host} port {options.bind_port}: {error.strerror}. "
                "Is Congress running already? --bind-port names another port."
            ) from error

    def _start_services(self, bus: Bus) -> None:
        configuration = self._configuration
        if configuration.needs_state_folder():
            try:
                configuration.state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                folder = configuration.state_path
                raise ConfigurationError(f"cannot make the folder {folder}: {error.strerror}") from error
            parts = {"policy-engine": self._parts.policy_engine, "datasources": self._parts.datasources}
            for part in (name for name, here in parts.items() if here):
                self._occupied.append(Occupancy(configuration.state_path, part))
        try:
            self._database = database = Database(configuration.database_url)
            upgrade(database)
            cipher = Cipher.open(configuration.key_file)
        except DbError as error:
            raise ConfigurationError(f"cannot use the database or its keys: {error}") from error
        if self._parts.policy_engine:
            policy = configuration.options.policy
            limits = Limits(rows=policy.max_table_rows, seconds=policy.max_rule_seconds)
            ledger = {
                "defaults": guard_defaults(configuration.options),
                "retention": configuration.options.executions.retention_days * 86_400.0,
            }
            host_policies(bus, database, cipher, ledger=ledger, limits=limits)
            folder = configuration.options.policy_library_path
            bus.add(LibraryService(database, Path(folder) if folder else None))
        if self._parts.datasources:
            names = NameStore(database)
            congress = CongressService()
            manager = DriverManager(
                ServiceStore(database, cipher),
                catalog=DriverCatalog(disabled=configuration.options.disabled_drivers),
                congress=congress,
                row_store=ServiceRowStore(database),
                new_record=ServiceRecord,
                is_policy=lambda name: names.kind_of(name) == POLICY,
            )
            bus.add(congress)
            bus.add(LedgerTables(congress))
            bus.add(manager)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
