# SPDX-License-Identifier: Apache-2.0
"""No route of the API, no service on the bus and no line of the program acts past the ledger and its guard."""

import ast
import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import congress
from congress.api.application import routes
from congress.api.names import LEDGER
from congress.api.routing import Route
from congress.bus.service import Service
from congress.cloudservices.datasource_driver import DataSourceDriver
from congress.executions.desk import Desk
from congress.executions.service import ExecutionService
from congress.policy.dse_runtime import DseRuntime
from tests.executions.rest.world import World, remains

PACKAGE: Final = Path(congress.__file__).parent
ASKING: Final = frozenset({"ask", "_ask", "call", "cast", "probe"})

# What the program has of everything that could carry a message to a service


@cache
def calls() -> list[tuple[str, ast.Call]]:
    """Every call in the program, with the file that it is in."""
    return [
        (path.relative_to(PACKAGE).as_posix(), node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def questions() -> Iterator[tuple[str, ast.expr | None]]:
    """Every place that asks a service for something: the file, and the method as it stands there."""
    for name, node in calls():
        if called(node) in ASKING:
            given = [*node.args, *(word.value for word in node.keywords if word.arg == "method")]
            yield name, given[1] if len(given) > 1 else None


def called(node: ast.Call) -> str:
    """The method's name; of a plain function none, for services are objects."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def test_one_place_sends_actions_to_services() -> None:
    named = [(name, method.value) for name, method in questions() if isinstance(method, ast.Constant)]
    assert ("executions/dispatcher.py", "execute") in named
    outside = [name for name, method in named if method == "execute" and name != "cloudservices/conformance.py"]
    assert outside == ["executions/dispatcher.py"]  # and the tests that come with the drivers' kit, on a bus of theirs


def test_nobody_passes_on_a_name_from_outside() -> None:
    """Where the method is no word of the program, it is one of those who only pass it on, or chosen from a few."""
    variable = {name for name, method in questions() if method is not None and not isinstance(method, ast.Constant)}
    assert variable <= {
        "api/auth/policy.py",  # rules of oslo.policy
        "api/backend.py",  # for controllers, whose words the next test looks at
        "bus/actor.py",
        "bus/bus.py",
        "bus/calls.py",
        "bus/node.py",
        "bus/service.py",
        "cloudservices/harness.py",  # for tests
        "cloudservices/conformance.py",  # likewise
        "cloudservices/fake.py",  # the cloud that it plays, not the bus
        "cloudservices/openstack_actions.py",  # OpenStack's clients
        "executions/dispatcher.py",
        "executions/service.py",  # hands it to the dispatcher
        "executions/signatures.py",
        "policy/intake.py",  # "schema", or "rows" that were kept aside
        "policy/borrowing.py",
    }


def test_controllers_name_what_they_call() -> None:
    for name, method in questions():
        if name.startswith("api/controllers/") and method is not None:
            assert isinstance(method, ast.Constant), name
            assert method.value != "execute", name


def test_nobody_runs_an_action_of_a_driver_but_its_driver() -> None:
    """In one process a driver is an object; nobody takes that for a shortcut."""
    runners = {
        (name, ast.unparse(node.func.value))
        for name, node in calls()
        if isinstance(node.func, ast.Attribute) and node.func.attr == "execute"
    }
    databases = ("connection", "cursor", "op")
    assert [(name, on) for name, on in runners if on.rpartition(".")[2] not in databases] == []
    functions = {name for name, node in calls() if called(node) == "function" and not name.startswith("datalog/")}
    assert functions == {"cloudservices/execution_driver.py"}


# What is on the bus


def services() -> list[type[Service]]:
    for module in pkgutil.walk_packages(congress.__path__, "congress."):
        if ".migrations" not in module.name and not module.name.startswith("congress.tools"):
            importlib.import_module(module.name)
    found: list[type[Service]] = []
    waiting: list[type[Service]] = [Service]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("congress."):
                found.append(kind)
    return found


def test_who_has_something_to_be_executed() -> None:
    """Drivers, which carry out what they are told, and the runtime, which hands it to the ledger."""
    acting = {kind for kind in services() if "execute" in kind.exposed_names}
    assert DseRuntime in acting
    assert all(issubclass(kind, DataSourceDriver) for kind in acting - {DseRuntime})


def test_what_lets_executions_go() -> None:
    """A new method of the ledger is a decision: who makes one says here whether the guard is asked."""
    assert ExecutionService.exposed_names - Service.exposed_names == {
        # looking
        "actions", "dry_run", "export", "get_breaker", "get_execution", "get_guard", "get_set", "list_breakers",
        "list_executions", "list_guards", "list_sets", "schema", "status",
        # through the guard
        "request", "retry",
        # a person's word, by a right of its own
        "approve", "delete_guard", "put_guard", "set_breaker",
        # nothing is sent
        "cancel", "complete", "reject", "settle",
    }  # fmt: skip
    assert Desk.exposed_names <= ExecutionService.exposed_names


# What the API offers

BY_RIGHT: Final = frozenset(
    {
        "POST /v1/execution-sets/{set}?action=approve",  # of a digest, which test_modes looks at
        "PUT /v1/policies/{policy}/guard",
        "PATCH /v1/policies/{policy}/guard",
        "DELETE /v1/policies/{policy}/guard",
        "PUT /v1/cloud-services/{service}/guard",
        "PATCH /v1/cloud-services/{service}/guard",
        "DELETE /v1/cloud-services/{service}/guard",
    }
)
"""Whose very purpose is to let things go, or to set what does; for administrators, as tests of the routes show."""


def bodies(world: World) -> list[Any]:
    action = {"name": "on", "args": ["x"]}
    through_policy = {"name": f"{world.lamps}:on", "args": ["x"]}
    rule = f"execute[{world.lamps}:on(x)] :- {world.eyes}:odd(x)"
    return [
        None,
        {},
        action,
        through_policy,
        {**through_policy, "service": world.lamps, "method": "execute", "positional": ["x"]},
        {"rule": rule},
        {"name": f"{world.name}_more", "rules": [{"rule": rule}]},
        {"rules": [{"rule": rule}]},
        {"query": f"execute[{world.lamps}:on('x')]"},
        {"query": "p(x)", "sequence": f"execute[{world.lamps}:on('x')]", "action_policy": "action"},
        {"steps": [{"execute": through_policy}], "query": "p(x)"},
        [["x"], ["y"]],
        {"insert": [["x"], ["z"]], "delete": []},
        {"lamp": "w"},
        {"token": "x", "outcome": "succeeded"},
        {"outcome": "succeeded"},
        {"digest": "x"},
    ]


def addresses(declared: Route, values: Mapping[str, list[str]]) -> list[str]:
    """The addresses of a route for every value of each of its parameters, older names of it too."""
    made = [
        path + (f"?action={declared.action}" if declared.action else "") for path in (declared.path, *declared.aliases)
    ]
    for name, words in values.items():
        made = [
            path.replace("{" + name + "}", word) for path in made for word in (words if f"{{{name}}}" in path else [""])
        ]
    return made


def test_no_route_of_the_api_acts_while_the_cap_is_nothing(world: World) -> None:
    """All routes, with all that they take, at a service whose cap lets nothing through: nothing reaches it."""
    world.build(service={"max_rows": 0})
    world.dark("a")
    asked_for = world.by_hand("on", "b")
    held = world.the_set(2)
    values = {
        "policy": [world.name],
        "service": [world.lamps, world.eyes],
        "rule": [world.ok("GET", f"/v1/policies/{world.name}/rules")["results"][0]["id"]],
        "table": ["dark", f"execute[{world.lamps}:on]"],
        "execution": [asked_for],
        "set": [held["id"]],
        "library_policy": ["nobody"],
        "driver": ["push"],
    }
    order = {"GET": 0, "POST": 1, "PATCH": 2, "PUT": 3, "DELETE": 4}
    late = {"reject": 1, "cancel": 1, "retry": 2}
    walked: Counter[str] = Counter()
    for declared in sorted(routes(), key=lambda one: (order[one.method], late.get(one.action, 0))):
        if declared.operation in BY_RIGHT or declared.path.endswith("/stream"):
            continue
        for address in addresses(declared, values):
            for body in bodies(world) if declared.body is not None else [None]:
                status = world.request(declared.method, address, body)[0]
                walked[declared.operation] += status < 300
                assert status < 500, (declared.operation, address, body)
    assert world.park.asked == []
    for way in (
        "POST /v1/policies/{policy}?action=execute",
        "POST /v1/cloud-services/{service}?action=execute",
        "POST /v1/policies/{policy}/rules",
        "POST /v1/policies",
        "PUT /v1/cloud-services/{service}/tables/{table}/rows",
        "POST /v1/executions/{execution}?action=retry",
        "POST /v1/execution-sets/{set}?action=reject",
        "DELETE /v1/cloud-services/{service}",
    ):
        assert walked[way], way  # it was gone indeed
    remains(lambda: world.park.asked, [])
    assert {one["attempts"] for one in world.executions()} == {0}
    assert {one["state"] for one in world.executions()} <= {"held", "cancelled", "obsolete"}


def test_no_route_calls_what_its_caller_names(world: World) -> None:
    """Names of methods are no part of an address, a query or a body: the routes are all that there is."""
    world.build(service={"max_rows": 0})
    for name in (world.lamps, LEDGER, "policy", "_drivers", "_library", "congress"):
        for method in ("execute", "approve", "request", "put_guard", "set_breaker", "submit"):
            for verb, path in (
                ("POST", f"/v1/cloud-services/{name}?action={method}"),
                ("POST", f"/v1/cloud-services/{name}/{method}"),
                ("GET", f"/v1/cloud-services/{name}/{method}"),
                ("POST", f"/v1/{name}/{method}"),
                ("POST", f"/v1/{name}?action={method}"),
            ):
                body = {"name": "on", "args": ["x"]} if name == world.lamps else {"name": "x"}
                status = world.request(verb, path, body)[0]
                there = path.endswith("?action=execute") and name in (world.lamps, "congress")
                assert status in ((204, 400, 404) if there else (400, 404, 405)), (verb, path, status)
    remains(lambda: world.park.asked, [])
