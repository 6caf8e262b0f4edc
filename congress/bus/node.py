# SPDX-License-Identifier: Apache-2.0
"""What a node does with messages: hand them to its services, answer, keep the directory, send again what was
lost.
"""

import itertools
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from congress.bus import codec, messages
from congress.bus.actor import Actor, text_of
from congress.bus.calls import Calls, Pending, Taken
from congress.bus.directory import Directory
from congress.bus.errors import BusError, NotFound, NotPortable, Overloaded, RemoteError, Timeout
from congress.bus.links import DirectLink, Link, QueuedLink
from congress.bus.messages import Census, Joined, Left, Message, Presence, Reply, Request
from congress.bus.oslo import Wire, cfg, configure
from congress.bus.publisher import TablePublisher
from congress.bus.service import Delivery, Service
from congress.bus.stream import Ack, Frame, Tip, Want
from congress.bus.subscriber import Subscriber

LOG = logging.getLogger(__name__)

LOCAL_URL: Final = "inproc://"
CHUNK: Final = 5_000
"""How many rows go into one frame between processes."""
REAP: Final = 12.0
"""How many peer timeouts after its death a peer's queue is deleted."""
UNHEARD: Final = 15
"""How many announcements, and three peer timeouts' worth, may leave and not come back before this node's queues
are made anew.  A broker that dies hard may bring back a quorum queue without a leader (RabbitMQ's issues 10070
and 15725; seen with 3.10.8), and whoever consumes from it waits for ever.
"""


def new_id() -> str:
    """A unique id; later ones sort after earlier ones."""
    return f"{time.time_ns():016x}{secrets.token_hex(3)}"


