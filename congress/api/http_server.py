# SPDX-License-Identifier: Apache-2.0
"""Waitress in this process: started and stopped from outside, errors in JSON, streams let go at the end.

Waitress serves from one thread of sockets and a pool of threads for requests.  What differs from its own defaults,
and why:

* a thread for each stream that may be open, besides those for requests; more connections than 100;
* one request of look-ahead, so that a client that has gone is noticed while its request still runs;
* answers to what is not even HTTP (a header too long, a body too big) have the JSON form of all errors;
* a stop that finishes what runs, ends streams, and is bounded in time;
* what writes a response can see how much of it the client has not taken yet, so that a stream for a client that does
  not read need not be written into buffers;
* buffers are let go of when they have been sent (waitress keeps what it has sent over a connection, up to 16 MB of it),
  and a look at one copies 128 KiB, not what the socket could take (2.6 MB on loopback, for each piece of a response).
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from waitress import wasyncore
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

from congress.api.encoding import JSON, line
from congress.api.errors import Failure
from congress.api.headers import secure

_log = logging.getLogger(__name__)
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_MAX_HEADER: Final = 65_536
_LOOK: Final = 128 * 1024  # bytes
_SENT: Final = 128 * 1024  # bytes after which a buffer is exchanged


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ParsingError:
            raise
        except ValueError as error:  # a Content-Length of thousands of digits, a port that is no number
            raise ParsingError(str(error)) from error


class _ErrorTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What a client gets that did not send HTTP, or too much of it."""

    def execute(self) -> None:
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        body = line(Failure(error.code, error.code, f"{error.reason}: {error.body}").document())
        self.response_headers.append(("Content-Type", JSON))
        secure(self.response_headers, "http")
        self.set_close_on_finish()
        self.content_length = len(body)
        head = getattr(self.request, "command", "") == "HEAD"  # unknown where the first line was the trouble
        self.write(b"" if head else body)


class Client:
    """Who reads a response; in the WSGI environment as ``waitress.client_disconnected``.  Any thread."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def __call__(self) -> bool:
        """Whether it has gone."""
        return bool(self._channel.check_client_disconnected())

    def unsent(self) -> int:
        """Bytes of the response that wait in this process."""
        return int(self._channel.total_outbufs_len)


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    def get_environment(self) -> dict[str, Any]:
        made: dict[str, Any] = super().get_environment()
        made["waitress.client_disconnected"] = Client(self.channel)
        return made


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    sendbuf_len: int
    current_outbuf_count: int

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.sendbuf_len = min(self.sendbuf_len, _LOOK)

    def write_soon(self, data: Any) -> int:
        with self.outbuf_lock:
            # While much is unsent, the buffer grows until it becomes a file.
            if self.current_outbuf_count >= _SENT and self.total_outbufs_len <= _SENT:
                self.outbufs.append(OverflowableBuffer(self.adj.outbuf_overflow))
                self.current_outbuf_count = 0
        return int(super().write_soon(data))


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how to serve."""

    host: str
    port: int
    threads: int = 8
    streams: int = 64
    connections: int = 1000
    max_body: int = 32 * 1024 * 1024


def _bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for all addresses of a host; with port 0 all of them get the one that the first was given.

    :raises OSError: one of them cannot be bound; then none is open.
    """
    bound: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            made = socket.socket(family, kind, protocol)
            bound.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address[0], port or bound[0].getsockname()[1], *address[2:]))
    except OSError:
        for made in bound:
            made.close()
        raise
    return bound


class HttpServer:
    """One listening socket (two where a name stands for IPv4 and IPv6) and its threads."""

    def __init__(self, application: Application, listening: Listening) -> None:
        """Binds the sockets; nothing is served before :meth:`start`.

        :raises OSError: the address is in use or not of this machine.
        """
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns at every request that waits
        logging.getLogger("waitress").setLevel(logging.WARNING)
        self._map: dict[int, Any] = {}
        server = create_server(
            application,
            map=self._map,
            sockets=_bind(listening.host, listening.port),
            threads=listening.threads + listening.streams,
            connection_limit=listening.connections,
            max_request_header_size=_MAX_HEADER,
            # Waitress refuses bodies of this size without reading them; the front refuses them by a finer limit.
            max_request_body_size=listening.max_body + 1,
            channel_request_lookahead=1,
            asyncore_use_poll=True,
            ident="congress",
            clear_untrusted_proxy_headers=False,  # the front does, by a finer list of whom to trust
        )
        self._dispatcher = server.task_dispatcher
        self._sockets = [found for found in self._map.values() if isinstance(found, TcpWSGIServer)]
        for found in self._sockets:
            found.channel_class = _Channel
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="http sockets", daemon=True)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and port."""
        return [(found.effective_host, int(found.effective_port)) for found in self._sockets]

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self, timeout: float = 1.5) -> bool:
        """Take no new connections, finish what runs, close.  Streams must have been ended by their owner.

        Blocks at most ``timeout`` seconds.  :returns: whether everything that ran was finished.
        """
        if self._closing:
            return True
        deadline = time.monotonic() + timeout
        self._stopping.set()
        if self._sockets:
            self._sockets[0].pull_trigger()
        while self._busy() and time.monotonic() < deadline:
            time.sleep(0.01)
        finished = not self._busy()
        self._dispatcher.shutdown(timeout=max(0.05, deadline - time.monotonic()) if finished else 0)
        self._closing = True
        if self._sockets:
            self._sockets[0].pull_trigger()
        if self._thread.ident is not None:
            self._thread.join(max(0.5, deadline - time.monotonic()))
        if not self._thread.is_alive():  # only now: the loop would close what is still pulled above
            wasyncore.close_all(self._map, ignore_all=True)
        return finished

    _closing = False

    def _busy(self) -> bool:
        channels = [found for found in list(self._map.values()) if isinstance(found, HTTPChannel)]
        return any(channel.requests or channel.total_outbufs_len for channel in channels)

    def _loop(self) -> None:
        while not self._closing:
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
            if self._stopping.is_set():
                self._stop_listening()

    def _stop_listening(self) -> None:
        for found in self._sockets:
            if found.accepting:
                found.accepting = False
                found.del_channel(self._map)
                found.socket.close()
