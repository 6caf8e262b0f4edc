# SPDX-License-Identifier: Apache-2.0
"""A driver on a bus of its own, asked as the rest of the program asks it."""

import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from congress.bus.bus import Bus
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.datalog.values import Row, encode


class Running:
    """A service on a bus."""

    def __init__(self, bus: Bus, driver: DataSourceDriver) -> None:
        self.bus, self.driver, self.name = bus, driver, driver.name

    def call(self, method: str, timeout: float = 60.0, **arguments: Any) -> Any:
        return self.bus.call(self.name, method, timeout=timeout, **arguments)

    def execute(self, action: str, *positional: Any, **named: Any) -> Any:
        return self.call("execute", name=action, **_arguments(positional, named))

    def verify(self, action: str, *positional: Any, **named: Any) -> str:
        return str(self.call("verify", execution_id="e", name=action, **_arguments(positional, named))["state"])

    def rows(self, table: str) -> set[Row]:
        return set(self.call("rows", table=table))

    def poll(self) -> dict[str, Any]:
        """One poll now; the status after it."""
        done = threading.Event()

        def poll() -> None:
            try:
                self.driver.poll_now()  # type: ignore[attr-defined]  # a polling driver's
            finally:
                done.set()

        self.driver.submit(poll)
        assert done.wait(60)
        return self.status()

    def status(self) -> dict[str, Any]:
        return dict(self.call("status"))


def _arguments(positional: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    def value(given: Any) -> Any:
        return given if isinstance(given, list | dict) else encode(given)

    return {"positional": [value(v) for v in positional], "named": {k: value(v) for k, v in named.items()}}


@contextmanager
def running(driver: DataSourceDriver) -> Iterator[Running]:
    bus = Bus(bus_id=f"test-{uuid.uuid4().hex}")
    bus.start()
    try:
        bus.add(driver)
        until = time.monotonic() + 10
        while driver.state not in ("running", "error"):
            assert time.monotonic() < until, driver.state
            time.sleep(0.005)
        yield Running(bus, driver)
    finally:
        assert bus.stop(10), "a worker thread did not end"
