# SPDX-License-Identifier: Apache-2.0
"""The driver contracts as a whole: what they share a namespace with, and what crosses the bus."""

import ast
import inspect
import textwrap
from typing import Any

import pytest

from congress.bus import codec
from congress.bus.publisher import TablePublisher
from congress.bus.service import Service
from congress.cloudservices import errors, http_errors
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.cloudservices.errors import ConfigError, ConfigProblem, DriverError, RateLimited, RowsError
from congress.cloudservices.execution_driver import ExecutionDriver
from congress.cloudservices.fake import FakeDriver
from congress.cloudservices.freshness import Freshness
from congress.cloudservices.manager import DriverManager
from congress.cloudservices.polling_driver import PollingDriver
from congress.cloudservices.push import PushDriver
from congress.cloudservices.pushed_driver import PushedDriver
from congress.cloudservices.service_tables import CongressService
from congress.datalog.schema import TableSchema


def private_names(cls: type) -> set[str]:
    """The private names that a class itself defines, as methods or as attributes of its instances."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    found = {name for name in vars(cls) if name.startswith("_") and not name.endswith("__")}
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                found.add(target.attr)
    return {name for name in found if name.startswith("_") and not name.startswith("_abc_")}


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (DataSourceDriver, TablePublisher),
        (PollingDriver, TablePublisher),
        (PushedDriver, TablePublisher),
        (ExecutionDriver, TablePublisher),
        (PushDriver, TablePublisher),
        (FakeDriver, TablePublisher),
        (CongressService, TablePublisher),
        (DriverManager, Service),
    ],
)
def test_private_names_are_not_those_of_the_bus(cls: type, base: type) -> None:
    theirs = set().union(*(private_names(one) for one in base.__mro__ if one is not object))
    assert "_inbox" in theirs
    assert private_names(cls) & theirs == set()


ERRORS = [
    found
    for module in (errors, http_errors)
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, DriverError) and found.__module__ == module.__name__
]


def across(value: Any) -> Any:
    return codec.unpack(codec.loads(codec.dumps(codec.pack(value))))


@pytest.mark.parametrize("cls", ERRORS)
def test_errors_cross_the_bus(cls: type[DriverError]) -> None:
    default = cls("odd") if cls is ConfigError else cls()
    found = across(default)
    assert type(found) is cls
    assert found.to_dict() == default.to_dict()
    assert found.message
    assert cls.code in {one.code for one in ERRORS}


def test_codes_are_told_apart() -> None:
    codes = [cls.code for cls in ERRORS]
    assert len(set(codes)) == len(codes)


def test_what_errors_carry() -> None:
    refused = ConfigError([ConfigProblem("a", "a is wrong"), ConfigProblem("b", "b is wrong")])
    assert across(refused).problems == refused.problems
    assert refused.to_dict() == {
        "error_code": "invalid_config",
        "message": "a is wrong; b is wrong",
        "error_data": {
            "problems": [{"option": "a", "message": "a is wrong"}, {"option": "b", "message": "b is wrong"}]
        },
    }
    assert across(RateLimited("slow", retry_after=3)).retry_after == 3
    found = across(RowsError("bad", table="t", row=4, column="c"))
    assert (found.table, found.row, found.column) == ("t", 4, "c")


def test_descriptions_cross_the_bus() -> None:
    driver = FakeDriver("fake")
    assert across(driver.actions()) == driver.actions()
    assert across(driver.schema()) == driver.schema()
    assert all(isinstance(schema, TableSchema) for schema in across(driver.schema()).values())
    assert across(Freshness(1.5, False, None, 3)) == Freshness(1.5, False, None, 3)
    assert across(driver.status()) == driver.status()
