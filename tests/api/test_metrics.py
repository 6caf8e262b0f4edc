# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told."""

import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from congress.api.measures import BUCKETS, Timing
from congress.api.metrics import METRICS
from tests.api.fakes import Client, FakeBackend

POLICY = {
    "policies": 2,
    "rules": {"active": 3, "waiting": 1, "off": 0},
    "actions_waiting": {"a:execute[x]": 2, "b:execute[y]": 1},
    "inbox": 4,
    "faults": 0,
    "services": {},
}

LEDGER = {
    "open": {"queued": 2, "held": 1},
    "held": {"blast_radius": 1},
    "breakers": {"nova": "open", "neutron": "half_open"},
    "waiting_for_database": 0,
    "inbox": 3,
    "faults": 0,
    "finished": [["nova", "succeeded", 5], ["nova", "failed", 1]],
    "buckets": [0.1, 1.0],
    "seconds": {"nova": [3.0, 1.0, 1.0, 9.5]},
}


def service_status(service: str) -> dict[str, Any]:
    if service == "broken":
        raise KeyError("a fault of its own")
    return {
        "driver": "nova",
        "state": "running",
        "stale": True,
        "number_of_updates": 7,
        "polls": 9,
        "failed_polls_in_a_row": 2,
        "last_updated": time.time() - 60,
        "tables": {"servers": {"rows": 11}},
    }


@pytest.fixture
def client() -> Client:
    methods = {
        "policy.status": POLICY,
        "policy.ping": "1",
        "executions.status": LEDGER,
        "policy.list_policies": [],
        "_drivers.service_status": service_status,
        "_drivers.ping": "1",
        "nova.ping": "1",
        "broken.ping": "1",
    }
    return Client(FakeBackend(methods))


def samples(client: Client) -> dict[tuple[Any, ...], float]:
    answer = client("GET", "/metrics")
    assert answer.status_int == 200
    families = list(text_string_to_metric_families(answer.text))
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_what_became_of_executions(client: Client) -> None:
    found = samples(client)
    assert found["congress_executions_open", ("state", "queued")] == 2
    assert found["congress_executions_held", ("reason", "blast_radius")] == 1
    assert found["congress_executions_finished_total", ("service", "nova"), ("state", "failed")] == 1
    assert found["congress_breaker_open", ("service", "nova")] == 1
    assert found["congress_executions_inbox",] == 3
    buckets = [found["congress_execution_seconds_bucket", ("le", le), ("service", "nova")] for le in ("0.1", "1.0")]
    assert buckets == [3, 4]
    assert found["congress_execution_seconds_count", ("service", "nova")] == 5
    assert found["congress_execution_seconds_sum", ("service", "nova")] == 9.5


def test_values(client: Client) -> None:
    client("GET", "/v1/policies")
    client("GET", "/v1/policies/x")
    found = samples(client)
    nova = ("service", "nova")
    assert found["congress_up", nova] == 1
    assert found["congress_up", ("service", "broken")] == 0
    assert found["congress_up", ("service", "policy")] == 1
    assert found["congress_service_running", ("driver", "nova"), nova] == 1
    assert found["congress_service_stale", nova] == 1
    assert found["congress_service_updates_total", nova] == 7
    assert found["congress_service_failed_polls", nova] == 2
    assert 59 < found["congress_service_age_seconds", nova] < 90
    assert found["congress_table_rows", nova, ("table", "servers")] == 11
    assert found["congress_rules", ("state", "waiting")] == 1
    assert found["congress_actions_waiting",] == 3
    operation = ("operation", "GET /v1/policies")
    assert found["congress_http_requests_total", operation, ("status", "200")] == 1
    assert found["congress_http_request_seconds_count", operation] == 1
    assert ("congress_up", ("service", "_drivers")) not in found
    assert found["process_resident_memory_bytes",] > 0


def test_all_metrics_are_given_and_described(client: Client) -> None:
    client("GET", "/v1/policies")
    text = client("GET", "/metrics").text
    given = {family.name for family in text_string_to_metric_families(text)}
    ours = {name for name in given if name.startswith("congress_")}
    assert ours == set(METRICS)
    assert all(described.meaning.endswith(".") for described in METRICS.values())


def test_operations_are_few(client: Client) -> None:
    """A label with a client's words in it would grow without bound."""
    for number in range(50):
        client("GET", f"/v1/policies/p{number}")
        client("GET", f"/v1/nothing/{number}")
        client(f"VERB{number}", "/v1/policies")
    operations = {dict(key[1:])["operation"] for key in samples(client) if key[0] == "congress_http_requests_total"}
    assert operations == {"GET /v1/policies/{policy}", "unknown"}


def test_timing() -> None:
    timing, other = Timing(), Timing()
    for seconds in (0.0005, 0.001, 0.02, 100.0):
        timing.add(seconds)
    other.add(0.02)
    timing.merge(other)
    cumulative = dict(timing.cumulative())
    assert timing.count == 5
    assert cumulative["0.001"] == 2
    assert cumulative["0.025"] == 4
    assert cumulative[str(BUCKETS[-1])] == 4
    assert cumulative["+Inf"] == 5


def test_health(client: Client) -> None:
    assert client("GET", "/health/live").json == {"status": "alive"}
    assert client("GET", "/health/ready").json["status"] == "ready"
    del client.backend.methods["_drivers.ping"]
    answer = client("GET", "/health/ready")
    assert answer.status_int == 503
    assert answer.json["checks"] == {"bus": "ok", "policy": "ok", "_drivers": "no answer"}


def test_the_bus(client: Client) -> None:
    client.backend.figures = {
        **client.backend.figures,
        "connected": False,
        "peers": 2,
        "handled_messages": 77,
        "waiting_messages": 3,
        "pending_requests": 4,
        "resyncs": 5,
        "faults": 6,
    }
    found = samples(client)
    assert found["congress_bus_connected",] == 0
    assert found["congress_bus_peers",] == 2
    assert found["congress_bus_messages_total",] == 77
    assert found["congress_bus_waiting",] == 3
    assert found["congress_bus_pending",] == 4
    assert found["congress_bus_resyncs_total",] == 5
    assert found["congress_bus_faults_total",] == 6
    answer = client("GET", "/health/ready")
    assert answer.status_int == 503
    assert answer.json == {
        "status": "not ready",
        "checks": {"bus": "not connected", "policy": "ok", "_drivers": "ok"},
    }
