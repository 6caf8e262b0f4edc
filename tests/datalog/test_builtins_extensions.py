# SPDX-License-Identifier: Apache-2.0
"""Built-ins of other packages: they are loaded, and their faults are cut."""

import logging
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from congress.datalog import builtins
from congress.datalog.builtins import core_registry, default_registry, extensions
from congress.datalog.builtins.extensions import guard, load
from congress.datalog.builtins.registry import Argument, Builtin, BuiltinError
from congress.datalog.values import FALSE, TRUE


def declared(function: Callable[..., Any], outputs: int = 1, name: str = "f", *, many: bool = False) -> Builtin:
    return Builtin(
        name=name,
        category="test",
        inputs=(Argument("a", "any"),),
        outputs=tuple(Argument(f"o{at}", "any") for at in range(outputs)),
        function=function,
        description="For a test.",
        many=many,
        inline="{0} + 1",
    )


ONE = declared(lambda a: a, name="one")
SEVERAL = (declared(lambda a: a, name="two"), declared(lambda a: a, name="three"))
NOT_BUILTINS = ["lower"]
NO_LIST = 5
EXITING = map(sys.exit, [1])
TAKEN = [declared(lambda a: a, name="lower"), declared(lambda a: True, 0, name="lower")]  # lower/2 and lower/1
BAD_NAME = [declared(lambda a: a, name="no name")]


def point(attribute: str, module: str = __name__, name: str = "") -> EntryPoint:
    return EntryPoint(name or attribute, f"{module}:{attribute}", extensions.GROUP)


def test_one_or_several_are_loaded() -> None:
    found = load(core_registry(), [point("ONE"), point("SEVERAL")])
    assert [builtin.name for builtin in found.builtins] == ["one", "two", "three"]
    assert found.faults == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (point("MISSING"), "AttributeError"),
        (point("X", "congress_no_such_module"), "ModuleNotFoundError"),
        (point("NOT_BUILTINS"), "no Builtin"),
        (point("NO_LIST"), "neither a Builtin nor several"),
        (point("BAD_NAME"), "cannot be the name"),
        (point("EXITING"), "SystemExit"),
    ],
    ids=lambda x: x.name if isinstance(x, EntryPoint) else "",
)
def test_a_package_that_cannot_be_loaded_is_left_out(
    entry: EntryPoint, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = load(core_registry(), [entry, point("ONE")])
    assert [builtin.name for builtin in found.builtins] == ["one"]
    assert len(found.faults) == 1
    assert reason in found.faults[0]
    assert entry.name in found.faults[0]
    assert [record.getMessage().split()[0] for record in caplog.records] == ["builtin_not_loaded"]


def test_a_taken_name_is_left_out_but_another_arity_is_not() -> None:
    found = load(core_registry(), [point("TAKEN")])
    assert [(builtin.name, builtin.arity) for builtin in found.builtins] == [("lower", 1)]
    assert found.faults == (f"TAKEN ({__name__}:TAKEN): lower/2 is taken",)


def test_two_packages_cannot_offer_the_same() -> None:
    found = load(core_registry(), [point("ONE", name="a"), point("ONE", name="b")])
    assert len(found.builtins) == 1
    assert found.faults == (f"b ({__name__}:ONE): one/2 is taken",)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Entry points that stand for those of installed packages."""
    points = [point("SEVERAL"), point("MISSING")]
    monkeypatch.setattr(extensions, "entry_points", lambda group: points if group == extensions.GROUP else [])
    monkeypatch.setattr(builtins, "_offered", cache(builtins._offered.__wrapped__))
    return points


def test_default_registry_has_what_is_installed(installed: list[EntryPoint]) -> None:
    registry = default_registry()
    assert "two" in registry
    assert "lt" in registry
    assert len(registry.faults) == 1
    installed.clear()  # packages are searched only once
    assert "two" in default_registry()
    assert default_registry().faults == registry.faults


def test_python_booleans_become_those_of_the_language() -> None:
    assert guard(declared(lambda a: True)).function(1) is TRUE
    assert guard(declared(lambda a: (False, a), 2)).function(1) == (FALSE, 1)
    assert guard(declared(lambda a: TRUE, 0)).function(1) is True
    assert guard(declared(lambda a: None, 0)).function(1) is False


def test_many_answers_are_checked_each() -> None:
    assert guard(declared(lambda a: iter([1, True]), many=True)).function(1) == [1, TRUE]
    assert guard(declared(lambda a: [(1, 2)], 2, many=True)).function(1) == [(1, 2)]


def test_inline_expression_is_dropped() -> None:
    assert guard(ONE).inline is None


def endless() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


@pytest.mark.parametrize(
    ("function", "outputs", "many"),
    [
        (lambda a: [a], 1, False),
        (lambda a: math.nan, 1, False),
        (lambda a: 10**30, 1, False),
        (lambda a: "a" * 2_000_000, 1, False),
        (lambda a: (a,), 2, False),
        (lambda a: (a, a, a), 2, False),
        (lambda a: 5, 2, False),
        (lambda a: ()[a], 1, False),
        (lambda a: a.missing, 1, False),
        (lambda a: endless(), 1, True),
        (lambda a: 5, 1, True),
        (lambda a, b: a, 1, False),
        (sys.exit, 1, False),
        (lambda a: map(sys.exit, [a]), 1, True),
    ],
)
def test_faults_make_it_undefined(function: Callable[..., Any], outputs: int, many: bool) -> None:
    with pytest.raises(BuiltinError):
        guard(declared(function, outputs, many=many)).function(1)


def test_a_user_may_interrupt_it() -> None:
    def interrupted(a: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard(declared(interrupted)).function(1)


def test_its_own_message_is_kept() -> None:
    def refuse(a: object) -> None:
        raise BuiltinError("not today")

    with pytest.raises(BuiltinError, match=r"^not today$"):
        guard(declared(refuse)).function(1)
