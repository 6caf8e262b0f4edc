# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from congress.executions.moments import Moments

MOMENTS = st.frozensets(st.integers(1, 50).map(float), max_size=3)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), MOMENTS, st.integers(0, 3)), max_size=200))
def test_the_next_one_whatever_came_before(steps: list[tuple[str, frozenset[float], int]]) -> None:
    """Beside a model that looks at all of them."""
    moments, model, now = Moments(), dict[str, frozenset[float]](), 0.0
    for key, given_, later in steps:
        moments.put(key, given_)
        model[key] = given_
        wanted = min((moment for found in model.values() for moment in found if moment > now), default=None)
        assert moments.after(now) == wanted
        now += later / 4


def test_a_moment_that_has_passed_does_not_hide_the_next() -> None:
    moments = Moments()
    moments.put("stuck", frozenset({1.0}))
    moments.put("other", frozenset({5.0}))
    assert moments.after(2.0) == 5.0


def test_what_is_outdated_is_cleared_away() -> None:
    moments = Moments()
    for number in range(10_000):
        moments.put("a", frozenset({1e6 - number}))
        moments.put("b", frozenset({float(number)}))
        moments.put("b", frozenset())
    assert moments.after(0.0) == 1e6 - 9_999
    assert len(moments._queue) < 100
