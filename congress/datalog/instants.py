# SPDX-License-Identifier: Apache-2.0
"""Literals that ask for equality with a time that goes on: it lasts for an instant, which is easily missed."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from congress.datalog import syntax
from congress.datalog.core import Const, Equal, Item, Negative, Positive, Test, variables
from congress.datalog.diagnostics import Diagnostic, register_code

INSTANT = register_code("W108", "An age or the present time is compared for equality, which lasts for an instant.")

_SAID: Final = {
    "age": ("an age is equal to a value for an instant only", "compare it with <, <=, > or >="),
    "now": ("the present time is equal to a value for a second only", "compare it with datetime_lt and its like"),
}
_COMPUTED: Final = {"plus", "minus", "mul"}
_EQUALITIES: Final = {"equal", "datetime_equal"}


def instant_warnings(rule: syntax.Rule, body: Sequence[Item]) -> list[Diagnostic]:
    """A warning for each literal of a rule that asks for such an equality; ``body`` are its literals, resolved."""
    clocks = [item for item in body if _is_clock(item)]
    if not clocks:
        return []
    bound = Counter(name for item in body for name in _bound(item))
    moving = _moving(body, bound)
    found: dict[int, Diagnostic] = {}
    for item in body:
        name = _asked(item, moving, bound)
        if name and 0 <= item.source < len(rule.body):
            message, hint = _SAID[name]
            span = rule.body[item.source].span
            found[item.source] = Diagnostic(INSTANT, message, rule.source, span, hint, "warning")
    return list(found.values())


def _is_clock(item: Item) -> bool:
    return isinstance(item, Test) and item.builtin.temporal and item.builtin.name in _SAID


def _bound(item: Item) -> set[str]:
    """The variables to which a table or a built-in gives a value."""
    if isinstance(item, Positive):
        return set(variables(item.args))
    return set(variables(item.outputs)) if isinstance(item, Test) and not item.negated else set()


def _moving(body: Sequence[Item], bound: Counter[str]) -> dict[str, str]:
    """The variables that hold such a time, or what is computed of one, with the name of the built-in that gave it."""
    moving: dict[str, str] = {}
    size = -1
    while size < len(moving):
        size = len(moving)
        for item in body:
            name = _goes_on(item, moving)
            made: tuple[object, ...] = ()
            if isinstance(item, Test):
                made = item.outputs
            elif isinstance(item, Equal) and not item.negated:
                made = (item.left, item.right)
            for arg in made if name else ():
                if isinstance(arg, str) and (isinstance(item, Test) or not bound[arg]):
                    moving.setdefault(arg, name)
    return moving


def _goes_on(item: Item, moving: dict[str, str]) -> str:
    """The built-in that gave the time which a literal passes on; empty where it passes none on."""
    if isinstance(item, Test) and _is_clock(item):
        return item.builtin.name
    if isinstance(item, Test) and item.builtin.name in _COMPUTED:
        return _only(item.inputs, moving)
    return _only((item.left, item.right), moving) if isinstance(item, Equal) else ""


def _only(args: tuple[object, ...], moving: dict[str, str]) -> str:
    """The built-in behind the one of two arguments that goes on; of two that do, the difference stays."""
    names = [moving[arg] for arg in args if isinstance(arg, str) and arg in moving]
    return names[0] if len(names) == 1 else ""


def _asked(item: Item, moving: dict[str, str], bound: Counter[str]) -> str:
    """The built-in whose result a literal wants to equal something."""
    if isinstance(item, Negative):
        return next((moving[arg] for arg in item.args if isinstance(arg, str) and arg in moving), "")
    if isinstance(item, Equal):
        return _only((item.left, item.right), moving)
    if not isinstance(item, Test):
        return ""
    if item.builtin.name in _EQUALITIES:
        return _only(item.inputs, moving)
    name = _goes_on(item, moving)
    fixed = any(isinstance(arg, Const) or (isinstance(arg, str) and bound[arg] > 1) for arg in item.outputs)
    return name if fixed or (name and item.negated and item.outputs[0] is not None) else ""
