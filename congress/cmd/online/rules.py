# SPDX-License-Identifier: Apache-2.0
"""``congress rule ...``"""

import argparse
from typing import Any

from congress.cmd.online.base import OnlineCommand, OnlineLister, OnlineShow
from congress.tools.errors import ToolError

_POLICY = "the policy's name or id"
_RULE = "the rule's id, or its name where only one has it"


class ListRules(OnlineLister):
    """List the rules of a policy, oldest first."""

    fields_to_filter = ("name", "rule", "comment", "id")

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.rules.list(parsed_args.policy, **self.query(parsed_args))
        return self.table(parsed_args, ("name", "rule", "comment", "id"), found)


class ShowRule(OnlineShow):
    """Show a rule."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("rule", metavar="RULE", help=_RULE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.rules.get(parsed_args.policy, parsed_args.rule).raw)


class CreateRule(OnlineShow):
    """Add a rule or a fact to a policy; it is in force at once."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument(
            "rule", metavar="TEXT", help="the rule, such as 'error(x) :- nova:servers(id=x, status=\"ERROR\")'"
        )
        parser.add_argument("--name", metavar="NAME", default="", help="a name for it")
        parser.add_argument("--comment", metavar="TEXT", default="", help="a comment on it")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        given = parsed_args
        made = self.cloud.rules.create(given.policy, given.rule, name=given.name, comment=given.comment)
        return self.fields(parsed_args, made.raw)


class UpdateRule(OnlineShow):
    """Change a rule's text, name or comment; what is not given stays."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("rule", metavar="RULE", help=_RULE)
        parser.add_argument("--text", metavar="TEXT", help="the rule from now on")
        parser.add_argument("--name", metavar="NAME", help="its name from now on")
        parser.add_argument("--comment", metavar="TEXT", help="the comment from now on")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        given = {name: getattr(parsed_args, name) for name in ("text", "name", "comment")}
        if not any(value is not None for value in given.values()):
            raise ToolError("nothing is to be changed: give --text, --name or --comment")
        return self.fields(parsed_args, self.cloud.rules.update(parsed_args.policy, parsed_args.rule, **given).raw)


class DeleteRule(OnlineCommand):
    """Delete rules of a policy."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("rules", metavar="RULE", nargs="+", help=_RULE)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return self.each(parsed_args.rules, lambda rule: self.cloud.rules.delete(parsed_args.policy, rule))


class RuleStatus(OnlineShow):
    """Show whether a rule is active, waits for something or is off, and what is wrong with it if so."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("rule", metavar="RULE", help=_RULE)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.rules.status(parsed_args.policy, parsed_args.rule).raw)
