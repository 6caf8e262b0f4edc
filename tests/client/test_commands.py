# SPDX-License-Identifier: Apache-2.0
"""The commands that talk to a daemon, as a person types them, against a real one."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.client import Connection
from congress.cmd.cli import main
from tests.client.scripted import answer, scripted
from tests.server.daemon import Server

Run = Callable[..., str]


@pytest.fixture
def run(server: Server, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line; what it prints.  ``code`` is the exit code it must have."""

    def typed(*words: str, code: int = 0) -> str:
        try:
            found = main(["--endpoint", server.url, *words])
        except SystemExit as end:  # how argparse ends
            found = int(end.code or 0)
        printed = capsys.readouterr()
        assert found == code, (words, found, printed.err)
        return printed.out if code == 0 else printed.err

    return typed


@pytest.fixture
def shown(run: Run) -> Callable[..., Any]:
    """Runs a command line; the JSON that it prints."""
    return lambda *words: json.loads(run(*words, "-f", "json"))


def test_policies_and_rules(run: Run, shown: Callable[..., Any], tmp_path: Path) -> None:
    made = shown(
        "policy", "create", "cats", "--description", "of the house", "--rule", 'cat("tom")', "--rule", "dog(1)"
    )
    assert (made["name"], made["rules"]) == ("cats", 2)
    assert {"name": "cats", "kind": "nonrecursive", "description": "of the house", "id": made["id"]} in shown(
        "policy", "list"
    )
    assert shown("policy", "show", made["id"])["name"] == "cats"
    rule = shown("rule", "create", "cats", "pet(x) :- cat(x)", "--name", "pets", "--comment", "some are")
    assert shown("rule", "show", "cats", "pets") == rule
    assert [found["rule"] for found in shown("rule", "list", "cats")] == ['cat("tom")', "dog(1)", "pet(x) :- cat(x)"]
    assert shown("rule", "status", "cats", "pets")["state"] == "active"
    assert shown("policy", "query", "cats", "pet(x)") == [{"x": "tom"}]
    assert shown("policy", "query", "cats", 'pet("tom")') == [{"holds": True}]
    assert shown("policy", "status", "cats")["tables"] == {"cat": 1, "dog": 1, "pet": 1}
    assert run("policy", "rules", "cats") == 'cat("tom")\ndog(1)\n// pets: some are\npet(x) :- cat(x)\n'
    (tmp_path / "cats.policy").write_text(run("policy", "rules", "cats") + "pet(x) :- dog(x)\n")
    assert shown("policy", "update", "cats", "--file", str(tmp_path / "cats.policy"))["rules"] == 4
    assert shown("row", "list", "cats:pet") == [{"x": 1}, {"x": "tom"}]
    assert run("rule", "delete", "cats", "pets") == ""
    assert run("policy", "delete", "cats") == ""
    assert "there is no policy 'cats'" in run("policy", "show", "cats", code=5)


def test_a_policy_comes_from_a_document_or_a_text(run: Run, shown: Callable[..., Any], tmp_path: Path) -> None:
    document = {"name": "fish", "description": "d", "rules": [{"rule": "p(1)", "name": "one"}, "q(2)"]}
    (tmp_path / "f.yaml").write_text(yaml.safe_dump(document))
    assert shown("policy", "create", "--file", str(tmp_path / "f.yaml"))["name"] == "fish"
    assert [rule["name"] for rule in shown("rule", "list", "fish")] == ["one", ""]
    (tmp_path / "bad.policy").write_text("p(x) :- q(y, \n")
    assert "bad.policy:2:1: error[S001]" in run("policy", "create", "f", "--file", str(tmp_path / "bad.policy"), code=1)
    assert "needs a name" in run("policy", "create", code=2)
    assert "is no policy" in run("policy", "create", "x", "--file", _write(tmp_path / "l.json", [1]), code=2)
    assert "cannot read" in run("policy", "create", "x", "--file", str(tmp_path / "nothing"), code=2)


