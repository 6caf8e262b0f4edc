# SPDX-License-Identifier: Apache-2.0
"""What can be asked of Nova: the listed actions, each with its arguments.

Names are novaclient's (``servers.pause``).  Nova carries most of them out after it has answered: an action that
returns was accepted; ``verify`` tells later whether it came to pass.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from congress.cloudservices import nova_checks as checks
from congress.cloudservices.errors import ActionArgumentError, ActionFailed
from congress.cloudservices.execution_driver import Check
from congress.cloudservices.nova_client import Compute
from congress.cloudservices.openstack import Json, quoted
from congress.cloudservices.openstack_actions import (
    OpenStackActions,
    api_action,
    flat,
    meta_text,
    pairs,
    structure,
)

Method = TypeVar("Method", bound=Callable[..., object])

SERVER_TABLES: Final = ("servers", "servers.addresses", "tags")
# So many seconds long a server that an action was done to is read by itself, in incremental reads.
WATCHED: Final = 120.0

# The microversions from which on a call exists or takes an argument.
FORCE_DOWN: Final = "2.11"
DESCRIPTION: Final = "2.19"
TAGS: Final = "2.26"
SAFE_HOST: Final = "2.34"
INTERFACE_TAG: Final = "2.49"
FLAVOR_DESCRIPTION: Final = "2.55"
MIGRATE_HOST: Final = "2.56"
LOCK_REASON: Final = "2.73"
UNSHELVE_ZONE: Final = "2.77"
UNSHELVE_HOST: Final = "2.91"


def server_action(name: str, check: Check | None = None, *, idempotent: bool = True) -> Callable[[Method], Method]:
    """An action on one server, which is watched for a while then: Nova goes on after its answer."""
    return api_action(f"servers.{name}", effects=SERVER_TABLES, idempotent=idempotent, check=check, before=_watch)


def _watch(driver: "NovaActions", server: str, *_: object, **__: object) -> None:
    driver.watched[server] = time.monotonic() + WATCHED


class NovaActions(OpenStackActions):
    """The actions of :class:`~congress.cloudservices.nova.NovaDriver`.  A server is named by its id."""

    compute: Compute
    watched: dict[str, float]
    """Servers that an action was done to, and until when they are watched, by the monotonic clock."""

    # Power and state

    @server_action("pause", checks.status_is("PAUSED"))
    def servers_pause(self, server: str) -> None:
        """Pause a server: it keeps its memory and stops running.

        :param server: id of the server
        """
        self.compute.nova().servers.pause(quoted(server))

    @server_action("unpause", checks.status_is_not("PAUSED"))
    def servers_unpause(self, server: str) -> None:
        """Let a paused server run again.

        :param server: id of the server
        """
        self.compute.nova().servers.unpause(quoted(server))

    @server_action("suspend", checks.status_is("SUSPENDED"))
    def servers_suspend(self, server: str) -> None:
        """Suspend a server to disk.

        :param server: id of the server
        """
        self.compute.nova().servers.suspend(quoted(server))

    @server_action("resume", checks.status_is_not("SUSPENDED"))
    def servers_resume(self, server: str) -> None:
        """Resume a suspended server.

        :param server: id of the server
        """
        self.compute.nova().servers.resume(quoted(server))

    @server_action("start", checks.status_is("ACTIVE"))
    def servers_start(self, server: str) -> None:
        """Start a stopped server.

        :param server: id of the server
        """
        self.compute.nova().servers.start(quoted(server))

    @server_action("stop", checks.status_is("SHUTOFF"))
    def servers_stop(self, server: str) -> None:
        """Stop a server.

        :param server: id of the server
        """
        self.compute.nova().servers.stop(quoted(server))

    @server_action("reboot", idempotent=False)
    def servers_reboot(self, server: str, reboot_type: str = "SOFT") -> None:
        """Reboot a server.

        :param server: id of the server
        :param reboot_type: SOFT (ask the guest) or HARD (power cycle)
        """
        if reboot_type.upper() not in ("SOFT", "HARD"):
            raise ActionArgumentError("argument 'reboot_type' must be SOFT or HARD", argument="reboot_type")
        self.compute.nova().servers.reboot(quoted(server), reboot_type.upper())

    @server_action("lock", checks.locked(True))
    def servers_lock(self, server: str, reason: str | None = None) -> None:
        """Lock a server: its owner cannot change it any more.

        :param server: id of the server
        :param reason: why, for its owner to read (Nova API 2.73)
        """
        if reason is None:
            self.compute.nova().servers.lock(quoted(server))
        else:
            self.compute.nova(LOCK_REASON).servers.lock(quoted(server), reason)

    @server_action("unlock", checks.locked(False))
    def servers_unlock(self, server: str) -> None:
        """Unlock a server.

        :param server: id of the server
        """
        self.compute.nova().servers.unlock(quoted(server))

    @server_action("rescue", checks.status_is("RESCUE"))
    def servers_rescue(self, server: str, image: str | None = None) -> None:
        """Boot a server from a rescue image.

        :param server: id of the server
        :param image: id of the image to boot (default: the server's own)
        """
        self.compute.nova().servers.rescue(quoted(server), image=image)

    @server_action("unrescue", checks.status_is_not("RESCUE"))
    def servers_unrescue(self, server: str) -> None:
        """Let a server in rescue boot as usual again.

        :param server: id of the server
        """
        self.compute.nova().servers.unrescue(quoted(server))

    @server_action("shelve", checks.status_is("SHELVED", "SHELVED_OFFLOADED"))
    def servers_shelve(self, server: str) -> None:
        """Shelve a server: keep it as an image, free what it uses.

        :param server: id of the server
        """
        self.compute.nova().servers.shelve(quoted(server))

    @server_action("shelve_offload", checks.status_is("SHELVED_OFFLOADED"))
    def servers_shelve_offload(self, server: str) -> None:
        """Remove a shelved server from its host.

        :param server: id of the server
        """
        self.compute.nova().servers.shelve_offload(quoted(server))

    @server_action("unshelve", checks.status_is_not("SHELVED", "SHELVED_OFFLOADED"))
    def servers_unshelve(self, server: str, availability_zone: str | None = None, host: str | None = None) -> None:
        """Bring a shelved server back.

        :param server: id of the server
        :param availability_zone: zone to bring it to (Nova API 2.77)
        :param host: host to bring it to (Nova API 2.91)
        """
        if host is not None:
            more = {} if availability_zone is None else {"availability_zone": availability_zone}
            self.compute.nova(UNSHELVE_HOST).servers.unshelve(quoted(server), host=host, **more)
        elif availability_zone is not None:
            self.compute.nova(UNSHELVE_ZONE).servers.unshelve(quoted(server), availability_zone)
        else:
            self.compute.nova().servers.unshelve(quoted(server))

    @server_action("reset_state", checks.status_is("ACTIVE", "ERROR"))
    def servers_reset_state(self, server: str, state: str = "error") -> None:
        """Set the state that Nova believes a server to be in.

        :param server: id of the server
        :param state: ``active`` or ``error``
        """
        if state not in ("active", "error"):
            raise ActionArgumentError("argument 'state' must be active or error", argument="state")
        self.compute.nova().servers.reset_state(quoted(server), state)

    @server_action("trigger_crash_dump", idempotent=False)
    def servers_trigger_crash_dump(self, server: str) -> None:
        """Make the guest write a crash dump.

        :param server: id of the server
        """
        self.compute.nova("2.17").servers.trigger_crash_dump(quoted(server))

    # Life

    @api_action("servers.create", effects=SERVER_TABLES)
    def servers_create(
        self,
        name: str,
        image: str,
        flavor: str,
        network: str | None = None,
        metadata: object = None,
        security_groups: object = None,
        availability_zone: str | None = None,
        key_name: str | None = None,
    ) -> Json:
        """Create a server.  Gives its id.

        :param name: its name
        :param image: id of its image
        :param flavor: id or name of its flavor
        :param network: id of its network (default: what Nova finds)
        :param metadata: object of its metadata, also as JSON or YAML text
        :param security_groups: names of its security groups: a list, or JSON or YAML text of one
        :param availability_zone: where
        :param key_name: key pair for its owner to log in with
        """
        made = self.compute.nova().servers.create(
            name,
            image,
            self.compute.flavor_id(flavor),
            nics=[{"net-id": network}] if network else None,
            meta=structure("metadata", metadata or {}),
            security_groups=flat([security_groups]) or None,
            availability_zone=availability_zone,
            key_name=key_name,
        )
        return {"id": made.id}

    @server_action("delete", checks.gone)
    def servers_delete(self, server: str) -> None:
        """Delete a server.

        :param server: id of the server
        """
        self.compute.nova().servers.delete(quoted(server))

    @server_action("force_delete", checks.gone)
    def servers_force_delete(self, server: str) -> None:
        """Delete a server at once, even where deleted ones are kept for a while.

        :param server: id of the server
        """
        self.compute.nova().servers.force_delete(quoted(server))

    @server_action("update", checks.named)
    def servers_update(self, server: str, name: str | None = None, description: str | None = None) -> None:
        """Give a server another name or description.

        :param server: id of the server
        :param name: its new name
        :param description: its new description (Nova API 2.19)
        """
        if description is None:
            self.compute.nova().servers.update(quoted(server), name=name)
        else:
            self.compute.nova(DESCRIPTION).servers.update(quoted(server), name, description)

    @server_action("rebuild", idempotent=False)
    def servers_rebuild(self, server: str, image: str, name: str | None = None) -> None:
        """Build a server anew from an image; it keeps its id and addresses.

        :param server: id of the server
        :param image: id of the image
        :param name: its new name
        """
        self.compute.nova().servers.rebuild(quoted(server), image, name=name)

    @server_action("create_image", idempotent=False)
    def servers_create_image(self, server: str, image_name: str, metadata: object = None) -> Json:
        """Make an image of a server.  Gives the image's id.

        :param server: id of the server
        :param image_name: name of the image
        :param metadata: object of the image's metadata, also as JSON or YAML text
        """
        properties = structure("metadata", metadata or {})
        return {"image_id": str(self.compute.nova().servers.create_image(quoted(server), image_name, properties))}

    @server_action("backup", idempotent=False)
    def servers_backup(self, server: str, backup_name: str, backup_type: str, rotation: int) -> None:
        """Make an image of a server as one of a series, of which the oldest are deleted.

        :param server: id of the server
        :param backup_name: name of the image
        :param backup_type: name of the series, such as ``daily``
        :param rotation: how many to keep
        """
        self.compute.nova().servers.backup(quoted(server), backup_name, backup_type, rotation)

    # Size and place

    @server_action("resize", checks.resized, idempotent=False)
    def servers_resize(self, server: str, flavor: str, disk_config: str | None = None) -> None:
        """Give a server another flavor; ``servers.confirm_resize`` makes it final.

        :param server: id of the server
        :param flavor: id or name of the flavor
        :param disk_config: ``AUTO`` or ``MANUAL``: whether the guest's partition grows with the disk
        """
        found = self.compute.flavor_id(flavor)
        self.compute.nova().servers.resize(quoted(server), found, disk_config)

    @server_action("confirm_resize", checks.status_is_not("VERIFY_RESIZE"))
    def servers_confirm_resize(self, server: str) -> None:
        """Confirm a resize or a migration.

        :param server: id of the server
        """
        self.compute.nova().servers.confirm_resize(quoted(server))

    @server_action("revert_resize", checks.status_is_not("VERIFY_RESIZE"))
    def servers_revert_resize(self, server: str) -> None:
        """Take a resize or a migration back.

        :param server: id of the server
        """
        self.compute.nova().servers.revert_resize(quoted(server))

    @server_action("migrate", checks.on_host, idempotent=False)
    def servers_migrate(self, server: str, host: str | None = None) -> None:
        """Move a server to another host, cold; ``servers.confirm_resize`` makes it final.

        :param server: id of the server
        :param host: where to (Nova API 2.56; default: the scheduler's choice)
        """
        if host is None:
            self.compute.nova().servers.migrate(quoted(server))
        else:
            self.compute.nova(MIGRATE_HOST).servers.migrate(quoted(server), host)

    @server_action("live_migrate", checks.on_host, idempotent=False)
    def servers_live_migrate(self, server: str, host: str | None = None, block_migration: bool | None = None) -> None:
        """Move a running server to another host.  The scheduler has to agree with the host.

        :param server: id of the server
        :param host: where to (default: the scheduler's choice)
        :param block_migration: copy the disks too (default: as the hosts' storage needs)
        """
        mode = "auto" if block_migration is None else block_migration
        self.compute.nova(SAFE_HOST).servers.live_migrate(quoted(server), host, mode)

    @server_action("evacuate", checks.on_host, idempotent=False)
    def servers_evacuate(self, server: str, host: str | None = None) -> None:
        """Build a server anew on another host, when its own is down.

        :param server: id of the server
        :param host: where to (default: the scheduler's choice)
        """
        self.compute.nova(SAFE_HOST).servers.evacuate(quoted(server), host)

    # Network

    @server_action("interface_attach", checks.attached, idempotent=False)
    def servers_interface_attach(
        self,
        server: str,
        port_id: str | None = None,
        net_id: str | None = None,
        fixed_ip: str | None = None,
        tag: str | None = None,
    ) -> Json:
        """Attach a port, or a new one on a network, to a server.  Gives the port's id.

        :param server: id of the server
        :param port_id: id of the port
        :param net_id: id of the network, instead of a port
        :param fixed_ip: address on that network
        :param tag: the device's tag (Nova API 2.49)
        """
        if (port_id is None) == (net_id is None):
            raise ActionArgumentError("give either a port or a network", argument="port_id")
        needs, more = ("2.1", {}) if tag is None else (INTERFACE_TAG, {"tag": tag})
        servers = self.compute.nova(needs).servers
        return {"port_id": servers.interface_attach(quoted(server), port_id, net_id, fixed_ip, **more).port_id}

    @server_action("interface_detach", checks.detached)
    def servers_interface_detach(self, server: str, port_id: str) -> None:
        """Detach a port from a server.  Nova deletes the port if it made it.

        :param server: id of the server
        :param port_id: id of the port
        """
        self.compute.nova().servers.interface_detach(quoted(server), quoted(port_id))

    @api_action(
        "disconnectNetwork",
        effects=SERVER_TABLES,
        idempotent=True,
        check=checks.disconnected,
        before=_watch,
    )
    def disconnect_network(self, server: str, network: str) -> Json:
        """Detach every port of a server that is on a network.  Gives the ports' ids.

        A server that has none there is left alone.

        :param server: id of the server
        :param network: id of the network
        """
        servers = self.compute.nova().servers
        mine = [i.port_id for i in servers.interface_list(quoted(server)) if i.net_id == network]
        for done, port in enumerate(mine):
            try:
                servers.interface_detach(quoted(server), port)
            except Exception as error:
                if not done:
                    raise
                raise ActionFailed(
                    f"port {port} could not be detached, after {', '.join(mine[:done])}: {error}",
                    retryable=True,
                    maybe_done=True,
                ) from error
        return {"detached": mine}

    @server_action("add_security_group", checks.in_group(True))
    def servers_add_security_group(self, server: str, security_group: str) -> None:
        """Put all ports of a server into a security group.

        :param server: id of the server
        :param security_group: id or name of the group
        """
        self.compute.nova().servers.add_security_group(quoted(server), security_group)

    @server_action("remove_security_group", checks.in_group(False))
    def servers_remove_security_group(self, server: str, security_group: str) -> None:
        """Take all ports of a server out of a security group.

        :param server: id of the server
        :param security_group: id or name of the group
        """
        self.compute.nova().servers.remove_security_group(quoted(server), security_group)

    # Metadata and tags

    @server_action("set_meta", checks.has_meta)
    def servers_set_meta(self, server: str, metadata: object) -> None:
        """Set items of a server's metadata; others stay.

        :param server: id of the server
        :param metadata: object of keys and values, also as JSON or YAML text
        """
        items = {key: meta_text(value) for key, value in structure("metadata", metadata).items()}
        self.compute.nova().servers.set_meta(quoted(server), items)

    @api_action("servers_set_meta", effects=("servers",), idempotent=True, check=checks.has_pairs)
    def servers_set_meta_pairs(self, server: str, *meta: object) -> None:
        """Set items of a server's metadata; others stay.

        :param server: id of the server
        :param meta: key, value, key, value, …
        """
        items = {key: meta_text(value) for key, value in pairs(meta).items()}
        if not items:
            raise ActionArgumentError("give at least one key and its value", argument="meta")
        self.compute.nova().servers.set_meta(quoted(server), items)

    @server_action("delete_meta", checks.lacks_meta)
    def servers_delete_meta(self, server: str, *keys: str) -> None:
        """Delete items of a server's metadata.

        :param server: id of the server
        :param keys: the keys
        """
        self.compute.nova().servers.delete_meta(quoted(server), [quoted(key) for key in keys])

    @server_action("add_tag", checks.tags(lambda found, wanted: wanted <= found))
    def servers_add_tag(self, server: str, tag: str) -> None:
        """Put a tag on a server.

        :param server: id of the server
        :param tag: the tag
        """
        if tag.isascii():
            self.compute.nova(TAGS).servers.add_tag(quoted(server), quoted(tag))
        else:
            self._change_tags(server, lambda tags: [*tags, tag])

    @server_action("delete_tag", checks.tags(lambda found, wanted: not wanted & found))
    def servers_delete_tag(self, server: str, tag: str) -> None:
        """Take a tag off a server.

        :param server: id of the server
        :param tag: the tag
        """
        if tag.isascii():
            self.compute.nova(TAGS).servers.delete_tag(quoted(server), quoted(tag))
        else:
            self._change_tags(server, lambda tags: [t for t in tags if t != tag])

    def _change_tags(self, server: str, change: Callable[[list[str]], list[str]]) -> None:
        """For tags beyond ASCII, which Nova garbles in paths (``ü`` comes to ``Ã¼``) but not in bodies."""
        servers = self.compute.nova(TAGS).servers
        before = list(servers.tag_list(quoted(server)))
        if (after := list(dict.fromkeys(change(before)))) != before:
            servers.set_tags(quoted(server), after)

    @server_action("set_tags", checks.tags(lambda found, wanted: wanted == found))
    def servers_set_tags(self, server: str, *tags: object) -> None:
        """Give a server these tags and no others.

        :param server: id of the server
        :param tags: the tags, one by one or as a list
        """
        self.compute.nova(TAGS).servers.set_tags(quoted(server), flat(tags))

    @server_action("delete_all_tags", checks.tags(lambda found, _: not found))
    def servers_delete_all_tags(self, server: str) -> None:
        """Take all tags off a server.

        :param server: id of the server
        """
        self.compute.nova(TAGS).servers.delete_all_tags(quoted(server))

    # Services and hosts

    @api_action("services.disable", effects=("services",), idempotent=True, check=checks.service_is("disabled"))
    def services_disable(self, host: str, binary: str, reason: str | None = None) -> None:
        """Give a service, such as a compute host, no more new work.

        :param host: the service's host
        :param binary: its binary, such as ``nova-compute``
        :param reason: why
        """
        self._put_service("disable" if reason is None else "disable-log-reason", host, binary, reason)

    @api_action(
        "services.disable_log_reason",
        effects=("services",),
        idempotent=True,
        check=checks.service_is("disabled"),
    )
    def services_disable_log_reason(self, host: str, binary: str, reason: str) -> None:
        """Give a service no more new work, and say why.

        :param host: the service's host
        :param binary: its binary, such as ``nova-compute``
        :param reason: why
        """
        self._put_service("disable-log-reason", host, binary, reason)

    @api_action("services.enable", effects=("services",), idempotent=True, check=checks.service_is("enabled"))
    def services_enable(self, host: str, binary: str) -> None:
        """Give a service work again.

        :param host: the service's host
        :param binary: its binary, such as ``nova-compute``
        """
        self._put_service("enable", host, binary)

    def _put_service(self, verb: str, host: str, binary: str, reason: str | None = None) -> None:
        # By host and binary, as the table has them; novaclient would want ids at newer microversions.
        body = {"host": host, "binary": binary}
        if reason is not None:
            body["disabled_reason"] = reason
        self.compute.request("PUT", f"/os-services/{verb}", body=body)

    @api_action("services.force_down", effects=("services",), idempotent=True, check=checks.forced_down)
    def services_force_down(self, host: str, binary: str, force_down: bool = True) -> None:
        """Tell Nova that a service is down (or that it is not any more), so that its servers can be evacuated.

        :param host: the service's host
        :param binary: its binary, such as ``nova-compute``
        :param force_down: false to take it back
        """
        body = {"host": host, "binary": binary, "forced_down": force_down}
        self.compute.request("PUT", "/os-services/force-down", body=body, microversion=FORCE_DOWN)

    @api_action("aggregates.add_host", effects=("availability_zones",), idempotent=True)
    def aggregates_add_host(self, aggregate: str, host: str) -> None:
        """Put a host into an aggregate.

        :param aggregate: id of the aggregate
        :param host: the host
        """
        self.compute.nova().aggregates.add_host(quoted(aggregate), host)

    @api_action("aggregates.remove_host", effects=("availability_zones",), idempotent=True)
    def aggregates_remove_host(self, aggregate: str, host: str) -> None:
        """Take a host out of an aggregate.

        :param aggregate: id of the aggregate
        :param host: the host
        """
        self.compute.nova().aggregates.remove_host(quoted(aggregate), host)

    # Flavors

    @api_action("flavors.create", effects=("flavors",))
    def flavors_create(
        self,
        name: str,
        ram: int,
        vcpus: int,
        disk: int,
        flavorid: str = "auto",
        ephemeral: int = 0,
        swap: int = 0,
        rxtx_factor: float = 1.0,
        is_public: bool = True,
    ) -> Json:
        """Create a flavor.  Gives its id.

        :param name: its name
        :param ram: memory in MiB
        :param vcpus: processors
        :param disk: root disk in GiB
        :param flavorid: its id (default: a new one)
        :param ephemeral: ephemeral disk in GiB
        :param swap: swap space in MiB
        :param rxtx_factor: factor of the network's speed
        :param is_public: whether every project may use it
        """
        flavors = self.compute.nova().flavors
        made = flavors.create(name, ram, vcpus, disk, flavorid, ephemeral, swap, rxtx_factor, is_public)
        return {"id": made.id}

    @api_action("flavors.update", effects=("flavors",), idempotent=True)
    def flavors_update(self, flavor: str, description: str | None) -> None:
        """Give a flavor a description (Nova API 2.55).

        :param flavor: id of the flavor
        :param description: the description, or null for none
        """
        self.compute.nova(FLAVOR_DESCRIPTION).flavors.update(quoted(flavor), description)

    @api_action("flavors.delete", effects=("flavors",), idempotent=True)
    def flavors_delete(self, flavor: str) -> None:
        """Delete a flavor.

        :param flavor: id of the flavor
        """
        self.compute.nova().flavors.delete(quoted(flavor))

    @api_action("flavor_access.add_tenant_access", idempotent=True)
    def flavor_access_add(self, flavor: str, tenant: str) -> None:
        """Let a project use a flavor that is not public.

        :param flavor: id of the flavor
        :param tenant: id of the project
        """
        self.compute.nova().flavor_access.add_tenant_access(quoted(flavor), tenant)

    @api_action("flavor_access.remove_tenant_access", idempotent=True)
    def flavor_access_remove(self, flavor: str, tenant: str) -> None:
        """Let a project use a flavor no more.

        :param flavor: id of the flavor
        :param tenant: id of the project
        """
        self.compute.nova().flavor_access.remove_tenant_access(quoted(flavor), tenant)
