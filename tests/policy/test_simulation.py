# SPDX-License-Identifier: Apache-2.0
"""What would be: simulations and previews through the runtime, and that nothing of them stays."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congress.datalog.limits import Limits
from congress.policy import errors
from congress.policy.dse_runtime import DseRuntime
from tests.policy.world import Cloud, Watcher, World, wait_until

STOCK = (
    "bare(s) :- nova:servers(id=s), not nova:ports(server=s)",
    'item("nut", 9)',
    'item("bolt", 2)',
    "watched(x) :- item(x, n), other:watch(x)",
    'both("theirs")',
)
EXECUTES = (
    'execute[nova:pause(x, reason="low")] :- low(x)',
    'execute[nova:stop(s)] :- nova:servers(s), not low("bolt")',
)
ACTIONS = (
    'action("sell")', "item-(x, n) :- sell(x), item(x, n)", "item+(x, m) :- sell(x), item(x, n), m = n - 5",
    'action("recount")', "item-(x, n) :- recount(x, m), item(x, n)", "item+(x, m) :- recount(x, m)",
    'action("stock_up")', "item+(x, n) :- stock_up(x), size(n)",
    'action("tag")', 'tagged+(x, v) :- tag(x), options:value("colour", v)',
    'action("count_all")', "result(x) :- count_all(), item(x, n)",
    'action("note")', "tagged+(x, y) :- note(y), result(x)",
    'action("plug")', 'nova:ports+(s, "new") :- plug(s), nova:servers(id=s)',
    'action("refill")', "item-(x, n) :- refill(), low(x), item(x, n)", "item+(x, 100) :- refill(), low(x)",
    'action("mark")', 'both("both")', "tagged+(x, y) :- mark(y), both(x)",
    'action("create")', "machine+(id, n) :- create(n)", "disk+(id, n) :- create(n)", "result(id) :- create(n)",
)  # fmt: skip
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted((Path(__file__).parent / "cases" / "simulation").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Shop:
    """A world with a shop in it, which nothing in this module changes."""

    world: World
    runtime: DseRuntime
    cloud: Cloud

    def state(self) -> tuple[Any, ...]:
        """Everything that could show that something was done."""
        engine = self.runtime.engine
        return (
            engine.dump(),
            {rule.id: (rule, engine.status(rule.id)) for rule in engine.rules()},
            {info.key: info for info in engine.tables()},
            engine.policies(),
            engine.wanted(),
            engine.now,
            engine.next_wake,
            self.world.call("list_policies"),
            list(self.cloud.done),
            self.cloud.sequence,
        )

    def simulate(self, policy: str = "stock", **asked: Any) -> Any:
        """What is answered, or the error; nothing has changed by it."""
        before = self.state()
        try:
            return self.world.call("simulate", policy=policy, **asked)
        except errors.PolicyRuntimeError as error:
            return error
        finally:
            assert self.state() == before


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    made = World("shop")
    cloud = made.cloud().show(servers=[("a", "x"), ("b", "y")], ports=[("a", "n1")], nets=[("z",)])
    runtime = made.runtime(now=lambda: 1_800_000_000.0)
    made.policy("other")
    made.policy("stock", *STOCK)
    made.call("create_rule", policy="stock", rule="low(x) :- item(x, n), n < 5", name="the low ones")
    for rule in EXECUTES:
        made.call("create_rule", policy="stock", rule=rule)
    for rule in ACTIONS:
        made.call("create_rule", policy="action", rule=rule)
    made.policy("paints", 'action("paint")', 'tagged+(x, "red") :- paint(x)', kind="action")
    made.settle(cloud)
    wait_until(lambda: cloud.done)
    yield Shop(made, runtime, cloud)
    made.close()


@pytest.mark.parametrize("case", CASES)
def test_case(shop: Shop, case: dict[str, Any]) -> None:
    asked = {"action_policy": "action"} | case["ask"] if "sequence" in case["ask"] else case["ask"]
    answer = shop.simulate(case.get("policy", "stock"), **asked)
    if "refused" in case:
        code, *words = case["refused"]
        assert isinstance(answer, errors.PolicyRuntimeError), answer
        assert (answer.code, answer.status) == (code, 400)
        assert [word for word in words if word not in str(answer)] == []
        return
    assert not isinstance(answer, errors.PolicyRuntimeError), answer
    assert answer.get("unsettled", []) == []
    if "result" in case:
        assert answer.keys() == {"result", "actions"}
        assert [UUID.sub("ID", literal) for literal in answer["result"]] == case["result"]
    if "changes" in case:
        assert "result" not in answer
        assert answer["changes"] == case["changes"]
    for key in ("rows", "insertions", "retractions"):
        if key in case:
            assert sorted(answer[key], key=repr) == sorted(case[key], key=repr)


# Actions that would fire


def test_the_actions_that_would_fire_in_order_and_whether_they_are_still_asked_for(shop: Shop) -> None:
    sequence = 'item+("nut", 1) item-("bolt", 2) item-("nut", 1)'
    answer = shop.simulate(query="low(x)", sequence=sequence, action_policy="action", delta=True)
    assert [(a["step"], a["name"], a["args"], a["stays"]) for a in answer["actions"]] == [
        (1, "nova:pause", {"positional": ["nut"], "named": {"reason": "low"}}, False),
        (2, "nova:stop", {"positional": ["a"], "named": {}}, True),
        (2, "nova:stop", {"positional": ["b"], "named": {}}, True),
    ]
    assert {action["policy"] for action in answer["actions"]} == {"stock"}
    assert answer["result"] == ['low-("bolt")']


def test_a_rule_that_executes_may_be_tried_with_the_form_without_quotes(shop: Shop) -> None:
    answer = shop.simulate(steps=[{"add_rule": "execute[nova:detach(s, n)] :- nova:ports(s, n)"}])
    assert [(a["name"], a["args"]["positional"]) for a in answer["actions"]] == [("nova:detach", ["a", "n1"])]


# Traces


def test_a_trace_tells_what_each_step_changed(shop: Shop) -> None:
    sequence = 'sell("nut") low+(x) :- item(x, n), n > 50 nova:nets-("nobody") sell(x) :- item(x, 77)'
    answer = shop.simulate(query="low(x)", sequence=sequence, action_policy="action", trace=True)
    assert (
        answer["trace"]
        == """\
