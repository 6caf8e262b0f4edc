# SPDX-License-Identifier: Apache-2.0
"""How to tell whether an action of Nova's was done: what a server looks like afterwards.

Each check gets the driver and the action's arguments and says yes, no, or None for what cannot be told (yet).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from congress.cloudservices.openstack import quoted
from congress.cloudservices.openstack_actions import flat, meta_text, pairs, structure

if TYPE_CHECKING:
    from congress.cloudservices.nova_actions import NovaActions as Driver

Check = Callable[..., bool | None]


def status_is(*wanted: str) -> Check:
    """The server has one of these states, and nothing is under way with it."""

    def check(driver: "Driver", server: str, *_: object, **__: object) -> bool | None:
        found = driver.compute.settled(server)
        return None if found is None else found["status"] in wanted

    return check


def status_is_not(*unwanted: str) -> Check:
    """The server has none of these states, and nothing is under way with it."""

    def check(driver: "Driver", server: str, *_: object, **__: object) -> bool | None:
        found = driver.compute.settled(server)
        return None if found is None else found["status"] not in unwanted

    return check


def gone(driver: "Driver", server: str) -> bool:
    found = driver.compute.server(server)
    return found is None or found["status"] in ("DELETED", "SOFT_DELETED")


def locked(wanted: bool) -> Check:
    def check(driver: "Driver", server: str, *_: object, **__: object) -> bool | None:
        found = driver.compute.server(server)
        return None if found is None else bool(found["locked"]) is wanted

    return check


def resized(driver: "Driver", server: str, flavor: str, *_: object, **__: object) -> bool | None:
    found = driver.compute.settled(server)
    return None if found is None else bool(found["flavor"]["id"] == driver.compute.flavor_id(flavor))


def on_host(driver: "Driver", server: str, host: str | None = None, *_: object, **__: object) -> bool | None:
    """Without a host it was left to the scheduler, and where it came from is not known any more."""
    found = driver.compute.settled(server)
    return None if found is None or host is None else bool(found["OS-EXT-SRV-ATTR:host"] == host)


def attached(driver: "Driver", server: str, port_id: str | None = None, *_: object, **__: object) -> bool | None:
    return None if port_id is None else port_id in driver.compute.ports(server)


def detached(driver: "Driver", server: str, port_id: str) -> bool:
    return port_id not in driver.compute.ports(server)


def disconnected(driver: "Driver", server: str, network: str) -> bool:
    return network not in driver.compute.ports(server).values()


def has_meta(driver: "Driver", server: str, metadata: object) -> bool | None:
    found = driver.compute.server(server)
    wanted = {key: meta_text(value) for key, value in structure("metadata", metadata).items()}
    return None if found is None else wanted.items() <= found["metadata"].items()


def has_pairs(driver: "Driver", server: str, *meta: object) -> bool | None:
    return has_meta(driver, server, pairs(meta))


def lacks_meta(driver: "Driver", server: str, *keys: str) -> bool | None:
    found = driver.compute.server(server)
    return None if found is None else not set(keys) & set(found["metadata"])


def tags(compare: Callable[[set[str], set[str]], bool]) -> Check:
    """Compare the server's tags with those of the action."""

    def check(driver: "Driver", server: str, *given: object, **named: object) -> bool | None:
        found = driver.compute.server(server)
        wanted = flat([*given, *named.values()])
        return None if found is None else compare(set(found["tags"]), set(wanted))

    return check


def named(driver: "Driver", server: str, name: str | None = None, description: str | None = None) -> bool | None:
    found = driver.compute.server(server)
    return None if found is None or name is None or description is not None else bool(found["name"] == name)


def in_group(wanted: bool) -> Check:
    def check(driver: "Driver", server: str, security_group: str) -> bool:
        found = driver.compute.get(f"/servers/{quoted(server)}/os-security-groups")["security_groups"]
        return any(security_group in (group["id"], group["name"]) for group in found) is wanted

    return check


def service_is(status: str) -> Check:
    def check(driver: "Driver", host: str, binary: str, *_: object, **__: object) -> bool | None:
        found = driver.compute.services(host, binary)
        return found[0]["status"] == status if len(found) == 1 else None

    return check


def forced_down(driver: "Driver", host: str, binary: str, force_down: bool = True) -> bool | None:
    found = driver.compute.services(host, binary)
    return found[0]["forced_down"] is force_down if len(found) == 1 else None
