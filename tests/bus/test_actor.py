# SPDX-License-Identifier: Apache-2.0
"""The worker thread: order, timers, faults, ends."""

import sys
import threading
import time

import pytest

from congress.bus import context
from congress.bus.actor import Actor
from congress.bus.bus import Bus
from congress.bus.errors import NotFound, RemoteError
from congress.bus.service import Service, exposed
from tests.bus.services import Worker, eventually, on_worker


class Logged(Actor):
    def __init__(self) -> None:
        super().__init__("logged")
        self.log: list[str] = []

    def on_start(self) -> None:
        self.log.append("start")

    def on_stop(self) -> None:
        self.log.append("stop")

    def note(self, text: str) -> None:
        assert self.on_worker
        self.log.append(text)


def started() -> Logged:
    actor = Logged()
    actor._start_worker()
    return actor


def stopped(actor: Actor) -> bool:
    actor._ask_to_stop()
    return actor._join(5)


def test_hooks_frame_everything_and_order_is_kept() -> None:
    actor = Logged()
    for text in "abc":
        actor.submit(actor.note, text)
    actor._start_worker()
    eventually(lambda: len(actor.log) == 4)
    assert stopped(actor)
    assert actor.log == ["start", "a", "b", "c", "stop"]


def test_timers_run_in_their_order_and_may_be_cancelled() -> None:
    actor = started()
    actor.after(0.06, actor.note, "second")
    actor.after(0.02, actor.note, "first")
    actor.after(0.04, actor.note, "never").cancel()
    actor.submit(lambda: actor.after(0.01, actor.note, "from within"))
    eventually(lambda: len(actor.log) == 4)
    assert stopped(actor)
    assert actor.log == ["start", "from within", "first", "second", "stop"]


def test_timers_come_up_though_messages_never_end() -> None:
    actor = started()
    fed = threading.Event()

    def feed() -> None:
        if not fed.is_set():
            actor.submit(feed)

    actor.submit(feed)
    actor.after(0.02, fed.set)
    assert fed.wait(5)
    assert stopped(actor)


def test_a_fault_is_cut_counted_and_the_worker_goes_on() -> None:
    actor = started()
    actor.submit(lambda: 1 / 0)
    actor.after(0, dict[str, str]().pop, "missing")
    actor.submit(actor.note, "still here")
    eventually(lambda: actor.faults == 2 and "still here" in actor.log)
    assert actor.last_fault.startswith(("ZeroDivisionError", "KeyError"))
    assert stopped(actor)


class Wordless(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_without_words_is_a_fault_like_any_other() -> None:
    actor = started()

    def fail() -> None:
        raise Wordless

    actor.submit(fail)
    actor.submit(actor.note, "still here")
    eventually(lambda: "still here" in actor.log)
    assert actor.last_fault.startswith("Wordless")
    assert stopped(actor)


# What ends the thread is shown by pytest too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [Wordless(), SystemExit("a library that thinks it may end the process")])
def test_a_caller_does_not_wait_for_a_worker_that_ends(error: BaseException) -> None:
    class Doomed(Worker):
        @exposed
        def doom(self) -> None:
            raise error

    bus = Bus(bus_id="doomed")
    bus.start()
    bus.add(Doomed())
    with pytest.raises(RemoteError, match=type(error).__name__):
        bus.call("worker", "doom", timeout=10)
    assert bus.stop()


def test_ids_hold_where_the_work_is_done() -> None:
    actor = started()
    seen: list[dict[str, str]] = []
    with context.bind(request_id="r"):
        actor.submit(lambda: seen.append(dict(context.ids())))
        actor.after(0.001, lambda: seen.append(dict(context.ids())))
    actor.submit(lambda: seen.append(dict(context.ids())))
    eventually(lambda: len(seen) == 3)
    assert sorted(map(len, seen)) == [0, 1, 1]
    assert stopped(actor)


def test_a_stop_waits_for_what_is_begun_only() -> None:
    actor = started()
    gate = threading.Event()
    actor.submit(gate.wait, 10)
    actor.submit(actor.note, "not any more")
    actor._ask_to_stop()
    assert not actor._join(0.05)
    gate.set()
    assert actor._join(5)
    assert actor.log == ["start", "stop"]


def test_six_services_stop_in_no_time() -> None:
    bus = Bus(bus_id="six")
    bus.start()
    for number in range(6):
        bus.add(Worker(f"w{number}"))
    begun = time.monotonic()
    assert bus.stop()
    assert time.monotonic() - begun < 0.5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("service w")]


def test_a_service_that_does_not_end_does_not_hold_up_the_stop() -> None:
    bus = Bus(bus_id="stuck")
    bus.start()
    worker = Worker()
    bus.add(worker)
    bus.cast("worker", "wait_at_gate")
    assert worker.busy.wait(5)
    begun = time.monotonic()
    assert not bus.stop(0.2)
    assert time.monotonic() - begun < 1.0
    worker.gate.set()


def test_services_may_be_added_before_the_start_and_call_as_they_start() -> None:
    class Eager(Service):
        answer: object = None

        def on_start(self) -> None:
            self.answer = self.call("worker", "echo", value=7)

    bus = Bus(bus_id="eager")
    eager = Eager("eager")
    bus.add(Worker())
    bus.add(eager)
    bus.start()
    eventually(lambda: eager.answer == 7)
    assert bus.stop()


def test_an_override_stays_exposed() -> None:
    class Derived(Worker):
        def echo(self, value: object) -> object:
            return ("derived", value)

        @exposed
        def more(self) -> int:
            return 1

    bus = Bus(bus_id="override")
    bus.start()
    bus.add(Derived())
    assert bus.call("worker", "echo", value=1) == ("derived", 1)
    assert bus.call("worker", "more") == 1
    assert Worker.exposed_names < Derived.exposed_names
    assert bus.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_waits_for_a_worker_that_dies_is_told_at_once() -> None:
    bus = Bus(bus_id="dying")
    bus.start()
    worker = Worker()
    bus.add(worker)
    asked = threading.Event()

    def die() -> None:
        asked.wait(5)
        sys.exit("a library that thinks it may end the process")

    worker.submit(die)
    waiting = bus.ask("worker", "echo", value=1, timeout=60)
    asked.set()
    with pytest.raises(NotFound):
        waiting.result(5)
    with pytest.raises(NotFound):
        bus.call("worker", "echo", value=1, timeout=60)
    assert bus.remove("worker")
    assert bus.stop()


def test_a_stopped_bus_answers_at_once() -> None:
    bus = Bus(bus_id="over")
    bus.start()
    worker = Worker()
    bus.add(worker)
    waiting = bus.ask("worker", "echo", value=1)
    assert waiting.result(5) == 1
    assert bus.stop()
    for attempt in (bus.call, bus.cast):
        with pytest.raises(NotFound):
            attempt("worker", "echo", value=1)
    assert not bus.connected


def test_the_cause_of_a_remote_error_is_kept_within_the_process() -> None:
    bus = Bus(bus_id="cause")
    bus.start()
    worker = Worker()
    bus.add(worker)
    with pytest.raises(RemoteError) as raised:
        bus.call("worker", "fail", kind="key")
    assert isinstance(raised.value.__cause__, KeyError)
    assert on_worker(worker, lambda: worker.on_worker)
    assert bus.stop()
