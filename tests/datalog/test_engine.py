# SPDX-License-Identifier: Apache-2.0
"""The engine's own promises: transactions, limits, time, waiting rules, explanations."""

import itertools
import math

import pytest

from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Engine, EngineError, Limits, NewRule, TableDelta
from congress.datalog.parser import parse_rule
from congress.datalog.schema import Column, TableSchema, schemas
from congress.datalog.unbound import is_stand_in
from congress.datalog.values import FALSE, TRUE, Row, encode

DAY = 86400.0


def make(text: str = "", *, limits: Limits | None = None, now: float = 0.0, **tables: list[str]) -> Engine:
    """An engine with service ``s``, policy ``p`` and these rules."""
    engine = Engine(limits=limits, now=now)
    engine.set_schema("s", schemas(tables))
    engine.create_policy("p")
    engine.add_rules("p", text)
    return engine


def rows(engine: Engine, table: str) -> set[tuple[object, ...]]:
    return set(engine.rows(table))


# -- transactions


def test_a_transaction_is_all_or_nothing() -> None:
    engine = make("q(x) :- s:a(x)", a=["x"])
    engine.apply({"s:a": ([(1,)], [])})
    before = engine.dump()
    bad = NewRule("p", parse_rule("r(x, y) :- s:a(x)"), "bad")
    good = NewRule("p", parse_rule("r(x) :- q(x)"), "good")
    with pytest.raises(PolicyError):
        engine.apply({"s:a": ([(2,)], [])}, add=[good, bad])
    with pytest.raises(EngineError):
        engine.apply({"s:a": ([(2,)], []), "s:nowhere": ([(2,)], [])})
    with pytest.raises(EngineError):
        engine.apply({"s:a": ([(2, 3)], [])})
    assert engine.dump() == before
    assert [rule.id for rule in engine.rules("p")] == ["r1"]


def test_one_delta_is_consolidated_over_rules_and_rows() -> None:
    engine = make("q(x) :- s:a(x)\nr(x) :- q(x), not s:b(x)", a=["x"], b=["x"])
    delta = engine.apply({"s:a": ([(1,), (2,), (2,)], [(9,)]), "s:b": ([(2,)], [])})
    assert delta["p:r"] == TableDelta([(1,)], [])
    assert delta["p:q"] == TableDelta([(1,), (2,)], [])
    again = engine.apply({"s:a": ([(1,)], []), "s:b": ([], [(5,)])})
    assert again == {}
    kept = engine.apply({"s:a": ([(1,)], [(1,)])})
    assert kept == {}


def test_booleans_numbers_and_texts_are_different_values() -> None:
    engine = make("q(x) :- s:a(x), x = 1", a=["x"])
    engine.apply({"s:a": ([(True,), (1,), ("1",), (None,)], [])})  # type: ignore[list-item]
    assert rows(engine, "s:a") == {(TRUE,), (1,), ("1",), (None,)}
    assert rows(engine, "p:q") == {(1,)}
    with pytest.raises(EngineError, match="not a number that can be compared"):
        engine.apply({"s:a": ([(float("nan"),)], [])})


def test_hypothetical_rules_and_rows_leave_nothing_behind() -> None:
    engine = make("reach(x, y) :- s:e(x, y)\nreach(x, z) :- reach(x, y), s:e(y, z)", e=["x", "y"])
    engine.apply({"s:e": ([(1, 2), (2, 3), (3, 1)], [])})
    before = engine.dump()
    with engine.hypothetical():
        engine.apply({"s:e": ([(3, 4)], [(2, 3)])})
        engine.add_rules("p", "far(x) :- reach(x, 4)\nreach(x, y) :- far(x), far(y)\nn(count(x)) :- far(x)")
        assert rows(engine, "p:n") == {(1,)}
        with pytest.raises(PolicyError), engine.hypothetical():
            engine.add_rules("p", "far(x) :- not far(x)")
    assert engine.dump() == before
    assert engine.table("p:far") is None
    assert engine.add_rules("p", "far(x) :- reach(x, 1)")
    assert rows(engine, "p:far") == {(1,), (2,), (3,)}


# -- recursion appears and disappears


def test_rules_close_and_open_a_cycle() -> None:
    engine = make("a(x) :- s:t(x)\nb(x) :- a(x)", t=["x"])
    engine.apply({"s:t": ([(1,), (2,)], [])})
    [closing] = engine.add_rules("p", "a(x) :- b(x), s:t(_)")
    engine.apply({"s:t": ([], [(1,)])})
    assert rows(engine, "p:a") == rows(engine, "p:b") == {(2,)}
    engine.apply(remove=[closing])
    engine.add_rules("p", "c(x) :- s:t(x), not b(x)")
    engine.apply({"s:t": ([(3,)], [(2,)])})
    assert rows(engine, "p:a") == rows(engine, "p:b") == {(3,)}
    with pytest.raises(PolicyError) as caught:
        engine.add_rules("p", "a(x) :- s:t(x), not b(x)")
    assert caught.value.diagnostics[0].code == "P001"
    assert "p:a -> p:b" in caught.value.diagnostics[0].message


