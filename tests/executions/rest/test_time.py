# SPDX-License-Identifier: Apache-2.0
"""What time lets go: rates, cool-downs, deadlines, and turns at a busy service."""

import threading

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)


def test_a_rate_and_how_its_bucket_fills_again(world: World) -> None:
    world.build(service={"rate": 60, "burst": 2, "concurrency": 10})
    lamps = [f"l{n}" for n in range(4)]
    world.dark(*lamps)
    wait(world.executions, lambda found: len(found) == 4)
    found = wait(world.executions, lambda found: [one["state"] for one in found].count("succeeded") == 2)
    late = [one for one in found if one["state"] != "succeeded"]
    assert {(one["state"], one["reason"]) for one in late} == {("held", "rate_limit")}
    assert "may have 60 attempts a minute" in late[0]["detail"]

    mine = world.until_states(*[DONE] * 4)
    started = sorted(one["started_at"] for one in mine)
    assert started[1] - started[0] < 1.0  # both out of the full bucket
    assert started[3] - started[1] > 1.5  # two tokens, one a second
    assert world.asked() == [f"on/{lamp}" for lamp in lamps]


def test_a_rate_of_a_policy_and_a_person_who_is_not_under_it(world: World) -> None:
    world.build(policy={"rate": 0.01, "burst": 1})
    world.dark("a", "b")
    world.until_states(DONE, ("held", "rate_limit"))
    world.until(world.by_hand("on", "c"), "succeeded")
    remains(lambda: len(world.asked()), 2)
    world.guard_policy(rate=None)
    world.until_states(*[DONE] * 3)


def test_a_cool_down(world: World) -> None:
    world.build(policy={"cool_down": 1.5, "oscillation_count": None})
    world.dark("a")
    [first] = world.until_states(DONE)
    world.dark()
    world.dark("a")
    [_, second] = world.until_states(DONE, ("held", "cool_down"))
    assert "the cool-down is 1.5 s" in second["detail"]
    assert second["not_before"] >= first["approved_at"] + 1.5
    remains(world.asked, ["on/a"])
    world.dark("a", "b")  # another lamp need not cool down
    [_, second, _] = world.until_states(DONE, DONE, DONE)
    assert second["started_at"] >= first["approved_at"] + 1.5
    assert world.asked() == ["on/a", "on/a", "on/b"]


def test_a_cool_down_whose_row_goes(world: World) -> None:
    world.build(policy={"cool_down": 3600})
    world.dark("a")
    world.until_states(DONE)
    world.dark()
    world.dark("a")
    world.until_states(DONE, ("held", "cool_down"))
    world.dark()
    world.until_states(DONE, ("obsolete", None))
    world.dark("a")
    world.until_states(DONE, ("obsolete", None), ("held", "cool_down"))
    world.guard_policy(cool_down=0)
    world.until_states(DONE, ("obsolete", None), DONE)


def test_a_deadline(world: World) -> None:
    """It is over when its time is over, not when somebody looks next; what is in time is done."""
    world.build(service={"deadline": 1.0})
    world.set_breaker("open")
    world.dark("a")
    [late] = world.until_states(("held", "breaker"))
    [late] = world.until_states(("failed", "deadline"))
    assert late["deadline"] <= late["finished_at"] < late["deadline"] + 30
    assert late["attempts"] == 0
    world.set_breaker("close")
    remains(world.asked, [])
    assert world.act(late["id"], "retry")[0] == 200
    assert world.until(late["id"], "succeeded")["deadline"] > late["deadline"]
    assert world.asked() == ["on/a"]


def test_turns_at_a_busy_service(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.always = Reply(gate=gate)
    world.dark("a", "b", "c")
    try:
        wait(world.executions, lambda found: sorted(one["state"] for one in found) == ["queued", "queued", "running"])
        remains(lambda: sorted(one["state"] for one in world.executions()), ["queued", "queued", "running"])
        assert len(world.asked()) == 1
    finally:
        gate.set()
    world.until_states(DONE, DONE, DONE)
    assert world.park.most_at_once == 1


def test_more_turns_at_once(world: World) -> None:
    """A driver works off one after the other whatever the guard allows: that is what makes 1 the default."""
    world.build(service={"concurrency": 2})
    gate = threading.Event()
    world.park.always = Reply(gate=gate)
    world.dark("a", "b", "c")
    try:
        world.until_states("running", "running", "queued")
    finally:
        gate.set()
    world.until_states(DONE, DONE, DONE)
