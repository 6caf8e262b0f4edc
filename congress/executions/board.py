# SPDX-License-Identifier: Apache-2.0
"""The ledger as tables on the bus, and as numbers."""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from congress.bus.publisher import TablePublisher
from congress.bus.service import exposed
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row
from congress.executions.breaker import Breaker
from congress.executions.model import Execution
from congress.executions.rows import settled_at
from congress.executions.states import State

EXECUTIONS: Final = TableSchema(
    (
        Column("id", "string", False, "id of the execution"),
        Column("policy", "string", True, "the policy that asked for it, or as which somebody did"),
        Column("service", "string", False, "the service that is to act"),
        Column("action", "string", False, "its action"),
        Column("state", "string", False, "what has become of it"),
        Column("reason", "string", True, "why it is held or proposed, was cancelled or failed"),
        Column("attempts", "integer", False, "how often it was sent to its service"),
        Column("created_at", "float", False, "when it was asked for, in seconds since 1970"),
        Column("finished_at", "float", True, "when it was over, in seconds since 1970"),
    ),
    "Executions that are not over, those whose row is still true, and the latest thousand of the others.",
)
HOLDS: Final = TableSchema(
    (
        Column("execution", "string", False, "id of the execution"),
        Column("set", "string", True, "the set that a person decides about, where one does"),
        Column("policy", "string", True, "the policy that asked for it"),
        Column("service", "string", False, "the service that would act"),
        Column("reason", "string", False, "what keeps it"),
        Column("since", "float", False, "since when, in seconds since 1970"),
        Column("until", "float", True, "until when, where that is known"),
    ),
    "Executions that a guard keeps or a person has to decide about.",
)
BREAKERS: Final = TableSchema(
    (
        Column("service", "string", False, "name of the service"),
        Column("state", "string", False, "closed, open or half_open"),
        Column("failures", "integer", False, "attempts in a row that met trouble"),
        Column("until", "float", True, "when an open one lets the next attempt through, in seconds since 1970"),
    ),
    "The circuit breakers of services that are not closed, or have counted trouble.",
)
TABLES: Final[Mapping[str, TableSchema]] = {"executions": EXECUTIONS, "holds": HOLDS, "breakers": BREAKERS}

LOADED: Final = "loaded"
"""A table of one row, which comes with all that was known when the ledger had read its database: before that the other
tables say nothing."""

SHOWN: Final = 1000
"""How many executions stay in the table that are over, and whose rows as well."""
BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0)
"""Upper bounds of the measured times, in seconds."""


class Board(TablePublisher):
    """Publishes executions, holds and breakers, and counts what became of executions.  Worker thread."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._rows: dict[str, Row] = {}
        self._holds: dict[str, Row] = {}
        self._breakers: dict[str, Row] = {}
        self._over: list[tuple[float, str]] = []  # those that nothing can come of any more, the oldest first
        self._settled: dict[str, float] = {}  # since when, by execution
        self._finished: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, list[float]] = {}

    @exposed
    def schema(self) -> dict[str, TableSchema]:
        """The tables of the ledger."""
        return dict(TABLES)

    def show(self, executions: Iterable[Execution]) -> None:
        """Publish executions as they are now."""
        rows, holds = _Change(self._rows), _Change(self._holds)
        for execution in executions:
            rows.put(execution.id, _row(execution))
            holds.put(execution.id, _hold(execution))
            self._sort(execution)
        self._drop_oldest(rows, len(self._over) - SHOWN)
        self.publish({"executions": rows.made(), "holds": holds.made()})

    def expire(self, before: float) -> None:
        """Executions of which nothing could come any more before the moment are forgotten."""
        rows = _Change(self._rows)
        self._drop_oldest(rows, bisect_left(self._over, (before, "")))
        self.publish({"executions": rows.made()})

    def show_loaded(self) -> None:
        """Publish that the tables say all from now on."""
        self.publish({LOADED: ({(1,)}, ())})

    def _sort(self, execution: Execution) -> None:
        """Keep the order in which executions leave the table; the database gives the same one after a start."""
        before = self._settled.pop(execution.id, None)
        if before is not None:
            del self._over[bisect_left(self._over, (before, execution.id))]
        settled = settled_at(execution)
        if settled is not None:
            self._settled[execution.id] = settled
            insort(self._over, (settled, execution.id))

    def _drop_oldest(self, rows: "_Change", count: int) -> None:
        """Take the oldest of those that are over out of the table."""
        for _, execution_id in self._over[: max(0, count)]:
            rows.put(execution_id, None)
            del self._settled[execution_id]
        del self._over[: max(0, count)]

    def count(self, executions: Iterable[Execution]) -> None:
        """Take note of executions that have just ended."""
        for execution in executions:
            if not execution.state.terminal:
                continue
            service = execution.call.service
            self._finished[service, execution.state.value] += 1
            if execution.state is State.SUCCEEDED and execution.finished_at is not None:
                self._measure(service, max(0.0, execution.finished_at - execution.created_at))

    def show_breakers(self, breakers: Mapping[str, Breaker], now: float) -> None:
        """Publish the breakers as they are now."""
        change = _Change(self._breakers)
        for service in self._breakers.keys() - breakers.keys():
            change.put(service, None)
        for service, breaker in breakers.items():
            change.put(service, (service, breaker.state(now).value, breaker.failures, breaker.until))
        self.publish({"breakers": change.made()})

    def _measure(self, service: str, seconds: float) -> None:
        found = self._seconds.setdefault(service, [0.0] * (len(BUCKETS) + 2))
        at = next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        found[at] += 1
        found[-1] += seconds

    def numbers(self) -> dict[str, Any]:
        """What is measured, as plain JSON types.

        ``seconds`` has, per service, how many took up to each of ``buckets``, how many longer, and the sum.
        """
        return {
            "finished": [[service, state, count] for (service, state), count in self._finished.items()],
            "buckets": list(BUCKETS),
            "seconds": {service: list(found) for service, found in self._seconds.items()},
        }


class _Change:
    """What becomes of one table."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self._rows = rows
        self._old: set[Row] = set()
        self._new: set[Row] = set()

    def put(self, key: str, row: Row | None) -> None:
        before = self._rows.pop(key, None)
        if row is not None:
            self._rows[key] = row
        if before == row:
            return
        if before is not None and before not in self._new:
            self._old.add(before)
        self._new.discard(before or ())
        if row is not None:
            self._new.add(row)

    def made(self) -> tuple[set[Row], set[Row]]:
        return self._new - self._old, self._old - self._new


def _row(execution: Execution) -> Row:
    return (
        execution.id,
        execution.origin.policy or None,
        execution.call.service,
        execution.call.action,
        execution.state.value,
        None if execution.reason is None else execution.reason.value,
        execution.attempts,
        execution.created_at,
        execution.finished_at,
    )


def _hold(execution: Execution) -> Row | None:
    if execution.state not in (State.HELD, State.PROPOSED) or execution.reason is None:
        return None
    return (
        execution.id,
        execution.set_id,
        execution.origin.policy or None,
        execution.call.service,
        execution.reason.value,
        execution.updated_at,
        execution.not_before,
    )
