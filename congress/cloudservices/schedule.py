# SPDX-License-Identifier: Apache-2.0
"""When to poll next.  Pure: it is told what happened and says how many seconds to wait."""

import random
from collections.abc import Callable
from typing import Final

# The first retry after a failure comes this soon; each further failure doubles it.
FIRST_RETRY: Final = 1.0
JITTER: Final = 0.1


class PollSchedule:
    """The pauses of one service: regular ones with jitter, growing ones after failures, and those it asks
    for.

    :ivar failures: how many attempts failed in a row.
    """

    def __init__(
        self,
        poll_time: float,
        max_backoff: float = 300.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """:param poll_time: seconds between polls; 0: none by itself.
        :param max_backoff: the longest pause after failures; never shorter than ``poll_time``.
        :param chance: gives numbers from 0 to 1.
        """
        self.poll_time = poll_time
        self.max_backoff = max(max_backoff, poll_time)
        self.failures = 0
        self._chance = chance
        self._not_before = 0.0

    def first(self) -> float:
        """Seconds from the start to the first poll: many services do not start at one stroke."""
        return min(1.0, self.poll_time * JITTER) * self._chance()

    def succeeded(self) -> float | None:
        """A poll went well: seconds to the next, or None when there is none by itself."""
        self.failures = 0
        self._not_before = 0.0
        return self._around(self.poll_time) if self.poll_time > 0 else None

    def failed(self, now: float, retry_after: float | None = None) -> float:
        """A poll failed: seconds to the next attempt.

        :param now: on any clock that :meth:`allowed` is asked by too.
        :param retry_after: seconds that the service asked to be left alone.
        """
        self.failures += 1
        # 2 ** 30 s are 34 years; a bound keeps the power a number.
        pause = min(FIRST_RETRY * 2.0 ** min(self.failures - 1, 30), self.max_backoff)
        pause = self._around(pause)
        if retry_after is not None:
            self._not_before = now + retry_after
            pause = max(pause, retry_after * (1.0 + JITTER * self._chance()))
        return pause

    def allowed(self, now: float, delay: float) -> float:
        """The delay for a poll that somebody asks for: not before the service may be asked again."""
        return max(delay, self._not_before - now, 0.0)

    def _around(self, seconds: float) -> float:
        return seconds * (1.0 + JITTER * (2.0 * self._chance() - 1.0))
