# SPDX-License-Identifier: Apache-2.0
"""The protocol between one publisher and one subscriber, as pure data and state: no threads, no I/O, no
clock.

A *stream* carries the publications of one publisher to one subscriber as numbered frames, from 1 on without a
hole.  The subscriber says which tables it wants (:class:`Want`); the publisher answers in the stream with
whole tables first and changes after.  What the subscriber does about trouble is always the same and always
safe: it begins a new stream, whose number is one higher, and gets whole tables again.  It begins one when

* a frame is missing: a later one, or a :class:`Tip`, proves it, and waiting did not bring it;
* the publisher has a new life (another epoch), or came back;
* its own code refused an update.

A frame seen before is dropped; a frame that came early is held until those before it have come.  Against a
slow subscriber the publisher counts what is on its way (:class:`Window`): beyond the bound it cuts, that is,
sends nothing more, and once the subscriber has caught up sends whole tables in the same stream.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from congress.bus.frames import Ack, Batch, Frame, Piece, Tip, Want, Window, join, split

__all__ = ["Ack", "Batch", "Frame", "Inflow", "Outflow", "Piece", "Tip", "Want", "Window"]


class Outflow:
    """The publisher's end of one stream."""

    def __init__(self, want: Want, epoch: str, window: Window, chunk: int | None = None) -> None:
        """:param chunk: how many rows a frame may hold; None where frames go by reference."""
        self.publisher = want.publisher
        self.subscriber = want.subscriber
        self.instance = want.instance
        self.node = want.node
        self.stream = want.stream
        self.revision = 0
        self.tables: Mapping[str, int] = {}
        self.sent = 0
        self.acked = 0
        self.cut = False
        self.cuts = 0
        self.missing = 0
        """How many censuses of its node in a row did not know this stream."""
        self._seen = (0, 0)
        self._stalled = 0
        self._epoch = epoch
        self._window = window
        self._chunk = chunk
        self._unacked: deque[tuple[int, int]] = deque()
        self._rows = 0
        self._rows_unasked = 0
        self._frames_unasked = 0

    def wants(self, want: Want) -> frozenset[str] | None:
        """Take the subscriber's wish on this stream.

        :returns: the tables that it is to get whole now; None when the wish is no newer than the one known.
        """
        if want.revision <= self.revision:
            return None
        whole = [table for table, revision in want.tables.items() if revision > self.tables.get(table, 0)]
        self.revision, self.tables = want.revision, dict(want.tables)
        return frozenset(() if self.cut else whole)

    def send(self, sequence: int, pieces: Sequence[Piece], ids: Mapping[str, str]) -> list[Frame]:
        """The frames for a publication: none where nothing of it is wanted, or where the stream is or now
        gets cut.
        """
        if self.cut:
            return []
        wanted = [piece for piece in pieces if piece.table in self.tables]
        if not wanted:
            return []
        if len(self._unacked) >= self._window.frames or self._rows >= self._window.rows:
            self.cut = True
            self.cuts += 1
            return []
        return self._frames(sequence, wanted, ids)

    def whole(self, sequence: int, pieces: Sequence[Piece], ids: Mapping[str, str]) -> list[Frame]:
        """The frames for whole tables; they go whatever is on its way."""
        return self._frames(sequence, pieces, ids)

    def ack(self, number: int) -> bool:
        """The subscriber has handled everything up to this number.

        :returns: whether the stream was cut and whole tables are due now.
        """
        if number > self.sent:
            return False
        while self._unacked and self._unacked[0][0] <= number:
            self._rows -= self._unacked.popleft()[1]
        self.acked = max(self.acked, number)
        if not self.cut or len(self._unacked) > self._window.frames // 2 or self._rows > self._window.rows // 2:
            return False
        self.cut = False
        return True

    def stalled(self, number: int) -> bool:
        """A census says that the subscriber has come this far.

        :returns: whether to tell it how far the stream goes: it makes no progress, so something may be lost.
            It is told ever more seldom, for it may be merely slow.
        """
        before, self._seen = self._seen, (number, self.sent)
        self._stalled = self._stalled + 1 if number < self.sent and before == self._seen else 0
        return self._stalled >= 2 and self._stalled.bit_count() == 1

    def _frames(self, sequence: int, pieces: Sequence[Piece], ids: Mapping[str, str]) -> list[Frame]:
        parts = [pieces] if self._chunk is None else list(split(pieces, self._chunk))
        frames = []
        for index, part in enumerate(parts, 1):
            self.sent += 1
            weight = sum(piece.weight for piece in part)
            self._unacked.append((self.sent, weight))
            self._rows += weight
            frames.append(
                Frame(
                    self.publisher,
                    self.subscriber,
                    self._epoch,
                    self.stream,
                    self.sent,
                    self.revision,
                    sequence,
                    index == len(parts),
                    self._confirm(weight),
                    part,
                    ids,
                )
            )
        return frames

    def _confirm(self, weight: int) -> bool:
        """Ask for an ack each quarter of the window: then half of it is free again before the rest is
        handled.
        """
        self._frames_unasked += 1
        self._rows_unasked += weight
        if self._frames_unasked * 4 < self._window.frames and self._rows_unasked * 4 < self._window.rows:
            return False
        self._frames_unasked = self._rows_unasked = 0
        return True


