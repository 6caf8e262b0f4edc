# SPDX-License-Identifier: Apache-2.0
"""What the runtime answers to those who only look."""

import pytest

from congress.api.encoding import dumps
from congress.bus import context
from congress.bus.subscriber import TableUpdate
from congress.client.explanations import Why
from congress.datalog.values import TRUE, Row
from congress.policy import errors
from congress.policy.sources import Arrivals, Publication
from tests.policy.world import World, wait_until


@pytest.fixture
def alice(world: World) -> World:
    """A policy with all kinds of rules and tables over a cloud."""
    cloud = world.cloud().show(servers=[("a", "x"), ("b", "y")], ports=[("a", "n1")], nets=[])
    world.runtime()
    world.policy(
        "alice",
        "error(s, n) :- nova:servers(id=s), nova:ports(s, n), not nova:nets(n)",
        "known(s) :- nova:servers(s, o), owner(o, true), n > 3, n = len(o)",
        'owner("x", true)',
        "w(x) :- gone:t(x), undefined(x)",
        "execute[nova:detach(s, net=n)] :- error(s, n)",
        description="for tests",
    )
    world.expect("alice", "error", {("a", "n1")})
    wait_until(lambda: cloud.done)
    return world


def test_policies_by_name_and_id(alice: World) -> None:
    by_name = alice.call("get_policy", policy="alice")
    assert by_name == alice.call("get_policy", policy=by_name["id"]) == alice.call("list_policies")[-1]
    assert by_name == {
        "id": by_name["id"],
        "name": "alice",
        "owner_id": "user",
        "description": "for tests",
        "abbreviation": "alice",
        "kind": "nonrecursive",
    }


def test_rules_as_they_were_given(alice: World) -> None:
    made = alice.call("create_rule", policy="alice", rule="p( x ):-q(x) // why", name="n", comment="c")
    assert made == {"id": made["id"], "rule": "p( x ):-q(x) // why", "name": "n", "comment": "c"}
    assert alice.call("list_rules", policy="alice")[-1] == made
    for key in (made["id"], "n"):
        assert alice.call("get_rule", policy="alice", rule=key) == made
    assert alice.call("delete_rule", policy="alice", rule=made["id"]) == made
    with pytest.raises(errors.RuleNotFound):
        alice.call("get_rule", policy="alice", rule=made["id"])


def test_rule_status(alice: World) -> None:
    rules = alice.call("list_rules", policy="alice")
    states = [alice.call("rule_status", policy="alice", rule=rule["id"]) for rule in rules]
    assert [status["state"] for status in states] == ["active", "active", "active", "waiting", "active"]
    assert states[3]["diagnostics"][0]["code"] == "N001"
    assert "gone" in states[3]["diagnostics"][0]["message"]
    assert states[0]["original_str"] == rules[0]["rule"]


def test_built_ins_without_an_answer_show_on_the_rule(world: World) -> None:
    world.runtime()
    made = world.policy("alice", "d(y) :- n(x), y = 10 / x", "n(0)", "n(5)")
    assert world.rows("alice", "d") == {(2,)}
    status = world.call("rule_status", policy="alice", rule=made["rules"][0]["id"])
    assert status["error_count"] == 1
    assert status["errors"][0]["inputs"] == [10, 0]


def test_policy_status(alice: World) -> None:
    status = alice.call("policy_status", policy="alice")
    assert status["rules"] == {"active": 4, "waiting": 1, "off": 0}
    assert status["tables"]["error"] == 1
    assert status["actions"] == [
        {"id": "execute[nova:detach]/1,net", "service": "nova", "action": "detach", "rows": 1, "waiting": 0}
    ]


def test_tables(alice: World) -> None:
    tables = {table["id"]: table for table in alice.call("list_tables", policy="alice")}
    assert tables.keys() == {
        *("error", "known", "owner", "w", "undefined"),
        *("nova:servers", "nova:ports", "nova:nets", "gone:t"),
    }
    assert [column["name"] for column in tables["error"]["columns"]] == ["s", "n"]
    assert tables["nova:servers"]["columns"][0] == {
        "name": "id",
        "type": "string",
        "nullable": True,
        "description": "",
    }
    assert (tables["undefined"]["kind"], tables["undefined"]["columns"]) == ("unknown", None)
    assert tables["gone:t"] == alice.call("get_table", policy="alice", table="gone:t")
    action = alice.call("get_table", policy="alice", table="execute[nova:detach]/1,net")
    assert (action["kind"], action["action"]) == ("action", "nova:detach")


