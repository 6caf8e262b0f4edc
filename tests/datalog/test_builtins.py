# SPDX-License-Identifier: Apache-2.0
"""Every built-in: its declaration, its examples, and the cases in data files."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from congress.datalog.builtins import SHELVES, core_registry, default_registry
from congress.datalog.builtins.kinds import TYPES
from congress.datalog.builtins.registry import Builtin, Example
from congress.datalog.builtins.shelf import UNDEFINED, Shelf
from tests.datalog.literals import FAULTS, answers, evaluate, expected, kinds, read

REGISTRY = core_registry()
BUILTINS = list(REGISTRY)
EXAMPLES = [(builtin, example) for builtin in BUILTINS for example in builtin.examples]
CASES = json.loads((Path(__file__).parent / "cases" / "builtins.json").read_text())

# These have an answer for every input.
TOTAL = {("equal", 2), ("type_of", 2), ("coalesce", 3)}
# The clock cannot make it fail; its second example shows a moment that it is not.
UNFAILING = TOTAL | {("now", 1)}

# The built-ins of the last OpenStack Congress with their numbers of inputs and outputs.
OLD = {
    "lt": (2, 0), "lteq": (2, 0), "equal": (2, 0), "gt": (2, 0), "gteq": (2, 0), "max": (2, 1),
    "plus": (2, 1), "minus": (2, 1), "mul": (2, 1), "div": (2, 1), "float": (1, 1), "int": (1, 1),
    "concat": (2, 1), "len": (1, 1),
    "now": (0, 1), "unpack_date": (1, 3), "unpack_time": (1, 3), "unpack_datetime": (1, 6),
    "pack_time": (3, 1), "pack_date": (3, 1), "pack_datetime": (6, 1),
    "extract_date": (1, 1), "extract_time": (1, 1), "datetime_to_seconds": (1, 1),
    "datetime_plus": (2, 1), "datetime_minus": (2, 1),
    "datetime_lt": (2, 0), "datetime_lteq": (2, 0), "datetime_gt": (2, 0), "datetime_gteq": (2, 0),
    "datetime_equal": (2, 0),
    "ips_equal": (2, 0), "ips_lt": (2, 0), "ips_lteq": (2, 0), "ips_gt": (2, 0), "ips_gteq": (2, 0),
    "networks_equal": (2, 0), "networks_overlap": (2, 0), "ip_in_network": (2, 0),
    "validate_int": (3, 1), "validate_float": (3, 1), "validate_string": (5, 1),
}  # fmt: skip


def key(builtin: Builtin) -> tuple[str, int]:
    return builtin.name, builtin.arity


@pytest.mark.parametrize(("name", "shape"), OLD.items())
def test_no_old_builtin_is_missing(name: str, shape: tuple[int, int]) -> None:
    assert shape in [(len(one.inputs), len(one.outputs)) for one in REGISTRY.named(name)]


@pytest.mark.parametrize("builtin", BUILTINS, ids=lambda b: f"{b.name}/{b.arity}")
def test_declaration_is_complete(builtin: Builtin) -> None:
    assert builtin.description, "it needs a docstring"
    assert len(builtin.examples) >= 2
    has_undefined = any(example.result == UNDEFINED for example in builtin.examples)
    assert has_undefined == (key(builtin) not in UNFAILING)
    names = [argument.name for argument in (*builtin.inputs, *builtin.outputs)]
    assert len(set(names)) == len(names)
    assert all(argument.type in TYPES for argument in (*builtin.inputs, *builtin.outputs))
    assert builtin.outputs or not builtin.many
    assert builtin.temporal or builtin.next_change is None
    taken = len(inspect.signature(builtin.function).parameters)
    assert taken == len(builtin.inputs) + builtin.temporal or builtin.name == "pack_datetime"


@pytest.mark.parametrize(("builtin", "example"), EXAMPLES, ids=lambda x: getattr(x, "literal", ""))
def test_example(builtin: Builtin, example: Example) -> None:
    name, args = read(example.literal)
    assert (name, len(args)) == key(builtin), "the example is of another built-in"
    assert kinds(evaluate(REGISTRY, example.literal)) == kinds(expected(example.result))


@pytest.mark.parametrize(("literal", "result"), CASES, ids=lambda x: x if isinstance(x, str) else "")
def test_case(literal: str, result: Any) -> None:
    assert kinds(evaluate(REGISTRY, literal)) == kinds(expected(result))


@pytest.mark.parametrize(("builtin", "example"), EXAMPLES, ids=lambda x: getattr(x, "literal", ""))
def test_inline_expression_is_exact(builtin: Builtin, example: Example) -> None:
    if builtin.inline is None:
        return
    _, args = read(example.literal)
    inputs = [arg.value for arg in args[: len(builtin.inputs)]]  # type: ignore[union-attr]  # examples have constants
    code = builtin.inline.format(*(f"v[{at}]" for at in range(len(inputs))))
    try:
        wanted: Any = answers(builtin, inputs)
    except FAULTS:
        wanted = UNDEFINED
    try:
        made = eval(code, {"v": inputs})
        found: Any = [(made,)] if builtin.outputs else [()] * bool(made)
    except FAULTS:
        found = UNDEFINED
    assert found == wanted


def test_names_of_categories_and_builtins_are_unique() -> None:
    assert len({shelf.category for shelf in SHELVES}) == len(SHELVES)
    assert len({key(builtin) for builtin in BUILTINS}) == len(BUILTINS)


def test_default_registry_is_a_new_one_each_time() -> None:
    first, second = default_registry(), default_registry()
    assert first is not second
    assert {key(b) for b in first} >= {key(b) for b in BUILTINS}
    assert first.find("lt", 2) is second.find("lt", 2)
    assert first.find("lt", 3) is None
    assert "lt" in first
    assert "less" not in first


@pytest.mark.parametrize("signature", ["f(a)", "f(a: colour)", "f a: string", "f(a: string -> b)"])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    with pytest.raises(ValueError, match=r"signature|unknown type"):
        Shelf("test", "")(signature)(len)
