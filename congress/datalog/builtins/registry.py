# SPDX-License-Identifier: Apache-2.0
"""Where built-ins are declared: a typed signature, documentation and examples in one place.

A built-in is a function of its inputs; what it returns says what holds:

* no outputs: a test; it returns True or False;
* one output: it returns the value;
* several outputs: it returns a tuple of values;
* ``many=True``: it returns an iterable of the above, and the literal holds once for each.

Raising :class:`BuiltinError` (or TypeError, ValueError, ArithmeticError, OverflowError) makes the literal
undefined for these inputs: neither it nor its negation holds.  A built-in is pure: the same inputs always
give the same answer, and it never blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from congress.datalog.diagnostics import DatalogError

# fmt: off
BARE_NAMES: Final = frozenset({
    "lt", "lteq", "equal", "gt", "gteq", "max", "plus", "minus", "mul", "div", "float", "int", "concat",
    "len", "now", "unpack_date", "unpack_time", "unpack_datetime", "pack_date", "pack_time",
    "pack_datetime", "extract_date", "extract_time", "datetime_to_seconds", "datetime_plus",
    "datetime_minus", "datetime_lt", "datetime_lteq", "datetime_gt", "datetime_gteq", "datetime_equal",
    "ips_equal", "ips_lt", "ips_lteq", "ips_gt", "ips_gteq", "networks_equal", "networks_overlap",
    "ip_in_network", "validate_int", "validate_float", "validate_string",
})
# fmt: on
"""Built-ins that a literal may name without ``builtin:``, as old policies do.  No others: a new built-in must
not take the name of a table that an old policy has."""


class BuiltinError(DatalogError):
    """A built-in has no answer for these inputs: a bad date, a division by zero."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its name, the kind of value (``string``, ``number``, ``any``, ...), what it is."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A literal with constants for its inputs, and what becomes of it.

    ``result`` is True or False where it has no variables, a dict of their values (Python's ``True`` for ``true``), a
    list of such dicts for a built-in with many answers, or ``"undefined"``.
    """

    literal: str  # such as 'concat("a", "b", x)'
    result: object  # such as {"x": "ab"}


@dataclass(frozen=True, slots=True)
class Builtin:
    """One built-in, as rules, the generated code and the docs see it."""

    name: str
    category: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    function: Callable[..., Any]
    description: str
    examples: tuple[Example, ...] = ()
    many: bool = False
    # A Python expression over {0}, {1}, ... that generated code uses in place of a call, where one is exact.
    inline: str | None = None
    # True for built-ins whose answer moves with the clock; their function gets the current time (seconds since
    # the epoch, a float) as its first argument, before the declared inputs.
    temporal: bool = False
    # For temporal built-ins: called as the function is, the first later moment at which its answer may be another.
    next_change: Callable[..., float] | None = None

    @property
    def arity(self) -> int:
        return len(self.inputs) + len(self.outputs)

    @property
    def signature(self) -> str:
        """``plus(a: number, b: number -> total: number)``"""
        given = ", ".join(f"{a.name}: {a.type}" for a in self.inputs)
        made = ", ".join(f"{a.name}: {a.type}" for a in self.outputs)
        return f"{self.name}({given}{' -> ' + made if made else ''})"


class Registry:
    """Built-ins by name; a name may be declared once for each arity."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, int], Builtin] = {}
        self._names: dict[str, list[Builtin]] = {}
        self.faults: list[str] = []
        """What could not be loaded from other packages, and why; those built-ins are missing."""

    def add(self, builtin: Builtin) -> Builtin:
        """Declare a built-in.

        :raises ValueError: when the name is taken for this arity.
        """
        key = (builtin.name, builtin.arity)
        if key in self._items:
            raise ValueError(f"built-in {builtin.name}/{builtin.arity} is declared twice")
        self._items[key] = builtin
        self._names.setdefault(builtin.name, []).append(builtin)
        return builtin

    def find(self, name: str, arity: int) -> Builtin | None:
        """The built-in of that name with that many arguments."""
        return self._items.get((name, arity))

    def named(self, name: str) -> list[Builtin]:
        """All arities of a name; empty when there is none."""
        return self._names.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[Builtin]:
        return iter(self._items.values())
