# SPDX-License-Identifier: Apache-2.0
"""Policies and rules: the engine and the database always agree."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from congress.datalog.engine import Engine
from congress.datalog.schema import schemas
from congress.datalog.values import Row
from congress.db.database import Database
from congress.db.errors import Unavailable
from congress.db.migrate import upgrade
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.rules import RuleRecord, RuleStore
from congress.policy import errors
from congress.policy.policies import Policies, RuleText

SERVERS = {"nova": schemas({"servers": ["id", "owner"]})}


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database("sqlite://")
    upgrade(made)
    yield made
    made.close()


def load(database: Database) -> Policies:
    """A new process: nothing but what is stored."""
    engine = Engine()
    engine.set_schema("nova", SERVERS["nova"])
    engine.apply({"nova:servers": ([("a", "x"), ("b", "y")], [])})
    made = Policies(engine, PolicyStore(database), RuleStore(database))
    made.load()
    return made


@pytest.fixture
def policies(database: Database) -> Policies:
    return load(database)


def texts(*rules: str) -> list[RuleText]:
    return [RuleText(rule) for rule in rules]


def stored(policies: Policies) -> dict[str, list[str]]:
    return {p.record.name: [r.record.rule for r in p.rules.values()] for p in policies.all()}


def contents(engine: Engine) -> dict[str, set[Row]]:
    """All rows; not how often or in which order they were derived, which a restart may change."""
    return {table.key: set(engine.rows(table.key)) for table in engine.tables() if table.rows}


def same(one: Policies, other: Policies) -> None:
    """Whether two hold the same policies, and everything that follows from them."""
    assert stored(one) == stored(other)
    assert contents(one.engine) == contents(other.engine)
    assert one.wanted() == other.wanted() == one.engine.wanted()
    assert one.engine.policies() == other.engine.policies()
    for policy in one.all():
        for rule_id in policy.rules:
            assert one.engine.status(rule_id).state == other.engine.status(rule_id).state


def test_what_was_made_is_there_after_a_restart(database: Database, policies: Policies) -> None:
    policy, delta = policies.create("alice", "for all", "al", "Action", texts("p(x) :- q(x)", "q(1)", "q(2)"))
    assert sorted(delta["alice:p"].insertions) == [(1,), (2,)]
    rule, _ = policies.add_rule("alice", RuleText("q(3)", "three", "a comment"))
    policies.delete_rule(policy.record.id, next(iter(policy.rules)))
    policies.update("alice", {"description": "for some"})
    again = load(database)
    same(policies, again)
    assert again.find("alice").record == policy.record
    assert again.find("alice").rules[rule.record.id].record == rule.record
    policies.delete("alice")
    same(policies, load(database))


def test_default_policies_are_made_once(database: Database, policies: Policies) -> None:
    assert [p.record.id for p in load(database).all()] == [p.record.id for p in policies.all()]
    for name in ("classification", "action"):
        with pytest.raises(errors.PolicyProtected):
            policies.delete(name)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"name": None}, errors.PolicyNameRequired),
        ({"name": ""}, errors.PolicyNameRequired),
        ({"name": 5}, errors.InvalidPolicyName),
        ({"name": "a-b"}, errors.InvalidPolicyName),
        ({"name": "a:b"}, errors.InvalidPolicyName),
        ({"name": "1a"}, errors.InvalidPolicyName),
        ({"name": "a" * 256}, errors.InvalidPolicyName),
        ({"name": "not"}, errors.InvalidPolicyName),
        ({"name": "builtin"}, errors.InvalidPolicyName),
        ({"name": "nova"}, errors.PolicyNameTaken),
        ({"name": "action"}, errors.PolicyNameTaken),
        ({"name": "alice", "kind": "delta"}, errors.InvalidPolicy),
        ({"name": "alice", "kind": 1}, errors.InvalidPolicy),
        ({"name": "alice", "abbreviation": "sixsix"}, errors.InvalidAbbreviation),
        ({"name": "alice", "abbreviation": 1}, errors.InvalidAbbreviation),
        ({"name": "alice", "description": "\x00"}, errors.InvalidPolicy),
        ({"name": "alice", "rules": texts("p(x) :-")}, errors.RuleInvalid),
        ({"name": "alice", "rules": texts("p(1)", "p(x) :- q(y)")}, errors.RuleInvalid),
        ({"name": "alice", "rules": texts("p(1) p(2)")}, errors.MultipleRules),
        ({"name": "alice", "rules": texts("// nothing")}, errors.RuleInvalid),
        ({"name": "alice", "rules": [RuleText("p(1)", name="n" * 256)]}, errors.InvalidPolicy),
        ({"name": "alice", "rules": [RuleText(5)]}, errors.RuleInvalid),  # type: ignore[arg-type]  # as a client may
    ],
)
def test_bad_policies_change_nothing(
    database: Database, policies: Policies, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        policies.create(**arguments)
    same(policies, load(database))
    assert stored(policies).keys() == {"classification", "action"}


def test_all_findings_of_all_rules_are_told_at_once(policies: Policies) -> None:
    with pytest.raises(errors.RuleInvalid) as caught:
        policies.create("alice", rules=texts("p(x) :- ", "q(", "r(1)"))
    assert len(caught.value.data["diagnostics"]) >= 2
    with pytest.raises(errors.RuleInvalid) as caught:
        policies.create("alice", rules=texts("p(x) :- q(y)", "r(z) :- q(y)"))
    assert [d["code"] for d in caught.value.data["diagnostics"]] == ["R101", "R101"]
    wrong = texts("p(x) :- q(y)", "q(", "r(x) :- q(x), not r(x)", "q(1)")
    policies.create("alice", rules=texts("q(1)"))
    for change in (
        lambda: policies.create("bob", rules=wrong),
        lambda: policies.update("alice", {"rules": wrong}),
    ):
        with pytest.raises(errors.RuleInvalid) as caught:
            change()
        assert [d["code"] for d in caught.value.data["diagnostics"]] == ["R101", "P001", "S001"]
    assert stored(policies).keys() == {"classification", "action", "alice"}
    assert stored(policies)["alice"] == ["q(1)"]


def test_a_rule_given_twice_is_taken_once(policies: Policies) -> None:
    policies.create("alice", rules=texts("p(x) :- q(x), r(x)", "p(x) :- r(x), q(x)", "q(1)", "q(1.0)"))
    assert stored(policies)["alice"] == ["p(x) :- q(x), r(x)", "q(1)"]
    for rule in ("p(x) :- r(x), q(x)", "q(1)"):
        with pytest.raises(errors.RuleExists):
            policies.add_rule("alice", RuleText(rule))


def test_update_of_rules_keeps_what_stays(policies: Policies) -> None:
    policy, _ = policies.create("alice", rules=texts("p(1)", "p(2)"))
    first = next(iter(policy.rules))
    _, delta = policies.update("alice", {"rules": texts("p(3)", "p(1)"), "abbreviation": None})
    assert (delta["alice:p"].insertions, delta["alice:p"].retractions) == ([(3,)], [(2,)])
    assert next(iter(policy.rules)) == first
    assert stored(policies)["alice"] == ["p(1)", "p(3)"]


@pytest.mark.parametrize("changes", [{"name": "bob"}, {"kind": "action"}, {"rules": texts("p(x) :- q(y)")}])
def test_bad_updates_change_nothing(database: Database, policies: Policies, changes: dict[str, Any]) -> None:
    policies.create("alice", rules=texts("p(1)"))
    with pytest.raises(errors.PolicyRuntimeError):
        policies.update("alice", changes | {"description": "new"})
    assert policies.find("alice").record.description == ""
    same(policies, load(database))


def test_rules_are_found_by_id_and_by_a_name_that_is_only_theirs(policies: Policies) -> None:
    policies.create("alice", rules=[RuleText("p(1)", "one"), RuleText("p(2)", "more"), RuleText("p(3)", "more")])
    policy = policies.find("alice")
    assert policies.find_rule(policy, "one").record.rule == "p(1)"
    for name in ("more", "none"):
        with pytest.raises(errors.RuleNotFound):
            policies.find_rule(policy, name)


def test_a_rule_is_not_found_in_another_policy(policies: Policies) -> None:
    alice, _ = policies.create("alice", rules=texts("p(1)"))
    policies.create("bob")
    with pytest.raises(errors.RuleNotFound):
        policies.delete_rule("bob", next(iter(alice.rules)))


@pytest.mark.parametrize("key", ["none", "", "nova"])
def test_policies_that_are_not_there(policies: Policies, key: str) -> None:
    for work in (
        lambda: policies.delete(key),
        lambda: policies.update(key, {}),
        lambda: policies.add_rule(key, RuleText("p(1)")),
        lambda: policies.delete_rule(key, "x"),
    ):
        with pytest.raises(errors.PolicyNotFound):
            work()


# When the database fails


def changes(policies: Policies) -> dict[str, Callable[[], object]]:
    rule = next(iter(policies.find("alice").rules))
    return {
        "create": lambda: policies.create("bob", rules=texts("r(x) :- alice:p(x)")),
        "create what others wait for": lambda: policies.create("late", rules=texts("p(1)")),
        "update": lambda: policies.update("alice", {"rules": texts("q(7)")}),
        "delete": lambda: policies.delete("alice"),
        "add_rule": lambda: policies.add_rule("alice", RuleText("p(x) :- p(x), q(x)")),
        "update_rule": lambda: policies.update_rule("alice", rule, {"rule": "p(x) :- nova:servers(o, x)", "name": "n"}),
        "update_rule's comment": lambda: policies.update_rule("alice", rule, {"comment": "c"}),
        "delete_rule": lambda: policies.delete_rule("alice", rule),
    }


@pytest.mark.parametrize(
    "what",
    [
        "create",
        "create what others wait for",
        "update",
        "delete",
        "add_rule",
        "update_rule",
        "update_rule's comment",
        "delete_rule",
    ],
)
def test_a_change_that_cannot_be_stored_is_taken_back(
    database: Database, policies: Policies, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.create("alice", rules=texts("p(x) :- nova:servers(x, o)", "q(1)", "w(x) :- late:p(x)", "p(2)"))

    def fail(*arguments: object) -> None:
        raise Unavailable("the disk is full")

    before = policies.engine.dump()
    with monkeypatch.context() as broken:
        broken.setattr(database, "run", fail)
        with pytest.raises(errors.StorageFailed, match="the disk is full"):
            changes(policies)[what]()
    assert policies.engine.dump() == before
    same(policies, load(database))
    changes(policies)[what]()
    same(policies, load(database))


POOL = [
    "p(x) :- q(x)", "q(x) :- p(x)", "p(x) :- nova:servers(x, o)", "q(x) :- nova:servers(o, x), not r(x)",
    "r(1)", "r(2)", 'r("x")', "r(x) :- other:p(x)", "n(count(x)) :- p(x)", "p(x) :- waiting:t(x)",
    "r(x) :- q(x)", "r(1, 2)", "p(x) :- r(y)", "s(x) :- a:p(x), not b:p(x)", "r(x) :- c:n(x)",
]  # fmt: skip


def random_change(policies: Policies, chance: random.Random) -> None:
    name = chance.choice("abc")
    known = [policy for policy in policies.all() if policy.record.name == name]
    what = chance.randrange(20)
    if not known:
        policies.create(name, rules=texts(*chance.sample(POOL, 2)))
    elif what < 10:
        policies.add_rule(name, RuleText(chance.choice(POOL)))
    elif what < 13:
        policies.update_rule(name, chance.choice([*known[0].rules, "none"]), {"rule": chance.choice(POOL)})
    elif what < 16:
        policies.delete_rule(name, chance.choice([*known[0].rules, "none"]))
    elif what < 19:
        policies.update(name, {"rules": texts(*chance.sample(POOL, 3))})
    else:
        policies.delete(name)


@pytest.mark.parametrize("seed", range(25))
def test_after_any_changes_and_failures_a_restart_changes_nothing(
    database: Database, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random changes, some of which the database refuses: what is in memory equals what is loaded anew."""
    policies = load(database)
    chance = random.Random(seed)
    run = database.run

    def sometimes(*arguments: Any) -> Any:
        if chance.random() < 0.3:
            raise Unavailable("not now")
        return run(*arguments)

    monkeypatch.setattr(database, "run", sometimes)
    refused: Counter[type] = Counter()
    for _ in range(40):
        try:
            random_change(policies, chance)
        except errors.PolicyRuntimeError as error:
            refused[type(error)] += 1
    monkeypatch.undo()
    assert refused[errors.StorageFailed]
    assert sum(refused.values()) < 35
    same(policies, load(database))


