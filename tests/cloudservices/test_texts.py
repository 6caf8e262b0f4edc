# SPDX-License-Identifier: Apache-2.0
"""What files, JSON paths and templates of requests are made of."""

from typing import Any

import jsonpath_ng.ext
import pytest

from congress.cloudservices import formats, templates
from congress.cloudservices.errors import ActionArgumentError
from congress.cloudservices.formats import BadFile, Format
from congress.cloudservices.jsonpaths import compile_rows, compile_value, compile_values
from congress.cloudservices.tabular import table_specs
from congress.datalog.values import decode_row
from tests.cloudservices.case_files import cases


@cases("formats")
def test_formats(case: dict[str, Any]) -> None:
    spec = table_specs({"t": case["columns"]})["t"]
    given = dict(case["format"])
    if "rows" in given:
        given["rows"] = compile_rows(given["rows"])
    data = case["text"].encode()
    if "error" in case:
        with pytest.raises(BadFile) as bad:
            formats.shape(formats.read(data, Format(**given)), spec)
        assert case["error"] in str(bad.value)
        return
    rows = [decode_row(row) for row in formats.shape(formats.read(data, Format(**given)), spec)]
    assert rows == [tuple(row) for row in case["rows"]]
    assert [list(map(type, row)) for row in rows] == [list(map(type, row)) for row in case["rows"]]


def test_columns_are_found_in_the_file() -> None:
    records = formats.read(b"Host name,2nd\na,b\n", Format("csv"))
    assert [column.name for column in formats.columns_of(records)] == ["Host_name", "_2nd"]
    assert formats.sources_of(records) == ("Host name", "2nd")
    records = formats.read(b'[{"a": 1}, {"b": 2, "a": 3}]', Format("json"))
    assert [column.name for column in formats.columns_of(records)] == ["a", "b"]
    with pytest.raises(BadFile, match="row 0: rows that are lists need columns"):
        formats.columns_of(formats.read(b"[[1]]", Format("json")))
    with pytest.raises(BadFile, match="no rows to tell the columns by"):
        formats.columns_of(formats.read(b"[]", Format("json")))


@pytest.mark.parametrize(
    ("path", "kind"), [("a.CSV", "csv"), ("a/b.yml", "yaml"), ("x.ndjson", "jsonl"), ("x.txt", None), ("json", "json")]
)
def test_endings(path: str, kind: str | None) -> None:
    assert formats.format_of(path) == kind


@cases("jsonpaths")
def test_jsonpaths(case: dict[str, Any]) -> None:
    if "error" in case:
        for compiler in (compile_value, compile_values, compile_rows):
            with pytest.raises(ValueError, match="is not a JSON path"):
                compiler(case["path"])
        return
    values, document = case["values"], case["document"]
    assert compile_values(case["path"])(document) == values
    assert compile_value(case["path"])(document) == (values[0] if len(values) == 1 else values or None)
    assert [m.value for m in jsonpath_ng.ext.parse(case["path"]).find(document)] == values


def test_rows_of_a_document() -> None:
    assert compile_rows("$.a")({"a": [1, 2]}) == [1, 2]
    assert compile_rows("$.a[*]")({"a": [1, 2]}) == [1, 2]
    assert compile_rows("$.a[*].b[*]")({"a": [{"b": [1]}, {"b": [2]}]}) == [1, 2]
    assert compile_rows("$")([{"x": 1}]) == [{"x": 1}]
    assert compile_rows("$.a")({"a": {"x": 1}}) == [{"x": 1}]
    assert compile_rows("$.a")({"a": None}) == []
    assert compile_rows("$.a[*]")({"a": []}) == []
    for path in ("$.a", "$.a[*]", "$.a.b"):
        with pytest.raises(ValueError, match="there is nothing at"):
            compile_rows(path)({"error": "x"})
    for path in ("$.a", "$.a[*]"):
        with pytest.raises(ValueError, match="there is no list at"):
            compile_rows(path)({"a": "x"})


@cases("templates")
def test_templates(case: dict[str, Any]) -> None:
    fill: Any = {
        "path": templates.fill_path,
        "text": templates.fill_text,
        "value": templates.fill_value,
        "header": templates.fill_header,
        "params": templates.fill_params,
    }
    kind = next(kind for kind in fill if kind in case)
    if "error" in case:
        with pytest.raises(ActionArgumentError, match=case["error"]):
            fill[kind](case[kind], case["values"])
    else:
        assert fill[kind](case[kind], case["values"]) == case["filled"]


def test_holes() -> None:
    assert templates.holes({"a{k}": ["{x}", {"b": "{y}-{z}"}, 5]}) == {"k", "x", "y", "z"}
    assert templates.holes(None) == frozenset()
    for text in ("{", "a}", "{a b}", "{}", "{a.b}"):
        with pytest.raises(ValueError, match="a brace that belongs to no hole"):
            templates.holes(text)
