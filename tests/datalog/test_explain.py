# SPDX-License-Identifier: Apache-2.0
"""Why and why-not: deep proofs, the literal that fails first, near rows, and how long an answer may take."""

import json
import time
from pprint import pformat
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from congress.datalog.attempts import Attempts, Bindings, in_order
from congress.datalog.core import Item
from congress.datalog.engine import Engine, Limits
from congress.datalog.explain import Miss, RuleMiss, head_bindings
from congress.datalog.lookups import Lookups
from congress.datalog.proofs import DEEPEST, literal_text
from congress.datalog.values import FALSE, Row
from tests.datalog.differential import Pair
from tests.datalog.programs import MIXED, SMALL, Step, scripts
from tests.datalog.test_engine import make, rows

CHAIN = "far(0)\nfar(y) :- far(x), s:e(x, y)"
LONG = 3000


@pytest.fixture(scope="module")
def chain() -> Engine:
    """A recursion along ``LONG`` edges."""
    engine = make(CHAIN, e=["x", "y"])
    engine.apply({"s:e": ([(n, n + 1) for n in range(LONG)], [])})
    return engine


def missing(engine: Engine, row: Row, table: str = "p:q") -> RuleMiss:
    [rule] = engine.why_not(table, row).rules
    return rule


def first(engine: Engine, row: Row, table: str = "p:q") -> Miss:
    return missing(engine, row, table).misses[0]


# -- proofs


def test_a_proof_is_as_deep_as_its_limit_allows(chain: Engine) -> None:
    proof = chain.why("p:far", (LONG,), limit=2 * LONG + 1)
    assert proof is not None
    reasons = [one.reason for _, one in proof.walk()]
    assert (reasons.count("rule"), reasons.count("service"), reasons.count("fact")) == (LONG, LONG, 1)
    assert max(level for level, _ in proof.walk()) == LONG
    lines = proof.render().splitlines()
    assert len(lines) == 2 * LONG + 1
    assert lines[LONG].endswith(f"{LONG}: p:far(0)   a fact")


def test_a_proof_has_no_more_rows_than_its_limit(chain: Engine) -> None:
    for limit in (0, 1, 2, 1000):
        proof = chain.why("p:far", (LONG,), limit=limit)
        assert proof is not None
        reasons = [one.reason for _, one in proof.walk()]
        assert len(reasons) - reasons.count("cut") == limit
        assert reasons.count("cut") <= 1 + limit


def test_a_proof_as_json_is_cut_at_a_depth_that_can_be_written(chain: Engine) -> None:
    proof = chain.why("p:far", (LONG,), limit=2 * LONG + 1)
    assert proof is not None
    made = proof.to_dict(lambda one: {"width": len(one.row)})
    assert json.loads(json.dumps(made, indent=2)) == made
    level = made
    for _ in range(DEEPEST):
        assert (level["reason"], level["width"]) == ("rule", 1)
        level = level["because"][0]
    assert level == {"table": "p:far", "row": [LONG - DEEPEST], "reason": "cut", "width": 1}
    shallow = chain.why("p:far", (DEEPEST,))
    assert shallow is not None
    assert "cut" in json.dumps(shallow.to_dict())
    whole = chain.why("p:far", (DEEPEST,), limit=1000)
    assert whole is not None
    assert "cut" not in json.dumps(whole.to_dict())


def test_rows_that_many_others_rest_on_do_not_swell_a_proof() -> None:
    text = "\n".join(f"t{n + 1}(x) :- t{n}(x), t{n}(y), x = y" for n in range(40))
    engine = make("t0(x) :- s:a(x)\n" + text, a=["x"])
    engine.apply({"s:a": ([(1,)], [])})
    proof = engine.why("p:t40", (1,), limit=100)
    assert proof is not None
    assert len([one for _, one in proof.walk() if one.reason not in ("cut", "test")]) == 100


def test_a_group_is_proved_by_the_rule_whose_group_it_is() -> None:
    engine = make("n(h, count(x)) :- s:a(x, h)\nn(h, count(x)) :- s:b(x, h)", a=["x", "h"], b=["x", "h"])
    engine.apply({"s:a": ([(1, "h"), (2, "h")], []), "s:b": ([(n, "h") for n in range(3)], [])})
    for number, table in ((2, "s:a"), (3, "s:b")):
        proof = engine.why("p:n", ("h", number))
        assert proof is not None
        assert [child.table for child in proof.children] == [table] * number


