# SPDX-License-Identifier: Apache-2.0
"""Rules over a limit go off, whatever they are; everything else stays exact and can be changed."""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from congress.datalog import runtime
from congress.datalog.builtins import core_registry
from congress.datalog.builtins.registry import Argument
from congress.datalog.engine import Engine, Limits, NewRule
from congress.datalog.parser import parse_rule
from congress.datalog.schema import schemas
from congress.datalog.values import Row

DAY = 86400.0
SCHEMAS = schemas({"a": ["x"], "b": ["x", "y"], "m": ["x", "at"]})


def make(text: str, limits: Limits | None = None, clock: Callable[[], float] | None = None) -> Engine:
    engine = Engine(limits=limits, clock=clock, now=DAY)
    engine.set_schema("s", SCHEMAS)
    engine.create_policy("p")
    engine.add_rules("p", text)
    return engine


def ticking() -> Callable[[], float]:
    """A clock that moves on by a second with each look at it."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


def off(engine: Engine) -> dict[str, str]:
    """The rules that are off, with the code of the reason."""
    found = {rule.id: engine.status(rule.id) for rule in engine.rules()}
    return {name: status.diagnostics[-1].code for name, status in found.items() if status.state == "off"}


def assert_exact(engine: Engine) -> None:
    """The tables of policies are what the rules in force derive in an engine without limits."""
    fresh = Engine(now=engine.now)
    for service in {info.key.partition(":")[0] for info in engine.tables() if info.kind == "service"}:
        fresh.set_schema(service, engine.schema(service) or {})
    for policy in engine.policies():
        fresh.create_policy(policy)
    fresh.apply(add=[new for new in engine.rules() if engine.status(new.id).state == "active"])
    fresh.apply({info.key: (list(engine.rows(info.key)), []) for info in engine.tables() if info.kind == "service"})
    for key in {info.key for info in (*engine.tables(), *fresh.tables())}:
        assert set(engine.rows(key)) == set(fresh.rows(key)), key


# Each derives more than 1000 rows, or looks at more, from 100 rows, and was within that with each of 60 before.
LARGE = {
    "plain": "t(x, y) :- s:a(x), s:a(y)",
    "aggregate": "t(x, count(y)) :- s:a(x), s:a(y)",
    "over the time": 't(x, y) :- s:a(x), s:a(y), s:m(_, at), age(at) > "1h"',
    "recursive": "t(x, z) :- s:a(x), s:a(y), t(y, z)",
}
BESIDE = {
    "alone": "",
    "a fact": "\nt(-1, -1)",
    "another": "\nt(x, y) :- s:b(x, y)",
    "a group": "\nt(x, count(y)) :- s:b(x, y)",
    "recursive": "\nt(x, y) :- s:b(x, y)  t(x, z) :- t(x, y), s:b(y, z)",
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("large", LARGE)
@pytest.mark.parametrize("limit", ["work", "time"])
def test_what_was_derived_bit_by_bit_goes_at_once(limit: str, large: str, beside: str) -> None:
    text = LARGE[large] + BESIDE[beside] + "\nu(x) :- s:a(x)  v(x) :- s:a(x), not t(x, _)"

    def loaded() -> Engine:
        if limit == "work":
            engine = make(text, Limits(work=1000, chunk=100))
        else:
            engine = make(text, Limits(seconds=30, chunk=100), ticking())
        engine.apply({"s:b": ([(500, 501), (501, 502)], []), "s:m": ([(1, "1970-01-01T00:00:00Z")], [])})
        for number in range(60):
            engine.apply({"s:a": ([(number,)], [])})
        return engine

    engine = loaded()
    engine.apply({"s:a": ([(number,) for number in range(100, 160)], [])})
    assert set(off(engine).values()) <= {"E002" if limit == "work" else "E003"}
    assert len(engine.rows("p:u")) == len(engine.rows("s:a"))
    assert_exact(engine)
    engine.apply({"s:a": ([(999,)], [(1,)]), "s:b": ([(502, 503)], [(500, 501)])})
    assert_exact(engine)

    engine = loaded()
    engine.apply(remove=["r1"])
    assert_exact(engine)
    engine = loaded()
    engine.set_schema("s", SCHEMAS | schemas({"a": ["x", "y"]}))
    assert_exact(engine)
    engine = loaded()
    engine.delete_service("s")
    assert not engine.rows("p:u")
    engine = loaded()
    engine.delete_policy("p")
    assert not engine.rows("p:u")


def test_a_rule_over_its_limit_leaves_with_one_that_has_too_much_to_do_then() -> None:
    """What rules derive from the absence of others' rows does not keep these from going."""
    text = "t(x, y) :- s:a(x), s:a(y)\nu(x, y) :- s:b(_, x), s:b(_, y), not t(x, y), s:a(_), s:m(_, _)\nw(x) :- s:a(x)"
    engine = make(text, Limits(work=10_000, chunk=10))
    engine.apply({"s:m": ([(1, 1), (2, 2)], [])})
    for number in range(40):
        engine.apply({"s:a": ([(number,)], [])})
        engine.apply({"s:b": ([(1, number)], [])})
    assert off(engine) == {}
    engine.apply({"s:a": ([(number,) for number in range(100, 300)], [])})
    assert set(off(engine)) == {"r1", "r2"}
    assert len(engine.rows("p:w")) == 240
    assert_exact(engine)


