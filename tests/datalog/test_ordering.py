# SPDX-License-Identifier: Apache-2.0
"""Rules are put into force after those they read from, whatever order they come in."""

import cProfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.engine import Engine
from congress.datalog.ordering import sources_first
from congress.datalog.schema import TableSchema

Item = tuple[int, str, tuple[str, ...]]  # its number, what it gives, what it takes

names = st.sampled_from("abcdefgh")
programs = st.lists(st.tuples(names, st.lists(names, max_size=4).map(tuple)), max_size=14)


def ordered(items: list[Item]) -> list[Item]:
    return sources_first(items, lambda item: item[1], lambda item: item[2])


def reachable(items: list[Item]) -> Mapping[str, set[str]]:
    """What each name needs, in one step or more."""
    needs: dict[str, set[str]] = {}
    for _, gives, takes in items:
        needs.setdefault(gives, set()).update(takes)
    while True:
        wider = {name: found.union(*(needs.get(one, ()) for one in found)) for name, found in needs.items()}
        if wider == needs:
            return needs
        needs = wider


@given(programs)
def test_each_after_what_it_needs_and_circles_as_they_come(program: list[tuple[str, tuple[str, ...]]]) -> None:
    items: list[Item] = [(number, gives, takes) for number, (gives, takes) in enumerate(program)]
    found = ordered(items)
    assert sorted(found) == items
    needs = reachable(items)
    for place, before in enumerate(found):
        for after in found[place + 1 :]:
            together = before[1] == after[1] or (after[1] in needs[before[1]] and before[1] in needs[after[1]])
            if together:
                assert before[0] < after[0]
            else:
                assert after[1] not in needs[before[1]]


def test_it_is_deep() -> None:
    chain: list[Item] = [(number, f"t{number}", (f"t{number + 1}",)) for number in range(5000)]
    assert ordered(chain) == chain[::-1]


def calls(work: Callable[[], object]) -> int:
    """How many functions are called: the same at each run, whatever else the machine does."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("waiting", [False, True])
def test_a_chain_from_its_end_costs_no_more_than_from_its_beginning(waiting: bool) -> None:
    also = ", s:t(x)" if waiting else ""

    def chain(length: int) -> None:
        engine = Engine()
        engine.create_policy("p")
        engine.add_rules("p", "\n".join(f"t{n}(x) :- t{n + 1}(x){also}" for n in range(length)) + f"\nt{length}(1)")
        engine.set_schema("s", {"t": TableSchema.of("x")})
        engine.load("s:t", [(1,)])
        assert list(engine.rows("p:t0")) == [(1,)]

    chain(10)  # what is loaded once
    assert calls(lambda: chain(400)) < 2.5 * calls(lambda: chain(200))


GROWING = {
    "a rule waits": ["w(x) :- z:t(x), h(x)", "h(x) :- s:a(x), x > {n}", "g{n}(x) :- h(x)"],
    "all wait, from the end of the chain": ["v(x) :- w(x)", "h{n}(x) :- h{m}(x), z:t(x)"],
    "a recursive head": ["t(x, y) :- s:b(x, y)", "t(x, y) :- t(x, z), s:b(z, y), y > {n}"],
    "from the end of the chain": ["h(x) :- s:a(x)", "h{n}(x) :- h{m}(x), s:a(x)"],
    "from the beginning of the chain": ["h0(x) :- s:a(x)", "h{m}(x) :- h{n}(x), s:a(x)"],
    "absences": ["h(x) :- s:a(x)", "h{n}(x) :- s:a(x), not h{m}(x)"],
}


@pytest.mark.parametrize("shape", GROWING)
def test_a_rule_costs_the_same_however_many_there_are(shape: str) -> None:
    first, *rules = GROWING[shape]
    engine = Engine()
    engine.create_policy("p")
    engine.set_schema("s", {"a": TableSchema.of("x"), "b": TableSchema.of("x", "y")})
    engine.add_rules("p", first)

    def grow(start: int) -> None:
        for n in range(start, start + 20):
            for rule in rules:
                engine.add_rules("p", rule.format(n=n, m=n + 1))

    before = calls(lambda: grow(20))
    grow(40)
    for start in range(60, 600, 20):
        grow(start)
    assert calls(lambda: grow(600)) < 1.2 * before
