# SPDX-License-Identifier: Apache-2.0
"""Every action of the OpenStack drivers: what it asks of the service (cases/*_actions.yaml), and its failures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.cloudservices.errors import ActionArgumentError, ActionFailed, ActionNotFound
from congress.cloudservices.glance import GlanceDriver
from congress.cloudservices.keystone import KeystoneDriver
from congress.cloudservices.neutron import NeutronDriver
from congress.cloudservices.nova import NovaDriver
from congress.cloudservices.openstack_driver import OpenStackDriver
from congress.executions import dispatcher
from tests.cloudservices.fake_openstack import FakeCloud, Request, fake_cloud
from tests.cloudservices.running import Running, running

CASES = Path(__file__).parent / "cases"
DRIVERS: dict[str, type[OpenStackDriver]] = {
    "nova": NovaDriver,
    "neutron": NeutronDriver,
    "keystone": KeystoneDriver,
    "glance": GlanceDriver,
}
PREFIX = {"nova": "/compute/v2.1", "neutron": "/network", "keystone": "/identity", "glance": "/image"}


def _cases(driver: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((CASES / f"{driver}_actions.yaml").read_text()))


ALL = [(driver, case) for driver in DRIVERS for case in _cases(driver)]


def furnish(cloud: FakeCloud) -> None:
    """What the cases are about."""
    cloud.add_server(id="s1", name="web", tags=["old"], metadata={"app": "shop"}, security_groups=[{"name": "default"}])
    for port, network in (("p1", "n1"), ("p2", "n2"), ("p3", "n1")):
        cloud.add_interface("s1", network, f"10.0.0.{port[1]}", port)
    state = cloud.state
    state.compute["flavors"]["4"] = {"id": "4", "name": "m1.large"}
    state.compute["services"]["1"] = {"id": 1, "host": "compute1", "binary": "nova-compute", "status": "enabled"}
    state.compute["aggregates"] = {"7": {"id": 7, "hosts": ["compute0"]}}
    network = state.network
    network["networks"]["n1"] = {"id": "n1", "name": "net"}
    network["subnets"]["sub1"] = {"id": "sub1", "enable_dhcp": True}
    network["ports"]["p1"] = {
        "id": "p1",
        "security_groups": ["sg1"],
        "revision_number": 5,
        "device_id": "s1",
        "fixed_ips": [],
    }
    network["ports"]["p0"] = {"id": "p0", "device_id": "r1", "fixed_ips": [{"subnet_id": "sub0"}]}
    network["routers"]["r1"] = {"id": "r1", "external_gateway_info": None}
    network["security-groups"]["sg1"] = {"id": "sg1", "name": "default"}
    network["security-group-rules"]["rule1"] = {"id": "rule1"}
    network["floatingips"]["fip1"] = {"id": "fip1", "port_id": "p1"}
    state.identity["users"]["u1"] = {"id": "u1", "name": "bob", "enabled": True}
    state.identity["projects"]["t1"] = {"id": "t1", "name": "shop", "enabled": True}
    state.identity["domains"]["default"] = {"id": "default", "name": "Default", "enabled": True}
    state.identity["roles"]["r1"] = {"id": "r1", "name": "member"}
    state.assignments |= {"projects/t1/users/u1/roles/r0", "groups/g0/users/u1"}
    state.images["img-1"] = {"id": "img-1", "name": "disk", "tags": ["old"], "status": "active", "os_version": "1"}
    state.images["img-1"]["members"] = ["t0"]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def services(cloud: FakeCloud) -> Iterator[dict[str, Running]]:
    with (
        running(NovaDriver("nova", cloud.config())) as nova,
        running(NeutronDriver("neutron", cloud.config())) as neutron,
        running(KeystoneDriver("keystone", cloud.config())) as keystone,
        running(GlanceDriver("glance", cloud.config())) as glance,
    ):
        yield {"nova": nova, "neutron": neutron, "keystone": keystone, "glance": glance}


@pytest.fixture(autouse=True)
def furnished(cloud: FakeCloud) -> None:
    cloud.reset()
    furnish(cloud)


def _version(request: Request) -> str:
    """The microversion asked for; novaclient names the older ones in its old way."""
    headers = request.headers
    return headers.get("openstack-api-version", headers.get("x-openstack-nova-api-version", "")).split()[-1]


def _like(found: Any, wanted: Any) -> bool:
    """Equal, where ``*`` stands for any string."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_like(found[k], wanted[k]) for k in wanted)
    return isinstance(found, str) if wanted == "*" else bool(found == wanted)


