# SPDX-License-Identifier: Apache-2.0
"""Evaluates one literal of a built-in without an engine, for the tests of the built-ins."""

from collections.abc import Iterable
from typing import Any

from congress.datalog import syntax
from congress.datalog.builtins.registry import Builtin, BuiltinError, Registry
from congress.datalog.builtins.shelf import EXAMPLE_NOW, UNDEFINED
from congress.datalog.parser import parse_query
from congress.datalog.values import Bool, Value, encode

FAULTS = (BuiltinError, TypeError, ValueError, ArithmeticError)


def read(literal: str) -> tuple[str, list[syntax.Term]]:
    """The name and the arguments of a literal."""
    atom = parse_query(f"builtin:{literal}")
    assert isinstance(atom, syntax.Atom)
    return atom.table, list(atom.args)


def answers(builtin: Builtin, inputs: Iterable[Value], now: float = EXAMPLE_NOW) -> list[tuple[Value, ...]]:
    """All outputs for these inputs, each as a tuple; a test that holds has one, the empty tuple."""
    made = builtin.function(*([now] if builtin.temporal else []), *inputs)
    if not builtin.outputs:
        assert made is True or made is False, f"{builtin.name} is a test, it answered {made!r}"
        return [()] if made else []
    each = list(made) if builtin.many else [made]
    return [(one,) if len(builtin.outputs) == 1 else tuple(one) for one in each]


def evaluate(registry: Registry, literal: str) -> Any:
    """True, False, "undefined", or the values of the literal's variables: a list of dicts of row values."""
    name, args = read(literal)
    builtin = registry.find(name, len(args))
    assert builtin is not None, f"there is no built-in {name}/{len(args)}"
    split = len(builtin.inputs)
    inputs = [arg.value for arg in args[:split] if isinstance(arg, syntax.Constant)]
    assert len(inputs) == split, f"an input of {literal} is no constant"
    try:
        found = answers(builtin, inputs)
    except FAULTS:
        return UNDEFINED
    rows = []
    for outputs in found:
        assert len(outputs) == len(builtin.outputs)
        pairs = list(zip(args[split:], outputs, strict=True))
        if all(value == arg.value for arg, value in pairs if isinstance(arg, syntax.Constant)):
            rows.append({arg.name: value for arg, value in pairs if isinstance(arg, syntax.Variable)})
    if any(isinstance(arg, syntax.Variable) for arg in args):
        return rows
    return bool(rows)


def expected(result: object) -> Any:
    """The result of an example, as :func:`evaluate` gives it."""
    if isinstance(result, dict):
        return [{name: encode(value) for name, value in result.items()}]
    if isinstance(result, list):
        return [{name: encode(value) for name, value in one.items()} for one in result]
    return result


def kinds(result: Any) -> Any:
    """A result with the kinds of its values, so that 1 and true differ though Python may find them equal."""
    if not isinstance(result, list):
        return result
    return [{name: (isinstance(v, Bool), v) for name, v in one.items()} for one in result]