simulation on policy stock, actions as policy action describes them
1. sell("nut")
    + execute[nova:pause]/1,reason("nut", "low")
    + item("nut", 4)
    - item("nut", 9)
    + low("nut")
2. low+(x) :- item(x, n), n > 50
    nothing changes
3. nova:nets-("nobody")
    nothing changes
4. sell(x) :- item(x, 77)
    no answer to its body, so nothing is done
answers: 2"""
    )
    answer = shop.simulate(steps=[{"insert": {"big": [[n] for n in range(50)]}}], trace=True)
    assert answer["trace"].endswith("    + big: 30 more rows")
    answer = shop.simulate(query="low(x)", steps=[{"insert": {"item": [["x", 1]]}}], trace=True, delta=True)
    assert answer["trace"].endswith("answers: 1 more, 0 fewer")


def test_many_rows_are_counted_and_not_all_shown(shop: Shop) -> None:
    changes = shop.simulate(steps=[{"insert": {"big": [[n] for n in range(1500)]}}])["changes"]["stock:big"]
    assert (len(changes["insertions"]), changes["inserted"]) == (1000, 1500)


# Isolation


def test_nobody_sees_a_simulation(shop: Shop) -> None:
    """Subscribers get nothing of it, whoever reads at the same time sees the world as it is."""
    watcher = Watcher("bystander")
    shop.world.bus.add(watcher)
    watcher.subscribed("policy", "stock:low").subscribed("policy", "stock:bare")
    known = len(watcher.updates)
    stop = threading.Event()
    seen: set[frozenset[Any]] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(frozenset(shop.world.rows("stock", "low")))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(20):
            shop.world.call(
                "simulate", policy="stock", query="low(x)", sequence='item+("nut", 1) sell("bolt") create(1)',
                action_policy="action",
            )  # fmt: skip
            with pytest.raises(errors.SimulationInvalid):
                shop.world.call(
                    "simulate", policy="stock", query="low(x)", sequence='item+("nut", 1) gone:x+(1)',
                    action_policy="action",
                )  # fmt: skip
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert seen == {frozenset({("bolt",)})}
    assert len(watcher.updates) == known
    shop.world.bus.remove("bystander")


def test_built_ins_without_an_answer_do_not_stay_on_the_rules(shop: Shop) -> None:
    answer = shop.simulate(steps=[{"insert": {"item": [["odd", "many"]]}}])
    assert answer["changes"]["stock:item"]["inserted"] == 1


VALUES = st.sampled_from(['"nut"', '"bolt"', "1", "4", "9", "x", "n", "null", "true"])
LITERALS = st.builds(
    "{}({})".format,
    st.sampled_from(
        ["item", "low", "tagged", "bare", "size", "nova:servers", "nova:nets", "other:watch", "gone:t", "result"]
    ),
    st.lists(VALUES, max_size=3).map(", ".join),
)
UPDATES = st.builds(lambda literal, sign: literal.replace("(", f"{sign}("), LITERALS, st.sampled_from("+-"))
CALLS = st.builds(
    "{}({})".format,
    st.sampled_from(["sell", "recount", "stock_up", "tag", "count_all", "note", "plug", "refill", "mark", "create"]),
    st.lists(VALUES, max_size=2).map(", ".join),
)
BODIES = st.lists(st.one_of(LITERALS, LITERALS.map("not {}".format)), min_size=1, max_size=3).map(", ".join)
HEADS = st.one_of(UPDATES, CALLS, st.builds("{}, {}".format, CALLS, LITERALS), LITERALS)
STATEMENTS = st.one_of(UPDATES, CALLS, HEADS, st.builds("{} :- {}".format, HEADS, BODIES))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sequence=st.lists(STATEMENTS, max_size=5).map("\n".join),
    query=st.one_of(LITERALS, st.builds("q(x) :- {}".format, BODIES), st.sampled_from(["low(x)", "item(x, n)"])),
    delta=st.booleans(),
    trace=st.booleans(),
)
def test_whatever_is_simulated_leaves_nothing_behind(
    shop: Shop, sequence: str, query: str, delta: bool, trace: bool
) -> None:
    shop.simulate(query=query, sequence=sequence, action_policy="action", delta=delta, trace=trace)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["nut", "item", "low(x)", "x y", "a:b"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["insert", "delete", "action", "add_rule", "name", "args", "item", "nova:nets", "id"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(JSON, max_size=4), query=st.one_of(JSON, st.just("low(x)")))
def test_whatever_json_is_simulated_is_answered_or_refused(shop: Shop, steps: list[Any], query: Any) -> None:
    shop.simulate(query=query, steps=steps)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    updates=st.lists(
        st.tuples(st.sampled_from("+-"), st.sampled_from(["nut", "bolt", "nail"]), st.integers(0, 10)), max_size=6
    ),
    query=st.sampled_from(["low(x)", "item(x, 2)", "item(x, n)", "pair(x, y) :- low(x), item(y, n), n > 4"]),
)
def test_the_changes_are_the_difference(shop: Shop, updates: list[tuple[str, str, int]], query: str) -> None:
    sequence = " ".join(f'item{sign}("{name}", {number})' for sign, name, number in updates)
    before = set(shop.simulate(query=query, sequence="", action_policy="action")["result"])
    after = set(shop.simulate(query=query, sequence=sequence, action_policy="action")["result"])
    changes = set(shop.simulate(query=query, sequence=sequence, action_policy="action", delta=True)["result"])
    table = query.partition("(")[0]
    assert changes == {text.replace(f"{table}(", f"{table}+(", 1) for text in after - before} | {
        text.replace(f"{table}(", f"{table}-(", 1) for text in before - after
    }


def test_a_rule_over_its_limits_is_refused(world: World) -> None:
    world.runtime(limits=Limits(rows=50))
    world.policy("p", *(f"n({at})" for at in range(10)))
    with pytest.raises(errors.SimulationInvalid, match="E001"):
        world.call("simulate", policy="p", steps=[{"add_rule": "m(x, y) :- n(x), n(y)"}])
    with pytest.raises(errors.RuleInvalid, match="E001"):
        world.call("preview", policy="p", rules=["m(x, y) :- n(x), n(y)"])


def test_rows_that_are_not_known_are_named(world: World) -> None:
    world.runtime()
    world.policy("p", "a(x) :- away:t(x)")
    answer = world.call("simulate", policy="p", query="a(x)", steps=[])
    assert (answer["result"], answer["unsettled"]) == ([], ["away:t"])
    answer = world.call("preview", policy="p", rules=["b(x) :- gone:t(x)"])
    assert answer["unsettled"] == ["away:t", "gone:t"]
    assert [rule["state"] for rule in answer["rules"]] == ["waiting"]


def test_time_goes_on_in_a_simulation_and_only_there(world: World) -> None:
    clock = [1_700_000_000.0]
    runtime = world.runtime(now=lambda: clock[0])
    world.policy("p", 'old(x) :- t(x, at), age(at) > "1d"', 't(1, "2023-11-14T00:00:00Z")')
    clock[0] += 86_400
    before = runtime.engine.now
    answer = world.call("simulate", policy="p", query="old(x)", steps=[])
    assert answer["rows"] == [[1]]
    assert runtime.engine.now == before


# Previews


def preview(shop: Shop, policy: str = "stock", **asked: Any) -> Any:
    before = shop.state()
    try:
        return shop.world.call("preview", policy=policy, **asked)
    finally:
        assert shop.state() == before


def test_a_preview_shows_rows_and_actions(shop: Shop) -> None:
    rules = [
        "high(x) :- item(x, n), n > 5",
        "execute[nova:detach(s, n)] :- nova:ports(s, n), not nova:nets(n)",
        'item("nut", 9)',
    ]
    answer = preview(shop, rules=rules, remove=["the low ones"])
    assert answer["changes"] == {
        "stock:high": {"insertions": [["nut"]], "retractions": [], "inserted": 1, "retracted": 0},
        "stock:low": {"insertions": [], "retractions": [["bolt"]], "inserted": 0, "retracted": 1},
    }
    fired = {(a["name"], *a["args"]["positional"]) for a in answer["actions"]}
    assert fired == {("nova:detach", "a", "n1"), ("nova:stop", "a"), ("nova:stop", "b")}
    assert [(a["name"], a["args"]["named"]) for a in answer["withdrawn"]] == [("nova:pause", {"reason": "low"})]
    assert [(rule["rule"], rule["state"]) for rule in answer["rules"]] == [(rules[0], "active"), (rules[1], "active")]
    assert answer["unsettled"] == []


def test_a_preview_of_a_policy_that_is_not_there_yet(shop: Shop) -> None:
    answer = preview(shop, "new", rules=["free(s) :- nova:servers(id=s), not stock:bare(s)"], kind="nonrecursive")
    assert answer["changes"]["new:free"]["insertions"] == [["a"]]
    with pytest.raises(errors.PolicyNameTaken):
        preview(shop, "stock", kind="nonrecursive")
    with pytest.raises(errors.PolicyNameTaken):
        preview(shop, "nova", kind="nonrecursive")
    with pytest.raises(errors.PolicyNotFound):
        preview(shop, "new")


def test_a_preview_of_all_rules_of_a_policy(shop: Shop) -> None:
    answer = preview(shop, rules=['item("nut", 9)', "low(x) :- item(x, n), n < 10"], replace=True)
    gone = {key: change["retractions"] for key, change in answer["changes"].items() if change["retracted"]}
    assert gone == {
        "stock:bare": [["b"]],
        "stock:both": [["theirs"]],
        "stock:item": [["bolt", 2]],
        "stock:low": [["bolt"]],
    }
    assert answer["changes"]["stock:low"]["insertions"] == [["nut"]]


@pytest.mark.parametrize(
    ("bundle", "error", "words"),
    [
        ({"rules": ["high(x, y) :- item(x, n)"]}, errors.RuleInvalid, "does not bind y"),
        ({"rules": ["high(x) :-"]}, errors.RuleInvalid, "S0"),
        ({"rules": ["high(x) :- item(y, n)", "high("]}, errors.RuleInvalid, "(?s)R101.*S001"),
        ({"rules": ["p(1) p(2)"]}, errors.MultipleRules, "2 rules"),
        ({"rules": ["odd(x) :- item(x, n), not odd(x)"]}, errors.RuleInvalid, "P001"),
        ({"rules": ["item(x) :- low(x)"]}, errors.RuleInvalid, "columns"),
        ({"remove": ["nobody"]}, errors.RuleNotFound, "nobody"),
        ({"remove": ["low(x) :- item(x, n), n < 6"]}, errors.RuleNotFound, "no rule"),
    ],
)
def test_a_preview_that_is_refused_leaves_nothing_behind(
    shop: Shop, bundle: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        preview(shop, **bundle)


def test_a_preview_is_what_then_happens(world: World) -> None:
    cloud = world.cloud().show(servers=[("a", "x"), ("b", "y")], ports=[("a", "n1")], nets=[])
    world.runtime()
    world.policy("p", "bare(s) :- nova:servers(id=s), not nova:ports(server=s)")
    world.settle(cloud)
    rules = ["execute[nova:pause(s)] :- bare(s)", "owner(o, count(s)) :- nova:servers(s, o), not nova:nets(s)"]
    shown = world.call("preview", policy="p", rules=rules)
    for rule in rules:
        world.call("create_rule", policy="p", rule=rule)
    world.settle(cloud)
    wait_until(lambda: cloud.done)
    assert [("pause", (*a["args"]["positional"], "")) for a in shown["actions"]] == cloud.done
    assert {tuple(row) for row in shown["changes"]["p:owner"]["insertions"]} == world.rows("p", "owner")
