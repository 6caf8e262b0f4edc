# SPDX-License-Identifier: Apache-2.0
"""Rules are put into force after those they read from, whatever order they come in."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.engine import Engine
from congress.datalog.graph import Graph
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


def test_a_chain_from_its_end_costs_no_more_than_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    predecessors = Graph.predecessors

    def counted(self: Graph, node: object) -> object:
        nonlocal steps
        steps += 1
        return predecessors(self, node)  # type: ignore[arg-type]

    monkeypatch.setattr(Graph, "predecessors", counted)

    def cost(length: int, *, waiting: bool) -> int:
        nonlocal steps
        steps = 0
        engine = Engine()
        engine.create_policy("p")
        also = ", s:t(x)" if waiting else ""
        engine.add_rules("p", "\n".join(f"t{n}(x) :- t{n + 1}(x){also}" for n in range(length)) + f"\nt{length}(1)")
        engine.set_schema("s", {"t": TableSchema.of("x")})
        engine.load("s:t", [(1,)])
        assert list(engine.rows("p:t0")) == [(1,)]
        return steps

    for waiting in (False, True):
        assert cost(400, waiting=waiting) < 3 * cost(200, waiting=waiting)
