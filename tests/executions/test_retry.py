# SPDX-License-Identifier: Apache-2.0
"""What people may have cancelled and tried again, and whose answer counts for what was tried again."""

from concurrent.futures import Future

import pytest

from congress.db.crypt import Cipher
from congress.executions import errors
from congress.executions.model import shown
from congress.executions.states import Reason, State
from tests.executions.bench import Bench, Clock, Moody, Sent, action


class ServiceError(Exception):
    """The service is unwell; nothing was done."""

    retryable, trouble = True, True


class Lost(Exception):
    """It may have been done."""

    maybe_done = True


@pytest.fixture
def ledger(moody: Moody, cipher: Cipher) -> Bench:
    return Bench(moody, cipher, Clock()).start()


@pytest.fixture
def later(moody: Moody, cipher: Cipher) -> Bench:
    """A service that tells later what became of it."""
    made = Bench(moody, cipher, Clock())
    made.known = {"nova": [action("fix", asynchronous=True)]}
    return made.start()


def retry(ledger: Bench, thing: str) -> None:
    ledger.retry(ledger.one(thing).id)
    ledger.work()


def fail(ledger: Bench, thing: str) -> None:
    ledger.appear(thing)
    ledger.answer(ledger.sent[-1], ValueError("no"))
    assert ledger.one(thing).state is State.FAILED


@pytest.mark.parametrize(("for_good", "why"), [(True, "true no more"), (False, "rule that asked for it is gone")])
def test_what_is_wanted_no_more_is_not_tried_again(ledger: Bench, for_good: bool, why: str) -> None:
    fail(ledger, "a")
    ledger.vanish("a", for_good=for_good)
    with pytest.raises(errors.StateConflict, match=why):
        retry(ledger, "a")
    assert (ledger.states(), len(ledger.sent)) == ({"a": "failed"}, 1)


def test_nor_what_is_in_doubt(ledger: Bench) -> None:
    ledger.appear("a")
    ledger.answer(ledger.sent[0], Lost())
    ledger.vanish("a")
    with pytest.raises(errors.StateConflict):
        retry(ledger, "a")
    assert ledger.settle(ledger.one("a").id, "failed")["state"] == "failed"


def test_what_a_person_asked_for_is(ledger: Bench) -> None:
    ledger.request("nova:fix", ["a"])
    ledger.answer(ledger.sent[0], ValueError("no"))
    retry(ledger, "a")
    assert len(ledger.sent) == 2


def test_what_is_tried_again_goes_with_its_row(ledger: Bench) -> None:
    fail(ledger, "a")
    ledger.put_guard("policy", "p", {"mode": "propose"})
    retry(ledger, "a")
    assert ledger.states() == {"a": "proposed"}
    ledger.vanish("a")
    assert ledger.states() == {"a": "obsolete"}


def test_what_may_have_been_done_is_not_cancelled(ledger: Bench) -> None:
    ledger.appear("a")
    ledger.answer(ledger.sent[0], Lost())
    with pytest.raises(errors.StateConflict, match="settle"):
        ledger.cancel(ledger.one("a").id)
    assert (ledger.one("a").state, ledger.one("a").reason) == (State.HELD, Reason.UNKNOWN)


def token(sent: Sent) -> str:
    return str(sent.call["completion_token"])


def test_a_late_answer_is_not_that_of_the_next_attempt(later: Bench) -> None:
    later.appear("a")
    (first,) = later.sent
    later.complete(first.id, token(first), "failed", None, "no spare part")
    later.work()
    retry(later, "a")
    assert [sent.id for sent in later.sent] == [first.id, first.id]
    later.answer(first, ValueError("too late"))
    assert later.one("a").state is State.RUNNING
    later.answer(later.sent[1])
    later.complete(first.id, token(later.sent[1]), "succeeded")
    assert later.one("a").state is State.SUCCEEDED


def test_nor_is_what_a_service_finds_out_late(moody: Moody, cipher: Cipher, ledger: Bench) -> None:
    ledger.appear("a")
    second = Bench(moody, cipher, ledger.clock).start()
    second.stand("a")
    second.work()
    (doubt,) = second.doubts
    retry(second, "a")
    second.answer(second.sent[0], Lost())
    second.answer(doubt, "not_done")
    found = second.one("a")
    assert (found.state, found.reason, len(second.sent)) == (State.HELD, Reason.UNKNOWN, 1)