def test_the_time_of_rounds_is_added_up() -> None:
    engine = make("n(x) :- s:a(x)\nn(y) :- n(x), y = x + 1", Limits(seconds=0.2), time.process_time)
    started = time.process_time()
    engine.apply({"s:a": ([(1,)], [])})
    assert time.process_time() - started < 1.0
    assert off(engine) == {"r2": "E003"}
    assert_exact(engine)


def test_the_time_of_deletions_is_added_up() -> None:
    """For each of these rows, one by one, it is looked for another derivation through all of them."""
    engine = make("n(x) :- s:a(x)\nn(y) :- n(x), s:b(_, k), y = x + k, y < 1000", Limits(seconds=60), ticking())
    engine.apply({"s:a": ([(1,)], []), "s:b": ([(1, 1)], [])})
    engine.apply({"s:a": ([], [(1,)])})
    assert_exact(engine)


def sluggish(seconds: float) -> tuple[Engine, list[float]]:
    """An engine with a built-in ``dawdle`` that takes so long, and what its clock says."""
    now = [0.0]

    def dawdle(value: int) -> int:
        now[0] += seconds
        return value

    registry = core_registry()
    lower = registry.find("lower", 2)
    assert lower is not None
    arguments: dict[str, Any] = {"inputs": (Argument("x", "value"),), "outputs": (Argument("y", "value"),)}
    registry.add(replace(lower, name="dawdle", function=dawdle, inline=None, **arguments))
    engine = Engine(registry=registry, limits=Limits(seconds=1.0), clock=lambda: now[0])
    engine.set_schema("s", SCHEMAS)
    engine.create_policy("p")
    return engine, now


@pytest.mark.parametrize("seconds", [0.0001, 0.001, 0.01])
@pytest.mark.parametrize(
    "rule",
    [
        "t(y) :- s:a(x), y = dawdle(x)",
        "t(count(y)) :- s:a(x), y = dawdle(x)",
        "t(y) :- s:a(x), s:a(z), y = dawdle(z)",
        "t(y) :- t(x), s:a(x), y = dawdle(x)\nt(y) :- s:a(x), y = dawdle(x)",
    ],
)
def test_slow_built_ins_are_within_the_time(rule: str, seconds: float) -> None:
    engine, now = sluggish(seconds)
    engine.add_rules("p", rule)
    engine.add_rules("p", "u(x) :- s:a(x)")
    engine.apply({"s:a": ([(number,) for number in range(20000)], [])})
    assert now[0] < 1.6 * (1 + rule.count("\n"))
    assert set(off(engine).values()) == {"E003"}
    assert len(engine.rows("p:u")) == 20000
    assert not engine.rows("p:t")


def test_a_slow_rule_among_others_of_its_table_goes_in_time() -> None:
    engine, now = sluggish(0.001)
    engine.add_rules("p", "t(y) :- s:a(x), y = dawdle(x)  t(x) :- s:b(x, _)")
    engine.apply({"s:b": ([(1, 1), (5000, 1)], [])})
    for start in range(0, 4500, 900):
        engine.apply({"s:a": ([(start + number,) for number in range(900)], [])})
    assert off(engine) == {}
    started = now[0]
    engine.apply({"s:a": ([(number,) for number in range(10000, 20000)], [])})
    assert now[0] - started < 3.0
    assert off(engine) == {"r1": "E003"}
    assert set(engine.rows("p:t")) == {(1,), (5000,)}


