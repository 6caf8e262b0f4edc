# SPDX-License-Identifier: Apache-2.0
"""``congress check``: is there anything wrong with these policies?"""

import argparse
import json

from cliff.command import Command

from congress.cmd.arguments import add_policies, limits_of
from congress.cmd.cli import FAILED
from congress.datalog.diagnostics import Diagnostic, PolicyError
from congress.tools.workspace import open_workspace


class Check(Command):  # type: ignore[misc]  # cliff has no type information
    """Check policies: syntax, safety, arities, columns and their types, stratification.

    Prints every finding with its place.  Rules that refer to a service without a schema are accepted; --strict counts
    what they wait for, and warnings, as errors.
    """

    EXITS = {0: "there is no error", 1: "there is one, or with ``--strict`` a warning or a rule that waits"}

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_policies(parser)
        parser.add_argument("--strict", action="store_true", help="warnings count as errors")
        parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help="how to print findings")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        findings: list[Diagnostic]
        rules = 0
        try:
            workspace = open_workspace(parsed_args.policies, (), parsed_args.schema, limits=limits_of(parsed_args))
            findings = workspace.findings()
            rules = len(workspace.rules)
        except PolicyError as error:
            findings = list(error.diagnostics)
        if parsed_args.format == "json":
            print(json.dumps([finding.to_dict() for finding in findings], indent=2))
        else:
            for finding in findings:
                print(finding.render())
        errors = sum(1 for finding in findings if finding.severity == "error" or parsed_args.strict)
        if errors:
            self.app.stderr.write(f"{errors} error{'s' if errors > 1 else ''}\n")
            return FAILED
        if parsed_args.format == "text":
            policies = len(parsed_args.policies)
            print(f"{_number(rules, 'rule', 's')} in {_number(policies, 'polic', 'ies', 'y')}: no errors")
        return 0


def _number(number: int, stem: str, many: str, one: str = "") -> str:
    return f"{number} {stem}{one if number == 1 else many}"
