# SPDX-License-Identifier: Apache-2.0
"""What policies read of the ledger is after a start what it was before, and nothing is concluded before it is there."""

import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from congress.bus.bus import Bus
from congress.bus.publisher import TablePublisher
from congress.db.crypt import Cipher
from congress.executions import board, service
from congress.executions.board import LOADED, TABLES
from congress.executions.relay import LedgerTables
from congress.executions.service import NAME
from tests.bus.services import eventually
from tests.executions.bench import Bench, Clock, Moody

DAY = 86_400.0


class Watched(Bench):
    """Keeps what is published."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tables: dict[str, set[Any]] = {}

    def publish(self, changes: Any) -> bool:
        for table, (new, gone) in changes.items():
            rows = self.tables.setdefault(table, set())
            assert set(gone) <= rows
            rows -= set(gone)
            rows |= set(new)
        return True

    def start(self) -> "Watched":
        super().start()
        return self

    def shown(self) -> set[str]:
        return {row[0] for row in self.tables["executions"]}


def few(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for module in (board, service):
        monkeypatch.setattr(module, "SHOWN", number)


def test_a_restart_changes_nothing(moody: Moody, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, 3)
    first = Watched(moody, cipher, Clock()).start()
    for number in range(6):
        first.appear(f"{number}")
        first.answer(first.sent[-1])
        first.wait(1)
    first.vanish("5", "1", "0", "2")
    first.put_guard("policy", "p", {"mode": "propose"})
    first.appear("held")
    second = Watched(moody, cipher, first.clock).start()
    assert second.tables.pop(LOADED)
    first.tables.pop(LOADED)
    assert second.tables == first.tables
    assert len(second.shown()) == 1 + 2 + 3
    for one in (first, second):  # and they go on in the same way
        one.expire(first.clock() - 4)
        assert one.one("1").id not in one.shown()
    assert second.tables["executions"] == first.tables["executions"]


def test_what_is_still_asked_for_stays(moody: Moody, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, 1)
    ledger = Watched(moody, cipher, Clock()).start()
    for thing in "abc":
        ledger.appear(thing)
        ledger.answer(ledger.sent[-1])
        ledger.wait(1)
    assert ledger.shown() == {ledger.one(thing).id for thing in "abc"}
    ledger.vanish("a", "b")
    assert ledger.shown() == {ledger.one(thing).id for thing in "bc"}


def test_what_is_tried_again_does_not_leave(moody: Moody, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, 1)
    ledger = Watched(moody, cipher, Clock()).start()
    ledger.put_guard("service", "nova", {"concurrency": 2})
    ledger.request("nova:fix", ["a"])
    ledger.answer(ledger.sent[0], ValueError("no"))
    ledger.retry(ledger.one("a").id)
    ledger.work()
    for thing in "bc":
        ledger.wait(1)
        ledger.request("nova:fix", [thing])
        ledger.answer(ledger.sent[-1])
    assert ledger.shown() == {ledger.one(thing).id for thing in "ac"}


def test_what_is_deleted_is_not_shown(moody: Moody, cipher: Cipher) -> None:
    ledger = Watched(moody, cipher, Clock(), retention=DAY).start()
    ledger.request("nova:fix", ["a"])
    ledger.answer(ledger.sent[0])
    assert len(ledger.shown()) == 1
    ledger.wait(DAY + 7200)
    assert ledger.shown() == set()


def test_an_open_breaker_is_there_after_a_start(moody: Moody, cipher: Cipher) -> None:
    first = Watched(moody, cipher, Clock()).start()
    first.set_breaker("nova", "open", "me", "work")
    second = Watched(moody, cipher, first.clock).start()
    assert second.tables["breakers"] == first.tables["breakers"] != set()


class Notes:
    """A service's tables, written down."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.rows: dict[str, set[Any]] = {}

    def declare(self, tables: Any) -> None:
        pass

    def put(self, tables: Mapping[str, Any]) -> None:
        self.told.append(tables)
        self.rows = {table: set(rows) for table, rows in tables.items()}

    def change(self, changes: Mapping[str, Any]) -> None:
        self.told.append(changes)
        for table, (new, gone) in changes.items():
            self.rows[table] = (self.rows[table] - set(gone)) | set(new)


def wanted(ledger: TablePublisher) -> bool:
    return len(ledger.subscribed_tables()) == len(TABLES) + 1


def test_nothing_is_told_before_all_is_known() -> None:
    """Nor that anything is gone because the ledger begins anew."""
    bus, notes = Bus(bus_id=f"test-{uuid.uuid4().hex}"), Notes()
    bus.start()
    try:
        bus.add(LedgerTables(notes))
        for _ in range(2):
            before, ledger = len(notes.told), TablePublisher(NAME)
            bus.add(ledger)
            eventually(partial(wanted, ledger))
            ledger.submit(ledger.publish, {"executions": ({("e",)}, ())})
            time.sleep(0.2)
            assert len(notes.told) == before
            ledger.submit(ledger.publish, {LOADED: ({(1,)}, ()), "breakers": ({("b",)}, ())})
            eventually(lambda: notes.rows == {"executions": {("e",)}, "breakers": {("b",)}, "holds": set()})
            ledger.submit(ledger.publish, {"holds": ({("h",)}, ())})
            eventually(lambda: notes.rows["holds"] == {("h",)})
            bus.remove(NAME)
    finally:
        assert bus.stop(10)
    assert all(set(one) <= set(TABLES) for one in notes.told)
