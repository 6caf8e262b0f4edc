# SPDX-License-Identifier: Apache-2.0
"""Nova's API as the driver needs it: which microversion, and what Nova says about one server."""

from collections.abc import Callable, Mapping
from typing import Any

from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ActionFailed, PollError
from congress.cloudservices.openstack import Api, Json, quoted


def parse(version: str) -> tuple[int, int]:
    """``"2.26"`` as a pair that can be compared."""
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)


def text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


class Compute(Api):
    """Nova, spoken to at one microversion; newer ones for the calls that need them.

    Worker thread only.  What goes wrong is raised as the libraries' own errors.
    """

    def __init__(self, config: Mapping[str, Any], time_left: Callable[[float], float]) -> None:
        super().__init__(config, "compute", time_left)
        self._wanted = parse(config["api_version"])
        self._offered: tuple[int, int] | None = None
        self._clients: dict[str, Any] = {}

    @property
    def offered(self) -> tuple[int, int]:
        """The newest microversion of this cloud.  Asks Nova once."""
        if self._offered is None:
            data = self.adapter.get_endpoint_data()
            newest = data.max_microversion if data else None
            if not newest:
                raise PollError("Nova does not say which microversions it offers: is the endpoint right?")
            self._offered = (int(newest[0]), int(newest[1]))
        return self._offered

    def version(self, needs: str = "2.1", most: str | None = None) -> str:
        """The microversion for a call that needs at least one and, for its answer's shape, at most another.

        It is the configured one within these bounds, or the cloud's newest where that is older.
        """
        chosen = max(self._wanted, parse(needs))
        if most is not None:
            chosen = min(chosen, parse(most))
        return text(min(chosen, self.offered))

    def nova(self, needs: str = "2.1") -> Any:
        """novaclient, at the configured microversion or at a newer one that the call needs.

        :raises ActionFailed: this cloud's Nova does not offer that one.
        """
        if parse(needs) > self.offered:
            raise ActionFailed(f"this needs Nova's API {needs}; this cloud offers up to {text(self.offered)}")
        version, session = self.version(needs), self.session
        if version not in self._clients:
            # A third of a second of imports, only where something is to be done.
            from novaclient import API_MAX_VERSION  # noqa: PLC0415
            from novaclient import client as nova_client  # noqa: PLC0415

            known = API_MAX_VERSION.get_string()
            self._clients[version] = nova_client.Client(
                text(min(parse(version), parse(known))), session=session, **self._endpoint()
            )
        return self._clients[version]

    def _endpoint(self) -> Json:
        found = self.endpoint_filter
        return {
            "region_name": found["region_name"],
            "endpoint_type": found["interface"],
            "endpoint_override": found["endpoint_override"],
        }

    def close(self) -> None:
        super().close()
        self._clients.clear()
        self._offered = None

    def server(self, server: str) -> Json | None:
        """What Nova says about a server now; None when there is none of this id."""
        try:
            found = self.get(f"/servers/{quoted(server)}", microversion=self.version("2.26", "2.46"))
        except ksa.NotFound:
            return None
        server_now: Json = found["server"]
        return server_now

    def settled(self, server: str) -> Json | None:
        """The same, but None as well while something is under way with it."""
        found = self.server(server)
        return None if found is None or found.get("OS-EXT-STS:task_state") else found

    def ports(self, server: str) -> dict[str, str]:
        """The server's ports, with the network of each; none when there is no such server."""
        try:
            found = self.get(f"/servers/{quoted(server)}/os-interface")
        except ksa.NotFound:
            return {}
        return {item["port_id"]: item["net_id"] for item in found["interfaceAttachments"]}

    def services(self, host: str, binary: str) -> list[Json]:
        """The services of a host with this binary: one or none."""
        query = {"host": host, "binary": binary}
        found: list[Json] = self.get("/os-services", query, self.version("2.11", "2.52"))["services"]
        return found

    def flavor_id(self, flavor: str) -> str:
        """The id of a flavor given by id or by name.

        :raises ActionFailed: there is none of this name, or several.
        """
        try:
            self.get(f"/flavors/{quoted(flavor)}")
            return flavor
        except ksa.NotFound:
            pass
        every = self.all("/flavors/detail", "flavors", {"is_public": "None"})
        found = [item["id"] for item in every if item["name"] == flavor]
        if len(found) != 1:
            raise ActionFailed(f"{len(found) or 'no'} flavors are called {flavor!r}")
        return str(found[0])