class Node:
    """The inner half of :class:`congress.bus.bus.Bus`, which see for what the parameters mean.

    Messages are handled on whatever thread brings them: a sender's within the process, a transport's
    otherwise. Nothing in it blocks, and no lock is held while something is sent.
    """

    def __init__(
        self,
        transport_url: str,
        bus_id: str,
        node_id: str | None,
        heartbeat_interval: float,
        peer_timeout: float,
        conf: "cfg.ConfigOpts | None",
        check_portable: bool,
    ) -> None:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", node_id or f"node-{secrets.token_hex(4)}")
        self.node_id = f"{name}.{new_id()}"
        """This node: its name and, after the last dot, which life of it."""
        self.transport_url = transport_url
        self._interval = heartbeat_interval
        self._timeout = peer_timeout
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._services: dict[str, Service] = {}
        self._directory = Directory(self.node_id, heartbeat_interval, peer_timeout, time.monotonic())
        self._calls = Calls()
        self._taken = Taken()
        self._revisions = itertools.count(1)
        self._clashes: set[str] = set()
        self._ticker = Actor(f"bus {name}")
        self._echo = threading.Event()
        self._echoed = 0  # how many announcements had left when the last one came back
        self._unheard = max(UNHEARD, round(3 * peer_timeout / heartbeat_interval))
        self._running = False
        self._topic = "congress-" + re.sub(r"[^A-Za-z0-9_-]", "-", bus_id)
        self._conf = configure(conf, transport_url)
        self._check_portable = check_portable
        self._local: Link
        self._link: Link

    def send(self, node: str, message: Message) -> None:
        """Send a message of the table protocol to a node."""
        self._way(node).send(node, message)

    def chunk(self, node: str) -> int | None:
        """How many rows a frame to a node may hold; None where rows go by reference."""
        return None if self._way(node) is self._local else CHUNK

    def answer(self, request: Request, value: object = None, error: BaseException | None = None) -> None:
        """Answer a request that a service has handled.  Worker thread of that service."""
        if not request.reply_to:
            return
        if error is not None and not codec.is_portable(type(error)):
            cause, error = error, RemoteError(type(error).__name__, text_of(error))
            error.__cause__ = cause
        self._reply(request, Reply(request.id, None if request.cast else value, error))

    def _reply(self, request: Request, reply: Reply) -> None:
        link = self._way(request.reply_to)
        try:
            if link is not self._local:
                self._taken.answered(request.id, messages.encode(reply))
            link.send(request.reply_to, reply)
        except NotPortable as unfit:
            self._reply(request, Reply(request.id, None, unfit))
        except Overloaded:
            LOG.error("bus.answer_lost target=%s method=%s", request.target, request.method)

    def _way(self, node: str) -> Link:
        return self._local if node == self.node_id else self._link

    def _open_links(self, timeout: float) -> None:
        """The way within the process, and the way to the others."""
        inside = self.transport_url if self.transport_url.startswith("inproc:") else LOCAL_URL
        wire = Wire(self._conf, inside, self._topic, self.node_id)
        self._local = DirectLink(wire, self._undeliverable, self._check_portable)
        self._local.open(self._deliver, threading.Event())
        self._link = self._local
        if inside != self.transport_url:
            outside = Wire(self._conf, self.transport_url, self._topic, self.node_id)
            self._link = QueuedLink(outside, self.node_id, self._undeliverable)
            self._connect(timeout)

    def _connect(self, timeout: float) -> None:
        """Open the link, on a thread that is left behind when it takes too long."""
        given_up = threading.Event()
        failure: list[Exception] = []

        def connect() -> None:
            try:
                self._link.open(self._deliver, given_up)
            # Whatever the transport throws is raised where it can be handled.
            except Exception as error:  # noqa: BLE001
                failure.append(error)
            if given_up.is_set():
                self._link.close(1.0)

        connecting = threading.Thread(target=connect, name="bus connect", daemon=True)
        connecting.start()
        connecting.join(timeout)
        if connecting.is_alive():
            given_up.set()
            self._local.close(0)
            raise Timeout(f"no broker answered within {timeout:g} s: {self._link.trouble}")
        if failure:
            self._link.close(1.0)
            self._local.close(0)
            raise BusError(f"cannot connect: {failure[0]}") from failure[0]

    def _deliver(self, message: Message, remote: bool) -> None:
        """A message came for this node.  On the sender's or a transport's thread: nothing here blocks."""
        if isinstance(message, Request):
            self._serve(message, remote)
        elif isinstance(message, Reply):
            self._calls.answer(message)
        elif isinstance(message, Frame | Tip):
            self._post(message.subscriber, message)
        elif isinstance(message, Want | Ack):
            self._post(message.publisher, message)
        elif isinstance(message, Presence):
            self._hear(message)

    def _post(self, name: str, message: Message) -> None:
        service = self._services.get(name)
        if service is not None:
            service.post(message)

    def _serve(self, request: Request, remote: bool) -> None:
        if remote:
            new, answer = self._taken.take(request.id)
            if not new:
                if answer is not None:
                    self._try_to_send(request.reply_to, messages.decode(codec.loads(answer)))
                return
        service = self._services.get(request.target)
        refusal: BusError
        if service is None:
            refusal = NotFound(f"no service {request.target!r} is on the bus")
        elif service.waiting >= service.inbox_limit:
            refusal = Overloaded(f"{service.waiting} messages wait for {request.target!r}")
        else:
            service.post(Delivery(request, time.monotonic() + request.ttl))
            return
        if request.reply_to:
            self._try_to_send(request.reply_to, Reply(request.id, None, refusal))
        if remote:
            self._taken.forget(request.id)

    def _undeliverable(self, node: str, undelivered: Sequence[Message]) -> None:
        """A node's queue does not exist (any more).

        A node that is thought to live makes it again: what was lost with it is sent again after a while, or
        lost for good when the node turns out to be.
        """
        if node in self._directory.peers:
            return
        for message in undelivered:
            if isinstance(message, Request) and not message.cast:
                self._calls.answer(Reply(message.id, None, NotFound(f"{message.target} is no longer at {node}")))

    def _hear(self, presence: Presence) -> None:
        with self._lock:
            before = self._directory.peers
            self._post_changes(self._directory.hear(presence, time.monotonic()))
            lost = before - self._directory.peers
            new = self._directory.peers - before
        for node in lost:
            self._calls.lose(node)
            self._forget_later(node)
        if presence.node == self.node_id:
            self._echo.set()
            self._echoed = self._link.announced()
        elif presence.hello or new:
            self._try_to_send(presence.node, self._presence())
        self._take_census(presence)

    def _take_census(self, presence: Presence) -> None:
        flows: dict[str, dict[str, tuple[str, int, int]]] = {}
        for (publisher, subscriber), progress in presence.flows.items():
            flows.setdefault(publisher, {})[subscriber] = progress
        for service in list(self._services.values()):
            if isinstance(service, TablePublisher) and (
                service.name in flows or presence.node in service.subscriber_nodes
            ):
                service.post(Census(presence.node, flows.get(service.name, {})))

    def _post_changes(self, changes: Iterable[Joined | Left]) -> None:
        """Tell this node's services.  Under the lock, so that all see all changes in one order."""
        for change in changes:
            for service in self._services.values():
                service.post(change)
        self._changed.notify_all()

    def _presence(self, *, hello: bool = False, leaving: bool = False) -> Presence:
        with self._lock:
            services = self._directory.local()
            subscribers = [one for one in self._services.values() if isinstance(one, Subscriber)]
            revision = next(self._revisions)
        flows = {
            (publisher, one.name): progress for one in subscribers for publisher, progress in one.progress().items()
        }
        return Presence(self.node_id, revision, services, flows, hello, leaving)

    def _announce(self, *, hello: bool = False, leaving: bool = False) -> None:
        if self._running:
            self._link.send_all(self._presence(hello=hello, leaving=leaving))

    def _tick(self) -> None:
        """Once each heartbeat interval, on the ticker's thread."""
        self._ticker.after(self._interval, self._tick)
        self._announce()
        self._renew_if_stuck()
        with self._lock:
            silent, changes = self._directory.expire()
            self._post_changes(changes)
            clashes = set(self._directory.clashes())
        for name in clashes - self._clashes:
            LOG.error("bus.name_clash service=%s elsewhere=%s", name, self._directory.members[name].node)
        self._clashes = clashes
        for node in silent:
            LOG.warning("bus.peer_lost node=%s", node)
            self._calls.lose(node)
            self._forget_later(node)
        again, late = self._calls.due(time.monotonic())
        for pending in again:
            self._send_again(pending)
        for pending in late:
            if pending.future is None:
                LOG.error("bus.cast_lost target=%s method=%s", pending.request.target, pending.request.method)

    def _renew_if_stuck(self) -> None:
        announced = self._link.announced()
        if announced - self._echoed > self._unheard:
            self._echoed = announced
            self._link.renew()

    def _send_again(self, pending: Pending) -> None:
        member = self._directory.find(pending.request.target)
        if member is None or member.node == self.node_id:
            return
        if pending.future is None:
            pending.node = member.node
        elif member.node != pending.node:
            return
        left = pending.deadline - time.monotonic()
        self._try_to_send(pending.node, replace(pending.request, ttl=left), pending.deadline)

    def _try_to_send(self, node: str, message: Message, deadline: float | None = None) -> None:
        """Send what will be sent again, or asked for again, where it does not go now."""
        try:
            self._way(node).send(node, message, deadline)
        except Overloaded as error:
            LOG.warning("bus.link_full node=%s error=%s", node, error)

    def _forget_later(self, node: str) -> None:
        """Delete a dead peer's queue, when it is certain enough that it does not come back."""

        def forget() -> None:
            if node not in self._directory.peers:
                self._link.forget(node)

        self._ticker.after(REAP * self._timeout, forget)
