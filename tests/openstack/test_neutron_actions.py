# SPDX-License-Identifier: Apache-2.0
"""Every action of the neutron driver, for real, and what Neutron says afterwards."""

from typing import Any

import orjson
import pytest

from congress.cloudservices.errors import ActionFailed
from tests.cloudservices.running import Running
from tests.openstack.play import Play, Scenarios
from tests.openstack.stage import Stage

pytestmark = pytest.mark.openstack

scenario: Scenarios[Play] = Scenarios()


@pytest.fixture
def play(neutron: Running, stage: Stage) -> Play:
    return Play(neutron, stage)


def test_every_action_has_a_scenario(neutron: Running) -> None:
    assert {action.name for action in neutron.driver.actions()} == scenario.keys()


@pytest.mark.parametrize("action", scenario)
def test_action(action: str, play: Play) -> None:
    scenario[action](play)


def _text(**attributes: Any) -> str:
    return orjson.dumps(attributes).decode()


def _look(play: Play, path: str, key: str, thing: str) -> dict[str, Any]:
    return dict(play.raw.get("network", f"/{path}/{thing}", key))


def _create(play: Play, kind: str, path: str, **attributes: Any) -> dict[str, Any]:
    """Create by the driver, with the body as JSON text; what Neutron has then."""
    made = play.do(f"create_{kind}", _text(**attributes))["id"]
    play.stage.forget(f"network/{path}/{made}")
    found = _look(play, path, kind, made)
    assert attributes.items() <= found.items()
    return found


def _delete(play: Play, kind: str, path: str, thing: str) -> None:
    play.do(f"delete_{kind}", thing)
    assert play.raw.status("network", f"/{path}/{thing}") == 404


# Networks and subnets


@scenario("create_network")
def create_network(play: Play) -> None:
    _create(play, "network", "networks", name=f"{play.stage.name}-new", admin_state_up=False)
    made = play.service.execute("create_network", f"network:\n  name: {play.stage.name}-yaml\n")["id"]
    play.stage.forget(f"network/networks/{made}")
    assert _look(play, "networks", "network", made)["name"] == f"{play.stage.name}-yaml"


@scenario("update_network")
def update_network(play: Play) -> None:
    network = play.stage.make("network", "/networks", "network", name=play.stage.name)["id"]
    play.do("update_network", network, _text(name="renamed", admin_state_up=False))
    found = _look(play, "networks", "network", network)
    assert (found["name"], found["admin_state_up"]) == ("renamed", False)


@scenario("delete_network")
def delete_network(play: Play) -> None:
    network = play.stage.make("network", "/networks", "network", name=play.stage.name)["id"]
    _delete(play, "network", "networks", network)


@scenario("create_subnet")
def create_subnet(play: Play) -> None:
    _create(play, "subnet", "subnets", network_id=play.stage.net["id"], ip_version=4, cidr="10.94.0.0/24")


def _subnet(play: Play, cidr: str) -> str:
    network = play.stage.net["id"]
    return str(play.stage.make("network", "/subnets", "subnet", network_id=network, ip_version=4, cidr=cidr)["id"])


@scenario("update_subnet")
def update_subnet(play: Play) -> None:
    subnet = _subnet(play, "10.95.0.0/24")
    play.do("update_subnet", subnet, _text(enable_dhcp=False))
    assert _look(play, "subnets", "subnet", subnet)["enable_dhcp"] is False


@scenario("delete_subnet")
def delete_subnet(play: Play) -> None:
    _delete(play, "subnet", "subnets", _subnet(play, "10.96.0.0/24"))


# Ports


@scenario("create_port")
def create_port(play: Play) -> None:
    _create(play, "port", "ports", network_id=play.stage.net["id"], name=f"{play.stage.name}-new")


@scenario("update_port")
def update_port(play: Play) -> None:
    port = play.stage.port(play.stage.net)["id"]
    play.do("update_port", port, _text(admin_state_up=False))
    assert _look(play, "ports", "port", port)["admin_state_up"] is False


@scenario("delete_port")
def delete_port(play: Play) -> None:
    _delete(play, "port", "ports", play.stage.port(play.stage.net)["id"])


@scenario("attach_port_security_group")
def attach_port_security_group(play: Play) -> None:
    port = play.stage.port(play.stage.net)
    play.do("attach_port_security_group", port["id"], play.stage.group["id"])
    found = _look(play, "ports", "port", port["id"])["security_groups"]
    assert sorted(found) == sorted([*port["security_groups"], play.stage.group["id"]])


@scenario("detach_port_security_group")
def detach_port_security_group(play: Play) -> None:
    port = play.stage.port(play.stage.net)
    (group,) = port["security_groups"]
    play.do("detach_port_security_group", port["id"], group)
    assert _look(play, "ports", "port", port["id"])["security_groups"] == []


