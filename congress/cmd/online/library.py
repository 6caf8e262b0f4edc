# SPDX-License-Identifier: Apache-2.0
"""``congress library ...``: policies to choose from."""

import argparse
from typing import Any

from congress.cmd.online.base import OnlineCommand, OnlineLister, OnlineShow
from congress.cmd.online.inputs import policy_of
from congress.tools.errors import ToolError

_POLICY = "its name or id"


class ListLibrary(OnlineLister):
    """List the policies of the library; `congress policy create --library NAME` makes a policy of one."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        brief = parsed_args.formatter == "table"
        rows = (
            [one.name, one.description.partition(". ")[0] if brief else one.description, one.id]
            for one in self.cloud.library.list()
        )
        return ("name", "description", "id"), rows


class ShowLibrary(OnlineShow):
    """Show a policy of the library with its rules."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.library.get(parsed_args.policy)
        shown = dict(found.raw)
        if parsed_args.formatter == "table":
            shown["rules"] = "\n".join(rule.rule for rule in found.rules)
        return self.fields(parsed_args, shown)


class CreateLibrary(OnlineShow):
    """Put a policy into the library."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="rules as text, or a YAML or JSON document")
        parser.add_argument("--name", metavar="NAME", help="its name, unless the file has it")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        given = policy_of(parsed_args.file)
        name = parsed_args.name or given.get("name")
        if not name:
            raise ToolError("the policy needs a name: --name NAME")
        more = {key: given[key] for key in ("description", "kind", "abbreviation") if given.get(key)}
        return self.fields(parsed_args, self.cloud.library.create(name, given.get("rules") or [], **more).raw)


class DeleteLibrary(OnlineCommand):
    """Take policies out of the library; policies that were made of them stay."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policies", metavar="POLICY", nargs="+", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return self.each(parsed_args.policies, self.cloud.library.delete)
