# SPDX-License-Identifier: Apache-2.0
"""Changes one after another, as one; and what tables depend on."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.engine import Delta, TableDelta
from congress.datalog.parser import parse
from congress.datalog.values import Row
from congress.policy.deltas import merge
from congress.policy.dependencies import Dependencies, tables_read

STATES = st.lists(st.dictionaries(st.sampled_from("pq"), st.frozensets(st.integers(0, 5))), min_size=1, max_size=6)


def rows(numbers: frozenset[int]) -> set[Row]:
    return {(number,) for number in numbers}


def step(before: dict[str, frozenset[int]], after: dict[str, frozenset[int]]) -> Delta:
    made: Delta = {}
    for table in before.keys() | after.keys():
        old, new = rows(before.get(table, frozenset())), rows(after.get(table, frozenset()))
        if old != new:
            made[table] = TableDelta(list(new - old), list(old - new))
    return made


def plain(delta: Delta) -> dict[str, tuple[set[Row], set[Row]]]:
    return {table: (set(change.insertions), set(change.retractions)) for table, change in delta.items()}


@given(STATES)
def test_merged_changes_are_the_net_change(states: list[dict[str, frozenset[int]]]) -> None:
    steps = [step(before, after) for before, after in itertools.pairwise(states)]
    assert plain(merge(steps)) == plain(step(states[0], states[-1]))


def test_tables_read() -> None:
    text = (
        "p(x) :- q(x), not nova:s(id=x), builtin:lt(x, 3), len(x, n), true, x != n, other:t(x), a(), alice:u(x), "
        "policy2:bob:error(x)"
    )
    (rule,) = parse(text).statements
    assert set(tables_read("alice", rule)) == {
        *("alice:q", "nova:s", "other:t", "alice:a", "alice:u", "policy2:bob:error"),
    }


def test_leaves_are_found_through_rules_and_cycles() -> None:
    known = Dependencies()
    texts = {
        "alice": "p(x) :- q(x), not bob:r(x)\n q(x) :- p(x)\n q(x) :- nova:s(x)\n execute[nova:a(x)] :- p(x)\n f(1)",
        "bob": "r(x) :- nova:t(x), missing(x)\n z(x) :- other:t(x)",
    }
    known.rebuild(((policy, rule) for policy, text in texts.items() for rule in parse(text).statements), ())
    assert known.leaves("alice:execute[nova:a]/1") == {"nova:s", "nova:t", "bob:missing"}
    assert known.leaves("alice:f") == set()
    assert known.leaves("nova:s") == {"nova:s"}
    known.rebuild([], ())
    assert known.leaves("alice:p") == {"alice:p"}