def test_services_and_rows(run: Run, shown: Callable[..., Any], tmp_path: Path) -> None:
    tables = {"servers": ["id", "owner", "up"]}
    made = shown("service", "create", "racks", "push", "--config", f"tables={json.dumps(tables)}", "--description", "r")
    assert (made["config"], made["enabled"]) == ({"tables": tables}, True)
    assert made["id"] in run("service", "list", "-f", "value", "-c", "id").split()
    assert shown("service", "show", "racks") == made
    assert shown("service", "status", "racks")["state"] == "running"
    assert shown("service", "schema", "racks")[0]["column"] == "id"
    assert [row["name"] for row in shown("table", "show", "racks:servers")] == ["id", "owner", "up"]
    assert shown("table", "list", "racks")[0]["id"] == "servers"
    rows = _write(tmp_path / "rows.json", [["web-1", "ann", True], {"id": "web-2", "owner": None, "up": 5}])
    assert run("push", "racks:servers", rows) == ""
    assert shown("row", "list", "racks:servers") == [
        {"id": "web-1", "owner": "ann", "up": True},
        {"id": "web-2", "owner": None, "up": 5},
    ]
    assert run("row", "list", "racks:servers", "-f", "value") == "web-1 ann true\nweb-2 null 5\n"
    assert next(csv.reader(io.StringIO(run("row", "list", "racks:servers", "-f", "csv")))) == ["id", "owner", "up"]
    assert yaml.safe_load(run("row", "list", "racks:servers", "-f", "yaml"))[1]["owner"] is None
    assert "| web-2 | null  | 5    |" in run("row", "list", "racks:servers")
    assert len(shown("row", "list", "racks:servers", "--limit", "1")) == 1
    assert shown("row", "list", "racks:servers", "--where", "owner=null") == [{"id": "web-2", "owner": None, "up": 5}]
    assert run("row", "list", "racks:servers", "--sort", "id:desc", "-f", "value", "-c", "id") == "web-2\nweb-1\n"
    assert [row["name"] for row in shown("service", "list", "--filter", "name=racks", "--sort", "id")] == ["racks"]
    assert shown("service", "list", "--filter", "driver=nothing") == []
    run(
        "push",
        "racks:servers",
        "--insert",
        '["web-3", "eve", false]',
        "--delete",
        '{"id": "web-2", "up": 5, "owner": null}',
    )
    assert [row["id"] for row in shown("row", "list", "racks:servers")] == ["web-1", "web-3"]
    (tmp_path / "rows.csv").write_text("up,id,owner\ntrue,a,\n1.5,b,007\n")
    run("push", "racks:servers", str(tmp_path / "rows.csv"))
    assert shown("row", "list", "racks:servers") == [
        {"id": "a", "owner": None, "up": True},
        {"id": "b", "owner": "007", "up": 1.5},
    ]
    (tmp_path / "rows.csv").write_text("id,id,up\na,b,true\n")
    assert "the column 'id' is there twice" in run("push", "racks:servers", str(tmp_path / "rows.csv"), code=2)
    (tmp_path / "rows.csv").write_text("id,owner,up\na,ann,true\n", encoding="utf-8-sig")
    run("push", "racks:servers", str(tmp_path / "rows.csv"))
    assert shown("row", "list", "racks:servers") == [{"id": "a", "owner": "ann", "up": True}]
    assert "give a FILE" in run("push", "racks:servers", code=2)
    assert shown("service", "update", "racks", "--disable")["enabled"] is False
    assert shown("service", "update", "racks", "--enable", "--config", "persist=true")["config"] == {
        "tables": tables,
        "persist": True,
    }
    assert run("service", "refresh", "racks") == ""
    assert run("service", "delete", "racks") == ""
    assert "no policy and no service 'racks'" in run("row", "list", "racks:servers", code=5)


