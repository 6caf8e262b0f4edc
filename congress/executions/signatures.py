# SPDX-License-Identifier: Apache-2.0
"""What services say about their actions, as far as the ledger has to know."""

from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Final

from congress.bus.errors import Timeout
from congress.executions.model import Call

PATIENCE: Final = 2.0
"""Seconds that a service has to tell its actions; after that, nothing is known about them for a while."""
_FRESH: Final = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """One action.  ``secret`` names arguments that must not be shown."""

    changes: bool = True
    idempotent: bool = False
    asynchronous: bool = False
    arguments: tuple[str, ...] = ()
    secret: frozenset[str] = frozenset()


UNKNOWN: Final = Known()


class Signatures:
    """Asks services for their actions, without waiting, and remembers the answers.  The ledger's thread."""

    def __init__(
        self,
        ask: Callable[..., "Future[Any]"],
        instance: Callable[[str], str | None],
        later: Callable[..., None],
        told: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        """
        :param ask: as :meth:`congress.bus.service.Service.ask`; raises when the service is not there.
        :param instance: which life of a service is on the bus; None when none is.
        :param later: runs a function on the ledger's thread.
        :param told: is called, on it, when something came to be known.
        """
        self._ask, self._instance, self._later, self._told_of, self._now = ask, instance, later, told, now
        self._known: dict[str, tuple[str | None, float, Mapping[str, Known] | None]] = {}
        self._asking: set[str] = set()
        self._busy: set[str] = set()  # those that had no time to answer

    def missing(self, services: Iterable[str]) -> set[str]:
        """Those whose actions are not known, or no longer; they are being asked when this returns."""
        found = set()
        for service in set(services):
            instance = self._instance(service)
            known = self._known.get(service)
            if instance is None or (known is not None and known[0] == instance and self._now() - known[1] < _FRESH):
                continue
            if known is None or known[0] != instance:
                found.add(service)  # an old list will do until the new one is there
            self._inquire(service, instance)
        return found

    def silent(self, service: str) -> bool:
        """Whether it is there and has not told its actions; it is being asked when this returns."""
        if self.missing([service]):
            return True
        instance, known = self._instance(service), self._known.get(service)
        if instance is None or service not in self._busy or known is None or known[2] is not None:
            return False
        self._inquire(service, instance)
        return True

    def learn(self, service: str) -> None:
        """Know a service's actions before this returns; blocks for ``PATIENCE`` seconds at most."""
        instance = self._instance(service)
        known = self._known.get(service)
        if instance is None or (known is not None and known[0] == instance):
            return
        try:
            answer = self._ask(service, "actions", timeout=PATIENCE)
            futures.wait([answer], PATIENCE + 1.0)
        except Exception:  # noqa: BLE001  # as above
            self._answered(service, instance, None)
        else:
            self._told(service, instance, answer)

    def of(self, call: Call) -> Known:
        """What is known of an action."""
        known = self._known.get(call.service)
        return UNKNOWN if known is None or known[2] is None else known[2].get(call.action, UNKNOWN)

    def marked(self, call: Call) -> Call:
        """The call with its secret arguments named: by name, and by position as decimal text.

        All of them where the service does not say what its actions take.
        """
        told = self._known.get(call.service)
        if told is None or told[2] is None:
            return replace(call, secret=frozenset([*call.named, *map(str, range(len(call.positional)))]))
        known = self.of(call)
        if not known.secret:
            return call
        places = {str(at) for at, name in enumerate(known.arguments) if name in known.secret}
        return replace(call, secret=frozenset(known.secret | places))

    def _inquire(self, service: str, instance: str) -> None:
        if service in self._asking:
            return
        self._asking.add(service)
        try:
            answer = self._ask(service, "actions", timeout=PATIENCE)
        except Exception:  # noqa: BLE001  # whatever keeps it from being asked, nothing is known then
            self._later(self._answered, service, instance, None)
            return
        answer.add_done_callback(lambda done: self._later(self._told, service, instance, done))

    def _told(self, service: str, instance: str, answer: "Future[Any]") -> None:
        error = answer.exception() if answer.done() else Timeout()
        if isinstance(error, Timeout):
            self._busy.add(service)
        else:
            self._busy.discard(service)
        self._answered(service, instance, None if error is not None else answer.result())

    def _answered(self, service: str, instance: str, listed: Iterable[Any] | None) -> None:
        self._asking.discard(service)
        known: Mapping[str, Known] | None = None if listed is None else {item.name: _known(item) for item in listed}
        before = self._known.get(service)
        if known is None and before is not None and before[0] == instance:
            known = before[2]  # what it said earlier in this life holds
        self._known[service] = (instance, self._now(), known)
        self._told_of()


def _known(item: Any) -> Known:
    """An action as its service describes it, with what other kinds of services may leave out."""
    return Known(
        changes=getattr(item, "changes", True),
        idempotent=getattr(item, "idempotent", False),
        asynchronous=getattr(item, "asynchronous", False),
        arguments=tuple(argument.name for argument in item.arguments if not argument.variadic),
        secret=frozenset(a.name for a in item.arguments if getattr(a, "secret", False)),
    )