def test_rows(alice: World) -> None:
    for table, rows in {
        "error": {("a", "n1")},
        "alice:error": {("a", "n1")},
        "alice:known": set(),
        "owner": {("x", TRUE)},
        "nova:ports": {("a", "n1")},
        "undefined": set(),
        "gone:t": set(),
        "execute[nova:detach]/1,net": {("a", "n1")},
    }.items():
        assert alice.rows("alice", table) == rows


@pytest.mark.parametrize("table", ["none", "", "nova:none", "classification:x", "len"])
def test_tables_that_are_not_there(alice: World, table: str) -> None:
    for method in ("get_table", "list_rows", "trace"):
        with pytest.raises(errors.TableNotFound):
            alice.call(method, policy="alice", table=table)


@pytest.mark.parametrize("method", ["get_policy", "policy_status", "list_rules", "list_tables", "delete_policy"])
def test_policies_that_are_not_there(alice: World, method: str) -> None:
    with pytest.raises(errors.PolicyNotFound) as caught:
        alice.call(method, policy="nobody")
    assert (caught.value.code, caught.value.status) == (1020, 404)


def test_a_service_has_no_rules(alice: World) -> None:
    with pytest.raises(errors.RuleNotPermitted):
        alice.call("create_rule", policy="nova", rule='servers("c", "x")')


def test_a_service_and_a_policy_never_share_a_name(alice: World) -> None:
    alice.watcher()
    for name in ("nova", "watcher", "policy", "alice"):
        with pytest.raises(errors.PolicyNameTaken):
            alice.call("create_policy", name=name)


def test_why(alice: World) -> None:
    answer = alice.call("why", policy="alice", table="error", row=("a", "n1"))
    assert (answer["row"], answer["holds"]) == (["a", "n1"], True)
    proof = answer["proof"]
    assert proof["rule"].startswith("error(s, n)")
    sources = {leaf["table"]: leaf for leaf in proof["because"] if leaf["reason"] == "service"}
    assert sources.keys() == {"nova:servers", "nova:ports"}
    assert sources["nova:ports"]["published"]["service"] == "nova"
    assert next(leaf["text"] for leaf in proof["because"] if leaf["reason"] == "absent").startswith("not nova:nets(n)")
    gone = alice.call("why", policy="alice", table="error", row=("b", "n1"))
    assert (gone["holds"], gone["proof"]) == (False, None)


