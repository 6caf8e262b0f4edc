# SPDX-License-Identifier: Apache-2.0
"""What the commands that talk to a daemon have in common.

They run in two programs: ``congress``, and ``openstack`` as a plug-in.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from congress.client.errors import ClientError, Unreachable
from congress.cmd.online.numbers import pause
from congress.cmd.online.screen import cell, coloured, error_text, paint_state

if TYPE_CHECKING:
    from congress.client import Connection

EXITS: Final[Mapping[int, str]] = {
    1: "the server refused it",
    3: "the server cannot be reached, or failed",
    4: "the server does not know who asks, or does not let them",
    5: "there is nothing of that name",
}


class Online:
    """Runs a command against a daemon: errors become exit codes, ``--watch`` repeats it."""

    EXITS: ClassVar[Mapping[int, str]] = EXITS
    repeats: ClassVar[bool] = False
    app: Any

    @property
    def cloud(self) -> "Connection":
        """The connection."""
        manager = getattr(self.app, "client_manager", None)
        found: Connection = self.app.cloud if manager is None else manager.congress
        return found

    def get_epilog(self) -> str:
        """Nothing: cliff would look through all installed packages, which takes 0.2 s, to name this one."""
        return ""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)  # type: ignore[misc]  # a mix-in of commands
        if self.repeats:
            parser.add_argument("--watch", action="store_true", help="show it again and again, until Ctrl-C")
            parser.add_argument(
                "--interval",
                metavar="SECONDS",
                type=pause,
                default=2.0,
                help="how often --watch shows it, at least 0.1 (2)",
            )
        # On a terminal a table is as wide as that, elsewhere as it needs to be.
        parser.set_defaults(fit_width=self.app.stdout.isatty())
        self.add_arguments(parser)
        return parser

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; its exit code."""
        try:
            if self.repeats and parsed_args.watch:
                return self._watch(parsed_args)
            return int(super().run(parsed_args) or 0)  # type: ignore[misc]  # as above
        except ClientError as error:
            return self.told(error)

    def told(self, error: ClientError) -> int:
        """Print an error; its exit code.  With --debug it goes on as it is."""
        if getattr(self.app.options, "debug", False):
            raise error
        self.app.stderr.write(error_text(error, self.app.stderr))
        return self.code_of(error)

    def code_of(self, error: ClientError) -> int:
        """The exit code for an error."""
        return error.exit_code

    def _watch(self, parsed_args: argparse.Namespace) -> int:
        clears = coloured(self.app.stdout)
        try:
            while True:
                if clears:
                    self.app.stdout.write("\x1b[H\x1b[2J")
                super().run(parsed_args)  # type: ignore[misc]  # as above
                self.app.stdout.flush()
                time.sleep(parsed_args.interval)
        except KeyboardInterrupt:
            return 0

    def state(self, name: str) -> str:
        """The name of a state, coloured where a person looks at it."""
        return paint_state(self.app.stdout, name)


class OnlineCommand(Online, Command):  # type: ignore[misc]  # cliff has no type information
    """A command that prints texts of its own, or nothing."""

    def say(self, text: str) -> None:
        """A line of the result."""
        self.app.stdout.write(text + "\n")

    def each(self, names: Iterable[str], work: Callable[[str], object]) -> int:
        """Do something with each name, those after a failure too; the exit code of the first failure.

        :raises Unreachable: no answer comes: the others would wait for theirs as long.
        """
        codes = [self._tried(work, name) for name in names]
        return next((code for code in codes if code), 0)

    def _tried(self, work: Callable[[str], object], name: str) -> int:
        try:
            work(name)
        except Unreachable:
            raise
        except ClientError as error:
            return self.told(error)
        return 0


class OnlineLister(Online, Lister):  # type: ignore[misc]  # cliff has no type information
    """A command that lists things."""

    repeats = True
    fields_to_filter: ClassVar[Sequence[str]] = ()

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        if self.fields_to_filter:
            names = ", ".join(self.fields_to_filter)
            parser.add_argument(
                "--filter",
                metavar="FIELD=VALUE",
                type=_filter,
                action="append",
                default=[],
                help=f"only those with this value; given twice for one field: one of them. Fields: {names}",
            )
            parser.add_argument("--sort", metavar="FIELD[:desc]", help="the order; several with commas between")
        return parser

    def query(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What --filter and --sort ask of the server."""
        found: dict[str, Any] = {"sort": parsed_args.sort}
        for name, value in parsed_args.filter:
            found.setdefault(name, []).append(value)
        return found

    def table(
        self, parsed_args: argparse.Namespace, columns: Sequence[str], entries: Iterable[Any]
    ) -> tuple[Sequence[str], Iterable[Sequence[Any]]]:
        """Columns, and the attributes of entries that are called so."""
        formatter = parsed_args.formatter
        rows = ([cell(getattr(entry, name), formatter) for name in columns] for entry in entries)
        if "state" not in columns or formatter != "table":
            return columns, rows
        at = columns.index("state")
        return columns, ([*row[:at], self.state(str(row[at])), *row[at + 1 :]] for row in rows)


class OnlineShow(Online, ShowOne):  # type: ignore[misc]  # cliff has no type information
    """A command that shows one thing."""

    repeats = True

    def fields(self, parsed_args: argparse.Namespace, shown: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[Any]]:
        """An object as the server sent it."""
        formatter = parsed_args.formatter
        values = [cell(value, formatter) for value in shown.values()]
        if formatter == "table":
            values = [self.state(v) if k == "state" else v for k, v in zip(shown, values, strict=True)]
        return list(shown), values


class Report(OnlineCommand):
    """A command that prints a text for people, or the whole answer as JSON or YAML."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "-f", "--format", choices=["text", "json", "yaml"], default="text", help="how to print the answer"
        )
        return parser

    def report(self, parsed_args: argparse.Namespace, answer: Any, text: str) -> None:
        """Print the one or the other."""
        if parsed_args.format == "text":
            self.say(text)
        else:
            self.say(document(answer, parsed_args.format))


def _filter(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form FIELD=VALUE")
    return name, value


def document(answer: Any, form: str) -> str:
    """Anything that JSON has, as a document."""
    if form == "json":
        return json.dumps(answer, indent=2, ensure_ascii=False)
    import yaml  # noqa: PLC0415  # only where it is asked for

    text: str = yaml.safe_dump(answer, sort_keys=False, allow_unicode=True)
    return text.rstrip("\n")
