# SPDX-License-Identifier: Apache-2.0
"""A response that does not end: server-sent events, heartbeats, and noticing that nobody listens any more.

Each stream holds one thread of the HTTP server, so their number is capped, below the number of threads.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import webob

from congress.api.errors import ApiError
from congress.api.streams import Stream

_log = logging.getLogger(__name__)
_TICK: Final = 0.5  # seconds between looks at whether the client is there
REFRESH: Final = 5.0  # seconds between looks for new tables of a streamed policy or service
PATIENCE: Final = 300.0  # seconds without reading after which a client is taken for gone
AHEAD: Final = 64 * 1024  # bytes that are written before the client has taken those written earlier
_PAUSES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)  # seconds between looks at whether it has


class Slots:
    """How many streams may be open at once, in all and for each user."""

    def __init__(self, most: int, each: int = 0) -> None:
        """
        :param each: how many one user may have open; 0 for all of them.
        """
        self._most = most
        self._each = each or most
        self._taken = 0
        self._by_user: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, user: str = "") -> None:
        """Take a slot, for a user where one is known.

        :raises ApiError: 503 when none is free, 429 when this user has too many.
        """
        with self._lock:
            if self._taken >= self._most:
                raise ApiError(503, f"All {self._most} streams are in use.", headers={"Retry-After": "5"})
            if user and self._by_user[user] >= self._each:
                raise ApiError(429, f"You have {self._each} streams open already.", headers={"Retry-After": "5"})
            self._taken += 1
            self._by_user[user] += 1

    def free(self, user: str = "") -> None:
        """Give a slot back that was taken for this user."""
        with self._lock:
            self._taken -= 1
            self._by_user[user] -= 1
            self._by_user += Counter()  # drops those who have none

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._taken


class EventBody:
    """The body: an iterator that the HTTP server pulls and, when the client has gone, closes."""

    def __init__(
        self,
        stream: Stream,
        heartbeat: float,
        close: Callable[[], None],
        refresh: Callable[[], None] | None,
        disconnected: Callable[[], bool] | None,
    ) -> None:
        self._stream = stream
        self._heartbeat = heartbeat
        self._close: Callable[[], None] | None = close
        self._refresh = refresh
        self._disconnected = disconnected or (lambda: False)
        # The HTTP server's own tells that too; where another one serves, its buffers are its business.
        self._unsent: Callable[[], int] = getattr(disconnected, "unsent", lambda: 0)
        self._refresh_at = time.monotonic() + REFRESH
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._started:
            self._started = True  # headers go out with the first bytes, so there must be some at once
            return b"retry: 2000\n\n"
        if not self._client_reads():
            raise StopIteration
        heartbeat_at = time.monotonic() + self._heartbeat
        while not self._disconnected():
            piece = self._stream.take(min(_TICK, max(0.0, heartbeat_at - time.monotonic())))
            if piece is not None:
                return piece
            if self._stream.closed:
                break
            now = time.monotonic()
            if self._refresh is not None and now >= self._refresh_at:
                self._refresh_at = now + REFRESH
                self._look(self._refresh)
            if now >= heartbeat_at:
                return b": still here\n\n"
        raise StopIteration

    def _client_reads(self) -> bool:
        """Wait until the client has taken most of what was written.  :returns: False when it is not to be expected."""
        began, looks = time.monotonic(), 0
        while self._unsent() > AHEAD:
            if self._stream.closed or self._disconnected() or time.monotonic() - began > PATIENCE:
                return False
            time.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
            looks += 1
        return True

    def _look(self, refresh: Callable[[], None]) -> None:
        try:
            refresh()
        except Exception as error:  # noqa: BLE001  # deleted, or too busy to say: what is followed already goes on
            _log.info("stream.refresh_failed error=%s", error)

    def close(self) -> None:
        """Give everything back.  The HTTP server calls it however the response ended."""
        close, self._close = self._close, None
        if close is not None:
            close()


def event_response(body: EventBody) -> webob.Response:
    """The response around a body of events."""
    headers = [
        ("Content-Type", "text/event-stream; charset=UTF-8"),
        ("Cache-Control", "no-cache"),
        ("X-Accel-Buffering", "no"),  # nginx would hold events back otherwise
    ]
    return webob.Response(app_iter=body, status=200, headerlist=headers)