# -- limits


def test_a_rule_that_never_ends_is_switched_off_and_the_rest_stays_exact() -> None:
    engine = make("q(x) :- s:a(x)", limits=Limits(rows=1000), a=["x"])
    [counting] = engine.add_rules("p", "n(y) :- s:a(x), y = x + 0\nn(y) :- n(x), y = x + 1")[1:]
    delta = engine.apply({"s:a": ([(1,), (2,)], [])})
    assert engine.status(counting).state == "off"
    assert engine.status(counting).diagnostics[-1].code == "E001"
    assert rows(engine, "p:n") == {(1,), (2,)}
    assert set(delta["p:q"].insertions) == {(1,), (2,)}
    engine.apply({"s:a": ([(3,)], [(1,)])})
    assert rows(engine, "p:n") == rows(engine, "p:q") == {(2,), (3,)}


def test_a_new_rule_over_its_limit_is_off_from_the_start() -> None:
    engine = make("", limits=Limits(rows=50), a=["x"])
    engine.apply({"s:a": ([(n,) for n in range(20)], [])})
    [pairs, single] = engine.add_rules("p", "pair(x, y) :- s:a(x), s:a(y)\nsingle(x) :- s:a(x)")
    assert engine.status(pairs).state == "off"
    assert engine.status(single).state == "active"
    assert len(engine.rows("p:pair")) == 0
    assert len(engine.rows("p:single")) == 20


@pytest.mark.parametrize(
    "large",
    [
        "t(x) :- s:a(x)",
        "t(x) :- s:a(y), x = y + 0",
        't(x) :- s:a(x), s:m(m), age(m) > "1h"',
        "t(count(z)) :- s:a(z), z < 0\nt(x) :- s:a(x)",
    ],
)
@pytest.mark.parametrize("small", ["t(x) :- s:b(x)", "t(count(x)) :- s:b(x)", 't(x) :- s:b(x), s:m(m), age(m) > "1h"'])
@pytest.mark.parametrize("first", ["large", "small"])
@pytest.mark.parametrize("recursive", ["", "\nt(x) :- u(x)\nu(x) :- t(x), x = -1"])
def test_the_row_limit_is_told_to_the_rule_that_derives_most(
    large: str, small: str, first: str, recursive: str
) -> None:
    texts = [large, small] if first == "large" else [small, large]
    engine = make("\n".join(texts) + recursive, limits=Limits(rows=100), now=DAY, a=["x"], b=["x"], m=["m"])
    before = {rule.id: rule.rule.text for rule in engine.rules()}
    engine.apply({"s:a": ([(n,) for n in range(10, 510)], []), "s:b": ([(1,)], []), "s:m": ([("1970-01-01",)], [])})
    off = [text for rule_id, text in before.items() if engine.status(rule_id).state == "off"]
    assert off == [large.splitlines()[-1]]
    assert rows(engine, "p:t") == {(1,)}
    engine.apply({"s:b": ([(2,)], [])})
    assert len(rows(engine, "p:t")) == (1 if "count" in small else 2)


def test_a_cross_product_stops_at_the_limit_of_work_or_time() -> None:
    text = "big(x) :- s:a(x), s:a(y), s:a(z), y > z, z > y"
    by_work = make(text, limits=Limits(work=50_000, chunk=1000), a=["x"])
    by_work.apply({"s:a": ([(n,) for n in range(300)], [])})
    assert by_work.status("r1").diagnostics[-1].code == "E002"
    ticks = itertools.count()
    by_time = Engine(limits=Limits(seconds=5.0, chunk=1000), clock=lambda: float(next(ticks)))
    by_time.set_schema("s", schemas({"a": ["x"]}))
    by_time.create_policy("p")
    by_time.add_rules("p", text)
    by_time.apply({"s:a": ([(n,) for n in range(300)], [])})
    assert by_time.status("r1").diagnostics[-1].code == "E003"
    assert len(by_time.rows("s:a")) == 300


# -- time


def test_a_rule_comes_true_on_time_without_another_change() -> None:
    engine = make('old(x) :- s:vm(x, c), age(c) > "30d"', now=0.0, vm=["id", "created"])
    engine.apply({"s:vm": ([("a", "1970-01-01T00:00:00Z"), ("b", "1970-01-02T00:00:00Z")], [])})
    assert engine.next_wake == pytest.approx(30 * DAY)
    assert engine.advance(30 * DAY) == {}
    assert engine.advance(30 * DAY + 1) == {"p:old": TableDelta([("a",)], [])}
    assert engine.next_wake == pytest.approx(31 * DAY)
    engine.apply({"s:vm": ([], [("b", "1970-01-02T00:00:00Z")])})
    assert engine.next_wake is None
    assert engine.apply({"s:vm": ([], [("a", "1970-01-01T00:00:00Z")])})["p:old"] == TableDelta([], [("a",)])


