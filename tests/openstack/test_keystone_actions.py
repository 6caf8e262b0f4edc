# SPDX-License-Identifier: Apache-2.0
"""Every action of the keystone driver, for real, and what Keystone says afterwards."""

from typing import Any

import pytest

from tests.cloudservices.running import Running
from tests.openstack.play import Play, Scenarios
from tests.openstack.stage import Stage

pytestmark = pytest.mark.openstack

scenario: Scenarios[Play] = Scenarios()


@pytest.fixture
def play(keystone: Running, stage: Stage) -> Play:
    return Play(keystone, stage)


def test_every_action_has_a_scenario(keystone: Running) -> None:
    assert {action.name for action in keystone.driver.actions()} == scenario.keys()


@pytest.mark.parametrize("action", scenario)
def test_action(action: str, play: Play) -> None:
    scenario[action](play)


def _look(play: Play, kind: str, thing: str) -> dict[str, Any]:
    return dict(play.raw.get("identity", f"/{kind}s/{thing}", kind))


def _new(play: Play, kind: str, suffix: str, **more: Any) -> str:
    """Something made by plain HTTP."""
    name = f"{play.stage.name}-{suffix}"
    return str(play.stage.make("identity", f"/{kind}s", kind, name=name, **more)["id"])


def _made(play: Play, kind: str, gave: dict[str, str]) -> dict[str, Any]:
    """Something made by the driver."""
    play.stage.forget(f"identity/{kind}s/{gave['id']}")
    return _look(play, kind, gave["id"])


def _gone(play: Play, kind: str, thing: str) -> bool:
    return play.raw.status("identity", f"/{kind}s/{thing}") == 404


# Users


@scenario("users.create")
def users_create(play: Play) -> None:
    name = f"{play.stage.name}-ada"
    found = _made(play, "user", play.do("users.create", name=name, email="ada@example.org", enabled=False))
    assert (found["name"], found["email"], found["enabled"]) == (name, "ada@example.org", False)


@scenario("users.update")
def users_update(play: Play) -> None:
    user = _new(play, "user", "u1")
    play.do("users.update", user, email="bob@example.org", description="Bob")
    found = _look(play, "user", user)
    assert (found["email"], found["description"], found["enabled"]) == ("bob@example.org", "Bob", True)


@scenario("users.disable")
def users_disable(play: Play) -> None:
    user = _new(play, "user", "u2")
    play.do("users.disable", user)
    assert _look(play, "user", user)["enabled"] is False


@scenario("users.enable")
def users_enable(play: Play) -> None:
    user = _new(play, "user", "u3", enabled=False)
    play.do("users.enable", user)
    assert _look(play, "user", user)["enabled"] is True


@scenario("users.delete")
def users_delete(play: Play) -> None:
    user = _new(play, "user", "u4")
    play.do("users.delete", user)
    assert _gone(play, "user", user)


def _members(play: Play, group: str) -> list[str]:
    return [user["id"] for user in play.raw.get("identity", f"/groups/{group}/users", "users")]


@scenario("users.add_to_group")
def users_add_to_group(play: Play) -> None:
    user, group = _new(play, "user", "u5"), _new(play, "group", "g5")
    play.do("users.add_to_group", user, group)
    assert _members(play, group) == [user]


@scenario("users.remove_from_group")
def users_remove_from_group(play: Play) -> None:
    user, group = _new(play, "user", "u6"), _new(play, "group", "g6")
    play.raw.ask("PUT", "identity", f"/groups/{group}/users/{user}")
    play.do("users.remove_from_group", user, group)
    assert _members(play, group) == []


# Projects


@scenario("projects.create")
def projects_create(play: Play) -> None:
    name = f"{play.stage.name}-new"
    found = _made(play, "project", play.do("projects.create", name, "default", "a test's"))
    assert (found["name"], found["description"], found["enabled"]) == (name, "a test's", True)


@scenario("projects.update")
def projects_update(play: Play) -> None:
    project = _new(play, "project", "p1")
    play.do("projects.update", project, description="changed")
    assert _look(play, "project", project)["description"] == "changed"


@scenario("projects.disable")
def projects_disable(play: Play) -> None:
    project = _new(play, "project", "p2")
    play.do("projects.disable", project)
    assert _look(play, "project", project)["enabled"] is False


@scenario("projects.enable")
def projects_enable(play: Play) -> None:
    project = _new(play, "project", "p3", enabled=False)
    play.do("projects.enable", project)
    assert _look(play, "project", project)["enabled"] is True


@scenario("projects.delete")
def projects_delete(play: Play) -> None:
    project = _new(play, "project", "p4")
    play.do("projects.delete", project)
    assert _gone(play, "project", project)


# Domains


@scenario("domains.create")
def domains_create(play: Play) -> None:
    found = _made(play, "domain", play.do("domains.create", f"{play.stage.name}-d1", enabled=False))
    assert (found["name"], found["enabled"]) == (f"{play.stage.name}-d1", False)


@scenario("domains.update")
def domains_update(play: Play) -> None:
    domain = _new(play, "domain", "d2")
    play.do("domains.update", domain, enabled=False, description="closed")
    found = _look(play, "domain", domain)
    assert (found["description"], found["enabled"]) == ("closed", False)


@scenario("domains.delete")
def domains_delete(play: Play) -> None:
    domain = _new(play, "domain", "d3", enabled=False)
    play.do("domains.delete", domain)
    assert _gone(play, "domain", domain)


# Roles


@scenario("roles.create")
def roles_create(play: Play) -> None:
    found = _made(play, "role", play.do("roles.create", f"{play.stage.name}-r1", "a test's"))
    assert found["description"] == "a test's"


@scenario("roles.delete")
def roles_delete(play: Play) -> None:
    role = _new(play, "role", "r2")
    play.do("roles.delete", role)
    assert _gone(play, "role", role)


def _assigned(play: Play, role: str) -> list[dict[str, Any]]:
    found = play.raw.get("identity", f"/role_assignments?role.id={role}", "role_assignments")
    return [{key: value for key, value in entry.items() if key != "links"} for entry in found]


@scenario("roles.grant")
def roles_grant(play: Play) -> None:
    role, user, project = _new(play, "role", "r3"), _new(play, "user", "u7"), _new(play, "project", "p5")
    play.do("roles.grant", role, user, project)
    wanted = {"scope": {"project": {"id": project}}, "user": {"id": user}, "role": {"id": role}}
    assert _assigned(play, role) == [wanted]
    group, domain = _new(play, "group", "g7"), _new(play, "domain", "d4", enabled=False)
    play.do("roles.grant", role=role, group=group, domain=domain)
    assert {"scope": {"domain": {"id": domain}}, "group": {"id": group}, "role": {"id": role}} in _assigned(play, role)


@scenario("roles.revoke")
def roles_revoke(play: Play) -> None:
    role, user, project = _new(play, "role", "r4"), _new(play, "user", "u8"), _new(play, "project", "p6")
    play.raw.ask("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role}")
    play.do("roles.revoke", role, user, project)
    assert _assigned(play, role) == []
