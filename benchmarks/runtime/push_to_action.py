# SPDX-License-Identifier: Apache-2.0
"""From a pushed row to an executed action, in one process, through the policy of the shared cloud workload.

A row pushed into ``neutron:ports`` puts a server on a network of a foreign group; the rule
``execute[nova:detach(s, n)] :- error(s, n)`` has it taken off again.  Timed from the call that pushes the row to the
first line of the driver's action: a row that comes alone, and one that comes while the end of the action before is
still being written down.  The old Congress needed 1.14 s at N = 1 000 (figures with the shared workload).
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from cryptography.fernet import Fernet

from benchmarks.cloud_workload import RULES, SCHEMA, expected, gen, group_facts, trigger_rows
from congress.bus.bus import Bus
from congress.cloudservices.execution_driver import ExecutionDriver, action
from congress.cloudservices.pushed_driver import PushedDriver
from congress.datalog.schema import TableSchema, schemas
from congress.datalog.values import Row
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.executions.settings import Defaults, PolicyGuard, ServiceGuard
from congress.policy.hosting import host_policies

OLD_CONGRESS_AT_1000: float = 1.14
"""Seconds, measured on the same machine with openstack-congress 11.0.0."""


def tables(service: str) -> dict[str, TableSchema]:
    """The tables of one service of the workload."""
    return schemas(cast(Mapping[str, tuple[str, ...]], SCHEMA[service]))


# The same rows come and go all the time, which a guard would not let pass for long.
UNGUARDED = Defaults(
    PolicyGuard(max_rows=None, max_percent=None, oscillation_count=None),
    ServiceGuard(max_rows=None, max_percent=None, breaker_failures=None),
)


class Neutron(PushedDriver):
    NAME: ClassVar[str] = "neutron"
    TABLES: ClassVar[Mapping[str, TableSchema]] = tables("neutron")


class Nova(ExecutionDriver, PushedDriver):
    NAME: ClassVar[str] = "nova"
    TABLES: ClassVar[Mapping[str, TableSchema]] = tables("nova")
    done_at = 0.0
    done: threading.Event

    @action("detach")
    def detach(self, server: str, network: str) -> None:
        """Take a server off a network."""
        self.done_at = time.perf_counter()
        self.done.set()


def measure(size: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile in milliseconds, by how the rows come: ``alone`` or ``one upon the other``."""
    cloud = gen(size)
    servers, ports, networks = cloud
    folder = tempfile.TemporaryDirectory(prefix="congress-bench-")
    database = Database(f"sqlite:///{folder.name}/congress.sqlite")  # on disk: each action is written down first
    upgrade(database)
    bus = Bus()
    bus.start()
    nova, neutron = Nova("nova"), Neutron("neutron")
    nova.done = threading.Event()
    bus.add(nova)
    bus.add(neutron)
    cipher = Cipher([Fernet.generate_key().decode()])
    host_policies(bus, database, cipher, ledger={"defaults": UNGUARDED})

    def call(service: str, method: str, **more: Any) -> Any:
        return bus.call(service, method, timeout=600, **more)

    try:
        call("nova", "put_rows", table="servers", rows=servers)
        call("neutron", "put_rows", table="networks", rows=networks)
        call("neutron", "put_rows", table="ports", rows=ports)
        rules = [{"rule": rule} for rule in [*group_facts(), *RULES]]
        call("policy", "create_policy", name="cloud", rules=rules)
        wanted = expected(cloud)
        while set(call("policy", "list_rows", policy="cloud", table="error")) != wanted:
            time.sleep(0.05)
        # The actions for what is wrong already are not what is timed: let them run first.
        call("policy", "create_rule", policy="cloud", rule="execute[nova:detach(s, n)] :- error(s, n)")
        while call("executions", "status")["open"] or not call("executions", "list_executions", limit=1):
            time.sleep(0.05)
        rows = trigger_rows(servers, networks, min(5, len(networks) // 10 or 1))
        pushed = Pushed(call, nova, rows)
        return {"alone": pushed.times(rounds, alone=True), "one upon the other": pushed.times(rounds, alone=False)}
    finally:
        bus.stop(10)
        database.close()
        folder.cleanup()


class Pushed:
    """Rows that are pushed, acted on, and taken back."""

    def __init__(self, call: Callable[..., Any], nova: Nova, rows: Sequence[Row]) -> None:
        self._call, self._nova, self._rows = call, nova, rows

    def times(self, rounds: int, *, alone: bool) -> tuple[float, float]:
        """Median and 99th percentile in milliseconds."""
        times = sorted(self._time(self._rows[index % len(self._rows)], alone) for index in range(rounds))
        return times[len(times) // 2], times[len(times) * 99 // 100]

    def _time(self, row: Row, alone: bool) -> float:
        self._nova.done.clear()
        before = time.perf_counter()
        self._call("neutron", "change_rows", table="ports", insert=[row], delete=[])
        if not self._nova.done.wait(60):
            raise TimeoutError(f"no action for {row}")
        taken = (self._nova.done_at - before) * 1000
        self._call("neutron", "change_rows", table="ports", insert=[], delete=[row])
        self._call("policy", "ping")
        while alone and self._call("executions", "status")["open"]:
            time.sleep(0.001)
        return taken


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 100_000], help="numbers of servers")
    parser.add_argument("--rounds", type=int, default=500)
    options = parser.parse_args(arguments)
    sys.setswitchinterval(0.0005)  # as the daemon does
    print(f"{'servers':>10} {'rows come':>20} {'median ms':>10} {'p99 ms':>8} {'old / ours':>11}")
    for size in options.sizes:
        for how, (median, p99) in measure(size, options.rounds).items():
            ratio = f"{OLD_CONGRESS_AT_1000 * 1000 / median:.0f}" if size == 1000 else ""
            print(f"{size:>10} {how:>20} {median:>10.2f} {p99:>8.2f} {ratio:>11}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
