# SPDX-License-Identifier: Apache-2.0
"""One daemon and one server of lamps for the whole package; each test has a policy and services of its own."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest

from tests.executions.rest.lamps import City
from tests.executions.rest.lamps import city as make_city
from tests.executions.rest.world import World
from tests.server.daemon import Server, serving

_NUMBERS = count(1)


@pytest.fixture(scope="package")
def city() -> Iterator[City]:
    with make_city() as made:
        yield made


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("state")) as made:
        yield made
        errors = [line for line in made.log if line["level"] == "ERROR" and line["event"] != "poll.table_failed"]
        assert errors == []
        assert made.other == []


@pytest.fixture
def world(daemon: Server, city: City) -> Iterator[World]:
    """A name of its own; the test builds on it what it needs.

    In the end, whatever its lamps were asked for is in the trails as sent, as often as they were asked.
    """
    made = World(daemon, city, f"w{next(_NUMBERS)}")
    yield made
    assert Counter(made.park.asked) <= made.sent()
