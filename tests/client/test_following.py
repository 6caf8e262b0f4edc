# SPDX-License-Identifier: Apache-2.0
"""Streams: how their bytes become events, and what happens when the connection breaks."""

import json
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.client import Connection, Copies, Delta, Gone, NotFound, Snapshot, Unreachable, connect
from congress.client.errors import Broken
from congress.client.following import EventReader, event_of
from tests.client.scripted import answer, scripted, stream

TEXT = (
    "retry: 40\n\n: still here\n\n"
    'event: snapshot\nid: e.1\ndata: {"table": "p:t", "rows": [["ä", 1]]}\n\n'
    'event: delta\r\nid: e.2\r\ndata: {"table": "p:t", "insertions": [],\r\ndata: "retractions": [["ä", 1]]}\r\n\r\n'
    'event: gone\ndata: {"service": "nova"}\n\n'
)


@given(cuts=st.lists(st.integers(0, len(TEXT.encode()))))
def test_events_come_out_whole_however_their_bytes_are_cut(cuts: list[int]) -> None:
    data = TEXT.encode()
    reader = EventReader()
    edges = [0, *sorted(cuts), len(data)]
    found = [event for start, end in pairwise(edges) for event in reader.feed(data[start:end])]
    assert [(name, event_id) for name, event_id, _ in found] == [("snapshot", "e.1"), ("delta", "e.2"), ("gone", "e.2")]
    assert json.loads(found[1][2]) == {"table": "p:t", "insertions": [], "retractions": [["ä", 1]]}
    assert reader.retry == 0.04


def test_an_event_of_a_kind_that_is_not_known_is_passed_over() -> None:
    assert event_of("weather", "", {"table": "p:t"}) is None
    assert event_of("gone", "", {"service": "nova"}) == Gone("nova")


def test_a_copy_tells_what_changed_after_an_interruption() -> None:
    copies = Copies()
    assert copies.apply(Snapshot("p:t", (("a",), (True,)))).insertions == (("a",), (True,))
    delta = copies.apply(Delta("p:t", ((1,),), (("a",),), {}))
    assert (delta.insertions, delta.retractions) == (((1,),), (("a",),))
    assert set(map(repr, copies.rows("p:t"))) == {"(True,)", "(1,)"}  # two rows, though True == 1 in Python
    delta = copies.apply(Snapshot("p:t", ((1,), ("b",))))
    assert (delta.insertions, delta.retractions) == ((("b",),), ((True,),))
    assert copies.apply(Snapshot("p:t", ((1,), ("b",)))) == Delta("p:t", (), (), {})


SNAPSHOT = 'retry: 10\n\nevent: snapshot\nid: e.1\ndata: {"table": "p:t", "rows": []}\n\n'
CHANGE = 'event: delta\nid: e.2\ndata: {"table": "p:t", "insertions": [["x"]], "retractions": []}\n\n'


def test_a_broken_stream_goes_on_where_it_was() -> None:
    busy = answer('{"error": {"message": "All streams are in use.", "error_code": 503}}', "503 Service Unavailable")
    with scripted(stream(SNAPSHOT), busy, stream(CHANGE)) as server, connect(server.url).follow("p:t") as events:
        first, second = islice(events, 2)
    assert (first, second) == (Snapshot("p:t", (), "e.1"), Delta("p:t", (("x",),), (), {}, "e.2"))
    assert server.requests[0].startswith("GET /v1/stream?table=p%3At ")
    assert "last-event-id" not in server.requests[0].lower()
    assert "last-event-id: e.1" in server.requests[2].lower()


def test_a_table_that_went_meanwhile_ends_the_stream() -> None:
    missing = answer('{"error": {"message": "gone", "error_code": 404}}', "404 Not Found")
    with scripted(stream(SNAPSHOT), missing) as server, connect(server.url).follow("p:t") as events:
        reading = iter(events)
        assert isinstance(next(reading), Snapshot)
        with pytest.raises(NotFound, match="gone"):
            next(reading)


def test_without_reconnecting_a_break_is_an_error() -> None:
    with scripted(stream(SNAPSHOT)) as server, connect(server.url).follow("p:t", reconnect=False) as events:
        reading = iter(events)
        assert isinstance(next(reading), Snapshot)
        with pytest.raises(Broken, match="broke"):
            next(reading)


def test_the_first_connection_must_succeed() -> None:
    with pytest.raises(Unreachable):
        next(iter(connect("http://127.0.0.1:9").follow("p:t")))


def test_changes_come_from_a_real_server(cloud: Connection) -> None:
    cloud.cloud_services.create("followed", "push", config={"tables": {"t": ["x", "y"]}})
    cloud.policies.create("followers", rules=["p(x) :- followed:t(x, true)"])
    with cloud.follow(policies=["followers"], services=["followed"]) as events:
        reading = iter(events)
        assert {event.table for event in islice(reading, 2)} == {"followers:p", "followed:t"}  # type: ignore[union-attr]
        cloud.rows.change("followed:t", insert=[["a", True], {"x": "b", "y": 1}])
        deltas = {event.table: event.insertions for event in islice(reading, 2)}  # type: ignore[union-attr]
    assert deltas["followers:p"] == (("a",),)
    assert sorted(deltas["followed:t"]) == [("a", True), ("b", 1)]
