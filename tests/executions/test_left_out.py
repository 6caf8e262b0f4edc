# SPDX-License-Identifier: Apache-2.0
"""A policy whose rows ask for more and more is stopped before the ledger is full of what it holds."""

import logging

import pytest

from congress.db.crypt import Cipher
from congress.executions import admission
from congress.executions.settings import Defaults, Mode, PolicyGuard
from congress.executions.states import State
from tests.executions.bench import POLICY, Bench, Clock, Moody, wish


@pytest.fixture
def bench(moody: Moody, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(admission, "MOST_OPEN", 5)
    return Bench(moody, cipher, Clock(), defaults=Defaults(PolicyGuard(max_rows=2, max_percent=None))).start()


def test_what_is_held_is_bounded_and_the_rest_is_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bench.appear(*"abcd")
        bench.appear(*"efgh")
        bench.appear("i", "j", "k")
    assert bench.states() == dict.fromkeys("abcde", "held")
    assert bench.status()["left_out"] == {POLICY: 6}
    assert [line.getMessage() for line in caplog.records] == [f"executions.left_out policy={POLICY!r} open=5"]


def test_others_go_on(bench: Bench) -> None:
    bench.appear(*"abcdefg")
    bench.submit(bench.appeared, [wish("x", policy="other", table="other:t")])
    bench.work()
    bench.request("nova:fix", ["y"], policy=POLICY)
    bench.appear("z")
    assert bench.states() == dict.fromkeys("abcde", "held") | {"x": "running", "y": "queued", "z": "queued"}


def test_what_was_left_out_is_taken_in_when_there_is_room(bench: Bench) -> None:
    """It was too much when it came; that the others are gone does not let it go."""
    bench.appear(*"abcdef")
    bench.reject(bench.ledger.find(bench.one("a").id).set_id or "")
    assert bench.states() == dict.fromkeys("abcde", "cancelled") | {"f": "held"}
    assert bench.status()["left_out"] == {}


def test_what_was_left_out_and_is_not_true_any_more_is_forgotten(bench: Bench) -> None:
    bench.appear(*"abcdefgh")
    bench.vanish("f")
    bench.stand(*"abcdeg")
    assert bench.status()["left_out"] == {POLICY: 1}
    bench.submit(bench.began, [])
    bench.work()
    assert bench.status()["left_out"] == {}
    assert set(bench.states().values()) == {"obsolete"}


def test_a_database_that_is_away_loses_none_of_it(bench: Bench, moody: Moody) -> None:
    bench.appear(*"abcdefg")
    moody.mood = "lost"
    bench.vanish("a", "b")
    moody.mood = ""
    bench.wait(120)
    assert bench.states() == dict.fromkeys("ab", "obsolete") | dict.fromkeys("cdefg", "held")
    assert bench.status()["left_out"] == {}


def test_after_a_restart_it_is_told_again(bench: Bench, moody: Moody, cipher: Cipher) -> None:
    bench.appear(*"abcdefgh")
    second = Bench(moody, cipher, bench.clock, defaults=bench.guard.settings.defaults).start()
    second.stand(*"abcdefgh")
    second.appear(*"abcdefgh", cause="start")
    assert second.status()["left_out"] == {POLICY: 3}


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.PROPOSE])
def test_modes_are_bounded_and_go_by_what_they_are_now(
    moody: Moody, cipher: Cipher, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    monkeypatch.setattr(admission, "MOST_OPEN", 2)
    bench = Bench(moody, cipher, Clock(), defaults=Defaults(PolicyGuard(mode=mode))).start()
    bench.appear("a", "b", "c")
    assert len(list(bench.ledger.all_open())) == 2
    bench.put_guard("policy", POLICY, {"mode": "enforce"})
    for sent in (0, 1, 2):
        bench.answer(bench.sent[sent])
    assert {one.state for one in bench.ledger.store.find()} == {State.SUCCEEDED}
