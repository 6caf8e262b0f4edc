# SPDX-License-Identifier: Apache-2.0
"""Reactive enforcement: from rows of ``execute[...]`` tables to actions, through one seam.

:class:`Enforcer` decides *which* rows are to be acted on; an :class:`ActionSink` decides *whether and how*.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from congress.datalog.definitions import ActionTable, TableInfo
from congress.datalog.engine import Delta
from congress.datalog.values import Row, Value
from congress.executions.model import Call, Origin

ACTION_MARK: Final = ":execute["  # in the key of each table of execute[...] rows, and of no other


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One action with its own arguments.

    ``table`` and ``row`` say which row of which policy asks for it; ``table`` is empty when a user does.
    """

    service: str
    action: str
    positional: tuple[Value, ...] = ()
    named: Mapping[str, Value] = field(default_factory=dict)
    policy: str = ""
    table: str = ""
    row: Row = ()

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"


@dataclass(frozen=True, slots=True)
class Cause:
    """What made rows come or go: ``rows`` of services, ``rules``, ``time``, ``schema`` or the ``start``; and the ids in
    force.
    """

    kind: str
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def for_good(self) -> bool:
        """Whether what goes by it is gone; what goes with a rule or a schema may come back as the same row."""
        return self.kind in ("rows", "time")


START: Final = Cause("start")


Wanted = tuple[Call, Origin]
"""An action, and who wants it and why."""


class ActionSink(Protocol):
    """Where wanted actions go.  Every method is called on the runtime's worker thread and must not block."""

    def began(self, tables: Collection[str]) -> None:
        """The rules are loaded; these are the tables of actions that they make.

        One that is not among them has no rows any more.
        """

    def appeared(self, wanted: Sequence[Wanted], cause: Cause) -> None:
        """Rows that are true now, in one transaction; everything they depend on is known.

        With the cause ``start`` they may have been true before the start, and been acted on: nobody but the sink can
        know.
        """

    def present(self, table: str, rows: Collection[Row]) -> None:
        """All rows of a table, once it is sure what they are: after a start, or after its rules went and came back."""

    def vanished(self, places: Sequence[tuple[str, Row]], cause: Cause) -> None:
        """Rows that are true no more, as tables and rows; what they asked for and is not done has become pointless."""

    def forget(self, policy: str) -> None:
        """A policy was deleted; one of the same name that comes later is another one."""

    def requested(self, call: Call, origin: Origin) -> str:
        """A person asks for an action.  :returns: an id for it, at once, before it is done."""


def calls_of(table: TableInfo, rows: Iterable[Row]) -> list[ActionCall]:
    """The actions that rows of an action table ask for, each with its own arguments."""
    asked = table.action
    assert asked is not None  # callers pass action tables
    return [_call(table.key, asked, row) for row in rows]


def _call(key: str, asked: ActionTable, row: Row) -> ActionCall:
    return ActionCall(
        asked.service,
        asked.action,
        row[: asked.positional],
        dict(zip(asked.named, row[asked.positional :], strict=True)),
        key.partition(":")[0],
        key,
        row,
    )


class Knowledge(Protocol):
    """What the enforcer asks of the runtime."""

    def table(self, key: str) -> TableInfo | None:
        """What the engine knows of a table."""

    def rows(self, key: str) -> Collection[Row]:
        """The rows of a table."""

    def settled(self, key: str) -> bool:
        """Whether the rows that a table has are known to be true."""

    def sure(self, key: str) -> bool:
        """Whether a table is there and settled, and neither it nor any below it has a rule that waits for something."""

    def origins(self, table: TableInfo, rows: Sequence[Row], cause: Cause) -> Sequence[Wanted]:
        """The actions that rows ask for, and why."""


class Enforcer:
    """Picks the rows to act on.

    Nothing is done on the strength of a table whose rows are not known yet: ``not neutron:ports(...)`` holds for
    everything while the ports have not come.  So new rows wait until every table that their own table depends on is
    settled, and those that are not true any more by then are never acted on.  Rows that come with the first rows of a
    table at the start were true before the start, as far as anybody can tell; the sink is told of them apart.
    """

    def __init__(self, known: Knowledge, sink: ActionSink) -> None:
        self._knowledge = known
        self.sink = sink
        # Per table, the rows that wait, each with whether it became true since the start.
        self._waiting: dict[str, dict[Row, bool]] = {}
        self._unsure: set[str] = set()  # tables whose rows the sink is to be told as a whole
        self._known: dict[str, TableInfo] = {}  # tables that rows wait in or were acted on: their rules may go first

    @property
    def waiting(self) -> dict[str, int]:
        """How many rows wait, by table."""
        return {key: len(rows) for key, rows in self._waiting.items() if rows}

    @property
    def busy(self) -> bool:
        """Whether anything waits for tables to settle."""
        return bool(self._waiting or self._unsure)

    def begin(self, tables: Iterable[TableInfo]) -> None:
        """The stored rules are loaded; these are all the tables there are."""
        acting = {table.key for table in tables if table.action is not None}
        self._unsure |= acting
        self.sink.began(acting)

    def take(self, delta: Delta, cause: Cause, initial: bool = False) -> None:
        """Take in what changed.  :param initial: it is how things stood before the start."""
        for key, change in delta.items():
            if ACTION_MARK not in key:
                continue
            table = self._knowledge.table(key) or self._known.get(key)
            if table is None or table.action is None:
                continue
            self._known[key] = table
            waiting = self._waiting.setdefault(key, {})
            gone = [(key, row) for row in change.retractions if waiting.pop(row, None) is None]
            if gone:
                self.sink.vanished(gone, cause)
                if not cause.for_good:
                    self._unsure.add(key)
            waiting.update(dict.fromkeys(change.insertions, not initial))
        self.review(cause)

    def review(self, cause: Cause) -> None:
        """Act on waiting rows whose time has come: a table was settled."""
        before: list[Wanted] = []
        new: list[Wanted] = []
        for key, rows in list(self._waiting.items()):
            if rows and not self._knowledge.settled(key):
                continue
            del self._waiting[key]
            table = self._known[key] if self._knowledge.table(key) else self._known.pop(key)
            before += self._knowledge.origins(table, [row for row, since in rows.items() if not since], START)
            new += self._knowledge.origins(table, [row for row, since in rows.items() if since], cause)
        if before:
            self.sink.appeared(before, START)
        if new:
            self.sink.appeared(new, cause)
        for key in [key for key in self._unsure if self._knowledge.sure(key)]:
            self._unsure.discard(key)
            self.sink.present(key, list(self._knowledge.rows(key)))
