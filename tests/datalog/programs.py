# SPDX-License-Identifier: Apache-2.0
"""Random policies and random changes of them, for hypothesis: small tables, many kinds of rules.

A script is data: texts and rows.  Steps do not know what the ones before them did, so retracting an absent
row, adding a rule twice or making negation circular all happen, and have one right answer each.

Hypothesis draws one number for a rule and two for the rows of a table, since thousands of programs have to be
made in a minute or two.  So it finds the steps, rules and rows that a failure needs, but shortens no rule.
"""

from dataclasses import dataclass
from itertools import product
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from congress.datalog.schema import TableSchema
from congress.datalog.values import FALSE, TRUE, Row, Value

# Services, their tables' columns.  ``w`` comes and goes in scripts; ``s`` is always there.
SCHEMAS: dict[str, dict[str, TableSchema]] = {
    "s": {
        "a": TableSchema.of("id"),
        "b": TableSchema.of("id", "to"),
        "c": TableSchema.of("id", "to", "kind"),
        "edge": TableSchema.of("from", "to"),
        "mixed": TableSchema.of("id", "value"),
        "made": TableSchema.of("id", "at"),
        "on": TableSchema.of(),
        "unread": TableSchema.of("id"),
    },
    "w": {"m": TableSchema.of("id", "to")},
}
BASE = {f"{service}:{table}": schema for service, tables in SCHEMAS.items() for table, schema in tables.items()}

# Derived tables in groups: positive literals look at their own group and at those before it, negation and
# aggregates (nearly always) at those before it only.
GROUPS: list[dict[str, int]] = [
    {"p:t0": 1, "p:t1": 2},
    {"p:t2": 2, "q:u0": 1, "q:u1": 2},
    {"p:flag": 0, "p:t3": 1, "q:u2": 3},
    {"p:t4": 2, "q:u3": 1},
]
SMALL: list[Value] = [0, 1, 2, 3]
MIXED: list[Value] = [0, 1, 2.5, 1.0, TRUE, FALSE, None, "1", "true", "a", -2]
DATES: list[Value] = ["1970-01-01 00:00:00", "1970-01-01 00:00:10", "1970-01-01 00:00:15.5", "1970-01-01 00:01", "?"]
VARIABLES = ["x", "y", "z", "v"]
T = TypeVar("T")


@dataclass(frozen=True)
class Rows:
    """Rows to insert and to retract, by table."""

    changes: dict[str, tuple[list[Row], list[Row]]]


@dataclass(frozen=True)
class Load:
    """All rows of a table from now on."""

    table: str
    rows: list[Row]


@dataclass(frozen=True)
class Rules:
    """One transaction: rules to remove (by number, modulo how many there are), texts to add, changed rows."""

    remove: list[int]
    add: list[tuple[str, str]]
    changes: dict[str, tuple[list[Row], list[Row]]]


@dataclass(frozen=True)
class Service:
    """Service ``w`` goes if it is there, and comes if it is not."""


@dataclass(frozen=True)
class Policy:
    """Policy ``q`` goes, with its rules, if it is there, and comes if it is not."""


@dataclass(frozen=True)
class Hypothetical:
    """Steps that are taken back."""

    steps: list["Step"]


@dataclass(frozen=True)
class Advance:
    """Time passes, in seconds; at the beginning it is 1970-01-01 00:00:00."""

    by: float


Step = Rows | Load | Rules | Service | Policy | Hypothetical | Advance


def quoted(value: Value) -> str:
    """A value as policies write it."""
    if value is None:
        return "null"
    return f'"{value}"' if isinstance(value, str) else str(value)


# -- rows


def values_of(table: str) -> list[Value]:
    return MIXED if table == "s:mixed" else [*SMALL, 4] if table == "s:edge" else SMALL


def rows_of(table: str) -> st.SearchStrategy[list[Row]]:
    """Some rows of a table, up to ten."""
    arity = BASE[table].arity
    columns = [SMALL, DATES] if table == "s:made" else [values_of(table)] * arity
    possible = list(product(*columns))
    shuffled = Random(arity).sample(possible, len(possible))[:24]

    def pick(number: int) -> list[Row]:
        return [row for at, row in enumerate(shuffled) if number >> at & 1][:10]

    bits = st.integers(0, 2 ** len(shuffled) - 1)
    return bits.map(pick) if len(shuffled) <= 4 else st.builds(lambda a, b: pick(a & b), bits, bits)


ROWS = {table: rows_of(table) for table in BASE}


@st.composite
def row_changes(draw: st.DrawFn) -> dict[str, tuple[list[Row], list[Row]]]:
    """Small changes of one to three tables."""
    tables = draw(st.lists(st.sampled_from(sorted(BASE)), min_size=1, max_size=3, unique=True))
    return {table: (draw(ROWS[table])[:3], draw(ROWS[table])[-3:]) for table in tables}


# -- rules

