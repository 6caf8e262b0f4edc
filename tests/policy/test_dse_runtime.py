# SPDX-License-Identifier: Apache-2.0
"""The runtime on a bus: tables in, tables out."""

import logging
import time

import pytest

from congress.datalog.diagnostics import PolicyError
from congress.datalog.limits import Limits
from congress.datalog.schema import TableSchema
from congress.db.crypt import Cipher
from congress.db.errors import Unavailable
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.services import ServiceRecord, ServiceStore
from congress.policy import errors
from congress.policy.dse_runtime import DseRuntime
from congress.policy.ledger_sink import LedgerSink
from tests.policy.world import World, wait_until

ERROR = "error(x) :- nova:servers(x, o), nova:ports(x, n), not nova:nets(n)"


def test_default_policies_are_there(world: World) -> None:
    world.runtime()
    assert {p["name"]: p["kind"] for p in world.call("list_policies")} == {
        "classification": "nonrecursive",
        "action": "action",
    }


def test_rows_of_services_become_rows_of_policies(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x"), ("b", "x")], ports=[("a", "n1"), ("b", "n2")], nets=[("n2",)])
    world.runtime()
    world.policy("alice", ERROR)
    world.expect("alice", "error", {("a",)})
    nova.change(nets=([("n1",)], [("n2",)]))
    world.expect("alice", "error", {("b",)})


def test_a_service_that_comes_later(world: World) -> None:
    world.runtime()
    made = world.policy("alice", ERROR)
    rule = made["rules"][0]["id"]
    assert world.call("rule_status", policy="alice", rule=rule)["state"] == "waiting"
    world.cloud().show(servers=[("a", "x")], ports=[("a", "n1")])
    world.expect("alice", "error", {("a",)})
    assert world.call("rule_status", policy="alice", rule=rule)["state"] == "active"


def test_a_schema_that_the_engine_refuses_stops_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = world.runtime()

    def refuse(service: str, tables: object) -> None:
        raise PolicyError([])

    monkeypatch.setattr(runtime.engine, "set_schema", refuse)
    world.cloud().show(servers=[("a", "x")])
    made = world.policy("alice", "p(x) :- nova:servers(x, o)", "q(1)")
    world.expect("alice", "q", {(1,)})
    assert world.call("rule_status", policy="alice", rule=made["rules"][0]["id"])["state"] == "waiting"


def test_only_tables_that_rules_read_are_subscribed(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    made = world.policy("alice", "p(x) :- nova:servers(x, o)", "q(x) :- nova:servers(x, o), nova:nets(x)")
    wait_until(lambda: set(nova.subscribed_tables()) == {"servers", "nets"})
    world.call("delete_rule", policy="alice", rule=made["rules"][1]["id"])
    wait_until(lambda: set(nova.subscribed_tables()) == {"servers"})
    world.call("create_rule", policy="alice", rule="q(x) :- nova:ports(x, n)")
    wait_until(lambda: set(nova.subscribed_tables()) == {"servers", "ports"})
    world.call("delete_policy", policy="alice")
    wait_until(lambda: not nova.subscribed_tables())


def test_a_table_that_is_read_again_is_whole_again(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x")])
    runtime = world.runtime()
    rule = "p(x) :- nova:servers(x, o)"
    world.policy("alice", rule)
    world.expect("alice", "p", {("a",)})
    world.call("update_policy", policy="alice", changes={"rules": []})
    assert not runtime.engine.rows("nova:servers")
    nova.show(servers=[("b", "x")])
    world.call("update_policy", policy="alice", changes={"rules": [{"rule": rule}]})
    world.expect("alice", "p", {("b",)})


def test_tables_of_one_publication_change_together(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x")], nets=[("a",)])
    world.runtime()
    # In between, either no net would have a server or no server a net.
    world.policy("alice", "lonely(x) :- nova:servers(x, o), not nova:nets(x)", "lonely(x) :- nova:nets(x), not s(x)")
    world.call("create_rule", policy="alice", rule="s(x) :- nova:servers(x, o)")
    world.settle(nova)
    watcher = world.watcher().subscribed("policy", "alice:lonely")
    for name in "bcdefgh":
        nova.show(servers=[(name, "x")], nets=[(name,)])
    world.settle(nova)
    nova.show(servers=[("end", "x")], nets=[])
    wait_until(lambda: watcher.rows("policy", "alice:lonely") == {("end",)})
    assert {row for update in watcher.updates for row in update.insertions} == {("end",)}


# Publication


def test_a_subscriber_gets_a_snapshot_and_then_just_the_changes(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x"), ("b", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",), ("b",)})
    watcher = world.watcher().subscribed("policy", "alice:p")
    assert watcher.rows("policy", "alice:p") == {("a",), ("b",)}
    nova.change(servers=([("c", "x")], [("a", "x")]))
    wait_until(lambda: len(watcher.updates) == 2)
    snapshot, delta = watcher.updates
    assert (snapshot.snapshot, sorted(snapshot.insertions)) == (True, [("a",), ("b",)])
    assert (delta.snapshot, delta.insertions, delta.retractions) == (False, [("c",)], [("a",)])


def test_a_change_that_leaves_a_table_as_it_was_publishes_nothing(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    watcher = world.watcher().subscribed("policy", "alice:p")
    nova.change(servers=([("a", "y")], []))  # a second reason for the same row
    nova.change(servers=([], [("a", "x")]))
    nova.change(servers=([("b", "x")], []))
    wait_until(lambda: len(watcher.updates) == 2)
    assert watcher.updates[1].insertions == [("b",)]


def test_changes_by_rules_are_published_too(world: World) -> None:
    world.runtime()
    world.policy("alice", "p(1)", "q(x) :- p(x)")
    watcher = world.watcher().subscribed("policy", "alice:q")
    rule = world.call("create_rule", policy="alice", rule="p(2)")
    wait_until(lambda: watcher.rows("policy", "alice:q") == {(1,), (2,)})
    world.call("delete_rule", policy="alice", rule=rule["id"])
    wait_until(lambda: watcher.rows("policy", "alice:q") == {(1,)})
    world.call("delete_policy", policy="alice")
    wait_until(lambda: watcher.rows("policy", "alice:q") == set())


def test_triggers_come_and_go_with_subscriptions(world: World) -> None:
    runtime = world.runtime()
    world.policy("alice", "p(1)", "q(x) :- p(x)")
    assert world.call("status")["tables"] == {}
    one, other = world.watcher("one"), world.watcher("other")
    one.subscribed("policy", "alice:p")
    other.subscribed("policy", "alice:p")
    assert world.call("status")["tables"]["alice:p"]["subscribers"] == ["one", "other"]
    one.unsubscribe("policy", "alice:p")
    wait_until(lambda: world.call("status")["tables"]["alice:p"]["subscribers"] == ["other"])
    world.remove("other")
    wait_until(lambda: world.call("status")["tables"] == {})
    before = runtime.sequence
    world.call("create_rule", policy="alice", rule="p(2)")
    assert runtime.sequence == before


def test_only_subscribed_tables_are_published(world: World) -> None:
    world.runtime()
    world.policy("alice", "p(1)", "q(x) :- p(x)", "r(x) :- q(x)")
    watcher = world.watcher().subscribed("policy", "alice:r")
    world.call("create_rule", policy="alice", rule="p(2)")
    wait_until(lambda: watcher.rows("policy", "alice:r") == {(1,), (2,)})
    assert {update.table for update in watcher.updates} == {"alice:r"}


def test_a_table_that_nothing_defines_yet_can_be_subscribed_to(world: World) -> None:
    world.runtime()
    watcher = world.watcher().subscribed("policy", "alice:p")
    world.policy("alice", "p(1)")
    wait_until(lambda: watcher.rows("policy", "alice:p") == {(1,)})


# Two runtimes


def test_two_runtimes_read_each_other(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x"), ("b", "y")])
    world.runtime("policy")
    world.runtime("policy2")
    world.policy("alice", 'mine(x) :- nova:servers(x, "x")', "final(x, z) :- policy2:bob:judged(x, z)")
    world.policy("bob", 'judged(x, "bad") :- policy:alice:mine(x)', runtime="policy2")
    world.expect("alice", "final", {("a", "bad")})
    nova.change(servers=([("c", "x")], [("a", "x")]))
    world.expect("alice", "final", {("c", "bad")})
    world.call("delete_policy", "policy2", policy="bob")
    world.expect("alice", "final", set())


def test_a_runtime_that_went_away_keeps_its_word_until_it_is_back(world: World) -> None:
    world.runtime("policy")
    world.runtime("policy2")
    world.policy("bob", "p(1)", "p(2)", "q(x) :- p(x)", runtime="policy2")
    world.policy("alice", "r(x) :- policy2:bob:q(x)")
    world.expect("alice", "r", {(1,), (2,)})
    watcher = world.watcher().subscribed("policy", "alice:r")
    world.remove("policy2")
    wait_until(lambda: not world.call("status")["services"]["policy2"]["present"])
    assert world.rows("alice", "r") == {(1,), (2,)}
    world.runtime("policy2")
    world.call("create_rule", "policy2", policy="bob", rule="p(3)")
    world.expect("alice", "r", {(1,), (2,), (3,)})
    wait_until(lambda: watcher.rows("policy", "alice:r") == {(1,), (2,), (3,)})
    assert not any(update.retractions for update in watcher.updates)


def test_a_rule_that_takes_its_own_runtime_for_a_service(world: World) -> None:
    world.runtime()
    world.policy("alice", "p(1)")
    with pytest.raises(errors.RuleInvalid, match="itself"):
        world.call("create_rule", policy="alice", rule="q(x) :- policy:alice:p(x)")


# Services that come and go


def test_a_restarted_service_that_has_not_looked_yet_takes_nothing_away(world: World) -> None:
    world.cloud().show(servers=[("a", "x"), ("b", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",), ("b",)})
    watcher = world.watcher().subscribed("policy", "alice:p")
    world.remove("nova")
    nova = world.cloud()
    wait_until(lambda: "servers" in nova.subscribed_tables())
    time.sleep(0.2)
    assert world.rows("alice", "p") == {("a",), ("b",)}
    nova.show(servers=[("b", "x"), ("c", "x")])
    world.expect("alice", "p", {("b",), ("c",)})
    wait_until(lambda: len(watcher.updates) == 2)
    assert (watcher.updates[1].insertions, watcher.updates[1].retractions) == ([("c",)], [("a",)])


def test_a_restarted_service_that_found_nothing_empties_its_tables(world: World) -> None:
    world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    world.remove("nova")
    nova = world.cloud()
    nova.show(servers=[])  # publishes nothing: it is a change from nothing to nothing
    world.expect("alice", "p", set())


def test_columns_may_change_with_a_restart(world: World) -> None:
    world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(id=x)", "q(o) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    world.remove("nova")
    nova = world.cloud()
    nova._schemas = {**nova._schemas, "servers": TableSchema.of("id", "zone", "owner")}
    nova.show(servers=[("a", "z1", "x")])
    world.expect("alice", "q", {("z1",)})
    world.expect("alice", "p", {("a",)})


def test_columns_may_change_without_a_restart(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(id=x)")
    world.expect("alice", "p", {("a",)})

    def redefine() -> None:
        nova._schemas = {**nova._schemas, "servers": TableSchema.of("id", "zone", "owner")}
        nova.replace_rows({"servers": [("b", "z1", "x")]})

    nova.do(redefine)
    world.expect("alice", "p", {("b",)})


def test_a_deleted_service_takes_its_rows_along(world: World) -> None:
    store = ServiceStore(world.database(), Cipher(["A" * 43 + "="]))
    record = ServiceRecord("nova", "cloud")
    store.create(record)
    world.cloud().show(servers=[("a", "x")])
    world.runtime()
    made = world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    world.remove("nova")
    store.delete(record.id)  # after it went: as late as can be
    world.expect("alice", "p", set())
    assert world.call("rule_status", policy="alice", rule=made["rules"][0]["id"])["state"] == "waiting"
    store.create(ServiceRecord("nova", "cloud"))
    world.cloud().show(servers=[("b", "x")])
    world.expect("alice", "p", {("b",)})


# Time


def test_rules_over_the_time_come_true_by_themselves(world: World) -> None:
    clock = [1_700_000_000.0 - time.monotonic()]
    runtime = world.runtime(now=lambda: clock[0] + time.monotonic())
    world.cloud().show(servers=[("a", "2023-11-14T22:13:20Z"), ("b", "2023-11-14T23:13:20Z")])
    world.policy("alice", 'old(x) :- nova:servers(x, c), age(c) > "1s"')
    watcher = world.watcher().subscribed("policy", "alice:old")
    wait_until(lambda: watcher.rows("policy", "alice:old") == {("a",)})
    assert runtime.engine.next_wake is not None
    clock[0] += 3601
    runtime.submit(runtime._ring)
    wait_until(lambda: watcher.rows("policy", "alice:old") == {("a",), ("b",)})
    assert runtime.engine.next_wake is None


# The database


def test_a_database_that_is_away_at_the_start_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.runtime()
    world.policy("alice", "p(1)")
    world.remove("policy")
    away = True
    read = PolicyStore.all

    def maybe(self: PolicyStore) -> list[PolicyRecord]:
        if away:
            raise Unavailable("away")
        return read(self)

    monkeypatch.setattr(PolicyStore, "all", maybe)
    runtime = DseRuntime(world.database(), sink=LedgerSink(world.ledgers["executions"]))
    world.bus.add(runtime)
    with pytest.raises(errors.StorageFailed):
        world.policy("bob")
    assert runtime.state == "starting"
    away = False
    wait_until(lambda: runtime.state == "running")
    assert world.rows("alice", "p") == {(1,)}


def test_a_failed_change_lets_nobody_hear_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nova = world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    watcher = world.watcher().subscribed("policy", "alice:p")
    with monkeypatch.context() as broken:
        broken.setattr(world.database(), "run", lambda *arguments: (_ for _ in ()).throw(Unavailable("full")))
        with pytest.raises(errors.StorageFailed):
            world.call("create_rule", policy="alice", rule='p("b")')
        with pytest.raises(errors.StorageFailed):
            world.call("create_rule", policy="alice", rule='execute[nova:pause("b")] :- true')
        with pytest.raises(errors.StorageFailed):
            world.call("delete_policy", policy="alice")
    world.call("create_rule", policy="alice", rule='p("c")')
    wait_until(lambda: watcher.rows("policy", "alice:p") == {("a",), ("c",)})
    assert {row for update in watcher.updates for row in update.insertions} == {("a",), ("c",)}
    assert not any(update.retractions for update in watcher.updates)
    assert nova.done == []


def test_a_rule_that_explodes_is_switched_off_and_the_operator_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    nova = world.cloud().show(servers=[(f"s{n}", "x") for n in range(20)], ports=[(f"p{n}", "n") for n in range(20)])
    world.runtime(limits=Limits(rows=100))
    with caplog.at_level(logging.WARNING):
        made = world.policy(
            "alice", "pair(x, y) :- nova:servers(x, o), nova:ports(y, n)", "own(x) :- nova:servers(x, o)"
        )
        world.expect("alice", "own", {(f"s{n}",) for n in range(20)})
        nova.change(servers=([("s20", "x")], []))
        world.expect("alice", "own", {(f"s{n}",) for n in range(21)})
    status = world.call("rule_status", policy="alice", rule=made["rules"][0]["id"])
    assert (status["state"], status["diagnostics"][0]["code"]) == ("off", "E001")
    assert caplog.text.count("policy.rule_switched_off") == 1
    assert "pair(x, y)" in caplog.text


def test_a_table_that_a_service_has_not_is_told_once_and_keeps_nobody_waiting(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("congress.policy.sources._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("congress.policy.sources._LONGEST_PAUSE", 0.01)
    cloud = world.cloud().show(servers=[("a", "x")])
    world.runtime()
    world.policy("alice", "q(x) :- nova:misspelt(x)", "p(x) :- nova:servers(x, o)")
    world.expect("alice", "p", {("a",)})
    for number in range(10):
        cloud.change(servers=([(f"b{number}", "x")], []))
        time.sleep(0.15)
    world.expect("alice", "p", {("a",), *((f"b{number}",) for number in range(10))})
    assert "rows_do_not_fit" not in caplog.text
