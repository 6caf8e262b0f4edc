# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks.engine``: measure, print tables, write a report and a plot."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.engine import report
from benchmarks.engine.rivals import RIVALS
from benchmarks.engine.run import Result, Runner
from benchmarks.engine.targets import outcomes
from benchmarks.engine.tasks import TASKS


def main() -> int:
    options = _options()
    if options.redraw:
        stored = json.loads(options.redraw.read_text(encoding="utf-8"))
        results = [Result(**item) for item in stored["results"]]
        _write(results, stored["about"], options.out)
        return 0
    about = {**report.machine(), "runs": options.runs}
    chosen = [rival for rival in RIVALS if not options.engines or rival.name in options.engines]
    runner = Runner(options.timeout, install=not options.no_install)
    results = []
    for task in TASKS:
        if options.tasks and task.name not in options.tasks:
            continue
        for size in options.sizes or (task.quick if options.quick else task.sizes):
            found = list(runner.run(task, size, chosen, options.runs))
            results += found
            print(f"{task.title}\n{report.task_table(task, found)}", flush=True)
            _write(results, about, options.out)
    for outcome in outcomes(results):
        if outcome.met is not None:
            print(f"{'met    ' if outcome.met else 'NOT MET'} {outcome.target}: {outcome.measured}")
    broken = [r for r in results if r.wrong or (r.engine == "congress" and r.skipped)]
    return 1 if broken else 0


def _write(results: list[Result], about: dict[str, object], folder: Path) -> None:
    """Everything so far, after each table: a long run that is stopped has not been for nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"about": about, "results": [result.to_dict() for result in results]}
    (folder / "engine.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "engine.rst").write_text(report.as_rst(results, outcomes(results), about), encoding="utf-8")
    try:
        from benchmarks.engine import plot
    except ImportError as error:
        print(f"The plot was not drawn: {error} (pip install -e .[bench])", file=sys.stderr)
        return
    plot.save(results, folder / "engine")


def _options() -> argparse.Namespace:
    names = [task.name for task in TASKS]
    engines = [rival.name for rival in RIVALS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a few minutes in all")
    parser.add_argument("--tasks", type=_list(names), help=f"only these of {', '.join(names)}")
    parser.add_argument("--engines", type=_list(engines), help=f"only these of {', '.join(engines)}")
    parser.add_argument("--sizes", type=lambda text: [int(s) for s in text.split(",")], help="these sizes instead")
    parser.add_argument("--runs", type=int, default=3, help="how often each is run (default: 3)")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one run (default: 900)")
    parser.add_argument("--no-install", action="store_true", help="make no environment for openstack-congress")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where to write")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="write report and plot of earlier results again")
    return parser.parse_args()


def _list(known: list[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return read


if __name__ == "__main__":
    sys.exit(main())
