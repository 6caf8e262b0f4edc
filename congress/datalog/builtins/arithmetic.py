# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on numbers; ``plus`` and ``mul`` work on strings as well, as they always did."""

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from congress.datalog.builtins.kinds import MAX_TEXT, finite, integer, is_number, number, room, show, text, whole
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, gives, undefined
from congress.datalog.values import Value

arithmetic = Shelf(
    "arithmetic",
    "Infix forms: ``a + b``, ``a - b``, ``a * b``, ``a / b``, ``a % b``. A result that is too large (a "
    "float beyond the range of floats, an integer outside -2^63 to 2^64 - 1, a string of more than 1 "
    "MiB) is undefined.",
)

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]{1,1300}(?:\.[0-9]{0,1300})?|\.[0-9]{1,1300})(?:[eE][+-]?[0-9]{1,5})?")


def parse_integer(written: str) -> int:
    """The integer that a text shows in decimal, with or without a sign and space around it."""
    if len(written) < 100 and _INTEGER.fullmatch(written.strip()):
        return int(finite(int(written)))
    raise BuiltinError(f"{show(written)} is no integer")


def parse_float(written: str) -> float:
    """The finite float that a text shows in decimal."""
    if len(written) < 3000 and _FLOAT.fullmatch(written.strip()):
        return float(finite(float(written)))
    raise BuiltinError(f"{show(written)} is no number")


@arithmetic(
    "plus(a: scalar, b: scalar -> total: scalar)",
    gives("plus(1, 2, x)", x=3),
    gives('plus("a", "b", x)', x="ab"),
    undefined('plus("a", 1, x)'),
    undefined("plus(1e308, 1e308, x)"),
)
def plus(a: Value, b: Value) -> Value:
    """The sum of two numbers, or two strings one after the other."""
    if is_number(a) and is_number(b):
        return finite(a + b)
    if type(a) is str and type(b) is str:
        room(len(a) + len(b))
        return a + b
    raise BuiltinError(f"{show(a)} and {show(b)} cannot be added")


@arithmetic(
    "minus(a: number, b: number -> difference: number)",
    gives("minus(1, 2.5, x)", x=-1.5),
    undefined('minus("3", 1, x)'),
)
def minus(a: Value, b: Value) -> Value:
    """The first less the second."""
    return finite(number(a) - number(b))


@arithmetic(
    "mul(a: scalar, b: scalar -> product: scalar)",
    gives("mul(3, 1.5, x)", x=4.5),
    gives('mul("ab", 3, x)', x="ababab"),
    undefined('mul("a", "b", x)'),
    undefined('mul("ab", 1000000, x)'),
)
def mul(a: Value, b: Value) -> Value:
    """The product of two numbers; a string and a whole number give the string repeated."""
    if is_number(a) and is_number(b):
        return finite(a * b)
    if type(a) is str and is_number(b):
        return _repeat(a, b)
    if type(b) is str and is_number(a):
        return _repeat(b, a)
    raise BuiltinError(f"{show(a)} and {show(b)} cannot be multiplied")


def _repeat(what: str, times: int | float) -> str:
    count = integer(times)
    room(len(what) * count)
    return what * max(0, min(count, MAX_TEXT))  # the empty string may be repeated more often than that