def test_a_window_of_time_opens_and_closes() -> None:
    engine = make(
        'due(x) :- s:job(x, c), age(c) >= "1h", age(c) < "2h"\nn(count(x)) :- s:job(x, c), age(c) < 7200',
        job=["id", "at"],
    )
    engine.apply({"s:job": ([("j", "1970-01-01T00:00:00Z")], [])})
    assert rows(engine, "p:n") == {(1,)}
    before = engine.dump()
    with engine.hypothetical():
        engine.advance(3600.0)
        assert rows(engine, "p:due") == {("j",)}
        engine.advance(7200.0)
        assert rows(engine, "p:due") == set()
        assert rows(engine, "p:n") == set()
    assert engine.dump() == before
    assert engine.now == 0.0
    assert engine.next_wake == 3600.0
    engine.advance(3600.0)
    assert rows(engine, "p:due") == {("j",)}
    engine.advance(9000.0)
    assert rows(engine, "p:due") == rows(engine, "p:n") == set()
    assert engine.next_wake is None


def test_a_recursive_rule_over_the_time_reads_the_clock() -> None:
    text = "reach(x, y) :- s:e(x, y, c)\nreach(x, z) :- reach(x, y), s:e(y, z, c), reach(y, _), age(c) > 10"
    engine = make(text, e=["x", "y", "at"])
    engine.apply({"s:e": ([(1, 2, "1970-01-01T00:00:00Z"), (2, 3, "1970-01-01T00:00:00Z")], [])})
    assert rows(engine, "p:reach") == {(1, 2), (2, 3)}
    engine.advance(11.0)
    assert rows(engine, "p:reach") == {(1, 2), (2, 3), (1, 3)}


def test_now_as_a_value_moves_every_second() -> None:
    engine = make("t(n) :- s:a(_), builtin:now(n)", a=["x"])
    engine.apply({"s:a": ([(1,)], [])})
    assert rows(engine, "p:t") == {("1970-01-01 00:00:00",)}
    assert engine.next_wake == 1.0
    delta = engine.advance(61.5)
    assert delta["p:t"] == TableDelta([("1970-01-01 00:01:01",)], [("1970-01-01 00:00:00",)])


def test_a_bad_date_is_noted_on_the_rule() -> None:
    engine = make('old(x) :- s:vm(x, c), age(c) > "30d"\nyoung(x) :- s:vm(x, c), not age(c) > "30d"', vm=["x", "c"])
    engine.apply({"s:vm": ([("a", "soon"), ("b", None)], [])})
    assert rows(engine, "p:old") == rows(engine, "p:young") == set()
    assert engine.status("r1").error_count == 2


# -- schemas and waiting


def test_a_rule_waits_for_its_service_and_its_columns() -> None:
    engine = make('down(i) :- nova:servers(id=i, status="ERROR"), not p2:spared(i)')
    [rule] = [r.id for r in engine.rules()]
    assert engine.status(rule).state == "waiting"
    assert {d.code for d in engine.status(rule).diagnostics} == {"N001"}
    assert engine.wanted() == {"nova:servers", "p2:spared"}
    engine.set_schema("nova", {"servers": TableSchema.of("id", "name", "status")})
    assert engine.status(rule).state == "waiting"
    engine.apply({"nova:servers": ([("a", "x", "ERROR"), ("b", "y", "ERROR")], [])})
    delta = engine.create_policy("p2")
    assert set(delta["p:down"].insertions) == {("a",), ("b",)}
    engine.add_rules("p2", 'spared("a")')
    assert rows(engine, "p:down") == {("b",)}
    gone = engine.delete_service("nova")
    assert gone["p:down"] == TableDelta([], [("b",)])
    assert engine.status(rule).state == "waiting"
    engine.set_schema("nova", {"servers": TableSchema.of("id", "name")})
    assert engine.status(rule).state == "off"
    assert engine.status(rule).diagnostics[-1].code == "N003"


def test_deleting_a_policy_makes_its_readers_wait() -> None:
    engine = make("q(x) :- other:r(x)")
    engine.create_policy("other")
    engine.add_rules("other", "r(1)")
    assert rows(engine, "p:q") == {(1,)}
    delta = engine.delete_policy("other")
    assert delta["p:q"] == TableDelta([], [(1,)])
    assert engine.status("r1").state == "waiting"
    engine.create_policy("other")
    engine.add_rules("other", "r(2)")
    assert rows(engine, "p:q") == {(2,)}


def test_names_are_unique() -> None:
    engine = make(a=["x"])
    for name in ("p", "s", "builtin"):
        with pytest.raises(EngineError):
            engine.create_policy(name)
    with pytest.raises(EngineError):
        engine.set_schema("p", {})


def test_old_texts_for_booleans_and_null_mean_the_typed_values() -> None:
    engine = Engine()
    columns = (Column("id", "string", False), Column("up", "boolean"), Column("host", "string", True))
    engine.set_schema("s", {"t": TableSchema(columns)})
    engine.create_policy("p")
    [rule, never] = engine.add_rules("p", 'q(i) :- s:t(i, "True", "None")\nr(i) :- s:t(i, up=3)')
    engine.apply({"s:t": ([("a", TRUE, None), ("b", FALSE, None), ("c", TRUE, "None")], [])})
    assert rows(engine, "p:q") == {("a",)}
    assert [d.code for d in engine.status(rule).diagnostics] == ["W101", "W101"]
    assert [d.code for d in engine.status(never).diagnostics] == ["W102"]


