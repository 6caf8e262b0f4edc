# SPDX-License-Identifier: Apache-2.0
"""Simulations and previews over REST, with the runtime behind it."""

from typing import Any

import pytest

from tests.api.fakes import Client, FakeBackend
from tests.policy.world import World

SIMULATE = "/v1/policies/stock?action=simulate"
PREVIEW = "/v1/policies/stock?action=preview"


@pytest.fixture
def client(world: World) -> Client:
    cloud = world.cloud().show(servers=[("a", "x")], ports=[], nets=[])
    world.runtime()
    world.policy("stock", "low(x) :- item(x, n), n < 5", 'item("nut", 9)', "execute[nova:pause(x)] :- low(x)")
    world.call("create_rule", policy="action", rule='action("sell")')
    world.call("create_rule", policy="action", rule="item+(x, 1) :- sell(x)")
    world.settle(cloud)
    methods = {
        f"policy.{name}": lambda method=name, **arguments: world.call(method, **arguments)
        for name in ("simulate", "preview")
    }
    return Client(FakeBackend(methods))


OLD = {"query": "low(x)", "sequence": 'item+("nut",1) item-("nut",9)', "action_policy": "action"}


def test_the_old_body(client: Client) -> None:
    answer = client("POST", SIMULATE + "&delta=true", OLD)
    assert answer.status_int == 200
    assert answer.json["result"] == ['low+("nut")']
    assert [action["name"] for action in answer.json["actions"]] == ["nova:pause"]
    assert "trace" not in answer.json
    # As python-congressclient asks, which says nothing of the content type either.
    answer = client("POST", SIMULATE + "&trace=False&delta=False", OLD)
    assert answer.json["result"] == ['low("nut")']
    for word in ("1", "True", "TRUE"):
        answer = client("POST", f"{SIMULATE}&trace={word}", OLD)
        assert answer.json["trace"].startswith("simulation on policy stock")


def test_the_body_without_quotes(client: Client) -> None:
    steps = [
        {"insert": {"nova:servers": [{"id": "b", "owner": None}]}, "delete": {"item": [["nut", 9]]}},
        {"action": {"name": "sell", "args": ["nut"]}},
    ]
    answer = client("POST", SIMULATE + "&delta=1", {"query": {"table": "low"}, "steps": steps})
    assert answer.json["insertions"] == [["nut"]]
    assert answer.json["changes"]["nova:servers"]["insertions"] == [["b", None]]
    assert answer.json["unsettled"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 1004),
        ({"query": "low(x)", "sequence": ""}, 1004),
        ({**OLD, "query": None}, 1004),
        ({**OLD, "action_policy": 5}, 1004),
        ({**OLD, "steps": []}, 1004),
        ({**OLD, "query": 5}, 400),
        ({**OLD, "speed": 5}, 400),
        ({"steps": "item"}, 400),
        ({"steps": [5]}, 400),
        ({**OLD, "query": ""}, 1007),
        ({**OLD, "sequence": "item+(x, 1)"}, 1007),
        ({**OLD, "sequence": "item+("}, 1007),
        ({**OLD, "sequence": "gone:item+(1)"}, 1007),
        ({**OLD, "action_policy": "nobody"}, 1007),
        ({"steps": [{}]}, 1007),
    ],
)
def test_refusals(client: Client, body: Any, code: int) -> None:
    answer = client("POST", SIMULATE, body)
    assert (answer.status_int, answer.json["error"]["error_code"]) == (400, code)
    assert client("POST", SIMULATE, {**OLD, "sequence": ""}).json["result"] == []


def test_an_unknown_policy(client: Client) -> None:
    answer = client("POST", "/v1/policies/nobody?action=simulate", OLD)
    assert (answer.status_int, answer.json["error"]["error_code"]) == (400, 1007)


def test_a_refusal_tells_which_step_and_where(client: Client) -> None:
    answer = client("POST", SIMULATE, {**OLD, "sequence": 'item+("nut", 1)\nlow+(y) :- item(x, n)'})
    data = answer.json["error"]["error_data"]
    assert data["step"] == 2
    assert [(d["code"], d["line"], d["column"]) for d in data["diagnostics"]] == [("R101", 2, 6)]


def test_preview(client: Client) -> None:
    answer = client("POST", PREVIEW, {"rules": ["low(x) :- item(x, n), n < 10", {"rule": "high(7)", "name": "h"}]})
    assert answer.status_int == 200
    assert answer.json["changes"]["stock:low"]["insertions"] == [["nut"]]
    assert answer.json["changes"]["stock:high"]["inserted"] == 1
    assert [action["args"]["positional"] for action in answer.json["actions"]] == [["nut"]]
    new = {"rules": ["p(1)"], "kind": "nonrecursive"}
    answer = client("POST", "/v1/policies/fresh?action=preview", new)
    assert answer.json["changes"] == {
        "fresh:p": {"insertions": [[1]], "retractions": [], "inserted": 1, "retracted": 0}
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (PREVIEW, {"rules": ["p(x) :-"]}, 400, 1002),
        (PREVIEW, {"rules": ["p(1) p(2)"]}, 400, 1003),
        (PREVIEW, {"rules": [5]}, 400, 400),
        (PREVIEW, {"remove": ["nothing"]}, 404, 404),
        (PREVIEW, {"kind": "nonrecursive"}, 409, 409),
        ("/v1/policies/nobody?action=preview", {}, 404, 1020),
    ],
)
def test_refused_previews(client: Client, path: str, body: Any, status: int, code: int) -> None:
    answer = client("POST", path, body)
    assert (answer.status_int, answer.json["error"]["error_code"]) == (status, code)
