# SPDX-License-Identifier: Apache-2.0
"""Recursive rules taken to their end at once give what they give round by round, ranks and all that hangs on them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pprint import pformat
from random import Random

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from congress.datalog import closing
from congress.datalog.closing import kept_columns
from congress.datalog.codegen import Purpose
from congress.datalog.core import Const, Positive, Rule
from congress.datalog.engine import Engine, Limits
from congress.datalog.schema import schemas
from congress.datalog.table import Mode
from congress.datalog.values import FALSE, TRUE, Row
from tests.datalog.differential import Pair
from tests.datalog.programs import Rules, Step, scripts

SCHEMAS = schemas({"e": ("a", "b"), "f": ("t", "a", "b"), "n": ("a",), "m": ("a",)})
LEFT = "p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:e(y, z)."

BASES = ["p(x, y) :- s:e(x, y).", "p(x, y) :- s:n(x), s:m(y).", "p(x, x) :- s:n(x).", "p(1, x) :- s:m(x)."]
RECURSIVE = [
    "p(x, z) :- p(x, y), s:e(y, z).",
    "p(x, z) :- s:e(x, y), p(y, z).",
    "p(x, z) :- p(x, y), p(y, z).",
    "p(x, z) :- p(x, y), s:f(x, y, z).",
    "p(x, z) :- p(x, y), s:e(y, w), s:e(w, z), x != z.",
    "p(x, z) :- p(x, y), s:e(y, z), not s:n(z).",
    "p(x, z) :- p(x, y), s:e(y, z), not s:n(x), y < z.",
    "p(x, z) :- p(x, y), s:m(y), z = (y + 1) % 5.",
    "p(x, z) :- p(x, y), s:n(w), z = 7 / y.",
    "p(x, z) :- p(x, 2), s:m(z).",
    "p(x, 3) :- p(x, y), s:n(y).",
    "p(x, z) :- p(x, y), p(w, z), s:e(y, w).",
    "p(x, z) :- p(x, x), s:e(x, z).",
    "p(x, z) :- p(x, _), s:n(z), s:m(x).",
    "p(y, x) :- p(x, y), s:n(x).",
]
WIDE = [
    "q(t, x, y) :- s:f(t, x, y).",
    "q(x, y, y) :- p(x, y).",
    "q(t, x, z) :- q(t, x, y), s:f(t, y, z).",
    "q(t, x, z) :- q(t, y, z), s:e(x, y).",
    "q(t, y, z) :- q(t, x, w), s:f(w, y, z).",
    "q(t, x, z) :- q(t, x, y), q(t, y, z).",
    "q(u, x, z) :- q(t, x, y), s:f(t, u, z), t != u.",
    "p(x, z) :- q(_, x, y), s:e(y, z).",
]
# Rows go out of the tables and come back when these are told.
READERS = ["o(x) :- s:n(x), not p(x, 2).", "o(y) :- p(x, y), s:m(x)."]


@contextmanager
def threshold(many: int, few: int = 0) -> Iterator[None]:
    """Other rows than a great many go to the functions that this is about."""
    before = closing.MANY, closing.FEW
    closing.MANY, closing.FEW = many, few
    try:
        yield
    finally:
        closing.MANY, closing.FEW = before


def make(text: str, limits: Limits | None = None) -> Engine:
    engine = Engine(limits=limits)
    engine.set_schema("s", SCHEMAS)
    engine.create_policy("p")
    engine.add_rules("p", text)
    return engine


def closings(engine: Engine) -> int:
    """How many functions of the kind were made."""
    nodes = [written.node for written in engine._program.rules.values() if written.node is not None]
    return sum(purpose is Purpose.CLOSE for node in nodes for _, purpose in node.functions)


def check_ranks(engine: Engine) -> None:
    """Each row of a recursive table is given, or derived from rows of lower rank."""
    for node in engine._graph.nodes.values():
        if node.table.mode is Mode.RANKED:
            exist = [rule.compiled(None, Purpose.EXISTS).function for rule in node.rules.values()]
            for row, rank in node.table.rows.items():
                assert row in node.given or any(found(row, rank) for found in exist), (node.key, row, rank)


Change = dict[str, tuple[list[Row], list[Row]]]


@st.composite
def changes(draw: st.DrawFn) -> list[Change]:
    """Much at first, then less, in and out."""
    random = Random(draw(st.integers(0, 2**32)))
    size = draw(st.integers(2, 9))
    found = []
    for share in (1.0, *draw(st.lists(st.sampled_from([0.05, 0.3]), max_size=4))):
        change: Change = {}
        for table, arity in (("s:e", 2), ("s:f", 3), ("s:n", 1), ("s:m", 1)):
            number = int(share * random.randrange(1, size ** min(arity, 2) + 1))
            rows = [[tuple(random.randrange(size) for _ in range(arity)) for _ in range(number)] for _ in range(2)]
            change[table] = rows[0], rows[1] if share < 1 else []
        found.append(change)
    return found


programs = st.builds(
    lambda bases, recursive, wide: "\n".join(bases + recursive + wide + READERS),
    st.lists(st.sampled_from(BASES), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(RECURSIVE), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(WIDE), max_size=4, unique=True),
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs, changes(), st.integers(1, 12))
def test_the_same_as_round_by_round(text: str, steps: list[Change], many: int) -> None:
    note(text)
    note(pformat(steps))
    one, other = make(text), make(text)
    for step in steps:
        with threshold(many):
            dump = one.dump()
            with one.hypothetical():
                one.apply(step)
            assert one.dump() == dump, "not taken back exactly"
            delta = one.apply(step)
        with threshold(1 << 62):
            wanted = other.apply(step)
        for table in ("p:p", "p:q", "p:o"):
            if any(info.key == table for info in one.tables()):
                assert set(one.rows(table)) == set(other.rows(table))
        assert {key: (set(d.insertions), set(d.retractions)) for key, d in delta.items()} == {
            key: (set(d.insertions), set(d.retractions)) for key, d in wanted.items()
        }
        check_ranks(one)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scripts(), st.sampled_from([None, Limits(rows=5)]))
def test_the_same_as_from_scratch(script: list[Step], limits: Limits | None) -> None:
    """As in test_differential, with closures in force from the beginning."""
    rules = ["t1(x, y) :- s:edge(x, y).", "t1(x, z) :- t1(x, y), s:edge(y, z)."]
    note(pformat(script))
    with threshold(1):
        Pair(limits).run([Rules([], [("p", rule) for rule in rules], {}), *script])


def test_many_rows_are_closed_and_few_are_not() -> None:
    engine = make(LEFT)
    engine.apply({"s:e": ([(n, n + 1) for n in range(50)], [])})
    assert closings(engine) == 0
    random = Random(1)
    engine.apply({"s:e": ([(random.randrange(80), random.randrange(80)) for _ in range(400)], [])})
    assert closings(engine) == 1
    check_ranks(engine)


def test_small_groups_are_taken_round_by_round() -> None:
    group = closing.group_of(Rule("p", ("x", "y"), (Positive("p", ("x", "z")),)), 0)
    assert group is not None
    assert closing.pays(group, [(n // 2, n) for n in range(100)])
    assert not closing.pays(group, [(n, n) for n in range(100)])


def test_columns_that_are_kept() -> None:
    def kept(head: tuple[str | Const | None, ...], *args: str | Const | None, table: str = "p") -> tuple[int, ...]:
        return kept_columns(Rule("p", head, (Positive(table, args),)), 0)

    assert kept(("x", "z"), "x", "y") == (0,)
    assert kept(("z", "x", "u"), "y", "x", "u") == (1, 2)
    assert kept((Const(1), "z"), Const(1), "y") == (0,)
    assert kept(("x", "y"), "y", "x") == ()
    assert kept(("x", "y"), "x", "y") == ()
    assert kept(("x", "z"), "x", "y", table="q") == ()
    assert kept(("x", "z"), None, "y") == ()


def test_values_that_are_equal_are_one_and_booleans_are_not_numbers() -> None:
    engine = make(LEFT)
    with threshold(1):
        engine.apply({"s:e": ([(0, 1), (1.0, 2), (2.0, TRUE), (TRUE, "a"), (FALSE, 0), (None, FALSE)], [])})
    expected = {(a, b) for a, b in itertools.combinations([None, FALSE, 0, 1, 2, TRUE, "a"], 2)}
    assert set(engine.rows("p:p")) == expected
    assert len(engine.rows("p:p")) == len(expected)
    engine.apply({"s:e": ([], [(1, 2.0)])})
    cut = {(a, b) for a, b in expected if {a, b} <= {None, FALSE, 0, 1}} | {(2, TRUE), (2, "a"), (TRUE, "a")}
    assert set(engine.rows("p:p")) == cut


def test_a_built_in_without_an_answer_is_noted_as_often() -> None:
    text = "p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), s:m(z), w = 6 / y, w > z."
    change = {"s:e": ([(a, b) for a in range(9) for b in range(a)], []), "s:m": ([(n,) for n in range(5)], [])}
    found = []
    for many in (1, 1 << 62):
        engine = make(text)
        with threshold(many):
            engine.apply(change)
        found.append((engine.status("r2").error_count, set(engine.rows("p:p"))))
    assert found[0] == found[1]
    assert found[0][0] > 0


def test_a_rule_joins_more_tables_than_python_nests_blocks() -> None:
    names = [f"y{n}" for n in range(20)]
    body = ", ".join(f"s:e({a}, {b})" for a, b in itertools.pairwise(names))
    engine = make(f"p(x, y) :- s:e(x, y). p(x, y19) :- p(x, y0), {body}.")
    with threshold(1):
        engine.apply({"s:e": ([(n, n + 1) for n in range(60)], [])})
    assert set(engine.rows("p:p")) == {(a, b) for a in range(61) for b in range(a + 1, 61, 19)}


def test_derivations_are_counted() -> None:
    engine = make(LEFT)
    engine.start_profile()
    with threshold(1):
        engine.apply({"s:e": ([(n, n + 1) for n in range(10)], [])})
    cost = {rule.id: rule for rule in engine.profile().rules}
    assert cost["r2"].derivations == 45
    assert cost["r2"].calls == 1


def test_a_rule_without_end_stops_at_the_limit_of_rows() -> None:
    engine = make("p(x, y) :- s:e(x, y). p(x, z) :- p(x, y), z = y + 1.", Limits(rows=1000))
    with threshold(1):
        engine.apply({"s:e": ([(1, 1), (2, 2)], [])})
    assert engine.status("r2").diagnostics[-1].code == "E001"
    assert set(engine.rows("p:p")) == {(1, 1), (2, 2)}


@pytest.mark.parametrize("code", ["E002", "E003"])
def test_a_closure_stops_at_the_limit_of_work_or_time(code: str) -> None:
    ticks = itertools.count()
    if code == "E002":
        engine = Engine(limits=Limits(work=5000, chunk=100))
    else:
        engine = Engine(limits=Limits(seconds=5.0, chunk=100), clock=lambda: float(next(ticks)))
    engine.set_schema("s", SCHEMAS)
    engine.create_policy("p")
    engine.add_rules("p", LEFT)
    edges = [(n, n + 1) for n in range(200)]
    with threshold(1):
        engine.apply({"s:e": (edges, [])})
    assert engine.status("r2").diagnostics[-1].code == code
    assert engine.status("r1").state != "off"
    assert set(engine.rows("p:p")) == set(edges)


def test_the_plan_shows_what_runs() -> None:
    engine = make(LEFT)
    shown = engine.plan("r2").render()
    assert "code from 256 rows on, 2 or more to a group:" in shown
    assert "groups" in shown
    node = engine._program.rules["r2"].node
    assert node is not None
    assert node.compiled(0, Purpose.CLOSE).source in {delta.bulk for delta in engine.plan("r2").deltas}
    assert "code from" not in engine.plan("r1").render()
