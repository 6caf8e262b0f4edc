# SPDX-License-Identifier: Apache-2.0
"""The guard of executions: what may be done, what waits, what a person has to look at.

Pure decisions: nothing is read, written or waited for here; moments come in as seconds since 1970.  One thread calls
it, in this order::

    verdicts = guard.admit(new, now, open_digests)   # decides, remembers nothing
    ...the ledger commits them...
    guard.approved(those let through, now)           # remembers: they count from here on
    guard.clear(execution, now, stale, running)      # None: send it now; a token and the breaker's probe are taken
    guard.finished(execution, outcome, now)          # every attempt, whatever came of it
    guard.forget(execution)                          # one that ended without an attempt

Executions that were held by time only (``cool_down``) are admitted again when the time is over, together with
whatever is new: a cap is not got around by waiting.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from congress.executions.breaker import Breaker, BreakerChange, BreakerState, Outcome
from congress.executions.buckets import Bucket
from congress.executions.history import Count, History, keys_of, share_of
from congress.executions.model import Event, Execution, is_person
from congress.executions.settings import (
    DAY,
    MODES,
    Caps,
    Defaults,
    Mode,
    PolicyGuard,
    ServiceGuard,
    SettingsBook,
    strictest,
)
from congress.executions.states import WAITING, Reason, State

__all__ = ["Guard", "Outcome", "Verdict", "backoff", "held_by"]

LONGEST_SLEEP: Final = 60.0  # seconds; wall clocks are set, so nobody sleeps longer in one go
_ASKED_AGAIN: Final = frozenset({State.FAILED, State.CANCELLED})  # a person wants it all the same
_COUNTED: Final = frozenset({State.APPROVED, State.RUNNING, State.SUCCEEDED})
_DUST: Final = 1e-7  # per cent: what rounding leaves


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of an execution.

    ``detail`` is a sentence for people.  ``until`` is when to ask again, None where no time helps.  ``scope`` is whose
    guard decided, ``policy:NAME`` or ``service:NAME``: what is held or proposed for the same reason and scope is a set.
    """

    state: State
    reason: Reason | None = None
    detail: str = ""
    until: float | None = None
    scope: str = ""


