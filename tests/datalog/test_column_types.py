# SPDX-License-Identifier: Apache-2.0
"""Types of columns and variables: nothing that is said of them is wrong, whatever the rules and rows are."""

import random
from collections.abc import Mapping

import pytest

from congress.datalog.builtins import core_registry
from congress.datalog.builtins.registry import Builtin
from congress.datalog.builtins.shelf import UNDEFINED
from congress.datalog.column_types import ANY, NULL, NUMBER, TEXT, answers, kind_of, kinds_of
from congress.datalog.core import Const, Test
from congress.datalog.diagnostics import Diagnostic, PolicyError
from congress.datalog.engine import Engine
from congress.datalog.parser import parse_rule
from congress.datalog.resolve import resolve
from congress.datalog.schema import TYPES, Column, TableSchema
from congress.datalog.type_flow import Derivation, Flow
from congress.datalog.values import FALSE, TRUE, Row, Value, encode

VALUES: Mapping[str, tuple[Value, ...]] = {
    "string": ("a", "1", ""),
    "integer": (0, 1, 3),
    "float": (0.5, 1.0),
    "number": (1, 2.5),
    "boolean": (TRUE, FALSE),
    "any": ("a", 1, 0.5, TRUE, None),
}
LITERALS = """
    s:a({0}, {1}); s:b({0}, {1}); s:c({0}, {1}); not s:a({0}, _); not s:b(_, {0}); p({0}, {1}); q({1}, {0}); {0} = {1};
    {0} != {1}; {0} < {1}; not {0} >= {1}; {0} = "1"; {0} != 1; {0} > "0"; {0} < 2; {2} = {0} + {1}; {2} = {0} * {1};
    {2} = {0} + 1; {2} = len({0}); {2} = to_string({0}); {2} = max({0}, {1}); {2} = coalesce({0}, {1}); {0} = null;
    builtin:len({0}, {1}); not builtin:len({0}, {1}); builtin:starts_with({0}, {1}); not p({0}, 1); q({0}, "a");
    {2} = json_get({0}, {1}); {2} = type_of({0})
""".strip().split(";")


def schema(*columns: str) -> TableSchema:
    """``"string!"`` is never null."""
    return TableSchema(tuple(Column(f"c{n}", c.rstrip("!"), not c.endswith("!")) for n, c in enumerate(columns)))


def warnings(text: str, **tables: TableSchema) -> list[Diagnostic]:
    engine = Engine(registry=core_registry())
    engine.set_schema("s", tables)
    engine.create_policy("p")
    [rule] = engine.add_rules("p", text)
    return [d for d in engine.status(rule).diagnostics if d.code != "W103"]


def test_the_kinds_of_columns_are_those_of_their_values() -> None:
    for type_ in TYPES:
        kinds = 0
        for value in VALUES[type_]:
            kinds |= kind_of(value)
        assert kinds_of(Column("c", type_)) == kinds | NULL
        assert kinds_of(Column("c", type_, nullable=False)) == (ANY if type_ == "any" else kinds)


@pytest.mark.parametrize("builtin", list(core_registry()), ids=lambda b: f"{b.name}/{b.arity}")
def test_built_ins_take_and_make_what_their_examples_do(builtin: Builtin) -> None:
    engine = Engine(registry=core_registry())
    for example in builtin.examples:
        if example.result == UNDEFINED:
            continue
        rule = parse_rule(f'p("x") :- builtin:{example.literal}')
        found = resolve(rule, "p", "r", engine._definitions)
        assert not [w for w in found.warnings if w.code[:3] == "W10" and w.code != "W108"], example.literal
        inputs = [
            arg.value
            for item in (found.resolved.rule.body if found.resolved else ())
            if isinstance(item, Test)
            for arg in item.inputs
            if isinstance(arg, Const)
        ]
        if len(inputs) < len(builtin.inputs) or not isinstance(example.result, dict | list):
            continue
        made = answers(builtin, [kind_of(value) for value in inputs])
        assert made is not None
        for result in example.result if isinstance(example.result, list) else [example.result]:
            for value, kinds in zip(result.values(), made[-len(result) :], strict=True):
                assert kind_of(encode(value)) & kinds, example.literal


@pytest.mark.parametrize("seed", range(150))
def test_whatever_is_said_never_to_hold_derives_nothing(seed: int) -> None:
    """Random rules, derived tables and recursion among them, on rows that keep to random schemas."""
    pick = random.Random(seed)
    columns = [t + mark for t in TYPES for mark in ("", "!")]
    tables = {name: schema(pick.choice(columns), pick.choice(columns)) for name in "abc"}
    engine = Engine(registry=core_registry())
    engine.set_schema("s", tables)
    engine.create_policy("p")
    for name, table in tables.items():
        rows: set[Row] = set()
        for _ in range(6):
            rows.add(tuple(pick.choice(VALUES[c.type] + ((None,) if c.nullable else ())) for c in table.columns))
        engine.apply({f"s:{name}": (list(rows), ())})
    ids = [rule for _ in range(60) if (rule := add(engine, pick))]
    said = engine.type_warnings()
    for table, kinds in flow(engine).items():
        for row in engine.rows(table):
            assert all(kind_of(value) & kind for value, kind in zip(row, kinds, strict=True)), (table, kinds, row)
    for rule in ids:
        status = engine.status(rule)
        if status.state != "active":
            continue
        codes = {d.code for d in (*status.diagnostics, *said.get(rule, ()))}
        if {"W104", "W107"} & codes:
            assert not engine.derives(rule), (codes, [str(n.rule) for n in engine.rules() if n.id == rule])


