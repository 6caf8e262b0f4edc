# SPDX-License-Identifier: Apache-2.0
"""What the guard does with executions that are asked for: each of its rules holding, and letting go."""

from itertools import product
from typing import Any

import pytest

from congress.executions.guard import Outcome
from congress.executions.settings import Mode
from congress.executions.states import TRANSITIONS, State
from tests.executions.wishes import (
    APPROVED,
    COOLING,
    DUPLICATE,
    MONITORED,
    OSCILLATING,
    PROPOSED,
    TOO_MANY,
    admitted,
    guard,
    many,
    outcomes,
    wanted,
    with_trails,
)


@pytest.mark.parametrize(
    ("policy", "service", "by_policy", "by_person"),
    [
        (Mode.ENFORCE, Mode.ENFORCE, APPROVED, APPROVED),
        (Mode.PROPOSE, Mode.ENFORCE, PROPOSED, APPROVED),
        (Mode.ENFORCE, Mode.PROPOSE, PROPOSED, PROPOSED),
        (Mode.MONITOR, Mode.ENFORCE, MONITORED, APPROVED),
        (Mode.PROPOSE, Mode.MONITOR, MONITORED, MONITORED),
        (Mode.MONITOR, Mode.PROPOSE, MONITORED, PROPOSED),
    ],
)
def test_the_stricter_mode_holds(policy: Mode, service: Mode, by_policy: Any, by_person: Any) -> None:
    made = guard({"mode": policy}, {"mode": service})
    # A row of a policy, a person at the policy's route, a person at the service's.
    group = [wanted(), wanted(row=False), wanted(policy="")]
    assert outcomes(made.admit(group, 0.0, set())) == [by_policy, by_policy, by_person]


def test_a_mode_says_whose_it_is() -> None:
    made = guard({"mode": Mode.PROPOSE})
    made.settings.override("service", "nova", {"mode": "monitor"})
    held, proposed = made.admit([wanted(), wanted(service="glance")], 0.0, set())
    assert (held.scope, proposed.scope) == ("service:nova", "policy:p")
    assert held.detail == "The mode of service 'nova' is monitor: what is wanted is recorded and never done."
    assert proposed.detail == "The mode of policy 'p' is propose: each waits until a person approves it."


def test_monitoring_records_duplicates_too() -> None:
    made = guard({"mode": Mode.MONITOR})
    group = [wanted(args=("a",)), wanted(args=("a",))]
    assert outcomes(made.admit(group, 0.0, {group[0].digest})) == [MONITORED, MONITORED]
    made.settings.override("policy", "p", {"mode": "enforce"})
    recorded = [wanted(args=("a",), state=State.HELD), wanted(args=("a",), state=State.HELD)]
    assert outcomes(made.admit(recorded, 0.0, set())) == [APPROVED, DUPLICATE]


def test_what_is_on_its_way_is_not_asked_for_twice() -> None:
    made = guard()
    first, same, other = wanted(args=("a",)), wanted(args=("a",)), wanted(args=("b",))
    assert outcomes(made.admit([first, same, other], 0.0, set())) == [APPROVED, DUPLICATE, APPROVED]
    assert outcomes(made.admit([same, other], 0.0, {first.digest})) == [DUPLICATE, APPROVED]
    assert outcomes(made.admit([same], 0.0, set())) == [APPROVED]
    assert outcomes(made.admit([wanted(policy="q", args=("a",))], 0.0, {first.digest})) == [APPROVED]


def test_a_person_may_ask_twice() -> None:
    made = guard()
    group = [wanted(args=("a",), row=False), wanted(args=("a",), row=False)]
    assert outcomes(made.admit(group, 0.0, {group[0].digest})) == [APPROVED, APPROVED]
    for state in (State.FAILED, State.CANCELLED):
        again = wanted(args=("a",), state=state)
        assert outcomes(made.admit([again], 0.0, {again.digest})) == [APPROVED]


