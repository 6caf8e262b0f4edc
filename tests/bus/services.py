# SPDX-License-Identifier: Apache-2.0
"""Services and helpers for the bus's tests."""

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from congress.bus import context
from congress.bus.bus import Bus
from congress.bus.codec import portable
from congress.bus.messages import Message
from congress.bus.publisher import TablePublisher
from congress.bus.service import Service, exposed
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.values import Row


def eventually(holds: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until something holds; the test fails when it does not come about."""
    until = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.005)


def on_worker(service: Service, function: Callable[..., Any], *args: object) -> Any:
    """Run a function on a service's worker thread and wait for its result."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function(*args))
        except Exception as error:  # noqa: BLE001  # it is raised where the test waits
            future.set_exception(error)

    service.submit(run)
    return future.result(20)


class TestBus(Bus):
    """A node whose incoming messages a test can tamper with, and that can seem dead."""

    __test__ = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tamper: Callable[[Message], Iterable[Message]] | None = None
        self.dead = False

    def _deliver(self, message: Message, remote: bool) -> None:
        if self.dead:
            return
        for one in (message,) if self.tamper is None else self.tamper(message):
            super()._deliver(one, remote)

    def _announce(self, *, hello: bool = False, leaving: bool = False) -> None:
        if not self.dead:
            super()._announce(hello=hello, leaving=leaving)


@portable
class Refused(Exception):
    """An error that travels."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason, code)
        self.reason = reason
        self.code = code


@portable
@dataclass(frozen=True, slots=True)
class Point:
    """A value that travels."""

    x: int
    y: tuple[int, ...]


class Worker(Service):
    """Does what the tests of calls need."""

    def __init__(self, name: str = "worker") -> None:
        super().__init__(name)
        self.seen: list[Any] = []
        self.keys: list[str] = []
        self.busy = threading.Event()
        self.gate = threading.Event()

    @exposed
    def echo(self, value: object) -> object:
        return value

    @exposed
    def record(self, value: object) -> int:
        self.keys.append(context.ids()["idempotency_key"])
        self.seen.append(value)
        return len(self.seen)

    @exposed
    def ids(self) -> dict[str, str]:
        return dict(context.ids())

    @exposed
    def fail(self, kind: str) -> None:
        if kind == "refused":
            raise Refused("not today", 42)
        raise {"key": KeyError, "timeout": TimeoutError}[kind]("lost")

    @exposed
    def wait_at_gate(self, value: object = None) -> object:
        self.busy.set()
        self.gate.wait(20)
        self.seen.append(value)
        return value

    @exposed
    def relay(self, target: str, method: str) -> object:
        return self.call(target, method)

    def hidden(self) -> str:
        return "nobody may call this"


class Tables(TablePublisher):
    """Publishes; remembers for which tables it was asked."""

    def __init__(self, name: str = "tables") -> None:
        super().__init__(name)
        self.hooks: list[tuple[str, str]] = []

    def on_first_subscriber(self, table: str) -> None:
        self.hooks.append(("first", table))

    def on_last_unsubscribed(self, table: str) -> None:
        self.hooks.append(("last", table))

    def put(self, table: str, *rows: Row) -> None:
        """Insert rows from the test's thread."""
        on_worker(self, self.publish, {table: (rows, ())})

    def take(self, table: str, *rows: Row) -> None:
        """Retract rows from the test's thread."""
        on_worker(self, self.publish, {table: ((), rows)})

    def all(self, table: str) -> set[Row]:
        """The table as it is."""
        return on_worker(self, lambda: set(self.table_rows(table)))  # type: ignore[no-any-return]  # whatever it returns

    def churn(self, table: str, steps: int, seed: int, pause: float = 0.0) -> None:
        """Publish so many random changes, from the test's thread."""
        chance = random.Random(seed)
        for _ in range(steps):
            rows: list[Row] = [(chance.randrange(50), "x") for _ in range(3)]
            on_worker(self, self.publish, {table: (rows[:2], rows[2:])})
            if pause:
                time.sleep(pause)


class Mirror(Subscriber):
    """Keeps its own copy of what it is told, and checks that it is told exactly the net changes."""

    def __init__(self, name: str = "mirror") -> None:
        super().__init__(name)
        self.tables: dict[tuple[str, str], set[Row]] = {}
        self.groups: list[list[TableUpdate]] = []
        self.events: list[tuple[str, str]] = []
        self.wrong: list[TableUpdate] = []
        self.obstacle: Callable[[], object] = lambda: None

    def on_updates(self, updates: list[TableUpdate]) -> None:
        self.obstacle()
        for update in updates:
            table = self.tables.setdefault((update.publisher, update.table), set())
            if table & set(update.insertions) or not table >= set(update.retractions):
                self.wrong.append(update)
            table.difference_update(update.retractions)
            table.update(update.insertions)
        self.groups.append(updates)

    def on_publisher_gone(self, publisher: str) -> None:
        self.events.append(("gone", publisher))

    def on_publisher_back(self, publisher: str) -> None:
        self.events.append(("back", publisher))

    @property
    def updates(self) -> list[TableUpdate]:
        """All updates so far."""
        return [update for group in self.groups for update in group]

    def of(self, publisher: str, table: str) -> set[Row] | None:
        """The copy of a table; None before its first snapshot."""
        return self.tables.get((publisher, table))


def same(mirror: Mirror, tables: Tables, table: str) -> bool:
    """Whether the copy equals the table and never was told anything but net changes."""
    assert mirror.wrong == []
    return mirror.of(tables.name, table) == tables.all(table)
