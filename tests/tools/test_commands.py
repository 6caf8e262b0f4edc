# SPDX-License-Identifier: Apache-2.0
"""The commands as a person types them."""

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from congress.cmd.cli import main
from congress.datalog.limits import Limits
from congress.datalog.schema import Column, TableSchema
from congress.tools.console import Console
from congress.tools.datafiles import read_data
from congress.tools.errors import ToolError
from congress.tools.watching import wait_for_change
from congress.tools.workspace import open_workspace

POLICY = """\
// servers on networks of another group
error(s, n) :-
    nova:servers(id=s, tenant=t), neutron:ports(server_id=s, network_id=n),
    neutron:networks(id=n, tenant=o), not same_group(t, o)
same_group(a, b) :- group(a, g), group(b, g)
group("t1", "g1")
group("t2", "g1")
group("t3", "g2")
"""

CLOUD = {
    "nova": {"servers": [{"id": "s1", "tenant": "t1"}, {"id": "s2", "tenant": "t2"}]},
    "neutron:ports": [["p1", "s1", "n1"], ["p2", "s2", "n2"]],
    "neutron:networks": [["n1", "t3"], ["n2", "t1"]],
}

SCHEMA = """\
nova: {servers: [id, tenant]}
neutron: {ports: [id, server_id, network_id], networks: [{name: id, type: string, nullable: false}, tenant]}
"""

TESTS = """\
policies: [netguard.policy]
schema: {nova: {servers: [id, tenant]}, neutron: {ports: [id, server_id, network_id], networks: [id, tenant]}}
tests:
  - name: a network of another group
    parameters:
      - {owner: t3, found: [[s1, n1]]}
      - {owner: t2, found: []}
    given: {"nova:servers": [[s1, t1]], "neutron:ports": [[p1, s1, n1]], "neutron:networks": [[n1, $owner]]}
    expect: {"netguard:error": $found}
    contains: {"netguard:same_group": [[t1, t2]]}
    steps:
      - retract: {"neutron:ports": [[p1, s1, n1]]}
        absent: {"netguard:error": [[s1, n1]]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a policy, its data, schema and tests, and the place to be."""
    (tmp_path / "netguard.policy").write_text(POLICY)
    (tmp_path / "cloud.json").write_text(json.dumps(CLOUD))
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "netguard_test.yaml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_passes_a_good_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "netguard.policy", "-s", "schema.yaml"]) == 0
    assert "5 rules in 1 policy: no errors" in capsys.readouterr().out