# What random literals seldom make: closures of several kinds, and what is typically built on them.
CLASSICS = [
    ("p", "t1(x, y) :- s:edge(x, y)."),
    ("p", "t1(x, z) :- t1(x, y), s:edge(y, z)."),
    ("p", "t1(x, z) :- s:edge(x, y), t1(y, z)."),
    ("p", "t1(x, z) :- t1(x, y), t1(y, z)."),
    ("p", "t2(x, z) :- q:u1(x, y), s:edge(y, z)."),
    ("q", "u1(x, y) :- s:edge(x, y)."),
    ("q", "u1(x, y) :- p:t2(x, y), x != y."),
    ("q", "u1(x, x) :- p:t1(x, x)."),
    ("p", "t2(x, y) :- s:b(x, y), not t1(x, y)."),
    ("p", "t2(x, z) :- t2(x, y), t1(y, z), not s:b(x, z)."),
    ("q", "u2(x, y, z) :- p:t1(x, y), p:t1(y, z), not p:t2(x, _)."),
    ("p", "t3(n) :- n = 0."),
    ("p", "t3(m) :- t3(n), m = (n + 1) % 4."),
    ("p", "t4(x, count(y)) :- t1(x, y)."),
    ("p", "t4(x, max(z)) :- q:u2(x, y, z)."),
    ("q", "u3(x) :- s:a(x), not p:t3(x)."),
    ("p", "flag() :- t2(x, y), not t1(y, x)."),
    ("q", "u3(sum(y)) :- p:t2(x, y), s:edge(y, x)."),
    ("p", "t1(x, sum(y)) :- s:b(x, y)."),
    ("p", "t2(x, min(y)) :- s:c(_, x, y)."),
    ("p", "t4(avg(y), max(y)) :- s:edge(x, y)."),
    ("q", "u2(x, count(y), sum(z)) :- s:c(x, y, z), not s:a(z)."),
    ("q", "u1(x, avg(y)) :- s:mixed(x, y)."),
    ("q", "u1(max(x), x) :- p:t1(x, y)."),
    ("p", "t3(sum(x)) :- s:mixed(y, x), s:a(z)."),
]
TEMPORAL = [
    ("p", "t0(x) :- s:made(x, at), age(at) > 10."),
    ("p", "t2(x, x) :- s:made(x, at), age(at) <= 20, age(at) >= 2, not s:a(x)."),
    ("q", "u0(x) :- s:made(x, at), builtin:now(n), builtin:datetime_lt(at, n)."),
    ("q", "u0(x) :- s:made(x, at), not age(at) < 5."),
    ("p", "t1(x, z) :- t1(x, y), s:edge(y, z), s:made(z, at), age(at) < 30."),
    ("p", "t4(x, count(y)) :- s:made(x, at), s:b(x, y), age(at) >= 5."),
    ("q", "u1(x, y) :- s:made(x, at), y = age(at)."),
    ("q", "u2(x, y, x) :- s:made(x, a), s:made(y, b), age(a) < age(b), p:t1(x, y)."),
    ("p", "flag() :- s:made(x, at), age(at) > 12, not p:t0(x)."),
    ("p", "t0(x) :- s:made(x, at), (age(at) - 2) * 3 >= 20."),
    ("q", "u0(x) :- s:made(x, at), left = 25 - age(at), left / 5 < 2, not s:a(x)."),
]


