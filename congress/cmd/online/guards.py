# SPDX-License-Identifier: Apache-2.0
"""``congress guard ...``, ``congress breaker ...`` and ``congress dry-run``"""

import argparse
from typing import Any

from congress.client.guards import Breaker, Guard
from congress.cmd.online.base import OnlineLister, OnlineShow
from congress.cmd.online.executions import call_text, moment
from congress.cmd.online.inputs import assignment
from congress.cmd.online.screen import cell
from congress.tools.errors import ToolError


def _owner_arguments(parser: argparse.ArgumentParser) -> None:
    owner = parser.add_mutually_exclusive_group(required=True)
    owner.add_argument("--policy", metavar="POLICY", default="", help="the guard of this policy")
    owner.add_argument("--service", metavar="SERVICE", default="", help="the guard of this service")


class ListGuards(OnlineLister):
    """List the guards that have settings of their own."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.table(parsed_args, ("kind", "name", "own"), self.cloud.guards.list())


class ShowGuard(OnlineLister):
    """Show the settings of a guard, and which are its own."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _owner_arguments(parser)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.settings(parsed_args, self.cloud.guards.get(policy=parsed_args.policy, service=parsed_args.service))

    def settings(self, parsed_args: argparse.Namespace, guard: Guard) -> Any:
        """Columns and rows of a guard's settings."""
        form = parsed_args.formatter
        rows = ([name, cell(value, form), cell(name in guard.own, form)] for name, value in guard.settings.items())
        return ("setting", "value", "own"), rows


class SetGuard(ShowGuard):
    """Change settings of a guard: mode=propose max_rows=5.  The reference of the guard says what there is."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("settings", metavar="NAME=VALUE", nargs="+", type=assignment, help="a setting")
        parser.add_argument(
            "--replace", action="store_true", help="all settings that are not given become the defaults"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        owner, given = {"policy": parsed_args.policy, "service": parsed_args.service}, dict(parsed_args.settings)
        if owner.keys() & given.keys():
            raise ToolError("there are no settings called policy or service")
        guards = self.cloud.guards
        changed = guards.set(given, **owner) if parsed_args.replace else guards.change(**owner, **given)
        return self.settings(parsed_args, changed)


class ResetGuard(ShowGuard):
    """Have a policy or service go by the default settings."""

    repeats = False

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.guards.reset(policy=parsed_args.policy, service=parsed_args.service)
        return self.settings(parsed_args, found)


class DryRun(OnlineLister):
    """List the actions that a policy wants now, and what the guard would say to each; nothing happens."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help="the policy's name or id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        rows = (
            [call_text(f"{one.service}:{one.action}", one.args), one.verdict, one.reason, one.detail]
            for one in self.cloud.guards.dry_run(parsed_args.policy)
        )
        return ("action", "verdict", "reason", "detail"), rows


class ListBreakers(OnlineLister):
    """List the breakers of services that are not closed or have counted trouble."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.table(parsed_args, ("service", "state", "failures", "by", "detail"), self.cloud.breakers.list())


class ShowBreaker(OnlineShow):
    """Show the breaker of a service."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("service", metavar="SERVICE", help="the service's name or id")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.breakers.get(parsed_args.service))

    def shown(self, parsed_args: argparse.Namespace, breaker: Breaker) -> Any:
        """Columns and values of a breaker."""
        shown = dict(breaker.raw)
        if parsed_args.formatter == "table":
            shown |= {"since": moment(breaker.since), "until": moment(breaker.until)}
        return self.fields(parsed_args, shown)


class OpenBreaker(ShowBreaker):
    """Let nothing through to a service until somebody closes its breaker."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--detail", metavar="TEXT", default="", help="why")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.breakers.open(parsed_args.service, parsed_args.detail))


class CloseBreaker(OpenBreaker):
    """Let everything through to a service again."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.breakers.close(parsed_args.service, parsed_args.detail))
