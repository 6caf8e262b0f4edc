# SPDX-License-Identifier: Apache-2.0
"""Rows, rules, services and the runtime itself come and go at random; in the end everything is as if made at once."""

import gc
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from congress.datalog.builtins import default_registry
from congress.datalog.parser import parse
from congress.datalog.values import Row
from congress.policy import errors
from tests.datalog import naive
from tests.policy.world import Cloud, Watcher, World, wait_until

RULES = [
    "p(x) :- nova:servers(x, o), not other:nets(x)",
    "q(x, y) :- nova:ports(x, n), other:ports(y, n)",
    "reach(x, y) :- nova:ports(x, y)",
    "reach(x, z) :- reach(x, y), nova:ports(y, z)",
    "n(o, count(x)) :- nova:servers(x, o)",
    "lonely(x) :- p(x), not q(x, _)",
    "far(x) :- reach(x, y), not other:nets(y)",
    'fact("a")',
    "both(x) :- fact(x), a:p(x)",
    "both(x) :- b:lonely(x)",
]
VALUES = "abcde"


@pytest.fixture(autouse=True)
def _drivers_die_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else pytest keeps what each of them died of until the test is over."""
    monkeypatch.setattr(threading, "excepthook", lambda died: None)


class Chaos:
    """One run.  What should be there is kept beside the world, in plain sets."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.clouds: dict[str, Cloud] = {}
        self.rows: dict[str, dict[str, set[Row]]] = {"nova": {}, "other": {}}
        self.policies: dict[str, dict[str, str]] = {"a": {}, "b": {}}
        for name in self.rows:
            for table in Cloud.TABLES:
                self.rows[name][table] = set()
            self.start_cloud(name)
        world.runtime()
        for name in self.policies:
            world.policy(name)
        self.watcher = world.watcher()
        for key in ("a:p", "a:far", "b:n", "b:both"):
            self.watcher.subscribe("policy", key)

    def start_cloud(self, name: str) -> None:
        self.clouds[name] = self.world.cloud(name)
        self.clouds[name].show(**self.rows[name])

    def step(self) -> None:
        steps: list[tuple[int, Callable[[], None]]] = [
            (30, self.change_rows),
            (8, self.add_rule),
            (6, self.delete_rule),
            (2, self.restart_cloud),
            (1, self.crash_cloud),
            (1, self.restart_runtime),
        ]
        self.chance.choices([work for _, work in steps], [weight for weight, _ in steps])[0]()

    def change_rows(self) -> None:
        name = self.chance.choice(list(self.rows))
        changes: dict[str, tuple[list[Row], list[Row]]] = {}
        for table in self.chance.sample(list(Cloud.TABLES), self.chance.randint(1, 3)):
            width = Cloud.TABLES[table].arity
            new: list[Row] = [tuple(self.chance.choices(VALUES, k=width)) for _ in range(self.chance.randint(0, 3))]
            known = sorted(self.rows[name][table])
            old = [row for row in known if self.chance.random() < 0.3 and row not in new]
            changes[table] = (new, old)
            self.rows[name][table] -= set(old)
            self.rows[name][table] |= set(new)
        self.clouds[name].change(**changes)

    def add_rule(self) -> None:
        policy, rule = self.chance.choice("ab"), self.chance.choice(RULES)
        try:
            made = self.world.call("create_rule", policy=policy, rule=rule)
        except errors.RuleExists:
            assert rule in self.policies[policy].values()
        else:
            self.policies[policy][made["id"]] = rule

    def delete_rule(self) -> None:
        policy = self.chance.choice("ab")
        if self.policies[policy]:
            rule = self.chance.choice(sorted(self.policies[policy]))
            del self.policies[policy][rule]
            self.world.call("delete_rule", policy=policy, rule=rule)

    def restart_cloud(self) -> None:
        name = self.chance.choice(list(self.rows))
        self.world.remove(name)
        self.start_cloud(name)

    def crash_cloud(self) -> None:
        """The thread of a driver dies in the middle of its work; a new one is put in its place."""
        name = self.chance.choice(list(self.rows))
        cloud = self.clouds[name]
        rows = [tuple(VALUES[:1] * Cloud.TABLES[table].arity) for table in Cloud.TABLES]

        def die() -> None:
            cloud.change_rows_of({table: ([row], []) for table, row in zip(Cloud.TABLES, rows, strict=True)})
            sys.exit("a driver's fault that is no Exception")

        cloud.do(die)
        wait_until(lambda: not cloud.alive)
        self.world.remove(name)
        self.start_cloud(name)

    def restart_runtime(self) -> None:
        self.world.remove("policy")
        self.world.runtime()

    def expected(self) -> dict[str, set[Row]]:
        given = naive.World(default_registry())
        given.schemas = {name: dict(Cloud.TABLES) for name in self.clouds}
        given.rows = {f"{name}:{table}": rows for name, tables in self.rows.items() for table, rows in tables.items()}
        given.policies = {
            name: list(parse("\n".join(rules.values())).statements) for name, rules in self.policies.items()
        }
        return {key: rows for key, rows in naive.evaluate(given).items() if key[0] in "ab"}

    def found(self) -> dict[str, set[Row]]:
        tables = {
            f"{policy}:{table['id']}": self.world.rows(policy, table["id"])
            for policy in self.policies
            for table in self.world.call("list_tables", policy=policy)
            if ":" not in table["id"]
        }
        return {key: rows for key, rows in tables.items() if rows}


def copies(watcher: Watcher) -> dict[str, set[Row]]:
    return {key: rows for key in ("a:p", "a:far", "b:n", "b:both") if (rows := watcher.rows("policy", key))}


@pytest.mark.parametrize("seed", range(6))
def test_everything_comes_right_in_the_end(world: World, seed: int) -> None:
    chaos = Chaos(world, seed)
    for _ in range(60):
        chaos.step()
    expected = chaos.expected()
    wait_until(lambda: chaos.found() == expected, f"{expected}")
    wanted = {key: rows for key, rows in expected.items() if key in ("a:p", "a:far", "b:n", "b:both")}
    wait_until(lambda: copies(chaos.watcher) == wanted, f"copies {wanted}")


def resident() -> float:
    """MiB of memory that the process has at the moment."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.mark.slow
def test_nothing_grows_and_nothing_is_lost_over_a_long_time(world: World, request: pytest.FixtureRequest) -> None:
    """``pytest --slow --soak 1200 tests/policy/test_soak.py``: changes, failures and restarts for that many seconds."""
    chaos = Chaos(world, 2026)
    end = time.monotonic() + request.config.getoption("--soak")
    sizes: list[float] = []
    steps = 0
    while time.monotonic() < end:
        for _ in range(200):
            chaos.step()
        steps += 200
        expected = chaos.expected()
        wait_until(lambda wanted=expected: chaos.found() == wanted, f"after {steps} steps: {expected}")  # type: ignore[misc]
        chaos.watcher.updates.clear()  # the test's own memory, which would grow
        chaos.watcher.batches.clear()
        sizes.append(resident())
    # The first rounds fill caches: generated code, parsed texts, connections.
    settled = sizes[len(sizes) // 4]
    tenths = [f"{size:.0f}" for size in sizes[:: max(1, len(sizes) // 10)]]
    print(f"{steps} steps; MiB over the time: {' '.join(tenths)}")
    print(f"{settled:.1f} MiB after a quarter, {sizes[-1]:.1f} MiB in the end")
    assert sizes[-1] < 1.2 * settled + 5
