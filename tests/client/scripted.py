# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers what a test wrote down, connection by connection."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Scripted:
    """``requests`` has what came in; each answer is sent as it is, then the connection is closed."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.requests: list[str] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(30)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _ = self._socket.accept()
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                self.requests.append(data.decode())
                connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(20)
        self._socket.close()


def answer(body: str, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "Connection: close", "", ""]) + body).encode()


def stream(*pieces: str) -> bytes:
    """A stream that breaks off after these pieces: the last chunk, which would end it, never comes."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + b"".join(f"{len(p.encode()):x}\r\n{p}\r\n".encode() for p in pieces)


@contextmanager
def scripted(*answers: bytes) -> Iterator[Scripted]:
    server = Scripted(answers)
    try:
        yield server
    finally:
        server.close()
