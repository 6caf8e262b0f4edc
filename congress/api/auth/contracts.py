# SPDX-License-Identifier: Apache-2.0
"""The two questions of every request, and what answers them."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from congress.api.auth.identity import LOCAL, Identity, Target
from congress.api.errors import ApiError

Environ = Mapping[str, Any]


class Unauthenticated(ApiError):
    """401, with what the client should show next time; ``tried`` tells whether it showed something wrong."""

    def __init__(self, message: str, challenge: str, *, tried: bool) -> None:
        super().__init__(401, message, headers={"WWW-Authenticate": challenge})
        self.tried = tried


class Authenticator(Protocol):
    """Tells who a request comes from.  Called on any thread of the HTTP server, several at a time; may block."""

    def authenticate(self, environ: Environ) -> Identity:
        """The caller.

        :param environ: the WSGI environment, which it must not change.
        :raises Unauthenticated: the request does not show who it comes from, or wrongly.
        :raises ApiError: 503 when that cannot be found out now.
        """


class Authorizer(Protocol):
    """Tells what a caller may do.  Called on any thread; does not block."""

    def is_open(self, rule: str) -> bool:
        """Whether somebody who is not authenticated passes the rule."""

    def allows(self, rule: str, identity: Identity, target: Target) -> bool:
        """Whether this caller passes the rule."""


class NoAuthenticator:
    """``auth_strategy = noauth``: everybody is the administrator.  Only for loopback addresses."""

    def authenticate(self, environ: Environ) -> Identity:
        return LOCAL


class NoAuthorizer:
    """Lets everything through, as goes with :class:`NoAuthenticator`."""

    def is_open(self, rule: str) -> bool:
        return False

    def allows(self, rule: str, identity: Identity, target: Target) -> bool:
        return True


NO_AUTHENTICATOR: Final = NoAuthenticator()
NO_AUTHORIZER: Final = NoAuthorizer()
