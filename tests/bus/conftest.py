# SPDX-License-Identifier: Apache-2.0
"""A broker for the session, and buses over each transport."""

import gc
import uuid
import warnings
from collections.abc import Callable, Iterator

import pytest

from tests.broker import Broker, missing
from tests.bus.services import TestBus
from tests.requirements import require_or_skip

MakeBus = Callable[..., TestBus]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is told below holds while such a test runs, too."""
    for item in items:
        if "broker" in item.keywords:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a connection breaks, oslo.messaging leaves its socket to the garbage collector; better here than later."""
    yield
    if "broker" in request.keywords:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running RabbitMQ server."""
    reason = missing()
    if reason:
        require_or_skip("broker", reason)
    server = Broker(tmp_path_factory.mktemp("broker"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["inproc", pytest.param("rabbit", marks=pytest.mark.broker)])
def url(request: pytest.FixtureRequest) -> str:
    """A transport URL; each test that uses it runs over each transport."""
    if request.param == "inproc":
        return "inproc://"
    server: Broker = request.getfixturevalue("broker")
    return server.url


@pytest.fixture
def bus_id() -> str:
    """A bus of the test's own."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def make_bus(url: str, bus_id: str) -> Iterator[MakeBus]:
    """Nodes of one bus, started; stopped after the test."""
    yield from buses(url, bus_id)


@pytest.fixture
def make_rabbit_bus(broker: Broker, bus_id: str) -> Iterator[MakeBus]:
    """The same, over RabbitMQ only."""
    yield from buses(broker.url, bus_id)


def buses(url: str, bus_id: str) -> Iterator[MakeBus]:
    """A function that makes nodes, and their end."""
    made: list[TestBus] = []

    def make(name: str | None = None, **options: object) -> TestBus:
        settings: dict[str, object] = {"heartbeat_interval": 0.1, "peer_timeout": 1.5, "check_portable": True}
        bus = TestBus(url, bus_id=bus_id, node_id=name, **(settings | options))  # type: ignore[arg-type]  # any option
        bus.start()
        made.append(bus)
        return bus

    yield make
    for bus in made:
        bus.stop(3.0)
