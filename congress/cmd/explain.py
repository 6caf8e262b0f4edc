# SPDX-License-Identifier: Apache-2.0
"""``congress explain``: why is this row there, or why not; how is a rule evaluated?"""

import argparse
import json

from cliff.command import Command

from congress.cmd.arguments import add_data, add_policies, workspace_of
from congress.cmd.cli import FAILED
from congress.cmd.online.numbers import count
from congress.datalog.engine import Proof, WhyNot
from congress.datalog.parser import parse_query
from congress.datalog.syntax import Constant, Modal, Rule
from congress.datalog.values import Row
from congress.tools.errors import ToolError
from congress.tools.exactness import off_rules, refuse_inexact
from congress.tools.expectations import refuse_unknown_table
from congress.tools.workspace import Workspace


class Explain(Command):  # type: ignore[misc]  # cliff has no type information
    """Explain why a row is in a table, or why it is not.

    The row is given with --row 'error("vm1")'.  With --plan, show for every rule (or those for the row's table) the
    join order, the indexes used and the generated code.
    """

    EXITS = {0: "the row is there", 1: "it is not, a policy is wrong, or a rule went over a limit"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_policies(parser)
        add_data(parser)
        parser.add_argument("-r", "--row", metavar="ROW", help='the row, as in error("vm1") or alice:error("vm1")')
        parser.add_argument("--plan", action="store_true", help="how the rules are evaluated")
        formats = "how to print proofs; as JSON, 100 levels of them"
        parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help=formats)
        parser.add_argument("--limit", type=count, default=200, metavar="N", help="rows in a proof (200)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        if parsed_args.row is None and not parsed_args.plan:
            raise ToolError("say what to explain: --row 'error(\"vm1\")', or --plan")
        workspace = workspace_of(parsed_args)
        table, row = _row(parsed_args.row, workspace) if parsed_args.row is not None else (None, ())
        code = FAILED if off_rules(workspace.engine) else 0
        if parsed_args.plan:
            self._plans(workspace, table)
            return code
        assert table is not None
        refuse_inexact(workspace.engine, table)
        proof = workspace.engine.why(table, row, limit=parsed_args.limit)
        print(_show(proof or workspace.engine.why_not(table, row), parsed_args.format))
        return code if proof else FAILED

    def _plans(self, workspace: Workspace, table: str | None) -> None:
        for rule_id in workspace.rules:
            if table is None or workspace.engine.table_of(rule_id) == table:
                print(workspace.engine.plan(rule_id).render())


def _show(found: Proof | WhyNot, form: str) -> str:
    return json.dumps(found.to_dict(), indent=2) if form == "json" else found.render()


def _row(text: str, workspace: Workspace) -> tuple[str, Row]:
    query = parse_query(text, "--row")
    head = query.head if isinstance(query, Rule) else query
    if isinstance(head, Modal):
        raise ToolError("rows of execute[...] tables are explained by their key; see congress eval")
    values = tuple(term.value for term in head.args if isinstance(term, Constant))
    if len(values) != len(head.args) or head.named:
        raise ToolError(f"{text}: a row holds values only; texts need quotes")
    table = head.name if head.service is not None else f"{workspace.default_policy}:{head.table}"
    refuse_unknown_table(workspace.engine, table)
    known = workspace.engine.table(table)
    if known is not None and len(known.columns) != len(values):
        raise ToolError(f"{table} has {len(known.columns)} columns; the row has {len(values)} values")
    return table, values
