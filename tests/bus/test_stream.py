# SPDX-License-Identifier: Apache-2.0
"""The table protocol without threads: a network that loses, doubles, reorders and delays."""

from collections.abc import Mapping

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from congress.bus.context import NO_IDS
from congress.bus.stream import Ack, Batch, Frame, Inflow, Outflow, Piece, Tip, Want, Window

TABLES = ("a", "b", "c")
ROWS = st.integers(0, 5).map(lambda number: (number,))
Message = Want | Frame | Tip | Ack


def make_want(stream: int = 1) -> Want:
    return Want("p", "s", "s1", "n", stream, 1, {"a": 1})


def opened(*tables: str) -> tuple[Outflow, Inflow]:
    """Both ends of a stream on which the publisher has taken the wish but sent nothing yet."""
    inflow = Inflow("p", "s", "s1", "n")
    want = inflow.appeared(0.0)
    for table in tables:
        want = inflow.want(table, 0.0)
    assert want is not None
    outflow = Outflow(want, "e1", Window(), None)
    outflow.wants(want)
    return outflow, inflow


def whole(outflow: Outflow, **tables: list[tuple[int]]) -> list[Frame]:
    return outflow.whole(0, [Piece(table, True, rows) for table, rows in tables.items()], NO_IDS)


def change(outflow: Outflow, sequence: int, table: str, *rows: tuple[int]) -> list[Frame]:
    return outflow.send(sequence, [Piece(table, False, rows)], NO_IDS)


def rows_of(batches: list[Batch]) -> list[tuple[str, list[tuple[object, ...]]]]:
    return [(piece.table, list(piece.insertions)) for batch in batches for piece in batch.pieces]


def test_a_snapshot_and_then_changes() -> None:
    outflow, inflow = opened("a")
    got = [inflow.receive(frame, 1.0) for frame in whole(outflow, a=[(1,)]) + change(outflow, 1, "a", (2,))]
    assert [rows_of(batches) for batches in got] == [[("a", [(1,)])], [("a", [(2,)])]]
    assert not inflow.unsettled


def test_a_frame_seen_before_is_dropped() -> None:
    outflow, inflow = opened("a")
    (frame,) = whole(outflow, a=[(1,)])
    assert inflow.receive(frame, 1.0)
    assert inflow.receive(frame, 1.0) == []
    assert not inflow.unsettled


def test_frames_in_the_wrong_order_are_put_right() -> None:
    outflow, inflow = opened("a")
    frames = whole(outflow, a=[]) + change(outflow, 1, "a", (1,)) + change(outflow, 2, "a", (2,))
    assert inflow.receive(frames[2], 1.0) == []
    assert inflow.receive(frames[1], 1.0) == []
    assert rows_of(inflow.receive(frames[0], 1.0)) == [("a", []), ("a", [(1,)]), ("a", [(2,)])]


def test_a_missing_frame_leads_to_a_new_stream_after_some_patience() -> None:
    outflow, inflow = opened("a")
    frames = whole(outflow, a=[]) + change(outflow, 1, "a", (1,)) + change(outflow, 2, "a", (2,))
    inflow.receive(frames[0], 1.0)
    inflow.receive(frames[2], 1.0)
    assert inflow.check(1.5) is None
    want = inflow.check(2.1)
    assert want is not None
    assert want.stream == frames[0].stream + 1
    assert want.tables == {"a": 1}
    assert inflow.receive(frames[1], 2.2) == [], "the old stream is over"


def test_a_missing_last_frame_is_found_by_a_tip() -> None:
    outflow, inflow = opened("a")
    inflow.receive(whole(outflow, a=[])[0], 1.0)
    change(outflow, 1, "a", (1,))
    assert not inflow.unsettled
    inflow.tip(Tip("p", "s", inflow.stream, outflow.sent), 1.0)
    assert inflow.unsettled
    assert inflow.check(2.1) is not None


def test_a_stream_that_the_publisher_does_not_know_is_begun_anew_at_once() -> None:
    _, inflow = opened("a")
    want = inflow.tip(Tip("p", "s", inflow.stream, -1), 1.0)
    assert want is not None
    assert inflow.tip(Tip("p", "s", inflow.stream - 1, -1), 1.0) is None, "about an older stream"


