# SPDX-License-Identifier: Apache-2.0
"""What a change that was only tried would lead to, as clients see it: plain JSON types."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from congress.datalog.definitions import TableInfo
from congress.datalog.engine import Delta, Engine
from congress.datalog.formatter import format_value
from congress.datalog.values import Row, decode, decode_row
from congress.policy.deltas import merge
from congress.policy.enforcement import ACTION_MARK, ActionCall, calls_of
from congress.policy.views import own_name

SHOWN: Final = 1000
"""How many rows that appear in a table, or vanish from it, are shown."""
TRACED: Final = 20
"""The same in a trace, for each step."""


@dataclass(slots=True)
class Outcome:
    """The changes of the steps so far.  Used while the engine is in the state to which they led."""

    engine: Engine
    hidden: str = ""  # the policy whose tables are only there for the simulation
    deltas: list[Delta] = field(default_factory=list)
    _actions: list[tuple[int, TableInfo, Row]] = field(default_factory=list)

    def add(self, delta: Delta) -> Delta:
        """Take in what the next step changed; what of it is to be seen."""
        shown = {key: change for key, change in delta.items() if key.partition(":")[0] != self.hidden}
        self.deltas.append(shown)
        for key, change in shown.items():
            if ACTION_MARK in key and change.insertions:
                table = self.engine.table(key)
                assert table is not None  # it has rows
                self._actions += [(len(self.deltas), table, row) for row in change.insertions]
        return shown

    @property
    def net(self) -> Delta:
        """What all steps together changed."""
        return merge(self.deltas)

    def changes(self) -> dict[str, Any]:
        """The net change by table, without the tables of actions."""
        return {
            key: {
                "insertions": _rows(change.insertions),
                "retractions": _rows(change.retractions),
                "inserted": len(change.insertions),
                "retracted": len(change.retractions),
            }
            for key, change in sorted(self.net.items())
            if ACTION_MARK not in key
        }

    def actions(self) -> list[dict[str, Any]]:
        """The actions that would fire, in order.

        ``step`` is the one after which; ``stays`` tells whether they are still asked for after the last.
        """
        return [
            {"step": step, **action_view(call), "stays": row in self.engine.rows(table.key)}
            for step, table, row in self._actions[:SHOWN]
            for call in calls_of(table, [row])
        ]


def action_view(call: ActionCall) -> dict[str, Any]:
    """An action that a policy asks for."""
    return {
        "policy": call.policy,
        "name": call.name,
        "args": {
            "positional": list(decode_row(call.positional)),
            "named": {name: decode(value) for name, value in call.named.items()},
        },
    }


def traced(policy: str, delta: Delta) -> Iterable[str]:
    """The lines of a trace that say what a step changed."""
    for key, change in sorted(delta.items()):
        for sign, rows in (("+", change.insertions), ("-", change.retractions)):
            for row in sorted(map(written, rows))[:TRACED]:
                yield f"    {sign} {own_name(policy, key)}{row}"
            if len(rows) > TRACED:
                yield f"    {sign} {own_name(policy, key)}: {len(rows) - TRACED} more rows"
    if not delta:
        yield "    nothing changes"


def written(row: Row) -> str:
    """A row as the language writes the arguments of a table."""
    return f"({', '.join(map(format_value, row))})"


def _rows(rows: Iterable[Row]) -> list[list[Any]]:
    return [list(decode_row(row)) for row in list(rows)[:SHOWN]]
