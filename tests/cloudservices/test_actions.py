# SPDX-License-Identifier: Apache-2.0
"""Actions: what is listed, what their arguments may be, and what becomes of errors."""

import dataclasses
from typing import Any

import pytest

from congress.bus import context
from congress.bus.service import Service
from congress.cloudservices.errors import (
    ActionArgumentError,
    ActionFailed,
    ActionNotFound,
    PollError,
    RateLimited,
    Unavailable,
)
from congress.cloudservices.execution_driver import Completion, ExecutionDriver, action
from congress.cloudservices.signatures import Action, ActionArgument, bind, plain
from congress.datalog.values import FALSE, TRUE, Value
from tests.cloudservices.case_files import cases


def as_row_value(value: Any) -> Any:
    return TRUE if value is True else FALSE if value is False else value


@cases("arguments")
def test_binding(case: dict[str, Any]) -> None:
    wanted = Action("act", tuple(ActionArgument(**argument) for argument in case["arguments"]))
    positional = [as_row_value(value) for value in case.get("given", [])]
    named = {name: as_row_value(value) for name, value in case.get("given_named", {}).items()}
    if "error" in case:
        with pytest.raises(ActionArgumentError, match=case["error"].replace("(", r"\(")):
            bind(wanted, positional, named)
        return
    args, kwargs = bind(wanted, positional, named)
    assert args == case.get("positional", [])
    assert kwargs == case.get("named", {})
    assert list(map(type, args)) == list(map(type, case.get("positional", [])))


@pytest.mark.parametrize(("positional", "named"), [("ab", {}), (5, {}), ([], [1])])
def test_arguments_of_no_shape(positional: Any, named: Any) -> None:
    with pytest.raises(ActionArgumentError, match="positional arguments are a list"):
        bind(Action("act"), positional, named)


class Lamps(ExecutionDriver, Service):
    """Lists three of its methods."""

    def __init__(self) -> None:
        super().__init__("lamps")
        self.calls: list[Any] = []
        self.error: Exception | None = None
        self.done: list[str] = []

    @action("lamps.switch", effects=("lamps",), idempotent=True, retryable=(KeyError,), maybe_done=(EOFError,))
    def switch(self, lamp: str, on: bool, after: float | None = None, *more: Value) -> dict[str, object]:
        """Switch a lamp.

        It takes a while.

        :param lamp: id of the lamp,
            as in the table
        :param on: whether it is to shine
        :returns: nothing of interest
        """
        if self.error is not None:
            raise self.error
        self.calls.append((lamp, on, after, more))
        return {"lamp": lamp, "at": {1, 2}, "calls": len(self.calls)}

    @action("lamps.count", changes=False)
    def count(self) -> int:
        """How many."""
        return len(self.calls)

    @action("lamps.program")
    def program(self, steps: list[str], note: str = "x") -> object:
        """Give it a program."""
        return [steps, note]

    def explode(self) -> None:
        """Not listed."""
        raise AssertionError

    def after_action(self, done: Action) -> None:
        self.done.append(done.name)


def test_signature_and_documentation_come_from_the_method() -> None:
    switch = {a.name: a for a in Lamps().actions()}["lamps.switch"]
    assert switch.signature == "lamps.switch(lamp: string, on: boolean, after: number?, *more: any)"
    assert switch.description == "Switch a lamp.\n\nIt takes a while."
    assert [a.description for a in switch.arguments] == [
        "id of the lamp, as in the table",
        "whether it is to shine",
        "",
        "",
    ]
    assert [a.nullable for a in switch.arguments] == [False, False, True, True]
    assert (switch.changes, switch.effects, switch.idempotent) == (True, ("lamps",), True)
    assert switch.to_dict()["signature"] == switch.signature


def test_only_listed_methods_are_actions() -> None:
    lamps = Lamps()
    assert [a.name for a in lamps.actions()] == ["lamps.count", "lamps.program", "lamps.switch"]
    for name in ("explode", "switch", "", "count.__self__.explode", None, 5):
        with pytest.raises(ActionNotFound):
            lamps.execute(name)  # type: ignore[arg-type]  # what a hostile caller sends
    assert lamps.calls == []


def test_an_overridden_method_is_listed_no_more() -> None:
    class Dark(Lamps):
        def switch(self, *args: Any) -> Any:
            raise AssertionError

    assert "lamps.switch" not in [a.name for a in Dark().actions()]


