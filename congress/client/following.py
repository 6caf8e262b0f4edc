# SPDX-License-Identifier: Apache-2.0
"""Changes of tables as they happen: the server's event streams as iterators that survive interruptions."""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import requests

from congress.client.errors import ApiError, Broken, Unavailable, Unreachable
from congress.client.transport import Transport
from congress.client.values import Row, as_row, identity

_log = logging.getLogger(__name__)

SILENCE: Final = 60.0
"""Seconds without a byte after which a stream counts as broken; the server says something every 15."""
_LONGEST_WAIT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All rows of a table: what was known of it before is out of date."""

    table: str
    rows: tuple[Row, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows that came and went.  ``ids`` say what it was about: a poll, a request."""

    table: str
    insertions: tuple[Row, ...]
    retractions: tuple[Row, ...]
    ids: Mapping[str, str]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """A service, or the policy runtime, is away; its rows stay as they were."""

    service: str


@dataclass(frozen=True, slots=True)
class Back:
    """It is back; snapshots follow."""

    service: str


Event: TypeAlias = Snapshot | Delta | Gone | Back


def event_of(name: str, event_id: str, data: Mapping[str, Any]) -> Event | None:
    """The event that the server wrote; None for a kind that is not known here."""
    rows = {part: tuple(as_row(row) for row in data.get(part) or ()) for part in ("rows", "insertions", "retractions")}
    if name == "snapshot":
        return Snapshot(data["table"], rows["rows"], event_id)
    if name == "delta":
        return Delta(data["table"], rows["insertions"], rows["retractions"], data.get("ids") or {}, event_id)
    if name in ("gone", "back"):
        return (Gone if name == "gone" else Back)(data.get("service", ""))
    return None


class EventReader:
    """Takes the bytes of a ``text/event-stream`` in any pieces and gives its events; no input or output of its own."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}
        self.last_id = ""
        self.retry: float | None = None  # seconds, where the server said so

    def feed(self, data: bytes) -> Iterator[tuple[str, str, str]]:
        """The events that are complete with these bytes: name, id, data."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            event = self._line(line.decode("utf-8", "replace").removesuffix("\r"))
            if event is not None:
                yield event

    def _line(self, line: str) -> tuple[str, str, str] | None:
        if not line:
            given, self._fields = self._fields, {}
            if "data" not in given:
                return None
            return given.get("event", ["message"])[-1], self.last_id, "\n".join(given["data"])
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self.last_id = value
        elif name == "retry" and value.isdecimal():
            self.retry = int(value) / 1000
        elif name:
            self._fields.setdefault(name, []).append(value)
        return None


class Stream:
    """The events of some tables, without an end.  One thread; use it as a context manager, or close it.

    For each table a :class:`Snapshot` comes first, then a :class:`Delta` for each change; applied in order they are
    the table.  When the connection breaks it is made again, and goes on where it was if the server still knows (it
    does for a stream of one table); else a new snapshot comes.
    """

    def __init__(self, transport: Transport, path: str, query: Mapping[str, Any], *, reconnect: bool = True) -> None:
        self._transport = transport
        self._path = path
        self._query = query
        self._reconnect = reconnect
        self._reader = EventReader()
        self._response: Any = None
        self._closed = False
        self._last_id = ""
        self._failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it.  An iteration in another thread ends within the server's heartbeat."""
        self._closed = True
        self._disconnect()

    def __iter__(self) -> Iterator[Event]:
        """The events.

        :raises ApiError: the server refuses, as for a table that is not there.
        :raises Unreachable: the very first connection cannot be made.
        :raises Broken: the stream ended, and ``reconnect`` is False.
        """
        self._connect()
        while True:
            try:
                yield from self._events()
                reason = "the server ended the stream"
            except (requests.RequestException, OSError, ValueError, AttributeError) as error:
                reason = str(error)  # the last of them is what urllib3 raises where another thread closed it
            if self._closed:
                return
            if not self._reconnect:
                raise Broken(f"the stream broke: {reason}", "Start it again.")
            _log.info("stream broke (%s); connecting again", reason)
            self._connect_again()

    def _events(self) -> Iterator[Event]:
        for data in _pieces(self._response):
            for name, event_id, text in self._reader.feed(data):
                self._failures = 0
                self._last_id = event_id
                event = event_of(name, event_id, json.loads(text))
                if event is not None:
                    yield event

    def _connect(self) -> None:
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        self._reader = EventReader()
        self._response = self._transport.respond(
            "GET", self._path, query=self._query, headers=headers, stream=True, timeout=(20, SILENCE), log=False
        )

    def _connect_again(self) -> None:
        while not self._closed:
            self._disconnect()
            time.sleep(min(_LONGEST_WAIT, (self._reader.retry or 1.0) * 1.5**self._failures))
            self._failures += 1
            try:
                self._connect()
                return
            except (Unavailable, Unreachable) as error:
                _log.info("no connection yet: %s", error)
            except ApiError as error:
                if error.status < 500:
                    raise

    def _disconnect(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()


def _pieces(response: Any) -> Iterator[bytes]:
    # Pieces as they arrive; where a proxy took the chunks off, byte by byte is the only way not to wait for more.
    chunked = getattr(response.raw, "chunked", False)
    pieces: Iterator[bytes] = response.iter_content(chunk_size=None if chunked else 1)
    return pieces


class Copies:
    """Copies of tables, kept by their events; tells what each event really changed.

    After an interruption a snapshot comes instead of the changes that were missed; the difference to the copy is
    what there was to see.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[tuple[object, ...], Row]] = {}

    def rows(self, table: str) -> tuple[Row, ...]:
        """The rows of a table as far as its events came."""
        return tuple(self._tables.get(table, {}).values())

    def knows(self, table: str) -> bool:
        """Whether there was a snapshot of a table."""
        return table in self._tables

    def apply(self, event: Snapshot | Delta) -> Delta:
        """Take an event in; what changed by it.  The first snapshot of a table inserts all its rows."""
        copy = self._tables.setdefault(event.table, {})
        if isinstance(event, Snapshot):
            wanted = {identity(row): row for row in event.rows}
            gone = [row for key, row in copy.items() if key not in wanted]
            come = [row for key, row in wanted.items() if key not in copy]
            self._tables[event.table] = wanted
            return Delta(event.table, tuple(come), tuple(gone), {}, event.id)
        gone = _taken(copy, event.retractions)
        come = [row for row in event.insertions if identity(row) not in copy]
        copy.update((identity(row), row) for row in come)
        return Delta(event.table, tuple(come), tuple(gone), event.ids, event.id)


def _taken(copy: dict[tuple[object, ...], Row], rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if copy.pop(identity(row), None) is not None]
