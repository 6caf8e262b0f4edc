# SPDX-License-Identifier: Apache-2.0
"""What is refused before anything is sent."""

from typing import Any

import pytest

from congress.bus.errors import NotFound, Timeout
from congress.cloudservices.signatures import Action, ActionArgument, bind
from congress.datalog.values import FALSE, TRUE, Value
from congress.policy import errors
from congress.policy.action_catalog import FRESH, ActionCatalog, check_arguments

ACTION = Action(
    "a",
    (
        ActionArgument("text", "string"),
        ActionArgument("whole", "integer", required=False),
        ActionArgument("size", "number", required=False, nullable=True),
        ActionArgument("flag", "boolean", required=False),
        ActionArgument("more", "json", required=False),
    ),
)
REST = Action(
    "a", (ActionArgument("first", "string"), ActionArgument("rest", "integer", variadic=True, required=False))
)

FITTING: list[tuple[Action, list[Value], dict[str, Value]]] = [
    (ACTION, ["x"], {}),
    (ACTION, [], {"text": "x", "flag": TRUE}),
    (ACTION, [5, 5, 5.5, FALSE, None], {}),
    (ACTION, ["x", "5", "5.5", "true", "[]"], {}),
    (ACTION, ["x", 5.0, None], {"flag": "False"}),
    (REST, ["x"], {}),
    (REST, ["x", 1, 2, 3], {}),
]
WRONG: list[tuple[Action, list[Value], dict[str, Value], str]] = [
    (ACTION, [], {}, "needs argument 'text'"),
    (ACTION, ["x", 1, 1, TRUE, 1, 1], {}, "takes 5 positional"),
    (ACTION, ["x"], {"text": "y"}, "'text' twice"),
    (ACTION, ["x"], {"none": "y"}, "no argument 'none'"),
    (ACTION, [None], {}, "no null"),
    (ACTION, [TRUE], {}, "string for argument 'text', not boolean"),
    (ACTION, [1.5], {}, "string for argument 'text', not float"),
    (ACTION, ["x", 1.5], {}, "integer"),
    (ACTION, ["x", "a"], {}, "integer"),
    (ACTION, ["x", TRUE], {}, "integer"),
    (ACTION, ["x", 1, "big"], {}, "number"),
    (ACTION, ["x", 1, 1, 1], {}, "boolean"),
    (REST, ["x", 1, "y"], {}, "integer for argument 'rest'"),
]


@pytest.mark.parametrize(("action", "positional", "named"), FITTING)
def test_what_fits(action: Action, positional: list[Value], named: dict[str, Value]) -> None:
    check_arguments(action, positional, named)
    bind(action, positional, named)  # the driver agrees


@pytest.mark.parametrize(("action", "positional", "named", "message"), WRONG)
def test_what_does_not_fit(action: Action, positional: list[Value], named: dict[str, Value], message: str) -> None:
    with pytest.raises(errors.ActionArgumentsInvalid, match=message):
        check_arguments(action, positional, named)
    with pytest.raises(Exception, match=r"\w"):
        bind(action, positional, named)  # the driver agrees


class Bus:
    """A service with one action, that can be away, busy or without actions."""

    def __init__(self) -> None:
        self.instance: str | None = "1"
        self.actions: list[Action] | Exception = [Action("one")]
        self.asked = 0
        self.now = 0.0

    def call(self, *args: Any, **kwargs: Any) -> list[Action]:
        self.asked += 1
        if isinstance(self.actions, Exception):
            raise self.actions
        return self.actions

    def catalog(self) -> ActionCatalog:
        return ActionCatalog(self.call, lambda service: self.instance, lambda: self.now)


def test_actions_are_asked_for_once() -> None:
    bus = Bus()
    catalog = bus.catalog()
    for _ in range(3):
        catalog.check("s", "one", [], {})
    assert bus.asked == 1
    bus.now = FRESH
    catalog.check("s", "one", [], {})
    bus.instance = "2"
    catalog.check("s", "one", [], {})
    assert bus.asked == 3


def test_an_action_that_came_since_is_found() -> None:
    bus = Bus()
    catalog = bus.catalog()
    catalog.check("s", "one", [], {})
    bus.actions = [Action("one"), Action("two")]
    catalog.check("s", "two", [], {})
    with pytest.raises(errors.ActionNotFound):
        catalog.check("s", "three", [], {})


def test_a_service_that_is_away() -> None:
    bus = Bus()
    bus.instance = None
    with pytest.raises(errors.ServiceNotFound) as caught:
        bus.catalog().check("s", "one", [], {})
    assert isinstance(caught.value, NotFound)
    assert (caught.value.code, caught.value.status) == (1016, 404)


def test_a_service_without_actions() -> None:
    bus = Bus()
    bus.actions = NotFound("no method actions")
    with pytest.raises(errors.ActionNotFound):
        bus.catalog().check("s", "one", [], {})


def test_a_service_that_is_too_busy_is_believed() -> None:
    bus = Bus()
    catalog = bus.catalog()
    bus.actions = Timeout()
    catalog.check("s", "anything", [1, 2, 3], {})
    bus.actions = [Action("one")]
    catalog.check("s", "one", [], {})
    bus.actions, bus.now = Timeout(), FRESH + 1
    catalog.check("s", "one", [], {})  # what was known still counts
    with pytest.raises(errors.ActionNotFound):
        catalog.check("s", "two", [], {})
