# SPDX-License-Identifier: Apache-2.0
"""What a request passes before its handler runs: who is it, how often does it come, may it do this."""

import logging
import re
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from congress.api.auth.contracts import NO_AUTHENTICATOR, NO_AUTHORIZER, Authenticator, Authorizer, Unauthenticated
from congress.api.auth.identity import NOBODY, Identity, Target
from congress.api.auth.limits import Limits
from congress.api.errors import ApiError
from congress.bus import context

if TYPE_CHECKING:
    from congress.api.call import Call
    from congress.api.routing import Route

_log = logging.getLogger(__name__)
_SHOWN: Final = (  # what of a request tells who it comes from, and what keystonemiddleware wants beside it
    "HTTP_AUTHORIZATION", "HTTP_X_AUTH_TOKEN", "HTTP_X_STORAGE_TOKEN", "HTTP_X_SERVICE_TOKEN",
    "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme",
)  # fmt: skip
RECHECK: Final = 30.0  # seconds after which a stream's caller must still be who they were, and still be allowed


class Gate:
    """Admits calls.  Any thread; holds no state but that of its parts."""

    def __init__(
        self,
        authenticator: Authenticator = NO_AUTHENTICATOR,
        authorizer: Authorizer = NO_AUTHORIZER,
        limits: Limits | None = None,
        *,
        recheck: float = RECHECK,
    ) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._limits = limits or Limits()
        self._recheck = recheck

    def admit(self, call: "Call", environ: dict[str, Any], route: "Route", values: Sequence[str]) -> None:
        """Let a call through, with ``call.user`` known and its ids in force until the request ends.

        :raises ApiError: 401, 403 or 429; 503 when it cannot be found out who asks.
        """
        address = str(environ.get("REMOTE_ADDR", ""))
        if self._authorizer.is_open(route.rule):
            self._limits.request(address)
            return
        call.user = self._identify(environ, address)
        context.enter({**context.ids(), **call.user.ids()})
        target = dict(zip(_names(route.path), values, strict=False))
        self._authorize(call.user, route.rule, target)
        if self._authenticator is not NO_AUTHENTICATOR:
            shown: dict[str, Any] = {name: environ[name] for name in _SHOWN if name in environ}
            call.disconnected = self._lease(call, shown, route.rule, target)

    def _identify(self, environ: dict[str, Any], address: str) -> Identity:
        self._limits.login(address)
        try:
            found = self._authenticator.authenticate(environ)
        except Unauthenticated as error:
            self._limits.request(address)
            if error.tried:
                self._limits.failed(address)
                _log.warning("auth.failed client=%s", address)
            raise
        self._limits.request(address, found.key)
        return found

    def _authorize(self, user: Identity, rule: str, target: Target) -> None:
        if self._authorizer.allows(rule, user, target):
            return
        _log.info("auth.denied rule=%s roles=%s", rule, ",".join(user.roles))
        hint = (
            ""
            if user.trusted
            else (" Roles other than admin count only in the projects that [authorization] trusted_projects names.")
        )
        raise ApiError(403, f"You may not do this: it takes what the rule {rule} asks for.{hint}")

    def _lease(self, call: "Call", environ: dict[str, Any], rule: str, target: Target) -> Callable[[], bool]:
        """Whether a stream should end: its client has gone, or may not have it any more."""
        gone = call.disconnected or (lambda: False)
        user, check_at = call.user, time.monotonic() + self._recheck

        def over() -> bool:
            nonlocal check_at
            if gone():
                return True
            if time.monotonic() < check_at:
                return False
            check_at = time.monotonic() + self._recheck
            ended = not self._still(environ, user, rule, target)
            if ended:
                _log.info("auth.lapsed user=%s rule=%s", user.who, rule)
            return ended

        return over

    def _still(self, environ: dict[str, Any], user: Identity, rule: str, target: Target) -> bool:
        try:
            found = self._authenticator.authenticate(environ)
        except Unauthenticated:
            return False
        except ApiError:
            return True  # nobody can tell now: what was granted stands until somebody can
        return found.key == user.key and self._authorizer.allows(rule, found, target)


@lru_cache(maxsize=1024)
def _names(path: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\{(\w+)\}", path))


__all__ = ["NOBODY", "RECHECK", "Gate"]