def test_warnings_follow_the_schema() -> None:
    engine = Engine()
    engine.create_policy("p")
    engine.add_rules(
        "p", 'q(x) :- svc:t(x, "True")\nr(x) :- svc:t(x, "web")\nreads(x) :- svc:t(x, y), z = y + 1, nothing(z)'
    )

    def codes(column: Column) -> list[list[str]]:
        engine.set_schema("svc", {"t": TableSchema((Column("x"), column))})
        return [[d.code for d in engine.status(rule.id).diagnostics] for rule in engine.rules()]

    assert codes(Column("y", "boolean")) == [["W101"], ["W102"], ["W107", "W103"]]
    assert codes(Column("y", "string")) == [[], [], ["W107", "W103"]]
    assert codes(Column("y", "integer")) == [["W102"], ["W102"], ["W103"]]
    with engine.hypothetical():
        assert codes(Column("y", "boolean"))[0] == ["W101"]
    assert [d.code for d in engine.status("r1").diagnostics] == ["W102"]
    assert codes(Column("z", "string")) == [[], [], ["W107", "W103"]]
    engine.apply({"svc:t": ([("a", "True"), ("b", "web")], [])})
    assert (rows(engine, "p:q"), rows(engine, "p:r")) == ({("a",)}, {("b",)})


def test_columns_of_derived_tables_follow_their_heads() -> None:
    engine = make("q(x, y) :- s:a(x, y)\nr(x) :- q(x=x)", a=["m", "n"])
    assert engine.table("p:q").columns == ("x", "y")  # type: ignore[union-attr]
    with pytest.raises(PolicyError) as caught:
        engine.add_rules("p", "q(u, y) :- s:a(y, u)")
    assert caught.value.diagnostics[0].code == "N004"
    engine.apply(remove=["r2"])
    engine.add_rules("p", "q(u, y) :- s:a(y, u)")
    assert engine.table("p:q").columns == (None, "y")  # type: ignore[union-attr]


def test_a_table_may_be_read_before_it_is_defined() -> None:
    engine = make("q(x) :- later(x)\nempty(x) :- s:a(x), not later(x)", a=["x"])
    engine.apply({"s:a": ([(1,), (2,)], [])})
    assert rows(engine, "p:empty") == {(1,), (2,)}
    engine.add_rules("p", "later(x, y) :- s:a(x), y = x")
    assert rows(engine, "p:q") == {(1,), (2,)}
    assert rows(engine, "p:empty") == set()


# -- explanations


def test_why_leads_to_the_rows_of_services() -> None:
    engine = make(
        "reach(x, y) :- s:e(x, y)\nreach(x, z) :- reach(x, y), s:e(y, z)\n"
        "lost(x) :- s:n(x), not reach(1, x), x > 1\nf(3)",
        e=["x", "y"],
        n=["x"],
    )
    engine.apply({"s:e": ([(1, 2), (2, 3), (3, 1)], []), "s:n": ([(1,), (2,), (9,)], [])})
    proof = engine.why("p:reach", (1, 1))
    assert proof is not None
    leaves = [line.strip() for line in proof.render().splitlines() if "published" in line]
    assert len(leaves) == 3
    lost = engine.why("p:lost", (9,))
    assert lost is not None
    assert [child.reason for child in lost.children] == ["service", "absent", "test"]
    assert lost.bindings == {"x": 9}
    fact = engine.why("p:f", (3,))
    assert fact is not None
    assert fact.reason == "fact"
    assert engine.why("p:lost", (1,)) is None


def test_a_proof_is_bounded() -> None:
    engine = make("reach(x, y) :- s:e(x, y)\nreach(x, z) :- reach(x, y), s:e(y, z)", e=["x", "y"])
    engine.apply({"s:e": ([(n, n + 1) for n in range(500)], [])})
    proof = engine.why("p:reach", (0, 500), limit=20)
    assert proof is not None
    assert len(proof.render().splitlines()) <= 45
    assert "too large" in proof.render()


def test_why_of_a_group_shows_its_rows() -> None:
    engine = make("n(h, count(x)) :- s:vm(x, h)", vm=["x", "h"])
    engine.apply({"s:vm": ([(1, "a"), (2, "a"), (3, "b")], [])})
    proof = engine.why("p:n", ("a", 2))
    assert proof is not None
    assert {child.row for child in proof.children} == {(1, "a"), (2, "a")}


