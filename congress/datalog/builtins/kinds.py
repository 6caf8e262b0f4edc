# SPDX-License-Identifier: Apache-2.0
"""What every built-in asks of its inputs and keeps its outputs to.

The kinds are strict: a number is not the text that shows it, and a boolean is neither. ``2`` and ``2.0``
are one value of the language, so an input that must be whole takes both.
"""

import math
from typing import Final, TypeGuard

from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.values import Bool, Value, kind

MAX_TEXT: Final = 1 << 20
"""The longest string that a built-in makes or looks through, in characters."""

MAX_ROWS: Final = 10_000
"""The most answers that one call of a built-in with many answers gives."""

INTEGERS: Final = (-(1 << 63), (1 << 64) - 1)
"""The least and the greatest integer that a built-in makes: what JSON can carry on all sides."""
_LEAST, _GREATEST = INTEGERS

TYPES: Final = {
    "any": "any value, null included",
    "scalar": "any value but null",
    "comparable": "a string, a number or a boolean; where there are two, both of the same kind",
    "string": "a string",
    "number": "an integer or a float",
    "integer": "a number without a fraction (``2`` and ``2.0`` are one value)",
    "boolean": "``true`` or ``false``",
    "datetime": "a string that names a moment: ``2026-01-02T03:04:05Z``, ``2026-01-02 03:04:05``, ``2 "
    "Jan 2026 03:04``; an offset in it is converted to UTC, without one it is UTC",
    "date": "a string that names a day (a datetime does)",
    "time": "a string that names a time of day: ``03:04:05`` (a datetime does)",
    "clock": "a time of day as ``HH:MM`` or ``HH:MM:SS``, ``00:00`` to ``24:00``",
    "zone": "the name of a time zone, such as ``Europe/Berlin``",
    "duration": "a string that says how long: ``30d``, ``12h``, ``1w2d``, ``90s``, ``1.5h`` or ISO 8601 "
    "``P30D``, ``PT12H``",
    "interval": "a number of seconds, a duration, or the older form ``[[[[weeks:]days:]hours:]minutes:]seconds``",
    "ip": "an IPv4 or IPv6 address; an IPv4 address written as IPv6 (``::ffff:10.0.0.1``) is that IPv4 address",
    "network": "a network in CIDR form, ``10.0.0.0/8`` or ``fd00::/8``; bits after the prefix do not "
    "matter, and an address alone is the network of that one address",
    "pattern": "a regular expression in the syntax of RE2",
    "json": "a string that is a JSON text",
    "path": 'a path into a JSON value: ``a.b[0]["odd key"]``; ``$`` or the empty string is the whole value',
}
"""The types of arguments, and what each means."""


def text(value: Value) -> str:
    """The value, which must be a string."""
    if type(value) is str:
        return value
    raise BuiltinError(f"{show(value)} is no string")


def short_text(value: Value, what: str, limit: int = 100) -> str:
    """The value, which must be a string no longer than anything of that sort is."""
    if type(value) is not str:
        raise BuiltinError(f"{show(value)} is no {what}: it must be a string")
    if len(value) > limit:
        raise BuiltinError(f"{show(value)} is too long for a {what}")
    return value


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether the value is an integer or a float."""
    return type(value) is int or type(value) is float


def number(value: Value) -> int | float:
    """The value, which must be an integer or a float."""
    if is_number(value):
        return value
    raise BuiltinError(f"{show(value)} is no number")


def integer(value: Value) -> int:
    """The value as an int; it must be a number without a fraction."""
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise BuiltinError(f"{show(value)} is no integer")


def bounded(made: str) -> str:
    """A string that a built-in made, which must not be too long."""
    if len(made) <= MAX_TEXT:
        return made
    raise BuiltinError(f"the result has {len(made)} characters, more than {MAX_TEXT}")


def room(length: int) -> None:
    """Refuse, before it is made, a string that would be too long."""
    if length > MAX_TEXT:
        raise BuiltinError(f"the result would have {length} characters, more than {MAX_TEXT}")


def whole(made: float) -> int | float:
    """A float without a fraction, as an int where there is one for it."""
    return int(made) if _LEAST <= made <= _GREATEST else made


def finite(made: int | float) -> int | float:
    """A number that a built-in made, which must be one that can be stored and compared."""
    if type(made) is int:
        if _LEAST <= made <= _GREATEST:
            return made
        raise BuiltinError("the result is too large for an integer")
    if math.isfinite(made):
        return made
    raise BuiltinError("the result is too large for a float")


def as_text(value: Value) -> str:
    """A value other than null as a string; values that are equal give strings that are equal."""
    if type(value) is str:
        return value
    if isinstance(value, Bool):
        return repr(value)
    if type(value) is float:
        return str(whole(value) if value.is_integer() else value)
    if value is None:
        raise BuiltinError("null has no text")
    return str(value)


def show(value: Value) -> str:
    """A value as messages show it, short."""
    if type(value) is str:
        return f'"{value[:60]}…"' if len(value) > 60 else f'"{value}"'
    if type(value) is int and value.bit_length() > 200:
        return "a very large integer"
    return "null" if value is None else f"{kind(value)} {value!r}"
