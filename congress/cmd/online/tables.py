# SPDX-License-Identifier: Apache-2.0
"""``congress table ...``, ``congress row list`` and ``congress push``."""

import argparse
from itertools import islice
from typing import Any

from congress.client.tables import PAGE_ROWS
from congress.cmd.online.base import OnlineCommand, OnlineLister
from congress.cmd.online.inputs import assignment, json_row, rows_of
from congress.cmd.online.numbers import count
from congress.cmd.online.screen import row_cell
from congress.tools.errors import ToolError

_TABLE = "the table as rules name it, such as care:error or nova:servers"


class ListTables(OnlineLister):
    """List the tables of a policy or of a service."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("owner", metavar="OWNER", help="a policy or a service, by name or id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.tables.list(parsed_args.owner)
        rows = (
            [
                table.id,
                table.kind,
                "" if table.rows is None else table.rows,
                ", ".join(c.name or "?" for c in table.columns),
            ]
            for table in found
        )
        return ("id", "kind", "rows", "columns"), rows


class ShowTable(OnlineLister):
    """Show the columns of a table."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("table", metavar="OWNER:TABLE", help=_TABLE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        columns = self.cloud.tables.columns(parsed_args.table)
        return self.table(parsed_args, ("name", "type", "nullable", "description"), columns)


class ListRows(OnlineLister):
    """List the rows of a table of a policy or of a service."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("table", metavar="OWNER:TABLE", help=_TABLE)
        parser.add_argument("--limit", metavar="NUMBER", type=count, help="at most so many rows")
        parser.add_argument(
            "--where",
            metavar="COLUMN=VALUE",
            type=assignment,
            action="append",
            default=[],
            help="only rows with this value, as text or JSON; can be repeated. Columns by name, or number from 0",
        )
        parser.add_argument(
            "--sort", metavar="COLUMN[:desc]", default="", help="the order; several with commas between"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        columns = self.cloud.tables.columns(parsed_args.table)
        given = parsed_args
        more = {"page": min(given.limit, PAGE_ROWS)} if given.limit else {}
        rows = self.cloud.rows.list(given.table, where=dict(given.where), sort=given.sort, **more)
        shown = [[row_cell(value, parsed_args.formatter) for value in row] for row in islice(rows, parsed_args.limit)]
        width = len(shown[0]) if shown else len(columns)
        names = [column.name for column in columns] if len(columns) == width else [""] * width
        return _unlike(names), shown


def _unlike(names: list[str]) -> list[str]:
    """Names for columns that no two have: where there is none, or a second of it, the column's number."""
    return [name if name and name not in names[:at] else f"c{at}" for at, name in enumerate(names)]


class Push(OnlineCommand):
    """Push rows to a table of a service that takes them (drivers push, and those with webhooks).

    The rows of the file become all rows of the table, unless --insert or --delete says which come and go.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("table", metavar="SERVICE:TABLE", help="the table, such as inventory:servers")
        parser.add_argument(
            "file",
            metavar="FILE",
            nargs="?",
            help="rows as a list in JSON or YAML, or CSV with a header; - reads standard input",
        )
        parser.add_argument(
            "--insert", metavar="ROW", type=json_row, action="append", default=[], help="a row to add, as JSON"
        )
        parser.add_argument(
            "--delete", metavar="ROW", type=json_row, action="append", default=[], help="a row to take away, as JSON"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        changes = bool(parsed_args.insert or parsed_args.delete)
        if changes == bool(parsed_args.file):
            raise ToolError("give a FILE with all rows, or --insert and --delete with those that change")
        if changes:
            self.cloud.rows.change(parsed_args.table, insert=parsed_args.insert, delete=parsed_args.delete)
        else:
            self.cloud.rows.replace(parsed_args.table, rows_of(parsed_args.file))
