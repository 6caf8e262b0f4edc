# SPDX-License-Identifier: Apache-2.0
"""What keeps actions from doing harm: the guards of policies and services, and the breakers of services."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from congress.client.errors import SettingsError
from congress.client.models import Resource
from congress.client.transport import Transport, path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard(Resource):
    """The guard of a policy or service: all ``settings`` that hold, and those that are its ``own``."""

    id: str = ""
    kind: str = ""
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker(Resource):
    """The circuit breaker of a service: ``closed`` lets everything through, ``open`` nothing, ``half_open`` a try."""

    id: str = ""
    service: str = ""
    state: str = ""
    failures: int = 0
    since: float | None = None
    until: float | None = None
    by: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Resource):
    """An action that a policy wants now.

    ``verdict`` is what would be said to it: ``known`` (the ledger has it already), ``approved``, ``proposed``, ``held``
    or ``cancelled``.
    """

    service: str = ""
    action: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""
    row: Sequence[Any] = ()
    verdict: str = ""
    reason: str = ""
    detail: str = ""
    execution: str = ""


class Guards:
    """``cloud.guards``; each call names a policy or a service.

    ::

        cloud.guards.change(policy="care", mode="propose", max_rows=5)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[Guard]:
        """The guards that have settings of their own.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``kind="service"``.
        """
        return self._transport.listed("/v1/guards", Guard.of, query)

    def get(self, *, policy: str = "", service: str = "") -> Guard:
        """The guard of a policy or of a service."""
        return Guard.of(self._transport.get(_path(policy, service)))

    def set(self, settings: Mapping[str, Any], *, policy: str = "", service: str = "") -> Guard:
        """Give it exactly these settings of its own; the others are the defaults.

        :raises InvalidRequest: there is no such setting, or it does not take this value.
        """
        return Guard.of(self._transport.request("PUT", _path(policy, service), dict(settings)))

    def change(self, *, policy: str = "", service: str = "", **settings: Any) -> Guard:
        """Change some of its settings."""
        return Guard.of(self._transport.request("PATCH", _path(policy, service), settings))

    def reset(self, *, policy: str = "", service: str = "") -> Guard:
        """Have it go by the defaults."""
        return Guard.of(self._transport.request("DELETE", _path(policy, service)))

    def dry_run(self, policy: str) -> tuple[Wanted, ...]:
        """Which actions a policy wants now, and what the guard would say to each.  Nothing happens."""
        found = self._transport.post(path_of("policies", policy), None, {"action": "dry-run"})
        return tuple(Wanted.of(one) for one in found["results"])


class Breakers:
    """``cloud.breakers``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[Breaker]:
        """Those that are not closed or have counted trouble.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``state="open"``.
        """
        return self._transport.listed("/v1/breakers", Breaker.of, query)

    def get(self, service: str) -> Breaker:
        """The breaker of a service."""
        return Breaker.of(self._transport.get(path_of("breakers", service)))

    def open(self, service: str, detail: str = "") -> Breaker:
        """Let nothing through to a service until somebody closes its breaker."""
        return Breaker.of(self._transport.post(path_of("breakers", service), {"detail": detail}, {"action": "open"}))

    def close(self, service: str, detail: str = "") -> Breaker:
        """Let everything through again."""
        return Breaker.of(self._transport.post(path_of("breakers", service), {"detail": detail}, {"action": "close"}))


def _path(policy: str, service: str) -> str:
    if bool(policy) == bool(service):
        raise SettingsError("a guard is of a policy or of a service", "Name one of them.")
    return path_of("policies", policy, "guard") if policy else path_of("cloud-services", service, "guard")
