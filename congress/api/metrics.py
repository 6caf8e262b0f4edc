# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told: collected when it asks, from counters that cost next to nothing while nobody does.

``METRICS`` names every metric with its meaning and labels; the reference page is made from it, and a collector that
gives another one fails its test.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from congress import __version__
from congress.api.backend import Backend
from congress.api.measures import Measures
from congress.api.names import LEDGER, MANAGER, POLICY

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
_PATIENCE: Final = 1.0  # seconds to wait for a service; a busy one is left out, and shown as such


@dataclass(frozen=True, slots=True)
class Described:
    """One metric: its type, its meaning, its labels."""

    type: str
    meaning: str
    labels: tuple[str, ...] = ()


METRICS: Final[Mapping[str, Described]] = {
    "congress_build_info": Described("gauge", "Always 1; the version is a label.", ("version",)),
    "congress_up": Described("gauge", "Whether a service on the bus answered in time.", ("service",)),
    "congress_http_requests": Described("counter", "Requests answered.", ("operation", "status")),
    "congress_http_request_seconds": Described("histogram", "Time until the answer began.", ("operation",)),
    "congress_streams_open": Described("gauge", "Event streams open now."),
    "congress_bus_connected": Described("gauge", "Whether this process can reach its peers, through the broker."),
    "congress_bus_peers": Described("gauge", "Other processes on the bus."),
    "congress_bus_messages": Described("counter", "Messages that the services of this process took."),
    "congress_bus_waiting": Described("gauge", "Messages that wait for services of this process."),
    "congress_bus_pending": Described("gauge", "Requests of this process that were not answered yet."),
    "congress_bus_resyncs": Described(
        "counter", "Times that tables had to be fetched anew, for something lost, cut or not applied."
    ),
    "congress_bus_faults": Described("counter", "Errors that escaped services of this process."),
    "congress_service_running": Described("gauge", "Whether a cloud service is running.", ("service", "driver")),
    "congress_service_stale": Described("gauge", "Whether a wanted table of a service is out of date.", ("service",)),
    "congress_service_updates": Described("counter", "Times that rows came, changed or not.", ("service",)),
    "congress_service_age_seconds": Described("gauge", "Time since rows last came.", ("service",)),
    "congress_table_rows": Described("gauge", "Rows of a service's table.", ("service", "table")),
    "congress_service_polls": Described("counter", "Times that a service was read.", ("service",)),
    "congress_service_failed_polls": Described("gauge", "Readings in a row that failed.", ("service",)),
    "congress_policies": Described("gauge", "Policies."),
    "congress_rules": Described("gauge", "Rules by state: active, waiting, off.", ("state",)),
    "congress_actions_waiting": Described("gauge", "Actions that rules want and that were not asked for yet."),
    "congress_policy_inbox": Described("gauge", "Messages that wait for the policy runtime."),
    "congress_executions_open": Described("gauge", "Executions that are not over, by state.", ("state",)),
    "congress_executions_held": Described("gauge", "Executions that a guard holds, by reason.", ("reason",)),
    "congress_executions_left_out": Described(
        "gauge",
        "Rows that want an action and are not recorded: their policy has too many open executions.",
        ("policy",),
    ),
    "congress_executions_finished": Described("counter", "Executions that ended.", ("service", "state")),
    "congress_execution_seconds": Described(
        "histogram", "Time from the request for an action to its success.", ("service",)
    ),
    "congress_breaker_open": Described(
        "gauge", "Whether the breaker of a service that met trouble keeps actions back.", ("service",)
    ),
    "congress_executions_inbox": Described("gauge", "Messages that wait for the ledger of executions."),
    "congress_executions_waiting_for_database": Described(
        "gauge", "What the ledger could not write down yet, because its database does not answer."
    ),
    "congress_executions_faults": Described("counter", "Faults of the ledger's own."),
    "congress_policy_faults": Described("counter", "Faults of the policy runtime's own."),
}


_BUS_FIGURES: Final = {
    "congress_bus_connected": "connected",
    "congress_bus_peers": "peers",
    "congress_bus_messages": "handled_messages",
    "congress_bus_waiting": "waiting_messages",
    "congress_bus_pending": "pending_requests",
    "congress_bus_resyncs": "resyncs",
    "congress_bus_faults": "faults",
}


