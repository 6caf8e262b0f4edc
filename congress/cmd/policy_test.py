# SPDX-License-Identifier: Apache-2.0
"""``congress test``: run the tests written next to policies."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from cliff.command import Command

from congress.cmd.arguments import Progress, add_limits, limits_of
from congress.cmd.cli import FAILED, UNUSABLE
from congress.cmd.online.numbers import percent
from congress.datalog.diagnostics import DatalogError
from congress.datalog.limits import Limits
from congress.tools.errors import ToolError
from congress.tools.junit import write_junit
from congress.tools.policytests import (
    Broken,
    Coverage,
    Result,
    TestFile,
    find_test_files,
    read_test_files,
    run_file,
)  # fmt: skip
from congress.tools.watching import wait_for_change

_SHOWN = 300
"""Characters of a rule that no test covers that are shown."""


class Test(Command):  # type: ignore[misc]  # cliff has no type information
    """Run policy tests and tell which rules no test made derive anything."""

    __test__ = False  # not a pytest class

    EXITS = {0: "all tests passed", 1: "one failed, a policy is wrong, or coverage is too low"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument(
            "paths", metavar="PATH", nargs="*", type=Path, default=[Path()], help="test file, or folder (the current)"
        )
        parser.add_argument("-k", metavar="TEXT", default="", help="only tests with this text in their name")
        parser.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
        parser.add_argument("--fail-under", type=percent, default=0.0, metavar="PERCENT", help="least rule coverage")
        add_limits(parser)
        parser.add_argument("--watch", action="store_true", help="run again whenever a file changes")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        if not parsed_args.watch:
            return self._once(parsed_args)
        while True:
            watched: set[Path] = set()
            try:
                self._once(parsed_args, watched)
            except (ToolError, DatalogError) as error:
                print(error)
            watched |= {path for path in parsed_args.paths if path.is_file()}
            print("waiting for a change (Ctrl-C ends) ...", flush=True)
            try:
                wait_for_change(lambda: [*watched, *_folders(parsed_args.paths)])  # noqa: B023 - called at once
            except KeyboardInterrupt:
                return 0

    def _once(self, options: argparse.Namespace, watched: set[Path] | None = None) -> int:
        paths = find_test_files(options.paths)
        files, broken = read_test_files(paths)
        if watched is not None:
            watched.update(paths, (policy for file in files for policy in file.policies))
        for file in files:
            file.cases = [case for case in file.cases if options.k in case.name]
        coverage = Coverage()
        results = _run(files, coverage, broken, limits_of(options))
        failed = [result for result in results if result.failures]
        for result in failed:
            print(f"FAILED {result.case.file}: {result.case.name}")
            for failure in result.failures:
                print("\n".join("    " + line for line in failure.splitlines()))
        for item in broken:
            print(f"ERROR {item.file}", *str(item.error).splitlines(), sep="\n    ", file=sys.stderr)
        code = self._summary(results, broken, coverage, options.fail_under)
        if options.junit is not None:
            write_junit(options.junit, results, broken)
        return code

    def _summary(self, results: list[Result], broken: list[Broken], coverage: Coverage, fail_under: float) -> int:
        if not results and not broken:
            print("no test was chosen", file=sys.stderr)
            return UNUSABLE
        for file, line, text in coverage.missed:
            words = " ".join(text.split())
            print(f"not covered: {file}:{line}: {words if len(words) <= _SHOWN else f'{words:.{_SHOWN}} ...'}")
        wrong = sum(1 for result in results if result.failures)
        seconds = sum(result.seconds for result in results)
        not_run = f", {len(broken)} file{'s' if len(broken) > 1 else ''} not run" if broken else ""
        print(
            f"{len(results) - wrong} passed, {wrong} failed{not_run} in {seconds:.2f} s; "
            f"{len(coverage.covered)} of {len(coverage.rules)} rules covered ({coverage.percent:.0f} %)"
        )
        if any(isinstance(item.error, ToolError) for item in broken):
            return UNUSABLE
        if coverage.percent < fail_under:
            print(f"coverage is below {fail_under:g} %", file=sys.stderr)
            return FAILED
        return FAILED if wrong or broken else 0


def _run(files: list[TestFile], coverage: Coverage, broken: list[Broken], limits: Limits) -> list[Result]:
    """Run test files; those that cannot be run come to ``broken``."""
    results: list[Result] = []
    total = sum(len(file.cases) for file in files)
    with Progress("testing") as progress:
        for file in files:
            try:
                for result in run_file(file, coverage, limits):
                    results.append(result)
                    progress.say(f"{len(results)} of {total}")
            except (ToolError, DatalogError) as error:
                broken.append(Broken(file.path, error))
    return results


def _folders(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [path, *(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml", ".json", ".policy"))]
    return found
