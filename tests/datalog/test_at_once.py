# SPDX-License-Identifier: Apache-2.0
"""No finding hides another: what is wrong with many texts is what is wrong with each."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Engine, NewRule
from congress.datalog.parser import parse_partial
from congress.datalog.schema import TableSchema

FOLDER = Path(__file__).parent / "cases" / "language"


def wrong() -> list[str]:
    """The texts of all cases that are refused as they are, with nothing but the services ``s:a`` and ``s:b``."""
    found = []
    for name in ("refused", "at_once"):
        document: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
        assert document["services"] == {"s": {"a": ["x"], "b": ["x", "y"]}}
        found += [case["policy"] for case in document["cases"] if case.keys() == {"name", "policy", "errors"}]
    return found


WRONG = wrong()


def findings(texts: list[str]) -> list[str]:
    """What the engine says of these texts, each a policy of its own, in one transaction."""
    engine = Engine()
    engine.set_schema("s", {"a": TableSchema.of("x"), "b": TableSchema.of("x", "y")})
    new, found = [], []
    for number, text in enumerate(texts):
        engine.create_policy(f"p{number}")
        program, said = parse_partial(text, f"p{number}")
        found += said
        new += [NewRule(f"p{number}", rule, f"p{number}.{at}") for at, rule in enumerate(program.statements)]
    try:
        engine.apply(add=new, findings=found)
    except PolicyError as error:
        return [f"{item.source.name}:{item.line}:{item.column} {item.code}" for item in error.diagnostics]
    return []


ALONE = [findings([text]) for text in WRONG]


def test_there_is_something_wrong_with_each() -> None:
    assert len(WRONG) >= 50
    assert all(ALONE)


@given(st.lists(st.integers(0, len(WRONG) - 1), min_size=2, max_size=12))
def test_what_is_wrong_with_many_is_what_is_wrong_with_each(chosen: list[int]) -> None:
    expected = [line.replace("p0:", f"p{at}:", 1) for at, number in enumerate(chosen) for line in ALONE[number]]
    assert sorted(findings([WRONG[number] for number in chosen])) == sorted(expected)


def test_a_large_circle_is_found_in_little_time() -> None:
    """Thousands of absences in one circle are one finding; many circles are shown up to a bound."""
    size = 3000
    one = "\n".join(f"t{n}(x) :- s:a(x), not t{(n + 1) % size}(x)" for n in range(size))
    assert len(findings([one])) == 1
    many = "hub(x) :- s:a(x)\n" + "\n".join(f"hub(x) :- t{n}(x)\nt{n}(x) :- s:a(x), not hub(x)" for n in range(size))
    assert len(findings([many])) == 100
