# SPDX-License-Identifier: Apache-2.0
"""Cloud services, which an older name of the API calls data sources: one resource under both names."""

from collections.abc import Mapping
from typing import Any, Final

import webob

from congress.api.answers.common import NULL
from congress.api.answers.services import ACTION, SCHEMA, SERVICE, SERVICE_STATUS
from congress.api.call import Call
from congress.api.controllers.executions import EXECUTE_BODY, executed
from congress.api.controllers.policies import created, unchanged
from congress.api.encoding import JSON
from congress.api.errors import ApiError
from congress.api.names import MANAGER
from congress.api.paging import Listing
from congress.api.routing import route
from congress.api.schema import Anything, Fields, Flag, Key, Mapped, Text, Told
from congress.api.shapes import Empty
from congress.api.views import status_view

_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SERVICES: Final = Listing(SERVICE)
_ACTIONS: Final = Listing(ACTION, "name")


def both(path: str) -> dict[str, Any]:
    """The two addresses of a path below a service."""
    return {"path": f"/v1/cloud-services{path}", "aliases": (f"/v1/data-sources{path}",)}


CREATE_BODY: Final = Fields(
    {
        "name": Key(
            Told(Text(255, shortest=1), Text(255, shortest=1, pattern="[A-Za-z][A-Za-z0-9_]*")),
            "Its name on the bus and in rules; no policy has it, and it is no word of the language.",
            required=True,
        ),
        "driver": Key(Text(255, shortest=1), "The id of its driver.", required=True),
        "description": Key(Text(65_535, nullable=True), "What it is.", default=None),
        "enabled": Key(Flag(), "Whether it is started.", default=True),
        "config": Key(Mapped(nullable=True), "The options of its driver.", default=None),
        "id": Key(
            Text(36, pattern=_UUID, pattern_name="a UUID in lower case"), "Its id, where the client chooses one."
        ),
        "type": Key(Text(nullable=True), "Taken, and means nothing.", default=None),
    },
    name="CloudServiceCreate",
)
_CONFIG: Final = "All options of its driver; a secret given as `<hidden>` stays as it is, unless an address changes."
_READ_ONLY: Final = ("id", "name", "driver", "type")
_SHOWN: Final = ("state", "error")  # a client that sends back what it got sends these along; they mean nothing then
_SAME: Final = {
    **{key: Key(Text(255, nullable=True), "As it is: it cannot be changed.") for key in _READ_ONLY},
    **{key: Key(Text(1_000_000, nullable=True), "Taken, and means nothing.") for key in _SHOWN},
}
REPLACE_BODY: Final = Fields(
    {
        "description": Key(Text(65_535, nullable=True), "What it is.", default=None),
        "enabled": Key(Flag(), "Whether it is started.", default=True),
        "config": Key(Mapped(nullable=True), _CONFIG, default=None),
        **_SAME,
    },
    name="CloudServiceReplace",
)
UPDATE_BODY: Final = Fields(
    {
        "description": Key(Text(65_535, nullable=True), "What it is."),
        "enabled": Key(Flag(), "Whether it is started."),
        "config": Key(Mapped(), _CONFIG),
        **_SAME,
    },
    name="CloudServiceUpdate",
)


def name_of(call: Call, service: str) -> str:
    """The name on the bus of a service given by id or name.

    :raises NotFound: it is not known, or not enabled.
    """
    return str(call.backend.call(MANAGER, "resolve", service=service))


def tables_of(call: Call, service: str) -> list[dict[str, Any]]:
    """The tables of a service: ``[{"table_id", "description", "columns": [...]}]``."""
    tables: list[dict[str, Any]] = call.backend.call(MANAGER, "service_schema", service=service)
    return tables


def table_of(call: Call, service: str, table: str) -> dict[str, Any]:
    """One table of a service.

    :raises ApiError: 404 when there is none such.
    """
    for found in tables_of(call, service):
        if found["table_id"] == table:
            return found
    raise ApiError(404, f"The service {service!r:.100} has no table {table!r:.100}.")