# Loading


def store(database: Database, *rules: str) -> list[RuleRecord]:
    """Rules of alice, put into the database behind everybody's back."""
    policy = PolicyRecord("alice")
    records = [RuleRecord(policy.id, rule) for rule in rules]
    PolicyStore(database).create(policy, records)
    return records


def test_names_from_before_they_were_checked_stay(database: Database) -> None:
    (record,) = store(database, "p(1)")
    RuleStore(database).update(replace(record, name="a/b"))
    policies = load(database)
    policies.update_rule("alice", record.id, {"rule": "p(2)", "name": "a/b"})
    policies.update("alice", {"rules": [RuleText("p(3)", "a/b")]})
    (rule,) = policies.find("alice").rules.values()
    assert (rule.record.rule, rule.record.name) == ("p(3)", "a/b")
    with pytest.raises(errors.InvalidRuleName):
        policies.update_rule("alice", rule.record.id, {"name": "a/c"})
    same(policies, load(database))


def test_rules_that_fit_no_more_are_kept_and_keep_nobody_out(database: Database) -> None:
    records = store(database, "p(1)", "p(", "p(x) :- q(y)", "p(2)", "p(1, 2)", "w(x) :- gone:t(x)", "p(3) p(4)")
    policies = load(database)
    alice = policies.find("alice")
    assert list(alice.rules) == [record.id for record in records]
    refused = [rule.record.rule for rule in alice.rules.values() if rule.refused]
    assert refused == ["p(", "p(x) :- q(y)", "p(1, 2)", "p(3) p(4)"]
    assert all(rule.refused[0].message for rule in alice.rules.values() if rule.refused)
    assert set(policies.engine.rows("alice:p")) == {(1,), (2,)}
    assert policies.engine.status(records[5].id).state == "waiting"
    assert [r.rule for r in RuleStore(database).all()] == [r.rule for r in records]


