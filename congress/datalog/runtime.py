# SPDX-License-Identifier: Apache-2.0
"""A rule that is in force: its generated functions, how far it may go, what went wrong in it and what it cost."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
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
    profiling: bool = False
    # What rules had to say of themselves before the change under way (and before the changes that it is a part of).
    before: "Said" = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether nothing has to be measured around a call."""
        return self.clock is None and not self.profiling


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
    started: float = 0.0
    held: dict[tuple[str, tuple[int, ...]], Index] = field(default_factory=dict)
    state: RuleState = field(init=False)

    def __post_init__(self) -> None:
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
        if meter.profiling:
            return self._profiled(made, delta, sign, acc, skip, changed)
        if meter.clock is not None:
            self.started = meter.clock()
        return made.function(delta, sign, acc, skip, changed)

    def _profiled(self, made: Compiled, delta: Collection[Any], sign: int, acc: Any, skip: Any, changed: Any) -> Any:
        clock = self.meter.clock or float
        counts = isinstance(acc, dict)  # which other rules add to as well
        found: Any = defaultdict(int) if counts else acc
        before = len(found)
        self.started = clock()
        result = made.function(delta, sign, found, skip, changed)
        cost = self.cost
        cost.calls += 1
        cost.changed_rows += len(delta)
        cost.seconds += clock() - self.started
        if counts:
            for row, number in found.items():
                acc[row] += number
                cost.derivations += abs(number)
        else:
            cost.derivations += len(found) - before
        return result

    def count(self, occurrence: Occurrence, delta: Collection[Any], sign: int, acc: Any) -> None:
        """Add to ``acc`` by how much changed rows at a positive place change the counts of head rows."""
        skip = delta if occurrence.repeated else ()
        if occurrence.count is None:
            occurrence.count = self.compiled(occurrence.start, Purpose.COUNT).function
        if self.meter.idle:
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

    # -- called by generated code

    def _spend(self, work: int) -> int:
        """Account for rows visited by a call; how many it may have visited when it must ask again."""
        limits = self.meter.limits
        if work > limits.work:
            raise LimitExceeded(self.id, WORK_LIMIT, f"one evaluation visited more than {limits.work} rows")
        clock = self.meter.clock
        if clock is not None and limits.seconds is not None and clock() - self.started > limits.seconds:
            raise LimitExceeded(self.id, TIME_LIMIT, f"one evaluation took longer than {limits.seconds} s")
        return work + limits.chunk

    def note(self, literal: int, inputs: tuple[Any, ...], error: Exception) -> None:
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
