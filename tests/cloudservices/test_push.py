# SPDX-License-Identifier: Apache-2.0
"""Rows that are pushed: whole tables, changes, keys, keeping them, age."""

from typing import Any

import pytest

from congress.cloudservices.errors import ConfigError, NotSupported, RowsError, TableNotFound
from congress.cloudservices.push import PushDriver
from congress.cloudservices.testing import MemoryRowStore, RunningDriver, running
from congress.datalog.values import TRUE

TABLES: dict[str, Any] = {
    "servers": ["id", "name"],
    "quotas": {
        "columns": [
            {"name": "project", "type": "string", "nullable": False},
            {"name": "zone", "type": "string", "nullable": False},
            {"name": "cores", "type": "integer"},
        ],
        "key": ["project", "zone"],
    },
}


def push(**more: Any) -> PushDriver:
    return PushDriver("pushed", {"tables": TABLES, **more})


def test_whole_tables() -> None:
    with running(push()) as it:
        it._watcher.subscribe("pushed", "servers")
        assert it.call("put_rows", table="servers", rows=[["s1", "a"], {"name": "b", "id": "s2"}]) is True
        it.settle("servers")
        assert it.copy("servers") == {("s1", "a"), ("s2", "b")}
        seen = len(it.updates)
        assert it.call("put_rows", table="servers", rows=[["s2", "b"], ["s1", "a"], ["s1", "a"]]) is False
        assert it.call("put_rows", table="servers", rows=[["s1", True]]) is True
        it.settle("servers")
        assert it.copy("servers") == {("s1", TRUE)}
        assert len(it.updates) == seen + 1


def test_changes() -> None:
    with running(push()) as it:
        it.call("put_rows", table="servers", rows=[["s1", "a"], ["s2", "b"]])
        it.subscribe("servers")
        it.call("change_rows", table="servers", insert=[["s3", "c"]], delete=[{"id": "s1", "name": "a"}, ["s9", "z"]])
        it.settle("servers")
        assert it.copy("servers") == {("s2", "b"), ("s3", "c")}
        update = it.updates[-1]
        assert (list(update.insertions), list(update.retractions)) == ([("s3", "c")], [("s1", "a")])
        assert it.call("change_rows", table="servers", insert=[["s3", "c"]]) is False
        assert it.call("change_rows", table="servers", insert=[["s2", "b"]], delete=[["s2", "b"]]) is False
        it.settle("servers")
        assert it.copy("servers") == {("s2", "b"), ("s3", "c")}


def test_bad_rows_change_nothing() -> None:
    with running(push()) as it:
        it.call("put_rows", table="quotas", rows=[["p", "z", 4]])
        good = [["q", "z", 1]]
        for bad in ([["q", "z", "many"]], [["q", None, 1]], [["q", "z"]], [{"project": "q"}], {"a": 1}, None):
            with pytest.raises(RowsError):
                it.call("put_rows", table="quotas", rows=good + bad if isinstance(bad, list) else bad)
            with pytest.raises(RowsError):
                it.call("change_rows", table="quotas", insert=good, delete=bad)
            with pytest.raises(RowsError):
                it.call("change_rows", table="quotas", insert=bad, delete=[["p", "z", 4]])
        assert it.rows("quotas") == {("p", "z", 4)}
        with pytest.raises(TableNotFound, match="has no table 'volumes'; its tables are: quotas, servers"):
            it.call("put_rows", table="volumes", rows=[])


class TestKeys:
    def test_an_inserted_row_takes_the_place_of_the_old_one(self) -> None:
        with running(push()) as it:
            it.call("put_rows", table="quotas", rows=[["p", "z", 4], ["p", "y", 1]])
            it.call("change_rows", table="quotas", insert=[["p", "z", 8], ["q", "z", 2]])
            assert it.rows("quotas") == {("p", "z", 8), ("p", "y", 1), ("q", "z", 2)}
            it.call("change_rows", table="quotas", insert=[["p", "z", 16]])
            assert it.rows("quotas") == {("p", "z", 16), ("p", "y", 1), ("q", "z", 2)}

    def test_delete_by_key_or_by_whole_row(self) -> None:
        with running(push()) as it:
            it.call("put_rows", table="quotas", rows=[["p", "z", 4], ["p", "y", 1], ["q", "z", 2]])
            gone = [{"zone": "z", "project": "p"}, ["p", "y", 1], {"project": "no", "zone": "z"}]
            it.call("change_rows", table="quotas", delete=gone)
            assert it.rows("quotas") == {("q", "z", 2)}
            it.call("change_rows", table="quotas", insert=[["p", "z", 1]])
            assert it.rows("quotas") == {("q", "z", 2), ("p", "z", 1)}

    def test_replace_and_delete_of_one_key_at_once(self) -> None:
        with running(push()) as it:
            it.call("put_rows", table="quotas", rows=[["p", "z", 4]])
            delete = [{"project": "p", "zone": "z"}]
            it.call("change_rows", table="quotas", insert=[["p", "z", 5]], delete=delete)
            assert it.rows("quotas") == {("p", "z", 5)}
            it.call("change_rows", table="quotas", delete=delete)
            assert it.rows("quotas") == set()

    @pytest.mark.parametrize("method", ["put_rows", "change_rows"])
    def test_two_rows_of_one_key(self, method: str) -> None:
        rows = [["p", "z", 4], ["p", "z", 4], ["p", "z", 5]]
        argument = "rows" if method == "put_rows" else "insert"
        with running(push()) as it:
            with pytest.raises(RowsError, match="row 2: there is another row with the key p, z"):
                it.call(method, table="quotas", **{argument: rows})
            assert it.rows("quotas") == set()

    def test_a_key_that_is_no_value(self) -> None:
        with running(push()) as it, pytest.raises(RowsError, match="a dict cannot be a value"):
            it.call("change_rows", table="quotas", delete=[{"project": {}, "zone": "z"}])


