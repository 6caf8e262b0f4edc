# SPDX-License-Identifier: Apache-2.0
"""Actions from the command line and the library: executions, sets, guards, breakers, the library of policies."""

import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from congress.client import Conflict, Connection, InvalidRequest
from congress.client.errors import SettingsError, StillGoing
from tests.client.test_commands import Run, run, shown

__all__ = ["run", "shown"]  # fixtures
Shown = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def robots(server: Any) -> None:
    server.ok("POST", "/v1/cloud-services", {"name": "robots", "driver": "fake"})


def test_an_action_from_its_request_to_its_trail(run: Run, shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    execution = run("execute", "robots:things.rename", "r2", "--named", "name=d2", "--wait", "30").strip()
    found = shown("execution", "show", execution)
    assert (found["state"], found["result"]) == ("succeeded", {"id": "r2", "name": "d2"})
    assert found["args"] == {"positional": ["r2"], "named": {"name": "d2"}}
    assert [line["after"] for line in shown("execution", "trail", execution)] == [
        "approved", "queued", "running", "succeeded",
    ]  # fmt: skip
    assert run("execution", "wait", execution) == ""
    listed = run("execution", "list", "--service", "robots", "--action", "things.rename")
    assert 'robots:things.rename("r2", name="d2") | succeeded' in listed
    assert shown("execution", "list", "--state", "held,proposed", "--service", "robots") == []
    assert "only what failed" in run("execution", "retry", execution, code=1)
    assert "can be cancelled" in run("execution", "cancel", execution, code=1)
    assert "unknown can be settled" in run("execution", "settle", execution, "failed", code=1)
    assert "`congress execution list`" in run("execution", "show", "nothing", code=5)


def test_a_set_is_approved_as_it_was_looked_at(run: Run, shown: Shown, cloud: Connection) -> None:
    cloud.policies.create("wishes", rules=["p(1)", "p(2)"])
    changed = {row["setting"]: row for row in shown("guard", "set", "--policy", "wishes", "mode=propose", "max_rows=7")}
    assert (changed["mode"]["value"], changed["max_rows"]["own"]) == ("propose", True)
    assert {"kind": "policy", "name": "wishes", "own": {"mode": "propose", "max_rows": 7}} in shown("guard", "list")
    cloud.rules.create("wishes", "execute[robots:fake_act(x)] :- p(x)")
    one = _set_of(cloud, "wishes")
    assert {row["action"] for row in shown("execution", "set", "show", one.id)} == {
        "robots:fake_act(1)",
        "robots:fake_act(2)",
    }
    told = {(row["verdict"], row["reason"], row["detail"]) for row in shown("dry-run", "wishes")}
    waits = "The mode of policy 'wishes' is propose: each waits until a person approves it."
    assert told == {("known", "mode_propose", f"It was asked for already, and is proposed. {waits}")}
    assert "look at it again" in run("execution", "set", "approve", one.id, "--digest", "another", code=1)
    assert run("execution", "set", "approve", one.id, "--digest", one.digest) == ""
    for execution in cloud.execution_sets.list():
        assert execution.id != one.id
    for execution in cloud.executions.list(policy="wishes"):
        assert cloud.executions.wait(execution.id, 30).state == "succeeded"
    assert shown("guard", "reset", "--policy", "wishes")[0]["value"] == "enforce"


def test_a_rejected_set_is_not_done(run: Run, cloud: Connection) -> None:
    cloud.policies.create("dreams", rules=["p(1)"])
    cloud.guards.set({"mode": "propose"}, policy="dreams")
    cloud.rules.create("dreams", "execute[robots:fake_act(x)] :- p(x)")
    one = _set_of(cloud, "dreams")
    assert run("execution", "set", "reject", one.id, "--detail", "not today") == ""
    (execution,) = cloud.executions.list(policy="dreams")
    assert (execution.state, execution.reason, execution.done) == ("cancelled", "rejected", True)
    assert cloud.executions.get(execution.id).trail[-1].detail == "not today"
    retried = cloud.executions.retry(execution.id)
    assert retried.state == "proposed"
    assert run("execution", "cancel", execution.id, "--detail", "never", "-f", "value", "-c", "state") == "cancelled\n"


def test_an_open_breaker_holds_everything(run: Run, shown: Shown, cloud: Connection) -> None:
    cloud.cloud_services.create("lathes", "fake")
    assert shown("breaker", "open", "lathes", "--detail", "maintenance")["state"] == "open"
    assert [(b["service"], b["detail"]) for b in shown("breaker", "list")] == [("lathes", "maintenance")]
    execution = cloud.execute("lathes:fake_act", "x")
    held = cloud.executions.wait(execution, 30)
    assert (held.state, held.reason) == ("held", "breaker")
    assert "held" in run("execution", "wait", execution, code=1)
    assert shown("breaker", "close", "lathes")["state"] == "closed"
    assert shown("breaker", "show", "lathes")["state"] == "closed"
    deadline = time.monotonic() + 30
    while cloud.executions.get(execution).state != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_guards_that_cannot_be(run: Run, cloud: Connection) -> None:
    assert "nothing" in run("guard", "set", "--service", "robots", "nothing=1", code=1)
    with pytest.raises(SettingsError, match="of a policy or of a service"):
        cloud.guards.get()
    with pytest.raises(InvalidRequest):
        cloud.guards.change(service="robots", max_rows=-1)
    with pytest.raises(Conflict):
        cloud.executions.settle(cloud.execute("robots:fake_act", "x"), "failed")


def test_waiting_has_an_end(cloud: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    running = cloud.executions.get(cloud.execute("robots:fake_act", "x")).of({"id": "1", "state": "running"})
    monkeypatch.setattr(cloud.executions, "get", lambda _: running)
    with pytest.raises(StillGoing, match="still running after"):
        cloud.executions.wait("1", timeout=0.1, interval=0.02)


def test_executions_can_be_exported(cloud: Connection) -> None:
    execution = cloud.execute("robots:fake_act", "exported")
    cloud.executions.wait(execution, 30)
    (found,) = (one for one in cloud.executions.export(service="robots") if one.id == execution)
    assert [line.after for line in found.trail][-1] == "succeeded"
    pages = cloud.executions.list(service="robots", limit=1)
    assert len(list(islice(pages, 3))) == 3


def test_executions_are_exported_line_by_line(run: Run, cloud: Connection, tmp_path: Path) -> None:
    cloud.cloud_services.create("presses", "fake")
    for name in ("one", "zwölf"):
        cloud.executions.wait(cloud.execute("presses:fake_act", name), 30)
    text = run("execution", "export", "--service", "presses")
    found = [json.loads(line) for line in text.splitlines()]
    assert [one["args"]["positional"] for one in found] == [["zwölf"], ["one"]]
    assert found[0]["trail"][-1]["after"] == "succeeded"
    file = tmp_path / "done.jsonl"
    assert run("execution", "export", "--service", "presses", "--output", str(file)) == ""
    assert file.read_text(encoding="utf-8") == text
    assert run("execution", "export", "--service", "presses", "--state", "failed") == ""
    run("execution", "export", "--state", "nonsense", "--output", str(file), code=1)
    assert file.read_text(encoding="utf-8") == text
    assert "cannot write" in run("execution", "export", "--output", str(tmp_path / "no" / "file"), code=2)
    if Path("/dev/full").exists():
        assert "cannot write" in run("execution", "export", "--output", "/dev/full", code=2)


def test_the_library(run: Run, shown: Shown, cloud: Connection, tmp_path: Any) -> None:
    names = [row["name"] for row in shown("library", "list")]
    assert "BadFlavors" in names
    assert "rules" in shown("library", "show", "BadFlavors")
    assert "error" in run("library", "show", "BadFlavors")
    (tmp_path / "mine.policy").write_text("p(1)\np(2)\n")
    assert shown("library", "create", str(tmp_path / "mine.policy"), "--name", "Mine")["name"] == "Mine"
    assert len(cloud.library.get("Mine").rules) == 2
    assert shown("policy", "create", "--library", "Mine")["rules"] == 2
    assert sorted(cloud.rows.list("Mine:p")) == [(1,), (2,)]
    own = ("policy", "create", "ours", "--library", "Mine", "--description", "d", "--abbreviation", "our")
    made = shown(*own, "--kind", "action")
    assert [made[key] for key in ("name", "description", "abbreviation", "kind")] == ["ours", "d", "our", "action"]
    assert made["rules"] == 2
    assert "the rules come from the library" in run("policy", "create", "--library", "Mine", "--rule", "p(3)", code=2)
    assert cloud.policies.create("theirs", library_policy="Mine").name == "theirs"
    assert run("policy", "delete", "ours", "theirs") == ""
    assert run("library", "delete", "Mine") == ""
    assert "`congress library list`" in run("library", "show", "Mine", code=5)


def _set_of(cloud: Connection, policy: str) -> Any:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for one in cloud.execution_sets.list():
            if policy in one.policies:
                return one
        time.sleep(0.05)
    raise AssertionError("there is no set")
