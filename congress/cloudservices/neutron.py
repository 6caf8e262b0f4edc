# SPDX-License-Identifier: Apache-2.0
"""Neutron as a cloud service: networks, ports, subnets, routers, security groups and floating IPs as tables."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from congress.cloudservices.neutron_actions import NeutronActions
from congress.cloudservices.openstack import Json
from congress.cloudservices.openstack_driver import OpenStackDriver, Pages
from congress.cloudservices.translation import Compiled, compile_translator, schemas_of
from congress.cloudservices.translators import Field, HDict, ListOf


def _text(name: str, description: str, column: str = "", nullable: bool = False) -> Field:
    return Field(name, column, type="string", nullable=nullable, description=description)


def _maybe(name: str, description: str, column: str = "") -> Field:
    return _text(name, description, column, nullable=True)


def _truth(name: str, description: str) -> Field:
    return Field(name, type="boolean", description=description)


def _number(name: str, description: str) -> Field:
    return Field(name, type="integer", description=description)


PROJECT: Final = _text("tenant_id", "id of the project it belongs to")
STATE: Final = _truth("admin_state_up", "whether it is meant to work")


def _gateway(info: Any) -> dict[str, Any] | None:
    """A router without a gateway has null, or an empty object."""
    return info or None


NETWORKS = compile_translator(
    HDict(
        "networks",
        (
            _text("id", "id of the network"),
            PROJECT,
            _text("name", "its name"),
            _maybe("status", "``ACTIVE``, ``BUILD``, ``DOWN`` or ``ERROR``"),
            STATE,
            _truth("shared", "whether other projects may use it"),
        ),
        description="Networks of all projects.",
    )
)
PORTS = compile_translator(
    HDict(
        "ports",
        (
            _text("id", "id of the port"),
            PROJECT,
            _text("name", "its name"),
            _text("network_id", "id of its network"),
            _maybe("mac_address", "its MAC address"),
            STATE,
            _maybe("status", "``ACTIVE``, ``BUILD``, ``DOWN``, ``ERROR`` or ``N/A``"),
            _maybe("device_id", "id of what it is plugged into, such as a server; empty for nothing"),
            _maybe("device_owner", "what that is, such as ``compute:nova``"),
            Field(
                "fixed_ips",
                rows=HDict(
                    "fixed_ips",
                    (_text("ip_address", "the address"), _text("subnet_id", "id of its subnet")),
                    in_list=True,
                    parent_key="id",
                    parent_column="port_id",
                    parent_description="id of the port",
                    description="Addresses of ports.",
                ),
            ),
            Field(
                "security_groups",
                rows=ListOf(
                    "security_group_port_bindings",
                    "security_group_id",
                    parent_key="id",
                    parent_column="port_id",
                    parent_description="id of the port",
                    description="Which ports are in which security groups.",
                ),
            ),
        ),
        description="Ports of all projects.",
    )
)
SUBNETS = compile_translator(
    HDict(
        "subnets",
        (
            _text("id", "id of the subnet"),
            PROJECT,
            _text("name", "its name"),
            _text("network_id", "id of its network"),
            _number("ip_version", "4 or 6"),
            _text("cidr", "its addresses"),
            _maybe("gateway_ip", "its gateway; null for none"),
            _truth("enable_dhcp", "whether DHCP serves it"),
            _maybe("ipv6_ra_mode", "how routers announce it"),
            _maybe("ipv6_address_mode", "how its addresses come about"),
            Field(
                "allocation_pools",
                rows=HDict(
                    "allocation_pools",
                    (_text("start", "first address"), _text("end", "last address")),
                    in_list=True,
                    parent_key="id",
                    parent_column="subnet_id",
                    parent_description="id of the subnet",
                    description="Ranges of addresses that ports get theirs from.",
                ),
            ),
            Field(
                "dns_nameservers",
                rows=ListOf(
                    "dns_nameservers",
                    "dns_nameserver",
                    parent_key="id",
                    parent_column="subnet_id",
                    parent_description="id of the subnet",
                    description="Name servers of subnets.",
                ),
            ),
            Field(
                "host_routes",
                rows=HDict(
                    "host_routes",
                    (_text("destination", "network in CIDR form"), _text("nexthop", "address to send to")),
                    in_list=True,
                    parent_key="id",
                    parent_column="subnet_id",
                    parent_description="id of the subnet",
                    description="Routes that subnets' hosts are told.",
                ),
            ),
        ),
        description="Subnets of all projects.",
    )
)
ROUTERS = compile_translator(
    HDict(
        "routers",
        (
            _text("id", "id of the router"),
            PROJECT,
            _maybe("status", "``ACTIVE``, ``ALLOCATING`` or ``ERROR``"),
            STATE,
            _text("name", "its name"),
            _truth("distributed", "whether it is distributed; null where Neutron does not tell"),
            Field(
                "external_gateway_info",
                rows=HDict(
                    "external_gateway_infos",
                    (
                        _text("network_id", "id of the external network"),
                        _truth("enable_snat", "whether it translates addresses"),
                    ),
                    extract=_gateway,
                    parent_key="id",
                    parent_column="router_id",
                    parent_description="id of the router",
                    description="Routers' ways out.",
                ),
            ),
            Field(
                ("external_gateway_info", "external_fixed_ips"),
                rows=HDict(
                    "external_fixed_ips",
                    (_text("subnet_id", "id of the external subnet"), _text("ip_address", "the address")),
                    in_list=True,
                    parent_key="id",
                    parent_column="router_id",
                    parent_description="id of the router",
                    description="Routers' outer addresses.",
                ),
            ),
        ),
        description="Routers of all projects.",
    )
)
SECURITY_GROUPS = compile_translator(
    HDict(
        "security_groups",
        (
            _text("id", "id of the security group"),
            PROJECT,
            _text("name", "its name"),
            _maybe("description", "its description"),
            Field(
                "security_group_rules",
                rows=HDict(
                    "security_group_rules",
                    (
                        _text("id", "id of the rule"),
                        PROJECT,
                        _maybe("remote_group_id", "id of the group that it is about"),
                        _text("direction", "``ingress`` or ``egress``"),
                        _maybe("ethertype", "``IPv4`` or ``IPv6``"),
                        _maybe("protocol", "such as ``tcp``; null for any"),
                        _number("port_range_min", "first port, or ICMP type; null for any"),
                        _number("port_range_max", "last port, or ICMP code; null for any"),
                        _maybe("remote_ip_prefix", "network in CIDR form that it is about"),
                    ),
                    in_list=True,
                    parent_key="id",
                    parent_column="security_group_id",
                    parent_description="id of the security group",
                    description="Rules of security groups.",
                ),
            ),
        ),
        description="Security groups of all projects.",
    )
)
FLOATING_IPS = compile_translator(
    HDict(
        "floating_ips",
        (
            _text("id", "id of the floating IP"),
            _maybe("router_id", "id of the router that serves it"),
            PROJECT,
            _text("floating_network_id", "id of the external network"),
            _maybe("fixed_ip_address", "the inner address; null for none"),
            _maybe("floating_ip_address", "the outer address"),
            _maybe("port_id", "id of the port it leads to; null for none"),
            _maybe("status", "``ACTIVE``, ``DOWN`` or ``ERROR``"),
        ),
        description="Floating IPs of all projects.",
    )
)

# Each list of the API, its key in the answer, and what is made of it.
LISTS: Final[tuple[tuple[str, str, Compiled], ...]] = (
    ("/networks", "networks", NETWORKS),
    ("/ports", "ports", PORTS),
    ("/subnets", "subnets", SUBNETS),
    ("/routers", "routers", ROUTERS),
    ("/security-groups", "security_groups", SECURITY_GROUPS),
    ("/floatingips", "floatingips", FLOATING_IPS),
)


class NeutronDriver(NeutronActions, OpenStackDriver):
    """What all projects have, where the account is an administrator's; else what Neutron shows it."""

    NAME = "neutron"
    DESCRIPTION = "OpenStack Networking (Neutron): networks, ports, subnets, routers, security groups, floating IPs"
    SERVICE_TYPE = "network"
    TABLES = schemas_of(*(translate for _, _, translate in LISTS))

    def lists(self) -> Sequence[tuple[Compiled, Pages]]:
        return tuple((translate, partial(self._list, path, key, translate)) for path, key, translate in LISTS)

    def _list(self, path: str, key: str, translate: Compiled) -> Iterator[list[Json]]:
        # Only the fields that are used: ports have a lot more.
        return self.api.pages(path, key, {"fields": sorted(_fields(translate))})


def _fields(translate: Compiled) -> set[str]:
    """The top-level fields of the API's objects that a translator looks at."""
    translator = translate.node.translator
    assert isinstance(translator, HDict)
    return {field.name if isinstance(field.name, str) else field.name[0] for field in translator.fields}
