# SPDX-License-Identifier: Apache-2.0
"""What the guard does with queued executions before they are sent, and with what comes of them."""

import math
from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.executions.breaker import Breaker, BreakerState
from congress.executions.guard import LONGEST_SLEEP, Guard, Outcome, Verdict, backoff
from congress.executions.model import Execution
from congress.executions.settings import DAY, Mode, ServiceGuard
from congress.executions.states import Reason, State
from tests.executions.wishes import guard, wanted, with_trails

WAIT = (State.QUEUED, None)
STALE = (State.HELD, Reason.STALE)
BROKEN = (State.HELD, Reason.BREAKER)
TOO_FAST = (State.HELD, Reason.RATE_LIMIT)
LATE = (State.FAILED, Reason.DEADLINE)


def queued(*args: Any, **more: Any) -> Execution:
    return replace(wanted(*args, **more), state=State.QUEUED)


def cleared(
    made: Guard, one: Execution, now: float, stale: Iterable[str] = (), running: int = 0
) -> tuple[State, Reason | None] | None:
    verdict = made.clear(one, now, set(stale), {one.call.service: running})
    return None if verdict is None else (verdict.state, verdict.reason)


def told(made: Guard, one: Execution, now: float) -> Verdict:
    verdict = made.clear(one, now, set(), {})
    assert verdict is not None
    return verdict


def test_nothing_is_in_the_way() -> None:
    assert cleared(guard(), queued(), 0.0) is None


def test_the_deadline() -> None:
    made = guard()
    one = queued()
    assert made.deadline(one, 100.0) == 3700.0
    one = replace(one, approved_at=100.0, deadline=3700.0)
    assert cleared(made, one, 3699.9) is None
    assert cleared(made, one, 3700.0) == LATE
    assert told(made, one, 3700.0).detail == "It was not done within the 3600 s that it had."
    made.settings.override("service", "nova", {"deadline": None})
    assert made.deadline(one, 100.0) is None


def test_an_attempt_waits_for_its_moment() -> None:
    made = guard()
    one = queued(not_before=50.0)
    verdict = told(made, one, 40.0)
    assert (verdict.state, verdict.reason, verdict.until) == (*WAIT, 50.0)
    assert cleared(made, one, 50.0) is None
    # Of a held one it is when its hold was to end; what ended the hold earlier goes before.
    assert cleared(made, replace(one, state=State.HELD, reason=Reason.BREAKER), 40.0) is None


def test_a_mode_that_became_monitor_stops_what_is_queued() -> None:
    made = guard()
    made.settings.override("policy", "p", {"mode": "monitor"})
    assert cleared(made, queued(), 0.0) == (State.HELD, Reason.MODE_MONITOR)
    assert cleared(made, queued(policy="q"), 0.0) is None
    assert cleared(made, queued(policy=""), 0.0) is None


def test_a_mode_that_became_propose_asks_a_person_unless_one_was_asked() -> None:
    made = guard()
    made.settings.override("policy", "p", {"mode": "propose"})
    for who in ("guard", "ledger", ""):
        assert cleared(made, queued(approved_by=who), 0.0) == (State.PROPOSED, Reason.MODE_PROPOSE)
        assert cleared(made, queued("q", approved_by=who), 0.0) is None
    for who in ("user ann", "user guard", "somebody"):
        assert cleared(made, queued(approved_by=who), 0.0) is None


def test_enforce_does_not() -> None:
    assert cleared(guard({"mode": Mode.ENFORCE}), queued(), 0.0) is None


def test_stale_sources() -> None:
    made = guard()
    one = queued(sources=("nova:servers", "neutron:ports"))
    assert cleared(made, one, 0.0, {"neutron:ports", "glance:images"}) == STALE
    assert cleared(made, one, 0.0, {"neutron:networks"}) is None
    verdict = made.clear(one, 0.0, {"nova:servers", "neutron:ports"}, {})
    assert verdict is not None
    assert verdict.detail == "It was derived from stale data: nova:servers, neutron:ports."
    assert (verdict.until, verdict.scope) == (None, "policy:p")
    made.settings.override("policy", "p", {"hold_stale": False})
    assert cleared(made, one, 0.0, {"neutron:ports"}) is None


def test_many_stale_sources_are_not_all_named() -> None:
    one = queued(sources=tuple(f"s:t{n}" for n in range(5)))
    verdict = guard().clear(one, 0.0, set(one.origin.sources), {})
    assert verdict is not None
    assert verdict.detail == "It was derived from stale data: s:t0, s:t1, s:t2 and 2 more."


def test_concurrency() -> None:
    made = guard(None, {"concurrency": 2})
    assert cleared(made, queued(), 0.0, running=1) is None
    verdict = made.clear(queued(), 0.0, set(), {"nova": 2})
    assert verdict == Verdict(State.QUEUED)
    assert cleared(made, queued(service="glance"), 0.0) is None


