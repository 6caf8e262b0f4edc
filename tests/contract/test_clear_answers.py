# SPDX-License-Identifier: Apache-2.0
"""What a slip of a client's is answered with: an error that says what is wrong, never an answer that looks right."""

from typing import Any

import pytest

from tests.contract.test_defects import refused, rules
from tests.server.daemon import Server

SIMULATE = {"sequence": "", "action_policy": "action"}


@pytest.mark.parametrize("question", ["why", "why-not"])
def test_a_row_with_too_few_or_many_values_is_refused_and_no_fault(server: Server, question: str) -> None:
    name = f"slip1_{question.replace('-', '_')}"
    server.ok("POST", "/v1/data-sources", {"name": f"{name}_service", "driver": "fake"})
    texts = rules("error(x, y) :- pair(x, y)", f"one(x) :- {name}_service:fake_table(x)", "pair(1, 2)")
    server.ok("POST", "/v1/policies", {"name": name, "rules": texts})
    for table, row in (("error", "[]"), ("error", "[1,2,3]"), (f"{name}_service:fake_table", "[1,2,3,4,5]")):
        path = f"/v1/policies/{name}/tables/{table}/{question}?row={row}"
        error = refused(server, "GET", path, None, 400, 400)
        assert "column" in error["message"]
        assert "Error" not in error["message"]
    path = f"/v1/policies/{name}_service/tables/fake_table/{question}?row=[]"
    refused(server, "GET", path, None, 400, 400)
    assert [line for line in server.log if line["event"] == "service.fault" and name in str(line)] == []
    assert "congress_policy_faults_total 0" in metrics(server)


def metrics(server: Server) -> str:
    return str(server.request("GET", "/metrics")[1].decode())


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("eror(x, y)", "error"),
        ("slip2:eror(x, y)", "error"),
        ("slip2_other:wacth(x)", "watch"),
        ("q(x) :- error(x, y), not kown(x)", "known"),
        ("nothing_like_it(x)", "error"),
    ],
)
def test_a_query_of_a_table_that_nothing_mentions_is_refused(tidy: Server, query: str, near: str) -> None:
    error = refused(tidy, "POST", "/v1/policies/slip2?action=query", {"query": query}, 400, 1002)
    assert near in error["message"]
    assert error["error_data"]["diagnostics"][0]["code"] == "W103"
    error = refused(tidy, "POST", "/v1/policies/slip2?action=simulate", {"query": query, **SIMULATE}, 400, 1007)
    assert near in error["message"]
    assert error["error_data"]["diagnostics"][0]["severity"] == "error"


def test_a_query_by_name_of_a_table_that_nothing_mentions_is_refused(tidy: Server) -> None:
    body: dict[str, Any] = {"query": {"table": "eror"}, "steps": []}
    assert "error" in refused(tidy, "POST", "/v1/policies/slip2?action=simulate", body, 400, 1007)["message"]


@pytest.mark.parametrize(
    "query", ["error(x, y)", "known(x)", "waits(x)", "slip2_other:watch(x)", "q(x) :- known(x), true"]
)
def test_a_table_that_is_empty_is_one(tidy: Server, query: str) -> None:
    assert tidy.ok("POST", "/v1/policies/slip2?action=query", {"query": query})["results"] == []
    assert tidy.ok("POST", "/v1/policies/slip2?action=simulate", {"query": query, **SIMULATE})["result"] == []


@pytest.mark.parametrize(
    ("query", "sequence"),
    [
        ("fresh(x)", "fresh+(1) fresh-(1)"),
        ("fresh(x)", "fresh-(1)"),
        ("read(x)", "fresh+(x) :- read(x)"),
        ("slip2_made(x, y)", ""),
        ("slip2_size(x)", ""),
    ],
)
def test_a_table_that_a_step_or_an_action_mentions_may_be_asked_for(tidy: Server, query: str, sequence: str) -> None:
    body = {"query": query, **SIMULATE, "sequence": sequence}
    assert tidy.ok("POST", "/v1/policies/slip2?action=simulate", body)["result"] == []


@pytest.fixture(scope="module")
def tidy(server: Server) -> Server:
    """A policy whose tables are all empty, one of another policy, and an action."""
    texts = rules("error(x, y) :- known(x), known(y), slip2_other:watch(x)", "waits(x) :- slip2_gone:t(x)")
    server.ok("POST", "/v1/policies", {"name": "slip2_other"})
    server.ok("POST", "/v1/policies", {"name": "slip2", "rules": texts})
    for text in ('action("slip2_make")', "slip2_made+(x, y) :- slip2_make(x), slip2_size(y)"):
        server.ok("POST", "/v1/policies/action/rules", {"rule": text})
    return server


