# SPDX-License-Identifier: Apache-2.0
"""Actions whose outcome is told later, and what the ledger has to know of a service before it sends anything there."""

import pytest

from congress.bus.errors import Timeout
from congress.db.crypt import Cipher
from congress.executions import errors
from congress.executions.ledger import ACCEPTED
from congress.executions.states import Reason, State
from tests.executions.bench import Bench, Clock, Moody, action


def bench(moody: Moody, cipher: Cipher, clock: Clock | None = None) -> Bench:
    made = Bench(moody, cipher, clock or Clock())
    made.known = {"nova": [action("fix", asynchronous=True)]}
    return made.start()


def test_it_is_over_when_its_service_says_so(moody: Moody, cipher: Cipher) -> None:
    ledger = bench(moody, cipher)
    ledger.appear("a")
    (sent,) = ledger.sent
    ledger.answer(sent, {"job": 7})
    found = ledger.one("a")
    assert (found.state, found.detail, found.result) == (State.RUNNING, ACCEPTED, {"job": 7})
    with pytest.raises(errors.TokenInvalid):
        ledger.complete(sent.id, "guessed", "succeeded")
    ledger.complete(sent.id, sent.call["completion_token"], "succeeded", {"repaired": True})
    found = ledger.one("a")
    assert (found.state, found.result) == (State.SUCCEEDED, {"repaired": True})
    with pytest.raises(errors.TokenInvalid):
        ledger.complete(sent.id, sent.call["completion_token"], "failed")


def test_its_service_may_be_faster_than_its_own_answer(moody: Moody, cipher: Cipher) -> None:
    ledger = bench(moody, cipher)
    ledger.appear("a", "b")
    sent = ledger.sent[0]
    ledger.complete(sent.id, sent.call["completion_token"], "failed", None, "no spare part")
    ledger.answer(sent, {"job": 7})
    assert (ledger.one("a").state, ledger.one("a").error) == (State.FAILED, "no spare part")
    assert len(ledger.sent) == 2


@pytest.mark.parametrize("accepted", [True, False])
def test_its_outcome_counts_after_a_crash(moody: Moody, cipher: Cipher, accepted: bool) -> None:
    """Accepted or not: who has the token was given the action."""
    first = bench(moody, cipher)
    first.appear("a")
    (sent,) = first.sent
    if accepted:
        first.answer(sent)
    second = bench(moody, cipher, first.clock)
    assert second.one("a").state is (State.RUNNING if accepted else State.HELD)
    second.complete(sent.id, sent.call["completion_token"], "succeeded")
    assert second.one("a").state is State.SUCCEEDED
    second.stand("a")
    assert second.sent == []


def test_its_outcome_counts_after_its_deadline(moody: Moody, cipher: Cipher) -> None:
    ledger = bench(moody, cipher)
    ledger.appear("a")
    (sent,) = ledger.sent
    ledger.answer(sent)
    ledger.wait(4000)
    assert ledger.one("a").reason is Reason.UNKNOWN
    ledger.complete(sent.id, sent.call["completion_token"], "succeeded")
    assert ledger.one("a").state is State.SUCCEEDED


def test_nothing_is_sent_before_it_is_known_how(moody: Moody, cipher: Cipher) -> None:
    """After a restart: whether it needs a token, for one, only its service can tell, which is busy."""
    first = bench(moody, cipher)
    first.put_guard("policy", "p", {"mode": "propose"})
    first.appear("a")
    (found,) = first.list_sets()
    second = Bench(moody, cipher, first.clock)
    second.known = first.known
    second.answers_inquiries = False
    second.start()
    second.stand("a")
    second.approve(found["id"], found["digest"])
    second.wait(1)
    assert second.sent == []
    for _ in range(3):  # it has no time to answer
        second.inquiries[-1].set_exception(Timeout())
        second.wait(2)
        assert second.sent == []
    second.inquiries[-1].set_result(second.known["nova"])
    second.wait(1)
    assert [sorted(sent.call) for sent in second.sent] == [
        ["completion_token", "execution_id", "name", "named", "positional"]
    ]


def test_what_a_busy_service_said_earlier_holds(moody: Moody, cipher: Cipher) -> None:
    ledger = bench(moody, cipher)
    ledger.appear("a")
    ledger.answers_inquiries = False
    ledger.wait(100)
    ledger.appear("b")  # it is asked anew by now
    ledger.inquiries[0].set_exception(Timeout())
    ledger.wait(1)
    ledger.answer(ledger.sent[0], {"job": 7})
    assert (ledger.one("a").state, ledger.one("a").detail) == (State.RUNNING, ACCEPTED)
    assert "completion_token" in ledger.sent[1].call