def test_why_not_names_the_first_literal_that_fails() -> None:
    engine = make('error(x, n) :- s:vm(x, t), s:port(x, n), s:net(n, o), t != o, o != "admin"', vm=["x", "t"],
                  port=["x", "n"], net=["n", "o"])  # fmt: skip
    engine.apply(
        {
            "s:vm": ([("v", "t1"), ("w", "t2")], []),
            "s:port": ([("v", "n1"), ("w", "n2")], []),
            "s:net": ([("n1", "t1"), ("n2", "t1")], []),
        }
    )
    same = engine.why_not("p:error", ("v", "n1"))
    assert same.rules[0].misses[0].literal == "t != o"
    assert same.rules[0].misses[0].bindings == {"x": "v", "n": "n1", "t": "t1", "o": "t1"}
    no_port = engine.why_not("p:error", ("v", "n2"))
    assert no_port.rules[0].misses[0].literal == "s:port(x, n)"
    assert set(no_port.rules[0].misses[0].nearest) == {("v", "n1"), ("w", "n2")}
    assert engine.why_not("p:error", ("w", "n2")).present
    assert "fails at t != o" in same.render()


def test_queries_answer_and_leave_nothing_behind() -> None:
    engine = make("q(x, y) :- s:a(x, y)", a=["x", "y"])
    engine.apply({"s:a": ([(n, n % 3) for n in range(10)], [])})
    before = engine.dump().tables
    assert set(engine.query("p", "q(x, 1)").rows) == {(1,), (4,), (7,)}
    answer = engine.query("p", "best(y, max(x)) :- q(x, y), x < 8")
    assert set(answer.rows) == {(0, 6), (1, 7), (2, 5)}
    assert answer.columns == ("y", "max")
    assert engine.dump().tables == before
    with pytest.raises(PolicyError):
        engine.query("p", "q(x, y, z)")


def test_plans_and_profiles_tell_what_is_done() -> None:
    engine = make("q(x) :- s:a(x, y), s:b(y, 3)", a=["x", "y"], b=["y", "z"])
    engine.start_profile()
    engine.apply({"s:a": ([(1, 2), (2, 2)], []), "s:b": ([(2, 3)], [])})
    plan = engine.plan("r1").render()
    assert "when s:a(x, y) changes" in plan
    assert "look-up" in plan
    assert "index on column 1" in plan
    profile = engine.profile()
    assert profile.rules[0].calls == 1
    assert profile.rules[0].derivations == 2
    assert {t.key for t in profile.tables} >= {"s:a", "s:b", "p:q"}


def test_a_first_load_makes_no_index_of_the_larger_table() -> None:
    """Whatever comes last, the rows of the larger table are gone through and those of the smaller looked up."""
    large = [(f"p{n}", f"s{n // 2}") for n in range(4000)]
    small = [(f"s{n}", n) for n in range(1500)]
    for first, second in (({"s:a": (large, [])}, {"s:b": (small, [])}), ({"s:b": (small, [])}, {"s:a": (large, [])})):
        engine = make("q(x, z) :- s:a(x, y), s:b(y, z)", a=["x", "y"], b=["y", "z"])
        engine.apply(first)
        engine.apply(second)
        tables = engine.dump().tables
        assert len(engine.rows("p:q")) == 3000
        assert [list(tables[key][2]) for key in ("s:a", "s:b")] == [[], [(0,)]]
        engine.apply({"s:b": ([], small[:10])})  # now the other is needed
        assert len(engine.rows("p:q")) == 2980


def test_a_self_join_is_evaluated_once_when_its_table_is_filled() -> None:
    engine = make("q(x, z) :- s:a(x, y), s:a(y, z)\nr(x) :- s:a(x, y), not s:a(y, x)", a=["x", "y"])
    pairs = [(n, n + 1) for n in range(2000)]
    engine.start_profile()
    engine.apply({"s:a": (pairs, [])})
    assert [rule.calls for rule in engine.profile().rules] == [1, 1]
    assert len(engine.rows("p:q")) == 1999
    engine.apply({"s:a": ([], pairs[:1000])})
    assert len(engine.rows("p:q")) == 999
    assert len(engine.rows("p:r")) == 1000
    engine.apply({"s:a": ([], pairs)})
    assert engine.dump().tables["p:q"][1] == {}


def test_absences_from_a_table_that_is_filled_count_once() -> None:
    engine = make("r(x) :- s:a(x), not s:b(x)", a=["x"], b=["x"])
    engine.apply({"s:a": ([(n,) for n in range(3000)], [])})
    engine.apply({"s:b": ([(n,) for n in range(2000)], [])})
    assert rows(engine, "p:r") == {(n,) for n in range(2000, 3000)}
    assert set(engine.dump().tables["p:r"][1].values()) == {1}


def test_a_rule_joins_more_tables_than_python_nests_blocks() -> None:
    size = 40
    names = [f"t{n}" for n in range(size)]
    body = ", ".join(f"s:{name}(x{n}, x{n + 1})" for n, name in enumerate(names))
    engine = make(f"q(x0, x{size}) :- {body}", **{name: ["a", "b"] for name in names})
    engine.apply({f"s:{name}": ([(n, n + 1), (n, -1)], []) for n, name in enumerate(names)})
    assert rows(engine, "p:q") == {(0, size), (0, -1)}
    assert engine.why("p:q", (0, size)) is not None


