# SPDX-License-Identifier: Apache-2.0
"""Puts the API together: controllers, Pecan, and the front before it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import webob

from congress.api import pecan_cures
from congress.api.auth.gate import Gate
from congress.api.backend import Backend
from congress.api.call import Call
from congress.api.controllers import CONTROLLERS
from congress.api.controllers.versions import VersionsController
from congress.api.errors import ApiError
from congress.api.front import Front
from congress.api.guard import OriginGuard
from congress.api.headers import Cors
from congress.api.measures import Measures
from congress.api.proxy import Proxies
from congress.api.routing import CALL_KEY, Route, Router


@dataclass(frozen=True, slots=True)
class Settings:
    """What the API is configured with; the defaults are those of the options of group ``[api]``."""

    max_body: int = 32 * 1024 * 1024
    guard_origin: bool = True  # whether pages of other sites are refused
    guard_host: bool = True  # and names that are not this machine's
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    gate: Gate = field(default_factory=Gate)  # who may do what: everybody everything, unless given


def make_router() -> Router:
    """All routes of the API."""
    return Router(controller() for controller in CONTROLLERS)


def routes() -> list[Route]:
    """What the API offers, for the reference and the tests."""
    return make_router().routes


def make_application(backend: Backend, measures: Measures, settings: Settings | None = None) -> Front:
    """The whole API as one WSGI application.  It keeps no state of its own but counters."""
    settings = settings or Settings()
    pecan_cures.install()
    router, versions = make_router(), VersionsController()

    def find(request: webob.Request) -> tuple[Any, list[str]]:
        call: Call = request.environ[CALL_KEY]
        try:
            target, values = router.find(call.method, call.path, call.query.get("action", []))
        except ApiError as error:
            if error.status == 404 and not call.path.startswith("/v1"):
                return versions.choices, []
            raise
        return target.handler, values

    application = pecan_cures.Application(find)
    cors = Cors(settings.allowed_origins)
    guard = OriginGuard(
        settings.allowed_hosts, enabled=settings.guard_origin, hosts=settings.guard_host, trusts=cors.allows
    )
    return Front(
        application,
        backend,
        measures,
        guard=guard,
        gate=settings.gate,
        proxies=Proxies(settings.trusted_proxies),
        cors=cors,
        max_body=settings.max_body,
    )
