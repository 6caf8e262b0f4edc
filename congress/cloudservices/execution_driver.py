# SPDX-License-Identifier: Apache-2.0
"""What a service can be asked to do: actions with typed signatures, and the mix-in that carries them out.

A driver lists a method as an action by a decorator; nothing else of it can be called::

    class Lamp(ExecutionDriver, PollingDriver):
        @action("lamps.switch", effects=("lamps",), idempotent=True)
        def switch(self, lamp: str, on: bool, after: float | None = None) -> None:
            \"""Switch a lamp on or off.

            :param lamp: id of the lamp
            :param on: whether it is to shine
            :param after: seconds to wait first
            \"""

The method's annotations are the signature (``str``, ``int``, ``float``, ``bool``, ``Value``; ``object`` for
JSON structures; ``X | None`` where null may be given; a default makes an argument optional; ``*rest: str``
takes any number more) and its docstring is the documentation.

Optional: ``verify=`` names a function that looks whether the action's effect is there, for when nobody knows whether
it was carried out; ``secret=("password",)`` names arguments that nobody may see; ``asynchronous=True`` says that the
method returns when the service has accepted the action, and that ``self.completion`` is to be passed on to whoever
will know what became of it.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

from congress.bus import context
from congress.bus.service import exposed
from congress.cloudservices.errors import (
    ActionError,
    ActionFailed,
    ActionNotFound,
    DriverError,
    RateLimited,
    Unavailable,
)
from congress.cloudservices.signatures import Action, ActionArgument, bind, documentation, plain, signature
from congress.datalog.values import Value

__all__ = ["DONE", "NOT_DONE", "UNKNOWN", "Action", "ActionArgument", "Declared", "ExecutionDriver", "action"]

Method = TypeVar("Method", bound=Callable[..., object])
Check = Callable[..., bool | None]

DONE: Final = "done"
NOT_DONE: Final = "not_done"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Declared:
    """An action and how it is carried out.

    ``function`` gets the driver and then the bound arguments.  ``retryable`` are the errors of its client
    library that a later attempt may mend; ``maybe_done`` those after which the request may have been
    carried out all the same.  ``verify`` gets the same as ``function``, only reads, and says whether the service is as
    the action leaves it: False only where nothing that is under way will make it so, None when that cannot be told.
    ``structures``: whether arguments of type ``any`` may be lists and objects too.
    """

    action: Action
    function: Callable[..., object]
    retryable: tuple[type[BaseException], ...] = ()
    maybe_done: tuple[type[BaseException], ...] = ()
    verify: Check | None = None
    structures: bool = False

    def bind(self, positional: Sequence[Value], named: Mapping[str, Value]) -> tuple[list[Any], dict[str, Any]]:
        """Its function's arguments.  :raises ActionArgumentError: they do not fit."""
        return bind(self.action, positional, named, self.structures)


@dataclass(frozen=True, slots=True)
class Completion:
    """What it takes to tell the ledger what became of an asynchronous action, once:
    ``POST /v1/executions/{execution_id}?action=complete`` with the token.
    """

    execution_id: str
    token: str = field(repr=False)


def action(
    name: str,
    *,
    changes: bool = True,
    effects: Sequence[str] = (),
    idempotent: bool = False,
    retryable: tuple[type[BaseException], ...] = (),
    maybe_done: tuple[type[BaseException], ...] = (),
    arguments: Sequence[ActionArgument] | None = None,
    description: str | None = None,
    asynchronous: bool = False,
    secret: Sequence[str] = (),
    verify: Check | None = None,
) -> Callable[[Method], Method]:
    """List a method of a driver as an action.

    Signature and documentation come from the method unless given; then ``arguments`` say themselves which are secret.
    """

    def mark(method: Method) -> Method:
        text, parameters = documentation(method)
        made = Action(
            name=name,
            arguments=tuple(arguments) if arguments is not None else signature(method, parameters, secret),
            description=description if description is not None else text,
            changes=changes,
            effects=tuple(effects),
            idempotent=idempotent,
            asynchronous=asynchronous,
        )
        mark_of(method, Declared(made, method, retryable, maybe_done, verify))
        return method

    return mark


def mark_of(method: Callable[..., object], declared: Declared) -> None:
    """Leave the mark by which :class:`ExecutionDriver` finds what is listed."""
    method.__action__ = declared  # type: ignore[attr-defined]  # a mark on a function object


class ActionHooks:
    """What happens around an action.  Drivers' kinds override these; drivers seldom do."""

    def around_action(self, wanted: Action) -> AbstractContextManager[None]:
        """Entered before an action and left after it: sets its deadline.

        May raise ActionFailed to refuse it.
        """
        return nullcontext()

    def after_action(self, done: Action) -> None:
        """An action that changes something was carried out.  A polling driver reads again soon."""

    def clean(self, text: str) -> str:
        """A text of unknown origin without secrets."""
        return text

    def cause(self, error: BaseException) -> BaseException | None:
        """The error to keep as ``__cause__``: itself, or None where its text holds a secret."""
        return error


