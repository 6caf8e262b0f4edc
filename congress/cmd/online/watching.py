# SPDX-License-Identifier: Apache-2.0
"""``congress watch``: changes of tables as they happen."""

import argparse
import json
from typing import Any

from congress.client.following import Back, Copies, Event, Gone, Snapshot
from congress.client.values import show_row
from congress.cmd.online.base import EXITS, OnlineCommand
from congress.cmd.online.numbers import count
from congress.cmd.online.screen import paint
from congress.tools.errors import ToolError


class Watch(OnlineCommand):
    """Follow tables, policies and services: a line for each row that comes or goes, until Ctrl-C.

    What is there at the beginning comes first.  When the connection breaks it is made again, and what changed
    meanwhile is shown then.
    """

    EXITS = {**EXITS, 0: "Ctrl-C, or the number of changes asked for"}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "tables", metavar="OWNER:TABLE", nargs="*", help="a table, such as care:error or nova:servers"
        )
        parser.add_argument("--policy", metavar="POLICY", action="append", default=[], help="all tables of a policy")
        parser.add_argument("--service", metavar="SERVICE", action="append", default=[], help="all tables of a service")
        parser.add_argument("--changes-only", action="store_true", help="leave out what is there at the beginning")
        parser.add_argument("--count", metavar="NUMBER", type=count, help="end after so many lines")
        parser.add_argument(
            "-f", "--format", choices=["text", "json"], default="text", help="json prints an object a line"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        given = parsed_args
        if not (given.tables or given.policy or given.service):
            raise ToolError("there is nothing to watch: name tables, or --policy or --service")
        copies, left = Copies(), given.count
        try:
            with self.cloud.follow(*given.tables, policies=given.policy, services=given.service) as events:
                for event in events:
                    for line in self._lines(event, copies, given):
                        self.say(line)
                        left = None if left is None else left - 1
                        if left == 0:
                            return 0
                    self.app.stdout.flush()
        except KeyboardInterrupt:
            pass
        return 0

    def _lines(self, event: Event, copies: Copies, given: argparse.Namespace) -> list[str]:
        if isinstance(event, Gone | Back):
            what = "gone" if isinstance(event, Gone) else "back"
            if given.format == "json":
                return [json.dumps({"event": what, "service": event.service})]
            return [paint(self.app.stdout, f"* {event.service} is {what}", "yellow")]
        first = isinstance(event, Snapshot) and not copies.knows(event.table)
        change = copies.apply(event)
        if first and given.changes_only:
            return []
        signed = [("-", row) for row in change.retractions] + [("+", row) for row in change.insertions]
        if given.format == "json":
            return [_object(sign, event.table, row) for sign, row in signed]
        colours = {"+": "green", "-": "red"}
        return [paint(self.app.stdout, f"{sign} {show_row(event.table, row)}", colours[sign]) for sign, row in signed]


def _object(sign: str, table: str, row: Any) -> str:
    event = "insertion" if sign == "+" else "retraction"
    return json.dumps({"event": event, "table": table, "row": row}, ensure_ascii=False)
