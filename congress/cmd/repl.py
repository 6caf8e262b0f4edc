# SPDX-License-Identifier: Apache-2.0
"""``congress repl``: try rules, one line at a time."""

import argparse
import contextlib
import sys

from cliff.command import Command

from congress.cmd.arguments import add_data, add_policies, workspace_of
from congress.tools.console import Console


class Repl(Command):  # type: ignore[misc]  # cliff has no type information
    """Try rules interactively: type rules, facts, rows (+ and -) and queries (?); .help tells all.

    Lines from a pipe are taken as well, so that a session can be a script.
    """

    EXITS = {0: "the session ended, whatever was typed", 1: "a policy on the command line is wrong"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_policies(parser, required=False)
        add_data(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        console = Console(workspace_of(parsed_args))
        interactive = sys.stdin.isatty()
        if interactive:
            _complete(console)
            print("Rules, facts, +rows, -rows and ?queries; .help tells all, .quit ends.")
        while not console.finished:
            try:
                line = input(f"{console.policy}> " if interactive else "")
            except (EOFError, KeyboardInterrupt):
                break
            for text in console.run(line):
                print(text)
        return 0


def _complete(console: Console) -> None:
    """Completion of commands and tables, where the platform has readline."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: PLC0415 - not on every platform

        def complete(text: str, state: int) -> str | None:
            fitting = [word for word in console.words if word.startswith(text)]
            return fitting[state] if state < len(fitting) else None

        readline.set_completer(complete)
        readline.set_completer_delims(" (),")
        readline.parse_and_bind("tab: complete")
