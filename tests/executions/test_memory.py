# SPDX-License-Identifier: Apache-2.0
"""What guards know of what was let through and sent is the same after a restart."""

from collections.abc import Callable

import pytest

from congress.bus.errors import Overloaded
from congress.db.crypt import Cipher
from congress.executions.settings import DAY, Defaults, PolicyGuard, ServiceGuard
from congress.executions.states import Reason
from tests.executions.bench import POLICY, Bench, Clock, Moody


def restart(bench: Bench) -> Bench:
    store = bench.ledger.store
    return Bench(store._database, store._cipher, bench.clock, defaults=bench.guard.settings.defaults).start()


def look_farther_back(bench: Bench) -> Bench:
    bench.put_guard("policy", POLICY, {"oscillation_window": 40_000})
    return bench


@pytest.fixture(params=[restart, look_farther_back])
def again(request: pytest.FixtureRequest) -> Callable[[Bench], Bench]:
    """Has a ledger know anew what was."""
    found: Callable[[Bench], Bench] = request.param
    return found


def test_every_approval_of_one_execution_counts(moody: Moody, cipher: Cipher, again: Callable[[Bench], Bench]) -> None:
    settings = Defaults(PolicyGuard(max_rows=3, max_percent=None), ServiceGuard(breaker_failures=None))
    bench = Bench(moody, cipher, Clock(), defaults=settings).start()
    asked = bench.request("nova:fix", ["a"], policy=POLICY)
    for retried in range(3):
        bench.answer(bench.sent[retried], ValueError("it is locked"))
        bench.wait(1)
        if retried < 2:
            bench.retry(asked)
    bench.request("nova:fix", ["b"], policy=POLICY)
    assert bench.one("b").reason is Reason.BLAST_RADIUS
    after = again(bench)
    after.request("nova:fix", ["c"], policy=POLICY)
    assert [after.one(thing).reason for thing in "bc"] == [Reason.BLAST_RADIUS] * 2
    after.wait(300)
    after.request("nova:fix", ["d"], policy=POLICY)
    assert after.one("d").state == "running"


def test_a_hold_on_the_way_to_the_service_is_no_approval(
    moody: Moody, cipher: Cipher, again: Callable[[Bench], Bench]
) -> None:
    settings = Defaults(PolicyGuard(max_rows=2, max_percent=None))
    bench = Bench(moody, cipher, Clock(), defaults=settings).start()
    bench.set_breaker("nova", "open")
    asked = bench.request("nova:fix", ["a"], policy=POLICY)
    assert bench.ledger.find(asked).reason is Reason.BREAKER
    bench.set_breaker("nova", "closed")
    bench.answer(bench.sent[0])
    after = again(bench)
    after.request("nova:fix", ["b"], policy=POLICY)
    assert after.one("b").state == "running"


def test_every_attempt_of_one_execution_counts(moody: Moody, cipher: Cipher) -> None:
    settings = Defaults(service=ServiceGuard(rate=1, burst=3, attempts=3, backoff=0, breaker_failures=None))
    bench = Bench(moody, cipher, Clock(), defaults=settings).start()
    bench.request("nova:fix", ["a"])
    for attempt in range(3):
        bench.answer(bench.sent[attempt], Overloaded())
        bench.wait(0.1)
    assert bench.one("a").reason is Reason.ATTEMPTS
    after = restart(bench)
    after.request("nova:fix", ["b"])
    assert after.sent == []
    assert after.one("b").reason is Reason.RATE_LIMIT
    after.wait(60)
    assert len(after.sent) == 1


def test_attempts_count_as_long_as_their_bucket_remembers_them(moody: Moody, cipher: Cipher) -> None:
    """Four hours after ten attempts at one an hour there are four tokens again."""
    guard = ServiceGuard(rate=1 / 60, burst=10, concurrency=20)
    bench = Bench(moody, cipher, Clock(), defaults=Defaults(service=guard)).start()
    bench.appear(*"abcdefghij")
    assert len(bench.sent) == 10
    bench.clock.time += 4 * 3600
    after = restart(bench)
    for thing in "klmnop":
        after.request("nova:fix", [thing])
    assert len(after.sent) == 4


def test_what_was_approved_long_ago_and_sent_just_now(moody: Moody, cipher: Cipher) -> None:
    guard = ServiceGuard(rate=1, burst=1, deadline=None)
    bench = Bench(moody, cipher, Clock(), defaults=Defaults(service=guard)).start()
    bench.set_breaker("nova", "open")
    bench.request("nova:fix", ["a"])
    bench.wait(2 * DAY)
    bench.set_breaker("nova", "closed")
    bench.answer(bench.sent[0])
    after = restart(bench)
    after.request("nova:fix", ["b"])
    assert after.sent == []
