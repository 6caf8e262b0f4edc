# SPDX-License-Identifier: Apache-2.0
"""The ``congress`` command: its subcommands come in by the entry-point group ``congress.cli``."""

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cliff.app import App
from cliff.command import Command
from cliff.commandmanager import CommandManager

from congress import __version__
from congress.cmd.online.options import add_options, connection
from congress.datalog.diagnostics import DatalogError
from congress.tools.errors import ToolError

if TYPE_CHECKING:
    from congress.client import Connection

FAILED = 1
"""Exit code: something was found wrong, or a test failed."""

UNUSABLE = 2
"""Exit code: the command line or a file cannot be used."""


class Commands(CommandManager):  # type: ignore[misc]  # cliff has no type information
    """Finds commands by their entry points, and imports the one that is run: cliff's own imports all of them."""

    def load_commands(self, namespace: str) -> None:
        """Called once, with the entry-point group."""
        self.group_list.append(namespace)
        for entry in importlib.metadata.entry_points(group=namespace):
            self.commands[entry.name.replace("_", " ")] = entry


class CongressApp(App):  # type: ignore[misc]  # cliff has no type information
    """Work on policies and talk to a Congress daemon."""

    def __init__(self) -> None:
        super().__init__(
            description="Work on policies without a daemon, and talk to one.",
            version=__version__,
            command_manager=Commands("congress.cli"),
            deferred_help=True,
        )
        self.code = 0

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: dict[str, Any] | None = None
    ) -> argparse.ArgumentParser:
        """The options that come before the command."""
        # Without abbreviations: an option of a command could be one for an option here.
        given = {**(argparse_kwargs or {}), "allow_abbrev": False}
        parser: argparse.ArgumentParser = super().build_option_parser(description, version, given)
        add_options(parser)
        return parser

    @cached_property
    def cloud(self) -> "Connection":
        """The connection to the daemon; commands that need none never make it."""
        return connection(self.options)

    def configure_logging(self) -> None:
        """Messages go to the terminal as they are; ``-v`` shows more, ``--debug`` all."""
        super().configure_logging()
        logging.getLogger("stevedore").setLevel(logging.ERROR)

    def clean_up(self, cmd: Command, result: int, err: Exception | None) -> None:
        """Remember which exit code an error stands for."""
        del cmd, result
        if err is not None:
            self.code = UNUSABLE if isinstance(err, ToolError) else FAILED


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit code."""
    app = CongressApp()
    handlers = list(logging.getLogger().handlers)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        result = app.run(arguments or ["help"])  # without arguments, cliff would open a shell of its own
    except (DatalogError, ToolError) as error:  # with --debug, cliff lets them through
        app.LOG.error(str(error))
        result = FAILED
    finally:
        logging.getLogger().handlers[:] = handlers
    return app.code or int(result or 0)


if __name__ == "__main__":
    sys.exit(main())
