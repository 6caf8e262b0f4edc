# SPDX-License-Identifier: Apache-2.0
"""A rule that is in force: its generated functions, how far it may go, what went wrong in it and what it cost."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from congress.datalog.closing import compile_closing, group_of
from congress.datalog.codegen import UNDEFINED, Compiled, Purpose, RuleState, compile_rule
from congress.datalog.core import Item, Negative, Positive, Rule, Test
from congress.datalog.limits import TIME_LIMIT, WORK_LIMIT, LimitExceeded, Limits
from congress.datalog.plan import best_start
from congress.datalog.table import Index, Table
from congress.datalog.values import Row

if TYPE_CHECKING:
    from congress.datalog.operators import Operator

KEPT_ERRORS = 5

FIRST = 50
"""Rows that a rule visits in a change before it first looks at the clock: each may take long."""

FEW = 20
"""Changed rows that are no reason to look at the clock: should they lead to many rows, these are."""

LOOKS = 100
"""So many times within its limit of time a rule has to look at the clock."""

PROBED = 100
"""So many rows are asked for between two looks at the clock, where each takes a call."""

PROBES = 2_000_000
"""Rows to visit at most to find out how much of a table a rule derives."""


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """A built-in that had no answer: which literal of the written body, for which inputs, and why."""

    literal: int
    inputs: tuple[Any, ...]
    message: str


@dataclass(eq=False, slots=True)
class Occurrence:
    """One place of a table in a rule's body."""

    start: int
    others: tuple[Table, ...]  # all must have rows, or nothing can be derived
    columns: tuple[int, ...]  # for a negated literal: those that are not "anything"
    whole: bool  # whether these are all columns
    repeated: bool  # whether the table stands elsewhere in the body in the same form
    group: Callable[[Row], Any] | None  # what a changed row hands on to the head's rows: see closing.py
    count: Callable[..., Any] | None = None  # the generated function that counts, once it is made


@dataclass(slots=True)
class Cost:
    """What a rule's evaluations took, while profiling.

    Derivations are those that came and went; of a recursive rule, of rows that its table did not have.
    """

    calls: int = 0
    changed_rows: int = 0
    derivations: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Meter:
    """The limits and the clock that all rules share."""

    limits: Limits
    clock: Callable[[], float] | None = None
    turn: int = 0  # the change under way: what a rule took is added up over one
    busy: float = 0.0  # seconds that were measured and told to rules
    profiling: bool = False
    bounded: bool = True  # whether limits of work and time hold
    timed: bool = field(init=False)  # whether there is one of time
    idle: bool = field(init=False)  # whether nothing has to be measured around a call
    # What rules had to say of themselves before the change under way (and before the changes that it is a part of).
    before: "Said" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.timed = self.clock is not None and self.limits.seconds is not None
        self.profile(on=self.profiling)

    def profile(self, *, on: bool) -> None:
        """Count and time what rules do, or do so no more."""
        self.profiling = on
        self.idle = not (on or self.timed)

    def beside(self) -> float:
        """The time less what was told to rules: it passes while the engine is busy beside them."""
        return self.clock() - self.busy if self.timed and self.clock is not None else 0.0

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """Let rules derive again what they once derived, whatever it takes."""
        before, self.bounded = self.bounded, False
        try:
            yield
        finally:
            self.bounded = before


Said: TypeAlias = "dict[RuleNode, tuple[list[EvaluationError], int]]"
"""What rules had to say of themselves: the errors that they keep, and how many there were."""


