# SPDX-License-Identifier: Apache-2.0
"""What waits for the clients of streams: events, snapshots, and how many bytes of both there may be.

Half of the memory that the option ``[api] stream_memory`` grants is divided among the streams, for changes that wait;
the other half is common, for snapshots and for changes too big for one stream's part.  What several streams wait for is
there once.  Where the common half is empty, one item of any size is let in: else a big table could never be followed.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from congress.api.encoding import dumps
from congress.datalog.values import Row

PIECE: Final = 64 * 1024  # bytes of a snapshot that are written at a time, about
_SAMPLE: Final = 64  # rows that are weighed; the others are taken to be alike


class Item:
    """Something that waits for clients.  ``weight`` says how many bytes it keeps in memory, about."""

    __slots__ = ("__weakref__", "holders", "id", "name", "weight")

    def __init__(self, name: str, state: str, weight: int) -> None:
        self.name = name
        self.id = state
        self.weight = weight
        self.holders = 0  # streams that wait for it, as far as the common memory counts them

    def pieces(self) -> Iterator[bytes]:
        """The item as ``text/event-stream`` has it."""
        raise NotImplementedError


class Event(Item):
    """A change, or what became of a service; written down once for all clients."""

    __slots__ = ("_text",)

    def __init__(self, name: str, state: str, data: dict[str, Any]) -> None:
        self._text = _head(name, state) + dumps(data) + b"\n\n"
        super().__init__(name, state, len(self._text))

    def pieces(self) -> Iterator[bytes]:
        yield self._text


class Snapshot(Item):
    """All rows of a table at one moment; written down piece by piece, as a client reads.

    It refers to the rows.  Its weight counts them too: the table may lose them while a client still reads.
    """

    __slots__ = ("_rows", "_table")

    def __init__(self, table: str, state: str, rows: Sequence[Row]) -> None:
        super().__init__("snapshot", state, weigh(rows))
        self._table = table
        self._rows = rows

    def pieces(self) -> Iterator[bytes]:
        rows = self._rows
        text = _head(self.name, self.id) + dumps({"table": self._table, "rows": []})[:-2]
        start, step = 0, _SAMPLE
        while start < len(rows):
            encoded = dumps(rows[start : start + step])[1:-1]
            text += b"," + encoded if start else encoded
            start += step
            step = max(1, PIECE * step // max(1, len(encoded)))
            if len(text) >= PIECE:
                yield text
                text = b""
        yield text + b"]}\n\n"


def _head(name: str, state: str) -> bytes:
    return (f"event: {name}\n" + (f"id: {state}\n" if state else "") + "data: ").encode()


def weigh(rows: Sequence[Row]) -> int:
    """Bytes that a sequence of rows takes, with the rows and their values; from a sample of them."""
    sample = list(islice(rows, 0, None, max(1, len(rows) // _SAMPLE)))
    size = sys.getsizeof
    taken = sum(size(row) + sum(map(size, row)) for row in sample)
    return 8 * len(rows) + (taken * len(rows) // len(sample) if sample else 0)


class Room:
    """The common memory: items are held in it for as long as any stream waits for them.  Any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self.used = 0

    def hold(self, item: Item) -> bool:
        """Hold it for one more stream.  :returns: False when there is no room."""
        with self._lock:
            if not item.holders:
                if self.used and self.used + item.weight > self._limit:
                    return False
                self.used += item.weight
            item.holders += 1
            return True

    def let_go(self, item: Item) -> None:
        """One stream less waits for it."""
        with self._lock:
            item.holders -= 1
            if not item.holders:
                self.used -= item.weight
