# SPDX-License-Identifier: Apache-2.0
"""For those who run the daemon: is it alive, is it ready, how is it doing."""

from typing import Any, Final

import webob

from congress.api.answers.common import TEXT
from congress.api.answers.daemon import ALIVE, READY
from congress.api.call import Call
from congress.api.names import MANAGER, POLICY
from congress.api.routing import json_response, route

_PATIENCE: Final = 2.0  # seconds; a probe that hangs helps nobody


class OperationsController:
    """``/health`` and ``/metrics``: outside of ``/v1``, and without anything secret; ``/health`` needs no login."""

    @route("GET", "/health/live", "Tell that the process serves requests", answer=ALIVE)
    def live(self, call: Call) -> Any:
        return {"status": "alive"}

    @route(
        "GET",
        "/health/ready",
        "Tell whether policies are evaluated and services can be reached",
        answer=READY,
        statuses={503: READY},
    )
    def ready(self, call: Call) -> Any:
        checks = {"bus": "ok" if call.backend.bus_figures()["connected"] else "not connected"}
        for part in (POLICY, MANAGER):
            checks[part] = "ok" if call.backend.probe(part, "ping", _PATIENCE) is not None else "no answer"
        good = set(checks.values()) == {"ok"}
        shown = {"status": "ready" if good else "not ready", "checks": checks}
        return json_response(shown, 200 if good else 503)

    @route("GET", "/metrics", "Give measurements in the text format of Prometheus", others={"text/plain": TEXT})
    def metrics(self, call: Call) -> Any:
        # Loaded when somebody asks: a start has no use for it.
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

        from congress.api.metrics import registry_for  # noqa: PLC0415

        body = generate_latest(registry_for(call.backend, call.measures))
        return webob.Response(body=body, status=200, headerlist=[("Content-Type", CONTENT_TYPE_LATEST)])
