# SPDX-License-Identifier: Apache-2.0
"""A ledger, a policy runtime and a cloud in a process that kills itself at a moment drawn by lot.

Run as a program it takes one order per line (JSON) and forks for each: a life.  What the cloud really did, and what
was asked of the ledger, goes line by line into a file that no kill can take back.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from congress.bus import context
from congress.bus.bus import Bus
from congress.bus.errors import BusError
from congress.bus.service import exposed
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import ActionFailed
from congress.cloudservices.execution_driver import ExecutionDriver, action
from congress.datalog.schema import Column, TableSchema
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.executions.errors import LedgerError
from congress.executions.model import Event, Execution
from congress.executions.service import ExecutionService
from congress.executions.settings import Defaults, PolicyGuard, ServiceGuard
from congress.executions.states import Reason, State
from congress.executions.store import ExecutionStore
from congress.policy.dse_runtime import DseRuntime
from congress.policy.errors import PolicyRuntimeError
from congress.policy.hosting import host_policies

RULES = {
    "plain": "execute[cloud:fix(x)] :- cloud:items(x)",
    "checked": "execute[cloud:mend(x)] :- cloud:items(x), not gate:closed(x)",
}
GUARDS = Defaults(
    PolicyGuard(max_rows=6, max_percent=None, window=1.0, oscillation_count=None),
    ServiceGuard(max_rows=None, concurrency=2, attempts=3, backoff=0.02, breaker_failures=4, breaker_seconds=0.1),
)
BY_THEMSELVES = {Reason.STALE, Reason.BREAKER, Reason.RATE_LIMIT, Reason.COOL_DOWN}
"""Holds that end without anybody's help."""


