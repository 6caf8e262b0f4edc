# SPDX-License-Identifier: Apache-2.0
"""The whole way on a real cloud: state to violation to action, by the daemon, over REST.

Two tenants; a server of one has an interface on the other's network.  The policy finds it and proves it, the action
takes the interface away, Nova, Neutron and the hypervisor agree, and nobody else's server is touched.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.openstack.raw import Hypervisors, Json, Raw, wait
from tests.openstack.stage import Stage
from tests.server.daemon import Server, serving

pytestmark = pytest.mark.openstack

VIOLATION = """
error(vm, net) :-
    nova:servers(id=vm, tenant_id=t), neutron:ports(id=p, device_id=vm, network_id=net),
    neutron:networks(id=net, tenant_id=owner, name="{name}", shared=false), not same_group(t, owner)
"""
REMEDY = """
execute[nova:servers.interface_detach(vm, port)] :-
    error(vm, net), neutron:ports(id=port, device_id=vm, network_id=net)
"""
GROUPS = "same_group(x, y) :- group(x, g), group(y, g)"


@pytest.fixture(scope="module")
def daemon(raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real daemon, watching the cloud every second."""
    environment = {"OS_CLIENT_CONFIG_FILE": str(raw.file)}
    with serving(tmp_path_factory.mktemp("state"), environment=environment) as server:
        for name in ("nova", "neutron"):
            config = {"cloud": raw.cloud, "poll_time": 1}
            server.ok("POST", "/v1/cloud-services", {"name": name, "driver": name, "config": config})
        yield server


@pytest.fixture(scope="module")
def foreign(raw: Raw, stage: Stage) -> Json:
    """A network that belongs to another tenant."""
    project = stage.make("identity", "/projects", "project", name=f"{stage.name}-other", domain_id="default")
    return stage.network("10.93.0.0/24", tenant_id=project["id"]) | {"owner": project["id"]}


def rows(daemon: Server, path: str) -> list[list[Any]]:
    return [entry["data"] for entry in daemon.ok("GET", path)["results"]]


def test_an_interface_on_a_foreign_network_is_found_proved_and_taken_away(
    daemon: Server, raw: Raw, stage: Stage, foreign: Json, hypervisors: Hypervisors
) -> None:
    bystander = stage.shared_server
    victim = stage.server()
    raw.ask("POST", "compute", f"/servers/{victim}/os-interface", {"interfaceAttachment": {"net_id": foreign["id"]}})
    [port] = wait("port attached", lambda: [p for p, n in stage.ports(victim).items() if n == foreign["id"]])
    before = stage.ports(bystander)
    began = time.time()

    policy = {
        "name": "netguard",
        "rules": [
            {"rule": VIOLATION.format(name=stage.name)},
            {"rule": GROUPS},
            {"rule": f'group("{raw.project_id}", "ours")'},
            {"rule": f'group("{foreign["owner"]}", "theirs")'},
        ],
    }
    daemon.ok("POST", "/v1/policies", policy)
    violation = "/v1/policies/netguard/tables/error/rows"
    daemon.until(violation, [[victim, foreign["id"]]], 60)
    [found] = daemon.ok("GET", f"{violation}?why=true")["results"]
    leaves = {branch.get("table") for branch in found["why"]["because"]}
    assert leaves >= {"nova:servers", "neutron:ports", "neutron:networks"}

    daemon.ok("POST", "/v1/policies/netguard/rules", {"rule": REMEDY})
    wait("interface gone", lambda: port not in stage.ports(victim))
    daemon.until(violation, [], 60)

    interfaces = raw.get("compute", f"/servers/{victim}/os-interface", "interfaceAttachments")
    assert [i["port_id"] for i in interfaces if i["net_id"] == foreign["id"]] == []
    assert len(interfaces) == 1
    assert raw.status("network", f"/ports/{port}") == 404
    assert stage.ports(bystander) == before
    if hypervisors.known:
        told = [call for call in hypervisors.calls(victim, began) if call["call"] == "detach_interface"]
        assert len(told) == 1
        assert [c for c in hypervisors.calls(bystander, began) if "interface" in c["call"]] == []
    [done] = [e for e in daemon.ok("GET", "/v1/executions")["results"] if e["action"] == "servers.interface_detach"]
    assert done["state"] == "succeeded"
    assert done["args"]["positional"] == [victim, port]


def test_both_execute_routes_reach_nova(daemon: Server, stage: Stage, hypervisors: Hypervisors) -> None:
    server = stage.shared_server
    stage.settle(server)
    pause = {"name": "servers.pause", "args": [server], "options": {}}
    status, body, headers = daemon.request("POST", "/v1/cloud-services/nova?action=execute", pause)
    assert (status, body) == (204, None)
    assert "/v1/executions/" in headers["Location"]
    stage.settle(server, "PAUSED")
    unpause = {"name": "nova:servers.unpause", "args": {"positional": [], "named": {"server": server}}}
    status, body, _ = daemon.request("POST", "/v1/policies/classification?action=execute", unpause)
    assert status in (200, 204)
    stage.settle(server, "ACTIVE")
    for route, name, expected in (
        ("/v1/cloud-services/nova", "servers.explode", 404),
        ("/v1/policies/classification", "nowhere:servers.pause", 404),
        ("/v1/cloud-services/nova", "servers.pause", 400),
    ):
        status, body, _ = daemon.request("POST", f"{route}?action=execute", {"name": name, "args": []})
        assert (status, "message" in body["error"]) == (expected, True)
