# SPDX-License-Identifier: Apache-2.0
"""Actions: by users through ``DseRuntime.execute``, and by rules that come true."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from congress.bus.errors import NotFound
from congress.datalog.values import FALSE, TRUE, Value
from congress.executions.errors import ExecutionNotFound
from congress.executions.model import Call
from congress.executions.states import State
from congress.policy import errors
from congress.policy.dse_runtime import DseRuntime
from tests.policy.world import Cloud, World, wait_until

DETACH = "execute[nova:detach(s, n)] :- nova:ports(s, n), not nova:nets(n)"


def outcome(world: World, execution: str) -> dict[str, Any]:
    """An execution, when it is over."""

    def finished() -> dict[str, Any] | None:
        found: dict[str, Any] = world.call("get_execution", "executions", execution=execution)
        return found if State(found["state"]).terminal else None

    found: dict[str, Any] = wait_until(finished)
    return found


# By users


def test_execute_invokes_the_execution_driver_of_the_service(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    nova, other = world.cloud(), world.cloud("neutron")
    runtime = world.runtime()
    seen: list[tuple[str, Sequence[Value], Mapping[str, Value] | None, str]] = []
    execute = Cloud.execute

    def spy(self: Cloud, name: str, positional: Any = (), named: Any = None, execution_id: str | None = None) -> object:
        seen.append((name, positional, named, threading.current_thread().name))
        return execute(self, name, positional, named, execution_id)

    monkeypatch.setattr(nova, "execute", spy.__get__(nova))
    done = threading.Event()
    ids: list[str] = []

    def call() -> None:
        ids.append(runtime.execute("nova:pause", ["vm1"], {"reason": "because"}))
        done.set()

    runtime.submit(call)
    assert done.wait(5)
    assert outcome(world, ids[0])["state"] == "succeeded"
    assert seen == [("pause", ["vm1"], {"reason": "because"}, "service nova")]
    assert (nova.done, other.done) == ([("pause", ("vm1", "because"))], [])


def test_execute_answers_before_the_action_is_done(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    world.call("execute", name="nova:pause", positional=["x"])  # its actions are known now
    nova.hold.clear()
    execution = world.call("execute", name="nova:detach", positional=["vm", "net"])
    assert world.call("get_execution", "executions", execution=execution)["state"] in ("queued", "running")
    nova.hold.set()
    assert outcome(world, execution)["finished_at"] is not None
    assert nova.done[-1] == ("detach", ("vm", "net"))


@pytest.mark.parametrize(
    ("name", "positional", "named", "error"),
    [
        ("nowhere:pause", ["vm"], {}, errors.ServiceNotFound),
        ("nova:explode", ["vm"], {}, errors.ActionNotFound),
        ("nova:configure", [], {}, errors.ActionNotFound),  # a method, and no action
        ("policy:pause", ["vm"], {}, errors.ActionNotFound),
        ("watcher:pause", ["vm"], {}, errors.ActionNotFound),  # it takes no actions at all
        ("pause", ["vm"], {}, errors.ActionNameInvalid),
        ("nova:", ["vm"], {}, errors.ActionNameInvalid),
        (":pause", ["vm"], {}, errors.ActionNameInvalid),
        ("nova:pause", [], {}, errors.ActionArgumentsInvalid),
        ("nova:pause", ["vm", "why", "more"], {}, errors.ActionArgumentsInvalid),
        ("nova:pause", ["vm"], {"server": "vm"}, errors.ActionArgumentsInvalid),
        ("nova:pause", ["vm"], {"unknown": "vm"}, errors.ActionArgumentsInvalid),
        ("nova:pause", [None], {}, errors.ActionArgumentsInvalid),
        ("nova:pause", [TRUE], {}, errors.ActionArgumentsInvalid),
    ],
)
def test_what_is_known_to_be_wrong_is_refused_at_once(
    world: World, name: str, positional: list[Value], named: dict[str, Value], error: type[Exception]
) -> None:
    nova = world.cloud()
    world.watcher()
    world.runtime()
    with pytest.raises(error):
        world.call("execute", name=name, positional=positional, named=named)
    assert (nova.done, world.call("list_executions", "executions")) == ([], [])


def test_a_service_that_is_not_there_is_the_buss_not_found(world: World) -> None:
    world.runtime()
    with pytest.raises(NotFound):
        world.call("execute", name="nova:pause", positional=["vm"])


def test_execute_as_a_policy(world: World) -> None:
    world.cloud()
    world.runtime()
    world.policy("alice")
    execution = world.call("execute", name="nova:pause", positional=["vm"], policy="alice")
    assert outcome(world, execution)["policy"] == "alice"
    with pytest.raises(errors.PolicyNotFound):
        world.call("execute", name="nova:pause", positional=["vm"], policy="nobody")


def test_what_became_of_executions_is_remembered(world: World) -> None:
    world.cloud()
    world.runtime()
    good = world.call("execute", name="nova:pause", positional=["vm"], named={"reason": "r"})
    bad = world.call("execute", name="nova:stop", positional=["vm"])
    shown = outcome(world, good)
    assert (shown["state"], shown["result"], shown["error"]) == ("succeeded", "paused", None)
    assert shown["args"] == {"positional": ["vm"], "named": {"reason": "r"}}
    assert (outcome(world, bad)["state"], outcome(world, bad)["error"]) == ("failed", "RuntimeError: no such server")
    assert [e["id"] for e in world.call("list_executions", "executions")] == [bad, good]
    with pytest.raises(ExecutionNotFound):
        world.call("get_execution", "executions", execution="none")


def test_a_busy_service_does_not_keep_the_engine_waiting(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    nova.hold.clear()
    nova.submit(nova.hold.wait, 5)
    before = time.monotonic()
    execution = world.call("execute", name="nova:pause", positional=["vm"])
    assert time.monotonic() - before < 4
    nova.hold.set()
    assert outcome(world, execution)["state"] == "succeeded"


# By rules


def test_a_row_that_becomes_true_is_executed(world: World) -> None:
    nova = world.cloud().show(ports=[("a", "n1")], nets=[("n1",)])
    world.runtime()
    world.policy("alice", DETACH)
    world.settle(nova)
    assert nova.done == []
    nova.change(ports=([("b", "n2")], []))
    wait_until(lambda: nova.done)
    assert nova.done == [("detach", ("b", "n2"))]
    (shown,) = world.call("list_executions", "executions")
    assert (shown["policy"], shown["table"], shown["row"]) == ("alice", "alice:execute[nova:detach]/2", ["b", "n2"])


def test_rows_that_a_new_rule_makes_true_are_executed(world: World) -> None:
    nova = world.cloud().show(ports=[("a", "n1"), ("b", "n2")], nets=[("n1",)])
    world.runtime()
    world.policy("alice", DETACH)
    wait_until(lambda: nova.done)
    assert nova.done == [("detach", ("b", "n2"))]


def test_each_row_runs_its_own_action_with_its_own_arguments(world: World) -> None:
    """Congress ran the last of several new actions for all of them."""
    clouds = [world.cloud(name) for name in ("s1", "s2", "s3")]
    world.runtime()
    world.policy(
        "alice",
        'execute[s1:pause("one")] :- true',
        'execute[s2:pause("two", reason="why")] :- true',
        'execute[s3:detach("three", net="n")] :- true',
        'execute[s1:pause("four", reason=r)] :- q(r)',
        'q("x")',
        'q("y")',
    )
    wait_until(lambda: sum(len(cloud.done) for cloud in clouds) == 5)
    assert sorted(clouds[0].done) == [("pause", ("four", "x")), ("pause", ("four", "y")), ("pause", ("one", ""))]
    assert clouds[1].done == [("pause", ("two", "why"))]
    assert clouds[2].done == [("detach", ("three", "n"))]


def test_a_second_reason_does_not_execute_again(world: World) -> None:
    nova = world.cloud()
    world.runtime()
    world.policy("alice", 'p("a")', "execute[nova:pause(x)] :- p(x)")
    wait_until(lambda: nova.done)
    world.call("create_rule", policy="alice", rule="execute[nova:pause(x)] :- q(x)")
    world.call("create_rule", policy="alice", rule='q("a")')
    world.call("create_rule", policy="alice", rule='q("b")')
    wait_until(lambda: len(nova.done) == 2)
    assert nova.done == [("pause", ("a", "")), ("pause", ("b", ""))]


def test_a_row_that_becomes_true_again_is_executed_again(world: World) -> None:
    nova = world.cloud().show(servers=[], ports=[], nets=[])
    world.runtime()
    world.policy("alice", "execute[nova:pause(x)] :- nova:nets(x)")
    for _ in range(2):
        done = len(nova.done)
        nova.change(nets=([("a",)], []))
        wait_until(lambda before=done: len(nova.done) > before)
        nova.change(nets=([], [("a",)]))
    wait_until(lambda: len(nova.done) == 2)


def test_a_rule_that_comes_back_does_not_execute_again(world: World) -> None:
    nova = world.cloud().show(servers=[], ports=[], nets=[("a",)])
    world.runtime()
    rule = "execute[nova:pause(x)] :- nova:nets(x)"
    world.policy("alice", rule)
    wait_until(lambda: len(nova.done) == 1)
    for _ in range(2):
        (present,) = world.call("list_rules", policy="alice")
        world.call("delete_rule", policy="alice", rule=present["id"])
        world.call("create_rule", policy="alice", rule=rule)
        world.settle(nova)
    nova.change(nets=([("b",)], []))
    wait_until(lambda: len(nova.done) == 2)
    assert nova.done == [("pause", ("a", "")), ("pause", ("b", ""))]


def test_a_row_that_went_while_its_rule_was_gone_is_a_new_one(world: World) -> None:
    nova = world.cloud().show(servers=[], ports=[], nets=[("a",)])
    world.runtime()
    rule = "execute[nova:pause(x)] :- nova:nets(x)"
    world.policy("alice", rule)
    wait_until(lambda: len(nova.done) == 1)
    (present,) = world.call("list_rules", policy="alice")
    world.call("delete_rule", policy="alice", rule=present["id"])
    nova.change(nets=([], [("a",)]))
    world.call("create_rule", policy="alice", rule=rule)
    world.settle(nova)
    time.sleep(0.1)
    nova.change(nets=([("a",)], []))
    wait_until(lambda: len(nova.done) == 2)


def test_nothing_is_done_on_the_strength_of_rows_that_have_not_come(world: World) -> None:
    """``not other:nets(n)`` holds for everything while ``other`` has not told its nets."""
    nova = world.cloud().show(ports=[("a", "n1"), ("b", "n2")])
    other = world.cloud("other")
    world.runtime()
    world.policy("alice", "execute[nova:detach(s, n)] :- nova:ports(s, n), not other:nets(n)")
    wait_until(lambda: world.call("status")["actions_waiting"] == {"alice:execute[nova:detach]/2": 2})
    nova.change(ports=([("c", "n2")], [("b", "n2")]))
    time.sleep(0.3)
    assert nova.done == []
    other.show(nets=[("n1",)])
    wait_until(lambda: nova.done)
    assert nova.done == [("detach", ("c", "n2"))]
    assert world.call("status")["actions_waiting"] == {}


def test_an_empty_table_that_was_looked_at_is_an_answer(world: World) -> None:
    nova = world.cloud().show(ports=[("a", "n1")])
    other = world.cloud("other")
    world.runtime()
    world.policy("alice", "execute[nova:detach(s, n)] :- nova:ports(s, n), not other:nets(n)")
    wait_until(lambda: world.call("status")["actions_waiting"])
    other.show(nets=[])  # publishes nothing
    wait_until(lambda: nova.done == [("detach", ("a", "n1"))])


def test_a_restarted_service_causes_no_action_twice(world: World) -> None:
    nova = world.cloud().show(ports=[("a", "n1")])
    other = world.cloud("other").show(nets=[("n2",)])
    world.runtime()
    world.policy("alice", "execute[other:detach(s, n)] :- nova:ports(s, n), not other:nets(n)")
    wait_until(lambda: other.done)
    world.remove("nova")
    nova = world.cloud()
    wait_until(lambda: "ports" in nova.subscribed_tables())
    time.sleep(0.2)
    nova.show(ports=[("a", "n1"), ("b", "n1")])
    wait_until(lambda: len(other.done) == 2)
    assert other.done == [("detach", ("a", "n1")), ("detach", ("b", "n1"))]


@pytest.mark.parametrize("first", ["runtime", "cloud"])
def test_what_was_true_before_the_start_is_not_executed(world: World, first: str) -> None:
    nova = world.cloud().show(ports=[("a", "n1")], nets=[("n1",)])
    world.runtime()
    world.policy("alice", DETACH, 'execute[nova:pause("fact")] :- true')
    nova.change(ports=([("b", "n2")], []))
    wait_until(lambda: len(nova.done) == 2)
    world.remove("policy")
    if first == "runtime":
        world.remove("nova")
        world.runtime()
        nova = world.cloud()
    else:
        nova.done.clear()
        world.runtime()
    nova.show(ports=[("a", "n1"), ("b", "n2")], nets=[("n1",)])
    world.settle(nova)
    nova.change(ports=([("c", "n2")], []))
    wait_until(lambda: ("detach", ("c", "n2")) in nova.done)
    time.sleep(0.1)
    assert nova.done == [("detach", ("c", "n2"))]


def test_what_became_true_while_nobody_watched_is_executed(world: World) -> None:
    nova = world.cloud().show(ports=[("a", "n1")], nets=[])
    world.runtime()
    world.policy("alice", DETACH)
    wait_until(lambda: len(nova.done) == 1)
    world.remove("policy")
    nova.change(ports=([("b", "n2")], [("a", "n1")]))
    world.runtime()
    wait_until(lambda: len(nova.done) == 2)
    nova.change(ports=([("a", "n1")], []))  # it stopped being true meanwhile
    wait_until(lambda: len(nova.done) == 3)
    assert nova.done == [("detach", ("a", "n1")), ("detach", ("b", "n2")), ("detach", ("a", "n1"))]


def test_a_waiting_rule_holds_up_no_other(world: World) -> None:
    """At the start, one stored rule's service is gone for good; the other rule of the same action works on."""
    nova = world.cloud().show(ports=[("a", "n1")], nets=[])
    world.runtime()
    world.policy("alice", "execute[nova:pause(s)] :- nova:ports(s, n)", "execute[nova:pause(s)] :- gone:table(s)")
    wait_until(lambda: nova.done)
    world.remove("policy")
    world.runtime()
    world.settle(nova)
    nova.change(ports=([("b", "n1")], []))
    wait_until(lambda: len(nova.done) == 2)
    assert nova.done == [("pause", ("a", "")), ("pause", ("b", ""))]


