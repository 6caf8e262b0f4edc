# SPDX-License-Identifier: Apache-2.0
"""Token buckets, and when those that wait for a token may expect one."""

from dataclasses import dataclass, field
from typing import Final

_GRACE: Final = 60.0  # seconds after which one that did not ask again when it could is not waited behind any more
_DUST: Final = 1e-9  # of a token: what rounding leaves


@dataclass(slots=True)
class Bucket:
    """A full bucket holds ``burst`` tokens and gains ``rate`` a minute; each attempt takes one.

    Rate and burst are passed in, because they may change.  In any t seconds at most ``burst + rate * t / 60`` are
    taken.  A token is for whoever asks first when it is there.  A right to the next one would be of no use: who needs
    tokens of two buckets could hold up one of them while it waits for the other.  ``waiting`` has the moments that
    those who wait were told, and only serves to tell later ones a later one.
    """

    tokens: float = float("inf")
    at: float = 0.0
    waiting: dict[str, float] = field(default_factory=dict)

    def turn(self, execution_id: str, now: float, rate: float, burst: int) -> float:
        """When to ask again; ``now``: there is a token to take."""
        self._refill(now, rate, burst)
        self._forget_late(now)
        if self.tokens >= 1 - _DUST:
            return now
        told = self.waiting.get(execution_id)
        if told is not None and now < told:
            return told
        ahead = len(self.waiting) if told is None else 0
        turn = now + (1 + ahead - self.tokens) * 60 / rate
        self.waiting[execution_id] = turn
        return turn

    def take(self, execution_id: str, now: float, rate: float, burst: int) -> None:
        """Take a token; below none at all there is nothing to take."""
        self._refill(now, rate, burst)
        self.tokens = max(0.0, self.tokens - 1)
        self.waiting.pop(execution_id, None)

    def _refill(self, now: float, rate: float, burst: int) -> None:
        gained = max(0.0, now - self.at) * rate / 60  # a clock that was put back gains nothing
        self.tokens = min(float(burst), self.tokens + gained)
        self.at = now

    def _forget_late(self, now: float) -> None:
        while self.waiting:
            first = next(iter(self.waiting))
            if self.waiting[first] >= now - _GRACE:
                return
            del self.waiting[first]
