# SPDX-License-Identifier: Apache-2.0
"""Laws that the built-ins keep for all inputs, and what hostile inputs can do: nothing but make them undefined."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from congress.datalog.builtins import core_registry
from congress.datalog.builtins.kinds import INTEGERS, MAX_ROWS, MAX_TEXT
from congress.datalog.builtins.moments import parse_datetime, parse_duration
from congress.datalog.builtins.registry import Builtin
from congress.datalog.values import FALSE, TRUE, Bool, Value
from tests.datalog.literals import FAULTS, answers

REGISTRY = core_registry()


def call(name: str, *inputs: Value) -> Any:
    """What a built-in with one answer says, or "undefined"."""
    builtin = next(one for one in REGISTRY.named(name) if len(one.inputs) == len(inputs))
    try:
        return builtin.function(*inputs)
    except FAULTS:
        return "undefined"


integers = st.integers(*INTEGERS)
floats = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.one_of(integers, floats)
booleans = st.sampled_from([TRUE, FALSE])
strings = st.text()
scalars = st.one_of(numbers, booleans, strings)
values = st.one_of(scalars, st.none())
ordered_pairs = st.one_of(st.tuples(numbers, numbers), st.tuples(strings, strings), st.tuples(booleans, booleans))
datetimes = st.datetimes()
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
networks = st.one_of(
    st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds("{}/{}".format, st.ip_addresses(v=6), st.integers(0, 128)),
)


def is_answer(value: object) -> bool:
    """Whether a row can hold it."""
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is int:
        return INTEGERS[0] <= value <= INTEGERS[1]
    return value is None or isinstance(value, Bool) or (type(value) is str and len(value) <= MAX_TEXT)


# -- order


@given(ordered_pairs)
def test_order_is_total_within_a_kind(pair: tuple[Value, Value]) -> None:
    a, b = pair
    assert call("lt", a, b) + call("equal", a, b) + call("gt", a, b) == 1
    assert call("lteq", a, b) == (call("lt", a, b) or call("equal", a, b))
    assert call("gteq", a, b) == call("lteq", b, a)
    assert {call("max", a, b), call("min", a, b)} == {a, b}


@given(values, values)
def test_order_between_kinds_is_undefined(a: Value, b: Value) -> None:
    same = call("type_of", a) == call("type_of", b) != "null"
    for name in ("lt", "lteq", "gt", "gteq", "max", "min"):
        assert (call(name, a, b) != "undefined") == same or "undefined" in (a, b)


@given(values, values)
def test_equality_is_that_of_rows(a: Value, b: Value) -> None:
    assert call("equal", a, b) == (a == b) == call("equal", b, a)
    if call("type_of", a) != call("type_of", b):
        assert not call("equal", a, b)


# -- one value, one answer


@given(st.integers(-(1 << 53), 1 << 53), st.data())
def test_whole_floats_answer_as_their_integers_do(number: int, data: st.DataObject) -> None:
    builtin = data.draw(st.sampled_from([one for one in REGISTRY if one.name != "div" and one.inputs]))
    at = data.draw(st.integers(0, len(builtin.inputs) - 1))
    rest = data.draw(st.lists(st.one_of(st.integers(-100, 100), st.text(max_size=5)), min_size=6, max_size=6))
    found = []
    for value in (number, float(number)):
        inputs: list[Value] = [*rest[: len(builtin.inputs)]]
        inputs[at] = value
        try:
            found.append(answers(builtin, inputs))
        except FAULTS:
            found.append(["undefined"])  # type: ignore[list-item]  # no answer equals it
    if builtin.name.startswith("validate_"):  # the message shows the value as it was written
        assert [[one == "" for one in row] for row in found[0]] == [[one == "" for one in row] for row in found[1]]
    else:
        assert found[0] == found[1]


# -- inverses and symmetry


@given(integers, integers)
def test_minus_undoes_plus(a: int, b: int) -> None:
    total = call("plus", a, b)
    assume(total != "undefined")
    assert call("minus", total, b) == a


@given(integers, integers.filter(bool))
def test_div_and_mod_belong_together(a: int, b: int) -> None:
    quotient = call("div", a, b)
    assume(quotient != "undefined")
    assert quotient * b + call("mod", a, b) == a


@given(floats)
def test_rounding_stays_near(a: float) -> None:
    assert call("floor", a) <= a <= call("ceil", a)
    assert abs(call("round", a) - a) <= 0.5


@given(numbers, st.integers(-15, 15))
def test_rounding_to_digits_stays_near(a: float, digits: int) -> None:
    rounded = call("round", a, digits)
    assert is_answer(rounded) or rounded == "undefined"
    if rounded != "undefined":
        assert abs(rounded - a) <= 0.5 * 10.0**-digits + abs(a) * 1e-15
        assert call("round", float(a), digits) in (rounded, float(rounded))


@given(strings, strings)
def test_concat_can_be_taken_apart(a: str, b: str) -> None:
    both = call("concat", a, b)
    assert both == call("plus", a, b)
    assert call("len", both) == call("len", a) + call("len", b)
    assert call("substring", both, len(a)) == b
    assert call("substring", both, 0, len(a)) == a
    assert call("starts_with", both, a)
    assert call("ends_with", both, b)
    assert call("contains", both, b)


@given(strings, st.text(min_size=1, max_size=2))
def test_split_parts_join_to_the_string(a: str, separator: str) -> None:
    parts = list(call("split", a, separator))
    assert separator.join(part for _, part in parts) == a
    assert [index for index, _ in parts] == list(range(len(parts)))


@given(integers)
def test_integers_survive_as_text(a: int) -> None:
    assert call("to_int", call("to_string", a)) == a
    assert call("int", call("to_string", a)) == a


@given(floats)
def test_floats_survive_as_text(a: float) -> None:
    assert call("to_float", call("to_string", a)) == a


@given(datetimes)
def test_unpack_undoes_pack(moment: datetime) -> None:
    parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    packed = call("pack_datetime", *parts)
    assert call("unpack_datetime", packed) == parts
    assert call("unpack_date", call("pack_date", *parts[:3])) == parts[:3]
    assert call("unpack_time", call("pack_time", *parts[3:])) == parts[3:]
    assert call("extract_date", packed) == call("pack_date", *parts[:3])
    assert call("extract_time", packed) == call("pack_time", *parts[3:])


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)), st.timezones())
def test_zones_are_honoured(moment: datetime, zone: Any) -> None:
    local = moment.replace(tzinfo=zone)
    assert parse_datetime(local.isoformat()) == local.timestamp()
    assert call("datetime_equal", local.isoformat(), local.astimezone(UTC).replace(tzinfo=None).isoformat()) is True


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.sampled_from(["%d %b %Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"]))
def test_other_forms_are_read_alike(moment: datetime, form: str) -> None:
    moment = moment.replace(microsecond=0)
    assert call("extract_date", moment.strftime(form)) == moment.date().isoformat()
    assert parse_datetime(moment.strftime(form)) == parse_datetime(moment.isoformat())


@given(datetimes, datetimes)
def test_datetimes_are_ordered_exactly(a: datetime, b: datetime) -> None:
    one, two = a.isoformat(), b.isoformat(" ")
    assert call("datetime_lt", one, two) == (a < b) == call("datetime_gt", two, one)
    assert call("datetime_lteq", one, two) == (a <= b) == call("datetime_gteq", two, one)
    assert call("datetime_equal", one, two) == (a == b)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-(10**9), 10**9))
def test_datetime_arithmetic_is_its_own_inverse(moment: datetime, seconds: int) -> None:
    text = moment.isoformat(" ")
    later = call("datetime_plus", text, seconds)
    assert call("datetime_minus", later, seconds) == text
    assert call("datetime_diff", later, text) == seconds
    assert abs(parse_datetime(later) - parse_datetime(text) - seconds) < 1e-5
    assert call("datetime_plus", text, f"{seconds}s") == later


@given(*[st.integers(0, 999)] * 5)
def test_durations_add_up(weeks: int, days: int, hours: int, minutes: int, secs: int) -> None:
    total = (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + secs
    assert parse_duration(f"{weeks}w{days}d{hours}h{minutes}m{secs}s") == total
    assert parse_duration(f"P{days}DT{hours}H{minutes}M{secs}S") == total - weeks * 604800


@given(networks, networks)
def test_networks_agree_with_each_other(a: str, b: str) -> None:
    assert call("networks_overlap", a, b) == call("networks_overlap", b, a)
    assert call("networks_overlap", a, a) is True
    assert call("networks_overlap", a, b) == (call("cidr_contains", a, b) or call("cidr_contains", b, a))
    assert call("networks_equal", a, b) == (call("cidr_contains", a, b) and call("cidr_contains", b, a))
    assert call("networks_equal", a, call("normal_network", a)) is True


@given(addresses, networks)
def test_addresses_lie_within_their_networks(a: str, network: str) -> None:
    first, last = call("cidr_range", network)
    # ::/80 ends with ::ffff:255.255.255.255, which is an address of IPv4.
    assume(call("ip_version", first) == call("ip_version", last))
    inside = call("ip_version", first) == call("ip_version", a) and call("ip_in_range", a, first, last)
    assert call("ip_in_network", a, network) == inside == call("cidr_contains", network, a)
    for prefix in (0, 7, 32):
        assert call("ip_in_network", a, call("network_of", a, prefix)) is True


@given(addresses, addresses)
def test_addresses_are_ordered(a: str, b: str) -> None:
    assert call("ips_lt", a, b) + call("ips_equal", a, b) + call("ips_gt", a, b) == 1
    assert call("ips_lteq", a, b) == call("ips_gteq", b, a)


@given(st.ip_addresses(v=4).map(str))
def test_addresses_survive_as_numbers(a: str) -> None:
    assert call("int_to_ip", call("ip_to_int", a), 4) == a
    assert call("ips_equal", a, f"::ffff:{a}") is True


@given(strings, st.sampled_from(["", "a", "[a-z]+", "(.)(.)?", "^.*$", r"\d|\s"]))
def test_regular_expressions_agree_with_each_other(a: str, pattern: str) -> None:
    whole = [found for _, group, found in call("regex_groups", a, pattern) if group == 0]
    assert call("matches", a, pattern) == bool(whole)
    assert call("regex_replace", a, pattern, r"\0") == a
    assert len(call("regex_replace", a, pattern, "")) == len(a) - sum(map(len, whole))


@given(
    st.integers(0, 2**32),
    st.sampled_from(
        [("22:00", "06:00"), ("06:00", "22:00"), ("02:30", "02:45"), ("00:00", "24:00"), ("23:59:59", "00:00")]
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_a_window_does_not_change_before_it_says(now: int, window: tuple[str, str], zone: str) -> None:
    builtin = REGISTRY.find("in_window", 3)
    assert builtin is not None
    assert builtin.next_change is not None
    edge = builtin.next_change(now, *window, zone)
    assert now < edge <= now + 86400
    before = builtin.function(now, *window, zone)
    moments = {
        now + 1,
        now + 60,
        now + 900,
        (now + edge) // 2,
        edge - 1,
        edge - 0.25,
        *range(now - now % 900 + 900, int(edge), 900),
    }
    assert {builtin.function(moment, *window, zone) for moment in moments if now <= moment < edge} <= {before}
    if zone == "UTC" and window != ("00:00", "24:00"):
        assert builtin.function(edge, *window, zone) != before
        assert REGISTRY.find("in_window", 2).next_change(now, *window) == edge  # type: ignore[union-attr,misc]  # above


@pytest.mark.parametrize("text", ["2026-03-29T00:59:59Z", "2026-10-25T00:59:59Z"])
def test_a_window_follows_the_clocks_of_its_zone(text: str) -> None:
    """Berlin's clocks jump from 02:00 to 03:00 in March, and from 03:00 to 02:00 in October."""
    now = parse_datetime(text)
    builtin = REGISTRY.find("in_window", 3)
    assert builtin is not None
    assert builtin.next_change is not None
    window = ("02:10", "02:50", "Europe/Berlin") if "-03-" in text else ("02:00", "02:30", "Europe/Berlin")
    assert builtin.next_change(now, *window) == now + 1
    assert builtin.function(now, *window) is False
    assert builtin.function(now + 1, *window) is ("-10-" in text)


