# SPDX-License-Identifier: Apache-2.0
"""Executions for tests of the guard: as many as wanted, each with arguments of its own."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from congress.executions.guard import Guard, Verdict
from congress.executions.model import Call, Event, Execution, Origin, new_execution
from congress.executions.settings import Defaults, PolicyGuard, ServiceGuard
from congress.executions.states import Reason, State

_ARGUMENTS = count()


def wanted(
    policy: str = "p",
    service: str = "nova",
    action: str = "servers.stop",
    args: tuple[Any, ...] | None = None,
    *,
    row: bool = True,
    population: int = 0,
    sources: tuple[str, ...] = (),
    **more: Any,
) -> Execution:
    """An execution that a row of a policy (or, with ``row`` false, a person) asks for."""
    given = (f"server-{next(_ARGUMENTS)}",) if args is None else args
    table = f"{policy}:{action}" if row and policy else ""
    origin = Origin(policy, table, given if table else (), population=population, sources=sources)
    return replace(new_execution(Call(service, action, given), origin, 0.0), **more)


def many(number: int, **more: Any) -> list[Execution]:
    """Several with different arguments."""
    return [wanted(**more) for _ in range(number)]


def guard(policy: dict[str, Any] | None = None, service: dict[str, Any] | None = None) -> Guard:
    """A guard with these defaults."""
    return Guard(Defaults(PolicyGuard(**policy or {}), ServiceGuard(**service or {})))


def admitted(guard: Guard, group: list[Execution], now: float) -> list[Verdict]:
    """Decide, and take note of what is let through, as the ledger does."""
    verdicts = guard.admit(group, now, set())
    guard.approved([one for one, what in zip(group, verdicts, strict=True) if what.state is State.APPROVED], now)
    return verdicts


def with_trails(executions: Iterable[Execution]) -> Iterator[tuple[Execution, list[Event]]]:
    """Executions and what their trails say: each was let through, sent and done no more than once."""
    for one in executions:
        done = one.finished_at if one.state is State.SUCCEEDED else None
        steps = ((one.approved_at, State.APPROVED), (one.started_at, State.RUNNING), (done, State.SUCCEEDED))
        trail = enumerate(((at, after) for at, after in steps if at is not None), 1)
        yield one, [Event(one.id, number, at, None, after, "guard") for number, (at, after) in trail]


def outcomes(verdicts: list[Verdict]) -> list[tuple[State, Reason | None]]:
    """States and reasons."""
    return [(verdict.state, verdict.reason) for verdict in verdicts]


APPROVED = (State.APPROVED, None)
PROPOSED = (State.PROPOSED, Reason.MODE_PROPOSE)
MONITORED = (State.HELD, Reason.MODE_MONITOR)
TOO_MANY = (State.HELD, Reason.BLAST_RADIUS)
COOLING = (State.HELD, Reason.COOL_DOWN)
OSCILLATING = (State.HELD, Reason.OSCILLATION)
DUPLICATE = (State.CANCELLED, Reason.DUPLICATE)
