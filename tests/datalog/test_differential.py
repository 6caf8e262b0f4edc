# SPDX-License-Identifier: Apache-2.0
"""The engine is exact: after any changes its tables are what evaluation from scratch gives.

``pytest tests/datalog/test_differential.py --programs 100000`` tries more programs.  A failure shows the
steps, as texts and rows, under "Failing test case".
"""

import itertools
from pprint import pformat

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from congress.datalog import transaction
from congress.datalog.limits import Limits
from tests.datalog.differential import Pair
from tests.datalog.programs import Rows, Rules, Step, scripts


def test_random_programs(request: pytest.FixtureRequest) -> None:
    """Random stratified programs under random changes, compared with the naive evaluator after every step."""

    @settings(
        max_examples=request.config.getoption("--programs"),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(scripts())
    def run(script: list[Step]) -> None:
        note(pformat(script))
        Pair().run(script)

    run()


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts())
def test_limits(script: list[Step]) -> None:
    """Rules that go over a limit are switched off, and the rest is exact: what it would be without them."""
    note(pformat(script))
    Pair(Limits(rows=5)).run(script)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.integers(1, 40), st.integers(1, 3))
def test_limits_of_work(script: list[Step], work: int, chunk: int) -> None:
    note(pformat(script))
    Pair(Limits(work=work, chunk=chunk)).run(script)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.integers(1, 60))
def test_limits_of_time(script: list[Step], seconds: int) -> None:
    """By a clock that moves on with each look at it."""
    note(pformat(script))
    ticks = itertools.count()
    Pair(Limits(seconds=seconds, chunk=1), clock=lambda: float(next(ticks))).run(script)


def test_tables_that_are_filled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules are evaluated as a whole, from the best of their literals, whenever a table had no rows before."""
    monkeypatch.setattr(transaction, "FILLED_FROM", 1)

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(scripts())
    def run(script: list[Step]) -> None:
        note(pformat(script))
        Pair().run(script)

    run()


def test_no_rule_is_off_without_need() -> None:
    """The rule that goes over the limit is off, and says why; the others are not."""
    pair = Pair(Limits(rows=5))
    edges = [(a, a + 1) for a in range(4)]
    pair.step(Rows({"s:edge": (edges, [])}))
    pair.step(Rules([], [("p", "t2(x, y) :- s:edge(x, y)."), ("p", "t1(x, z) :- s:edge(x, y), s:edge(y, z).")], {}))
    pair.step(Rules([], [("p", "t1(x, y) :- s:edge(x, y).")], {}))
    states = [(pair.engine.status(new.id).state, new.rule.text) for new in pair.engine.rules()]
    assert [state for state, _ in states].count("off") == 1, states
    [off] = [pair.engine.status(new.id) for new in pair.engine.rules() if pair.engine.status(new.id).state == "off"]
    assert [diagnostic.code for diagnostic in off.diagnostics] == ["E001"]
