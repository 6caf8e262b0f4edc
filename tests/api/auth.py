# SPDX-License-Identifier: Apache-2.0
"""Callers and gates for tests: the real rules, the real password files."""

import base64
from pathlib import Path
from typing import Any

import bcrypt

from congress.api.application import Settings
from congress.api.auth.basic import BasicAuthenticator
from congress.api.auth.gate import Gate
from congress.api.auth.passwords import UserFiles
from congress.api.auth.policy import PolicyAuthorizer
from congress.api.auth.registered import list_rules
from congress.conf import load

ROLES = ("admin", "member", "reader")
PASSWORD = "open sesame"  # the same for all


def hashed(password: str = PASSWORD) -> str:
    """A hash as htpasswd -B writes it; cheap, for tests."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


def write_users(folder: Path, *, more: str = "", more_roles: str = "") -> UserFiles:
    """Users called as their role, and ``nemo``, who has none."""
    users, roles = folder / "users", folder / "roles"
    one = hashed()
    users.write_text("".join(f"{name}:{one}\n" for name in (*ROLES, "nemo")) + more)
    roles.write_text("# who may do what\n" + "".join(f"{name}: {name}\n" for name in ROLES) + more_roles)
    for file in (users, roles):
        file.chmod(0o600)
    return UserFiles(users, roles)


def authorizer(folder: Path | None = None, **more: Any) -> PolicyAuthorizer:
    """The real rules; with a folder, those of ``policy.yaml`` there too."""
    files = []
    if folder is not None:
        (folder / "congress.conf").write_text("")
        files = [str(folder / "congress.conf")]
    return PolicyAuthorizer(load([], files=files).options, list_rules(), **more)


def settings(folder: Path, **more: Any) -> Settings:
    """An API with users, roles and rules."""
    gate = Gate(BasicAuthenticator(write_users(folder)), authorizer(folder), more.pop("limits", None))
    return Settings(gate=gate, guard_host=False, **more)


def login(name: str, password: str = PASSWORD) -> dict[str, str]:
    """What a request of a user has in its environment."""
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