def test_cool_down() -> None:
    made = guard({"cool_down": 60.0})
    assert outcomes(admitted(made, [wanted(args=("a",))], 100.0)) == [APPROVED]
    (held,) = made.admit([wanted(args=("a",))], 130.0, set())
    assert (held.state, held.reason) == COOLING
    assert held.until == 160.0
    assert held.detail == "The same nova:servers.stop was let through or done 30 s ago; the cool-down is 60 s."
    assert outcomes(made.admit([wanted(args=("b",)), wanted(policy="q", args=("a",))], 130.0, set())) == [
        APPROVED,
        APPROVED,
    ]
    assert outcomes(made.admit([wanted(args=("a",))], 160.0, set())) == [APPROVED]


def test_cool_down_begins_again_when_it_is_done() -> None:
    made = guard({"cool_down": 60.0})
    one = wanted(args=("a",))
    admitted(made, [one], 100.0)
    made.finished(one, Outcome.OK, 150.0)
    assert made.admit([wanted(args=("a",))], 170.0, set())[0].until == 210.0
    made.finished(one, Outcome.FAILED, 180.0)
    assert made.admit([wanted(args=("a",))], 190.0, set())[0].until == 210.0


def test_cool_down_within_one_transaction() -> None:
    made = guard({"cool_down": 60.0})
    group = [wanted(args=("a",), row=False), wanted(args=("a",), row=False)]
    verdicts = made.admit(group, 100.0, set())
    assert outcomes(verdicts) == [APPROVED, COOLING]
    assert verdicts[1].until == 160.0


def test_waiting_for_the_cool_down_gets_nothing_around_the_cap() -> None:
    made = guard({"cool_down": 60.0, "max_rows": 3, "max_percent": None})
    first = [wanted(args=(str(n),)) for n in range(5)]
    made.approved(first, 0.0)  # by a person
    held = [wanted(args=(str(n),), state=State.HELD) for n in range(5)]
    assert outcomes(made.admit(held, 30.0, set())) == [COOLING] * 5
    assert outcomes(made.admit(held, 400.0, set())) == [TOO_MANY] * 5
    assert outcomes(made.admit(held[:3], 400.0, set())) == [APPROVED] * 3


def test_oscillation() -> None:
    made = guard({"oscillation_count": 3, "oscillation_window": 100.0})
    for at in (0.0, 10.0, 20.0):
        assert outcomes(admitted(made, [wanted(args=("a",))], at)) == [APPROVED]
    (held,) = made.admit([wanted(args=("a",))], 30.0, set())
    assert (held.state, held.reason, held.until) == (*OSCILLATING, None)
    assert held.detail == (
        "Rows brought the same nova:servers.stop 3 times within 100 s (oscillation_count is 3): something undoes what "
        "it does."
    )
    assert outcomes(made.admit([wanted(args=("b",))], 30.0, set())) == [APPROVED]
    assert outcomes(made.admit([wanted(args=("a",), row=False)], 30.0, set())) == [APPROVED]
    assert outcomes(made.admit([wanted(args=("a",))], 100.0, set())) == [APPROVED]
    made.settings.override("policy", "p", {"oscillation_count": None})
    assert outcomes(made.admit([wanted(args=("a",))], 30.0, set())) == [APPROVED]


def test_persons_do_not_oscillate() -> None:
    made = guard({"oscillation_count": 1})
    for at in range(5):
        assert outcomes(admitted(made, [wanted(args=("a",), row=False)], at)) == [APPROVED]
    assert outcomes(admitted(made, [wanted(args=("a",))], 6.0)) == [APPROVED]
    assert outcomes(admitted(made, [wanted(args=("a",))], 7.0)) == [OSCILLATING]


def test_the_cap_in_rows_holds_the_whole_set() -> None:
    made = guard()
    verdicts = made.admit(many(21), 0.0, set())
    assert outcomes(verdicts) == [TOO_MANY] * 21
    assert {verdict.scope for verdict in verdicts} == {"policy:p"}
    assert verdicts[0].detail == "21 executions at once: policy 'p' may have 20 within 300 s (max_rows)."
    assert outcomes(admitted(made, many(20), 0.0)) == [APPROVED] * 20


def test_the_cap_counts_what_was_let_through_before() -> None:
    made = guard()
    assert outcomes(admitted(made, many(15), 100.0)) == [APPROVED] * 15
    (held, *_) = made.admit(many(6), 200.0, set())
    assert held.detail == (
        "6 executions at once after 15 in the last 300 s: policy 'p' may have 20 within 300 s (max_rows)."
    )
    assert outcomes(made.admit(many(5), 200.0, set())) == [APPROVED] * 5
    assert outcomes(made.admit(many(6), 399.9, set())) == [TOO_MANY] * 6
    assert outcomes(made.admit(many(6), 400.0, set())) == [APPROVED] * 6


