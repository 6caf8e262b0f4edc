# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands have in common."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

from congress.datalog.diagnostics import Diagnostic
from congress.datalog.limits import Limits
from congress.tools.workspace import LIMITS, Workspace, open_workspace


def add_policies(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """The policy files, and what they need to be understood."""
    parser.add_argument(
        "policies",
        metavar="POLICY",
        nargs="+" if required else "*",
        type=Path,
        help="policy file: rules as text, or a YAML or JSON document; the policy is called like the file",
    )
    parser.add_argument(
        "-s",
        "--schema",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="tables of cloud services: {service: {table: [column, ...]}} in YAML or JSON",
    )
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """How far a rule may go before it is said to have no end."""
    parser.add_argument(
        "--max-table-rows",
        type=_positive(int),
        default=LIMITS.rows,
        metavar="ROWS",
        help=f"rows that one derived table may have; {LIMITS.rows:,} by default",
    )
    parser.add_argument(
        "--max-rule-seconds",
        type=_positive(float),
        default=LIMITS.seconds,
        metavar="SECONDS",
        help=f"time that one rule may take for one change; {LIMITS.seconds:g} by default",
    )


def limits_of(parsed: argparse.Namespace) -> Limits:
    """The limits that the arguments set."""
    return Limits(rows=parsed.max_table_rows, seconds=parsed.max_rule_seconds)


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not (value > 0 and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value

    number.__name__ = kind.__name__
    return number


def add_data(parser: argparse.ArgumentParser) -> None:
    """Rows to evaluate the policies over."""
    parser.add_argument(
        "-d",
        "--data",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="rows: a JSON, YAML or CSV file, or a folder of them",
    )
    parser.add_argument("--now", metavar="TIME", help="the time that rules see, as 2026-01-31T12:00:00Z")


def workspace_of(parsed: argparse.Namespace) -> Workspace:
    """The workspace that the arguments describe, with warnings printed."""
    with Progress("reading and evaluating"):
        workspace = open_workspace(
            parsed.policies,
            getattr(parsed, "data", ()),
            parsed.schema,
            getattr(parsed, "now", None),
            limits_of(parsed),
        )
    show_findings(workspace.findings() + workspace.passed_over())
    return workspace


def show_findings(findings: list[Diagnostic]) -> None:
    """Print findings where they do not mix with results."""
    for finding in findings:
        print(finding.render(), file=sys.stderr)


class Progress:
    """A line on the terminal for as long as something takes; nothing where there is no terminal."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._shown = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        self.say("")
        return self

    def say(self, text: str) -> None:
        """Tell how far it is."""
        if self._shown:
            print(f"\r\x1b[K{self._text} ... {text}", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
