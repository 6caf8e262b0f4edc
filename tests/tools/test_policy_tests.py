# SPDX-License-Identifier: Apache-2.0
"""Tests of policies that are themselves wrong: nothing misspelt passes, and one broken file stops no other."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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


GOOD = {"given": SERVERS, "expect": {"q:over": [["acme"]]}}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"tests": [{"given": [1]}]}, "'given' is an object, {table: [row, ...]}"),
        ({"tests": [{"given": "abc"}]}, "'given' is an object, {table: [row, ...]}"),
        ({"tests": [{"steps": [{"insert": [1]}]}]}, "step 1: 'insert' is an object, {table: [row, ...]}"),
        ({"tests": [{"steps": [{"retract": "x"}]}]}, "step 1: 'retract' is an object, {table: [row, ...]}"),
        ({"tests": [{"steps": {"insert": {}}}]}, "'steps' is a list of objects"),
        ({"tests": [{"steps": [1]}]}, "'steps' is a list of objects"),
        ({"tests": [{"expect": [1]}]}, "'expect' is an object, {table: [row, ...]}"),
        ({"tests": [{"absent": {"q:over": 1}}]}, "the rows of q:over are a list"),
        ({"tests": [{"given": {"nova": {"servers": 1}}}]}, "the rows of nova are a list"),
        ({"tests": 1}, "is no test file"),
        ({"tests": [], "policies": "q.policy"}, "'policies' is a list of file names"),
        ({"tests": [{}], "schema": [1]}, "a schema is an object"),
        ({"tests": [{}], "policies": ["gone.policy"]}, "cannot read gone.policy"),
        ("[", "neither YAML nor JSON"),
    ],
)
def test_a_broken_test_file_stops_no_other(
    folder: Path, capsys: pytest.CaptureFixture[str], broken: object, message: str
) -> None:
    (folder / "a_test.json").write_text(broken if isinstance(broken, str) else json.dumps(broken))
    write_tests(folder / "b_test.json", GOOD)
    assert main(["test", "--junit", "out.xml"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("ERROR a_test.json")
    assert message in output.err
    assert "1 passed, 0 failed, 1 file not run in" in output.out
    broken_suite, good_suite = sorted(ElementTree.parse("out.xml").getroot(), key=lambda suite: suite.attrib["name"])
    assert broken_suite.attrib.items() >= {"name": "a_test.json", "tests": "1", "errors": "1", "failures": "0"}.items()
    assert message in str(broken_suite[0][0].text)
    assert broken_suite[0][0].tag == "error"
    assert good_suite.attrib.items() >= {"tests": "1", "errors": "0", "failures": "0"}.items()


def test_a_broken_policy_is_an_error_of_its_test_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tests(folder / "q_test.json", GOOD)
    write_tests(folder / "bad" / "q_test.json", GOOD)
    for text, code in (("p(x :- q(x)\n", "S001"), ("p(x) :- q(y)\n", "R101")):
        (folder / "bad" / "q.policy").write_text(text)
        assert main(["test", "--junit", "out.xml"]) == 1
        output = capsys.readouterr()
        assert "ERROR bad/q_test.json" in output.err
        assert f"error[{code}]" in output.err
        assert "1 passed, 0 failed, 1 file not run in" in output.out
        assert len(ElementTree.parse("out.xml").findall(".//error")) == 1


def test_a_duration_or_time_that_is_none_fails_its_test_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tests(folder / "q_test.json", GOOD, {"steps": [{"advance": "soon"}]}, {"now": "late"})
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert '"soon" is no duration' in output
    assert "'late' is no date and time" in output
    assert "1 passed, 2 failed in" in output


def test_policies_of_one_name_are_counted_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rules in (("a", 2), ("b", 3)):
        (folder / name).mkdir()
        (folder / name / "p.policy").write_text("".join(f"p{n}({n})\n" for n in range(rules)))
        document = {"policies": ["../b/../" + name + "/p.policy"], "tests": [{"expect": {"p:p0": [[0]]}}]}
        (folder / name / "p_test.json").write_text(json.dumps(document))
    (folder / "again_test.json").write_text(json.dumps({"policies": ["a/p.policy"], "tests": [{}]}))
    assert main(["test"]) == 0
    assert "5 of 5 rules covered (100 %)" in capsys.readouterr().out
    assert main(["test", "b"]) == 0
    assert "3 of 3 rules covered (100 %)" in capsys.readouterr().out
    (folder / "b" / "p.policy").write_text("p0(0)\np1(1)\np2(x) :- gone(x)\n")
    assert main(["test"]) == 0
    output = capsys.readouterr().out
    assert "b/p.policy:3: p2(x) :- gone(x)" in output
    assert "4 of 5 rules covered" in output


@pytest.mark.parametrize("table", ["nova:servers", "nova"])
def test_no_rows_say_nothing_of_a_table(folder: Path, capsys: pytest.CaptureFixture[str], table: str) -> None:
    nothing: dict[str, Any] = {"nova:servers": []} if ":" in table else {"nova": {"servers": []}}
    rows = [{"id": "s1", "memory": 20, "tenant": "acme"}]
    later = {"insert": {"nova:servers": rows}, "expect": {"q:over": [["acme"]]}}
    write_tests(folder / "q_test.yaml", {"given": nothing, "expect": {"q:over": []}, "steps": [later]}, schema=None)
    assert main(["test"]) == 0, capsys.readouterr().out


def test_a_rule_that_does_not_fit_the_given_rows_fails_the_test(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = {"given": {"nova:servers": [{"id": "s1", "tenant": "t", "memory": 1}]}, "expect": {"q:over": []}}
    wrong = {"name": "wrong", "given": {"nova:servers": [{"id": "s1"}]}, "expect": {"q:over": []}}
    late = {"name": "late", "steps": [{"insert": {"nova:servers": [{"id": "s1"}]}, "expect": {"q:over": []}}]}
    extra = {"name": "extra", "rules": "x(i) :- nova:servers(idd=i)", **fitting}
    write_tests(folder / "q_test.yaml", fitting, wrong, late, extra, schema=None)
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert "1 passed, 3 failed" in output
    assert output.count("error[N003]: nova:servers has no column 'tenant'") == 4
    assert output.count("error[N003]: nova:servers has no column 'idd'") == 1


def test_a_rule_over_a_limit_fails_the_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three = {"nova:servers": [["s1", "a", 1], ["s2", "b", 1], ["s3", "c", 1]]}
    write_tests(folder / "q_test.yaml", {"given": three, "expect": {"q:over": []}}, {"expect": {"q:over": []}})
    assert main(["test", "--max-table-rows", "2"]) == 1
    output = capsys.readouterr().out
    assert "error[E001]" in output
    assert "1 passed, 1 failed" in output


def test_a_dollar_sign_is_written_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dollars = {
        "name": "costs $$5",
        "parameters": [{"v": "x", "up": True}],
        "rules": "is($up) price(p) :- nova:servers(id=p)",
        "given": {"nova:servers": [["$$5 and $v", "$$", "$${v}"]]},
        "expect": {"nova:servers": [["$$5 and ${v}", "$$", "$${v}"]], "q:price": [["$$5 and x"]], "q:is": [[True]]},
        "absent": {"q:price": [["$$$$5 and x"]]},
    }
    plain = {"given": {"nova:servers": [["$5", "$$", 1]]}, "expect": {"nova:servers": [["$5", "$$", 1]]}}
    write_tests(folder / "q_test.json", dollars, plain)
    assert main(["test"]) == 0, capsys.readouterr().out
    assert main(["test", "-k", "costs $5 [v=x"]) == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"given": {"nova:servers": [["$5", "a", 1]]}}, "no parameter '5'; there are x, y; a dollar sign is $$"),
        ({"given": {"$z": []}}, "no parameter 'z'; there are x, y"),
        ({"given": {"$z": []}, "parameters": [{"z": [1]}]}, "'$z' stands for a name, and is no text"),
        ({"given": {"$x": [["s1", "a", 1]], "$y": []}}, "two of $x, $y have one name"),
    ],
)
def test_parameters_that_cannot_be_put_in_fail_their_test_only(
    folder: Path, capsys: pytest.CaptureFixture[str], body: dict[str, Any], message: str
) -> None:
    test = {"parameters": [{"x": "nova:servers", "y": "nova:servers"}], "expect": {}, **body}
    write_tests(folder / "q_test.json", GOOD, test)
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert message in output
    assert "1 passed, 1 failed in" in output


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ({"rules": ["p(1)", "p(2)"]}, "'rules' is a text, with one rule after the other, not ['p(1)', 'p(2)']"),
        ({"rules": {"rule": "p(1)"}}, "'rules' is a text"),
        ({"rules": []}, "'rules' is a text"),
        ({"parameters": []}, "the parameters of 'test 1' are a list of objects, one or more"),
        ({"given": {"nova:servers": {"id": [1]}}}, "the rows of nova:servers are a list"),
    ],
)
def test_what_would_do_nothing_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], test: dict[str, Any], message: str
) -> None:
    write_tests(folder / "q_test.json", test)
    assert main(["test"]) == 2
    assert message in capsys.readouterr().err


def test_the_time_does_not_go_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tests(folder / "q_test.json", {"steps": [{"advance": "-5d"}]}, {"steps": [{"advance": "5d"}]})
    assert main(["test"]) == 1
    output = capsys.readouterr().out
    assert "step 1: 'advance' is -5d, but the time does not go back" in output
    assert "1 passed, 1 failed in" in output


def test_a_report_that_cannot_be_written_is_no_failed_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tests(folder / "q_test.json", GOOD, {"name": "\ud800\x01", "expect": {"q:over": [[1]]}})
    assert main(["test", "--junit", "nowhere/out.xml"]) == 2
    output = capsys.readouterr()
    assert "1 passed, 1 failed" in output.out
    assert "cannot write nowhere/out.xml: No such file or directory" in output.err
    assert main(["test", "--junit", "out.xml"]) == 1
    assert len(ElementTree.parse("out.xml").findall(".//failure")) == 1


@pytest.mark.parametrize("percent", ["nan", "-1", "101", "x"])
def test_coverage_to_reach_is_a_percentage(folder: Path, capsys: pytest.CaptureFixture[str], percent: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["test", f"--fail-under={percent}"])
    assert "must be a number from 0 to 100" in capsys.readouterr().err