def test_sums_of_floats_are_exact_whatever_came_and_went() -> None:
    engine = make("total(sum(x)) :- s:a(i, x)\nmean(avg(x)) :- s:a(i, x)", a=["i", "x"])
    engine.apply({"s:a": ([(1, 0.1), (2, 0.2), (3, 1e16), (4, 3)], [])})
    engine.apply({"s:a": ([], [(3, 1e16)])})
    assert rows(engine, "p:total") == {(math.fsum([0.1, 0.2, 3]),)}
    engine.apply({"s:a": ([], [(1, 0.1), (2, 0.2)])})
    assert rows(engine, "p:total") == {(3,)}
    engine.apply({"s:a": ([(5, "x")], [(4, 3)])})
    assert rows(engine, "p:total") == set()
    assert engine.status("r1").error_count == 1


def test_a_table_that_nothing_defines_may_be_read_in_several_ways() -> None:
    engine = make("q(v) :- s:b(x, _), t0(), t0(v)\nq(v) :- q(x), not t0(v, x), s:b(v, _)", b=["x", "y"])
    engine.prepare()
    engine.apply({"s:b": ([(1, 2)], [])})
    assert rows(engine, "p:q") == set()
    with pytest.raises(PolicyError) as caught:
        engine.add_rules("p", "t0(x) :- s:b(x, _)")
    assert caught.value.diagnostics[0].code == "N005"


def test_a_window_of_the_day_is_woken_at_its_edges_only() -> None:
    engine = make('night(x) :- s:a(x), builtin:in_window("22:00", "06:00")', a=["x"])
    engine.apply({"s:a": ([(1,)], [])})
    assert rows(engine, "p:night") == {(1,)}
    assert engine.next_wake == 6 * 3600.0
    assert engine.advance(6 * 3600.0)["p:night"] == TableDelta([], [(1,)])
    assert engine.next_wake == 22 * 3600.0


def test_a_rule_that_a_schema_put_off_comes_back_with_one_that_fits() -> None:
    engine = make("q(n) :- nova:servers(name=n)")
    for columns, state in (
        (("id", "title"), "off"),
        (("id", "name"), "active"),
        (("id",), "off"),
        (("name",), "active"),
    ):
        engine.set_schema("nova", {"servers": TableSchema.of(*columns)})
        assert engine.status("r1").state == state
    engine.apply({"nova:servers": ([("web",)], [])})
    assert rows(engine, "p:q") == {("web",)}
    engine.apply(remove=["r1"])
    engine.set_schema("nova", {"servers": TableSchema.of("id", "title")})
    assert engine.rules() == []


def test_a_rule_over_a_table_that_nothing_derives_is_warned_of() -> None:
    engine = make("broken(x) :- s:a(x)\nq(x) :- brokn(x)\nr(x, y) :- s:a(x), lower(x, y)", a=["x"])
    [warning] = engine.status("r2").diagnostics
    assert (warning.code, warning.severity, warning.hint) == ("W103", "warning", "is p:broken meant?")
    assert engine.status("r3").diagnostics[0].hint == "is builtin:lower meant?"
    engine.add_rules("p", "brokn(1)")
    assert engine.status("r2").diagnostics == ()


def test_numbers_beyond_64_bits_are_no_values() -> None:
    engine = make("t(sum(x)) :- s:a(x)", a=["x"])
    engine.apply({"s:a": ([(2**63,), (2**63 - 1,)], [])})
    assert rows(engine, "p:t") == {(2**64 - 1,)}
    engine.apply({"s:a": ([(1,)], [])})
    assert rows(engine, "p:t") == set()
    assert "beyond 64 bits" in engine.status("r1").errors[0].message
    with pytest.raises(TypeError):
        encode(2**64)


@pytest.mark.parametrize("row", ["ab", b"ab", {"x": 1, "y": 2}, {1, 2}])
@pytest.mark.parametrize("more", [[], [(1, 2)]])
def test_what_only_looks_like_a_row_is_none(row: object, more: list[Row]) -> None:
    engine = make(a=["x", "y"])
    with pytest.raises(EngineError, match="is no row"):
        engine.apply({"s:a": ([row, *more], [])})  # type: ignore[list-item]  # that is the test
    with pytest.raises(EngineError, match="is no row"):
        engine.load("s:a", [row, *more])  # type: ignore[list-item]  # that is the test
    assert not engine.rows("s:a")


@pytest.mark.parametrize("now", ["x", None, 10**400, math.nan, math.inf])
def test_what_is_no_time_is_refused(now: float) -> None:
    with pytest.raises(EngineError, match="finite number"):
        make().advance(now)


def test_an_undefined_comparison_says_so_in_the_terms_of_the_language() -> None:
    engine = make("q(x) :- s:a(x), x < 2", a=["x"])
    engine.apply({"s:a": ([("a",), (1,)], [])})
    message = engine.status("r1").errors[0].message
    assert message == '"a" and integer 2 have no order'