class ExecutionDriver(ActionHooks):
    """Mix-in for drivers that act on their service; put it before the driver's kind in the list of bases.

    :meth:`execute` is called over the bus, by unicast, on the service's worker thread: never while the
    driver polls, and never twice at once.  It may block until the driver's time-outs.  Delivery is at least
    once; an ``execution_id`` that was carried out before is answered from memory (the last ``REMEMBERED``
    ones), and the ledger decides about older ones.
    """

    REMEMBERED: ClassVar[int] = 1024
    _listed: ClassVar[Mapping[str, Declared]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        listed: dict[str, Declared] = {}
        for base in reversed(cls.__mro__):
            for attribute, member in vars(base).items():
                declared = getattr(member, "__action__", None)
                if isinstance(declared, Declared) and getattr(cls, attribute, None) is member:
                    listed[declared.action.name] = declared
        cls._listed = listed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outcomes: OrderedDict[str, object] = OrderedDict()
        self.completion: Completion | None = None
        """While an asynchronous action runs: what its service is to tell the outcome with."""

    @classmethod
    def listed_actions(cls) -> Mapping[str, Declared]:
        """The methods of the class that the decorator lists, by the name of the action."""
        return cls._listed

    def declared_actions(self) -> Mapping[str, Declared]:
        """Every action by its name: those that the decorator lists.

        Override it to add some that are made from configuration.
        """
        return self._listed

    @exposed
    def actions(self) -> list[Action]:
        """What can be asked of this service, by name.  Cheap, on any thread."""
        return [declared.action for _, declared in sorted(self.declared_actions().items())]

    @exposed
    def execute(
        self,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
        execution_id: str | None = None,
        completion_token: str | None = None,
    ) -> object:
        """Carry out one action and return what it gave, as plain JSON types.

        :param completion_token: for an asynchronous action, which is refused without one and an id.
        :raises ActionNotFound: it is not listed; nothing was done.
        :raises ActionArgumentError: the arguments do not fit; nothing was done.
        :raises ActionFailed: with ``retryable`` and ``maybe_done`` saying what may be tried next.
        """
        declared = self._listed_as(name)
        args, kwargs = declared.bind(positional, named or {})
        execution_id = execution_id or context.ids().get("idempotency_key")
        if execution_id is not None and execution_id in self._outcomes:
            return self._outcomes[execution_id]
        if declared.action.asynchronous:
            if not (execution_id and completion_token):
                raise ActionFailed("nobody could be told what becomes of it: it needs an id and a completion token")
            self.completion = Completion(execution_id, completion_token)
        try:
            result = self._guarded_by(declared, lambda: declared.function(self, *args, **kwargs))
        finally:
            self.completion = None
        if execution_id is not None:
            self._outcomes[execution_id] = result
            while len(self._outcomes) > self.REMEMBERED:
                self._outcomes.popitem(last=False)
        if declared.action.changes:
            self.after_action(declared.action)
        return result

    @exposed
    def verify(
        self,
        execution_id: str,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
    ) -> Mapping[str, object]:
        """What became of an execution; asked by who does not know (its process died, or the answer got lost).

        Nothing changes.  It waits for its turn like :meth:`execute`, so what was sent before it has been worked off.

        :returns: ``state``: ``done`` (with the ``result``, if that is known); ``not_done``, and nothing that is under
            way will do it; or ``unknown``.
        :raises ActionNotFound: it is not listed.  :raises ActionArgumentError: the arguments do not fit.
        :raises ActionFailed: the service could not be asked.
        """
        declared = self._listed_as(name)
        if execution_id in self._outcomes and not declared.action.asynchronous:
            return {"state": DONE, "result": self._outcomes[execution_id]}
        args, kwargs = declared.bind(positional, named or {})
        look = declared.verify
        if look is None:
            return {"state": UNKNOWN}
        found = self._guarded_by(declared, lambda: look(self, *args, **kwargs))
        return {"state": UNKNOWN if found is None else DONE if found else NOT_DONE}

    def _listed_as(self, name: object) -> Declared:
        declared = self.declared_actions().get(name) if isinstance(name, str) else None
        if declared is None:
            raise ActionNotFound(f"there is no action {str(name)[:100]!r}")
        return declared

    def _guarded_by(self, declared: Declared, ask: Callable[[], object]) -> object:
        """What asking the service gives, as plain JSON types; what goes wrong there as an ActionError."""
        try:
            with self.around_action(declared.action):
                return plain(ask())
        except Exception as error:
            failure = as_failure(error, declared)
            failure.args = (self.clean(failure.message),)
            if failure is error:
                raise
            raise failure from self.cause(error)


def as_failure(error: Exception, declared: Declared) -> DriverError:
    """What an error that was raised during an action means for the action."""
    if isinstance(error, ActionError):
        return error
    if isinstance(error, RateLimited):
        return ActionFailed(error.message, retryable=True, retry_after=error.retry_after)
    if isinstance(error, Unavailable):
        return ActionFailed(error.message, retryable=True, maybe_done=True)
    if isinstance(error, DriverError):
        return ActionFailed(error.message)
    return ActionFailed(
        f"{type(error).__name__}: {error}",
        retryable=isinstance(error, (*declared.retryable, ConnectionError)),
        maybe_done=isinstance(error, (*declared.maybe_done, TimeoutError)),
    )