def test_what_persons_approve_counts_and_is_not_held() -> None:
    made = guard()
    made.approved(many(30), 0.0)
    assert outcomes(made.admit([wanted()], 1.0, set())) == [TOO_MANY]
    assert outcomes(made.admit([wanted()], 300.0, set())) == [APPROVED]


def test_an_execution_that_is_tried_again_counts_again() -> None:
    made = guard({"max_rows": 3, "max_percent": None})
    first = many(3)
    admitted(made, first, 0.0)
    made.approved(first, 400.0)
    assert outcomes(made.admit([wanted()], 401.0, set())) == [TOO_MANY]


def test_the_cap_in_per_cent() -> None:
    made = guard()
    assert outcomes(made.admit(many(10, population=40), 0.0, set())) == [APPROVED] * 10
    verdicts = made.admit(many(11, population=40), 0.0, set())
    assert outcomes(verdicts) == [TOO_MANY] * 11
    assert verdicts[0].detail == (
        "11 executions at once are 27.5 per cent of the rows that they come from: policy 'p' may have 25 per cent "
        "within 300 s (max_percent)."
    )
    assert outcomes(made.admit(many(11, population=44), 0.0, set())) == [APPROVED] * 11


def test_per_cent_are_not_looked_at_up_to_the_floor() -> None:
    made = guard()
    assert outcomes(admitted(made, many(3, population=4), 0.0)) == [APPROVED] * 3
    assert outcomes(admitted(made, many(2, population=4), 1.0)) == [APPROVED] * 2
    assert outcomes(admitted(made, many(1, population=4), 2.0)) == [TOO_MANY]


def test_shares_of_several_tables_add_up() -> None:
    made = guard({"max_rows": None, "percent_floor": 0})
    group = many(15, population=100) + many(1, population=10)
    assert outcomes(made.admit(group, 0.0, set())) == [APPROVED] * 16
    assert outcomes(made.admit([*group, wanted(population=100)], 0.0, set())) == [TOO_MANY] * 17


def test_what_comes_from_no_table_has_no_share() -> None:
    made = guard({"max_rows": None, "percent_floor": 0})
    assert outcomes(made.admit(many(500, row=False), 0.0, set())) == [TOO_MANY] * 500  # the service's cap of 100
    assert outcomes(made.admit(many(100, row=False), 0.0, set())) == [APPROVED] * 100


@pytest.mark.parametrize("caps", [{"max_rows": 0}, {"max_percent": 0.0, "percent_floor": 0}])
@pytest.mark.parametrize("population", [0, 1_000_000])
def test_a_cap_of_nothing_holds_everything(caps: dict[str, Any], population: int) -> None:
    one = [wanted(population=population)]
    assert outcomes(guard(caps).admit(one, 0.0, set())) == [TOO_MANY]
    assert outcomes(guard(None, caps).admit(one, 0.0, set())) == [TOO_MANY]


def test_no_caps() -> None:
    none = {"max_rows": None, "max_percent": None}
    assert outcomes(guard(none, none).admit(many(2000, population=2000), 0.0, set())) == [APPROVED] * 2000


def test_policies_have_caps_of_their_own_and_share_the_services() -> None:
    made = guard(None, {"max_rows": 50})
    group = [one for policy in "abc" for one in many(20, policy=policy)]
    verdicts = made.admit(group, 0.0, set())
    assert outcomes(verdicts) == [TOO_MANY] * 60
    assert {verdict.scope for verdict in verdicts} == {"service:nova"}
    assert outcomes(made.admit(group[:40], 0.0, set())) == [APPROVED] * 40


def test_what_a_policys_cap_holds_does_not_count_for_the_service() -> None:
    made = guard(None, {"max_rows": 10})
    group = many(21, policy="a") + many(10, policy="b")
    assert outcomes(made.admit(group, 0.0, set())) == [TOO_MANY] * 21 + [APPROVED] * 10


