# SPDX-License-Identifier: Apache-2.0
"""The ids that travel with every message: of the request, the poll, the execution.

Whoever starts something binds an id; each call, cast and publication made under it carries it along, and
handlers run under the ids of the message they handle.  Logs read :func:`ids`.

    >>> with bind(poll_id="p-17"):
    ...     ids()["poll_id"]
    'p-17'
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

Ids = Mapping[str, str]

NO_IDS: Final[Ids] = MappingProxyType({})
_ids: ContextVar[Ids] = ContextVar("congress_bus_ids", default=NO_IDS)


def ids() -> Ids:
    """The ids in force on this thread, such as ``{"request_id": "...", "idempotency_key": "..."}``; read
    only.
    """
    return _ids.get()


@contextmanager
def bind(**more: str) -> Iterator[Ids]:
    """Have these ids in force, beside those that are already, until the block ends."""
    merged = {**_ids.get(), **more}
    token = _ids.set(merged)
    try:
        yield merged
    finally:
        _ids.reset(token)


enter: Final = _ids.set
"""Have just these ids in force (those of a message being handled); gives what :data:`leave` takes."""
leave: Final = _ids.reset
"""Have those in force again that were before the :data:`enter` which gave this token."""
