# SPDX-License-Identifier: Apache-2.0
"""What waited when the process ended is sent when its row is known to be true, and not before."""

import pytest

from congress.db.crypt import Cipher
from congress.executions.dispatcher import UNTOLD
from congress.executions.settings import Defaults, ServiceGuard
from congress.executions.states import Reason, State
from tests.executions.bench import TABLE, Bench, Clock, Moody


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def restarted(moody: Moody, cipher: Cipher, clock: Clock) -> Bench:
    """With ``a`` in doubt, and ``b`` and ``c`` in the queue behind it."""
    first = Bench(moody, cipher, clock).start()
    first.appear("a", "b", "c")
    assert first.states() == {"a": "running", "b": "queued", "c": "queued"}
    return Bench(moody, cipher, clock).start()


def test_nothing_is_sent_before_it_is_told(restarted: Bench) -> None:
    restarted.wait(600)
    assert restarted.sent == []
    waiting = restarted.one("b")
    assert (waiting.state, waiting.reason, waiting.detail) == (State.HELD, Reason.STALE, UNTOLD)


def test_what_is_told_to_be_true_is_sent(restarted: Bench) -> None:
    restarted.appear("b", cause="start")
    assert [sent.call["positional"] for sent in restarted.sent] == [["b"]]
    restarted.answer(restarted.sent[0])
    assert restarted.states() == {"a": "held", "b": "succeeded", "c": "held"}


def test_what_is_not_true_any_more_is_not_sent(restarted: Bench) -> None:
    restarted.stand("c")
    assert restarted.states() == {"a": "held", "b": "obsolete", "c": "running"}


def test_what_no_rule_makes_any_more_is_not_sent(restarted: Bench) -> None:
    restarted.submit(restarted.began, [])
    restarted.work()
    assert restarted.states() == {"a": "held", "b": "obsolete", "c": "obsolete"}


def test_what_nobody_tells_of_is_given_up_in_the_end(restarted: Bench) -> None:
    restarted.wait(4000)
    assert [restarted.one(thing).reason for thing in "bc"] == [Reason.DEADLINE, Reason.DEADLINE]
    assert restarted.sent == []


def test_a_row_that_comes_true_again_is_a_new_one(restarted: Bench) -> None:
    """The one that waited since before is over; it must not come along when the new one's row is gone in turn."""
    old = restarted.one("b")
    restarted.appear("b")
    assert restarted.ledger.find(old.id).state is State.OBSOLETE
    (sent,) = restarted.sent
    assert sent.id == restarted.one("b").id != old.id


def test_turns_are_taken_by_age(moody: Moody, cipher: Cipher, clock: Clock) -> None:
    guard = Defaults(service=ServiceGuard(concurrency=1))
    first = Bench(moody, cipher, clock, defaults=guard).start()
    first.appear("x")
    first.request("nova:fix", ["1"])
    first.appear("b")
    first.request("nova:fix", ["2"])
    second = Bench(moody, cipher, clock, defaults=guard).start()
    second.stand("b")
    for _ in range(3):
        second.answer(second.sent[-1])
    assert [sent.call["positional"] for sent in second.sent] == [["1"], ["b"], ["2"]]


def test_what_runs_in_one_table_says_nothing_of_another(restarted: Bench) -> None:
    restarted.submit(restarted.present, TABLE.replace("fix", "mend"), [("b",)])
    restarted.work()
    assert restarted.sent == []
