# SPDX-License-Identifier: Apache-2.0
"""What publishers and subscribers say to each other; see :mod:`congress.bus.stream` for what it means."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from congress.bus.context import NO_IDS
from congress.datalog.values import Row


@dataclass(frozen=True, slots=True)
class Piece:
    """One table in a publication: its changes, or (snapshot) all its rows as insertions."""

    table: str
    snapshot: bool
    insertions: Sequence[Row]
    retractions: Sequence[Row] = ()

    @property
    def weight(self) -> int:
        """How many rows it holds."""
        return len(self.insertions) + len(self.retractions)


@dataclass(frozen=True, slots=True)
class Want:
    """From subscriber to publisher: the tables it wants on its stream.

    :ivar instance: which life of the subscriber asks.
    :ivar node: where it lives.
    :ivar revision: counts its wishes within the stream; the newest holds.
    :ivar tables: at which revision it came to want each table, and with it a snapshot.
    """

    publisher: str
    subscriber: str
    instance: str
    node: str
    stream: int
    revision: int
    tables: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """From publisher to subscriber: a publication, or a part of it.

    :ivar number: its place in the stream.
    :ivar revision: the subscriber's wish that it goes by.
    :ivar final: whether the publication is complete with it.
    :ivar confirm: whether an :class:`Ack` is asked for.
    """

    publisher: str
    subscriber: str
    epoch: str
    stream: int
    number: int
    revision: int
    sequence: int
    final: bool
    confirm: bool
    pieces: Sequence[Piece]
    ids: Mapping[str, str] = field(default_factory=lambda: NO_IDS)


@dataclass(frozen=True, slots=True)
class Tip:
    """From publisher to subscriber: the last number sent on a stream; -1 where it knows no such stream."""

    publisher: str
    subscriber: str
    stream: int
    number: int


@dataclass(frozen=True, slots=True)
class Ack:
    """From subscriber to publisher: everything up to this number was handled."""

    publisher: str
    subscriber: str
    instance: str
    stream: int
    number: int


@dataclass(frozen=True, slots=True)
class Window:
    """How much may be on its way to one subscriber: frames, and rows in them."""

    frames: int = 8192
    rows: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """A complete publication, as the subscriber gets it."""

    epoch: str
    sequence: int
    number: int
    confirm: bool
    pieces: Sequence[Piece]
    ids: Mapping[str, str]


def split(pieces: Sequence[Piece], chunk: int) -> Iterator[list[Piece]]:
    """The same rows in parts of at most so many; empty pieces stay, for an empty table is news too."""
    part: list[Piece] = []
    room = chunk
    for piece in pieces:
        inserted = retracted = 0
        while True:
            insertions = piece.insertions[inserted : inserted + room]
            room -= len(insertions)
            retractions = piece.retractions[retracted : retracted + room]
            room -= len(retractions)
            inserted += len(insertions)
            retracted += len(retractions)
            part.append(Piece(piece.table, piece.snapshot, insertions, retractions))
            if room == 0:
                yield part
                part, room = [], chunk
            if inserted + retracted == piece.weight:
                break
    if part:
        yield part


def join(parts: list[Piece]) -> list[Piece]:
    """The pieces of a publication, one for each table."""
    if len(parts) == 1 or len({part.table for part in parts}) == len(parts):
        return parts
    joined: dict[str, tuple[bool, list[Row], list[Row]]] = {}
    for part in parts:
        _, insertions, retractions = joined.setdefault(part.table, (part.snapshot, [], []))
        insertions.extend(part.insertions)
        retractions.extend(part.retractions)
    return [Piece(table, *rows) for table, rows in joined.items()]
