# SPDX-License-Identifier: Apache-2.0
"""Circles through an absence or an aggregate: who is refused, who goes off, and that nobody else suffers."""

import pytest

from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Engine
from congress.datalog.schema import TableSchema

ONE = {"t": TableSchema.of("x")}
OTHER = {"t": TableSchema.of("y")}
NAMED = "a(x) :- svc:t(x=x), not b(x)"


def policy(text: str = "") -> Engine:
    engine = Engine()
    engine.create_policy("p")
    engine.add_rules("p", text)
    return engine


def states(engine: Engine) -> list[str]:
    return [engine.status(rule.id).state for rule in engine.rules()]


def circle_that_a_schema_closes() -> Engine:
    """Of two rules, the first was off when the second came; behind them an innocent one."""
    engine = policy(NAMED)
    engine.set_schema("svc", OTHER)
    engine.add_rules("p", "b(x) :- a(x)\nfree(x) :- svc:t(x)")
    assert states(engine) == ["off", "active", "active"]
    return engine


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a(x) :- svc:t(x), not b(x)\nb(x) :- svc:t(x), not a(x)", (2, 19)),
        ("b(x) :- a(x)\na(x) :- svc:t(x), not b(x)", (2, 19)),
        ("a(x) :- svc:t(x), not a(x)", (1, 19)),
        ("a(count(x)) :- svc:t(x), b(x)\nc(x) :- a(x)\nb(x) :- c(x), svc:u(x)", (1, 3)),
    ],
)
def test_a_circle_among_waiting_rules_is_refused_at_once(text: str, place: tuple[int, int]) -> None:
    engine = policy()
    with pytest.raises(PolicyError) as caught:
        engine.add_rules("p", text)
    [finding] = caught.value.diagnostics
    assert finding.code == "P001"
    assert (finding.line, finding.column) == place
    assert engine.rules() == []


def test_a_circle_is_refused_where_its_last_rule_comes() -> None:
    engine = policy("a(x) :- svc:t(x), not b(x)\nb(x) :- c(x)\nc(x) :- svc:u(x)")
    with pytest.raises(PolicyError, match="p:a -> p:c -> p:b -> p:a"):
        engine.add_rules("p", "c(x) :- a(x)")
    engine.add_rules("p", "d(x) :- a(x), not c(x)\nc(x) :- c(x), svc:t(x)")
    assert set(states(engine)) == {"waiting", "active"}


def test_guards_over_the_time_may_wait_in_a_circle() -> None:
    engine = policy('a(x) :- svc:t(x), b(x, m), age(m) > "1h"\nb(x, m) :- a(x), svc:u(x, m)')
    engine.set_schema("svc", {"t": TableSchema.of("x"), "u": TableSchema.of("x", "m")})
    assert states(engine) == ["active", "active"]


def test_a_schema_that_closes_a_circle_is_taken_and_the_rest_works() -> None:
    engine = circle_that_a_schema_closes()
    engine.set_schema("svc", ONE)
    assert states(engine) == ["off", "active", "active"]
    assert engine.status("r1").diagnostics[-1].code == "P001"
    engine.apply({"svc:t": ([(1,)], [])})
    assert set(engine.rows("p:free")) == {(1,)}
    assert "its own absence" in engine.why_not("p:a", (1,)).rules[0].reason


def test_a_rule_is_back_when_its_circle_is_open() -> None:
    engine = circle_that_a_schema_closes()
    engine.add_rules("p", "b(2)")
    engine.set_schema("svc", ONE)
    engine.apply({"svc:t": ([(1,), (2,)], [])})
    before = engine.dump()
    with engine.hypothetical():
        engine.apply(remove=["r2"])
        assert set(engine.rows("p:a")) == {(1,)}
    assert engine.dump() == before
    assert states(engine)[:2] == ["off", "active"]
    engine.apply(remove=["r2"])
    assert states(engine)[0] == "active"
    assert set(engine.rows("p:a")) == {(1,)}