@pytest.mark.parametrize(
    ("driver", "case"), ALL, ids=[f"{driver}-{n}-{case['action']}" for n, (driver, case) in enumerate(ALL)]
)
def test_requests(driver: str, case: dict[str, Any], services: dict[str, Running], cloud: FakeCloud) -> None:
    args = case["args"]
    positional, named = (args, {}) if isinstance(args, list) else ([], args)
    gave = services[driver].execute(case["action"], *positional, **named)
    asked = [r for r in cloud.requests if r.method not in ("GET", "HEAD") and "/auth/" not in r.path]
    found = [[r.method, r.path.removeprefix(PREFIX[driver]), r.body] for r in asked]
    assert found == [[method, path, (more or [None])[0]] for method, path, *more in case["asks"]]
    for request, (_, _, *more) in zip(asked, case["asks"], strict=True):
        if len(more) == 2:
            assert _version(request) == more[1]
    assert _like(gave, case.get("gives"))


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_action_has_a_case(driver: str) -> None:
    listed = {action.name for action in DRIVERS[driver]("x", {"cloud": "some"}).actions()}
    assert {case["action"] for case in _cases(driver)} == listed


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_action_is_documented(driver: str) -> None:
    service = DRIVERS[driver]("x", {"cloud": "some"})
    for action in service.actions():
        assert action.description, action.name
        assert action.changes
        assert set(action.effects) <= service.TABLES.keys(), action.name
        for argument in action.arguments:
            assert argument.description, (action.name, argument.name)


# Failures -----------------------------------------------------------------------------------------------

REFUSALS = [
    # status, message, headers: retryable, maybe_done, retry_after
    (400, "Bad request", {}, False, False, None),
    (403, "Policy doesn't allow it", {}, False, False, None),
    (404, "No such server", {}, False, False, None),
    (409, "Cannot 'pause' instance s1 while it is in vm_state paused", {}, False, False, None),
    (409, "Instance s1 is locked", {}, False, False, None),
    (409, "Cannot 'pause' instance s1 while it is in task_state rebooting", {}, True, False, None),
    (413, "Over limit", {"Retry-After": "7"}, True, False, 7.0),
    (429, "Too many requests", {"Retry-After": "3"}, True, False, 3.0),
    (429, "Too many requests", {}, True, False, None),
    (500, "Unexpected API Error", {}, True, True, None),
    (501, "Not implemented here", {}, False, False, None),
    (503, "Down for repairs", {}, True, True, None),
    (504, "Gateway timed out", {}, True, True, None),
]


@pytest.mark.parametrize(("status", "message", "headers", "retryable", "maybe_done", "after"), REFUSALS)
@pytest.mark.parametrize(
    ("driver", "path", "action", "args"),
    [
        ("nova", "/action", "servers.pause", ["s1"]),
        ("neutron", "/ports/p1", "update_port", ["p1", "{name: x}"]),
    ],
)
def test_refusals(
    driver: str,
    path: str,
    action: str,
    args: list[str],
    status: int,
    message: str,
    headers: dict[str, str],
    retryable: bool,
    maybe_done: bool,
    after: float | None,
    services: dict[str, Running],
    cloud: FakeCloud,
) -> None:
    cloud.fault(path, status, message=message, headers=headers)
    with pytest.raises(ActionFailed) as caught:
        services[driver].execute(action, *args)
    failed = caught.value
    assert (failed.retryable, failed.maybe_done) == (retryable, maybe_done)
    assert failed.retry_after == after
    assert message in failed.message
    assert str(status) in failed.message


