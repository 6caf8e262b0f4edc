# SPDX-License-Identifier: Apache-2.0
"""What the store of executions promises, on every database."""

import json
import math
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congress.datalog.values import FALSE, LARGEST, SMALLEST, TRUE
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import Conflict, DbError, OutcomeUnknown, RecordNotFound, Stale, Unstorable
from congress.db.models import execution_events, executions
from congress.db.records import new_id
from congress.executions import store as module
from congress.executions.model import Call, Event, Execution, Origin
from congress.executions.states import OPEN, TERMINAL, Reason, State, Trigger
from congress.executions.store import ExecutionFilter, ExecutionStore
from tests.executions.some import NOW, event, finished, first, wanted


@pytest.fixture
def store(database: Database, cipher: Cipher) -> ExecutionStore:
    return ExecutionStore(database, cipher)


def everything(store: ExecutionStore) -> dict[str, tuple[Execution, list[Event]]]:
    return {execution.id: (execution, trail) for execution, trail in store.export()}


def ids(found: list[Execution]) -> list[str]:
    return [execution.id for execution in found]


# What goes in comes out


def _one_code_point_each(text: str) -> bool:
    """JSON takes a high surrogate before a low one for the character that the two mean in UTF-16."""
    return not any("\ud800" <= a <= "\udbff" and "\udc00" <= b <= "\udfff" for a, b in pairwise(text))


