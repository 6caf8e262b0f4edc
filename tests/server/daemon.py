# SPDX-License-Identifier: Apache-2.0
"""The real server as a process of its own, on a free port, with a state folder of its own."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.api.declared import problem_with


class Server:
    """A running daemon: requests to it, and its log as objects."""

    def __init__(self, state: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "congress.cmd.server", "--bind-port", "0", "--state-path", str(state)]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--log-format", "json", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.log: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = ("", 0)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                if line.startswith("{"):
                    self.log.append(json.loads(line))
                else:
                    self.other.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def event(self, name: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for a line of the log."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self.log:
                    if line.get("event") == name:
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"no event {name}; {self.log[-5:]} {''.join(self.other)}")
                self._changed.wait(min(left, 0.2))

    def until_ready(self) -> "Server":
        """Wait until policies and services are loaded."""
        parts = urlsplit(self.event("server.started")["url"])
        self.address = (parts.hostname or "", parts.port or 0)
        deadline = time.monotonic() + 60
        while self.request("GET", "/health/ready")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON (None for an empty body), headers.  Fails where the answer is none that is declared."""
        connection = self.connect()
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, data, {**given, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        parts = urlsplit(path)
        found = (answer.status, answer.headers.get("Content-Type", ""), text)
        problem = problem_with(method, unquote(parts.path), parse_qs(parts.query, keep_blank_values=True), *found)
        assert not problem, f"{method} {path}: {problem}: {text[:2000]!r}"
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if text and is_json else text or None, answer.headers  # type: ignore[return-value]

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be a success."""
        status, found, _ = self.request(method, path, body)
        assert status < 300, (method, path, status, found)
        return found

    def until(self, path: str, wanted: Any, seconds: float = 20.0) -> None:
        """Wait until the rows at a path are these."""
        deadline = time.monotonic() + seconds
        while True:
            rows = sorted(entry["data"] for entry in self.ok("GET", path)["results"])
            if rows == sorted(wanted):
                return
            assert time.monotonic() < deadline, rows
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        """Signal it and wait for its end.  :returns: its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """End it at once, if it has not ended, and let go of everything."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def serving(state: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server that is ready; it is gone when the block ends."""
    server = Server(state, *arguments, environment=environment)
    try:
        yield server.until_ready()
    finally:
        server.close()
