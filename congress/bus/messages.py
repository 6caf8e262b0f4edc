# SPDX-License-Identifier: Apache-2.0
"""What travels between nodes besides the frames of :mod:`congress.bus.frames`, and how all of it is written
down.

A message between processes is a JSON array whose first item names its kind; see :mod:`congress.bus.codec`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeAlias

from congress.bus import codec, frames
from congress.bus.context import NO_IDS


@dataclass(frozen=True, slots=True)
class Request:
    """A call, or a cast (nobody waits for the answer).

    :ivar id: unique; a repeated request has the same.
    :ivar key: the idempotency key.
    :ivar reply_to: the node that wants a :class:`Reply`; empty where none is wanted.
    :ivar ttl: seconds it may wait before it is begun.
    """

    id: str
    key: str
    source: str
    reply_to: str
    target: str
    method: str
    args: Mapping[str, Any]
    ttl: float
    cast: bool
    ids: Mapping[str, str] = field(default_factory=lambda: NO_IDS)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request: a value, or an error."""

    id: str
    value: Any = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """A node tells all others that it is there.

    :ivar revision: counts the node's announcements; an older one that comes late is ignored.
    :ivar services: instance ids by service name.
    :ivar flows: how far its subscribers have come: ``{(publisher, subscriber): (instance, stream, number)}``.
    :ivar hello: it is new here and wants to hear from everybody.
    :ivar leaving: it is going.
    """

    node: str
    revision: int
    services: Mapping[str, str]
    flows: Mapping[tuple[str, str], tuple[str, int, int]]
    hello: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """Nothing; sent to oneself so that a reader that waits for something gets it."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Within a process: a service has come to the bus."""

    name: str
    instance: str
    node: str


@dataclass(frozen=True, slots=True)
class Left:
    """Within a process: a service is gone."""

    name: str
    instance: str
    node: str


@dataclass(frozen=True, slots=True)
class Census:
    """Within a process: what a node says of the streams that one publisher has with it.

    :ivar flows: ``{subscriber: (instance, stream, number)}``.
    """

    node: str
    flows: Mapping[str, tuple[str, int, int]]


Message: TypeAlias = Request | Reply | Presence | Wake | frames.Want | frames.Frame | frames.Tip | frames.Ack

_KINDS: Final[dict[str, type[Any]]] = {
    "request": Request,
    "reply": Reply,
    "presence": Presence,
    "wake": Wake,
    "want": frames.Want,
    "tip": frames.Tip,
    "ack": frames.Ack,
}
_NAMES: Final = {cls: name for name, cls in _KINDS.items()}
_FIELDS: Final = {cls: tuple(item.name for item in fields(cls)) for cls in _NAMES}


def encode(message: Message) -> bytes:
    """A message written down.

    :raises NotPortable: it holds something that cannot travel.
    """
    if isinstance(message, frames.Frame):
        return codec.dumps(_from_frame(message))
    kind = type(message)
    return codec.dumps([_NAMES[kind], *(codec.pack(getattr(message, name)) for name in _FIELDS[kind])])


def decode(item: list[Any]) -> Message:
    """The message for an array read back by :func:`congress.bus.codec.loads`."""
    kind, *values = item
    if kind == "frame":
        return _to_frame(values)
    message: Message = _KINDS[kind](*map(codec.unpack, values))
    return message


def _from_frame(frame: frames.Frame) -> list[Any]:
    """By hand, for its rows are known to be rows and there may be very many."""
    pieces = [[piece.table, piece.snapshot, piece.insertions, piece.retractions] for piece in frame.pieces]
    return [
        "frame",
        frame.publisher,
        frame.subscriber,
        frame.epoch,
        frame.stream,
        frame.number,
        frame.revision,
        frame.sequence,
        frame.final,
        frame.confirm,
        pieces,
        dict(frame.ids),
    ]


def _to_frame(values: list[Any]) -> frames.Frame:
    (
        publisher,
        subscriber,
        epoch,
        number_of_stream,
        number,
        revision,
        sequence,
        final,
        confirm,
        pieces,
        ids,
    ) = values
    made = [
        frames.Piece(table, snapshot, codec.unpack_rows(insertions), codec.unpack_rows(retractions))
        for table, snapshot, insertions, retractions in pieces
    ]
    return frames.Frame(
        publisher,
        subscriber,
        epoch,
        number_of_stream,
        number,
        revision,
        sequence,
        final,
        confirm,
        made,
        ids,
    )