def test_a_refused_rule_comes_into_force_when_it_fits_again(database: Database) -> None:
    first, second, _ = store(database, "p(1)", "p(1, 2)", "p(3)")
    policies = load(database)
    assert policies.find("alice").rules[second.id].refused
    policies.delete_rule("alice", list(policies.find("alice").rules)[2])
    _, delta = policies.delete_rule("alice", first.id)
    assert delta["alice:p"].insertions == [(1, 2)]
    assert not policies.find("alice").rules[second.id].refused


def test_a_rule_changes_under_its_id(database: Database, policies: Policies) -> None:
    policies.create("alice", rules=[RuleText("p(1)", "one", "c"), RuleText("p(2)")])
    key = next(iter(policies.find("alice").rules))
    rule, delta = policies.update_rule("alice", "one", {"rule": "p(x) :- nova:servers(x, o)"})
    assert (rule.record.id, rule.record.name, rule.record.comment) == (key, "one", "c")
    assert (set(delta["alice:p"].insertions), delta["alice:p"].retractions) == ({("a",), ("b",)}, [(1,)])
    assert policies.wanted() == {"nova:servers"}
    _, delta = policies.update_rule("alice", key, {"name": None, "comment": None})
    assert not delta
    assert stored(policies)["alice"] == ["p(x) :- nova:servers(x, o)", "p(2)"]
    policies.update_rule("alice", key, {"rule": "p(3)"})
    assert policies.wanted() == set()
    for text, error in (("p(2)", errors.RuleExists), ("p(", errors.RuleInvalid), ("p(1) p(2)", errors.MultipleRules)):
        with pytest.raises(error):
            policies.update_rule("alice", key, {"rule": text})
    with pytest.raises(errors.RuleNotFound):
        policies.update_rule("alice", "none", {"rule": "p(4)"})
    same(policies, load(database))