# -- hostile inputs

HOSTILE: list[Value] = [
    None, TRUE, FALSE, 0, -1, 1, 2, 1e308, -1e308, 5e-324, -0.0, 0.5, 2**63, -(2**63), 2**64 - 1, 10**400,
    1e15,
    "", " ", "\0", "\ud800", "None", "a", "(", "[", "\\", "(a+)+$", "((a*)*)*b", r"(\pL{1,99}){1,9}",
    ".*" * 400, "%s%n",
    "a" * 50, "9" * 50, "9" * 5000, "-" + "1" * 30, "1e999999", "nan", "inf", "0x1f", "\uff11\uff12",
    "\u202e",
    "2026-01-02", "2026-01-02T03:04:05+23:59", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
    "2026-01-02 03:04:05.999999999", "24:00", "99:99", "12:30", "P1D", "1d", "999999999999999w",
    "1" * 15 + ":0:0:0:0", "now",
    "10 Jan", "Jan 2026 EST", "2026-01-02 10:00 +9999", "10.0.0.1", "10.0.0.0/8", "::/0", "::1%lo",
    "1::2::3", "10.0.0.0/-1",
    "0/0", "Europe/Berlin", "/etc/passwd", "..", "{}", "[]", '{"a":' * 2000, "[" * 100_000,
    "[1" + ",1" * 20_000 + "]",
    '{"a": [1, {"b": null}]}', '"\\ud800"', "1e400", "a.b[0]", "$" * 1000, '["' + "\\" * 900, "\\1\\2", "\\9",
    "a" * 1_000_000, "ab," * 300_000, "ß" * 400_000, "🙂" * 100_000,
]  # fmt: skip
SLOWEST = 6.0  # seconds for one call; the limits allow about four on a machine that does nothing else


