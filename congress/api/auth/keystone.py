# SPDX-License-Identifier: Apache-2.0
"""Authentication by Keystone: keystonemiddleware's ``auth_token`` looks at the token, this asks it and takes its word.

The middleware is not put before the API as a whole: the front answers in JSON, and some routes are open.  It is called
for each request that needs a caller, with an application behind it that only notes that it was reached.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import webob
from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token

from congress.api.auth.contracts import Environ, Unauthenticated
from congress.api.auth.identity import Identity
from congress.api.errors import ApiError

_log = logging.getLogger(__name__)
GROUP: Final = "keystone_authtoken"
_CACHE_KEY: Final = "congress.tokens"
_TOKENS: Final = 1000  # tokens that are remembered
ALL_PROJECTS: Final = "*"


class KeystoneConfigError(Exception):
    """The group [keystone_authtoken] cannot be used; the message says why."""


class TokenCache:
    """Answers of Keystone about tokens, by a digest of the token; bounded.  Any thread.

    It stands in for memcached where none is configured: the middleware's own does not forget.
    """

    def __init__(self, *, most: int = _TOKENS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def get(self, key: str) -> Any:
        """What was put under the key, None when it is not there or too old."""
        with self._lock:
            until, value = self._answers.get(key, (0.0, None))
            if self._clock() < until:
                return value
            self._answers.pop(key, None)
            return None

    def set(self, key: str, value: Any, time: float = 0) -> None:  # the name is the middleware's
        """Remember something for so many seconds."""
        with self._lock:
            self._answers[key] = (self._clock() + time, value)
            self._answers.move_to_end(key)
            if len(self._answers) > self._most:
                self._answers.popitem(last=False)


class KeystoneAuthenticator:
    """Takes tokens of a Keystone.  Any thread; blocks while Keystone is asked, which it is once for a token in five
    minutes (``token_cache_time``).
    """

    def __init__(self, conf: Any, trusted_projects: Collection[str] = ()) -> None:
        """
        :param conf: the configuration; its group ``[keystone_authtoken]`` says where Keystone is and how to log in.
        :param trusted_projects: ids, ``DOMAIN/NAME``, or ``*``: the projects in which roles other than admin count.
        :raises KeystoneConfigError: that group lacks something.
        """
        for group, options in auth_token.list_opts():
            conf.register_opts(options, group=group)
        conf.set_default("service_type", "policy", group=GROUP)  # for credentials that are good for some routes only
        options = conf[GROUP]
        if not (options.auth_type or options.auth_section):
            raise KeystoneConfigError(
                "auth_strategy is keystone, and [keystone_authtoken] does not say how this service logs in there: "
                "auth_type = password, auth_url, username, password, project_name and the domains' names."
            )
        given: dict[str, Any] = {"oslo_config_config": conf, "delay_auth_decision": False}
        if not options.memcached_servers:
            given["cache"] = _CACHE_KEY
        self._cache = TokenCache()
        self._trusted = frozenset(trusted_projects)
        try:
            self._middleware = auth_token.AuthProtocol(_reached, given)
        except Exception as error:  # of keystoneauth, its plug-ins, oslo.config
            raise KeystoneConfigError(f"[keystone_authtoken] cannot be used: {error}") from error

    def authenticate(self, environ: Environ) -> Identity:
        # The middleware writes into the environment; a copy keeps what it learns apart from what handlers see.
        asked = {**environ, _CACHE_KEY: self._cache}
        try:
            answer = webob.Request(asked).get_response(self._middleware)
        except ClientException as error:
            _log.error("keystone.failed error=%s", error)
            raise _unavailable() from error
        if answer.status_int == 401:
            tried = "HTTP_X_AUTH_TOKEN" in environ
            message = "The token is not valid." if tried else "This takes a token of Keystone in X-Auth-Token."
            raise Unauthenticated(message, answer.headers.get("WWW-Authenticate", "Keystone"), tried=tried)
        if answer.status_int != _REACHED or asked.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
            _log.error("keystone.failed status=%d", answer.status_int)
            raise _unavailable()
        return self._identity(asked["keystone.token_auth"].user)

    def _identity(self, token: Any) -> Identity:
        scope = "all" if token.system_scoped and token.system.get("all") else ""
        return Identity(
            user_id=token.user_id or "",
            user_name=token.username or "",
            user_domain=token.user_domain_name or "",
            project_id=token.project_id or "",
            project_name=token.project_name or "",
            project_domain=token.project_domain_name or "",
            system_scope=scope,
            roles=tuple(token.role_names),
            trusted=bool(scope) or self._is_trusted(token),
        )

    def _is_trusted(self, token: Any) -> bool:
        if not token.project_id:
            return False
        domain, name = token.project_domain_name or "", token.project_name or ""
        names = {ALL_PROJECTS, token.project_id}
        if "/" not in domain + name:  # else two projects could have one full name; they are known by their ids only
            names.add(f"{domain}/{name}")
        return not self._trusted.isdisjoint(names)


_REACHED: Final = 204


def _reached(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def _unavailable() -> ApiError:
    return ApiError(503, "Keystone cannot be asked who you are.", headers={"Retry-After": "5"})
