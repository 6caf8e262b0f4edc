# SPDX-License-Identifier: Apache-2.0
"""``congress execute``, ``congress execution ...`` and ``congress execution set ...``"""

import argparse
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Final

from congress.client.executions import Execution
from congress.client.values import show, value_of
from congress.cmd.online.base import EXITS, OnlineCommand, OnlineLister, OnlineShow
from congress.cmd.online.inputs import assignment, written
from congress.cmd.online.numbers import count, seconds

_EXECUTION = "the execution's id"
_SET = "the set's id"
_FILTERS: Final[Mapping[str, str]] = {
    "state": "in this state, or in these: held,proposed",
    "reason": "with this reason: blast_radius, stale, ...",
    "policy": "of this policy, by its name",
    "service": "at this service, by its name",
    "action": "of this action, without its service",
    "set": "of this set",
}


def call_text(name: str, args: Mapping[str, Any]) -> str:
    """``park:stop("web1", force=true)``"""
    words = [_value(value) for value in args.get("positional") or ()]
    words += [f"{key}={_value(value)}" for key, value in (args.get("named") or {}).items()]
    return f"{name}({', '.join(words)})"


def _value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else show(value)


def moment(seconds: float | None) -> str:
    """A moment as people read it, in UTC; empty for one that has not come."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Execute(OnlineCommand):
    """Ask a service for an action.  Prints the id of the execution, and does not wait for its end unless told to.

    `congress service actions` lists what a service can do.
    """

    EXITS = {**EXITS, 1: "the server refused it, or with ``--wait`` it did not succeed"}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("action", metavar="SERVICE:ACTION", help="the action, such as nova:servers.pause")
        parser.add_argument("arguments", metavar="VALUE", nargs="*", help="its arguments in order")
        parser.add_argument(
            "--named", metavar="NAME=VALUE", type=assignment, action="append", default=[], help="a named argument"
        )
        parser.add_argument("--policy", metavar="POLICY", default="", help="as if this policy said so, under its guard")
        parser.add_argument("--wait", metavar="SECONDS", type=seconds, help="wait until it is over, at most so long")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        given = parsed_args
        positional = [value_of(word) for word in given.arguments]
        execution = self.cloud.executions.request(given.action, positional, dict(given.named), policy=given.policy)
        self.say(execution)
        return 0 if given.wait is None else self.outcome(execution, given.wait)

    def outcome(self, execution: str, timeout: float) -> int:
        """Wait for the end of an execution and say what it was; 0 when it succeeded."""
        found = self.cloud.executions.wait(execution, timeout)
        why = found.error or found.detail
        self.app.stderr.write(f"{found.state}{f': {why}' if why else ''}\n")
        if found.state in ("proposed", "held") and found.set:
            self.app.stderr.write(f"next: `congress execution set show {found.set}`\n")
        return 0 if found.state == "succeeded" else 1


class WaitExecution(Execute):
    """Wait until an execution is over, or waits for a person."""

    EXITS = {**EXITS, 0: "it succeeded", 1: "it did not"}

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)
        parser.add_argument("--seconds", metavar="NUMBER", type=seconds, default=60.0, help="at most so long (60)")

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return self.outcome(parsed_args.execution, parsed_args.seconds)


def _filter_arguments(parser: argparse.ArgumentParser) -> None:
    for name, text in _FILTERS.items():
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"only those {text}")


def _filters(parsed_args: argparse.Namespace) -> dict[str, str | None]:
    return {name: getattr(parsed_args, name) for name in _FILTERS}


class ListExecutions(OnlineLister):
    """List executions, newest first."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _filter_arguments(parser)
        parser.add_argument("--limit", metavar="NUMBER", type=count, default=100, help="at most so many (100)")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = islice(self.cloud.executions.list(**_filters(parsed_args)), parsed_args.limit)
        return self.listed(parsed_args, found)

    def listed(self, parsed_args: argparse.Namespace, executions: Iterator[Execution]) -> Any:
        """Columns and rows of executions."""
        table = parsed_args.formatter == "table"
        rows = (
            [
                one.id,
                call_text(one.name, one.args),
                self.state(one.state) if table else one.state,
                one.reason,
                one.policy,
                moment(one.created_at) if table else one.created_at,
            ]
            for one in executions
        )
        return ("id", "action", "state", "reason", "policy", "created_at"), rows


