# SPDX-License-Identifier: Apache-2.0
"""The page on the guard has all settings and reasons, and its examples happen as it says."""

import re
import sys
from collections.abc import Iterable
from dataclasses import replace

import pytest

from congress.executions.guard import Outcome, Verdict
from congress.executions.settings import PolicyGuard, ServiceGuard, settings_of
from congress.executions.states import Reason, State
from tests.docs.pages import DOCS
from tests.executions.wishes import admitted, guard, many, wanted

pytest.importorskip("sphinx")
sys.path.append(str(DOCS / "_ext"))

import guards

TEXT = (DOCS / "reference" / "guard.rst").read_text(encoding="utf-8")
OF_THE_LEDGER = {
    Reason.UNKNOWN, Reason.REJECTED, Reason.BY_USER, Reason.REFUSED, Reason.ERROR, Reason.ATTEMPTS,
}  # fmt: skip


def says(verdicts: Iterable[Verdict]) -> None:
    """The page has what is said of all of these."""
    (detail,) = {verdict.detail for verdict in verdicts}
    assert f"    {detail}\n" in TEXT


@pytest.mark.parametrize(("kind", "settings"), [("policy", PolicyGuard), ("service", ServiceGuard)])
def test_every_setting_is_described(kind: str, settings: type[PolicyGuard | ServiceGuard]) -> None:
    assert f".. declared-guard:: {kind}\n" in TEXT
    text = "\n".join(guards.settings_text(kind))
    assert re.findall(r"^``(\w+)``$", text, re.MULTILINE) == list(settings_of(settings))
    assert text.count("Default: ") == len(settings_of(settings))


def test_every_reason_of_the_guard_has_a_row() -> None:
    rows = set(re.findall(r"^   \* - ``(\w+)``$", TEXT, re.MULTILINE))
    assert rows == {reason.value for reason in set(Reason) - OF_THE_LEDGER}


def test_thirty_at_once() -> None:
    says(guard().admit(many(30, policy="idle", population=400), 0.0, set()))


def test_one_by_one() -> None:
    made = guard()
    found = [admitted(made, many(1, policy="idle", population=400), 8.0 * n)[0] for n in range(30)]
    assert [verdict.state for verdict in found] == [State.APPROVED] * 20 + [State.HELD] * 10
    says(found[20:])


def test_a_small_cloud() -> None:
    made = guard()
    admitted(made, many(4, policy="idle", population=16), 0.0)
    assert admitted(made, many(1, policy="idle", population=16), 1.0)[0].state is State.APPROVED
    says(made.admit(many(1, policy="idle", population=16), 2.0, set()))


def test_several_policies() -> None:
    group = [one for n in range(6) for one in many(18, policy=f"p{n}")]
    says(guard().admit(group, 0.0, set()))


def test_policies_against_each_other() -> None:
    made = guard()
    for n in range(5):
        idle, on = wanted("idle", args=("s1",)), wanted("always_on", action="servers.start", args=("s1",))
        assert {verdict.state for verdict in admitted(made, [idle, on], 60.0 * n)} == {State.APPROVED}
    says(made.admit([wanted("idle", args=("s1",))], 300.0, set()))


def test_a_rate() -> None:
    made = guard(None, {"rate": 30.0, "burst": 10, "concurrency": 100})
    verdicts = [made.clear(replace(one, state=State.QUEUED), 0.0, set(), {}) for one in many(100)]
    assert verdicts[:10] == [None] * 10
    waiting = [verdict for verdict in verdicts[10:] if verdict is not None]
    assert [verdict.until for verdict in waiting] == [pytest.approx(2.0 * n) for n in range(1, 91)]
    says(waiting[-1:])


def test_a_service_that_is_down() -> None:
    made = guard()
    for _ in range(5):
        made.finished(wanted(), Outcome.TROUBLE, 0.0)
    verdict = made.clear(replace(wanted(), state=State.QUEUED), 59.0, set(), {})
    assert verdict is not None
    says([verdict])
    probe = replace(wanted(), state=State.QUEUED)
    assert made.clear(probe, 60.0, set(), {}) is None
    made.finished(probe, Outcome.TROUBLE, 61.0)
    probe = replace(probe, deadline=3600.0)
    late = made.clear(replace(probe, approved_at=0.0), 3600.0, set(), {})
    assert made.clear(probe, 121.0, set(), {}) is None
    assert late is not None
    assert late.reason is Reason.DEADLINE
    assert made.finished(probe, Outcome.OK, 122.0) is not None
    assert made.breakers == {}
