# SPDX-License-Identifier: Apache-2.0
"""What the API makes of a bus on which something is missing."""

from collections.abc import Iterator

import pytest

from congress.api.backend import BusBackend
from congress.api.errors import ApiError, failure_of
from congress.api.names import MANAGER, OWN
from congress.api.streams import StreamHub
from congress.bus.bus import Bus
from congress.bus.errors import NotFound
from congress.bus.service import Service, exposed


class Manager(Service):
    @exposed
    def resolve(self, service: str) -> str:
        raise NotFound(f"there is no service {service!r}")


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.stop()


@pytest.fixture
def backend(bus: Bus) -> BusBackend:
    hub = StreamHub("_api")
    bus.add(hub)
    return BusBackend(bus, hub)


@pytest.mark.parametrize("part", sorted(OWN))
def test_a_part_of_the_daemon_that_is_not_there_is_no_mistake_of_the_client(backend: BusBackend, part: str) -> None:
    with pytest.raises(ApiError) as raised:
        backend.call(part, "anything")
    assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "1"})


def test_a_service_that_is_not_there_is(bus: Bus, backend: BusBackend) -> None:
    bus.add(Manager(MANAGER))
    for service, method in (("nova", "rows"), (MANAGER, "resolve")):
        with pytest.raises(NotFound) as raised:
            backend.call(service, method, **({"service": "nova"} if service == MANAGER else {}))
        assert failure_of(raised.value).status == 404


def test_a_service_elsewhere_is_not_waited_for_while_the_bus_is_cut(
    bus: Bus, backend: BusBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Engine(Service):
        @exposed
        def policies(self) -> list[str]:
            return ["care"]

    bus.add(Engine("_engine"))
    bus.start()
    other = Bus(node_id="other")
    other.start()
    try:
        other.add(Engine("_elsewhere"))
        assert bus.wait_for("_elsewhere")
        assert backend.call("_elsewhere", "policies") == ["care"]
        monkeypatch.setattr(Bus, "connected", False)
        assert backend.call("_engine", "policies") == ["care"], "what is in this process goes on"
        with pytest.raises(ApiError) as raised:
            backend.call("_elsewhere", "policies")
        assert (raised.value.status, raised.value.headers) == (503, {"Retry-After": "1"})
        assert "not connected" in str(raised.value)
    finally:
        other.stop()
