# SPDX-License-Identifier: Apache-2.0
"""What is replaced in Pecan does what the original did, and what it was replaced for."""

import time
from collections.abc import Iterator
from typing import Any

import pecan
import pecan.compat
import webob
from pecan.hooks import PecanHook

from congress.api import pecan_cures


class Controller:
    @pecan.expose()
    def plain(self, request: Any, response: Any, one: str, two: str = "x") -> str:
        return one + two

    @pecan.expose(content_type="application/json")
    def many(self, request: Any, response: Any, *parts: str, **named: str) -> str:
        return "".join(parts)


class Body:
    """An endless body that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False
        self.pulled = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.pulled += 1
            yield b"x"

    def close(self) -> None:
        self.closed = True


class Root:
    """Finds its methods by the path."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def find(self, request: webob.Request) -> tuple[Any, list[str]]:
        return getattr(self, request.path.strip("/")), []

    @pecan.expose(content_type="application/json")
    def endless(self, request: Any, response: Any) -> webob.Response:
        return webob.Response(app_iter=self._body, content_type="text/event-stream")

    @pecan.expose(content_type="application/json")
    def empty(self, request: Any, response: Any) -> webob.Response:
        return webob.Response(status=200, content_type="application/json")

    @pecan.expose(content_type="application/json")
    def nothing(self, request: Any, response: Any) -> webob.Response:
        return webob.Response(status=204)


class Recorder(PecanHook):
    """Remembers when it was called."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_route(self, state: Any) -> None:
        self.seen.append("on_route")

    def before(self, state: Any) -> None:
        self.seen.append(f"before {state.controller.__name__}")

    def after(self, state: Any) -> None:
        self.seen.append(f"after {state.response.status_int}")


def test_the_same_signatures() -> None:
    pecan_cures.install()
    pecan_cures.install()
    assert pecan_cures.is_installed()
    controller = Controller()
    for method in (controller.plain, controller.many, Controller.plain, test_the_same_signatures):
        assert tuple(pecan_cures.getargspec(method)) == tuple(pecan.compat.getargspec(method))
    assert pecan_cures.getargspec(controller.plain) is pecan_cures.getargspec(Controller().plain)


def test_signatures_cost_little() -> None:
    controller = Controller()

    def cost(look: Any) -> float:
        began = time.process_time()
        for _ in range(300):
            look(controller.many)
        return time.process_time() - began

    assert min(cost(pecan_cures.getargspec) for _ in range(3)) * 5 < min(
        cost(pecan.compat.getargspec) for _ in range(3)
    )


def test_bodies_are_left_alone() -> None:
    body = Body()
    pecan_cures.install()
    app = pecan_cures.Application(Root(body).find)
    answer = webob.Request.blank("/endless").call_application(app)
    assert body.pulled == 0
    answer[2].close()
    assert body.closed
    assert webob.Request.blank("/empty").get_response(app).status_int == 200
    nothing = webob.Request.blank("/nothing").get_response(app)
    assert nothing.status_int == 204
    assert "Content-Type" not in nothing.headers


def test_hooks_run() -> None:
    recorder = Recorder()
    app = pecan_cures.Application(Root(Body()).find, hooks=[recorder])
    webob.Request.blank("/nothing?action=x").get_response(app)
    assert recorder.seen == ["on_route", "before nothing", "after 204"]