def test_who_is_to_blame_is_found_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which rules derive a row may be as hard to tell as to derive all."""
    monkeypatch.setattr(runtime, "PROBES", 5000)
    engine = make("n(x) :- s:a(x)\nn(y) :- n(x), y = x + 1\nn(y) :- n(x), x < 5, y = x - 1, y > 0", Limits(rows=3000))
    started = time.process_time()
    engine.apply({"s:a": ([(1,)], [])})
    assert time.process_time() - started < 3.0
    assert off(engine) == {"r2": "E001"}
    assert_exact(engine)


def test_rows_over_the_time_are_held_against_the_limit_when_they_come() -> None:
    text = 't(x) :- s:m(x, at), age(at) > "1d", x < 100\nt(x) :- s:m(x, at), age(at) > "1d", x >= 90\nt(-1)'
    engine = make(text, Limits(rows=150))
    engine.apply({"s:m": ([(number, "1970-01-02T00:00:00Z") for number in range(200)], [])})
    assert off(engine) == {}
    engine.advance(3 * DAY)
    assert list(off(engine).values()) == ["E001"]
    assert_exact(engine)


def test_facts_are_nobodys_fault() -> None:
    engine = make("t(x) :- s:a(x)  u(x) :- t(x)", Limits(rows=50))
    [rule] = [rule.id for rule in engine.rules() if "s:a" in rule.rule.text]
    facts = [NewRule("p", parse_rule(f"t({number})"), f"f{number}") for number in range(100, 200)]
    engine.apply({"s:a": ([(1,)], [])}, add=facts, remove=[rule])
    assert len(engine.rows("p:t")) == 100


def test_whether_a_rule_derives_anything_is_told_beyond_its_limits() -> None:
    engine = make("t(x, y) :- s:a(x), s:a(y)", Limits(work=1000, chunk=100))
    for number in range(60):
        engine.apply({"s:a": ([(number,)], [])})
    assert engine.derives("r1")


RULES = [
    "t(x, y) :- s:a(x), s:a(y)",
    "t(x, z) :- t(x, y), s:b(y, z)",
    "t(x, z) :- t(x, y), t(y, z)",
    "t(x, y) :- s:b(x, y)",
    "t(1, 2)",
    "t(x, count(y)) :- s:b(x, y), s:a(_)",
    "u(x) :- s:a(x), not t(x, x)",
    "u(y) :- u(x), y = x + 1, y < 40",
    "u(x) :- v(x), s:a(x)",
    "v(x) :- u(x), t(x, _)",
    "w(x, max(y)) :- t(x, y)",
    'w(x, y) :- s:m(x, at), s:m(y, at), age(at) > "1h"',
    "c(x) :- s:a(x), not u(x), not w(x, _)",
]
"""Any of them go together."""


@pytest.mark.parametrize("seed", range(150))
def test_random_programs_within_small_limits(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(seed)
    monkeypatch.setattr(runtime, "PROBES", pick.choice([10, 2_000_000]))
    limits = pick.choice(
        [
            Limits(work=pick.randrange(5, 400), chunk=pick.choice([1, 10])),
            Limits(seconds=pick.randrange(4, 100), chunk=pick.choice([1, 10])),
            Limits(rows=pick.randrange(5, 60), work=pick.randrange(20, 1000), chunk=1),
        ]
    )
    clock = ticking() if limits.seconds else None
    engine = Engine(limits=limits, clock=clock, now=DAY)
    engine.set_schema("s", SCHEMAS)
    engine.create_policy("p")
    ids = itertools.count()
    for _ in range(25):
        match pick.randrange(8):
            case 0 | 1:
                missing = [text for text in RULES if engine.find_rule("p", parse_rule(text)) is None]
                some = pick.sample(missing, min(len(missing), pick.randrange(1, 4)))
                engine.apply(add=[NewRule("p", parse_rule(text), f"n{next(ids)}") for text in some])
            case 2:
                known = [rule.id for rule in engine.rules()]
                engine.apply(remove=pick.sample(known, min(len(known), pick.randrange(1, 4))))
            case 3:
                engine.advance(engine.now + 4000)
            case 4:
                wide = pick.random() < 0.5
                engine.set_schema("s", SCHEMAS | schemas({"b": ["x", "y", "z"]}) if wide else SCHEMAS)
            case _:
                engine.apply({table: change(engine, table, pick) for table in ("s:a", "s:b", "s:m")})
        assert_exact(engine)
    engine.apply(remove=[rule.id for rule in engine.rules()])
    assert not any(info.rows for info in engine.tables("p"))


def change(engine: Engine, table: str, pick: random.Random) -> tuple[list[Row], list[Row]]:
    width = len((engine.schema("s") or {})[table[2:]].columns)
    rows: list[Row] = [tuple([pick.randrange(12) for _ in range(width)]) for _ in range(pick.randrange(9))]
    if table == "s:m":
        rows = [(x, f"1970-01-02T0{pick.randrange(5)}:00:00Z") for x, _ in rows]
    known = list(engine.rows(table))
    return rows, pick.sample(known, pick.randrange(len(known) // 2 + 1))
