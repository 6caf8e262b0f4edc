# SPDX-License-Identifier: Apache-2.0
"""Arguments that several commands have in common."""

import argparse
import sys
from pathlib import Path

from congress.datalog.diagnostics import Diagnostic
from congress.tools.workspace import Workspace, open_workspace


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
            parsed.policies, getattr(parsed, "data", ()), parsed.schema, getattr(parsed, "now", None)
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
