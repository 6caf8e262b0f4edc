# SPDX-License-Identifier: Apache-2.0
"""What must hold after any number of crashes, between what the cloud really did and what the ledger says."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from congress.executions.model import Event, Execution
from congress.executions.states import TRANSITIONS, Reason, State, Trigger
from tests.executions.crashing import BY_THEMSELVES

Lines = Sequence[dict[str, Any]]
ACTIONS = ("fix", "mend")


def check(lines: Lines, executions: Sequence[Execution], trails: dict[str, list[Event]]) -> None:
    """After the last life has come to rest."""
    by_id = {execution.id: execution for execution in executions}
    for execution in executions:
        _check_trail(execution, trails[execution.id])
        _check_rest(execution, {line["again"] for line in lines if "again" in line})
    _check_nothing_lost(lines, by_id)
    _check_nothing_repeated(lines, by_id)
    _check_nothing_late(lines, by_id)
    _check_agreement(lines, by_id, trails)


def _check_trail(execution: Execution, trail: list[Event]) -> None:
    """It is complete, and every step of it is a legal one."""
    assert [event.number for event in trail] == list(range(1, len(trail) + 1)), trail
    assert trail[0].before is None
    for before, event in zip([None, *trail], trail, strict=False):
        assert event.before == (before.after if before else None), trail
        assert event.before is event.after or event.after in TRANSITIONS[event.before], trail
    assert trail[-1].after is execution.state, (trail, execution)
    assert [event.at for event in trail] == sorted(event.at for event in trail)


def _check_rest(execution: Execution, again: set[str]) -> None:
    """Nothing is on its way any more; what waits says for what, and its row is true unless a person wants it anyway."""
    assert execution.state not in (State.APPROVED, State.QUEUED, State.RUNNING), execution
    if execution.state in (State.HELD, State.PROPOSED):
        assert execution.reason is not None
        assert execution.reason not in BY_THEMSELVES
        wanted = execution.trigger in (Trigger.LIVE, Trigger.NONE) or execution.id in again
        assert wanted or execution.reason is Reason.UNKNOWN, execution


def _check_nothing_lost(lines: Lines, by_id: dict[str, Execution]) -> None:
    """What somebody was told an id of is there, and each row that is true now has its execution."""
    for line in lines:
        assert "asked" not in line or line["asked"] in by_id, line
    items, closed, _ = _rows(lines)
    wanted = {("fix", item) for item in items} | {("mend", item) for item in items - closed}
    live = {
        (execution.call.action, execution.origin.row[0]): execution
        for execution in by_id.values()
        if execution.trigger is Trigger.LIVE
    }
    assert live.keys() == wanted, (wanted - live.keys(), live.keys() - wanted)
    for execution in live.values():
        assert execution.state is not State.OBSOLETE, execution
        if execution.reason is Reason.DUPLICATE:
            assert any(
                not other.state.terminal or other.state in (State.SUCCEEDED, State.CANCELLED)
                for other in by_id.values()
                if other.id != execution.id and other.digest == execution.digest
            ), execution


def _check_nothing_repeated(lines: Lines, by_id: dict[str, Execution]) -> None:
    """No execution was done twice, nor an action more often than its row came true; unless a person said so."""
    again = Counter(line["again"] for line in lines if "again" in line)
    done = Counter(line["did"] for line in lines if "did" in line)
    for execution_id, times in done.items():
        assert times <= 1 + again[execution_id], (execution_id, times)
    for end in range(len(lines)):
        if "did" not in lines[end]:
            continue
        so_far, thing = lines[: end + 1], lines[end]["thing"]
        mine = [line["did"] for line in so_far if line.get("thing") == thing]
        more = sum(again[execution_id] for execution_id in set(mine))
        assert len(mine) <= _rows(so_far)[2][thing] + more, (thing, mine)


def _check_nothing_late(lines: Lines, by_id: dict[str, Execution]) -> None:
    """Nothing is sent for a row that was gone already when the process started."""
    items: set[str] = set()
    closed: set[str] = set()
    there: set[str] = set()
    again: set[str] = set()
    for line in lines:
        items |= set(line.get("appeared", ()))
        items -= set(line.get("vanished", ()))
        closed = set(line.get("closed", closed))
        there = there | items if "life" not in line else set(items)
        again.add(line.get("again", ""))
        if "sent" in line and line["sent"] not in again:
            execution = by_id[line["sent"]]
            thing = str(execution.call.positional[0])
            assert execution.call.action == "clean" or thing in there, execution
            assert execution.call.action != "mend" or thing not in closed, execution


def _check_agreement(lines: Lines, by_id: dict[str, Execution], trails: dict[str, list[Event]]) -> None:
    """The ledger says of each what the cloud says; where it cannot, it says that."""
    done = {line["did"] for line in lines if "did" in line}
    sent = {line["sent"] for line in lines if "sent" in line}
    assert done <= sent <= by_id.keys()
    for execution in by_id.values():
        by_person = any(event.who == "user bob" and event.before is State.HELD for event in trails[execution.id])
        if execution.state is State.SUCCEEDED:
            assert execution.id in done or by_person, execution
        if execution.id in done and not by_person:
            assert execution.state is State.SUCCEEDED or execution.reason is Reason.UNKNOWN, execution
        if execution.id not in sent:
            assert execution.reason is not Reason.UNKNOWN or State.RUNNING in _states(trails[execution.id])
        assert execution.id not in sent or State.RUNNING in _states(trails[execution.id]), execution


def _states(trail: list[Event]) -> set[State]:
    return {event.after for event in trail}


def _rows(lines: Lines) -> tuple[set[str], set[str], Counter[str]]:
    """What is there and what is closed after these lines, and how often each action's row came true."""
    items: set[str] = set()
    closed: set[str] = set()
    times: Counter[str] = Counter()
    before: set[str] = set()
    for line in lines:
        items |= set(line.get("appeared", ()))
        items -= set(line.get("vanished", ()))
        closed = set(line.get("closed", closed))
        if "asked" in line or "sent" in line or "life" in line:
            continue
        true = {f"fix {item}" for item in items} | {f"mend {item}" for item in items - closed}
        times.update(true - before)
        before = true
    times.update({line["thing"]: 1 for line in lines if line.get("thing", "").startswith("clean ")})
    return items, closed, times