def test_no_answer(cloud: FakeCloud) -> None:
    with running(NovaDriver("nova", cloud.config(request_timeout=0.3))) as nova:
        nova.execute("servers.pause", "s1")
        cloud.fault("/action", delay=1.0)
        with pytest.raises(ActionFailed, match="timed out") as caught:
            nova.execute("servers.unpause", "s1")
    assert caught.value.retryable
    assert caught.value.maybe_done


def test_no_connection() -> None:
    with fake_cloud() as gone:
        config = gone.config()
    with running(NovaDriver("nova", config)) as nova, pytest.raises(ActionFailed) as caught:
        nova.execute("servers.pause", "s1")
    assert caught.value.retryable
    assert not caught.value.maybe_done


def test_wrong_password_is_not_repeated(cloud: FakeCloud) -> None:
    secret = "wrong horse"
    with running(NovaDriver("nova", cloud.config(password=secret))) as nova:
        with pytest.raises(ActionFailed) as caught:
            nova.execute("servers.pause", "s1")
        assert secret not in str(nova.status())
    assert not caught.value.retryable
    assert secret not in caught.value.message


def test_a_token_that_ran_out_is_renewed(services: dict[str, Running], cloud: FakeCloud) -> None:
    services["nova"].execute("servers.pause", "s1")
    logins = cloud.logins
    cloud.expire_tokens()
    services["nova"].execute("servers.unpause", "s1")
    assert cloud.logins == logins + 1
    assert cloud.state.servers["s1"]["status"] == "ACTIVE"


@pytest.mark.parametrize("server", ["", ".", "..", "../flavors/4", "s1/action", "s1?x=y", "s1#x"])
def test_an_id_leads_nowhere_else(server: str, services: dict[str, Running], cloud: FakeCloud) -> None:
    with pytest.raises((ActionArgumentError, ActionFailed)):
        services["nova"].execute("servers.delete", server)
    assert "4" in cloud.state.compute["flavors"]
    assert cloud.state.servers["s1"]["status"] == "ACTIVE"
    assert all(r.path.startswith("/compute/v2.1/servers/") for r in cloud.requests if r.method == "DELETE")


WRONG = [
    ("nova", "servers.reboot", ["s1", "GENTLE"], "reboot_type"),
    ("nova", "servers.reset_state", ["s1", "PAUSED"], "state"),
    ("nova", "servers.interface_attach", ["s1"], "port_id"),
    ("nova", "servers.interface_attach", ["s1", "p1", "n1"], "port_id"),
    ("nova", "servers.set_meta", ["s1", "[1, 2]"], "metadata"),
    ("nova", "servers.set_meta", ["s1", "{"], "metadata"),
    ("nova", "servers_set_meta", ["s1", "key"], ""),
    ("nova", "servers_set_meta", ["s1"], "meta"),
    ("nova", "servers.pause", [], "server"),
    ("neutron", "create_network", ["- a list"], "body"),
    ("neutron", "update_resource_attrs", ["bridge", "b1", "name", "x"], "resource_type"),
    ("neutron", "update_resource_attrs", ["port", "p1", "name"], "attributes"),
    ("keystone", "roles.grant", ["r1", "u1"], "project"),
    ("keystone", "roles.grant", ["r1"], "user"),
    ("keystone", "users.update", ["u1"], ""),
    ("glance", "images.set_visibility", ["img-1", "everybody"], "visibility"),
    ("glance", "images.update", ["img-1", "{}"], "body"),
]


