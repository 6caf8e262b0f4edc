# SPDX-License-Identifier: Apache-2.0
"""How far a rule's body holds for a row that is absent: the literal that fails first, and with which bindings."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TypeAlias

from congress.datalog.codegen import UNDEFINED
from congress.datalog.core import Arg, Const, Equal, Item, Negative, Positive, Rule, Test
from congress.datalog.lookups import Lookups
from congress.datalog.plan import make_plan
from congress.datalog.safety import binds, needs
from congress.datalog.values import Row, Value

VISITS = 20_000
"""Rows looked at for one rule in the order of its text, and once more in the order of evaluation if that is too few."""

ALL_VISITS = 10 * VISITS
"""Rows looked at for all rules together."""

COMPARED = 1_000
"""Bindings among which those are looked for with which a comparison nearly holds."""

Bindings: TypeAlias = dict[str, Value]


class OutOfVisits(Exception):
    """More rows would have to be looked at than is reasonable for an explanation."""


@dataclass(slots=True)
class Failure:
    """Where a body fails: the literal, and bindings for which all before it hold.

    ``item`` is None when it does not fail.  ``as_written`` says whether "before" means the order of the text, and
    ``complete`` whether all was looked at.
    """

    item: Item | None
    bindings: list[Bindings] = field(default_factory=list)
    as_written: bool = True
    complete: bool = True


class Attempts:
    """Looks for the literals at which bodies fail."""

    def __init__(self, lookups: Lookups, limit: int) -> None:
        """:param limit: the most bindings of one failure."""
        self._lookups = lookups
        self._limit = limit
        self._all = ALL_VISITS
        self._visits = 0

    def failure(self, rule: Rule, known: Bindings) -> Failure:
        """Where the body of a rule that derives nothing for these bindings fails."""
        body = in_order(rule.body, known)
        try:
            self._grant()
            return self._first(replace(rule, body=tuple(body)), known)
        except OutOfVisits:
            self._grant()
            return self._furthest(rule, known)

    def _grant(self) -> None:
        self._visits = min(VISITS, self._all)

    def _visit(self) -> None:
        self._visits -= 1
        self._all -= 1
        if self._visits < 0:
            raise OutOfVisits

    # -- in the order of the text

    def _first(self, rule: Rule, known: Bindings) -> Failure:
        """The literal with which the body, taken from its beginning, holds no more.

        How long a beginning holds is found by halving; each is joined in the order that suits it.
        """
        body = rule.body
        holds, fails = 0, len(body)
        if not body:
            return Failure(None)
        while fails - holds > 1:
            middle = (holds + fails) // 2
            if next(self._solutions(replace(rule, body=body[:middle]), known), None) is None:
                fails = middle
            else:
                holds = middle
        item = body[holds]
        found: list[Bindings] = []
        with suppress(OutOfVisits):
            for bindings in islice(self._solutions(replace(rule, body=body[:holds]), known), COMPARED):
                found.append(bindings)  # what was found until then is kept
        if not found:
            raise OutOfVisits
        self._grant()
        nearest = self._nearest(item, found)
        if any(next(self._matches(item, bindings), None) is not None for bindings in nearest):
            return Failure(None)
        return Failure(item, nearest)

    def _solutions(self, rule: Rule, known: Bindings) -> Iterator[Bindings]:
        """The bindings for which a body holds."""
        return self._walk(rule, known, Failure(None))

    # -- in the order of evaluation

    def _furthest(self, rule: Rule, known: Bindings) -> Failure:
        """The failures that came furthest, as far as there is time to look."""
        failure = Failure(None, as_written=False)
        try:
            if next(self._walk(rule, known, failure), None) is not None:
                return Failure(None)
        except OutOfVisits:
            failure.complete = False
        if failure.item is not None:
            failure.bindings = self._nearest(failure.item, failure.bindings)
        return failure

    def _nearest(self, item: Item, found: Iterable[Bindings]) -> list[Bindings]:
        """The bindings with which a literal comes nearest to holding."""
        return heapq.nsmallest(self._limit, _distinct(found, item), key=lambda bindings: distance(item, bindings))

    def _walk(self, rule: Rule, known: Bindings, failure: Failure) -> Iterator[Bindings]:
        """The bindings for which a body holds; ``failure`` gets the failures that come furthest."""
        items = [step.item for step in make_plan(rule, None, known, self._lookups.tables)]
        furthest = -1
        way = [iter((known,))]
        while way:
            found = next(way[-1], None)
            if found is None:
                way.pop()
                continue
            at = len(way) - 1
            if at == len(items):
                yield found
                continue
            matches = self._matches(items[at], found)
            first = next(matches, None)
            if first is not None:
                way.append(chain((first,), matches))
            elif at >= furthest:
                if at > furthest:
                    furthest = at
                    failure.item, failure.bindings = items[at], []
                if len(failure.bindings) < COMPARED:
                    failure.bindings.append(found)

    # -- one literal

    def _matches(self, item: Item, known: Bindings) -> Iterator[Bindings]:
        """The bindings with which a literal holds."""
        if isinstance(item, Positive):
            return self._rows(item, known)
        self._visit()
        if isinstance(item, Negative):
            return iter(() if self.rows_of(item, known) else (known,))
        return iter(_equal(item, known) if isinstance(item, Equal) else _test(item, known))

    def rows_of(self, item: Negative, known: Mapping[str, Value]) -> list[Row]:
        """A row on which a negated literal fails, if there is one."""
        columns = fixed(item, known)
        return list(islice(self._lookups.match(item.table, tuple(columns), tuple(columns.values())), 1))

    def _rows(self, item: Positive, known: Bindings) -> Iterator[Bindings]:
        columns = fixed(item, known)
        free = [(c, arg) for c, arg in enumerate(item.args) if isinstance(arg, str) and c not in columns]
        for row in self._lookups.match(item.table, tuple(columns), tuple(columns.values())):
            self._visit()
            extended = dict(known)
            if all(extended.setdefault(arg, row[c]) == row[c] for c, arg in free):
                yield extended
                if not free:
                    return


def in_order(body: Sequence[Item], known: Iterable[str]) -> list[Item]:
    """Literals in the order of the text; one whose inputs are not bound yet comes as soon as they are."""
    bound, rest, order = set(known), list(body), []
    while rest:
        item = next(item for item in rest if not needs(item, bound))
        rest.remove(item)
        order.append(item)
        bound |= binds(item)
    return order


def fixed(item: Positive | Negative, known: Mapping[str, Value]) -> dict[int, Value]:
    """The columns whose values are known."""
    return {
        c: value_of(arg, known)
        for c, arg in enumerate(item.args)
        if isinstance(arg, Const) or (isinstance(arg, str) and arg in known)
    }


def value_of(arg: Arg, known: Mapping[str, Value]) -> Value:
    """The value of an argument that has one."""
    if isinstance(arg, Const):
        return arg.value
    assert arg is not None
    return known[arg]


def distance(item: Item, known: Mapping[str, Value]) -> float:
    """How far apart the numbers are that a literal compares; 0 where it compares none."""
    sides: tuple[Arg, ...] = ()
    if isinstance(item, Equal):
        sides = (item.left, item.right)
    elif isinstance(item, Test) and not item.outputs:
        sides = item.inputs
    values = [value_of(arg, known) for arg in sides if isinstance(arg, Const) or arg in known]
    if len(values) == 2:
        one, other = values
        if isinstance(one, int | float) and isinstance(other, int | float):
            return abs(one - other)
    return 0.0


def _distinct(found: Iterable[Bindings], item: Item) -> Iterator[Bindings]:
    """Those that are not the same for a literal."""
    names = needs(item, set()) | binds(item)
    seen = set()
    for bindings in found:
        values = tuple(bindings[name] for name in names if name in bindings)
        if values not in seen:
            seen.add(values)
            yield bindings


def _equal(item: Equal, known: Bindings) -> Iterator[Bindings]:
    for one, other in ((item.left, item.right), (item.right, item.left)):
        if isinstance(one, str) and one not in known:
            yield known | {one: value_of(other, known)}
            return
    if (value_of(item.left, known) == value_of(item.right, known)) != item.negated:
        yield known


def _test(item: Test, known: Bindings) -> Iterator[Bindings]:
    try:
        results = list(answers(item, known))
    except UNDEFINED:
        return
    if not item.builtin.outputs:
        if bool(results[0][0]) != item.negated:
            yield known
        return
    found = False
    for values in results:
        extended = dict(known)
        if all(
            arg is None or (arg.value if isinstance(arg, Const) else extended.setdefault(arg, value)) == value
            for arg, value in zip(item.outputs, values, strict=True)
        ):
            found = True
            if not item.negated:
                yield extended
    if item.negated and not found:
        yield known


def answers(item: Test, known: Mapping[str, Value]) -> Iterator[tuple[Value, ...]]:
    """What a built-in gives; of one without outputs, whether it holds.

    :raises UNDEFINED: when it has no answer.
    """
    builtin = item.builtin
    result = builtin.function(*[value_of(arg, known) for arg in item.inputs])
    if not builtin.outputs:
        yield (result,)
        return
    for one in result if builtin.many else (result,):
        yield (one,) if len(builtin.outputs) == 1 else tuple(one)