@pytest.mark.parametrize("builtin", list(REGISTRY), ids=lambda b: f"{b.name}/{b.arity}")
def test_hostile_inputs_answer_or_are_undefined(builtin: Builtin) -> None:
    """Any value in any place, the others plausible or hostile as well."""
    places = len(builtin.inputs)
    usual: list[Value] = ["2026-01-02", "10.0.0.0/8", "a", 1, "", "b", 1, 1]
    plausible = [usual, usual[1:], usual[2:]]
    tried: list[list[Value]] = [[value] * places for value in HOSTILE]
    for at in range(places):
        for row in plausible:
            tried += [[*row[:at], value, *row[at + 1 : places]] for value in HOSTILE]
    for inputs in tried:
        survives(builtin, inputs)


any_value = st.one_of(values, st.sampled_from(HOSTILE), strings.map(lambda text: text * 1000))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=300)
@given(st.sampled_from(list(REGISTRY)), st.lists(any_value, min_size=6, max_size=6))
def test_any_inputs_answer_or_are_undefined(builtin: Builtin, inputs: list[Value]) -> None:
    survives(builtin, inputs[: len(builtin.inputs)])


def survives(builtin: Builtin, inputs: list[Value]) -> None:
    began = time.thread_time()
    found: list[tuple[Value, ...]] = []
    message = ""
    try:
        found = answers(builtin, inputs)
    except FAULTS as error:
        message = str(error)
    assert len(message) < 1000, "a message shows a little of its input, not all"
    assert time.thread_time() - began < SLOWEST
    assert len(found) <= MAX_ROWS
    for outputs in found:
        for value in outputs:
            assert is_answer(value) or value in inputs, f"{builtin.name} answered {value!r:.80}"


@pytest.mark.parametrize(
    "work",
    [
        lambda: call("matches", "ab" * 500_000, "(?:[ab]*a[ab]{200}c)?z"),
        lambda: call("regex_extract", "ab" * 10_000, "(?:[ab]*a[ab]{100}c)?"),
        lambda: call("regex_groups", "a" * 100_000, "a(?:.*z)?"),
        lambda: call("regex_replace", "a" * 5_000, "", "x" * 1000),
        lambda: call("regex_replace", "a" * 5_000, "a", "\\0" * 500),
        lambda: call("mul", "ab", 10**18),
        lambda: call("concat", "a" * MAX_TEXT, "a"),
        lambda: call("replace", "a" * 10_000, "a", "b" * 10_000),
        lambda: call("split", "a," * 20_000, ","),
        lambda: call("upper", "ß" * MAX_TEXT),
        lambda: call("json_items", "[" + "1," * 20_000 + "1]", ""),
    ],
)
def test_what_is_too_much_is_undefined(work: Callable[[], Any]) -> None:
    began = time.thread_time()
    assert work() == "undefined"
    assert time.thread_time() - began < SLOWEST
