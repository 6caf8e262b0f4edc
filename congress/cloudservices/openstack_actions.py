# SPDX-License-Identifier: Apache-2.0
"""What the actions of the OpenStack drivers share: errors, arguments, and checking what became of them."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import yaml

from congress.bus.service import exposed
from congress.cloudservices.errors import ActionArgumentError, ActionFailed
from congress.cloudservices.execution_driver import UNKNOWN, Check, ExecutionDriver, action
from congress.cloudservices.openstack import Json
from congress.cloudservices.openstack_errors import action_error, trouble
from congress.cloudservices.signatures import ActionArgument
from congress.datalog.values import Value

Method = TypeVar("Method", bound=Callable[..., object])


def api_action(
    name: str,
    *,
    effects: Sequence[str] = (),
    idempotent: bool = False,
    check: Check | None = None,
    before: Callable[..., None] | None = None,
    arguments: Sequence[ActionArgument] | None = None,
    description: str | None = None,
) -> Callable[[Method], Method]:
    """:func:`~congress.cloudservices.execution_driver.action`, for a method that calls an OpenStack API.

    What goes wrong there becomes an ``ActionFailed`` by
    :func:`~congress.cloudservices.openstack_errors.action_error`.  ``check`` gets the driver and the bound
    arguments, only reads, and says whether the service is as the action leaves it: None when that cannot be
    told (yet).  ``before`` gets the same and is called before the method.
    """

    def mark(method: Method) -> Method:
        @functools.wraps(method)
        def carry_out(*args: Any, **kwargs: Any) -> object:
            if before is not None:
                before(*args, **kwargs)
            try:
                return method(*args, **kwargs)
            except Exception as error:
                meant = action_error(error)
                if meant is None:
                    raise
                raise meant from error

        listed = action(
            name, effects=effects, idempotent=idempotent, arguments=arguments, description=description, verify=check
        )
        return cast(Method, listed(carry_out))

    return mark


class OpenStackActions(ExecutionDriver):
    """An execution driver whose actions can be checked."""

    @exposed
    def verify(
        self,
        execution_id: str,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
    ) -> Mapping[str, object]:
        """As :meth:`ExecutionDriver.verify`: whether the service is as this action, with these arguments, leaves it.

        OpenStack has no place for an execution's id.  Most actions of Nova's go on after the answer: they are done
        when they have come to pass.
        """
        try:
            return super().verify(execution_id, name, positional, named)
        except ActionFailed as error:
            if error.__cause__ is None or trouble(error.__cause__) is None:
                raise
            return {"state": UNKNOWN}


def structure(argument: str, given: object) -> Json:
    """An argument that is an object: given as one, or as JSON or YAML text.

    :raises ActionArgumentError: it is neither.
    """
    if isinstance(given, str):
        try:
            given = yaml.safe_load(given)
        except yaml.YAMLError as error:
            raise ActionArgumentError(f"argument {argument!r} is neither JSON nor YAML", argument=argument) from error
    if not isinstance(given, dict):
        raise ActionArgumentError(f"argument {argument!r} must be an object", argument=argument)
    return given


def pairs(items: Sequence[Any]) -> Json:
    """``key, value, key, value, …`` as an object.

    :raises ActionArgumentError: a key has no value.
    """
    if len(items) % 2:
        raise ActionArgumentError("keys and values come in pairs")
    return {str(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def flat(items: Sequence[Any]) -> list[str]:
    """Strings given one by one, in lists, or as JSON or YAML text of a list; nulls are left out."""
    found: list[str] = []
    for item in items:
        given = item
        if isinstance(given, str) and given.lstrip().startswith("["):
            try:
                given = yaml.safe_load(given)
            except yaml.YAMLError as error:
                raise ActionArgumentError(f"neither JSON nor YAML: {given[:60]!r}") from error
        if given is not None:
            found += [str(part) for part in given] if isinstance(given, list) else [str(given)]
    return found


def meta_text(value: object) -> str:
    """A value as metadata, which are strings: booleans as ``true`` and ``false``."""
    return str(value).lower() if isinstance(value, bool) else str(value)
