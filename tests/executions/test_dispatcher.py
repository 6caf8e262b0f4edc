# SPDX-License-Identifier: Apache-2.0
"""What services' answers tell counts once, also when the database does not take them at first."""

import random
from concurrent.futures import Future
from typing import Any

import pytest

from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import Unavailable
from congress.executions.admission import Admission
from congress.executions.answers import Answer
from congress.executions.dispatcher import Dispatcher
from congress.executions.ledger import Batch, Ledger
from congress.executions.signatures import Signatures
from congress.executions.states import State
from congress.executions.store import ExecutionStore
from tests.executions.wishes import guard, wanted

NOW = 1000.0


def test_an_outcome_that_is_told_twice(database: Database, cipher: Cipher, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = guard(policy={"max_percent": None}, service={"breaker_failures": 2, "attempts": 1})
    ledger = Ledger(ExecutionStore(database, cipher), lambda: NOW)
    admission = Admission(ledger, keeper)
    sent: list[str] = []

    def ask(service: str, method: str, **more: Any) -> "Future[Any]":
        sent.append(more["execution_id"])
        return Future()

    signatures = Signatures(ask, lambda service: None, lambda *args: None, lambda: None, lambda: NOW)
    dispatcher = Dispatcher(ledger, keeper, admission, signatures, ask, lambda *args: None, frozenset, random.Random(1))

    def do(work: Any) -> None:
        batch, go_back = Batch(), keeper.remember()
        try:
            work(batch)
            dispatcher.pump(batch, NOW)
            ledger.write(batch)
        except Unavailable:
            go_back()  # as the service does
            raise

    do(lambda batch: admission.admit(batch, [wanted(), wanted(), wanted()], NOW))
    assert len(sent) == 1
    answers = [(sent[0], 1, Answer(False, error="away", retryable=True, trouble=True))]
    with monkeypatch.context() as patched:

        def away(*args: Any) -> None:
            raise Unavailable("away")

        patched.setattr(ledger.store, "write", away)
        for _ in range(3):
            with pytest.raises(Unavailable):
                do(lambda batch: dispatcher.settle(batch, answers, NOW))
    assert keeper.breakers == {}
    assert len(sent) == 1

    do(lambda batch: dispatcher.settle(batch, answers, NOW))
    assert keeper.breakers["nova"].failures == 1
    assert len(sent) == 2
    do(lambda batch: dispatcher.settle(batch, [(sent[1], 2, answers[0][2])], NOW))
    assert len(sent) == 2  # the second trouble opened it before the same transaction sent more
    assert [one.state for one in ledger.all_open()] == [State.HELD]
