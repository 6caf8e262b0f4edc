# SPDX-License-Identifier: Apache-2.0
"""What can be asked of Neutron: the listed actions, each with its arguments.

Names are neutronclient's (``create_network``, ``add_interface_router``) and the last Congress's own three
(``update_resource_attrs``, ``attach_port_security_group``, ``detach_port_security_group``).  A ``body`` is an
object or its JSON or YAML text, with or without the name of the resource around it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ActionArgumentError, ActionFailed
from congress.cloudservices.execution_driver import ActionArgument, Declared
from congress.cloudservices.openstack import Api, Json, quoted
from congress.cloudservices.openstack_actions import OpenStackActions, api_action, structure
from congress.datalog.values import Value

# How often a port is read again when somebody else changed it between reading and writing.
RACES: Final = 5


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of thing in Neutron: its name, its path, and the tables that show it."""

    name: str
    path: str
    tables: tuple[str, ...]
    words: str


RESOURCES: Final = {
    resource.name: resource
    for resource in (
        Resource("network", "/networks", ("networks",), "network"),
        Resource(
            "subnet",
            "/subnets",
            ("subnets", "allocation_pools", "dns_nameservers", "host_routes"),
            "subnet",
        ),
        Resource("port", "/ports", ("ports", "fixed_ips", "security_group_port_bindings"), "port"),
        Resource("router", "/routers", ("routers", "external_gateway_infos", "external_fixed_ips"), "router"),
        Resource("security_group", "/security-groups", ("security_groups", "security_group_rules"), "security group"),
        Resource("security_group_rule", "/security-group-rules", ("security_group_rules",), "security group rule"),
        Resource("floatingip", "/floatingips", ("floating_ips",), "floating IP"),
    )
}


def _wrapped(name: str, body: object) -> Json:
    """The body as Neutron wants it: ``{"network": {…}}``."""
    given = structure("body", body)
    return given if set(given) == {name} else {name: given}


