# SPDX-License-Identifier: Apache-2.0
"""The bus as one process sees it: its services, its peers, and the way to both."""

import itertools
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from congress.bus import context
from congress.bus.calls import timed_out
from congress.bus.directory import Member
from congress.bus.errors import BusError, NameTaken, NotFound, Overloaded, Timeout
from congress.bus.messages import Request
from congress.bus.node import LOCAL_URL, Node, new_id
from congress.bus.oslo import cfg
from congress.bus.publisher import TablePublisher
from congress.bus.service import CALL_TIMEOUT, CAST_TIMEOUT, Service
from congress.bus.subscriber import Subscriber


class Bus(Node):
    """One process's place (a node) on the bus.

    ``transport_url`` alone decides what carries it: ``inproc://`` (this process only, by reference) or
    ``rabbit://user:password@host1:5672,host2:5672/vhost``.  Services of one process reach each other by
    reference whatever the transport is, and go on doing so while a broker is away.

    Its methods may be called from any thread, but for :meth:`start` and :meth:`stop`.
    """

    def __init__(
        self,
        transport_url: str = LOCAL_URL,
        *,
        bus_id: str = "bus",
        node_id: str | None = None,
        heartbeat_interval: float = 1.0,
        peer_timeout: float = 5.0,
        conf: "cfg.ConfigOpts | None" = None,
        check_portable: bool = False,
    ) -> None:
        """Does not connect yet.

        :param bus_id: separates installations that share a broker (or a process).
        :param node_id: a name for this process.  When it dies, one that is started under the same name takes its
            place within three heartbeat intervals instead of a peer timeout.
        :param heartbeat_interval: seconds between announcements to the peers.
        :param peer_timeout: seconds of silence after which a peer counts as dead.
        :param conf: where oslo.messaging's own options are looked up, ``[oslo_messaging_rabbit]`` for one.
        :param check_portable: write down and read every message within the process too, so that tests find
            what could not travel between processes.
        """
        super().__init__(transport_url, bus_id, node_id, heartbeat_interval, peer_timeout, conf, check_portable)
        self._numbers = itertools.count(1)
        self._former: Counter[str] = Counter()  # what services counted that have left

    def start(self, timeout: float = 30.0) -> None:
        """Connect and announce; once in a bus's life.

        :raises Timeout: the broker was not reached in time; the bus is as if never started.
        """
        if self._running:
            raise BusError("the bus was started already")
        self._open_links(timeout)
        self._running = True
        self._ticker._start_worker()
        for service in self._services.values():
            service._start_worker()
        self._announce(hello=True)
        if not self._echo.wait(timeout):
            self.stop(1.0)
            raise Timeout(f"connected, but nothing sent over {self._topic} comes back")
        self._ticker.after(self._interval, self._tick)

    def stop(self, timeout: float = 5.0) -> bool:
        """Stop all services, leave the bus.  Blocks at most ``timeout`` seconds, about.

        :returns: whether everything ended in time.
        """
        until = time.monotonic() + timeout
        if not self._running:
            return True
        with self._lock:
            services = list(self._services.values())
            self._services.clear()
        for service in services:
            service._ask_to_stop()
        in_time = [service._join(until - time.monotonic()) for service in services]
        with self._lock:
            for service in services:
                self._directory.remove_local(service.name)
        self._announce(leaving=True)
        self._running = False
        self._ticker._ask_to_stop()
        self._ticker._join(until - time.monotonic())
        self._calls.fail_all(BusError("the bus was stopped"))
        if self._link is not self._local:
            in_time.append(self._link.close(max(0.2, until - time.monotonic())))
        self._local.close(0)
        return all(in_time)

    def add(self, service: Service) -> None:
        """Put a service on the bus and start its worker thread.  Does not wait for its ``on_start``.

        :raises NameTaken: when a service of that name is on the bus.
        """
        with self._lock:
            known = self._directory.find(service.name)
            if known is not None:
                raise NameTaken(f"there is a service {service.name!r} on the bus already, at {known.node}")
            if not service._join(0):
                raise BusError(f"the former worker of {service.name!r} has not ended yet")
            service.attach(self, new_id())
            self._former.subtract(_counts([service]))  # it counts on where it stopped
            self._services[service.name] = service
            self._post_changes(self._directory.add_local(service.name, service.instance))
            if self._running:
                service._start_worker()
        self._announce()

    def remove(self, name: str, timeout: float = 5.0) -> bool:
        """Stop a service of this process and take it off the bus.  Requests in its inbox are answered
        NotFound.

        Blocks at most ``timeout`` seconds.  :returns: whether its worker ended in time.
        :raises NotFound: when this process has no such service.
        """
        with self._lock:
            service = self._services.pop(name, None)
            if service is None:
                raise NotFound(f"this process has no service {name!r}")
            self._post_changes(self._directory.remove_local(name))
        service._ask_to_stop()
        self._announce()
        ended = service._join(timeout)
        with self._lock:
            self._former.update(_counts([service]))
        return ended

    def services(self) -> frozenset[str]:
        """The names known on the whole bus."""
        return frozenset(self._directory.members)

    def members(self) -> list[Member]:
        """The services known on the whole bus, with the node that each lives on."""
        return sorted(self._directory.members.values(), key=lambda member: member.name)

    def has(self, name: str) -> bool:
        """Whether a service of that name is on the bus."""
        return self._directory.find(name) is not None

    def find(self, name: str) -> Member | None:
        """The service of that name."""
        return self._directory.find(name)

    def wait_for(self, name: str, timeout: float = 5.0) -> bool:
        """Block until a service of that name is on the bus.  :returns: whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.has(name), timeout)

    @property
    def connected(self) -> bool:
        """Whether this node's announcements came back lately, so that the way to the others is open."""
        return self._running and time.monotonic() - self._directory.echo <= self._timeout

    def call(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CALL_TIMEOUT,
        key: str | None = None,
        source: str = "",
        **args: object,
    ) -> Any:
        """As :meth:`Service.call`, for those who are no service (API threads)."""
        service = self._services.get(target)
        if service is not None and service.on_worker:
            raise BusError(f"{target} would wait for itself: call the method directly")
        request, future = self._open(target, method, timeout, key, source, args)
        try:
            return future.result(timeout)
        except TimeoutError as error:
            if future.done():  # then it is the method's own error
                raise
            self._calls.close(request.id)
            raise timed_out(request) from error

    def ask(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CALL_TIMEOUT,
        key: str | None = None,
        source: str = "",
        **args: object,
    ) -> "Future[Any]":
        """As :meth:`Service.ask`.  A future that is not answered ends within a heartbeat of its deadline."""
        return self._open(target, method, timeout, key, source, args)[1]

    def cast(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CAST_TIMEOUT,
        key: str | None = None,
        source: str = "",
        **args: object,
    ) -> None:
        """As :meth:`Service.cast`."""
        member = self._require(target)
        local = member.node == self.node_id
        request = self._request(target, method, timeout, key, source, args, "" if local else self.node_id, cast=True)
        if local:
            service = self._services.get(target)
            if service is None:
                raise NotFound(f"service {target!r} has just left the bus")
            if service.waiting >= service.inbox_limit:
                raise Overloaded(f"{service.waiting} messages wait for {target!r}")
            self._local.send(self.node_id, request)
            return
        self._calls.open(request, member.node, time.monotonic())
        try:
            self._link.send(member.node, request)
        except BusError:
            self._calls.close(request.id)
            raise

    def stats(self) -> dict[str, int | bool]:
        """Figures for metrics and health pages; counts go on where a service has left."""
        with self._lock:
            services = list(self._services.values())
            counts = self._former + _counts(services)
        return {
            "connected": self.connected,
            "peers": len(self._directory.peers),
            "services": len(self._directory.members),
            "local_services": len(services),
            "pending_requests": len(self._calls),
            "waiting_messages": sum(service.waiting for service in services),
            "handled_messages": counts["handled_messages"],
            "faults": counts["faults"],
            "resyncs": counts["resyncs"],
        }

    def subscriptions(self) -> list[tuple[str, str, str]]:
        """``(publisher, table, subscriber)`` for the publishers of this process."""
        with self._lock:
            publishers = [service for service in self._services.values() if isinstance(service, TablePublisher)]
        return sorted(
            (publisher.name, table, subscriber)
            for publisher in publishers
            for table, subscribers in publisher.subscribed_tables().items()
            for subscriber in subscribers
        )

    def _require(self, target: str) -> Member:
        member = self._directory.find(target)
        if member is None or not self._running:
            raise NotFound(f"no service {target!r} is on the bus")
        return member

    def _request(
        self,
        target: str,
        method: str,
        timeout: float,
        key: str | None,
        source: str,
        args: dict[str, object],
        reply_to: str,
        *,
        cast: bool,
    ) -> Request:
        number = f"{self.node_id}:{next(self._numbers)}"
        ids = context.ids()
        return Request(number, key or number, source, reply_to, target, method, args, timeout, cast, ids)

    def _open(
        self, target: str, method: str, timeout: float, key: str | None, source: str, args: dict[str, object]
    ) -> "tuple[Request, Future[Any]]":
        member = self._require(target)
        request = self._request(target, method, timeout, key, source, args, self.node_id, cast=False)
        now = time.monotonic()
        pending = self._calls.open(request, member.node, now)
        assert pending.future is not None  # calls have one
        try:
            self._way(member.node).send(member.node, request, now + timeout)
        except BusError:
            self._calls.close(request.id)
            raise
        return request, pending.future


def _counts(services: Iterable[Service]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for service in services:
        resyncs = service.resyncs if isinstance(service, Subscriber) else 0
        counts.update(handled_messages=service.handled, faults=service.faults, resyncs=resyncs)
    return counts
