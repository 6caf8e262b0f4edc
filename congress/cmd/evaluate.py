# SPDX-License-Identifier: Apache-2.0
"""``congress eval``: what follows from these policies and these rows?"""

import argparse
import re
from collections.abc import Iterable

from cliff.lister import Lister

from congress.cmd.arguments import add_data, add_policies, workspace_of
from congress.cmd.cli import FAILED
from congress.datalog.engine import Engine
from congress.datalog.explain import show
from congress.datalog.tokens import WORD_VALUES
from congress.datalog.values import Bool, Row, Value, decode
from congress.tools.errors import ToolError
from congress.tools.exactness import inexact, off_rules
from congress.tools.questions import ask


class Eval(Lister):  # type: ignore[misc]  # cliff has no type information
    """Evaluate policies over rows from files, and answer a query.

    Without a query, all rows of all derived tables are listed.  -f chooses the output: table, json, csv, yaml or value.
    Where a rule goes over a limit, its table and all that follow from it are left out.
    """

    EXITS = {
        0: "the policies were evaluated, whatever the answer",
        1: "a policy or the query is wrong, or a rule went over a limit",
    }

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_policies(parser)
        add_data(parser)
        parser.add_argument("--query", metavar="TEXT", help="an atom, error(x), or a rule, q(x) :- error(x), ...")
        parser.add_argument(
            "--policy",
            metavar="NAME",
            help="the policy whose tables the query means (the first), or that are listed (all)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[tuple[str, ...], Iterable[tuple[object, ...]]]:
        workspace = workspace_of(parsed_args)
        engine = workspace.engine
        policy = parsed_args.policy or workspace.default_policy
        if policy not in engine.policies():
            raise ToolError(f"there is no policy {policy!r}; there are {', '.join(engine.policies())}")
        if parsed_args.query is None:
            self._code = FAILED if off_rules(engine) else 0
            return ("Table", "Row"), _all_rows(engine, parsed_args.policy)
        answer = ask(engine, policy, parsed_args.query)
        self._code = FAILED if off_rules(engine) else 0
        for error in answer.errors:
            self.app.stderr.write(f"passed over: {error.message} for {', '.join(map(show, error.inputs))}\n")
        columns = _distinct(answer.columns)
        plain = parsed_args.formatter in _PLAIN_TEXT
        holds = "true" if plain else True
        return columns or ("holds",), (
            tuple(_shown(value) if plain else decode(value) for value in row) or (holds,)
            for row in sorted(answer.rows, key=_row_order)
        )

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the answer; the exit code."""
        return super().run(parsed_args) or self._code


_UNMISTAKABLE = re.compile(r"[^\W\d][\w.:/@-]*")
_PLAIN_TEXT = ("table", "value", "csv")
"""Formats without kinds of values: booleans and null are shown as the language writes them."""


def _shown(value: Value) -> str | int | float:
    if value is None:
        return "null"
    return repr(value) if isinstance(value, Bool) else value


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    """Names of columns that are all different: formats such as JSON would lose one of two."""
    made: dict[str, None] = {}
    for number, name in enumerate(names):
        wanted = name or f"c{number}"
        while wanted in made:
            wanted += f"_{number}"
        made[wanted] = None
    return tuple(made)


def _all_rows(engine: Engine, policy: str | None) -> Iterable[tuple[str, str]]:
    doubtful = inexact(engine)
    for info in engine.tables(policy):
        if info.kind != "service" and info.key not in doubtful:
            for row in sorted(engine.rows(info.key), key=_row_order):
                yield info.key, ", ".join(map(_in_line, row))


def _in_line(value: Value) -> str:
    """A value among others: a text stands in quotes where it could be taken for something else."""
    if isinstance(value, str):
        return value if _UNMISTAKABLE.fullmatch(value) and value not in WORD_VALUES else show(value)
    return str(_shown(value))


def _row_order(row: Row) -> tuple[tuple[str, object], ...]:
    return tuple(map(_order, row))


def _order(value: object) -> tuple[str, object]:
    """Values of all kinds in some order."""
    return ("number", value) if isinstance(value, int | float) else (type(value).__name__, str(value))
