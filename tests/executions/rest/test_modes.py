# SPDX-License-Identifier: Apache-2.0
"""Modes: what is only recorded, what waits for a person's word, and what that word is bound to."""

from typing import Any

import pytest

from tests.executions.rest.world import World, remains

DONE = ("succeeded", None)
MONITORED = ("held", "mode_monitor")
PROPOSED = ("proposed", "mode_propose")


@pytest.mark.parametrize("whose", ["policy", "service"])
def test_monitor_records_and_does_nothing(world: World, whose: str) -> None:
    world.build(**{whose: {"mode": "monitor"}})
    world.dark("a", "b")
    world.by_hand("on", "c", policy=True)
    world.until_states(MONITORED, MONITORED, MONITORED)
    remains(world.asked, [])
    assert world.sets() == []

    (world.guard_policy if whose == "policy" else world.guard_service)(mode="enforce")
    world.until_states(DONE, DONE, DONE)
    assert world.asked() == ["on/a", "on/b", "on/c"]


def test_monitor_stops_what_is_on_its_way(world: World) -> None:
    world.build()
    world.set_breaker("open")
    world.dark("a")
    world.until_states(("held", "breaker"))
    world.guard_policy(mode="monitor")
    world.set_breaker("close")
    world.until_states(MONITORED)
    remains(world.asked, [])
    world.guard_policy(mode="enforce")
    world.until_states(DONE)


def test_the_stricter_mode_holds(world: World) -> None:
    world.build(policy={"mode": "propose"}, service={"mode": "monitor"})
    world.dark("a")
    world.until_states(MONITORED)
    world.guard_service(mode="enforce")
    world.until_states(PROPOSED)
    remains(world.asked, [])
    world.guard_policy(mode="enforce")
    world.until_states(DONE)


def test_propose_and_approve(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.dark("a", "b")
    found = world.the_set(2)
    assert (found["reason"], found["policies"]) == ("mode_propose", [world.name])
    assert found["actions"] == [f"{world.lamps}:on"]
    whole = world.ok("GET", f"/v1/execution-sets/{found['id']}")
    assert sorted(one["args"]["positional"] for one in whole["executions"]) == [["a"], ["b"]]
    remains(world.asked, [])

    world.approve(found)
    mine = world.until_states(DONE, DONE)
    assert world.asked() == ["on/a", "on/b"]
    assert {one["approved_by"] for one in mine} == {"somebody"}
    assert world.trail(mine[0]["id"]) == [
        (None, "proposed", f"policy {world.name}"),
        ("proposed", "approved", "somebody"),
        ("approved", "queued", "somebody"),
        ("queued", "running", "ledger"),
        ("running", "succeeded", "ledger"),
    ]
    assert world.sets() == []
    assert world.request("GET", f"/v1/execution-sets/{found['id']}")[0] == 404


def test_what_is_rejected_is_not_done(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.dark("a", "b")
    world.reject(world.the_set(2), "not at night")
    for found in world.until_states(("cancelled", "rejected"), ("cancelled", "rejected")):
        assert found["detail"] == "not at night"
    world.dark("a", "b", "c")  # a and b are known, and were decided about
    world.the_set(1)
    remains(world.asked, [])
    world.dark("c")
    world.dark("a", "c")  # a went and came back: this is another row
    world.the_set(2)


def test_an_approval_is_of_exactly_what_was_looked_at(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.dark("a", "b")
    looked_at = world.the_set(2)

    def approve(digest: str) -> tuple[int, Any]:
        return world.request("POST", f"/v1/execution-sets/{looked_at['id']}?action=approve", {"digest": digest})[:2]

    world.dark("a", "b", "c")
    grown = world.the_set(3)
    assert (grown["id"], grown["digest"] == looked_at["digest"]) == (looked_at["id"], False)
    status, refused = approve(looked_at["digest"])
    assert (status, refused["error"]["error_data"]) == (409, {"digest": grown["digest"]})
    world.dark("b", "c")
    shrunk = world.the_set(2)
    assert shrunk["digest"] not in (looked_at["digest"], grown["digest"])
    assert approve(grown["digest"])[0] == 409
    assert approve("")[0] == 400
    remains(world.asked, [])

    world.approve(shrunk)
    world.until_states(DONE, DONE, ("obsolete", None))
    assert world.asked() == ["on/b", "on/c"]
    assert approve(shrunk["digest"])[0] == 404  # it is gone: nothing can be approved twice
    remains(world.asked, ["on/b", "on/c"])


def test_what_comes_after_an_approval_waits_anew(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.dark("a")
    first = world.the_set(1)
    world.approve(first)
    world.until_states(DONE)
    world.dark("a", "b")
    second = world.the_set(1)
    assert second["id"] != first["id"]
    remains(world.asked, ["on/a"])
