# SPDX-License-Identifier: Apache-2.0
"""Actions that are requests to an HTTP API, described in a service's configuration."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from congress.cloudservices import templates
from congress.cloudservices.errors import ConfigError
from congress.cloudservices.execution_driver import Completion
from congress.cloudservices.http_client import Request
from congress.cloudservices.jsonpaths import compile_value
from congress.cloudservices.signatures import TYPES, Action, ActionArgument
from congress.cloudservices.tabular import NAME

OPTION: Final = "actions"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_KEYS: Final = frozenset(
    {
        "method",
        "path",
        "params",
        "headers",
        "body",
        "arguments",
        "description",
        "changes",
        "effects",
        "idempotent",
        "asynchronous",
        "result",
    }
)
_ARGUMENT_KEYS: Final = frozenset({"name", "type", "required", "nullable", "default", "description", "secret"})
COMPLETION: Final = ("execution_id", "completion_token")
"""What stands beside its arguments in the request of an asynchronous action."""


def _whole(document: Any) -> Any:
    """The result of an action that gives the whole answer."""
    return document


@dataclass(frozen=True, slots=True)
class RequestAction:
    """An action, and the request that carries it out.

    :ivar result: from the answer's document to what the action gives.
    """

    action: Action
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    result: Callable[[Any], Any] = _whole

    def request(
        self,
        url: Callable[[str], str],
        args: tuple[Any, ...],
        named: Mapping[str, Any],
        completion: Completion | None = None,
    ) -> Request:
        """The request for these arguments.  :raises ActionArgumentError: one cannot stand where it is to."""
        values = {a.name: a.default for a in self.action.arguments}
        values |= dict(zip((a.name for a in self.action.arguments), args, strict=False)) | dict(named)
        if completion is not None:
            values |= dict(zip(COMPLETION, (completion.execution_id, completion.token), strict=True))
        headers = {name: templates.fill_header(text, values) for name, text in self.headers.items()}
        body = None
        if self.body is not None:
            body = orjson.dumps(templates.fill_value(self.body, values))
            headers.setdefault("Content-Type", "application/json")
        return Request(
            self.method,
            url(templates.fill_path(self.path, values)),
            templates.fill_params(self.params, values),
            headers,
            body,
        )


def request_actions(given: object, tables: frozenset[str]) -> dict[str, RequestAction]:
    """The actions of a configuration's ``actions`` option.

    :param tables: the tables that they may name as effects.
    :raises ConfigError: naming the action and what is wrong with it.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"option {OPTION!r} must be an object", OPTION)
    return {name: _request_action(name, action, tables) for name, action in given.items()}


def _request_action(name: object, given: object, tables: frozenset[str]) -> RequestAction:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(f"option {OPTION!r}: {name!r:.60} cannot name an action", OPTION)
    if not isinstance(given, Mapping):
        raise _wrong(name, "it must be an object")
    if unknown := sorted(str(key) for key in given.keys() - _KEYS):
        raise _wrong(name, f"unknown key {unknown[0]!r:.60}; the keys are: {', '.join(sorted(_KEYS))}")
    method = str(given.get("method", "POST")).upper()
    if method not in METHODS:
        raise _wrong(name, f"method must be one of {', '.join(METHODS)}")
    arguments = _arguments(name, given.get("arguments", ()))
    effects = _of(name, given, "effects", list, [])
    if not all(isinstance(table, str) and table in tables for table in effects):
        raise _wrong(name, "effects must be a list of the service's tables")
    action = Action(
        name,
        arguments,
        _of(name, given, "description", str, ""),
        _of(name, given, "changes", bool, method != "GET"),
        tuple(effects),
        _of(name, given, "idempotent", bool, method in ("GET", "PUT", "DELETE")),
        _of(name, given, "asynchronous", bool, False),
    )
    made = RequestAction(
        action,
        method,
        _of(name, given, "path", str, ""),
        _of(name, given, "params", dict, {}),
        _of(name, given, "headers", dict, {}),
        given.get("body"),
        _result(name, _of(name, given, "result", str, "$")),
    )
    _check_holes(made)
    return replace(made, action=_with_texts(made, given.get("arguments", ())))