def test_check_shows_all_findings_of_a_bad_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.policy").write_text("p(x) :- q(y)\nr(x) :- nova:servers(idd=x)\ns(x) :- t(x), x > \n")
    assert main(["check", "bad.policy", "-s", "schema.yaml"]) == 1
    assert "bad.policy:4:1: error[S001]" in capsys.readouterr().out
    (folder / "bad.policy").write_text("p(x) :- q(y)\nr(x) :- nova:servers(idd=x)\n")
    assert main(["check", "bad.policy", "-s", "schema.yaml", "-f", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    assert [(f["code"], f["line"]) for f in findings] == [("R101", 1), ("N003", 2)]
    assert findings[1]["hint"].startswith("did you mean id?")


def test_no_finding_hides_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "one.policy").write_text("p(x) :- q(x), not p(x)\nq(x) :- r(y)\nq(y :- r(y)\n")
    (folder / "two.policy").write_text("t(x) :- one:q(x, x)\nt(")
    assert main(["check", "one.policy", "two.policy"]) == 1
    places = [line.split("]")[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert places == [
        "one.policy:1:15: error[P001", "one.policy:2:3: error[R101", "one.policy:3:5: error[S001",
        "two.policy:1:9: error[N005", "two.policy:2:3: error[S001",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a:b", "a b", "not", "execute", "builtin", "1a"])
def test_a_policy_has_a_name_that_rules_can_mention(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder / "named.yaml").write_text(f"name: '{name}'\nrules: ['p(1)']\n")
    assert main(["check", "named.yaml"]) == 2
    assert "cannot name a policy" in capsys.readouterr().err


def test_check_accepts_rules_that_wait_unless_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "netguard.policy"]) == 0
    assert "N001" in capsys.readouterr().out
    assert main(["check", "--strict", "netguard.policy"]) == 1


def test_fmt_writes_one_style_and_keeps_comments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", "netguard.policy"]) == 1
    assert (folder / "netguard.policy").read_text() == POLICY
    assert main(["fmt", "netguard.policy"]) == 0
    assert (folder / "netguard.policy").read_text().startswith("// servers on networks of another group\n")
    assert main(["fmt", "--check", "netguard.policy"]) == 0
    capsys.readouterr()
    assert main(["fmt", "--diff", "netguard.policy"]) == 0
    assert capsys.readouterr().out == ""


def test_eval_lists_rows_in_the_format_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["eval", "netguard.policy", "-d", "cloud.json", "-s", "schema.yaml"]
    assert main([*base, "--query", "error(s, n)", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"s": "s1", "n": "n1"}]
    assert main([*base, "--query", "q(t, count(s)) :- nova:servers(id=s, tenant=t)", "-f", "csv"]) == 0
    assert capsys.readouterr().out.splitlines() == ['"t","count"', '"t1",1', '"t2",1']
    assert main(base) == 0
    assert "| netguard:error      | s1, n1 |" in capsys.readouterr().out
    assert main([*base, "--query", "error(s, n"]) == 1
    assert main([*base, "--query", "error(s, n)", "--policy", "netgard"]) == 2
    assert "there is no policy 'netgard'; there are netguard" in capsys.readouterr().err


def test_eval_shows_null_and_booleans_as_the_language_writes_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "t.policy").write_text('t(null, 1) t(true, 2) t("None", 3)')
    assert main(["eval", "t.policy", "--query", "t(x, n)", "-f", "value", "--sort-column", "n"]) == 0
    assert capsys.readouterr().out.splitlines() == ["null 1", "true 2", "None 3"]
    assert main(["eval", "t.policy", "--query", "t(x, n)", "-f", "json", "--sort-column", "n"]) == 0
    assert [row["x"] for row in json.loads(capsys.readouterr().out)] == [None, True, "None"]
    (folder / "t.policy").write_text('t(null, "null", "1", 1, "a-b", "a b", "")')
    assert main(["eval", "t.policy", "-f", "value"]) == 0
    assert capsys.readouterr().out == 't:t null, "null", "1", 1, a-b, "a b", ""\n'


def test_eval_tells_which_rows_built_ins_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d.policy").write_text("n(0) n(2) q(y) :- n(x), y = 10 / x\ns(sum(x)) :- n(x), not n(null)\n")
    assert main(["eval", "d.policy", "--query", "q(y)", "-f", "value"]) == 0
    output = capsys.readouterr()
    assert output.out == "5\n"
    assert "d.policy:1:25: warning[E004]: one row passed over: " in output.err
    assert "hint: the first was met with 10, 0" in output.err


def test_without_arguments_the_command_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "explain" in capsys.readouterr().out


def test_explain_proves_or_tells_why_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["explain", "netguard.policy", "-d", "cloud.json", "-s", "schema.yaml"]
    assert main([*base, "--row", 'error("s1", "n1")']) == 0
    assert 'neutron:networks("n1", "t3")   published by the service' in capsys.readouterr().out
    assert main([*base, "--row", 'error("s2", "n2")', "-f", "json"]) == 1
    why_not = json.loads(capsys.readouterr().out)
    assert why_not["rules"][0]["misses"][0]["literal"] == "not same_group(t, o)"
    assert main([*base, "--row", 'error("s1")']) == 2
    assert "netguard:error has 2 columns; the row has 1 values" in capsys.readouterr().err
    assert main([*base, "--plan"]) == 0
    assert "when neutron:ports(_, s, n) changes" in capsys.readouterr().out
    assert main(base) == 2


def test_policy_tests_pass_cover_and_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--junit", "out.xml", "--fail-under", "100"]) == 0
    assert "2 passed, 0 failed" in capsys.readouterr().out
    suite = ElementTree.parse(folder / "out.xml").getroot()[0]
    assert suite.attrib["tests"] == "2"
    assert suite.attrib["failures"] == "0"


def test_a_failing_policy_test_says_why(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "netguard.policy").write_text(
        POLICY.replace("not same_group(t, o)", "same_group(t, o)") + "never(1) :- false"
    )
    assert main(["test", "--junit", "out.xml"]) == 1
    out = capsys.readouterr().out
    assert 'missing: netguard:error("s1", "n1")' in out
    assert "fails at same_group(t, o)" in out
    assert "not covered: netguard.policy:9: never(1) :- false" in out
    assert "0 passed, 2 failed" in out
    assert main(["test", "--fail-under", "100", "-k", "owner=t2"]) == 1
    assert ElementTree.parse(folder / "out.xml").getroot()[0].attrib["failures"] == "2"


def test_a_broken_test_file_is_unusable_not_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "netguard_test.yaml").write_text(TESTS.replace("expect:", "expects:"))
    assert main(["test"]) == 2
    assert "unknown key 'expects'" in capsys.readouterr().err
    assert main(["test", "nowhere"]) == 2


