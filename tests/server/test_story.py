# SPDX-License-Identifier: Apache-2.0
"""From rows to a violation, its explanation, and an action: through the real server."""

import json
import time
from typing import Any

from tests.server.daemon import Server


def test_a_first_violation(server: Server) -> None:
    """What the daemon's first lines of output tell the user to type."""
    config = {"tables": {"servers": ["id", "owner"]}}
    made = server.ok("POST", "/v1/cloud-services", {"name": "inventory", "driver": "push", "config": config})
    rule = "error(s) :- inventory:servers(id=s, owner=null)"
    policy = server.ok("POST", "/v1/policies", {"name": "care", "rules": [{"rule": rule}]})
    server.ok("PUT", "/v1/cloud-services/inventory/tables/servers/rows", [["web-1", "ann"], ["web-2", None]])
    server.until("/v1/policies/care/tables/error/rows", [["web-2"]])

    row = server.ok("GET", "/v1/policies/care/tables/error/rows?why=true")["results"][0]
    assert row["data"] == ["web-2"]
    assert row["why"]["rule_id"] == policy["rules"][0]["id"]
    source = row["why"]["because"][0]
    assert (source["table"], source["row"]) == ("inventory:servers", ["web-2", None])
    why = server.ok("GET", '/v1/policies/care/tables/error/why?row=%5B"web-2"%5D')
    assert why["holds"] is True
    not_here = server.ok("GET", '/v1/policies/care/tables/error/why-not?row=%5B"web-1"%5D')
    assert not_here["holds"] is False

    change = {"insert": [{"id": "web-2", "owner": "bob"}], "delete": [["web-2", None]]}
    server.ok("POST", f"/v1/data-sources/{made['id']}/tables/servers/rows", change)
    server.until(f"/v1/policies/{policy['id']}/tables/error/rows", [])
    assert server.ok("DELETE", "/v1/policies/care")["name"] == "care"
    assert server.ok("DELETE", "/v1/cloud-services/inventory") is None


def execution_of(server: Server, headers: Any) -> dict[str, Any]:
    path = headers["Location"].removeprefix(server.url)
    deadline = time.monotonic() + 20
    while True:
        found: dict[str, Any] = server.ok("GET", path)
        if found["state"] not in ("queued", "running"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_execute_by_both_routes_and_both_forms(server: Server) -> None:
    server.ok("POST", "/v1/cloud-services", {"name": "cloud", "driver": "fake"})
    server.ok("POST", "/v1/policies", {"name": "hand"})
    forms = [
        ("/v1/cloud-services/cloud?action=execute", {"name": "things.rename", "args": ["a", "A"], "options": {}}),
        ("/v1/data-sources/cloud?action=execute", {"name": "things.rename", "args": ["b"], "options": {"name": "B"}}),
        (
            "/v1/policies/hand?action=execute",
            {"name": "cloud:things.rename", "args": {"positional": ["c"], "named": {"name": "C"}}},
        ),
    ]
    for path, body in forms:
        status, found, headers = server.request("POST", path, body)
        assert (status, found) == (204, None)
        assert execution_of(server, headers)["state"] == "succeeded"
    server.ok("POST", "/v1/cloud-services/cloud?action=request-refresh")
    server.until("/v1/cloud-services/cloud/tables/fake_table/rows", [["a", "A"], ["b", "B"], ["c", "C"]])


def test_errors_known_before_the_call(server: Server) -> None:
    server.ok("POST", "/v1/cloud-services", {"name": "calm", "driver": "fake"})
    server.ok("POST", "/v1/policies", {"name": "wise"})
    service, policy = "/v1/cloud-services/calm?action=execute", "/v1/policies/wise?action=execute"
    cases = [
        (service, {"name": "nothing.such"}, 404, 1016),
        (service, {"name": "things.rename", "args": []}, 400, 1018),
        (service, {"name": "things.rename", "args": ["a", "b", "c"]}, 400, 1018),
        (service, {"name": "things.rename", "args": ["a"], "options": {"speed": 1}}, 400, 1018),
        (service, {"name": "things.rename", "args": [[1]]}, 400, 1018),
        (service, {"args": []}, 400, 400),
        (service, {"name": "x", "args": "abc"}, 400, 400),
        ("/v1/cloud-services/nobody?action=execute", {"name": "x"}, 404, 404),
        (policy, {"name": "nobody:act"}, 404, 1016),
        (policy, {"name": "act"}, 400, 1017),
        (policy, {"name": "a:b:c"}, 400, 1017),
        ("/v1/policies/nobody?action=execute", {"name": "calm:things.rename", "args": ["a"]}, 404, 1020),
    ]
    before = server.ok("GET", "/v1/executions")["results"]
    for path, body, status, code in cases:
        answered, found, _ = server.request("POST", path, body)
        assert (answered, found["error"]["error_code"]) == (status, code), (path, body, found)
    assert server.ok("GET", "/v1/executions")["results"] == before


def test_a_rule_acts(server: Server) -> None:
    server.ok("POST", "/v1/cloud-services", {"name": "house", "driver": "fake"})
    server.ok("POST", "/v1/cloud-services", {"name": "eye", "driver": "push", "config": {"tables": {"seen": ["id"]}}})
    rule = 'execute[house:things.rename(x, "seen")] :- eye:seen(x)'
    server.ok("POST", "/v1/policies", {"name": "reflex", "rules": [{"rule": rule}]})
    server.ok("PUT", "/v1/cloud-services/eye/tables/seen/rows", [["cat"], ["dog"]])
    deadline = time.monotonic() + 20
    while True:
        mine = [e for e in server.ok("GET", "/v1/executions")["results"] if e["policy"] == "reflex"]
        if len(mine) == 2 and all(e["state"] == "succeeded" for e in mine):
            break
        assert time.monotonic() < deadline, mine
        time.sleep(0.02)
    assert sorted(e["args"]["positional"] for e in mine) == [["cat", "seen"], ["dog", "seen"]]


def test_secrets_do_not_come_back(server: Server) -> None:
    config = {"username": "u", "password": "hunter2"}
    status, made, _ = server.request("POST", "/v1/cloud-services", {"name": "shy", "driver": "fake", "config": config})
    assert status == 201
    answers = [made, *(server.request("GET", f"/v1/cloud-services{path}")[1] for path in ("", "/shy", "/shy/status"))]
    bad = {"name": "shy2", "driver": "no-such", "config": config}
    answers.append(server.request("POST", "/v1/cloud-services", bad)[1])
    answers.append(server.request("POST", "/v1/cloud-services", {**bad, "driver": "fake", "name": "shy"})[1])
    assert "hunter2" not in json.dumps(answers)
    assert "hunter2" not in json.dumps(server.log)
    assert made["config"]["password"] == "<hidden>"