def test_rows_as_csv_can_be_pushed_again(run: Run, cloud: Connection, tmp_path: Path) -> None:
    cloud.cloud_services.create("coins", "push", config={"tables": {"t": ["id", "owner", "n"]}})
    cloud.rows.replace("coins:t", [["a", None, 1.5], ["b, c", "ann", True], ["null", "", 7]])
    text = run("row", "list", "coins:t", "-f", "csv", "--quote", "minimal")
    assert sorted(text.splitlines()) == ['"b, c",ann,true', "a,,1.5", "id,owner,n", "null,,7"]
    (tmp_path / "back.csv").write_text(run("row", "list", "coins:t", "-f", "csv"))
    run("push", "coins:t", str(tmp_path / "back.csv"))
    # An empty text is the one thing that CSV cannot tell from null.
    assert sorted(cloud.rows.list("coins:t"), key=str) == [("a", None, 1.5), ("b, c", "ann", True), ("null", None, 7)]
    asked = ("policy", "query", "thrift", "p(x, y)", "-f", "csv", "--quote", "minimal")
    cloud.policies.create("thrift", rules=["p(1, null)"])
    assert run(*asked).splitlines() == ["x,y", "1,"]


def test_drivers_and_actions(run: Run, shown: Callable[..., Any]) -> None:
    assert "push" in [driver["id"] for driver in shown("driver", "list")]
    assert shown("driver", "show", "push")["config"]["tables"] == "required"
    assert "servers(id, " in run("driver", "show", "nova")
    shown("service", "create", "toys", "fake")
    actions = {action["name"]: action for action in shown("service", "actions", "toys")}
    assert "name" in actions["things.rename"]["arguments"]
    assert "there is no" in run("execute", "nobody:at_home", code=5)
    assert "next: An action is named SERVICE:ACTION." in run("execute", "toys", code=2)
    run("execute", "toys:fake_act", "a", "5", "--named", "x=true", code=1)  # it takes one argument


def test_why_and_why_not(run: Run, shown: Callable[..., Any]) -> None:
    run(
        "policy",
        "create",
        "barn",
        "--rule",
        "big(x, n) :- cow(x, n), n > 5",
        "--rule",
        'cow("zoe", 9)',
        "--rule",
        'cow("eve", 3)',
    )
    text = run("why", "barn:big", "zoe", "9")
    assert text.startswith('barn:big("zoe", 9)   by rule ')
    assert 'barn:cow("zoe", 9)   a fact' in text
    assert shown("why", "barn:big", '["zoe", 9]')["proof"]["bindings"] == {"x": "zoe", "n": 9}
    error = run("why", "barn:big", "eve", "3", code=1)
    assert "`congress why-not barn:big eve 3`" in error
    assert 'barn:big("eve", 3) does not hold' in run("why-not", "barn:big", "eve", "3")
    assert run("why-not", "barn:big", "zoe", "9", code=1) == ""
    assert yaml.safe_load(run("why-not", "barn:big", "eve", "3", "-f", "yaml"))["holds"] is False
    assert "is no row" in run("why", "barn:big", "[[1], 2]", code=2)
    assert "OWNER:TABLE" in run("why", "big", "zoe", code=2)


