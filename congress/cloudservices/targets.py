# SPDX-License-Identifier: Apache-2.0
"""Where a service is, and that its secrets stay there.

Who may change a service's configuration sees its secrets as ``<hidden>`` and may send them back like that.  Were the
service's address changed at the same time, they would be sent to whoever is at the new one.  Pure.

Addresses are the options that are of type ``url`` or declared as ``target``, and what begins like a URL in any other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from congress.cloudservices import telltale
from congress.cloudservices.errors import ConfigError
from congress.cloudservices.options import HIDDEN, Option

_HOST: Final = re.compile(r"\s*[\w+.-]+://[^/?#\s]*")


def check_moved(
    options: Iterable[Option], given: Mapping[str, Any], old: Mapping[str, Any], restored: Mapping[str, Any]
) -> None:
    """See that no old secret goes to a new address.

    :param given: the new configuration as it came, with ``<hidden>``.
    :param restored: the same with the old secrets.
    :raises ConfigError: naming the secret's option and the address's.
    """
    known = tuple(options)
    kept = sorted(name for name in given if restored[name] != given[name] and not _is_own(known, name, given))
    moved = next(_moved(known, given, old), None) if kept else None
    if moved is not None:
        raise ConfigError(
            f"option {moved!r} says where the service is, and changes: give the secrets of option {kept[0]!r} again, "
            f"{HIDDEN} does not move with it",
            kept[0],
        )


def _is_own(options: Iterable[Option], name: str, given: Mapping[str, Any]) -> bool:
    """Whether a secret is itself an address, such as a proxy's with its password: it goes nowhere else."""
    return given[name] == HIDDEN and any(
        option.secret and option.is_target and name in (option.name, *option.synonyms) for option in options
    )


def _moved(options: tuple[Option, ...], given: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    """The options whose addresses are others now."""
    targets = [option for option in options if option.is_target]
    for option in targets:
        new = _value(option, given)
        if new != HIDDEN and _shown(option, new) != _shown(option, _value(option, old)):
            yield option.name
    declared = {name for option in targets for name in (option.name, *option.synonyms)}
    for name in sorted(given.keys() - declared):
        if not set(_hosts(given[name], name)) <= set(_hosts(old.get(name), name)):
            yield name


def _value(option: Option, config: Mapping[str, Any]) -> Any:
    values = (config.get(name) for name in (option.name, *option.synonyms))
    return next((value for value in values if value is not None), option.default)


def _shown(option: Option, value: Any) -> Any:
    """The address without the secrets in it; they may come or stay hidden."""
    return value if option.secret else telltale.mask(value, (option.name,))


def _hosts(value: Any, name: str) -> Iterator[str]:
    """What begins like a URL, up to its path, anywhere in a value."""
    masked = telltale.mask(value, (name,))
    todo = [masked]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and (found := _HOST.match(item)):
            yield found[0].strip().lower()
        elif isinstance(item, Mapping):
            todo += item.values()
        elif isinstance(item, list | tuple):
            todo += item
