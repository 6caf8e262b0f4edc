# SPDX-License-Identifier: Apache-2.0
"""What a service was at, or had before it, when the process died."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from congress.bus.bus import Bus
from congress.bus.service import Service, exposed
from congress.datalog.values import Row
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.executions import service as ledger_service
from congress.executions.dispatcher import UNTOLD
from congress.executions.service import ExecutionService
from congress.executions.states import Reason, State
from congress.executions.store import ExecutionStore
from tests.executions.some import first, wanted


class Nova(Service):
    """Says one thing after the other about what it was at, and the last one from then on."""

    def __init__(self, *says: object) -> None:
        super().__init__("nova")
        self.says = list(says)
        self.asked: list[str] = []
        self.executed: list[str] = []

    @exposed
    def actions(self) -> list[Any]:
        return []

    @exposed
    def execute(self, execution_id: str, **call: Any) -> None:
        self.executed.append(execution_id)

    @exposed
    def verify(self, execution_id: str, **call: Any) -> object:
        self.asked.append(execution_id)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def bus(database: Database) -> Iterator[Bus]:
    """It ends before the database does."""
    made = Bus(bus_id=f"test-{uuid.uuid4().hex}")
    made.start()
    yield made
    assert made.stop(10)


def settled(
    bus: Bus, database: Database, cipher: Cipher, nova: Nova, asked: int, ledger: ExecutionService | None = None
) -> dict[str, Any]:
    """What has become of an execution that was running at the end of an earlier life, once it was asked about."""
    execution = wanted(state=State.RUNNING, attempts=1, approved_at=time.time(), started_at=time.time())
    ExecutionStore(database, cipher).write([execution], [], first([execution]))
    bus.add(ledger or ExecutionService(database, cipher))
    bus.add(nova)
    until = time.monotonic() + 60
    while True:
        found: dict[str, Any] = bus.call("executions", "get_execution", timeout=10, execution=execution.id)
        if len(nova.asked) >= asked and (found["reason"] != Reason.UNKNOWN or "cannot tell" in found["detail"]):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


@pytest.mark.parametrize("before", ["unknown", ValueError("not running yet")])
def test_a_service_is_asked_until_it_knows(bus: Bus, database: Database, cipher: Cipher, before: object) -> None:
    nova = Nova(before, "done")
    found = settled(bus, database, cipher, nova, 2)
    while found["state"] == State.HELD:
        found = bus.call("executions", "get_execution", timeout=10, execution=found["id"])
    assert (found["state"], found["detail"]) == (State.SUCCEEDED, "the service says that it was done")
    assert nova.executed == []


@pytest.mark.parametrize(("rows", "state"), [([("vm-0", 0)], State.SUCCEEDED), ([], State.OBSOLETE)])
def test_what_was_not_done_is_done_if_its_row_is_still_true(
    bus: Bus, database: Database, cipher: Cipher, rows: list[Row], state: State
) -> None:
    """The ledger does not send it on the strength of what it knew before it died."""
    nova, ledger = Nova("not_done"), ExecutionService(database, cipher)
    found = settled(bus, database, cipher, nova, 1, ledger)
    while found["state"] == State.QUEUED:  # what its service can do is not known yet
        found = bus.call("executions", "get_execution", timeout=10, execution=found["id"])
    assert (found["state"], found["reason"], found["detail"]) == (State.HELD, Reason.STALE, UNTOLD)
    assert nova.executed == []
    ledger.submit(ledger.present, "p:bad", rows)
    until = time.monotonic() + 30
    while found["state"] != state:
        assert time.monotonic() < until, found
        found = bus.call("executions", "get_execution", timeout=10, execution=found["id"])
    assert nova.executed == [found["id"]] * len(rows)


def test_who_never_knows_is_not_asked_for_ever(
    bus: Bus, database: Database, cipher: Cipher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_service, "_VERIFY_TIMES", 2)
    nova = Nova("unknown")
    found = settled(bus, database, cipher, nova, 2)
    assert (found["state"], found["reason"]) == (State.HELD, Reason.UNKNOWN)
    notes = [line["detail"] for line in found["trail"] if line["detail"].startswith("the service cannot tell")]
    assert len(notes) == 1
    assert nova.executed == []
    bus.call("executions", "settle", timeout=10, execution=found["id"], outcome="failed", user="ann")


def test_what_waits_at_a_start_waits_for_its_service(bus: Bus, database: Database, cipher: Cipher) -> None:
    """All processes start at once; that a service comes a moment later than the ledger is no trouble of it."""
    now = time.time()
    queued = [wanted(number, state=State.QUEUED, attempts=0, approved_at=now, deadline=now + 60) for number in range(8)]
    ExecutionStore(database, cipher).write(queued, [], first(queued))
    ledger = ExecutionService(database, cipher)
    bus.add(ledger)
    bus.call("executions", "list_breakers", timeout=10)  # it is loaded
    ledger.submit(ledger.present, "p:bad", [execution.origin.row for execution in queued])
    time.sleep(0.2)
    bus.add(Nova("unknown"))
    until = time.monotonic() + 30
    while any(one["state"] != State.SUCCEEDED for one in bus.call("executions", "list_executions", timeout=10)):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert {one["attempts"] for one in bus.call("executions", "list_executions", timeout=10)} == {1}
    assert bus.call("executions", "list_breakers", timeout=10) == []
