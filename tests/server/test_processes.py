# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon in processes of their own, over a real message broker."""

import time
from pathlib import Path

import pytest

from tests.broker import Broker, missing
from tests.requirements import require_or_skip
from tests.server.daemon import Server, serving
from tests.server.test_story import execution_of
from tests.server.test_stream import Events


@pytest.mark.broker
def test_three_processes(tmp_path: Path) -> None:
    reason = missing()
    if reason:
        require_or_skip("broker", reason)
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Broker(folder)
    broker.start()
    environment = {"OS_DEFAULT__TRANSPORT_URL": broker.url}
    engine = Server(tmp_path, "--policy-engine", environment=environment)
    services = Server(tmp_path, "--datasources", environment=environment)
    try:
        with serving(tmp_path, "--api", environment=environment) as server:
            story(server)
            outage(server, broker)
            services.stop()
            deadline = time.monotonic() + 20
            while server.request("GET", "/health/ready")[0] != 503:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            status, found, _ = server.request("GET", "/v1/cloud-services")
            assert (status, found["error"]["error_code"]) == (503, 503)
            assert server.ok("GET", "/v1/policies/care/rules")["results"]
            assert server.stop() == 0
        assert engine.stop() == 0
    finally:
        engine.close()
        services.close()
        broker.stop()


def outage(server: Server, broker: Broker) -> None:
    """The broker dies and comes back; so does the way to the others, by itself, and nothing was lost."""

    def ready() -> tuple[int, str]:
        status, found, _ = server.request("GET", "/health/ready")
        return status, found["checks"]["bus"]

    def figure(name: str) -> float:
        lines = server.ok("GET", "/metrics").decode().splitlines()
        return float(next(line for line in lines if line.startswith(name + " ")).split()[1])

    def wait_for(wanted: tuple[int, str]) -> None:
        deadline = time.monotonic() + 60
        while (found := ready()) != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    assert ready() == (200, "ok")
    assert figure("congress_bus_connected") == 1
    assert figure("congress_bus_peers") == 2
    before = figure("congress_bus_messages_total")
    broker.kill()
    wait_for((503, "not connected"))
    assert figure("congress_bus_connected") == 0
    status, found, _ = server.request("GET", "/v1/policies")
    assert (status, found["error"]["error_code"]) == (503, 503)
    broker.start()
    wait_for((200, "ok"))
    assert figure("congress_bus_connected") == 1
    server.ok("POST", "/v1/cloud-services/inventory/tables/servers/rows", {"insert": [["web-3", None]], "delete": []})
    server.until("/v1/policies/care/tables/error/rows", [["web-2"], ["web-3"]])
    assert figure("congress_bus_messages_total") > before


def story(server: Server) -> None:
    config = {"tables": {"servers": ["id", "owner"]}}
    server.ok("POST", "/v1/cloud-services", {"name": "inventory", "driver": "push", "config": config})
    server.ok("POST", "/v1/cloud-services", {"name": "cloud", "driver": "fake"})
    rule = "error(s) :- inventory:servers(id=s, owner=null)"
    server.ok("POST", "/v1/policies", {"name": "care", "rules": [{"rule": rule}]})
    events = Events(server, "/v1/policies/care/tables/error/stream")
    server.ok("PUT", "/v1/cloud-services/inventory/tables/servers/rows", [["web-1", "ann"], ["web-2", None]])
    server.until("/v1/policies/care/tables/error/rows", [["web-2"]])
    while events.next()[2].get("insertions") != [["web-2"]]:
        pass
    events.close()
    path = "/v1/cloud-services/cloud?action=execute"
    status, _, headers = server.request("POST", path, {"name": "things.rename", "args": ["a", "A"]})
    assert status == 204
    assert execution_of(server, headers)["state"] == "succeeded"
    # Errors cross the broker with their meaning.
    for answer, wanted in (
        (server.request("POST", path, {"name": "things.rename", "args": []}), (400, 1018)),
        (server.request("POST", path, {"name": "nothing"}), (404, 1016)),
        (server.request("GET", "/v1/cloud-services/cloud/tables/nope/rows"), (404, 404)),
        (server.request("POST", "/v1/cloud-services", {"name": "x", "driver": "push"}), (400, 400)),
        (server.request("POST", "/v1/cloud-services", {"name": "care", "driver": "fake"}), (409, 409)),
        (server.request("POST", "/v1/policies/care/rules", {"rule": "p(x) :-"}), (400, 1002)),
        (server.request("PUT", "/v1/cloud-services/inventory/tables/servers/rows", [[1, 2, 3]]), (400, 400)),
    ):
        assert (answer[0], answer[1]["error"]["error_code"]) == wanted, answer
