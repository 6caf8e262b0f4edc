# SPDX-License-Identifier: Apache-2.0
"""Comparisons of an age that something was computed with, as comparisons of the age itself.

``(age(t) - 60) * 2 > 600`` asks for ``age(t) > 360``.  Only constants can be moved to the other side, and only where
both comparisons hold for the same ages.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from congress.datalog.core import Arg, Const, Test

FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

# What undoes each built-in where the constant is its second input.
_UNDONE: Final[Mapping[str, Callable[[Fraction, Fraction], Fraction]]] = {
    "plus": operator.sub,
    "minus": operator.add,
    "mul": operator.truediv,
    "div": operator.mul,
    "ratio": operator.mul,
}
_TURNING: Final = {"plus", "mul"}  # whose inputs may change places
_LARGEST: Final = 1 << 53  # beyond it a result may be too large for a value


@dataclass(frozen=True, slots=True)
class Step:
    """``made = name(age, number)``, or with the inputs the other way round (``turned``)."""

    name: str
    number: Fraction
    made: str
    turned: bool


def step_of(test: Test, moving: Arg) -> Step | None:
    """The step that a literal is, of what moves and a constant."""
    name = test.builtin.name
    if name not in _UNDONE or test.negated or len(test.inputs) != 2 or not isinstance(test.outputs[0], str):
        return None
    left, right = test.inputs
    turned = right == moving
    number = number_of(left if turned else right)
    if number is None or (turned and name in ("div", "ratio")) or (not number and name not in ("plus", "minus")):
        return None
    return Step(name, number, test.outputs[0], turned and name not in _TURNING)


def number_of(arg: Arg) -> Fraction | None:
    """The number that an argument is, unless it is a very large one."""
    if isinstance(arg, Const) and isinstance(arg.value, int | float) and abs(arg.value) <= _LARGEST:
        return Fraction(arg.value)
    return None


def isolate(op: str, bound: Arg, steps: Sequence[Step]) -> tuple[str, Const] | None:
    """What ``op bound`` after these steps asks of the age; None where that cannot be said exactly."""
    value = number_of(bound)
    if value is None:
        return None
    for step in reversed(steps):
        if step.name == "div" and step.number.denominator == 1 and (value.denominator != 1 or op not in ("<", ">=")):
            return None  # of whole numbers the quotient is rounded down, which only the others do not notice
        if step.turned:
            value, op = step.number - value, FLIPPED[op]
            continue
        value = _UNDONE[step.name](value, step.number)
        if step.number < 0 and step.name in ("mul", "div", "ratio"):
            op = FLIPPED[op]
    if value.denominator == 1:
        return op, Const(value.numerator)
    return (op, Const(float(value))) if Fraction(float(value)) == value else None
