# SPDX-License-Identifier: Apache-2.0
"""The services that the manager keeps running, and what the daemon's tables say about them."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from congress.bus import context
from congress.bus.errors import BusError
from congress.bus.service import Service, Timer
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import ConfigError, DriverError, DriverNotFound, ServiceNotFound
from congress.cloudservices.schedule import PollSchedule
from congress.cloudservices.service_tables import CongressService
from congress.cloudservices.store import StoredService
from congress.datalog.values import FALSE, TRUE, Row

LOG = logging.getLogger(__name__)

# What happens to services shows in the daemon's tables after so many seconds, all of it at once.
GATHER: Final = 0.2
# How often threads are looked after, in seconds.
WATCH: Final = 2.0
# A service gets so many seconds to end.
STOP: Final = 5.0


@dataclass(slots=True)
class Running:
    """One service: its definition, its driver while it has one, and what was published about it."""

    record: StoredService
    driver: DataSourceDriver | None = None
    error: str | None = None
    retry: PollSchedule = field(default_factory=lambda: PollSchedule(0.0))
    timer: Timer | None = None
    services: frozenset[Row] = frozenset()
    freshness: frozenset[Row] = frozenset()


class RunningServices:
    """All methods on the manager's thread, but the drivers' observer."""

    def __init__(
        self,
        owner: Service,
        build: Callable[[StoredService], DataSourceDriver],
        congress: CongressService | None,
    ) -> None:
        """:param owner: the manager; on its thread timers run, on its bus services are put.
        :param build: makes a driver of a definition; raises DriverError.
        """
        self._owner = owner
        self._build = build
        self._congress = congress
        self._by_id: dict[str, Running] = {}
        self._ids: dict[str, str] = {}
        self._hinted: set[str] = set()
        self._news: set[str] = set()
        self._watching = False

    # Asked by the manager ---------------------------------------------------------------------------------

    def records(self) -> list[StoredService]:
        return [running.record for running in self._by_id.values()]

    def knows(self, service: str) -> bool:
        """Whether a definition has this id or name."""
        return service in self._by_id or service in self._ids

    def record(self, service: str) -> StoredService:
        """:raises ServiceNotFound: no definition has this id or name."""
        return self._get(service).record

    def driver(self, service: str) -> DataSourceDriver | None:
        """The driver of a service that has one."""
        return self._get(service).driver if self.knows(service) else None

    def state_of(self, record: StoredService) -> tuple[str, str | None]:
        """State and error of a service."""
        running = self._by_id[record.id]
        if not record.enabled:
            return "disabled", None
        if running.driver is None:
            return "error", running.error
        if not running.driver.alive:
            return "error", "its thread died"
        return running.driver.state, running.driver.error

    def why_not(self, name: str) -> str:
        """Why a service is not on the bus, for users."""
        if not self.knows(name):
            return "it has gone"
        state, error = self.state_of(self.record(name))
        return error or state

    def put(self, record: StoredService, driver: DataSourceDriver | None = None) -> None:
        """Run a service by this definition, in place of the one that ran by an older one.

        :param driver: made already, where the definition has just been checked.
        """
        running = self._by_id.setdefault(record.id, Running(record))
        self._ids[record.name] = record.id
        self._halt(running)
        running.record, running.error, running.retry = record, None, PollSchedule(0.0)
        if record.enabled:
            self._run(running, driver)
        self._tell(record.id)
        if not self._watching:
            self._watching = True
            self._owner.after(WATCH, self._watch)

    def relabel(self, record: StoredService) -> None:
        """Take over a definition that changes nothing of how the service runs."""
        self._by_id[record.id].record = record
        self._tell(record.id)

    def remove(self, record: StoredService) -> None:
        """Stop a service and forget it."""
        running = self._by_id.pop(record.id)
        self._ids.pop(record.name, None)
        self._halt(running)
        self._publish({record.id: (running, frozenset(), frozenset())})

    # ------------------------------------------------------------------------------------------------------

    def _get(self, service: str) -> Running:
        found = self._by_id.get(self._ids.get(service, service))
        if found is None:
            raise ServiceNotFound(f"there is no service {str(service)[:100]!r}")
        return found

    def _run(self, running: Running, driver: DataSourceDriver | None = None) -> None:
        """Put the service's driver on the bus; what goes wrong is its error, and it is tried again."""
        running.timer = None
        try:
            made = driver if driver is not None else self._build(running.record)
            made.observer = lambda seen: self._observed(running.record.id)
            self._owner.bus.add(made)
        except BaseException as error:  # noqa: BLE001  # the boundary at which a driver's fault is cut
            text = error.message if isinstance(error, DriverError) else f"{type(error).__name__}: {error}"
            if text != running.error:
                LOG.error(
                    "service.start_failed service=%s driver=%s error=%s",
                    running.record.name,
                    running.record.driver,
                    text,
                )
            running.error = text
            # A wrong configuration does not mend itself, and what is not installed needs a restart.
            if not isinstance(error, ConfigError | DriverNotFound):
                self._later(running)
            return
        running.driver, running.error = made, None

    def _later(self, running: Running) -> None:
        running.timer = self._owner.after(running.retry.failed(time.monotonic()), self._again, running)

    def _again(self, running: Running) -> None:
        if self._by_id.get(running.record.id) is running and running.driver is None and running.record.enabled:
            self._run(running)
            self._tell(running.record.id)

    def _halt(self, running: Running) -> None:
        """Take the service off the bus."""
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None
        driver, running.driver = running.driver, None
        if driver is None:
            return
        driver.observer = None
        try:
            if not self._owner.bus.remove(driver.name, timeout=STOP):
                LOG.warning("service.slow_stop service=%s seconds=%g", driver.name, STOP)
        except BusError as error:
            LOG.warning("service.stop_failed service=%s error=%s", driver.name, error)

    def _watch(self) -> None:
        """Replace services whose thread died: what a driver raised was no Exception (SystemExit, say)."""
        for running in list(self._by_id.values()):
            if running.driver is not None and not running.driver.alive:
                LOG.error("service.thread_died service=%s driver=%s", running.record.name, running.record.driver)
                self._halt(running)
                running.error = "its thread died"
                self._later(running)
                self._tell(running.record.id)
        self._owner.after(WATCH, self._watch)

    # The daemon's tables ----------------------------------------------------------------------------------

    def _observed(self, service_id: str) -> None:
        """A driver's state or freshness changed.  On its thread, at every poll and push: cheap."""
        if service_id not in self._hinted:
            self._hinted.add(service_id)
            self._owner.submit(self._tell, service_id)

    def _tell(self, service_id: str) -> None:
        if not self._news:
            self._owner.after(GATHER, self._flush).ids = context.NO_IDS
        self._news.add(service_id)

    def _flush(self) -> None:
        """Publish what there is to tell about the services to which something happened."""
        news, self._news = self._news, set()
        self._hinted -= news  # before anything is read: what happens from here on is told next time
        self._publish(
            {
                service_id: (running, frozenset({self._service_row(running)}), self._freshness_rows(running))
                for service_id in news
                if (running := self._by_id.get(service_id)) is not None
            }
        )

    def _publish(self, news: dict[str, tuple[Running, frozenset[Row], frozenset[Row]]]) -> None:
        if self._congress is None:
            return
        new: tuple[list[Row], list[Row]] = ([], [])
        old: tuple[list[Row], list[Row]] = ([], [])
        for running, services, freshness in news.values():
            new[0].extend(services - running.services)
            old[0].extend(running.services - services)
            new[1].extend(freshness - running.freshness)
            old[1].extend(running.freshness - freshness)
            running.services, running.freshness = services, freshness
        self._congress.change({"services": (new[0], old[0]), "freshness": (new[1], old[1])})

    def _service_row(self, running: Running) -> Row:
        record = running.record
        state, error = self.state_of(record)
        return (record.name, record.id, record.driver, TRUE if record.enabled else FALSE, state, error)

    def _freshness_rows(self, running: Running) -> frozenset[Row]:
        """The tables of a service; those of one that does not run are as they were, and stale."""
        driver = running.driver
        if driver is None:
            why = self.why_not(running.record.name)
            return frozenset((*row[:3], TRUE, why, row[5]) for row in running.freshness)
        return frozenset(
            (driver.name, table, known.updated_at, TRUE if known.stale else FALSE, known.error, known.rows)
            for table, known in driver.freshness.items()
        )
