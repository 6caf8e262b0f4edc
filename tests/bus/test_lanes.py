# SPDX-License-Identifier: Apache-2.0
"""The threads that send: with a transport that blocks, fails, and does not know the address."""

import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from congress.bus import lanes, messages, parcels
from congress.bus.errors import Overloaded
from congress.bus.lanes import Announcer, Item, Lane
from congress.bus.messages import Message, Presence, Reply
from congress.bus.oslo import Wire, oslo_messaging
from tests.bus.services import eventually


class Fickle:
    """A transport that does as the test says, and reads what it was given."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None
        self.attempts = 0
        self.parcels: list[list[Message]] = []
        self.receiver = parcels.Receiver(lambda message, remote: self.parcels[-1].append(message))

    def send(self, node: str, method: str, **args: Any) -> None:
        self.attempts += 1
        self.open.wait(10)
        if self.error is not None:
            raise self.error
        self.parcels.append([])
        getattr(self.receiver, method)(**args)

    def send_all(self, method: str, **args: Any) -> None:
        self.send("", method, **args)

    @property
    def messages(self) -> list[Message]:
        return [message for parcel in self.parcels for message in parcel]


@pytest.fixture
def wire() -> Fickle:
    return Fickle()


@pytest.fixture
def undelivered() -> list[Message]:
    return []


@pytest.fixture
def lane(wire: Fickle, undelivered: list[Message], monkeypatch: pytest.MonkeyPatch) -> Iterator[Lane]:
    monkeypatch.setattr(lanes, "RETRY", 0.02)
    made = Lane("test", "n", cast(Wire, wire), lambda node, lost: undelivered.extend(lost))
    yield made
    wire.open.set()
    assert made.close(time.monotonic() + 5)


def item(number: int, seconds: float | None = None, size: int = 1) -> Item:
    reply = Reply(str(number), "x" * size)
    return Item(reply, messages.encode(reply), None if seconds is None else time.monotonic() + seconds)


def numbers(sent: list[Message]) -> list[int]:
    return [int(message.id) for message in sent if isinstance(message, Reply)]


def test_what_waits_goes_together_and_in_order(wire: Fickle, lane: Lane) -> None:
    wire.open.clear()
    for number in range(100):
        lane.put(item(number))
    wire.open.set()
    assert lane.flush(time.monotonic() + 5)
    assert numbers(wire.messages) == list(range(100))
    assert len(wire.parcels) <= 2


def test_a_parcel_is_not_much_larger_than_it_should_be(wire: Fickle, lane: Lane) -> None:
    wire.open.clear()
    for number in range(5):
        lane.put(item(number, size=700_000))
    wire.open.set()
    eventually(lambda: len(wire.messages) == 5)
    assert max(map(len, wire.parcels)) == 2


def test_one_that_is_too_large_goes_in_parts(wire: Fickle, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "PART", 100)
    lane.put(item(1, size=5000))
    eventually(lambda: numbers(wire.messages) == [1])
    assert len(wire.parcels) > 10


def test_it_is_tried_until_it_goes(wire: Fickle, lane: Lane) -> None:
    wire.error = OSError("no route")
    lane.put(item(1))
    eventually(lambda: wire.attempts > 2)
    assert not lane.flush(time.monotonic() + 0.01)
    wire.error = None
    eventually(lambda: numbers(wire.messages) == [1])


def test_what_is_too_late_is_dropped(wire: Fickle, lane: Lane) -> None:
    wire.error = OSError("no route")
    lane.put(item(1, seconds=0.05))
    lane.put(item(2, seconds=60))
    time.sleep(0.1)
    wire.error = None
    assert lane.flush(time.monotonic() + 5)
    assert numbers(wire.messages) == [2]


def test_there_is_an_end_to_what_may_wait(wire: Fickle, lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "QUEUED_MESSAGES", 5)
    wire.open.clear()
    lane.put(item(0))
    eventually(lambda: wire.attempts == 1)
    for number in range(1, 6):
        lane.put(item(number))
    with pytest.raises(Overloaded, match="5 messages"):
        lane.put(item(6))
    wire.open.set()
    assert lane.flush(time.monotonic() + 5)
    monkeypatch.setattr(lanes, "QUEUED_BYTES", 1000)
    wire.open.clear()
    before = wire.attempts
    lane.put(item(7, size=1000))
    eventually(lambda: wire.attempts > before)
    lane.put(item(8, size=1000))
    with pytest.raises(Overloaded, match="bytes"):
        lane.put(item(9))


def test_who_is_not_there_is_reported(wire: Fickle, lane: Lane, undelivered: list[Message]) -> None:
    wire.error = oslo_messaging.MessageUndeliverable("gone", "x", "y", {})
    lane.put(item(7))
    eventually(lambda: numbers(undelivered) == [7])
    assert wire.attempts == 1


def test_of_announcements_only_the_newest_waits_but_a_greeting_is_kept(wire: Fickle) -> None:
    announcer = Announcer(cast(Wire, wire))
    wire.open.clear()
    announcer.put(Presence("n", 1, {}, {}))
    eventually(lambda: wire.attempts == 1)
    announcer.put(Presence("n", 2, {}, {}, hello=True))
    announcer.put(Presence("n", 3, {"x": "i"}, {}))
    wire.open.set()
    assert announcer.flush(time.monotonic() + 5)
    assert wire.messages == [Presence("n", 1, {}, {}), Presence("n", 3, {"x": "i"}, {}, hello=True)]
    assert announcer.close(time.monotonic() + 5)