class DaemonCollector(Collector):
    """Asks the daemon's parts when it is asked."""

    def __init__(self, backend: Backend, measures: Measures) -> None:
        self._backend = backend
        self._measures = measures

    def collect(self) -> Iterator[Metric]:
        yield _gauge("congress_build_info", [((__version__,), 1)])
        yield from self._http()
        yield _gauge("congress_streams_open", [((), self._backend.streams_open())])
        yield from self._bus()
        yield from self._services()

    def _http(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(*_head("congress_http_requests"))
        seconds = HistogramMetricFamily(*_head("congress_http_request_seconds"))
        by_operation: dict[str, Any] = {}
        for operation, status, timing in self._measures.timings():
            requests.add_metric((operation, status), timing.count)
            known = by_operation.get(operation)
            if known is None:
                by_operation[operation] = timing
            else:
                known.merge(timing)
        for operation, timing in by_operation.items():
            seconds.add_metric((operation,), timing.cumulative(), timing.total)
        yield requests
        yield seconds

    def _bus(self) -> Iterator[Metric]:
        figures = self._backend.bus_figures()
        for name, figure in _BUS_FIGURES.items():
            make = _counter if METRICS[name].type == "counter" else _gauge
            yield make(name, [((), figures[figure])])

    def _services(self) -> Iterator[Metric]:
        names = sorted(name for name in self._backend.services() if not name.startswith("_"))
        statuses = {name: self._status(name) for name in names}
        yield _gauge("congress_up", [((name,), status is not None) for name, status in statuses.items()])
        drivers = {name: status for name, status in statuses.items() if status is not None and "driver" in status}
        yield _gauge(
            "congress_service_running",
            [((name, status["driver"]), status["state"] == "running") for name, status in drivers.items()],
        )
        yield _gauge("congress_service_stale", _each(drivers, "stale"))
        yield _counter("congress_service_updates", _each(drivers, "number_of_updates"))
        yield _counter("congress_service_polls", _each(drivers, "polls"))
        yield _gauge("congress_service_failed_polls", _each(drivers, "failed_polls_in_a_row"))
        now = time.time()
        yield _gauge("congress_service_age_seconds", [(key, now - at) for key, at in _each(drivers, "last_updated")])
        rows = (
            ((name, table), fresh["rows"])
            for name, status in drivers.items()
            for table, fresh in status.get("tables", {}).items()
        )
        yield _gauge("congress_table_rows", rows)
        yield from self._policy(statuses.get(POLICY) or {})
        yield from self._executions(statuses.get(LEDGER) or {})

    def _policy(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        if not status:
            return
        yield _gauge("congress_policies", [((), status["policies"])])
        yield _gauge("congress_rules", [((state,), count) for state, count in status["rules"].items()])
        yield _gauge("congress_actions_waiting", [((), sum(status["actions_waiting"].values()))])
        yield _gauge("congress_policy_inbox", [((), status["inbox"])])
        yield _counter("congress_policy_faults", [((), status["faults"])])

    def _executions(self, status: Mapping[str, Any]) -> Iterator[Metric]:
        if not status:
            return
        yield _gauge("congress_executions_open", [((state,), n) for state, n in status["open"].items()])
        yield _gauge("congress_executions_held", [((reason,), n) for reason, n in status["held"].items()])
        left_out = [((policy,), n) for policy, n in status.get("left_out", {}).items()]
        yield _gauge("congress_executions_left_out", left_out)
        finished = [((service, state), n) for service, state, n in status["finished"]]
        yield _counter("congress_executions_finished", finished)
        seconds = HistogramMetricFamily(*_head("congress_execution_seconds"))
        for service, (*counts, total) in status["seconds"].items():
            bounds = [*map(str, status["buckets"]), "+Inf"]
            seconds.add_metric((service,), list(zip(bounds, accumulate(counts), strict=True)), total)
        yield seconds
        open_ = [((service,), state != "closed") for service, state in status["breakers"].items()]
        yield _gauge("congress_breaker_open", open_)
        yield _gauge("congress_executions_inbox", [((), status["inbox"])])
        yield _gauge("congress_executions_waiting_for_database", [((), status["waiting_for_database"])])
        yield _counter("congress_executions_faults", [((), status["faults"])])

    def _status(self, name: str) -> Mapping[str, Any] | None:
        if name in (POLICY, LEDGER):
            found = self._backend.probe(name, "status", _PATIENCE)
        else:  # the manager answers for a driver that is busy with a poll
            found = self._backend.probe(MANAGER, "service_status", _PATIENCE, service=name)
        return found if isinstance(found, Mapping) else None


def _head(name: str) -> tuple[Any, ...]:
    described = METRICS[name]
    if described.type == "histogram":
        return name, described.meaning, None, None, described.labels
    return name, described.meaning, None, described.labels


def _gauge(name: str, samples: Samples) -> Metric:
    described = METRICS[name]
    family = GaugeMetricFamily(name, described.meaning, labels=described.labels)
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family


def _counter(name: str, samples: Samples) -> Metric:
    described = METRICS[name]
    family = CounterMetricFamily(name, described.meaning, labels=described.labels)
    for labels, value in samples:
        family.add_metric(labels, float(value))
    return family


def _each(statuses: Mapping[str, Mapping[str, Any]], key: str) -> list[tuple[tuple[str, ...], float]]:
    """A number of each service's status, where it has one."""
    return [((name,), status[key]) for name, status in statuses.items() if status.get(key) is not None]


def registry_for(backend: Backend, measures: Measures) -> CollectorRegistry:
    """A registry with the daemon's metrics and those of its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DaemonCollector(backend, measures))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
