# SPDX-License-Identifier: Apache-2.0
"""What other services can be asked to do, so that a wrong request is refused before anything is sent."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from congress.bus.errors import BusError, NotFound
from congress.datalog.values import Bool, Value, kind
from congress.executions.model import Call
from congress.policy import errors

FRESH: Final = 60.0  # seconds for which a list is believed without looking again
PATIENCE: Final = 2.0  # seconds that a service has to tell its actions while a user waits


class Argument(Protocol):
    """One argument of an action, as its service describes it."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def nullable(self) -> bool: ...
    @property
    def variadic(self) -> bool: ...


class Signature(Protocol):
    """An action, as its service describes it."""

    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> Sequence[Argument]: ...


@dataclass(frozen=True, slots=True)
class _Known:
    instance: str
    at: float
    actions: Mapping[str, Signature]


class ActionCatalog:
    """The actions of the services on the bus, asked for when needed and remembered.  One thread."""

    def __init__(
        self,
        call: Callable[..., Any],
        instance: Callable[[str], str | None],
        clock: Callable[[], float] = time.monotonic,
        defined: Callable[[str], bool] = lambda service: True,
    ) -> None:
        """
        :param call: as :meth:`congress.bus.service.Service.call`.
        :param instance: which life of a service is on the bus; None when none is.
        :param defined: whether there is such a service, be it on the bus or not.
        """
        self._defined = defined
        self._call = call
        self._instance = instance
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def check(self, service: str, action: str, positional: Sequence[Value], named: Mapping[str, Value]) -> None:
        """Refuse what the service would refuse.  May block for ``PATIENCE`` seconds.

        A service that is too busy to tell its actions is believed to have this one; it refuses by itself then.

        :raises ServiceNotFound: it is not on the bus.  :raises ActionNotFound: it has no such action.
        :raises ActionArgumentsInvalid: the arguments do not fit.
        """
        actions = self._actions(service)
        if actions is not None and action not in actions:
            actions = self._actions(service, anew=True)
        if actions is None:
            return
        found = actions.get(action)
        if found is None:
            raise errors.ActionNotFound(f"service {service!r} has no action {action!r:.100}")
        check_arguments(found, positional, named)

    def secrets(self, service: str) -> Callable[[Call], Call]:
        """What marks the secret arguments of calls of a service: all arguments where it does not tell.

        May block for ``PATIENCE`` seconds.
        """
        actions: Mapping[str, Signature] | None
        try:
            actions = self._actions(service)
        except errors.ServiceNotFound:
            actions = None if self._defined(service) else {}
        return lambda call: replace(call, secret=_secret(call, actions))

    def _actions(self, service: str, anew: bool = False) -> Mapping[str, Signature] | None:
        instance = self._instance(service)
        if instance is None:
            raise errors.ServiceNotFound(f"service {service!r:.100} is not on the bus")
        known = self._known.get(service)
        now = self._clock()
        if known is not None and known.instance == instance and not anew and now - known.at < FRESH:
            return known.actions
        try:
            listed: Iterable[Signature] = self._call(service, "actions", timeout=PATIENCE)
        except NotFound:
            if self._instance(service) is None:
                raise errors.ServiceNotFound(f"service {service!r} is not on the bus") from None
            listed = ()  # it is there and takes no actions
        except BusError:
            return known.actions if known is not None and known.instance == instance else None
        actions = {item.name: item for item in listed}
        self._known[service] = _Known(instance, now, actions)
        return actions


def _secret(call: Call, actions: Mapping[str, Signature] | None) -> frozenset[str]:
    """The names and places of secret arguments, as calls of the ledger have them."""
    if actions is None:
        return frozenset([*call.named, *map(str, range(len(call.positional)))])
    arguments = actions[call.action].arguments if call.action in actions else ()
    plain = [argument for argument in arguments if not argument.variadic]
    secret = {argument.name for argument in arguments if getattr(argument, "secret", False)}
    return frozenset(secret | {str(at) for at, argument in enumerate(plain) if argument.name in secret})


def check_arguments(action: Signature, positional: Sequence[Value], named: Mapping[str, Value]) -> None:
    """Whether arguments fit a signature.

    :raises ActionArgumentsInvalid: one is missing, unknown, given twice or of another kind.
    """
    plain = [argument for argument in action.arguments if not argument.variadic]
    rest = next((argument for argument in action.arguments if argument.variadic), None)
    if len(positional) > len(plain) and rest is None:
        raise _invalid(action, f"takes {len(plain)} positional arguments, not {len(positional)}")
    unknown = named.keys() - {argument.name for argument in plain}
    if unknown:
        raise _invalid(action, f"has no argument {min(unknown)!r:.100}")
    for index, argument in enumerate(plain):
        if index < len(positional):
            if argument.name in named:
                raise _invalid(action, f"got argument {argument.name!r} twice")
            _check_kind(action, argument, positional[index])
        elif argument.name in named:
            _check_kind(action, argument, named[argument.name])
        elif argument.required:
            raise _invalid(action, f"needs argument {argument.name!r}")
    if rest is not None:
        for value in positional[len(plain) :]:
            _check_kind(action, rest, value)


def _check_kind(action: Signature, argument: Argument, value: Value) -> None:
    if argument.type in ("any", "json"):
        return
    if value is None:
        if not argument.nullable:
            raise _invalid(action, f"takes no null for argument {argument.name!r}")
        return
    fits = _FITS.get(argument.type)
    if fits is not None and not fits(value):
        shown = kind(value) if isinstance(value, str | int | float | Bool) else type(value).__name__
        raise _invalid(action, f"takes {argument.type} for argument {argument.name!r}, not {shown}")


def _number(value: object) -> bool:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    return isinstance(value, int | float)


# As generous as services are: a policy took the value from some column, perhaps of another kind.
_FITS: Final[Mapping[str, Callable[[object], bool]]] = {
    "string": lambda value: isinstance(value, str | int),
    "integer": lambda value: _number(value) and float(str(value)).is_integer(),
    "number": _number,
    "boolean": lambda value: isinstance(value, Bool) or str(value).lower() in ("true", "false"),
}


def _invalid(action: Signature, what: str) -> errors.ActionArgumentsInvalid:
    return errors.ActionArgumentsInvalid(f"action {action.name!r} {what}")
