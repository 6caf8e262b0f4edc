# SPDX-License-Identifier: Apache-2.0
"""What the guard remembers of what was let through: how much, of whom, and when the same was last."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from congress.executions.model import Execution

_MANY: Final = 512  # forgotten entries that are worth moving the others
_SAME: Final = 1001  # of the moments of one action; more than any oscillation_count


class Count(NamedTuple):
    """How many were let through, and the sum of their shares of the tables they came from (1.0 is a whole table)."""

    rows: int
    share: float


def share_of(execution: Execution) -> float:
    """The part of its table that an execution is: one of its rows; 0 where there is no table."""
    return 1 / execution.origin.population if execution.origin.population > 0 else 0.0


class _Track:
    """Moments in order, each with a share; how many and how much since a moment is found by bisection."""

    __slots__ = ("sums", "times")

    def __init__(self) -> None:
        self.times: list[float] = []
        self.sums: list[float] = [0.0]  # sums[i] is that of the first i shares

    def add(self, at: float, share: float) -> None:
        self.times.append(max(at, self.times[-1]) if self.times else at)
        self.sums.append(self.sums[-1] + share)

    def since(self, moment: float) -> Count:
        """Those after the moment."""
        first = bisect_right(self.times, moment)
        return Count(len(self.times) - first, self.sums[-1] - self.sums[first])

    def forget(self, moment: float) -> None:
        """Drop those up to the moment once they are many; the sums start afresh, so that no rounding piles up."""
        first = bisect_right(self.times, moment)
        if first == len(self.times):
            self.times.clear()
            self.sums[:] = [0.0]
        elif first >= _MANY and first * 2 >= len(self.times):
            base = self.sums[first]
            self.times = self.times[first:]
            self.sums = [one - base for one in self.sums[first:]]


class History:
    """Executions that were let through, as far back as ``horizon`` seconds; older ones are forgotten."""

    def __init__(self, horizon: float) -> None:
        self.horizon = horizon
        self._tracks: dict[str, _Track] = {}
        self._rows: dict[str, deque[float]] = {}  # digests: when rows brought them; the longest untouched first
        self._last: dict[str, float] = {}  # digests: when last let through or done; the longest untouched first
        self._swept = 0.0

    def note(self, executions: Iterable[Execution], now: float) -> None:
        """They were let through."""
        for execution in executions:
            share = share_of(execution)
            for key in keys_of(execution):
                self._tracks.setdefault(key, _Track()).add(now, share)
            self.done(execution.digest, now)
            if execution.origin.table:
                moments = self._rows.pop(execution.digest, None) or deque(maxlen=_SAME)
                moments.append(now)
                self._rows[execution.digest] = moments
        self._forget(now - self.horizon)

    def done(self, digest: str, now: float) -> None:
        """The action was done; or it will be."""
        self._last.pop(digest, None)
        self._last[digest] = now

    def count(self, key: str, moment: float) -> Count:
        """What was let through of a policy or service (see :func:`keys_of`) after a moment."""
        track = self._tracks.get(key)
        return track.since(moment) if track else Count(0, 0.0)

    def last(self, digest: str) -> float | None:
        """When the same action was last let through or done, if that is remembered."""
        return self._last.get(digest)

    def times(self, digest: str, moment: float) -> int:
        """How often rows brought the same action, and it was let through, after a moment."""
        return sum(1 for one in self._rows.get(digest, ()) if one > moment)

    def __len__(self) -> int:
        """How many moments are remembered."""
        tracks = sum(len(track.times) for track in self._tracks.values())
        return tracks + sum(map(len, self._rows.values())) + len(self._last)

    def _forget(self, moment: float) -> None:
        while self._last and self._last[first := next(iter(self._last))] <= moment:
            del self._last[first]
        while self._rows and self._rows[first := next(iter(self._rows))][-1] <= moment:
            del self._rows[first]
        if not 0 <= moment - self._swept < self.horizon / 8:
            self._swept = moment
            for track in self._tracks.values():
                track.forget(moment)


def keys_of(execution: Execution) -> tuple[str, ...]:
    """Whose caps an execution counts towards."""
    service = f"service:{execution.call.service}"
    return (f"policy:{execution.origin.policy}", service) if execution.origin.policy else (service,)
