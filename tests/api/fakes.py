# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the bus behind the API: they answer as the real services do, from what a test puts into them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import webob

from congress.api.application import Settings, make_application
from congress.api.front import Front
from congress.api.measures import Measures
from congress.bus.bus import Bus
from congress.bus.errors import NotFound


class FakeBackend:
    """A bus on which each method is a function, given as ``{"policy.list_policies": ...}``; calls are kept."""

    def __init__(self, methods: dict[str, Any] | None = None) -> None:
        self.methods: dict[str, Any] = {} if methods is None else methods
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.figures = Bus().stats() | {"connected": True}

    def call(self, service: str, method: str, /, **arguments: Any) -> Any:
        self.calls.append((service, method, arguments))
        names = {key.split(".")[0] for key in self.methods}
        if service not in names:
            raise NotFound(f"there is no service {service!r}")
        answer = self.methods[f"{service}.{method}"]
        if isinstance(answer, BaseException):
            raise answer
        return answer(**arguments) if callable(answer) else answer

    def probe(self, service: str, method: str, seconds: float, /, **arguments: Any) -> Any:
        try:
            return self.call(service, method, **arguments)
        except (NotFound, KeyError):
            return None

    def services(self) -> Iterable[str]:
        return {key.split(".")[0] for key in self.methods}

    def streams_open(self) -> int:
        return 0

    def bus_figures(self) -> Mapping[str, int | bool]:
        return self.figures

    def follow(self, keys: Iterable[Any], last_event_id: str, refresh: Any, disconnected: Any) -> webob.Response:
        return webob.Response(json_body={"keys": list(keys), "last": last_event_id, "grows": refresh is not None})


class Client:
    """Sends requests to the API in this process."""

    def __init__(self, backend: Any, settings: Settings | None = None) -> None:
        self.backend = backend
        self.measures = Measures()
        self.app: Front = make_application(backend, self.measures, settings)

    def __call__(self, method: str, path: str, body: Any = None, **environ: Any) -> webob.Response:
        """One request; a body that is not bytes is sent as JSON."""
        request = webob.Request.blank(path, method=method)
        if isinstance(body, bytes):
            request.body = body
            request.content_type = "application/json"
        elif body is not None:
            request.json_body = body
            request.content_type = "application/json"
        request.environ.update(environ)
        return request.get_response(self.app)


def answering(value: Any) -> Callable[..., Any]:
    """A method that always answers the same."""
    return lambda **_: value
