# SPDX-License-Identifier: Apache-2.0
"""What a browser adds to a request by itself, a page of another site must not borrow.

Without authentication that is being on this machine.  A page in the user's browser can send requests to 127.0.0.1 too:
with a body that has no content type (a "simple" request, sent without asking), or under a name of its own that its DNS
server suddenly resolves to 127.0.0.1.  The first carries an ``Origin``, the second a foreign ``Host``.  Both are
refused while ``auth_strategy`` is ``noauth``.

With HTTP basic it is the password, which a browser remembers and sends along: a foreign ``Origin`` is refused there as
well.  A token of Keystone no browser adds by itself, so with ``keystone`` nothing is refused here.
"""

from collections.abc import Callable, Collection, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from congress.api.errors import ApiError

_MOST: Final = 1000  # names that are remembered


class OriginGuard:
    """Checks the ``Host`` and ``Origin`` of requests."""

    def __init__(
        self,
        names: Collection[str] = (),
        *,
        enabled: bool = True,
        hosts: bool = True,
        trusts: Callable[[str], bool] = lambda origin: False,
    ) -> None:
        """
        :param names: the hosts accepted besides loopback addresses.
        :param enabled: whether anything is checked.
        :param hosts: whether ``Host`` is.
        :param trusts: whether an origin is one whose pages may use the API.
        """
        self._names = frozenset(name.lower() for name in names) | {"localhost"}
        self._enabled = enabled
        self._hosts = hosts
        self._trusts = trusts
        self._known: dict[str, bool] = {}  # few names come again and again

    def check(self, environ: Mapping[str, Any]) -> None:
        """Refuse a request that another site's page may have sent.

        :raises ApiError: 403 for a foreign ``Origin``, 421 for a ``Host`` that is not this server.
        """
        if not self._enabled:
            return
        host = environ.get("HTTP_HOST", "")
        if self._hosts and host and not self._is_ours(host):
            raise ApiError(
                421,
                f"This server does not answer for the host {host[:100]!r} while it runs without authentication. "
                "Name it in the option [api] allowed_hosts to permit it.",
            )
        origin = environ.get("HTTP_ORIGIN")
        if origin and not _is_at(origin, host) and not self._trusts(origin):
            raise ApiError(403, "Pages of other sites may not use this server. [api] allowed_origins permits some.")

    def _is_ours(self, host: str) -> bool:
        if host not in self._known:
            if len(self._known) > _MOST:
                self._known.clear()
            self._known[host] = self._look_at(host)
        return self._known[host]

    def _look_at(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or is_loopback(name)


def _is_at(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host, by address or as ``localhost``, can only be reached from this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
