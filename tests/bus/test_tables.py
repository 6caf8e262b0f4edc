# SPDX-License-Identifier: Apache-2.0
"""Tables from publisher to subscriber, the same over each transport: afterwards every copy equals the table."""

import random
import threading
import time
from collections.abc import Callable

import pytest

from congress.bus import context
from congress.bus.errors import BusError
from congress.bus.messages import Message
from congress.bus.publisher import TablePublisher
from congress.bus.stream import Ack, Frame, Inflow, Tip, Want, Window
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.values import FALSE, TRUE, Row
from tests.bus.conftest import MakeBus
from tests.bus.services import Mirror, Tables, TestBus, Worker, eventually, on_worker, same

Pair = tuple[TestBus, Tables, TestBus, Mirror]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repairs begin sooner than in earnest."""
    monkeypatch.setattr(Inflow, "PATIENCE", 0.2)
    monkeypatch.setattr(Inflow, "PAUSES", (0.5, 1.0, 2.0))


@pytest.fixture
def pair(make_bus: MakeBus) -> Pair:
    """A publisher on one node and a subscriber on another."""
    near, far = make_bus("near"), make_bus("far")
    tables, mirror = Tables(), Mirror()
    near.add(tables)
    assert far.wait_for("tables")
    far.add(mirror)
    return near, tables, far, mirror


def test_a_snapshot_and_then_each_change(pair: Pair) -> None:
    _, tables, _, mirror = pair
    tables.put("t", (1, "a"), (2, "b"))
    mirror.subscribe("tables", "t")
    mirror.subscribe("tables", "t")
    eventually(lambda: mirror.of("tables", "t") == {(1, "a"), (2, "b")})
    tables.put("t", (3, "c"))
    tables.take("t", (1, "a"))
    eventually(lambda: same(mirror, tables, "t"))
    first, second, third = mirror.updates
    assert (first.snapshot, second.snapshot, third.snapshot) == (True, False, False)
    assert (second.insertions, second.retractions) == ([(3, "c")], [])
    assert (third.insertions, third.retractions) == ([], [(1, "a")])
    assert [update.sequence for update in mirror.updates] == [1, 2, 3]
    assert {update.epoch for update in mirror.updates} == {tables.instance}


def test_an_empty_table_has_a_snapshot_too(pair: Pair) -> None:
    _, _, _, mirror = pair
    mirror.subscribe("tables", "nothing")
    eventually(lambda: mirror.of("tables", "nothing") == set())
    assert mirror.updates[0].snapshot


def test_values_stay_apart(pair: Pair) -> None:
    _, tables, _, mirror = pair
    rows: list[Row] = [
        (TRUE, 1), (1, TRUE), (1, 1), (FALSE, 0), (0, FALSE), ("true", "1"), (None, ""), (2**90, "\ud800"), (1.5, "日")
    ]  # fmt: skip
    mirror.subscribe("tables", "t")
    tables.put("t", *rows)
    eventually(lambda: same(mirror, tables, "t"))
    assert len(mirror.of("tables", "t") or ()) == len(rows)


def test_only_the_net_change_is_published(pair: Pair) -> None:
    _, tables, _, _ = pair
    tables.put("t", (1,), (2,))
    assert not on_worker(tables, tables.publish, {"t": ([(1,), (1,)], [(9,)])})
    assert not on_worker(tables, tables.publish, {"t": ([(1,)], [(1,)])}), "a row in both counts as inserted"
    assert not on_worker(tables, tables.publish_snapshot, {"t": [(2,), (1,)]})
    assert not on_worker(tables, tables.publish, {})
    assert tables.sequence == 1
    assert on_worker(tables, tables.publish_snapshot, {"t": [(2,), (3,)], "u": []})
    assert tables.all("t") == {(2,), (3,)}


def test_only_the_worker_publishes(pair: Pair) -> None:
    _, tables, _, _ = pair
    with pytest.raises(BusError, match="worker thread"):
        tables.publish({"t": ([(1,)], [])})


def test_the_tables_of_one_publication_come_together(pair: Pair) -> None:
    _, tables, _, mirror = pair
    for table in ("a", "b", "c"):
        mirror.subscribe("tables", table)
    eventually(lambda: len(mirror.tables) == 3)
    before = len(mirror.groups)
    with context.bind(poll_id="p-7"):
        on_worker(tables, tables.publish, {name: ([(1,)], []) for name in ("a", "b", "other")})
    on_worker(tables, tables.publish, {"other": ([(2,)], [])})
    on_worker(tables, tables.publish, {"c": ([(1,)], [])})
    eventually(lambda: len(mirror.groups) == before + 2)
    assert [{update.table for update in group} for group in mirror.groups[before:]] == [{"a", "b"}, {"c"}]
    assert {update.ids.get("poll_id") for update in mirror.groups[before]} == {"p-7"}
    assert mirror.groups[-1][0].sequence == 3


def test_a_large_table_comes_whole(pair: Pair) -> None:
    _, tables, _, mirror = pair
    tables.put("t", *((number, f"row {number}") for number in range(23_456)))
    mirror.subscribe("tables", "t")
    mirror.subscribe("tables", "u")
    eventually(lambda: same(mirror, tables, "t"))
    assert len([update for update in mirror.updates if update.table == "t"]) == 1


def test_a_subscription_waits_for_its_publisher(make_bus: MakeBus) -> None:
    near, far = make_bus(), make_bus()
    mirror, tables = Mirror(), Tables()
    mirror.subscribe("tables", "t")
    far.add(mirror)
    tables.publish({"t": ([(1,)], [])})  # it has no worker yet
    near.add(tables)
    eventually(lambda: same(mirror, tables, "t"))
    assert mirror.events == [("back", "tables")]


def test_what_nobody_subscribed_to_does_not_travel(pair: Pair) -> None:
    _, tables, far, mirror = pair
    seen: list[Message] = []
    far.tamper = lambda message: (seen.append(message) or message,) if isinstance(message, Frame) else (message,)
    mirror.subscribe("tables", "t")
    tables.put("u", (1,))
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    mirror.unsubscribe("tables", "t")
    eventually(lambda: not tables.subscribers("t"))
    count = len(seen)
    tables.put("t", (2,))
    time.sleep(0.1)
    assert len(seen) == count
    assert mirror.copy_of("tables", "t") == frozenset()
    assert {piece.table for frame in seen if isinstance(frame, Frame) for piece in frame.pieces} == {"t"}


def test_the_publisher_learns_who_wants_what(pair: Pair) -> None:
    near, tables, far, mirror = pair
    second = Mirror("second")
    near.add(second)
    mirror.subscribe("tables", "t")
    eventually(lambda: tables.subscribers("t") == {"mirror"})
    second.subscribe("tables", "t")
    second.subscribe("tables", "u")
    eventually(lambda: tables.subscribers("t") == {"mirror", "second"})
    eventually(lambda: tables.hooks == [("first", "t"), ("first", "u")])
    assert near.subscriptions() == [("tables", "t", "mirror"), ("tables", "t", "second"), ("tables", "u", "second")]
    mirror.unsubscribe("tables", "t")
    near.remove("second")
    eventually(lambda: sorted(tables.hooks[2:]) == [("last", "t"), ("last", "u")])
    mirror.subscribe("tables", "t")
    eventually(lambda: tables.hooks[4:] == [("first", "t")])
    far.remove("mirror")
    eventually(lambda: tables.hooks[5:] == [("last", "t")])


def test_rows_published_for_the_first_subscriber_are_in_its_snapshot(make_bus: MakeBus) -> None:
    class Lazy(Tables):
        def on_first_subscriber(self, table: str) -> None:
            super().on_first_subscriber(table)
            self.publish({table: ([("fetched",)], [])})

    bus = make_bus()
    lazy, mirror = Lazy(), Mirror()
    bus.add(lazy)
    bus.add(mirror)
    mirror.subscribe("tables", "t")
    eventually(lambda: mirror.of("tables", "t") == {("fetched",)})
    assert len(mirror.updates) == 1


def test_rows_may_be_kept_elsewhere_on_both_sides(make_bus: MakeBus) -> None:
    class Engine(TablePublisher, Subscriber):
        keep_copies = False

        def __init__(self, name: str) -> None:
            super().__init__(name)
            self.rows: dict[str, set[Row]] = {}

        def table_rows(self, table: str) -> set[Row]:
            return self.rows.get(table, set())

        def copy_of(self, publisher: str, table: str) -> set[Row]:
            return self.rows.get(f"{publisher}:{table}", set())

        def on_updates(self, updates: list[TableUpdate]) -> None:
            """Passes on what it is told, as its own tables."""
            for update in updates:
                rows = self.rows.setdefault(f"{update.publisher}:{update.table}", set())
                rows.difference_update(update.retractions)
                rows.update(update.insertions)
            self.publish({f"{u.publisher}:{u.table}": (u.insertions, u.retractions) for u in updates})

    one, other = make_bus(), make_bus()
    tables, engine, mirror = Tables(), Engine("engine"), Mirror()
    one.add(tables)
    other.add(engine)
    one.add(mirror)
    mirror.subscribe("engine", "tables:t")
    engine.subscribe("tables", "t")
    tables.churn("t", 50, seed=1)
    eventually(lambda: mirror.of("engine", "tables:t") == tables.all("t"))
    one.remove("tables")
    again = Tables()
    again.publish({"t": ([(1, "x"), ("new", "y")], [])})
    one.add(again)
    eventually(lambda: mirror.of("engine", "tables:t") == {(1, "x"), ("new", "y")})
    assert mirror.wrong == []


def test_two_services_may_subscribe_to_each_other(make_bus: MakeBus) -> None:
    class Both(Mirror, Tables):
        pass

    one, other = make_bus(), make_bus()
    a, b = Both("a"), Both("b")
    one.add(a)
    other.add(b)
    a.subscribe("b", "t")
    b.subscribe("a", "t")
    a.put("t", ("from a",))
    b.put("t", ("from b",))
    eventually(lambda: same(a, b, "t") and same(b, a, "t"))


def test_a_restarted_publisher_gives_the_net_change_in_a_new_epoch(pair: Pair) -> None:
    near, tables, _, mirror = pair
    mirror.subscribe("tables", "t")
    tables.put("t", (1,), (2,))
    eventually(lambda: same(mirror, tables, "t"))
    near.remove("tables")
    eventually(lambda: mirror.events == [("gone", "tables")])
    assert mirror.of("tables", "t") == {(1,), (2,)}, "the last good rows stay"
    reborn = Tables()
    reborn.publish({"t": ([(2,), (3,)], [])})
    near.add(reborn)
    eventually(lambda: same(mirror, reborn, "t"))
    assert mirror.events == [("gone", "tables"), ("back", "tables")]
    last = mirror.updates[-1]
    assert (last.snapshot, last.insertions, last.retractions) == (True, [(3,)], [(1,)])
    assert last.epoch == reborn.instance > tables.instance


def test_a_service_put_back_on_the_bus_is_subscribed_as_before(pair: Pair) -> None:
    near, tables, far, mirror = pair
    mirror.subscribe("tables", "t")
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    far.remove("mirror")
    near.remove("tables")
    far.add(mirror)
    near.add(tables)
    tables.put("t", (2,))
    eventually(lambda: same(mirror, tables, "t"))
    assert mirror.of("tables", "t") == {(1,), (2,)}


def meddling(chance: random.Random, kinds: tuple[type[Message], ...]) -> Callable[[Message], list[Message]]:
    """Loses, doubles and reorders messages of these kinds."""
    kept: list[Message] = []
    lock = threading.Lock()

    def tamper(message: Message) -> list[Message]:
        if not isinstance(message, kinds):
            return [message]
        with lock:
            fate = chance.random()
            if fate < 0.05:
                return []
            if fate < 0.15:
                return [message, message]
            if fate < 0.35:
                kept.append(message)
                return []
            batch = [message, *kept]
            kept.clear()
            chance.shuffle(batch)
            return batch

    return tamper


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bad_network_leaves_no_trace(pair: Pair, seed: int) -> None:
    near, tables, far, mirror = pair
    far.tamper = meddling(random.Random(seed), (Frame, Tip))
    near.tamper = meddling(random.Random(seed), (Want, Ack))
    mirror.subscribe("tables", "t")
    mirror.subscribe("tables", "u")
    for step in range(20):
        tables.churn("t", 10, seed=step)
        tables.churn("u", 5, seed=step, pause=0.005)
    far.tamper = near.tamper = None
    eventually(lambda: same(mirror, tables, "t") and same(mirror, tables, "u"))


def test_a_lost_last_change_is_found_without_another(pair: Pair) -> None:
    _, tables, far, mirror = pair
    mirror.subscribe("tables", "t")
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    far.tamper = lambda message: () if isinstance(message, Frame) else (message,)
    tables.put("t", (2,))
    time.sleep(0.1)
    far.tamper = None
    eventually(lambda: same(mirror, tables, "t"))


def test_a_gap_is_noticed_and_mended(pair: Pair) -> None:
    _, tables, far, mirror = pair
    mirror.subscribe("tables", "t")
    eventually(lambda: mirror.of("tables", "t") == set())
    far.tamper = lambda message: () if isinstance(message, Frame) and message.sequence == 2 else (message,)
    for number in range(5):
        tables.put("t", (number,))
    eventually(lambda: same(mirror, tables, "t"))
    assert [update.snapshot for update in mirror.updates] == [True, False, True]
    bus = mirror.bus
    assert bus.stats()["resyncs"] == mirror.resyncs == 1
    # Figures go on where a service has left, and where it comes back.
    handled = bus.stats()["handled_messages"]
    assert handled > 0
    bus.remove("mirror")
    assert bus.stats()["resyncs"] == 1
    assert bus.stats()["handled_messages"] >= handled
    bus.add(mirror)
    assert bus.stats()["resyncs"] == 1
    mirror.obstacle = lambda: 1 / 0
    tables.put("t", (9,))
    eventually(lambda: bus.stats()["resyncs"] >= 2)


def test_a_slow_subscriber_is_cut_off_and_catches_up(pair: Pair) -> None:
    _, tables, _, mirror = pair
    tables.window = Window(frames=10)
    gate = threading.Event()
    mirror.obstacle = lambda: gate.wait(20)
    mirror.subscribe("tables", "t")
    eventually(lambda: tables.subscribers("t"))
    tables.churn("t", 300, seed=3)
    assert mirror.waiting <= 30, "frames, and some announcements"
    gate.set()
    eventually(lambda: same(mirror, tables, "t"))
    assert len([update for update in mirror.updates if update.snapshot]) == 2
    assert len(mirror.updates) < 30
    tables.churn("t", 30, seed=4, pause=0.002)
    eventually(lambda: same(mirror, tables, "t"))


def test_a_subscriber_that_keeps_up_says_so_without_waiting_for_announcements(make_bus: MakeBus) -> None:
    bus = make_bus(heartbeat_interval=60.0)
    tables, mirror = Tables(), Mirror()
    tables.window = Window(frames=10)
    bus.add(tables)
    bus.add(mirror)
    mirror.subscribe("tables", "t")
    for step in range(30):
        tables.churn("t", 20, seed=step)
        eventually(lambda: same(mirror, tables, "t"))


def test_a_farewell_that_was_lost_is_found_out(pair: Pair) -> None:
    near, tables, _, mirror = pair
    mirror.subscribe("tables", "t")
    eventually(lambda: mirror.of("tables", "t") == set())
    near.tamper = lambda message: () if isinstance(message, Want) else (message,)
    mirror.unsubscribe("tables", "t")
    time.sleep(0.1)
    near.tamper = None
    eventually(lambda: not tables.subscribers("t"))


def test_a_slow_subscriber_does_not_hold_up_others(pair: Pair) -> None:
    near, tables, _, mirror = pair
    tables.window = Window(frames=10)
    quick, gate = Mirror("quick"), threading.Event()
    near.add(quick)
    mirror.obstacle = lambda: gate.wait(20)
    for one in (mirror, quick):
        one.subscribe("tables", "t")
    eventually(lambda: len(tables.subscribers("t")) == 2)
    for step in range(10):
        tables.churn("t", 8, seed=step)
        eventually(lambda: same(quick, tables, "t"))
    gate.set()
    eventually(lambda: same(mirror, tables, "t"))


def test_an_update_that_fails_comes_again(pair: Pair) -> None:
    _, tables, _, mirror = pair
    failures = iter([True, False, True, True])

    def stumble() -> None:
        if next(failures, False):
            raise ValueError("not this time")

    mirror.obstacle = stumble
    mirror.subscribe("tables", "t")
    for step in range(200):
        tables.churn("t", 2, seed=step, pause=0.02)
        if mirror.faults == 3:
            break
    eventually(lambda: same(mirror, tables, "t"))
    assert on_worker(mirror, lambda: set(mirror.copy_of("tables", "t"))) == tables.all("t")
    assert mirror.faults == 3


def test_a_node_taken_for_dead_is_forgotten_and_comes_back(pair: Pair) -> None:
    near, tables, far, mirror = pair
    mirror.subscribe("tables", "t")
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    far.dead = True
    eventually(lambda: tables.hooks == [("first", "t"), ("last", "t")])
    assert not near.has("mirror")
    tables.put("t", (2,))
    far.dead = False
    eventually(lambda: same(mirror, tables, "t"))


def test_a_publisher_whose_node_dies_is_gone_and_its_rows_stay(pair: Pair) -> None:
    near, tables, far, mirror = pair
    mirror.subscribe("tables", "t")
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    near.dead = True
    eventually(lambda: mirror.events == [("gone", "tables")])
    assert mirror.of("tables", "t") == {(1,)}
    successor = Tables()
    successor.publish({"t": ([(5,)], [])})
    far.add(successor)
    eventually(lambda: mirror.of("tables", "t") == {(5,)})


def test_a_subscriber_that_is_no_service_of_tables_is_no_trouble(pair: Pair) -> None:
    _, tables, far, mirror = pair
    far.add(Worker())
    mirror.subscribe("worker", "t")
    mirror.subscribe("tables", "t")
    tables.put("t", (1,))
    eventually(lambda: same(mirror, tables, "t"))
    assert far.call("worker", "echo", value=1) == 1
