# SPDX-License-Identifier: Apache-2.0
"""The group ``[guard]``: the settings of the guard as options, with the same defaults and bounds."""

from pathlib import Path

import pytest

from congress.conf import ConfigurationError, load
from congress.executions.settings import Defaults, Mode, PolicyGuard, ServiceGuard, settings_of


def configured(tmp_path: Path, text: str) -> Defaults:
    file = tmp_path / "congress.conf"
    file.write_text(f"[guard]\n{text}\n", encoding="utf-8")
    return load([], files=[str(file)]).guard


def test_defaults_are_the_settings_own() -> None:
    assert load([], files=[]).guard == Defaults(PolicyGuard(), ServiceGuard())


def test_every_setting_is_an_option() -> None:
    group = load([], files=[]).options.guard
    wanted = {f"policy_{name}" for name in settings_of(PolicyGuard)}
    wanted |= {f"service_{name}" for name in settings_of(ServiceGuard)}
    assert set(group) == wanted


def test_values(tmp_path: Path) -> None:
    made = configured(
        tmp_path,
        "policy_mode = propose\npolicy_max_rows =\npolicy_max_percent = 12.5\npolicy_hold_stale = no\n"
        "policy_cool_down = 60\nservice_rate = 30\nservice_max_rows = 0\nservice_deadline =\nservice_concurrency = 4",
    )
    assert made.policy == PolicyGuard(
        mode=Mode.PROPOSE, max_rows=None, max_percent=12.5, hold_stale=False, cool_down=60.0
    )
    assert made.service == ServiceGuard(rate=30.0, max_rows=0, deadline=None, concurrency=4)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_GUARD__POLICY_MAX_ROWS", "7")
    assert load([], files=[]).guard.policy.max_rows == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy_max_rows = -1", "policy_max_rows"),
        ("policy_max_percent = 101", "policy_max_percent"),
        ("policy_max_percent = nan", "policy_max_percent"),
        ("policy_window = inf", "policy_window"),
        ("policy_burst =", "policy_burst"),
        ("policy_mode = maybe", "policy_mode"),
        ("policy_hold_stale = maybe", "policy_hold_stale"),
        ("service_concurrency = 0", "service_concurrency"),
        ("service_timeout =", "service_timeout must be a number from 0.1 to 86400, not null"),
        ("service_breaker_failures = many", "service_breaker_failures"),
    ],
)
def test_wrong_values_are_refused_with_the_options_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        configured(tmp_path, text)
