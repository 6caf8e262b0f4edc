# SPDX-License-Identifier: Apache-2.0
"""Headers that tell browsers what not to do with an answer, and whose pages may read it."""

from collections.abc import Collection, Mapping
from typing import Any, Final

SECURITY: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
DEFAULTS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # JSON loads nothing; pages have their own
    "Cache-Control": "no-store",
}
_HSTS: Final = ("Strict-Transport-Security", "max-age=31536000")
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOWED: Final = "Authorization, Content-Type, Last-Event-ID, X-Auth-Token, X-OpenStack-Request-ID"
_EXPOSED: Final = "Link, Location, Retry-After, WWW-Authenticate, X-Openstack-Request-Id"
ANY: Final = "*"


def secure(headers: list[tuple[str, str]], scheme: str) -> None:
    """Add what every answer has; what the answer says itself stays."""
    headers += SECURITY
    said = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in DEFAULTS.items() if name.lower() not in said]
    if scheme == "https":  # a browser ignores it over plain HTTP, and a mistake there would lock it out
        headers.append(_HSTS)


class Cors:
    """Which other origins' pages may use the API from a browser (the Fetch standard's CORS protocol).

    Credentials that browsers add by themselves (cookies, remembered passwords) are not let in: a page sends its token
    itself.
    """

    def __init__(self, origins: Collection[str] = ()) -> None:
        """
        :param origins: such as ``https://console.example.org``, or ``*`` for all.
        """
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may use the API."""
        return ANY in self._origins or origin.lower() in self._origins

    def preflight(self, environ: Mapping[str, Any]) -> list[tuple[str, str]] | None:
        """The headers of the answer to a browser that asks beforehand; None when this is no such request."""
        if environ["REQUEST_METHOD"] != "OPTIONS" or not self._origins:
            return None
        origin = environ.get("HTTP_ORIGIN", "")
        if not origin or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ or not self.allows(origin):
            return None
        return [
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", _ALLOWED),
            ("Access-Control-Max-Age", "600"),
        ]

    def add(self, headers: list[tuple[str, str]], environ: Mapping[str, Any]) -> None:
        """Add what lets an allowed page read an answer."""
        if not self._origins:
            return
        origin = environ.get("HTTP_ORIGIN", "")
        if ANY in self._origins:
            headers.append(("Access-Control-Allow-Origin", ANY))
        else:
            headers.append(("Vary", "Origin"))
            if not (origin and self.allows(origin)):
                return
            headers.append(("Access-Control-Allow-Origin", origin))
        headers.append(("Access-Control-Expose-Headers", _EXPOSED))