class TestKeeping:
    def start(self, store: MemoryRowStore, **more: Any) -> Any:
        driver = push(persist=True, **more)
        driver.row_store, driver.service_id = store, "id-1"
        return running(driver)

    def test_rows_survive(self) -> None:
        store = MemoryRowStore()
        with self.start(store) as it:
            it.call("put_rows", table="servers", rows=[["s1", True], ["s2", "b"]])
            it.call("change_rows", table="servers", insert=[["s3", None]], delete=[["s2", "b"]])
            it.call("put_rows", table="quotas", rows=[["p", "z", 4]])
            it.call("change_rows", table="quotas", insert=[["p", "z", 5]])
        with self.start(store) as it:
            assert it.rows("servers") == {("s1", TRUE), ("s3", None)}
            assert it.rows("quotas") == {("p", "z", 5)}
            assert it.fresh("servers")
            it.call("change_rows", table="quotas", insert=[["p", "z", 6]])
            assert it.rows("quotas") == {("p", "z", 6)}

    def test_rows_that_fit_no_more_are_left_out(self) -> None:
        store = MemoryRowStore()
        store.replace("id-1", "servers", [("s1",)])
        store.replace("id-1", "quotas", [("p", "z", 4)])
        with self.start(store) as it:
            assert it.rows("servers") == set()
            assert not it.fresh("servers")
            assert it.rows("quotas") == {("p", "z", 4)}
            assert any("push.kept_rows_do_not_fit" in line for line in it.log.lines)

    def test_what_cannot_be_kept_is_not_published(self) -> None:
        class Full(MemoryRowStore):
            def replace(self, *args: Any) -> None:
                raise OSError("disk full")

        with self.start(Full()) as it:
            with pytest.raises(Exception, match="disk full"):
                it.call("put_rows", table="servers", rows=[["s1", "a"]])
            assert it.rows("servers") == set()

    def test_nothing_is_kept_unless_asked_for(self) -> None:
        driver, store = push(), MemoryRowStore()
        driver.row_store, driver.service_id = store, "id-1"
        with running(driver) as it:
            it.call("put_rows", table="servers", rows=[["s1", "a"]])
        assert store.load("id-1") == {}


def test_an_empty_table_nobody_filled_is_no_answer() -> None:
    with running(push()) as it:
        assert it.freshness("servers").stale
        it.call("put_rows", table="servers", rows=[])
        assert it.fresh("servers")
        assert it.freshness("quotas").stale


def test_age(request: pytest.FixtureRequest) -> None:
    with running(push(max_age=0.1)) as it:
        it.call("put_rows", table="servers", rows=[["s1", "a"]])
        assert it.fresh("servers")
        wait_until_stale(it)
        assert it.freshness("servers").error == "no rows were pushed for 0.1 seconds"
        assert it.rows("servers") == {("s1", "a")}
        it.call("change_rows", table="servers", insert=[["s1", "a"]])
        assert it.fresh("servers")


def wait_until_stale(it: RunningDriver) -> None:
    it.wait(lambda: not it.fresh("servers"), lambda: "still fresh")


def test_notifications_have_no_meaning() -> None:
    with running(push()) as it, pytest.raises(NotSupported, match="takes no notifications"):
        it.call("webhook", payload={})


def test_keys_that_are_no_columns() -> None:
    with pytest.raises(ConfigError, match="key names 'b'"):
        PushDriver("p", {"tables": {"t": {"columns": ["a"], "key": ["b"]}}})
