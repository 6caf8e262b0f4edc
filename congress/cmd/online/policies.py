# SPDX-License-Identifier: Apache-2.0
"""``congress policy ...``"""

import argparse
from typing import Any

from congress.cmd.online.base import OnlineCommand, OnlineLister, OnlineShow
from congress.cmd.online.inputs import policy_of
from congress.cmd.online.screen import row_cell
from congress.tools.errors import ToolError

_POLICY = "the policy's name or id"


class ListPolicies(OnlineLister):
    """List policies, oldest first."""

    fields_to_filter = ("name", "kind", "description", "abbreviation", "id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.policies.list(**self.query(parsed_args))
        return self.table(parsed_args, ("name", "kind", "description", "id"), found)


class ShowPolicy(OnlineShow):
    """Show a policy; `congress rule list` shows its rules."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.policies.get(parsed_args.policy).raw)


class CreatePolicy(OnlineShow):
    """Make a policy, with all of its rules or not at all.

    The rules come from --rule and --file, or from a policy of the library.  The name and the options go before what
    the file or the library says.
    """

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", nargs="?", help="its name, unless a file or the library has it")
        parser.add_argument("--description", metavar="TEXT", help="what it is for")
        parser.add_argument("--kind", metavar="KIND", help="nonrecursive (the default) or action")
        parser.add_argument("--abbreviation", metavar="TEXT", help="a short form, at most five characters")
        parser.add_argument("--rule", metavar="RULE", action="append", default=[], help="a rule; can be repeated")
        parser.add_argument(
            "--file",
            metavar="FILE",
            help="rules as text, or a YAML or JSON document; - reads a text from standard input",
        )
        parser.add_argument("--library", metavar="NAME", help="make it from this policy of the library")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        given = self.given(parsed_args)
        for key in ("name", "description", "kind", "abbreviation"):
            if getattr(parsed_args, key) is not None:
                given[key] = getattr(parsed_args, key)
        if not (given.get("name") or parsed_args.library):
            raise ToolError("the policy needs a name: congress policy create NAME ...")
        return self.fields(parsed_args, _counted(self.cloud.policies.create(**given).raw))

    def given(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """What the file or the library says, as arguments of the client."""
        if parsed_args.library:
            if parsed_args.file or parsed_args.rule:
                raise ToolError("the rules come from the library: --library goes without --file and --rule")
            return {"library_policy": parsed_args.library}
        found = policy_of(parsed_args.file) if parsed_args.file else {}
        known = {key: found.get(key) or "" for key in ("name", "description", "kind", "abbreviation")}
        return {**known, "rules": [*(found.get("rules") or []), *parsed_args.rule]}


class UpdatePolicy(OnlineShow):
    """Change a policy: what is given, all of it or nothing.  `congress preview` tells beforehand what that would do."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("--description", metavar="TEXT", help="what it is for")
        parser.add_argument("--abbreviation", metavar="TEXT", help="a short form, at most five characters")
        parser.add_argument(
            "--file", metavar="FILE", help="the rules that take the place of all it has, as `policy create` reads them"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        rules = policy_of(parsed_args.file).get("rules") if parsed_args.file else None
        changed = self.cloud.policies.update(
            parsed_args.policy,
            description=parsed_args.description,
            abbreviation=parsed_args.abbreviation,
            rules=rules,
        )
        return self.fields(parsed_args, _counted(changed.raw))


class DeletePolicy(OnlineCommand):
    """Delete policies and their rules."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policies", metavar="POLICY", nargs="+", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return self.each(parsed_args.policies, self.cloud.policies.delete)


class PolicyRules(OnlineCommand):
    """Print a policy's rules as text that `congress check /dev/stdin` and `policy create --file -` read."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        for rule in self.cloud.rules.list(parsed_args.policy):
            about = ": ".join(part for part in (rule.name, rule.comment) if part)
            for line in about.splitlines():
                self.say(f"// {line}")
            self.say(rule.rule)


class PolicyStatus(OnlineShow):
    """Show how a policy is: its rules by state, its tables by number of rows, the actions that it wants."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.fields(parsed_args, self.cloud.policies.status(parsed_args.policy).raw)


class QueryPolicy(OnlineLister):
    """Answer a query in a policy's terms: error(x), or q(x) :- error(x), x > 3."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help=_POLICY)
        parser.add_argument("query", metavar="QUERY", help="an atom or a rule")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.policies.query(parsed_args.policy, parsed_args.query)
        if not found.columns:
            return ("holds",), [[row_cell(True, parsed_args.formatter)]] * len(found.rows)
        names = [name or f"c{number}" for number, name in enumerate(found.columns)]
        return names, ([row_cell(value, parsed_args.formatter) for value in row] for row in found.rows)


def _counted(shown: Any) -> Any:
    """A policy with how many rules it has instead of all of them."""
    return {**shown, "rules": len(shown["rules"])} if "rules" in shown else shown
