# SPDX-License-Identifier: Apache-2.0
"""The ledger against a simple model of rows and of a cloud, whatever happens in whatever order.

The model knows which rows are true, which of that the ledger was told, and what the cloud really did.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from congress.bus.errors import Overloaded, Timeout
from congress.cloudservices.errors import ActionFailed, ActionNotFound
from congress.db.crypt import Cipher
from congress.db.migrate import upgrade
from congress.executions.errors import LedgerError
from congress.executions.ledger import Batch, place_of
from congress.executions.model import Execution
from congress.executions.settings import Defaults, PolicyGuard, ServiceGuard
from congress.executions.states import TRANSITIONS, Reason, State, Trigger
from tests.executions.bench import POLICY, TABLE, Bench, Clock, Moody, Sent

THINGS = st.sampled_from("abcde")
PICK = st.integers(0, 9)
ANSWERS: dict[str, Callable[[], Exception | None]] = {
    "done": lambda: None,
    "busy": lambda: ActionFailed("busy", retryable=True),
    "overloaded": Overloaded,
    "locked": lambda: ActionFailed("locked"),
    "no such action": ActionNotFound,
    "lost, done": lambda: ActionFailed("lost", maybe_done=True),
    "lost": lambda: ActionFailed("lost", maybe_done=True),
    "too late, done": Timeout,
    "too late": Timeout,
    "fault": lambda: ValueError("a driver's own fault"),
}
GUARDS = Defaults(
    PolicyGuard(max_rows=4, max_percent=None, window=30.0, oscillation_count=3, oscillation_window=600.0),
    ServiceGuard(attempts=3, backoff=1.0, breaker_failures=3, breaker_seconds=20.0, concurrency=2, deadline=900.0),
)
MODES: tuple[dict[str, Any], ...] = (
    {},
    {"mode": "monitor"},
    {"mode": "propose"},
    {"max_rows": 1},
    {"cool_down": 60},
    {"rate": 2, "burst": 1},
)
BY_THEMSELVES = (Reason.STALE, Reason.BREAKER, Reason.RATE_LIMIT, Reason.COOL_DOWN)


class LedgerMachine(RuleBasedStateMachine):
    """Rows, people, a cloud and a database around a ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Moody("sqlite://")
        upgrade(self.database)
        self.cipher = Cipher([Fernet.generate_key().decode()])
        self.clock = Clock()
        self.true: set[str] = set()
        self.told: set[str] | None = set()  # None: nothing since the start
        self.there = True  # the rule
        self.sure = True  # all rows have been told since the start
        self.times: Counter[str] = Counter()  # how often each row came true
        self.done: Counter[str] = Counter()  # by execution
        self.things: dict[str, str] = {}  # of executions that were sent
        self.again: Counter[str] = Counter()  # by execution, how often a person had it tried again
        self.asked: set[str] = set()
        self.judged: set[str] = set()  # what a person cancelled or settled
        self.seen = 0  # of what was sent in this life
        self.bench = self._start()

    def teardown(self) -> None:
        self.database.mood = ""
        try:
            self._come_to_rest()
        finally:
            self.database.close()

    def _start(self) -> Bench:
        self.seen = 0
        self.bench = Bench(self.database, self.cipher, self.clock, defaults=GUARDS)
        self.bench.start()
        return self.bench

    # Rows and rules

    @rule(things=st.sets(THINGS, min_size=1))
    def appear(self, things: set[str]) -> None:
        new = sorted(things - self.true)
        self.true |= things
        self.times.update(new)
        if self.told is not None and self.there and new:
            self.told.update(new)
            self.bench.appear(*new)

    @rule(things=st.sets(THINGS, min_size=1))
    def vanish(self, things: set[str]) -> None:
        gone = sorted(things & self.true)
        self.true -= things
        if self.told is not None and self.there and gone:
            self.told.difference_update(gone)
            self.bench.vanish(*gone)

    @precondition(lambda self: self.there and self.told is not None)
    @rule()
    def rule_goes(self) -> None:
        self.there, self.told = False, set()
        if self.true:
            self.bench.vanish(*sorted(self.true), for_good=False)

    @precondition(lambda self: not self.there and self.told is not None)
    @rule()
    def rule_comes(self) -> None:
        self.there, self.told, self.sure = True, set(self.true), True
        if self.true:
            self.bench.appear(*sorted(self.true), cause="rules")
        self.bench.stand(*self.true)

    # The process, the database, time

    @rule(done=st.booleans())
    def crash(self, done: bool) -> None:
        """What the cloud was at it finishes, or does not."""
        for sent in self._flying():
            self.done[sent.id] += done
        if self.database.mood in ("lost", "arrived"):
            self.database.mood = ""
        self.told = None
        self._start()

    @precondition(lambda self: self.told is None)
    @rule(sure=st.booleans())
    def runtime_comes(self, sure: bool) -> None:
        """It tells what is true now; and that nothing else is, unless another rule waits for its tables."""
        self.told, self.sure = set(self.true) if self.there else set(), sure or not self.there
        self.bench.submit(self.bench.began, [TABLE] if self.there else [])
        if self.there:
            if self.true:
                self.bench.appear(*sorted(self.true), cause="start")
            if sure:
                self.bench.stand(*self.true)
        self.bench.work()

    @precondition(lambda self: self.told is not None and not self.sure)
    @rule()
    def tables_come(self) -> None:
        """What another rule has waited for."""
        self.sure = True
        if self.there:
            self.bench.stand(*self.true)

    @rule(mood=st.sampled_from(["away", "lost", "arrived"]))
    def database_goes(self, mood: str) -> None:
        self.database.mood = mood

    @precondition(lambda self: self.database.mood)
    @rule()
    def database_comes(self) -> None:
        self.database.mood = ""
        self.bench.wait(11)

    @rule(seconds=st.sampled_from([1, 10, 61, 1000]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    # The cloud

    def _flying(self) -> list[Sent]:
        return [sent for sent in self.bench.sent if not sent.future.done()]

    @precondition(lambda self: self._flying())
    @rule(pick=PICK, how=st.sampled_from(["done", "done", "done", *ANSWERS]))
    def answer(self, pick: int, how: str) -> None:
        flying = self._flying()
        sent = flying[pick % len(flying)]
        self.done[sent.id] += how.endswith("done")
        self.bench.answer(sent, ANSWERS[how]())

    @precondition(lambda self: any(not doubt.future.done() for doubt in self.bench.doubts))
    @rule(knows=st.sampled_from([True, False, None]))
    def verify(self, knows: bool | None) -> None:
        """It says what is so, that it cannot tell, or fails."""
        doubt = next(doubt for doubt in self.bench.doubts if not doubt.future.done())
        truth = "done" if self.done[doubt.id] else "not_done"
        given: Any = {"state": truth if knows else "unknown"}
        self.bench.answer(doubt, Timeout() if knows is None else given)

    # People

    def _ask(self, method: Callable[..., Any], *args: Any) -> Any:
        with suppress(LedgerError):
            return method(*args)
        return None

    @rule(thing=THINGS)
    def request(self, thing: str) -> None:
        execution = self._ask(self.bench.request, "nova:fix", [thing], {}, "", "ann")
        if execution is not None:
            self.asked.add(execution)

    @rule(approves=st.booleans(), stale=st.booleans())
    def decide(self, approves: bool, stale: bool) -> None:
        for found in self.bench.list_sets():
            digest = "0" * 32 if stale else found["digest"]
            if approves:
                self._ask(self.bench.approve, found["id"], digest, "ann")
            else:
                self._ask(self.bench.reject, found["id"], "ann")

    def _some(self, pick: int, *states: State) -> Execution | None:
        try:
            found = [e for e in self.bench.ledger.store.find() if e.state in states]
        except Exception:  # noqa: BLE001  # the database is away
            return None
        return found[pick % len(found)] if found else None

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        if found := self._some(pick, State.QUEUED, State.HELD, State.PROPOSED):
            self.judged.add(found.id)
            self._ask(self.bench.cancel, found.id, "ann")

    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        if found := self._some(pick, State.FAILED, State.CANCELLED, State.HELD):
            self.again[found.id] += 1
            self._ask(self.bench.retry, found.id, "ann")

    @rule(pick=PICK)
    def settle(self, pick: int) -> None:
        found = self._some(pick, State.HELD)
        if found and found.reason is Reason.UNKNOWN:
            self.judged.add(found.id)
            done = bool(self.done[found.id])
            self._ask(self.bench.settle, found.id, "succeeded" if done else "failed", "ann")

    @rule(kind=st.sampled_from([("policy", POLICY), ("service", "nova")]), own=st.sampled_from(MODES))
    def guard(self, kind: tuple[Any, str], own: dict[str, Any]) -> None:
        if kind[0] == "policy" or "cool_down" not in own:
            self._ask(self.bench.put_guard, *kind, own)

    # What holds at any time

    @invariant()
    def nothing_is_sent_without_reason(self) -> None:
        """Only what a row wants that is known to be true, or a person."""
        for sent in self.bench.sent[self.seen :]:
            self.things[sent.id] = sent.call["positional"][0]
            known = self.told or ()
            ledger = self.bench.ledger
            execution = ledger.opened(sent.id) if self.database.mood else ledger.find(sent.id)
            if execution is not None and not execution.origin.table:
                self.asked.add(sent.id)  # somebody who was told that the outcome is unknown
            assert sent.id in self.asked or self.again[sent.id] or self.things[sent.id] in known, sent
        self.seen = len(self.bench.sent)

    @invariant()
    def nothing_is_done_twice(self) -> None:
        for execution_id, times in self.done.items():
            assert times <= 1 + self.again[execution_id], execution_id
        for thing, times in self.times.items():
            mine = [key for key, of in self.things.items() if of == thing and key not in self.asked]
            more = sum(self.again[key] for key in mine)
            assert sum(self.done[key] for key in mine) <= times + more, thing

    @precondition(lambda self: not self.database.mood)
    @invariant()
    def memory_is_what_is_written_down(self) -> None:
        ledger = self.bench.ledger
        if self.bench.state != "running" or len(self.bench._backlog):
            return
        assert {e.id: e for e in ledger.all_open()} == {e.id: e for e in ledger.store.open()}
        assert +ledger.open_of(Batch()) == Counter(e.origin.policy for e in ledger.all_open())
        assert {e.id for e in ledger.places()} == {e.id for e in ledger.store.triggers()}
        assert len({place_of(e) for e in ledger.store.triggers()}) == len(ledger.store.triggers())

    @precondition(lambda self: not self.database.mood)
    @invariant()
    def trails_are_complete(self) -> None:
        for execution, trail in self.bench.ledger.store.export():
            assert [event.number for event in trail] == list(range(1, len(trail) + 1))
            states = [None, *(event.after for event in trail)]
            assert [event.before for event in trail] == states[:-1]
            assert all(a is b or b in TRANSITIONS[a] for a, b in pairwise(states) if b is not None)
            assert states[-1] is execution.state

    # What holds in the end

    def _come_to_rest(self) -> None:
        bench = self.bench
        bench.wait(11)
        if self.told is None:
            self.runtime_comes(True)
        if not self.there:
            self.rule_comes()
        if not self.sure:
            self.tables_come()
        bench.delete_guard("policy", POLICY)
        bench.delete_guard("service", "nova")
        for _ in range(200):
            for sent in self._flying():
                self.done[sent.id] += 1
                bench.answer(sent)
            bench.wait(5)
            on_the_way = [
                e
                for e in bench.ledger.all_open()
                if e.state not in (State.HELD, State.PROPOSED) or e.reason in BY_THEMSELVES
            ]
            if not on_the_way:
                break
        else:
            pytest.fail(f"never at rest: {on_the_way}")
        self.nothing_is_sent_without_reason()
        self.nothing_is_done_twice()
        self.memory_is_what_is_written_down()
        self.trails_are_complete()
        self._nothing_is_lost(bench.ledger.store.find(limit=10_000))

    def _nothing_is_lost(self, executions: list[Execution]) -> None:
        live = {e.origin.row[0]: e for e in executions if e.trigger is Trigger.LIVE}
        assert live.keys() == self.true
        assert self.asked <= {e.id for e in executions}
        for execution in executions:
            settled = self.again[execution.id] or execution.id in self.judged
            if execution.state is State.SUCCEEDED:
                assert self.done[execution.id] or settled, execution
            elif self.done[execution.id]:
                assert execution.reason is Reason.UNKNOWN or settled, execution
        for execution in live.values():
            assert execution.state is not State.OBSOLETE
            assert execution.state is State.SUCCEEDED or execution.reason is not None, execution
            if execution.reason is Reason.DUPLICATE:
                others = [e for e in executions if e.digest == execution.digest and e.id != execution.id]
                assert any(not e.state.terminal or e.state in (State.SUCCEEDED, State.CANCELLED) for e in others)


def test_ledger_model(pytestconfig: pytest.Config) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=checks),
    )


def test_the_model_sees_what_is_sent_for_nothing() -> None:
    """It would not do for a model never to object."""
    machine = LedgerMachine()
    machine.appear({"a"})
    machine.told = set()
    with pytest.raises(AssertionError):
        machine.nothing_is_sent_without_reason()
    machine.done[machine.bench.sent[0].id] = 2
    with pytest.raises(AssertionError):
        machine.nothing_is_done_twice()
    machine.database.close()