def test_too_many_early_frames_need_no_patience() -> None:
    outflow, inflow = opened("a")
    whole(outflow, a=[])
    for sequence in range(Inflow.HELD + 1):
        for frame in change(outflow, sequence, "a", (sequence,)):
            inflow.receive(frame, 1.0)
    assert inflow.check(1.0) is not None


def test_frames_of_another_life_of_the_publisher_do_not_mix() -> None:
    outflow, inflow = opened("a")
    inflow.receive(whole(outflow, a=[])[0], 1.0)
    reborn = Outflow(make_want(stream=inflow.stream), "e2", Window(), None)
    reborn.wants(make_want(stream=inflow.stream))
    whole(reborn, a=[])
    assert [inflow.receive(frame, 1.0) for frame in change(reborn, 1, "a", (9,))] == [[]]


def test_it_asks_again_ever_more_seldom() -> None:
    _, inflow = opened("a")
    asked = [moment for moment in range(1, 100) if inflow.check(float(moment)) is not None]
    assert asked == [2, 6, 14, 30, 60, 90]


def test_after_a_failure_it_pauses_and_begins_anew() -> None:
    outflow, inflow = opened("a")
    (frame,) = whole(outflow, a=[(1,)])
    inflow.receive(frame, 1.0)
    inflow.failed(1.0)
    assert inflow.check(2.0) is None
    want = inflow.check(3.1)
    assert want is not None
    assert want.stream > frame.stream


def test_a_slow_subscriber_is_cut_and_gets_whole_tables_when_it_has_caught_up() -> None:
    want = make_want()
    outflow = Outflow(want, "e1", Window(frames=4), None)
    outflow.wants(want)
    sent = whole(outflow, a=[])
    for sequence in range(1, 20):
        sent += change(outflow, sequence, "a", (sequence,))
    assert len(sent) == 4
    assert outflow.cut
    assert all(frame.confirm for frame in sent)
    assert not outflow.ack(1)
    assert outflow.ack(2)
    assert not outflow.cut


def test_a_window_counts_rows_too() -> None:
    want = make_want()
    outflow = Outflow(want, "e1", Window(rows=10), None)
    outflow.wants(want)
    assert whole(outflow, a=[(n,) for n in range(50)]), "a snapshot goes whatever its size"
    assert change(outflow, 1, "a", (1,)) == []
    assert outflow.cut


@pytest.mark.parametrize("window", [Window(frames=n) for n in (1, 2, 3, 5, 8, 100)])
def test_the_acks_asked_for_always_free_a_cut_stream(window: Window) -> None:
    want = make_want()
    outflow = Outflow(want, "e1", window, None)
    outflow.wants(want)
    sent = whole(outflow, a=[])
    while not outflow.cut:
        sent += change(outflow, len(sent), "a", (1,))
    freed = [outflow.ack(frame.number) for frame in sent if frame.confirm]
    assert any(freed)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_large_publications_go_in_parts_and_come_whole(chunk: int) -> None:
    inflow = Inflow("p", "s", "s1", "n")
    want = inflow.appeared(0.0)
    for table in TABLES:
        want = inflow.want(table, 0.0)
    assert want is not None
    outflow = Outflow(want, "e1", Window(), chunk)
    outflow.wants(want)
    tables = {"a": [(n,) for n in range(10)], "b": [], "c": [(n,) for n in range(4)]}
    frames = outflow.whole(0, [Piece(table, True, rows) for table, rows in tables.items()], NO_IDS)
    assert all(sum(piece.weight for piece in frame.pieces) <= chunk for frame in frames)
    batches = [batch for frame in reversed(frames) for batch in inflow.receive(frame, 0.0)]
    assert len(batches) == 1
    assert dict(rows_of(batches)) == tables


