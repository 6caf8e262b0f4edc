# SPDX-License-Identifier: Apache-2.0
"""Validation of configuration values: each answers with what is wrong, or the empty string."""

from congress.datalog.builtins.arithmetic import parse_float, parse_integer
from congress.datalog.builtins.kinds import as_text, finite, integer, is_number, show
from congress.datalog.builtins.regex import search
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, gives, undefined
from congress.datalog.values import Bool, Value

validation = Shelf(
    "validation",
    "What is wrong with a value, such as an option of a service, or the empty string when nothing is. A "
    "value is a string "
    'or a number; a bound of ``""`` or ``null`` is none.',
)


@validation(
    "validate_int(min: any, max: any, value: any -> message: string)",
    gives('validate_int(1, 10, "5", x)', x=""),
    gives('validate_int("", 10, 11, x)', x="integer 11 is greater than 10"),
    gives('validate_int(1, 10, "many", x)', x='"many" is no integer'),
    undefined("validate_int(10, 1, 5, x)"),
)
def validate_int(low: Value, high: Value, value: Value) -> Value:
    """Whether the value is an integer, or a string that shows one, within the bounds."""
    try:
        found = parse_integer(value) if type(value) is str else integer(value)
    except BuiltinError as error:
        return str(error)
    return _within(low, high, found)


@validation(
    "validate_float(min: any, max: any, value: any -> message: string)",
    gives('validate_float(0, 1, "0.5", x)', x=""),
    gives('validate_float(0.5, "", 0.25, x)', x="float 0.25 is less than 0.5"),
    gives("validate_float(0, 1, true, x)", x="boolean true is no number"),
    undefined('validate_float("low", 1, 0.5, x)'),
)
def validate_float(low: Value, high: Value, value: Value) -> Value:
    """Whether the value is a number, or a string that shows one, within the bounds."""
    try:
        found = value if is_number(value) else parse_float(value) if type(value) is str else None
    except BuiltinError as error:
        return str(error)
    return f"{show(value)} is no number" if found is None else _within(low, high, found)


@validation(
    "validate_string(regex: any, max_length: any, quotes: any, ignore_case: any, value: any -> message: string)",
    gives('validate_string("^a+$", 5, 0, 0, "aaa", x)', x=""),
    gives('validate_string("^a+$", 5, 0, 1, "AAA", x)', x=""),
    gives('validate_string("", 2, 0, 0, "aaa", x)', x='"aaa" has more than 2 characters'),
    gives('validate_string("^a+$", "", 0, 0, "b", x)', x='"b" does not match "^a+$"'),
    undefined('validate_string("(", "", 0, 0, "b", x)'),
)
def validate_string(regex: Value, max_length: Value, quotes: Value, ignore_case: Value, value: Value) -> Value:
    """Whether the value, as a string, matches the regular expression somewhere and is not too long.

    With ``quotes``, a quotation mark in front must have its like at the end, and both are taken off first.
    ``quotes`` and ``ignore_case`` are booleans, or 1 and 0.
    """
    longest, strip = _bound(max_length), _flag(quotes)
    pattern = "" if regex is None else regex
    if type(pattern) is not str:
        raise BuiltinError(f"{show(regex)} is no regular expression")
    if pattern:
        search(pattern, "", ignore_case=_flag(ignore_case))  # a bad expression is nothing that the value is guilty of
    if value is None:
        return "null is no string"
    found = as_text(value)
    if strip and found[:1] in ("'", '"') and found:
        if len(found) < 2 or found[-1] != found[0]:
            return f"{show(found)} has a quotation mark without its like"
        found = found[1:-1]
    if longest and len(found) > longest:
        return f"{show(found)} has more than {longest} characters"
    if pattern and not search(pattern, found, ignore_case=_flag(ignore_case)):
        return f"{show(found)} does not match {show(pattern)}"
    return ""


def _bound(value: Value) -> int | float | None:
    if value is None or value == "":
        return None
    if is_number(value):
        return finite(value)
    if type(value) is str:
        return parse_float(value)
    raise BuiltinError(f"{show(value)} is no bound")


def _within(low: Value, high: Value, value: int | float) -> str:
    least, most = _bound(low), _bound(high)
    if least is not None and most is not None and least > most:
        raise BuiltinError("the least value is greater than the greatest")
    if least is not None and value < least:
        return f"{show(value)} is less than {as_text(least)}"
    if most is not None and value > most:
        return f"{show(value)} is greater than {as_text(most)}"
    return ""


def _flag(value: Value) -> bool:
    if isinstance(value, Bool):
        return bool(value)
    if value is None or value == "":
        return False
    if is_number(value) and value in (0, 1):
        return value == 1
    if type(value) is str and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise BuiltinError(f"{show(value)} is neither true nor false")