class Guard:
    """Decides by the settings in force and by what it was told of earlier executions."""

    def __init__(self, defaults: Defaults | None = None) -> None:
        self.settings = SettingsBook(defaults)
        self.history = History(self.settings.horizon)
        self.breakers: dict[str, Breaker] = {}
        """By service; one that is not there is closed and has counted no trouble."""
        self._buckets: dict[str, Bucket] = {}
        self._cooling: list[float] = []

    def load(
        self,
        past: Iterable[tuple[Execution, Iterable[Event]]],
        breakers: Mapping[str, Mapping[str, Any]],
        now: float,
    ) -> None:
        """Know what happened before a restart.

        :param past: with their trails, at least those of which something counts: see ``settings.memory``.
        :param breakers: by service, as ``Breaker.to_dict`` made them.
        """
        steps = [(at, step, one) for one, trail in past for at, step in _steps(trail)]
        self.history = History(self.settings.horizon)
        self._buckets.clear()
        for at, step, one in sorted(steps, key=lambda found: found[0]):
            if step is State.APPROVED:
                self.history.note([one], min(at, now))
            elif step is State.RUNNING:
                self._take(one, min(at, now))
            else:
                self.history.done(one.digest, min(at, now))
        self.breakers = {service: Breaker.from_dict(kept) for service, kept in breakers.items()}

    # Admission

    def admit(self, group: Sequence[Execution], now: float, open_digests: Collection[str]) -> list[Verdict]:
        """Decide about executions that nothing was decided about yet, or anew about held, proposed and failed ones.

        :param group: all that one transaction brings, of any policies and services; caps look at them together.
        :param open_digests: those of the executions beside the group that are open.  What a row asks for and is one
            of these, or comes twice in the group, is a duplicate, unless a person has a failed one tried again.
        :returns: for each execution, in order: APPROVED, PROPOSED, HELD or CANCELLED.
        """
        seen: set[str] = set()
        verdicts: list[Verdict | None] = []
        for one in group:
            verdict = self._alone(one, now, open_digests, seen)
            verdicts.append(verdict)
            if verdict is None or verdict.reason is not Reason.MODE_MONITOR:
                seen.add(one.digest)
        for place in (0, 1):  # what policies hold does not count for services any more
            self._cap(group, verdicts, place, now)
        return [verdict or Verdict(State.APPROVED) for verdict in verdicts]

    def _alone(
        self, one: Execution, now: float, open_digests: Collection[str], seen: Collection[str]
    ) -> Verdict | None:
        """What is decided without looking at how many there are."""
        mode, scope = self._mode(one)
        if mode is Mode.MONITOR:
            return Verdict(State.HELD, Reason.MODE_MONITOR, _mode_text(mode, scope), scope=scope)
        asked_by_row = bool(one.origin.table)
        if asked_by_row and one.state not in _ASKED_AGAIN and (one.digest in seen or one.digest in open_digests):
            return Verdict(
                State.CANCELLED, Reason.DUPLICATE, f"The same {one.call.name} is on its way for this policy already."
            )
        if mode is Mode.PROPOSE:
            return Verdict(State.PROPOSED, Reason.MODE_PROPOSE, _mode_text(mode, scope), scope=scope)
        if not one.origin.policy:
            return None
        policy = self.settings.policy(one.origin.policy)
        return self._cool_down(one, now, policy, one.digest in seen) or (
            self._oscillation(one, now, policy) if asked_by_row else None
        )

    def _mode(self, one: Execution) -> tuple[Mode, str]:
        """The mode in force, and whose it is."""
        service = self.settings.service(one.call.service).mode
        if not one.origin.policy:
            return service, _scope(one, service=True)
        policy = self.settings.policy(one.origin.policy).mode
        mode = strictest(policy, service)
        return mode, _scope(one, service=mode is not policy)

    def _cool_down(self, one: Execution, now: float, policy: PolicyGuard, again: bool) -> Verdict | None:
        if not policy.cool_down:
            return None
        last = now if again else self.history.last(one.digest)
        if last is None or now >= last + policy.cool_down:
            return None
        until = last + policy.cool_down
        heapq.heappush(self._cooling, until)
        ago = f"{max(0.0, now - last):.0f} s ago"
        detail = f"The same {one.call.name} was let through or done {ago}; the cool-down is {policy.cool_down:g} s."
        return Verdict(State.HELD, Reason.COOL_DOWN, detail, until, _scope(one))

    def _oscillation(self, one: Execution, now: float, policy: PolicyGuard) -> Verdict | None:
        if policy.oscillation_count is None:
            return None
        times = self.history.times(one.digest, now - policy.oscillation_window)
        if times < policy.oscillation_count:
            return None
        detail = (
            f"Rows brought the same {one.call.name} {times} times within {policy.oscillation_window:g} s "
            f"(oscillation_count is {policy.oscillation_count}): something undoes what it does."
        )
        return Verdict(State.HELD, Reason.OSCILLATION, detail, scope=_scope(one))

    def _cap(self, group: Sequence[Execution], verdicts: list[Verdict | None], place: int, now: float) -> None:
        """Hold what would be too much, for all policies (place 0) or all services (place 1) in the group."""
        members: dict[str, list[int]] = {}
        for index, one in enumerate(group):
            if verdicts[index] is None and (place or one.origin.policy):
                members.setdefault(keys_of(one)[-1 if place else 0], []).append(index)
        for key, indexes in members.items():
            name = key.partition(":")[2]
            caps: Caps = self.settings.service(name) if place else self.settings.policy(name)
            used = self.history.count(key, now - caps.window)
            wanted = Count(len(indexes), sum(share_of(group[index]) for index in indexes))
            if text := _too_much(caps, used, wanted, key):
                held = Verdict(State.HELD, Reason.BLAST_RADIUS, text, scope=key)
                for index in indexes:
                    verdicts[index] = held

    def approved(self, executions: Iterable[Execution], now: float) -> None:
        """They were let through, by the guard or by a person: they count towards caps, cool-down and oscillation.

        Call it after they are committed and before the next :meth:`admit`; not for those whose hold on the way to their
        service (STALE, BREAKER, RATE_LIMIT) ends: they were counted when they were let through.
        """
        self.history.horizon = self.settings.horizon
        self.history.note(executions, now)

    def deadline(self, execution: Execution, now: float) -> float | None:
        """Until when an execution that is approved now may be sent; None for ever."""
        seconds = self.settings.service(execution.call.service).deadline
        return None if seconds is None else now + seconds

    def remember(self) -> Callable[[], None]:
        """What makes it forget what it is told from now on, for when that does not come true: breakers and rates."""
        breakers = dict(self.breakers)
        buckets = {key: replace(bucket, waiting=dict(bucket.waiting)) for key, bucket in self._buckets.items()}

        def go_back() -> None:
            self.breakers, self._buckets = breakers, buckets

        return go_back

    # Clearance

    def clear(
        self, execution: Execution, now: float, stale: Collection[str], running: Mapping[str, int]
    ) -> Verdict | None:
        """Whether a queued execution may be sent now.

        It may be asked for one that is held by STALE, BREAKER or RATE_LIMIT as well; the same reason again means that
        nothing has changed but ``until``.

        :param stale: the tables that are stale, as ``service:table``.
        :param running: how many executions are at each service, those just cleared included.
        :returns: None: send it; a token of each rate is taken, and a half-open breaker waits for its outcome.  Else
            FAILED (the deadline is over), QUEUED (it waits, until a moment or until another one is finished), PROPOSED
            (a person is to be asked by now) or HELD.
        """
        verdict = (
            self.in_time(execution, now)
            or self._fresh(execution, stale)
            or self._healthy(execution, now)
            or self._room(execution, running)
            or self._rate(execution, now)
        )
        if verdict is None:
            self._take(execution, now)
            self._probe(execution, now)
        return verdict

    def in_time(self, one: Execution, now: float) -> Verdict | None:
        """What time and mode alone say; the first part of :meth:`clear`."""
        if one.deadline is not None and now >= one.deadline:
            return Verdict(
                State.FAILED,
                Reason.DEADLINE,
                f"It was not done within the {one.deadline - (one.approved_at or one.created_at):.0f} s that it had.",
            )
        if one.state is State.QUEUED and one.not_before is not None and now < one.not_before:
            return Verdict(State.QUEUED, until=one.not_before)
        mode, scope = self._mode(one)
        if mode is Mode.MONITOR:
            return Verdict(State.HELD, Reason.MODE_MONITOR, _mode_text(mode, scope), scope=scope)
        if mode is Mode.PROPOSE and not is_person(one.approved_by):
            return Verdict(State.PROPOSED, Reason.MODE_PROPOSE, _mode_text(mode, scope), scope=scope)
        return None

    def _fresh(self, one: Execution, stale: Collection[str]) -> Verdict | None:
        if not one.origin.policy or not self.settings.policy(one.origin.policy).hold_stale:
            return None
        old = [table for table in one.origin.sources if table in stale]
        if not old:
            return None
        which = ", ".join(old[:3]) + (f" and {len(old) - 3} more" if len(old) > 3 else "")
        return Verdict(State.HELD, Reason.STALE, f"It was derived from stale data: {which}.", scope=_scope(one))

    def _healthy(self, one: Execution, now: float) -> Verdict | None:
        breaker = self.breakers.get(one.call.service)
        if breaker is None:
            return None
        until = breaker.blocked_until(one.id, now)
        if until is not None and until <= now:
            return None
        text = f"The breaker of {one.call.service!r} is {breaker.state(now).value.replace('_', '-')}"
        if breaker.state(now) is BreakerState.HALF_OPEN:
            text += ": one execution is tried first"
        elif breaker.by:
            text += f", tripped by {breaker.by}"
        text += f": {breaker.detail}." if breaker.detail and breaker.state(now) is BreakerState.OPEN else "."
        return Verdict(State.HELD, Reason.BREAKER, text, until, _scope(one, service=True))

    def _room(self, one: Execution, running: Mapping[str, int]) -> Verdict | None:
        room = self.settings.service(one.call.service).concurrency
        return Verdict(State.QUEUED) if running.get(one.call.service, 0) >= room else None

    def _rate(self, one: Execution, now: float) -> Verdict | None:
        turns = [
            (self._bucket(key).turn(one.id, now, caps.rate, caps.burst), key, caps.rate)
            for key, caps in self._caps(one)
            if caps.rate is not None
        ]
        until, key, rate = max(turns, default=(now, "", 0.0))
        if until <= now:
            return None
        detail = f"{_named(key)} may have {rate:g} attempts a minute; this one's turn is in {until - now:.1f} s."
        return Verdict(State.HELD, Reason.RATE_LIMIT, detail, until, key)

    def _caps(self, one: Execution) -> list[tuple[str, Caps]]:
        service: tuple[str, Caps] = (_scope(one, service=True), self.settings.service(one.call.service))
        return [(_scope(one), self.settings.policy(one.origin.policy)), service] if one.origin.policy else [service]

    def _bucket(self, key: str) -> Bucket:
        return self._buckets.setdefault(key, Bucket())

    def _take(self, one: Execution, now: float) -> None:
        for key, caps in self._caps(one):
            if caps.rate is not None:
                self._bucket(key).take(one.id, now, caps.rate, caps.burst)

    def _probe(self, one: Execution, now: float) -> None:
        service = one.call.service
        if service in self.breakers:
            self.breakers[service] = self.breakers[service].let_through(one.id, now, self.settings.service(service))

    # Afterwards

    def finished(self, execution: Execution, outcome: Outcome, now: float) -> BreakerChange | None:
        """An attempt is over; the breaker's change, if it changed its state.

        To be called for each that was cleared, REFUSED where nothing is known of what became of it.
        """
        if outcome is Outcome.OK:
            self.history.done(execution.digest, now)
        service = execution.call.service
        before = self.breakers.get(service, Breaker())
        after = before.after(execution.id, outcome, now, self.settings.service(service))
        return self._changed(service, before, after, now)

    def forget(self, execution: Execution) -> None:
        """A queued or held execution will not be sent after all: others need not wait behind it."""
        for key, _ in self._caps(execution):
            if key in self._buckets:
                self._buckets[key].waiting.pop(execution.id, None)
        breaker = self.breakers.get(execution.call.service)
        if breaker is not None:
            self.breakers[execution.call.service] = breaker.without(execution.id)

    def retry(self, execution: Execution, retry_after: float | None, now: float, random: Random) -> Verdict:
        """After an attempt that may be made again: QUEUED until a moment, or FAILED (ATTEMPTS or DEADLINE).

        :param retry_after: seconds that the service asked to be left alone, if it did.
        """
        settings = self.settings.service(execution.call.service)
        if execution.attempts >= settings.attempts:
            return Verdict(State.FAILED, Reason.ATTEMPTS, f"{_attempts(execution.attempts)}; none succeeded.")
        at = now + backoff(execution.attempts, retry_after, settings, random)
        if execution.deadline is not None and at >= execution.deadline:
            left = max(0.0, execution.deadline - now)
            return Verdict(
                State.FAILED,
                Reason.DEADLINE,
                f"The next attempt would be in {at - now:.0f} s; its deadline is in {left:.0f} s.",
            )
        return Verdict(State.QUEUED, until=at)

    # Breakers and time

    def trip(self, service: str, by: str, now: float, until: float | None = None, detail: str = "") -> BreakerChange:
        """Open a service's breaker, until a moment or until somebody resets it."""
        before = self.breakers.get(service, Breaker())
        after = before.tripped(by, now, until, detail)
        self.breakers[service] = after
        return BreakerChange(service, before.state(now), after.state(now), now, after)

    def reset(self, service: str, now: float) -> BreakerChange | None:
        """Close a service's breaker; None if it is closed."""
        before = self.breakers.get(service, Breaker())
        return self._changed(service, before, Breaker(), now)

    def _changed(self, service: str, before: Breaker, after: Breaker, now: float) -> BreakerChange | None:
        if after == Breaker():
            self.breakers.pop(service, None)
        else:
            self.breakers[service] = after
        if before.state(now) is after.state(now) and before.since == after.since:
            return None
        return BreakerChange(service, before.state(now), after.state(now), now, after)

    def wakes(self, now: float) -> float:
        """The next moment at which a hold by time may end, at most LONGEST_SLEEP seconds from now."""
        while self._cooling and self._cooling[0] <= now:
            heapq.heappop(self._cooling)
        moments = [now + LONGEST_SLEEP, *self._cooling[:1]]
        for breaker in self.breakers.values():
            moments += [breaker.until or 0.0, breaker.probe_until if breaker.probe else 0.0]
        for bucket in self._buckets.values():
            moments += list(bucket.waiting.values())
        return min(moment for moment in moments if moment > now)


