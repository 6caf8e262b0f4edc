# SPDX-License-Identifier: Apache-2.0
"""How messages cross a broker: many small ones in one parcel, a large one in parts, all as one string."""

import base64
import logging
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from congress.bus import codec, messages
from congress.bus.messages import Message

LOG = logging.getLogger(__name__)

PART: Final = 4_000_000
"""How many characters a broker is given at once."""
COMPRESS: Final = 16_384
"""From how many bytes on a parcel is compressed."""

Deliver = Callable[[Message, bool], None]


class Receiver:
    """The endpoint that a :class:`~congress.bus.oslo.Wire` calls; ends in ``deliver(message, remote)``."""

    INCOMPLETE = 16

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._parts: OrderedDict[str, dict[int, str]] = OrderedDict()

    def message(self, message: Message) -> None:
        """A message by reference."""
        self._deliver(message, False)

    def parcel(self, body: str) -> None:
        """Messages written down."""
        try:
            items = unwrap(body)
        except (ValueError, zlib.error) as error:
            LOG.error("bus.unreadable parcel=%.40r error=%s", body, error)
            return
        for item in items:
            try:
                message = messages.decode(item)
            # A message of a newer version, or from somebody else: the others in the parcel are still good.
            except Exception as error:  # noqa: BLE001
                LOG.error("bus.unreadable message=%.40r error=%s", item, error)
                continue
            self._deliver(message, True)

    def part(self, number: str, index: int, count: int, body: str) -> None:
        """A part of a parcel that was too large."""
        parts = self._parts.setdefault(number, {})
        parts[index] = body
        if len(parts) == count:
            del self._parts[number]
            self.parcel("".join(parts[i] for i in range(count)))
        elif len(self._parts) > self.INCOMPLETE:
            self._parts.popitem(last=False)


def parts(number: str, body: str) -> Iterator[dict[str, Any]]:
    """The arguments of :meth:`Receiver.part` for a large parcel."""
    count = -(-len(body) // PART)
    for index in range(count):
        piece = body[index * PART : (index + 1) * PART]
        yield {"number": number, "index": index, "count": count, "body": piece}


def wrap(bodies: Sequence[bytes]) -> str:
    """Messages written down, as one string: plain, or compressed where it pays."""
    readable_by_orjson = not any(body.startswith(b"~") for body in bodies)
    text = b"[" + b",".join(body.removeprefix(b"~") for body in bodies) + b"]"
    if not readable_by_orjson:
        text = b"~" + text
    if len(text) < COMPRESS:
        return text.decode()
    return "z" + base64.b64encode(zlib.compress(text, 1)).decode("ascii")


def unwrap(body: str) -> list[list[Any]]:
    """What :func:`wrap` was given, read."""
    text = zlib.decompress(base64.b64decode(body[1:])) if body.startswith("z") else body.encode()
    read = codec.loads(text)
    if not isinstance(read, list):
        raise ValueError("a parcel is a list")
    return read
