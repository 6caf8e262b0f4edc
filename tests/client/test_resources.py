# SPDX-License-Identifier: Apache-2.0
"""Every resource of the library against a real server."""

import pytest

from congress.client import Conflict, Connection, InvalidRequest, NotFound
from congress.client.errors import SettingsError
from congress.client.explanations import WhyNot


def test_policies_and_rules(cloud: Connection) -> None:
    made = cloud.policies.create(
        "zoo",
        description="animals",
        abbreviation="zo",
        rules=["cat(1)", {"rule": "dog(2)", "name": "d", "comment": "c"}],
    )
    assert [rule.rule for rule in made.rules] == ["cat(1)", "dog(2)"]
    assert cloud.policies.get(made.id).name == "zoo"
    assert "zoo" in [policy.name for policy in cloud.policies.list()]
    assert cloud.policies.get("zoo").raw["owner_id"] == "user"
    with pytest.raises(Conflict):
        cloud.policies.create("zoo")
    rule = cloud.rules.create("zoo", "pet(x) :- cat(x)", name="pets", comment="all of them")
    assert cloud.rules.get("zoo", "pets") == rule
    assert (rule.name, rule.comment) == ("pets", "all of them")
    assert cloud.rules.status("zoo", rule.id).state == "active"
    assert [found.name for found in cloud.rules.list("zoo")] == ["", "d", "pets"]
    assert cloud.policies.status("zoo").rules == {"active": 3, "waiting": 0, "off": 0}
    assert cloud.policies.query("zoo", "pet(x)").rows == ((1,),)
    changed = cloud.policies.update("zoo", description="", rules=[rule, "cat(7)"])
    assert changed.description == ""
    assert [(found.id == rule.id, found.rule) for found in cloud.rules.list("zoo")] == [
        (True, "pet(x) :- cat(x)"),
        (False, "cat(7)"),
    ]
    assert cloud.rules.delete("zoo", "pets").id == rule.id
    assert cloud.policies.delete("zoo").id == changed.id
    with pytest.raises(NotFound):
        cloud.policies.get("zoo")


def test_an_absence_shows_what_it_came_to() -> None:
    miss = {"literal": "x = y", "bindings": {"x": 1, "y": 2}, "nearest": [], "detail": "1 is not 2"}
    attempts = [
        {"rule_id": "1", "rule": "big(x) :- p(x, y), x = y", "reason": "its body does not hold.", "misses": [miss]},
        {"rule_id": "2", "rule": "big(count(x)) :- q(x)", "reason": "the group's count is 3, not 1", "instead": [[3]]},
    ]
    answer = WhyNot.of({"row": [1], "holds": False, "attempts": attempts})
    assert answer.render("herd:big").splitlines()[3:5] == ["    fails at x = y with x = 1, y = 2", "      1 is not 2"]
    assert [attempt.instead for attempt in answer.attempts] == [(), ((3,),)]


def test_services_tables_and_rows(cloud: Connection) -> None:
    config = {"tables": {"servers": ["id", "owner"]}}
    made = cloud.cloud_services.create("stable", "push", config=config, description="horses")
    assert cloud.cloud_services.get(made.id) == made
    assert (made.config, made.enabled, made.driver) == (config, True, "push")
    assert cloud.cloud_services.status("stable").ready
    assert [column.name for column in cloud.tables.columns("stable:servers")] == ["id", "owner"]
    assert [table.id for table in cloud.tables.list("stable")] == ["servers"]
    assert [table.id for table in cloud.cloud_services.schema("stable")] == ["servers"]
    assert cloud.cloud_services.actions("stable") == ()
    cloud.cloud_services.refresh("stable")
    cloud.rows.replace("stable:servers", [["a", "ann"], {"id": "b", "owner": None}])
    cloud.rows.change("stable:servers", insert=[["c", None]], delete=[["a", "ann"]])
    assert sorted(cloud.rows.list("stable:servers")) == [("b", None), ("c", None)]
    assert cloud.cloud_services.update("stable", description="mules").description == "mules"
    cloud.cloud_services.delete("stable")
    with pytest.raises(NotFound, match="no policy and no service 'stable'"):
        next(cloud.rows.list("stable:servers"))
    with pytest.raises(InvalidRequest):
        cloud.cloud_services.create("stable", "no such driver")


def test_why_and_why_not(cloud: Connection) -> None:
    cloud.policies.create("herd", rules=["big(x) :- cow(x, n), n > 5", 'cow("zo\\"e", 9)', 'cow("eve", 3)'])
    (row,) = cloud.rows.list("herd:big")
    why = cloud.why("herd:big", row)
    assert why.holds
    assert why.proof is not None
    assert {part.reason for part in why.proof} == {"rule", "fact", "test"}
    assert why.proof.bindings == {"x": 'zo"e', "n": 9}
    assert why.proof.render().splitlines()[0].startswith('herd:big("zo\\"e")   by rule ')
    answer = cloud.why_not("herd:big", ["eve"])
    assert not answer.holds
    assert answer.attempts[0].misses
    assert answer.render("herd:big").startswith('herd:big("eve") does not hold\n  rule ')
    assert cloud.why("herd:big", ["eve"]).proof is None
    assert cloud.why_not("herd:big", row).render("herd:big") == 'herd:big("zo\\"e") holds'


def test_simulation_and_preview_change_nothing(cloud: Connection) -> None:
    cloud.policies.create("shop", rules=[{"rule": "low(x) :- item(x, n), n < 5", "name": "low"}, 'item("nut", 9)'])
    steps = [{"insert": {"item": [["nut", 1]]}}]
    found = cloud.simulate("shop", "low(x)", steps=steps, delta=True, trace=True)
    assert list(found.result) == ['low+("nut")']
    assert found.changes["shop:low"].insertions == (("nut",),)
    assert found.trace
    found = cloud.simulate("shop", "low(x)", sequence='item+("fig", 2)', action_policy="action")
    assert list(found.result) == ['low("fig")']
    shown = cloud.preview("shop", ["low(x) :- item(x, n), n < 10"], remove=["low"])
    assert shown.changes["shop:low"].insertions == (("nut",),)
    assert shown.rules[0]["state"] == "active"
    assert list(cloud.rows.list("shop:low")) == []


def test_actions(cloud: Connection) -> None:
    cloud.cloud_services.create("acting", "fake")
    actions = {action.name: action for action in cloud.cloud_services.actions("acting")}
    assert [argument.name for argument in actions["things.rename"].args][-1] == "name"
    with pytest.raises(NotFound):
        cloud.execute("acting:explode", "x")
    with pytest.raises(SettingsError, match="no action"):
        cloud.execute("acting")
    with pytest.raises(InvalidRequest):
        cloud.execute("acting:things.rename", nothing="x")


def test_drivers(cloud: Connection) -> None:
    assert "push" in [driver.id for driver in cloud.drivers.list()]
    driver = cloud.drivers.get("push")
    assert driver.config["tables"] == "required"
    nova = cloud.drivers.get("nova")
    assert "password" in nova.secret
    assert "servers" in [table.id for table in nova.tables]
