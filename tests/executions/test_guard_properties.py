# SPDX-License-Identifier: Apache-2.0
"""What holds for the guard whatever happens: against plain models that look at everything each time."""

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import combinations_with_replacement, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from congress.executions.breaker import BreakerState
from congress.executions.guard import Guard, Outcome, Verdict
from congress.executions.model import Execution
from congress.executions.settings import Caps, PolicyGuard
from congress.executions.states import Reason, State
from tests.executions.wishes import admitted, guard, wanted

SEEN = tuple[float, str, Fraction]  # when something was let through, whose it is, its share of its table

caps = st.fixed_dictionaries(
    {
        "max_rows": st.none() | st.integers(0, 12),
        "max_percent": st.none() | st.integers(0, 100).map(float),
        "percent_floor": st.integers(0, 6),
        "window": st.sampled_from([1.0, 10.0, 60.0]),
    }
)
wishes = st.builds(
    wanted,
    policy=st.sampled_from(["", "a", "b"]),
    service=st.sampled_from(["nova", "glance"]),
    action=st.sampled_from(["stop", "start"]),
    row=st.booleans(),
    population=st.sampled_from([0, 3, 7, 20, 1000]),
)
transactions = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0, 9.0, 10.0, 61.0]), st.lists(wishes, min_size=1, max_size=8)), max_size=15
)


def keys(one: Execution) -> list[str]:
    return [*([f"policy:{one.origin.policy}"] if one.origin.policy else []), f"service:{one.call.service}"]


def share(one: Execution) -> Fraction:
    return Fraction(1, one.origin.population) if one.origin.population else Fraction(0)


def over(limits: Caps, shares: list[Fraction]) -> bool:
    """Whether so many within a window are more than the caps allow."""
    if limits.max_rows is not None and len(shares) > limits.max_rows:
        return True
    if limits.max_percent is None or len(shares) <= limits.percent_floor:
        return False
    return limits.max_percent == 0 or 100 * sum(shares) > Fraction(limits.max_percent)


def limits_of(made: Guard, key: str) -> Caps:
    kind, _, name = key.partition(":")
    return made.settings.policy(name) if kind == "policy" else made.settings.service(name)


def too_many(made: Guard, group: list[Execution], history: list[SEEN], now: float) -> set[int]:
    """The places in the group of what the caps hold: first the policies', then the services'."""
    held: set[int] = set()
    for kind in ("policy", "service"):
        for key in sorted({key for one in group for key in keys(one) if key.startswith(kind)}):
            limits = limits_of(made, key)
            members = [i for i, one in enumerate(group) if key in keys(one) and i not in held]
            before = [part for at, whose, part in history if whose == key and at > now - limits.window]
            if members and over(limits, before + [share(group[i]) for i in members]):
                held.update(members)
    return held


@settings(max_examples=300)
@given(policy=caps, service=caps, steps=transactions, approvals=st.sets(st.integers(0, 14)))
def test_caps_are_what_a_plain_count_says(
    policy: dict[str, Any], service: dict[str, Any], steps: Any, approvals: set[int]
) -> None:
    made = guard(policy, service)
    history: list[SEEN] = []
    now = 1000.0
    for number, (pause, group) in enumerate(steps):
        now += pause
        expected = too_many(made, group, history, now)
        verdicts = made.admit(group, now, set())
        assert {i for i, verdict in enumerate(verdicts) if verdict.reason is Reason.BLAST_RADIUS} == expected
        assert all(verdict.state is State.APPROVED for i, verdict in enumerate(verdicts) if i not in expected)
        by_person = number in approvals
        through = [one for i, one in enumerate(group) if i not in expected or by_person]
        made.approved(through, now)
        history += [(now, key, share(one)) for one in through for key in keys(one)]


@settings(max_examples=300)
@given(policy=caps, service=caps, steps=transactions)
def test_no_splitting_gets_more_through_than_the_caps(
    policy: dict[str, Any], service: dict[str, Any], steps: Any
) -> None:
    """However it is split among transactions, policies, services, tables and actions: in no window is there more."""
    made = guard(policy, service)
    through: dict[str, list[tuple[float, Fraction]]] = defaultdict(list)
    now = 1000.0
    for pause, group in steps:
        now += pause
        for one, verdict in zip(group, admitted(made, group, now), strict=True):
            if verdict.state is State.APPROVED:
                for key in keys(one):
                    through[key].append((now, share(one)))
    for key, found in through.items():
        limits = limits_of(made, key)
        for end, _ in found:
            assert not over(limits, [part for at, part in found if end - limits.window < at <= end])