def test_one_service_over_its_cap_does_not_hold_another() -> None:
    made = guard(None, {"max_rows": 5})
    group = many(6) + many(5, service="glance")
    assert outcomes(made.admit(group, 0.0, set())) == [TOO_MANY] * 6 + [APPROVED] * 5


def test_a_person_at_the_services_route_is_under_its_guard_alone() -> None:
    made = guard({"max_rows": 0, "cool_down": 60.0}, {"max_rows": 2})
    group = [wanted(policy="", args=("a",)), wanted(policy="", args=("a",))]
    assert outcomes(admitted(made, group, 0.0)) == [APPROVED] * 2
    assert outcomes(made.admit([wanted(policy="")], 1.0, set())) == [TOO_MANY]


def test_deciding_changes_nothing() -> None:
    made = guard()
    for _ in range(3):
        assert outcomes(made.admit(many(20), 0.0, set())) == [APPROVED] * 20


def test_settings_may_change_at_any_time() -> None:
    made = guard()
    admitted(made, many(15), 0.0)
    made.settings.override("policy", "p", {"max_rows": 15})
    assert outcomes(made.admit([wanted()], 1.0, set())) == [TOO_MANY]
    made.settings.override("policy", "p", {"max_rows": 16, "window": 3000})
    assert outcomes(made.admit([wanted()], 2999.0, set())) == [APPROVED]
    assert outcomes(made.admit(many(2), 2999.0, set())) == [TOO_MANY] * 2


def test_a_clock_that_is_put_back_makes_no_room() -> None:
    made = guard()
    admitted(made, many(15), 5000.0)
    assert outcomes(made.admit(many(6), 1000.0, set())) == [TOO_MANY] * 6
    assert outcomes(admitted(made, many(5), 1000.0)) == [APPROVED] * 5
    assert outcomes(made.admit(many(1), 1001.0, set())) == [TOO_MANY]
    assert outcomes(made.admit(many(20), 5300.0, set())) == [APPROVED] * 20


def test_every_verdict_is_a_way_that_there_is() -> None:
    before: list[State | None] = [None, State.HELD, State.PROPOSED, State.FAILED, State.CANCELLED]
    seen: set[tuple[State | None, State]] = set()
    for state, mode, cool_down, max_rows in product(before, Mode, (0.0, 60.0), (0, 5)):
        made = guard({"mode": mode, "cool_down": cool_down, "max_rows": max_rows})
        group = [wanted(args=("a",), **({"state": state} if state else {})) for _ in range(3)]
        for open_digests in (set(), {group[0].digest}):
            seen |= {(state, verdict.state) for verdict in made.admit(group, 1.0, open_digests)}
    assert all(after in TRANSITIONS[state] or after is state for state, after in seen)
    assert {after for state, after in seen if state is None} == TRANSITIONS[None]


def test_a_thousand_executions_are_remembered_no_longer_than_needed() -> None:
    made = guard({"max_rows": None, "max_percent": None}, {"max_rows": None})
    for minute in range(600):
        made.approved(many(10), minute * 60.0)
    assert len(made.history) < 4 * 10 * 60 * 1.5  # an hour of them, on two tracks, as rows, and as the last


def test_a_restart_forgets_nothing() -> None:
    settings = {"cool_down": 50.0, "max_rows": 4, "max_percent": None}
    made = guard(settings)
    past = [wanted(args=(str(n),), approved_at=10.0 * n) for n in range(3)]
    done = wanted(args=("0",), approved_at=0.0, finished_at=40.0, state=State.SUCCEEDED)
    made.load(with_trails([*past[1:], done]), {}, 60.0)
    assert outcomes(made.admit(many(1), 60.0, set())) == [APPROVED]
    assert outcomes(made.admit(many(2), 60.0, set())) == [TOO_MANY] * 2
    assert [v.until for v in made.admit([wanted(args=(n,)) for n in "012"], 65.0, set())] == [90.0, None, 70.0]
    same = guard(settings)
    for one in past:
        same.approved([one], one.approved_at or 0.0)
    same.finished(done, Outcome.OK, 40.0)
    assert [v.until for v in same.admit([wanted(args=(n,)) for n in "012"], 65.0, set())] == [90.0, None, 70.0]
