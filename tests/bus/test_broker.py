# SPDX-License-Identifier: Apache-2.0
"""What only a broker and processes of their own can show: outages, deaths, TLS, and what is left behind."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from congress.bus.bus import Bus
from congress.bus.errors import NotFound, PeerLost, Timeout
from congress.bus.messages import Message, Presence
from congress.bus.stream import Inflow
from tests.broker import Broker, free_port
from tests.bus.conftest import MakeBus
from tests.bus.services import Mirror, Tables, Worker, eventually, same

pytestmark = pytest.mark.broker


@contextmanager
def process(broker: Broker, bus_id: str) -> Iterator["subprocess.Popen[str]"]:
    """A node in a process of its own; see :mod:`tests.bus.node`."""
    command = [sys.executable, "-m", "tests.bus.node", broker.url, bus_id]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def took(function: Callable[[], object]) -> float:
    """How many seconds something takes."""
    begun = time.monotonic()
    function()
    return time.monotonic() - begun


def test_a_process_killed_is_noticed_and_its_successor_taken_up(
    make_rabbit_bus: MakeBus, broker: Broker, bus_id: str
) -> None:
    near = make_rabbit_bus("near")
    tables, mirror = Tables(), Mirror()
    near.add(tables)
    near.add(mirror)
    mirror.subscribe("far", "numbers")
    with process(broker, bus_id) as child:
        eventually(lambda: len(mirror.updates) > 20)
        eventually(lambda: tables.subscribers("t") == {"far-mirror"})
        call = near.ask("far-worker", "wait_at_gate", timeout=60)
        child.kill()
        with pytest.raises(PeerLost):
            call.result(20)
        eventually(lambda: not near.has("far"))
        with pytest.raises(NotFound):
            near.call("far-worker", "echo", value=1)
        eventually(lambda: mirror.events[-1:] == [("gone", "far")])
        eventually(lambda: tables.hooks == [("first", "t"), ("last", "t")])
    before = mirror.updates[-1]
    with process(broker, bus_id):
        eventually(lambda: mirror.updates[-1].epoch > before.epoch)
        eventually(lambda: tables.hooks == [("first", "t"), ("last", "t"), ("first", "t")])
    assert mirror.wrong == []
    assert all(update.publisher == "far" for update in mirror.updates)


def test_a_broker_killed_in_mid_stream(
    make_rabbit_bus: MakeBus, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Inflow, "PATIENCE", 0.2)
    near, far, leaver = make_rabbit_bus("near"), make_rabbit_bus("far"), make_rabbit_bus("leaver")
    tables, mirror, worker, local = Tables(), Mirror(), Worker(), Worker("local")
    near.add(tables)
    near.add(local)
    far.add(mirror)
    far.add(worker)
    mirror.subscribe("tables", "t")
    assert near.wait_for("worker")
    eventually(lambda: tables.subscribers("t"))
    stop = threading.Event()

    def publish() -> None:
        step = 0
        while not stop.is_set():
            step += 1
            tables.churn("t", 1, seed=step)
            time.sleep(0.002)

    publishing = threading.Thread(target=publish)
    publishing.start()
    try:
        eventually(lambda: len(mirror.updates) > 20)
        broker.kill()
        begun = time.monotonic()
        with pytest.raises(Timeout):
            near.call("worker", "echo", value=1, timeout=0.5)
        assert time.monotonic() - begun < 1.0
        near.cast("worker", "record", value="through the outage")
        assert near.call("local", "echo", value=1) == 1, "the process goes on by itself"
        assert took(lambda: leaver.stop(2.0)) < 3.0
        eventually(lambda: not near.connected)
        assert near.has("worker"), "the broker is away; nobody is declared dead for it"
        seen = len(mirror.updates)
        broker.start()
        eventually(lambda: len(mirror.updates) > seen + 20, 60)
    finally:
        stop.set()
        publishing.join()
    eventually(lambda: same(mirror, tables, "t"))
    eventually(lambda: worker.seen == ["through the outage"])
    assert near.call("worker", "echo", value=2) == 2
    eventually(lambda: near.connected and far.connected)


def test_a_queue_that_comes_back_without_a_leader_is_made_anew(
    make_rabbit_bus: MakeBus, broker: Broker, bus_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    def leaderless() -> bool:
        states = broker.control("eval", "ets:tab2list(ra_state).")
        return re.search(rf"{bus_id}[^,]*,follower", states) is not None

    near, far = make_rabbit_bus("near"), make_rabbit_bus("far")
    far.add(Worker())
    assert near.wait_for("worker")
    broker.kill()
    broker.start()
    eventually(lambda: not leaderless(), 60)
    eventually(lambda: near.connected and far.connected, 60)
    assert near.call("worker", "echo", value=1) == 1
    # Whether the broker has lost the queue that was made last, or had saved where it is, is its affair.
    renewed = [record for record in caplog.records if record.message.startswith("bus.inbox_stuck")]
    assert len(renewed) <= 4, "a queue that is well is left alone"


class Silent:
    """A link on which everything leaves and nothing comes back."""

    trouble = ""

    def __init__(self) -> None:
        self.sent = self.renewals = 0

    def announced(self) -> int:
        return self.sent

    def renew(self) -> None:
        self.renewals += 1

    def send_all(self, presence: Presence) -> None:
        self.sent += 1

    def send(self, node: str, message: Message, deadline: float | None = None) -> None:
        raise AssertionError(message)

    def open(self, deliver: object, given_up: threading.Event) -> None: ...

    def forget(self, node: str) -> None: ...

    def close(self, timeout: float) -> bool:
        return True


def test_queues_are_made_anew_only_after_many_announcements_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(heartbeat_interval=0.02, peer_timeout=0.2, node_id="deaf")
    link = Silent()
    bus.start()
    try:
        time.sleep(0.2)
        monkeypatch.setattr(bus, "_link", link)
        eventually(lambda: link.sent == 30)
        assert link.renewals == 0, "three peer timeouts are not over"
        eventually(lambda: link.renewals == 2)
        assert link.sent > 60, "and as many again until the next attempt"
    finally:
        monkeypatch.undo()
        bus.stop()


def test_without_a_broker_a_start_ends_in_time() -> None:
    bus = Bus(f"rabbit://guest:guest@127.0.0.1:{free_port()}/", node_id="lonely")
    begun = time.monotonic()
    with pytest.raises(Timeout, match="no broker answered within"):
        bus.start(timeout=0.5)
    assert time.monotonic() - begun < 2.0
    assert bus.stop()


def test_of_several_hosts_one_that_answers_is_enough(broker: Broker, bus_id: str) -> None:
    hosts = f"guest:guest@127.0.0.1:{free_port()},guest:guest@127.0.0.1:{broker.port}"
    bus = Bus(f"rabbit://{hosts}/", bus_id=bus_id)
    bus.start()
    assert bus.connected
    assert bus.stop()


def test_tls(broker: Broker, bus_id: str) -> None:
    bus = Bus(broker.tls_url, bus_id=bus_id)
    bus.start()
    assert bus.connected
    assert bus.stop()


def test_a_certificate_that_nobody_vouches_for_is_refused(broker: Broker, bus_id: str) -> None:
    bus = Bus(broker.tls_url.partition("&")[0], bus_id=bus_id)
    with pytest.raises(Timeout, match="CERTIFICATE_VERIFY_FAILED"):
        bus.start(timeout=3)


def queues(broker: Broker, bus_id: str) -> list[str]:
    """The nodes of a bus that have a queue at the broker, by name."""
    listed = broker.control("list_queues", "name", "--no-table-headers").split()
    return sorted(name.split(".")[1] for name in listed if bus_id in name and "." in name)


def test_queues_do_not_stay_behind(
    make_rabbit_bus: MakeBus, broker: Broker, bus_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("congress.bus.node.REAP", 0.1)
    near, leaver = make_rabbit_bus("near"), make_rabbit_bus("leaver")
    with process(broker, bus_id):
        assert queues(broker, bus_id) == ["far", "leaver", "near"]
        leaver.stop()
        assert queues(broker, bus_id) == ["far", "near"]
    eventually(lambda: not near.has("far"))
    eventually(lambda: queues(broker, bus_id) == ["near"])


def test_a_node_buried_alive_makes_its_queue_again(make_rabbit_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("congress.bus.node.REAP", 0.1)
    near, far = make_rabbit_bus("near"), make_rabbit_bus("far")
    far.add(Worker())
    assert near.wait_for("worker")
    far.dead = True
    eventually(lambda: not near.has("worker"))
    time.sleep(0.5)
    far.dead = False
    assert near.wait_for("worker", 20)

    def answers() -> bool:
        try:
            return near.call("worker", "echo", value=1, timeout=1) == 1
        except (NotFound, Timeout):
            return False

    eventually(answers)


def test_many_rows_do_not_hold_up_calls(make_rabbit_bus: MakeBus) -> None:
    near, far = make_rabbit_bus("near"), make_rabbit_bus("far")
    tables, mirror, worker = Tables(), Mirror(), Worker()
    near.add(tables)
    near.add(worker)
    tables.put("t", *((number, "x" * 50, number * 2) for number in range(100_000)))
    assert far.wait_for("worker")
    far.add(mirror)
    begun = time.monotonic()
    mirror.subscribe("tables", "t")
    longest = 0.0
    while not mirror.updates:
        longest = max(longest, took(lambda: far.call("worker", "echo", value=1)))
        assert time.monotonic() - begun < 30
    assert len(mirror.of("tables", "t") or ()) == 100_000
    assert longest < 5.0