def backoff(attempts: int, retry_after: float | None, settings: ServiceGuard, random: Random) -> float:
    """Seconds before the next attempt: anything up to a bound that doubles with each one (full jitter).

    Where the service named a time, it is that and up to ``backoff`` seconds more.
    """
    jittered = random.uniform(0.0, min(settings.backoff_max, settings.backoff * 2.0 ** max(0, attempts - 1)))
    if retry_after is None or not retry_after > 0:
        return jittered
    return max(jittered, min(retry_after, DAY) + random.uniform(0.0, settings.backoff))


def _attempts(number: int) -> str:
    return f"{number} attempts were made" if number > 1 else "1 attempt was made"


def _steps(trail: Iterable[Event]) -> Iterator[tuple[float, State]]:
    """When an execution was let through (APPROVED), sent (RUNNING) and done (SUCCEEDED), each as often as it was.

    That a hold on the way to its service ended is in the trail as an approval as well, and is none.
    """
    waited = False
    for event in trail:
        if (
            event.after is not event.before
            and event.after in _COUNTED
            and not (waited and event.after is State.APPROVED)
        ):
            yield event.at, event.after
        waited = event.after is State.HELD and event.reason in WAITING


def held_by(one: Execution, scope: str) -> bool:
    """Whether it is this policy's or service's guard, as ``Verdict.scope``, that keeps an execution in a set."""
    if one.reason is Reason.BLAST_RADIUS:
        return f": {_named(scope)} may have " in one.detail  # as _too_much says it
    return one.reason is Reason.OSCILLATION and scope == _scope(one)