@pytest.mark.parametrize(("driver", "action", "args", "argument"), WRONG)
def test_wrong_arguments_ask_nothing(
    driver: str, action: str, args: list[str], argument: str, services: dict[str, Running], cloud: FakeCloud
) -> None:
    with pytest.raises(ActionArgumentError) as caught:
        services[driver].execute(action, *args)
    assert caught.value.argument == argument
    assert not [r for r in cloud.requests if r.method != "GET" and "/auth/" not in r.path]


@pytest.mark.parametrize("name", ["servers.list", "client.get", "__init__", "fetch", "servers.pause.x"])
def test_only_listed_actions(name: str, services: dict[str, Running]) -> None:
    with pytest.raises(ActionNotFound):
        services["nova"].execute(name, "s1")


def test_a_flavor_that_is_not_there(services: dict[str, Running], cloud: FakeCloud) -> None:
    with pytest.raises(ActionFailed, match=r"no flavors are called 'm9\.huge'"):
        services["nova"].execute("servers.resize", "s1", "m9.huge")
    cloud.state.compute["flavors"]["5"] = {"id": "5", "name": "m1.large"}
    with pytest.raises(ActionFailed, match=r"2 flavors are called 'm1\.large'"):
        services["nova"].execute("servers.resize", "s1", "m1.large")


def test_an_old_nova_cannot_do_what_needs_a_newer_one() -> None:
    with fake_cloud(microversions=("2.1", "2.60")) as old, running(NovaDriver("nova", old.config())) as nova:
        furnish(old)
        nova.execute("servers.lock", "s1")
        with pytest.raises(ActionFailed, match=r"needs Nova's API 2\.73; this cloud offers up to 2\.60"):
            nova.execute("servers.lock", "s1", "because")


def test_disconnect_network_tells_how_far_it_got(services: dict[str, Running], cloud: FakeCloud) -> None:
    cloud.fault("/os-interface/p3", 500)
    with pytest.raises(ActionFailed, match="port p3 could not be detached, after p1") as caught:
        services["nova"].execute("disconnectNetwork", "s1", "n1")
    assert caught.value.retryable
    assert services["nova"].verify("disconnectNetwork", "s1", "n1") == "not_done"
    assert services["nova"].execute("disconnectNetwork", "s1", "n1") == {"detached": ["p3"]}
    assert [i["port_id"] for i in cloud.state.interfaces["s1"]] == ["p2"]


def test_groups_of_a_port_survive_a_race(services: dict[str, Running], cloud: FakeCloud) -> None:
    cloud.fault("/ports/p1", 412, method="PUT", message="Constrained to 5, but current revision is 6", times=2)
    services["neutron"].execute("attach_port_security_group", "p1", "sg2")
    assert cloud.state.network["ports"]["p1"]["security_groups"] == ["sg1", "sg2"]
    puts = cloud.asked("PUT", "/ports/p1")
    assert [r.headers["if-match"] for r in puts] == ["revision_number=5"] * 3


# Whether it was done ------------------------------------------------------------------------------------

