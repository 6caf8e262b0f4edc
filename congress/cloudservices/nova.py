# SPDX-License-Identifier: Apache-2.0
"""Nova as a cloud service: servers, flavors, services, hypervisors and zones as tables."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from congress.cloudservices.nova_actions import NovaActions
from congress.cloudservices.nova_client import Compute
from congress.cloudservices.openstack import Json
from congress.cloudservices.openstack_driver import OpenStackDriver, Pages, translated
from congress.cloudservices.options import Option
from congress.cloudservices.polling_driver import Changes, RowChanges
from congress.cloudservices.translation import Compiled, Tables, compile_translator, schemas_of
from congress.cloudservices.translators import Field, HDict, ListOf

# From 2.47 on a server no longer tells its flavor's id; before 2.26 it does not tell its tags.
SERVERS_SINCE: Final = "2.26"
SERVERS_UNTIL: Final = "2.46"

# A change gets its time stamp before it can be read, and by the clock of one of many hosts.
OVERLAP: Final = timedelta(seconds=60)

GONE: Final = ("DELETED", "SOFT_DELETED")


def _id_of(thing: Any) -> str | None:
    """An image or a flavor is an object with an id; no image (the server boots from a volume) is ``""``."""
    return (thing.get("id") if isinstance(thing, dict) else thing) or None


def _or_null(text: str) -> str | None:
    """Nova has ``""`` where there is none: no host yet, no zone yet."""
    return text or None


def _addresses(networks: Mapping[str, list[Json]] | None) -> list[Json]:
    """All addresses of a server, each told its network."""
    found: list[Json] = []
    for name, addresses in (networks or {}).items():
        for address in addresses:
            address["network"] = name  # the answer is ours alone: no need to copy a hundred thousand of them
        found += addresses
    return found


SERVERS = compile_translator(
    HDict(
        "servers",
        (
            Field("id", type="string", nullable=False, description="id of the server"),
            Field("name", type="string", nullable=False, description="its name"),
            Field(
                "hostId",
                "host_id",
                type="string",
                extract=_or_null,
                description="opaque id of its host, another one for each project; null while it has none",
            ),
            Field("status", type="string", nullable=False, description="``ACTIVE``, ``SHUTOFF``, ``ERROR``, …"),
            Field("tenant_id", type="string", nullable=False, description="id of the project it belongs to"),
            Field("user_id", type="string", nullable=False, description="id of the user who made it"),
            Field(
                "image",
                "image_id",
                type="string",
                extract=_id_of,
                description="id of its image; null when it boots from a volume",
            ),
            Field("flavor", "flavor_id", type="string", extract=_id_of, description="id of its flavor"),
            Field(
                "OS-EXT-AZ:availability_zone",
                "zone",
                type="string",
                extract=_or_null,
                description="availability zone of its host",
            ),
            Field(
                "OS-EXT-SRV-ATTR:hypervisor_hostname",
                "host_name",
                type="string",
                description="the hypervisor it runs on, as in ``hypervisors``",
            ),
            Field("created", "created_at", type="string", nullable=False, description="when it was made, in UTC"),
            Field(
                "addresses",
                rows=HDict(
                    "servers.addresses",
                    (
                        Field("network", "network_name", type="string", nullable=False, description="its network"),
                        Field("addr", "address", type="string", nullable=False, description="the IP address"),
                        Field("version", type="integer", nullable=False, description="4 or 6"),
                        Field("OS-EXT-IPS-MAC:mac_addr", "mac_address", type="string", description="of its port"),
                        Field("OS-EXT-IPS:type", "address_type", type="string", description="fixed or floating"),
                    ),
                    in_list=True,
                    extract=_addresses,
                    parent_key="id",
                    parent_column="server_id",
                    parent_description="id of the server",
                    description="IP addresses of servers.",
                ),
            ),
            Field(
                "tags",
                rows=ListOf(
                    "tags",
                    "tag",
                    parent_key="id",
                    parent_column="server_id",
                    parent_description="id of the server",
                    description="Tags of servers.",
                ),
            ),
        ),
        description="Servers of all projects, without deleted ones.",
    )
)
FLAVORS = compile_translator(
    HDict(
        "flavors",
        (
            Field("id", type="string", nullable=False, description="id of the flavor"),
            Field("name", type="string", nullable=False, description="its name"),
            Field("vcpus", type="integer", nullable=False, description="processors"),
            Field("ram", type="integer", nullable=False, description="memory in MiB"),
            Field("disk", type="integer", nullable=False, description="root disk in GiB"),
            Field("OS-FLV-EXT-DATA:ephemeral", "ephemeral", type="integer", description="ephemeral disk in GiB"),
            Field("rxtx_factor", type="number", description="factor of the network's speed"),
        ),
        description="Flavors, public or not.",
    )
)
SERVICES = compile_translator(
    HDict(
        "services",
        (
            Field(
                "id",
                "service_id",
                nullable=False,
                description="id: a number, or from api_version 2.53 on a UUID",
            ),
            Field("binary", type="string", nullable=False, description="such as ``nova-compute``"),
            Field("host", type="string", nullable=False, description="its host"),
            Field("zone", type="string", description="availability zone of its host"),
            Field("status", type="string", nullable=False, description="``enabled`` or ``disabled``"),
            Field("state", type="string", nullable=False, description="``up`` or ``down``"),
            Field("updated_at", type="string", description="when it last reported"),
            Field("disabled_reason", type="string", description="why it was disabled"),
        ),
        description="Nova's own services.",
    )
)
HYPERVISORS = compile_translator(
    HDict(
        "hypervisors",
        (
            Field("hypervisor_hostname", type="string", nullable=False, description="its name"),
            Field("id", nullable=False, description="id: a number, or from api_version 2.53 on a UUID"),
            Field("state", type="string", description="``up`` or ``down``"),
            Field("status", type="string", description="``enabled`` or ``disabled``"),
        ),
        description="Hypervisors.",
    )
)
ZONES = compile_translator(
    HDict(
        "availability_zones",
        (
            Field("zoneName", "zone", type="string", nullable=False, description="its name"),
            Field(
                "zoneState",
                "state",
                type="string",
                extract=lambda state: "available" if state["available"] else "not available",
                description="``available`` or ``not available``",
            ),
        ),
        description="Availability zones.",
    )
)


def _version(value: str) -> str | None:
    major, dot, minor = value.partition(".")
    good = major == "2" and (not dot or minor.isdigit())
    return None if good else "must be a microversion such as 2.26"


class NovaDriver(NovaActions, OpenStackDriver):
    """Deleted servers are in no table.  Reading all projects' servers needs an administrator's account."""

    NAME = "nova"
    DESCRIPTION = "OpenStack Compute (Nova): servers, flavors, services, hypervisors, availability zones"
    SERVICE_TYPE = "compute"
    OPTIONS = (
        Option(
            "api_version",
            default="2.26",
            check=_version,
            description="Microversion of Nova's API; servers are read at most at 2.46, for their flavors' ids, "
            "and actions that need a newer one use that.",
        ),
        Option(
            "incremental",
            choices=("safe", "always", "never"),
            default="safe",
            description="Whether a poll of more servers than fit a page asks for the changed ones only. "
            "Nova does not count a new address or tag as a change: `safe` does it unless one of these tables "
            "is wanted, `always` does it then too (what others change in them shows at the next full read, "
            "each 30 polls), `never` reads everything each time.",
        ),
        Option(
            "all_tenants",
            "boolean",
            default=True,
            description="Servers of all projects (needs an administrator); else those of the login's.",
        ),
    )
    TABLES = schemas_of(SERVERS, FLAVORS, SERVICES, HYPERVISORS, ZONES)

    compute: Compute

    def configure(self) -> None:
        super().configure()
        self.watched = {}
        self._newest = ""
        self._many = False

    def connect(self, config: Mapping[str, Any], time_left: Callable[[float], float]) -> Compute:
        self.compute = Compute(config, time_left)
        return self.compute

    # Reading

    def lists(self) -> Sequence[tuple[Compiled, Pages]]:
        return ((SERVERS, self._all_servers), *self._small_lists())

    def _small_lists(self) -> Sequence[tuple[Compiled, Pages]]:
        # Nova's own zone, of its conductors and schedulers, shows in the detailed list only.
        zones = "/os-availability-zone" + ("/detail" if self.config["all_tenants"] else "")
        return (
            (FLAVORS, lambda: self.api.pages("/flavors/detail", "flavors", {"is_public": "None"})),
            (SERVICES, lambda: self._list("/os-services", "services")),
            (HYPERVISORS, lambda: self._list("/os-hypervisors/detail", "hypervisors")),
            (ZONES, lambda: self._list(zones, "availabilityZoneInfo")),
        )

    def _all_servers(self) -> Iterator[list[Json]]:
        self._many = False
        for number, page in enumerate(self._servers({})):
            self._many = number > 0
            yield page

    def fetch_changes(self, since: float, wanted: frozenset[str]) -> Changes | None:
        """Servers that changed, by Nova's ``changes-since``; the small tables whole."""
        mine = wanted & SERVERS.schemas.keys()
        mode = self.config["incremental"]
        if not mine or not self._many or not self._newest or mode == "never":
            return None
        if mode == "safe" and mine != {"servers"}:
            return None
        with self.asking():
            changes = self._changed_servers(since, mine)
            for translate, pages in self._small_lists():
                if translate.table in wanted:
                    changes |= self._replaced(translated(translate, pages()))
        return changes

    def _servers(self, query: Json) -> Iterator[list[Json]]:
        version = self.compute.version(SERVERS_SINCE, SERVERS_UNTIL)
        query = {**query, **({"all_tenants": "1"} if self.config["all_tenants"] else {})}
        for page in self.api.pages("/servers/detail", "servers", query, version):
            self._newest = max([self._newest, *(server["updated"] for server in page)])
            yield page

    def _changed_servers(self, since: float, wanted: frozenset[str]) -> dict[str, RowChanges]:
        # The newest change seen, by the clocks that stamp changes; not later than our own clock's, lest one
        # host far ahead of the others hide what these do.
        newest = min(datetime.fromisoformat(self._newest), datetime.fromtimestamp(since, UTC))
        changed = self._servers({"changes-since": (newest - OVERLAP).strftime("%Y-%m-%dT%H:%M:%SZ")})
        found = {server["id"]: server for page in changed for server in page}
        for server_id in self._watch():
            if server_id not in found:
                server = self.compute.server(server_id)
                found[server_id] = server or {"id": server_id, "status": "DELETED"}
        rows = SERVERS([server for server in found.values() if server["status"] not in GONE], wanted)
        key = {table: SERVERS.schemas[table].names[0] for table in rows}
        return {table: RowChanges(key[table], rows[table], found.keys()) for table in rows}

    def _watch(self) -> list[str]:
        now = time.monotonic()
        self.watched = {server: until for server, until in self.watched.items() if until > now}
        return list(self.watched)

    def _list(self, path: str, key: str) -> Iterator[list[Json]]:
        yield self.api.get(path, microversion=self.compute.version())[key]

    def _replaced(self, tables: Tables) -> dict[str, RowChanges]:
        """A whole table as changes: every row that was there is touched."""
        return {
            table: RowChanges(self.TABLES[table].names[0], rows, {row[0] for row in self.table_rows(table)})
            for table, rows in tables.items()
        }
