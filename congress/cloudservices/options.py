# SPDX-License-Identifier: Apache-2.0
"""What a driver can be configured with: typed options, some of them secret.

A driver class lists its options; :func:`validate` turns what a user sent into a complete, typed
configuration or says everything that is wrong with it at once.  No message ever repeats a value: it may be
a secret, or the wrong half of one.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from congress.cloudservices import telltale
from congress.cloudservices.errors import ConfigError, ConfigProblem

HIDDEN: Final = telltale.HIDDEN
TYPES: Final = ("string", "integer", "number", "boolean", "list", "object", "url", "path", "any")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a driver.

    ``type`` is one of ``string``, ``integer``, ``number``, ``boolean``, ``list`` (of strings), ``object``,
    ``url`` (http or https), ``path`` and ``any``.  Values that command lines and old clients send as text
    are understood: ``"10"``, ``"true"``, ``"a,b"`` and JSON text.  ``synonyms`` are older names of the same
    option.  A ``target`` says where the service is, as every ``url`` does: where it changes, secrets are to be given
    again.  ``check`` gets the typed value and returns what is wrong with it as a phrase (``"must not be
    empty"``), or None.
    """

    name: str
    type: str = "string"
    required: bool = False
    default: Any = None
    secret: bool = False
    description: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    synonyms: tuple[str, ...] = ()
    check: Callable[[Any], str | None] | None = None
    target: bool = False

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"option {self.name!r} has type {self.type!r}; the types are {', '.join(TYPES)}")
        if self.required and self.default is not None:
            raise ValueError(f"option {self.name!r} is required and has a default")

    @property
    def is_target(self) -> bool:
        """Whether its value says where the service is, and so who gets the service's secrets."""
        return self.target or self.type == "url"

    def to_dict(self) -> dict[str, object]:
        """The option for machines: plain JSON types."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "default": self.default,
            "secret": self.secret,
            "description": self.description,
            "choices": list(self.choices),
        }


def merge(*groups: Iterable[Option]) -> tuple[Option, ...]:
    """Options of several classes as one list; a later option of the same name replaces the earlier one."""
    merged = {option.name: option for group in groups for option in group}
    return tuple(merged.values())


def validate(options: Iterable[Option], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """The complete configuration: every option is there, typed, with its default where nothing was given.

    Null counts as not given.  :raises ConfigError: with every problem found; never with a value in it.
    """
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError("the configuration must be an object of options")
    given = dict(config or {})
    known = tuple(options)
    problems: list[ConfigProblem] = []
    result = {option.name: _take(option, given, problems) for option in known}
    names = ", ".join(sorted(option.name for option in known)) or "none"
    problems += [
        ConfigProblem(str(name), f"there is no option {str(name)[:60]!r}; the options are: {names}") for name in given
    ]
    if problems:
        raise ConfigError(problems)
    return result


def _take(option: Option, given: dict[Any, Any], problems: list[ConfigProblem]) -> Any:
    """Take the option's value out of what was given; what is left at the end is unknown."""
    values = [value for name in (option.name, *option.synonyms) if (value := given.pop(name, None)) is not None]
    if len(values) > 1:
        problems.append(ConfigProblem(option.name, f"option {option.name!r} is given twice, by an older name too"))
    if not values:
        if option.required:
            problems.append(ConfigProblem(option.name, f"option {option.name!r} is required"))
        return option.default
    try:
        value = _CONVERT[option.type](values[0])
        _check(option, value)
    except ValueError as error:
        problems.append(ConfigProblem(option.name, f"option {option.name!r} {error}"))
        return option.default
    return value


def _check(option: Option, value: Any) -> None:
    if option.choices and value not in option.choices:
        raise ValueError(f"must be one of: {', '.join(option.choices)}")
    if option.minimum is not None and value < option.minimum:
        raise ValueError(f"must be at least {option.minimum:g}")
    if option.maximum is not None and value > option.maximum:
        raise ValueError(f"must be at most {option.maximum:g}")
    if option.check is not None and (wrong := option.check(value)):
        raise ValueError(wrong)


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("must be a string")


def _integer(value: Any) -> int:
    number = _number(value, "an integer")
    if number != int(number):
        raise ValueError("must be an integer")
    return int(number)


def _number(value: Any, what: str = "a number") -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {what}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"must be {what}") from None
    if not math.isfinite(number):
        raise ValueError(f"must be {what}")
    return value if isinstance(value, int) else number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        value = _json(value) if value.lstrip().startswith("[") else value.split(",")
        value = [item.strip() if isinstance(item, str) else item for item in value]
        value = [item for item in value if item != ""]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of strings")
    return list(value)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _json(value)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("must be an object")
    return dict(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None


def _url(value: Any) -> str:
    text = _string(value).strip()
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError("must be an http or https URL")
    if parts.username or parts.password:
        raise ValueError("must not hold a user name or password; there are options for those")
    return text


def _path(value: Any) -> str:
    text = _string(value)
    if not text or "\0" in text:
        raise ValueError("must be a path")
    return text


_CONVERT: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "list": _list,
    "object": _object,
    "url": _url,
    "path": _path,
    "any": lambda value: value,
}


def redact(options: Iterable[Option], config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that may be shown: the values of secret options, and what their names tell to be secrets in
    others, are replaced by ``<hidden>``.
    """
    secret = secret_names(options)
    return {
        name: value if value is None else HIDDEN if name in secret else telltale.mask(value, (name,))
        for name, value in config.items()
    }


def secret_names(options: Iterable[Option]) -> frozenset[str]:
    """The names, older ones included, of the secret options."""
    return frozenset(name for option in options if option.secret for name in (option.name, *option.synonyms))


def names_to_encrypt(options: Iterable[Option], config: Mapping[str, Any]) -> frozenset[str]:
    """The options in a configuration that must not be stored in clear."""
    secret = secret_names(options)
    return frozenset(name for name, value in config.items() if name in secret or telltale.any_in(value, (name,)))


def with_old_secrets(
    options: Iterable[Option], config: Mapping[str, Any], old: Mapping[str, Any], lost: Collection[str] = ()
) -> dict[str, Any]:
    """A new configuration with the old values of the secrets that are given as ``<hidden>``.

    :param lost: options whose old values cannot be read any more.
    :raises ConfigError: there is no old value.
    """
    secret = secret_names(options)
    return {
        name: _with_old_secrets(name, value, old.get(name) if name not in lost else None, name in secret | set(lost))
        for name, value in config.items()
    }


def _with_old_secrets(name: str, value: Any, old: Any, whole: bool) -> Any:
    try:
        if not whole:
            return telltale.restored(value, old, (name,))
        if value == HIDDEN and old is None:
            raise LookupError
    except LookupError:
        raise ConfigError(f"a value of option {name!r} is not known any more; give it anew", name) from None
    return old if value == HIDDEN else value


def secret_values(options: Iterable[Option], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that must not appear anywhere: secret values and the strings inside them, longest first."""
    found: set[str] = set()
    for name in secret_names(options):
        _strings(config.get(name), found)
    for name, value in config.items():
        for text in telltale.secrets_in(value, (name,)).values():
            found |= telltale.forms(text)
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True))


# A shorter secret would blank out ordinary words, and would not be one.
_SHORTEST: Final = 4


def _strings(value: Any, found: set[str]) -> None:
    if isinstance(value, str):
        found.add(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _strings(item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _strings(item, found)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """A text of unknown origin (a library's error) without the given secrets."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text
