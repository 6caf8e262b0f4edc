# SPDX-License-Identifier: Apache-2.0
"""When to poll next."""

import pytest

from congress.cloudservices.schedule import PollSchedule


def middle() -> float:
    return 0.5


def test_regular_polls_have_jitter() -> None:
    assert PollSchedule(10, chance=middle).succeeded() == 10
    assert PollSchedule(10, chance=lambda: 0.0).succeeded() == 9
    assert PollSchedule(10, chance=lambda: 1.0).succeeded() == 11


def test_none_by_itself() -> None:
    schedule = PollSchedule(0, chance=middle)
    assert schedule.succeeded() is None
    assert schedule.first() == 0


def test_services_do_not_start_at_one_stroke() -> None:
    assert PollSchedule(10, chance=lambda: 1.0).first() == 1
    assert PollSchedule(2, chance=lambda: 1.0).first() == pytest.approx(0.2)
    assert PollSchedule(10, chance=lambda: 0.0).first() == 0


def test_pauses_double_up_to_a_bound() -> None:
    schedule = PollSchedule(10, 60, chance=middle)
    assert [schedule.failed(0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert schedule.failures == 8
    schedule.succeeded()
    assert schedule.failed(0) == 1


def test_the_bound_is_not_below_the_regular_pause() -> None:
    schedule = PollSchedule(600, 60, chance=middle)
    pauses = [schedule.failed(0) for _ in range(2000)]
    assert pauses[-1] == 600


def test_a_service_is_left_alone_as_long_as_it_says() -> None:
    schedule = PollSchedule(10, 60, chance=middle)
    assert schedule.failed(100.0, retry_after=30) == pytest.approx(31.5)
    assert schedule.allowed(110.0, 0.0) == 20
    assert schedule.allowed(110.0, 25.0) == 25
    assert schedule.allowed(140.0, 0.0) == 0


def test_a_success_ends_that() -> None:
    schedule = PollSchedule(10, 60, chance=middle)
    schedule.failed(100.0, retry_after=30)
    schedule.succeeded()
    assert schedule.allowed(110.0, 0.0) == 0