@settings(max_examples=300)
@given(
    cool_down=st.sampled_from([0.0, 5.0, 30.0]),
    count=st.none() | st.integers(1, 4),
    window=st.sampled_from([10.0, 60.0]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0, 7.0, 40.0]),
            st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.booleans()), max_size=5),
        ),
        max_size=20,
    ),
)
def test_the_same_is_not_done_too_often(cool_down: float, count: int | None, window: float, steps: Any) -> None:
    made = guard({"cool_down": cool_down, "oscillation_count": count, "oscillation_window": window, "max_rows": None})
    through: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    now = 0.0
    for pause, group in steps:
        now += pause
        executions = [wanted(policy, args=(name,), row=row) for policy, name, row in group]
        asked: set[str] = set()
        for one, verdict in zip(executions, admitted(made, executions, now), strict=True):
            before = through[one.digest]
            row = bool(one.origin.table)
            if verdict.state is State.APPROVED:
                assert not (row and one.digest in asked), "two rows, or a person and a row, asked at once"
                before.append((now, row))
            else:
                # Everything that is held or dropped has its cause.
                assert verdict.reason in {Reason.DUPLICATE, Reason.COOL_DOWN, Reason.OSCILLATION}
                assert before or one.digest in asked
            if verdict.reason is Reason.COOL_DOWN:
                assert verdict.until is not None
                assert now < verdict.until <= now + cool_down
            asked.add(one.digest)
    for found in through.values():
        times = [at for at, _ in found]
        assert all(later - earlier >= cool_down for earlier, later in pairwise(times))
        rows = [at for at, row in found if row]
        if count is not None:
            assert all(sum(1 for at in rows if end - window < at <= end) <= count for end in rows)


limits = st.fixed_dictionaries({"rate": st.sampled_from([0.5, 6.0, 60.0, 6000.0]), "burst": st.integers(1, 5)})


@settings(max_examples=300, deadline=None)
@given(
    policy=st.just({"rate": None, "burst": 1}) | limits,
    service=limits,
    arrivals=st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 1.0, 30.0, 400.0]), st.sampled_from("ab"), st.booleans()),
        min_size=1,
        max_size=25,
    ),
    tells=st.booleans(),
    together=st.booleans(),
)
def test_a_bucket_never_gives_more_than_burst_and_rate(
    policy: dict[str, Any],
    service: dict[str, Any],
    arrivals: list[tuple[float, str, bool]],
    tells: bool,
    together: bool,
) -> None:
    """In no stretch of time is more sent than ``burst + rate * minutes``; and everybody who stays gets a turn.

    Some leave while they wait, and the guard is told of it or not; the others ask again each at its moment, or all
    when one of them does.
    """
    made = guard(policy, {**service, "deadline": None, "concurrency": 1000})
    sent: list[tuple[float, str]] = []
    begin = now = 1_000_000.0
    waiting: list[tuple[float, int, Execution]] = []

    def asked(number: int, one: Execution, stays: bool = True) -> None:
        verdict = made.clear(one, now, set(), {})
        if verdict is None:
            sent.append((now, one.origin.policy))
        elif stays:
            assert verdict.reason is Reason.RATE_LIMIT
            assert verdict.until is not None
            assert verdict.until > now
            waiting.append((verdict.until, number, one))
        elif tells:
            made.forget(one)

    for number, (pause, name, stays) in enumerate(arrivals):
        now += pause
        asked(number, replace(wanted(name), state=State.QUEUED), stays)
    for _ in range(10 * len(arrivals)):
        if not waiting:
            break
        waiting.sort()
        now = max(now, waiting[0][0])
        again = sorted(waiting, key=lambda entry: entry[1]) if together else waiting[:1]
        waiting[: len(again)] = []
        for _, number, one in again:
            asked(number, one)
    assert not waiting
    for whose, limit in (("a", policy), ("b", policy), ("ab", service)):
        times = [at for at, name in sent if name in whose]
        for first, last in combinations_with_replacement(range(len(times)), 2):
            minutes = (times[last] - times[first]) / 60
            assert limit["rate"] is None or last - first + 1 <= limit["burst"] + limit["rate"] * minutes + 1e-3
    if policy["rate"] is None:
        last_arrival = begin + sum(pause for pause, _, _ in arrivals)
        assert now <= last_arrival + (len(arrivals) + 1) * 60 / service["rate"] + 1e-3


