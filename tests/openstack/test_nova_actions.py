# SPDX-License-Identifier: Apache-2.0
"""Every action of the nova driver, for real: what Nova says afterwards, and what the hypervisor was told."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from congress.cloudservices.errors import ActionFailed
from tests.cloudservices.running import Running
from tests.openstack.play import Play, Scenarios
from tests.openstack.raw import Hypervisors, Json, wait
from tests.openstack.stage import Stage

pytestmark = pytest.mark.openstack


class NovaPlay(Play):
    """With a server to act on, and what its hypervisor was told."""

    def __init__(self, nova: Running, stage: Stage, hypervisors: Hypervisors) -> None:
        super().__init__(nova, stage)
        self.hypervisors = hypervisors
        self.began = time.time() - 0.5

    @property
    def server(self) -> str:
        return self.stage.shared_server

    def told(self, call: str, server: str | None = None, **more: Any) -> None:
        """The hypervisor was told so."""
        if not self.hypervisors.known:
            return
        calls = self.hypervisors.calls(server or self.server, self.began)
        assert call in [c["call"] for c in calls], calls
        found = next(c for c in reversed(calls) if c["call"] == call)
        assert {key: found[key] for key in more} == more

    def settle(self, *states: str, server: str | None = None) -> Json:
        return self.stage.settle(server or self.server, *states)

    def act(self, **action: Any) -> Any:
        return self.stage.act(self.server, **action)


scenario: Scenarios[NovaPlay] = Scenarios()


@pytest.fixture
def play(nova: Running, stage: Stage, hypervisors: Hypervisors) -> Iterator[NovaPlay]:
    stage.settle(stage.shared_server)
    yield NovaPlay(nova, stage, hypervisors)
    stage.settle(stage.shared_server)


def test_every_action_has_a_scenario(nova: Running) -> None:
    assert {action.name for action in nova.driver.actions()} == scenario.keys()


# Power and state ----------------------------------------------------------------------------------------


@scenario("servers.pause")
def pause(play: NovaPlay) -> None:
    play.do("servers.pause", play.server)
    assert play.settle("PAUSED")
    play.told("pause")
    with pytest.raises(ActionFailed, match="vm_state paused") as caught:
        play.service.execute("servers.pause", play.server)
    assert not caught.value.retryable
    play.act(unpause=None)


@scenario("servers.unpause")
def unpause(play: NovaPlay) -> None:
    play.act(pause=None)
    play.settle("PAUSED")
    play.do("servers.unpause", play.server)
    play.settle()
    play.told("unpause")


@scenario("servers.suspend")
def suspend(play: NovaPlay) -> None:
    play.do("servers.suspend", play.server)
    play.settle("SUSPENDED")
    play.told("suspend")
    play.act(resume=None)


@scenario("servers.resume")
def resume(play: NovaPlay) -> None:
    play.act(suspend=None)
    play.settle("SUSPENDED")
    play.do("servers.resume", play.server)
    play.settle()
    play.told("resume")


@scenario("servers.stop")
def stop(play: NovaPlay) -> None:
    play.do("servers.stop", play.server)
    play.settle("SHUTOFF")
    play.told("power_off")
    play.act(**{"os-start": None})


@scenario("servers.start")
def start(play: NovaPlay) -> None:
    play.act(**{"os-stop": None})
    play.settle("SHUTOFF")
    play.do("servers.start", play.server)
    play.settle()
    play.told("power_on")


@scenario("servers.reboot")
def reboot(play: NovaPlay) -> None:
    play.do("servers.reboot", play.server, "HARD")
    play.settle()
    play.told("reboot", type="HARD")


@scenario("servers.lock")
def lock(play: NovaPlay) -> None:
    play.do("servers.lock", play.server, reason="under investigation")
    found = play.stage.look(play.server, "2.73")
    assert (found["locked"], found["locked_reason"]) == (True, "under investigation")
    play.act(unlock=None)


@scenario("servers.unlock")
def unlock(play: NovaPlay) -> None:
    play.act(lock=None)
    play.do("servers.unlock", play.server)
    assert play.stage.look(play.server)["locked"] is False


@scenario("servers.rescue")
def rescue(play: NovaPlay) -> None:
    play.do("servers.rescue", play.server, play.stage.disk["id"])
    play.settle("RESCUE")
    play.act(unrescue=None)


@scenario("servers.unrescue")
def unrescue(play: NovaPlay) -> None:
    play.act(rescue={})
    play.settle("RESCUE")
    play.do("servers.unrescue", play.server)
    play.settle()


@scenario("servers.shelve")
def shelve(play: NovaPlay) -> None:
    server = play.stage.server()
    play.do("servers.shelve", server)
    play.settle("SHELVED", "SHELVED_OFFLOADED", server=server)
    play.told("power_off", server)


@scenario("servers.shelve_offload")
def shelve_offload(play: NovaPlay) -> None:
    """Nova offloads at once where ``shelved_offload_time`` is 0, as is the default: then it is done already."""
    server = play.stage.server()
    play.stage.act(server, shelve=None)
    play.settle("SHELVED", "SHELVED_OFFLOADED", server=server)
    wait("offloaded", lambda: play.service.verify("servers.shelve_offload", server) == "done")
    with pytest.raises(ActionFailed, match="vm_state shelved_offloaded"):
        play.service.execute("servers.shelve_offload", server)
    play.told("destroy", server)


@scenario("servers.unshelve")
def unshelve(play: NovaPlay) -> None:
    server = play.stage.server()
    play.stage.act(server, shelve=None)
    play.settle("SHELVED_OFFLOADED", server=server)
    play.do("servers.unshelve", server, "nova")
    play.settle(server=server)


@scenario("servers.reset_state")
def reset_state(play: NovaPlay) -> None:
    play.service.execute("servers.reset_state", play.server)
    play.settle("ERROR")
    play.service.execute("servers.reset_state", play.server, "active")
    play.settle()


@scenario("servers.trigger_crash_dump")
def trigger_crash_dump(play: NovaPlay) -> None:
    play.do("servers.trigger_crash_dump", play.server)
    done = wait("crash dump", lambda: _done(play, "trigger_crash_dump"))
    assert done["message"] is None


def _done(play: NovaPlay, action: str) -> Json | None:
    """Nova's own record of an action, when it is finished."""
    listed = play.raw.get("compute", f"/servers/{play.server}/os-instance-actions", "instanceActions", "2.58")
    mine = [a for a in listed if a["action"] == action]
    if not mine:
        return None
    path = f"/servers/{play.server}/os-instance-actions/{mine[0]['request_id']}"
    found: Json = play.raw.get("compute", path, "instanceAction", "2.58")
    return found if all(event["finish_time"] for event in found["events"]) and found["events"] else None


