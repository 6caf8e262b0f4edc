# SPDX-License-Identifier: Apache-2.0
"""A bus with runtimes, clouds and watchers on it, all real but the clouds' insides."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, ClassVar

from cryptography.fernet import Fernet

from congress.bus.bus import Bus
from congress.bus.errors import NotFound
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.execution_driver import ExecutionDriver, action
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row, Value
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.executions.service import ExecutionService
from congress.policy.dse_runtime import DseRuntime
from congress.policy.ledger_sink import LedgerSink

PATIENCE = 10.0


def wait_until(true: Callable[[], Any], what: str = "") -> Any:
    """Wait, a bounded time, until something is true; its value."""
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"in vain: {what or true}"
        time.sleep(0.005)
    return found


class Cloud(ExecutionDriver, DataSourceDriver):
    """Servers and ports, and actions that are remembered."""

    NAME: ClassVar[str] = "cloud"
    TABLES: ClassVar[Mapping[str, TableSchema]] = {
        "servers": TableSchema((Column("id", "string"), Column("owner", "string"))),
        "ports": TableSchema((Column("server", "string"), Column("net", "string"))),
        "nets": TableSchema((Column("id", "string"),)),
    }

    def configure(self) -> None:
        self.done: list[tuple[str, tuple[Value, ...]]] = []
        self.hold = threading.Event()
        self.hold.set()

    def show(self, **tables: Iterable[tuple[Value, ...]]) -> "Cloud":
        """Publish whole tables as one set; returns when it is done."""
        self.do(self.replace_rows, tables)
        return self

    def change(self, **tables: tuple[Iterable[Row], Iterable[Row]]) -> None:
        """Publish changes as one set."""
        self.do(self.change_rows_of, tables)

    def do(self, function: Callable[..., object], *arguments: object) -> None:
        """Run something on the worker thread and wait for it."""
        done = threading.Event()

        def work() -> None:
            try:
                function(*arguments)
            finally:
                done.set()

        self.submit(work)
        assert done.wait(PATIENCE)

    @action("detach", effects=("ports",))
    def detach(self, server: str, net: str) -> None:
        """Take a server off a net.

        :param server: its id
        :param net: the net's
        """
        self.hold.wait(PATIENCE)
        self.done.append(("detach", (server, net)))

    @action("pause")
    def pause(self, server: str, reason: str = "") -> str:
        """Pause a server.

        :param server: its id
        :param reason: why
        """
        self.done.append(("pause", (server, reason)))
        return "paused"

    @action("stop")
    def stop(self, server: str) -> None:
        """Fail.

        :param server: its id
        """
        self.done.append(("stop", (server,)))
        raise RuntimeError("no such server")


class Watcher(Subscriber):
    """Subscribes to tables; has a copy of each, and every update."""

    def __init__(self, name: str = "watcher") -> None:
        super().__init__(name)
        self.updates: list[TableUpdate] = []
        self.batches: list[list[TableUpdate]] = []

    def on_updates(self, updates: list[TableUpdate]) -> None:
        self.batches.append(updates)
        self.updates += updates

    def rows(self, publisher: str, table: str) -> set[Row]:
        return set(self._copies.get((publisher, table), ()))

    def subscribed(self, publisher: str, table: str) -> "Watcher":
        """Subscribe, and wait for the snapshot."""
        self.subscribe(publisher, table)
        wait_until(lambda: any(u.publisher == publisher and u.table == table for u in self.updates))
        return self


class World:
    """Everything of one test.  Databases outlive their runtimes, so that these can be started again."""

    def __init__(self, bus_id: str = "bus") -> None:
        """:param bus_id: worlds that are there at the same time have different ones."""
        # Whatever crosses is checked to be able to cross between processes too.
        self.bus = Bus(bus_id=bus_id, check_portable=True)
        self.bus.start()
        self._databases: dict[str, Database] = {}
        self.ledgers: dict[str, ExecutionService] = {}
        self._cipher = Cipher([Fernet.generate_key().decode()])

    def database(self, name: str = "policy") -> Database:
        if name not in self._databases:
            self._databases[name] = Database("sqlite://")
            upgrade(self._databases[name])
        return self._databases[name]

    def runtime(self, name: str = "policy", **options: Any) -> DseRuntime:
        """A runtime on the bus, and loaded."""
        if "sink" not in options:
            ledger = "executions" if name == "policy" else f"executions_{name}"
            executions = self.executions(name, ledger) if not self.bus.has(ledger) else self.ledgers[ledger]
            options["sink"] = LedgerSink(executions)
        made = DseRuntime(self.database(name), name, **options)
        self.bus.add(made)
        wait_until(lambda: made.state == "running")
        return made

    def executions(self, database: str = "policy", name: str = "executions", **options: Any) -> ExecutionService:
        """A ledger of executions on the bus, and loaded."""
        made = self.ledgers[name] = ExecutionService(self.database(database), self._cipher, name, **options)
        self.bus.add(made)
        wait_until(lambda: made.state == "running")
        return made

    def cloud(self, name: str = "nova") -> Cloud:
        made = Cloud(name)
        self.bus.add(made)
        wait_until(lambda: made.state == "running")
        return made

    def watcher(self, name: str = "watcher") -> Watcher:
        made = Watcher(name)
        self.bus.add(made)
        return made

    def call(self, method: str, runtime: str = "policy", **arguments: Any) -> Any:
        return self.bus.call(runtime, method, **arguments)

    def policy(self, name: str, *rules: str, runtime: str = "policy", **more: Any) -> dict[str, Any]:
        """Make a policy of these rules."""
        made: dict[str, Any] = self.call(
            "create_policy", runtime, name=name, rules=[{"rule": rule} for rule in rules], **more
        )
        return made

    def rows(self, policy: str, table: str, runtime: str = "policy") -> set[Row]:
        return set(self.call("list_rows", runtime, policy=policy, table=table))

    def expect(self, policy: str, table: str, rows: set[Row], runtime: str = "policy") -> None:
        """Wait until a table has just these rows."""
        wait_until(lambda: self.rows(policy, table, runtime) == rows, f"{policy}:{table} == {rows}")

    def settle(self, *clouds: Cloud, runtime: str = "policy") -> None:
        """Wait until the runtime has everything that clouds published, and has nothing in doubt."""

        def settled() -> bool:
            services = self.call("status", runtime)["services"]
            return all(
                table["settled"] and table["sequence"] == cloud.sequence
                for cloud in clouds
                for table in services.get(cloud.name, {"tables": {}})["tables"].values()
            )

        wait_until(settled, "settled")

    def close(self) -> None:
        assert self.bus.stop(PATIENCE)
        for database in self._databases.values():
            database.close()

    def remove(self, name: str) -> None:
        with suppress(NotFound):
            self.bus.remove(name)