def test_rows_over_other_tables_are_known_again_after_a_start(world: World) -> None:
    """The rule in between waits for the service as long as that is away; its table is not empty for that."""
    nova, hands = world.cloud().show(ports=[("a", "n1")], nets=[]), world.cloud("hands")
    world.runtime()
    world.policy("alice", "error(s, n) :- nova:ports(s, n)", "execute[hands:detach(s, n)] :- error(s, n)")
    wait_until(lambda: hands.done)
    world.remove("policy")
    world.remove("nova")
    world.runtime()
    time.sleep(0.2)
    [known] = world.call("list_executions", "executions")
    assert known["trigger"] == "live"
    nova = world.cloud().show(ports=[("a", "n1")], nets=[])
    world.settle(nova)
    nova.change(ports=([("c", "n1")], []))
    wait_until(lambda: ("detach", ("c", "n1")) in hands.done)
    assert hands.done == [("detach", ("a", "n1")), ("detach", ("c", "n1"))]


@pytest.mark.parametrize(
    "rules",
    [
        ("execute[nova:detach(s, n)] :- nova:ports(s, n), not fine(n)", "fine(n) :- other:nets(n)"),
        (
            "execute[nova:detach(s, n)] :- nova:ports(s, n), few(n)",
            "few(n) :- nova:ports(s, n), number(n, c), c < 1",
            "number(n, count(m)) :- nova:ports(s, n), fine(m)",
            "number(n, 0) :- nova:ports(s, n), not fine(n)",
            "fine(n) :- other:nets(n)",
        ),
    ],
)
def test_a_table_whose_rule_waits_is_not_taken_for_empty(world: World, rules: tuple[str, ...]) -> None:
    nova = world.cloud().show(ports=[("a", "n1"), ("b", "n2")])
    world.runtime()
    world.policy("alice", *rules)
    wait_until(lambda: world.call("status")["actions_waiting"] == {"alice:execute[nova:detach]/2": 2})
    assert nova.done == []
    world.cloud("other").show(nets=[("n1",)])
    wait_until(lambda: nova.done)
    assert nova.done == [("detach", ("b", "n2"))]


