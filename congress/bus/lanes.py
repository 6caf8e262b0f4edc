# SPDX-License-Identifier: Apache-2.0
"""Threads that send messages to a broker, so that nobody else waits for it.

There is one for announcements and there are some for each node, so that a node whose queue the broker does
not get on with keeps nobody else waiting.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from congress.bus import messages, parcels
from congress.bus.errors import Overloaded
from congress.bus.messages import Message, Presence
from congress.bus.oslo import Wire, oslo_messaging
from congress.bus.stream import Frame

LOG = logging.getLogger(__name__)

PARCEL_BYTES: Final = 1_000_000
"""How much JSON text goes into one parcel, about."""
QUEUED_MESSAGES: Final = 10_000
QUEUED_BYTES: Final = 64_000_000
"""How much may wait to leave for a node, besides frames, which are bounded by their windows."""
RETRY: Final = 0.5
"""Seconds between attempts while the broker is away."""

Undeliverable = Callable[[str, Sequence[Message]], None]


class _Sender(ABC):
    """A thread that sends what is queued until it is closed."""

    LEVEL = logging.DEBUG
    """At which level it says that the broker is away, or back."""

    def __init__(self, name: str, wire: Wire) -> None:
        self.name = name
        self._wire = wire
        self._condition = threading.Condition()
        self._closing = threading.Event()
        self._busy = False
        self._down = False
        self._thread = threading.Thread(target=self._run, name=f"bus {name}", daemon=True)
        self._thread.start()

    def flush(self, until: float) -> bool:
        """Wait until nothing is queued.  :returns: whether that came about in time."""
        with self._condition:
            seconds = max(0.0, until - time.monotonic())
            return self._condition.wait_for(lambda: not (self._busy or self._queued()), seconds)

    def close(self, until: float) -> bool:
        """End the thread.  :returns: whether it ended in time."""
        self._closing.set()
        with self._condition:
            self._condition.notify_all()
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    @abstractmethod
    def _queued(self) -> bool:
        """Whether something waits to be sent."""

    @abstractmethod
    def _send_some(self) -> Callable[[], None]:
        """Take something from the queue, under the lock.  :returns: what sends it."""

    def _run(self) -> None:
        while True:
            with self._condition:
                self._busy = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._closing.is_set() or self._queued())
                if self._closing.is_set():
                    return
                send = self._send_some()
                self._busy = True
            send()

    def _attempt(self, function: Callable[[], None]) -> bool:
        try:
            function()
        # Whatever the transport throws while the broker is away; it is tried again.
        except Exception as error:  # noqa: BLE001
            if not self._down:
                LOG.log(self.LEVEL, "bus.link_down way=%s error=%s", self.name, error)
            self._down = True
            return False
        if self._down:
            LOG.log(self.LEVEL, "bus.link_up way=%s", self.name)
        self._down = False
        return True


class Announcer(_Sender):
    """Sends this node's announcements to all; only the newest waits."""

    LEVEL = logging.WARNING

    def __init__(self, wire: Wire) -> None:
        self.sent = 0
        """How many have left."""
        self._presence: Presence | None = None
        super().__init__("announcements", wire)

    def put(self, presence: Presence) -> None:
        """Queue an announcement in place of one that still waits."""
        with self._condition:
            if self._presence is not None:
                presence = replace(presence, hello=presence.hello or self._presence.hello)
            self._presence = presence
            self._condition.notify_all()

    def _queued(self) -> bool:
        return self._presence is not None

    def _send_some(self) -> Callable[[], None]:
        presence, self._presence = self._presence, None
        assert presence is not None  # that is what _queued says
        return partial(self._announce, presence)

    def _announce(self, presence: Presence) -> None:
        """Once only: the next announcement is never far, but a greeting must be heard."""
        parcel = parcels.wrap([messages.encode(presence)])
        if self._attempt(partial(self._wire.send_all, "parcel", body=parcel)):
            self.sent += 1
            return
        if presence.hello:
            self.put(presence)
        self._closing.wait(RETRY)


@dataclass(slots=True)
class Item:
    """Something to be sent; ``body`` is how it reads written down, made late for frames."""

    message: Message
    body: bytes | None = None
    deadline: float | None = None

    @property
    def size(self) -> int:
        """How many bytes it comes to, about; a row not written down yet is reckoned at 200."""
        if self.body is not None:
            return len(self.body)
        if isinstance(self.message, Frame):
            return 300 + 200 * sum(piece.weight for piece in self.message.pieces)
        return 300


class Lane(_Sender):
    """Sends messages to one node in their order, many in one parcel when many wait."""

    def __init__(self, name: str, node: str, wire: Wire, undeliverable: Undeliverable) -> None:
        self._node = node
        self._undeliverable = undeliverable
        self._items: deque[Item] = deque()
        self._messages = self._bytes = 0
        self._parcels = 0
        super().__init__(f"{name} {node}", wire)

    def put(self, item: Item) -> None:
        """Queue something.  :raises Overloaded: too much is queued."""
        with self._condition:
            if item.body is not None:
                if self._messages >= QUEUED_MESSAGES or self._bytes >= QUEUED_BYTES:
                    raise Overloaded(f"{self._messages} messages of {self._bytes} bytes wait to leave for {self._node}")
                self._messages += 1
                self._bytes += len(item.body)
            self._items.append(item)
            self._condition.notify_all()

    def _queued(self) -> bool:
        return bool(self._items)

    def _send_some(self) -> Callable[[], None]:
        items = [self._items.popleft()]
        size = items[0].size
        while self._items and size < PARCEL_BYTES:
            size += self._items[0].size
            items.append(self._items.popleft())
        bodies = [item.body for item in items if item.body is not None]
        self._messages -= len(bodies)
        self._bytes -= sum(map(len, bodies))
        return partial(self._dispatch, items)

    def _dispatch(self, items: list[Item]) -> None:
        for item in items:
            if item.body is None:
                try:
                    item.body = messages.encode(item.message)
                # Rows that are no rows: their publisher's fault, which must not end this thread.
                except Exception as error:  # noqa: BLE001
                    LOG.error("bus.unwritable message=%.200r error=%s", item.message, error)
        while not self._closing.is_set():
            now = time.monotonic()
            bodies = [item.body for item in items if item.body and (item.deadline is None or now < item.deadline)]
            if not bodies or self._attempt(partial(self._send_parcel, items, parcels.wrap(bodies))):
                return
            self._closing.wait(RETRY)

    def _send_parcel(self, items: list[Item], body: str) -> None:
        try:
            if len(body) <= parcels.PART:
                self._wire.send(self._node, "parcel", body=body)
                return
            self._parcels += 1
            for part in parcels.parts(f"{id(self)}-{self._parcels}", body):
                self._wire.send(self._node, "part", **part)
        except oslo_messaging.MessageUndeliverable:
            self._undeliverable(self._node, [item.message for item in items])
