# SPDX-License-Identifier: Apache-2.0
"""Comparisons: of two numbers, two strings or two booleans."""

from typing import Any

from congress.datalog.builtins.kinds import show
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, fails, gives, holds, undefined
from congress.datalog.values import Value

comparison = Shelf(
    "comparison",
    "Infix forms: ``a < b``, ``a <= b``, ``a > b``, ``a >= b``, ``a = b``, ``a != b``. Ordering two "
    "values of different kinds, or null, is undefined. Strings are ordered by their code points, and "
    "``false`` comes before ``true``.",
)


def _unordered(a: Value, b: Value) -> BuiltinError:
    return BuiltinError(f"{show(a)} and {show(b)} have no order")


@comparison(
    "lt(a: comparable, b: comparable)",
    holds("lt(1, 2.5)"),
    holds('lt("abc", "abd")'),
    fails("lt(2, 2.0)"),
    undefined('lt(1, "2")'),
    undefined("lt(null, 1)"),
    inline="{0} < {1}",
)
def lt(a: Any, b: Any) -> bool:
    """The first is less than the second."""
    try:
        return bool(a < b)
    except TypeError as error:
        raise _unordered(a, b) from error


@comparison(
    "lteq(a: comparable, b: comparable)",
    holds("lteq(2, 2.0)"),
    fails("lteq(3, 2)"),
    undefined("lteq(true, 1)"),
    inline="{0} <= {1}",
)
def lteq(a: Any, b: Any) -> bool:
    """The first is less than the second, or equal to it."""
    try:
        return bool(a <= b)
    except TypeError as error:
        raise _unordered(a, b) from error


@comparison(
    "gt(a: comparable, b: comparable)",
    holds("gt(3, 2)"),
    holds("gt(true, false)"),
    fails('gt("a", "b")'),
    undefined('gt("10", 9)'),
    inline="{0} > {1}",
)
def gt(a: Any, b: Any) -> bool:
    """The first is greater than the second."""
    try:
        return bool(a > b)
    except TypeError as error:
        raise _unordered(a, b) from error


@comparison(
    "gteq(a: comparable, b: comparable)",
    holds("gteq(3, 3)"),
    fails("gteq(-1, 0.5)"),
    undefined("gteq(null, null)"),
    inline="{0} >= {1}",
)
def gteq(a: Any, b: Any) -> bool:
    """The first is greater than the second, or equal to it."""
    try:
        return bool(a >= b)
    except TypeError as error:
        raise _unordered(a, b) from error


@comparison(
    "equal(a: any, b: any)",
    holds("equal(1, 1.0)"),
    holds("equal(null, null)"),
    fails('equal(1, "1")'),
    fails("equal(1, true)"),
    inline="{0} == {1}",
)
def equal(a: Value, b: Value) -> bool:
    """The two are one value.  Values of different kinds are never equal, and null equals null.

    It compares two values that are known; ``a = b`` can also give a variable its value.
    """
    return a == b


@comparison(
    "max(a: comparable, b: comparable -> larger: comparable)",
    gives("max(2, 3.5, x)", x=3.5),
    gives('max("a", "b", x)', x="b"),
    undefined('max(1, "a", x)'),
)
def larger(a: Any, b: Any) -> Any:
    """The larger of the two.  (``max(x)`` with one variable, in a rule's head, is the aggregate.)"""
    return a if gteq(a, b) else b


@comparison(
    "min(a: comparable, b: comparable -> smaller: comparable)",
    gives("min(2, 3.5, x)", x=2),
    gives("min(false, true, x)", x=False),
    undefined("min(1, null, x)"),
)
def smaller(a: Any, b: Any) -> Any:
    """The smaller of the two.  (``min(x)`` with one variable, in a rule's head, is the aggregate.)"""
    return a if lteq(a, b) else b