class Diary:
    """A file to which lines are added; what was written survives the death of the writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_bytes().splitlines()]


def true_things(lines: list[dict[str, Any]]) -> set[str]:
    """The things that there are at the end of a diary."""
    found: set[str] = set()
    for line in lines:
        found |= set(line.get("appeared", ()))
        found -= set(line.get("vanished", ()))
    return found


class Doom:
    """Kills the process when a kind of moment comes for the n-th time."""

    def __init__(self, moment: str | None, number: int) -> None:
        self._moment, self._left = moment, number
        self._lock = threading.Lock()

    def at(self, *moments: str) -> None:
        if self._moment is None:
            return
        with self._lock:
            if self._moment in ("any", *moments):
                self._left -= 1
                if self._left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                    time.sleep(60)  # until it arrives


class Cloud(ExecutionDriver, DataSourceDriver):
    """Its things, and what was done to them, are in the diary."""

    NAME: ClassVar[str] = "cloud"
    TABLES: ClassVar[Mapping[str, TableSchema]] = {"items": TableSchema((Column("id", "string"),))}
    diary: Diary
    doom: Doom
    lot: random.Random
    smooth = False
    tells: ClassVar[bool] = True

    def open(self) -> None:
        """Things are as they were left."""
        self.replace_rows({"items": [(thing,) for thing in true_things(self.diary.lines())]})

    def execute(self, *args: Any, **call: Any) -> object:
        self.diary.write(sent=call["execution_id"])
        self.doom.at("before the action")
        result = super().execute(*args, **call)
        self.doom.at("after the action")
        return result

    def _do(self, thing: str) -> None:
        luck = 1.0 if self.smooth else self.lot.random()
        ids = context.ids().get("idempotency_key")
        if luck < 0.1:
            raise ActionFailed("busy", retryable=True)
        if luck < 0.16:
            raise ActionFailed("locked")
        if luck < 0.2:
            raise ActionFailed("lost on the way there", maybe_done=True)
        self.diary.write(did=ids, thing=thing)
        self.doom.at("the action")
        if luck < 0.24:
            raise ActionFailed("lost on the way back", maybe_done=True)

    @action("fix")
    def fix(self, thing: str) -> None:
        """Fix a thing."""
        self._do(f"fix {thing}")

    @action("mend")
    def mend(self, thing: str) -> None:
        """Mend a thing."""
        self._do(f"mend {thing}")

    @action("clean")
    def clean_up(self, thing: str) -> None:
        """Clean a thing up."""
        self._do(f"clean {thing}")

    @exposed
    def verify(self, execution_id: str, **call: Any) -> Mapping[str, Any]:
        """It knows for sure, or does not tell."""
        self.doom.at("verify")
        if not self.tells:
            return {"state": "unknown"}
        done = any(line.get("did") == execution_id for line in self.diary.lines())
        return {"state": "done" if done else "not_done"}


class Gate(DataSourceDriver):
    """Says what is closed; that changes between lives only."""

    NAME: ClassVar[str] = "gate"
    TABLES: ClassVar[Mapping[str, TableSchema]] = {"closed": TableSchema((Column("id", "string"),))}
    diary: Diary

    def open(self) -> None:
        closed: list[str] = next((line["closed"] for line in reversed(self.diary.lines()) if "closed" in line), [])
        self.replace_rows({"closed": [(thing,) for thing in closed]})


class Life:
    """One process's."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.lot = random.Random(order["seed"])
        self.diary = Diary(Path(order["diary"]))
        self.doom = Doom(order.get("moment"), order.get("number", 0))
        self.last: bool = order["last"]
        self.steps: int = order["steps"]
        self.database = Database(order["url"], pool_size=2)
        self.cipher = Cipher([order["key"]])
        self.known: list[str] = []
        self.true: set[str] = set()
        self.moving: list[Execution] = []  # what is not at rest
        Cloud.diary = Gate.diary = self.diary
        Cloud.doom, Cloud.lot, Cloud.tells = self.doom, random.Random(order["seed"] + 1), order["verify"]
        Cloud.smooth = self.last
        self.bus = Bus()

    def run(self) -> None:
        self.diary.write(life=True)
        self._arm()
        self.bus.start()
        starts = [self._start_cloud, self._start_gate, self._start_ledger]
        self.lot.shuffle(starts)
        for start in starts:
            start()
            time.sleep(self.lot.choice((0.0, 0.0, 0.02)))
        self._until(lambda: self.runtime.state == "running" and self.ledger.state == "running")
        names = {policy["name"] for policy in self.call("policy", "list_policies")}
        if "p" not in names:
            self.call("policy", "create_policy", name="p", rules=[{"rule": rule} for rule in RULES.values()])
        lines = self.diary.lines()
        self.known = sorted({thing for line in lines for thing in line.get("appeared", ())})
        self.true = true_things(lines)
        for _ in range(self.steps):
            with suppress(LedgerError, PolicyRuntimeError, BusError):
                self.lot.choices([step for step, _ in self.CHOICES], [weight for _, weight in self.CHOICES])[0](self)
            if self.lot.random() < 0.4:
                time.sleep(self.lot.random() * 0.02)
        if self.last:
            self._settle()
        self.diary.write(ended=True)
        os._exit(0)

    def _arm(self) -> None:
        """Have the process killed at writes and transitions, without a hook in what is killed."""
        doom, run, write = self.doom, Database.run, ExecutionStore.write

        def doomed_run(database: Database, work: Callable[..., Any], done: Any = None) -> Any:
            def doomed_work(connection: Any) -> Any:
                result = work(connection)
                doom.at("before the commit")
                return result

            doom.at("before the transaction")
            result = run(database, doomed_work, done)
            doom.at("after the commit")
            return result

        def doomed_write(store: ExecutionStore, added: Any, changed: Any, events: list[Event]) -> None:
            moments = {f"to {event.after}" for event in events}
            doom.at(*(f"before {moment}" for moment in moments))
            write(store, added, changed, events)
            doom.at(*(f"after {moment}" for moment in moments))

        Database.run = doomed_run  # type: ignore[method-assign,assignment]
        ExecutionStore.write = doomed_write  # type: ignore[method-assign,assignment]

    def _start_cloud(self) -> None:
        self.cloud = Cloud("cloud")
        self.bus.add(self.cloud)

    def _start_gate(self) -> None:
        self.bus.add(Gate("gate"))

    def _start_ledger(self) -> None:
        self.runtime: DseRuntime = host_policies(
            self.bus, self.database, self.cipher, ledger={"defaults": GUARDS, "rng": random.Random(1)}
        )
        self.ledger: ExecutionService = self.runtime.enforcer.sink._executions  # type: ignore[attr-defined]

    def call(self, service: str, method: str, **arguments: Any) -> Any:
        return self.bus.call(service, method, **arguments)

    def ask(self, method: str, **arguments: Any) -> Any:
        return self.bus.call("executions", method, **arguments)

    # What happens

    def _appear(self) -> None:
        new = [f"{self.lot.getrandbits(40):010x}" for _ in range(self.lot.choice((1, 1, 2, 3, 5)))]
        self.known += new
        self._change(new, ())

    def _come_back(self) -> None:
        gone = [thing for thing in self.known if thing not in self.true]
        self._change(self.lot.sample(gone, min(len(gone), 1)), ())

    def _vanish(self) -> None:
        there = sorted(self.true)
        self._change((), self.lot.sample(there, min(len(there), self.lot.choice((1, 1, 3)))))

    def _change(self, appeared: Any, vanished: Any) -> None:
        self.diary.write(appeared=list(appeared), vanished=list(vanished))
        self.true |= set(appeared)
        self.true -= set(vanished)
        new, old = [(thing,) for thing in appeared], [(thing,) for thing in vanished]
        self.cloud.submit(self.cloud.change_rows_of, {"items": (new, old)})

    def _request(self) -> None:
        thing = f"{self.lot.getrandbits(40):010x}"
        execution = self.ask("request", name="cloud:clean", positional=[thing], user="alice")
        self.diary.write(asked=execution)

    def _decide(self) -> None:
        for found in self.ask("list_sets"):
            decision = self.lot.random()
            if decision < 0.7:
                self.ask("approve", set_id=found["id"], digest=found["digest"], user="bob")
            elif decision < 0.8:
                self.ask("reject", set_id=found["id"], user="bob")

    def _cancel(self) -> None:
        found = self.ask("list_executions", filters={"states": [State.QUEUED, State.HELD, State.PROPOSED]})
        if found:
            self.ask("cancel", execution=self.lot.choice(found)["id"], user="bob")

    def _retry(self) -> None:
        found = self.ask("list_executions", filters={"states": [State.FAILED, State.CANCELLED, State.HELD]})
        found = [e for e in found if e["state"] != "held" or e["reason"] == "unknown"]
        if found:
            chosen = self.lot.choice(found)["id"]
            self.diary.write(again=chosen)
            self.ask("retry", execution=chosen, user="bob")

    def _settle_one(self) -> None:
        found = self.ask("list_executions", filters={"reasons": [Reason.UNKNOWN]})
        if found:
            self.ask("settle", execution=found[0]["id"], outcome=self.lot.choice(("succeeded", "failed")), user="bob")

    def _guard(self) -> None:
        mode = self.lot.choice(("monitor", "propose", "enforce", "enforce", "enforce"))
        self.ask("put_guard", kind="policy", name="p", settings={"mode": mode, "max_rows": self.lot.choice((1, 6))})

    def _rule(self) -> None:
        text = self.lot.choice(sorted(RULES.values()))
        there = {rule["rule"]: rule["id"] for rule in self.call("policy", "list_rules", policy="p")}
        if text in there:
            self.call("policy", "delete_rule", policy="p", rule=there[text])
        else:
            self.call("policy", "create_rule", policy="p", rule=text)

    def _restart_cloud(self) -> None:
        self.bus.remove("cloud")
        self._start_cloud()

    CHOICES: ClassVar[list[tuple[Callable[["Life"], None], int]]] = [
        (_appear, 8),
        (_come_back, 3),
        (_vanish, 5),
        (_request, 3),
        (_decide, 3),
        (_cancel, 1),
        (_retry, 2),
        (_settle_one, 1),
        (_guard, 1),
        (_rule, 2),
        (_restart_cloud, 1),
    ]

    # The end

    def _settle(self) -> None:
        there = {rule["rule"] for rule in self.call("policy", "list_rules", policy="p")}
        for text in RULES.values():
            if text not in there:
                self.call("policy", "create_rule", policy="p", rule=text)
        quiet = 0

        def quietly() -> bool:
            nonlocal quiet
            quiet = quiet + 1 if self._quiet() else 0
            if quiet < 3:
                time.sleep(0.02)
            return quiet >= 3

        self._until(quietly)

    def _quiet(self) -> bool:
        runtime, ledger = self.runtime, self.ledger
        for service in ("cloud", "gate", "policy", "executions"):
            self.call(service, "ping")
        sources = runtime.sources.publishers
        settled = sources["cloud"].tables["items"].settled and sources["gate"].tables["closed"].settled
        busy = runtime.enforcer.busy or runtime.waiting or ledger.waiting or ledger._backlog
        self.moving = [
            e
            for e in ledger.ledger.all_open()
            if e.state not in (State.HELD, State.PROPOSED)
            or e.reason in BY_THEMSELVES
            or (Cloud.tells and e.reason is Reason.UNKNOWN)
        ]
        return settled and not busy and not self.moving

    def _until(self, true: Callable[[], Any]) -> None:
        end = time.monotonic() + 30
        while not true():
            if time.monotonic() > end:
                self.diary.write(stuck=repr(self.moving))
                os._exit(3)
            time.sleep(0.002)


def main() -> None:
    """Orders from standard input; for each the way its life ended: an exit code, or minus the signal."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 4
            try:
                Life(json.loads(line)).run()
            finally:
                if (error := sys.exc_info()[1]) is not None:
                    traceback.print_exception(error)
                os._exit(status)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
