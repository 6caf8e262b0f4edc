# SPDX-License-Identifier: Apache-2.0
"""Directives that write the page on the command line from what the programs declare.

``.. declared-commands::``           all subcommands of ``congress``, with their options and exit codes
``.. declared-command-options::``    the options that come before the subcommand
``.. declared-database-commands::``  those of ``congress-db``
"""

import argparse
import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from textwrap import indent

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.cmd.cli import CongressApp
from congress.cmd.db import make_parser

GROUP = "congress.cli"
OWN_GROUPS = ("positional arguments", "options", "optional arguments")  # argparse's own names; the last is Python 3.9's
USUAL_EXITS = {0: "all went well", 1: "something was found wrong", 2: "the command line or a file cannot be used"}


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The argument parser of each subcommand, by its name."""
    app = CongressApp()
    found = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP)):
        name = entry.name.replace("_", " ")
        parser = entry.load()(app, None, cmd_name=name).get_parser(f"congress {name}")
        parser.exits = USUAL_EXITS | getattr(entry.load(), "EXITS", {})
        found[name] = parser
    return found


def options_text() -> Iterator[str]:
    """A definition for each option of ``congress`` itself."""
    parser = CongressApp().parser
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help is not argparse.SUPPRESS]
        if actions and group.title not in OWN_GROUPS:
            yield from (_escaped(f"{str(group.title).capitalize()}:"), "")
        for action in actions:
            yield _signature(action)
            yield indent(_escaped(_help(action, parser)), "    ")
            yield ""


def commands_text() -> Iterator[str]:
    """A section for each subcommand."""
    for name, parser in parsers().items():
        yield from (f".. _command-{name.replace(' ', '-')}:", "", f"congress {name}", "-" * len(f"congress {name}"), "")
        yield from (_escaped(part) for part in _paragraphs(parser.description or ""))
        # The width of the usage is that of the page, not of the terminal that builds it.
        parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100)
        yield from ("", ".. code-block:: text", "", indent(_usage(parser), "   "), "")
        for group in parser._action_groups:  # argparse has no public way to walk them
            actions = [a for a in group._group_actions if a.help is not argparse.SUPPRESS and a.dest != "help"]
            if actions and group.title not in OWN_GROUPS:
                yield from (_escaped(f"{str(group.title).capitalize()}:"), "")
            for action in actions:
                yield _signature(action)
                yield indent(_escaped(_help(action, parser)) or "(no more to say)", "    ")
                yield ""
        yield "Ends with " + "; ".join(f"``{code}``: {why}" for code, why in parser.exits.items()) + "."  # type: ignore[attr-defined]
        yield ""


def database_text() -> Iterator[str]:
    """A definition for each subcommand of ``congress-db``."""
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for shown in action._choices_actions:
                arguments = [a.dest.upper() for a in action.choices[shown.dest]._actions if a.dest != "help"]
                yield f"``{' '.join(['congress-db', shown.dest, *arguments])}``"
                yield indent(_escaped(_help(shown, action.choices[shown.dest])), "    ")
                yield ""


def _usage(parser: argparse.ArgumentParser) -> str:
    return parser.format_usage().replace("\n" + " " * len("usage: "), "\n").removeprefix("usage: ")


def _paragraphs(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text.strip()):
        yield " ".join(part.split())
        yield ""


def _signature(action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    value = value if isinstance(value, str) else " ".join(value)
    if not action.option_strings:
        return f"``{value}``"
    shown = f" {value}" if action.nargs != 0 else ""
    return ", ".join(f"``{option}{shown}``" for option in action.option_strings)


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = " ".join(parser._get_formatter()._expand_help(action).split()) if action.help else ""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".") if text else ""


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", text)


class Commands(Declared):
    source = "declared-commands"

    def lines(self) -> Iterable[str]:
        return commands_text()


class CommandOptions(Declared):
    source = "declared-command-options"

    def lines(self) -> Iterable[str]:
        return options_text()


class DatabaseCommands(Declared):
    source = "declared-database-commands"

    def lines(self) -> Iterable[str]:
        return database_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    for directive in (Commands, CommandOptions, DatabaseCommands):
        app.add_directive(directive.source, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
