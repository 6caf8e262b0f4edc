# SPDX-License-Identifier: Apache-2.0
"""Kinds of values, and from one kind to another."""

from congress.datalog.builtins.arithmetic import parse_float, parse_integer
from congress.datalog.builtins.kinds import as_text, finite, integer, is_number, show, text
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, gives, undefined
from congress.datalog.values import FALSE, TRUE, Bool, Value

types = Shelf(
    "type",
    "The kind of a value, and values of one kind as another. Nothing is converted unasked: ``1``, "
    '``"1"`` and ``true`` differ.',
)

_TRUTHS = {"true": TRUE, "false": FALSE}


@types(
    "type_of(a: any -> kind: string)",
    gives('type_of("1", x)', x="string"),
    gives("type_of(1.5, x)", x="number"),
    gives("type_of(true, x)", x="boolean"),
    gives("type_of(null, x)", x="null"),
)
def type_of(a: Value) -> Value:
    """The kind of the value: ``string``, ``number``, ``boolean`` or ``null``.

    Integers and floats are both numbers, since ``1`` and ``1.0`` are one value.
    """
    if a is None:
        return "null"
    if isinstance(a, Bool):
        return "boolean"
    return "string" if type(a) is str else "number"


@types(
    "to_string(a: scalar -> text: string)",
    gives("to_string(12, x)", x="12"),
    gives("to_string(2.0, x)", x="2"),
    gives("to_string(true, x)", x="true"),
    undefined("to_string(null, x)"),
)
def to_string(a: Value) -> Value:
    """The value as a string; a whole number without a point."""
    return as_text(a)


@types(
    "to_int(a: scalar -> number: integer)",
    gives('to_int(" 12 ", x)', x=12),
    gives("to_int(2.0, x)", x=2),
    undefined("to_int(1e300, x)"),
    undefined("to_int(2.5, x)"),
    undefined('to_int("twelve", x)'),
)
def to_int(a: Value) -> Value:
    """The integer that a string shows, or a number that has no fraction.  (``int`` cuts a fraction off.)"""
    return finite(integer(a)) if is_number(a) else parse_integer(text(a))


@types(
    "to_float(a: scalar -> number: number)",
    gives('to_float("1e3", x)', x=1000.0),
    gives("to_float(2, x)", x=2.0),
    undefined('to_float("nan", x)'),
)
def to_float(a: Value) -> Value:
    """A number, or the number that a string shows, as a float.  (``float`` is the same.)"""
    return float(a) if is_number(a) else parse_float(text(a))


@types(
    "to_boolean(a: scalar -> truth: boolean)",
    gives('to_boolean("True", x)', x=True),
    gives("to_boolean(0, x)", x=False),
    undefined('to_boolean("yes", x)'),
)
def to_boolean(a: Value) -> Value:
    """The boolean for ``true`` and ``false``, in any case, 1 and 0, or a boolean."""
    if isinstance(a, Bool):
        return a
    if is_number(a) and a in (0, 1):
        return TRUE if a == 1 else FALSE
    if type(a) is str and len(a) < 10:
        found = _TRUTHS.get(a.lower())
        if found is not None:
            return found
    raise BuiltinError(f"{show(a)} is neither true nor false")


@types(
    "coalesce(a: any, default: any -> value: any)",
    gives("coalesce(null, 5, x)", x=5),
    gives("coalesce(3, 5, x)", x=3),
)
def coalesce(a: Value, default: Value) -> Value:
    """The first value, or the second where the first is null."""
    return default if a is None else a
