# SPDX-License-Identifier: Apache-2.0
"""Typed signatures of actions: declared, read from a method, and arguments bound to them."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson

from congress.bus.codec import portable
from congress.cloudservices.errors import ActionArgumentError
from congress.datalog.values import Bool, Value, decode, kind

TYPES: Final = ("string", "integer", "number", "boolean", "json", "any")


@portable
@dataclass(frozen=True, slots=True)
class ActionArgument:
    """One argument of an action.

    ``type`` is ``string``, ``integer``, ``number``, ``boolean``, ``any`` (every row value) or ``json`` (a
    structure; a policy gives it as JSON text).  ``variadic`` stands for any number of positional arguments.
    The value of a ``secret`` one is kept encrypted and never shown.
    """

    name: str
    type: str = "any"
    required: bool = True
    nullable: bool = False
    default: object = None
    variadic: bool = False
    description: str = ""
    secret: bool = False

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"argument {self.name!r} has type {self.type!r}; the types are {', '.join(TYPES)}")


@portable
@dataclass(frozen=True, slots=True)
class Action:
    """What can be asked of a service.

    ``changes``: whether it changes anything out there (false: it only reads).  ``effects``: tables of the
    service whose rows it may change; they are read again soon after it.  ``idempotent``: doing it twice
    comes to the same as once, so that it may be repeated when nobody knows whether it was done.
    ``asynchronous``: the service's answer says that it was accepted; what became of it is told later.
    """

    name: str
    arguments: tuple[ActionArgument, ...] = ()
    description: str = ""
    changes: bool = True
    effects: tuple[str, ...] = ()
    idempotent: bool = False
    asynchronous: bool = False

    @property
    def signature(self) -> str:
        """``servers.resize(server: string, flavor: string, disk_config: string?)``"""
        shown = (
            f"{'*' if a.variadic else ''}{a.name}: {a.type}{'' if a.required or a.variadic else '?'}"
            for a in self.arguments
        )
        return f"{self.name}({', '.join(shown)})"

    def to_dict(self) -> dict[str, object]:
        """The action for machines: plain JSON types."""
        made = asdict(self)
        made["arguments"] = [asdict(argument) for argument in self.arguments]
        made["effects"] = list(self.effects)
        made["signature"] = self.signature
        return made


# Read from a method -------------------------------------------------------------------------------------

_ANNOTATIONS: Final[Mapping[object, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    object: "json",
    Any: "json",
    Value: "any",
}


def signature(
    method: Callable[..., object], descriptions: Mapping[str, str], secret: Collection[str] = ()
) -> tuple[ActionArgument, ...]:
    """The arguments that a driver's method takes, without ``self``.

    :param secret: the names of those that must not be shown.
    :raises TypeError: for an annotation that stands for no kind of argument, for ``**names``, and for a secret that is
        none of the arguments.
    """
    hints = typing.get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    found = tuple(_argument(p, hints.get(p.name, object), descriptions.get(p.name, "")) for p in parameters)
    if unknown := set(secret) - {argument.name for argument in found}:
        raise TypeError(f"{sorted(unknown)[0]!r} is to be secret and is no argument")
    return tuple(replace(argument, secret=argument.name in secret) for argument in found)


def _argument(parameter: inspect.Parameter, hint: object, description: str) -> ActionArgument:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        raise TypeError(f"an action cannot take **{parameter.name}: name its arguments")
    base, nullable = _nullable(hint)
    given = typing.get_origin(base) or base
    type_ = "json" if given in (list, dict, tuple) else _ANNOTATIONS.get(base)
    if type_ is None:
        raise TypeError(f"argument {parameter.name!r}: {hint!r} stands for no kind of argument")
    variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
    required = parameter.default is inspect.Parameter.empty and not variadic
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    return ActionArgument(parameter.name, type_, required, nullable, default, variadic, description)


def _nullable(hint: object) -> tuple[object, bool]:
    """``X | None`` as (X, True)."""
    if hint == Value or typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint, hint == Value
    rest = [part for part in typing.get_args(hint) if part is not type(None)]
    return (rest[0] if len(rest) == 1 else object), len(rest) < len(typing.get_args(hint))


def documentation(method: Callable[..., object]) -> tuple[str, dict[str, str]]:
    """A docstring as its text and what it says about each ``:param name:``."""
    text: list[str] = []
    parameters: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(method) or "").splitlines():
        if line.startswith(":param "):
            name, _, rest = line.removeprefix(":param ").partition(":")
            parameters[name] = rest.strip()
        elif line.startswith(":"):
            name = ":"
        elif not name:
            text.append(line)
        elif name in parameters and line.startswith(" "):
            parameters[name] += " " + line.strip()
    return "\n".join(text).strip(), parameters


# Bound --------------------------------------------------------------------------------------------------


def bind(
    wanted: Action, positional: Sequence[Value], named: Mapping[str, Value], structures: bool = False
) -> tuple[list[Any], dict[str, Any]]:
    """Typed Python arguments for an action's function.

    Row values become Python's; text becomes the number, boolean or structure that the argument is declared
    as.
    :param structures: whether arguments of type ``any`` take lists and objects too.
    :raises ActionArgumentError: one is missing, unknown, given twice or of another kind.
    """
    if isinstance(positional, str) or not isinstance(positional, Sequence) or not isinstance(named, Mapping):
        raise ActionArgumentError("positional arguments are a list and named ones an object")
    plain_arguments = [a for a in wanted.arguments if not a.variadic]
    rest = next((a for a in wanted.arguments if a.variadic), None)
    if len(positional) > len(plain_arguments) and rest is None:
        raise ActionArgumentError(f"{wanted.signature} takes {len(plain_arguments)} arguments, not {len(positional)}")
    known = {a.name for a in plain_arguments}
    for name in named:
        if name not in known:
            raise ActionArgumentError(f"{wanted.signature} has no argument {str(name)[:60]!r}", argument=str(name))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for index, argument in enumerate(plain_arguments):
        if index < len(positional):
            if argument.name in named:
                raise ActionArgumentError(f"argument {argument.name!r} is given twice", argument=argument.name)
            args.append(_typed(argument, positional[index], structures))
        elif argument.name in named:
            kwargs[argument.name] = _typed(argument, named[argument.name], structures)
        elif argument.required:
            raise ActionArgumentError(f"{wanted.signature} needs argument {argument.name!r}", argument=argument.name)
    if rest is not None:
        args += [_typed(rest, value, structures) for value in positional[len(plain_arguments) :]]
    return args, kwargs


def _typed(argument: ActionArgument, given: object, structures: bool) -> Any:
    value = decode(given) if isinstance(given, Bool) else given
    if value is None:
        if argument.nullable or argument.type in ("any", "json"):
            return None
        raise ActionArgumentError(f"argument {argument.name!r} must not be null", argument=argument.name)
    if structures and argument.type == "any" and isinstance(value, Mapping | list | tuple):
        return value
    try:
        return _CONVERT[argument.type](value)
    except (ValueError, OverflowError):
        found = kind(given) if isinstance(given, str | int | float | Bool) else type(given).__name__
        raise ActionArgumentError(
            f"argument {argument.name!r} must be {_A[argument.type]}, not {found}", argument=argument.name
        ) from None


def _string(value: object) -> str:
    # An id that a policy took from an integer column names the same thing as its digits.
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError


def _number(value: object) -> int | float:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return value


def _integer(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError


def _json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value  # text that is no JSON is itself


def _any(value: object) -> object:
    if isinstance(value, str | int | float):
        return value
    raise ValueError


_CONVERT: Final[Mapping[str, Callable[[object], object]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "any": _any,
}
_A: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "json": "JSON",
    "any": "a string, number or boolean",
}


# Results ------------------------------------------------------------------------------------------------


def plain(result: object, depth: int = 8) -> object:
    """What an action gave, as plain JSON types; a client library's object becomes its dict or its text."""
    if result is None or isinstance(result, str | bool | int):
        return result
    if isinstance(result, float):
        return result if math.isfinite(result) else str(result)
    if isinstance(result, Bool):
        return bool(result)
    if depth <= 0:
        return "..."
    if isinstance(result, Mapping):
        return {str(key): plain(value, depth - 1) for key, value in result.items()}
    if isinstance(result, list | tuple | set | frozenset):
        return [plain(value, depth - 1) for value in result]
    to_dict = getattr(result, "to_dict", None)
    if callable(to_dict):
        return plain(to_dict(), depth - 1)
    return str(result)