# Life ---------------------------------------------------------------------------------------------------


@scenario("servers.create")
def create(play: NovaPlay) -> None:
    stage = play.stage
    made = play.do(
        "servers.create",
        name=f"{stage.name}-new",
        image=stage.disk["id"],
        flavor=stage.small["name"],
        network=stage.net["id"],
        metadata='{"owner": "alice"}',
        security_groups='["default"]',
        availability_zone="nova",
    )
    stage.forget(f"compute/servers/{made['id']}")
    found = play.settle(server=made["id"])
    assert (found["name"], found["metadata"]) == (f"{stage.name}-new", {"owner": "alice"})
    play.told("spawn", made["id"])


@scenario("servers.delete")
def delete(play: NovaPlay) -> None:
    server = play.stage.server()
    play.do("servers.delete", server)
    wait("gone", lambda: play.raw.status("compute", f"/servers/{server}") == 404)
    wait("its ports gone", lambda: not play.stage.ports(server))
    play.told("destroy", server)


@scenario("servers.force_delete")
def force_delete(play: NovaPlay) -> None:
    server = play.stage.server()
    play.do("servers.force_delete", server)
    wait("gone", lambda: play.raw.status("compute", f"/servers/{server}") == 404)
    play.told("destroy", server)


@scenario("servers.update")
def update(play: NovaPlay) -> None:
    play.do("servers.update", play.server, f"{play.stage.name}-renamed")
    play.service.execute("servers.update", play.server, description="renamed")
    found = play.stage.look(play.server)
    assert (found["name"], found["description"]) == (f"{play.stage.name}-renamed", "renamed")


