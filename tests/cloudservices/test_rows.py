# SPDX-License-Identifier: Apache-2.0
"""Rows that come from outside, and tables that users describe."""

import math
from typing import Any

import pytest

from congress.cloudservices import rows as shapes
from congress.cloudservices.errors import ConfigError, RowsError
from congress.cloudservices.push import PushDriver
from congress.cloudservices.tabular import as_name, table_specs
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import FALSE, TRUE, decode_row
from tests.cloudservices.case_files import cases


def schema(columns: list[Any]) -> TableSchema:
    return TableSchema(tuple(Column(c) if isinstance(c, str) else Column(**c) for c in columns))


@cases("rows")
def test_pushed_rows(case: dict[str, Any]) -> None:
    if "error" not in case:
        found = [decode_row(row) for row in shapes.parse("t", schema(case["columns"]), case["given"])]
        assert found == [tuple(row) for row in case["rows"]]
        assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in case["rows"]]
        return
    with pytest.raises(RowsError) as refused:
        shapes.parse("t", schema(case["columns"]), case["given"])
    error = refused.value
    assert case["error"]["message"] in str(error)
    assert (error.table, error.row, error.column) == ("t", case["error"].get("row"), case["error"].get("column"))


def test_the_fast_way_checks_as_much() -> None:
    typed = schema([{"name": "id", "type": "string", "nullable": False}, {"name": "n", "type": "integer"}])
    good = [["a", 1], ["b", None]] * 100
    assert shapes.parse("t", typed, good) == [("a", 1), ("b", None)] * 100
    for bad in (["c", "x"], [None, 1], ["c", True], ["c", math.nan], ["c", 1.5], ["c"]):
        with pytest.raises(RowsError) as refused:
            shapes.parse("t", typed, [*good, bad])
        assert refused.value.row == 200


def test_drivers_rows() -> None:
    two = schema(["a", "b"])
    assert shapes.shaped("t", two, [(1, True), ["x", False]]) == [(1, TRUE), ("x", FALSE)]
    assert shapes.shaped("t", two, iter([("x", None)])) == [("x", None)]
    with pytest.raises(RowsError, match=r"row 1: 2 columns were expected \(a, b\), not 3"):
        shapes.shaped("t", two, [(1, 2), (1, 2, 3)])
    with pytest.raises(RowsError, match="a dict cannot be a value"):
        shapes.shaped("t", two, [(1, {})])
    with pytest.raises(RowsError, match="rows must be a list of tuples"):
        shapes.shaped("t", two, [5])  # type: ignore[list-item]  # what a careless driver gives


def test_misfits() -> None:
    typed = schema([{"name": "id", "type": "string"}, {"name": "n", "type": "integer", "nullable": False}, "x"])
    assert shapes.misfits(typed, [("a", 1, TRUE), (None, 2, 1.5)]) == {}
    assert shapes.misfits(typed, [("a", 1, 1), (5, None, 1)]) == {"id": "integer", "n": "null"}
    assert shapes.misfits(typed, []) == {}


@cases("tables")
def test_wrong_tables(case: dict[str, Any]) -> None:
    config = {"tables": case["given"]} if case["given"] is not None else {}
    if case["given"] is None or not isinstance(case["given"], dict) or 5 in case["given"]:
        with pytest.raises(ConfigError) as refused:
            table_specs(case["given"])
    else:
        with pytest.raises(ConfigError) as refused:
            PushDriver("p", config)
    assert case["error"] in str(refused.value)
    assert refused.value.option == "tables"


def test_tables_in_all_their_forms() -> None:
    specs = table_specs(
        {
            "plain": ["id", "name"],
            "inner.table": {
                "columns": ["id", {"name": "größe", "type": "integer", "nullable": False, "from": "$.size"}],
                "description": "Volumes.",
                "path": "/x",
                "rows": None,
            },
            "found": {"path": "/y"},
        },
        keys=("path", "rows"),
        needs_columns=False,
    )
    assert specs["plain"].schema == TableSchema.of("id", "name")
    inner = specs["inner.table"]
    assert inner.schema == TableSchema((Column("id"), Column("größe", "integer", False)), "Volumes.")
    assert (inner.sources, dict(inner.rest)) == (("id", "$.size"), {"path": "/x"})
    assert specs["found"].columns == ()


@pytest.mark.parametrize(
    ("heading", "name"), [("Host name", "Host_name"), (" a-b ", "a_b"), ("2nd", "_2nd"), ("%", "_"), ("größe", "größe")]
)
def test_headings(heading: str, name: str) -> None:
    assert as_name(heading) == name
