# SPDX-License-Identifier: Apache-2.0
"""``congress bench``: what does a policy cost over these rows?"""

import argparse
import json

from cliff.command import Command

from congress.cmd.arguments import Progress, add_data, add_policies, limits_of, show_findings
from congress.cmd.cli import FAILED
from congress.tools.errors import ToolError
from congress.tools.exactness import off_rules
from congress.tools.timing import Timing, time_workspace
from congress.tools.workspace import read_workspace


class Bench(Command):  # type: ignore[misc]  # cliff has no type information
    """Time policies over data: loading all of it, and changing one row; and what each rule and table costs."""

    EXITS = {1: "a policy is wrong, or a rule went over a limit"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_policies(parser)
        add_data(parser)
        parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help="how to print the figures")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        if not parsed_args.data:
            raise ToolError("there is nothing to evaluate: name rows with --data")
        with Progress("loading, evaluating and changing rows"):
            limits = limits_of(parsed_args)
            workspace, read = read_workspace(
                parsed_args.policies, parsed_args.data, parsed_args.schema, parsed_args.now, limits
            )
            timing = time_workspace(workspace, read)
        show_findings(workspace.findings())
        print(json.dumps(_document(timing), indent=2) if parsed_args.format == "json" else _text(timing))
        return FAILED if off_rules(workspace.engine) else 0


def _text(timing: Timing) -> str:
    lines = [f"{timing.rows} rows loaded and evaluated in {timing.load:.3f} s", "", "one changed row:"]
    lines += [
        f"  {t.table:<40} {t.rows:>9} rows   median {t.median:8.1f} us   worst {t.worst:8.1f} us" for t in timing.tables
    ]
    lines += ["", "rules, dearest first:"]
    for rule in timing.profile.rules:
        text = " ".join(rule.text.split())
        kept = f" {rule.memory / 2**20:9.2f} MiB" if rule.memory else ""
        lines.append(
            f"  {rule.seconds * 1e3:10.2f} ms {rule.derivations:>10} derivations{kept}   {rule.id}: {text:.70}"
        )
    lines += ["", "tables, largest first:"]
    lines += [
        f"  {t.key:<40} {t.rows:>9} rows {t.memory / 2**20:9.2f} MiB  indexes: {len(t.indexes)}"
        for t in timing.profile.tables
    ]
    return "\n".join(lines)


def _document(timing: Timing) -> dict[str, object]:
    return {
        "rows": timing.rows,
        "load_seconds": timing.load,
        "one_row_changes": [
            {"table": t.table, "rows": t.rows, "median_us": t.median, "worst_us": t.worst} for t in timing.tables
        ],
        "rules": [
            {
                "id": r.id,
                "rule": r.text,
                "seconds": r.seconds,
                "derivations": r.derivations,
                "calls": r.calls,
                "bytes": r.memory,
            }
            for r in timing.profile.rules
        ],
        "tables": [
            {"table": t.key, "rows": t.rows, "bytes": t.memory, "indexes": t.indexes} for t in timing.profile.tables
        ],
    }