def test_simulate_and_preview(run: Run, shown: Callable[..., Any], tmp_path: Path) -> None:
    run("policy", "create", "shop2", "--rule", "low(x) :- item(x, n), n < 5", "--rule", 'item("nut", 9)')
    change = ["--insert", "item", '["nut", 1]', "--delete", "item", '["nut", 9]']
    assert run("simulate", "shop2", "low(x)", *change) == 'low("nut")\n'
    assert run("simulate", "shop2", "low(x)", *change, "--delta") == 'low+("nut")\n'
    lines = run("simulate", "shop2", *change).splitlines()
    assert {'- shop2:item("nut", 9)', '+ shop2:item("nut", 1)', '+ shop2:low("nut")'} <= set(lines)
    steps = _write(tmp_path / "steps.json", [{"insert": {"item": [["fig", 2]]}}])
    assert shown("simulate", "shop2", "low(x)", "--steps-file", steps)["result"] == ['low("fig")']
    assert run("simulate", "shop2", "low(x)", "--sequence", 'item+("fig", 2)') == 'low("fig")\n'
    text = run("simulate", "shop2", "low(x)", "--add-rule", 'low("gold")', "--remove-rule", 'item("nut", 9)', "--trace")
    assert text.startswith('low("gold")\nsimulation on policy shop2')
    assert "nothing to simulate" in run("simulate", "shop2", "low(x)", code=2)
    text = run("preview", "shop2", "--rule", "low(x) :- item(x, n), n < 20")
    assert text == '+ shop2:low("nut")\n'
    assert run("preview", "shop2", "--rule", 'item("nut", 9)') == "nothing would change\n"
    text = run("preview", "shop2", "--rule", "execute[park:stop(x)] :- item(x, n)", "--rule", "p(x) :- nowhere:t(x)")
    assert 'would be carried out: park:stop("nut")' in text
    assert "rule waiting: p(x) :- nowhere:t(x)" in text
    assert shown("preview", "shop2", "--remove", 'item("nut", 9)')["changes"]["shop2:item"]["retracted"] == 1


def test_watch_prints_changes(run: Run, cloud: Connection) -> None:
    cloud.policies.create("tide", rules=['wet("a")', "wet(5)", "wet(null)"])
    assert sorted(run("watch", "tide:wet", "--count", "3").splitlines()) == [
        '+ tide:wet("a")',
        "+ tide:wet(5)",
        "+ tide:wet(null)",
    ]
    lines = run("watch", "--policy", "tide", "--count", "3", "-f", "json").splitlines()
    assert {"event": "insertion", "table": "tide:wet", "row": ["a"]} in map(json.loads, lines)
    assert "nothing to watch" in run("watch", code=2)
    assert "tide" in run("watch", "tide:dry", code=5)


def test_errors_say_what_to_do_next(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("policy", "show", "nix", code=5) == (
        "error: there is no policy 'nix'\nnext: `congress policy list` shows the policies.\n"
    )
    assert main(["--endpoint", "http://127.0.0.1:9", "policy", "list"]) == 3
    assert "next: Is it running?" in capsys.readouterr().err
    assert main(["--endpoint", "localhost", "policy", "list"]) == 2
    assert "It begins with http:// or https://" in capsys.readouterr().err
    assert "1:1: error[S001]" in (run("rule", "create", "classification", ")", code=1))


def test_errors_of_the_server_have_their_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = answer('{"error": {"message": "who?", "error_code": 401}}', "401 Unauthorized")
    fault = answer('{"error": {"message": "oh", "error_code": 500}}', "500 Oh", X_Openstack_Request_Id="req-7")
    with scripted(wrong, fault) as server:
        assert main(["--endpoint", server.url, "policy", "list"]) == 4
        assert "--password" in capsys.readouterr().err
        assert main(["--endpoint", server.url, "policy", "list"]) == 3
        assert "request: req-7" in capsys.readouterr().err


def test_who_asks_is_given_before_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    empty = answer('{"results": []}')
    with scripted(empty, empty, empty) as server:
        assert main(["--endpoint", server.url, "--user", "ann", "--password", "a", "policy", "list"]) == 0
        assert main(["--os-auth-type", "none", "--os-endpoint", server.url, "policy", "list"]) == 0
        basic = ["--os-auth-type", "http_basic", "--os-username", "bob", "--os-password", "b"]
        assert main([*basic, "--os-endpoint", server.url, "policy", "list"]) == 0
    assert "authorization: basic" in server.requests[0].lower()
    assert "authorization" not in server.requests[1].lower()
    assert "authorization: basic" in server.requests[2].lower()


def _write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)
