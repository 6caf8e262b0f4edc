# SPDX-License-Identifier: Apache-2.0
"""What the bus costs: calls, casts and rows, within a process and over RabbitMQ, beside ``fake://``.

    python benchmarks/bus.py [--scale 1.0] [--url rabbit://...] [--without-broker] [--json FILE]

Without ``--url`` it starts a RabbitMQ server of its own (Debian's package must be installed) and stops it at
the end.  The far end of everything over RabbitMQ is a process of its own.  Times are by the clock; on a
shared machine the CPU time beside them is the figure to trust.
"""

import argparse
import faulthandler
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parent.parent))

from congress.bus.bus import Bus
from congress.bus.oslo import configure, oslo_messaging
from congress.bus.publisher import TablePublisher
from congress.bus.service import Service, exposed
from congress.bus.subscriber import Subscriber, TableUpdate
from tests.broker import Broker, missing

PAYLOAD = "x" * 1000

Figures = dict[str, float]


class Echo(Service):
    """Answers, and counts what it is cast."""

    def __init__(self) -> None:
        super().__init__("echo")
        self.count = 0

    @exposed
    def echo(self, value: object) -> object:
        return value

    @exposed
    def add(self, value: object) -> None:
        self.count += 1

    @exposed
    def counted(self) -> int:
        return self.count


class Source(TablePublisher):
    """Publishes what it is told to."""

    def __init__(self) -> None:
        super().__init__("source")

    @exposed
    def fill(self, table: str, rows: int) -> None:
        self.publish({table: ([(n, f"server-{n:09d}", "ACTIVE", n % 97, None) for n in range(rows)], [])})

    @exposed
    def stamp(self, table: str) -> None:
        """One row with the moment it was published; CLOCK_MONOTONIC is the same for all processes."""
        self.publish_snapshot({table: [(time.monotonic(),)]})


class Sink(Subscriber):
    """Counts rows, and says how old stamps are."""

    keep_copies = True

    def __init__(self) -> None:
        super().__init__("sink")
        self.rows = 0
        self.delays: list[float] = []

    def on_updates(self, updates: list[TableUpdate]) -> None:
        now = time.monotonic()
        for update in updates:
            self.rows += len(update.insertions)
            if update.table == "stamps":
                self.delays += [now - stamp for (stamp,) in update.insertions]  # type: ignore[operator]  # floats


