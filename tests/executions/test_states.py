# SPDX-License-Identifier: Apache-2.0
"""The state machine: what :meth:`Execution.moved` can do, whatever it is asked for."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.executions.model import set_digest
from congress.executions.states import OPEN, TERMINAL, TRANSITIONS, IllegalTransition, Reason, State, check
from tests.executions.some import NOW, wanted

STATES = st.sampled_from(State)


def reachable(starts: Iterable[State]) -> set[State]:
    """The states that there is a way to."""
    found: set[State] = set()
    waiting = list(starts)
    while waiting:
        state = waiting.pop()
        if state not in found:
            found.add(state)
            waiting += TRANSITIONS[state]
    return found


@given(st.sampled_from(sorted(TRANSITIONS[None])), st.lists(st.tuples(STATES, st.none() | st.sampled_from(Reason))))
def test_no_way_leads_out_of_the_machine(start: State, wishes: list[tuple[State, Reason | None]]) -> None:
    execution = wanted(state=start)
    for number, (state, reason) in enumerate(wishes, 1):
        before = execution
        if state in TRANSITIONS[before.state]:
            execution = before.moved(state, NOW + number, reason, "why", attempts=number)
            assert (execution.state, execution.reason, execution.detail) == (state, reason, "why")
            assert (execution.version, execution.updated_at) == (before.version + 1, NOW + number)
            assert (execution.id, execution.call, execution.origin) == (before.id, before.call, before.origin)
        else:
            with pytest.raises(IllegalTransition) as caught:
                before.moved(state, NOW + number, reason)
            assert (caught.value.before, caught.value.after) == (before.state, state)
            assert execution is before


def test_every_state_has_its_ways() -> None:
    assert set(TRANSITIONS) == {None, *State}
    assert reachable(TRANSITIONS[None]) == set(State)


@pytest.mark.parametrize("state", State)
def test_from_everywhere_an_end_can_be_reached(state: State) -> None:
    assert reachable([state]) & TERMINAL


def test_what_is_over() -> None:
    assert {state for state in State if state.terminal} == TERMINAL
    assert set(State) == OPEN | TERMINAL
    assert not OPEN & TERMINAL
    # Done is done, and what nobody wants any more is not tried again.
    assert not TRANSITIONS[State.SUCCEEDED] | TRANSITIONS[State.OBSOLETE]
    # No way leads from one end to another: a person has to let it go anew.
    assert all(after in OPEN for state in TERMINAL for after in TRANSITIONS[state])


def test_nothing_runs_that_was_not_let_through() -> None:
    assert {state for state in TRANSITIONS if State.RUNNING in TRANSITIONS[state]} == {State.QUEUED}
    assert {state for state in TRANSITIONS if State.QUEUED in TRANSITIONS[state]} == {State.APPROVED, State.RUNNING}
    assert State.QUEUED not in TRANSITIONS[None]


def test_what_is_running_is_never_called_obsolete_or_cancelled() -> None:
    """It may have been done: only its service can tell."""
    assert not TRANSITIONS[State.RUNNING] & {State.OBSOLETE, State.CANCELLED}


def test_an_illegal_step_says_which() -> None:
    with pytest.raises(IllegalTransition, match="from nowhere to running"):
        check(None, State.RUNNING)


def test_the_digest_of_a_set_is_of_exactly_these() -> None:
    some = [wanted(number) for number in range(3)]
    assert set_digest(some) == set_digest(some[::-1])
    assert len({set_digest(some), set_digest(some[:2]), set_digest([*some[:2], wanted(2)]), set_digest([])}) == 4
