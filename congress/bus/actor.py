# SPDX-License-Identifier: Apache-2.0
"""An inbox, a worker thread that takes from it, and timers that run on that thread."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from congress.bus import context

LOG = logging.getLogger(__name__)


def text_of(error: BaseException) -> str:
    """What an error says; some cannot even say anything."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a text is not worth a service
        return "(it has no text)"


class Timer:
    """A function to run on an actor's worker thread at a moment to come."""

    __slots__ = ("_cancelled", "_function", "ids", "when")

    def __init__(self, when: float, function: Callable[[], object]) -> None:
        self.when = when
        self.ids = context.ids()
        self._function = function
        self._cancelled = False

    def cancel(self) -> None:
        """Have it not run, unless it runs already.  Any thread."""
        self._cancelled = True

    def run(self) -> None:
        """Run it now, unless it was cancelled."""
        if not self._cancelled:
            self._function()


class _Job:
    """A function given to the worker."""

    __slots__ = ("function", "ids")

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.ids = context.ids()


class _Stop:
    """Wakes the worker so that it sees that it is to stop."""


_STOP: Final = _Stop()


class Actor:
    """One inbox, one worker thread, one message at a time.

    :ivar faults: how many exceptions escaped what the worker ran.
    :ivar handled: how many messages it took.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults = 0
        self.handled = 0
        self.last_fault = ""
        self._inbox: SimpleQueue[object] = SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._tie = itertools.count()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many messages wait in the inbox.  Any thread."""
        return self._inbox.qsize()

    @property
    def on_worker(self) -> bool:
        """Whether the calling thread is this actor's worker."""
        return self._thread is threading.current_thread()

    def post(self, message: object) -> None:
        """Put a message into the inbox.  Any thread; does not block."""
        self._inbox.put(message)
        if self._ended:
            self._drain()

    def submit(self, function: Callable[..., object], *args: object) -> None:
        """Have the worker thread run ``function(*args)``, after the messages that came before.

        Any thread.
        """
        self._inbox.put(_Job((lambda: function(*args)) if args else function))

    def after(self, seconds: float, function: Callable[..., object], *args: object) -> Timer:
        """Have the worker thread run ``function(*args)`` in so many seconds.  Any thread.

        Not before; later by as long as the worker is busy with something else.
        """
        timer = Timer(time.monotonic() + seconds, (lambda: function(*args)) if args else function)
        if self.on_worker:
            self._arm(timer)
        else:
            self._inbox.put(timer)
        return timer

    def on_start(self) -> None:
        """Hook: first thing on the worker thread."""

    def on_stop(self) -> None:
        """Hook: last thing on the worker thread."""

    def _arm(self, timer: Timer) -> None:
        heapq.heappush(self._timers, (timer.when, next(self._tie), timer))

    def _reopen(self) -> None:
        """Take messages again, for a worker to come."""
        self._stopping = self._ended = False

    def _start_worker(self) -> None:
        self._thread = threading.Thread(target=self._work, name=f"service {self.name}", daemon=True)
        self._thread.start()

    def _ask_to_stop(self) -> None:
        """Have the worker end after what it does now; returns at once."""
        self._stopping = True
        self._inbox.put(_STOP)

    def _join(self, timeout: float) -> bool:
        """Wait for the worker to end.  From the worker itself there is nothing to wait for."""
        if self._thread is None or self.on_worker:
            return True
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _work(self) -> None:
        # What is no Exception (SystemExit, say) ends the thread; who waits for an answer gets one all the same.
        try:
            self._take_messages()
        finally:
            self._timers.clear()
            self._ended = True
            self._drain()

    def _take_messages(self) -> None:
        self._guarded(self.on_start)
        while not self._stopping:
            message = self._next()
            if message is not None:
                self.handled += 1
                self._take(message)
            if self._timers:
                self._run_due()
        self._guarded(self.on_stop)

    def _drain(self) -> None:
        """Refuse what came too late."""
        while True:
            try:
                self._refuse(self._inbox.get_nowait())
            except Empty:
                return

    def _next(self) -> object | None:
        """The next message, or None when a timer is due before one comes."""
        try:
            if not self._timers:
                return self._inbox.get()
            return self._inbox.get(timeout=max(0.0, self._timers[0][0] - time.monotonic()))
        except Empty:
            return None

    def _take(self, message: object) -> None:
        if isinstance(message, _Job):
            self._guarded(message.function, message.ids)
        elif isinstance(message, Timer):
            self._arm(message)
        elif message is not _STOP:
            self._guarded(partial(self._handle, message))

    def _run_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now and not self._stopping:
            timer = heapq.heappop(self._timers)[2]
            self._guarded(timer.run, timer.ids)

    def _handle(self, message: object) -> None:
        """Handle a message of a kind of the subclass's own."""
        raise TypeError(f"{self.name} cannot handle {message!r:.200}")

    def _refuse(self, message: object) -> None:
        """A message that was still in the inbox when the worker ended."""

    def _guarded(self, function: Callable[[], object], ids: context.Ids = context.NO_IDS) -> bool:
        """Run something; an exception ends here: logged with the actor's name, and counted.

        :returns: whether it went well.
        """
        token = context.enter(ids)
        try:
            function()
        except Exception as error:  # noqa: BLE001  # the boundary at which a service's fault is cut
            self._fault(error)
            return False
        finally:
            context.leave(token)
        return True

    def _fault(self, error: Exception) -> None:
        self.faults += 1
        self.last_fault = f"{type(error).__name__}: {text_of(error)}"
        LOG.error("service.fault service=%s error=%s", self.name, self.last_fault, exc_info=error)
