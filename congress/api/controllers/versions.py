# SPDX-License-Identifier: Apache-2.0
"""Which versions of the API there are."""

from typing import Any, Final

import pecan
import webob

from congress.api import openapi
from congress.api.answers.daemon import ONE_VERSION, OPENAPI, VERSIONS
from congress.api.auth.names import Access
from congress.api.call import Call
from congress.api.encoding import JSON
from congress.api.routing import CALL_KEY, json_response, route

_UPDATED: Final = "2013-08-12T17:42:13Z"
DOCUMENTATION: Final = "https://docs.openstack.org/congress/latest/"


def _version(href: str) -> dict[str, Any]:
    return {"id": "v1", "status": "CURRENT", "updated": _UPDATED, "links": [{"rel": "self", "href": href}]}


def _described(call: Call) -> dict[str, Any]:
    """The version with the address of what describes it to programs."""
    shown = _version(f"{call.root_url}/v1/")
    href = f"{call.root_url}/v1/openapi.json"
    shown["links"].append({"rel": "service-desc", "type": "application/json", "href": href})
    return shown


class VersionsController:
    """The root, and the root of version 1."""

    @route("GET", "/", "List the versions of the API", answer=VERSIONS)
    def versions(self, call: Call) -> Any:
        return {"versions": [_described(call)]}

    @route("GET", "/v1", "Show version 1", answer=ONE_VERSION)
    def version(self, call: Call) -> Any:
        shown = _described(call)
        shown["links"].insert(1, {"rel": "describedby", "type": "text/html", "href": DOCUMENTATION})
        return {"version": shown}

    @route(
        "GET",
        "/v1/openapi.json",
        "Give the description of the API, in OpenAPI 3.1",
        answer=OPENAPI,
        rule="congress:openapi:get",
        access=Access.OPEN,
    )
    def describe(self, call: Call) -> Any:
        return webob.Response(body=openapi.text(), status=200, headerlist=[("Content-Type", JSON)])

    @pecan.expose(content_type="application/json")  # type: ignore[untyped-decorator]  # pecan has no types
    def choices(self, request: webob.Request, response: webob.Response) -> webob.Response:
        """What any path outside ``/v1`` that is nothing gets: 300, and where to look."""
        call: Call = request.environ[CALL_KEY]
        shown = {"choices": [_version(f"{call.root_url}/v1{call.path[:500]}")]}
        return json_response(shown, 300)
