# SPDX-License-Identifier: Apache-2.0
"""Requests on their way: those this node waits for, and those it has taken from others."""

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from congress.bus.errors import BusError, NotFound, Overloaded, PeerLost, Timeout
from congress.bus.messages import Reply, Request


@dataclass(slots=True)
class Pending:
    """A request of this node that was not answered yet.

    :ivar future: where the answer goes; None for a cast.
    :ivar node: where it was sent.
    :ivar deadline: the moment at which it is given up.
    :ivar again_at: the moment at which it is sent again.
    """

    request: Request
    node: str
    deadline: float
    again_at: float
    pause: float
    future: "Future[Any] | None" = field(default=None)

    def settle(self, value: Any = None, error: BaseException | None = None) -> None:
        """Give the answer to whoever waits."""
        if self.future is None or not self.future.set_running_or_notify_cancel():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)


class Calls:
    """This node's requests that wait for an answer.  Any thread."""

    FIRST_PAUSE = 3.0
    """Seconds without an answer after which a request is sent again; doubled each time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[str, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, request: Request, node: str, now: float) -> Pending:
        """A request is about to be sent."""
        future = None if request.cast else Future[Any]()
        pause = self.FIRST_PAUSE
        pending = Pending(request, node, now + request.ttl, now + pause, pause, future)
        with self._lock:
            self._pending[request.id] = pending
        return pending

    def close(self, number: str) -> Pending | None:
        """A request is over.  :returns: it, or None where it was over before."""
        with self._lock:
            return self._pending.pop(number, None)

    def answer(self, reply: Reply) -> None:
        """An answer came.  A cast that was refused stays, to be sent again."""
        with self._lock:
            pending = self._pending.get(reply.id)
            if pending is None or (pending.future is None and isinstance(reply.error, NotFound | Overloaded)):
                return
            del self._pending[reply.id]
        pending.settle(reply.value, reply.error)

    def lose(self, node: str) -> None:
        """A node is gone: its calls end; its casts stay, to be sent to wherever their service comes back."""
        with self._lock:
            lost = [p for p in self._pending.values() if p.node == node and p.future is not None]
            for pending in lost:
                del self._pending[pending.request.id]
        for pending in lost:
            request = pending.request
            pending.settle(error=PeerLost(f"{request.target} vanished during {request.method}"))

    def due(self, now: float) -> tuple[list[Pending], list[Pending]]:
        """:returns: the requests to send again now, and those given up."""
        again, late = [], []
        with self._lock:
            for pending in self._pending.values():
                if now >= pending.deadline:
                    late.append(pending)
                elif now >= pending.again_at:
                    pending.pause *= 2
                    pending.again_at = now + pending.pause
                    again.append(pending)
            for pending in late:
                del self._pending[pending.request.id]
        for pending in late:
            pending.settle(error=timed_out(pending.request))
        return again, late

    def fail_all(self, error: BusError) -> None:
        """The bus stops: nobody need wait any longer."""
        with self._lock:
            everything = list(self._pending.values())
            self._pending.clear()
        for pending in everything:
            pending.settle(error=error)


def timed_out(request: Request) -> Timeout:
    """The error for a request that was not answered in time."""
    return Timeout(f"no answer from {request.target} to {request.method} within {request.ttl:g} s")


class Taken:
    """Requests taken from other nodes, so that one that comes again is not carried out again.  Any thread.

    Remembers the last few thousand.  Of their answers, kept to be given again, the oldest are dropped when
    they take too much room: better no answer than the work done twice.
    """

    REQUESTS = 4096
    ANSWER_BYTES = 32 * 1024 * 1024

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, None] = OrderedDict()
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def take(self, number: str) -> tuple[bool, bytes | None]:
        """:returns: whether this request is new, and otherwise its answer, written down, if there is one."""
        with self._lock:
            if number in self._taken:
                return False, self._answers.get(number)
            self._taken[number] = None
            while len(self._taken) > self.REQUESTS:
                self._drop_answer(self._taken.popitem(last=False)[0])
            return True, None

    def answered(self, number: str, answer: bytes) -> None:
        """A request was answered."""
        with self._lock:
            if number not in self._taken:
                return
            self._answers[number] = answer
            self._bytes += len(answer)
            while self._bytes > self.ANSWER_BYTES:
                self._drop_answer(next(iter(self._answers)))

    def forget(self, number: str) -> None:
        """A request was refused: when it comes again it is as new."""
        with self._lock:
            self._taken.pop(number, None)
            self._drop_answer(number)

    def _drop_answer(self, number: str) -> None:
        self._bytes -= len(self._answers.pop(number, b""))