def flow(engine: Engine) -> Mapping[str, list[int]]:
    """What is known of the tables of policies."""
    rules = engine._program.rules.values()
    made = [Derivation(w.new.rule, w.table, w.columns, w.fact, w.resolution.resolved) for w in rules]
    return Flow(engine._definitions, made).derived


def add(engine: Engine, pick: random.Random) -> str | None:
    """Add a random rule if it makes sense; its id."""
    names = ["x", "y", "z"]
    body = [pick.choice(LITERALS[:3])] + [pick.choice(LITERALS) for _ in range(pick.randint(0, 2))]
    literals = [literal.format(*(pick.choice(names) for _ in range(2)), pick.choice(["z", "u"])) for literal in body]
    head = f"{pick.choice('pqr')}({pick.choice('xyzu')}, {pick.choice('xyzu')})"
    try:
        return engine.add_rules("p", f"{head} :- {', '.join(literals)}")[0]
    except PolicyError:  # unsafe, or in a circle with a negation: another rule then
        return None


def test_messages_name_both_types_and_where_they_come_from() -> None:
    table = schema("string!", "integer")
    [found] = warnings("t(x) :- s:a(x, y), s:b(y, x)", a=table, b=schema("any", "integer!"))
    assert found.code == "W104"
    assert found.message == ("column c0 of s:a holds strings, column c1 of s:b holds numbers: they are never equal")
    assert found.severity == "warning"
    assert found.hint == "make a number of the string with to_int or to_float"
    [found] = warnings('t(x) :- s:a(x, y), y > "3"', a=table)
    assert found.message == 'column c1 of s:a holds numbers or null, "3" is a string: the two have no order'
    assert found.hint == "write 3 without quotes"
    [found] = warnings("t(z) :- s:a(x, y), z = concat(x, y)", a=table)
    assert found.message == "concat takes a string; column c1 of s:a holds numbers or null"
    [found] = warnings("t(x) :- s:a(x, y), len(x) = x", a=table)
    assert found.message == "column c0 of s:a holds strings, len makes numbers: they are never equal"


@pytest.mark.parametrize(
    ("literal", "hint"),
    [
        ('n = "3"', "write 3 without quotes"),
        ('n = "3.5"', "write 3.5 without quotes"),
        ('n = "many"', ""),
        ("t = 3", 'write "3" in quotes'),
        ("t = true", 'write "true" in quotes'),
        ('b = "True"', "write true without quotes"),
        ("b = 1", ""),
        ("z = age(n)", "make a datetime of the number with epoch_to_datetime"),
        ("z = t - 1", "make a number of the string with to_int or to_float"),
        ("z = t + 1", "make a number of the string with to_int or to_float"),
        ('z = "n" + n', "make a number of the string with to_int or to_float"),
        ("z = lower(n)", "make a string of the number with to_string"),
    ],
)
def test_hints(literal: str, hint: str) -> None:
    [found] = warnings(f"h(t, n, b) :- s:a(t, n, b), {literal}", a=schema("string!", "number!", "boolean!"))
    assert found.hint == hint


def test_what_a_mistake_leads_to_is_not_reported_again() -> None:
    table = schema("string!", "integer!")
    text = "t(sum(w)) :- s:a(x, y), z = x - 1, u = lower(z), u > 3, x = 1, not s:a(_, x), x = 2, len(x) > 1, w = x"
    assert [d.code for d in warnings(text, a=table)] == ["W107"]


def test_products_and_sums() -> None:
    [mul], [plus] = core_registry().named("mul"), core_registry().named("plus")
    assert answers(mul, [TEXT | NUMBER, NUMBER]) == [TEXT | NUMBER]
    assert answers(mul, [TEXT, TEXT]) is None
    assert answers(plus, [TEXT, ANY]) == [TEXT]
    assert answers(plus, [TEXT, NUMBER]) is None


def test_a_long_recursion_is_gone_through_quickly() -> None:
    """Each table's types grow a few times at most; rules are not gone through again without need."""
    engine = Engine(registry=core_registry())
    engine.set_schema("s", {"a": schema("string!", "integer!")})
    engine.create_policy("p")
    text = "\n".join(f"t{n}(x, y) :- t{(n + 1) % 400}(y, x)." for n in range(400))
    engine.add_rules("p", text + "\nt7(x, y) :- s:a(x, y).\nlast(x) :- t8(x, y), x = true.")
    [[found]] = engine.type_warnings().values()
    assert found.code == "W104"
    assert found.message.startswith("column 0 of p:t8 holds strings or numbers") or "column x" in found.message


def test_status_and_flow_do_not_say_the_same_twice() -> None:
    engine = Engine(registry=core_registry())
    engine.set_schema("s", {"a": schema("string!", "integer!")})
    engine.create_policy("p")
    [_, rule] = engine.add_rules("p", 'd(x) :- s:a(x, y)\nt(x) :- s:a(x, y), y = "1", d(x)')
    assert [d.span for d in engine.status(rule).diagnostics] != []
    assert engine.type_warnings() == {}
