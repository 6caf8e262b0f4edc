# SPDX-License-Identifier: Apache-2.0
"""Waiting for signals to stop, without missing one.

The system may hand a signal to any thread of the process.  Python's handler runs on the main thread, but nothing wakes
that thread when it waits for a lock and another one was handed the signal: it sleeps on.  So the main thread waits on a
pipe here, into which Python's own handler in C writes whichever thread it runs on.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

TOGETHER: Final = 0.5
"""Seconds within which signals are one: ``timeout`` and terminals signal a process and its group."""


class StopSignals:
    """SIGTERM, SIGINT and SIGHUP: the first one is waited for, a later one ends the process at once.

    Main thread only; one object in a process.
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._reading, self._writing = os.pipe()
        for end in (self._reading, self._writing):
            os.set_blocking(end, end == self._reading)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def wait(self) -> None:
        """Block until one came."""
        while self._first is None:
            os.read(self._reading, 64)

    def attend(self, work: Callable[[], object]) -> None:
        """Have ``work`` done on a thread; until it is done, another signal ends the process at once."""
        thread = threading.Thread(target=self._work, args=(work,), name="stopping")
        thread.start()
        while thread.is_alive():
            os.read(self._reading, 64)
            thread.join(0.02)

    def _work(self, work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            os.write(self._writing, b"\0")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = (number, now)
        elif now - self._first[1] > TOGETHER:
            os._exit(128 + number)