@scenario("servers.rebuild")
def rebuild(play: NovaPlay) -> None:
    image = play.stage.image()["id"]
    play.do("servers.rebuild", play.server, image)
    wait("rebuilt", lambda: play.stage.look(play.server)["image"]["id"] == image)
    play.settle()
    play.told("spawn")


@scenario("servers.create_image")
def create_image(play: NovaPlay) -> None:
    image = play.do("servers.create_image", play.server, f"{play.stage.name}-snap", '{"case": "17"}')["image_id"]
    play.stage.forget(f"image/images/{image}")
    play.settle()
    found = play.raw.get("image", f"/images/{image}")
    assert (found["name"], found["case"]) == (f"{play.stage.name}-snap", "17")


@scenario("servers.backup")
def backup(play: NovaPlay) -> None:
    name = f"{play.stage.name}-backup"
    play.do("servers.backup", play.server, name, "daily", 2)
    path = f"/images?name={name}"
    found = wait("backup", lambda: play.raw.get("image", path, "images"))
    play.stage.forget(f"image/images/{found[0]['id']}")
    assert found[0]["backup_type"] == "daily"
    play.settle()


# Size and place -----------------------------------------------------------------------------------------


@scenario("servers.resize")
def resize(play: NovaPlay) -> None:
    play.do("servers.resize", play.server, play.stage.big["name"])
    play.settle("VERIFY_RESIZE")
    assert play.stage.look(play.server)["flavor"]["id"] == play.stage.big["id"]
    play.act(revertResize=None)


@scenario("servers.confirm_resize")
def confirm_resize(play: NovaPlay) -> None:
    server = play.stage.server()
    play.stage.act(server, resize={"flavorRef": play.stage.big["id"]})
    play.settle("VERIFY_RESIZE", server=server)
    play.do("servers.confirm_resize", server)
    assert play.settle(server=server)["flavor"]["id"] == play.stage.big["id"]


@scenario("servers.revert_resize")
def revert_resize(play: NovaPlay) -> None:
    play.act(resize={"flavorRef": play.stage.big["id"]})
    play.settle("VERIFY_RESIZE")
    play.do("servers.revert_resize", play.server)
    assert play.settle()["flavor"]["id"] == play.stage.small["id"]


def _hosts(play: NovaPlay, server: str) -> tuple[str, str]:
    """Where a server is, and another host.  Skips where there is none."""
    here: str = play.stage.look(server)["OS-EXT-SRV-ATTR:host"]
    services = play.raw.get("compute", "/os-services?binary=nova-compute", "services", "2.26")
    others = [s["host"] for s in services if s["host"] != here and (s["status"], s["state"]) == ("enabled", "up")]
    if not others:
        pytest.skip("the cloud has one compute host only")
    return here, others[0]


@scenario("servers.migrate")
def migrate(play: NovaPlay) -> None:
    server = play.stage.server()
    _, there = _hosts(play, server)
    play.do("servers.migrate", server, there)
    assert play.settle("VERIFY_RESIZE", server=server)["OS-EXT-SRV-ATTR:host"] == there
    play.stage.act(server, confirmResize=None)
    play.settle(server=server)


@scenario("servers.live_migrate")
def live_migrate(play: NovaPlay) -> None:
    server = play.stage.server()
    _, there = _hosts(play, server)
    play.do("servers.live_migrate", server, there)
    assert play.settle(server=server)["OS-EXT-SRV-ATTR:host"] == there


