# SPDX-License-Identifier: Apache-2.0
"""``congress fmt``: one style for all policies."""

import argparse
import difflib
import sys
from pathlib import Path

from cliff.command import Command

from congress.cmd.cli import FAILED, UNUSABLE
from congress.datalog.diagnostics import DatalogError
from congress.datalog.formatter import format as format_program
from congress.datalog.parser import parse
from congress.tools.documents import read_text, write_text
from congress.tools.errors import ToolError


class Fmt(Command):  # type: ignore[misc]  # cliff has no type information
    """Format policy texts in place, keeping comments and meaning.

    With --check nothing is written, and the exit code is 1 when a file would change.  "-" formats what comes in.
    """

    EXITS = {
        1: "a text cannot be parsed (the others are formatted), or with ``--check`` a file would change",
        2: "a file cannot be read or written (the others are formatted)",
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="policy text, or - for standard input")
        parser.add_argument("--check", action="store_true", help="only tell which files would change")
        parser.add_argument("--diff", action="store_true", help="show what would change, and write nothing")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        codes = [self._code(file, parsed_args) for file in parsed_args.files]
        return next((code for code in codes if code), 0)

    def _code(self, file: Path, options: argparse.Namespace) -> int:
        """Format one file, or tell why not; the exit code that it stands for."""
        try:
            return FAILED if self._one(file, options) and options.check else 0
        except (ToolError, DatalogError) as error:
            self.app.stderr.write(f"{error}\n")
            return UNUSABLE if isinstance(error, ToolError) else FAILED

    def _one(self, file: Path, options: argparse.Namespace) -> bool:
        """Format one file; whether it was not in style."""
        stdin = str(file) == "-"
        before = sys.stdin.read() if stdin else read_text(file)
        after = format_program(parse(before, str(file)))
        if options.diff:
            lines = difflib.unified_diff(
                before.splitlines(True), after.splitlines(True), str(file), f"{file} (formatted)"
            )
            sys.stdout.writelines(lines)
        elif stdin and not options.check:
            sys.stdout.write(after)
        elif after != before:
            if not options.check:
                write_text(file, after)
            print(f"{'would format' if options.check else 'formatted'} {file}")
        return after != before
