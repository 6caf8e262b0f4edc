# SPDX-License-Identifier: Apache-2.0
"""A small cloud on a loopback socket: enough of Keystone, Nova, Neutron and Glance for the drivers' tests.

It is the tests' ground truth, not a model of OpenStack: its state is plain dicts that a test may change,
every request is written down, and it misbehaves on demand (:meth:`FakeCloud.fault`): 429 with Retry-After,
503, slow answers, expired tokens, cut lists.  It runs in a thread, or as a process for the benchmarks::

    python -m tests.cloudservices.fake_openstack --servers 100000
"""

import argparse
import copy
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

Json = dict[str, Any]
PASSWORD = "correct horse battery"
STAMP = "%Y-%m-%dT%H:%M:%SZ"


class HttpError(Exception):
    def __init__(self, status: int, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, dict(headers or {})


@dataclass
class Request:
    """What a client asked, as the tests want to see it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    repeated: dict[str, list[str]]
    """The query once more, with all values of each key."""


@dataclass
class Fault:
    method: str
    path: str
    status: int
    headers: dict[str, str]
    message: str
    times: int
    delay: float


@dataclass
class State:
    """Everything the cloud knows, by collection and id."""

    servers: dict[str, Json] = field(default_factory=dict)
    interfaces: dict[str, list[Json]] = field(default_factory=dict)
    compute: dict[str, dict[str, Json]] = field(
        default_factory=lambda: {"flavors": {}, "services": {}, "hypervisors": {}, "zones": {}}
    )
    network: dict[str, dict[str, Json]] = field(default_factory=lambda: {name: {} for name in SINGULAR})
    identity: dict[str, dict[str, Json]] = field(
        default_factory=lambda: {"users": {}, "roles": {}, "projects": {}, "domains": {}}
    )
    assignments: set[str] = field(default_factory=set)
    images: dict[str, Json] = field(default_factory=dict)


SINGULAR = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "routers": "router",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "floatingips": "floatingip",
}

# What a server becomes by an action that needs no more than a new status.
STATUS_AFTER = {
    "pause": "PAUSED",
    "unpause": "ACTIVE",
    "suspend": "SUSPENDED",
    "resume": "ACTIVE",
    "os-start": "ACTIVE",
    "os-stop": "SHUTOFF",
    "rescue": "RESCUE",
    "unrescue": "ACTIVE",
    "shelve": "SHELVED",
    "shelveOffload": "SHELVED_OFFLOADED",
    "unshelve": "ACTIVE",
    "resize": "VERIFY_RESIZE",
    "confirmResize": "ACTIVE",
    "revertResize": "ACTIVE",
    "rebuild": "ACTIVE",
    "forceDelete": "DELETED",
}


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return datetime.now(UTC).strftime(STAMP)


class FakeCloud:
    """The cloud.  Change ``state`` under ``lock`` (or between polls); read ``requests``."""

    def __init__(self, *, page_limit: int = 1000, microversions: tuple[str, str] = ("2.1", "2.96")) -> None:
        self.state = State()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self.page_limit = page_limit
        self.microversions = microversions
        self.truncate: set[str] = set()
        self.sticky = False
        self.tokens: set[str] = set()
        self.logins = 0
        self._order: list[str] = []
        cloud = self

        class Handler(_Handler):
            fake = cloud

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def serve_forever(self) -> None:
        self._http.serve_forever()

    def config(self, **more: Any) -> Json:
        """A driver configuration that opens this cloud."""
        return {
            "auth_url": f"{self.url}/identity/v3",
            "username": "congress",
            "password": PASSWORD,
            "project_name": "admin",
            **more,
        }

    def fault(
        self,
        path: str,
        status: int = 0,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
        message: str = "out of order",
        times: int = 1,
        delay: float = 0.0,
    ) -> None:
        """The next ``times`` requests with ``path`` in their path answer ``status`` (0: as usual, but late)."""
        self.faults.append(Fault(method, path, status, dict(headers or {}), message, times, delay))

    def reset(self) -> None:
        """An empty cloud, in order again.  Tokens stay good."""
        with self.lock:
            self.state = State()
            self._order = []
            self.requests.clear()
            self.faults.clear()
            self.truncate.clear()

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests so far with this method whose path contains the text."""
        return [r for r in self.requests if r.method == method and path in r.path]

    # Making things

    def add_server(self, **more: Any) -> str:
        server_id = str(more.pop("id", None) or new_id())
        stamp = now()
        server: Json = {
            "id": server_id,
            "name": f"vm-{len(self.state.servers)}",
            "hostId": "5d0c37dd",
            "status": "ACTIVE",
            "tenant_id": "t1",
            "user_id": "u1",
            "image": {"id": "img-1", "links": []},
            "flavor": {"id": "1", "links": []},
            "OS-EXT-AZ:availability_zone": "nova",
            "OS-EXT-SRV-ATTR:host": "compute1",
            "OS-EXT-SRV-ATTR:hypervisor_hostname": "compute1.example.org",
            "OS-EXT-STS:task_state": None,
            "OS-EXT-STS:vm_state": "active",
            "created": stamp,
            "updated": stamp,
            "addresses": {},
            "metadata": {},
            "tags": [],
            "locked": False,
            "security_groups": [],
        }
        server.update(more)
        with self.lock:
            self.state.servers[server_id] = server
            self.state.interfaces.setdefault(server_id, [])
            self._order = []
        return server_id

    def add_interface(self, server_id: str, network: str, address: str, port_id: str | None = None) -> str:
        port_id = port_id or new_id()
        mac = "fa:16:3e:00:00:01"
        with self.lock:
            self.state.interfaces[server_id].append(
                {
                    "port_id": port_id,
                    "net_id": network,
                    "mac_addr": mac,
                    "port_state": "ACTIVE",
                    "fixed_ips": [{"ip_address": address, "subnet_id": "s"}],
                }
            )
            self.state.servers[server_id]["addresses"].setdefault(f"name-of-{network}", []).append(
                {
                    "addr": address,
                    "version": 6 if ":" in address else 4,
                    "OS-EXT-IPS-MAC:mac_addr": mac,
                    "OS-EXT-IPS:type": "fixed",
                }
            )
        return port_id

    def change_server(self, server_id: str, touch: bool = True, **more: Any) -> None:
        with self.lock:
            server = self.state.servers[server_id]
            server.update(more)
            if touch:
                server["updated"] = now()
            self._order = []

    def forget_order(self) -> None:
        """To be called after a change of ``state.servers`` by hand."""
        self._order = []

    def delete_server(self, server_id: str) -> None:
        self.change_server(server_id, status="DELETED")

    # Answering

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        parts = [part for part in request.path.split("/") if part]
        with self.lock:
            if parts[:1] == ["identity"]:
                return self._identity(request, parts[1:])
            if parts[:1] == ["compute"]:
                return self._compute(request, parts[1:])
            if parts[:1] == ["network"]:
                return self._network(request, parts[1:])
            if parts[:1] == ["image"]:
                return self._image(request, parts[1:])
        raise HttpError(404, "nothing is here")

    def _check_token(self, request: Request) -> None:
        if request.headers.get("x-auth-token") not in self.tokens:
            raise HttpError(401, "The request you have made requires authentication.")

    # Keystone

    def _identity(self, request: Request, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        if parts in ([], ["v3"]):
            links = [{"rel": "self", "href": f"{self.url}/identity/v3/"}]
            version = {"id": "v3.14", "status": "stable", "links": links}
            return (200, {"version": version}, {}) if parts else (300, {"versions": {"values": [version]}}, {})
        if parts == ["v3", "auth", "tokens"]:
            return self._login(request)
        self._check_token(request)
        if len(parts) > 3:
            return self._assignment(request, parts)
        status, body = self._crud(request, self.state.identity, parts[1:], parts[1], parts[1][:-1])
        if request.method == "GET" and len(parts) == 2:
            body["links"] = {"next": None}
            if parts[1] in self.truncate:
                body["truncated"] = True
        return status, body, {}

    def _login(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        identity = request.body["auth"]["identity"]
        if identity["methods"] == ["password"]:
            user = identity["password"]["user"]
            good = (user["name"], user["password"]) == ("congress", PASSWORD)
        else:
            good = identity["application_credential"]["secret"] == PASSWORD
        if not good:
            raise HttpError(401, "The request you have made requires authentication.")
        token = new_id()
        self.tokens.add(token)
        self.logins += 1
        kinds = {
            "identity": "/identity",
            "compute": "/compute/v2.1",
            "network": "/network",
            "image": "/image",
        }
        catalog = [
            {
                "id": kind,
                "type": kind,
                "name": kind,
                "endpoints": [
                    {
                        "id": f"{kind}-{i}",
                        "interface": i,
                        "region": "One",
                        "region_id": "One",
                        "url": self.url + path,
                    }
                    for i in ("public", "internal")
                ],
            }
            for kind, path in kinds.items()
        ]
        body = {
            "methods": ["password"],
            "user": {"id": "congress-id", "name": "congress", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "admin-id", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r-admin", "name": "admin"}],
            "catalog": catalog,
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
        }
        return 201, {"token": body}, {"X-Subject-Token": token}

    def _assignment(self, request: Request, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        key = "/".join(parts[1:])
        if request.method == "PUT":
            self.state.assignments.add(key)
        elif key not in self.state.assignments:
            raise HttpError(404, "Could not find role assignment")
        elif request.method == "DELETE":
            self.state.assignments.discard(key)
        return 204, None, {}

    # Nova

    def _compute(self, request: Request, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        if parts in ([], ["v2.1"]):
            version = {
                "id": "v2.1",
                "status": "CURRENT",
                "min_version": self.microversions[0],
                "version": self.microversions[1],
                "links": [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}],
            }
            return (200, {"version": version}, {}) if parts else (200, {"versions": [version]}, {})
        self._check_token(request)
        path = "/".join(parts[1:])
        if path == "servers/detail":
            return 200, self._server_list(request), {}
        if path == "servers":
            body = request.body["server"]
            return 202, {"server": {"id": self.add_server(name=body["name"]), "links": []}}, {}
        if parts[1] == "servers":
            return self._server(request, parts[2], parts[3:])
        compute = self.state.compute
        if path == "flavors/detail":
            return 200, self._page(request, "flavors", list(compute["flavors"].values())), {}
        if path.startswith("os-services"):
            return self._service(request, parts[2:])
        if path == "os-hypervisors/detail" or path == "os-hypervisors":
            return 200, {"hypervisors": list(compute["hypervisors"].values())}, {}
        if path in ("os-availability-zone", "os-availability-zone/detail"):
            return 200, {"availabilityZoneInfo": list(compute["zones"].values())}, {}
        if parts[1] in ("os-aggregates", "flavors") and parts[3:] == ["action"]:
            return 200, {"aggregate": {"id": parts[2]}, "flavor_access": []}, {}
        if parts[1] == "flavors":
            return (*self._crud(request, compute, parts[1:], "flavors", "flavor"), {})
        raise HttpError(404, f"no {path}")

    def _server_list(self, request: Request) -> Json:
        since = request.query.get("changes-since")
        servers = self.state.servers
        if not self._order:
            # Newest first, as Nova does.
            self._order = sorted(servers, key=lambda i: (servers[i]["created"], i), reverse=True)
        listed = [servers[i] for i in self._order]
        if since:
            wanted = datetime.fromisoformat(since).astimezone(UTC).strftime(STAMP)
            listed = [s for s in listed if s["updated"] >= wanted]
        else:
            listed = [s for s in listed if s["status"] != "DELETED"]
        body = self._page(request, "servers", listed)
        version = request.headers.get("openstack-api-version", "compute 2.1").split()[-1]
        if tuple(map(int, version.split("."))) < (2, 26):
            body["servers"] = [{k: v for k, v in s.items() if k != "tags"} for s in body["servers"]]
        return body

    def _page(self, request: Request, key: str, listed: list[Json]) -> Json:
        limit = min(int(request.query.get("limit", self.page_limit)), self.page_limit)
        start = 0
        if marker := request.query.get("marker"):
            at = [n for n, item in enumerate(listed) if item["id"] == marker]
            if not at:
                raise HttpError(400, f"marker [{marker}] not found")
            start = at[0] + 1
        body: Json = {key: listed[start : start + limit]}
        if start + limit < len(listed):
            # A wrong host, as behind many a proxy: only the marker is to be believed.
            marker = listed[0]["id"] if self.sticky else body[key][-1]["id"]
            href = f"http://internal.invalid/{key}?limit={limit}&marker={marker}"
            body[f"{key}_links"] = [{"rel": "next", "href": href}]
        return body

    def _server(self, request: Request, server_id: str, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        server = self.state.servers.get(server_id)
        if server is None or server["status"] == "DELETED":
            raise HttpError(404, f"Instance {server_id} could not be found.")
        if not rest and request.method == "GET":
            return 200, {"server": server}, {}
        if not rest and request.method == "DELETE":
            self.delete_server(server_id)
            return 204, None, {}
        if not rest and request.method == "PUT":
            self.change_server(server_id, **request.body["server"])
            return 200, {"server": server}, {}
        if rest == ["action"]:
            return self._server_action(server_id, server, request.body)
        if rest[0] == "os-interface":
            return self._interface(request, server_id, server, rest[1:])
        if rest[0] == "metadata":
            return self._metadata(request, server, rest[1:])
        if rest[0] == "os-security-groups":
            groups = [{"id": f"id-of-{g['name']}", **g} for g in server["security_groups"]]
            return 200, {"security_groups": groups}, {}
        if rest[0] == "tags":
            return self._server_tags(request, server, rest[1:])
        raise HttpError(404, "no such thing of a server")

    def _server_action(self, server_id: str, server: Json, body: Json) -> tuple[int, Any, dict[str, str]]:
        ((name, value),) = body.items()
        if server["locked"] and name not in ("lock", "unlock"):
            raise HttpError(409, f"Instance {server_id} is locked")
        if server["OS-EXT-STS:task_state"]:
            task = server["OS-EXT-STS:task_state"]
            raise HttpError(409, f"Cannot '{name}' instance {server_id} while it is in task_state {task}")
        if STATUS_AFTER.get(name) == server["status"] == "PAUSED":
            raise HttpError(409, f"Cannot '{name}' instance {server_id} while it is in vm_state paused")
        if name in STATUS_AFTER:
            self.change_server(server_id, status=STATUS_AFTER[name])
        if name == "resize":
            server["flavor"] = {"id": value["flavorRef"]}
        elif name in ("lock", "unlock"):
            server["locked"] = name == "lock"
        elif name == "os-resetState":
            self.change_server(server_id, status=value["state"].upper())
        elif name == "addSecurityGroup":
            server["security_groups"].append({"name": value["name"]})
        elif name == "removeSecurityGroup":
            server["security_groups"].remove({"name": value["name"]})
        elif name == "createImage":
            image_id = new_id()
            self.state.images[image_id] = {"id": image_id, "name": value["name"], "tags": []}
            return 202, {"image_id": image_id}, {"Location": f"{self.url}/image/v2/images/{image_id}"}
        if name == "rebuild":
            return 202, {"server": server}, {}
        return 202, ({"adminPass": "x"} if name in ("rescue", "evacuate") else None), {}

    def _interface(
        self, request: Request, server_id: str, server: Json, rest: list[str]
    ) -> tuple[int, Any, dict[str, str]]:
        interfaces = self.state.interfaces[server_id]
        if request.method == "GET" and not rest:
            return 200, {"interfaceAttachments": interfaces}, {}
        if request.method == "POST":
            wanted = request.body["interfaceAttachment"]
            port_id = self.add_interface(
                server_id, wanted.get("net_id", "net-of-port"), "10.9.9.9", wanted.get("port_id")
            )
            return 200, {"interfaceAttachment": next(i for i in interfaces if i["port_id"] == port_id)}, {}
        found = [i for i in interfaces if i["port_id"] == rest[0]]
        if not found:
            raise HttpError(404, f"Port {rest[0]} could not be found.")
        if request.method == "DELETE":
            interfaces.remove(found[0])
            addresses = {ip["ip_address"] for ip in found[0]["fixed_ips"]}
            kept = {
                name: [a for a in entries if a["addr"] not in addresses]
                for name, entries in server["addresses"].items()
            }
            server["addresses"] = {name: entries for name, entries in kept.items() if entries}
            return 202, None, {}
        return 200, {"interfaceAttachment": found[0]}, {}

    @staticmethod
    def _metadata(request: Request, server: Json, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        if request.method == "POST":
            server["metadata"].update(request.body["metadata"])
            return 200, {"metadata": server["metadata"]}, {}
        if request.method == "DELETE":
            if rest[0] not in server["metadata"]:
                raise HttpError(404, "Metadata item was not found")
            del server["metadata"][rest[0]]
            return 204, None, {}
        return 200, {"metadata": server["metadata"]}, {}

    @staticmethod
    def _server_tags(request: Request, server: Json, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        if request.method == "GET":
            return 200, {"tags": server["tags"]}, {}
        if request.method == "PUT":
            server["tags"] = [*server["tags"], rest[0]] if rest else request.body["tags"]
            return 201, None, {}
        if rest and rest[0] not in server["tags"]:
            raise HttpError(404, "tag not found")
        server["tags"] = [t for t in server["tags"] if rest and t != rest[0]]
        return 204, None, {}

    def _service(self, request: Request, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        services = self.state.compute["services"]
        if request.method == "GET":
            wanted = [s for s in services.values() if request.query.get("binary", s["binary"]) == s["binary"]]
            return (
                200,
                {"services": [s for s in wanted if request.query.get("host", s["host"]) == s["host"]]},
                {},
            )
        if request.method == "DELETE":
            self.state.compute["services"].pop(rest[0], None)
            return 204, None, {}
        body = request.body
        found = [s for s in services.values() if (s["host"], s["binary"]) == (body.get("host"), body.get("binary"))]
        if not found:
            raise HttpError(404, "Could not find the service")
        if rest == ["force-down"]:
            found[0]["forced_down"] = body["forced_down"]
            return 200, {"service": found[0]}, {}
        found[0]["status"] = "enabled" if rest == ["enable"] else "disabled"
        found[0]["disabled_reason"] = body.get("disabled_reason")
        return 200, {"service": found[0]}, {}

    # Neutron

    def _network(self, request: Request, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        if parts in ([], ["v2.0"]):
            links = [{"rel": "self", "href": f"{self.url}/network/v2.0/"}]
            return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]}, {}
        self._check_token(request)
        kind = parts[1]
        if kind not in SINGULAR:
            raise HttpError(404, "The resource could not be found.")
        if len(parts) == 4:
            return self._router_interface(request, parts[2], parts[3])
        collection = self.state.network[kind]
        key = kind.replace("-", "_")
        if request.method == "GET" and len(parts) == 2:
            return 200, self._page(request, key, list(collection.values())), {}
        return (*self._crud(request, self.state.network, parts[1:], key, SINGULAR[kind]), {})

    def _router_interface(self, request: Request, router_id: str, verb: str) -> tuple[int, Any, dict[str, str]]:
        if router_id not in self.state.network["routers"]:
            raise HttpError(404, f"Router {router_id} could not be found")
        ports = self.state.network["ports"]
        subnet = request.body.get("subnet_id", "subnet-of-port")
        mine = [p for p in ports.values() if p["device_id"] == router_id]
        mine = [p for p in mine if any(ip["subnet_id"] == subnet for ip in p["fixed_ips"])]
        if verb == "add_router_interface":
            if mine:
                raise HttpError(400, "Router already has a port on this subnet")
            port = {
                "id": request.body.get("port_id") or new_id(),
                "device_id": router_id,
                "device_owner": "network:router_interface",
                "fixed_ips": [{"subnet_id": subnet, "ip_address": "10.0.0.1"}],
            }
            ports[port["id"]] = port
        elif not mine:
            raise HttpError(404, "Router has no interface on this subnet")
        else:
            port = ports.pop(mine[0]["id"])
        return 200, {"id": router_id, "port_id": port["id"], "subnet_id": subnet}, {}

    # Glance

    def _image(self, request: Request, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        if parts in ([], ["v2"]):
            links = [{"rel": "self", "href": f"{self.url}/image/v2/"}]
            return 300, {"versions": [{"id": "v2.15", "status": "CURRENT", "links": links}]}, {}
        self._check_token(request)
        images = self.state.images
        if request.method == "GET" and len(parts) == 2:
            hidden = request.query.get("os_hidden", "false") == "true"
            listed = [i for i in images.values() if i.get("os_hidden", False) == hidden]
            body = self._page(request, "images", listed)
            if links := body.pop("images_links", None):
                body["next"] = "/v2/images?" + links[0]["href"].partition("?")[2]
            return 200, body, {}
        image = images.get(parts[2])
        if image is None:
            raise HttpError(404, f"Failed to find image {parts[2]}")
        if parts[3:4] == ["actions"]:
            image["status"] = "active" if parts[4] == "reactivate" else "deactivated"
            return 204, None, {}
        if parts[3:4] == ["tags"]:
            tags = [t for t in image["tags"] if t != parts[4]]
            if request.method == "DELETE" and len(tags) == len(image["tags"]):
                raise HttpError(404, "tag not found")
            image["tags"] = [*tags, parts[4]] if request.method == "PUT" else tags
            return 204, None, {}
        if parts[3:4] == ["members"]:
            return self._members(request, image, parts[4:])
        if request.method == "PATCH":
            _patch(image, request.body)
        elif request.method == "DELETE":
            if image.get("protected"):
                raise HttpError(403, f"Image {parts[2]} is protected and cannot be deleted.")
            del images[parts[2]]
            return 204, None, {}
        return 200, image, {}

    @staticmethod
    def _members(request: Request, image: Json, rest: list[str]) -> tuple[int, Any, dict[str, str]]:
        members = image.setdefault("members", [])
        if request.method == "POST":
            members.append(request.body["member"])
            return 200, {"member_id": request.body["member"]}, {}
        if rest[0] not in members:
            raise HttpError(404, "member not found")
        if request.method == "DELETE":
            members.remove(rest[0])
            return 204, None, {}
        return 200, {"member_id": rest[0]}, {}

    # All of them

    @staticmethod
    def _crud(
        request: Request,
        collections: dict[str, dict[str, Json]],
        parts: list[str],
        plural: str,
        singular: str,
    ) -> tuple[int, Any]:
        collection = collections.get(parts[0])
        if collection is None:
            raise HttpError(404, "The resource could not be found.")
        if len(parts) == 1 and request.method == "GET":
            return 200, {plural: list(collection.values())}
        if len(parts) == 1 and request.method == "POST":
            item = {"id": new_id(), **request.body[singular]}
            collection[item["id"]] = item
            return 201, {singular: item}
        if len(parts) != 2 or parts[1] not in collection:
            raise HttpError(404, f"{singular} {parts[-1]} could not be found")
        if request.method in ("PUT", "PATCH"):
            collection[parts[1]].update(request.body[singular])
        elif request.method == "DELETE":
            del collection[parts[1]]
            return 204, None
        return 200, {singular: collection[parts[1]]}


def _patch(image: Json, operations: list[Json]) -> None:
    for operation in operations:
        key = operation["path"].lstrip("/")
        if operation["op"] == "remove":
            image.pop(key, None)
        elif operation["op"] == "replace" and key not in image:
            raise HttpError(409, f"Property {key} does not exist.")
        else:
            image[key] = operation["value"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is two writes; without this the second waits for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    fake: FakeCloud

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        query = parse_qs(url.query, keep_blank_values=True)
        request = Request(
            self.command,
            url.path,
            {key: values[-1] for key, values in query.items()},
            {key.lower(): value for key, value in self.headers.items()},
            orjson.loads(raw) if raw else None,
            query,
        )
        self.fake.requests.append(copy.deepcopy(request))
        try:
            self._misbehave(request)
            status, body, headers = self.fake.answer(request)
            with self.fake.lock:
                data = orjson.dumps(body) if body is not None else b""
        except HttpError as error:
            status, headers = error.status, error.headers
            data = orjson.dumps({"error": {"code": status, "message": error.message}})
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if data and self.command != "HEAD":
            self.wfile.write(data)

    def _misbehave(self, request: Request) -> None:
        for fault in self.fake.faults:
            if fault.times > 0 and fault.path in request.path and fault.method in ("", request.method):
                fault.times -= 1
                if fault.delay:
                    time.sleep(fault.delay)
                if fault.status:
                    raise HttpError(fault.status, fault.message, fault.headers)
                return

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the tests read ``requests``."""


@contextmanager
def fake_cloud(**options: Any) -> Iterator[FakeCloud]:
    cloud = FakeCloud(**options)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()


def main() -> None:
    """A cloud with many servers: prints its URL; a line "touch N STATUS" on stdin changes N of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--servers", type=int, default=100_000)
    count = parser.parse_args().servers
    cloud = FakeCloud()
    for n in range(count):
        created = f"2026-01-{1 + n // 10_000 % 28:02}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z"
        server_id = cloud.add_server(
            id=f"{n:08x}-0000-4000-8000-{n:012x}",
            name=f"vm-{n}",
            created=created,
            updated=created,
            tags=["production"] if n % 3 == 0 else [],
            tenant_id=f"tenant-{n % 200}",
        )
        cloud.add_interface(server_id, f"net-{n % 500}", f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")
    cloud.start()
    print(cloud.url, flush=True)
    for line in sys.stdin:
        _, count, status = line.split()
        for server_id in list(cloud.state.servers)[: int(count)]:
            cloud.change_server(server_id, status=status)
        print("touched", flush=True)
    cloud.stop()


if __name__ == "__main__":
    main()