class ServicesController:
    """``/v1/cloud-services`` and ``/v1/data-sources``.  A service is named by its id or its name."""

    @route("GET", **both(""), summary="List cloud services", **_SERVICES.declared)
    def list_services(self, call: Call) -> Any:
        return _SERVICES.page(call, call.backend.call(MANAGER, "list_services"))

    @route(
        "POST",
        **both(""),
        summary="Add a cloud service and start it",
        body=CREATE_BODY,
        status=201,
        answer=SERVICE,
        errors=(400, 409),
        notes="Secrets in `config` are encrypted before they are stored and are never shown again.",
    )
    def create_service(self, call: Call) -> Any:
        given = {key: value for key, value in call.body.items() if key != "type"}
        return created(call, call.backend.call(MANAGER, "create_service", **given))

    @route("GET", **both("/{service}"), summary="Show a cloud service", answer=SERVICE, errors=(404,))
    def get_service(self, call: Call, service: str) -> Any:
        return call.backend.call(MANAGER, "get_service", service=service)

    @route(
        "PUT",
        **both("/{service}"),
        summary="Replace the description, the state and the options of a cloud service",
        body=REPLACE_BODY,
        answer=SERVICE,
        errors=(400, 404),
        notes="Takes what `GET` answers. What the body leaves out gets its default. A service whose options changed "
        "is started anew.",
    )
    def replace_service(self, call: Call, service: str) -> Any:
        return _change(call, service, {**call.body, "config": call.body["config"] or {}})

    @route(
        "PATCH",
        **both("/{service}"),
        summary="Change a cloud service",
        body=UPDATE_BODY,
        answer=SERVICE,
        errors=(400, 404),
        notes="What the body leaves out stays. A service whose options changed is started anew.",
    )
    def update_service(self, call: Call, service: str) -> Any:
        return _change(call, service, call.body)

    @route("DELETE", **both("/{service}"), summary="Stop a cloud service and forget it", answer=NULL, errors=(404,))
    def delete_service(self, call: Call, service: str) -> Any:
        call.backend.call(MANAGER, "delete_service", service=service)

    @route(
        "POST",
        **both("/{service}"),
        summary="Read the state of a cloud service now",
        action="request-refresh",
        body=Anything(),
        body_optional=True,
        answer=NULL,
        errors=(404,),
        notes="The answer comes before the service was read.",
    )
    def request_refresh(self, call: Call, service: str) -> Any:
        call.backend.call(name_of(call, service), "request_refresh")

    @route(
        "POST",
        **both("/{service}"),
        summary="Carry out an action of a cloud service",
        action="execute",
        body=EXECUTE_BODY,
        status=204,
        errors=(400, 404),
        notes="The answer comes before the action has run.",
    )
    def execute(self, call: Call, service: str) -> Any:
        return executed(call, service=name_of(call, service))

    @route(
        "GET", **both("/{service}/status"), summary="Show how a cloud service is", answer=SERVICE_STATUS, errors=(404,)
    )
    def service_status(self, call: Call, service: str) -> Any:
        return status_view(call.backend.call(MANAGER, "service_status", service=service))

    @route(
        "GET",
        **both("/{service}/schema"),
        summary="Show the tables of a cloud service with their columns",
        answer=SCHEMA,
        errors=(404,),
    )
    def schema(self, call: Call, service: str) -> Any:
        return {"tables": tables_of(call, service)}

    @route(
        "GET",
        **both("/{service}/actions"),
        summary="List the actions of a cloud service",
        **_ACTIONS.declared,
        errors=(404,),
    )
    def actions(self, call: Call, service: str) -> Any:
        return _ACTIONS.page(call, call.backend.call(MANAGER, "service_actions", service=service))

    @route(
        "POST",
        **both("/{service}/webhook"),
        summary="Hand a notification to a cloud service's driver",
        body=Anything(),
        answer=Empty(),
        errors=(400, 404),
    )
    def webhook(self, call: Call, service: str) -> Any:
        call.backend.call(name_of(call, service), "webhook", payload=call.body)
        return webob.Response(status=200, headerlist=[("Content-Type", JSON)])


def _change(call: Call, service: str, body: Mapping[str, Any]) -> Any:
    current = call.backend.call(MANAGER, "get_service", service=service)
    changes = {key: value for key, value in unchanged(body, current, _READ_ONLY).items() if key not in _SHOWN}
    if "config" in changes and changes["config"] == current.get("config"):
        del changes["config"]  # nothing new, so nothing to start anew for
    return call.backend.call(MANAGER, "update_service", service=service, changes=changes)
