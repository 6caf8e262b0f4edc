# SPDX-License-Identifier: Apache-2.0
"""A service's breaker: after trouble in a row nothing is sent for a while; then one attempt decides."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from congress.executions.settings import ServiceGuard


class Outcome(StrEnum):
    """What an attempt tells about the service's health."""

    OK = "ok"  # done
    FAILED = "failed"  # the service answered: it cannot be done (the server is locked)
    REFUSED = "refused"  # the service was not asked: no such action, wrong arguments; or nobody knows
    TROUBLE = "trouble"  # not reached, no answer in time, an error inside, over its limits


class BreakerState(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"  # everything
    OPEN = "open"  # nothing
    HALF_OPEN = "half_open"  # one at a time, to see


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker at a moment; what happens makes another one.

    ``failures`` counts troubles in a row.  ``since`` is when it opened, None while it is closed; ``until`` is when it
    is half-open, None while it is closed or where only a person closes it (``by``, who opened it).  ``probe`` is the
    execution that is being tried, ``probe_until`` when it is given up; both are forgotten by a restart.
    """

    failures: int = 0
    since: float | None = None
    until: float | None = None
    by: str = ""
    detail: str = ""
    probe: str | None = None
    probe_until: float = 0.0

    def state(self, now: float) -> BreakerState:
        """What it lets through now: an open one is half-open as soon as its time is over."""
        if self.since is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.until is None or now < self.until else BreakerState.HALF_OPEN

    def blocked_until(self, execution_id: str, now: float) -> float | None:
        """When to ask again, None where only a person knows; what is not after ``now`` lets the execution through."""
        match self.state(now):
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return self.until
        return 0.0 if self.probe in {None, execution_id} else self.probe_until

    def let_through(self, execution_id: str, now: float, settings: ServiceGuard) -> Self:
        """After something was let through: a half-open one waits for what becomes of it."""
        if self.state(now) is not BreakerState.HALF_OPEN:
            return self
        return replace(self, probe=execution_id, probe_until=now + max(settings.timeout, settings.breaker_seconds))

    def after(self, execution_id: str, outcome: Outcome, now: float, settings: ServiceGuard) -> Self:
        """After an attempt: while it is open only the probe counts, the others were sent before it opened."""
        if self.since is not None and self.probe != execution_id:
            return self
        match outcome:
            case Outcome.OK | Outcome.FAILED:
                return type(self)()
            case Outcome.REFUSED:
                return replace(self, probe=None)
        failures = self.failures + 1
        limit = settings.breaker_failures
        if self.since is None and (limit is None or failures < limit):
            return replace(self, failures=failures)
        detail = f"{failures} attempts in a row found the service in trouble"
        return type(self)(failures, now, now + settings.breaker_seconds, "", detail)

    def without(self, execution_id: str) -> Self:
        """After something that was let through was not sent: another one may be tried."""
        return replace(self, probe=None) if self.probe == execution_id else self

    def tripped(self, by: str, now: float, until: float | None, detail: str) -> Self:
        """Opened by a person, until a moment or until a person closes it."""
        return type(self)(self.failures, now, until, by, detail)

    def to_dict(self) -> dict[str, Any]:
        """What outlives a restart, as a JSON object."""
        return {
            "failures": self.failures,
            "since": self.since,
            "until": self.until,
            "by": self.by,
            "detail": self.detail,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """From what :meth:`to_dict` made."""
        return cls(kept["failures"], kept["since"], kept["until"], kept["by"], kept["detail"])


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """A service's breaker became another one; ``before`` and ``after`` are its states."""

    service: str
    before: BreakerState
    after: BreakerState
    at: float
    breaker: Breaker
