# SPDX-License-Identifier: Apache-2.0
"""Declares the built-ins of one category, each from its signature as the reference shows it."""

import inspect
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from congress.datalog.builtins.kinds import TYPES
from congress.datalog.builtins.registry import Argument, Builtin, Example

_Function = TypeVar("_Function", bound=Callable[..., Any])
_SIGNATURE: Final = re.compile(r"(?P<name>\w+)\((?P<inputs>[^>]*?)(?:\s*->\s*(?P<outputs>.*))?\)")

UNDEFINED: Final = "undefined"
"""The result of an example that has no answer."""

EXAMPLE_NOW: Final = 1767323045.0
"""The time in the examples of built-ins that move with the clock: Friday, 2026-01-02 03:04:05 UTC."""


class Shelf:
    """The built-ins of a category, in the order in which they are declared.

    :param category: its name, which is also the heading in the reference.
    :param about: a sentence or two that stand under the heading.
    """

    def __init__(self, category: str, about: str) -> None:
        self.category = category
        self.about = about
        self.builtins: list[Builtin] = []

    def __call__(
        self,
        signature: str,
        *examples: Example,
        many: bool = False,
        inline: str | None = None,
        temporal: bool = False,
        next_change: Callable[..., float] | None = None,
    ) -> Callable[[_Function], _Function]:
        """Declare the decorated function as a built-in; its docstring is the description.

        :param signature: such as ``plus(a: number, b: number -> total: number)``.
        """
        found = _SIGNATURE.fullmatch(signature)
        if found is None:
            raise ValueError(f"not a signature: {signature}")
        inputs, outputs = _arguments(found["inputs"]), _arguments(found["outputs"])

        def declare(function: _Function) -> _Function:
            self.builtins.append(
                Builtin(
                    name=found["name"],
                    category=self.category,
                    inputs=inputs,
                    outputs=outputs,
                    function=function,
                    description=inspect.getdoc(function) or "",
                    examples=examples,
                    many=many,
                    inline=inline,
                    temporal=temporal,
                    next_change=next_change,
                )
            )
            return function

        return declare


def _arguments(declared: str | None) -> tuple[Argument, ...]:
    arguments = []
    for item in (declared or "").split(","):
        if not item.strip():
            continue
        name, _, kind = (part.strip() for part in item.partition(":"))
        if kind not in TYPES:
            raise ValueError(f"argument {name} has the unknown type {kind!r}")
        arguments.append(Argument(name, kind))
    return tuple(arguments)


def holds(literal: str) -> Example:
    """The literal is true."""
    return Example(literal, True)


def fails(literal: str) -> Example:
    """The literal is false."""
    return Example(literal, False)


def gives(literal: str, **outputs: object) -> Example:
    """The literal is true with these values of its variables."""
    return Example(literal, outputs)


def gives_each(literal: str, *answers: dict[str, object]) -> Example:
    """The literal is true once for each of these, in this order."""
    return Example(literal, list(answers))


def undefined(literal: str) -> Example:
    """The literal has no answer: neither it nor its negation is true."""
    return Example(literal, UNDEFINED)