def _matches(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool | None:
    """Whether a resource has these attributes; None where that cannot be told."""
    answers = [_equal(found.get(name), value) for name, value in wanted.items()]
    if False in answers:
        return False
    return None if None in answers else True


def _equal(found: Any, wanted: Any) -> bool | None:
    """Neutron completes lists and objects and understands ``"False"``; such values are not compared."""
    if isinstance(wanted, list | dict):
        return None
    if found is None or wanted is None or type(found) is type(wanted):
        return bool(found == wanted)
    return None


class NeutronActions(OpenStackActions):
    """The actions of :class:`~congress.cloudservices.neutron.NeutronDriver`.  Things are named by their ids."""

    api: Api

    def declared_actions(self) -> Mapping[str, Declared]:
        return {**GENERATED, **super().declared_actions()}

    def show(self, kind: str, resource_id: str) -> Json | None:
        """What Neutron says about a thing now; None when there is none of this id."""
        resource = RESOURCES[kind]
        try:
            found: Json = self.api.get(f"{resource.path}/{quoted(resource_id)}")[kind]
        except ksa.NotFound:
            return None
        return found

    def update(self, kind: str, resource_id: str, attributes: Mapping[str, Any]) -> None:
        path = f"{RESOURCES[kind].path}/{quoted(resource_id)}"
        self.api.request("PUT", path, body={kind: dict(attributes)})

    def is_set(self, kind: str, resource_id: str, *attributes: Value) -> bool | None:
        found = self.show(kind, resource_id)
        return None if found is None else _matches(found, attribute_pairs(attributes))

    # The last Congress's own

    @api_action(
        "update_resource_attrs",
        effects=tuple(table for resource in RESOURCES.values() for table in resource.tables),
        idempotent=True,
        check=is_set,
    )
    def update_resource_attrs(self, resource_type: str, id: str, *attributes: Value) -> None:
        """Set attributes of a thing.

        :param resource_type: ``network``, ``subnet``, ``port``, ``router``, ``security_group`` or ``floatingip``
        :param id: id of the thing
        :param attributes: attribute, value, attribute, value, …; a value that is a list or an object is
            given as JSON text
        """
        if resource_type not in RESOURCES or resource_type == "security_group_rule":
            known = ", ".join(sorted(set(RESOURCES) - {"security_group_rule"}))
            raise ActionArgumentError(f"argument 'resource_type' must be one of: {known}", argument="resource_type")
        self.update(resource_type, id, attribute_pairs(attributes))

    def _in_group(self, port_id: str, security_group_id: str) -> bool | None:
        found = self.show("port", port_id)
        return None if found is None else security_group_id in found["security_groups"]

    def _not_in_group(self, port_id: str, security_group_id: str) -> bool | None:
        found = self._in_group(port_id, security_group_id)
        return None if found is None else not found

    @api_action(
        "attach_port_security_group",
        effects=("ports", "security_group_port_bindings"),
        idempotent=True,
        check=_in_group,
    )
    def attach_port_security_group(self, port_id: str, security_group_id: str) -> None:
        """Put a port into a security group; its other groups stay.

        :param port_id: id of the port
        :param security_group_id: id of the security group
        """
        self._change_groups(
            port_id, lambda groups: groups if security_group_id in groups else [*groups, security_group_id]
        )

    @api_action(
        "detach_port_security_group",
        effects=("ports", "security_group_port_bindings"),
        idempotent=True,
        check=_not_in_group,
    )
    def detach_port_security_group(self, port_id: str, security_group_id: str) -> None:
        """Take a port out of a security group; its other groups stay.

        :param port_id: id of the port
        :param security_group_id: id of the security group
        """
        self._change_groups(port_id, lambda groups: [g for g in groups if g != security_group_id])

    def _change_groups(self, port_id: str, change: Callable[[list[str]], list[str]]) -> None:
        """Read, change, write; the revision number keeps it from undoing what somebody else did meanwhile."""
        path = f"/ports/{quoted(port_id)}"
        for _ in range(RACES):
            port = self.api.get(path)["port"]
            groups = change(port["security_groups"])
            if groups == port["security_groups"]:
                return
            revision = port.get("revision_number")
            headers = {} if revision is None else {"If-Match": f"revision_number={revision}"}
            try:
                self.api.request("PUT", path, body={"port": {"security_groups": groups}}, headers=headers)
            except ksa.HttpError as error:
                if error.http_status != 412:
                    raise
            else:
                return
        raise ActionFailed(f"port {port_id} was changed by others all the time", retryable=True, trouble=False)

    # Routers

    def _has_interface(self, router: str, body: object) -> bool | None:
        given = structure("body", body)
        query = {"device_id": router}
        ports = self.api.all("/ports", "ports", query)
        if "port_id" in given:
            return any(port["id"] == given["port_id"] for port in ports)
        return any(ip["subnet_id"] == given.get("subnet_id") for port in ports for ip in port["fixed_ips"])

    def _lacks_interface(self, router: str, body: object) -> bool | None:
        return not self._has_interface(router, body)

    @api_action("add_interface_router", effects=("ports", "fixed_ips"), idempotent=True, check=_has_interface)
    def add_interface_router(self, router: str, body: object) -> Json:
        """Connect a router to a subnet.  Gives the port's id.

        :param router: id of the router
        :param body: ``{"subnet_id": …}`` or ``{"port_id": …}``, also as JSON or YAML text
        """
        return self._router_interface("add", router, body)

    @api_action("remove_interface_router", effects=("ports", "fixed_ips"), idempotent=True, check=_lacks_interface)
    def remove_interface_router(self, router: str, body: object) -> Json:
        """Disconnect a router from a subnet.  Gives the id of the port that was there.

        :param router: id of the router
        :param body: ``{"subnet_id": …}`` or ``{"port_id": …}``, also as JSON or YAML text
        """
        return self._router_interface("remove", router, body)

    def _router_interface(self, verb: str, router: str, body: object) -> Json:
        path = f"/routers/{quoted(router)}/{verb}_router_interface"
        return {"port_id": self.api.request("PUT", path, body=structure("body", body))["port_id"]}

    def _has_gateway(self, router: str, body: object) -> bool | None:
        found = self.show("router", router)
        wanted = structure("body", body)
        wanted = wanted.get("external_gateway_info", wanted)
        return None if found is None else _matches(found["external_gateway_info"] or {}, wanted)

    def _lacks_gateway(self, router: str) -> bool | None:
        found = self.show("router", router)
        return None if found is None else not found["external_gateway_info"]

    @api_action("add_gateway_router", effects=RESOURCES["router"].tables, idempotent=True, check=_has_gateway)
    def add_gateway_router(self, router: str, body: object) -> None:
        """Give a router a way out.

        :param router: id of the router
        :param body: ``{"network_id": …}``, the external network; also as JSON or YAML text
        """
        given = structure("body", body)
        self.update("router", router, {"external_gateway_info": given.get("external_gateway_info", given)})

    @api_action("remove_gateway_router", effects=RESOURCES["router"].tables, idempotent=True, check=_lacks_gateway)
    def remove_gateway_router(self, router: str) -> None:
        """Take a router's way out away.

        :param router: id of the router
        """
        self.update("router", router, {"external_gateway_info": {}})


def attribute_pairs(items: tuple[Value, ...]) -> Json:
    """``attribute, value, …`` as an object; JSON text of lists and objects is read."""
    if not items or len(items) % 2:
        raise ActionArgumentError("attributes and values come in pairs", argument="attributes")
    return {str(name): _attribute(value) for name, value in zip(items[::2], items[1::2], strict=True)}


def _attribute(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        return structure("attributes", f'{{"value": {value}}}')["value"]
    return value


# Create, update and delete of every kind: the same three actions, made from the table above ---------------


def _create(resource: Resource) -> Callable[..., object]:
    @api_action(
        f"create_{resource.name}",
        effects=resource.tables,
        arguments=(_body("an object of its attributes, also as JSON or YAML text"),),
        description=f"Create a {resource.words}.  Gives its id.",
    )
    def create(driver: NeutronActions, body: object) -> Json:
        made = driver.api.request("POST", resource.path, body=_wrapped(resource.name, body))
        return {"id": made[resource.name]["id"]}

    return create


def _update(resource: Resource) -> Callable[..., object]:
    def given(*args: Any, **kwargs: Any) -> tuple[str, Json]:
        by_name = dict(zip((resource.name, "body"), args, strict=False)) | kwargs
        return by_name[resource.name], _wrapped(resource.name, by_name["body"])[resource.name]

    def check(driver: NeutronActions, *args: Any, **kwargs: Any) -> bool | None:
        resource_id, wanted = given(*args, **kwargs)
        found = driver.show(resource.name, resource_id)
        return None if found is None else _matches(found, wanted)

    @api_action(
        f"update_{resource.name}",
        effects=resource.tables,
        idempotent=True,
        check=check,
        arguments=(
            _which(resource),
            _body("an object of the attributes to set, also as JSON or YAML text"),
        ),
        description=f"Set attributes of a {resource.words}.",
    )
    def update(driver: NeutronActions, *args: Any, **kwargs: Any) -> None:
        driver.update(resource.name, *given(*args, **kwargs))

    return update


def _delete(resource: Resource) -> Callable[..., object]:
    def given(*args: Any, **kwargs: Any) -> str:
        return str(args[0] if args else kwargs[resource.name])

    def check(driver: NeutronActions, *args: Any, **kwargs: Any) -> bool:
        return driver.show(resource.name, given(*args, **kwargs)) is None

    @api_action(
        f"delete_{resource.name}",
        effects=resource.tables,
        idempotent=True,
        check=check,
        arguments=(_which(resource),),
        description=f"Delete a {resource.words}.",
    )
    def delete(driver: NeutronActions, *args: Any, **kwargs: Any) -> None:
        driver.api.request("DELETE", f"{resource.path}/{quoted(given(*args, **kwargs))}")

    return delete


def _which(resource: Resource) -> ActionArgument:
    return ActionArgument(resource.name, "string", description=f"id of the {resource.words}")


def _body(description: str) -> ActionArgument:
    return ActionArgument("body", "json", description=description)


def _made(resource: Resource) -> list[Declared]:
    makers = [_create, _delete]
    if resource.name != "security_group_rule":  # Neutron has no way to change one
        makers.append(_update)
    return [make(resource).__action__ for make in makers]  # type: ignore[attr-defined]  # api_action's mark


GENERATED: Final[Mapping[str, Declared]] = {
    made.action.name: made for resource in RESOURCES.values() for made in _made(resource)
}
