# SPDX-License-Identifier: Apache-2.0
"""What people do to single executions, and where they are told that it cannot be done."""

import threading

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)


def test_cancel_what_waits(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.dark("a", "b")
    before = world.the_set(2)
    first, second = world.executions()
    status, found = world.act(first["id"], "cancel", detail="not this one")
    assert (status, found["state"], found["reason"], found["detail"]) == (200, "cancelled", "by_user", "not this one")
    after = world.the_set(1)
    assert after["digest"] != before["digest"]
    world.approve(after)
    world.until(second["id"], "succeeded")
    assert world.act(first["id"], "cancel")[0] == 409
    assert world.act(second["id"], "cancel")[0] == 409
    remains(lambda: len(world.asked()), 1)
    assert world.trail(first["id"])[-1] == ("proposed", "cancelled", "somebody")


def test_cancel_what_is_queued_but_not_what_runs(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    running = world.by_hand("on", "a")
    wait(lambda: world.park.asked)
    queued = world.by_hand("on", "b")
    try:
        assert world.act(running, "cancel")[0] == 409
        assert world.act(queued, "cancel")[1]["state"] == "cancelled"
        assert world.act(running, "retry")[0] == 409
        assert world.act(running, "settle", outcome="failed")[0] == 409
    finally:
        gate.set()
    world.until(running, "succeeded")
    remains(world.asked, ["on/a"])


def test_retry_what_was_cancelled_or_failed(world: World) -> None:
    world.build()
    world.park.replies = [Reply(409)]
    failed = world.by_hand("on", "a")
    world.until(failed, "failed", "error")
    status, found = world.act(failed, "retry", detail="repaired")
    assert (status, found["approved_by"]) == (200, "somebody")
    world.until(failed, "succeeded")
    assert world.act(failed, "retry")[0] == 409
    world.set_breaker("open")
    cancelled = world.by_hand("on", "b")
    world.act(cancelled, "cancel")
    assert world.act(cancelled, "retry")[1]["state"] in ("queued", "held")
    world.until(cancelled, "held", "breaker")
    world.set_breaker("close")
    world.until(cancelled, "succeeded")
    assert world.asked() == ["on/a", "on/a", "on/b"]
    trail = world.execution(failed)["trail"]
    assert "to be tried again: repaired" in [line["detail"] for line in trail if line["who"] == "somebody"]


def test_retry_goes_by_the_guard(world: World) -> None:
    world.build()
    world.park.replies = [Reply(409)]
    world.dark("a")
    [failed] = world.until_states(("failed", "error"))
    world.guard_policy(mode="propose")
    assert world.act(failed["id"], "retry")[1]["state"] == "proposed"
    remains(world.asked, ["on/a"])
    world.approve(world.the_set(1))
    world.until_states(DONE)


def test_one_in_doubt_is_settled_or_tried_again(world: World) -> None:
    world.build(service={"breaker_failures": None})
    world.park.replies = [Reply(500)] * 3
    for lamp, outcome in (("a", "succeeded"), ("b", "failed")):
        doubt = world.by_hand("flash", lamp)
        world.until(doubt, "held", "unknown")
        assert world.act(doubt, "settle", outcome="perhaps")[0] == 400
        status, found = world.act(doubt, "settle", outcome=outcome, detail="I looked")
        assert (status, found["state"], found["detail"]) == (200, outcome, "I looked")
        assert world.act(doubt, "settle", outcome=outcome)[0] == 409
    again = world.by_hand("flash", "c")
    world.until(again, "held", "unknown")
    assert world.act(again, "retry")[0] == 200
    world.until(again, "succeeded")
    assert world.asked() == ["flash/a", "flash/b", "flash/c", "flash/c"]


def test_nobody_knows_it(world: World) -> None:
    for action, body in (
        ("cancel", {}),
        ("retry", {}),
        ("settle", {"outcome": "failed"}),
        ("complete", {"outcome": "failed", "token": "x"}),
    ):
        assert world.act("00000000-0000-0000-0000-000000000000", action, **body)[0] == 404
    assert world.request("GET", "/v1/executions/nobody")[0] == 404


def test_only_its_service_can_complete_it(world: World) -> None:
    world.build()
    gate = threading.Event()
    world.park.replies = [Reply(gate=gate)]
    running = world.by_hand("on", "a")
    wait(lambda: world.park.asked)
    try:
        for token in ("x", "0" * 43, "\N{GREEK SMALL LETTER ALPHA}"):
            assert world.act(running, "complete", outcome="succeeded", token=token)[0] == 403
        assert world.act(running, "complete", outcome="succeeded", token="")[0] == 400
        assert world.execution(running)["state"] == "running"
    finally:
        gate.set()
    world.until(running, "succeeded")
    assert world.act(running, "complete", outcome="failed", token="x")[0] == 403


def test_settings_that_cannot_be(world: World) -> None:
    world.build()
    before = world.ok("GET", f"/v1/policies/{world.name}/guard")
    for wrong, word in (
        ({"mode": "wild"}, "mode must be one of"),
        ({"max_rows": -1}, "max_rows must be"),
        ({"max_rows": True}, "max_rows must be"),
        ({"max_row": 1}, "There is no setting 'max_row'"),
        ({"max_percent": 101}, "max_percent must be"),
        ({"concurrency": 1}, "There is no setting 'concurrency'"),
    ):
        for method in ("PUT", "PATCH"):
            status, found, _ = world.request(method, f"/v1/policies/{world.name}/guard", wrong)
            assert status == 400, (wrong, found)
            assert word in found["error"]["message"]
    assert world.ok("GET", f"/v1/policies/{world.name}/guard") == before
    assert world.request("GET", "/v1/policies/nobody/guard")[0] == 404
    assert world.request("PUT", "/v1/cloud-services/nobody/guard", {})[0] == 404


def test_settings_of_their_own_and_the_defaults(world: World) -> None:
    world.build()
    path = f"/v1/cloud-services/{world.lamps}/guard"
    put = world.ok("PUT", path, {"max_rows": 7})
    assert (put["own"], put["settings"]["max_rows"], put["settings"]["backoff"]) == ({"max_rows": 7}, 7, 2.0)
    assert world.ok("GET", f"/v1/data-sources/{world.lamps}/guard") == put
    listed = world.ok("GET", "/v1/guards?limit=1000")["results"]
    assert f"service:{world.lamps}" in [one["id"] for one in listed]
    gone = world.ok("DELETE", path)
    assert (gone["own"], gone["settings"]["max_rows"]) == ({}, 100)
    listed = world.ok("GET", "/v1/guards?limit=1000")["results"]
    assert f"service:{world.lamps}" not in [one["id"] for one in listed]
