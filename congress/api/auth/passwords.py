# SPDX-License-Identifier: Apache-2.0
"""Users, their passwords and their roles, in two files of forms that other programs know.

The users' file is that of ``htpasswd -B``: ``ann:$2y$12$...`` a line.  Only bcrypt is taken.  The roles' file is that
of Apache's groups: ``admin: ann bob`` a line, a role and who has it.  In both, empty lines and lines that begin with
``#`` say nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from congress.api.auth.files import Mark, UnsafeFile, mark_of, read_safe

_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
ROUNDS: Final = 12  # what a hash should cost at least
_MOST_ROUNDS: Final = 16  # 2**16 take some five seconds
IMPLIED: Final = {"admin": ("member", "reader"), "member": ("reader",)}
"""Roles that come with a role, as in Keystone."""


@dataclass(frozen=True, slots=True)
class Users:
    """What the files say at one time."""

    hashes: Mapping[str, bytes] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rounds: int = ROUNDS  # the largest cost of a hash
    wrong: tuple[str, ...] = ()  # what cannot be used: "users line 3: ..."


def parse_users(text: str) -> tuple[dict[str, bytes], list[str]]:
    """Hashes by user, and what is wrong with which line.  A user on two lines has none: which one is meant?"""
    found: dict[str, bytes] = {}
    twice: set[str] = set()
    wrong = []
    for number, line in _lines(text):
        name, colon, hashed = line.partition(":")
        kind = _BCRYPT.fullmatch(hashed.strip())
        if not (name and colon):
            wrong.append(f"line {number}: not of the form user:hash")
        elif kind is None:
            wrong.append(f"line {number}: the hash of {name!r} is not bcrypt's; htpasswd -B makes those")
        elif not 4 <= int(kind[1]) <= _MOST_ROUNDS:
            wrong.append(f"line {number}: the cost of the hash of {name!r} is not between 4 and {_MOST_ROUNDS}")
        elif name in found or name in twice:
            twice.add(name)
            found.pop(name, None)
            wrong.append(f"line {number}: {name!r} is there twice")
        else:
            found[name] = hashed.strip().encode("ascii")
    return found, wrong


def parse_roles(text: str) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Roles by user, implied ones among them, and what is wrong with which line."""
    found: dict[str, dict[str, None]] = {}
    wrong = []
    for number, line in _lines(text):
        role, colon, names = line.partition(":")
        role = role.strip()
        if not colon or not role or len(role.split()) > 1:
            wrong.append(f"line {number}: not of the form role: user user")
            continue
        for name in names.split():
            found.setdefault(name, {}).update(dict.fromkeys((role, *IMPLIED.get(role, ()))))
    return {name: tuple(roles) for name, roles in found.items()}, wrong


def _lines(text: str) -> list[tuple[int, str]]:
    numbered = enumerate(text.splitlines(), 1)
    return [(number, line) for number, line in numbered if line.strip() and not line.startswith("#")]


def rounds_of(hashed: bytes) -> int:
    """The cost of a hash: it takes two to this power steps."""
    return int(hashed[4:6])


class UserFiles:
    """Both files, read again when one of them changes."""

    def __init__(self, users: Path, roles: Path) -> None:
        self._users = users
        self._roles = roles

    def marks(self) -> tuple[Mark | None, Mark | None]:
        """What tells whether :meth:`read` would give something else now."""
        return mark_of(self._users), mark_of(self._roles)

    def read(self) -> Users:
        """What they say.

        :raises UnsafeFile: one of them is not there, or others can have written it.
        """
        hashes, wrong_users = parse_users(read_safe(self._users)[0])
        roles, wrong_roles = parse_roles(read_safe(self._roles)[0])
        wrong = [f"{self._users} {what}" for what in wrong_users] + [f"{self._roles} {what}" for what in wrong_roles]
        rounds = max(map(rounds_of, hashes.values()), default=ROUNDS)
        return Users(hashes, roles, rounds, tuple(wrong))


__all__ = ["IMPLIED", "ROUNDS", "UnsafeFile", "UserFiles", "Users", "parse_roles", "parse_users", "rounds_of"]