def test_a_policy_that_closes_a_circle_is_made() -> None:
    engine = policy("a(x) :- z:t(x, _), not b(x)")
    engine.set_schema("z", OTHER)
    engine.add_rules("p", "b(x) :- a(x)\nfree(x) :- z:t(x)")
    engine.delete_service("z")
    assert states(engine) == ["waiting", "active", "waiting"]
    engine.create_policy("z")
    assert states(engine) == ["off", "active", "active"]
    engine.add_rules("z", "t(1)")
    assert set(engine.rows("p:free")) == {(1,)}


def test_of_two_that_wait_in_a_circle_the_later_goes_off() -> None:
    engine = policy("a(x) :- svc:t(x=x), not b(x)")
    engine.set_schema("svc", OTHER)
    engine.add_rules("p", "b(x) :- svc:t(x), not a(x)\nfree(x) :- svc:t(x)")
    engine.delete_service("svc")
    assert states(engine) == ["waiting"] * 3
    engine.set_schema("svc", ONE)
    assert states(engine) == ["active", "off", "active"]
    engine.apply({"svc:t": ([(1,)], [])})
    assert set(engine.rows("p:a")) == set(engine.rows("p:free")) == {(1,)}


RECURSIVE = [
    'rr(x) :- s(x, t), r2(x), age(t) > "2h"',
    "r2(x) :- rr(x)",
    "r2(x) :- s(x, _)",
    's(1, "2020-01-01")',
    's(2, "2030-01-01")',
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (1, 2, 3, 4, 0), (3, 4, 2, 0, 1)])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_guard_over_the_time_may_be_in_a_circle_whatever_comes_last(order: tuple[int, ...], at_once: bool) -> None:
    engine = Engine(now=1.7e9)
    engine.create_policy("p")
    for text in ["\n".join(RECURSIVE[n] for n in order)] if at_once else [RECURSIVE[n] for n in order]:
        engine.add_rules("p", text)
    assert set(engine.rows("p:rr")) == {(1,)}
    assert engine.next_wake is not None
    engine.advance(2e9)
    assert set(engine.rows("p:rr")) == {(1,), (2,)}


def test_a_guard_stays_one_when_an_absence_closes_the_circle() -> None:
    engine = policy("\n".join(RECURSIVE[i] for i in (0, 2, 3)))
    before = engine.dump()
    wake = engine.next_wake
    with pytest.raises(PolicyError):
        engine.add_rules("p", "r2(x) :- rr(x), s(x, _), not rr(x)")
    assert engine.dump() == before
    assert engine.next_wake == wake
    engine.add_rules("p", RECURSIVE[1])
    with engine.hypothetical():
        engine.apply(remove=["r1"])
        assert not engine.rows("p:rr")
    engine.advance(1.7e9)
    assert set(engine.rows("p:rr")) == {(1,)}


def test_a_rule_within_a_recursion_lifts_it_above_all_it_reads() -> None:
    engine = Engine()
    engine.set_schema("s", {"k": TableSchema.of("x"), "n": TableSchema.of("x")})
    engine.create_policy("p")
    engine.add_rules("p", "b(x) :- s:k(x)\nb(x) :- d(x)\nd(x) :- b(x), x > 9")
    engine.add_rules("p", "a(x) :- a1(x)\na1(x) :- a2(x)\na2(x) :- a3(x)\na3(x) :- s:n(x)")
    engine.add_rules("p", "d(x) :- b(x), not a(x)")
    engine.apply({"s:k": ([(1,), (2,)], []), "s:n": ([(2,)], [])})
    assert set(engine.rows("p:d")) == {(1,)}
    before = engine.dump()
    with pytest.raises(PolicyError, match="P001"):
        engine.add_rules("p", "a(x) :- d(x)")
    assert engine.dump() == before
