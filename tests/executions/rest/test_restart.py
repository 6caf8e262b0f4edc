# SPDX-License-Identifier: Apache-2.0
"""A daemon that ends and comes back: nothing fires again, nothing that waits is forgotten, nothing is done twice."""

import signal
import threading
from pathlib import Path

import pytest

from tests.executions.rest.lamps import City, Reply
from tests.executions.rest.world import World, remains, wait
from tests.server.daemon import serving

DONE = ("succeeded", None)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["asked to", "killed"])
def test_it_goes_on_where_it_was(tmp_path: Path, city: City, how: int) -> None:
    gate = threading.Event()
    with serving(tmp_path) as server:
        world = World(server, city, f"restart_{how}")
        world.build(policy={"max_rows": 2})
        world.park.replies = [Reply(), Reply(409), Reply(gate=gate)]
        world.dark("a")
        world.until_states(DONE)
        failed = world.by_hand("on", "b")
        world.until(failed, "failed", "error")
        world.rows("odd", "c")  # may not be repeated, and is never answered
        wait(lambda: len(world.park.asked) == 3)
        world.dark("a", "d", "e")
        held = world.the_set(2)
        waiting = world.by_hand("on", "f")
        world.until(waiting, "queued")
        world.set_breaker("open", "until I say so")
        before = world.executions()
        server.stop(how, 30)
    gate.set()

    with serving(tmp_path) as server:
        world.server = server
        world.until(waiting, "held", "breaker")
        assert world.the_set(2)["digest"] == held["digest"]
        assert world.breaker()["detail"] == "until I say so"
        assert world.ok("GET", f"/v1/policies/{world.name}/guard")["own"]["max_rows"] == 2
        assert [one["id"] for one in world.executions()] == [one["id"] for one in before]
        # The rows of a push service are stored: all that was true is true, and nothing of it is new.
        world.server.until(f"/v1/cloud-services/{world.eyes}/tables/dark/rows", [["a"], ["d"], ["e"]])
        remains(world.asked, ["flash/c", "on/a", "on/b"])
        [doubt] = world.executions(action="flash")
        assert (doubt["state"], doubt["reason"]) == ("held", "unknown")
        world.set_breaker("close")
        world.until(waiting, "succeeded")
        world.approve(held)
        world.until_states(DONE, ("failed", "error"), ("held", "unknown"), DONE, DONE, DONE)
        assert world.asked() == ["flash/c", "on/a", "on/b", "on/d", "on/e", "on/f"]
        # What was let through before counts after: the cap is not got around by a restart.
        world.dark("a", "d", "e", "g")
        world.the_set(1)
        assert world.act(doubt["id"], "settle", outcome="succeeded")[0] == 200


def test_what_rules_read_of_the_ledger_is_there_after_a_start(tmp_path: Path, city: City) -> None:
    """Rules on what was done, and on an open breaker, find after a start what they found before it."""
    with serving(tmp_path) as server:
        world = World(server, city, "memory")
        world.build(
            'done(x) :- congress:executions(service="memory_lamps", policy=x, action="on", state="succeeded")',
            'execute[lamps:on("once")] :- not done("memory")',
            'execute[lamps:off("broken")] :- congress:breakers(service="memory_eyes", state="open")',
            policy={"cool_down": 0, "oscillation_count": 1000},
        )
        world.ok("POST", "/v1/breakers/memory_eyes?action=open", {"detail": "work"})
        wait(lambda: len(world.asked()) == 2)
        world.server.until("/v1/policies/memory/tables/done/rows", [["memory"]])
    for _ in range(2):
        with serving(tmp_path) as server:
            world.server = server
            world.server.until("/v1/policies/memory/tables/done/rows", [["memory"]])
            remains(world.asked, ["off/broken", "on/once"], 2.0)