def test_a_large_group_is_cut_and_so_is_its_proof() -> None:
    engine = make("n(h, count(x)) :- s:a(x, h)\nall(sum(c)) :- n(h, c)", a=["x", "h"])
    engine.apply({"s:a": ([(n, n % 2) for n in range(100)], [])})
    proof = engine.why("p:n", (0, 50))
    assert proof is not None
    assert proof.children[-1].text == "... and 30 more in the group"
    cut = engine.why("p:all", (100,), limit=2)
    assert cut is not None
    assert [(one.table, one.reason) for _, one in cut.walk()] == [
        ("p:all", "rule"), ("p:n", "rule"), *[("s:a", "cut")] * 20, ("p:n", "cut"), ("p:n", "cut"),
    ]  # fmt: skip


def test_finding_a_proof_has_the_time_of_an_evaluation() -> None:
    now = [0.0]
    engine = Engine(limits=Limits(seconds=5, chunk=1), clock=lambda: now[0])
    engine.create_policy("p")
    engine.add_rules("p", "a(1) a(2) a(3)\nq(x) :- a(x), a(y), a(z), y > 1, z > 2")
    now[0] = 1000.0
    proof = engine.why("p:q", (1,))
    assert proof is not None
    assert proof.reason == "rule"


# -- the literal that fails first


def test_why_not_goes_by_the_order_of_the_text() -> None:
    engine = make("q(x) :- s:a(x, y), s:b(y, z), s:c(z), not s:d(x)", a=["x", "y"], b=["y", "z"], c=["z"], d=["x"])
    engine.apply({"s:d": ([(1,), (2,), (3,), (4,)], [])})  # a plan begins with it
    assert first(engine, (1,)).literal == "s:a(x, y)"
    engine.apply({"s:a": ([(1, 10), (2, 20), (3, 30), (3, 31), (4, 40)], []), "s:b": ([(30, 5), (31, 6)], [])})
    miss = first(engine, (1,))
    assert (miss.literal, miss.bindings) == ("s:b(y, z)", {"x": 1, "y": 10})
    third = missing(engine, (3,))
    assert {miss.literal for miss in third.misses} == {"s:c(z)"}
    assert [miss.bindings for miss in third.misses] == [{"x": 3, "y": 30, "z": 5}, {"x": 3, "y": 31, "z": 6}]
    engine.apply({"s:c": ([(6,)], [])})
    miss = first(engine, (3,))
    assert (miss.literal, miss.bindings) == ("not s:d(x)", {"x": 3, "y": 31, "z": 6})
    assert miss.detail == "s:d(3) is there"


def test_a_literal_that_needs_others_waits_for_them() -> None:
    engine = make("q(x) :- not s:b(y), y > 5, s:a(x, y), s:c(y)", a=["x", "y"], b=["y"], c=["y"])
    engine.apply({"s:a": ([(1, 2), (2, 7), (3, 8)], []), "s:b": ([(7,)], [])})
    assert first(engine, (9,)).literal == "s:a(x, y)"
    assert first(engine, (1,)).literal == "y > 5"
    assert first(engine, (2,)).literal == "not s:b(y)"
    assert first(engine, (3,)).literal == "s:c(y)"


def test_bindings_that_show_the_same_are_shown_once() -> None:
    engine = make("q(x) :- s:a(x, _), s:b(x)", a=["x", "y"], b=["x"])
    engine.apply({"s:a": ([(1, n) for n in range(9)], [])})
    assert [miss.bindings for miss in missing(engine, (1,)).misses] == [{"x": 1}]


def test_bindings_are_shown_that_differ_for_the_literal() -> None:
    engine = make("q(x) :- s:a(x, y), s:b(x, z), s:c(z)", a=["x", "y"], b=["x", "z"], c=["z"])
    engine.apply({"s:a": ([(1, n) for n in range(9)], []), "s:b": ([(1, 7), (1, 8)], [])})
    assert sorted(str(miss.bindings["z"]) for miss in missing(engine, (1,)).misses) == ["7", "8"]


