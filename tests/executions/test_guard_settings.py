# SPDX-License-Identifier: Apache-2.0
"""Settings of guards: documented, checked, merged; whatever JSON comes."""

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.executions.settings import (
    Caps,
    GuardInvalid,
    Mode,
    PolicyGuard,
    ServiceGuard,
    SettingsBook,
    check_override,
    merge,
    settings_of,
    strictest,
    to_dict,
)

KINDS = [PolicyGuard, ServiceGuard]
ALL = [(kind, name) for kind in KINDS for name in settings_of(kind)]
NUMBERS = [(kind, name) for kind, name in ALL if settings_of(kind)[name].kind in {int, float}]


def test_the_defaults_are_what_the_reference_promises() -> None:
    assert to_dict(PolicyGuard()) == {
        "mode": "enforce", "max_rows": 20, "max_percent": 25.0, "percent_floor": 5, "window": 300.0, "rate": None,
        "burst": 10, "cool_down": 0.0, "oscillation_count": 5, "oscillation_window": 3600.0, "hold_stale": True,
    }  # fmt: skip
    assert to_dict(ServiceGuard()) == {
        "mode": "enforce", "max_rows": 100, "max_percent": None, "percent_floor": 5, "window": 300.0, "rate": None,
        "burst": 10, "concurrency": 1, "timeout": 120.0, "deadline": 3600.0, "attempts": 4, "backoff": 2.0,
        "backoff_max": 300.0, "breaker_failures": 5, "breaker_seconds": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_setting_says_what_it_means_and_its_default_fits(kind: type[Caps], name: str) -> None:
    setting = settings_of(kind)[name]
    assert setting.meaning.endswith(".")
    assert setting.unit or setting.kind in {Mode, bool}
    default = {one.name: one.default for one in fields(kind)}[name]
    assert setting.check(name, default) == default


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_bounds(kind: type[Caps], name: str) -> None:
    setting = settings_of(kind)[name]
    for edge in (setting.low, setting.high):
        assert check_override(kind, {name: setting.kind(edge)}) == {name: edge}
    wrong = [setting.kind(setting.low) - 1, setting.kind(setting.high) + 1, 10**400, -(10**400), "1", True, [], {}]
    wrong += [math.nan, math.inf, -math.inf]
    wrong += [] if setting.null else [None]
    wrong += [setting.low + 0.5] if setting.kind is int else []
    for value in wrong:
        with pytest.raises(GuardInvalid) as raised:
            check_override(kind, {name: value})
        assert raised.value.key == name
        assert str(raised.value).startswith(f"{name} must be {setting.wanted}, not ")
        assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    ("kind", "override", "said"),
    [
        (PolicyGuard, [], "Settings of a guard must be an object, not a list."),
        (PolicyGuard, None, "Settings of a guard must be an object, not null."),
        (PolicyGuard, {"concurrency": 1}, "There is no setting 'concurrency'; there are: mode, max_rows, "),
        (ServiceGuard, {"hold_stale": True}, "There is no setting 'hold_stale'; there are: mode, "),
        (PolicyGuard, {"mode": "Enforce"}, "mode must be one of monitor, propose, enforce, not 'Enforce'."),
        (PolicyGuard, {"hold_stale": 1}, "hold_stale must be true or false, not 1."),
        (PolicyGuard, {"max_rows": 2.0}, "max_rows must be a whole number from 0 to 1000000, or null (no such cap), "),
        (PolicyGuard, {"window": 0}, "window must be a number from 1 to 86400, not 0."),
        (PolicyGuard, {"window": {"a": 1}}, "window must be a number from 1 to 86400, not an object."),
        (PolicyGuard, {"mode": "x" * 10_000}, "mode must be one of monitor, propose, enforce, not 'xxxx"),
    ],
)
def test_messages_say_what_to_give(kind: type[Caps], override: object, said: str) -> None:
    with pytest.raises(GuardInvalid) as raised:
        check_override(kind, override)
    assert str(raised.value).startswith(said)


def test_an_override_is_partial() -> None:
    base = PolicyGuard(max_rows=3, cool_down=10.0)
    assert merge(base, {}) == base
    assert merge(base, {"mode": "propose", "max_percent": None}) == PolicyGuard(
        mode=Mode.PROPOSE, max_rows=3, max_percent=None, cool_down=10.0
    )
    assert merge(base, {"mode": "propose"}).mode is Mode.PROPOSE
    assert check_override(PolicyGuard, {"mode": "monitor", "window": 60}) == {"mode": "monitor", "window": 60.0}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({name for _, name in ALL})


def checked(kind: type[Caps], override: Any) -> tuple[dict[str, Any] | None, str]:
    try:
        return check_override(kind, override), ""
    except GuardInvalid as error:
        return None, str(error)


@given(
    kind=st.sampled_from(KINDS),
    override=JSON | st.dictionaries(st.sampled_from(NAMES) | st.text(), JSON | st.integers(0, 100), max_size=4),
)
def test_whatever_json_comes_is_taken_or_refused(kind: type[Caps], override: Any) -> None:
    kept, refusal = checked(kind, override)
    if kept is None:
        assert refusal.endswith(".")
        assert len(refusal) < 500
        return
    assert set(kept) == set(override)
    json.dumps(kept, allow_nan=False)
    made = merge(kind(), override)
    assert merge(kind(), kept) == made
    assert merge(kind(), to_dict(made)) == made
    assert {name: to_dict(made)[name] for name in kept} == kept


@pytest.mark.parametrize("one", Mode)
@pytest.mark.parametrize("other", Mode)
def test_the_stricter_mode(one: Mode, other: Mode) -> None:
    order = [Mode.MONITOR, Mode.PROPOSE, Mode.ENFORCE]
    assert strictest(one, other) is order[min(order.index(one), order.index(other))]


def test_the_book() -> None:
    book = SettingsBook()
    assert book.override("policy", "p", {"max_rows": 1}) == PolicyGuard(max_rows=1)
    assert book.override("service", "p", {"max_rows": 2}) == ServiceGuard(max_rows=2)
    assert (book.policy("p").max_rows, book.service("p").max_rows) == (1, 2)
    assert (book.policy("q"), book.service("q")) == (PolicyGuard(), ServiceGuard())
    with pytest.raises(GuardInvalid):
        book.override("policy", "p", {"max_rows": -1})
    assert book.policy("p").max_rows == 1
    assert book.override("policy", "p", None) == PolicyGuard()
    assert book.service("p").max_rows == 2


def test_the_horizon_is_as_far_as_anything_looks() -> None:
    book = SettingsBook()
    assert book.horizon == 3600.0
    book.override("policy", "p", {"cool_down": 7200})
    assert book.horizon == 7200.0
    book.override("service", "nova", {"window": 80_000})
    assert book.horizon == 80_000.0
    book.override("service", "nova", None)
    book.override("policy", "p", None)
    assert book.horizon == 3600.0
