# SPDX-License-Identifier: Apache-2.0
"""HTTP basic authentication (RFC 7617) against a password file."""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import bcrypt

from congress.api.auth.contracts import Environ, Unauthenticated
from congress.api.auth.identity import Identity
from congress.api.auth.passwords import ROUNDS, UnsafeFile, UserFiles, Users
from congress.api.errors import ApiError

_log = logging.getLogger(__name__)
CHALLENGE: Final = 'Basic realm="congress", charset="UTF-8"'
_LONGEST: Final = 72  # bytes of a password that bcrypt looks at; a longer one is refused, not cut
_AT_ONCE: Final = 2  # passwords that are checked at the same time; each takes a core for a while
_PATIENCE: Final = 5.0  # seconds to wait for one's turn


@dataclass(slots=True)
class _State:
    """The users at one time, and who among them has shown the right password lately.

    ``known`` holds a keyed digest of the password, never the password, and when it was checked.
    """

    marks: object
    users: Users | None  # None: the files cannot be used, so nobody gets in
    known: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    nobody: bytes = b""  # no password's hash, as dear as the dearest, so that an unknown name takes as long


class BasicAuthenticator:
    """Checks user and password.  Any thread.

    A right password is remembered for some minutes, so that bcrypt is paid for once and not at each request; all is
    forgotten when the files change.
    """

    def __init__(
        self, files: UserFiles, *, remember: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        :param remember: seconds that a right password is remembered; 0 for never.
        :raises UnsafeFile: the files cannot be used.
        :raises ValueError: a line cannot be used; it is named.
        """
        self._files = files
        self._remember = remember
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        marks = files.marks()
        users = files.read()
        if users.wrong:
            raise ValueError("; ".join(users.wrong))
        self._state = self._make(marks, users)

    def authenticate(self, environ: Environ) -> Identity:
        name, password = _credentials_of(environ)
        state = self._current()
        if state.users is None:
            raise ApiError(503, "Nobody can log in: the password file cannot be used. The log tells why.")
        if not self._is_right(state, state.users, name, password):
            raise Unauthenticated("The user or the password is wrong.", CHALLENGE, tried=True)
        return Identity(user_id=name, user_name=name, roles=state.users.roles.get(name, ()))

    def _is_right(self, state: _State, users: Users, name: str, password: bytes) -> bool:
        digest = hmac.new(self._secret, name.encode() + b"\0" + password, hashlib.sha256).digest()
        known, until = state.known.get(name, (b"", 0.0))
        if self._clock() < until and hmac.compare_digest(known, digest):
            return True
        hashed = users.hashes.get(name, state.nobody)
        if not self._matches(password, hashed) or name not in users.hashes:
            return False
        if self._remember > 0:
            state.known[name] = (digest, self._clock() + self._remember)
        return True

    def _matches(self, password: bytes, hashed: bytes) -> bool:
        usable = len(password) <= _LONGEST and b"\0" not in password
        if not self._turns.acquire(timeout=_PATIENCE):
            raise ApiError(503, "Too many logins at once.", headers={"Retry-After": "2"})
        try:
            return bcrypt.checkpw(password if usable else b"", hashed) and usable
        finally:
            self._turns.release()

    def _current(self) -> _State:
        marks = self._files.marks()
        if marks == self._state.marks:
            return self._state
        with self._lock:
            if marks != self._state.marks:
                self._state = self._make(marks, self._read())
            return self._state

    def _read(self) -> Users | None:
        try:
            users = self._files.read()
        except UnsafeFile as error:
            _log.error("users.unusable error=%s", error)
            return None
        for what in users.wrong:
            _log.error("users.line_ignored error=%s", what)
        _log.info("users.read users=%d", len(users.hashes))
        return users

    def _make(self, marks: Any, users: Users | None) -> _State:
        salt = bcrypt.gensalt(users.rounds if users else ROUNDS)
        return _State(marks, users, nobody=salt + secrets.token_hex(16)[:31].encode())


def _credentials_of(environ: Environ) -> tuple[str, bytes]:
    """User and password of a request.

    :raises Unauthenticated: there are none, or they cannot be read.
    """
    scheme, _, text = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("This takes a user and a password (HTTP basic).", CHALLENGE, tried=False)
    try:
        name, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
        user = name.decode("utf-8")
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise Unauthenticated("The header Authorization cannot be read.", CHALLENGE, tried=True) from error
    if not colon or not user:
        raise Unauthenticated("The header Authorization cannot be read.", CHALLENGE, tried=True)
    return user, password