def trouble(made: Guard, times: int, now: float = 0.0, service: str = "nova") -> None:
    for _ in range(times):
        made.finished(queued(service=service), Outcome.TROUBLE, now)


def test_the_breaker_opens_after_trouble_in_a_row() -> None:
    made = guard()
    trouble(made, 4)
    assert cleared(made, queued(), 1.0) is None
    change = made.finished(queued(), Outcome.TROUBLE, 10.0)
    assert change is not None
    assert (change.service, change.before, change.after) == ("nova", BreakerState.CLOSED, BreakerState.OPEN)
    verdict = told(made, queued(), 11.0)
    assert (verdict.state, verdict.reason, verdict.until) == (*BROKEN, 70.0)
    assert verdict.detail == ("The breaker of 'nova' is open: 5 attempts in a row found the service in trouble.")
    assert cleared(made, queued(service="glance"), 11.0) is None


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.FAILED])
def test_an_answer_ends_the_row(outcome: Outcome) -> None:
    made = guard()
    trouble(made, 4)
    assert made.finished(queued(), outcome, 0.0) is None
    assert made.breakers == {}
    trouble(made, 4)
    assert cleared(made, queued(), 1.0) is None


def test_what_was_refused_says_nothing_about_health() -> None:
    made = guard()
    trouble(made, 4)
    for _ in range(10):
        assert made.finished(queued(), Outcome.REFUSED, 0.0) is None
    trouble(made, 1)
    assert cleared(made, queued(), 1.0) == BROKEN


def test_half_open_lets_one_through() -> None:
    made = guard()
    trouble(made, 5)
    first, second = queued(), queued()
    assert cleared(made, first, 59.9) == BROKEN
    assert cleared(made, first, 60.0) is None
    verdict = told(made, second, 60.0)
    assert (verdict.state, verdict.reason, verdict.until) == (*BROKEN, 180.0)  # the longest the first may take
    assert verdict.detail == "The breaker of 'nova' is half-open: one execution is tried first."
    change = made.finished(first, Outcome.OK, 61.0)
    assert change is not None
    assert (change.before, change.after) == (BreakerState.HALF_OPEN, BreakerState.CLOSED)
    assert cleared(made, second, 61.0) is None
    assert made.breakers == {}


def test_half_open_and_trouble_again() -> None:
    made = guard()
    trouble(made, 5)
    probe = queued()
    assert cleared(made, probe, 60.0) is None
    change = made.finished(probe, Outcome.TROUBLE, 65.0)
    assert change is not None
    assert (change.before, change.after) == (BreakerState.HALF_OPEN, BreakerState.OPEN)
    assert told(made, queued(), 66.0).until == 125.0
    assert told(made, queued(), 66.0).detail.endswith("6 attempts in a row found the service in trouble.")


@pytest.mark.parametrize("outcome", list(Outcome))
def test_what_was_sent_before_it_opened_does_not_close_it(outcome: Outcome) -> None:
    made = guard()
    early = queued()
    assert cleared(made, early, 0.0) is None
    trouble(made, 5)
    for now in (10.0, 60.0, 70.0):
        assert made.finished(early, outcome, now) is None
    assert cleared(made, queued(), 59.0) == BROKEN
    probe = queued()
    assert cleared(made, probe, 80.0) is None
    assert made.finished(early, outcome, 81.0) is None
    assert cleared(made, queued(), 82.0) == BROKEN


@pytest.mark.parametrize("way", ["refused", "forgotten", "lost"])
def test_a_probe_that_says_nothing_makes_room_for_the_next(way: str) -> None:
    made = guard()
    trouble(made, 5)
    probe, second = queued(), queued()
    assert cleared(made, probe, 60.0) is None
    assert cleared(made, second, 61.0) == BROKEN
    now = 61.0
    if way == "refused":
        assert made.finished(probe, Outcome.REFUSED, now) is None
    elif way == "forgotten":
        made.forget(probe)
    else:
        now = 180.0
    assert cleared(made, second, now) is None
    assert cleared(made, queued(), now) == BROKEN


def test_a_person_trips_and_resets() -> None:
    made = guard()
    change = made.trip("nova", "ann", 10.0, detail="maintenance")
    assert (change.before, change.after, change.breaker.until) == (BreakerState.CLOSED, BreakerState.OPEN, None)
    verdict = told(made, queued(), 1e9)
    assert (verdict.state, verdict.reason, verdict.until) == (*BROKEN, None)
    assert verdict.detail == "The breaker of 'nova' is open, tripped by ann: maintenance."
    assert made.finished(queued(), Outcome.OK, 20.0) is None
    back = made.reset("nova", 30.0)
    assert back is not None
    assert (back.before, back.after) == (BreakerState.OPEN, BreakerState.CLOSED)
    assert cleared(made, queued(), 30.0) is None
    assert made.reset("nova", 31.0) is None


