# SPDX-License-Identifier: Apache-2.0
"""What the API counts while it serves: cheap to add to, read when somebody asks for ``/metrics``."""

import threading
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class Timing:
    """How often something happened and how long it took, in seconds."""

    count: int = 0
    total: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.total += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def merge(self, other: "Timing") -> None:
        """Count what another one counted too."""
        self.count += other.count
        self.total += other.total
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]

    def cumulative(self) -> list[tuple[str, float]]:
        """Buckets as Prometheus has them: upper bound, and how many are at or below it."""
        made: list[tuple[str, float]] = []
        so_far = 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.buckets, strict=True):
            so_far += count
            made.append((bound, float(so_far)))
        return made


class Measures:
    """Counters of requests by operation and status.  Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timings: dict[tuple[str, str], Timing] = {}

    def request(self, operation: str, status: str, seconds: float) -> None:
        """Count one request."""
        with self._lock:
            timing = self._timings.get((operation, status))
            if timing is None:
                timing = self._timings[operation, status] = Timing()
            timing.add(seconds)

    def timings(self) -> Iterator[tuple[str, str, Timing]]:
        """Operation, status, timing; a copy."""
        with self._lock:
            copied = [(*key, Timing(t.count, t.total, list(t.buckets))) for key, t in self._timings.items()]
        return iter(copied)