@scenario("update_resource_attrs")
def update_resource_attrs(play: Play) -> None:
    port = play.stage.port(play.stage.net)["id"]
    play.do("update_resource_attrs", "port", port, "name", "closed", "admin_state_up", False)
    found = _look(play, "ports", "port", port)
    assert (found["name"], found["admin_state_up"]) == ("closed", False)
    play.service.execute("update_resource_attrs", "port", port, "security_groups", "[]", "admin_state_up", "True")
    found = _look(play, "ports", "port", port)
    assert (found["security_groups"], found["admin_state_up"]) == ([], True)


# Routers and floating IPs


@scenario("create_router")
def create_router(play: Play) -> None:
    _create(play, "router", "routers", name=f"{play.stage.name}-new")


def _router(play: Play) -> str:
    return str(play.stage.make("network", "/routers", "router", name=play.stage.name)["id"])


@scenario("update_router")
def update_router(play: Play) -> None:
    router = _router(play)
    play.do("update_router", router, _text(admin_state_up=False))
    assert _look(play, "routers", "router", router)["admin_state_up"] is False


@scenario("delete_router")
def delete_router(play: Play) -> None:
    _delete(play, "router", "routers", _router(play))


def _interfaces(play: Play, router: str) -> set[str]:
    return set(play.stage.ports(router))


@scenario("add_interface_router")
def add_interface_router(play: Play) -> None:
    router = _router(play)
    body = {"subnet_id": _subnet(play, "10.97.0.0/24")}
    port = play.do("add_interface_router", router, _text(**body))["port_id"]
    assert _interfaces(play, router) == {port}
    play.raw.ask("PUT", "network", f"/routers/{router}/remove_router_interface", body)


@scenario("remove_interface_router")
def remove_interface_router(play: Play) -> None:
    router = _router(play)
    body = {"subnet_id": _subnet(play, "10.98.0.0/24")}
    play.raw.ask("PUT", "network", f"/routers/{router}/add_router_interface", body)
    (port,) = _interfaces(play, router)
    assert play.do("remove_interface_router", router, _text(**body)) == {"port_id": port}
    assert not _interfaces(play, router)


@scenario("add_gateway_router")
def add_gateway_router(play: Play) -> None:
    router, network = _router(play), play.stage.external_net["id"]
    play.do("add_gateway_router", router, _text(network_id=network))
    assert _look(play, "routers", "router", router)["external_gateway_info"]["network_id"] == network


@scenario("remove_gateway_router")
def remove_gateway_router(play: Play) -> None:
    router = _router(play)
    gateway = {"external_gateway_info": {"network_id": play.stage.external_net["id"]}}
    play.raw.ask("PUT", "network", f"/routers/{router}", {"router": gateway})
    play.do("remove_gateway_router", router)
    assert _look(play, "routers", "router", router)["external_gateway_info"] is None


@scenario("create_floatingip")
def create_floatingip(play: Play) -> None:
    _create(play, "floatingip", "floatingips", floating_network_id=play.stage.external_net["id"])


def _floating(play: Play) -> str:
    network = play.stage.external_net["id"]
    made = play.stage.make("network", "/floatingips", "floatingip", floating_network_id=network)
    return str(made["id"])


@scenario("update_floatingip")
def update_floatingip(play: Play) -> None:
    floating = _floating(play)
    play.do("update_floatingip", floating, _text(description="for tests"))
    assert _look(play, "floatingips", "floatingip", floating)["description"] == "for tests"


@scenario("delete_floatingip")
def delete_floatingip(play: Play) -> None:
    _delete(play, "floatingip", "floatingips", _floating(play))


# Security groups


@scenario("create_security_group")
def create_security_group(play: Play) -> None:
    _create(play, "security_group", "security-groups", name=f"{play.stage.name}-new")


def _group(play: Play) -> str:
    return str(play.stage.make("network", "/security-groups", "security_group", name=play.stage.name)["id"])


@scenario("update_security_group")
def update_security_group(play: Play) -> None:
    group = _group(play)
    play.do("update_security_group", group, _text(description="for tests"))
    assert _look(play, "security-groups", "security_group", group)["description"] == "for tests"


@scenario("delete_security_group")
def delete_security_group(play: Play) -> None:
    _delete(play, "security_group", "security-groups", _group(play))


@scenario("create_security_group_rule")
def create_security_group_rule(play: Play) -> None:
    _create(
        play,
        "security_group_rule",
        "security-group-rules",
        security_group_id=_group(play),
        direction="ingress",
        protocol="udp",
        port_range_min=53,
        port_range_max=53,
    )


@scenario("delete_security_group_rule")
def delete_security_group_rule(play: Play) -> None:
    rule = play.stage.make(
        "network",
        "/security-group-rules",
        "security_group_rule",
        security_group_id=_group(play),
        direction="ingress",
    )["id"]
    _delete(play, "security_group_rule", "security-group-rules", rule)


def test_a_refusal_in_neutrons_words(play: Play) -> None:
    network = play.stage.port(play.stage.net)["network_id"]
    with pytest.raises(ActionFailed, match=r"HTTP 409: .* in use") as caught:
        play.service.execute("delete_network", network)
    assert not caught.value.retryable