def _too_much(caps: Caps, used: Count, wanted: Count, key: str) -> str:
    """Why what is wanted is too much beside what was let through; empty if it is not."""
    rows, per_cent = used.rows + wanted.rows, 100 * (used.share + wanted.share)
    now_wanted = f"{wanted.rows} execution{'s' if wanted.rows > 1 else ''} at once"
    after = f" after {used.rows} in the last {caps.window:g} s" if used.rows else ""
    if caps.max_rows is not None and rows > caps.max_rows:
        return f"{now_wanted}{after}: {_named(key)} may have {caps.max_rows} within {caps.window:g} s (max_rows)."
    if caps.max_percent is None or rows <= caps.percent_floor:
        return ""
    if per_cent > caps.max_percent + _DUST or caps.max_percent == 0:
        return (
            f"{now_wanted}{after} are {per_cent:.1f} per cent of the rows that they come from: {_named(key)} may have "
            f"{caps.max_percent:g} per cent within {caps.window:g} s (max_percent)."
        )
    return ""


def _scope(one: Execution, *, service: bool = False) -> str:
    return f"service:{one.call.service}" if service else f"policy:{one.origin.policy}"


def _named(key: str) -> str:
    kind, _, name = key.partition(":")
    return f"{kind} {name!r}"


def _mode_text(mode: Mode, scope: str) -> str:
    return f"The mode of {_named(scope)} is {mode.value}: {MODES[mode]}."
