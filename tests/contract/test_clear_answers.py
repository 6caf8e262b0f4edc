# SPDX-License-Identifier: Apache-2.0
"""What a slip of a client's is answered with: an error that says what is wrong, never an answer that looks right."""

from typing import Any

import pytest

from tests.contract.test_defects import refused, rules
from tests.server.daemon import Server

SIMULATE = {"sequence": "", "action_policy": "action"}


@pytest.mark.parametrize("question", ["why", "why-not"])
def test_a_row_with_too_few_or_many_values_is_refused_and_no_fault(server: Server, question: str) -> None:
    name = f"c1_{question.replace('-', '_')}"
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
        ("c2:eror(x, y)", "error"),
        ("c2_other:wacth(x)", "watch"),
        ("q(x) :- error(x, y), not kown(x)", "known"),
        ("nothing_like_it(x)", "error"),
    ],
)
def test_a_query_of_a_table_that_nothing_mentions_is_refused(tidy: Server, query: str, near: str) -> None:
    error = refused(tidy, "POST", "/v1/policies/c2?action=query", {"query": query}, 400, 1002)
    assert near in error["message"]
    assert error["error_data"]["diagnostics"][0]["code"] == "W103"
    error = refused(tidy, "POST", "/v1/policies/c2?action=simulate", {"query": query, **SIMULATE}, 400, 1007)
    assert near in error["message"]
    assert error["error_data"]["diagnostics"][0]["severity"] == "error"


def test_a_query_by_name_of_a_table_that_nothing_mentions_is_refused(tidy: Server) -> None:
    body: dict[str, Any] = {"query": {"table": "eror"}, "steps": []}
    assert "error" in refused(tidy, "POST", "/v1/policies/c2?action=simulate", body, 400, 1007)["message"]


@pytest.mark.parametrize(
    "query", ["error(x, y)", "known(x)", "waits(x)", "c2_other:watch(x)", "q(x) :- known(x), true"]
)
def test_a_table_that_is_empty_is_one(tidy: Server, query: str) -> None:
    assert tidy.ok("POST", "/v1/policies/c2?action=query", {"query": query})["results"] == []
    assert tidy.ok("POST", "/v1/policies/c2?action=simulate", {"query": query, **SIMULATE})["result"] == []


@pytest.mark.parametrize(
    ("query", "sequence"),
    [
        ("fresh(x)", "fresh+(1) fresh-(1)"),
        ("fresh(x)", "fresh-(1)"),
        ("read(x)", "fresh+(x) :- read(x)"),
        ("c2_made(x, y)", ""),
        ("c2_size(x)", ""),
    ],
)
def test_a_table_that_a_step_or_an_action_mentions_may_be_asked_for(tidy: Server, query: str, sequence: str) -> None:
    body = {"query": query, **SIMULATE, "sequence": sequence}
    assert tidy.ok("POST", "/v1/policies/c2?action=simulate", body)["result"] == []


@pytest.fixture(scope="module")
def tidy(server: Server) -> Server:
    """A policy whose tables are all empty, one of another policy, and an action."""
    texts = rules("error(x, y) :- known(x), known(y), c2_other:watch(x)", "waits(x) :- c2_gone:t(x)")
    server.ok("POST", "/v1/policies", {"name": "c2_other"})
    server.ok("POST", "/v1/policies", {"name": "c2", "rules": texts})
    for text in ('action("c2_make")', "c2_made+(x, y) :- c2_make(x), c2_size(y)"):
        server.ok("POST", "/v1/policies/action/rules", {"rule": text})
    return server
