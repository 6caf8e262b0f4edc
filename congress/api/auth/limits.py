# SPDX-License-Identifier: Apache-2.0
"""How much one client may ask for: token buckets, by caller or by address."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from congress.api.errors import ApiError

_MOST: Final = 20_000  # clients that are remembered; the one not seen for longest is forgotten first


class Buckets:
    """A bucket of tokens for each key, filled at a steady rate.  Any thread."""

    def __init__(
        self, rate: float, size: float, *, clock: Callable[[], float] = time.monotonic, most: int = _MOST
    ) -> None:
        """
        :param rate: tokens a second; 0 for no limit.
        :param size: how many a bucket holds, and has at first.
        """
        self._rate = rate
        self._size = max(1.0, size)
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when that was

    def take(self, key: str) -> float:
        """Take a token.  :returns: 0.0, or the seconds until there is one; then none was taken."""
        if self._rate <= 0:
            return 0.0
        with self._lock:
            tokens = self._now(key)
            if tokens < 1.0:
                return (1.0 - tokens) / self._rate
            self._put(key, tokens - 1.0)
            return 0.0

    def wait(self, key: str) -> float:
        """As :meth:`take`, without taking."""
        if self._rate <= 0:
            return 0.0
        with self._lock:
            return max(0.0, (1.0 - self._now(key)) / self._rate)

    def _now(self, key: str) -> float:
        tokens, at = self._buckets.get(key, (self._size, 0.0))
        return min(self._size, tokens + (self._clock() - at) * self._rate)

    def _put(self, key: str, tokens: float) -> None:
        self._buckets[key] = (tokens, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)


class Limits:
    """The limits of the API: requests of one client, and logins of one address that failed."""

    def __init__(
        self,
        rate: float = 0.0,
        burst: int = 200,
        failures: int = 0,
        *,
        local: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param rate: requests a second of one client, 0 for any number; ``burst`` may come at once.
        :param failures: failed logins a minute from one address, 0 for any number.
        :param local: whether clients on this machine are limited too.
        """
        self._requests = Buckets(rate, burst, clock=clock)
        self._failures = Buckets(failures / 60, failures, clock=clock)
        self._local = local

    def request(self, address: str, caller: str = "") -> None:
        """Count a request of a caller, or of an address while nobody knows whose it is.

        :raises ApiError: 429 with ``Retry-After``.
        """
        if self._counts(address):
            wait = self._requests.take(f"user {caller}" if caller else network_of(address))
            _refuse(wait, "Too many requests; the limit is that of [api] rate_limit.")

    def login(self, address: str) -> None:
        """See whether an address may try to log in.

        :raises ApiError: 429 with ``Retry-After``.
        """
        if self._counts(address):
            _refuse(self._failures.wait(network_of(address)), "Too many failed logins from this address.")

    def failed(self, address: str) -> None:
        """Count a login that failed."""
        if self._counts(address):
            self._failures.take(network_of(address))

    def _counts(self, address: str) -> bool:
        return self._local or not _is_local(address)


def network_of(address: str) -> str:
    """What one client is known by: an IPv4 address, or the 64 bits of IPv6 that one customer is given."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped) if mapped else str(ip_address(int(found) >> 64 << 64))


def _is_local(address: str) -> bool:
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(wait: float, message: str) -> None:
    if wait > 0:
        raise ApiError(429, message, headers={"Retry-After": str(max(1, int(wait + 0.999)))})
