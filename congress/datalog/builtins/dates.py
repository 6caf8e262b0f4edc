# SPDX-License-Identifier: Apache-2.0
"""Dates and times, as texts: the built-ins that the language always had, and a few beside them."""

from datetime import date, datetime, time
from math import floor

from congress.datalog.builtins.kinds import integer, number
from congress.datalog.builtins.moments import (
    SECOND,
    from_epoch,
    parse_datetime,
    parse_interval,
    parse_moment,
    parse_time,
    since_epoch,
)
from congress.datalog.builtins.shelf import Shelf, fails, gives, holds, undefined
from congress.datalog.values import Value

dates = Shelf(
    "datetime",
    "Dates and times are strings, and all results are in UTC: an offset in a string is converted, a "
    "string without one is in UTC. Results look like ``2026-01-02 03:04:05``, with a fraction only "
    "where there is one. ISO 8601 is read fastest; other forms that name one full date are read too, "
    "a month before a day where either could stand (``01/02/2026`` is in January). A string that "
    "leaves the day open (``Monday``, ``Jan 2026``) or names a zone other than UTC and GMT is "
    "undefined.",
)

_SINCE_1900 = 2208988800  # seconds from 1900-01-01 to 1970-01-01


def _shown(moment: datetime) -> str:
    return moment.isoformat(" ")


def _next_second(current: float) -> float:
    return floor(current) + 1.0


@dates(
    "now(-> moment: datetime)",
    gives("now(x)", x="2026-01-02 03:04:05"),
    fails('now("2020-01-01 00:00:00")'),
    temporal=True,
    next_change=_next_second,
)
def now(current: float) -> Value:
    """The current time in UTC, to the second.

    A rule that compares it, with ``datetime_gt`` and its like, becomes true or false when the moment comes.
    """
    return _shown(from_epoch(floor(current)))


@dates(
    "unpack_date(a: datetime -> year: integer, month: integer, day: integer)",
    gives('unpack_date("2026-01-02 03:04:05", y, m, d)', y=2026, m=1, d=2),
    gives('unpack_date("2026-01-01T00:30:00+02:00", y, m, d)', y=2025, m=12, d=31),
    undefined('unpack_date("2026-02-30", y, m, d)'),
)
def unpack_date(a: Value) -> tuple[int, int, int]:
    """The year, month and day."""
    moment = parse_moment(a)
    return moment.year, moment.month, moment.day


@dates(
    "unpack_time(a: time -> hour: integer, minute: integer, second: integer)",
    gives('unpack_time("2026-01-02T03:04:05Z", h, m, s)', h=3, m=4, s=5),
    gives('unpack_time("22:30", h, m, s)', h=22, m=30, s=0),
    undefined('unpack_time("25:00", h, m, s)'),
)
def unpack_time(a: Value) -> tuple[int, int, int]:
    """The hour, minute and whole second."""
    moment = parse_time(a)
    return moment.hour, moment.minute, moment.second


@dates(
    "unpack_datetime(a: datetime -> year: integer, month: integer, day: integer, "
    "hour: integer, minute: integer, second: integer)",
    gives('unpack_datetime("2026-01-02T03:04:05Z", y, o, d, h, m, s)', y=2026, o=1, d=2, h=3, m=4, s=5),
    undefined('unpack_datetime("03:04:05", y, o, d, h, m, s)'),
)
def unpack_datetime(a: Value) -> tuple[int, int, int, int, int, int]:
    """The year, month, day, hour, minute and whole second."""
    moment = parse_moment(a)
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second


@dates(
    "pack_date(year: integer, month: integer, day: integer -> packed: date)",
    gives("pack_date(2026, 1, 2, x)", x="2026-01-02"),
    undefined("pack_date(2026, 2, 30, x)"),
)
def pack_date(year: Value, month: Value, day: Value) -> Value:
    """The date as ``YYYY-MM-DD``, with zeros in front, so that texts sort as dates do."""
    return date(integer(year), integer(month), integer(day)).isoformat()


@dates(
    "pack_time(hour: integer, minute: integer, second: integer -> packed: time)",
    gives("pack_time(3, 4, 5, x)", x="03:04:05"),
    undefined("pack_time(24, 0, 0, x)"),
)
def pack_time(hour: Value, minute: Value, second: Value) -> Value:
    """The time of day as ``HH:MM:SS``."""
    return time(integer(hour), integer(minute), integer(second)).isoformat()


@dates(
    "pack_datetime(year: integer, month: integer, day: integer, "
    "hour: integer, minute: integer, second: integer -> packed: datetime)",
    gives("pack_datetime(2026, 1, 2, 3, 4, 5, x)", x="2026-01-02 03:04:05"),
    undefined('pack_datetime(2026, "1", 2, 3, 4, 5, x)'),
)
def pack_datetime(*parts: Value) -> Value:
    """The date and time as ``YYYY-MM-DD HH:MM:SS``."""
    year, month, day, hour, minute, second = map(integer, parts)
    return _shown(datetime(year, month, day, hour, minute, second))


@dates(
    "extract_date(a: datetime -> day: date)",
    gives('extract_date("2 Jan 2026 03:04", x)', x="2026-01-02"),
    undefined('extract_date("tomorrow", x)'),
)
def extract_date(a: Value) -> Value:
    """The date as ``YYYY-MM-DD``."""
    return parse_moment(a).date().isoformat()


@dates(
    "extract_time(a: time -> clock: time)",
    gives('extract_time("2026-01-02T03:04:05+01:00", x)', x="02:04:05"),
    gives('extract_time("22:30", x)', x="22:30:00"),
    undefined('extract_time("noon", x)'),
)
def extract_time(a: Value) -> Value:
    """The time of day as ``HH:MM:SS``, with a fraction where there is one."""
    return parse_time(a).isoformat()