def test_a_person_trips_for_a_while() -> None:
    made = guard()
    made.trip("nova", "ann", 10.0, until=100.0)
    assert told(made, queued(), 99.0).until == 100.0
    assert cleared(made, queued(), 100.0) is None
    assert cleared(made, queued(), 100.0) == BROKEN


def test_without_a_number_it_never_opens_by_itself() -> None:
    made = guard(None, {"breaker_failures": None})
    trouble(made, 1000)
    assert cleared(made, queued(), 0.0) is None


def test_breakers_outlive_a_restart() -> None:
    made = guard()
    trouble(made, 3, service="glance")
    trouble(made, 5, now=10.0)
    made.trip("cinder", "ann", 20.0, detail="maintenance")
    kept = {service: breaker.to_dict() for service, breaker in made.breakers.items()}
    same = guard()
    same.load([], kept, 30.0)
    assert same.breakers == made.breakers
    trouble(same, 2, service="glance")
    for service in ("nova", "glance", "cinder"):
        assert cleared(same, queued(service=service), 30.0) == BROKEN
    assert cleared(same, queued(), 70.0) is None


def test_the_rate_of_a_service() -> None:
    made = guard(None, {"rate": 60.0, "burst": 3})
    group = [queued() for _ in range(6)]
    assert [cleared(made, one, 100.0) for one in group] == [None, None, None, TOO_FAST, TOO_FAST, TOO_FAST]
    turns = [told(made, one, 100.0).until for one in group[3:]]
    assert turns == [pytest.approx(101.0), pytest.approx(102.0), pytest.approx(103.0)]
    assert told(made, group[3], 100.4).detail == (
        "service 'nova' may have 60 attempts a minute; this one's turn is in 0.6 s."
    )
    for one, turn in zip(group[3:], turns, strict=True):
        assert turn is not None
        assert cleared(made, one, turn - 0.1) == TOO_FAST
        assert cleared(made, one, turn) is None


def test_who_asks_first_goes_first_and_later_ones_are_told_later_moments() -> None:
    made = guard(None, {"rate": 60.0, "burst": 1})
    assert cleared(made, queued(), 0.0) is None
    early, late = queued(), queued()
    assert told(made, early, 0.0).until == pytest.approx(1.0)
    assert told(made, late, 0.9).until == pytest.approx(2.0)
    assert told(made, early, 0.95).until == pytest.approx(1.0)
    assert [cleared(made, one, 1.0) for one in (early, late)] == [None, TOO_FAST]
    assert told(made, queued(), 1.0).until == pytest.approx(3.0)
    assert cleared(made, late, 2.0) is None


@pytest.mark.parametrize("tells", [True, False])
def test_whoever_is_gone_is_waited_behind_for_a_minute_at_most(tells: bool) -> None:
    made = guard(None, {"rate": 60.0, "burst": 1})
    crowd = [queued() for _ in range(50)]
    for one in crowd:
        made.clear(one, 0.0, set(), {})
    assert told(made, queued(), 0.0).until == pytest.approx(50.0)
    if tells:
        for one in crowd:
            made.forget(one)
    now = 0.5 if tells else 50.0 + 61.0
    if not tells:
        assert cleared(made, queued(), now) is None
    assert told(made, queued(), now).until == pytest.approx(2.0 if tells else now + 1.0)


def test_a_clock_that_is_put_back_fills_no_bucket_and_stops_none() -> None:
    made = guard(None, {"rate": 60.0, "burst": 2})
    assert [cleared(made, queued(), 5000.0) for _ in range(2)] == [None, None]
    one = queued()
    assert told(made, one, 5000.0).until == pytest.approx(5001.0)
    assert cleared(made, one, 1000.0) == TOO_FAST
    assert cleared(made, one, 1001.0) is None
    assert cleared(made, queued(), 1001.0) == TOO_FAST


def test_rates_of_policy_and_service_both_hold() -> None:
    made = guard({"rate": 6.0, "burst": 1}, {"rate": 60.0, "burst": 2})
    assert cleared(made, queued(policy="a"), 0.0) is None
    verdict = told(made, queued(policy="a"), 0.0)
    assert (verdict.scope, verdict.until) == ("policy:a", pytest.approx(10.0))
    assert cleared(made, queued(policy="b"), 0.0) is None
    verdict = told(made, queued(policy="c"), 0.0)
    assert (verdict.scope, verdict.until) == ("service:nova", pytest.approx(1.0))
    assert cleared(made, queued(policy="c", service="glance"), 0.0) is None