def test_why_tells_the_poll_that_brought_a_row(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")

    def poll() -> None:
        with context.bind(poll_id="p-17"):
            nova.replace_rows({"servers": [("a", "x")]})

    nova.do(poll)
    world.expect("alice", "p", {("a",)})
    (proof,) = world.call("why_rows", policy="alice", table="p", rows=[("a",)])
    assert proof["because"][0]["published"]["ids"]["poll_id"] == "p-17"


def test_each_row_is_told_apart_by_the_poll_that_brought_it(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")

    def poll(number: int, *rows: Row) -> None:
        with context.bind(poll_id=f"p-{number}"):
            nova.replace_rows({"servers": rows})

    first, second, third = ("a", "x"), ("b", "x"), ("c", TRUE)
    nova.do(lambda: poll(1, first))
    nova.do(lambda: poll(2, first, second))
    nova.do(lambda: poll(3, first, second, third))
    world.expect("alice", "p", {("a",), ("b",), ("c",)})
    proofs = world.call("why_rows", policy="alice", table="p", rows=[("a",), ("b",), ("c",)])
    published = [proof["because"][0]["published"] for proof in proofs]
    assert [came["ids"].get("poll_id") for came in published] == ["p-1", "p-2", "p-3"]
    assert published[0]["sequence"] < published[1]["sequence"] < published[2]["sequence"]


def test_of_rows_that_came_long_ago_it_is_told_that_they_did() -> None:
    arrivals = Arrivals()

    def take(sequence: int, insertions: list[Row], retractions: list[Row], snapshot: bool = False) -> None:
        ids = {"poll_id": f"p-{sequence}"}
        arrivals.take(TableUpdate("nova", "servers", "e", sequence, snapshot, insertions, retractions, ids))

    take(4, [("a",), ("b",)], [], snapshot=True)
    assert (arrivals.of(("a",)).sequence, arrivals.of(("a",)).or_before) == (4, True)
    take(5, [("c",)], [("b",)])
    assert (arrivals.of(("c",)).sequence, arrivals.of(("c",)).or_before) == (5, False)
    assert arrivals.of(("a",)).sequence == 4
    take(6, [(number,) for number in range(10_000)], [])
    assert (arrivals.of((9_999,)).sequence, arrivals.of((0,)).sequence) == (6, 6)
    assert arrivals.of(("c",)) == Publication(5), "no ids: it may not have been that one"
    take(7, [("d",)], [(1,)])
    assert arrivals.of(("d",)).ids == {"poll_id": "p-7"}


def test_why_of_several_rows(alice: World) -> None:
    proofs = alice.call("why_rows", policy="alice", table="owner", rows=[("x", TRUE), ("z", TRUE)])
    assert (proofs[0]["reason"], proofs[0]["row"], proofs[1]) == ("fact", ["x", True], None)


def test_why_not(alice: World) -> None:
    answer = alice.call("why_not", policy="alice", table="error", row=("b", "n1"))
    assert (answer["row"], answer["holds"]) == (["b", "n1"], False)
    (attempt,) = answer["attempts"]
    assert attempt["misses"][0]["literal"] == "nova:ports(s, n)"
    assert alice.call("why_not", policy="alice", table="error", row=("a", "n1"))["holds"]


def test_trace(alice: World) -> None:
    text = alice.call("trace", policy="alice", table="error")
    assert text.splitlines()[0].startswith('alice:error("a", "n1")   by rule')
    assert '  nova:ports("a", "n1")   published by the service' in text


def test_query(alice: World) -> None:
    answer = alice.call("query", policy="alice", text="q(s, o) :- nova:servers(s, o), not error(s, _)")
    assert (answer["columns"], answer["rows"]) == (["s", "o"], [("b", "y")])
    with pytest.raises(errors.RuleInvalid) as caught:
        alice.call("query", policy="alice", text="q(s, o) :- nova:servers(")
    assert caught.value.data["diagnostics"]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("nova:servers(s, o), nova:servers(s, o, z)", 21),
        ("nova:servers(s, o), s > z", 21),
        ("nova:servers(s, o), s >", 24),
        ("nova:servers(s, o), eror(s, n)", 21),
        (" eror(s, n)", 2),
    ],
)
def test_findings_in_a_query_are_placed_in_the_text_that_was_asked(alice: World, text: str, column: int) -> None:
    with pytest.raises(errors.RuleInvalid) as caught:
        alice.call("query", policy="alice", text=text)
    [finding] = caught.value.data["diagnostics"]
    assert (finding["line"], finding["column"]) == (1, column)


def test_a_deep_proof_can_be_sent(alice: World) -> None:
    alice.call("create_rule", policy="alice", rule="t0(x) :- nova:servers(x, o)")
    for number in range(180):
        alice.call("create_rule", policy="alice", rule=f"t{number + 1}(x) :- t{number}(x)")
    answer = alice.call("why", policy="alice", table="t180", row=("a",))
    assert dumps({"results": [{"data": ["a"], "why": answer["proof"]}]}).count(b'"cut"') == 1
    level = answer["proof"]
    for _ in range(100):
        [level] = level["because"]
    assert level == {"table": "alice:t80", "row": ["a"], "reason": "cut"}
    assert Why.of(answer).proof.render().count("\n") == 100


def test_status(alice: World) -> None:
    status = alice.call("status")
    assert (status["name"], status["state"], status["policies"]) == ("policy", "running", 3)
    assert status["rules"] == {"active": 4, "waiting": 1, "off": 0}
    nova = status["services"]["nova"]
    assert (nova["present"], nova["schema_known"]) == (True, True)
    assert {table: shown["rows"] for table, shown in nova["tables"].items()} == {"servers": 2, "ports": 1, "nets": 0}
    assert all(shown["settled"] for shown in nova["tables"].values())
    assert status["services"]["gone"]["present"] is False


def test_the_runtime_as_any_service(alice: World) -> None:
    assert alice.call("schema")["alice:error"].names == ("s", "n")
    assert alice.call("rows", table="alice:error") == [("a", "n1")]
    assert alice.call("actions") == []


def test_columns_on_which_rules_disagree_have_a_number(world: World) -> None:
    world.runtime()
    world.policy("alice", "p(x, x) :- q(x)", "p(x, y) :- q(x), q(y)", "r(1)", "s(x, x) :- q(x)")
    schema = world.call("schema")
    assert schema["alice:p"].names == ("x", "column1")
    assert schema["alice:r"].names == ("column0",)
    assert schema["alice:s"].names == ("x", "column1")
