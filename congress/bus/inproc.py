# SPDX-License-Identifier: Apache-2.0
"""An oslo.messaging driver for one process: messages go by reference, on the sender's thread.

``inproc://`` is one space for the whole process, ``inproc://name`` another.  There is no serialisation, no
queue and no thread: a send calls the listener's callback, and what the callback does decides what comes then
(oslo.messaging's own servers hand over to their pool).  Sender and receiver share the very objects they pass.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from congress.bus.oslo import driver_base, oslo_messaging

OnIncoming = Callable[[list["Incoming"]], None]

_SPACES: Final[dict[str, "Space"]] = {}
_SPACES_LOCK: Final = threading.Lock()


class Incoming(driver_base.RpcIncomingMessage):  # type: ignore[misc] # oslo.messaging has no type information
    """A message on its way; ``answer`` is what a waiting sender waits for."""

    def __init__(self, context: Any, message: Any, waiting: bool) -> None:
        # The base class makes a random id for each message; a counter is unique enough here and much cheaper.
        super().__init__(context, message, msg_id=next(_NUMBERS))
        self.answered: threading.Event | None = threading.Event() if waiting else None
        self.result: Any = None
        self.failure: BaseException | None = None

    def reply(self, reply: Any = None, failure: Any = None) -> None:
        """Give the sender its answer; ``failure`` is an ``exc_info`` triple."""
        self.result = reply
        self.failure = failure[1] if failure else None
        if self.answered is not None:
            self.answered.set()

    def requeue(self) -> None:
        """Never asked for: :meth:`InprocDriver.require_features` refuses it."""

    def heartbeat(self) -> None:
        """The sender of a long call sees that the process lives, for it is its own."""


_NUMBERS: Final = itertools.count(1)


class InprocListener(driver_base.Listener):  # type: ignore[misc]  # oslo.messaging has no type information
    """Where messages for some addresses go; keeps those that come before it is started."""

    def __init__(self, forget: Callable[["InprocListener"], None]) -> None:
        super().__init__(batch_size=1, batch_timeout=None)
        self._forget = forget
        self._lock = threading.RLock()
        self._early: deque[Incoming] | None = deque()

    def start(self, on_incoming_callback: OnIncoming) -> None:
        """Have the callback called for each message, on its sender's thread, those that came early first."""
        super().start(on_incoming_callback)
        with self._lock:
            while self._early:
                on_incoming_callback([self._early.popleft()])
            self._early = None

    def deliver(self, incoming: Incoming) -> None:
        """Hand over one message."""
        if self._early is not None:
            with self._lock:
                if self._early is not None:
                    self._early.append(incoming)
                    return
        callback = self.on_incoming_callback
        if callback is not None:
            callback([incoming])

    def stop(self) -> None:
        """Take no more messages."""
        self._forget(self)
        super().stop()

    def cleanup(self) -> None:
        """Nothing is held."""


