# SPDX-License-Identifier: Apache-2.0
"""Tests of policies that are themselves wrong: nothing misspelt passes, and one broken file stops no other."""

import json
from pathlib import Path
from typing import Any

import pytest

from congress.cmd.cli import main

RULES = """\
used(t, sum(m)) :- nova:servers(tenant=t, id=s, memory=m)
over(t) :- used(t, n), n > 16
pair(a, b) :- nova:servers(id=a, tenant=b)
mixed(a) :- over(a)
mixed(b) :- fact(b)
same(x, x) :- over(x)
execute[nova:pause(s)] :- nova:servers(id=s), banned(s)
"""
SCHEMA = {"nova": {"servers": ["id", "tenant", "memory"]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy ``q``, and the place to be."""
    (tmp_path / "q.policy").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_tests(path: Path, *tests: dict[str, Any], schema: object = SCHEMA) -> None:
    """A test file for the policy ``q`` beside it."""
    path.parent.mkdir(exist_ok=True)
    document = {"policies": ["q.policy"], "schema": schema, "tests": list(tests)}
    path.write_text(json.dumps(document))


SERVERS = {"nova:servers": [["s1", "acme", 20]]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"expect": {"q:ovr": []}}, "no table q:ovr; did you mean q:over?"),
        ({"contains": {"q:ovr": [["acme"]]}}, "no table q:ovr; did you mean q:over?"),
        ({"absent": {"qq:over": [["acme"]]}}, "no table qq:over; did you mean q:over?"),
        ({"expect": {"over": []}}, "no table over; did you mean q:over?"),
        ({"expect": {"nova:servrs": []}}, "no table nova:servrs; did you mean nova:servers?"),
        ({"absent": {"q:over": [["acme", 1]]}}, "row 0 of q:over has 2 values, the table 1 column"),
        ({"absent": {"q:over": [{"tt": "acme"}]}}, "row 0 of q:over has no column 'tt'; the columns are t"),
        ({"absent": {"q:pair": [{"a": "s1"}]}}, "row 0 of q:pair leaves out the column 'b'"),
        ({"given": {"nova:servrs": [["s1"]]}}, "no table nova:servrs; did you mean nova:servers?"),
        ({"given": {"nvoa:servers": [["s1"]]}}, "no table nvoa:servers; did you mean nova:servers?"),
        ({"steps": [{"insert": {"nova:servrs": [["s1"]]}}]}, "no table nova:servrs; did you mean nova:servers?"),
        ({"steps": [{"retract": {"nova:servrs": [["s1"]]}}]}, "no table nova:servrs; did you mean nova:servers?"),
        ({"steps": [{"expect": {"q:ovr": []}}]}, "step 1: "),
    ],
)
def test_nothing_misspelt_passes(
    folder: Path, capsys: pytest.CaptureFixture[str], body: dict[str, Any], message: str
) -> None:
    write_tests(folder / "q_test.yaml", {"name": "one", "given": SERVERS, **body})
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert message in output
    assert "0 passed, 1 failed" in output


def test_a_misspelt_table_hides_no_other_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tests(folder / "q_test.yaml", {"given": SERVERS, "expect": {"q:ovr": [], "q:over": []}})
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert "no table q:ovr" in output
    assert 'unexpected: q:over("acme")' in output


def test_tables_that_anything_knows_can_be_empty(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = ["q:over", "q:fact", "q:banned", "nova:servers", "q:execute[nova:pause]/1", "q:new"]
    write_tests(folder / "q_test.yaml", {"rules": "new(x) :- over(x)", "expect": {table: [] for table in empty}})
    assert main(["test"]) == 0, capsys.readouterr().out


def test_without_a_schema_given_rows_make_their_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "s1", "tenant": "acme", "memory": 20}]
    given = {"given": {"nova:servers": rows, "nova:more": [[1]]}, "expect": {"q:over": [["acme"]], "nova:more": [[1]]}}
    write_tests(folder / "q_test.yaml", given, schema=None)
    assert main(["test"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "body",
    [
        {"expect": {"q:pair": [{"b": "acme", "a": "s1"}]}},
        {"contains": {"q:used": [{"sum": 20, "t": "acme"}]}},
        {"absent": {"q:pair": [{"b": "s1", "a": "acme"}]}},
        {"expect": {"nova:servers": [{"memory": 20, "id": "s1", "tenant": "acme"}]}},
    ],
)
def test_expected_objects_go_by_the_names_of_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], body: dict[str, Any]
) -> None:
    write_tests(folder / "q_test.yaml", {"given": SERVERS, **body})
    assert main(["test"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "row", "columns"),
    [
        ("q:mixed", {"a": "acme"}, "(?)"),
        ("q:same", {"x": "acme"}, "(x, x)"),
        ("q:execute[nova:pause]/1", {"s": "s1"}, "(?)"),
        ("q:fact", {"b": "acme"}, "none"),
    ],
)
def test_objects_are_refused_where_columns_have_no_clear_names(
    folder: Path, capsys: pytest.CaptureFixture[str], table: str, row: dict[str, str], columns: str
) -> None:
    write_tests(folder / "q_test.yaml", {"given": SERVERS, "absent": {table: [row]}})
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert f"row 0 of {table} is an object, but its columns have no clear names: {columns}" in output