def test_an_action_whose_service_is_not_there_is_tried_again(world: World) -> None:
    world.runtime()
    world.policy("alice", 'execute[gone:pause("a")] :- true', 'execute[alice:pause("b")] :- true')

    def tried() -> bool:
        shown = {e["service"]: e for e in world.call("list_executions", "executions")}
        assert {e["state"] for e in shown.values()} <= {"queued", "running"}
        return shown.keys() == {"gone", "alice"} and all(e["attempts"] > 1 for e in shown.values())

    wait_until(tried)
    assert all(e["service"] in e["error"] for e in world.call("list_executions", "executions"))


class Sink:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, list[Any], str]] = []
        self.calls: list[Call] = []

    def began(self, tables: Any) -> None:
        self.heard.append(("began", sorted(tables), ""))

    def appeared(self, wanted: Any, cause: Any) -> None:
        self.calls += [call for call, _ in wanted]
        self.heard.append(("appeared", sorted(origin.row[0] for _, origin in wanted), cause.kind))

    def vanished(self, places: Any, cause: Any) -> None:
        self.heard.append(("vanished", sorted(row[0] for _, row in places), cause.kind))

    def present(self, table: str, rows: Any) -> None:
        self.heard.append(("present", sorted(row[0] for row in rows), ""))

    def forget(self, policy: str) -> None:
        self.heard.append(("forget", [policy], ""))

    def requested(self, call: Any, origin: Any) -> str:
        self.calls.append(call)
        return "id"


