# SPDX-License-Identifier: Apache-2.0
"""A database that goes away: nothing is sent that is not written down, and nothing is written or sent twice."""

import pytest

from congress.bus.errors import NotFound
from congress.cloudservices.errors import ActionFailed
from congress.db.crypt import Cipher
from congress.executions import errors
from congress.executions.dispatcher import TOO_LATE
from congress.executions.settings import Defaults, ServiceGuard
from congress.executions.states import State
from tests.executions.bench import POLICY, Bench, Clock, Moody, wish


@pytest.fixture
def bench(moody: Moody, cipher: Cipher) -> Bench:
    return Bench(moody, cipher, Clock()).start()


def test_nothing_is_sent_while_it_is_away(bench: Bench, moody: Moody) -> None:
    moody.mood = "away"
    bench.appear("a")
    bench.wait(30)
    assert bench.sent == []
    moody.mood = ""
    bench.wait(11)
    assert [sent.call["positional"] for sent in bench.sent] == [["a"]]


@pytest.mark.parametrize("mood", ["lost", "arrived"])
def test_nobody_knows_whether_a_row_was_written_down(bench: Bench, moody: Moody, mood: str) -> None:
    moody.mood = mood
    bench.appear("a", "b")
    assert bench.sent == []
    bench.wait(5)
    moody.mood = ""
    bench.wait(11)
    assert len(bench.ledger.store.find()) == 2
    assert [sent.call["positional"] for sent in bench.sent] == [["a"]]
    bench.answer(bench.sent[0])
    bench.answer(bench.sent[1])
    assert bench.states() == {"a": "succeeded", "b": "succeeded"}
    for execution in bench.ledger.store.find():
        trail = bench.ledger.store.events(execution.id)
        assert [event.after for event in trail] == [State.APPROVED, State.QUEUED, State.RUNNING, State.SUCCEEDED]


@pytest.mark.parametrize("mood", ["lost", "arrived"])
def test_nobody_knows_whether_an_answer_was_written_down(bench: Bench, moody: Moody, mood: str) -> None:
    bench.appear("a", "b")
    moody.mood = mood
    bench.answer(bench.sent[0])
    bench.wait(5)
    assert len(bench.sent) == 1
    moody.mood = ""
    bench.wait(11)
    assert len(bench.sent) == 2
    assert bench.states() == {"a": "succeeded", "b": "running"}


@pytest.mark.parametrize("mood", ["lost", "arrived"])
def test_nobody_knows_whether_a_request_was_written_down(bench: Bench, moody: Moody, mood: str) -> None:
    """The person is told that; it is done once."""
    moody.mood = mood
    with pytest.raises(errors.LedgerUnavailable):
        bench.request("nova:fix", ["a"])
    assert bench.sent == []
    moody.mood = ""
    bench.wait(11)
    assert len(bench.ledger.store.find()) == len(bench.sent) == 1


def test_trouble_is_counted_once(moody: Moody, cipher: Cipher) -> None:
    """However often it is tried to write an answer down."""
    guard = Defaults(service=ServiceGuard(breaker_failures=3, backoff=0.0))
    bench = Bench(moody, cipher, Clock(), defaults=guard).start()
    bench.appear("a")
    moody.mood = "away"
    bench.answer(bench.sent[0], NotFound())
    bench.wait(120)
    moody.mood = ""
    bench.wait(11)
    assert [breaker["failures"] for breaker in bench.list_breakers()] == [1]


def test_tokens_of_a_rate_are_taken_once(moody: Moody, cipher: Cipher) -> None:
    guard = Defaults(service=ServiceGuard(rate=0.01, burst=2))
    bench = Bench(moody, cipher, Clock(), defaults=guard).start()
    moody.mood = "away"
    bench.appear("a")
    bench.wait(60)
    moody.mood = ""
    bench.wait(11)
    bench.answer(bench.sent[0])
    bench.appear("b")
    assert len(bench.sent) == 2


def test_a_row_that_went_during_the_outage_is_not_acted_on(bench: Bench, moody: Moody) -> None:
    """A person's approval, right after the outage, does not overtake what came before it."""
    bench.put_guard("policy", POLICY, {"mode": "propose"})
    bench.appear("a")
    (found,) = bench.list_sets()
    moody.mood = "away"
    bench.vanish("a")
    bench.wait(60)
    moody.mood = ""
    bench.approve(found["id"], found["digest"])
    bench.wait(11)
    assert bench.sent == []
    assert bench.states() == {"a": "obsolete"}


def test_nothing_is_asked_of_a_ledger_that_is_not_loaded(moody: Moody, cipher: Cipher) -> None:
    """It knows nothing of what was done; so it does nothing."""
    first = Bench(moody, cipher, Clock()).start()
    first.appear("a")
    first.answer(first.sent[0])
    moody.mood = "away"
    bench = Bench(moody, cipher, first.clock).start()
    with pytest.raises(errors.LedgerUnavailable):
        bench.request("nova:fix", ["x"])
    bench.appear("a", cause="start")
    bench.wait(60)
    moody.mood = ""
    with pytest.raises(errors.LedgerUnavailable):
        bench.request("nova:fix", ["x"])
    bench.wait(11)
    assert bench.sent == []
    assert bench.state == "running"


def test_a_record_that_cannot_be_read_keeps_everything_from_being_sent(moody: Moody, cipher: Cipher) -> None:
    """Who does not know what was done must not do anything."""
    first = Bench(moody, cipher, Clock()).start()
    first.appear("a")
    first.answer(first.sent[0])
    with moody.begin() as connection:
        connection.exec_driver_sql("UPDATE executions SET origin = 'rubbish'")
    bench = Bench(moody, cipher, first.clock)
    with pytest.raises(ValueError, match="Expecting value"):
        bench.start()
    bench.submit(bench.appeared, [wish("a", cause="start")])
    with pytest.raises(ValueError, match="Expecting value"):
        bench.wait(30)
    assert bench.sent == []


@pytest.mark.parametrize("error", [ActionFailed("lost", maybe_done=True), ActionFailed("busy", retryable=True)])
def test_what_somebody_else_changed_does_not_block_the_rest(bench: Bench, moody: Moody, error: Exception) -> None:
    bench.appear("a", "b")
    with moody.begin() as connection:
        connection.exec_driver_sql("UPDATE executions SET version = 7 WHERE state = 'running'")
    with pytest.raises(Exception, match="changed meanwhile"):
        bench.answer(bench.sent[0], error)
    bench.appear("c")
    assert bench.states()["c"] == "queued"


@pytest.mark.parametrize("mood", ["lost", "arrived"])
def test_a_row_that_went_while_nobody_knew_is_not_acted_on(bench: Bench, moody: Moody, mood: str) -> None:
    moody.mood = mood
    bench.appear("a", "b")
    bench.vanish("a")
    bench.wait(60)
    moody.mood = ""
    bench.wait(20)
    assert [sent.call["positional"] for sent in bench.sent] == [["b"]]
    assert bench.one("a").state is State.FAILED
    assert bench.one("a").detail == f"its row is true no more; the last attempt: {TOO_LATE}"


@pytest.mark.parametrize("mood", ["lost", "arrived"])
def test_nobody_knows_whether_a_restart_was_written_down(moody: Moody, cipher: Cipher, mood: str) -> None:
    first = Bench(moody, cipher, Clock()).start()
    first.appear("a")
    moody.mood = mood
    bench = Bench(moody, cipher, first.clock).start()
    bench.wait(30)
    assert bench.state == "starting"
    moody.mood = ""
    bench.wait(20)
    assert (bench.state, bench.states()) == ("running", {"a": "held"})