def test_comparisons_show_the_bindings_with_which_they_nearly_hold() -> None:
    engine = make("q(x) :- s:a(x, t), t > 90", a=["x", "t"])
    engine.apply({"s:a": ([(1, n) for n in range(60)] + [(1, 89.5), (1, -9)], [])})
    assert [miss.bindings["t"] for miss in missing(engine, (1,)).misses] == [89.5, 59, 58, 57, 56]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("s:a(x, y), x = y", "1 is not 3"),
        ("s:a(x, y), lower(t) = lower(u), s:t(x, t, u)", '"one" is not "two"'),
        ("s:a(x, y), lower(t) != lower(v), s:t(x, t, v)", 'both are "one"'),
        ("s:a(x, y), x + 1 > y * 2", "its values are 2, 6"),
        ("s:a(x, y), x > y", ""),
        ("s:a(x, y), z = y / 0", "it has no value: integer division or modulo by zero"),
        ("s:a(x, y), y = x + 1", "it gives 2, not 3"),
        ("s:a(x, y), not s:a(y, _)", "s:a(3, 4) is there"),
        ('s:t(x, t, _), builtin:split(t, "n", 0, "x")', 'it gives 0, "O" or 1, "e", not 0, "x"'),
        ("s:a(x, 4)", ""),
    ],
)
def test_a_miss_says_what_a_literal_came_to(body: str, detail: str) -> None:
    engine = make(f"q(x) :- {body}", a=["x", "y"], t=["x", "t", "u"])
    two = "ONE" if "v" in body else "Two"
    engine.apply({"s:a": ([(1, 3), (3, 4)], []), "s:t": ([(1, "One", two)], [])})
    miss = first(engine, (1,))
    assert miss.detail == detail
    assert miss.to_dict()["detail"] == detail
    assert not detail or f"      {detail}" in engine.why_not("p:q", (1,)).render().splitlines()


def test_the_longest_body_is_looked_at() -> None:
    size = 64
    body = ", ".join(f"s:a(x{n}, x{n + 1})" for n in range(size))
    engine = make(f"q(x0) :- {body}", a=["x", "y"])
    engine.apply({"s:a": ([(n, n + 1) for n in range(size - 1)], [])})
    assert first(engine, (0,)).literal == f"s:a(x{size - 1}, x{size})"


def test_a_new_thing_that_is_another_is_said_to_be() -> None:
    engine = make(s=["x"])
    engine.create_policy("act", "action")
    engine.add_rules("act", 'made+(id, n) :- create(n)\ncreate("a")')
    [rule] = engine.why_not("act:made+", ("x", "a")).rules
    assert rule.misses[0].literal == "made+(id, n)"
    assert rule.misses[0].detail.startswith('it gives "new:1:id:')


# -- groups


def test_why_not_says_what_a_group_has_instead() -> None:
    engine = make("q(h, count(x), sum(n)) :- s:a(x, h, n)", a=["x", "h", "n"])
    engine.apply({"s:a": ([(1, "a", 2), (2, "a", 3), (3, "a", 5)], [])})
    both = missing(engine, ("a", 5, 11))
    assert both.reason == "the group's count is 3, not 5, and its sum is 10, not 11"
    assert both.instead == (("a", 3, 10),)
    assert both.to_dict()["instead"] == [["a", 3, 10]]
    assert missing(engine, ("a", 5, 10)).reason == "the group's count is 3, not 5"
    other = missing(engine, ("b", 3, 10))
    assert (other.misses[0].literal, other.instead) == ("s:a(x, h, n)", ())


def test_a_group_may_have_no_value() -> None:
    engine = make("q(h, min(n)) :- s:a(h, n)", a=["h", "n"])
    engine.apply({"s:a": ([("a", 1), ("a", "one")], [])})
    before = engine.status("r1").error_count
    assert missing(engine, ("a", 1)).reason == "its body holds, but the group has no min"
    assert engine.status("r1").error_count == before