def test_bench_times_rules_and_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "netguard.policy", "-d", "cloud.json", "-s", "schema.yaml", "-f", "json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["rows"] == 6
    assert {change["table"] for change in figures["one_row_changes"]} == {
        "nova:servers", "neutron:ports", "neutron:networks",
    }  # fmt: skip
    assert figures["rules"][0]["calls"] >= 1


def test_repl_takes_lines_from_a_pipe(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = '? error(s, n)\n+ nova:servers("s3", "t1")\n.why error("s1", "n1")\n.quit\nnever read\n'
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert main(["repl", "netguard.policy", "-d", "cloud.json", "-s", "schema.yaml"]) == 0
    out = capsys.readouterr().out
    assert 's = "s1", n = "n1"' in out
    assert '+ nova:servers("s3", "t1")' in out
    assert "published by the service" in out
    assert "never" not in out


def test_the_console_helps_itself(folder: Path) -> None:
    console = Console(open_workspace([]))
    assert console.run('likes("ann", "bob")') == ["rule r1 is active", '+ p:likes("ann", "bob")']
    assert console.run("friend(x, y) :- likes(x, y), likes(y, x)") == ["rule r2 is active"]
    assert console.run("? friend(x, y)") == ["0 answers"]
    assert 'nearest row: ("ann", "bob")' in console.run('.whynot friend("ann", "ann")')[0]
    assert sorted(console.run('likes("bob", "ann")')) == [
        '+ p:friend("ann", "bob")', '+ p:friend("bob", "ann")', '+ p:likes("bob", "ann")', "rule r3 is active",
    ]  # fmt: skip
    assert len(console.run("? friend(x, y), x != y")) == 3
    assert console.run('? likes("ann", "bob")') == ["true", "yes"]
    assert sorted(console.run(".remove r3")) == [
        '- p:friend("ann", "bob")', '- p:friend("bob", "ann")', '- p:likes("bob", "ann")',
    ]  # fmt: skip
    assert "there is no command .frob" in console.run(".frob")[0]
    assert "error[" in console.run("p(x) :- q(y)")[0]
    assert console.run(".policy other") == ["in policy other"]
    assert any("p:likes" in line for line in console.run(".tables"))
    assert console.run(".rows p:likes") == ['p:likes("ann", "bob")']
    assert "when p:likes(x, y) changes" in console.run(".plan r2")[0]
    assert console.run(".quit") == []
    assert console.finished


def test_csv_values_are_read_by_their_looks(tmp_path: Path) -> None:
    (tmp_path / "nova").mkdir()
    (tmp_path / "nova" / "servers.csv").write_text("id,up,size,zip\ns1,true,-1.5,007\n,false,3,x\n")
    data = read_data([tmp_path], {})
    assert list(map(repr, data.rows["nova:servers"])) == ["('s1', true, -1.5, '007')", "(None, false, 3, 'x')"]


def test_csv_numbers_that_no_value_holds_are_texts(tmp_path: Path) -> None:
    numbers = ["99999999999999999999", "-99999999999999999999", "1e999", "18446744073709551615", "9" * 5000]
    (tmp_path / "s.t.csv").write_text("id,n\n" + "".join(f"a,{number}\n" for number in numbers))
    rows = read_data([tmp_path / "s.t.csv"], {}).rows["s:t"]
    assert [row[1] for row in rows] == [*numbers[:3], 18446744073709551615, numbers[4]]


def test_csv_numbers_in_columns_of_strings_are_texts(tmp_path: Path) -> None:
    (tmp_path / "s.t.csv").write_text("id,n,any\n12,12,12\ntrue,,true\n")
    schema = TableSchema((Column("id", "string"), Column("n", "integer"), Column("any")))
    rows = read_data([tmp_path / "s.t.csv"], {"s": {"t": schema}}).rows["s:t"]
    assert repr(rows) == "[('12', 12, 12), ('true', None, true)]"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"id": 1}', "row 0 of s:t, column 'id': it must be of type string, not integer"),
        ('["a", "1"]', "row 0 of s:t, column 'n': it must be of type integer, not string"),
        ('["a", 1, 1]', "row 0 of s:t, column 'up': it must be of type boolean, not integer"),
        ('["a", 1, true, false]', "row 0 of s:t, column 'load': it must be of type number, not boolean"),
    ],
)
def test_values_of_another_type_than_declared_are_refused(tmp_path: Path, row: str, message: str) -> None:
    columns = Column("id", "string"), Column("n", "integer"), Column("up", "boolean"), Column("load", "number")
    schema = TableSchema(columns[: max(2, row.count(",") + 1)])
    (tmp_path / "a.json").write_text('{"s:t": [' + row + "]}")
    with pytest.raises(ToolError, match=message):
        read_data([tmp_path / "a.json"], {"s": {"t": schema}})