def test_arguments_keep_their_kinds(world: World) -> None:
    sink = Sink()
    world.runtime(sink=sink)
    world.policy("alice", 'execute[nova:do(1, 1.5, "1", true, null, z=false, a=2)] :- true')
    assert [(c.positional, c.named) for c in sink.calls] == [((1, 1.5, "1", TRUE, None), {"a": 2, "z": FALSE})]


def test_the_sink_hears_of_everything(world: World) -> None:
    sink, second = Sink(), Sink()
    nova = world.cloud().show(ports=[("a", "n1")])
    world.runtime(sink=sink)
    world.policy("alice", "execute[nova:pause(s)] :- nova:ports(s, n)")
    wait_until(lambda: len(sink.heard) == 2)
    nova.change(ports=([("b", "n")], [("a", "n1")]))
    wait_until(lambda: len(sink.heard) == 4)
    world.remove("policy")
    world.runtime(sink=second)
    wait_until(lambda: len(second.heard) == 3)
    world.call("delete_policy", policy="alice")
    assert sink.heard == [
        ("began", [], ""),
        ("appeared", ["a"], "rows"),
        ("vanished", ["a"], "rows"),
        ("appeared", ["b"], "rows"),
    ]
    assert second.heard == [
        ("began", ["alice:execute[nova:pause]/1"], ""),
        ("appeared", ["b"], "start"),
        ("present", ["b"], ""),
        ("vanished", ["b"], "rules"),
        ("forget", ["alice"], ""),
    ]


def test_a_deleted_policy_takes_its_guard_along(world: World) -> None:
    world.runtime()
    world.policy("alice")
    world.call("put_guard", "executions", kind="policy", name="alice", settings={"max_rows": None})
    world.call("delete_policy", policy="alice")
    wait_until(lambda: not world.call("list_guards", "executions"))
    world.policy("alice")
    shown = world.call("get_guard", "executions", kind="policy", name="alice")
    assert (shown["own"], shown["settings"]["max_rows"]) == ({}, 20)


def test_a_rule_over_the_time_acts_on_time(world: World) -> None:
    nova = world.cloud().show(servers=[("a", "2020-01-01T00:00:00Z")])
    clock = [1577836800.0 - time.monotonic()]
    runtime: DseRuntime = world.runtime(now=lambda: clock[0] + time.monotonic())
    world.policy("alice", 'execute[nova:pause(x)] :- nova:servers(x, c), age(c) > "1h"')
    world.settle(nova)
    assert nova.done == []
    clock[0] += 3600
    runtime.submit(runtime._ring)
    wait_until(lambda: nova.done)