def test_a_guard_takes_what_it_shows(server: Server) -> None:
    server.ok("POST", "/v1/policies", {"name": "slip3"})
    server.ok("POST", "/v1/policies", {"name": "slip3_other"})
    server.ok("POST", "/v1/cloud-services", {"name": "slip3_cloud", "driver": "noop"})
    for path in ("/v1/policies/slip3/guard", "/v1/cloud-services/slip3_cloud/guard"):
        default = server.ok("GET", path)
        assert server.ok("PUT", path, default) == default
        own: dict[str, Any] = {"mode": "propose"} if "policies" in path else {"rate": 7}
        changed = server.ok("PUT", path, {**default, "own": own, "settings": default["settings"]})
        assert changed["own"] == own
        assert server.ok("PUT", path, changed) == changed
        assert server.ok("PATCH", path, changed) == changed
        wrong: tuple[dict[str, Any], ...] = (
            {**changed, "id": "other"},
            {**changed, "name": "slip3_other"},
            {**changed, "kind": "guard"},
            {**changed, "settings": default["settings"]},
            {**changed, **own},
            {**changed, "own": 5},
            {**changed, "own": {"nothing": 5}},
        )
        for body in wrong:
            refused(server, "PUT", path, body, 400, 400)
        assert server.ok("GET", path) == changed
        assert server.ok("PUT", path, {}) == default


@pytest.mark.parametrize("name", ["a/b", ".", "..", "/"])
def test_a_rule_has_no_name_that_no_address_can_have(server: Server, name: str) -> None:
    policy = f"slip5_{len(name)}{name.count('.')}"
    rule = {"rule": "p(1)", "name": name}
    refused(server, "POST", "/v1/policies", {"name": policy, "rules": [rule]}, 400, 400)
    refused(server, "POST", "/v1/librarypolicies", {"name": policy, "rules": [rule]}, 400, 400)
    server.ok("POST", "/v1/policies", {"name": policy, "rules": [{"rule": "p(2)", "name": "a b.c%2Fd"}]})
    assert server.ok("GET", f"/v1/policies/{policy}/rules/a%20b.c%252Fd")["rule"] == "p(2)"
    refused(server, "POST", f"/v1/policies/{policy}/rules", rule, 400, 400)
    refused(server, "PUT", f"/v1/policies/{policy}", {"rules": [rule]}, 400, 400)
    for method in ("PUT", "PATCH"):
        refused(server, method, f"/v1/policies/{policy}/rules/a%20b.c%252Fd", {"rule": "p(2)", "name": name}, 400, 400)
    assert [rule["rule"] for rule in server.ok("GET", f"/v1/policies/{policy}/rules")["results"]] == ["p(2)"]


def test_an_empty_name_of_a_rule_is_none(server: Server) -> None:
    server.ok("POST", "/v1/policies", {"name": "slip5_none"})
    rule = server.ok("POST", "/v1/policies/slip5_none/rules", {"rule": "p(1)", "name": ""})
    assert rule["name"] is None
    assert server.ok("PATCH", f"/v1/policies/slip5_none/rules/{rule['id']}", {"name": ""})["name"] is None


@pytest.mark.parametrize("path", ["/v1/policies", "/v1/librarypolicies"])
def test_an_abbreviation_has_one_to_five_characters(server: Server, path: str) -> None:
    for wrong in ("", "sixsix"):
        body: dict[str, Any] = {"name": "slip6", "abbreviation": wrong, "rules": []}
        refused(server, "POST", path, body, 400, 1022)
    server.ok("POST", path, {"name": "slip6", "rules": []})
    for method in ("PUT", "PATCH"):
        refused(server, method, f"{path}/slip6", {"name": "slip6", "abbreviation": "", "rules": []}, 400, 1022)
    assert server.ok("GET", f"{path}/slip6")["abbreviation"] == "slip6"


def test_descriptions_of_the_library_end_with_their_text(server: Server) -> None:
    server.ok("POST", "/v1/librarypolicies", {"name": "slip9", "description": "one\ntwo \n", "rules": []})
    shown = {found["name"]: found["description"] for found in server.ok("GET", "/v1/librarypolicies")["results"]}
    assert shown["slip9"] == "one\ntwo"
    assert [name for name, text in shown.items() if text != text.rstrip()] == []


def test_executions_are_found_by_what_the_ledger_knows_them_by(server: Server) -> None:
    server.ok("POST", "/v1/cloud-services", {"name": "slip8_cloud", "driver": "fake"})
    server.ok("POST", "/v1/policies", {"name": "slip8"})
    body: dict[str, Any] = {"name": "fake_act", "args": ["x"]}
    assert server.request("POST", "/v1/cloud-services/slip8_cloud?action=execute", body)[0] == 204
    body["name"] = "slip8_cloud:fake_act"
    assert server.request("POST", "/v1/policies/slip8?action=execute", body)[0] == 204

    def found(query: str) -> list[str]:
        path = f"/v1/executions?service=slip8_cloud&fields=policy,digest&{query}"
        return [one["policy"] for one in server.ok("GET", path)["results"]]

    first, _ = server.ok("GET", "/v1/executions?service=slip8_cloud&sort=created_at")["results"]
    assert found("policy=") == [""]
    assert found("policy=slip8") == ["slip8"]
    assert found(f"digest={first['digest']}") == [first["policy"]]
    open_or_done = ("approved", "queued", "running", "succeeded", "failed")
    assert found("&".join(f"state={state}" for state in open_or_done)) == ["slip8", ""]
    assert found("state=" + ",".join(open_or_done)) == ["slip8", ""]
    for query, known in (
        ("sort=state", "created_at"),
        ("table=", "digest"),
        ("id=x", "digest"),
        ("state=x", "queued"),
        ("marker=x", "marker"),
    ):
        assert known in refused(server, "GET", f"/v1/executions?{query}", None, 400, 400)["message"]
