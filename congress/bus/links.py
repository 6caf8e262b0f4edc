# SPDX-License-Identifier: Apache-2.0
"""The ways messages take to other nodes."""

import logging
import threading
import time
from functools import partial
from typing import Final, Protocol

from congress.bus import messages, parcels
from congress.bus.lanes import RETRY, Announcer, Item, Lane, Undeliverable
from congress.bus.messages import Message, Presence, Wake
from congress.bus.oslo import Wire, oslo_messaging
from congress.bus.parcels import Deliver, Receiver
from congress.bus.stream import Frame, Tip

LOG = logging.getLogger(__name__)

LARGE: Final = 65_536
"""From how many bytes on a message travels with the tables, so that it does not keep small ones waiting."""


class Link(Protocol):
    """A way to the nodes.  Any thread; nothing here blocks, but for ``open`` and ``close``."""

    trouble: str
    """What is in the way of opening it, if anything."""

    def open(self, deliver: Deliver, given_up: threading.Event) -> None:
        """Have what comes delivered; blocks until the transport is connected, or the attempt is given up."""

    def send(self, node: str, message: Message, deadline: float | None = None) -> None:
        """Send to one node.  After the deadline (monotonic) the message is dropped.

        :raises NotPortable: the message cannot travel.
        :raises Overloaded: too much is waiting already.
        """

    def send_all(self, presence: Presence) -> None:
        """Send to all nodes, this one too."""

    def announced(self) -> int:
        """How many announcements have left."""

    def renew(self) -> None:
        """Nothing comes back of what leaves: have what this node listens on made anew."""

    def forget(self, node: str) -> None:
        """A node is gone for good."""

    def close(self, timeout: float) -> bool:
        """Send what waits, then close; at most so many seconds.  :returns: whether all was done in time."""


class DirectLink:
    """Within the process: by reference, on the sender's thread."""

    def __init__(self, wire: Wire, undeliverable: Undeliverable, check_portable: bool = False) -> None:
        """:param check_portable: write down and read every message, to find what could not travel."""
        self._wire = wire
        self._undeliverable = undeliverable
        self._check = check_portable
        self.trouble = ""

    def open(self, deliver: Deliver, given_up: threading.Event) -> None:
        """See :class:`Link`."""
        self._wire.listen(Receiver(deliver))

    def send(self, node: str, message: Message, deadline: float | None = None) -> None:
        """See :class:`Link`."""
        if self._check:
            message = messages.decode(parcels.unwrap(parcels.wrap([messages.encode(message)]))[0])
        try:
            self._wire.send(node, "message", message=message)
        except oslo_messaging.MessageUndeliverable:
            self._undeliverable(node, [message])

    def send_all(self, presence: Presence) -> None:
        """See :class:`Link`."""
        self._wire.send_all("message", message=presence)

    def announced(self) -> int:
        """None that could be under way: they are delivered while they are sent."""
        return 0

    def renew(self) -> None:
        """Never wanted."""

    def forget(self, node: str) -> None:
        """See :class:`Link`."""
        self._wire.forget(node)

    def close(self, timeout: float) -> bool:
        """See :class:`Link`."""
        self._wire.close()
        return True


class QueuedLink:
    """Over a broker: a thread for announcements and two for each node, so that rows do not keep calls
    waiting.
    """

    def __init__(self, wire: Wire, node: str, undeliverable: Undeliverable) -> None:
        self._wire = wire
        self._node = node
        self._undeliverable = undeliverable
        self.trouble = ""
        self._lock = threading.Lock()
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._announcer = Announcer(wire)
        self._renewals = 0

    def open(self, deliver: Deliver, given_up: threading.Event) -> None:
        """See :class:`Link`."""
        while not given_up.is_set():
            try:
                self._wire.reach()
                break
            # Whatever the transport throws while the broker is away.
            except Exception as error:  # noqa: BLE001
                self.trouble = str(error)
                given_up.wait(RETRY)
        if not given_up.is_set():
            self._wire.listen(Receiver(deliver))

    def send(self, node: str, message: Message, deadline: float | None = None) -> None:
        """See :class:`Link`."""
        if isinstance(message, Frame | Tip):
            self._lane("freight", node).put(Item(message))
            return
        body = messages.encode(message)
        lane = self._lane("freight" if len(body) > LARGE else "express", node)
        lane.put(Item(message, body, deadline))

    def send_all(self, presence: Presence) -> None:
        """See :class:`Link`."""
        self._announcer.put(presence)

    def announced(self) -> int:
        """See :class:`Link`."""
        return self._announcer.sent

    def renew(self) -> None:
        """See :class:`Link`."""
        self._renewals += 1
        LOG.warning("bus.inbox_stuck node=%s renewal=%d", self._node, self._renewals)
        # The queue that all share is left to them at first: it is seldom the one.
        work = partial(self._renew, shared=self._renewals % 2 == 0)
        threading.Thread(target=work, name="bus renewal", daemon=True).start()

    def forget(self, node: str) -> None:
        """See :class:`Link`."""
        with self._lock:
            gone = [self._lanes.pop(key) for key in list(self._lanes) if key[1] == node]
        for lane in gone:
            lane.close(0)
        threading.Thread(target=self._forget, args=(node,), name=f"bus forget {node}", daemon=True).start()

    def close(self, timeout: float) -> bool:
        """See :class:`Link`."""
        until = time.monotonic() + timeout
        with self._lock:
            senders = [self._announcer, *self._lanes.values()]
        # A third of the time is for what waits to be sent; more helps nobody when the broker is away.
        flushed = [sender.flush(until - timeout * 2 / 3) for sender in senders]
        closer = threading.Thread(target=self._wire.close, name="bus close", daemon=True)
        closer.start()
        # The transport's reader waits for a message before it sees that it is to end: here is one.
        while all(flushed) and closer.is_alive() and time.monotonic() < until:
            closer.join(0.05)
            self._lane("express", self._node).put(Item(Wake()))
            closer.join(min(0.3, max(0.0, until - time.monotonic())))
        with self._lock:
            senders = [self._announcer, *self._lanes.values()]
        ended = [sender.close(until) for sender in senders]
        return all(flushed) and not closer.is_alive() and all(ended)

    def _lane(self, kind: str, node: str) -> Lane:
        with self._lock:
            lane = self._lanes.get((kind, node))
            if lane is None:
                lane = self._lanes[kind, node] = Lane(kind, node, self._wire, self._undeliverable)
            return lane

    def _renew(self, shared: bool) -> None:
        try:
            self._wire.drop_queues(shared)
        # Whatever it is, it is tried again.
        except Exception as error:  # noqa: BLE001
            LOG.warning("bus.renewal_failed node=%s error=%s", self._node, error)

    def _forget(self, node: str) -> None:
        try:
            self._wire.forget(node)
        # Whatever it is, the queue stays behind and that is all.
        except Exception as error:  # noqa: BLE001
            LOG.warning("bus.queue_left node=%s error=%s", node, error)
