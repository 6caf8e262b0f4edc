# SPDX-License-Identifier: Apache-2.0
"""Texts that name a moment, a time of day or a length of time, as numbers of seconds.

The built-ins and the engine (which computes when ``age(c) > "30d"`` becomes true) read them here, so that
they never differ. ISO 8601 is read by the standard library in about a microsecond; any other form goes to
dateutil, which is a hundred times slower, and its answers are kept for a while.

Nothing here looks at the machine's clock or time zone: a text whose meaning depends on either is refused.
"""

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from dateutil import parser as dateutil_parser
from dateutil import tz

from congress.datalog.builtins.kinds import finite, is_number, short_text, show
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.values import Value

EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_IN_UTC: Final = EPOCH.replace(tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)

# Two days that differ in year, month, day and weekday, so that a part that the text leaves open shows.
_OPEN: Final = (datetime(2000, 1, 1), datetime(1996, 2, 2))
_UNITS: Final = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER: Final = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_SIMPLE: Final = re.compile(r"([+-]?)" + "".join(rf"(?:{_NUMBER}{unit})?" for unit in _UNITS))
_ISO: Final = re.compile(
    rf"([+-]?)P(?:{_NUMBER}W)?(?:{_NUMBER}D)?(?:T(?=[0-9])(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_COLONS: Final = re.compile(r"([+-]?)((?:[0-9]{1,15}:){0,4}[0-9]{1,15})")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9]))?")


def parse_datetime(text: Value) -> float:
    """The moment that a text names, in seconds since 1970-01-01 00:00 UTC.

    :param text: ISO 8601, or another form that dateutil reads as one full date (a month before a day where both
        could be: ``01/02/2026`` is in January).  An offset is honoured; without one the text is in UTC; without a time
        of day it is midnight.
    :raises BuiltinError: when it is no such text, or leaves open which day.
    """
    return since_epoch(text).total_seconds()


def since_epoch(text: Value) -> timedelta:
    """As parse_datetime, exact to the microsecond in any year."""
    if type(text) is not str:
        raise BuiltinError(f"{show(text)} is no date: it must be a string")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _unusual(text)
    # Differences are many times cheaper than astimezone() and replace().
    return moment - (EPOCH if moment.tzinfo is None else _EPOCH_IN_UTC)


def parse_moment(text: Value) -> datetime:
    """The moment that a text names, in UTC and without a zone; exact to the microsecond.

    :raises BuiltinError: as parse_datetime; also when the moment is outside the years 1 to 9999 in UTC.
    """
    try:
        return EPOCH + since_epoch(text)
    except OverflowError as error:
        raise BuiltinError("the moment lies outside the years 1 to 9999") from error


def parse_time(text: Value) -> time:
    """The time of day in a text, with or without a date, in UTC.

    :raises BuiltinError: when the text is neither.
    """
    written = short_text(text, "time")
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return _unusual_time(written)
    return moment.time() if moment.tzinfo is None else _in_utc(moment).time()


def from_epoch(seconds: float) -> datetime:
    """The moment so many seconds after 1970-01-01 00:00, in UTC and without a zone.

    :raises OverflowError: outside the years 1 to 9999.
    """
    return EPOCH + timedelta(seconds=seconds)


def parse_duration(text: Value) -> float:
    """The seconds in a duration: ``30d``, ``12h``, ``1w2d``, ``90s``, ``1.5h``, ``-5m``, ``P30D``,
    ``PT12H30M``.

    Units go from the largest down, each at most once.  Months and years have no fixed length and are refused.

    :raises BuiltinError: when it is no such text.
    """
    written = short_text(text, "duration")
    found = _SIMPLE.fullmatch(written) or _ISO.fullmatch(written)
    if found is None or not any(found.groups()[1:]):
        raise BuiltinError(f'{show(text)} is no duration such as "30d", "1w2d", "12h" or "P30D"')
    total = 0.0
    for amount, unit in zip(found.groups()[1:], _UNITS.values(), strict=True):
        if amount is not None:
            total += float(amount) * unit
    return -total if found[1] == "-" else total


def parse_interval(value: Value) -> int | float:
    """The seconds in a number, a duration, or the older ``[[[[weeks:]days:]hours:]minutes:]seconds``.

    :raises BuiltinError: when it is neither.
    """
    if is_number(value):
        return finite(value)
    written = short_text(value, "duration")
    found = _COLONS.fullmatch(written)
    if found is None:
        return parse_duration(written)
    total = sum(
        int(amount) * unit
        for amount, unit in zip(reversed(found[2].split(":")), reversed(_UNITS.values()), strict=False)
    )
    return -total if found[1] == "-" else total


def parse_clock(value: Value) -> int:
    """The seconds from midnight to ``HH:MM`` or ``HH:MM:SS``; ``24:00`` is the end of the day.

    :raises BuiltinError: when it is no such text.
    """
    found = _CLOCK.fullmatch(short_text(value, "time of day"))
    if found is not None:
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
        if seconds <= 86400:
            return seconds
    raise BuiltinError(f'{show(value)} is no time of day such as "22:00"')


def _in_utc(moment: datetime) -> datetime:
    try:
        return EPOCH + (moment - _EPOCH_IN_UTC)
    except OverflowError as error:
        raise BuiltinError("the moment lies outside the years 1 to 9999") from error


def _unusual(text: str) -> datetime:
    """The moment in a text that is not ISO 8601."""
    found = _other_forms(text)
    if isinstance(found, str):
        raise BuiltinError(found)
    return found


@lru_cache(maxsize=4096)
def _other_forms(text: str) -> datetime | str:
    """The moment in a text, or what is wrong with it; kept, since dateutil takes a tenth of a millisecond."""
    try:
        first, second = (_read(text, default) for default in _OPEN)
    except BuiltinError as error:
        return str(error)
    return first if first == second else f"{show(text)} does not say which day"


def _unusual_time(text: str) -> time:
    """The time of day in a text that is no datetime of ISO 8601."""
    found = _other_times(text)
    if isinstance(found, str):
        raise BuiltinError(found)
    return found


@lru_cache(maxsize=4096)
def _other_times(text: str) -> time | str:
    """The time of day in a text, or what is wrong with it."""
    try:
        if ":" in text:
            alone = time.fromisoformat(text)
            return alone if alone.tzinfo is None else _in_utc(datetime.combine(_OPEN[0], alone)).time()
    except ValueError:
        pass
    try:
        # Where no hour is given, the reading has that of the default: "Monday" is no time.
        first, second = (_read(text, default.replace(hour=hour)) for hour, default in enumerate(_OPEN))
    except BuiltinError as error:
        return str(error)
    if isinstance(_other_forms(text), datetime) or first.time() == second.time():
        return first.time()
    return f"{show(text)} is no time of day"


def _read(text: str, default: datetime) -> datetime:
    """What dateutil makes of a text, in UTC and without a zone; open parts are those of the default."""
    short_text(text, "date")
    try:
        moment = dateutil_parser.parse(text, default=default, tzinfos=_zone)
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise BuiltinError(f"{show(text)} is no date or time") from error
    return moment if moment.tzinfo is None else _in_utc(moment)


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """The zone in a text: an offset or UTC.  Other names mean different zones to different people."""
    if offset is not None:
        return tz.tzoffset(name, offset)
    if name is None:
        return None
    raise BuiltinError(f'the time zone {name!r} is ambiguous; write an offset, such as "+01:00"')
