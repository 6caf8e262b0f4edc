# SPDX-License-Identifier: Apache-2.0
"""The states of an execution, and the only ways from one to another."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What is to become of an execution, or became of it."""

    PROPOSED = "proposed"  # asked for; a person is to say yes
    APPROVED = "approved"  # may be done
    QUEUED = "queued"  # waits for its turn at its service, or for its next attempt
    RUNNING = "running"  # handed to its service; the outcome is not known yet
    HELD = "held"  # a guard keeps it; its reason says which
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"  # a person, or a guard, said no
    OBSOLETE = "obsolete"  # the row that asked for it stopped being true before it was done

    @property
    def terminal(self) -> bool:
        """Whether it is over; a person may still have a failed or cancelled one tried again."""
        return self in TERMINAL


class Reason(StrEnum):
    """Why an execution is held or proposed, or was cancelled or failed: stable codes for machines."""

    # proposed, held: what a person or time lets go
    MODE_PROPOSE = "mode_propose"  # the guard's mode is propose
    MODE_MONITOR = "mode_monitor"  # the guard's mode is monitor: recorded only
    BLAST_RADIUS = "blast_radius"  # more rows than the cap: the whole set is held
    COOL_DOWN = "cool_down"  # the same was done a short while ago
    OSCILLATION = "oscillation"  # the same comes up again and again
    STALE = "stale"  # a table that it was derived from is stale
    BREAKER = "breaker"  # the service's breaker is open
    RATE_LIMIT = "rate_limit"  # more than the rate allows
    UNKNOWN = "unknown"  # it may have been done: nobody can tell
    # cancelled
    DUPLICATE = "duplicate"  # the same is on its way already
    REJECTED = "rejected"  # a person said no to the set
    BY_USER = "by_user"
    # failed
    REFUSED = "refused"  # nothing was done: no such service, action or argument
    ERROR = "error"  # the service said so
    DEADLINE = "deadline"  # not done in time
    ATTEMPTS = "attempts"  # every attempt failed


class Trigger(StrEnum):
    """What is known of the row that asked for an execution."""

    NONE = "none"  # no row: a person asked
    LIVE = "live"  # it is true
    SUSPENDED = "suspended"  # its rule went: nobody can tell; when it is back, it is the same row
    ENDED = "ended"  # it stopped being true: the next time it is a new row


_S: Final = State
TRANSITIONS: Final[Mapping[State | None, frozenset[State]]] = {
    None: frozenset({_S.PROPOSED, _S.HELD, _S.APPROVED, _S.CANCELLED}),
    _S.PROPOSED: frozenset({_S.APPROVED, _S.HELD, _S.CANCELLED, _S.OBSOLETE}),
    _S.HELD: frozenset({_S.PROPOSED, _S.APPROVED, _S.HELD, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.OBSOLETE}),
    _S.APPROVED: frozenset({_S.QUEUED, _S.CANCELLED, _S.OBSOLETE}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.HELD, _S.FAILED, _S.CANCELLED, _S.OBSOLETE}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.QUEUED, _S.HELD}),
    _S.FAILED: frozenset({_S.PROPOSED, _S.HELD, _S.APPROVED}),
    _S.CANCELLED: frozenset({_S.PROPOSED, _S.HELD, _S.APPROVED}),
    _S.SUCCEEDED: frozenset(),
    _S.OBSOLETE: frozenset(),
}
"""From each state, those that may come next; ``None`` is before the first."""

TERMINAL: Final = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.OBSOLETE})
OPEN: Final = frozenset(_S) - TERMINAL

WAITING: Final = frozenset({Reason.STALE, Reason.BREAKER, Reason.RATE_LIMIT})
"""Holds that end by themselves, on the way to the service."""


class IllegalTransition(Exception):
    """An execution cannot go from the one state to the other."""

    def __init__(self, before: State | None, after: State) -> None:
        self.before, self.after = before, after
        super().__init__(f"an execution cannot go from {before or 'nowhere'} to {after}")


def check(before: State | None, after: State) -> None:
    """:raises IllegalTransition: there is no way from the one to the other."""
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(before, after)
