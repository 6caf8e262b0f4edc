# SPDX-License-Identifier: Apache-2.0
"""Results as tables in reStructuredText, for people, and as JSON."""

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.engine.rivals import RIVALS
from benchmarks.engine.run import Result
from benchmarks.engine.targets import Outcome
from benchmarks.engine.tasks import TASKS, Figure, Task


def machine() -> dict[str, object]:
    """Where and with what the figures were taken."""
    versions = {}
    for package in ("clingo", "egglog", "duckdb"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "python": sys.version.split()[0],
        "system": platform.system(),
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def as_rst(results: Sequence[Result], outcomes: Sequence[Outcome], about: dict[str, object]) -> str:
    """The whole report."""
    parts = [_title("The engine's benchmarks", "="), _about(about)]
    if outcomes:
        rows = [[o.target, o.measured, {True: "yes", False: "**no**", None: "?"}[o.met]] for o in outcomes]
        parts += [_title("Targets", "-"), _table(["target", "measured", "met"], rows)]
    for task in TASKS:
        chosen = [result for result in results if result.task == task.name]
        if chosen:
            parts += [_title(task.title, "-"), task_table(task, chosen)]
    return "\n".join(parts)


def task_table(task: Task, results: Iterable[Result]) -> str:
    """One task: a row for each size and engine."""
    order = {rival.name: place for place, rival in enumerate(RIVALS)}
    ordered = sorted(results, key=lambda r: (r.size, order.get(r.engine, 99)))
    rows = []
    missing = []
    for result in ordered:
        if result.skipped:
            missing.append(f"* {result.engine} at {result.size} did not run: {result.skipped}")
            continue
        cells = [show(result.figure(figure.keys), figure) for figure in task.figures]
        answers = "**WRONG**" if result.wrong else "right"
        rows.append(
            [f"{result.size:,}".replace(",", " "), result.engine, *cells, _ratio(task, result, ordered), answers]
        )
        missing += [f"* {result.engine} at {result.size}: {wrong}" for wrong in result.wrong]
    head = ["size", "engine", *(figure.title for figure in task.figures), "to congress", "answers"]
    notes = [task.note, ""] if task.note else []
    table = [_table(head, rows)] if rows else []
    return "\n".join([*table, *notes, *missing, ""])


def _ratio(task: Task, result: Result, results: Iterable[Result]) -> str:
    """How the first figure stands to this project's."""
    ours = next((r for r in results if r.engine == "congress" and r.size == result.size), None)
    mine = ours.figure(task.figures[0].keys) if ours is not None else None
    other = result.figure(task.figures[0].keys)
    return f"{other / mine:.3g}" if mine and other else ""


def show(value: float | None, figure: Figure) -> str:
    """A figure with a unit that suits its size."""
    if value is None:
        return ""
    if figure.unit == "MiB":
        return f"{value:.0f} MiB"
    if figure.unit == "/s":
        return f"{value:,.0f} /s".replace(",", " ")
    if value < 1e-3:
        return f"{value * 1e6:.3g} µs"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def _about(about: dict[str, object]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in dict(about["versions"]).items())  # type: ignore[call-overload]  # benchmarks are not type-checked
    return (
        f"Python {about['python']}, {about['system']}, {about['cores']} cores of {about['processor']}, load average "
        f"{about['load']} at the start; {versions}. Medians of {about.get('runs', '?')} runs, each in a process of "
        "its own.\n"
    )


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max([len(row[at]) for row in [head, *rows]] + [1]) for at in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    # An empty first cell would continue the row above, so empty cells are a backslash.
    lines = [
        "  ".join((cell or "\\").ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    ]
    return "\n".join([rule, lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), rule, ""])
