# SPDX-License-Identifier: Apache-2.0
"""The breaker of a service: trouble in a row opens it, one attempt decides, people open and close it."""

import threading

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)
HELD = ("held", "breaker")
TROUBLE = Reply(500)


def test_it_opens_tries_one_and_closes(world: World) -> None:
    world.build(service={"attempts": 1, "breaker_failures": 3, "breaker_seconds": 0.5})
    gate = threading.Event()
    world.park.replies = [TROUBLE, TROUBLE, TROUBLE, Reply(gate=gate)]
    for lamp in "abc":
        world.until(world.by_hand("on", lamp), "failed", "attempts")
    breaker = world.breaker()
    assert (breaker["failures"], breaker["by"]) == (3, "")
    assert breaker["detail"] == "3 attempts in a row found the service in trouble"

    world.dark("d", "e", "f")
    try:
        wait(lambda: len(world.park.asked) == 4)  # half open: one of them is tried
        assert world.breaker()["state"] == "half_open"
        wait(world.states, lambda states: sorted(states[3:], key=str) == [HELD, HELD, ("running", None)])
        remains(lambda: len(world.park.asked), 4)
    finally:
        gate.set()
    world.until_states(*[("failed", "attempts")] * 3, *[DONE] * 3)
    assert world.breaker()["state"] == "closed"
    assert world.breaker()["failures"] == 0


def test_nothing_is_sent_from_the_last_straw_on(world: World) -> None:
    world.build(service={"attempts": 1, "breaker_failures": 2, "breaker_seconds": 3600})
    world.park.always = TROUBLE
    world.dark("a", "b", "c", "d")
    world.until_states(*[("failed", "attempts")] * 2, HELD, HELD)
    remains(lambda: len(world.park.asked), 2)
    world.park.always = Reply()
    world.set_breaker("close")
    world.until_states(*[("failed", "attempts")] * 2, DONE, DONE)


def test_a_trial_that_fails_opens_it_again(world: World) -> None:
    world.build(service={"attempts": 3, "breaker_failures": 1, "breaker_seconds": 0.3})
    world.park.replies = [TROUBLE, TROUBLE]
    world.dark("a")
    wait(lambda: len(world.park.asked) == 2)
    first = wait(world.breaker, lambda found: found["failures"] == 2)
    assert first["until"] > first["since"]
    [done] = world.until_states(DONE)
    assert done["attempts"] == 3
    wait(world.breaker, lambda found: found["state"] == "closed")


def test_trouble_must_come_in_a_row(world: World) -> None:
    """A refusal is an answer: the service is well."""
    world.build(service={"attempts": 1, "breaker_failures": 2})
    world.park.replies = [TROUBLE, Reply(409), TROUBLE, Reply(), TROUBLE]
    for lamp, state in zip("abcde", ("attempts", "error", "attempts", None, "attempts"), strict=True):
        world.until(world.by_hand("on", lamp), "failed" if state else "succeeded", state)
    assert world.breaker()["state"] == "closed"
    assert world.breaker()["failures"] == 1


def test_people_open_and_close_it(world: World) -> None:
    world.build()
    world.set_breaker("open", "the lamps are being painted")
    found = world.breaker()
    assert (found["state"], found["until"], found["by"]) == ("open", None, "somebody")
    assert world.lamps in [one["service"] for one in world.ok("GET", "/v1/breakers?limit=1000")["results"]]
    world.dark("a")
    by_hand = world.by_hand("on", "b")
    [held, _] = world.until_states(HELD, HELD)
    assert held["detail"] == (
        f"The breaker of '{world.lamps}' is open, tripped by somebody: the lamps are being painted."
    )
    remains(world.asked, [])
    world.set_breaker("close")
    world.until_states(DONE, DONE)
    assert world.trail(by_hand)[-5:] == [
        ("queued", "held", "guard"),
        ("held", "approved", "guard"),
        ("approved", "queued", "guard"),
        ("queued", "running", "ledger"),
        ("running", "succeeded", "ledger"),
    ]
    assert world.breaker()["state"] == "closed"
    assert world.lamps not in [one["service"] for one in world.ok("GET", "/v1/breakers?limit=1000")["results"]]


def test_a_person_closes_what_trouble_opened(world: World) -> None:
    world.build(service={"attempts": 1, "breaker_failures": 1, "breaker_seconds": 3600})
    world.park.replies = [TROUBLE]
    world.until(world.by_hand("on", "a"), "failed", "attempts")
    waiting = world.by_hand("on", "b")
    world.until(waiting, "held", "breaker")
    world.set_breaker("close")
    world.until(waiting, "succeeded")


def test_a_breaker_that_never_opens(world: World) -> None:
    world.build(service={"attempts": 1, "breaker_failures": None})
    world.park.replies = [TROUBLE] * 6
    for number in range(6):
        world.until(world.by_hand("on", f"l{number}"), "failed", "attempts")
    assert world.breaker()["state"] == "closed"
    world.until(world.by_hand("on", "z"), "succeeded")
