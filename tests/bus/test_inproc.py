# SPDX-License-Identifier: Apache-2.0
"""The ``inproc://`` driver under oslo.messaging's own servers and clients, and the cure that goes with it."""

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from congress.bus.bus import Bus
from congress.bus.oslo import cfg, configure, oslo_messaging


class Endpoint:
    """Methods that oslo.messaging calls."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.gate = threading.Event()

    def echo(self, _context: Any, value: Any) -> Any:
        self.seen.append(value)
        return value

    def fail(self, _context: Any) -> None:
        raise KeyError("lost")

    def wait(self, _context: Any) -> None:
        self.gate.wait(5)

    def info(self, _context: Any, publisher: str, event: str, payload: Any, metadata: Any) -> None:
        self.seen.append((event, payload))


@pytest.fixture
def transport() -> Iterator[Any]:
    made = oslo_messaging.get_rpc_transport(configure(), url=f"inproc://{uuid.uuid4().hex}")
    yield made
    made.cleanup()


@pytest.fixture
def serve(transport: Any) -> Iterator[Any]:
    """Starts servers of oslo.messaging itself, thread pools and all."""
    servers = []

    def start(name: str, endpoint: Endpoint) -> Any:
        target = oslo_messaging.Target(topic="t", server=name)
        server = oslo_messaging.get_rpc_server(transport, target, [endpoint])
        server.start(override_pool_size=1)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()
    for server in servers:
        server.wait()


@pytest.fixture
def client(transport: Any) -> Any:
    return oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="t"), timeout=2)


def eventually(holds: Any) -> None:
    until = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_calls_go_by_reference(serve: Any, client: Any) -> None:
    serve("a", Endpoint())
    value = [object()]
    assert client.call({}, "echo", value=value) is value


def test_errors_come_back(serve: Any, client: Any) -> None:
    serve("a", Endpoint())
    with pytest.raises(KeyError, match="lost"):
        client.call({}, "fail")


def test_a_call_that_is_not_answered_times_out(serve: Any, client: Any) -> None:
    endpoint = Endpoint()
    serve("a", endpoint)
    begun = time.monotonic()
    with pytest.raises(oslo_messaging.MessagingTimeout):
        client.prepare(timeout=0.05).call({}, "wait")
    assert time.monotonic() - begun < 1
    endpoint.gate.set()


def test_one_of_a_topic_in_turn_one_by_name_or_all(serve: Any, client: Any) -> None:
    one, other = Endpoint(), Endpoint()
    serve("a", one)
    serve("b", other)
    for number in range(10):
        client.call({}, "echo", value=number)
    assert len(one.seen) == len(other.seen) == 5
    client.prepare(server="b").call({}, "echo", value="b")
    assert "b" not in one.seen
    assert other.seen[-1] == "b"
    client.prepare(fanout=True).cast({}, "echo", value="all")
    eventually(lambda: one.seen[-1] == other.seen[-1] == "all")


def test_casts_keep_their_order(serve: Any, client: Any) -> None:
    endpoint = Endpoint()
    serve("a", endpoint)
    for number in range(1000):
        client.cast({}, "echo", value=number)
    eventually(lambda: len(endpoint.seen) == 1000)
    assert endpoint.seen == list(range(1000))


def test_who_is_not_there_gets_nothing(serve: Any, client: Any) -> None:
    server = serve("a", Endpoint())
    with pytest.raises(oslo_messaging.MessageUndeliverable):
        client.prepare(server="z").cast({}, "echo", value=1)
    server.stop()
    with pytest.raises(oslo_messaging.MessageUndeliverable):
        client.prepare(server="a").cast({}, "echo", value=1)
    client.prepare(fanout=True).cast({}, "echo", value=1)


def test_what_comes_before_the_start_is_kept(transport: Any, client: Any) -> None:
    listener = transport._listen(oslo_messaging.Target(topic="t", server="a"), 1, None)
    for number in range(3):
        client.cast({}, "echo", value=number)
    seen: list[Any] = []
    listener.start(lambda incoming: seen.extend(one.message["args"]["value"] for one in incoming))
    client.cast({}, "echo", value=3)
    assert seen == [0, 1, 2, 3]
    listener.stop()


def test_notifications_go_to_one_of_each_pool() -> None:
    transport = oslo_messaging.get_notification_transport(configure(), url=f"inproc://{uuid.uuid4().hex}")
    endpoints = [Endpoint() for _ in range(3)]
    listeners = [
        oslo_messaging.get_notification_listener(
            transport, [oslo_messaging.Target(topic="n")], [endpoint], pool=pool, executor=None
        )
        for endpoint, pool in zip(endpoints, ["p", "p", "q"], strict=True)
    ]
    for listener in listeners:
        listener.start(override_pool_size=1)
    notifier = oslo_messaging.Notifier(transport, driver="messaging", topics=["n"], publisher_id="me")
    for number in range(4):
        notifier.info({}, "event", number)
    eventually(lambda: sum(len(endpoint.seen) for endpoint in endpoints) == 8)
    assert len(endpoints[2].seen) == 4
    assert len(endpoints[0].seen) == len(endpoints[1].seen) == 2
    for listener in listeners:
        listener.stop()
    for listener in listeners:
        listener.wait()
    transport.cleanup()


def test_requeueing_is_refused() -> None:
    transport = oslo_messaging.get_notification_transport(configure(), url="inproc://")
    with pytest.raises(NotImplementedError):
        transport._require_driver_features(requeue=True)


def test_options_of_a_program_are_taken(tmp_path: Path) -> None:
    program = cfg.ConfigOpts()
    file = tmp_path / "some.conf"
    file.write_text("[oslo_messaging_rabbit]\nssl = true\nrabbit_interval_max = 17\n", encoding="utf-8")
    program(["--config-file", str(file)])
    for conf in (configure(program, "rabbit://"), configure(program, "rabbit://")):
        assert conf is program
        assert (conf.oslo_messaging_rabbit.ssl, conf.oslo_messaging_rabbit.rabbit_interval_max) == (True, 17)
        assert conf.oslo_messaging_rabbit.rabbit_quorum_queue
        assert conf.oslo_messaging_rabbit.ssl_ca_file, "a certificate is looked at even where no authority is named"
    bus = Bus(bus_id="conf", conf=cfg.CONF)
    bus.start()
    assert bus.connected
    assert bus.stop()


def test_eventlet_stays_out() -> None:
    program = (
        "import sys, congress.bus.bus\n"
        "from oslo_service import backend\n"
        "print(bool(sys.modules.get('eventlet')), 'greenlet' in sys.modules, backend.get_backend_type().value)\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("False False threading\n", "", 0)