def test_queries_may_be_several_literals() -> None:
    engine = make("q(x, y) :- s:a(x, y)", a=["x", "y"])
    engine.apply({"s:a": ([(1, 2), (3, 4)], [])})
    answer = engine.query("p", "q(x, y), x > 1, z = x + y, not q(z, _)")
    assert answer.columns == ("x", "y", "z")
    assert answer.rows == [(3, 4, 7)]
    with pytest.raises(PolicyError) as caught:
        engine.query("p", "q(x, y), x >")
    assert caught.value.diagnostics
    with pytest.raises(EngineError):
        engine.why_not("p:q", (1,))


# -- what simulations need


def test_a_free_head_variable_of_an_action_policy_is_something_new_for_each_instance() -> None:
    engine = Engine()
    engine.create_policy("action", "action")
    engine.add_rules(
        "action",
        """server+(id, n) :- create(n)
        tag+(id, "fresh") :- server+(id, n)
        result(id) :- create(n)
        two(a, b) :- create(n)
        loop(y) :- loop(x)
        loop(y) :- create(y)
        young(id, n) :- create(n), age(n) < "3d" """,
    )
    empty = engine.dump()
    with engine.hypothetical():
        engine.add_rules("action", 'create("a") create("b")')
        ids = {n: i for i, n in engine.rows("action:server+")}
        assert len(set(ids.values())) == 2
        assert all(is_stand_in(i) for i in ids.values())
        assert rows(engine, "action:result") == {(ids["a"],), (ids["b"],)}
        assert rows(engine, "action:tag+") == {(ids["a"], "fresh"), (ids["b"], "fresh")}
        assert len({value for row in engine.rows("action:two") for value in row}) == 4
        assert len(engine.rows("action:loop")) < 20  # and not without end
        assert engine.why("action:server+", (ids["a"], "a")) is not None
        engine.apply(remove=[engine.find_rule("action", parse_rule('create("a")')) or ""])
        assert rows(engine, "action:server+") == {(ids["b"], "b")}
    assert engine.dump() == empty


@pytest.mark.parametrize(
    "rule", ["execute[s:b(x)] :- create(n)", "z(count(x)) :- create(n)", "z(n) :- create(n), not q(x)"]
)
def test_nothing_but_the_tables_of_an_action_policy_may_hold_something_new(rule: str) -> None:
    engine = Engine()
    engine.create_policy("action", "action")
    with pytest.raises(PolicyError):
        engine.add_rules("action", rule)


def test_rules_are_where_they_were_when_their_removal_is_taken_back() -> None:
    engine = Engine()
    for policy in ("p", "q"):
        engine.create_policy(policy)
        engine.add_rules(policy, "".join(f"t{n}(x) :- s:t(x, {n})\n" for n in range(5)))
    before = engine.rules()
    ids = [rule.id for rule in before]
    with engine.hypothetical() as change:
        change.apply(remove=[ids[0], ids[7], ids[3]])
        change.add_rules("q", "more(1)")
        change.delete_policy("p")
        assert [rule.policy for rule in change.rules()] == ["q"] * 5
    assert engine.rules() == before
    assert engine.rules("p") == before[:5]
    assert engine.rules("q") == before[5:]
    engine.add_rules("p", "more(1)")
    assert [rule.id for rule in engine.rules("p")] == [*ids[:5], engine.rules()[-1].id]


def test_what_rules_had_to_say_of_a_hypothetical_change_is_forgotten() -> None:
    engine = make("q(y) :- s:a(x), y = 1 / x", a=["x"])
    engine.apply({"s:a": ([(0,)], [])})
    with engine.hypothetical():
        engine.apply({"s:a": ([("no number",)], [])})
        with engine.hypothetical():
            engine.apply({"s:a": ([("nor this",)], [])})
            assert engine.status("r1").error_count == 3
        assert engine.status("r1").error_count == 2
    status = engine.status("r1")
    assert (status.error_count, len(status.errors)) == (1, 1)


def test_the_engine_tells_which_limits_the_latest_change_exceeded() -> None:
    engine = make("q(x, y) :- s:a(x), s:a(y)", limits=Limits(rows=10), a=["x"])
    engine.apply({"s:a": ([(n,) for n in range(9)], [])})
    assert [found.code for found in engine.exceeded] == ["E001"]
    engine.apply({"s:a": ([(10,)], [])})
    assert engine.exceeded == ()


def test_queries_are_texts_or_rules() -> None:
    engine = make("q(1) q(2)")
    assert engine.query("p", parse_rule("a(y) :- q(x), y = x + 1")).rows == [(2,), (3,)]


def test_ages_compare_with_each_other() -> None:
    engine = make("older(x, y) :- s:vm(x, a), s:vm(y, b), age(a) > age(b)", vm=["x", "created"])
    engine.apply({"s:vm": ([(1, "1970-01-01T00:00:00Z"), (2, "1970-01-02T00:00:00Z")], [])})
    assert rows(engine, "p:older") == {(1, 2)}


OLD = 'old(x) :- s:vm(x, t), age(t) >= "1h"'


