# SPDX-License-Identifier: Apache-2.0
"""Executions and trails for tests of what keeps them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from congress.executions.model import Call, Event, Execution, Origin, new_execution
from congress.executions.states import State, Trigger

NOW = 1_700_000_000.25


def wanted(number: int = 0, at: float = NOW, **changes: Any) -> Execution:
    """An execution that a policy asked for."""
    server = f"vm-{number}"
    call = Call("nova", "servers.pause", (server,), {"force": None})
    proof = {"table": "p:bad", "row": [server], "reason": "fact"}
    origin = Origin(
        "p", "p:bad", (server, number), ("rule-1",), proof, "", "rows", {"poll": "7"}, ("nova:servers",), 30
    )
    return replace(new_execution(call, origin, at), **changes)


def event(execution: Execution, number: int = 1, before: State | None = None) -> Event:
    """The line of the trail for the state that an execution is in."""
    return Event(
        execution.id, number, execution.updated_at, before, execution.state, "ledger", execution.reason, "so it is"
    )


def first(executions: Sequence[Execution]) -> list[Event]:
    """The first lines of trails."""
    return [event(execution) for execution in executions]


def finished(number: int, at: float, trigger: Trigger = Trigger.ENDED, state: State = State.SUCCEEDED) -> Execution:
    """An execution that is over."""
    return wanted(number, state=state, trigger=trigger, updated_at=at, finished_at=at)