@pytest.mark.parametrize("again", [False, True])
def test_a_token_is_not_shown_by_an_error(later: Bench, again: bool) -> None:
    later.appear("a")
    (sent,) = later.sent
    error = (ServiceError if again else ValueError)(f'503: {{"token": "{token(sent)}"}}')
    later.answer(sent, error)
    assert later.one("a").error == '503: {"token": "***"}'
    assert token(sent) not in str(later.get_execution(sent.id))


def test_a_token_is_not_shown_by_a_result(later: Bench) -> None:
    later.appear("a")
    (sent,) = later.sent
    later.answer(sent, {"you": [f"sent {token(sent)}"], "n": 1})
    assert later.one("a").result == {"you": ["sent ***"], "n": 1}
    later.complete(sent.id, token(sent), "failed", {token(sent): True}, f"{token(sent)} is no good")
    assert token(sent) not in str(later.get_execution(sent.id))
    assert shown(later.one("a"))["result"] == {"***": True}


def test_an_answer_of_an_earlier_attempt_that_was_tried_again(ledger: Bench) -> None:
    """Attempts of one approval are told apart as well."""
    ledger.appear("a")
    ledger.answer(ledger.sent[0], ServiceError())
    ledger.wait(60)
    assert len(ledger.sent) == 2
    assert isinstance(ledger.sent[1].future, Future)
    ledger.answer(ledger.sent[1])
    assert ledger.one("a").state is State.SUCCEEDED


def flap(ledger: Bench, thing: str) -> None:
    """A row goes and comes back while what it asked for is at its service."""
    ledger.appear(thing)
    ledger.vanish(thing)
    ledger.wait(1)
    ledger.appear(thing)


def test_what_ran_for_a_row_that_went_does_not_count_for_the_next_one(ledger: Bench) -> None:
    ledger.put_guard("policy", "p", {"cool_down": 0})
    flap(ledger, "a")
    assert (ledger.states(), ledger.one("a").reason) == ({"a": "cancelled"}, Reason.DUPLICATE)
    ledger.answer(ledger.sent[0])
    assert len(ledger.sent) == 2
    ledger.answer(ledger.sent[1])
    assert [one.state for one in ledger.ledger.store.find()] == [State.SUCCEEDED] * 2
    assert {sent.id for sent in ledger.sent} == {one.id for one in ledger.ledger.store.find()}


def test_the_next_one_cools_down(ledger: Bench) -> None:
    ledger.put_guard("policy", "p", {"cool_down": 60})
    flap(ledger, "a")
    ledger.answer(ledger.sent[0])
    assert ledger.one("a").reason is Reason.COOL_DOWN
    ledger.wait(70)
    assert len(ledger.sent) == 2


def test_the_next_one_goes_with_its_row(ledger: Bench) -> None:
    flap(ledger, "a")
    ledger.vanish("a")
    ledger.answer(ledger.sent[0])
    ledger.wait(600)
    assert len(ledger.sent) == 1


@pytest.mark.parametrize("restart", [False, True])
def test_the_next_one_waits_until_the_first_is_settled(
    moody: Moody, cipher: Cipher, ledger: Bench, restart: bool
) -> None:
    ledger.put_guard("policy", "p", {"cool_down": 0})
    ledger.appear("a")
    ledger.answer(ledger.sent[0], Lost())
    ledger.vanish("a")
    ledger.appear("a")
    doubt = ledger.sent[0].id
    if restart:
        ledger = Bench(moody, cipher, ledger.clock).start()
        ledger.appear("a", cause="start")
    ledger.settle(doubt, "succeeded")
    ledger.work()
    assert [sent.id for sent in ledger.sent][-1:] == [ledger.one("a").id]
    assert ledger.one("a").id != doubt


def test_what_a_person_asked_for_counts_for_a_row(ledger: Bench) -> None:
    ledger.request("nova:fix", ["a"], policy="p")
    ledger.appear("a")
    ledger.answer(ledger.sent[0])
    ledger.wait(600)
    assert len(ledger.sent) == 1
