# SPDX-License-Identifier: Apache-2.0
"""A second oracle, from the field: clingo's answer to recursive programs with negation is the engine's.

A stratified program has one stable model, which clingo finds by grounding.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

import clingo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from congress.datalog.builtins import core_registry
from congress.datalog.engine import Engine
from congress.datalog.schema import TableSchema

REGISTRY = core_registry()
Pair = tuple[int, int]


@dataclass(frozen=True)
class Program:
    """Rules that both languages can say: variables are capital letters, base tables e/2 and n/1."""

    rules: list[str]
    derived: dict[str, int]  # tables and how many columns they have

    def as_policy(self) -> str:
        """Our variables may be capital letters too; only the base tables need their service."""
        return "\n".join(rule.replace(" e(", " s:e(").replace(" n(", " s:n(") for rule in self.rules)


def by_clingo(program: Program, edges: Iterable[Pair], nodes: Iterable[int]) -> dict[str, set[tuple[int, ...]]]:
    control = clingo.Control(["--warn=none"])
    facts = [f"e({a},{b})." for a, b in edges] + [f"n({a})." for a in nodes]
    control.add("base", [], "\n".join([*facts, *program.rules]))
    control.ground([("base", [])])
    with control.solve(yield_=True) as handle:
        [model] = list(handle)
        symbols = model.symbols(atoms=True)
        found: dict[str, set[tuple[int, ...]]] = {table: set() for table in program.derived}
        for symbol in symbols:
            if symbol.name in found:
                found[symbol.name].add(tuple(argument.number for argument in symbol.arguments))
    return found


class Both:
    """An engine with a program, compared with clingo on demand."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.engine = Engine(registry=REGISTRY)
        self.engine.set_schema("s", {"e": TableSchema.of("a", "b"), "n": TableSchema.of("a")})
        self.engine.create_policy("p")
        self.engine.add_rules("p", program.as_policy())
        self.edges: set[Pair] = set()
        self.nodes: set[int] = set()

    def change(self, into: Iterable[Pair], out: Iterable[Pair], nodes: Iterable[int]) -> None:
        into, out, nodes = set(into), set(out), set(nodes)
        self.edges = (self.edges - out) | into
        gone = [(node,) for node in self.nodes - nodes]
        self.engine.apply({"s:e": (into, out), "s:n": ([(node,) for node in nodes], gone)})
        self.nodes = nodes

    def compare(self) -> None:
        for table, expected in by_clingo(self.program, self.edges, self.nodes).items():
            assert set(self.engine.rows(f"p:{table}")) == expected, table


CLASSICS = {
    "closure": Program(["r(X,Y) :- e(X,Y).", "r(X,Z) :- r(X,Y), e(Y,Z)."], {"r": 2}),
    "closure by itself": Program(["r(X,Y) :- e(X,Y).", "r(X,Z) :- r(X,Y), r(Y,Z)."], {"r": 2}),
    "unreachable": Program(
        ["r(X,Y) :- e(X,Y).", "r(X,Z) :- e(X,Y), r(Y,Z).", "u(X,Y) :- n(X), n(Y), not r(X,Y)."],
        {"r": 2, "u": 2},
    ),
    "same generation": Program(
        ["g(X,X) :- n(X).", "g(X,Y) :- e(U,X), g(U,V), e(V,Y)."],
        {"g": 2},
    ),
    "odd and even": Program(
        ["odd(X,Y) :- e(X,Y).", "odd(X,Z) :- even(X,Y), e(Y,Z).", "even(X,Z) :- odd(X,Y), e(Y,Z)."],
        {"odd": 2, "even": 2},
    ),
    "components": Program(
        [
            "r(X,X) :- n(X).",
            "r(X,Z) :- r(X,Y), e(Y,Z).",
            "scc(X,Y) :- r(X,Y), r(Y,X).",
            "later(X) :- scc(X,Y), Y < X.",
            "first(X) :- n(X), not later(X).",
            "source(X) :- first(X), not into(X).",
            "into(X) :- scc(X,Y), e(Z,Y), not scc(X,Z).",
        ],
        {"r": 2, "scc": 2, "first": 1, "source": 1, "into": 1},
    ),
    "guarded paths": Program(
        [
            "bad(X) :- e(X,X).",
            "r(X) :- n(X), X < 3, not bad(X).",
            "r(Y) :- r(X), e(X,Y), not bad(Y).",
            "cut(X) :- n(X), not r(X), not bad(X).",
            "join(X,Y) :- cut(X), e(X,Y), cut(Y).",
            "join(X,Z) :- join(X,Y), join(Y,Z).",
        ],
        {"bad": 1, "r": 1, "cut": 1, "join": 2},
    ),
}