class BreakerModel(RuleBasedStateMachine):
    """The breaker of a service, and what one would write down of it on paper."""

    @initialize(failures=st.none() | st.integers(1, 3), seconds=st.sampled_from([10.0, 60.0]))
    def begin(self, failures: int | None, seconds: float) -> None:
        self.made = guard(
            None, {"breaker_failures": failures, "breaker_seconds": seconds, "concurrency": 1000, "timeout": 30.0}
        )
        self.failures, self.seconds = failures, seconds
        self.now = 1000.0
        self.state = BreakerState.CLOSED
        self.row = 0
        self.until: float | None = None
        self.probe: Execution | None = None
        self.probe_since = 0.0
        self.out: list[Execution] = []

    def _open(self, until: float | None) -> None:
        self.state, self.until, self.probe = BreakerState.OPEN, until, None

    def _close(self) -> None:
        self.state, self.row, self.until, self.probe = BreakerState.CLOSED, 0, None, None

    @rule(seconds=st.sampled_from([0.5, 9.5, 10.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        if self.state is BreakerState.OPEN and self.until is not None and self.now >= self.until:
            self.state = BreakerState.HALF_OPEN

    def _probing(self) -> bool:
        """Whether others wait for the probe; one that takes too long is not waited for, but still counts."""
        return self.probe is not None and self.now < self.probe_since + max(self.seconds, 30.0)

    @rule()
    def send(self) -> None:
        one = replace(wanted(), state=State.QUEUED)
        verdict = self.made.clear(one, self.now, set(), {})
        if self.state is BreakerState.CLOSED or (self.state is BreakerState.HALF_OPEN and not self._probing()):
            assert verdict is None
            self.out.append(one)
            if self.state is BreakerState.HALF_OPEN:
                self.probe, self.probe_since = one, self.now
        else:
            assert verdict is not None
            assert (verdict.state, verdict.reason) == (State.HELD, Reason.BREAKER)
            assert verdict.until is None or verdict.until > self.now
            if self.state is BreakerState.OPEN:
                assert verdict.until == self.until

    @precondition(lambda self: self.out)
    @rule(outcome=st.sampled_from(Outcome), place=st.integers(0, 50))
    def answer(self, outcome: Outcome, place: int) -> None:
        one = self.out.pop(place % len(self.out))
        before = self.state
        change = self.made.finished(one, outcome, self.now)
        counts = before is BreakerState.CLOSED or one is self.probe
        if counts and outcome in {Outcome.OK, Outcome.FAILED}:
            self._close()
        elif counts and outcome is Outcome.REFUSED:
            self.probe = None
        elif counts:
            self.row += 1
            if before is BreakerState.HALF_OPEN or (self.failures is not None and self.row >= self.failures):
                self._open(self.now + self.seconds)
        assert (change is not None) == (before is not self.state)
        if change is not None:
            assert (change.before, change.after, change.at) == (before, self.state, self.now)

    @rule(seconds=st.none() | st.sampled_from([10.0, 100.0]))
    def trip(self, seconds: float | None) -> None:
        until = None if seconds is None else self.now + seconds
        self.made.trip("nova", "ann", self.now, until)
        self._open(until)

    @rule()
    def reset(self) -> None:
        change = self.made.reset("nova", self.now)
        assert (change is not None) == (self.state is not BreakerState.CLOSED)
        self._close()

    @precondition(lambda self: self.probe is not None)
    @rule()
    def drop_the_probe(self) -> None:
        assert self.probe is not None
        self.made.forget(self.probe)
        self.out = [one for one in self.out if one is not self.probe]
        self.probe = None

    @rule()
    def restart(self) -> None:
        kept = {service: breaker.to_dict() for service, breaker in self.made.breakers.items()}
        defaults = self.made.settings.defaults
        self.made = Guard(defaults)
        self.made.load([], kept, self.now)
        self.probe = None

    @invariant()
    def it_shows_the_same_state(self) -> None:
        breaker = self.made.breakers.get("nova")
        assert (breaker.state(self.now) if breaker else BreakerState.CLOSED) is self.state


TestBreaker = BreakerModel.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(policy=caps, service=caps, group=st.lists(wishes, max_size=12))
def test_the_order_within_a_transaction_does_not_matter_to_caps(
    policy: dict[str, Any], service: dict[str, Any], group: list[Execution]
) -> None:
    made = guard(policy, service)
    found = []
    for order in (group, group[::-1]):
        verdicts: list[Verdict] = made.admit(order, 0.0, set())
        found.append({one.id: verdict.reason for one, verdict in zip(order, verdicts, strict=True)})
    assert found[0] == found[1]


def test_the_plain_count_on_the_numbers_that_people_have() -> None:
    limits = PolicyGuard()
    assert not over(limits, [Fraction(1, 80)] * 20)
    assert over(limits, [Fraction(1, 79)] * 20)
    assert over(limits, [Fraction(0)] * 21)