class Space:
    """The addresses of one ``inproc://`` URL and who listens there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, str], dict[str, InprocListener]] = {}
        self._pools: dict[tuple[str, str], dict[str, list[InprocListener]]] = {}
        self._turn = itertools.count()

    def add_server(self, exchange: str, topic: str, server: str) -> InprocListener:
        """Listen as one server of a topic."""
        listener = InprocListener(self._forget)
        with self._lock:
            # Readers take no lock, so a table once visible is never changed.
            known = self._servers.get((exchange, topic), {})
            self._servers[exchange, topic] = {**known, server: listener}
        return listener

    def add_pool(self, addresses: Iterable[tuple[str, str]], pool: str) -> InprocListener:
        """Listen for notifications; each pool gets each of them once."""
        listener = InprocListener(self._forget)
        with self._lock:
            for address in addresses:
                known = self._pools.get(address, {})
                self._pools[address] = {**known, pool: [*known.get(pool, ()), listener]}
        return listener

    def servers(self, exchange: str, target: Any) -> list[InprocListener]:
        """Who gets a message: all of a topic, the one named, or the next in turn."""
        known = self._servers.get((exchange, target.topic), {})
        if target.fanout:
            return list(known.values())
        if target.server:
            named = known.get(target.server)
            return [] if named is None else [named]
        return [list(known.values())[next(self._turn) % len(known)]] if known else []

    def pools(self, exchange: str, topic: str) -> list[InprocListener]:
        """Who gets a notification: one of each pool, in turn."""
        turn = next(self._turn)
        return [members[turn % len(members)] for members in self._pools.get((exchange, topic), {}).values()]

    def _forget(self, listener: InprocListener) -> None:
        with self._lock:
            for address, known in list(self._servers.items()):
                kept = {name: one for name, one in known.items() if one is not listener}
                _put_back(self._servers, address, kept)
            for topic, pools in list(self._pools.items()):
                left = {name: [one for one in members if one is not listener] for name, members in pools.items()}
                _put_back(self._pools, topic, {name: members for name, members in left.items() if members})


def _put_back(table: dict[tuple[str, str], dict[str, Any]], key: tuple[str, str], left: dict[str, Any]) -> None:
    if left:
        table[key] = left
    else:
        del table[key]


class InprocDriver(driver_base.BaseDriver):  # type: ignore[misc]  # oslo.messaging has no type information
    """The driver behind ``inproc://``; oslo.messaging finds it by its entry point."""

    def __init__(
        self,
        conf: Any,
        url: Any,
        default_exchange: str | None = None,
        allowed_remote_exmods: list[str] | None = None,
    ) -> None:
        super().__init__(conf, url, default_exchange, allowed_remote_exmods)
        hosts = ",".join(sorted(host.hostname or "" for host in url.hosts))
        with _SPACES_LOCK:
            self._space = _SPACES.setdefault(f"{hosts}/{url.virtual_host or ''}", Space())

    def send(  # the signature is oslo.messaging's
        self,
        target: Any,
        ctxt: Any,
        message: Any,
        wait_for_reply: bool | None = None,
        timeout: float | None = None,
        call_monitor_timeout: float | None = None,
        retry: int | None = None,
        transport_options: Any = None,
    ) -> Any:
        """Call the listeners; wait for the answer where one is wanted.

        :raises MessageUndeliverable: nobody listens at the one address named.
        :raises MessagingTimeout: no answer came in time.
        """
        exchange = target.exchange or self._default_exchange
        listeners = self._space.servers(exchange, target)
        if not listeners and not target.fanout:
            raise oslo_messaging.MessageUndeliverable(
                "nobody listens", exchange, f"{target.topic}.{target.server}", message
            )
        incoming = Incoming(ctxt, message, bool(wait_for_reply))
        for listener in listeners:
            listener.deliver(incoming)
        if incoming.answered is None:
            return None
        if not incoming.answered.wait(timeout):
            raise oslo_messaging.MessagingTimeout(f"no answer on topic {target.topic} in {timeout} s")
        if incoming.failure is not None:
            raise incoming.failure
        return incoming.result

    def send_notification(self, target: Any, ctxt: Any, message: Any, version: float, retry: int | None = None) -> None:
        """Call one listener of each pool."""
        for listener in self._space.pools(target.exchange or self._default_exchange, target.topic):
            listener.deliver(Incoming(ctxt, message, waiting=False))

    def listen(self, target: Any, batch_size: int, batch_timeout: float | None) -> InprocListener:
        """Listen as a server."""
        return self._space.add_server(target.exchange or self._default_exchange, target.topic, target.server)

    def listen_for_notifications(
        self,
        targets_and_priorities: Iterable[tuple[Any, str]],
        pool: str | None,
        batch_size: int,
        batch_timeout: float | None,
    ) -> InprocListener:
        """Listen for notifications of these topics and priorities."""
        addresses = [
            (target.exchange or self._default_exchange, f"{target.topic}.{priority}")
            for target, priority in targets_and_priorities
        ]
        return self._space.add_pool(addresses, pool or "")

    def cleanup(self) -> None:
        """Nothing is held."""