class ExportExecutions(OnlineCommand):
    """Print executions with their trails as JSON Lines, newest first: one object a line, however many there are."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _filter_arguments(parser)
        parser.add_argument("--output", metavar="FILE", help="write them to this file instead")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        found = self.cloud.executions.export(**_filters(parsed_args))
        lines = (json.dumps(one.raw, ensure_ascii=False) + "\n" for one in found)
        first = next(lines, "")  # a request that is refused leaves a file as it was
        if not parsed_args.output:
            self.app.stdout.writelines(chain((first,), lines))
            return
        with written(parsed_args.output) as file:
            file.writelines(chain((first,), lines))


class ShowExecution(OnlineShow):
    """Show an execution: what was asked for, by whom and why, and what became of it."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.executions.get(parsed_args.execution))

    def shown(self, parsed_args: argparse.Namespace, execution: Execution) -> Any:
        """Columns and values of one execution; the table leaves the proof and the trail to other commands."""
        if parsed_args.formatter != "table":
            return self.fields(parsed_args, execution.raw)
        shown = {name: value for name, value in execution.raw.items() if name not in ("proof", "trail")}
        times = {name: moment(value) for name, value in shown.items() if _is_moment(name, value)}
        return self.fields(parsed_args, {**shown, **times})


def _is_moment(name: str, value: Any) -> bool:
    return isinstance(value, int | float) and (name.endswith("_at") or name in ("deadline", "not_before"))


class ShowTrail(OnlineLister):
    """Show the trail of an execution: each change, when, by whom and why."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("execution", metavar="EXECUTION", help=_EXECUTION)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        trail = self.cloud.executions.get(parsed_args.execution).trail
        table = parsed_args.formatter == "table"
        rows = (
            [
                line.number,
                moment(line.at) if table else line.at,
                line.before,
                line.after,
                line.who,
                line.reason,
                line.detail,
            ]
            for line in trail
        )
        return ("number", "at", "before", "after", "who", "reason", "detail"), rows


class CancelExecution(ShowExecution):
    """Have an execution not be done."""

    repeats = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--detail", metavar="TEXT", default="", help="why, for the trail")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.executions.cancel(parsed_args.execution, parsed_args.detail))


class RetryExecution(CancelExecution):
    """Have an execution that failed, was cancelled or is in doubt done again; the guard decides about it anew."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.shown(parsed_args, self.cloud.executions.retry(parsed_args.execution, parsed_args.detail))


class SettleExecution(CancelExecution):
    """Tell what became of an execution whose outcome nobody knows."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("outcome", metavar="OUTCOME", choices=["succeeded", "failed"], help="succeeded or failed")

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        given = parsed_args
        return self.shown(parsed_args, self.cloud.executions.settle(given.execution, given.outcome, given.detail))


class ListSets(OnlineLister):
    """List the sets of executions that wait for a decision."""

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        return self.table(
            parsed_args, ("id", "reason", "size", "policies", "actions", "detail"), self.cloud.execution_sets.list()
        )


class ShowSet(ListExecutions):
    """Show the executions of a set, and how to approve or reject it."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("set", metavar="SET", help=_SET)

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.cloud.execution_sets.get(parsed_args.set)
        self.app.stderr.write(
            f"{found.reason}: {found.detail}\n"
            f"next: `congress execution set approve {found.id} --digest {found.digest}`,\n"
            f"      or `congress execution set reject {found.id}`\n"
        )
        return self.listed(parsed_args, iter(found.executions))


class ApproveSet(OnlineCommand):
    """Let a set of executions go: exactly the one that was looked at, which its digest names."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("set", metavar="SET", help=_SET)
        parser.add_argument(
            "--digest", metavar="DIGEST", required=True, help="as `congress execution set show` gave it"
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.cloud.execution_sets.approve(parsed_args.set, parsed_args.digest)


class RejectSet(OnlineCommand):
    """Have nothing of a set be done."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("set", metavar="SET", help=_SET)
        parser.add_argument("--detail", metavar="TEXT", default="", help="why, for the trail")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        self.cloud.execution_sets.reject(parsed_args.set, parsed_args.detail)