CHANGES = [
    ("nova", "servers.pause", ["s1"]),
    ("nova", "servers.suspend", ["s1"]),
    ("nova", "servers.stop", ["s1"]),
    ("nova", "servers.rescue", ["s1"]),
    ("nova", "servers.shelve", ["s1"]),
    ("nova", "servers.shelve_offload", ["s1"]),
    ("nova", "servers.lock", ["s1"]),
    ("nova", "servers.delete", ["s1"]),
    ("nova", "servers.force_delete", ["s1"]),
    ("nova", "servers.resize", ["s1", "m1.large"]),
    ("nova", "servers.interface_attach", ["s1", "p9"]),
    ("nova", "servers.interface_detach", ["s1", "p1"]),
    ("nova", "disconnectNetwork", ["s1", "n1"]),
    ("nova", "servers.add_security_group", ["s1", "web"]),
    ("nova", "servers.remove_security_group", ["s1", "default"]),
    ("nova", "servers.set_meta", ["s1", "{app: other}"]),
    ("nova", "servers_set_meta", ["s1", "app", "other"]),
    ("nova", "servers.delete_meta", ["s1", "app"]),
    ("nova", "servers.add_tag", ["s1", "new"]),
    ("nova", "servers.delete_tag", ["s1", "old"]),
    ("nova", "servers.set_tags", ["s1", "a", "b"]),
    ("nova", "servers.delete_all_tags", ["s1"]),
    ("nova", "servers.update", ["s1", "other"]),
    ("nova", "services.disable", ["compute1", "nova-compute"]),
    ("neutron", "update_resource_attrs", ["network", "n1", "name", "other"]),
    ("neutron", "attach_port_security_group", ["p1", "sg2"]),
    ("neutron", "detach_port_security_group", ["p1", "sg1"]),
    ("neutron", "update_network", ["n1", "{name: other}"]),
    ("neutron", "delete_network", ["n1"]),
    ("neutron", "add_interface_router", ["r1", "{subnet_id: sub1}"]),
    ("neutron", "remove_interface_router", ["r1", "{subnet_id: sub0}"]),
    ("neutron", "add_gateway_router", ["r1", "{network_id: ext}"]),
    ("keystone", "users.disable", ["u1"]),
    ("keystone", "users.update", ["u1", "other"]),
    ("keystone", "users.delete", ["u1"]),
    ("keystone", "users.add_to_group", ["u1", "g1"]),
    ("keystone", "users.remove_from_group", ["u1", "g0"]),
    ("keystone", "projects.disable", ["t1"]),
    ("keystone", "roles.grant", ["r1", "u1", "t1"]),
    ("keystone", "roles.revoke", ["r0", "u1", "t1"]),
    ("glance", "images.update", ["img-1", "{name: golden}"]),
    ("glance", "images.deactivate", ["img-1"]),
    ("glance", "images.protect", ["img-1"]),
    ("glance", "images.delete", ["img-1"]),
    ("glance", "images.add_tag", ["img-1", "eol"]),
    ("glance", "images.delete_tag", ["img-1", "old"]),
    ("glance", "images.set_visibility", ["img-1", "private"]),
    ("glance", "image_members.create", ["img-1", "t1"]),
    ("glance", "image_members.delete", ["img-1", "t0"]),
]


@pytest.mark.parametrize(("driver", "action", "args"), CHANGES)
def test_verify(driver: str, action: str, args: list[str], services: dict[str, Running]) -> None:
    service = services[driver]
    assert service.verify(action, *args) == "not_done"
    service.execute(action, *args)
    assert service.verify(action, *args) == "done"


def test_verify_is_what_the_ledger_asks_for(services: dict[str, Running]) -> None:
    """After a crash the ledger asks with the execution's id, and knows two words."""
    call = {"execution_id": "e-1", "name": "servers.pause", "positional": ["s1"], "named": {}}
    assert services["nova"].call("verify", **call) == {"state": dispatcher.NOT_DONE}
    services["nova"].execute("servers.pause", "s1")
    assert services["nova"].call("verify", **call) == {"state": dispatcher.DONE}


def test_verify_waits_for_what_is_under_way(services: dict[str, Running], cloud: FakeCloud) -> None:
    cloud.change_server("s1", **{"OS-EXT-STS:task_state": "pausing"})
    assert services["nova"].verify("servers.pause", "s1") == "unknown"


def test_verify_does_not_know_everything(services: dict[str, Running], cloud: FakeCloud) -> None:
    nova = services["nova"]
    assert nova.verify("servers.reboot", "s1") == "unknown"
    assert nova.verify("servers.pause", "nobody") == "unknown"
    cloud.fault("/servers/s1", 503)
    assert nova.verify("servers.pause", "s1") == "unknown"
    with pytest.raises(ActionNotFound):
        nova.verify("servers.explode", "s1")
    with pytest.raises(ActionArgumentError):
        nova.verify("servers.pause")