def test_a_proof_has_the_literals_over_the_time() -> None:
    engine = make(OLD, now=DAY, vm=["x", "t"])
    engine.apply({"s:vm": ([("a", "1970-01-01")], [])})
    proof = engine.why("p:old", ("a",))
    assert proof is not None
    assert [child.reason for child in proof.children] == ["service", "test"]
    assert proof.children[1].text == 'age(t) >= "1h"   with t = "1970-01-01"'
    assert 'age(t) >= "1h"' in proof.render()
    engine.add_rules("p", 'n(count(x)) :- s:vm(x, t), now(m), datetime_gt(m, t), age(t) < "9d"')
    groups = engine.why("p:n", (1,))
    assert groups is not None
    texts = [child.text for child in groups.children if child.reason == "test"]
    assert texts == ['datetime_gt(m, t)   with t = "1970-01-01"', 'age(t) < "9d"   with t = "1970-01-01"']


@pytest.mark.parametrize(
    ("rule", "dates", "literals", "reason"),
    [
        (OLD, ["1970-01-02"], {'age(t) >= "1h"'}, "it will from 1970-01-02T01:00:00Z on"),
        (OLD.replace(">=", ">"), ["1970-01-02"], {'age(t) > "1h"'}, "it will from 1970-01-02T01:00:00Z on"),
        (OLD, ["1970-01-04", "1970-01-03"], {'age(t) >= "1h"'}, "it will from 1970-01-03T01:00:00Z on"),
        (OLD.replace(">=", "<"), ["1970-01-01"], {'age(t) < "1h"'}, "it did until 1970-01-01T01:00:00Z"),
        (OLD + ', age(t) < "30m"', ["1970-01-01"], {'age(t) < "30m"'}, "it never will"),
        (OLD, ["soon"], {'age(t) >= "1h"'}, "it never will"),
        (OLD, ["9999-12-31T23:59:59"], {'age(t) >= "1h"'}, "it will from 253402304399 s after 1970 on"),
    ],
)
def test_why_not_names_the_time_that_is_missing(rule: str, dates: list[str], literals: set[str], reason: str) -> None:
    engine = make(rule, now=DAY, vm=["x", "t"])
    engine.apply({"s:vm": ([("a", date) for date in dates] + [("b", "1980-01-01")], [])})
    [miss] = engine.why_not("p:old", ("a",)).rules
    assert {one.literal for one in miss.misses} == literals
    assert [one.bindings["t"] for one in miss.misses] == sorted(dates)
    assert miss.reason == f"its body holds, but not at this time: {reason}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("q(x) :- t(x), not q(x)", ["P005 1:19"]),
        ("t(x) :- t(x), x > 1", ["P005 1:9"]),
        ("p+(x)", ["R011 1:1"]),
        ("q(x, y) :- t(x + 1), s:a(y, y)", ["R016 1:14", "N005 1:22"]),
    ],
)
def test_what_could_be_no_rule_is_no_query(text: str, found: list[str]) -> None:
    engine = Engine()
    engine.create_policy("p")
    engine.set_schema("s", {"a": TableSchema.of("x")})
    engine.add_rules("p", "t(x) :- s:a(x)")
    with pytest.raises(PolicyError) as caught:
        engine.query("p", text)
    assert [f"{d.code} {d.line}:{d.column}" for d in caught.value.diagnostics] == found


# -- loading, and services without tables


def test_a_load_takes_what_a_change_takes() -> None:
    engine = make(a=["x"])
    engine.load("s:a", [(1,), (2,)])
    delta = engine.load("s:a", [(True,)])  # type: ignore[list-item]  # as a caller has it
    assert rows(engine, "s:a") == {(TRUE,)}
    assert set(delta["s:a"].retractions) == {(1,), (2,)}
    engine.load("s:a", iter([[1], [TRUE]]))  # type: ignore[list-item]  # as JSON has it
    assert rows(engine, "s:a") == {(1,), (TRUE,)}
    with pytest.raises(EngineError, match="does not fit"):
        engine.load("s:a", [([1],)])  # type: ignore[list-item]  # which is refused
    with pytest.raises(EngineError, match="no service"):
        engine.load("s:b", [])
    assert rows(engine, "s:a") == {(1,), (TRUE,)}
    assert set(engine.load("s:a", [])["s:a"].retractions) == {(1,), (TRUE,)}


def test_a_service_without_tables_is_known() -> None:
    engine = make("q(x) :- empty:t(x)")
    assert engine.status("r1").diagnostics[0].code == "N001"
    engine.set_schema("empty", {})
    assert engine.schema("empty") == {}
    assert engine.status("r1").diagnostics[0].code == "N002"
    with engine.hypothetical():
        engine.set_schema("empty", schemas({"t": ["x"]}))
    assert engine.schema("empty") == {}
    with engine.hypothetical():
        engine.delete_service("empty")
        assert engine.schema("empty") is None
    assert engine.schema("empty") == {}
    with pytest.raises(EngineError, match="taken"):
        engine.create_policy("empty")
    with engine.hypothetical():
        engine.set_schema("new", {})
    assert engine.schema("new") is None