def test_a_refused_rule_comes_into_force_when_it_is_changed(database: Database) -> None:
    first, second, third = store(database, "p(1)", "p(1, 2)", "p(")
    policies = load(database)
    with pytest.raises(errors.RuleExists, match="out of force"):
        policies.update_rule("alice", first.id, {"rule": "p(1, 2)"})
    policies.update_rule("alice", second.id, {"comment": "still out of force"})
    assert policies.find("alice").rules[second.id].refused
    _, delta = policies.update_rule("alice", third.id, {"rule": "p(3)"})
    assert delta["alice:p"].insertions == [(3,)]
    policies.update_rule("alice", second.id, {"rule": "p(2)"})
    assert set(policies.engine.rows("alice:p")) == {(1,), (2,), (3,)}
    assert not any(rule.refused for rule in policies.find("alice").rules.values())
    same(policies, load(database))


def test_a_refused_rule_can_be_deleted(database: Database) -> None:
    second = store(database, "p(1)", "p(1, 2)")[1]
    policies = load(database)
    policies.delete_rule("alice", second.id)
    assert stored(policies)["alice"] == ["p(1)"]
    same(policies, load(database))


def test_an_update_replaces_refused_rules(database: Database) -> None:
    store(database, "p(1)", "p(1, 2)", "p(")
    policies = load(database)
    policies.update("alice", {"rules": texts("p(1)", "p(2)")})
    assert stored(policies)["alice"] == ["p(1)", "p(2)"]
    same(policies, load(database))