def test_why_not_of_a_group_knows_the_time() -> None:
    engine = make('q(h, count(x)) :- s:a(x, h, t), age(t) > "1h"', now=0.0, a=["x", "h", "t"])
    engine.apply({"s:a": ([(1, "a", "1970-01-01T00:00:00Z")], [])})
    found = missing(engine, ("a", 1))
    assert found.reason.startswith("its body holds, but not at this time: it will from 1970-01-01T01:00:00")
    engine.advance(4000.0)
    assert engine.why_not("p:q", ("a", 1)).present
    assert missing(engine, ("a", 2)).reason == "the group's count is 1, not 2"


# -- near rows


def test_one_known_column_has_near_values() -> None:
    engine = make("q(x) :- s:a(x, y)", a=["x", "y"])
    names = [f"server-{n:02}" for n in range(20)] + ["web-primary", "db"]
    engine.apply({"s:a": ([(name, 1) for name in names] + [(n * n, 2) for n in range(100)] + [(None, 3)], [])})
    assert first(engine, ("web-pirmary",)).nearest[0] == ("web-primary", 1)
    assert set(first(engine, ("server-99",)).nearest) <= {(name, 1) for name in names}
    assert len(first(engine, ("server-99",)).nearest) == 5
    assert first(engine, ("nothing like it",)).nearest == ()
    assert first(engine, (50,)).nearest == ((49, 2), (36, 2), (64, 2), (25, 2), (81, 2))
    assert first(engine, (FALSE,)).nearest == ()


def test_near_values_stay_in_bounds() -> None:
    engine = make("q(x) :- s:a(x)", a=["x"])
    engine.apply({"s:a": ([(f"{n:032x}",) for n in range(100_000)] + [("x" * 1_000_000,)], [])})
    begin = time.process_time()
    assert len(first(engine, ("0" * 31 + "g",)).nearest) == 5
    assert first(engine, ("x" * 999_999,)).nearest == ()
    for wrong in ("0" * 27 + "12e3g", "1" + f"{70_001:032x}"[1:], f"{99_998:032x}"[:-3] + "z" + f"{99_998:032x}"[-2:]):
        near = [row[0] for row in first(engine, (wrong,)).nearest]
        assert any(sum(a != b for a, b in zip(wrong, text, strict=True)) == 1 for text in near)
    assert time.process_time() - begin < 2


def test_near_rows_are_of_each_column_in_turn() -> None:
    engine = make('q(x) :- s:a(x, "ERROR")', a=["x", "status"])
    engine.apply({"s:a": ([(n, "ERROR") for n in range(100)] + [(200, "ACTIVE")], [])})
    assert first(engine, (200,)).nearest[0] == (200, "ACTIVE")
    assert len(first(engine, (200,)).nearest) == 5


def test_a_variable_in_two_places_has_near_rows() -> None:
    engine = make("q(x) :- s:a(x, y, y)", a=["x", "y", "z"])
    engine.apply({"s:a": ([(1, 2, 3), (2, 3, 3)], [])})
    assert first(engine, (1,)).nearest[0] == (1, 2, 3)


# -- how long it may take


@pytest.fixture(scope="module")
def large() -> Engine:
    engine = make(
        "q(x) :- s:big(y, z), s:link(x, y), s:big(z, w), not s:link(w, x)\n"
        "none(x) :- s:big(y, z), y + z < 0, s:link(x, y)\n"
        + "".join(f"many(x) :- s:big(y, z), y + z < {-n}, s:link(x, y)\n" for n in range(30)),
        big=["y", "z"], link=["x", "y"],
    )  # fmt: skip
    size = 100_000
    engine.apply({"s:big": ([(n, n + 1) for n in range(size)], []), "s:link": ([(n, n) for n in range(size)], [])})
    return engine


def test_large_tables_are_joined_in_the_order_that_suits_them(large: Engine) -> None:
    engine = large
    engine.apply({}, remove=["r1"])
    engine.add_rules("p", "q(x) :- s:big(y, z), s:link(x, y), s:big(z, w), s:link(w, x)")
    begin = time.process_time()
    found = missing(engine, (500,))
    assert found.reason == "its body does not hold."
    assert [(miss.literal, miss.bindings) for miss in found.misses] == [
        ("s:link(w, x)", {"x": 500, "y": 500, "z": 501, "w": 502})
    ]
    lost = missing(engine, (-1,))
    assert {miss.literal for miss in lost.misses} == {"s:link(x, y)"}
    assert time.process_time() - begin < 2


