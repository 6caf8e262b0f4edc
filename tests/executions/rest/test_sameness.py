# SPDX-License-Identifier: Apache-2.0
"""The same again: duplicates, what goes round in circles, and what has become pointless."""

import threading

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)
DUPLICATE = ("cancelled", "duplicate")


def test_two_rows_that_ask_for_the_same(world: World) -> None:
    world.build("execute[lamps:on(x)] :- eyes:dark(x)", "execute[lamps:on(lamp=x)] :- eyes:odd(x)")
    world.set_breaker("open")
    world.dark("a")
    [first] = world.until_states(("held", "breaker"))
    # Named and positional are not the same digest: what is the same here is the row of another occurrence.
    world.rows("odd", "b")
    world.until_states(("held", "breaker"), ("held", "breaker"))
    assert first["digest"] == world.execution(first["id"])["digest"]
    world.set_breaker("close")
    world.until_states(DONE, DONE)


def test_a_row_that_asks_while_the_same_is_on_its_way(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    world.dark("a")
    wait(lambda: world.park.asked)
    world.dark()
    world.dark("a")
    try:
        [_, second] = world.until_states("running", DUPLICATE)
    finally:
        gate.set()
    world.until_states(DONE, DONE)  # what ran for the row before says nothing of the new one
    remains(world.asked, ["on/a", "on/a"])
    assert "was sent before the row was true again" in str(world.execution(second["id"])["trail"])


def test_a_row_that_asks_while_a_person_does(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    world.by_hand("on", "a", policy=True)
    wait(lambda: world.park.asked)
    world.dark("a")
    try:
        [_, second] = world.until_states("running", DUPLICATE)
    finally:
        gate.set()
    world.until_states(DONE, DUPLICATE)
    remains(world.asked, ["on/a"])
    assert world.act(second["id"], "retry")[0] == 200  # somebody wants it all the same
    world.until_states(DONE, DONE)
    assert world.asked() == ["on/a", "on/a"]


def test_people_may_ask_twice(world: World) -> None:
    world.build()
    world.by_hand("on", "a")
    world.by_hand("on", "a")
    world.until_states(DONE, DONE)


def test_what_goes_round_in_circles(world: World) -> None:
    world.build(policy={"oscillation_count": 2, "oscillation_window": 3600})
    for times in (1, 2):
        world.dark("a")
        world.until_states(*[DONE] * times)
        world.dark()
        wait(world.executions, lambda found: {one["trigger"] for one in found} == {"ended"})
    world.dark("a")
    found = world.the_set(1)
    assert found["reason"] == "oscillation"
    assert "something undoes what it does" in found["detail"]
    world.dark("a", "b")  # another lamp does not go round
    world.until_states(*[DONE] * 3, ("held", "oscillation"))
    remains(lambda: world.park.asked.count("on/a"), 2)
    world.approve(world.the_set(1))
    world.until_states(*[DONE] * 4)
    assert world.park.asked.count("on/a") == 3


def test_a_wider_count_lets_it_go(world: World) -> None:
    world.build(policy={"oscillation_count": 1})
    world.dark("a")
    world.until_states(DONE)
    world.dark()
    world.dark("a")
    world.the_set(1)
    world.guard_policy(oscillation_count=None)
    world.until_states(DONE, DONE)


def test_a_row_that_goes_before_its_action_ran(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    world.dark("a")
    wait(lambda: world.park.asked)
    world.dark("a", "b")
    try:
        world.until_states("running", "queued")
        world.dark()
        [_, gone] = world.until_states("running", "obsolete")
        assert gone["trigger"] == "ended"
    finally:
        gate.set()
    world.until_states(DONE, "obsolete")  # what its service is at cannot be called back
    remains(world.asked, ["on/a"])
    assert world.act(gone["id"], "retry")[0] == 409
    world.dark("b")  # the next time is another row
    world.until_states(DONE, "obsolete", DONE)


def test_a_rule_that_goes_before_its_action_ran(world: World) -> None:
    world.build("p(x) :- eyes:dark(x)", policy={"mode": "propose"})
    rule = world.add_rule("execute[lamps:on(x)] :- p(x)")
    world.dark("a")
    world.the_set(1)
    world.ok("DELETE", f"/v1/policies/{world.name}/rules/{rule}")
    [gone] = world.until_states("obsolete")
    assert gone["trigger"] == "suspended"
    assert world.sets() == []
    world.add_rule("execute[lamps:on(x)] :- p(x)")  # it was never done, so it is asked for anew
    world.approve(world.the_set(1))
    world.until_states("obsolete", DONE)
    assert world.asked() == ["on/a"]


def test_a_source_that_is_made_anew_has_the_same_rows(world: World) -> None:
    """Deleting a service says nothing about whether its rows are true, as little as deleting a rule does."""
    world.build("execute[lamps:on(x)] :- eyes:dark(x)", policy={"cool_down": 0, "oscillation_count": None})
    world.dark("a", "b")
    world.until_states(DONE, DONE)
    config = {"tables": {"dark": ["lamp"]}, "persist": True}

    def triggers() -> list[str]:
        return [one["trigger"] for one in world.executions()]

    world.ok("DELETE", f"/v1/cloud-services/{world.eyes}")
    wait(triggers, lambda found: "live" not in found)
    remains(triggers, ["suspended", "suspended"])
    world.add_service(world.eyes, "push", config)
    remains(triggers, ["suspended", "suspended"])
    world.dark("a", "c")
    world.until_states(DONE, DONE, DONE)
    assert sorted(triggers()) == ["ended", "live", "live"]
    assert world.asked() == ["on/a", "on/b", "on/c"]
