# SPDX-License-Identifier: Apache-2.0
"""A service: an actor with one inbox and one worker thread, addressed on the bus by its name."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from congress.bus import codec, context
from congress.bus.actor import Actor, Timer
from congress.bus.errors import BusError, NotFound
from congress.bus.messages import Request

if TYPE_CHECKING:
    from congress.bus.bus import Bus

__all__ = ["Service", "Timer", "exposed"]

LOG = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

CALL_TIMEOUT: Final = 10.0
CAST_TIMEOUT: Final = 60.0
IDEMPOTENCY_KEY: Final = "idempotency_key"


def exposed(method: F) -> F:
    """Mark a method of a :class:`Service` as one that other services may call or cast.

    The method runs on the service's worker thread, one message at a time.  Its arguments come by name.
    Arguments and result must be portable: None, bool, numbers, strings, bytes, lists, tuples, sets, dicts
    with string keys, row values, and classes marked :func:`congress.bus.codec.portable`; treat them as read
    only, for in one process they travel by reference.  What it raises is raised at the caller: as itself
    where its class is portable, else as
    :class:`~congress.bus.errors.RemoteError`.
    """
    method.__exposed__ = True  # type: ignore[attr-defined]  # a mark on a function object
    return method


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request in an inbox, and until when it may be begun."""

    request: Request
    expires: float


class Service(Actor):
    """Something on the bus.  Subclass it, mark methods :func:`exposed`, give it to :meth:`Bus.add`.

    All its code (exposed methods, hooks, timers, submitted functions) runs on its one worker thread, one
    after another, so it needs no locks of its own.  While it works, its messages wait in its inbox.  An
    exception that escapes a hook, timer, cast or submitted function is logged with the service's name and
    counted in ``faults``; the worker goes on.
    """

    exposed_names: ClassVar[frozenset[str]] = frozenset({"ping"})
    """The methods that others may call; one exposed in a base class stays so when overridden."""

    inbox_limit = 10_000
    """How many messages may wait before requests are refused with Overloaded."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        marked = (vars(base).items() for base in cls.__mro__)
        cls.exposed_names = frozenset(
            name for items in marked for name, value in items if getattr(value, "__exposed__", False)
        )

    def __init__(self, name: str) -> None:
        """:param name: its address; unique on the bus."""
        super().__init__(name)
        self._bus: Bus | None = None
        self.instance = ""
        """Which life of this service it is: set anew at each :meth:`Bus.add`; later ones sort after earlier.
        """

    @property
    def bus(self) -> "Bus":
        """The bus it was added to.  :raises BusError: when it is on none."""
        if self._bus is None:
            raise BusError(f"service {self.name!r} is not on a bus")
        return self._bus

    def on_start(self) -> None:
        """Optional hook.

        Runs on the worker thread once, before any message.  May block; messages wait meanwhile.
        """

    def on_stop(self) -> None:
        """Optional hook.

        Runs on the worker thread once, after the last message.  May block for a second or two.
        """

    def call(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CALL_TIMEOUT,
        key: str | None = None,
        **args: object,
    ) -> Any:
        """Ask one service to do something and wait for its answer.  Any thread; blocks at most ``timeout``
        seconds.

        Carried out once by the service that is there now.  Whoever repeats it (after a Timeout) does so with
        the same ``key``, which the method sees as ``context.ids()["idempotency_key"]``: at least once, and
        the receiver decides.

        :raises NotFound: at once, when the service or method is not there.
        :raises Timeout: no answer in time, outcome unknown; PeerLost when its process vanished meanwhile.
        :raises Overloaded: its inbox is full.
        :raises RemoteError: the method raised; or that error itself where its class is portable.
        """
        return self.bus.call(target, method, timeout=timeout, key=key, source=self.name, **args)

    def ask(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CALL_TIMEOUT,
        key: str | None = None,
        **args: object,
    ) -> "Future[Any]":
        """Like :meth:`call`, without waiting.  The future holds what call would return or raise.

        Its callbacks run on bus threads: have them :meth:`submit` to come back to the worker.
        """
        return self.bus.ask(target, method, timeout=timeout, key=key, source=self.name, **args)

    def cast(
        self,
        target: str,
        method: str,
        /,
        *,
        timeout: float = CAST_TIMEOUT,
        key: str | None = None,
        **args: object,
    ) -> None:
        """Have one service do something, without an answer.  Any thread; does not block.

        Delivered at least once while both processes live, until ``timeout`` seconds have passed; a receiver
        that was restarted meanwhile may see it again under the same ``key``.  What the method raises is
        logged by its service.

        :raises NotFound: at once, when the service is not there.
        :raises Overloaded: its inbox, or the way to it, is full.
        """
        self.bus.cast(target, method, timeout=timeout, key=key, source=self.name, **args)

    @exposed
    def ping(self) -> str:
        """Answers with the instance id as soon as the worker thread is free."""
        return self.instance

    def attach(self, bus: "Bus", instance: str) -> None:
        """The bus takes the service in, under this life's id; called by :meth:`Bus.add` only."""
        self._bus = bus
        self.instance = instance
        self._reopen()

    def _handle(self, message: object) -> None:
        """What the bus brings.

        The mix-ins take their own kinds and pass on the rest; what nobody takes is dropped.
        """
        if isinstance(message, Delivery):
            self._serve(message)

    def _refuse(self, message: object) -> None:
        if isinstance(message, Delivery):
            self.bus.answer(message.request, error=NotFound(f"{self.name} has stopped"))

    def _serve(self, delivery: Delivery) -> None:
        request = delivery.request
        if time.monotonic() > delivery.expires:
            LOG.info("service.too_late service=%s method=%s", self.name, request.method)
            return
        token = context.enter({**request.ids, IDEMPOTENCY_KEY: request.key})
        try:
            if request.method not in self.exposed_names:
                raise NotFound(f"service {self.name!r} has no method {request.method!r}")
            value = getattr(self, request.method)(**request.args)
        # The boundary at which a method's fault becomes its caller's error.
        except Exception as error:  # noqa: BLE001
            if request.cast or not codec.is_portable(type(error)):
                self._fault(error)
            self.bus.answer(request, error=error)
        except BaseException as error:
            # As SystemExit of a library: the worker ends with it, but its caller need not wait for nothing.
            self.bus.answer(request, error=error)
            raise
        else:
            self.bus.answer(request, value)
        finally:
            context.leave(token)
