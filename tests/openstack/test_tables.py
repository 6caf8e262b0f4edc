# SPDX-License-Identifier: Apache-2.0
"""Every table of the OpenStack drivers, row for row, against what a real cloud says over plain HTTP."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from congress.datalog.values import Row, encode_row
from tests.cloudservices.running import Running
from tests.openstack.raw import Json, Raw
from tests.openstack.stage import Stage

pytestmark = pytest.mark.openstack

Rows = Iterable[tuple[Any, ...]]


@pytest.fixture(scope="module", autouse=True)
def furnished(stage: Stage, raw: Raw) -> None:
    """A cloud with something in every table."""
    server = stage.server(networks=[{"uuid": stage.net["id"]}, {"uuid": stage.other_net["id"]}])
    raw.ask("PUT", "compute", f"/servers/{server}/tags", {"tags": ["prod", "döner"]}, "2.26")
    stage.make(
        "network",
        "/subnets",
        "subnet",
        name=stage.name,
        network_id=stage.net["id"],
        ip_version=6,
        cidr="2001:db8:7::/64",
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
        dns_nameservers=["2001:db8::53"],
        host_routes=[{"destination": "2001:db8:8::/64", "nexthop": "2001:db8:7::9"}],
    )
    gateway = {"external_gateway_info": {"network_id": stage.external_net["id"]}}
    raw.ask("PUT", "network", f"/routers/{stage.router['id']}", {"router": gateway})
    stage.make("network", "/floatingips", "floatingip", floating_network_id=stage.external_net["id"])
    stage.make(
        "network",
        "/security-group-rules",
        "security_group_rule",
        security_group_id=stage.group["id"],
        direction="ingress",
        protocol="tcp",
        port_range_min=22,
        port_range_max=22,
        remote_ip_prefix="192.0.2.0/24",
    )
    stage.image(tags=["old", "eol"], os_hidden=True)
    stage.image(visibility="community", protected=False)
    stage.make("identity", "/users", "user", name=stage.name, domain_id="default", enabled=False)
    stage.make("identity", "/projects", "project", name=stage.name, domain_id="default", description="a test's")
    stage.make("identity", "/roles", "role", name=stage.name)


def _servers(raw: Raw) -> list[Json]:
    return list(raw.get("compute", "/servers/detail?all_tenants=1", "servers", "2.26"))


def _servers_rows(raw: Raw) -> Rows:
    return [
        (
            s["id"],
            s["name"],
            s["hostId"] or None,
            s["status"],
            s["tenant_id"],
            s["user_id"],
            s["image"]["id"] if s["image"] else None,
            s["flavor"]["id"],
            s["OS-EXT-AZ:availability_zone"] or None,
            s["OS-EXT-SRV-ATTR:hypervisor_hostname"],
            s["created"],
        )
        for s in _servers(raw)
    ]


def _addresses_rows(raw: Raw) -> Rows:
    return [
        (s["id"], name, a["addr"], a["version"], a["OS-EXT-IPS-MAC:mac_addr"], a["OS-EXT-IPS:type"])
        for s in _servers(raw)
        for name, addresses in s["addresses"].items()
        for a in addresses
    ]


def _flavors_rows(raw: Raw) -> Rows:
    keys = ("id", "name", "vcpus", "ram", "disk", "OS-FLV-EXT-DATA:ephemeral", "rxtx_factor")
    return _pick(raw.get("compute", "/flavors/detail?is_public=None", "flavors"), *keys)


def _services_rows(raw: Raw) -> Rows:
    # The time of the last report changes all the time: it is not compared.
    keys = ("id", "binary", "host", "zone", "status", "state", "disabled_reason")
    return _pick(raw.get("compute", "/os-services", "services", "2.26"), *keys)


def _hypervisors_rows(raw: Raw) -> Rows:
    found = raw.get("compute", "/os-hypervisors", "hypervisors", "2.26")
    return _pick(found, "hypervisor_hostname", "id", "state", "status")


def _zones_rows(raw: Raw) -> Rows:
    found = raw.get("compute", "/os-availability-zone/detail", "availabilityZoneInfo")
    return [(z["zoneName"], "available" if z["zoneState"]["available"] else "not available") for z in found]


def _pick(objects: Iterable[Json], *keys: str) -> Rows:
    return [tuple(item.get(key) for key in keys) for item in objects]


def _network(path: str, *keys: str) -> Callable[[Raw], Rows]:
    return lambda raw: _pick(raw.get("network", f"/{path}", path.replace("-", "_")), *keys)


def _inner(path: str, field: str, *keys: str) -> Callable[[Raw], Rows]:
    """Rows of what is inside each object: its id first, then the keys, or the item itself."""

    def rows(raw: Raw) -> Rows:
        for item in raw.get("network", f"/{path}", path.replace("-", "_")):
            inside = item
            for part in field.split("."):
                inside = (inside or {}).get(part)
            for one in [inside] if isinstance(inside, dict) else inside or ():
                yield (item["id"], *(one.get(key) for key in keys)) if keys else (item["id"], one)

    return rows


def _identity(path: str, *keys: str) -> Callable[[Raw], Rows]:
    return lambda raw: _pick(raw.get("identity", f"/{path}", path), *keys)


def _images(raw: Raw) -> list[Json]:
    shown = raw.get("image", "/images?limit=1000&visibility=all", "images")
    return [*shown, *raw.get("image", "/images?limit=1000&visibility=all&os_hidden=true", "images")]


IMAGE = (
    "id status name container_format created_at updated_at disk_format owner protected min_ram min_disk checksum size "
    "file kernel_id ramdisk_id schema visibility"
)
RULE = "id tenant_id remote_group_id direction ethertype protocol port_range_min port_range_max remote_ip_prefix"
SUBNET = "id tenant_id name network_id ip_version cidr gateway_ip enable_dhcp ipv6_ra_mode ipv6_address_mode"
PORT = "id tenant_id name network_id mac_address admin_state_up status device_id device_owner"
FLOATING = "id router_id tenant_id floating_network_id fixed_ip_address floating_ip_address port_id status"
TABLES: dict[tuple[str, str], Callable[[Raw], Rows]] = {
    ("nova", "servers"): _servers_rows,
    ("nova", "servers.addresses"): _addresses_rows,
    ("nova", "tags"): lambda raw: [(s["id"], tag) for s in _servers(raw) for tag in s["tags"]],
    ("nova", "flavors"): _flavors_rows,
    ("nova", "services"): _services_rows,
    ("nova", "hypervisors"): _hypervisors_rows,
    ("nova", "availability_zones"): _zones_rows,
    ("neutron", "networks"): _network("networks", "id", "tenant_id", "name", "status", "admin_state_up", "shared"),
    ("neutron", "ports"): _network("ports", *PORT.split()),
    ("neutron", "fixed_ips"): _inner("ports", "fixed_ips", "ip_address", "subnet_id"),
    ("neutron", "security_group_port_bindings"): _inner("ports", "security_groups"),
    ("neutron", "subnets"): _network("subnets", *SUBNET.split()),
    ("neutron", "allocation_pools"): _inner("subnets", "allocation_pools", "start", "end"),
    ("neutron", "dns_nameservers"): _inner("subnets", "dns_nameservers"),
    ("neutron", "host_routes"): _inner("subnets", "host_routes", "destination", "nexthop"),
    ("neutron", "routers"): _network(
        "routers", *["id", "tenant_id", "status", "admin_state_up", "name", "distributed"]
    ),
    ("neutron", "external_gateway_infos"): _inner("routers", "external_gateway_info", "network_id", "enable_snat"),
    ("neutron", "external_fixed_ips"): _inner(
        "routers", "external_gateway_info.external_fixed_ips", "subnet_id", "ip_address"
    ),
    ("neutron", "security_groups"): _network("security-groups", "id", "tenant_id", "name", "description"),
    ("neutron", "security_group_rules"): lambda raw: [
        (rule["security_group_id"], *(rule[key] for key in RULE.split()))
        for rule in raw.get("network", "/security-group-rules", "security_group_rules")
    ],
    ("neutron", "floating_ips"): _network("floatingips", *FLOATING.split()),
    ("keystone", "users"): _identity("users", "id", "name", "enabled", "default_project_id", "domain_id"),
    ("keystone", "roles"): _identity("roles", "id", "name"),
    ("keystone", "projects"): _identity("projects", "enabled", "description", "name", "domain_id", "id"),
    ("keystone", "domains"): _identity("domains", "enabled", "description", "name", "id"),
    ("glance", "images"): lambda raw: _pick(_images(raw), *IMAGE.split()),
    ("glance", "tags"): lambda raw: [(i["id"], tag) for i in _images(raw) for tag in i["tags"]],
}


def _as_compared(table: str, rows: Iterable[Row]) -> set[Row]:
    return {row[:6] + row[7:] for row in rows} if table == "services" else set(rows)


@pytest.mark.parametrize(("service", "table"), TABLES, ids=[f"{s}:{t}" for s, t in TABLES])
def test_rows(service: str, table: str, raw: Raw, request: pytest.FixtureRequest) -> None:
    running: Running = request.getfixturevalue(service)
    running.rows(table)
    for attempt in range(8):
        # Others may change the cloud at the same time: compare what did not change around the poll.
        before = {encode_row(row) for row in TABLES[service, table](raw)}
        running.poll()
        found = _as_compared(table, running.driver.table_rows(table))
        after = {encode_row(row) for row in TABLES[service, table](raw)}
        if before == after:
            break
        time.sleep(attempt)
    assert before == after, "the cloud does not hold still"
    assert found == after
    assert found, "there was nothing to compare"
    assert not [w for w in running.status()["warnings"] if repr(table) in w]


def test_all_tables_are_compared(nova: Running, neutron: Running, keystone: Running, glance: Running) -> None:
    services = (nova, neutron, keystone, glance)
    assert TABLES.keys() == {(s.name, table) for s in services for table in s.driver.TABLES}


def test_pages_and_increments(stage: Stage, raw: Raw, login: dict[str, object]) -> None:
    """The incremental reads of a real Nova: a change, a new server, a deleted one."""
    from congress.cloudservices.nova import NovaDriver  # noqa: PLC0415  # beside the only test that makes one
    from tests.cloudservices.running import running  # noqa: PLC0415

    servers = [stage.server() for _ in range(3)]
    with running(NovaDriver("nova2", {**login, "page_size": 2})) as nova:
        assert set(servers) <= {row[0] for row in nova.rows("servers")}
        stage.act(servers[0], pause=None)
        stage.settle(servers[0], "PAUSED")
        stage._delete_server(servers[1])
        new = stage.server()
        asked: list[Any] = []
        ask = nova.driver.api.get
        nova.driver.api.get = lambda path, params=None, version=None: asked.append(params) or ask(path, params, version)
        nova.poll()
        assert "changes-since" in asked[0]
        states = {row[0]: row[3] for row in nova.driver.table_rows("servers")}
    assert states[servers[0]] == "PAUSED"
    assert servers[1] not in states
    assert states[new] == "ACTIVE"
    assert states == {s["id"]: s["status"] for s in _servers(raw)}
