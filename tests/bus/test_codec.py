# SPDX-License-Identifier: Apache-2.0
"""What crosses between processes stays what it was."""

import enum
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.bus import codec, messages, parcels
from congress.bus.codec import dumps, loads, pack, portable, unpack
from congress.bus.errors import BusError, NotFound, NotPortable, PeerLost, RemoteError
from congress.bus.messages import Presence, Reply, Request
from congress.bus.stream import Ack, Frame, Piece, Tip, Want
from congress.datalog.schema import TableSchema
from congress.datalog.values import FALSE, TRUE
from tests.bus.services import Point, Refused
from tests.bus.test_calls import kinds

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.sampled_from([TRUE, FALSE]),
)
KEYS = st.one_of(st.text(), st.integers(), st.sampled_from(["!", TRUE]), st.tuples(st.integers(), st.text()))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(KEYS, inner),
        st.builds(Point, st.integers(), st.lists(st.integers()).map(tuple)),
    ),
    max_leaves=20,
)
ROW_VALUES = st.one_of(
    st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(codec=None)),
    st.sampled_from([TRUE, FALSE]),
)  # fmt: skip
ROWS = st.lists(st.tuples(ROW_VALUES, ROW_VALUES))


def over(value: Any) -> Any:
    return unpack(loads(dumps(pack(value))))


@given(VALUES)
def test_values_stay_what_they_are(value: Any) -> None:
    assert over(value) == value
    assert kinds(over(value)) == kinds(value)


@given(ROWS, ROWS)
def test_rows_stay_what_they_are(insertions: list[Any], retractions: list[Any]) -> None:
    frame = Frame(
        "p", "s", "e", 1, 2, 3, 4, True, False, [Piece("t", False, insertions, retractions)], {"poll_id": "p"}
    )
    (item,) = parcels.unwrap(parcels.wrap([messages.encode(frame)]))
    read = messages.decode(item)
    assert read == frame
    assert isinstance(read, Frame)
    assert kinds(list(read.pieces[0].insertions)) == kinds(insertions)


def test_not_a_number_and_infinities() -> None:
    assert math.isnan(over([float("nan")])[0])
    assert over((float("inf"), [(float("-inf"),)])) == (float("inf"), [(float("-inf"),)])


class Color(enum.StrEnum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


class Level(enum.IntEnum):
    HIGH = 3


def test_of_enumerations_and_named_tuples_the_value_travels() -> None:
    assert kinds(over([Color.RED, Level.HIGH, Pair(1, "x")])) == kinds(["red", 3, (1, "x")])
    assert over({"a": Mapping}.keys() and {Color.RED: 1}) == {"red": 1}


def test_schemas_travel() -> None:
    schema = {"servers": TableSchema.of("id", "name")}
    assert over(schema) == schema


@pytest.mark.parametrize(
    "value", [object(), [object()], {"a": lambda: 1}, {1: {2: object()}}, range(3), 1j, (object(),)]
)
def test_what_cannot_travel_says_so(value: Any) -> None:
    with pytest.raises(NotPortable, match="cannot travel"):
        pack(value)


def test_rows_that_are_no_rows_say_so() -> None:
    for row in ((object(),), (2**80, object())):
        frame = Frame("p", "s", "e", 1, 1, 1, 1, True, False, [Piece("t", True, [row])])
        with pytest.raises(NotPortable):
            messages.encode(frame)


def test_errors_travel_with_all_they_hold() -> None:
    refused = over(Refused("no", 7))
    assert (type(refused), refused.args, refused.reason, refused.code) == (Refused, ("no", 7), "no", 7)
    lost = over(PeerLost("gone"))
    assert isinstance(lost, PeerLost)
    assert str(lost) == "gone"
    remote = over(RemoteError("KeyError", "x"))
    assert (remote.error_type, remote.error_text, str(remote)) == ("KeyError", "x", "KeyError: x")
    assert str(NotFound()) == "No such service, or no such exposed method, is on the bus."
    assert str(over(BusError())) == "The bus could not do what was asked."


def test_an_error_whose_class_is_not_known_here_becomes_a_remote_error() -> None:
    @portable
    class Elsewhere(Exception):
        pass

    packed = pack(Elsewhere("gone wrong"))
    packed["c"] = "third.party:Elsewhere"
    error = unpack(packed)
    assert isinstance(error, RemoteError)
    assert (error.error_type, error.error_text) == ("Elsewhere", "gone wrong")


def test_other_modules_are_never_imported() -> None:
    with pytest.raises(NotPortable, match="this process has no portable class antigravity:x"):
        unpack({"!": "c", "c": "antigravity:x", "v": {}})
    with pytest.raises(NotPortable):
        unpack({"!": "c", "c": "congress.bus.stream:Inflow", "v": {}})


def test_only_dataclasses_and_errors_are_made_portable() -> None:
    with pytest.raises(TypeError, match="neither a dataclass nor an exception"):
        portable(dict)
    assert codec.is_portable(Point)
    assert not codec.is_portable(dict)


@pytest.mark.parametrize(
    "message",
    [
        Request("i", "k", "s", "n", "t", "m", {"a": (1, TRUE)}, 1.5, False, {"request_id": "r"}),
        Reply("i", [(1, "x")], None),
        Presence("n", 3, {"x": "i"}, {("p", "s"): ("i", 1, 2)}, True, False),
        Want("p", "s", "i", "n", 1, 2, {"a": 1, "b": 2}),
        Tip("p", "s", 1, -1),
        Ack("p", "s", "i", 1, 9),
        messages.Wake(),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_stay_what_they_are(message: messages.Message) -> None:
    (item,) = parcels.unwrap(parcels.wrap([messages.encode(message)]))
    assert messages.decode(item) == message


class Collected:
    """A receiver's end."""

    def __init__(self) -> None:
        self.messages: list[messages.Message] = []
        self.receiver = parcels.Receiver(lambda message, remote: self.messages.append(message))


def test_parcels_hold_many_and_large_ones_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "PART", 1000)
    replies = [Reply(str(number), ["\ud800", 2**70, "x" * number]) for number in range(300)]
    body = parcels.wrap([messages.encode(reply) for reply in replies])
    end = Collected()
    end.receiver.parcel(body)
    assert end.messages == replies
    end.messages.clear()
    pieces = list(parcels.parts("n", body))
    assert len(pieces) >= 3
    for piece in reversed(pieces):
        end.receiver.part(**piece)
    assert end.messages == replies


def test_parts_that_never_become_whole_are_dropped() -> None:
    end = Collected()
    for number in range(100):
        end.receiver.part(str(number), 0, 2, "x")
    assert len(end.receiver._parts) <= parcels.Receiver.INCOMPLETE


def test_what_cannot_be_read_does_not_keep_the_rest_from_being_read() -> None:
    good = messages.encode(Reply("i", 1))
    end = Collected()
    end.receiver.parcel(parcels.wrap([b'["of a newer version",1]', good, b'["reply"]', b"7", good]))
    assert [message for message in end.messages if message == Reply("i", 1)] == [Reply("i", 1)] * 2
    for garbage in ("", "nonsense", "z!!", "zAAAA", "{}", "7"):
        end.receiver.parcel(garbage)
