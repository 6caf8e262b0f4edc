# SPDX-License-Identifier: Apache-2.0
"""Calls and casts between services, the same over each transport and within a process."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from congress.bus import context
from congress.bus.calls import Calls, Taken
from congress.bus.errors import (
    BusError,
    NameTaken,
    NotFound,
    NotPortable,
    Overloaded,
    PeerLost,
    RemoteError,
    Timeout,
)
from congress.bus.messages import Message, Reply, Request
from congress.datalog.values import FALSE, TRUE
from tests.bus.conftest import MakeBus
from tests.bus.services import Point, Refused, TestBus, Worker, eventually

VALUES: list[Any] = [
    None,
    True,
    0,
    1.0,
    -1.5,
    2**80,
    "",
    "naïve 日本 \x00",
    "\ud800 lone",
    b"\x00\xff",
    TRUE,
    FALSE,
    [],
    (),
    [1, [2, (3, [4])]],
    [(1, "a"), (2, "b")],
    ((1, TRUE, None), (1, FALSE, 2.5)),
    [(True, 1), (TRUE, 1)],
    {"a": {"b": (1, 2)}, "!": "mark"},
    {1: "one", (2, 3): [TRUE]},
    {1, 2},
    frozenset({(1, 2), (3, 4)}),
    [(2**70, "big")],
    Point(1, (2, 3)),
    {"points": [Point(0, ()), Point(2**65, (1,))]},
]


def kinds(value: Any) -> Any:
    """The types all the way down: == alone takes True for 1."""
    if isinstance(value, dict):
        return [(kinds(key), kinds(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    return type(value)


@pytest.fixture
def pair(make_bus: MakeBus) -> tuple[TestBus, Worker]:
    """A node to call from, and a service on another."""
    near, far = make_bus("near"), make_bus("far")
    worker = Worker()
    far.add(worker)
    assert near.wait_for("worker")
    return near, worker


def test_values_arrive_as_they_are(pair: tuple[TestBus, Worker]) -> None:
    near, _ = pair
    for value in VALUES:
        answer = near.call("worker", "echo", value=value)
        assert answer == value
        assert kinds(answer) == kinds(value)


def test_a_large_answer_arrives(pair: tuple[TestBus, Worker]) -> None:
    near, _ = pair
    rows = [(number, f"{number:x}" * 40, TRUE) for number in range(30_000)]
    assert near.call("worker", "echo", value=rows, timeout=30) == rows


def test_what_cannot_travel_is_refused_at_once(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    with pytest.raises(NotPortable, match="object"):
        near.call("worker", "echo", value=object())
    worker.echo = lambda value: object()  # type: ignore[method-assign]  # an answer that cannot travel
    with pytest.raises(NotPortable, match="object"):
        near.call("worker", "echo", value=1)


def test_who_is_not_there_is_not_found_at_once(pair: tuple[TestBus, Worker]) -> None:
    near, _ = pair
    begun = time.monotonic()
    for attempt in (near.call, near.cast, near.ask):
        with pytest.raises(NotFound, match="nobody"):
            attempt("nobody", "echo", value=1, timeout=30)
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize("method", ["missing", "hidden", "on_start", "__init__", "name", "submit"])
def test_only_exposed_methods_can_be_called(pair: tuple[TestBus, Worker], method: str) -> None:
    near, _ = pair
    with pytest.raises(NotFound, match=method):
        near.call("worker", method)


def test_errors_arrive_as_themselves_or_as_remote_errors(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    with pytest.raises(Refused) as refused:
        near.call("worker", "fail", kind="refused")
    assert (refused.value.reason, refused.value.code, str(refused.value)) == ("not today", 42, "('not today', 42)")
    assert worker.faults == 0, "an error made to travel is no fault"
    with pytest.raises(RemoteError) as remote:
        near.call("worker", "fail", kind="key")
    assert remote.value.error_type == "KeyError"
    assert worker.faults == 1
    with pytest.raises(RemoteError, match="TimeoutError"):
        near.call("worker", "fail", kind="timeout")
    with pytest.raises(RemoteError, match="unexpected keyword"):
        near.call("worker", "echo", nonsense=1)


def test_a_deadline_bounds_a_call(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    begun = time.monotonic()
    with pytest.raises(Timeout, match=r"no answer from worker to wait_at_gate within 0\.3 s"):
        near.call("worker", "wait_at_gate", timeout=0.3)
    assert 0.29 < time.monotonic() - begun < 1.0
    assert near.stats()["pending_requests"] == 0
    future = near.ask("worker", "echo", value=1, timeout=0.3)
    with pytest.raises(Timeout):
        future.result(3)
    worker.gate.set()
    assert near.call("worker", "echo", value=2) == 2
    assert near.stats()["pending_requests"] == 0


def test_what_waited_too_long_is_not_begun(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    near.ask("worker", "wait_at_gate", timeout=10)
    with pytest.raises(Timeout):
        near.call("worker", "record", value="late", timeout=0.1)
    time.sleep(0.3)  # its time counts from its arrival
    worker.gate.set()
    assert near.call("worker", "record", value="in time") == 2
    assert worker.seen == [None, "in time"]


def test_casts_keep_their_order_and_are_handled_one_at_a_time(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    for number in range(500):
        near.cast("worker", "record", value=number)
    eventually(lambda: len(worker.seen) == 500)
    assert worker.seen == list(range(500))
    eventually(lambda: near.stats()["pending_requests"] == 0)


def test_ids_travel_with_a_call_and_through_it(make_bus: MakeBus) -> None:
    near, far, third = make_bus(), make_bus(), make_bus()
    far.add(Worker("far"))
    third.add(Worker("third"))
    assert near.wait_for("far")
    assert far.wait_for("third")
    with context.bind(request_id="r-1", poll_id="p-2"):
        direct = near.call("far", "ids", key="k-3")
        through = near.call("far", "relay", target="third", method="ids")
    assert direct == {"request_id": "r-1", "poll_id": "p-2", "idempotency_key": "k-3"}
    assert (through["request_id"], through["poll_id"]) == ("r-1", "p-2")
    assert context.ids() == {}


def test_a_full_inbox_refuses(pair: tuple[TestBus, Worker]) -> None:
    near, worker = pair
    worker.inbox_limit = 3
    waiting = [near.ask("worker", "wait_at_gate", value=0)]
    assert worker.busy.wait(10)
    waiting += [near.ask("worker", "wait_at_gate", value=number) for number in (1, 2, 3)]
    eventually(lambda: worker.waiting == 3)
    with pytest.raises(Overloaded):
        near.call("worker", "echo", value=1)
    worker.gate.set()
    assert [future.result(10) for future in waiting] == [0, 1, 2, 3]
    assert near.call("worker", "echo", value=1) == 1


def test_a_cast_to_a_full_inbox_is_sent_again(pair: tuple[TestBus, Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "FIRST_PAUSE", 0.1)
    near, worker = pair
    worker.inbox_limit = 0
    near.cast("worker", "record", value=1)
    time.sleep(0.3)
    assert worker.seen == []
    worker.inbox_limit = 100
    eventually(lambda: worker.seen == [1])


def test_a_removed_service_is_gone_at_once_and_refuses_what_waits(make_bus: MakeBus) -> None:
    near, far = make_bus(), make_bus()
    worker = Worker()
    far.add(worker)
    assert near.wait_for("worker")
    running = near.ask("worker", "wait_at_gate", value="done")
    waiting = near.ask("worker", "echo", value=1)
    eventually(lambda: worker.waiting == 1)
    assert not far.remove("worker", timeout=0.01), "it is still busy"
    with pytest.raises(NotFound):
        far.call("worker", "echo", value=1)
    eventually(lambda: not near.has("worker"))
    worker.gate.set()
    assert running.result(10) == "done", "what was begun is finished"
    with pytest.raises(NotFound, match="stopped"):
        waiting.result(10)
    with pytest.raises(NotFound):
        far.remove("worker")


def test_what_comes_to_a_service_that_has_ended_is_refused(make_bus: MakeBus) -> None:
    bus = make_bus()
    worker = Worker()
    bus.add(worker)
    assert bus.call("worker", "echo", value=1) == 1
    # As when the request was under way to it while it was removed.
    worker._ask_to_stop()
    assert worker._join(5)
    with pytest.raises(NotFound, match="stopped"):
        bus.call("worker", "echo", value=1)


def test_a_request_is_sent_again_ever_more_seldom_until_its_deadline() -> None:
    calls = Calls()
    request = Request("1", "k", "", "n", "t", "m", {}, 60.0, False)
    future = calls.open(request, "far", 0.0).future
    assert future is not None
    sent = [moment for moment in range(60) if calls.due(float(moment))[0]]
    assert sent == [3, 9, 21, 45]
    assert not future.done()
    assert calls.due(60.0)[1]
    with pytest.raises(Timeout, match="within 60 s"):
        future.result(0)
    assert len(calls) == 0


def test_answers_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taken, "REQUESTS", 5)
    monkeypatch.setattr(Taken, "ANSWER_BYTES", 25)
    taken = Taken()
    for number in range(4):
        assert taken.take(str(number)) == (True, None)
        taken.answered(str(number), b"0123456789")
    assert taken.take("3") == (False, b"0123456789")
    assert taken.take("0") == (False, None), "its answer was dropped; it is not carried out again for that"
    taken.forget("3")
    assert taken.take("3") == (True, None)
    for number in range(10, 20):
        taken.take(str(number))
    assert taken.take("0") == (True, None)


def test_a_name_can_be_taken_once(pair: tuple[TestBus, Worker]) -> None:
    near, _ = pair
    with pytest.raises(NameTaken, match="worker"):
        near.add(Worker())


def test_nobody_waits_for_himself(pair: tuple[TestBus, Worker]) -> None:
    near, _ = pair
    begun = time.monotonic()
    with pytest.raises(BusError, match="itself"):
        near.call("worker", "relay", target="worker", method="ids")
    assert time.monotonic() - begun < 5


def test_a_request_that_comes_twice_is_carried_out_once(make_bus: MakeBus) -> None:
    near, far = make_bus(), make_bus()
    worker = Worker()
    far.add(worker)
    assert near.wait_for("worker")
    far.tamper = lambda message: (message, message) if isinstance(message, Request) else (message,)
    remote = not near.transport_url.startswith("inproc")
    assert near.call("worker", "record", value=1) == 1
    # In process nothing comes twice of itself, and nothing is remembered.
    assert near.call("worker", "record", value=2) == (2 if remote else 3)
    assert worker.seen == ([1, 2] if remote else [1, 1, 2, 2])


def losing(kind: type[Message], count: int) -> Callable[[Message], tuple[Message, ...]]:
    """Loses the first so many messages of a kind."""
    left = [count]

    def tamper(message: Message) -> tuple[Message, ...]:
        if isinstance(message, kind) and left[0]:
            left[0] -= 1
            return ()
        return (message,)

    return tamper


def test_lost_requests_and_lost_answers_are_made_up_for(make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "FIRST_PAUSE", 0.1)
    near, far = make_bus(), make_bus()
    worker = Worker()
    far.add(worker)
    assert near.wait_for("worker")
    far.tamper = losing(Request, 2)
    near.cast("worker", "record", value="cast")
    eventually(lambda: worker.seen == ["cast"])
    if not near.transport_url.startswith("inproc"):
        near.tamper = losing(Reply, 2)
        assert near.call("worker", "record", value="call", key="k") == 2
        assert worker.seen == ["cast", "call"], "the answer is repeated, the work is not"
        assert worker.keys[1] == "k"


def test_a_call_to_a_node_that_dies_ends(make_bus: MakeBus) -> None:
    near, far = make_bus(), make_bus()
    worker = Worker()
    far.add(worker)
    assert near.wait_for("worker")
    future = near.ask("worker", "wait_at_gate", timeout=60)
    far.dead = True
    with pytest.raises(PeerLost, match="worker vanished during wait_at_gate"):
        future.result(20)
    with pytest.raises(NotFound):
        near.call("worker", "echo", value=1)
    worker.gate.set()


def test_a_cast_finds_the_service_where_it_came_back(make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "FIRST_PAUSE", 0.1)
    near, far = make_bus(), make_bus()
    far.add(Worker())
    assert near.wait_for("worker")
    far.dead = True
    near.cast("worker", "record", value="kept", key="k")
    eventually(lambda: not near.has("worker"))
    third = make_bus()
    successor = Worker()
    third.add(successor)
    eventually(lambda: successor.seen == ["kept"])
    assert successor.keys == ["k"]


def test_a_process_restarted_under_its_name_takes_over_soon(make_bus: MakeBus) -> None:
    near, far = make_bus("near", peer_timeout=60.0), make_bus("far", peer_timeout=60.0)
    far.add(Worker())
    assert near.wait_for("worker")
    far.dead = True
    reborn = make_bus("far", peer_timeout=60.0)
    eventually(lambda: not near.has("worker"))
    successor = Worker()
    reborn.add(successor)
    assert near.wait_for("worker")
    assert near.call("worker", "ping") == successor.instance


def test_two_processes_may_share_a_name(make_bus: MakeBus) -> None:
    near, one, other = make_bus("near"), make_bus("host"), make_bus("host")
    one.add(Worker("one"))
    other.add(Worker("other"))
    assert near.wait_for("one")
    assert near.wait_for("other")
    assert near.call("one", "echo", value=1) == near.call("other", "echo", value=1) == 1


def test_a_cast_within_the_process_says_when_the_inbox_is_full(make_bus: MakeBus) -> None:
    bus = make_bus()
    worker = Worker()
    worker.inbox_limit = 1
    bus.add(worker)
    bus.cast("worker", "wait_at_gate")
    assert worker.busy.wait(10)
    bus.cast("worker", "record", value=1)
    with pytest.raises(Overloaded):
        bus.cast("worker", "record", value=2)
    worker.gate.set()
    eventually(lambda: worker.seen == [None, 1])
