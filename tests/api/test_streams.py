# SPDX-License-Identifier: Apache-2.0
"""Streams of changes: what a client applies in order is the table, however slow it is or often it comes back."""

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from waitress.channel import HTTPChannel

from congress.api import backlog, event_stream, streams
from congress.api.backend import BusBackend
from congress.api.backlog import Event, Room, Snapshot, weigh
from congress.api.errors import ApiError
from congress.api.event_stream import EventBody, Slots
from congress.api.http_server import HttpServer, Listening
from congress.api.streams import Stream, StreamHub
from congress.bus.bus import Bus
from congress.bus.publisher import TablePublisher
from congress.datalog.values import TRUE, Row


class Publisher(TablePublisher):
    """Publishes what a test says."""

    def put(self, table: str, insertions: list[Row], retractions: list[Row] = []) -> None:  # noqa: B006  # not kept
        self.submit(self.publish, {table: (insertions, retractions)})

    def settle(self) -> None:
        """Wait until all that was put is published."""
        self.bus.call(self.name, "ping")


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = Bus(bus_id=f"streams-{random.getrandbits(32):x}")
    bus.start()
    yield bus
    bus.stop()


@pytest.fixture
def nova(bus: Bus) -> Publisher:
    service = Publisher("nova")
    bus.add(service)
    return service


@pytest.fixture
def hub(bus: Bus) -> StreamHub:
    service = StreamHub("api")
    bus.add(service)
    return service


@dataclass
class Seen:
    """An event as a client reads it."""

    name: str
    id: str
    data: dict[str, Any]

    @staticmethod
    def of(text: bytes) -> "Seen":
        fields = dict(line.split(b": ", 1) for line in text.splitlines() if line)
        return Seen(fields[b"event"].decode(), fields.get(b"id", b"").decode(), json.loads(fields[b"data"]))

    def rows(self, key: str) -> set[Row]:
        return {tuple(TRUE if value is True else value for value in row) for row in self.data[key]}


