# SPDX-License-Identifier: Apache-2.0
"""What the ledger's database costs an action: its execution added, let through, started and finished, with its trail.

    python -m benchmarks.executions [--url sqlite:///...] [--batch 1000] [--singles 200] [--rounds 5] [--secrets]

Milliseconds by the wall clock for one action, in a batch (each step one transaction for all) and singly (each step
one transaction for one).  The medians of several rounds; on SQLite each transaction waits for the disk.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from cryptography.fernet import Fernet

from congress.db import migrate
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.executions.model import Call, Event, Execution, Origin, new_execution
from congress.executions.states import State
from congress.executions.store import ExecutionStore

STEPS = ("add", "approve, queue", "running", "succeeded")


def wanted(count: int, secrets: bool) -> list[Execution]:
    """Executions as a policy asks for them, each with a proof of three levels."""
    now, found = time.time(), []
    for number in range(count):
        row = (f"vm-{number:08}", f"host-{number % 50}")
        leaf = {"table": "nova:servers", "row": list(row), "reason": "service"}
        proof = {
            "table": "p:execute[nova:servers.pause]", "row": list(row), "reason": "rule", "rule_id": "0" * 36,
            "rule": "execute[nova:servers.pause(x)] :- bad(x, y)", "bindings": {"x": row[0], "y": row[1]},
            "because": [{"table": "p:bad", "row": list(row), "reason": "rule", "because": [leaf, leaf]}],
        }  # fmt: skip
        secret = frozenset({"why"}) if secrets else frozenset()
        call = Call("nova", "servers.pause", (row[0],), {"why": "too many on one host"}, secret)
        origin = Origin("p", "p:execute", row, ("0" * 36,), proof, "", "rows", {"poll": "1"}, ("nova:servers",), count)
        found.append(new_execution(call, origin, now))
    return found


class Clock:
    """Takes executions through their steps and keeps how long each took."""

    def __init__(self, store: ExecutionStore) -> None:
        self.store = store
        self.took: dict[str, list[float]] = {step: [] for step in STEPS}

    def life(self, executions: Sequence[Execution]) -> None:
        def lines(number: int, before: State | None) -> list[Event]:
            return [Event(e.id, number, e.updated_at, before, e.state, "policy p") for e in executions]

        began = time.perf_counter()
        self.store.add(executions, lines(1, None))
        self._note("add", began, len(executions))
        for number, (step, state) in enumerate(
            zip(STEPS[1:], (State.QUEUED, State.RUNNING, State.SUCCEEDED), strict=True), 2
        ):
            began, now = time.perf_counter(), time.time()
            before = executions[0].state
            executions = [e.moved(state, now) for e in executions]
            if state is State.QUEUED:
                executions = [replace(e, approved_at=now, approved_by="policy p") for e in executions]
            elif state is State.SUCCEEDED:
                executions = [replace(e, finished_at=now, result={"accepted": True}) for e in executions]
            self.store.change(executions, lines(number, before))
            self._note(step, began, len(executions))

    def _note(self, step: str, began: float, count: int) -> None:
        self.took[step].append((time.perf_counter() - began) * 1000 / count)

    def table(self) -> dict[str, float]:
        found = {step: median(took) for step, took in self.took.items()}
        return {**found, "in all": sum(found.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--url", help="an empty database (default: SQLite in a temporary folder)")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secrets", action="store_true", help="each action has a secret argument")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(given.url or f"sqlite:///{Path(folder) / 'bench.sqlite'}")
        migrate.upgrade(database)
        store = ExecutionStore(database, Cipher([Fernet.generate_key().decode()]))
        batch, single = Clock(store), Clock(store)
        for _ in range(given.rounds):
            batch.life(wanted(given.batch, given.secrets))
        for execution in wanted(given.singles, given.secrets):
            single.life([execution])
        database.close()
    print(f"milliseconds per action, {database.dialect}")
    columns = {f"batch of {given.batch}": batch.table(), "singly": single.table()}
    print("".join([f"{'':20}", *(f"{name:>16}" for name in columns)]))
    for step in (*STEPS, "in all"):
        print("".join([f"{step:20}", *(f"{table[step]:16.3f}" for table in columns.values())]))


if __name__ == "__main__":
    main()
