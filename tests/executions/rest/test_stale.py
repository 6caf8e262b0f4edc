# SPDX-License-Identifier: Apache-2.0
"""Nothing is done on the strength of data that may be out of date."""

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)
STALE = ("held", "stale")
RULE = "execute[lamps:off(x)] :- lamps:lamps(x), eyes:all(x, true)"


def is_stale(world: World) -> bool:
    rows = world.ok("GET", "/v1/cloud-services/congress/tables/freshness/rows?limit=1000")["results"]
    return any(row["data"][:2] == [world.lamps, "lamps"] and row["data"][3] for row in rows)


def test_a_source_that_fails_and_recovers(world: World) -> None:
    world.park.lamps = Reply(document=["a", "b", "c"])
    world.build()
    world.ok("DELETE", f"/v1/cloud-services/{world.lamps}")
    world.add_lamps(poll_time=0.2, max_backoff=1)
    world.add_rule(RULE)
    world.rows("all", ["a", True])
    world.until_states(DONE)

    world.park.lamps = Reply(503)
    wait(lambda: is_stale(world))
    world.rows("all", ["a", True], ["b", True])
    [_, held] = world.until_states(DONE, STALE)
    assert held["detail"] == f"It was derived from stale data: {world.lamps}:lamps."
    remains(world.asked, ["off/a"])

    world.dark("z")  # derived from fresh data only
    world.until_states(DONE, STALE, DONE)
    world.park.lamps = Reply(document=["a", "b", "c"])
    world.until_states(DONE, DONE, DONE)
    assert world.asked() == ["off/a", "off/b", "on/z"]

    world.park.lamps = Reply(503)
    wait(lambda: is_stale(world))
    world.rows("all", ["a", True], ["b", True], ["c", True])
    world.until_states(*[DONE] * 3, STALE)
    world.guard_policy(hold_stale=False)
    world.until_states(*[DONE] * 4)


def test_data_that_turn_out_otherwise_when_they_are_fresh(world: World) -> None:
    world.park.lamps = Reply(document=["a"])
    world.build()
    world.ok("DELETE", f"/v1/cloud-services/{world.lamps}")
    world.add_lamps(poll_time=0.2, max_backoff=1)
    world.add_rule(RULE)
    world.rows("all", ["z", True])
    wait(lambda: world.ok("GET", f"/v1/cloud-services/{world.lamps}/tables/lamps/rows")["results"])
    world.park.lamps = Reply(503)
    wait(lambda: is_stale(world))
    world.rows("all", ["a", True])
    world.until_states(STALE)
    world.park.lamps = Reply(document=[])
    world.until_states("obsolete")
    remains(world.asked, [])
