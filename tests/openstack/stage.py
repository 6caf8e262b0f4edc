# SPDX-License-Identifier: Apache-2.0
"""Things in a real cloud for the tests to look at and to act on; all of them go at the end."""

import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from tests.openstack.raw import Json, Raw, wait


class Stage:
    """Makes things by plain HTTP, when they are first asked for, and deletes them in the end."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.name = f"congress-test-{uuid.uuid4().hex[:8]}"
        self._undo: list[Callable[[], object]] = []

    def clear(self) -> None:
        """Delete everything, the latest first; what is still in use, once more after the rest."""
        left = list(reversed(self._undo))
        while left:
            failed: list[tuple[Callable[[], object], str]] = []
            for undo in left:
                try:
                    undo()
                except AssertionError as error:
                    if ": 404 " not in str(error):
                        failed.append((undo, str(error)))
            assert len(failed) < len(left), [text for _, text in failed]
            left = [undo for undo, _ in failed]

    def make(self, service: str, path: str, key: str, version: str = "", **attributes: Any) -> Json:
        made: Json = self.raw.ask("POST", service, path, {key: attributes}, version)[key]
        self._undo.append(lambda: self.raw.ask("DELETE", service, f"{path}/{made['id']}"))
        return made

    def forget(self, path: str) -> None:
        """To be called with what a test made by a driver: delete it in the end, if it is still there."""
        service, _, rest = path.partition("/")
        self._undo.append(lambda: self.raw.ask("DELETE", service, f"/{rest}"))

    # Networks

    def network(self, cidr: str, **more: Any) -> Json:
        network = self.make("network", "/networks", "network", name=self.name, **more)
        network["subnet"] = self.make(
            "network", "/subnets", "subnet", name=self.name, network_id=network["id"], ip_version=4, cidr=cidr
        )["id"]
        return network

    @cached_property
    def net(self) -> Json:
        return self.network("10.91.0.0/24")

    @cached_property
    def other_net(self) -> Json:
        return self.network("10.92.0.0/24")

    @cached_property
    def external_net(self) -> Json:
        return self.network("192.0.2.0/24", **{"router:external": True})

    @cached_property
    def router(self) -> Json:
        return self.make("network", "/routers", "router", name=self.name)

    @cached_property
    def group(self) -> Json:
        return self.make("network", "/security-groups", "security_group", name=self.name)

    def port(self, network: Json) -> Json:
        return self.make("network", "/ports", "port", name=self.name, network_id=network["id"])

    # Images and flavors

    def image(self, **more: Any) -> Json:
        body = {"name": self.name, "disk_format": "raw", "container_format": "bare", **more}
        made: Json = self.raw.ask("POST", "image", "/images", body)
        self._undo.append(lambda: self.raw.ask("DELETE", "image", f"/images/{made['id']}"))
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/images/{made['id']}/file"
        self.raw.ask("PUT", "image", path, headers=headers, data=b"\0" * 4096)
        return made

    @cached_property
    def disk(self) -> Json:
        return self.image()

    @cached_property
    def small(self) -> Json:
        return self.make("compute", "/flavors", "flavor", name=f"{self.name}-s", vcpus=1, ram=64, disk=1)

    @cached_property
    def big(self) -> Json:
        return self.make("compute", "/flavors", "flavor", name=f"{self.name}-b", vcpus=2, ram=128, disk=1)

    # Servers

    def server(self, **more: Any) -> str:
        """A new server, ACTIVE."""
        body = {
            "name": self.name,
            "imageRef": self.disk["id"],
            "flavorRef": self.small["id"],
            "networks": [{"uuid": self.net["id"]}],
            "metadata": {"app": "web"},
            **more,
        }
        server: str = self.raw.ask("POST", "compute", "/servers", {"server": body})["server"]["id"]
        self._undo.append(lambda: self._delete_server(server))
        self.settle(server)
        return server

    def _delete_server(self, server: str) -> None:
        self.raw.ask("DELETE", "compute", f"/servers/{server}")
        wait("server gone", lambda: self.raw.status("compute", f"/servers/{server}") == 404)

    @cached_property
    def shared_server(self) -> str:
        return self.server()

    def act(self, server: str, **action: Any) -> Any:
        """One of Nova's actions, by plain HTTP."""
        return self.raw.ask("POST", "compute", f"/servers/{server}/action", action)

    def look(self, server: str, version: str = "2.46") -> Json:
        found: Json = self.raw.get("compute", f"/servers/{server}", "server", version)
        return found

    def settle(self, server: str, *states: str) -> Json:
        """Wait until the server is in one of these states (ACTIVE) and nothing is under way with it."""

        def settled() -> Json | None:
            now = self.look(server)
            assert now["status"] != "ERROR" or "ERROR" in states, now.get("fault")
            return now if now["status"] in (states or ("ACTIVE",)) and not now["OS-EXT-STS:task_state"] else None

        found: Json = wait(f"server {' or '.join(states or ('ACTIVE',))}", settled)
        return found

    def ports(self, server: str) -> dict[str, str]:
        """The ports that Neutron has for a server, with the network of each."""
        found = self.raw.get("network", f"/ports?device_id={server}", "ports")
        return {port["id"]: port["network_id"] for port in found}
