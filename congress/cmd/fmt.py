# SPDX-License-Identifier: Apache-2.0
"""``congress fmt``: one style for all policies."""

import argparse
import difflib
import sys
from pathlib import Path

from cliff.command import Command

from congress.cmd.cli import FAILED
from congress.datalog.formatter import format as format_program
from congress.datalog.parser import parse
from congress.tools.documents import read_text


class Fmt(Command):  # type: ignore[misc]  # cliff has no type information
    """Format policy texts in place, keeping comments and meaning.

    With --check nothing is written, and the exit code is 1 when a file would change.  "-" formats what comes in.
    """

    EXITS = {1: "a text cannot be parsed, or with ``--check`` a file would change"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="policy text, or - for standard input")
        parser.add_argument("--check", action="store_true", help="only tell which files would change")
        parser.add_argument("--diff", action="store_true", help="show what would change, and write nothing")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        changed = [file for file in parsed_args.files if self._one(file, parsed_args)]
        return FAILED if changed and parsed_args.check else 0

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
                file.write_text(after, encoding="utf-8")
            print(f"{'would format' if options.check else 'formatted'} {file}")
        return after != before