def test_execute_gives_plain_json() -> None:
    lamps = Lamps()
    assert lamps.execute("lamps.switch", ["l1"], {"on": TRUE}) == {"lamp": "l1", "at": [1, 2], "calls": 1}
    assert lamps.calls == [("l1", True, None, ())]
    assert lamps.execute("lamps.program", ['["a"]']) == [["a"], "x"]
    assert lamps.execute("lamps.count") == 1
    assert lamps.done == ["lamps.switch", "lamps.program"]


def test_the_same_execution_is_carried_out_once() -> None:
    lamps = Lamps()
    first = lamps.execute("lamps.switch", ["l1", TRUE], execution_id="e1")
    assert lamps.execute("lamps.switch", ["l1", TRUE], execution_id="e1") == first
    with context.bind(idempotency_key="e1"):
        assert lamps.execute("lamps.switch", ["l1", TRUE]) == first
    assert len(lamps.calls) == 1
    lamps.execute("lamps.switch", ["l1", TRUE], execution_id="e2")
    assert len(lamps.calls) == 2


def test_a_failed_execution_may_be_tried_again() -> None:
    lamps = Lamps()
    lamps.error = KeyError("busy")
    with pytest.raises(ActionFailed):
        lamps.execute("lamps.switch", ["l1", TRUE], execution_id="e1")
    lamps.error = None
    lamps.execute("lamps.switch", ["l1", TRUE], execution_id="e1")
    assert len(lamps.calls) == 1


def test_memory_of_executions_is_bounded() -> None:
    class Small(Lamps):
        REMEMBERED = 3

    lamps = Small()
    for number in range(10):
        lamps.execute("lamps.switch", ["l1", TRUE], execution_id=str(number))
    assert len(lamps._outcomes) == 3


@pytest.mark.parametrize(
    ("error", "retryable", "maybe_done", "retry_after"),
    [
        (KeyError("busy"), True, False, None),
        (EOFError("cut"), False, True, None),
        (ConnectionRefusedError("no"), True, False, None),
        (TimeoutError("late"), False, True, None),
        (ZeroDivisionError("bug"), False, False, None),
        (Unavailable("gone"), True, True, None),
        (RateLimited("slower", retry_after=7), True, False, 7),
        (PollError("odd"), False, False, None),
        (ActionFailed("said so", retryable=True), True, False, None),
    ],
)
def test_what_errors_mean(error: Exception, retryable: bool, maybe_done: bool, retry_after: float | None) -> None:
    lamps = Lamps()
    lamps.error = error
    with pytest.raises(ActionFailed) as failed:
        lamps.execute("lamps.switch", ["l1", TRUE])
    found = failed.value
    assert (found.retryable, found.maybe_done, found.retry_after) == (retryable, maybe_done, retry_after)
    assert lamps.done == []


def test_errors_are_cleaned() -> None:
    class Clean(Lamps):
        def clean(self, text: str) -> str:
            return text.replace("sesame", "<hidden>")

        def cause(self, error: BaseException) -> BaseException | None:
            return None

    lamps = Clean()
    for error in (RuntimeError("login with sesame failed"), ActionFailed("sesame"), PollError("sesame")):
        lamps.error = error
        with pytest.raises(ActionFailed) as failed:
            lamps.execute("lamps.switch", ["l1", TRUE])
        assert "sesame" not in str(failed.value)
        assert "<hidden>" in failed.value.message


def test_annotations_that_are_no_argument() -> None:
    with pytest.raises(TypeError, match="stands for no kind of argument"):

        @action("a")
        def odd(self: Any, x: bytes) -> None: ...

    with pytest.raises(TypeError, match=r"cannot take \*\*names"):

        @action("a")
        def open_ended(self: Any, **names: str) -> None: ...


def test_types_of_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="has type 'text'"):
        ActionArgument("a", "text")


@dataclasses.dataclass
class Resource:
    name: str

    def to_dict(self) -> dict[str, object]:
        return {"name": self.name, "self": self}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, None),
        (TRUE, True),
        (float("nan"), "nan"),
        ((1, [2.5]), [1, [2.5]]),
        ({1: "x"}, {"1": "x"}),
        (ValueError("odd"), "odd"),
    ],
)
def test_results_are_plain(result: object, expected: object) -> None:
    assert plain(result) == expected


def test_results_that_hold_themselves_end() -> None:
    assert str(plain(Resource("r"))).count("'name'") == 4


# What nobody knows


