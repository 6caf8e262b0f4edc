# SPDX-License-Identifier: Apache-2.0
"""Every action of the glance driver, for real, and what Glance says afterwards."""

from typing import Any

import pytest

from congress.cloudservices.errors import ActionFailed
from tests.cloudservices.running import Running
from tests.openstack.play import Play, Scenarios
from tests.openstack.stage import Stage

pytestmark = pytest.mark.openstack

scenario: Scenarios[Play] = Scenarios()


@pytest.fixture
def play(glance: Running, stage: Stage) -> Play:
    return Play(glance, stage)


def test_every_action_has_a_scenario(glance: Running) -> None:
    assert {action.name for action in glance.driver.actions()} == scenario.keys()


@pytest.mark.parametrize("action", scenario)
def test_action(action: str, play: Play) -> None:
    scenario[action](play)


def _new(play: Play, **more: Any) -> str:
    return str(play.stage.image(**more)["id"])


def _look(play: Play, image: str) -> dict[str, Any]:
    return dict(play.raw.get("image", f"/images/{image}"))


@scenario("images.update")
def images_update(play: Play) -> None:
    image = _new(play, os_version="11", hw_disk_bus="ide")
    play.do("images.update", image, '{"name": "golden", "hw_disk_bus": "virtio", "os_version": null, "min_ram": 64}')
    found = _look(play, image)
    assert (found["name"], found["hw_disk_bus"], found["min_ram"]) == ("golden", "virtio", 64)
    assert "os_version" not in found


@scenario("images.set_visibility")
def images_set_visibility(play: Play) -> None:
    image = _new(play, visibility="public")
    play.do("images.set_visibility", image, "private")
    assert _look(play, image)["visibility"] == "private"


@scenario("images.protect")
def images_protect(play: Play) -> None:
    image = _new(play)
    play.do("images.protect", image)
    try:
        with pytest.raises(ActionFailed, match=r"HTTP 403: Image .* is protected and cannot be deleted"):
            play.service.execute("images.delete", image)
    finally:
        play.service.execute("images.unprotect", image)


@scenario("images.unprotect")
def images_unprotect(play: Play) -> None:
    image = _new(play, protected=True)
    play.do("images.unprotect", image)
    assert _look(play, image)["protected"] is False


@scenario("images.deactivate")
def images_deactivate(play: Play) -> None:
    image = _new(play)
    play.do("images.deactivate", image)
    assert _look(play, image)["status"] == "deactivated"


@scenario("images.reactivate")
def images_reactivate(play: Play) -> None:
    image = _new(play)
    play.raw.ask("POST", "image", f"/images/{image}/actions/deactivate")
    play.do("images.reactivate", image)
    assert _look(play, image)["status"] == "active"


@scenario("images.delete")
def images_delete(play: Play) -> None:
    image = _new(play)
    play.do("images.delete", image)
    assert play.raw.status("image", f"/images/{image}") == 404


def _tag(play: Play, action: str) -> None:
    image = _new(play, tags=["a"])
    play.do(action, image, "zu prüfen")
    assert set(_look(play, image)["tags"]) == {"a", "zu prüfen"}


def _untag(play: Play, action: str) -> None:
    image = _new(play, tags=["a", "zu prüfen"])
    play.do(action, image, "zu prüfen")
    assert _look(play, image)["tags"] == ["a"]


scenario("images.add_tag")(lambda play: _tag(play, "images.add_tag"))
scenario("image_tags.update")(lambda play: _tag(play, "image_tags.update"))
scenario("images.delete_tag")(lambda play: _untag(play, "images.delete_tag"))
scenario("image_tags.delete")(lambda play: _untag(play, "image_tags.delete"))


def _members(play: Play, image: str) -> list[str]:
    return [member["member_id"] for member in play.raw.get("image", f"/images/{image}/members", "members")]


@scenario("image_members.create")
def image_members_create(play: Play) -> None:
    image = _new(play, visibility="shared")
    play.do("image_members.create", image, play.raw.project_id)
    assert _members(play, image) == [play.raw.project_id]


@scenario("image_members.delete")
def image_members_delete(play: Play) -> None:
    image = _new(play, visibility="shared")
    play.raw.ask("POST", "image", f"/images/{image}/members", {"member": play.raw.project_id})
    play.do("image_members.delete", image, play.raw.project_id)
    assert _members(play, image) == []
