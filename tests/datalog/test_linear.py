# SPDX-License-Identifier: Apache-2.0
"""Ages that rules compute with: such rules come true at the moment that they ask for."""

import operator
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.builtins import core_registry
from congress.datalog.core import Const, Test
from congress.datalog.engine import Engine
from congress.datalog.linear import isolate, step_of
from congress.datalog.schema import schemas

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
REGISTRY = core_registry()
NUMBERS = st.integers(-20, 20) | st.sampled_from([0.5, -2.5, 4.0])


def engine_at(now: float, literals: str) -> Engine:
    engine = Engine(now=now)
    engine.set_schema("s", schemas({"m": ["id", "at"]}))
    engine.create_policy("p")
    engine.add_rules("p", f"old(x) :- s:m(x, t), {literals}")
    engine.apply({"s:m": ([(1, "1970-01-01T00:01:39.250000")], [])})
    return engine


@pytest.mark.parametrize(
    "literals",
    [
        "age(t) + 1 >= 5",
        "6 <= 2 + age(t)",
        "10 - age(t) <= 6",
        "age(t) * -2 <= -8",
        "not age(t) - 1 < 3",
        "age(t) / 2 >= 2",
        "age(t) / 0.5 >= 8",
        "w = age(t) * 2, v = w + 1, v >= 9",
        "builtin:age(t, a), builtin:minus(a, 1, w), builtin:lteq(3, w)",
    ],
)
def test_a_rule_that_computes_with_an_age_is_in_time(literals: str) -> None:
    engine = engine_at(99.25, literals)
    assert engine.next_wake == 103.25
    engine.advance(103.2)
    assert not engine.rows("p:old")
    assert "not at this time" in engine.why_not("p:old", (1,)).rules[0].reason
    engine.advance(103.25)
    assert set(engine.rows("p:old")) == {(1,)}
    proof = engine.why("p:old", (1,))
    assert proof is not None
    assert literals.rsplit(", ", maxsplit=1)[-1] in proof.render()


@pytest.mark.parametrize(
    "literals", ["age(t) / 2 > 2", "age(t) + x > 5", "age(t) * 0 < 1", "abs(age(t)) > 4", "age(t) / 3 > 1.5"]
)
def test_others_are_looked_at_every_second(literals: str) -> None:
    assert engine_at(99.25, literals).next_wake == 100.0


def exact(name: str, left: Fraction, right: Fraction) -> Fraction:
    """What a built-in gives, but for rounding."""
    if name == "div" and left.denominator == right.denominator == 1:
        return Fraction(left // right)
    made = {"plus": operator.add, "minus": operator.sub, "mul": operator.mul}.get(name, operator.truediv)(left, right)
    assert isinstance(made, Fraction)
    return made


@given(
    st.lists(st.tuples(st.sampled_from(["plus", "minus", "mul", "div", "ratio"]), NUMBERS, st.booleans()), max_size=4),
    st.sampled_from(sorted(OPERATORS)),
    NUMBERS,
    st.fractions(-50, 50, max_denominator=8),
)
def test_both_comparisons_hold_for_the_same_ages(
    made: list[tuple[str, float, bool]], op: str, bound: float, age: Fraction
) -> None:
    steps, value = [], age
    for name, number, turned in made:
        builtin = REGISTRY.find(name, 3)
        assert builtin is not None
        sides = (Const(number), "v") if turned else ("v", Const(number))
        step = step_of(Test(builtin, sides, ("w",)), "v")
        if step is not None:
            steps.append(step)
            value = exact(name, *((Fraction(number), value) if turned else (value, Fraction(number))))
    isolated = isolate(op, Const(bound), steps)
    if isolated is not None:
        alone, other = isolated
        assert isinstance(other.value, int | float)
        assert OPERATORS[alone](age, other.value) == OPERATORS[op](value, bound)