def test_a_table_wanted_again_waits_for_its_new_snapshot() -> None:
    outflow, inflow = opened("a", "b")
    for frame in whole(outflow, a=[(1,)], b=[]):
        inflow.receive(frame, 0.0)
    late = change(outflow, 1, "a", (2,))
    inflow.unwant("a", 0.0)
    want = inflow.want("a", 0.0)
    assert want is not None
    assert rows_of(inflow.receive(late[0], 0.0)) == []
    assert outflow.wants(want) == {"a"}
    assert rows_of(inflow.receive(whole(outflow, a=[(1,), (2,)])[0], 0.0)) == [("a", [(1,), (2,)])]


def test_a_further_table_does_not_send_the_others_again() -> None:
    outflow, inflow = opened("a")
    late = whole(outflow, a=[(1,)])
    want = inflow.want("b", 0.0)
    assert want is not None
    assert outflow.wants(want) == {"b"}
    assert rows_of(inflow.receive(late[0], 0.0)) == [("a", [(1,)])]
    assert outflow.wants(want) is None, "asked again"


def test_an_old_snapshot_does_not_count_for_a_table_wanted_again() -> None:
    outflow, inflow = opened("a", "b")
    late = whole(outflow, a=[(1,)], b=[])
    inflow.unwant("a", 0.0)
    inflow.want("a", 0.0)
    assert rows_of(inflow.receive(late[0], 0.0)) == [("b", [])]
    assert inflow.settled == {"b"}