@scenario("servers.evacuate")
def evacuate(play: NovaPlay) -> None:
    server = play.stage.server()
    here, there = _hosts(play, server)
    with play.hypervisors.host_down(here):
        body = {"host": here, "binary": "nova-compute", "forced_down": True}
        play.raw.ask("PUT", "compute", "/os-services/force-down", body, "2.26")
        play.do("servers.evacuate", server, there)
        assert play.settle(server=server)["OS-EXT-SRV-ATTR:host"] == there
        play.told("spawn", server, host=there)
    # Nova takes the host back when it has come up again and has noticed that the server went.
    back = {**body, "forced_down": False}
    answered = wait("host up again", lambda: play.raw.try_put("compute", "/os-services/force-down", back, "2.26"))
    assert answered
    wait("compute up", lambda: _service(play, here)["state"] == "up")


# Network ------------------------------------------------------------------------------------------------


@scenario("servers.interface_attach")
def interface_attach(play: NovaPlay) -> None:
    port = play.stage.port(play.stage.other_net)["id"]
    assert play.do("servers.interface_attach", play.server, port) == {"port_id": port}
    made = play.do("servers.interface_attach", play.server, net_id=play.stage.other_net["id"], tag="dmz")
    assert {port, made["port_id"]} <= play.stage.ports(play.server).keys()
    for attached in (port, made["port_id"]):
        play.raw.ask("DELETE", "compute", f"/servers/{play.server}/os-interface/{attached}")
        wait("detached", lambda gone=attached: gone not in play.stage.ports(play.server))  # type: ignore[misc]


@scenario("servers.interface_detach")
def interface_detach(play: NovaPlay) -> None:
    server, bystander = play.stage.server(), play.server
    ((port, _),) = play.stage.ports(server).items()
    before = play.stage.ports(bystander)
    play.do("servers.interface_detach", server, port)
    wait("port gone", lambda: not play.stage.ports(server))
    assert play.raw.status("network", f"/ports/{port}") == 404
    assert play.stage.ports(bystander) == before
    play.told("detach_interface", server, port=port)


@scenario("disconnectNetwork")
def disconnect_network(play: NovaPlay) -> None:
    stage = play.stage
    server = stage.server(
        networks=[{"uuid": stage.net["id"]}, {"uuid": stage.other_net["id"]}, {"uuid": stage.other_net["id"]}]
    )
    ports = stage.ports(server)
    other = {port for port, network in ports.items() if network == stage.other_net["id"]}
    gave = play.do("disconnectNetwork", server, stage.other_net["id"])
    assert set(gave["detached"]) == other
    wait("ports gone", lambda: stage.ports(server).keys() == ports.keys() - other)
    if play.hypervisors.known:
        calls = play.hypervisors.calls(server, play.began)
        assert {c["port"] for c in calls if c["call"] == "detach_interface"} == other
    assert play.service.execute("disconnectNetwork", server, stage.other_net["id"]) == {"detached": []}


def _groups(play: NovaPlay) -> set[str]:
    ports = play.raw.get("network", f"/ports?device_id={play.server}", "ports")
    return {group for port in ports for group in port["security_groups"]}


@scenario("servers.add_security_group")
def add_security_group(play: NovaPlay) -> None:
    group = play.stage.group["id"]
    play.do("servers.add_security_group", play.server, group)
    assert group in _groups(play)
    play.act(removeSecurityGroup={"name": group})
    wait("group removed", lambda: group not in _groups(play))


@scenario("servers.remove_security_group")
def remove_security_group(play: NovaPlay) -> None:
    group = play.stage.group["id"]
    play.act(addSecurityGroup={"name": group})
    wait("group added", lambda: group in _groups(play))
    play.do("servers.remove_security_group", play.server, group)
    assert group not in _groups(play)


