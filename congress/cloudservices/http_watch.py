# SPDX-License-Identifier: Apache-2.0
"""An end for requests to services that send a little now and then.

The time-out of a socket is that of one read.  Libraries read the lines of an answer's head by as many reads as the
service likes; so a timer shuts the socket down, and the read ends.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from congress.cloudservices.errors import PollError

_LOCAL: Final = threading.local()


class Watch:
    """Ends what a thread reads from a service when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._socket: Any = None
        self._over = False
        self._timer = self._started(seconds)

    def hold(self, found: Any) -> None:
        """From now on the service is at the other end of this socket."""
        with self._lock:
            self._socket = found
            if self._over:
                _cut(found)

    def extend(self, seconds: float) -> None:
        """Give it so much more time from now on.  :raises TimeoutError: it is over already."""
        self._timer.cancel()
        self.check()
        self._timer = self._started(seconds)

    def end(self) -> None:
        """Cut nothing any more."""
        self._timer.cancel()

    def check(self) -> None:
        """:raises TimeoutError: the time is over; what was read may be half of what was sent."""
        with self._lock:
            if self._over:
                raise TimeoutError("the time of the request is over")

    def _started(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end_it)
        timer.daemon = True
        timer.start()
        return timer

    def _end_it(self) -> None:
        with self._lock:
            self._over = True
            if self._socket is not None:
                _cut(self._socket)


@contextmanager
def watched(seconds: float) -> Iterator[Watch]:
    """Requests that this thread makes inside, in a session with :class:`WatchedAdapter`, end in time.

    :raises TimeoutError: they did not by themselves.
    """
    watch = _LOCAL.watch = Watch(seconds)
    try:
        yield watch
        watch.check()
    except PollError:
        raise
    except Exception as error:
        try:
            watch.check()
        except TimeoutError as late:
            raise late from error
        raise
    finally:
        watch.end()
        _LOCAL.watch = None


def _cut(found: Any) -> None:
    with suppress(OSError, TypeError):
        # Not by the method of an SSL socket, which another thread is reading from: it would forget its state.
        socket.socket.shutdown(getattr(found, "socket", found), socket.SHUT_RDWR)


class _Watched:
    """A connection whose socket is held by the thread's watch."""

    sock: Any

    def _new_conn(self) -> Any:
        made = super()._new_conn()  # type: ignore[misc]  # urllib3's connection is the next class
        _hold(made)
        return made

    def getresponse(self) -> Any:
        _hold(self.sock)
        return super().getresponse()  # type: ignore[misc]  # as above


def _hold(found: Any) -> None:
    watch = getattr(_LOCAL, "watch", None)
    if watch is not None:
        watch.hold(found)


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class WatchedAdapter(requests.adapters.HTTPAdapter):
    """Makes connections that :func:`watched` can end, those by an HTTP proxy too."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


def watched_session() -> requests.Session:
    """A session all of whose requests can be ended."""
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, WatchedAdapter())
    return made