def until(holds: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("the benchmark did not come to its end")
        time.sleep(0.0005)


def spread(seconds: list[float], name: str) -> Figures:
    """The median and the 99th percentile, in ms."""
    cuts = quantiles(seconds, n=100)
    return {f"{name} p50 ms": cuts[49] * 1e3, f"{name} p99 ms": cuts[98] * 1e3}


@contextmanager
def cpu(figures: Figures, name: str, count: int) -> Iterator[None]:
    """Add the CPU time of this process for each of so many things, in µs."""
    begun = time.process_time()
    yield
    figures[f"{name} CPU us"] = (time.process_time() - begun) / count * 1e6


def calls(call: Callable[[], object], count: int) -> Figures:
    """One call after another, from one thread."""
    for _ in range(20):
        call()
    taken = []
    figures: Figures = {}
    with cpu(figures, "call", count):
        for _ in range(count):
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
    return spread(taken, "call 1 KB") | figures


def casts(cast: Callable[[], object], arrived: Callable[[], int], count: int) -> Figures:
    """Casts as fast as they go, until the last has arrived."""
    figures: Figures = {}
    goal = arrived() + count
    begun = time.perf_counter()
    with cpu(figures, "cast", count):
        for _ in range(count):
            cast()
        until(lambda: arrived() >= goal)
    return {"casts/s 1 KB": count / (time.perf_counter() - begun)} | figures


def within_a_process(scale: float) -> Figures:
    """All on one node: by reference."""
    bus = Bus(bus_id=uuid.uuid4().hex)
    bus.start()
    echo, source, sink = Echo(), Source(), Sink()
    for service in (echo, source, sink):
        bus.add(service)
    sink.subscribe("source", "rows")
    sink.subscribe("source", "stamps")
    until(lambda: source.subscribers("stamps"))
    figures = calls(lambda: bus.call("echo", "echo", value=PAYLOAD), int(3000 * scale))
    # The inbox takes 10,000 messages.
    figures |= casts(lambda: bus.cast("echo", "add", value=PAYLOAD), lambda: echo.count, int(8000 * scale))
    figures |= one_way(bus, sink, int(300 * scale))
    for size in (1, 10, 1000):
        figures |= changes(source, sink, size, int(20_000 * scale) if size < 100 else int(500_000 * scale))
    bus.stop()
    return figures


def changes(source: Source, sink: Sink, size: int, count: int) -> Figures:
    """Row changes from publisher to subscriber, so many rows a publication.

    The publisher is held back well below the window, so that what is measured is the stream and not snapshots.
    """
    before = sink.rows
    steps = max(1, count // size)
    ahead = min(2000, 200_000 // size)
    figures: Figures = {}
    begun = time.perf_counter()
    with cpu(figures, f"row change, {size} a publication,", steps * size):
        for step in range(steps):
            rows = [(step, n, size) for n in range(size)]
            source.submit(source.publish, {"rows": (rows, ())})
            if step % ahead == 0:
                until(lambda goal=(step - ahead) * size: sink.rows - before >= goal)
        until(lambda: sink.rows - before >= steps * size)
    return {f"row changes/s, {size} a publication": steps * size / (time.perf_counter() - begun)} | figures


def one_way(bus: Bus, sink: Sink, count: int) -> Figures:
    """From publish() to on_updates(), after 0 to 20 ms of rest."""
    chance = random.Random(1)
    sink.delays.clear()
    for number in range(count):
        bus.cast("source", "stamp", table="stamps")
        until(lambda goal=number + 1: len(sink.delays) >= goal)
        time.sleep(chance.random() * 0.02)
    return spread(sink.delays, "one way")


def raw(url: str, scale: float) -> Figures:
    """oslo.messaging's own client and server, as one would use them without this bus."""

    class Endpoint:
        def __init__(self) -> None:
            self.count = 0

        def echo(self, _context: object, value: object) -> object:
            return value

        def add(self, _context: object, value: object) -> None:
            self.count += 1

    transport = oslo_messaging.get_rpc_transport(configure(), url=url)
    endpoint = Endpoint()
    server = oslo_messaging.get_rpc_server(transport, oslo_messaging.Target(topic="t", server="s"), [endpoint])
    server.start(override_pool_size=1)
    client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="t"))
    figures = calls(lambda: client.call({}, "echo", value=PAYLOAD), int(60 * scale) + 40)
    figures |= casts(lambda: client.cast({}, "add", value=PAYLOAD), lambda: endpoint.count, int(8000 * scale))
    server.stop()
    server.wait()
    transport.cleanup()
    return figures


def over_a_broker(url: str, scale: float) -> Figures:
    """The publisher and the one who is called live in another process."""
    bus_id = uuid.uuid4().hex
    command = [sys.executable, __file__, "--far", url, bus_id]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    bus = Bus(url, bus_id=bus_id, node_id="near")
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        bus.start()
        sink = Sink()
        bus.add(sink)
        assert bus.wait_for("source", 10)
        sink.subscribe("source", "stamps")
        until(sink.progress)
        figures = calls(lambda: bus.call("echo", "echo", value=PAYLOAD), int(300 * scale))
        figures |= one_way(bus, sink, int(300 * scale))
        count = int(5000 * scale)
        begun = time.perf_counter()
        for _ in range(count):
            bus.cast("echo", "add", value=PAYLOAD)
        until(lambda: bus.call("echo", "counted") >= count)
        figures["casts/s 1 KB"] = count / (time.perf_counter() - begun)
        rows = int(100_000 * scale)
        bus.call("source", "fill", table="many", rows=rows, timeout=60)
        sink.rows = 0
        begun = time.perf_counter()
        sink.subscribe("source", "many")
        until(lambda: sink.rows >= rows)
        figures[f"snapshot of {rows:,} rows s"] = time.perf_counter() - begun
        return figures
    finally:
        bus.stop()
        child.communicate("\n", timeout=20)


def far(url: str, bus_id: str) -> None:
    """The other process; ends when its input does."""
    bus = Bus(url, bus_id=bus_id, node_id="far")
    bus.start()
    bus.add(Echo())
    bus.add(Source())
    print("ready", flush=True)
    sys.stdin.read()
    bus.stop()


@contextmanager
def broker(url: str | None) -> Iterator[str]:
    """The broker named, or one of our own."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="congress-broker-") as folder:
        server = Broker(Path(folder))
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


TARGETS: dict[tuple[str, str], tuple[str, float]] = {
    ("inproc", "row changes/s, 1 a publication"): ("at least", 10_000),
    ("rabbit", "one way p50 ms"): ("at most", 15),
    ("rabbit", "snapshot of 100,000 rows s"): ("at most", 3),
}


def report(results: dict[str, Figures]) -> None:
    """Figures as a table, targets beside those that have one."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    print(f"{'':<44}" + "".join(f"{column:>14}" for column in results))
    for name in names:
        cells = "".join(f"{results[c][name]:>14,.3f}" if name in results[c] else f"{'':>14}" for c in results)
        goals = [f"{column}: {sense} {goal:,}" for (column, what), (sense, goal) in TARGETS.items() if what == name]
        print(f"{name:<44}{cells}  {'; '.join(goals)}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="how much of everything; 1.0 takes about a minute")
    parser.add_argument("--url", help="a broker that runs already")
    parser.add_argument("--without-broker", action="store_true", help="within a process only")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which it gives up")
    parser.add_argument("--far", nargs=2, metavar=("URL", "BUS_ID"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.far:
        far(*arguments.far)
        return
    faulthandler.dump_traceback_later(arguments.limit, exit=True)
    results = {
        "inproc": within_a_process(arguments.scale),
        "raw inproc": raw("inproc://benchmark", arguments.scale),
        "raw fake": raw("fake://", arguments.scale),
    }
    reason = None if arguments.url else missing()
    if reason and not arguments.without_broker:
        print(f"nothing over RabbitMQ: {reason}", file=sys.stderr)
    elif not arguments.without_broker:
        with broker(arguments.url) as url:
            results["rabbit"] = over_a_broker(url, arguments.scale)
    report(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