class Inflow:
    """The subscriber's end: the streams it has had with one publisher, of which the newest counts."""

    HELD = 256
    """How many frames that came early are held."""
    PATIENCE = 1.0
    """Seconds to wait for a missing frame."""
    PAUSES = (2.0, 4.0, 8.0, 16.0, 30.0)
    """Seconds to wait for an answer, or after a failure, by how often that was done already."""

    def __init__(self, publisher: str, subscriber: str, instance: str, node: str) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.instance = instance
        self.node = node
        self.present = False
        self.stream = 0
        self.number = 0
        self.settled: set[str] = set()
        self.resyncs = 0
        """How often it had to begin anew for something that was lost, cut or could not be applied."""
        self._revision = 0
        self._wanted: dict[str, int] = {}
        self._epoch: str | None = None
        self._held: dict[int, Frame] = {}
        self._parts: list[Piece] = []
        self._gap_since: float | None = None
        self._asked_at = 0.0
        self._tries = 0
        self._resume_at: float | None = None

    @property
    def tables(self) -> frozenset[str]:
        """The tables wanted."""
        return frozenset(self._wanted)

    @property
    def unsettled(self) -> bool:
        """Whether something is waited for, so that :meth:`check` may come to have something to say."""
        waiting = self.present and self.settled != self._wanted.keys()
        return self._resume_at is not None or self._gap_since is not None or waiting

    def want(self, table: str, now: float) -> Want | None:
        """Want a table.  :returns: what to tell the publisher, if it is there."""
        if table in self._wanted:
            return None
        if not self._wanted:
            self._renew()
        self._revision += 1
        self._wanted[table] = self._revision
        return self._ask(now)

    def unwant(self, table: str, now: float) -> Want | None:
        """Want a table no more.  :returns: what to tell the publisher, if it is there."""
        if self._wanted.pop(table, None) is None:
            return None
        self.settled.discard(table)
        self._revision += 1
        return self._ask(now)

    def appeared(self, now: float) -> Want | None:
        """The publisher is there, in whatever life.  :returns: what to tell it."""
        self.present = True
        self._tries = 0
        return self._restart(now)

    def vanished(self) -> None:
        """The publisher is gone; what it sent before still counts."""
        self.present = False
        self._gap_since = None

    def failed(self, now: float) -> None:
        """An update could not be applied: begin anew after a pause; until then nothing is taken."""
        self._resume_at = now + self._pause()
        self._tries += 1
        self.resyncs += 1
        self._renew()

    def receive(self, frame: Frame, now: float) -> list[Batch]:
        """Take a frame.  :returns: the publications that are complete now and next in line."""
        if frame.stream != self.stream or frame.number <= self.number:
            return []
        if self._epoch is not None and frame.epoch != self._epoch:
            return []
        self._held[frame.number] = frame
        batches = []
        while (following := self._held.pop(self.number + 1, None)) is not None:
            self._epoch = following.epoch
            self.number += 1
            self._parts += following.pieces
            if following.final:
                batches.append(self._complete(following))
        if not self._held:
            self._gap_since = None
        elif self._gap_since is None:
            self._gap_since = now
        return batches

    def tip(self, tip: Tip, now: float) -> Want | None:
        """The publisher says how far it has sent.  :returns: what to tell it."""
        if tip.stream != self.stream or self._resume_at is not None:
            return None
        if tip.number < 0:
            self.resyncs += 1
            return self._restart(now)
        if tip.number > self.number and self._gap_since is None:
            self._gap_since = now
        return None

    def check(self, now: float) -> Want | None:
        """To be called about every half second.  :returns: what to tell the publisher now, if anything."""
        if self._resume_at is not None:
            if now < self._resume_at:
                return None
            self._resume_at = None
            return self._restart(now)
        if not self.present:
            return None
        lost = self._gap_since is not None and now - self._gap_since >= self.PATIENCE
        if lost or len(self._held) > self.HELD:
            self.resyncs += 1
            return self._restart(now)
        if self.settled != self._wanted.keys() and now - self._asked_at >= self._pause():
            self._tries += 1
            return self._ask(now)
        return None

    def _complete(self, frame: Frame) -> Batch:
        """The publication that this frame completes, as far as it is about tables wanted."""
        pieces, self._parts = join(self._parts), []
        self._tries = 0
        kept = []
        for piece in pieces:
            if frame.revision < self._wanted.get(piece.table, frame.revision + 1):
                continue
            if piece.snapshot:
                self.settled.add(piece.table)
            if piece.table in self.settled:
                kept.append(piece)
        return Batch(frame.epoch, frame.sequence, frame.number, frame.confirm, kept, frame.ids)

    def _pause(self) -> float:
        return self.PAUSES[min(self._tries, len(self.PAUSES) - 1)]

    def _restart(self, now: float) -> Want | None:
        self._renew()
        return self._ask(now)

    def _renew(self) -> None:
        """The next stream: whatever comes on older ones is dropped from here on."""
        self.stream += 1
        self.number = 0
        self._revision = 1
        self._wanted = dict.fromkeys(self._wanted, 1)
        self._epoch = None
        self.settled = set()
        self._held.clear()
        self._parts = []
        self._gap_since = None

    def _ask(self, now: float) -> Want | None:
        if not self.present or self._resume_at is not None:
            return None
        self._asked_at = now
        return Want(
            self.publisher,
            self.subscriber,
            self.instance,
            self.node,
            self.stream,
            self._revision,
            dict(self._wanted),
        )