def test_examples_may_leave_out_what_is_never_null(tmp_path: Path) -> None:
    schema = TableSchema((Column("id", "string", nullable=False), Column("n", "number", nullable=False)))
    (tmp_path / "a.json").write_text('{"s:t": [{"id": "a"}, {"n": 1.5}, {"n": 2}]}')
    rows = read_data([tmp_path / "a.json"], {"s": {"t": schema}}).rows["s:t"]
    assert rows == [("a", None), (None, 1.5), (None, 2)]


def test_merged_keys_of_yaml_may_be_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("s:\n  t:\n  - &one {id: 1, up: true}\n  - {<<: *one, id: 2}\n")
    assert repr(read_data([tmp_path / "a.yaml"], {}).rows["s:t"]) == "[(1, true), (2, true)]"


def test_yaml_holds_what_json_does(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "s:\n  t:\n    - [no, on, 2026-01-01, 12:30:45, 0017, ~, 1e3, 1_000, .5, 0x1F, True, -3, -2.50]\n"
    )
    rows = read_data([tmp_path / "a.yaml"], {}).rows["s:t"]
    assert repr(rows[0]) == (
        "('no', 'on', '2026-01-01', '12:30:45', '0017', None, 1000.0, '1_000', 0.5, 31, true, -3, -2.5)"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "empty"),
        ("s.t.csv", "a,b\n1\n", "line 2 has 1 values, the header 2 names"),
        ("a.json", "[1]", "data is an object"),
        ("a.json", '{"t": [[1]]}', "called service:table"),
        ("a.json", '{"s:t": [{"a": [1]}]}', "cannot be a value"),
        ("a.json", '{"s:t": [{"a": 1}, [1, 2]]}', "2 values, the table 1 columns"),
        ("a.yaml", "{", "neither YAML nor JSON"),
        ("a.json", "{", "neither YAML nor JSON"),
        ("a.txt", "x", "data is read from"),
        ("s.t.csv", "a,b\n1,x\0y\n", r"row 0 of s:t: U\+0000 is a character that no text may hold"),
        ("a.json", '{"s:t": [["fine"], ["\\u0000"]]}', r"row 1 of s:t: U\+0000 is a character that no text may hold"),
        ("a.json", '{"s:t": [{"a": "\\ud800"}]}', r"row 0 of s:t: U\+D800 is a character that no text may hold"),
        ("a.json", '{"s:t": [{"id": 1, "id": 3}]}', "the key 'id' is there twice"),
        ("a.json", '{"s:t": [[1]], "s:t": [[2]]}', "the key 's:t' is there twice"),
        ("a.yaml", "s:t:\n- {id: 1, id: 3}\n", r"the key 'id' is there twice: line 2, column 11"),
        ("a.yaml", "{s: {t: [[1]], t: [[2]]}}", "the key 't' is there twice"),
        ("a.yaml", "{s: {t: [[a], [1e999]]}}", "row 1 of s:t: inf is not a number"),
        ("a.json", '{"s:t": [[1], [99999999999999999999]]}', "row 1 of s:t: an integer of more than 64 bits"),
        ("a.json", '{"s:t": [[NaN]]}', "row 0 of s:t: nan is not a number"),
        ("a.yaml", "{s: {t: [[1]], ? [1] : [2]}}", "neither YAML nor JSON"),
        ("s.t.csv", 'a,b\n1,"x\n', "s.t.csv: line"),
        ("s.t.csv", "a,a\n1,2\n", "column 'a' is there twice"),
        ("a.yaml", 's: {t: [["\\0"]]}', r"row 0 of s:t: U\+0000 is a character that no text may hold"),
    ],
)
def test_bad_data_is_refused_with_its_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ToolError, match=message) as caught:
        read_data([tmp_path / name], {})
    assert str(tmp_path / name) in str(caught.value)


