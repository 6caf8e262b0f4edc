# SPDX-License-Identifier: Apache-2.0
"""When something may change for an execution by itself: the next attempt, the end of a hold, the deadline."""

import heapq
from collections.abc import Set
from typing import Final

_SPARE: Final = 64  # outdated entries that are not worth clearing away


class Moments:
    """Moments of many executions; what it costs to know the next does not grow with their number."""

    def __init__(self) -> None:
        self._of: dict[str, Set[float]] = {}
        self._queue: list[tuple[float, str]] = []  # with what is outdated; a moment that has passed is gone from it

    def put(self, execution_id: str, moments: Set[float]) -> None:
        """These are an execution's, and no others."""
        for moment in moments - self._of.get(execution_id, frozenset()):
            heapq.heappush(self._queue, (moment, execution_id))
        if moments:
            self._of[execution_id] = moments
        else:
            self._of.pop(execution_id, None)
        if len(self._queue) > _SPARE + 4 * len(self._of):
            self._queue = [(moment, key) for key, found in self._of.items() for moment in found]
            heapq.heapify(self._queue)

    def after(self, now: float) -> float | None:
        """The first one after a moment that is no earlier than those asked for before; None where there is none."""
        while self._queue:
            moment, key = self._queue[0]
            if moment > now and moment in self._of.get(key, ()):
                return moment
            heapq.heappop(self._queue)
        return None
