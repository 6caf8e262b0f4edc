# SPDX-License-Identifier: Apache-2.0
"""Blast radius: what may happen without a person, in rows and per cent, whoever asks and by whichever route."""

from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)
TOO_MANY = ("held", "blast_radius")


def lamps(number: int, start: int = 0) -> list[str]:
    return [f"l{n}" for n in range(start, start + number)]


def test_up_to_the_cap_and_beyond(world: World) -> None:
    world.build(policy={"max_rows": 3})
    world.dark(*lamps(3))
    world.until_states(*[DONE] * 3)
    world.rows("odd", "x")
    found = world.the_set(1)
    assert found["detail"] == (
        f"1 execution at once after 3 in the last 300 s: policy '{world.name}' may have 3 within 300 s (max_rows)."
    )
    remains(world.asked, [f"on/l{n}" for n in range(3)])


def test_all_or_nothing_and_then_all_of_the_set(world: World) -> None:
    world.build(policy={"max_rows": 3})
    world.dark(*lamps(4))
    world.the_set(4)
    world.dark(*lamps(8))  # what comes later and is too much joins the set that waits
    found = world.the_set(8)
    remains(world.asked, [])
    world.approve(found)
    world.until_states(*[DONE] * 8)
    assert len(world.asked()) == 8
    world.dark(*lamps(9))  # what was approved counts
    world.the_set(1)
    world.until_states(*[DONE] * 8, TOO_MANY)


def test_wider_caps_let_go_without_an_approval(world: World) -> None:
    world.build(policy={"max_rows": 2})
    world.dark(*lamps(3))
    world.the_set(3)
    world.guard_policy(max_rows=3)
    world.until_states(*[DONE] * 3)
    assert world.sets() == []


def test_nothing_goes_through_a_cap_of_nothing(world: World) -> None:
    world.build(policy={"max_rows": 0})
    world.dark("a")
    world.by_hand("on", "b", policy=True)
    found = world.the_set(2)
    remains(world.asked, [])
    world.approve(found)
    world.until_states(DONE, DONE)


def test_a_window_that_is_over_lets_more_through(world: World) -> None:
    world.build(policy={"max_rows": 2, "window": 1.0})
    world.dark(*lamps(2))
    world.until_states(DONE, DONE)

    def one_more() -> bool:
        for one in world.executions(reason="blast_radius"):
            world.act(one["id"], "cancel")
        world.dark(*lamps(2))
        world.dark(*lamps(3))
        return len(world.executions(state="succeeded")) > 2

    wait(one_more)


def test_per_cent_of_the_table_it_comes_from(world: World) -> None:
    world.build(
        "execute[lamps:on(x)] :- eyes:all(x, true)",
        policy={"max_percent": 25, "percent_floor": 2},
    )
    park = lamps(20)
    world.rows("all", *[[lamp, n < 5] for n, lamp in enumerate(park)])  # five of twenty are 25 per cent
    world.until_states(*[DONE] * 5)
    world.rows("all", *[[lamp, n < 6] for n, lamp in enumerate(park)])
    found = world.the_set(1)
    assert "30.0 per cent of the rows that they come from" in found["detail"]
    remains(lambda: len(world.asked()), 5)
    world.guard_policy(max_percent=30)
    world.until_states(*[DONE] * 6)


def test_few_are_never_too_many_per_cent(world: World) -> None:
    world.build(
        "execute[lamps:on(x)] :- eyes:all(x, true)",
        policy={"max_percent": 10, "percent_floor": 2},
    )
    world.rows("all", ["a", True], ["b", True], ["c", False])  # 67 per cent, and two only
    world.until_states(DONE, DONE)
    world.rows("all", ["a", True], ["b", True], ["c", True])
    world.the_set(1)
    world.guard_policy(percent_floor=3)
    world.until_states(DONE, DONE, DONE)


def test_no_route_goes_around_the_cap_of_a_service(world: World) -> None:
    """Rows, the route of a policy and that of a service (under both of its names) fill up one and the same cap."""
    world.build(service={"max_rows": 4})
    world.dark("a")
    world.by_hand("on", "b", policy=True)
    world.by_hand("on", "c")
    body = {"name": "on", "args": {"named": {"lamp": "d"}}}
    assert world.request("POST", f"/v1/data-sources/{world.lamps}?action=execute", body)[0] == 204
    world.until_states(*[DONE] * 4)

    world.by_hand("on", "e")
    world.by_hand("on", "f", policy=True)
    assert world.request("POST", f"/v1/data-sources/{world.lamps}?action=execute", body)[0] == 204
    world.dark("a", "g")
    found = world.the_set(4)
    assert f"service '{world.lamps}' may have 4 within 300 s (max_rows)" in found["detail"]
    remains(lambda: len(world.asked()), 4)
    world.approve(found)
    world.until_states(*[DONE] * 8)
    assert len(world.asked()) == 8


def test_no_route_goes_around_the_cap_of_a_policy(world: World) -> None:
    world.build(policy={"max_rows": 2})
    world.dark("a")
    world.by_hand("on", "b", policy=True)
    world.until_states(DONE, DONE)
    world.by_hand("on", "c", policy=True)
    world.dark("a", "d")
    world.the_set(2)
    world.by_hand("on", "e")  # has nothing to do with the policy
    world.until_states(DONE, DONE, DONE, TOO_MANY, TOO_MANY)


def test_to_try_again_counts_as_well(world: World) -> None:
    world.build(service={"max_rows": 2})
    world.by_hand("on", "a")
    waiting = world.by_hand("on", "b")
    world.until_states(DONE, DONE)
    again = world.by_hand("on", "c")
    world.the_set(1)
    assert world.act(again, "cancel")[0] == 200
    assert world.act(again, "retry", detail="please")[1]["reason"] == "blast_radius"
    assert world.act(waiting, "retry")[0] == 409  # it is done
    remains(world.asked, ["on/a", "on/b"])
    assert world.trail(again)[-2:] == [("cancelled", "cancelled", "somebody"), ("cancelled", "held", "guard")]
    assert world.execution(again)["trail"][-2]["detail"] == "to be tried again: please"
    world.guard_service(max_rows=3)
    world.until(again, "succeeded")


def test_another_policy_does_not_get_around_the_service(world: World) -> None:
    """Who may write policies can make a new one, under the defaults; the service's cap holds all the same."""
    world.build(service={"max_rows": 2})
    world.dark("a", "b")
    world.until_states(DONE, DONE)
    rule = f"execute[{world.lamps}:off(x)] :- {world.eyes}:dark(x)"
    world.ok("POST", "/v1/policies", {"name": f"{world.name}_other", "rules": [{"rule": rule}]})
    world.the_set(2)
    remains(world.asked, ["on/a", "on/b"])
    world.ok("DELETE", f"/v1/policies/{world.name}_other")
    world.until_states(DONE, DONE, ("obsolete", None), ("obsolete", None))
    assert world.sets() == []


def test_a_rule_that_comes_back_fires_nothing_again(world: World) -> None:
    world.build("p(x) :- eyes:dark(x)")
    rule = world.add_rule("execute[lamps:on(x)] :- p(x)")
    world.dark("a")
    world.until_states(DONE)
    world.ok("DELETE", f"/v1/policies/{world.name}/rules/{rule}")
    world.add_rule("execute[lamps:on(x)] :- p(x)")
    world.dark("a", "b")
    world.until_states(DONE, DONE)
    remains(world.asked, ["on/a", "on/b"])
