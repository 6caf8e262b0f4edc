# SPDX-License-Identifier: Apache-2.0
"""Wrong files, wrong policies and rules that are off: each is told, with its exit code; nothing is silently wrong."""

import io
import json
from pathlib import Path

import pytest

from congress.cmd.cli import main
from congress.datalog.limits import Limits
from congress.datalog.schema import TableSchema
from congress.tools.console import Console
from congress.tools.datafiles import read_data, read_schemas
from congress.tools.errors import ToolError
from congress.tools.workspace import open_workspace

SERVERS = {"nova": {"servers": TableSchema.of("id", "memory")}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place to be: a policy with a misspelt column, data, and a policy that is right."""
    (tmp_path / "typo.policy").write_text("p(i) :- nova:servers(idd=i)\nq(i) :- nova:servers(id=i)\n")
    (tmp_path / "good.policy").write_text("q(i) :- nova:servers(id=i)\nw(i) :- glance:images(id=i)\n")
    (tmp_path / "rows.yaml").write_text("nova:\n  servers: [{id: 1}, {id: 2}, {id: 3}]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- rows


def test_the_header_of_a_csv_file_says_which_column_is_which(tmp_path: Path) -> None:
    (tmp_path / "nova.servers.csv").write_text("memory,id\n5,web1\n")
    file = tmp_path / "nova.servers.csv"
    assert read_data([file], SERVERS).rows["nova:servers"] == [("web1", 5)]
    assert read_data([file], {}).rows["nova:servers"] == [(5, "web1")]
    (tmp_path / "nova").mkdir()
    (tmp_path / "nova" / "servers.csv").write_text("id,memory\nweb2,6\n")
    both = read_data([file, tmp_path / "nova" / "servers.csv"], {})
    assert both.schemas["nova"]["servers"].names == ("memory", "id")
    assert both.rows["nova:servers"] == [(5, "web1"), (6, "web2")]


def test_columns_that_a_csv_file_leaves_out_are_null(tmp_path: Path) -> None:
    (tmp_path / "nova.servers.csv").write_text("memory\n5\n")
    assert read_data([tmp_path], SERVERS).rows["nova:servers"] == [(None, 5)]


@pytest.mark.parametrize("text", ["id,foo\na,1\n", "id,foo\n"])
def test_columns_that_no_schema_has_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "nova.servers.csv").write_text(text)
    with pytest.raises(ToolError, match="nova:servers has no column 'foo'; the columns are id, memory"):
        read_data([tmp_path], SERVERS)


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text('{"nova:servers": [["b", 2]]}', encoding="utf-8-sig")
    (tmp_path / "c.yaml").write_text("nova:servers: [[c, 3]]", encoding="utf-8-sig")
    (tmp_path / "nova.servers.csv").write_text("id,memory\na,1\n", encoding="utf-8-sig")
    assert read_data([tmp_path], SERVERS).rows["nova:servers"] == [("b", 2), ("c", 3), ("a", 1)]
    assert read_data([tmp_path / "nova.servers.csv"], {}).schemas["nova"]["servers"].names == ("id", "memory")


def test_no_rows_say_nothing_of_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rows.yaml").write_text("nova: {servers: []}\n")
    read = read_data([folder / "rows.yaml"], {})
    assert (read.rows, read.schemas) == ({}, {})
    assert main(["eval", "good.policy", "-d", "rows.yaml", "-f", "value"]) == 0
    output = capsys.readouterr()
    assert output.out.strip() == ""
    assert "warning[N001]" in output.err
    (folder / "more.yaml").write_text("nova: {servers: [7]}\n")
    assert main(["eval", "good.policy", "-d", "rows.yaml", "-d", "more.yaml", "-f", "value"]) == 1
    assert "error[N003]" in capsys.readouterr().err
    assert read_data([folder / "more.yaml"], {}).rows["nova:servers"] == [(7,)]


def test_keys_that_are_numbers_name_columns(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("5: {6: [{7: a, 8: b}, {8: c}]}\n")
    assert read_data([tmp_path], {}).rows["5:6"] == [("a", "b"), (None, "c")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nova.servers.csv", "id,\n1,2\n", "a column has no name"),
        ("nova.servers.csv", "id\n\n1\n1,2\n", "line 4 has 2 values, the header 1 names"),
        ("a.json", '{"nova:servers": [[]]}', "row 0 of nova:servers has no values"),
        ("a.json", '{"nova:servers": [{}]}', "row 0 of nova:servers has no values"),
        ("a.json", '{":servers": [[1]]}', "a table is called service:table, not ':servers'"),
        ("a.json", '{"nova:servers": {"id": [1]}}', "the rows of nova:servers are a list"),
    ],
)
def test_bad_rows_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ToolError, match=message):
        read_data([tmp_path], {})


def test_paths_without_data_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert main(["eval", "good.policy", "-d", "empty"]) == 2
    assert "empty has no data: no .json, .yaml or .csv file" in capsys.readouterr().err
    assert main(["eval", "good.policy", "-d", "nowhere"]) == 2
    assert "cannot read nowhere: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("[id, id]", "s:t: the column 'id' is there twice"),
        ("['']", "s:t: a column has no name"),
        ("[{name: id, nullable: no}]", "'nullable' is true or false, not 'no'"),
        ("[{name: id, typ: integer}]", "a column has no 'typ'; it has name, type, nullable, description"),
    ],
)
def test_bad_schemas_are_refused(tmp_path: Path, columns: str, message: str) -> None:
    (tmp_path / "s.yaml").write_text(f"s: {{t: {columns}}}")
    with pytest.raises(ToolError, match=message):
        read_schemas([tmp_path / "s.yaml"])


def test_a_table_is_declared_once(tmp_path: Path) -> None:
    for name, columns in (("a", "[x]"), ("b", "[x]"), ("c", "[x, y]")):
        (tmp_path / f"{name}.yaml").write_text(f"s: {{t: {columns}}}")
    assert read_schemas([tmp_path / "a.yaml", tmp_path / "b.yaml"])["s"]["t"].names == ("x",)
    with pytest.raises(ToolError, match="another file declares s:t with other columns"):
        read_schemas([tmp_path / "a.yaml", tmp_path / "c.yaml"])


@pytest.mark.parametrize("name", ['["a"]', '"a b"', '"not"', "5"])
def test_a_policy_has_a_name_that_rules_can_mention(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder / "p.json").write_text(f'{{"name": {name}, "rules": ["p(1)"]}}')
    assert main(["eval", "p.json"]) == 2
    assert "cannot name a policy" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{" * 100_000, "[" * 101 + "]" * 101])
def test_a_document_is_not_nested_without_end(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ToolError, match="nested more than 100 deep"):
        read_data([tmp_path], {})


def test_nothing_stands_within_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a_test.yaml").write_text('tests: [{parameters: [{x: 1}], given: &a {"s:t": [[*a]]}}]')
    assert main(["test"]) == 2
    assert "*a stands within itself" in capsys.readouterr().err


def test_a_document_without_rules_is_no_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "p.yaml").write_text('rulez: ["p(1)"]')
    assert main(["check", "p.yaml"]) == 2
    assert "expected an object with 'name' and a list 'rules'" in capsys.readouterr().err
    (folder / "p.yaml").write_text('{kind: Action, rules: ["p(1)"]}')
    assert main(["check", "p.yaml"]) == 0


# -- policies that the data shows to be wrong


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "-f", "value"],
        ["eval", "--query", "q(i)", "-f", "value"],
        ["explain", "--row", "q(1)"],
        ["explain", "--plan"],
        ["bench"],
        ["repl"],
    ],
)
def test_columns_are_held_to_those_of_the_data(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    name, *options = command
    assert main([name, "typo.policy", "-d", "rows.yaml", *options]) == 1
    output = capsys.readouterr()
    assert output.err.count("error[N003]: nova:servers has no column 'idd'") == 1
    assert output.out == ""
    assert main([name, "good.policy", "-d", "rows.yaml", *options]) == 0
    assert "warning[N001]" in capsys.readouterr().err


OVER = """\
pair(x, y) :- nova:servers(id=x), nova:servers(id=y)
lone(x) :- nova:servers(id=x), not paired(x)
paired(x) :- pair(x, y), x != y
few(x) :- nova:servers(id=x)
"""


@pytest.fixture
def over(folder: Path) -> None:
    """A policy one rule of which goes over the limit of five rows."""
    (folder / "over.policy").write_text(OVER)


FIVE = ["--max-table-rows", "5"]


def test_eval_leaves_out_what_a_rule_over_a_limit_makes_inexact(over: None, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["eval", "over.policy", "-d", "rows.yaml", *FIVE]
    assert main([*base, "-f", "json"]) == 1
    output = capsys.readouterr()
    assert {row["Table"] for row in json.loads(output.out)} == {"over:few"}
    assert "over.policy:1:1: error[E001]" in output.err
    assert main([*base, "--query", "few(x), x > 1", "-f", "value"]) == 1
    assert capsys.readouterr().out == "2\n3\n"
    for query in ("lone(x)", "few(x), not paired(x)"):
        assert main([*base, "--query", query]) == 1
        output = capsys.readouterr()
        assert "is not known: rule over.1 is off" in output.err
        assert output.out == ""


def test_explain_and_bench_tell_of_a_rule_over_a_limit(over: None, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["over.policy", "-d", "rows.yaml", *FIVE]
    assert main(["explain", *base, "--row", "lone(1)"]) == 1
    output = capsys.readouterr()
    assert "what is in over:lone is not known: rule over.1 is off" in output.err
    assert output.out == ""
    for command in (["explain", *base, "--row", "few(1)"], ["explain", *base, "--plan"], ["bench", *base]):
        assert main(command) == 1
        output = capsys.readouterr()
        assert output.out
        assert "error[E001]" in output.err


def test_check_counts_a_rule_over_a_limit_as_an_error(
    over: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "endless.policy").write_text("n(1)\nn(y) :- n(x), y = x + 1\n")
    assert main(["check", "endless.policy", *FIVE]) == 1
    assert "endless.policy:2:1: error[E001]" in capsys.readouterr().out


def test_the_console_tells_of_a_rule_over_a_limit(over: None, folder: Path) -> None:
    console = Console(open_workspace([folder / "over.policy"], limits=Limits(rows=5)))
    lines = console.run(".load rows.yaml")
    assert lines[:2] == ["3 rows in nova:servers", "rule over.1 is off"]
    assert "error[E001]" in lines[2]
    assert "what is in over:lone is not known: rule over.1 is off" in console.run("? lone(x)")
    assert "what is in over:lone is not known: rule over.1 is off" in console.run(".rows lone")
    assert "what is in over:lone is not known: rule over.1 is off" in console.run(".whynot lone(1)")
    assert console.run("? few(x)")[-1] == "3 answers"
    assert console.run(".remove over.1") == []
    assert console.run("? lone(x)")[-1] == "3 answers"


# -- questions


def test_misspelt_tables_are_no_empty_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["good.policy", "-d", "rows.yaml"]
    for command in (
        ["eval", *base, "--query", "qq(x)"],
        ["eval", *base, "--query", "a(x) :- q(x), not qq(x)"],
        ["explain", *base, "--row", "qq(1)"],
        ["explain", *base, "--row", "qq(1)", "--plan"],
    ):
        assert main(command) == 2
        output = capsys.readouterr()
        assert "there is no table good:qq; did you mean good:q?" in output.err
        assert output.out == ""


def test_eval_keeps_columns_of_one_name_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["eval", "good.policy", "-d", "rows.yaml", "-f", "json"]
    assert main([*base, "--query", "a(x, x, 7) :- q(x), x = 1"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"x": 1, "x_1": 1, "c2": 7}]


def test_eval_lists_one_policy_where_it_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.policy").write_text("o(1)\n")
    base = ["eval", "good.policy", "other.policy", "-d", "rows.yaml", "-f", "value"]
    assert main([*base, "--policy", "other"]) == 0
    assert capsys.readouterr().out == "other:o 1\n"
    assert main([*base, "--policy", "othr"]) == 2


# -- the console


def test_the_console_holds_files_to_the_schemas_in_force(folder: Path) -> None:
    (folder / "s.yaml").write_text("nova: {servers: [{name: id, type: string}, memory]}\n")
    (folder / "nova.servers.csv").write_text("memory,id\n5,7\n")
    console = Console(open_workspace([folder / "good.policy"], (), [folder / "s.yaml"]))
    assert console.run(".load nova.servers.csv") == ["1 rows in nova:servers"]
    assert console.run(".rows nova:servers") == ['nova:servers("7", 5)']
    assert "it must be of type string, not integer" in console.run(".load rows.yaml")[0]
    (folder / "wide.json").write_text('{"nova:servers": [["a", 1, 2]]}')
    assert "3 values, the table 2 columns" in console.run(".load wide.json")[0]
    assert console.engine.schema("nova") == read_schemas([folder / "s.yaml"])["nova"]


def test_the_console_tells_which_rules_do_not_fit_a_new_table(folder: Path) -> None:
    console = Console(open_workspace([folder / "typo.policy"]))
    lines = console.run(".load rows.yaml")
    assert lines[:2] == ["3 rows in nova:servers", "rule typo.1 is off"]
    assert "error[N003]" in lines[2]
    assert console.run("? q(x)")[-1] == "3 answers"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (".load", "say which file: .load FILE"),
        (".rows", "say which table: .rows TABLE; .tables lists them"),
        (".rows qq", "there is no table good:qq; did you mean good:q?"),
        ("? qq(x)", "there is no table good:qq; did you mean good:q?"),
        (".why qq(1)", "there is no table good:qq; did you mean good:q?"),
        (".policy", "cannot name a policy"),
        (".policy a b", "cannot name a policy"),
        ("- nova:flavors(1)", "there is no table nova:flavors; .tables lists them"),
    ],
)
def test_the_console_refuses_what_would_do_nothing(folder: Path, line: str, message: str) -> None:
    console = Console(open_workspace([folder / "good.policy"], [folder / "rows.yaml"]))
    before = list(console.engine.tables()), console.policy
    assert message in console.run(line)[0]
    assert (list(console.engine.tables()), console.policy) == before


# -- formatting


def test_fmt_formats_the_others_and_tells_of_each_failure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "er.policy").write_text("p(x :- q(x)\n")
    (folder / "ro.policy").write_text("p(x):-q(x)\n")
    assert main(["fmt", "er.policy", "gone.policy", "ro.policy"]) == 1
    output = capsys.readouterr()
    assert "er.policy:1:5: error[S001]" in output.err
    assert "cannot read gone.policy" in output.err
    assert output.out == "formatted ro.policy\n"
    assert (folder / "ro.policy").read_text() == "p(x) :- q(x)\n"
    assert main(["fmt", "gone.policy", "er.policy"]) == 2
    assert main(["fmt", "--check", "ro.policy", "er.policy"]) == 1


def test_fmt_tells_where_it_cannot_write(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ro.policy").write_text("p(x):-q(x)\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert main(["fmt", "ro.policy"]) == 2
    assert "cannot write ro.policy: Permission denied" in capsys.readouterr().err
