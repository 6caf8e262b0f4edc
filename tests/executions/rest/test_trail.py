# SPDX-License-Identifier: Apache-2.0
"""The trail says who: people by their names, none of which can be taken for the guard, the ledger or a policy."""

from collections.abc import Iterator

import pytest

from tests.api.auth import hashed, write_users
from tests.executions.rest.lamps import City, Reply
from tests.executions.rest.world import World
from tests.server.daemon import Server, serving
from tests.server.test_auth import header

CONF = """
[DEFAULT]
auth_strategy = http_basic
[http_basic]
users_file = {0}/users
roles_file = {0}/roles
"""
NAMES = ("guard", "ledger", "policy", "somebody", "ann")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("secured")
    users = "".join(f"{name}:{hashed('x')}\n" for name in NAMES)
    write_users(folder, more=users, more_roles=f"admin: {' '.join(NAMES)}\n")
    (folder / "congress.conf").write_text(CONF.format(folder))
    with serving(folder / "state", "--config-file", str(folder / "congress.conf")) as made:
        yield made


@pytest.fixture
def world(secured: Server, city: City) -> World:
    return World(secured, city, "trail", header("admin"))


def test_everybody_by_name(world: World) -> None:
    world.build(policy={"mode": "propose"}, service={"breaker_failures": None})

    def as_(name: str) -> World:
        world.login = header(name, "x")
        return world

    world.dark("a", "b")
    whole = world.the_set(2)
    as_("guard").approve(whole)
    for one in world.until_states("succeeded", "succeeded"):
        assert one["approved_by"] == "user guard"
        assert (None, "proposed", "policy trail") in world.trail(one["id"])
        assert ("proposed", "approved", "user guard") in world.trail(one["id"])
        assert ("queued", "running", "ledger") in world.trail(one["id"])

    world.dark("a", "b", "c", "d")
    world.the_set(2)
    first, second = world.executions(state="proposed")
    assert as_("policy").act(first["id"], "cancel")[0] == 200
    assert world.trail(first["id"])[-1] == ("proposed", "cancelled", "user policy")
    as_("ledger").reject(world.the_set(1))
    assert world.trail(second["id"])[-1] == ("proposed", "cancelled", "user ledger")

    by_hand = as_("ann").by_hand("on", "e")
    found = world.until(by_hand, "succeeded")
    assert (found["requested_by"], found["approved_by"]) == ("ann", "guard")
    assert world.trail(by_hand)[0][2] == "user ann"

    world.park.replies = [Reply(500), Reply(500)]
    doubt = as_("guard").by_hand("flash", "f")
    world.until(doubt, "held", "unknown")
    assert as_("ann").act(doubt, "settle", outcome="failed")[0] == 200
    assert world.trail(doubt)[-1] == ("held", "failed", "user ann")
    assert as_("ledger").act(doubt, "retry", detail="why not")[0] == 200
    assert ("failed", "failed", "user ledger") in world.trail(doubt)
    assert ("failed", "approved", "user ledger") in world.trail(doubt)
    assert world.trail(doubt)[0][2] == "user guard"

    as_("ann").set_breaker("open")
    assert world.breaker()["by"] == "ann"
    as_("ann").set_breaker("close")
    line = world.server.event("breaker.set")
    assert "user ann" in str(line)


def test_who_may_look_may_not_decide(world: World) -> None:
    admin = world.login
    names = {"reader": header("reader"), "member": header("member")}
    assert world.request("GET", "/v1/policies/trail/guard")[0] == 200
    for login in names.values():
        world.login = login
        assert world.request("GET", "/v1/executions")[0] == 200
        assert world.request("GET", "/v1/execution-sets")[0] == 200
        for method, path, body in (
            ("POST", "/v1/execution-sets/x?action=approve", {"digest": "x"}),
            ("POST", "/v1/execution-sets/x?action=reject", {}),
            ("POST", "/v1/executions/x?action=cancel", {}),
            ("POST", "/v1/executions/x?action=retry", {}),
            ("POST", "/v1/executions/x?action=settle", {"outcome": "failed"}),
            ("PUT", "/v1/policies/trail/guard", {}),
            ("PATCH", "/v1/policies/trail/guard", {}),
            ("DELETE", "/v1/policies/trail/guard", None),
            ("PUT", "/v1/cloud-services/trail_lamps/guard", {}),
            ("POST", "/v1/breakers/trail_lamps?action=open", {}),
            ("POST", "/v1/breakers/trail_lamps?action=close", {}),
            ("POST", "/v1/policies/trail?action=execute", {"name": "trail_lamps:on", "args": ["a"]}),
            ("POST", "/v1/cloud-services/trail_lamps?action=execute", {"name": "on", "args": ["a"]}),
        ):
            assert world.request(method, path, body)[0] == 403, path
    world.login = admin
    assert world.request("POST", "/v1/execution-sets/x?action=approve", {"digest": "x"})[0] == 404