class Doors(ExecutionDriver, Service):
    """One action that can be looked after, one that cannot, and one that takes its time."""

    def __init__(self) -> None:
        super().__init__("doors")
        self.open: dict[str, bool | None] = {}
        self.fault: Exception | None = None
        self.accepted: list[Completion | None] = []

    def is_shut(self, door: str, code: str = "") -> bool | None:
        if self.fault is not None:
            raise self.fault
        found = self.open.get(door)
        return None if found is None else not found

    @action("doors.shut", secret=("code",), verify=is_shut)
    def shut(self, door: str, code: str = "") -> str:
        """Shut a door."""
        self.open[door] = False
        return "clack"

    @action("doors.knock")
    def knock(self, door: str) -> None:
        """Knock at a door."""

    @action("doors.paint", asynchronous=True)
    def paint(self, door: str) -> str:
        """Paint a door."""
        self.accepted.append(self.completion)
        if door == "missing":
            raise ActionFailed("no such door")
        return "tomorrow"


@pytest.mark.parametrize(("opened", "said"), [(False, "done"), (True, "not_done"), (None, "unknown")])
def test_verify_looks(opened: bool | None, said: str) -> None:
    doors = Doors()
    doors.open["front"] = opened
    assert doors.verify("e-1", "doors.shut", ["front"], {"code": "1234"}) == {"state": said}


def test_verify_remembers() -> None:
    doors = Doors()
    doors.execute("doors.shut", ["front"], execution_id="e-1")
    doors.execute("doors.knock", ["front"], execution_id="e-2")
    doors.open["front"] = True
    assert doors.verify("e-1", "doors.shut", ["front"]) == {"state": "done", "result": "clack"}
    assert doors.verify("e-2", "doors.knock", ["front"]) == {"state": "done", "result": None}
    assert doors.verify("e-3", "doors.shut", ["front"]) == {"state": "not_done"}


def test_verify_without_a_look_cannot_tell() -> None:
    assert Doors().verify("e-1", "doors.knock", ["front"]) == {"state": "unknown"}


def test_verify_refuses_what_execute_refuses() -> None:
    doors = Doors()
    with pytest.raises(ActionNotFound):
        doors.verify("e-1", "is_shut", ["front"])
    with pytest.raises(ActionArgumentError):
        doors.verify("e-1", "doors.shut")


def test_verify_that_fails_says_so() -> None:
    doors = Doors()
    doors.fault = ConnectionError("no way there")
    with pytest.raises(ActionFailed, match="no way there") as caught:
        doors.verify("e-1", "doors.shut", ["front"])
    assert caught.value.retryable


def test_asynchronous_action_has_what_it_takes_to_tell_the_outcome() -> None:
    doors = Doors()
    assert doors.execute("doors.paint", ["front"], execution_id="e-1", completion_token="t-1") == "tomorrow"
    with pytest.raises(ActionFailed):
        doors.execute("doors.paint", ["missing"], execution_id="e-2", completion_token="t-2")
    assert doors.accepted == [Completion("e-1", "t-1"), Completion("e-2", "t-2")]
    assert doors.completion is None
    assert "t-1" not in repr(doors.accepted)
    assert doors.verify("e-1", "doors.paint", ["front"]) == {"state": "unknown"}  # it was accepted, not done


@pytest.mark.parametrize("given", [{}, {"execution_id": "e-1"}, {"completion_token": "t-1"}])
def test_asynchronous_action_wants_a_token(given: dict[str, str]) -> None:
    doors = Doors()
    with pytest.raises(ActionFailed, match="completion token") as caught:
        doors.execute("doors.paint", ["front"], **given)
    assert not caught.value.maybe_done
    assert doors.accepted == []


def test_what_is_secret_and_asynchronous_is_told() -> None:
    told = {item.name: item for item in Doors().actions()}
    assert [argument.secret for argument in told["doors.shut"].arguments] == [False, True]
    assert {name: item.asynchronous for name, item in told.items()} == {
        "doors.shut": False,
        "doors.knock": False,
        "doors.paint": True,
    }
    shown: Any = told["doors.shut"].to_dict()["arguments"]
    assert [argument["secret"] for argument in shown] == [False, True]


def test_a_secret_must_be_an_argument() -> None:
    def turn(driver: Doors, door: str) -> None:
        """Turn it."""

    with pytest.raises(TypeError, match="'key' is to be secret"):
        action("doors.turn", secret=("key",))(turn)
