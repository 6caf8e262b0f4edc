# SPDX-License-Identifier: Apache-2.0
"""What the engine is to reach, and whether the results say so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.engine import work
from benchmarks.engine.run import Result

TOTAL = ("load", "evaluate")


@dataclass(frozen=True)
class Outcome:
    """A target, what was measured for it, and whether it is met (None: not measured)."""

    target: str
    measured: str
    met: bool | None


class Results:
    """Looks figures up."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = {(r.task, r.engine, r.size): r for r in results}

    def get(self, task: str, engine: str, size: int, *keys: str) -> float | None:
        found = self._results.get((task, engine, size))
        return found.figure(keys) if found is not None else None


def outcomes(results: Sequence[Result]) -> list[Outcome]:
    """Every target in turn."""
    look = Results(results).get
    out = []

    def ratio(target: str, value: float | None, other: float | None, limit: float, *, least: bool = False) -> None:
        """value / other is at most (``least``: at least) the limit."""
        if value is None or other is None or not other:
            out.append(Outcome(target, "not measured", None))
            return
        found = value / other
        out.append(Outcome(target, f"{found:.3g} times", found >= limit if least else found <= limit))

    def absolute(
        target: str, value: float | None, limit: float, show: Callable[[float], str], *, least: bool = False
    ) -> None:
        if value is None:
            out.append(Outcome(target, "not measured", None))
        else:
            out.append(Outcome(target, show(value), value >= limit if least else value <= limit))

    us, ours, hand, old = _micro, "congress", "handwritten", "openstack-congress"
    for size in (100_000, 1_000_000):
        ratio(
            f"load and evaluate {size} servers in at most 4 times handwritten",
            look("load", ours, size, *TOTAL), look("load", hand, size, *TOTAL), 4,
        )  # fmt: skip
    ratio(
        "at 100000 servers at least 60 times faster than openstack-congress",
        look("load", old, 100_000, *TOTAL), look("load", ours, 100_000, *TOTAL), 60, least=True,
    )  # fmt: skip
    for rival in ("sqlite", "clingo"):
        ratio(
            f"at 1000000 servers ahead of {rival}",
            look("load", rival, 1_000_000, *TOTAL), look("load", ours, 1_000_000, *TOTAL), 1, least=True,
        )  # fmt: skip
    ratio(
        "at 1000000 servers at most 1.5 times the memory of handwritten",
        look("load", ours, 1_000_000, "rss"), look("load", hand, 1_000_000, "rss"), 1.5,
    )  # fmt: skip
    for size in (1_000, 10_000, 100_000, 1_000_000):
        absolute(f"one row, median at most 50 µs at {size}", look("change", ours, size, "change median"), 50e-6, us)
        absolute(
            f"one row, 99th percentile at most 500 µs at {size}", look("change", ours, size, "change p99"), 500e-6, us
        )
    ratio(
        "one row at 1000000 costs at most 1.5 times what it costs at 1000",
        look("change", ours, 1_000_000, "change median"), look("change", ours, 1_000, "change median"), 1.5,
    )  # fmt: skip
    absolute("an unread table's row at most 5 µs", look("unread", ours, 1_000_000, "change median"), 5e-6, us)
    for size in (100_000, 1_000_000):
        for task in ("batch", "mixed"):
            ratio(
                f"10000 changed rows ({task}) at {size} ahead of duckdb",
                look(task, "duckdb", size, "batch"), look(task, ours, size, "batch"), 1, least=True,
            )  # fmt: skip
    absolute(
        "20000 changes a second through seven rules", look("stream", ours, 10_000, "one at a time"), 20_000,
        lambda value: f"{value:.0f} one at a time", least=True,
    )  # fmt: skip
    ratio(
        "closure in at most 1.5 times a semi-naive loop by hand",
        look("closure", ours, 2_000, "evaluate"), look("closure", hand, 2_000, "evaluate"), 1.5,
    )  # fmt: skip
    for rival in ("clingo", "egglog"):
        ratio(
            f"closure ahead of {rival}",
            look("closure", rival, 2_000, "evaluate"), look("closure", ours, 2_000, "evaluate"), 1, least=True,
        )  # fmt: skip
    ratio(
        "an edge less at least 20 times cheaper than from scratch",
        look("cut", ours, 2_000, "evaluate"), look("cut", ours, 2_000, "cut CPU median"), 20, least=True,
    )  # fmt: skip
    for way in ("one call", "a call each"):
        absolute(f"1000 rules in 0.5 s, {way}", look("rules", ours, 1_000, way), 0.5, lambda value: f"{value:.3g} s")
    for shape in work.growing(0):
        ratio(
            f"the 10000th costs at most twice the first: {shape}",
            look("growth", ours, 10_000, f"last {shape} CPU median"),
            look("growth", ours, 10_000, f"first {shape} CPU median"), 2,
        )  # fmt: skip
    for task in ("chain", "join3"):
        ratio(
            f"{task} at least 50 times faster than openstack-congress",
            look(task, old, 10_000, "evaluate"), look(task, ours, 10_000, "evaluate"), 50, least=True,
        )  # fmt: skip
    return out


def _micro(value: float) -> str:
    return f"{value * 1e6:.1f} µs"
