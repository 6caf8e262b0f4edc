# SPDX-License-Identifier: Apache-2.0
"""Rules as the engine runs them: names resolved to positions, expressions taken apart, constants typed.

An argument is a variable (its name), a constant, or ``None`` for "anything".  Variables whose name starts with
``$`` were made by :mod:`congress.datalog.resolve` for the values of expressions.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from congress.datalog.builtins.registry import Builtin
from congress.datalog.values import Value


@dataclass(frozen=True, slots=True)
class Const:
    """A constant argument."""

    value: Value


Arg: TypeAlias = str | Const | None


def variables(args: tuple[Arg, ...]) -> Iterator[str]:
    """The variables among arguments, in order, with repetitions."""
    return (arg for arg in args if isinstance(arg, str))


@dataclass(frozen=True, slots=True)
class Positive:
    """Holds for each row of the table that fits the arguments."""

    table: str
    args: tuple[Arg, ...]
    source: int = field(default=-1, compare=False)  # which literal of the written body


@dataclass(frozen=True, slots=True)
class Negative:
    """Holds when no row of the table fits the arguments."""

    table: str
    args: tuple[Arg, ...]
    source: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Test:
    """A built-in: its inputs are bound before it runs; outputs are bound by it, or compared."""

    __test__ = False  # not a pytest class

    builtin: Builtin
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    negated: bool = False
    source: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Equal:
    """``left = right``: binds whichever side is a free variable, else compares."""

    left: Arg
    right: Arg
    negated: bool = False
    source: int = field(default=-1, compare=False)


Item: TypeAlias = Positive | Negative | Test | Equal


@dataclass(frozen=True, slots=True)
class Rule:
    """``table(args) :- body``.  Its body can be evaluated in any order that binds inputs first."""

    table: str
    args: tuple[Arg, ...]
    body: tuple[Item, ...]

    def positives(self) -> Iterator[tuple[int, Positive]]:
        for position, item in enumerate(self.body):
            if isinstance(item, Positive):
                yield position, item

    def negatives(self) -> Iterator[tuple[int, Negative]]:
        for position, item in enumerate(self.body):
            if isinstance(item, Negative):
                yield position, item


@dataclass(frozen=True, slots=True)
class AggregateStage:
    """Groups the rows of ``source`` into rows of ``table``.

    ``output`` has one entry per column of ``table``: a constant, the position of a group column in ``source``, or
    the pair (function, position of its argument in ``source``).
    """

    source: str
    table: str
    output: tuple[Const | int | tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """``now op datetime + seconds``, each a column of the stage's source or a constant.

    op is ``<``, ``<=``, ``>`` or ``>=``; ``whole`` compares the time cut to whole seconds, as ``now(t)`` gives it.
    """

    op: str
    datetime: Const | int
    seconds: Const | int
    whole: bool = False
    source: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class TemporalStage:
    """Lets the rows of ``source`` into ``table`` while all guards hold; ``output`` are column positions kept."""

    source: str
    table: str
    output: tuple[int, ...]
    guards: tuple[Guard, ...]


Stage: TypeAlias = AggregateStage | TemporalStage


@dataclass(frozen=True, slots=True)
class Resolved:
    """What one written rule becomes: a rule, and the stages its rows pass before they reach ``table``."""

    rule: Rule
    stages: tuple[Stage, ...]
    table: str
    columns: tuple[str | None, ...]  # names that this rule's head gives to the table's columns
