# SPDX-License-Identifier: Apache-2.0
"""Starts workers, each in a process of its own, and gathers what they say."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine import legacy_env
from benchmarks.engine.rivals import REFERENCE, Rival
from benchmarks.engine.tasks import Task

ROOT = Path(__file__).resolve().parents[2]
# The folder of this repository comes last: in the old release's environment its own congress package must be found.
BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from benchmarks.engine.worker import main; main(sys.argv[1], sys.argv[2], int(sys.argv[3]))"  # noqa: E501  # one line of program


@dataclass
class Result:
    """What one engine did with one task at one size."""

    task: str
    engine: str
    size: int
    runs: list[dict[str, float]] = field(default_factory=list)
    skipped: str = ""  # why it did not run
    wrong: list[str] = field(default_factory=list)  # answers that are not the reference's

    def figure(self, keys: Iterable[str]) -> float | None:
        """The median over the runs of the sum of some figures; None where a run has none of them."""
        sums = [sum(run[key] for key in keys if key in run) for run in self.runs if any(k in run for k in keys)]
        return statistics.median(sums) if sums else None

    def to_dict(self) -> dict[str, object]:
        return {
            "task": self.task, "engine": self.engine, "size": self.size, "runs": self.runs,
            "skipped": self.skipped, "wrong": self.wrong,
        }  # fmt: skip


class Runner:
    """Runs tasks; ``timeout`` in seconds bounds one worker."""

    def __init__(self, timeout: float, install: bool) -> None:
        self.timeout = timeout
        self.install = install
        self._legacy: Path | str | None = None

    def run(self, task: Task, size: int, rivals: Iterable[Rival], times: int) -> Iterator[Result]:
        """Every engine in turn, and that several times over, so that a slow minute of the machine hits them all."""
        reference = self._work(REFERENCE, task.name, size)
        results = {rival: Result(task.name, rival.name, size) for rival in rivals}
        for _ in range(times):
            for rival, result in results.items():
                if result.skipped:
                    continue
                found = self._work(rival, task.name, size)
                if "skipped" in found:
                    result.skipped = str(found["skipped"])
                    continue
                result.runs.append(found["figures"])
                result.wrong = _differences(found["answers"], reference.get("answers", {}))
        yield from results.values()

    def _work(self, rival: Rival, task: str, size: int) -> dict:
        if rival is REFERENCE and task in {"unread", "rules", "growth"}:
            return {}
        try:
            python = self._python(rival)
        except legacy_env.Unavailable as error:
            return {"skipped": str(error)}
        command = [str(python), "-P", "-W", "ignore", "-c", BOOT, str(ROOT), rival.name, task, str(size)]
        # Hashes of texts, and with them the order of sets, are the same in every run.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=self.timeout, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return {"skipped": f"not done after {self.timeout:.0f} s"}
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
            return {"skipped": f"failed: {lines[-1]}"}
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _python(self, rival: Rival) -> Path:
        if rival.environment != "legacy":
            return Path(sys.executable)
        if self._legacy is None:
            try:
                self._legacy = legacy_env.python(self.install)
            except legacy_env.Unavailable as error:
                self._legacy = str(error)
        if isinstance(self._legacy, str):
            raise legacy_env.Unavailable(self._legacy)
        return self._legacy


def _differences(answers: dict[str, str], reference: dict[str, str]) -> list[str]:
    return [
        f"{name}: {answer}, but should be {reference[name]}"
        for name, answer in answers.items()
        if name in reference and answer != reference[name]
    ]