@dates(
    "weekday(a: datetime -> day: integer)",
    gives('weekday("2026-01-02", x)', x=5),
    undefined('weekday("Friday", x)'),
)
def weekday(a: Value) -> Value:
    """The day of the week, from 1 for Monday to 7 for Sunday."""
    return parse_moment(a).isoweekday()


@dates(
    "datetime_to_seconds(a: datetime -> seconds: integer)",
    gives('datetime_to_seconds("1900-01-02", x)', x=86400),
    gives('datetime_to_seconds("1970-01-01T00:00:00Z", x)', x=2208988800),
    undefined('datetime_to_seconds("now", x)'),
)
def datetime_to_seconds(a: Value) -> Value:
    """The whole seconds from 1900-01-01 00:00 UTC to the moment."""
    return since_epoch(a) // SECOND + _SINCE_1900


@dates(
    "datetime_to_epoch(a: datetime -> seconds: number)",
    gives('datetime_to_epoch("1970-01-02", x)', x=86400),
    gives('datetime_to_epoch("1970-01-01T00:00:00.5Z", x)', x=0.5),
    undefined('datetime_to_epoch("", x)'),
)
def datetime_to_epoch(a: Value) -> Value:
    """The seconds from 1970-01-01 00:00 UTC to the moment, as Unix counts them."""
    return parse_datetime(a)


@dates(
    "epoch_to_datetime(seconds: number -> moment: datetime)",
    gives("epoch_to_datetime(86400, x)", x="1970-01-02 00:00:00"),
    undefined("epoch_to_datetime(1e18, x)"),
)
def epoch_to_datetime(seconds: Value) -> Value:
    """The moment so many seconds after 1970-01-01 00:00 UTC."""
    return _shown(from_epoch(number(seconds)))


@dates(
    "datetime_plus(a: datetime, interval: interval -> moment: datetime)",
    gives('datetime_plus("2026-01-31 23:00:00", 3600, x)', x="2026-02-01 00:00:00"),
    gives('datetime_plus("2026-01-01", "1:30:00", x)', x="2026-01-01 01:30:00"),
    gives('datetime_plus("2026-01-01", "30d", x)', x="2026-01-31 00:00:00"),
    undefined('datetime_plus("2026-01-01", "1 month", x)'),
)
def datetime_plus(a: Value, interval: Value) -> Value:
    """The moment so much later."""
    return _shown(parse_moment(a) + parse_interval(interval) * SECOND)


@dates(
    "datetime_minus(a: datetime, interval: interval -> moment: datetime)",
    gives('datetime_minus("2026-01-01", 1, x)', x="2025-12-31 23:59:59"),
    gives('datetime_minus("2026-01-08", "1w", x)', x="2026-01-01 00:00:00"),
    undefined('datetime_minus("0001-01-01", "1d", x)'),
)
def datetime_minus(a: Value, interval: Value) -> Value:
    """The moment so much earlier."""
    return _shown(parse_moment(a) - parse_interval(interval) * SECOND)


@dates(
    "datetime_diff(a: datetime, b: datetime -> seconds: number)",
    gives('datetime_diff("2026-01-02", "2026-01-01", x)', x=86400),
    gives('datetime_diff("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00", x)', x=3600),
    undefined('datetime_diff("2026-01-02", "yesterday", x)'),
)
def datetime_diff(a: Value, b: Value) -> Value:
    """The seconds from the second moment to the first; negative when the first is earlier."""
    return (since_epoch(a) - since_epoch(b)) / SECOND


@dates(
    "datetime_lt(a: datetime, b: datetime)",
    holds('datetime_lt("2026-01-01", "2026-01-01 00:00:01")'),
    fails('datetime_lt("2026-01-01T01:00:00+01:00", "2026-01-01")'),
    undefined('datetime_lt("2026-01-01", 5)'),
)
def datetime_lt(a: Value, b: Value) -> bool:
    """The first moment is before the second."""
    return since_epoch(a) < since_epoch(b)


@dates(
    "datetime_lteq(a: datetime, b: datetime)",
    holds('datetime_lteq("2026-01-01", "2026-01-01T00:00:00Z")'),
    undefined('datetime_lteq("soon", "2026-01-01")'),
)
def datetime_lteq(a: Value, b: Value) -> bool:
    """The first moment is before the second, or the same."""
    return since_epoch(a) <= since_epoch(b)


@dates(
    "datetime_gt(a: datetime, b: datetime)",
    holds('datetime_gt("2026-01-02", "Jan 1 2026")'),
    undefined('datetime_gt(null, "2026-01-01")'),
)
def datetime_gt(a: Value, b: Value) -> bool:
    """The first moment is after the second."""
    return since_epoch(a) > since_epoch(b)


@dates(
    "datetime_gteq(a: datetime, b: datetime)",
    holds('datetime_gteq("2026-01-02", "2026-01-02")'),
    undefined('datetime_gteq("2026-13-01", "2026-01-01")'),
)
def datetime_gteq(a: Value, b: Value) -> bool:
    """The first moment is after the second, or the same."""
    return since_epoch(a) >= since_epoch(b)


@dates(
    "datetime_equal(a: datetime, b: datetime)",
    holds('datetime_equal("2026-01-01", "2026-01-01T01:00:00+01:00")'),
    fails('datetime_equal("2026-01-01", "2026-01-02")'),
    undefined('datetime_equal("2026-01-01", "")'),
)
def datetime_equal(a: Value, b: Value) -> bool:
    """The two are the same moment."""
    return since_epoch(a) == since_epoch(b)
