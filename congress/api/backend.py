# SPDX-License-Identifier: Apache-2.0
"""What the API needs from the rest of the daemon: calls over the bus, and tables as they change."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import webob

from congress.api.errors import ApiError
from congress.api.event_stream import EventBody, Slots, event_response
from congress.api.names import OWN
from congress.api.streams import Key, StreamHub
from congress.bus import context
from congress.bus.bus import Bus
from congress.bus.errors import NotFound

_log = logging.getLogger(__name__)


class Backend(Protocol):
    """The bus as the API sees it.  Every method may be called from any thread."""

    def call(self, service: str, method: str, /, **arguments: Any) -> Any:
        """Call a method of a service and wait for its result, for the API's call time-out at most.

        Raises what the method raised; the bus's ``NotFound`` at once when there is no such service, ``Timeout``
        after the time-out.
        """

    def probe(self, service: str, method: str, seconds: float, /, **arguments: Any) -> Any:
        """As ``call`` with a time-out of its own, for health and metrics; None when the service did not answer."""

    def services(self) -> Iterable[str]:
        """The names on the bus."""

    def streams_open(self) -> int:
        """How many streams are open."""

    def bus_figures(self) -> Mapping[str, int | bool]:
        """How the bus is, as this process sees it: the figures of ``Bus.stats``."""

    def follow(
        self,
        keys: Iterable[Key],
        last_event_id: str,
        refresh: Callable[[], Iterable[Key]] | None,
        disconnected: Callable[[], bool] | None,
    ) -> webob.Response:
        """A stream of the changes of tables; ``refresh`` tells which tables have come since."""


class BusBackend:
    """The real one."""

    def __init__(
        self,
        bus: Bus,
        hub: StreamHub,
        *,
        timeout: float = 30.0,
        streams: int = 64,
        streams_each: int = 0,
        heartbeat: float = 15.0,
    ) -> None:
        """
        :param hub: on the bus already.
        :param timeout: seconds until a call is given up.
        :param streams: how many streams may be open at once; ``streams_each`` those of one user, 0 for all.
        :param heartbeat: seconds of silence after which a stream shows that it lives.
        """
        self._bus = bus
        self._hub = hub
        self._timeout = timeout
        self._heartbeat = heartbeat
        self.slots = Slots(streams, streams_each)

    def call(self, service: str, method: str, /, **arguments: Any) -> Any:
        member = self._bus.find(service)
        if member is not None and member.node != self._bus.node_id and not self._bus.connected:
            # The call would wait for a broker that is away until it timed out, and every thread with it.
            message = f"The message bus is not connected, so that {service!r} cannot be reached now."
            raise ApiError(503, message, headers={"Retry-After": "1"})
        try:
            return self._bus.call(service, method, timeout=self._timeout, source=self._hub.name, **arguments)
        except NotFound as error:
            if service not in OWN or self._bus.has(service):
                raise
            message = f"A part of the daemon, {service!r}, is not running now."
            raise ApiError(503, message, headers={"Retry-After": "1"}) from error

    def probe(self, service: str, method: str, seconds: float, /, **arguments: Any) -> Any:
        try:
            return self._bus.call(service, method, timeout=seconds, source=self._hub.name, **arguments)
        except Exception as error:  # noqa: BLE001  # whatever keeps a service from answering, it did not answer
            _log.debug("probe.failed service=%s method=%s error=%s", service, method, error)
            return None

    def services(self) -> Iterable[str]:
        return self._bus.services()

    def streams_open(self) -> int:
        return self.slots.taken

    def bus_figures(self) -> Mapping[str, int | bool]:
        return self._bus.stats()

    def follow(
        self,
        keys: Iterable[Key],
        last_event_id: str,
        refresh: Callable[[], Iterable[Key]] | None,
        disconnected: Callable[[], bool] | None,
    ) -> webob.Response:
        ids = dict(context.ids())  # the body is pulled when those of the request are no longer in force
        user = ids.get("user_id") or ids.get("user", "")
        self.slots.take(user)
        stream = self._hub.open(keys, last_event_id)

        def look() -> None:
            if refresh is not None:
                with context.bind(**ids):
                    self._hub.add_tables(stream, refresh())

        def close() -> None:
            self._hub.release(stream)
            self.slots.free(user)

        body = EventBody(stream, self._heartbeat, close, look if refresh is not None else None, disconnected)
        return event_response(body)
