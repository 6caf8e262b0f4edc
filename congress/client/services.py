# SPDX-License-Identifier: Apache-2.0
"""Cloud services and the drivers that they have."""

from collections.abc import Iterator, Mapping
from typing import Any

from congress.client.models import Action, Driver, Service, ServiceStatus, Table
from congress.client.transport import Transport, path_of


class CloudServices:
    """``cloud.cloud_services``.  A service is named by its name or its id everywhere.

    ::

        cloud.cloud_services.create("inventory", "push", config={"tables": {"servers": ["id", "owner"]}})
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[Service]:
        """Services, oldest first.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``driver="nova"``.
        """
        return self._transport.listed("/v1/cloud-services", Service.of, query)

    def get(self, service: str) -> Service:
        """One service.

        :raises NotFound: there is none such.
        """
        return Service.of(self._transport.get(path_of("cloud-services", service)))

    def create(
        self,
        name: str,
        driver: str,
        *,
        config: Mapping[str, Any] | None = None,
        description: str = "",
        enabled: bool = True,
    ) -> Service:
        """Add a service and start it.

        :param config: the options of its driver; secrets are encrypted before they are stored.
        :raises InvalidRequest: an option is missing, unknown or wrong, or there is no such driver.
        :raises Conflict: a service or a policy has the name.
        """
        body = {"name": name, "driver": driver, "config": dict(config or {}), "description": description}
        return Service.of(self._transport.post("/v1/cloud-services", {**body, "enabled": enabled}))

    def update(
        self,
        service: str,
        *,
        config: Mapping[str, Any] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Service:
        """Change what is given; the service is started anew with it.

        :param config: all options; a secret given as ``<hidden>`` stays as it is; not when an address changes.
        """
        given = {"config": config, "description": description, "enabled": enabled}
        body = {key: value for key, value in given.items() if value is not None}
        return Service.of(self._transport.request("PATCH", path_of("cloud-services", service), body))

    def delete(self, service: str) -> None:
        """Stop a service and forget it."""
        self._transport.request("DELETE", path_of("cloud-services", service))

    def status(self, service: str) -> ServiceStatus:
        """How a service is."""
        return ServiceStatus.of(self._transport.get(path_of("cloud-services", service, "status")))

    def schema(self, service: str) -> tuple[Table, ...]:
        """The tables of a service with their columns."""
        found = self._transport.get(path_of("cloud-services", service, "schema"))
        return tuple(Table.of(table) for table in found["tables"])

    def actions(self, service: str) -> tuple[Action, ...]:
        """The actions of a service with their arguments."""
        found = self._transport.get(path_of("cloud-services", service, "actions"))
        return tuple(Action.of(action) for action in found["results"])

    def refresh(self, service: str) -> None:
        """Have the state of a service read now; this returns before it was read."""
        self._transport.post(path_of("cloud-services", service), {}, {"action": "request-refresh"})

    def webhook(self, service: str, payload: Any) -> None:
        """Hand a notification to a service's driver."""
        self._transport.post(path_of("cloud-services", service, "webhook"), payload)


class Drivers:
    """``cloud.drivers``: what services can be made with."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[Driver]:
        """Every driver that is installed and not disabled; :meth:`get` tells more of each.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``id="nova"``.
        """
        return self._transport.listed("/v1/system/drivers", Driver.of, query)

    def get(self, driver: str) -> Driver:
        """One driver: its options, its tables.

        :raises NotFound: there is none such.
        """
        return Driver.of(self._transport.get(path_of("system", "drivers", driver)))
