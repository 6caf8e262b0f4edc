# SPDX-License-Identifier: Apache-2.0
"""The HTTP server over sockets: what is not HTTP, streams, the end."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from congress.api.http_server import HttpServer, Listening

Start = Callable[..., Any]


class Application:
    """Answers by path."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.release = threading.Event()
        self.seen_gone = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/stream":
            start("200 OK", [("Content-Type", "text/event-stream")])
            return Endless(self, environ["waitress.client_disconnected"])
        if path == "/slow":
            self.release.wait(5)
        start("200 OK", [("Content-Length", "2")])
        return [b"ok"]


class Endless:
    """A stream that ends when its client has gone, or the application is released."""

    def __init__(self, application: Application, gone: Callable[[], bool]) -> None:
        self._application = application
        self._gone = gone

    def __iter__(self) -> Iterator[bytes]:
        yield b": hello\n\n"
        while not self._application.release.wait(0.02):
            if self._gone():
                self._application.seen_gone.set()
                return

    def close(self) -> None:
        self._application.closed.set()


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def server(application: Application) -> Iterator[HttpServer]:
    made = HttpServer(application, Listening("127.0.0.1", 0, threads=2, streams=2, max_body=1000))
    made.start()
    yield made
    application.release.set()
    made.stop()


def connect(server: HttpServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*server.addresses[0], timeout=5)


def send(server: HttpServer, raw: bytes) -> tuple[int, Any]:
    """What the server answers to these bytes: status and JSON."""
    with socket.create_connection(server.addresses[0], timeout=5) as connection:
        connection.sendall(raw)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x00\xff\xfe\r\n\r\n", 400),
        (b"GET http://[::1/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ],
    ids=lambda value: value[:30].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_what_is_not_http(server: HttpServer, raw: bytes, status: int) -> None:
    answered, document = send(server, raw)
    assert answered == status
    assert document["error"]["error_code"] == status
    assert document["error"]["message"]


def test_what_is_not_http_is_answered_with_the_headers_of_all_answers(server: HttpServer) -> None:
    with socket.create_connection(server.addresses[0], timeout=10) as connection:
        connection.sendall(b"garbage\r\n\r\n")
        answer = connection.makefile("rb").read().decode().lower()
    assert "x-content-type-options: nosniff" in answer
    assert "content-security-policy: default-src 'none'" in answer
    assert "server: congress\r\n" in answer


def test_a_client_that_leaves_is_noticed(server: HttpServer, application: Application) -> None:
    connection = connect(server)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    assert answer.read(9) == b": hello\n\n"
    answer.close()
    connection.close()
    assert application.seen_gone.wait(5)
    assert application.closed.wait(5)


def test_streams_leave_threads_for_requests(server: HttpServer) -> None:
    streams = [connect(server) for _ in range(2)]
    for stream in streams:
        stream.request("GET", "/stream")
    slow = connect(server)
    slow.request("GET", "/slow")
    quick = connect(server)
    quick.request("GET", "/")
    assert quick.getresponse().read() == b"ok"
    for connection in (*streams, slow, quick):
        connection.close()


def test_a_connection_is_kept(server: HttpServer) -> None:
    connection = connect(server)
    for _ in range(3):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        assert connection.sock is not None
    connection.close()


def test_the_end_finishes_what_runs(server: HttpServer, application: Application) -> None:
    slow = connect(server)
    slow.request("GET", "/slow")
    idle = connect(server)
    idle.request("GET", "/")
    idle.getresponse().read()
    time.sleep(0.1)
    threading.Timer(0.3, application.release.set).start()
    began = time.monotonic()
    assert server.stop() is True
    assert 0.2 < time.monotonic() - began < 2
    assert slow.getresponse().read() == b"ok"
    with pytest.raises(OSError):  # noqa: PT011  # refused or reset, as the system likes
        socket.create_connection(server.addresses[0], timeout=1).recv(1)
    slow.close()
    idle.close()


def test_the_end_is_bounded(server: HttpServer) -> None:
    stuck = connect(server)
    stuck.request("GET", "/slow")
    time.sleep(0.1)
    began = time.monotonic()
    assert server.stop(0.3) is False
    assert time.monotonic() - began < 1.5
    stuck.close()


def test_the_loop_ends_before_its_end_is_asked_for(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = server._sockets[0].pull_trigger

    def late_pull() -> None:
        pull()
        if server._closing:
            server._thread.join(5)
        pull()

    monkeypatch.setattr(server._sockets[0], "pull_trigger", late_pull)
    assert server.stop()
    assert not server._thread.is_alive()


def test_the_end_without_a_beginning(application: Application) -> None:
    made = HttpServer(application, Listening("127.0.0.1", 0))
    port = made.addresses[0][1]
    assert made.stop()
    HttpServer(application, Listening("127.0.0.1", port)).stop()


def test_an_address_in_use(server: HttpServer, application: Application) -> None:
    host, port = server.addresses[0]
    with pytest.raises(OSError, match="in use"):
        HttpServer(application, Listening(host, port))