class StreamMachine(RuleBasedStateMachine):
    """A publisher and a subscriber over the worst of networks.

    At every moment each settled table of the subscriber is exactly what the publisher's was at the sequence
    number that the subscriber has reached; and when the network behaves for a while, it is what it is now.
    """

    network = Bundle("network")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.epoch = 1
        self.sequence = 0
        self.tables: dict[str, frozenset[tuple[int]]] = dict.fromkeys(TABLES, frozenset())
        self.history: dict[tuple[str, int], dict[str, frozenset[tuple[int]]]] = {}
        self.outflow: Outflow | None = None
        self.streams = 0
        self.inflow = Inflow("p", "s", "s1", "n")
        self.reached: tuple[str, int] | None = None
        self.copies: dict[str, frozenset[tuple[object, ...]]] = {}
        self.wire: list[Message] = []

    @initialize(chunk=st.sampled_from([None, 1, 3]), frames=st.sampled_from([1, 3, 8192]))
    def begin(self, chunk: int | None, frames: int) -> None:
        self.chunk, self.window = chunk, Window(frames=frames)
        self.record()
        self.put(self.inflow.appeared(self.now))

    def record(self) -> None:
        self.history[f"e{self.epoch}", self.sequence] = dict(self.tables)

    def put(self, *messages: Message | None) -> None:
        self.wire += [message for message in messages if message is not None]

    # What the publisher does.

    @rule(changes=st.dictionaries(st.sampled_from(TABLES), st.tuples(st.sets(ROWS), st.sets(ROWS)), min_size=1))
    def publish(self, changes: Mapping[str, tuple[set[tuple[int]], set[tuple[int]]]]) -> None:
        pieces = []
        for table, (insertions, retractions) in changes.items():
            old = self.tables[table]
            new = (old - retractions) | insertions
            self.tables[table] = frozenset(new)
            if old != new:
                pieces.append(Piece(table, False, list(new - old), list(old - new)))
        if pieces:
            self.sequence += 1
            self.record()
            if self.outflow is not None:
                self.put(*self.outflow.send(self.sequence, pieces, NO_IDS))

    @rule()
    def publisher_restarts(self) -> None:
        self.inflow.vanished()
        self.epoch += 1
        self.sequence = self.streams = 0
        self.outflow = None
        self.record()
        self.put(self.inflow.appeared(self.now))

    @rule()
    def publisher_forgets_the_subscriber(self) -> None:
        """As it does when the subscriber's node seemed dead for a while."""
        self.outflow = None

    def send_whole(self, tables: frozenset[str]) -> None:
        assert self.outflow is not None
        if tables:
            pieces = [Piece(table, True, list(self.tables[table])) for table in sorted(tables)]
            self.put(*self.outflow.whole(self.sequence, pieces, NO_IDS))

    def take_want(self, want: Want) -> None:
        outflow = self.outflow
        if want.stream > self.streams:
            self.streams = want.stream
            outflow = Outflow(want, f"e{self.epoch}", self.window, self.chunk)
        elif outflow is None or outflow.stream != want.stream:
            self.put(Tip("p", "s", want.stream, -1))
            return
        tables = outflow.wants(want)
        if tables is None:
            self.put(Tip("p", "s", want.stream, outflow.sent))
            return
        self.outflow = outflow if want.tables else None
        if self.outflow is not None:
            self.send_whole(tables)

    def take_ack(self, ack: Ack) -> None:
        outflow = self.outflow
        if outflow is not None and outflow.stream == ack.stream and outflow.ack(ack.number):
            self.send_whole(frozenset(outflow.tables))

    @rule()
    def census(self) -> None:
        """The subscriber's node announces how far it has come; announcements are repeated, so they are not
        lost.
        """
        if not self.inflow.number or not self.inflow.tables:
            return
        if self.outflow is None or self.outflow.stream < self.inflow.stream:
            self.put(Tip("p", "s", self.inflow.stream, -1))
        elif self.outflow.stream == self.inflow.stream:
            self.take_ack(Ack("p", "s", "s1", self.inflow.stream, self.inflow.number))
            if self.outflow.stalled(self.inflow.number):
                self.put(Tip("p", "s", self.outflow.stream, self.outflow.sent))

    # What the subscriber does.

    @rule(table=st.sampled_from(TABLES))
    def subscribe(self, table: str) -> None:
        self.put(self.inflow.want(table, self.now))

    @rule(table=st.sampled_from(TABLES))
    def unsubscribe(self, table: str) -> None:
        self.copies.pop(table, None)
        self.put(self.inflow.unwant(table, self.now))

    @rule()
    def update_fails(self) -> None:
        self.inflow.failed(self.now)

    @rule(seconds=st.floats(0.1, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.put(self.inflow.check(self.now))

    def take_frame(self, frame: Frame) -> None:
        for batch in self.inflow.receive(frame, self.now):
            before = self.reached
            assert before is None or before[0] != batch.epoch or batch.sequence >= before[1]
            self.reached = (batch.epoch, batch.sequence)
            for piece in batch.pieces:
                if piece.snapshot:
                    self.copies[piece.table] = frozenset(piece.insertions)
                else:
                    copy = self.copies[piece.table]
                    assert not copy & set(piece.insertions)
                    assert copy >= set(piece.retractions)
                    self.copies[piece.table] = (copy - set(piece.retractions)) | set(piece.insertions)
            if batch.confirm:
                self.put(Ack("p", "s", "s1", self.inflow.stream, batch.number))

    # What the network does.

    def take(self, message: Message) -> None:
        if isinstance(message, Want):
            self.take_want(message)
        elif isinstance(message, Frame):
            self.take_frame(message)
        elif isinstance(message, Tip):
            self.put(self.inflow.tip(message, self.now))
        else:
            self.take_ack(message)

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, min(3, len(self.wire) - 1)), "which")
        self.take(self.wire.pop(index))

    @precondition(lambda self: self.wire)
    @rule()
    def deliver_the_oldest(self) -> None:
        self.take(self.wire.pop(0))

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.wire.pop(data.draw(st.integers(0, len(self.wire) - 1), "which"))

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def double(self, data: st.DataObject) -> None:
        self.wire.append(self.wire[data.draw(st.integers(0, len(self.wire) - 1), "which")])

    @invariant()
    def settled_tables_are_as_they_were_at_that_moment(self) -> None:
        if self.reached is not None:
            for table in self.inflow.settled:
                assert self.copies[table] == self.history[self.reached][table]

    def teardown(self) -> None:
        """The network behaves from here on."""
        for _ in range(60):
            while self.wire:
                self.take(self.wire.pop(0))
            self.census()
            self.time_passes(1.0)
        assert self.inflow.settled == self.inflow.tables
        for table in self.inflow.tables:
            assert self.copies[table] == self.tables[table]


StreamMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestStream = StreamMachine.TestCase
