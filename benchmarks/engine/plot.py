# SPDX-License-Identifier: Apache-2.0
"""Results as pictures: time and memory over size, and how far each engine is from this project's."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.engine.rivals import RIVALS
from benchmarks.engine.run import Result
from benchmarks.engine.tasks import TASKS

COLOURS = dict(zip((rival.name for rival in RIVALS), matplotlib.colormaps["tab10"].colors, strict=False))


def save(results: Sequence[Result], path: Path) -> None:
    """Draw into ``path`` without a suffix: as SVG and as PNG."""
    figure = Figure(figsize=(13, 10))
    axes = figure.subplots(2, 2)
    _lines(axes[0][0], results, "load", ("load", "evaluate"), "load and evaluate, CPU s")
    _lines(axes[0][1], results, "load", ("rss",), "peak memory, MiB")
    _lines(axes[1][0], results, "change", ("change median",), "one changed row, median s")
    _bars(axes[1][1], results)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".svg"))
    figure.savefig(path.with_suffix(".png"), dpi=110)


def _lines(axis, results: Sequence[Result], task: str, keys: tuple[str, ...], title: str) -> None:
    for rival in RIVALS:
        points = sorted(
            (result.size, value)
            for result in results
            if (result.task, result.engine) == (task, rival.name) and (value := result.figure(keys)) is not None
        )
        if points:
            axis.plot(*zip(*points, strict=True), marker="o", label=rival.name, color=COLOURS[rival.name])
    axis.set(xscale="log", yscale="log", xlabel="servers", title=title)
    axis.grid(visible=True, which="major", alpha=0.3)
    if axis.lines:
        axis.legend(fontsize=8)


def _bars(axis, results: Sequence[Result]) -> None:
    """For each task at its largest common size: the first figure as a multiple of this project's."""
    labels, values, colours = [], [], []
    for task in TASKS:
        ours = {r.size: r for r in results if r.task == task.name and r.engine == "congress" and r.runs}
        if not ours or task.figures[0].unit != "s":
            continue
        for result in results:
            keys = task.figures[0].keys
            largest = max(
                (r.size for r in results if r.engine == result.engine and r.task == task.name and r.runs), default=0
            )
            if (
                result.task != task.name
                or result.engine == "congress"
                or result.size != largest
                or result.size not in ours
            ):
                continue
            mine, other = ours[result.size].figure(keys), result.figure(keys)
            if mine and other:
                labels.append(f"{task.name} {result.size}: {result.engine}")
                values.append(other / mine)
                colours.append(COLOURS[result.engine])
    axis.barh(labels[::-1], values[::-1], color=colours[::-1])
    axis.axvline(1, color="black", linewidth=1)
    axis.set(xscale="log", title="time as a multiple of congress (right of the line: slower)")
    axis.tick_params(axis="y", labelsize=7)