class RuleMaker:
    """Makes one rule."""

    def __init__(self, number: int) -> None:
        self.random = Random(number)
        self.bound: dict[str, None] = {}

    def pick(self, items: list[T]) -> T:
        return self.random.choice(items)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def rule(self) -> tuple[str, str]:
        """The policy and the text."""
        if self.chance(30):
            return self.pick(TEMPORAL if self.chance(20) else CLASSICS)
        group = self.random.randrange(len(GROUPS))
        head = self.pick(sorted(GROUPS[group]))
        policy, _, table = head.partition(":")
        arity = GROUPS[group][head]
        if self.chance(6):
            return policy, f"{table}({', '.join(str(self.pick(SMALL)) for _ in range(arity))})."
        aggregate = arity > 0 and self.chance(15)
        body = [self.positive(policy, group - aggregate) for _ in range(self.pick([1, 2, 2, 3]))]
        if self.chance(35):
            body.append(self.negative(policy, group - 1))
        if self.chance(20):
            body.append(self.comparison())
        if self.chance(10):
            body.append(self.arithmetic())
        self.random.shuffle(body)
        return policy, f"{self.head(table, arity, aggregate)} :- {', '.join(body)}."

    def head(self, table: str, arity: int, aggregate: bool) -> str:
        args = [self.term(bound=True) for _ in range(arity)]
        if aggregate and self.bound:
            function = self.pick(["count", "sum", "min", "max", "avg"])
            args[self.random.randrange(arity)] = f"{function}({self.pick(sorted(self.bound))})"
        elif self.chance(4):
            names = [f"arg{n}={arg}" for n, arg in enumerate(args)]
            return f"execute[s:act({', '.join(self.pick([args, names]))})]"
        return f"{table}({', '.join(args)})"

    def term(self, *, bound: bool, table: str = "") -> str:
        """A variable or a constant; ``bound``: only variables that have a value already."""
        if self.chance(8) or (bound and not self.bound):
            return quoted(self.pick(values_of(table)))
        return self.pick(sorted(self.bound) if bound or (self.bound and self.chance(25)) else VARIABLES)

    def table(self, group: int, *, own_group: int) -> tuple[str, int]:
        """A table of the services, or derived at most in this group."""
        derived = {table: arity for tables in GROUPS[: max(0, group + 1)] for table, arity in tables.items()}
        if own_group >= 0 and self.chance(30):
            derived = GROUPS[own_group]
        if not derived or self.chance(50):
            key = self.pick(sorted(BASE.keys() - {"s:unread"}))
            return key, BASE[key].arity
        key = self.pick(sorted(derived))
        return key, derived[key]

    def atom(self, policy: str, key: str, args: list[str]) -> str:
        """The literal: by position, or (services) by column names, the anonymous ones left out or cut off."""
        service, _, table = key.partition(":")
        name = table if service == policy else key
        schema = BASE.get(key)
        if schema is not None and args and self.chance(15):
            by_index = self.chance(30)
            kept = [
                f"{at if by_index else column}={arg}"
                for at, (column, arg) in enumerate(zip(schema.names, args, strict=True))
                if arg != "_"
            ]
            return f"{name}({', '.join(kept)})"
        while args and args[-1] == "_" and self.chance(50):
            args = args[:-1]
        return f"{name}({', '.join(args)})"

    def positive(self, policy: str, group: int) -> str:
        key, arity = self.table(group, own_group=group)
        args = ["_" if self.chance(10) else self.term(bound=False, table=key) for _ in range(arity)]
        self.bound.update(dict.fromkeys(arg for arg in args if arg in VARIABLES))
        return self.atom(policy, key, args)

    def negative(self, policy: str, group: int) -> str:
        if self.chance(7):
            group = len(GROUPS) - 1  # perhaps circular: then the engine has to refuse the rule
        key, arity = self.table(group, own_group=-1)
        args = ["_" if self.chance(30) else self.term(bound=True, table=key) for _ in range(arity)]
        return f"{self.pick(['not ', '!'])}{self.atom(policy, key, args)}"

    def comparison(self) -> str:
        left, right = self.term(bound=True, table="s:mixed"), self.term(bound=True)
        form = self.random.randrange(10)
        if form < 7:
            negation = "not " if self.chance(15) else ""
            return f"{negation}{left} {self.pick(['=', '!=', '!=', '<', '<=', '>', '>='])} {right}"
        name = self.pick(["builtin:lt", "equal", "gteq"])
        return f"{'not ' if form == 9 else ''}{name}({left}, {right})"

    def arithmetic(self) -> str:
        """A new variable from bound ones.  Values stay few, as recursion over new ones would not end."""
        left, right = self.term(bound=True), self.term(bound=True)
        forms = [f"({left} + {right}) % 4", f"{left} * {right} % 3", f"{left}", f"({left} - {right}) % 4"]
        expression = self.pick(forms)
        target = self.pick(["n", "m"])
        self.bound[target] = None
        return f"{target} = {expression}"


def rules() -> st.SearchStrategy[tuple[str, str]]:
    return st.integers(0, 2**40).map(lambda number: RuleMaker(number).rule())


# -- scripts


def rule_changes() -> st.SearchStrategy[Step]:
    return st.builds(
        Rules,
        remove=st.lists(st.integers(0, 30), max_size=2),
        add=st.lists(rules(), max_size=2),
        changes=st.one_of(st.just({}), row_changes()),
    )


def loads() -> st.SearchStrategy[Step]:
    return st.sampled_from(sorted(BASE)).flatmap(lambda table: st.builds(Load, st.just(table), ROWS[table]))


def plain_steps() -> st.SearchStrategy[Step]:
    rows = st.builds(Rows, row_changes())
    comings = st.sampled_from([Service(), Policy()])
    advance = st.sampled_from([0.5, 1, 5, 10, 30]).map(Advance)
    return st.one_of(rows, rows, rows, rule_changes(), rule_changes(), loads(), st.one_of(comings, advance))


PLAIN = plain_steps()
TAKEN_BACK = st.builds(Hypothetical, st.lists(PLAIN, min_size=1, max_size=3))
STEPS = st.lists(st.one_of(PLAIN, PLAIN, PLAIN, TAKEN_BACK), min_size=1, max_size=8)
FIRST_RULES = st.lists(rules(), min_size=3, max_size=10)


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """A policy and rows to begin with, in either order, and changes."""
    first = Rules([], draw(FIRST_RULES), {})
    rows = Rows({table: (draw(ROWS[table]), []) for table in sorted(BASE)})
    return [*([first, rows] if draw(st.booleans()) else [rows, first]), *draw(STEPS)]