TEXTS = st.text(st.characters(exclude_categories=())).filter(_one_code_point_each)
SCALARS = (
    st.none()
    | st.integers(SMALLEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(["\x00", "a\x00b\ud800", "\\u0000", "\\", "\U0001f511", "'\"", "%s", ":x"])
)
VALUES = SCALARS | st.sampled_from([TRUE, FALSE])
JSON = st.recursive(
    SCALARS | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
ARGUMENTS = VALUES | st.lists(JSON, max_size=3) | st.dictionaries(TEXTS, JSON, max_size=3)
MOMENTS = st.floats(0, 4e9)
MAYBE = st.none() | MOMENTS
ROWS = st.lists(VALUES, max_size=4).map(tuple)

CALLS: st.SearchStrategy[Call] = st.builds(
    Call,
    TEXTS,
    TEXTS | st.text("a", min_size=250, max_size=400),
    st.lists(ARGUMENTS, max_size=3).map(tuple),
    st.dictionaries(TEXTS, ARGUMENTS, max_size=3),
    st.frozensets(st.sampled_from(["0", "1", "x"])),
)
ORIGINS = st.builds(
    Origin,
    TEXTS,
    TEXTS,
    ROWS,
    st.lists(TEXTS, max_size=2).map(tuple),
    st.none() | st.dictionaries(TEXTS, JSON, max_size=3),
    TEXTS,
    st.sampled_from(["rows", "request"]),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
    st.lists(TEXTS, max_size=2).map(tuple),
    st.integers(0, 10**9),
)
EXECUTIONS = st.builds(
    Execution,
    st.uuids().map(str),
    CALLS,
    ORIGINS,
    st.text("0123456789abcdef", min_size=32, max_size=32),
    MOMENTS,
    MOMENTS,
    state=st.sampled_from(State),
    reason=st.none() | st.sampled_from(Reason),
    detail=TEXTS,
    trigger=st.sampled_from(Trigger),
    set_id=st.none() | st.uuids().map(str),
    attempts=st.integers(0, 2**31 - 1),
    not_before=MAYBE,
    deadline=MAYBE,
    approved_at=MAYBE,
    approved_by=TEXTS,
    started_at=MAYBE,
    finished_at=MAYBE,
    token_hash=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    result=JSON,
    error=st.none() | TEXTS,
    version=st.integers(0, 2**31 - 2),
)


def typed(value: Any) -> Any:
    """A value that equals only what is the same in kind as well, so that 1 is neither 1.0 nor true."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(inner) for inner in value]
    return type(value), value, math.copysign(1, value) if isinstance(value, float) else 0


def same(one: Execution, other: Execution) -> None:
    assert one == other
    assert typed(one.call.positional) == typed(other.call.positional)
    assert typed(dict(one.call.named)) == typed(dict(other.call.named))
    assert typed(one.origin.row) == typed(other.origin.row)
    assert typed(one.origin.proof) == typed(other.origin.proof)
    assert typed(one.result) == typed(other.result)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(EXECUTIONS, min_size=1, max_size=4), st.data())
def test_executions_come_back_exactly(database: Database, cipher: Cipher, some: list[Execution], data: Any) -> None:
    store = ExecutionStore(database, cipher)
    # What a service says is kept masked where there are secrets; that has a test of its own.
    some = [replace(e, detail="", error=None, result=None) if e.call.secret else e for e in some]
    some = [replace(e, id=new_id()) for e in some]  # the database remembers those of the examples before
    store.add(some, first(some))
    for execution in some:
        same(store.get(execution.id), execution)
    later = [
        replace(data.draw(EXECUTIONS), id=old.id, call=old.call, origin=old.origin, digest=old.digest,
                created_at=old.created_at, version=old.version + 1)
        for old in some
    ]  # fmt: skip
    later = [replace(e, detail="", error=None, result=None) if e.call.secret else e for e in later]
    store.change(later, [event(e, 2, State.APPROVED) for e in later])
    for execution in later:
        same(store.get(execution.id), execution)
        assert execution.id in ids(store.find(ExecutionFilter(policy=execution.origin.policy), 10_000))
        named = ExecutionFilter(service=execution.call.service, action=execution.call.action)
        assert execution.id in ids(store.find(named, 10_000))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(MOMENTS, st.none() | st.sampled_from(State), st.sampled_from(State), TEXTS,
                  st.none() | st.sampled_from(Reason), TEXTS),
        min_size=1, max_size=4,
    )
)  # fmt: skip
def test_trails_come_back_exactly(database: Database, cipher: Cipher, lines: list[Any]) -> None:
    store, execution = ExecutionStore(database, cipher), wanted()
    trail = [Event(execution.id, number, *line) for number, line in enumerate(lines, 1)]
    store.add([execution], random.Random(1).sample(trail, len(trail)))
    assert store.events(execution.id) == trail
    assert store.trails([execution.id, "none"]) == {execution.id: trail, "none": []}
    assert store.lengths([execution.id, "none"]) == {execution.id: len(trail), "none": 0}


def test_the_origin_may_be_told_anew(store: ExecutionStore) -> None:
    execution = wanted()
    store.add([execution], first([execution]))
    origin = replace(execution.origin, rules=("rule-2",), cause="rules")
    changed = replace(execution, origin=origin, version=1)
    store.change([changed], [])
    assert store.get(execution.id) == changed


@pytest.mark.parametrize("result", [object(), {1, 2}, {("a", "b"): 1}])
def test_an_outcome_is_never_lost_over_an_odd_result(store: ExecutionStore, result: object) -> None:
    execution = wanted(state=State.SUCCEEDED, result=result)
    store.add([execution], first([execution]))
    kept = store.get(execution.id)
    assert kept.state is State.SUCCEEDED
    assert isinstance(kept.result, str)


def test_arguments_that_are_not_json_are_refused(store: ExecutionStore) -> None:
    good, odd = wanted(1), wanted(2, call=Call("nova", "x", (object(),)))  # type: ignore[arg-type]
    with pytest.raises(Unstorable, match="not JSON"):
        store.add([good, odd], first([good, odd]))
    assert everything(store) == {}


# One transaction, over the version before only


def test_a_batch_is_all_or_nothing(store: ExecutionStore) -> None:
    known, fresh = wanted(1), wanted(2)
    store.add([known], first([known]))
    moved = known.moved(State.QUEUED, NOW)
    for broken in (
        [event(fresh), event(moved, 1, State.APPROVED)],  # the number is taken
        [event(fresh), event(fresh)],
    ):
        with pytest.raises(Conflict):
            store.write([fresh], [moved], broken)
        assert everything(store) == {known.id: (known, first([known]))}
    store.write([fresh], [moved], [event(fresh), event(moved, 2, State.APPROVED)])
    assert everything(store) == {
        known.id: (moved, [event(known), event(moved, 2, State.APPROVED)]),
        fresh.id: (fresh, [event(fresh)]),
    }


def test_a_change_is_written_over_the_version_before_only(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(5)]
    store.add(some, first(some))
    moved = [execution.moved(State.QUEUED, NOW) for execution in some]
    store.change(moved[:2], [])
    cancelled = [execution.moved(State.CANCELLED, NOW + 1) for execution in some]
    fresh = wanted(9)
    with pytest.raises(Stale) as caught:
        store.write([fresh], cancelled, [event(fresh), *(event(e, 2, State.APPROVED) for e in cancelled)])
    assert sorted(caught.value.ids) == sorted(ids(some[:2]))
    assert {id_: execution for id_, (execution, _) in everything(store).items()} == {
        execution.id: execution for execution in (*moved[:2], *some[2:])
    }


def test_what_is_gone_is_stale(store: ExecutionStore) -> None:
    with pytest.raises(Stale, match="gone"):
        store.change([wanted(version=3)], [])


def test_adding_again_changes_nothing(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(3)]
    store.add(some[:2], first(some[:2]))
    moved = some[0].moved(State.QUEUED, NOW)
    store.change([moved], [event(moved, 2, State.APPROVED)])
    store.add(some, first(some))
    assert ids(store.open()) == ids(some)
    assert store.get(some[0].id) == moved
    assert [len(store.events(execution.id)) for execution in some] == [2, 1, 1]


def test_a_repeated_write_knows_its_own_work(store: ExecutionStore) -> None:
    known, fresh = wanted(1), wanted(2, call=Call("s", "a", ("hunter22",), {}, frozenset("0")))
    store.add([known], first([known]))
    moved = known.moved(State.QUEUED, NOW, Reason.STALE, "\\ \x00")
    for _ in range(3):
        store.write([fresh], [moved], [event(fresh), event(moved, 2, State.APPROVED)])
        assert everything(store) == {
            known.id: (moved, [event(known), event(moved, 2, State.APPROVED)]),
            fresh.id: (fresh, [event(fresh)]),
        }
    # The same version from somebody else is no work of its own, nor is one with another trail.
    other = known.moved(State.CANCELLED, NOW)
    with pytest.raises(Stale):
        store.change([other], [event(other, 2, State.APPROVED)])
    with pytest.raises(Stale):
        store.change([moved], [event(moved, 3, State.APPROVED)])


def test_a_secret_change_knows_itself_too(store: ExecutionStore) -> None:
    known = wanted(call=Call("s", "a", ("hunter22",), {}, frozenset("0")))
    store.add([known], first([known]))
    moved = known.moved(State.QUEUED, NOW, detail="hunter22", error="hunter22")
    for _ in range(2):
        store.change([moved], [event(moved, 2, State.APPROVED)])
    assert store.get(known.id) == replace(moved, detail="***", error="***")


def test_an_event_of_another_execution_is_a_mistake(store: ExecutionStore) -> None:
    with pytest.raises(ValueError, match="event"):
        store.add([wanted(1)], [event(wanted(2))])


def test_nothing_is_written_at_no_cost(store: ExecutionStore) -> None:
    store.write([], [], [])
    store.add([], [])
    assert everything(store) == {}


@pytest.mark.parametrize("arrived", [False, True], ids=["not committed", "committed"])
def test_a_connection_lost_in_the_commit_is_settled(
    store: ExecutionStore, database: Database, arrived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, fresh = wanted(1), wanted(2)
    store.add([known], first([known]))
    moved = known.moved(State.QUEUED, NOW)
    dialect = database.engine.dialect
    commit = dialect.do_commit
    breaks = []

    def lose(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", commit)
        breaks.append(1)
        if arrived:
            commit(connection)
        else:
            connection.rollback()
        raise dialect.dbapi.OperationalError("gone")  # type: ignore[union-attr]

    # Whatever the driver calls a lost connection: what follows is the same for all of them.
    monkeypatch.setattr(dialect, "is_disconnect", lambda error, *_: "gone" in str(error))
    monkeypatch.setattr(dialect, "do_commit", lose)
    store.write([fresh], [moved], [event(fresh), event(moved, 2, State.APPROVED)])
    assert breaks == [1]
    assert everything(store) == {
        known.id: (moved, [event(known), event(moved, 2, State.APPROVED)]),
        fresh.id: (fresh, [event(fresh)]),
    }


def test_a_caller_may_repeat_after_an_unknown_outcome(
    store: ExecutionStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = wanted(1)
    store.add([known], first([known]))
    moved = known.moved(State.QUEUED, NOW)
    run = database.run

    def lose(work: Any, done: Any = None) -> Any:
        run(work, done)
        raise OutcomeUnknown

    monkeypatch.setattr(database, "run", lose)
    with pytest.raises(OutcomeUnknown):
        store.change([moved], [event(moved, 2, State.APPROVED)])
    monkeypatch.setattr(database, "run", run)
    store.change([moved], [event(moved, 2, State.APPROVED)])
    assert everything(store) == {known.id: (moved, [event(known), event(moved, 2, State.APPROVED)])}


def at_once(*calls: Any) -> list[str]:
    """Call all of them at the same time; what each came to."""
    gate, outcomes = threading.Barrier(len(calls)), []

    def run(call: Any) -> None:
        gate.wait()
        try:
            call()
            outcomes.append("done")
        except (DbError, AssertionError) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_of_writers_of_one_version_one_wins(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(40)]
    store.add(some, first(some))

    def change(number: int) -> None:
        moved = [replace(e.moved(State.QUEUED, NOW), detail=f"writer {number}") for e in some]
        store.change(random.Random(number).sample(moved, len(moved)), [event(e, 2, State.APPROVED) for e in moved])

    assert at_once(*(lambda n=n: change(n) for n in range(5))) == ["Stale"] * 4 + ["done"]
    assert len({execution.detail for execution in store.open()}) == 1
    assert store.lengths(ids(some)) == dict.fromkeys(ids(some), 2)


def test_the_same_added_by_several_at_once_is_there_once(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(20)]
    assert at_once(*(lambda: store.add(some, first(some)) for _ in range(4))) == ["done"] * 4
    assert ids(store.open()) == ids(some)
    assert store.lengths(ids(some)) == dict.fromkeys(ids(some), 1)


def test_large_batches(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(1203)]
    store.add(some, first(some))
    moved = [execution.moved(State.QUEUED, NOW) for execution in some]
    store.change(moved, [event(execution, 2, State.APPROVED) for execution in moved])
    store.change(moved, [event(execution, 2, State.APPROVED) for execution in moved])
    assert store.open() == moved
    assert sum(map(len, store.trails(ids(some)).values())) == 2406
    with pytest.raises(Stale) as caught:
        store.change([replace(moved[1100], version=9), *moved[:600]], [])
    assert len(caught.value.ids) == 601


# Reading


def test_open_triggers_and_since(store: ExecutionStore) -> None:
    all_kinds = [
        wanted(number, state=state, trigger=trigger, approved_at=approved)
        for number, (state, trigger, approved) in enumerate(
            (s, t, a) for s in State for t in Trigger for a in (None, NOW, NOW + 1)
        )
    ]
    store.add(all_kinds, first(all_kinds))
    assert store.open() == [e for e in all_kinds if not e.state.terminal]
    assert store.triggers() == [e for e in all_kinds if e.trigger in (Trigger.LIVE, Trigger.SUSPENDED)]
    assert {e.id for e in all_kinds if e.approved_at is not None} <= {e.id for e, _ in store.since(NOW)}
    assert list(store.since(NOW + 0.5)) == [(e, first([e])) for e in all_kinds if e.approved_at == NOW + 1]
    assert store.count() == dict.fromkeys(State, 12)
    assert store.count(ExecutionFilter(states=[State.FAILED], until=NOW)) == dict.fromkeys(State, 0)


def test_what_is_not_there(store: ExecutionStore) -> None:
    for name in ("none", "\x00", "\ud800", "a" * 500):
        with pytest.raises(RecordNotFound):
            store.get(name)
        with pytest.raises(RecordNotFound):
            store.find(after=name)
    assert store.events("none") == []
    assert store.find() == []
    assert store.count() == dict.fromkeys(State, 0)


def test_filters(store: ExecutionStore) -> None:
    chance = random.Random(3)
    some = []
    for number in range(120):
        call = Call(
            chance.choice(["nova", "Nova", "nova ", "x" * 300]), chance.choice(["a", "b", "\x00"]), (number % 7,)
        )
        origin = Origin(chance.choice(["", "p", "q"]))
        some.append(
            replace(
                wanted(number),
                call=call,
                origin=origin,
                digest=f"{number % 7}",
                state=chance.choice(list(State)),
                reason=chance.choice([None, *Reason]),
                set_id=chance.choice([None, "s1", "s2"]),
                created_at=NOW + number,
            )
        )
    store.add(some, first(some))
    cases: list[tuple[ExecutionFilter, Any]] = [
        (ExecutionFilter(), lambda e: True),
        (ExecutionFilter(states=OPEN), lambda e: not e.state.terminal),
        (ExecutionFilter(states=[State.HELD]), lambda e: e.state is State.HELD),
        (ExecutionFilter(states=[]), lambda e: False),
        (ExecutionFilter(reasons=[Reason.STALE, Reason.ERROR]), lambda e: e.reason in (Reason.STALE, Reason.ERROR)),
        (ExecutionFilter(policy="p"), lambda e: e.origin.policy == "p"),
        (ExecutionFilter(policy=""), lambda e: e.origin.policy == ""),
        (ExecutionFilter(service="nova"), lambda e: e.call.service == "nova"),
        (ExecutionFilter(service="nova "), lambda e: e.call.service == "nova "),
        (ExecutionFilter(service="x" * 300, action="\x00"), lambda e: e.call.name == "x" * 300 + ":\x00"),
        (ExecutionFilter(set_id="s1"), lambda e: e.set_id == "s1"),
        (ExecutionFilter(set_id="\x00"), lambda e: False),
        (ExecutionFilter(digest="3"), lambda e: e.digest == "3"),
        (ExecutionFilter(since=NOW + 20, until=NOW + 50), lambda e: NOW + 20 <= e.created_at < NOW + 50),
        (
            ExecutionFilter(states=TERMINAL, policy="q", since=NOW + 10),
            lambda e: e.state.terminal and e.origin.policy == "q" and e.created_at >= NOW + 10,
        ),
    ]
    for filters, fits in cases:
        expected = [e for e in reversed(some) if fits(e)]
        assert store.find(filters, 1000) == expected, filters
        assert [e for e, _ in store.export(filters)] == expected[::-1], filters
        assert sum(store.count(filters).values()) == len(expected), filters


def pages(store: ExecutionStore, limit: int, between: Any = lambda: None) -> Iterator[Execution]:
    after, seen = None, set[str | None]()
    while page := store.find(limit=limit, after=after):
        assert after not in seen, "the same page again"
        seen.add(after)
        yield from page
        after = page[-1].id
        between()


@pytest.mark.parametrize("limit", [1, 7, 50, 51])
def test_pages_while_rows_come_and_change(store: ExecutionStore, limit: int) -> None:
    some = [wanted(number) for number in range(50)]
    store.add(some, first(some))

    def disturb() -> None:
        fresh = wanted(99)
        store.add([fresh], first([fresh]))
        oldest = next(iter(store.open()))
        store.change([oldest.moved(State.QUEUED, NOW)] if oldest.version == 0 else [], [])

    assert ids(list(pages(store, limit, disturb))) == ids(some[::-1])


def test_pages_of_the_oldest_first(store: ExecutionStore) -> None:
    some = [wanted(number) for number in range(7)]
    store.add(some, first(some))
    seen: list[Execution] = []
    while page := store.find(limit=3, after=seen[-1].id if seen else None, oldest_first=True):
        seen += page
    assert ids(seen) == ids(some)


def test_export_is_in_pages(store: ExecutionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 10)
    some = [wanted(number) for number in range(35)]
    store.add(some, first(some))
    late = [wanted(number) for number in range(100, 105)]
    found = []
    for execution, trail in store.export():
        assert trail == first([execution])
        found.append(execution)
        if len(found) == 10:
            store.add(late, first(late))
    assert ids(found) == ids([*some, *late])
    read = 0
    select = store._database.read

    def counting() -> Any:
        nonlocal read
        read += 1
        return select()

    monkeypatch.setattr(store._database, "read", counting)
    exported = store.export()
    for _ in range(10):
        next(exported)
    assert read == 1


# Retention


def test_prune(store: ExecutionStore, database: Database) -> None:
    kinds = [
        finished(number, at, trigger, state)
        for number, (at, trigger, state) in enumerate((a, t, s) for a in (NOW, NOW + 9) for t in Trigger for s in State)
    ]
    store.add(kinds, first(kinds))
    gone = [
        e for e in kinds
        if e.finished_at == NOW and e.state.terminal and e.trigger in (Trigger.NONE, Trigger.ENDED)
    ]  # fmt: skip
    assert store.prune(NOW) == 0
    assert store.prune(NOW + 1) == len(gone) == 8
    assert ids([e for e, _ in store.export()]) == [e.id for e in kinds if e not in gone]
    with database.read() as connection:
        left = set(connection.execute(sa.select(execution_events.c.execution_id)).scalars())
    assert left == {e.id for e in kinds if e not in gone}
    assert store.prune(NOW + 1) == 0


def test_prune_goes_by_what_became_of_an_execution(store: ExecutionStore) -> None:
    """The time of its last change stands in where no end was noted; retried or live again, it stays."""
    some = [replace(finished(number, NOW), finished_at=None) for number in range(4)]
    store.add(some, first(some))
    failed = replace(some[0], state=State.FAILED, version=1)
    store.change([failed, replace(some[1], trigger=Trigger.LIVE, version=1)], [])
    store.change([failed.moved(State.APPROVED, NOW), replace(some[2], updated_at=NOW + 9, version=1)], [])
    assert store.prune(NOW + 1) == 1
    assert ids(store.find())[::-1] == ids(some[:3])


def test_prune_in_batches(store: ExecutionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 10)
    some = [finished(number, NOW + number) for number in range(45)]
    store.add(some, first(some))
    assert store.prune(NOW + 40) == 40
    assert ids(store.find())[::-1] == ids(some[40:])


@pytest.mark.parametrize("keep", [0, 1, 5, 12, 20, 30])
def test_prune_to_a_number(store: ExecutionStore, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    # Many end at the very same moment: whole batches do.
    some = [finished(number, NOW + number // 8) for number in range(20)]
    rest = [wanted(50), finished(51, NOW - 99, Trigger.LIVE)]
    store.add([*some, *rest], first([*some, *rest]))
    assert store.prune(NOW - 100, keep) == max(0, 20 - keep)
    assert ids(store.find())[::-1] == ids([*some[20 - min(keep, 20) :], *rest])


def test_what_is_tried_again_while_pruning_stays(store: ExecutionStore, database: Database) -> None:
    """One finds it finished; before it deletes, somebody else has it tried again."""
    if database.dialect == "sqlite":
        pytest.skip("writers take turns there")
    execution = finished(1, NOW, state=State.FAILED)
    store.add([execution], first([execution]))
    again = execution.moved(State.APPROVED, NOW + 2)
    pruned = []
    with database.begin() as connection:
        update = executions.update().where(executions.c.id == execution.id)
        connection.execute(update.values(state="approved", settled_at=None, version=1, updated_at=NOW + 2))
        thread = threading.Thread(target=lambda: pruned.append(store.prune(NOW + 1)))
        thread.start()
        thread.join(0.5)  # it waits for the row
    thread.join()
    assert pruned == [0]
    assert store.get(execution.id).state is again.state


# Speed: the questions that are asked of large tables are answered from an index


QUESTIONS = {
    "open": lambda s: s.open(),
    "triggers": lambda s: s.triggers(),
    "since": lambda s: list(s.since(NOW)),
    "get": lambda s: s.get("none"),
    "of a set": lambda s: s.find(ExecutionFilter(set_id="s")),
    "of a digest": lambda s: s.find(ExecutionFilter(digest="s")),
    "of a policy": lambda s: s.find(ExecutionFilter(policy="s")),
    "of a service": lambda s: s.find(ExecutionFilter(service="s")),
    "of a time": lambda s: s.find(ExecutionFilter(since=NOW, until=NOW + 1)),
    "prune": lambda s: s.prune(NOW),
    "prune to a number": lambda s: s.prune(0, 5),
    "count": lambda s: s.count(),
    "events": lambda s: s.events("none"),
}


@pytest.mark.parametrize("shared", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_use_an_index(store: ExecutionStore, database: Database, name: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "DELETE")):
            asked.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        QUESTIONS[name](store)
    except RecordNotFound:
        pass
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
    assert asked
    with database.read() as connection:
        for statement, parameters in asked:
            plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            assert not [step for step in plan if step.startswith("SCAN") and "INDEX" not in step], plan


def test_json_is_plain_for_those_who_look(store: ExecutionStore, database: Database) -> None:
    execution = wanted(call=Call("nova", "x", ("é\x00", TRUE), {"deep": {"a": [1, True]}}))  # type: ignore[dict-item]
    store.add([execution], first([execution]))
    with database.read() as connection:
        text = connection.execute(sa.select(executions.c.call)).scalar_one()
    assert json.loads(text) == {
        "service": "nova", "action": "x", "positional": ["é\x00", True], "named": {"deep": {"a": [1, True]}},
    }  # fmt: skip
    assert text.isascii()