@dataclass(eq=False, slots=True)
class RuleNode:
    """One rule in force."""

    id: str
    policy: str
    core: Rule
    table: str  # where its rows end up, after the stages
    operators: tuple["Operator", ...]
    tables: Mapping[str, Table]
    meter: Meter
    recursive: frozenset[str] = frozenset()
    positives: dict[str, tuple[Occurrence, ...]] = field(default_factory=dict)
    negatives: dict[str, tuple[Occurrence, ...]] = field(default_factory=dict)
    functions: dict[tuple[int | None, Purpose], Compiled] = field(default_factory=dict)
    stale: dict[tuple[int | None, Purpose], Compiled] = field(default_factory=dict)
    errors: list[EvaluationError] = field(default_factory=list)
    error_count: int = 0
    cost: Cost = field(default_factory=Cost)
    turn: int = -1  # the change that the next four are of
    work: int = 0
    spent: float = 0.0  # seconds of calls that are done
    started: float = 0.0  # when the present call would have begun, had it been the only one; inf: ask when it matters
    looked: float = 0.0
    most: int = 0  # work
    limit: float = 0.0  # seconds
    held: dict[tuple[str, tuple[int, ...]], Index] = field(default_factory=dict)
    state: RuleState = field(init=False)

    def __post_init__(self) -> None:
        self.most = self.meter.limits.work
        self.limit = self.meter.limits.seconds or 0.0
        self.state = RuleState(self._spend, self.note, self.meter.limits.chunk, self.meter.limits.rows)
        self.positives = self._occurrences(Positive)
        self.negatives = self._occurrences(Negative)

    def _occurrences(self, form: type[Item]) -> dict[str, tuple[Occurrence, ...]]:
        found: dict[str, list[Occurrence]] = {}
        places = [(at, item) for at, item in enumerate(self.core.body) if isinstance(item, form)]
        for at, item in places:
            assert isinstance(item, Positive | Negative)
            others = tuple({i.table: self.tables[i.table] for p, i in self.core.positives() if p != at}.values())
            columns = tuple(c for c, arg in enumerate(item.args) if arg is not None)
            repeated = sum(1 for _, i in places if isinstance(i, Positive | Negative) and i.table == item.table) > 1
            found.setdefault(item.table, []).append(
                Occurrence(at, others, columns, len(columns) == len(item.args), repeated, group_of(self.core, at))
            )
        return {table: tuple(group) for table, group in found.items()}

    # -- functions

    def compiled(self, start: int | None, purpose: Purpose) -> Compiled:
        """The function for this changed literal and purpose, made at its first use."""
        key = (start, purpose)
        made = self.functions.get(key)
        if made is None:
            make = compile_closing if purpose is Purpose.CLOSE else compile_rule
            made = self.functions[key] = make(self.core, start, purpose, self.tables, self.state, self.recursive)
            old = self.stale.pop(key, None)
            if old is not None:
                old.release()  # after the new one has taken what indexes both use
        return made

    def prepare(self) -> None:
        """Compile all functions that row changes can call for, and make the indexes that takes."""
        for table, places in (*self.positives.items(), *self.negatives.items()):
            inner = table in self.recursive
            for occurrence in places:
                for purpose in (Purpose.NEW, Purpose.HEADS) if inner else (Purpose.COUNT,):
                    self.compiled(occurrence.start, purpose)
        for key, group in self.negatives.items():
            for occurrence in group:
                if occurrence.columns and not occurrence.whole:
                    self.index(self.tables[key], occurrence.columns)
        if self.recursive:
            self.compiled(None, Purpose.EXISTS)

    def run(
        self,
        start: int | None,
        purpose: Purpose,
        delta: Collection[Any],
        sign: int,
        acc: Any,
        skip: Collection[Any] = (),
        changed: Mapping[tuple[int, ...], Collection[Any]] | None = None,
    ) -> Any:
        """Join the changed rows with the rest of the body; ``acc`` receives what the purpose says.

        Returns what the function does: for ``CLOSE`` a rank, else None.
        """
        made = self.functions.get((start, purpose)) or self.compiled(start, purpose)
        meter = self.meter
        if meter.idle:
            return made.function(delta, sign, acc, skip, changed)
        if not meter.profiling:
            return self._measured(made.function, delta, sign, acc, skip, changed)
        return self._profiled(made, delta, sign, acc, skip, changed)

    def _profiled(self, made: Compiled, delta: Collection[Any], sign: int, acc: Any, skip: Any, changed: Any) -> Any:
        counts = isinstance(acc, dict)  # which other rules add to as well
        found: Any = defaultdict(int) if counts else acc
        before, spent = len(found), self.spent if self.turn == self.meter.turn else 0.0
        result = self._measured(made.function, delta, sign, found, skip, changed)
        cost = self.cost
        cost.calls += 1
        cost.changed_rows += len(delta)
        cost.seconds += self.spent - spent
        if counts:
            for row, number in found.items():
                acc[row] += number
                cost.derivations += abs(number)
        else:
            cost.derivations += len(found) - before
        return result

    def lacks(self, rows: list[Row], below: int) -> list[Row]:
        """Those of these rows that the rule does not derive from rows of its component that rank below."""
        derived = self.compiled(None, Purpose.EXISTS).function
        if self.meter.idle:
            return [row for row in rows if not derived(row, below)]

        def left(piece: list[Row]) -> list[Row]:
            return [row for row in piece if not derived(row, below)]

        found: list[Row] = []
        for at in range(0, len(rows), PROBED):
            found += self._measured(left, rows[at : at + PROBED])
        return found

    def probe(self, rows: Sequence[tuple[Row, int]]) -> float:
        """About how many of these rows the rule derives, without much effort; each has its rank.

        The indexes that takes are let go of again.
        """
        key = (None, Purpose.EXISTS)
        had = key in self.functions
        made = self.compiled(*key)
        found = looked = 0
        self.begin()
        self.most = PROBES
        try:
            for row, below in rows:
                found += made.function(row, below)
                looked += 1
                if self.meter.timed:
                    self._look(LOOKS / 10)
        except LimitExceeded:
            pass  # those looked at have to do
        finally:
            self.most = self.meter.limits.work
            self.begin()
            if not had:
                del self.functions[key]
                made.release()
        return found * len(rows) / looked if looked else 0.0

    def count(self, occurrence: Occurrence, delta: Collection[Any], sign: int, acc: Any) -> None:
        """Add to ``acc`` by how much changed rows at a positive place change the counts of head rows."""
        skip = delta if occurrence.repeated else ()
        if occurrence.count is None:
            occurrence.count = self.compiled(occurrence.start, Purpose.COUNT).function
        if self.meter.idle:
            occurrence.count(delta, sign, acc, skip)
        elif len(delta) < FEW and not self.meter.profiling:
            self.started = math.inf
            occurrence.count(delta, sign, acc, skip)
        else:
            self.run(occurrence.start, Purpose.COUNT, delta, sign, acc, skip)

    def count_all(self, sign: int, acc: Any) -> None:
        """Add to ``acc`` by how much everything that the rule derives changes the counts of head rows."""
        if self.positives:
            start, table = best_start(self.core, self.tables)
            self.run(start, Purpose.COUNT, table.rows, sign, acc)
        else:
            self.run(None, Purpose.COUNT, (), sign, acc)

    def replan(self) -> None:
        """Make the functions anew at their next use: the tables are not what they were planned for."""
        for group in self.positives.values():
            for occurrence in group:
                occurrence.count = None
        self.stale.update(self.functions)
        self.functions.clear()

    def release(self) -> None:
        """Let go of all functions and their indexes."""
        self.replan()
        for made in self.stale.values():
            made.release()
        for key, columns in self.held:
            self.tables[key].release(columns)
        self.stale.clear()
        self.held.clear()

    def index(self, table: Table, columns: tuple[int, ...]) -> Index:
        """An index that telling the rule of an absence needs, kept until the rule goes."""
        found = self.held.get((table.key, columns))
        if found is None:
            found = self.held[(table.key, columns)] = table.index(columns)
        return found

    # -- limits

    def begin(self) -> None:
        """Count work and time from nothing: for another change, or a question that is put outside of one."""
        self.turn = self.meter.turn
        self.work, self.spent = 0, 0.0
        if self.meter.timed and self.meter.clock is not None:
            self.started = self.looked = self.meter.clock()
            self.state.left = min(FIRST, self.meter.limits.chunk)

    def charge(self, seconds: float) -> None:
        """Add to the time that the rule took.

        :raises LimitExceeded: when that is too long.
        """
        self.spent += seconds
        self.meter.busy += seconds
        if self.meter.timed and self.meter.bounded and self.spent > self.limit:
            raise self._late()

    def _measured(self, call: Callable[..., Any], *args: Any) -> Any:
        meter = self.meter
        if self.turn != meter.turn:
            self.begin()
        clock = meter.clock or float
        self.looked = now = clock()
        self.started = now - self.spent
        result = call(*args)
        took = clock() - now
        meter.busy += took
        self.spent += took
        if meter.timed and meter.bounded and self.spent > self.limit:
            raise self._late()
        return result

    def _look(self, share: float = 1.0) -> None:
        """Look at the clock, and see to it that the next look is neither far off nor too near."""
        meter, state = self.meter, self.state
        seconds = self.limit
        assert meter.clock is not None
        now = meter.clock()
        if self.started == math.inf:
            self.started, self.looked = now - self.spent, now
        if meter.bounded and now - self.started > seconds / share:
            raise self._late()
        if (now - self.looked) * LOOKS > seconds:
            state.left = max(1, state.left // 8)
        elif state.left < meter.limits.chunk:
            state.left = min(2 * state.left, meter.limits.chunk)
        self.looked = now

    def _late(self) -> LimitExceeded:
        return LimitExceeded(self.id, TIME_LIMIT, f"one evaluation took longer than {self.limit} s")

    # -- called by generated code

    def _spend(self, left: int) -> int:
        """Account for what a call had ``left``, less than nothing; how many rows it may visit before it asks again."""
        visited = self.state.left - left
        if self.turn != self.meter.turn:
            self.begin()
        self.work += visited
        if self.work > self.most and self.meter.bounded:
            raise LimitExceeded(self.id, WORK_LIMIT, f"one evaluation visited more than {self.most} rows")
        if self.meter.timed:
            self._look()
        return self.state.left

    def note(self, literal: int, inputs: tuple[Any, ...], error: Exception) -> None:
        if not self.meter.bounded:
            return  # it was noted when it came
        before = self.meter.before
        if self not in before:
            before[self] = (list(self.errors), self.error_count)
        self.error_count += 1
        if len(self.errors) < KEPT_ERRORS:
            message = self._spoken(literal, inputs) or str(error) or type(error).__name__
            self.errors.append(EvaluationError(literal, inputs, message))

    def _spoken(self, literal: int, inputs: tuple[Any, ...]) -> str | None:
        """What the built-in itself says where generated code had an expression in its place."""
        for item in self.core.body:
            if isinstance(item, Test) and item.source == literal and item.builtin.inline is not None:
                try:
                    item.builtin.function(*inputs)
                except UNDEFINED as error:
                    return str(error)
                except Exception:  # noqa: BLE001 - it was called with the inputs of another literal's part
                    return None
        return None