# Metadata and tags --------------------------------------------------------------------------------------


@scenario("servers.set_meta")
def set_meta(play: NovaPlay) -> None:
    play.do("servers.set_meta", play.server, '{"quarantined": true, "level": 2}')
    found = play.stage.look(play.server)["metadata"]
    assert (found["app"], found["quarantined"], found["level"]) == ("web", "true", "2")


@scenario("servers_set_meta")
def set_meta_pairs(play: NovaPlay) -> None:
    play.do("servers_set_meta", play.server, "why", "policy 7", "grade", 3)
    found = play.stage.look(play.server)["metadata"]
    assert (found["why"], found["grade"]) == ("policy 7", "3")


@scenario("servers.delete_meta")
def delete_meta(play: NovaPlay) -> None:
    play.raw.ask("POST", "compute", f"/servers/{play.server}/metadata", {"metadata": {"x y": "1", "z": "2"}})
    play.do("servers.delete_meta", play.server, "x y", "z")
    assert not {"x y", "z"} & play.stage.look(play.server)["metadata"].keys()


def _tags(play: NovaPlay, *tags: str) -> None:
    play.raw.ask("PUT", "compute", f"/servers/{play.server}/tags", {"tags": list(tags)}, "2.26")


@scenario("servers.add_tag")
def add_tag(play: NovaPlay) -> None:
    _tags(play, "a")
    play.do("servers.add_tag", play.server, "unter prüfung")
    assert set(play.stage.look(play.server)["tags"]) == {"a", "unter prüfung"}


@scenario("servers.delete_tag")
def delete_tag(play: NovaPlay) -> None:
    _tags(play, "a b", "c")
    play.do("servers.delete_tag", play.server, "a b")
    assert play.stage.look(play.server)["tags"] == ["c"]
    _tags(play, "grün", "c")
    play.do("servers.delete_tag", play.server, "grün")
    assert play.stage.look(play.server)["tags"] == ["c"]


@scenario("servers.set_tags")
def set_tags(play: NovaPlay) -> None:
    _tags(play, "a")
    play.do("servers.set_tags", play.server, "b", "c")
    assert set(play.stage.look(play.server)["tags"]) == {"b", "c"}


@scenario("servers.delete_all_tags")
def delete_all_tags(play: NovaPlay) -> None:
    _tags(play, "a", "b")
    play.do("servers.delete_all_tags", play.server)
    assert play.stage.look(play.server)["tags"] == []


# Services, hosts, flavors -------------------------------------------------------------------------------


def _service(play: NovaPlay, host: str) -> Json:
    path = f"/os-services?host={host}&binary=nova-compute"
    (found,) = play.raw.get("compute", path, "services", "2.26")
    return dict(found)


@scenario("services.disable")
def services_disable(play: NovaPlay) -> None:
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    try:
        play.do("services.disable", host, "nova-compute", "broken disk")
        found = _service(play, host)
        assert (found["status"], found["disabled_reason"]) == ("disabled", "broken disk")
    finally:
        play.raw.ask("PUT", "compute", "/os-services/enable", {"host": host, "binary": "nova-compute"}, "2.26")


@scenario("services.disable_log_reason")
def services_disable_log_reason(play: NovaPlay) -> None:
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    try:
        play.do("services.disable_log_reason", host, "nova-compute", "old")
        assert _service(play, host)["disabled_reason"] == "old"
    finally:
        play.raw.ask("PUT", "compute", "/os-services/enable", {"host": host, "binary": "nova-compute"}, "2.26")


@scenario("services.enable")
def services_enable(play: NovaPlay) -> None:
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    play.raw.ask("PUT", "compute", "/os-services/disable", {"host": host, "binary": "nova-compute"}, "2.26")
    play.do("services.enable", host, "nova-compute")
    assert _service(play, host)["status"] == "enabled"


