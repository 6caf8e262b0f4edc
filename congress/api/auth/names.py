# SPDX-License-Identifier: Apache-2.0
"""The rule that guards a route, and who passes it by default: both follow from the route, so none is without.

``POST /v1/policies`` is ``congress:policies:create``, ``GET /v1/policies/{policy}/rules`` is
``congress:policies:rules:list``, ``POST /v1/cloud-services/{service}?action=execute`` is
``congress:cloud-services:execute``: the words of the path, then what is done.

A route that reads is for readers.  A route that writes is for administrators, unless it is named here or says otherwise
itself: who adds one and thinks of nothing has opened nothing.
"""

import re
from enum import StrEnum
from typing import Final


class Access(StrEnum):
    """Who passes a rule while no policy file says otherwise; each also passes what those before it pass."""

    OPEN = "open"  # everybody, without showing who they are
    READER = "reader"
    MEMBER = "member"
    ADMIN = "admin"


_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_SINGLE: Final = frozenset({"status", "metrics"})  # end in "s" and are no lists
_NAME: Final = re.compile(r"congress(:[a-z0-9][a-z0-9._-]*){2,}")

OPEN: Final = frozenset(
    {
        "congress:versions:list",
        "congress:versions:get",
        "congress:health:live:get",
        "congress:health:ready:get",
        "congress:executions:complete",  # its one-time token is what a service shows
    }
)
READ_BY_POST: Final = frozenset(
    {
        "congress:policies:query",
        "congress:policies:simulate",
        "congress:policies:preview",
    }
)
FOR_MEMBERS: Final = frozenset(
    {
        "congress:policies:create",
        "congress:policies:update",
        "congress:policies:delete",
        "congress:policies:rules:create",
        "congress:policies:rules:update",
        "congress:policies:rules:delete",
        "congress:librarypolicies:create",
        "congress:librarypolicies:update",
        "congress:librarypolicies:delete",
        "congress:cloud-services:request-refresh",
        "congress:cloud-services:webhook:create",
        "congress:cloud-services:tables:webhook:create",
        "congress:cloud-services:tables:rows:create",
        "congress:cloud-services:tables:rows:update",
    }
)


def rule_of(method: str, path: str, action: str = "") -> str:
    """The name of the rule for an operation."""
    segments = [segment for segment in path.split("/") if segment]
    if segments[:1] == ["v1"]:
        segments = segments[1:]
    words = [segment for segment in segments if not segment.startswith("{")]
    if not words:
        return f"congress:versions:{'list' if path == '/' else 'get'}"
    if action:
        verb = action
    elif method == "GET":
        last = segments[-1]
        verb = "list" if last.endswith("s") and last not in _SINGLE else "get"
    else:
        verb = _VERBS.get(method, method.lower())
    return ":".join(["congress", *words, verb])


def access_of(rule: str, method: str) -> Access:
    """Who passes a rule by default."""
    if rule in OPEN:
        return Access.OPEN
    if method == "GET" or rule in READ_BY_POST:
        return Access.READER
    return Access.MEMBER if rule in FOR_MEMBERS else Access.ADMIN


def checked(rule: str) -> str:
    """The rule, if it can be one.

    :raises ValueError: it does not look like ``congress:things:verb``.
    """
    if not _NAME.fullmatch(rule):
        raise ValueError(f"{rule!r} is no name of a rule; one looks like congress:things:verb")
    return rule