@pytest.mark.parametrize("name", CLASSICS)
@pytest.mark.parametrize("density", [0.02, 0.05, 0.1])
def test_classics(name: str, density: float) -> None:
    """On a graph of thirty nodes, and as its edges come and go."""
    both = Both(CLASSICS[name])
    random = Random(f"{name} {density}")
    possible = [(a, b) for a in range(30) for b in range(30)]
    both.change(random.sample(possible, int(len(possible) * density)), [], range(30))
    both.compare()
    for _ in range(4):
        out = random.sample(sorted(both.edges), len(both.edges) // 6)
        both.change(random.sample(possible, 5), out, random.sample(range(30), 28))
        both.compare()


# -- random programs

TABLES = [("e", 2), ("n", 1), ("a", 1), ("b", 2), ("c", 2), ("d", 1), ("f", 2), ("g", 0)]
LEVEL = {"e": 0, "n": 0, "a": 1, "b": 1, "c": 2, "d": 2, "f": 3, "g": 3}  # negation looks below


def random_rule(random: Random) -> str:
    """A safe rule that both languages read alike."""
    bound: list[str] = []

    def term(choose: Callable[[], str]) -> str:
        dice = random.random()
        return str(random.randrange(4)) if dice < 0.08 else "_" if dice < 0.16 else choose()

    def atom(tables: Iterable[tuple[str, int]], choose: Callable[[], str]) -> str:
        table, arity = random.choice(list(tables))
        return f"{table}({','.join(term(choose) for _ in range(arity))})" if arity else table

    head, arity = random.choice([t for t in TABLES if LEVEL[t[0]]])
    level = LEVEL[head]

    def variable() -> str:
        name = random.choice("XYZ")
        bound.append(name)
        return name

    body = [atom((t for t in TABLES if LEVEL[t[0]] <= level), variable) for _ in range(random.choice([1, 2, 2, 3]))]
    if not bound:
        body.append("n(X)")
        bound.append("X")
    if random.random() < 0.4:
        body.append("not " + atom((t for t in TABLES if LEVEL[t[0]] < level), lambda: random.choice(bound)))
    if random.random() < 0.2:
        body.append(f"{random.choice(bound)} {random.choice(['<', '!=', '>='])} {random.choice(bound)}")
    args = ",".join(random.choice(bound) for _ in range(arity))
    return f"{head}({args}) :- {', '.join(body)}." if arity else f"{head} :- {', '.join(body)}."


def graphs() -> st.SearchStrategy[set[Pair]]:
    return st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 2**40).map(lambda seed: random_rule(Random(seed))), min_size=2, max_size=9, unique=True),
    graphs(),
    graphs(),
    st.sets(st.integers(0, 4)),
)
def test_random_programs(rules: list[str], first: set[Pair], second: set[Pair], nodes: set[int]) -> None:
    """Before and after a change of the graph."""
    both = Both(Program(list(unique(rules)), {t: arity for t, arity in TABLES if LEVEL[t]}))
    both.change(first, [], range(4))
    both.compare()
    both.change(second, first, nodes)
    both.compare()


def unique(rules: list[str]) -> Iterator[str]:
    """The rules without those that differ from an earlier one in the order of the literals only."""
    seen = set()
    for rule in rules:
        head, _, body = rule.rstrip(".").partition(" :- ")
        shape = head, frozenset(body.split(", "))
        if shape not in seen:
            seen.add(shape)
            yield rule
