# SPDX-License-Identifier: Apache-2.0
"""Attempts: what is tried again, after how long, and what must not be repeated."""

import threading

import pytest

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)
BUSY = Reply(503, headers={"Retry-After": "1"})


def test_trouble_that_passes(world: World) -> None:
    world.build(service={"attempts": 3})
    world.park.replies = [Reply(500), Reply(502), Reply(document={"lamp": "a", "shines": True})]
    world.dark("a")
    [done] = world.until_states(DONE)
    assert (done["attempts"], done["result"], done["error"]) == (3, {"lamp": "a", "shines": True}, None)
    assert world.asked() == ["on/a"] * 3
    trail = world.execution(done["id"])["trail"]
    again = [line["detail"] for line in trail if (line["before"], line["after"]) == ("running", "queued")]
    assert [text.split(":")[0] for text in again] == ["attempt 1", "attempt 2"]
    assert "HTTP 500" in again[0]
    assert "HTTP 502" in again[1]


def test_trouble_that_stays(world: World) -> None:
    world.build(service={"attempts": 3, "breaker_failures": None})
    world.park.always = Reply(500)
    world.dark("a")
    [failed] = world.until_states(("failed", "attempts"))
    assert failed["attempts"] == 3
    assert "HTTP 500" in failed["error"]
    remains(world.asked, ["on/a"] * 3)
    world.park.always = Reply()
    assert world.act(failed["id"], "retry")[0] == 200
    [done] = world.until_states(DONE)
    assert done["attempts"] == 1  # since it was approved anew


def test_a_refusal_is_final(world: World) -> None:
    world.build()
    world.park.always = Reply(409, {"message": "it is broken"})
    world.dark("a")
    [failed] = world.until_states(("failed", "error"))
    assert failed["attempts"] == 1
    assert "HTTP 409" in failed["error"]
    remains(world.asked, ["on/a"])


def test_the_service_says_when_to_come_back(world: World) -> None:
    world.build(service={"backoff": 0})
    world.park.replies = [BUSY]
    world.dark("a")
    [waits] = wait(world.executions, lambda found: found and found[0]["not_before"])
    assert (waits["state"], waits["attempts"]) == ("queued", 1)
    [done] = world.until_states(DONE)
    assert done["started_at"] >= waits["started_at"] + 1.0


def test_no_attempt_after_the_deadline(world: World) -> None:
    world.build(service={"deadline": 30})
    world.park.replies = [Reply(503, headers={"Retry-After": "3600"})]
    world.dark("a")
    [failed] = world.until_states(("failed", "deadline"))
    assert failed["attempts"] == 1
    assert failed["finished_at"] < failed["deadline"]


def test_what_waits_for_its_next_attempt_keeps_nobody(world: World) -> None:
    world.build()
    world.park.replies = [Reply(503, headers={"Retry-After": "60"})]
    world.dark("a")
    wait(world.executions, lambda found: found and found[0]["not_before"])
    world.dark("a", "b")
    world.until_states("queued", DONE)
    world.dark("b")
    world.until_states("obsolete", DONE)


@pytest.mark.parametrize("reply", [Reply(hang_up=True), Reply(500)], ids=["no answer", "500"])
def test_what_may_have_been_done_is_never_repeated(world: World, reply: Reply) -> None:
    world.build()
    world.park.replies = [reply]
    world.rows("odd", "a")
    [doubt] = world.until_states(("held", "unknown"))
    assert doubt["detail"].startswith("it may have been done: ")
    remains(world.asked, ["flash/a"])
    world.rows("odd")
    wait(lambda: world.execution(doubt["id"]), lambda found: found["trigger"] == "ended")
    world.until_states(("held", "unknown"))  # that its row goes tells nothing of what was done
    assert world.asked() == ["flash/a"]


def test_a_service_that_cannot_be_reached(world: World) -> None:
    """Nothing has been done then, so even what must not be repeated is tried again."""
    world.build(service={"attempts": 2, "breaker_failures": None})
    world.ok("DELETE", f"/v1/cloud-services/{world.lamps}")
    world.base_url = "http://127.0.0.1:1/nobody"
    world.add_lamps()
    world.rows("odd", "a")
    [failed] = world.until_states(("failed", "attempts"))
    assert failed["attempts"] == 2


def test_a_service_that_has_gone(world: World) -> None:
    world.build(service={"attempts": 2})
    world.ok("DELETE", f"/v1/cloud-services/{world.lamps}")
    world.dark("a")
    [failed] = world.until_states(("failed", "attempts"))
    assert world.lamps in failed["error"]


def test_too_slow_an_answer(world: World) -> None:
    """An attempt is over after the guard's time-out; one that may be repeated is tried again."""
    world.build(service={"timeout": 0.3, "attempts": 2, "breaker_failures": None})
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    try:
        flash = world.by_hand("flash", "a")
        world.until(flash, "held", "unknown")
        remains(world.asked, ["flash/a"])
    finally:
        gate.set()
    assert world.act(flash, "settle", outcome="succeeded", detail="I saw it")[0] == 200
    world.guard_service(timeout=30)
    world.until(world.by_hand("on", "b"), "succeeded")
