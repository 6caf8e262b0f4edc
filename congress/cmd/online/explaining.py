# SPDX-License-Identifier: Apache-2.0
"""``congress why``, ``why-not``, ``simulate``, ``preview``: questions that change nothing."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from congress.client.errors import ClientError
from congress.client.models import Change
from congress.client.values import show_row
from congress.cmd.online.base import EXITS, Report
from congress.cmd.online.executions import call_text
from congress.cmd.online.inputs import document_of, json_row, policy_of, row_of
from congress.cmd.online.screen import paint
from congress.tools.errors import ToolError

UNUSABLE: Final = 2
_REFUSED: Final = "the command line cannot be used, or the server refused the question"


def _row_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="POLICY:TABLE", help="a table of a policy, such as care:error")
    parser.add_argument(
        "row",
        metavar="VALUE",
        nargs="*",
        help='the row\'s values in order: vm-1 5 true null; "5" in quotes of its own is a text; or one JSON list',
    )


class _Question(Report):
    """A question about a row, to which the exit codes 0 and 1 are the answers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _row_arguments(parser)

    def code_of(self, error: ClientError) -> int:
        return UNUSABLE if error.exit_code == 1 else error.exit_code


class Why(_Question):
    """Tell why a row is in a table: the proof, down to the rows that services published."""

    EXITS = {**EXITS, 0: "the row is there", 1: "it is not", 2: _REFUSED}

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        row = row_of(parsed_args.row)
        found = self.cloud.why(parsed_args.table, row)
        if found.proof is None:
            if parsed_args.format != "text":
                self.report(parsed_args, found.raw, "")
            values = " ".join(parsed_args.row)
            self.app.stderr.write(
                f"the row is not in {parsed_args.table}\n"
                f"next: `congress why-not {parsed_args.table} {values}` tells what it lacks.\n"
            )
            return 1
        self.report(parsed_args, found.raw, found.proof.render())
        return 0


class WhyNot(_Question):
    """Tell why a row is not in a table: what each of the table's rules lacks, and which rows come near."""

    EXITS = {**EXITS, 0: "the row is not there", 1: "it is there", 2: _REFUSED}

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        found = self.cloud.why_not(parsed_args.table, row_of(parsed_args.row))
        self.report(parsed_args, found.raw, found.render(parsed_args.table))
        return 1 if found.holds else 0


class _Step(argparse.Action):
    """Collects steps of all kinds in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        steps = list(getattr(namespace, "steps", None) or [])
        kind = str(option_string).removeprefix("--").replace("-", "_")
        if kind in ("insert", "delete"):
            try:
                steps.append({kind: {values[0]: [json_row(values[1])]}})
            except argparse.ArgumentTypeError as error:
                parser.error(f"argument --{kind}: {error}")
        else:
            steps.append({kind: values})
        namespace.steps = steps


class Simulate(Report):
    """Tell what would hold after some steps; nothing changes, and no action is carried out.

    The steps are taken in the order of the options, or come from a file, or as a sequence of OpenStack Congress.
    """

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help="the policy that is asked, by name or id")
        parser.add_argument("query", metavar="QUERY", nargs="?", help="what is asked in the end: low(x), or a rule")
        for kind, text in (("insert", "a row comes"), ("delete", "a row goes")):
            parser.add_argument(
                f"--{kind}",
                dest="steps",
                action=_Step,
                nargs=2,
                metavar=("TABLE", "ROW"),
                help=f"step: {text}, as JSON",
            )
        for kind, text in (("add-rule", "a rule comes"), ("remove-rule", "a rule goes, by id, name or text")):
            parser.add_argument(f"--{kind}", dest="steps", action=_Step, metavar="RULE", help=f"step: {text}")
        parser.add_argument("--steps-file", metavar="FILE", help="steps as a list in YAML or JSON, as the API has them")
        parser.add_argument("--sequence", metavar="TEXT", help='steps in the language of sequences: item+("nut", 1)')
        parser.add_argument("--action-policy", metavar="POLICY", help="the policy that describes actions")
        parser.add_argument("--delta", action="store_true", help="only what changes in the answers")
        parser.add_argument("--trace", action="store_true", help="also tell what each step changes")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        steps = parsed_args.steps
        if parsed_args.steps_file:
            steps = [*(steps or []), *_list_in(parsed_args.steps_file)]
        if steps is None and parsed_args.sequence is None:
            raise ToolError("there is nothing to simulate: give --insert, --delete, --add-rule, ... or --sequence")
        found = self.cloud.simulate(
            parsed_args.policy,
            parsed_args.query,
            steps=steps,
            sequence=parsed_args.sequence,
            action_policy=parsed_args.action_policy or ("action" if steps is None else None),
            delta=parsed_args.delta,
            trace=parsed_args.trace,
        )
        lines = list(found.result)
        if parsed_args.query is None:
            lines += self._changes(found.changes)
        lines += _actions("would be carried out", found.actions)
        lines += [f"not known now: {table}" for table in found.unsettled]
        lines += [found.trace] if found.trace else []
        self.report(parsed_args, found.raw, "\n".join(lines) or "nothing")

    def _changes(self, changes: Mapping[str, Change]) -> Iterator[str]:
        return change_lines(self.app.stdout, changes)


class Preview(Report):
    """Tell what a change of a policy's rules would lead to on the live data; nothing changes."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("policy", metavar="POLICY", help="the policy, by name or id")
        parser.add_argument(
            "--rule", metavar="RULE", action="append", default=[], help="a rule to come; can be repeated"
        )
        parser.add_argument("--file", metavar="FILE", help="rules to come, as `policy create` reads them")
        parser.add_argument(
            "--remove", metavar="RULE", action="append", default=[], help="a rule to go, by id, name or text"
        )
        parser.add_argument("--replace", action="store_true", help="all rules go that are not among those to come")
        parser.add_argument("--kind", metavar="KIND", default="", help="of a policy that is not there yet")

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        rules = [*(policy_of(parsed_args.file)["rules"] if parsed_args.file else []), *parsed_args.rule]
        found = self.cloud.preview(
            parsed_args.policy, rules, remove=parsed_args.remove, replace=parsed_args.replace, kind=parsed_args.kind
        )
        lines = list(change_lines(self.app.stdout, found.changes))
        lines += _actions("would be carried out", found.actions)
        lines += _actions("would be asked for no more", found.withdrawn)
        lines += [
            f"rule {rule['state']}: {' '.join(rule['rule'].split())}"
            for rule in found.rules
            if rule["state"] != "active"
        ]
        lines += [f"not known now: {table}" for table in found.unsettled]
        self.report(parsed_args, found.raw, "\n".join(lines) or "nothing would change")


def change_lines(stream: Any, changes: Mapping[str, Change]) -> Iterator[str]:
    """Changes of tables as signed rows."""
    for table, change in changes.items():
        yield from (paint(stream, f"- {show_row(table, row)}", "red") for row in change.retractions)
        yield from (paint(stream, f"+ {show_row(table, row)}", "green") for row in change.insertions)
        left = change.inserted + change.retracted - len(change.insertions) - len(change.retractions)
        if left:
            yield f"  ... and {left} more rows of {table}"


def _actions(what: str, actions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for action in actions:
        yield f"{what}: {call_text(action['name'], action.get('args') or {})}"


def _list_in(path: str) -> list[Any]:
    found = document_of(path)
    if not isinstance(found, list):
        raise ToolError(f"{path} holds no steps: expected a list")
    return found
