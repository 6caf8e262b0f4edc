# SPDX-License-Identifier: Apache-2.0
"""The parsers that the engine shares with the built-ins, and that they look at no clock and no zone of the machine."""

import os
import time
from datetime import UTC, datetime

import pytest

from congress.datalog.builtins import moments
from congress.datalog.builtins.moments import (
    from_epoch,
    parse_clock,
    parse_datetime,
    parse_duration,
    parse_interval,
    parse_moment,
    parse_time,
)
from congress.datalog.builtins.registry import BuiltinError
from congress.datalog.values import TRUE, Value

ODD = ["1 Jan 2026 10:00", "2026-01-01 10:00 GMT", "Thu, 01 Jan 2026 11:00:00 +0100", "01/01/2026 10:00", "20260101T10"]


@pytest.mark.parametrize("text", ODD)
def test_many_forms_name_one_moment(text: str) -> None:
    assert parse_datetime(text) == datetime(2026, 1, 1, 10, tzinfo=UTC).timestamp()
    assert parse_moment(text) == datetime(2026, 1, 1, 10)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_the_zone_of_the_machine_does_not_matter(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    moments._other_forms.cache_clear()
    moments._other_times.cache_clear()
    try:
        for text in ODD:
            assert parse_datetime(text) == 1767261600
        with pytest.raises(BuiltinError, match="ambiguous"):
            parse_datetime(f"2026-01-01 10:00 {time.tzname[0]}")
        assert parse_time("10pm").hour == 22
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") != zone


@pytest.mark.parametrize(
    "text", ["", "now", "today", "Monday", "10:00", "Jan 2026", "2026", "31", "2026-02-30", None, 5, 1.5, TRUE]
)
def test_what_names_no_day_is_refused(text: Value) -> None:
    for _ in range(2):  # the second time out of the cache
        with pytest.raises(BuiltinError):
            parse_datetime(text)
        with pytest.raises(BuiltinError):
            parse_moment(text)


def test_offsets_move_a_time_of_day() -> None:
    assert parse_time("00:30+01:00").isoformat() == "23:30:00"
    assert parse_time("2026-01-01T00:30:00+01:00").isoformat() == "23:30:00"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 2592000),
        ("1w2d", 777600),
        ("1.5h", 5400),
        ("-5m", -300),
        ("PT12H30M", 45000),
        ("P1W", 604800),
        ("0s", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_interval(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "d", "P", "PT", "30", "1:30", "1 d", "1d1w", "1mo", "P1M", "P1Y", "1e3s", "--1s", "1d\n", None, 30]
)
def test_what_is_no_duration(text: Value) -> None:
    with pytest.raises(BuiltinError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "seconds"), [("1:30", 90), ("1:0:0:0:0", 604800), ("-1:00", -60), ("30", 30), (2.5, 2.5), (-3, -3)]
)
def test_intervals(value: Value, seconds: float) -> None:
    assert parse_interval(value) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("00:00", 0), ("06:30", 23400), ("23:59:59", 86399), ("24:00", 86400)])
def test_clocks(text: str, seconds: int) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["24:01", "25:00", "6:00", "06:60", "06:00:60", "0600", "", None, 600])
def test_what_is_no_clock(text: Value) -> None:
    with pytest.raises(BuiltinError):
        parse_clock(text)


def test_moments_stay_within_four_digit_years() -> None:
    assert from_epoch(253402300799).year == 9999
    with pytest.raises(OverflowError):
        from_epoch(253402300800)
    with pytest.raises(BuiltinError):
        parse_moment("9999-12-31T23:59:59-01:00")
    assert parse_datetime("9999-12-31T23:59:59-01:00") == 253402300799 + 3600
