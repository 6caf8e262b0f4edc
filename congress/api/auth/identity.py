# SPDX-License-Identifier: Apache-2.0
"""Who a request comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_LONGEST: Final = 255  # characters of a name in logs and trails


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, as authentication found it.

    ``trusted`` tells whether roles other than ``admin`` count: those of a Keystone token do only where its project is
    one of the configured ones.  Users of the password file are always trusted.
    """

    user_id: str = ""
    user_name: str = ""
    user_domain: str = ""
    project_id: str = ""
    project_name: str = ""
    project_domain: str = ""
    system_scope: str = ""
    roles: tuple[str, ...] = ()
    trusted: bool = True

    @property
    def who(self) -> str:
        """The caller in one word, for logs and the trail of executions: ``ann``, ``ann@Default``; empty for nobody."""
        name = f"{self.user_name}@{self.user_domain}" if self.user_domain else self.user_name
        return _printable(name or self.user_id)

    @property
    def key(self) -> str:
        """What limits are kept by: the same caller, the same key."""
        return self.user_id or self.user_name

    def ids(self) -> dict[str, str]:
        """What travels over the bus with everything that is done for this caller (``congress.bus.context``)."""
        found = {"user": self.who, "user_id": self.user_id, "project_id": self.project_id}
        return {name: value for name, value in found.items() if value and (name != "user_id" or value != self.who)}

    def credentials(self) -> dict[str, Any]:
        """What checks of rules can ask for: ``role:...``, ``user_id:...``, ``project_id:...``, ``trusted:True``."""
        return {
            "roles": list(self.roles),
            "user_id": self.user_id,
            "user_name": self.user_name,
            "user_domain": self.user_domain,
            "project_id": self.project_id,
            "project_name": self.project_name,
            "project_domain": self.project_domain,
            "system_scope": self.system_scope or None,
            "trusted": self.trusted,
        }


NOBODY: Final = Identity(trusted=False)
"""A caller who has not shown who they are."""

LOCAL: Final = Identity(roles=("admin", "member", "reader"))
"""Whoever reaches a daemon without authentication: somebody on this machine."""

Target = Mapping[str, str]
"""What a request is about, by the parameters of its path: ``{"policy": "care", "rule": "..."}``."""


def _printable(name: str) -> str:
    """One line, whatever a directory allows in names."""
    shown = "".join(c if c.isprintable() else "?" for c in name)
    return shown[:_LONGEST]