def test_no_token_is_taken_for_what_does_not_go() -> None:
    made = guard(None, {"rate": 60.0, "burst": 1})
    made.trip("nova", "ann", 0.0)
    assert cleared(made, queued(), 0.0) == BROKEN
    made.reset("nova", 0.0)
    assert cleared(made, queued(), 0.0, running=1) == WAIT
    assert cleared(made, queued(sources=("nova:servers",)), 0.0, {"nova:servers"}) == STALE
    assert cleared(made, queued(), 0.0) is None
    assert cleared(made, queued(), 0.0) == TOO_FAST


def test_a_restart_does_not_fill_the_buckets() -> None:
    made = guard(None, {"rate": 6.0, "burst": 2})
    sent = [queued(approved_at=90.0, started_at=95.0 + n) for n in range(2)]
    made.load(with_trails(sent), {}, 100.0)
    waiting = queued()
    assert told(made, waiting, 100.0).until == pytest.approx(105.0)
    assert cleared(made, waiting, 105.0) is None


def test_a_rate_that_changes() -> None:
    made = guard(None, {"rate": 1.0, "burst": 1})
    assert cleared(made, queued(), 0.0) is None
    waiting = queued()
    assert told(made, waiting, 0.0).until == pytest.approx(60.0)
    made.settings.override("service", "nova", {"rate": 60.0})
    assert told(made, queued(), 0.5).until == pytest.approx(2.0)  # behind the one that waits
    made.settings.override("service", "nova", {"rate": None})
    assert cleared(made, waiting, 5.0) is None


def test_wakes_at_the_next_end_of_a_hold() -> None:
    made = guard({"cool_down": 30.0}, {"rate": 60.0, "burst": 1, "breaker_seconds": 20.0, "timeout": 15.0})
    assert made.wakes(0.0) == LONGEST_SLEEP
    one = wanted(args=("a",))
    made.approved([one], 0.0)
    made.admit([wanted(args=("a",))], 1.0, set())
    assert made.wakes(1.0) == 30.0
    trouble(made, 5, now=2.0, service="glance")
    assert made.wakes(2.0) == 22.0
    made.clear(queued(), 3.0, set(), {})
    made.clear(queued(), 3.0, set(), {})
    assert made.wakes(3.0) == pytest.approx(4.0)
    assert made.wakes(22.0) == 30.0
    assert made.wakes(30.0) == 30.0 + LONGEST_SLEEP
    made.clear(queued(service="glance"), 31.0, set(), {})
    assert made.wakes(31.0) == 51.0  # the probe is given up


def test_attempts_run_out() -> None:
    made = guard(None, {"attempts": 3})
    random = Random(1)
    for attempts in (1, 2):
        verdict = made.retry(queued(attempts=attempts), None, 100.0, random)
        assert verdict.state is State.QUEUED
        assert verdict.until is not None
        assert 100.0 <= verdict.until <= 100.0 + 2.0 * 2 ** (attempts - 1)
    verdict = made.retry(queued(attempts=3), None, 100.0, random)
    assert (verdict.state, verdict.reason) == (State.FAILED, Reason.ATTEMPTS)
    assert verdict.detail == "3 attempts were made; none succeeded."


def test_no_attempt_after_the_deadline() -> None:
    made = guard()
    verdict = made.retry(queued(attempts=1, deadline=110.0), 30.0, 100.0, Random(1))
    assert (verdict.state, verdict.reason) == LATE
    assert verdict.detail.endswith("; its deadline is in 10 s.")
    assert made.retry(queued(attempts=1, deadline=140.0), 30.0, 100.0, Random(1)).state is State.QUEUED


@given(
    attempts=st.integers(0, 100),
    retry_after=st.none() | st.floats(),
    base=st.floats(0, 3600),
    longest=st.floats(0, DAY),
    seed=st.integers(),
)
def test_waiting_times_keep_within_bounds(
    attempts: int, retry_after: float | None, base: float, longest: float, seed: int
) -> None:
    settings = ServiceGuard(backoff=base, backoff_max=longest)
    seconds = backoff(attempts, retry_after, settings, Random(seed))
    asked = min(retry_after, DAY) if retry_after is not None and retry_after > 0 else 0.0
    bound = min(longest, base * 2.0 ** max(0, attempts - 1))
    assert math.isfinite(seconds)
    assert asked <= seconds <= max(bound, asked + base)


def test_waiting_times_are_spread_over_all_of_the_time() -> None:
    random = Random(7)
    found = [backoff(3, None, ServiceGuard(), random) for _ in range(1000)]
    assert min(found) < 0.5
    assert max(found) > 7.5
    assert 3.5 < sum(found) / len(found) < 4.5


def test_a_breaker_as_kept() -> None:
    breaker = Breaker(3, 10.0, 70.0, "ann", "why", "probe", 99.0)
    assert Breaker.from_dict(breaker.to_dict()) == replace(breaker, probe=None, probe_until=0.0)
