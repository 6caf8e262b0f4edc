# SPDX-License-Identifier: Apache-2.0
"""Polls: who causes them, what they publish, and what becomes of failures."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import pytest

from congress.bus import context
from congress.bus.errors import RemoteError
from congress.cloudservices.errors import DeadlineExceeded, PollError, RateLimited, Unavailable
from congress.cloudservices.execution_driver import ExecutionDriver, action
from congress.cloudservices.options import Option
from congress.cloudservices.polling_driver import UNCHANGED, Changes, Fetched, PollingDriver, RowChanges
from congress.cloudservices.testing import RunningDriver, running
from congress.datalog.schema import Column, TableSchema, schemas
from congress.datalog.values import TRUE, Row


class Shelf(ExecutionDriver, PollingDriver):
    """Three tables whose rows a test sets; it records what it is asked for."""

    NAME = "shelf"
    TABLES: ClassVar[Mapping[str, TableSchema]] = {
        **schemas({"books": ["id", "title"], "loans": ["book", "reader"]}),
        "readers": TableSchema((Column("id", "string", False), Column("age", "integer"))),
    }
    OPTIONS: ClassVar[tuple[Option, ...]] = (Option("password", secret=True),)

    def configure(self) -> None:
        self.content: dict[str, Any] = {table: [] for table in self.TABLES}
        self.asked: list[frozenset[str]] = []
        self.polls_seen: list[str] = []
        self.hook: Callable[[], None] = lambda: None
        self.changes: Changes | None = None
        self.since: list[float] = []

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        self.asked.append(wanted)
        self.polls_seen.append(context.ids()["poll_id"])
        self.hook()
        return self.content

    def fetch_changes(self, since: float, wanted: frozenset[str]) -> Changes | None:
        self.since.append(since)
        return self.changes

    @action("lend", effects=("loans",))
    def lend(self, book: str, reader: str) -> None:
        """Lend a book."""
        self.hook()
        self.content["loans"].append((book, reader))

    @action("paint", effects=("readers",))
    def paint(self) -> None:
        """Change what nobody wants."""


def shelf(**config: Any) -> Shelf:
    return Shelf("shelf", {"poll_time": 0, **config})


def contents(it: RunningDriver, *tables: str) -> dict[str, frozenset[Row]]:
    return {table: it.copy(table) for table in tables}


class TestWhatIsRead:
    def test_only_what_somebody_wants(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", "Emma")]
        with running(driver) as it:
            it.subscribe("books")
            assert set(driver.asked) == {frozenset({"books"})}
            assert it.copy("books") == {("b1", "Emma")}
            assert it.freshness("loans").updated_at is None
            assert it.freshness("loans").stale

    def test_tables_wanted_at_once_are_read_by_one_poll(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.subscribe("books", "loans")
            assert driver.asked == [frozenset({"books", "loans"})]

    def test_a_table_more_is_read_together_with_the_others(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.subscribe("books")
            it.subscribe("loans")
            assert driver.asked == [frozenset({"books"}), frozenset({"books", "loans"})]

    def test_eager_tables(self) -> None:
        driver = shelf(eager_tables=["loans"])
        with running(driver) as it:
            it.settle("loans")
            assert driver.asked == [frozenset({"loans"})]
        driver = shelf(eager_tables="*")
        with running(driver) as it:
            it.settle()
            assert driver.asked == [frozenset(Shelf.TABLES)]

    def test_a_reader_has_a_table_read(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", "Emma")]
        with running(driver) as it:
            assert it.call("rows", table="books") == [("b1", "Emma")]
            driver.content["books"] = []
            assert it.call("rows", table="books") == [("b1", "Emma")]
            assert driver.asked == [frozenset({"books"})]

    def test_a_table_nobody_wants_any_more_is_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("congress.cloudservices.polling_driver.LINGER", 0.05)
        driver = shelf()
        driver.content["books"] = [("b1", "Emma")]
        with running(driver) as it:
            it.call("rows", table="books")
            it.wait(lambda: it.rows("books") == frozenset(), lambda: "the rows are kept for good")
            assert it.freshness("books").updated_at is None
            it.call("rows", table="books")
            assert len(driver.asked) == 2

    def test_a_subscriber_that_comes_back_soon_finds_the_rows(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", "Emma")]
        with running(driver) as it:
            it.subscribe("books")
            it._watcher.unsubscribe("shelf", "books")
            it.wait(lambda: not driver.subscribers("books"), lambda: "still subscribed")
            it.subscribe("books")
            assert it.copy("books") == {("b1", "Emma")}

    def test_a_request_with_no_subscriber_reads_everything(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.poll()
            assert driver.asked == [frozenset(Shelf.TABLES)]

    def test_regular_polls(self) -> None:
        driver = shelf(poll_time=0.02)
        with running(driver) as it:
            it.subscribe("books")
            it.wait(lambda: len(driver.asked) > 3, lambda: "no polls")
            driver.content["books"] = [("b1", "Emma")]
            it.wait(lambda: it.copy("books") == {("b1", "Emma")}, lambda: "not read")
        assert len(set(driver.polls_seen)) == len(driver.polls_seen)

    def test_many_requests_are_one_poll(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.subscribe("books")
            gate, entered = threading.Event(), threading.Event()
            driver.hook = lambda: (entered.set(), gate.wait(5))  # type: ignore[func-returns-value]  # for its effect
            it.call("request_refresh")
            assert entered.wait(5)
            for _ in range(50):
                it.bus.cast("shelf", "request_refresh")
            gate.set()
            it.call("ping")
            time.sleep(0.1)
            it.call("ping")
            assert len(driver.asked) == 3


class TestWhatIsPublished:
    def test_differences_as_one_consistent_set_with_the_polls_id(self) -> None:
        driver = shelf()
        driver.content |= {"books": [("b1", "Emma"), ("b2", "Ulysses")], "loans": [("b1", "ann")]}
        with running(driver) as it:
            it.subscribe("books", "loans")
            seen = len(it.updates)
            driver.content |= {"books": [("b1", "Emma"), ("b3", "Dune")], "loans": [("b3", "ann")]}
            it.poll()
            it.settle("books", "loans")
            books, loans = it.updates[seen:]
            assert (list(books.insertions), list(books.retractions)) == ([("b3", "Dune")], [("b2", "Ulysses")])
            assert books.sequence == loans.sequence
            assert books.ids["poll_id"] == driver.polls_seen[-1]

    def test_nothing_when_nothing_changed(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", "Emma"), ("b1", "Emma")]
        with running(driver) as it:
            it.subscribe("books")
            seen, before = len(it.updates), it.freshness("books").updated_at
            it.poll()
            it.settle("books")
            assert len(it.updates) == seen
            assert it.freshness("books").updated_at > before  # type: ignore[operator]  # both are numbers here

    def test_python_booleans_become_values(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", True)]
        with running(driver) as it:
            it.subscribe("books")
            assert it.copy("books") == {("b1", TRUE)}

    def test_unchanged_tables_are_fresh(self) -> None:
        driver = shelf()
        driver.content |= {"books": [("b1", "Emma")], "loans": [("b1", "ann")]}
        with running(driver) as it:
            it.subscribe("books", "loans")
            before = it.freshness("books").updated_at
            driver.content |= {"books": UNCHANGED, "loans": []}
            it.poll()
            it.settle("books", "loans")
            assert contents(it, "books", "loans") == {"books": {("b1", "Emma")}, "loans": frozenset()}
            assert it.freshness("books").updated_at > before  # type: ignore[operator]  # both are numbers here

    def test_values_against_the_schema_are_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        driver = shelf()
        driver.content["readers"] = [("r1", "old")]
        with running(driver) as it:
            it.subscribe("readers")
            driver.content["readers"] = [("r1", "older")]
            it.poll()
            text = "table 'readers', column 'age': there are values of kind string, against its schema"
            assert it.call("status")["warnings"] == [text]
            assert sum(text in line for line in it.log.lines) == 1


class TestFailures:
    def test_rows_stay_and_are_stale(self) -> None:
        driver = shelf()
        driver.content["books"] = [("b1", "Emma")]
        with running(driver) as it:
            it.subscribe("books")
            good = it.freshness("books").updated_at
            driver.hook = failing(Unavailable("the shelf is gone"))
            it.poll()
            found = it.freshness("books")
            assert (found.stale, found.error, found.updated_at, found.rows) == (True, "the shelf is gone", good, 1)
            assert it.copy("books") == {("b1", "Emma")}
            status = it.call("status")
            assert (status["stale"], status["last_error"]) == (True, "the shelf is gone")
            driver.hook = lambda: None
            it.poll()
            it.settle("books")
            assert it.freshness("books").error is None

    def test_attempts_go_on_by_themselves(self) -> None:
        driver = shelf()
        with running(driver) as it:
            driver.hook = failing(RuntimeError("odd"), times=1)
            it.subscribe("books")
            assert len(driver.asked) == 2

    def test_the_same_failure_is_logged_once(self) -> None:
        driver = shelf(password="sesame-4711")
        driver.hook = failing(RuntimeError("login with sesame-4711 failed"))
        with running(driver) as it:
            for _ in range(4):
                it.poll()
            errors = [line for line in it.log.lines if line.startswith("poll.failed")]
            assert len(errors) == 1
            assert "service=shelf driver=shelf error=RuntimeError: login with <hidden> failed" in errors[0]
            assert "Traceback" in errors[0]
            assert "sesame" not in "".join(it.log.lines)
            assert it.call("status")["failed_polls_in_a_row"] == 4
            driver.hook = lambda: None
            it.poll()
            assert any(line.startswith("poll.recovered") for line in it.log.lines)

    def test_rate_limits_are_honoured(self) -> None:
        driver = shelf()
        driver.hook = failing(RateLimited("slow down", retry_after=0.4), times=1)
        with running(driver) as it:
            began = time.monotonic()
            it.poll()
            it.call("request_refresh")
            it.wait(lambda: len(driver.asked) == 2, lambda: "no second attempt")
            assert time.monotonic() - began >= 0.4

    def test_a_reader_of_what_never_could_be_read(self) -> None:
        driver = shelf()
        driver.hook = failing(Unavailable("the shelf is gone"))
        text = "'books' of service 'shelf' could not be read: the shelf is gone"
        with running(driver) as it, pytest.raises(PollError, match=text):
            it.call("rows", table="books")

    def test_one_table_may_fail_alone(self) -> None:
        driver = shelf()
        driver.content |= {"books": [("b1", "Emma")], "loans": [("b1", "ann")]}
        with running(driver) as it:
            it.subscribe("books", "loans")
            driver.content |= {"books": PollError("no such room"), "loans": []}
            it.poll()
            it.wait(lambda: it.copy("loans") == frozenset(), lambda: "the other table was not published")
            assert it.copy("books") == {("b1", "Emma")}
            assert (it.freshness("books").stale, it.freshness("loans").stale) == (True, False)
            assert it.freshness("books").error == "no such room"
            driver.content["books"] = []
            it.poll()
            it.settle("books", "loans")

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            ({"loans": []}, "the driver did not give the table 'books'"),
            ({"books": UNCHANGED}, "called the table 'books' unchanged before it gave it"),
            ({"books": [("b1",)]}, "table 'books', row 0: 2 columns were expected"),
            ({"books": [("b1", {"x": 1})]}, "a dict cannot be a value"),
            ({"books": [("b1", object())]}, "a object cannot be a value"),
            ({"books": 5}, "rows must be a list of tuples"),
        ],
    )
    def test_what_careless_drivers_give(self, content: dict[str, Any], error: str) -> None:
        driver = shelf()
        driver.content = content
        with running(driver) as it:
            it._watcher.subscribe("shelf", "books")
            it.wait(lambda: it.freshness("books").error is not None, lambda: "no error")
            assert error in str(it.freshness("books").error)
            assert it.driver.state == "running"

    def test_time_runs_out(self) -> None:
        driver = shelf(poll_timeout=0.1)
        left: list[float] = []

        def slow() -> None:
            left.extend((driver.time_left(), driver.time_left(0.01)))
            time.sleep(0.12)
            driver.time_left()

        driver.hook = slow
        with running(driver) as it:
            it.poll()
            assert it.freshness("books").error == "not finished within 0.1 seconds"
        assert 0 < left[0] <= 0.1
        assert left[1] == 0.01

    def test_no_limit_outside_of_a_poll(self) -> None:
        driver = shelf(poll_timeout=5)
        assert (driver.time_left(), driver.time_left(2)) == (5, 2)
        with driver.deadline(-1), pytest.raises(DeadlineExceeded):
            driver.time_left()


class TestIncrementalReads:
    def start(self, driver: Shelf) -> Any:
        driver.content |= {
            "books": [("b1", "Emma"), ("b2", "Ulysses"), ("b3", "Dune")],
            "loans": [("b1", "ann"), ("b1", "bob"), ("b2", "ann")],
        }
        return running(driver)

    def test_changed_objects_replace_their_rows(self) -> None:
        driver = shelf()
        with self.start(driver) as it:
            it.subscribe("books", "loans")
            driver.changes = {
                "books": RowChanges("id", [("b2", "Ulysses, 2nd")], touched=["b2", "b3"]),
                "loans": RowChanges("book", [("b1", "cid"), ("b1", "ann")]),
            }
            began = time.time()
            it.poll()
            it.settle("books", "loans")
            assert contents(it, "books", "loans") == {
                "books": {("b1", "Emma"), ("b2", "Ulysses, 2nd")},
                "loans": {("b1", "cid"), ("b1", "ann"), ("b2", "ann")},
            }
            assert len(driver.asked) == 1
            assert driver.since[0] < began
            update = it.updates[-1]
            assert (list(update.insertions), list(update.retractions)) == ([("b1", "cid")], [("b1", "bob")])

    def test_no_change_publishes_nothing_but_is_fresh(self) -> None:
        driver = shelf()
        with self.start(driver) as it:
            it.subscribe("books")
            seen, before = len(it.updates), it.freshness("books").updated_at
            driver.changes = {}
            it.poll()
            assert len(it.updates) == seen
            assert it.freshness("books").updated_at > before  # type: ignore[operator]  # both are numbers here

    def test_another_table_or_a_failure_needs_a_full_read(self) -> None:
        driver = shelf()
        with self.start(driver) as it:
            it.subscribe("books")
            driver.changes = {}
            it.subscribe("loans")
            assert len(driver.asked) == 2
            it.poll()
            assert len(driver.asked) == 2
            driver.changes = {"books": RowChanges("colour", [])}
            it.poll()
            assert "which table 'books' does not have" in str(it.freshness("books").error)
            driver.changes = {}
            it.poll()
            assert len(driver.asked) == 3

    def test_now_and_then_everything_is_read(self) -> None:
        class Careful(Shelf):
            FULL_EVERY = 2

        driver = Careful("shelf", {"poll_time": 0})
        with self.start(driver) as it:
            it.subscribe("books")
            driver.changes = {}
            for _ in range(6):
                it.poll()
            assert len(driver.asked) == 3


class TestActions:
    def test_what_an_action_changed_is_read_soon(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.subscribe("loans")
            it.call("execute", name="lend", positional=["b1", "ann"])
            it.wait(lambda: it.copy("loans") == {("b1", "ann")}, lambda: "not read")

    def test_what_nobody_wants_is_not(self) -> None:
        driver = shelf()
        with running(driver) as it:
            it.subscribe("loans")
            it.call("execute", name="paint")
            time.sleep(0.6)
            assert len(driver.asked) == 1

    def test_never_while_it_polls(self) -> None:
        driver = shelf(poll_time=0.01)
        inside: list[str] = []

        def alone() -> None:
            inside.append("in")
            time.sleep(0.02)
            assert inside.pop() == "in"
            assert not inside

        driver.hook = alone
        with running(driver) as it:
            it.subscribe("loans")
            for number in range(5):
                it.call("execute", name="lend", positional=[str(number), "ann"])
            it.poll()
            assert driver.faults == 0


class TestLife:
    def test_a_service_that_cannot_be_opened_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("congress.cloudservices.schedule.FIRST_RETRY", 0.05)
        driver = shelf(password="sesame-4711")
        attempts: list[str] = []

        def open_() -> None:
            attempts.append(driver.state)
            if len(attempts) < 3:
                raise OSError("no way in with sesame-4711")

        monkeypatch.setattr(driver, "open", open_)
        seen: list[tuple[str, str | None]] = []
        driver.observer = lambda it: seen.append((it.state, it.error))
        with running(driver) as it:
            it.subscribe("books")
            errors = [line for line in it.log.lines if "driver.open_failed" in line]
        assert attempts == ["starting", "error", "error"]
        assert ("error", "OSError: no way in with <hidden>") in seen
        assert len(errors) == 1
        assert "sesame" not in errors[0]
        assert seen[-1] == ("stopped", None)

    def test_what_close_raises_is_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        driver = shelf()
        monkeypatch.setattr(driver, "close", failing(RuntimeError("stuck")))
        with running(driver) as it:
            log = it.log
        assert driver.state == "stopped"
        assert any("driver.close_failed" in line for line in log.lines)

    def test_an_action_while_it_is_not_running(self) -> None:
        with pytest.raises(Exception, match="service 'shelf' is not running"):
            shelf().execute("lend", ["b1", "ann"])

    def test_errors_cross_the_bus_as_themselves(self) -> None:
        driver = shelf()
        driver.hook = failing(RateLimited("slow", retry_after=3))
        with running(driver) as it, pytest.raises(PollError) as raised:
            it.call("rows", table="books")
        assert not isinstance(raised.value, RemoteError)


def failing(error: Exception, times: int = 10**6) -> Callable[[], None]:
    """Something that fails so many times, then does nothing."""
    left = iter(range(times))

    def fail() -> None:
        if next(left, None) is not None:
            raise error

    return fail


def test_fetch_has_to_be_written() -> None:
    class Lazy(PollingDriver):
        NAME = "lazy"

    with pytest.raises(TypeError, match="abstract"):
        Lazy("lazy")  # type: ignore[abstract]  # that is the point


def test_rows_need_not_be_lists() -> None:
    class Generous(Shelf):
        def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
            rows: Iterable[tuple[str, str]] = (("b1", title) for title in ("Emma", "Dune"))
            return {"books": rows, "loans": {("b1", "ann")}, "readers": [["r1", 3]]}

    with running(Generous("shelf", {"poll_time": 0})) as it:
        it.subscribe()
        assert it.copy("books") == {("b1", "Emma"), ("b1", "Dune")}
        assert it.copy("readers") == {("r1", 3)}
