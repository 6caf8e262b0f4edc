# SPDX-License-Identifier: Apache-2.0
"""Behind a proxy: who really asks, under which name and scheme.

``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` are believed from the addresses that are configured, and from
nobody else: whoever can reach the port can write headers.  ``Forwarded`` (RFC 7239) is not read.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

_HEADERS: Final = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_BY",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
    "HTTP_X_FORWARDED_PROTO",
)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){1,10}")


class Proxies:
    """The proxies whose word is taken."""

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        """
        :param addresses: addresses or networks, such as ``127.0.0.1`` and ``10.1.0.0/16``.
        :raises ValueError: one is neither.
        """
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text.strip()) for text in addresses]

    def apply(self, environ: dict[str, Any]) -> None:
        """Put what a trusted proxy says in the place of what the connection says; drop what anybody else says."""
        said = {name: str(environ.pop(name)) for name in _HEADERS if name in environ}
        if not (said and self._networks and self._trusts(environ.get("REMOTE_ADDR", ""))):
            return
        client = self._client(said.get("HTTP_X_FORWARDED_FOR", ""))
        if client:
            environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = client
        scheme = _last(said.get("HTTP_X_FORWARDED_PROTO", "")).lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        host = _last(said.get("HTTP_X_FORWARDED_HOST", ""))
        if _HOST.fullmatch(host):
            environ["HTTP_HOST"] = host
        prefix = said.get("HTTP_X_FORWARDED_PREFIX", "").strip().rstrip("/")
        if _PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix

    def _client(self, chain: str) -> str:
        """The nearest address of the chain that is no proxy of ours: what stands before it anybody can have written."""
        found = ""
        for text in reversed(chain.split(",")):
            address = _address_of(text.strip())
            if not address:
                break
            found = address
            if not self._trusts(address):
                break
        return found

    def _trusts(self, text: str) -> bool:
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def _last(values: str) -> str:
    """The value that the nearest proxy added."""
    return values.rpartition(",")[2].strip()


def _address_of(text: str) -> str:
    """An address as chains have it, with or without a port; empty when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
