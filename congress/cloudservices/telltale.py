# SPDX-License-Identifier: Apache-2.0
"""Secrets that stand in options that are not declared secret: a token among plain headers, a key in a URL's query.

They are told by the names that they have there.  What has such a name is shown as ``<hidden>``, taken out of errors and
logs, and encrypted in the database, as the values of secret options are.  Pure.

Looked at are objects that make requests (``headers``, ``params``, ``body``, and objects in these), the queries of
anything that looks like a URL, and passwords before its host.
"""

import json
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote_plus, unquote_plus

HIDDEN: Final = "<hidden>"

Place = tuple[str | int, ...]
Replace = Callable[[Place, str], str]

_REQUESTS: Final = frozenset({"headers", "params", "query", "body", "form", "cookies"})
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_TELLING: Final = frozenset(
    {
        *("authorization", "credential", "credentials", "jwt", "passphrase", "passwd", "password", "pwd", "token"),
        *("apikey", "cookie", "secret", "session", "sessionid", "sig", "signature"),
    }
)
_KEYS: Final = frozenset({"access", "account", "api", "auth", "functions", "private", "shared", "subscription"})
_PAGES: Final = frozenset({"continuation", "next", "page", "sync"})  # tokens of these are places in a list
_QUERY: Final = re.compile(r"(?<=[?&;])([\w.%\[\]-]+)=([^&#\s]+)")
_LOGIN: Final = re.compile(r"(?<=://)([^/?#@:\s]*):([^/?#@\s]+)(?=@)")
_HOLE: Final = re.compile(r"\{[^{}]*\}")


def is_telling(name: str) -> bool:
    """Whether what has this name is a secret: ``Authorization``, ``X-Auth-Token``, ``apiKey``, ``client_secret``."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if any(before in _KEYS and word == "key" for before, word in pairwise(words)):
        return True
    return not _TELLING.isdisjoint(words) and _PAGES.isdisjoint(words)


def replaced(value: Any, replace: Replace, place: Place = ()) -> Any:
    """The same structure with every secret replaced by what ``replace`` gives for its place and text.

    JSON in a text is looked into as well, and is a structure in the result where there was a secret in it.
    """
    if isinstance(value, Mapping):
        return {key: _entry(key, item, replace, (*place, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, replace, (*place, number)) for number, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    inner = _structure(value)
    if inner is not None:
        return replaced(inner, replace, place) if any_in(inner, place) else value
    return _text(value, replace, place)


def mask(value: Any, place: Place = ()) -> Any:
    """The value as it may be shown."""
    return replaced(value, lambda _place, _text: HIDDEN, place)


def secrets_in(value: Any, place: Place = ()) -> dict[Place, str]:
    """The secrets in a value, by their places."""
    found: dict[Place, str] = {}

    def keep(at: Place, text: str) -> str:
        found[at] = text
        return text

    replaced(value, keep, place)
    return found


def any_in(value: Any, place: Place = ()) -> bool:
    """Whether there is any."""
    return bool(secrets_in(value, place))


def restored(new: Any, old: Any, place: Place = ()) -> Any:
    """A value that came back from who was shown the old one masked: with the old secrets where they are masked.

    :raises LookupError: the old value has none at such a place.
    """
    known = secrets_in(old, place)
    return replaced(new, lambda at, text: known[at] if text == HIDDEN else text, place)


def forms(secret: str) -> set[str]:
    """How a secret may appear in texts: as it is, as a URL has it or had it, without the scheme before it."""
    found = {secret, secret.rpartition(" ")[2]}
    return found | {change(text) for text in found for change in (quote_plus, unquote_plus)}


def _entry(key: object, item: Any, replace: Replace, place: Place) -> Any:
    if isinstance(item, str) and _is_secret(item) and not _REQUESTS.isdisjoint(place) and is_telling(str(key)):
        return replace(place, item)
    return replaced(item, replace, place)


def _text(text: str, replace: Replace, place: Place) -> str:
    def in_query(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if not _is_secret(value) or not is_telling(unquote_plus(name)):
            return found[0]
        return f"{name}={replace((*place, '?', name), value)}"

    def in_login(found: re.Match[str]) -> str:
        return f"{found[1]}:{replace((*place, '@'), found[2])}"

    return _LOGIN.sub(in_login, _QUERY.sub(in_query, text))


def _is_secret(text: str) -> bool:
    """Whether there is more in it than the holes that an action's arguments fill."""
    return bool(_HOLE.sub("", text).strip())


def _structure(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None
