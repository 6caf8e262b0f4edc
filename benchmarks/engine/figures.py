# SPDX-License-Identifier: Apache-2.0
"""What workers report: times, memory, and digests of answers that do not depend on the order of rows.

Workers of every rival import this, the one in the old release's environment too: standard library only.
"""

import resource
import statistics
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Report:
    """What one worker found out: ``figures`` in seconds (or MiB, or counts), and ``answers`` to compare."""

    figures: dict[str, float] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Take the CPU time (all threads) of a block as ``name``, and its wall time as ``name wall``."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.figures[name] = time.process_time() - cpu
        self.figures[f"{name} wall"] = time.perf_counter() - wall

    def memory(self) -> None:
        """Take the peak of resident memory so far, in MiB."""
        self.figures["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def spread(self, name: str, laps: "Laps") -> None:
        """Take medians and 99th percentiles of many short times, by the wall clock and in CPU time."""
        for kind, times in (("", laps.walls), (" CPU", laps.cpus)):
            ordered = sorted(times)
            self.figures[f"{name}{kind} median"] = statistics.median(ordered)
            self.figures[f"{name}{kind} p99"] = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def answer(self, name: str, rows: Iterable[Iterable[Any]]) -> None:
        """Take a table's rows as an answer that every engine must give alike."""
        self.answers[name] = digest(rows)


class Laps:
    """Many short times."""

    def __init__(self) -> None:
        self.walls: list[float] = []
        self.cpus: list[float] = []

    def __getitem__(self, part: slice) -> "Laps":
        chosen = Laps()
        chosen.walls, chosen.cpus = self.walls[part], self.cpus[part]
        return chosen

    def time(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function, take its time, and give its result."""
        cpu = time.process_time()
        start = time.perf_counter()
        result = function(*args)
        self.walls.append(time.perf_counter() - start)
        self.cpus.append(time.process_time() - cpu)
        return result


def digest(rows: Iterable[Iterable[Any]]) -> str:
    """The number of rows and a sum over them; rows are told apart by the text of their values."""
    count = total = 0
    for row in rows:
        count += 1
        total += zlib.crc32("\x1f".join(map(str, row)).encode())
    return f"{count} rows, sum {total:x}"
