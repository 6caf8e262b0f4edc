# SPDX-License-Identifier: Apache-2.0
"""The way to Nova: a reverse proxy that writes down who was acted on, and that a test closes."""

import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests

_ACTION = re.compile(r"/servers/([0-9a-f-]+)/action$")
_PASSED_ON = ("Content-Type", "Retry-After", "Openstack-Api-Version", "X-Openstack-Request-Id")


@dataclass(frozen=True, slots=True)
class Act:
    """An action that was asked for, and the status of the answer."""

    server: str
    name: str
    status: int


class Gateway:
    """Passes requests on.  Closed, its port refuses connections, as that of an API that is not running."""

    def __init__(self, target: str) -> None:
        """:param target: root of the API, as the catalogue has it."""
        parts = urlsplit(target)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path
        self.acts: list[Act] = []
        self.busy: set[str] = set()
        """Servers whose next action is answered by 429: come again in a second."""
        self.delay = 0.0
        """Seconds that each action takes on its way."""
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}{self._path}"

    def of(self, server: str) -> list[int]:
        """The statuses of the actions on a server, in order."""
        return [act.status for act in self.acts if act.server == server]

    def open(self) -> None:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # as the base class calls it
                gateway.answer(self)

            def do_POST(self) -> None:  # as above
                gateway.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Accept nothing more; what was accepted is answered."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        server = found[1] if (found := _ACTION.search(request.path)) else ""
        time.sleep(self.delay if server else 0.0)
        if server in self.busy:
            self.busy.discard(server)
            status, headers, data = 429, {"Retry-After": "1", "Content-Type": "text/plain"}, b"too many requests"
        else:
            given = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
            there = requests.request(
                request.command, self._root + request.path, headers=given, data=body, timeout=120, allow_redirects=False
            )
            status, data = there.status_code, there.content
            headers = {name: there.headers[name] for name in _PASSED_ON if name in there.headers}
        if server:
            self.acts.append(Act(server, next(iter(json.loads(body))), status))
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)
