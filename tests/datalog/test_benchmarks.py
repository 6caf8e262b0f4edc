# SPDX-License-Identifier: Apache-2.0
"""The benchmarks' engines that run anywhere still give right answers, and the work is always the same."""

import gc
import hashlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from benchmarks import cloud_workload
from benchmarks.engine import report, targets, tasks, work
from benchmarks.engine.rivals import by_hand, ours, reference, with_sqlite
from benchmarks.engine.run import Result


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The tasks pause it and freeze what they made: each usually has a process to itself."""
    yield
    gc.unfreeze()
    gc.enable()


def test_the_work_is_always_the_same() -> None:
    """Figures of other days and machines speak of these rows."""
    text = repr((cloud_workload.gen(1000), work.stream(work.cloud(1000), 200), work.edges()))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "de6c8544d5e2020d"


TASKS = ("load", "change", "batch", "mixed", "stream", "chain", "join3")
WHO_DOES_WHAT = [(e, task) for e in (ours, by_hand, with_sqlite) for task in TASKS if task not in e.CANNOT]


@pytest.mark.parametrize(("engine", "task"), WHO_DOES_WHAT)
def test_answers(engine: ModuleType, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work.stream, "__defaults__", (1000, 22))
    monkeypatch.setattr(work.single_changes, "__defaults__", (5, 30, 11))
    found = getattr(engine, task)(1000)
    expected = getattr(reference, task)(1000)
    assert found.figures
    assert found.answers
    assert found.answers.items() <= expected.answers.items()


def test_every_task_can_be_reported() -> None:
    """Tables and targets for results of all kinds: right, wrong, and not run."""
    results = []
    for task in tasks.TASKS:
        keys = [key for figure in task.figures for key in figure.keys]
        runs = [dict.fromkeys(keys, 0.5), dict.fromkeys(keys, 1.5)]
        for size in task.sizes:
            results.append(Result(task.name, "congress", size, runs))
            results.append(Result(task.name, "handwritten", size, runs, wrong=["error: 1 row"]))
            results.append(Result(task.name, "clingo", size, skipped="not installed"))
    outcomes = targets.outcomes(results)
    text = report.as_rst(results, outcomes, {**report.machine(), "runs": 2})
    assert {outcome.met for outcome in outcomes} == {True, False, None}
    assert "**WRONG**" in text
    assert "clingo at 1000000 did not run: not installed" in text
    assert results[0].figure(("evaluate",)) == 1.0
