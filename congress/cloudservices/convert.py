# SPDX-License-Identifier: Apache-2.0
"""From what client libraries give (dates, decimals, structures, numbers as text) to the values that rows
hold.
"""

import datetime
import decimal
import enum
import ipaddress
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from congress.datalog.constants import bad_character
from congress.datalog.values import FALSE, TRUE, Bool, Value, all_in_range, encode

_NONE: Final = type(None)
# Kinds of Python values that a column of a type takes as they are.
_KEEPS: Final[Mapping[str, frozenset[type]]] = {
    "string": frozenset({str, _NONE}),
    "integer": frozenset({int, _NONE}),
    "number": frozenset({int, _NONE}),
    "float": frozenset({_NONE}),
    "boolean": frozenset({Bool, _NONE}),
    "any": frozenset({str, int, Bool, _NONE}),
}
_TRUTHS: Final = {"true": TRUE, "True": TRUE, "false": FALSE, "False": FALSE}


def column(values: list[Any], type_: str) -> list[Value]:
    """A whole column's values; about 20 ns each where nothing has to change.

    :raises TypeError: for an object that no value can stand for; see :func:`to_value`.
    """
    kinds = set(map(type, values))
    if kinds <= _KEEPS[type_] and (int not in kinds or all_in_range((values,))):
        return values
    if type_ in ("boolean", "any") and kinds <= _KEEPS[type_] | {bool}:
        return [TRUE if value is True else FALSE if value is False else value for value in values]
    return [to_value(value, type_) for value in values]


def bad_text(values: list[Any]) -> str | None:
    """What is wrong with the texts of a column, where one holds what no text may; about 20 ns each."""
    bad = bad_character("".join([value for value in values if type(value) is str]))
    return f"U+{ord(bad):04X} is a character that no text may hold" if bad else None


def to_value(value: Any, type_: str = "any") -> Value:
    """One value, of the type if that can hold it without loss, else as it comes.

    Dates become ISO 8601 text, decimals numbers, bytes text, lists and objects JSON text with sorted keys,
    NaN and the infinities null.  :raises TypeError: for any other object.
    """
    if isinstance(value, bool | Bool):
        return TRUE if value else FALSE
    plain = _plain(value)
    return _FIT[type_](plain) if plain is not None else None


def _plain(value: Any) -> str | int | float | None:
    if value is None or isinstance(value, str | int):
        return None if value is None else encode(value)  # type: ignore[return-value]  # no booleans come here
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    for kinds, function in _PLAIN:
        if isinstance(value, kinds):
            return function(value)
    raise TypeError(f"a {type(value).__name__} cannot be a value in a row")


def json_text(value: Any) -> str:
    """A list or an object as the text that a row holds: compact JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=_json).decode()


def _json(value: Any) -> Any:
    if isinstance(value, Bool):
        return bool(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return list(value)
    return _plain(value)


def _decimal(value: decimal.Decimal) -> int | float | None:
    if not value.is_finite():
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _bytes(value: Any) -> str:
    data = bytes(value)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.hex()


_PLAIN: Final[tuple[tuple[Any, Callable[[Any], str | int | float | None]], ...]] = (
    (decimal.Decimal, _decimal),
    (enum.Enum, lambda value: _plain(value.value)),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: str(value.isoformat())),
    (datetime.timedelta, lambda value: float(value.total_seconds())),
    (uuid.UUID, str),
    ((bytes, bytearray, memoryview), _bytes),
    (
        (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
        str,
    ),
    ((Mapping, list, tuple, set, frozenset), json_text),
)


def _as_string(value: str | int | float) -> Value:
    return value if isinstance(value, str) else str(value)


def _as_integer(value: str | int | float) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and str(int(value[:4000])) == value:
        return int(value)
    return value


def _as_number(value: str | int | float) -> Value:
    if not isinstance(value, str):
        return value
    whole = _as_integer(value)
    return _as_float(value) if whole is value else whole


def _as_float(value: str | int | float) -> Value:
    if isinstance(value, float) or (isinstance(value, str) and not value.strip()):
        return value
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return value
    return number if math.isfinite(number) else value


def _as_boolean(value: str | int | float) -> Value:
    return _TRUTHS.get(value, value) if isinstance(value, str) else value


_FIT: Final[Mapping[str, Callable[[str | int | float], Value]]] = {
    "string": _as_string,
    "integer": _as_integer,
    "number": _as_number,
    "float": _as_float,
    "boolean": _as_boolean,
    "any": lambda value: value,
}


_FITS: Final[Mapping[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "integer": frozenset({int}),
    "float": frozenset({float, int}),
    "number": frozenset({int, float}),
    "boolean": frozenset({Bool}),
    "any": frozenset({str, int, float, Bool}),
}


def kinds_of(type_: str, nullable: bool) -> frozenset[type]:
    """The Python types of the values that a column of this type may hold."""
    return _FITS[type_] | {_NONE} if nullable else _FITS[type_]
