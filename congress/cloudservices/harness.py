# SPDX-License-Identifier: Apache-2.0
"""A driver on a bus of its own, with somebody who subscribes to it: what tests of drivers stand on."""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from congress.bus.bus import Bus
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.freshness import Freshness
from congress.datalog.values import Row

# Long enough for a busy machine; nothing waits for it to pass.
PATIENCE = 10.0


class Watcher(Subscriber):
    """Subscribes, keeps the copies, and every update in ``updates``."""

    def __init__(self) -> None:
        super().__init__("watcher")
        self.updates: list[TableUpdate] = []

    def on_update(self, update: TableUpdate) -> None:
        self.updates.append(update)


class LogRecorder(logging.Handler):
    """Every line that is logged, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self.lines.append(text)


class RunningDriver:
    """A driver that runs, and what can be seen of it from outside.

    :ivar driver: the driver itself; its methods belong to its worker thread, its ``freshness`` and
        ``state`` do not.
    :ivar bus: the bus that it is on.
    :ivar log: what was logged meanwhile, at every level.
    """

    def __init__(self, driver: DataSourceDriver, bus: Bus, watcher: Watcher, log: LogRecorder) -> None:
        self.driver = driver
        self.bus = bus
        self.log = log
        self._watcher = watcher

    @property
    def updates(self) -> list[TableUpdate]:
        """What the subscriber was told so far."""
        return list(self._watcher.updates)

    def call(self, method: str, **arguments: Any) -> Any:
        """Call an exposed method over the bus."""
        return self.bus.call(self.driver.name, method, timeout=PATIENCE, **arguments)

    def subscribe(self, *tables: str) -> None:
        """Subscribe to tables, by default to all; returns when the subscriber has what the driver has."""
        for table in tables or tuple(self.driver.schema()):
            self._watcher.subscribe(self.driver.name, table)
        self.settle(*tables)

    def settle(self, *tables: str) -> None:
        """Wait until tables are fresh, and the subscriber's copies equal to them."""
        wanted = tables or tuple(self.driver.schema())
        self.wait(lambda: all(self.fresh(table) for table in wanted), lambda: f"not fresh: {self.driver.freshness}")
        self.wait(lambda: all(self.copy(t) == self.rows(t) for t in wanted), lambda: "the copies do not agree")

    def fresh(self, table: str) -> bool:
        """Whether a table is fresh."""
        return not self.driver.freshness[table].stale

    def freshness(self, table: str) -> Freshness:
        return self.driver.freshness[table]

    def rows(self, table: str) -> frozenset[Row]:
        """The driver's rows of a table, without having them read."""
        return frozenset(self._on(self.driver, lambda: self.driver.table_rows(table)))

    def copy(self, table: str) -> frozenset[Row]:
        """The subscriber's copy of a table."""
        return frozenset(self._on(self._watcher, lambda: self._watcher.copy_of(self.driver.name, table)))

    def poll(self) -> None:
        """Have the driver poll and wait until it has."""
        before = self.call("status").get("polls", 0)
        self.call("request_refresh")
        self.wait(lambda: self.call("status").get("polls", 0) > before, lambda: "there was no poll")

    def wait(self, until: Callable[[], bool], why: Callable[[], str], patience: float = PATIENCE) -> None:
        """Wait for something to become true.  :raises AssertionError: it did not, in good time."""
        end = time.monotonic() + patience
        while not until():
            if time.monotonic() > end:
                raise AssertionError(f"in {patience:g} seconds: {why()}")
            time.sleep(0.01)

    def _on(self, service: Any, function: Callable[[], Any]) -> Any:
        """What a function gives on a service's worker thread."""
        done, result = threading.Event(), []

        def work() -> None:
            result.append(list(function()))
            done.set()

        service.submit(work)
        if not done.wait(PATIENCE):
            raise AssertionError(f"service {service.name!r} is busy for more than {PATIENCE:g} seconds")
        return result[0]


@contextmanager
def running(driver: DataSourceDriver, patience: float = PATIENCE) -> Iterator[RunningDriver]:
    """Put a driver on a bus of its own, wait until it runs, and stop it at the end.

    :raises AssertionError: it does not run in so many seconds.
    """
    bus = Bus(bus_id=f"testing-{id(driver):x}")
    watcher, log = Watcher(), LogRecorder()
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        bus.start()
        bus.add(watcher)
        bus.add(driver)
        made = RunningDriver(driver, bus, watcher, log)
        made.wait(lambda: driver.state == "running", lambda: f"state {driver.state}: {driver.error}", patience)
        yield made
    finally:
        bus.stop()
        root.setLevel(level)
        root.removeHandler(log)