class Reader:
    """A client: applies events in order to copies of its own."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.tables: dict[str, set[Row]] = {}
        self.events: list[Seen] = []

    def read(self, timeout: float = 2.0) -> Seen | None:
        text = self.stream.take(timeout)
        if text is None:
            return None
        while not text.endswith(b"\n\n"):
            text += self.stream.take(timeout) or b""
        event = Seen.of(text)
        self.events.append(event)
        if event.name == "snapshot":
            self.tables[event.data["table"]] = event.rows("rows")
        elif event.name == "delta":
            copy, insertions, retractions = (
                self.tables[event.data["table"]],
                event.rows("insertions"),
                event.rows("retractions"),
            )
            assert not copy & insertions
            assert copy >= retractions
            copy.difference_update(retractions)
            copy.update(insertions)
        return event

    def until(self, good: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < deadline, (self.tables, self.events[-3:])
            self.read(0.1)


def test_snapshot_then_deltas(nova: Publisher, hub: StreamHub) -> None:
    nova.put("servers", [("a", 1), ("b", TRUE)])
    nova.settle()
    reader = Reader(hub.open([("nova", "servers")]))
    first = reader.read()
    assert first is not None
    assert (first.name, first.data["table"]) == ("snapshot", "nova:servers")
    assert reader.tables["nova:servers"] == {("a", 1), ("b", TRUE)}
    nova.put("servers", [("c", 3)], [("a", 1)])
    second = reader.read()
    assert second is not None
    assert second.name == "delta"
    assert second.id != first.id
    assert reader.tables["nova:servers"] == {("b", TRUE), ("c", 3)}
    assert second.data == {"table": "nova:servers", "insertions": [["c", 3]], "retractions": [["a", 1]]}


def test_a_second_client_gets_the_copy(nova: Publisher, hub: StreamHub) -> None:
    nova.put("servers", [("a",)])
    one = Reader(hub.open([("nova", "servers")]))
    one.read()
    two = Reader(hub.open([("nova", "servers")]))
    two.read()
    assert two.tables == {"nova:servers": {("a",)}}
    assert len(nova.subscribers("servers")) == 1
    nova.put("servers", [("b",)])
    for reader in (one, two):
        reader.read()
        assert reader.tables == {"nova:servers": {("a",), ("b",)}}


def test_policy_tables_have_their_own_name() -> None:
    assert streams.table_name(("policy", "alice:error")) == "alice:error"
    assert streams.table_name(("nova", "servers")) == "nova:servers"


def test_coming_back(nova: Publisher, hub: StreamHub) -> None:
    nova.put("servers", [("a",)])
    first = Reader(hub.open([("nova", "servers")]))
    event = first.read()
    assert event is not None
    hub.release(first.stream)
    nova.put("servers", [("b",)])
    nova.put("servers", [("c",)], [("a",)])
    nova.settle()
    keeper = Reader(hub.open([("nova", "servers")]))
    keeper.until(lambda: keeper.tables.get("nova:servers") == {("b",), ("c",)})
    again = Reader(hub.open([("nova", "servers")], event.id))
    again.tables = first.tables
    again.until(lambda: again.tables["nova:servers"] == {("b",), ("c",)})
    assert [event.name for event in again.events] == ["delta", "delta"]
    current = Reader(hub.open([("nova", "servers")], again.events[-1].id))
    assert current.read(0.2) is None
    unknown = Reader(hub.open([("nova", "servers")], "x.1"))
    event = unknown.read()
    assert event is not None
    assert event.name == "snapshot"


def test_a_publisher_that_comes_later(bus: Bus, hub: StreamHub) -> None:
    reader = Reader(hub.open([("late", "t")]))
    assert reader.read(0.2) is None
    late = Publisher("late")
    bus.add(late)
    late.put("t", [("x",)])
    reader.until(lambda: reader.tables.get("late:t") == {("x",)})
    bus.remove("late")
    reader.until(lambda: any(event.name == "gone" for event in reader.events))
    again = Publisher("late")
    bus.add(again)
    again.put("t", [("y",)])
    reader.until(lambda: reader.tables["late:t"] == {("y",)})


def test_a_slow_client_gets_a_snapshot_again(nova: Publisher, hub: StreamHub) -> None:
    hub.part = 2000
    nova.put("servers", [("start",)])
    nova.put("ports", [("p",)])
    slow = Reader(hub.open([("nova", "servers"), ("nova", "ports")]))
    slow.until(lambda: len(slow.tables) == 2)
    held: set[Row] = {("start",)}
    for number in range(200):
        nova.put("servers", [(number,)])
        held.add((number,))
    nova.settle()
    slow.until(lambda: slow.tables["nova:servers"] == held)
    assert len(slow.events) < 200
    assert slow.tables["nova:ports"] == {("p",)}


def test_random_changes_and_readers(nova: Publisher, hub: StreamHub) -> None:
    hub.part = 1000
    hub.room = Room(10_000)
    dice = random.Random(7)
    held: set[Row] = set()
    readers = [Reader(hub.open([("nova", "t")])) for _ in range(4)]
    for step in range(300):
        fresh = [(dice.randrange(60),) for _ in range(dice.randrange(4))]
        gone = dice.sample(sorted(held), min(len(held), dice.randrange(3)))
        insertions = [row for row in dict.fromkeys(fresh) if row not in held]
        held = (held - set(gone)) | set(insertions)
        nova.put("t", insertions, gone)
        if step % 10 == 0:
            nova.settle()
            hub.bus.call("api", "ping")
        if step % 50 == 25:
            readers.append(Reader(hub.open([("nova", "t")])))
        for reader in readers:
            if dice.random() < 0.3:
                reader.read(0)
    nova.settle()
    for reader in readers:
        reader.until(lambda reader=reader: reader.tables.get("nova:t") == held)  # type: ignore[misc]
        hub.release(reader.stream)
    assert {event.name for reader in readers for event in reader.events} == {"snapshot", "delta"}
    assert hub.room.used == 0


def rows_of(number: int, mark: str = "") -> list[Row]:
    """Rows of some 200 bytes in memory."""
    return [(number, f"server-{mark}{number:08}-of-a-tenant-with-a-name") for number in range(number)]


def test_stalled_clients_share_what_waits_and_are_bounded(bus: Bus, nova: Publisher) -> None:
    hub = StreamHub("api", memory=4_000_000, streams=16)
    bus.add(hub)
    nova.put("servers", rows_of(5000))
    stalled = [hub.open([("nova", "servers")]) for _ in range(16)]
    for stream in stalled:
        assert stream.take(5)  # the beginning of the snapshot; then nothing more is read
    one = hub.room.used
    assert 400_000 < one < 2_000_000  # there once for all of them
    for step in range(200):
        nova.put("servers", [(f"{step}-{number}", "x" * 50) for number in range(100)])
    nova.settle()
    bus.call("api", "ping")
    assert hub.room.used == one
    assert all(stream._waiting <= hub.part == 125_000 for stream in stalled)
    # Snapshots of other moments do not fit: these clients wait, without taking anything for it.
    late = Reader(hub.open([("nova", "servers")]))
    later = Reader(hub.open([("nova", "servers")]))
    nova.put("servers", [("last", "x")])
    nova.settle()
    bus.call("api", "ping")
    assert late.read(0.1) is None
    assert later.read(0.1) is None
    assert hub.room.used == one
    for stream in stalled:
        hub.release(stream)
    for reader in (late, later):
        reader.until(lambda reader=reader: len(reader.tables.get("nova:servers", ())) == 25_001)  # type: ignore[misc]


def test_who_does_not_read_makes_room_for_others(
    bus: Bus, nova: Publisher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streams, "STALLED", 0.3)
    hub = StreamHub("api", memory=200_000, streams=2)
    bus.add(hub)
    nova.put("servers", rows_of(2000))
    stalled = hub.open([("nova", "servers")])
    assert stalled.take(5)
    assert hub.room.used > 200_000  # a table of any size can be followed, but by one client at a time
    nova.put("servers", [("one", "more")])
    nova.settle()
    bus.call("api", "ping")
    reader = Reader(hub.open([("nova", "servers")]))
    reader.until(lambda: len(reader.tables.get("nova:servers", ())) == 2001)
    assert stalled.closed
    assert not reader.stream.closed
    assert "stream.stalled" in caplog.text


def test_a_change_of_any_size(bus: Bus, nova: Publisher) -> None:
    hub = StreamHub("api", memory=100_000, streams=2)
    bus.add(hub)
    nova.put("servers", [("a", "b")])
    readers = [Reader(hub.open([("nova", "servers")])) for _ in range(2)]
    for reader in readers:
        reader.read()
    nova.put("servers", rows_of(3000))
    nova.settle()
    for reader in readers:
        reader.until(lambda reader=reader: len(reader.tables["nova:servers"]) == 3001)  # type: ignore[misc]
        assert [event.name for event in reader.events] == ["snapshot", "delta"]
    hub.part = 10
    nova.put("servers", rows_of(3000, "again"))
    nova.put("servers", rows_of(3000, "and-again"))  # no room beside the one that was not read
    nova.settle()
    for reader in readers:
        reader.read(0)  # lets go of what it has read
    for reader in readers:
        reader.until(lambda reader=reader: len(reader.tables["nova:servers"]) == 9001)  # type: ignore[misc]
        assert [event.name for event in reader.events] == ["snapshot", "delta", "snapshot"]


def test_a_closed_stream_takes_nothing(hub: StreamHub) -> None:
    stream = hub.open([])
    stream.close()
    hub.part = 10
    assert stream.offer(Event("delta", "1.1", {"table": "t"}))
    assert stream.take(0) is None
    assert hub.room.used == 0


def test_the_history_is_bounded(nova: Publisher, hub: StreamHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HISTORY_BYTES", 1000)
    reader = Reader(hub.open([("nova", "servers")]))
    reader.read()
    for step in range(40):
        nova.put("servers", [(step,)])
    reader.until(lambda: len(reader.tables.get("nova:servers", ())) == 40)
    table = hub._streamed["nova", "servers"]
    assert 500 < table.remembered == sum(event.weight for _, event in table.history) <= 1000


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000, 20_000])
def test_snapshots_come_in_pieces(count: int) -> None:
    rows = [(number, "é" * (number % 7), TRUE) for number in range(count)]
    pieces = list(Snapshot("nova:servers", "e.1", rows).pieces())
    assert (len(pieces) > 3) == (count == 20_000)
    assert max(map(len, pieces)) < 300_000
    event = Seen.of(b"".join(pieces))
    assert (event.name, event.id, event.data["table"]) == ("snapshot", "e.1", "nova:servers")
    assert event.data["rows"] == [[number, "é" * (number % 7), True] for number in range(count)]


def test_weights() -> None:
    assert weigh([]) == 0
    assert 100 < weigh([("a", 1)]) < 300
    assert weigh(rows_of(10_000)) == pytest.approx(sum(weigh([row]) for row in rows_of(10_000)), rel=0.05)


def test_tables_are_left_when_nobody_reads(nova: Publisher, hub: StreamHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LINGER", 0.1)
    reader = Reader(hub.open([("nova", "servers")]))
    reader.read()
    assert nova.subscribers("servers")
    hub.release(reader.stream)
    deadline = time.monotonic() + 5
    while nova.subscribers("servers"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert hub.clients == 0


def body_of(hub: StreamHub, **more: Any) -> tuple[EventBody, list[str]]:
    closed: list[str] = []
    stream = hub.open([("nova", "servers")])
    given = {"heartbeat": 60.0, "refresh": None, "disconnected": None, **more}
    return EventBody(stream, close=lambda: closed.append("closed"), **given), closed


def test_body_begins_at_once_and_beats(nova: Publisher, hub: StreamHub) -> None:
    body, closed = body_of(hub, heartbeat=0.2)
    assert next(body) == b"retry: 2000\n\n"
    assert next(body).startswith(b"event: snapshot\n")
    assert next(body) == b": still here\n\n"
    body.close()
    body.close()
    assert closed == ["closed"]


def test_body_ends_when_the_client_has_gone(nova: Publisher, hub: StreamHub) -> None:
    gone = False
    body, _ = body_of(hub, disconnected=lambda: gone)
    next(body), next(body)
    gone = True
    began = time.monotonic()
    with pytest.raises(StopIteration):
        next(body)
    assert time.monotonic() - began < 2


def test_clients_that_do_not_read_cost_little(
    bus: Bus, nova: Publisher, hub: StreamHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    nova.put("servers", rows_of(120_000))
    nova.settle()
    backend = BusBackend(bus, hub)

    def follow(environ: dict[str, Any], start: Any) -> Any:
        gone = environ["waitress.client_disconnected"]
        return backend.follow([("nova", "servers")], "", None, gone)(environ, start)

    server = HttpServer(follow, Listening("127.0.0.1", 0, threads=1, streams=4))
    server.start()
    sockets = [socket.socket() for _ in range(4)]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the system buffers megabytes otherwise
        one.connect(server.addresses[0])
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")

    def until(good: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not good():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def channels() -> list[Any]:
        return [found for found in list(server._map.values()) if isinstance(found, HTTPChannel)]

    most = event_stream.AHEAD + 2 * backlog.PIECE
    until(lambda: sum(channel.total_outbufs_len > event_stream.AHEAD for channel in channels()) == 4)
    time.sleep(0.2)
    for channel in channels():
        assert channel.total_outbufs_len <= most
        # Not even what was sent is kept: the socket took more than this.
        assert sum(len(part.buf.getfile().getvalue()) for part in channel.outbufs if part.buf) <= 2 * most
    text = b""
    while not text.endswith(b"]}\n\n"):  # one reads on: it gets all
        received = sockets[0].recv(1 << 20)
        assert received
        text += received
    assert text.count(b"-of-a-tenant-with-a-name") == 120_000
    monkeypatch.setattr(event_stream, "PATIENCE", 0.2)
    until(lambda: backend.streams_open() == 1)  # the others were taken for gone
    for one in sockets:
        one.close()
    hub.close_all()
    assert server.stop()
    assert hub.room.used == 0


def test_body_ends_when_the_daemon_stops(nova: Publisher, hub: StreamHub) -> None:
    body, _ = body_of(hub)
    next(body), next(body)
    hub.close_all()
    with pytest.raises(StopIteration):
        next(body)


def test_new_tables_are_looked_for(nova: Publisher, hub: StreamHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("congress.api.event_stream.REFRESH", 0.1)
    looks: list[int] = []

    def refresh() -> None:
        looks.append(1)
        raise RuntimeError("the policy was deleted")

    body, _ = body_of(hub, heartbeat=1.0, refresh=refresh)
    next(body), next(body)
    assert next(body) == b": still here\n\n"
    assert looks


def test_slots_are_bounded() -> None:
    slots = Slots(2)
    slots.take()
    slots.take()
    with pytest.raises(ApiError) as raised:
        slots.take()
    assert raised.value.status == 503
    assert raised.value.headers["Retry-After"]
    slots.free()
    slots.take()
    assert slots.taken == 2