@scenario("services.force_down")
def services_force_down(play: NovaPlay) -> None:
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    play.do("services.force_down", host, "nova-compute")
    assert _service(play, host)["state"] == "down"
    play.do("services.force_down", host, "nova-compute", False)
    wait("compute up", lambda: _service(play, host)["state"] == "up")


@scenario("aggregates.add_host")
def aggregates_add_host(play: NovaPlay) -> None:
    aggregate = play.stage.make("compute", "/os-aggregates", "aggregate", name=play.stage.name)["id"]
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    play.do("aggregates.add_host", aggregate, host)
    assert play.raw.get("compute", f"/os-aggregates/{aggregate}", "aggregate")["hosts"] == [host]
    play.raw.ask("POST", "compute", f"/os-aggregates/{aggregate}/action", {"remove_host": {"host": host}})


@scenario("aggregates.remove_host")
def aggregates_remove_host(play: NovaPlay) -> None:
    name = f"{play.stage.name}-2"
    aggregate = play.stage.make("compute", "/os-aggregates", "aggregate", name=name)["id"]
    host = play.stage.look(play.server)["OS-EXT-SRV-ATTR:host"]
    play.raw.ask("POST", "compute", f"/os-aggregates/{aggregate}/action", {"add_host": {"host": host}})
    play.do("aggregates.remove_host", aggregate, host)
    assert play.raw.get("compute", f"/os-aggregates/{aggregate}", "aggregate")["hosts"] == []


@scenario("flavors.create")
def flavors_create(play: NovaPlay) -> None:
    made = play.do("flavors.create", f"{play.stage.name}-new", 64, 1, 2, rxtx_factor=1.5, is_public=False)
    play.stage.forget(f"compute/flavors/{made['id']}")
    found = play.raw.get("compute", f"/flavors/{made['id']}", "flavor")
    assert (found["ram"], found["vcpus"], found["disk"], found["rxtx_factor"]) == (64, 1, 2, 1.5)
    assert found["os-flavor-access:is_public"] is False


def _flavor(play: NovaPlay, suffix: str, **more: Any) -> str:
    name = f"{play.stage.name}-{suffix}"
    return str(play.stage.make("compute", "/flavors", "flavor", name=name, vcpus=1, ram=64, disk=1, **more)["id"])


@scenario("flavors.update")
def flavors_update(play: NovaPlay) -> None:
    flavor = _flavor(play, "described")
    play.do("flavors.update", flavor, "for tests")
    assert play.raw.get("compute", f"/flavors/{flavor}", "flavor", "2.55")["description"] == "for tests"


@scenario("flavors.delete")
def flavors_delete(play: NovaPlay) -> None:
    flavor = _flavor(play, "gone")
    play.do("flavors.delete", flavor)
    assert play.raw.status("compute", f"/flavors/{flavor}") == 404


def _access(play: NovaPlay, flavor: str) -> list[str]:
    found = play.raw.get("compute", f"/flavors/{flavor}/os-flavor-access", "flavor_access")
    return [entry["tenant_id"] for entry in found]


@scenario("flavor_access.add_tenant_access")
def add_tenant_access(play: NovaPlay) -> None:
    flavor = _flavor(play, "own", **{"os-flavor-access:is_public": False})
    play.do("flavor_access.add_tenant_access", flavor, play.raw.project_id)
    assert _access(play, flavor) == [play.raw.project_id]


@scenario("flavor_access.remove_tenant_access")
def remove_tenant_access(play: NovaPlay) -> None:
    flavor = _flavor(play, "lost", **{"os-flavor-access:is_public": False})
    body = {"addTenantAccess": {"tenant": play.raw.project_id}}
    play.raw.ask("POST", "compute", f"/flavors/{flavor}/action", body)
    play.do("flavor_access.remove_tenant_access", flavor, play.raw.project_id)
    assert _access(play, flavor) == []


@pytest.mark.parametrize("action", scenario)
def test_action(action: str, play: NovaPlay) -> None:
    scenario[action](play)
