# SPDX-License-Identifier: Apache-2.0
"""What a change that was only tried would lead to, as clients see it: plain JSON types."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from congress.datalog.definitions import TableInfo
from congress.datalog.engine import Delta, Engine
from congress.datalog.formatter import format_value
from congress.datalog.values import Row, decode_row
from congress.executions.masks import MASK
from congress.executions.model import Call
from congress.policy.deltas import merge
from congress.policy.enforcement import ACTION_MARK, ActionCall, calls_of
from congress.policy.views import own_name

SHOWN: Final = 1000
"""How many rows that appear in a table, or vanish from it, are shown."""
TRACED: Final = 20
"""The same in a trace, for each step."""


Secrets = Callable[[str], Callable[[Call], Call]]
"""For a service, what marks the secret arguments of its calls."""


class Discretion:
    """Shows actions without their secret arguments.  One simulation: each service is asked once."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._marks: dict[str, Callable[[Call], Call]] = {}

    def view(self, asked: ActionCall) -> dict[str, Any]:
        """An action that a policy asks for."""
        return {"policy": asked.policy, "name": asked.name, "args": self._marked(asked).shown()}

    def row(self, table: TableInfo | None, row: Row) -> Row:
        """A row of a table of actions; all of it is secret where nobody knows what it asks for."""
        if table is None or table.action is None:
            return (MASK,) * len(row)
        [asked] = calls_of(table, [row])
        names = [*map(str, range(len(asked.positional))), *asked.named]
        secret = self._marked(asked).secret
        return tuple(MASK if name in secret else value for name, value in zip(names, row, strict=True))

    def _marked(self, asked: ActionCall) -> Call:
        if asked.service not in self._marks:
            self._marks[asked.service] = self._secrets(asked.service)
        return self._marks[asked.service](Call(asked.service, asked.action, asked.positional, asked.named))


@dataclass(slots=True)
class Outcome:
    """The changes of the steps so far.  Used while the engine is in the state to which they led."""

    engine: Engine
    discretion: Discretion
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
            {"step": step, **self.discretion.view(call), "stays": row in self.engine.rows(table.key)}
            for step, table, row in self._actions[:SHOWN]
            for call in calls_of(table, [row])
        ]


def traced(policy: str, delta: Delta, outcome: Outcome) -> Iterable[str]:
    """The lines of a trace that say what a step changed."""

    def shown(key: str, row: Row) -> str:
        return written(outcome.discretion.row(outcome.engine.table(key), row) if ACTION_MARK in key else row)

    for key, change in sorted(delta.items()):
        for sign, rows in (("+", change.insertions), ("-", change.retractions)):
            for row in sorted(shown(key, row) for row in rows)[:TRACED]:
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