@arithmetic(
    "div(a: number, b: number -> quotient: number)",
    gives("div(7, 2, x)", x=3),
    gives("div(-7, 2, x)", x=-4),
    gives("div(7, 2.0, x)", x=3),
    gives("div(7.5, 2, x)", x=3.75),
    undefined("div(1, 0, x)"),
)
def div(a: Value, b: Value) -> Value:
    """The quotient: of two whole numbers rounded down (``2.0`` is ``2``), else with its fraction.

    Where a column may hold whole numbers and others, use ``ratio``.
    """
    a, b = _whole(number(a)), _whole(number(b))
    return finite(a // b if type(a) is int and type(b) is int else a / b)


def _whole(value: int | float) -> int | float:
    """A float without a fraction is the same value as the integer, so it has to divide as one."""
    return int(value) if type(value) is float and value.is_integer() else value


@arithmetic(
    "ratio(a: number, b: number -> quotient: number)",
    gives("ratio(7, 2, x)", x=3.5),
    gives("ratio(6, 2, x)", x=3),
    undefined("ratio(1, 0, x)"),
)
def ratio(a: Value, b: Value) -> Value:
    """The quotient, with its fraction, whatever the two numbers are."""
    return finite(number(a) / number(b))


@arithmetic(
    "mod(a: number, b: number -> remainder: number)",
    gives("mod(7, 3, x)", x=1),
    gives("mod(-7, 3, x)", x=2),
    undefined("mod(7, 0, x)"),
)
def mod(a: Value, b: Value) -> Value:
    """What remains when the first is divided by the second; it has the sign of the second."""
    return finite(number(a) % number(b))


@arithmetic(
    "abs(a: number -> size: number)",
    gives("abs(-2.5, x)", x=2.5),
    undefined('abs("-2", x)'),
)
def size(a: Value) -> Value:
    """The number without its sign."""
    return finite(abs(number(a)))


@arithmetic(
    "round(a: number -> nearest: integer)",
    gives("round(2.5, x)", x=3),
    gives("round(-2.5, x)", x=-3),
    undefined('round("2", x)'),
)
def nearest(a: Value) -> Value:
    """The nearest integer; a half goes away from zero."""
    a = number(a)
    return a if type(a) is int else whole(float(Decimal(a).to_integral_value(ROUND_HALF_UP)))


@arithmetic(
    "round(a: number, digits: integer -> nearest: number)",
    gives("round(2.345, 2, x)", x=2.35),
    gives("round(1250, -2, x)", x=1300),
    undefined("round(1.5, 1000, x)"),
)
def nearest_digits(a: Value, digits: Value) -> Value:
    """The number rounded to so many decimal places (before the point when negative, at most 15 either way).

    It works on the decimal digits that the number is shown with; a half goes away from zero.
    """
    places = integer(digits)
    if not -15 <= places <= 15:
        raise BuiltinError("a number is rounded to at most 15 places")
    a = number(a)
    if type(a) is int:
        if places >= 0:
            return a
        step = 10**-places
        whole = (abs(a) + step // 2) // step * step
        return finite(whole if a >= 0 else -whole)
    shown = Decimal(repr(a)).scaleb(places).to_integral_value(ROUND_HALF_UP).scaleb(-places)
    return finite(float(shown) + 0.0)  # no negative zero


@arithmetic(
    "floor(a: number -> whole: integer)",
    gives("floor(-2.5, x)", x=-3),
    undefined("floor(null, x)"),
)
def floor(a: Value) -> Value:
    """The largest integer that is not greater."""
    return _cut(a, math.floor)


@arithmetic(
    "ceil(a: number -> whole: integer)",
    gives("ceil(2.1, x)", x=3),
    undefined("ceil(true, x)"),
)
def ceil(a: Value) -> Value:
    """The smallest integer that is not less."""
    return _cut(a, math.ceil)


@arithmetic(
    "float(a: scalar -> number: number)",
    gives('float("1.5", x)', x=1.5),
    gives("float(2, x)", x=2.0),
    undefined('float("many", x)'),
    undefined('float("inf", x)'),
)
def to_float(a: Value) -> Value:
    """A number, or a string that shows one in decimal, as a float."""
    return float(a) if is_number(a) else parse_float(text(a))


@arithmetic(
    "int(a: scalar -> number: integer)",
    gives('int("-12", x)', x=-12),
    gives("int(2.9, x)", x=2),
    undefined('int("2.9", x)'),
)
def to_int(a: Value) -> Value:
    """A number without its fraction, or the integer that a string shows in decimal."""
    return _cut(a, int) if is_number(a) else parse_integer(text(a))


def _cut(value: Value, how: Callable[[float], int]) -> int | float:
    """The number without its fraction; a float too large for one of our integers has none."""
    value = number(value)
    return value if type(value) is int or abs(value) >= 1 << 53 else how(value)