def test_watching_sees_a_file_change(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("1")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            file.write_text("22")

    wait_for_change(lambda: [file], sleep)
    assert len(slept) == 2


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recursion of 3000 links."""
    links = "".join(f"link({number}, {number + 1})\n" for number in range(3000))
    (tmp_path / "far.policy").write_text("far(0)\nfar(y) :- far(x), link(x, y)\n" + links)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("far", [900, 3000])
def test_explain_shows_deep_proofs(chain: None, capsys: pytest.CaptureFixture[str], far: int) -> None:
    base = ["explain", "far.policy", "--row", f"far({far})", "--limit", "100000"]
    assert main(base) == 0
    output = capsys.readouterr()
    assert output.out.startswith(f"far:far({far})   by rule far.2")
    assert len(output.out.splitlines()) == 2 * far + 1
    assert f"far:link({far - 1}, {far})   a fact" in output.out
    assert "left out" not in output.out
    assert main([*base, "-f", "json"]) == 0
    output = capsys.readouterr()
    assert output.out.count('"reason": "cut"') == 1
    assert json.loads(output.out)["row"] == [far]


def test_explain_shows_what_the_limit_lets_through(chain: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "far.policy", "--row", "far(100)", "--limit", "100000", "-f", "json"]) == 0
    assert '"cut"' not in capsys.readouterr().out
    assert main(["explain", "far.policy", "--row", "far(100)", "--limit", "100"]) == 0
    assert "left out: the proof is too large" in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["0", "-3", "x"])
def test_explain_refuses_a_limit_that_shows_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explain", "netguard.policy", "--row", 'error("s1", "n1")', "--limit", limit])
    assert "argument --limit: must be a whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "place", "shown"),
    [
        ("error(x, y, z)", "1:1", "error(x, y, z)"),
        ("error(s, n), error(x, y, z)", "1:14", "error(s, n), error(x, y, z)"),
        (" error(x, y, z)", "1:2", " error(x, y, z)"),
        ("error(s, n), s > z", "1:14", "error(s, n), s > z"),
        ("q(x) :- error(x, y, z)", "1:9", "q(x) :- error(x, y, z)"),
        ('error(s, ":-"), error(x, y, z)', "1:17", 'error(s, ":-"), error(x, y, z)'),
        ("error(s, n), s >", "1:17", "error(s, n), s >"),
        ("error(s, n), not not error(n, s)", "1:18", "error(s, n), not not error(n, s)"),
    ],
)
def test_errors_in_a_query_are_shown_in_the_text_as_it_was_typed(
    folder: Path, capsys: pytest.CaptureFixture[str], query: str, place: str, shown: str
) -> None:
    assert main(["eval", "netguard.policy", "-s", "schema.yaml", "--query", query]) == 1
    errors = capsys.readouterr().err
    assert f"<query>:{place}: error[" in errors
    assert f"    {shown}\n    {' ' * (int(place[2:]) - 1)}^" in errors
    console = Console(open_workspace([folder / "netguard.policy"], (), [folder / "schema.yaml"]))
    answer = console.run(f"? {query}")[0]
    assert "error[" in answer
    assert "ask__" not in answer


def test_the_console_shows_what_follows_from_a_rule(folder: Path) -> None:
    console = Console(open_workspace([]))
    assert console.run("p(x) :- q(x), not off(x)")[-1] == "rule r1 is active"
    assert sorted(console.run("q(1)")) == ["+ p:p(1)", "+ p:q(1)", "rule r2 is active"]
    assert sorted(console.run("off(1) q(2)")) == [
        "+ p:off(1)", "+ p:p(2)", "+ p:q(2)", "- p:p(1)", "rule r3 is active", "rule r4 is active",
    ]  # fmt: skip
    assert sorted(console.run("r(x) :- q(x)")) == ["+ p:r(1)", "+ p:r(2)", "rule r5 is active"]
    many = " ".join(f"q({number})" for number in range(10, 210))
    lines = [line for line in console.run(many) if not line.startswith("rule ")]
    assert len(lines) == 101
    assert lines[-1] == "... and 500 more; .rows TABLE lists them"


def test_the_console_takes_rules_by_id_or_number(folder: Path) -> None:
    console = Console(open_workspace([folder / "netguard.policy"]))
    console.run("mine(1)")
    console.run("mine(2)")
    assert console.run(".remove 1") == ["- netguard:mine(1)"]
    assert "mine(2)" in console.run(".plan 2")[0]
    assert console.run(".remove r2") == ["- netguard:mine(2)"]
    assert console.run(".remove 2") == ["there is no rule '2'; .rules lists them"]
    assert console.run(".plan netguard.9") == ["there is no rule 'netguard.9'; .rules lists them"]
    assert '- netguard:group("t1", "g1")' in console.run(".remove netguard.3")


def test_the_console_tells_what_built_ins_passed_over(folder: Path) -> None:
    console = Console(open_workspace([]))
    console.run("k(3)")
    lines = console.run("? q(y) :- k(x), y = x / 0")
    assert lines[0].startswith("passed over: ")
    assert lines[0].endswith(" for 3, 0")
    assert lines[1:] == ["0 answers"]


# -- limits

ENDLESS = "n(1)\nn(y) :- n(x), y = x + 1\n"


@pytest.mark.parametrize("command", ["check", "eval", "bench", "explain"])
@pytest.mark.parametrize("limit", ["--max-table-rows=500", "--max-rule-seconds=0.05"])
def test_a_rule_without_end_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, limit: str
) -> None:
    (folder / "endless.policy").write_text(ENDLESS)
    (folder / "rows.json").write_text('{"nova:servers": [["s1", "t1"]]}')
    rest = {"check": [], "explain": ["--row", "n(1)"]}.get(command, ["--data", "rows.json"])
    assert main([command, "endless.policy", limit, *rest]) == 1
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert f"error[{'E001' if 'rows' in limit else 'E003'}]" in said
    assert "n(y) :- n(x), y = x + 1" in said


def test_a_rule_without_end_fails_its_tests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "endless.policy").write_text(ENDLESS.replace("n(1)", "n(x) :- s:start(x)"))
    (folder / "endless_test.yaml").write_text(
        "policies: [endless.policy]\ntests:\n  - name: ends\n    given: {'s:start': [[1]]}\n    expect: {}\n"
    )
    assert main(["test", "endless_test.yaml", "--max-table-rows", "500"]) == 1
    assert "E001" in capsys.readouterr().out


def test_the_console_says_which_rule_went_off(folder: Path) -> None:
    (folder / "empty.policy").write_text("n(1)\n")
    console = Console(open_workspace([folder / "empty.policy"], limits=Limits(rows=100)))
    assert "error[E001]" in "\n".join(console.run("n(y) :- n(x), y = x + 1"))
    assert "E001" not in "\n".join(console.run("m(1)"))


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan"])
def test_a_limit_is_a_number_above_zero(folder: Path, value: str) -> None:
    (folder / "one.policy").write_text("n(1)\n")
    with pytest.raises(SystemExit) as ended:
        main(["check", "one.policy", f"--max-rule-seconds={value}"])
    assert ended.value.code == 2