def test_what_is_too_much_to_look_at_is_said(large: Engine) -> None:
    begin = time.process_time()
    [found] = large.why_not("p:none", (5,)).rules
    assert found.misses[0].literal == "y + z < 0"
    assert found.misses[0].bindings == {"x": 5, "y": 5, "z": 6}
    assert found.misses[0].detail == "its values are 11, 0"
    assert "in the order of evaluation." in found.reason
    rules = large.why_not("p:many", (5,)).rules
    assert len(rules) == 30
    assert rules[-1].reason == "its body was not looked at: there is too much to look at"
    assert time.process_time() - begin < 5


# -- limits


def test_a_recursion_over_its_limit_loses_the_rule_that_derives_most() -> None:
    engine = make(
        "n(x) :- s:a(x)\nn(y) :- n(x), y = x + 1\nn(y) :- n(x), s:b(x, y)",
        limits=Limits(rows=100), a=["x"], b=["x", "y"],
    )  # fmt: skip
    engine.apply({"s:b": ([(98, -5)], [])})  # the hundred and first row is derived by the last rule
    engine.apply({"s:a": ([(0,)], [])})
    assert [engine.status(rule.id).state for rule in engine.rules()] == ["active", "off", "active"]
    assert rows(engine, "p:n") == {(0,)}


# -- random programs


def check_proof(engine: Engine, table: str, row: Row) -> None:
    """Every row of a proof is there, none rests on itself, and what rests on nothing may."""
    proof = engine.why(table, row, limit=60)
    assert proof is not None
    way: list[tuple[str, Row]] = []
    shown = 0
    for level, one in proof.walk():
        del way[level:]
        if one.reason in ("absent", "test") or one.text:
            continue
        assert one.row in engine.rows(one.table)
        assert (one.table, one.row) not in way
        way.append((one.table, one.row))
        shown += one.reason != "cut"
        assert one.reason == "rule" or not one.children
        assert one.reason != "service" or one.table.startswith(("s:", "w:"))
    assert 0 < shown <= 60


def furthest(attempts: Attempts, body: list[Item], at: int, known: Bindings) -> tuple[int, list[Bindings]]:
    """How many literals hold at most, in the order given, and all bindings with which they do."""
    best, found = at, [known]
    for bindings in attempts._matches(body[at], known) if at < len(body) else ():
        deep, more = furthest(attempts, body, at + 1, bindings)
        if deep > best:
            best, found = deep, []
        if deep == best:
            found += more
    return best, found


def check_absence(engine: Engine, table: str, row: Row) -> None:
    """The literal that fails is that which a search without any cunning finds."""
    for rule in engine.why_not(table, row, limit=3).rules:
        written = engine._program.rules[rule.rule_id]
        assert len(rule.misses) <= 3
        if rule.reason != "its body does not hold.":
            assert rule.instead or written.node is None or rule.reason.startswith(("its head", "its body holds"))
            continue
        assert written.node is not None
        known = head_bindings(written, row)
        assert not isinstance(known, str)
        attempts = Attempts(Lookups(engine._graph.tables), 3)
        attempts._visits = attempts._all
        body = in_order(written.node.core.body, known)
        at, found = furthest(attempts, body, 0, known)
        assert rule.misses
        possible = [{name: value for name, value in one.items() if name[0] != "$"} for one in found]
        for miss in rule.misses:
            assert miss.literal == literal_text(written, body[at])
            assert dict(miss.bindings) in possible


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.randoms(use_true_random=False))
def test_explanations_of_random_programs(script: list[Step], random: Random) -> None:
    note(pformat(script))
    pair = Pair()
    pair.run(script)
    engine = pair.engine
    for info in [*engine.tables("p"), *engine.tables("q")]:
        for row in random.sample(list(engine.rows(info.key)), min(3, len(engine.rows(info.key)))):
            check_proof(engine, info.key, row)
        for _ in range(4):
            row = tuple(random.choice([*SMALL, *SMALL, *MIXED]) for _ in info.columns)
            if row not in engine.rows(info.key):
                check_absence(engine, info.key, row)
