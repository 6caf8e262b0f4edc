# SPDX-License-Identifier: Apache-2.0
"""How long ago, for how long, and during which hours."""

import re
from datetime import UTC, tzinfo
from functools import lru_cache
from math import floor
from typing import Final
from zoneinfo import ZoneInfo

from congress.datalog.builtins.kinds import short_text, show, whole
from congress.datalog.builtins.moments import from_epoch, parse_clock, parse_datetime, parse_duration, parse_moment
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.builtins.shelf import Shelf, fails, gives, holds, undefined
from congress.datalog.values import Value

windows = Shelf(
    "time window",
    "``age`` and ``in_window`` move with the clock: a rule that uses them becomes true, or false, when "
    "the moment comes, without another change. The examples are as of 2026-01-02 03:04:05 UTC, a "
    "Friday.",
)

_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")


def _window(start: Value, end: Value) -> tuple[int, int]:
    first, last = parse_clock(start), parse_clock(end)
    if first == last:
        raise BuiltinError("a window that ends when it starts is either empty or all day; say which")
    return first, last


def _clock(now: float, zone: tzinfo) -> int:
    local = from_epoch(floor(now)).replace(tzinfo=UTC).astimezone(zone)
    return local.hour * 3600 + local.minute * 60 + local.second


def _within(now: float, start: Value, end: Value, zone: tzinfo) -> bool:
    first, last = _window(start, end)
    clock = _clock(now, zone)
    return first <= clock < last if first < last else clock >= first or clock < last


def _next_edge(now: float, start: Value, end: Value, zone: Value = "UTC") -> float:
    clock = _clock(now, _zone(short_text(zone, "time zone")))
    ahead = min((edge - clock - 1) % 86400 + 1 for edge in _window(start, end))
    if zone != "UTC":
        # The clocks of a zone may be put forward or back, which they are at a full quarter of an hour.
        ahead = min(ahead, 900 - floor(now) % 900)
    return float(floor(now) + ahead)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    """The zone of that name, from the machine's database or the tzdata package; read once."""
    if _ZONE.fullmatch(name):
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            pass
    raise BuiltinError(f'{show(name)} is no time zone such as "Europe/Berlin"')


@windows(
    "age(created: datetime -> seconds: number)",
    gives('age("2026-01-02T03:04:00Z", x)', x=5.0),
    gives('age("2026-01-03 03:04:05", x)', x=-86400.0),
    undefined('age("", x)'),
    temporal=True,
)
def age(now: float, created: Value) -> Value:
    """The seconds from the moment until now; negative when it is yet to come.

    In a rule, ``age(c) > "30d"`` compares it with a duration.
    """
    return now - parse_datetime(created)


@windows(
    "seconds(a: duration -> seconds: number)",
    gives('seconds("30d", x)', x=2592000),
    gives('seconds("1w2d", x)', x=777600),
    gives('seconds("PT1.5H", x)', x=5400),
    undefined('seconds("1 month", x)'),
    undefined("seconds(30, x)"),
)
def seconds(a: Value) -> Value:
    """The seconds in a duration.  Units are ``w``, ``d``, ``h``, ``m`` and ``s``, from the largest down."""
    total = parse_duration(a)
    return whole(total) if total.is_integer() else total


@windows(
    "in_window(start: clock, end: clock)",
    holds('in_window("22:00", "06:00")'),
    fails('in_window("08:00", "18:00")'),
    undefined('in_window("22:00", "22:00")'),
    undefined('in_window("10pm", "06:00")'),
    temporal=True,
    next_change=_next_edge,
)
def in_window(now: float, start: Value, end: Value) -> bool:
    """The time of day, in UTC, is from the start (included) to the end (not included).

    A window whose end is before its start goes over midnight.
    """
    return _within(now, start, end, UTC)


@windows(
    "in_window(start: clock, end: clock, zone: zone)",
    holds('in_window("04:00", "05:00", "Europe/Berlin")'),
    fails('in_window("03:00", "04:00", "Europe/Berlin")'),
    undefined('in_window("03:00", "04:00", "Berlin")'),
    temporal=True,
    next_change=_next_edge,
)
def in_window_zone(now: float, start: Value, end: Value, zone: Value) -> bool:
    """The same by the clocks of a time zone, which is named as in ``Europe/Berlin``."""
    return _within(now, start, end, _zone(short_text(zone, "time zone")))


@windows(
    "weekday_in(a: datetime, zone: zone -> day: integer)",
    gives('weekday_in("2026-01-02T23:30:00Z", "Europe/Berlin", x)', x=6),
    undefined('weekday_in("2026-01-02T23:30:00Z", "../etc", x)'),
)
def weekday_in(a: Value, zone: Value) -> Value:
    """The day of the week of the moment in a time zone, from 1 for Monday to 7 for Sunday."""
    moment = parse_moment(a).replace(tzinfo=UTC)
    return moment.astimezone(_zone(short_text(zone, "time zone"))).isoweekday()
