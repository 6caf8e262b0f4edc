# SPDX-License-Identifier: Apache-2.0
"""Keeps secret arguments out of everything that is shown or kept in the clear."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from congress.datalog.values import Bool

MASK: Final = "***"
"""What stands where a secret was."""

_SHORT: Final = 4  # shorter texts are looked for as words only, and shorter numbers not in texts: they are everywhere


class Mask:
    """Replaces some values, and texts that contain them, wherever they occur.

    A secret is found as itself, as the text of itself inside other texts, and there also as JSON or Python would
    write it; not in other encodings.  The parts of a secret list or mapping are secrets each.
    """

    def __init__(self, secrets: Iterable[Any] = ()) -> None:
        leaves = [leaf for secret in secrets for leaf in _leaves(secret)]
        self._values = {_key(leaf) for leaf in leaves} | {_key(str(leaf)) for leaf in leaves if _is_number(leaf)}
        texts = {text for leaf in leaves for text in _texts(leaf)}
        # The longest first: a secret may begin like another one.
        parts = (_pattern(text) for text in sorted(texts, key=lambda text: (-len(text), text)))
        self._texts = re.compile("|".join(parts)) if texts else None

    def text(self, text: str) -> str:
        """A text without secrets."""
        return self._texts.sub(MASK, text) if self._texts else text

    def __call__(self, value: Any) -> Any:
        """A value of JSON (or of a row) without secrets."""
        if not self._values:
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self(inner) for inner in value]
        if _key(value) in self._values:
            return MASK
        return self.text(value) if isinstance(value, str) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and value != "":  # that nothing was given is no secret
        yield value


def _key(value: Any) -> tuple[str, Any]:
    """Equal for equal values only: ``True`` is not ``1``."""
    if isinstance(value, bool | Bool):
        return "boolean", bool(value)
    if _is_number(value):
        return "number", value
    return ("string", value) if isinstance(value, str) else ("other", repr(value))


def _texts(leaf: Any) -> Iterator[str]:
    if isinstance(leaf, str):
        yield from (leaf, json.dumps(leaf)[1:-1], json.dumps(leaf, ensure_ascii=False)[1:-1], repr(leaf)[1:-1])
    elif _is_number(leaf) and len(str(leaf)) >= _SHORT:
        yield str(leaf)


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def _pattern(text: str) -> str:
    if len(text) >= _SHORT:
        return re.escape(text)
    return rf"(?<!\w){re.escape(text)}(?!\w)"
