# SPDX-License-Identifier: Apache-2.0
"""An HTTP API on loopback that tests tell what to answer."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Reply:
    """What to answer.  ``document`` becomes JSON unless ``body`` is given."""

    document: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0
    # With this many seconds between the bytes of the body.
    drip: float = 0.0
    # With a line of the head every so many seconds first, a hundred of them.
    head_drip: float = 0.0
    # Bytes to send in place of an answer, and the seconds between them.
    raw: bytes = b""
    # Close the connection instead of answering.
    cut: bool = False


Answerer = Callable[[Asked], Reply]


class ApiServer:
    """Answers by ``routes``: "GET /things" to a Reply, or to a function that makes one of the request."""

    def __init__(self) -> None:
        self.routes: dict[str, Reply | Answerer] = {}
        self.asked: list[Asked] = []
        self.failing: Reply | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.answer(self)

            def do_PUT(self) -> None:
                outer.answer(self)

            def do_PATCH(self) -> None:
                outer.answer(self)

            def do_DELETE(self) -> None:
                outer.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    @contextmanager
    def broken(self, reply: Reply | None = None) -> Iterator[None]:
        self.failing = reply or Reply({"message": "out of order"}, 500)
        try:
            yield
        finally:
            self.failing = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        asked = Asked(handler.command, parts.path, query, dict(handler.headers), body)
        self.asked.append(asked)
        route = self.failing or self.routes.get(f"{asked.method} {asked.path}", Reply({"message": "no such path"}, 404))
        reply = route if isinstance(route, Reply) else route(asked)
        time.sleep(reply.delay)
        if reply.cut:
            handler.close_connection = True
            return
        if reply.head_drip or reply.raw:
            handler.close_connection = True
            drip(handler, reply)
            return
        content = reply.body if reply.body is not None else orjson.dumps(reply.document)
        handler.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            handler.send_header(name, value)
        if reply.status != 304:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if reply.status == 304:
            return
        try:
            if not reply.drip:
                handler.wfile.write(content)
            for byte in content if reply.drip else b"":
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.drip)
        except OSError:
            handler.close_connection = True


def drip(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Send the beginning of an answer, and then a little at a time for ever."""
    lines = [b"HTTP/1.1 200 OK\r\n"] + [b"X-More: %d\r\n" % number for number in range(100)]
    parts = [bytes([byte]) for byte in reply.raw] if reply.raw else lines
    try:
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(reply.head_drip or reply.drip)
    except OSError:
        pass


@contextmanager
def api_server() -> Iterator[ApiServer]:
    made = ApiServer()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