def test_loading_may_be_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store(database, "p(1)")
    policies = Policies(Engine(), PolicyStore(database), RuleStore(database))
    with monkeypatch.context() as broken:
        broken.setattr(RuleStore, "all", lambda self, policy_id=None: (_ for _ in ()).throw(Unavailable("away")))
        with pytest.raises(Unavailable):
            policies.load()
    policies.load()
    assert set(policies.engine.rows("alice:p")) == {(1,)}


def test_a_thousand_rules_are_loaded_quickly(database: Database) -> None:
    rules = [
        f'error{n % 50}(vm, net) :- nova:servers(vm, owner), net = "n{n}", not exempt{n % 7}(vm), owner != "o{n}"'
        for n in range(1000)
    ]
    store(database, *rules)
    spent = []
    for _ in range(3):  # the machine may be busy with something else
        before = time.process_time()
        policies = load(database)
        spent.append(time.process_time() - before)
    assert sum(len(policy.rules) for policy in policies.all()) == 1000
    assert len(policies.engine.rows("alice:error0")) == 40
    assert min(spent) < 5.0  # 0.25 s on a quiet machine; benchmarks measure, tests only bound


def test_a_table_may_have_other_columns_once_nothing_defines_it(database: Database, policies: Policies) -> None:
    policies.create("alice", rules=texts("q(x) :- nova:servers(o, x), not r(x)"))
    for rule in ("r(1)", 'r("x", 2)', "r(3)"):
        made, _ = policies.add_rule("alice", RuleText(rule))
        assert set(policies.engine.rows("alice:q")) == ({("y",)} if "x" in rule else {("x",), ("y",)})
        policies.delete_rule("alice", made.record.id)
        same(policies, load(database))
