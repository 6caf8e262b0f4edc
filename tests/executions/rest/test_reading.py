# SPDX-License-Identifier: Apache-2.0
"""Looking at the ledger: lists, exports, metrics, a look ahead, and policies that read it."""

import json
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.executions.rest.lamps import Reply
from tests.executions.rest.world import World, remains, wait

DONE = ("succeeded", None)


def lines(world: World, path: str) -> list[dict[str, Any]]:
    status, text, headers = world.request("GET", path)
    assert status == 200
    assert headers.get_content_type() == "application/x-ndjson"  # type: ignore[attr-defined]
    return [json.loads(line) for line in (text or b"").splitlines()]


def test_filters_and_pages(world: World) -> None:
    world.build()
    began = time.time()
    world.park.replies = [Reply(409)]
    world.until(world.by_hand("on", "a"), "failed", "error")
    middle = world.executions()[-1]["created_at"]
    world.dark("b", "c", "d")
    world.until(world.by_hand("off", "e", policy=True), "succeeded")
    world.until_states(("failed", "error"), *[DONE] * 4)

    def found(**filters: str) -> list[str]:
        return [one["args"]["positional"][0] for one in world.executions(**filters)]

    assert sorted(found()) == ["a", "b", "c", "d", "e"]
    assert found(state="failed") == found(reason="error") == ["a"]
    assert found(state="failed,succeeded") == found()
    assert sorted(found(policy=world.name)) == ["b", "c", "d", "e"]
    assert found(action="off") == ["e"]
    assert sorted(found(since=repr(middle), state="succeeded")) == ["b", "c", "d", "e"]
    assert found(until=repr(middle)) == []
    assert found(since=repr(began), until=repr(time.time() + 60)) == found()
    assert found(set="nothing") == []
    assert world.request("GET", "/v1/executions?state=gone")[0] == 400
    assert world.request("GET", "/v1/executions?reason=gone")[0] == 400
    assert world.request("GET", "/v1/executions?since=now")[0] == 400

    for order in ("", "&sort=created_at"):
        whole = world.ok("GET", f"/v1/executions?service={world.lamps}{order}")["results"]
        path, pages = f"/v1/executions?service={world.lamps}&limit=2{order}", []
        while path:
            page = world.ok("GET", path)
            pages.append(page["results"])
            path = next((link["href"] for link in page.get("links", []) if link["rel"] == "next"), "")
            path = path.removeprefix(world.server.url)
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [one for page in pages for one in page] == whole
        assert [one["id"] for one in whole] == [one["id"] for one in world.executions()][:: 1 if order else -1]


def test_an_export_has_everything_with_its_trail(world: World) -> None:
    world.build(policy={"max_rows": None}, service={"max_rows": None, "concurrency": 5})
    lamps = [f"l{n}" for n in range(30)]
    world.dark(*lamps)
    world.until_states(*[DONE] * 30)
    world.guard_policy(mode="propose")
    world.rows("odd", "z")
    world.the_set(1)
    exported = lines(world, f"/v1/executions/export?service={world.lamps}")
    assert len(exported) == 31
    assert [one["state"] for one in exported] == ["proposed"] + ["succeeded"] * 30
    for one in exported:
        trail = one.pop("trail")
        assert [line["number"] for line in trail] == list(range(1, len(trail) + 1))
        assert trail[-1]["after"] == one["state"]
        assert all(line["before"] == before["after"] for before, line in pairwise(trail))
    assert exported == world.executions()[::-1]
    assert len(lines(world, f"/v1/executions/export?service={world.lamps}&state=proposed")) == 1
    assert lines(world, "/v1/executions/export?service=nobody") == []


def test_a_dry_run_tells_what_would_happen(world: World) -> None:
    world.build(policy={"max_rows": 2})
    rule = world.ok("GET", f"/v1/policies/{world.name}/rules")["results"][0]["id"]
    world.ok("DELETE", f"/v1/policies/{world.name}/rules/{rule}")
    world.rows("odd", "a")  # flashes
    [known] = world.until_states(DONE)
    world.add_rule("execute[lamps:on(x)] :- eyes:dark(x)")

    def foreseen() -> dict[str, tuple[str, str | None]]:
        found = world.ok("POST", f"/v1/policies/{world.name}?action=dry-run")["results"]
        return {one["args"]["positional"][0]: (one["verdict"], one["reason"]) for one in found}

    assert foreseen() == {"a": ("known", None)}
    told = world.ok("POST", f"/v1/policies/{world.name}?action=dry-run")["results"][0]
    assert (told["execution"], told["action"]) == (known["id"], "flash")
    assert told["proof"]["rule"].startswith(f"execute[{world.lamps}:flash(x)]")

    world.guard_policy(mode="monitor")
    world.dark("b", "c", "d")
    world.until_states(DONE, *[("held", "mode_monitor")] * 3)
    expected = {"a": ("known", None), **dict.fromkeys("bcd", ("known", "mode_monitor"))}
    assert foreseen() == expected
    world.rows("odd", "a", "b")
    world.until_states(DONE, *[("held", "mode_monitor")] * 4)
    assert world.request("POST", "/v1/policies/nobody?action=dry-run")[0] == 404
    remains(world.asked, ["flash/a"])