def _with_texts(made: RequestAction, given: Iterable[object]) -> Action:
    """The action with arguments that stand in the path and not in the body, and are of no type, as strings.

    So null, lists and objects are refused before anybody is told that the action will be tried.
    """
    typed = {item["name"] for item in given if isinstance(item, Mapping) and item.get("type") is not None}
    texts = templates.holes(made.path) - templates.holes(made.body) - typed
    arguments = (replace(item, type="string") if item.name in texts else item for item in made.action.arguments)
    return replace(made.action, arguments=tuple(arguments))


def _check_holes(made: RequestAction) -> None:
    """Every hole is an argument; those of the path are always there."""
    name, known = made.action.name, {a.name: a for a in made.action.arguments}
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in made.headers.items()):
        raise _wrong(name, "headers must be an object of strings")
    try:
        in_path = templates.holes(made.path)
        used = in_path.union(*(templates.holes(part) for part in (made.params, made.headers, made.body)))
    except ValueError as error:
        raise _wrong(name, str(error)) from error
    if made.action.asynchronous:
        if taken := sorted(known.keys() & set(COMPLETION)):
            raise _wrong(name, f"{taken[0]!r} is the execution's own and cannot name an argument")
        if "completion_token" not in used:
            raise _wrong(
                name, "it is asynchronous: {completion_token} must be in the request, for who tells the outcome"
            )
        used, in_path = used - set(COMPLETION), in_path - set(COMPLETION)
    if unknown := sorted(used - known.keys()):
        raise _wrong(name, f"{{{unknown[0]}}} is none of its arguments")
    if unused := sorted(known.keys() - used):
        raise _wrong(name, f"argument {unused[0]!r} is used nowhere in the request")
    for hole in sorted(in_path):
        if not known[hole].required or known[hole].nullable:
            raise _wrong(name, f"argument {hole!r} stands in the path: it must be required and not nullable")


def _arguments(name: str, given: object) -> tuple[ActionArgument, ...]:
    if not isinstance(given, list | tuple):
        raise _wrong(name, "arguments must be a list")
    made = tuple(_argument(name, argument) for argument in given)
    names = [argument.name for argument in made]
    if len(set(names)) < len(names):
        raise _wrong(name, "two of its arguments have the same name")
    return made


def _argument(name: str, given: object) -> ActionArgument:
    argument = {"name": given} if isinstance(given, str) else given
    if not isinstance(argument, Mapping) or argument.keys() - _ARGUMENT_KEYS:
        raise _wrong(name, f"an argument is a name or an object with {', '.join(sorted(_ARGUMENT_KEYS))}")
    called = argument.get("name")
    if not isinstance(called, str) or not called.isidentifier():
        raise _wrong(name, f"{called!r:.60} cannot name an argument")
    type_ = argument.get("type") or "any"
    if type_ not in TYPES:
        raise _wrong(name, f"argument {called!r}: the types are {', '.join(TYPES)}")
    return ActionArgument(
        called,
        type_,
        _of(name, argument, "required", bool, "default" not in argument),
        _of(name, argument, "nullable", bool, False),
        argument.get("default"),
        description=_of(name, argument, "description", str, ""),
        secret=_of(name, argument, "secret", bool, False),
    )


def _result(name: str, path: str) -> Callable[[Any], Any]:
    if path == "$":
        return _whole
    try:
        return compile_value(path)
    except ValueError as error:
        raise _wrong(name, f"result: {error}") from error


def _of(name: str, given: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = given.get(key)
    if value is None:
        return default
    if isinstance(value, kind):
        return value
    words = {str: "a string", bool: "true or false", list: "a list", dict: "an object"}
    raise _wrong(name, f"{key} must be {words[kind]}")


def _wrong(name: str, what: str) -> ConfigError:
    return ConfigError(f"option {OPTION!r}: action {name!r}: {what}", OPTION)
