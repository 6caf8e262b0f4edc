# SPDX-License-Identifier: Apache-2.0
"""Work that needs the database: done in order, however long the database is away."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from congress.bus.service import Timer
from congress.db.errors import Unavailable

LOG = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0

Work = Callable[[], object]


class NotYet(Exception):
    """Something has to come first; whoever raises it sees to it that :meth:`Backlog.go_on` is called then."""


class InDoubt(Unavailable):
    """Nobody knows whether the change arrived; it has been taken care of, and is not to be made again."""


class Backlog:
    """A queue of work for one thread.  What fails because the database is away stays at its head and is tried again.

    :ivar waiting: whether the database is waited for.
    """

    def __init__(self, later: Callable[[float, Work], Timer], idle: Work) -> None:
        """
        :param later: as :meth:`congress.bus.service.Service.after`.
        :param idle: is called when everything is worked off.
        """
        self._later, self._idle = later, idle
        self._items: deque[tuple[Work, bool]] = deque()
        self._timer: Timer | None = None
        self._pause = _FIRST_PAUSE
        self._busy = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def behind(self) -> bool:
        """Whether more waits than what is being done now."""
        return len(self._items) > self._busy

    @property
    def waiting(self) -> bool:
        """Whether it is the database that all of it waits for."""
        return self._timer is not None

    def add(self, work: Work, required: bool = False) -> None:
        """Do something after everything that came before it; at once, if that is nothing.

        :param required: nothing else may be done until it has succeeded, whatever it fails of; it may be repeated.
        """
        self._items.append((work, required))
        self.go_on()

    def first(self, work: Work) -> None:
        """Do something before everything else, as soon as the database is there."""
        self._items.appendleft((work, False))
        self._wait()

    def go_on(self) -> None:
        """What somebody waited for is there."""
        if self._timer is None and not self._busy:
            self._run()

    def _run(self) -> None:
        self._timer = None
        while self._items:
            item = self._items[0]
            self._busy = True
            try:
                item[0]()
            except NotYet:
                return
            except InDoubt:
                if not item[1]:
                    self._items.remove(item)
                self._wait()
                return
            except Unavailable as error:
                LOG.error("executions.database_failed error=%s waiting=%d", error, len(self._items))
                self._wait()
                return
            except Exception:
                # A fault of ours: it is logged and counted where it ends; the rest goes on, unless it builds on this.
                if not item[1]:
                    self._items.remove(item)
                if self._items:
                    self._wait(required=item[1])
                raise
            finally:
                self._busy = False
            self._items.remove(item)
            self._pause = _FIRST_PAUSE
        self._idle()

    def _wait(self, required: bool = True) -> None:
        if self._timer is None:
            pause = self._pause if required else 0.0
            self._timer = self._later(pause, self._run)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if required else self._pause