def test_a_dry_run_of_what_nobody_has_asked_for_yet(world: World) -> None:
    """Rows that wait for a table to settle have not been asked for: the guard says what it would say."""
    world.build("p(x) :- eyes:dark(x)", policy={"max_rows": 1}, unknown="odd")
    world.add_rule("execute[lamps:on(x)] :- p(x), not eyes:odd(x)")  # nobody knows yet what is odd
    world.dark("a", "b")

    def foreseen() -> list[tuple[str, str | None, str | None]]:
        found = world.ok("POST", f"/v1/policies/{world.name}?action=dry-run")["results"]
        return [(one["verdict"], one["reason"], one["execution"]) for one in found]

    wait(lambda: len(foreseen()) == 2)
    assert foreseen() == [("held", "blast_radius", None)] * 2
    world.guard_policy(mode="propose")
    assert foreseen() == [("proposed", "mode_propose", None)] * 2
    world.guard_policy(mode="enforce", max_rows=2)
    assert foreseen() == [("approved", None, None)] * 2
    assert world.executions() == []
    world.rows("odd", "b")
    world.until_states(DONE)
    assert world.asked() == ["on/a"]


def test_policies_react_to_what_failed(world: World) -> None:
    """A lamp that cannot be switched on flashes instead: by a rule that reads the ledger."""
    world.build()
    world.add_rule(
        "broken(s) :- congress:executions(id=i, policy=p, service=s, action='on', state='failed', reason='error'),"
        f" equal(p, '{world.name}')"
    )
    world.add_rule("execute[lamps:flash(x)] :- broken(s), eyes:dark(x)")
    world.rows("odd")  # nothing is odd: until that is known, nothing flashes
    world.park.replies = [Reply(409)]
    world.dark("a")
    world.until_states(("failed", "error"), DONE)
    assert world.asked() == ["flash/a", "on/a"]


def test_holds_and_breakers_are_tables(world: World) -> None:
    world.build(policy={"mode": "propose"})
    world.add_rule(f"waits(e, r) :- congress:holds(execution=e, service='{world.lamps}', reason=r)")
    world.add_rule(f"sick(s) :- congress:breakers(service='{world.lamps}', state=s)")
    world.set_breaker("open")
    world.server.until(f"/v1/policies/{world.name}/tables/sick/rows", [["open"]])
    world.dark("a")
    [execution] = [one["id"] for one in wait(world.executions)]
    waits = f"/v1/policies/{world.name}/tables/waits/rows"
    world.server.until(waits, [[execution, "mode_propose"]])
    world.approve(world.the_set(1))
    world.server.until(waits, [[execution, "breaker"]])
    world.set_breaker("close")
    world.server.until(waits, [])
    world.server.until(f"/v1/policies/{world.name}/tables/sick/rows", [])
    world.until_states(DONE)


def samples(world: World) -> dict[str, float]:
    status, text, _ = world.request("GET", "/metrics")
    assert status == 200
    found = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


@pytest.mark.parametrize("state", ["succeeded", "failed"])
def test_metrics_count_what_ended(world: World, state: str) -> None:
    world.build()
    world.park.always = Reply() if state == "succeeded" else Reply(409)
    world.dark("a", "b")
    wait(world.states, lambda found: [one[0] for one in found] == [state, state])
    name = f'congress_executions_finished_total{{service="{world.lamps}",state="{state}"}}'
    assert wait(lambda: samples(world).get(name)) == 2
    took = f'congress_execution_seconds_count{{service="{world.lamps}"}}'
    assert samples(world).get(took, 0) == (2 if state == "succeeded" else 0)


def test_metrics_tell_what_waits(world: World) -> None:
    world.build(policy={"mode": "propose"})
    before = samples(world).get('congress_executions_open{state="proposed"}', 0)
    world.dark("a", "b")
    found = world.the_set(2)
    assert samples(world)['congress_executions_open{state="proposed"}'] == before + 2
    world.set_breaker("open")
    world.approve(found)
    world.until_states(("held", "breaker"), ("held", "breaker"))
    now = samples(world)
    assert now['congress_executions_held{reason="breaker"}'] >= 2
    assert now[f'congress_breaker_open{{service="{world.lamps}"}}'] == 1
    world.set_breaker("close")
    world.until_states(DONE, DONE)
    assert f'congress_breaker_open{{service="{world.lamps}"}}' not in samples(world)
