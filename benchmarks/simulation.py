# SPDX-License-Identifier: Apache-2.0
"""Simulation of a one-row change on the policy of the shared cloud workload, through the bus.

The step puts one port of a server on a foreign network, and the question is what changes in ``error(s, n)``.  The
bound is 5 ms at 100 000 servers.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from cryptography.fernet import Fernet

from benchmarks.cloud_workload import RULES, SCHEMA, expected, gen, group_facts, trigger_rows
from congress.bus.bus import Bus
from congress.cloudservices.pushed_driver import PushedDriver
from congress.datalog.schema import TableSchema, schemas
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.policy.hosting import host_policies

OLD_CONGRESS = {1_000: 2.66, 10_000: 26.8, 100_000: 268.0}
"""CPU seconds that the same simulation takes openstack-congress 11.0.0 (its engine alone, without server and bus).

Measured on the machine of the shared workload's figures, but for the last, which goes on from the others in proportion.
"""
BOUND = 5.0
"""Milliseconds, at 100 000 servers."""


def tables(service: str) -> dict[str, TableSchema]:
    """The tables of one service of the workload."""
    return schemas(cast(dict[str, tuple[str, ...]], SCHEMA[service]))


class Neutron(PushedDriver):
    NAME: ClassVar[str] = "neutron"
    TABLES: ClassVar[dict[str, TableSchema]] = tables("neutron")


class Nova(PushedDriver):
    NAME: ClassVar[str] = "nova"
    TABLES: ClassVar[dict[str, TableSchema]] = tables("nova")


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """The median of several runs, in milliseconds, after one that does not count."""
    times = []
    for _ in range(rounds + 1):
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1000)
    return sorted(times[1:])[rounds // 2]


def measure(size: int, rounds: int) -> dict[str, float]:
    """Milliseconds for each form of simulation."""
    cloud = gen(size)
    servers, ports, networks = cloud
    database = Database("sqlite://")
    upgrade(database)
    bus = Bus()
    bus.start()
    bus.add(Nova("nova"))
    bus.add(Neutron("neutron"))
    host_policies(bus, database, Cipher([Fernet.generate_key().decode()]))

    def call(service: str, method: str, **more: Any) -> Any:
        return bus.call(service, method, timeout=600, **more)

    try:
        call("nova", "put_rows", table="servers", rows=servers)
        call("neutron", "put_rows", table="networks", rows=networks)
        call("neutron", "put_rows", table="ports", rows=ports)
        rules = [*group_facts(), *RULES, "execute[nova:detach(s, n)] :- error(s, n)"]
        call("policy", "create_policy", name="cloud", rules=[{"rule": rule} for rule in rules])
        for rule in ('action("plug")', "neutron:ports+(p, s, n) :- plug(s, n)"):
            call("policy", "create_rule", policy="action", rule=rule)
        while set(call("policy", "list_rows", policy="cloud", table="error")) != expected(cloud):
            time.sleep(0.05)
        port, server, network = trigger_rows(servers, networks)[0]
        row = f'neutron:ports+("{port}", "{server}", "{network}")'
        old = {"query": "error(s, n)", "action_policy": "action", "policy": "cloud"}
        wanted = f'error+("{server}", "{network}")'
        assert call("policy", "simulate", sequence=row, delta=True, **old)["result"] == [wanted]
        action = f'plug("{server}", "{network}")'
        assert call("policy", "simulate", sequence=action, delta=True, **old)["result"] == [wanted]
        found = {
            "row": median_ms(lambda: call("policy", "simulate", sequence=row, delta=True, **old), rounds),
            "action": median_ms(lambda: call("policy", "simulate", sequence=action, delta=True, **old), rounds),
            "all answers": median_ms(lambda: call("policy", "simulate", sequence=row, **old), rounds),
        }
        new = "alarm(s) :- error(s, n), nova:servers(id=s, status='ERROR')"
        found["preview"] = median_ms(lambda: call("policy", "preview", policy="cloud", rules=[new]), rounds)
        return found
    finally:
        bus.stop(10)
        database.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000, 100_000], help="numbers of servers")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args(arguments)
    sys.setswitchinterval(0.0005)  # as the daemon does
    good = True
    print(f"{'servers':>9} {'row ms':>8} {'action ms':>10} {'all answers ms':>15} {'preview ms':>11} {'old / row':>10}")
    for size in options.sizes:
        found = measure(size, options.rounds)
        old = OLD_CONGRESS.get(size)
        ratio = f"{old * 1000 / found['row']:.0f}" if old else ""
        shown = f"{found['row']:>8.2f} {found['action']:>10.2f} {found['all answers']:>15.2f} {found['preview']:>11.2f}"
        print(f"{size:>9} {shown} {ratio:>10}")
        good = good and (size > 100_000 or found["row"] <= BOUND)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
