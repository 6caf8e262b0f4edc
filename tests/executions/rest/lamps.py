# SPDX-License-Identifier: Apache-2.0
"""A cloud of lamps: an HTTP server that counts what it is asked for, and answers as a test wants it to."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What a request is answered with.

    ``gate``: not before it is set.  ``hang_up``: not at all.
    """

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    hang_up: bool = False


@dataclass
class Park:
    """One service's part of the server: what it was asked for, and what it is to answer."""

    always: Reply = Reply()
    replies: list[Reply] = field(default_factory=list)
    """What the next requests that change something are answered with, each by one; then comes ``always``."""
    lamps: Reply = Reply(document=[])
    """What the list of lamps is answered with."""
    asked: list[str] = field(default_factory=list)
    """The requests that were to change something, as ``verb/lamp``, as they came."""
    bodies: list[Any] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


class City:
    """The server, with a park for each name."""

    def __init__(self) -> None:
        self.parks: dict[str, Park] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"city": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def url(self, park: str) -> str:
        self.parks.setdefault(park, Park())
        return f"http://127.0.0.1:{self._server.server_address[1]}/{park}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def reply(self, park: Park, place: str, body: Any) -> Reply:
        with self._lock:
            park.asked.append(place)
            park.bodies.append(body)
            park.at_once += 1
            park.most_at_once = max(park.at_once, park.most_at_once)
            return park.replies.pop(0) if park.replies else park.always

    def done(self, park: Park) -> None:
        with self._lock:
            park.at_once -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    city: City

    def do_GET(self) -> None:
        self._answer(self.city.parks[self.path.split("/")[1]].lamps)

    def do_POST(self) -> None:
        _, name, *place = self.path.split("/")
        park = self.city.parks[name]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        reply = self.city.reply(park, "/".join(place), body)
        try:
            self._answer(reply)
        finally:
            self.city.done(park)

    def do_PUT(self) -> None:
        self.do_POST()

    def _answer(self, reply: Reply) -> None:
        if reply.gate is not None:
            reply.gate.wait(60)
        if reply.hang_up:
            self.close_connection = True
            return
        data = json.dumps(reply.document).encode()
        try:
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # whoever asked has given up

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def city() -> Iterator[City]:
    """A city for as long as the block lasts."""
    made = City()
    try:
        yield made
    finally:
        made.close()
