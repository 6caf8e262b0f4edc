# SPDX-License-Identifier: Apache-2.0
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import DbError, NameTaken, RecordNotFound, Unstorable
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.records import utcnow
from congress.db.rules import RuleRecord, RuleStore
from congress.db.services import ServiceRecord, ServiceStore


@pytest.fixture
def policies(database: Database) -> PolicyStore:
    return PolicyStore(database)


@pytest.fixture
def rules(database: Database) -> RuleStore:
    return RuleStore(database)


def texts(rules: RuleStore, policy: PolicyRecord) -> list[str]:
    return [rule.rule for rule in rules.all(policy.id)]


def test_a_policy_comes_back_as_it_was(policies: PolicyStore) -> None:
    made = PolicyRecord("größe", "grö", "Π \U0001f511\n" * 20_000, "someone", "action")
    policies.create(made)
    assert policies.get(made.id) == made
    assert policies.all() == [made]


def test_policies_are_listed_oldest_first(policies: PolicyStore) -> None:
    made = [PolicyRecord(name) for name in ("c", "a", "b")]
    for policy in made:
        policies.create(policy)
    assert policies.all() == made


def test_names_differ_by_case(policies: PolicyStore) -> None:
    policies.create(PolicyRecord("alice"))
    policies.create(PolicyRecord("Alice"))
    assert len(policies.all()) == 2


def test_a_policy_and_its_rules_come_together(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    first = [RuleRecord(policy.id, f"p({number})", None if number % 2 else "n", "c") for number in range(1200)]
    policies.create(policy, first)
    assert rules.all() == first
    assert rules.get(first[7].id) == first[7]


def test_nothing_is_half_created(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    with pytest.raises(Unstorable, match="comment"):
        policies.create(policy, [RuleRecord(policy.id, "p(1)"), RuleRecord(policy.id, "p(2)", comment="c" * 256)])
    assert (policies.all(), rules.all()) == ([], [])
    policies.create(policy)


def test_rules_are_added_and_removed_at_once(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    first = [RuleRecord(policy.id, text) for text in ("p(1)", "p(2)")]
    policies.create(policy, first)
    rules.change(policy.id, [RuleRecord(policy.id, "p(3)")], [first[0].id])
    assert texts(rules, policy) == ["p(2)", "p(3)"]
    with pytest.raises(RecordNotFound):
        rules.change(policy.id, [RuleRecord(policy.id, "p(4)")], [first[0].id])
    assert texts(rules, policy) == ["p(2)", "p(3)"]


def test_a_rule_is_removed_from_its_own_policy_only(policies: PolicyStore, rules: RuleStore) -> None:
    alice, bob = PolicyRecord("alice"), PolicyRecord("bob")
    rule = RuleRecord(alice.id, "p(1)")
    policies.create(alice, [rule])
    policies.create(bob)
    with pytest.raises(RecordNotFound):
        rules.change(bob.id, remove=[rule.id])
    assert rules.get(rule.id) == rule


def test_many_rules_are_removed_at_once(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    many = [RuleRecord(policy.id, f"p({number})") for number in range(1201)]
    policies.create(policy, many)
    rules.change(policy.id, remove=[rule.id for rule in many[1:]])
    assert rules.all() == many[:1]


def test_update(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    policies.create(policy, [rule := RuleRecord(policy.id, "p(1)")])
    wanted = replace(policy, description="new", abbreviation="al", updated_at=utcnow())
    policies.update(wanted, [RuleRecord(policy.id, "p(2)")], [rule.id])
    found = policies.get(policy.id)
    assert found == wanted
    assert texts(rules, policy) == ["p(2)"]
    with pytest.raises(RecordNotFound):
        policies.update(replace(wanted, description="newer"), remove=["none"])
    assert policies.get(policy.id) == found


def test_delete_takes_the_rules_and_frees_the_name(policies: PolicyStore, rules: RuleStore) -> None:
    policy = PolicyRecord("alice")
    policies.create(policy, [RuleRecord(policy.id, "p(1)")])
    policies.delete(policy.id)
    assert (policies.all(), rules.all()) == ([], [])
    policies.create(PolicyRecord("alice"))


@pytest.mark.parametrize("what", ["get", "delete", "update", "rule", "rules"])
def test_what_is_not_there(policies: PolicyStore, rules: RuleStore, what: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: policies.get("none"),
        "delete": lambda: policies.delete("none"),
        "update": lambda: policies.update(PolicyRecord("alice")),
        "rule": lambda: rules.get("none"),
        "rules": lambda: rules.change("none", [RuleRecord("none", "p(1)")]),
    }
    with pytest.raises(RecordNotFound):
        calls[what]()


@pytest.mark.parametrize(
    "policy",
    [
        PolicyRecord("a" * 256),
        PolicyRecord("a\x00"),
        PolicyRecord("a", "sixsix"),
        PolicyRecord("a", description="\x00"),
        PolicyRecord("a", description="\ud800"),
    ],
)
def test_what_no_database_can_keep_is_refused(policies: PolicyStore, policy: PolicyRecord) -> None:
    with pytest.raises(Unstorable):
        policies.create(policy)


def test_policies_and_services_share_no_name(database: Database, policies: PolicyStore, cipher: Cipher) -> None:
    services = ServiceStore(database, cipher)
    policies.create(PolicyRecord("alice"))
    services.create(ServiceRecord("nova", "nova"))
    with pytest.raises(NameTaken, match="policy") as caught:
        services.create(ServiceRecord("alice", "nova"))
    assert (caught.value.name, caught.value.kind) == ("alice", "policy")
    with pytest.raises(NameTaken, match="service"):
        policies.create(PolicyRecord("nova"))
    with pytest.raises(NameTaken):
        policies.create(PolicyRecord("alice"))


def test_of_many_that_want_a_name_one_gets_it(database: Database, cipher: Cipher) -> None:
    policies, services = PolicyStore(database), ServiceStore(database, cipher)
    outcomes: list[str] = []
    gate = threading.Barrier(6)

    def want(number: int) -> None:
        gate.wait()
        try:
            if number % 2:
                policies.create(PolicyRecord("alice"))
            else:
                services.create(ServiceRecord("alice", "nova"))
            outcomes.append("got it")
        except DbError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=want, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["NameTaken"] * 5 + ["got it"]
    assert len(policies.all()) + len(services.all()) == 1
