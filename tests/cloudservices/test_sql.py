# SPDX-License-Identifier: Apache-2.0
"""Queries on real databases."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from congress.cloudservices.errors import ConfigError
from congress.cloudservices.sql import SqlDriver
from congress.cloudservices.sql_engine import make_engine, reading
from congress.cloudservices.testing import RunningDriver, running
from congress.datalog.values import TRUE
from tests.databases import BACKENDS, empty_database

SLOW = {
    "sqlite": "with recursive n(x) as (select 1 union all select x + 1 from n) select max(x) as x from n",
    "postgresql": "select pg_sleep(20) as x",
    "mysql": "select sleep(20) as x from hosts",
}


class Database:
    """A database of somebody else's, with a table of hosts in it."""

    def __init__(self, backend: str, url: str) -> None:
        self.backend = backend
        drivers = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
        made = sa.make_url(url)
        made = made.set(drivername=drivers.get(backend, made.drivername))
        self.url = made.render_as_string(hide_password=False)
        self.engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        self.run(
            "create table hosts (name varchar(20) primary key, cores integer, up boolean, price decimal(8, 2), "
            "since date)"
        )
        self.run("insert into hosts values ('h1', 4, true, 10.50, '2026-11-21'), ('h2', null, null, 3, null)")

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def count(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql("select count(*) from hosts").scalar_one())


@pytest.fixture(params=[pytest.param(b, marks=pytest.mark.database) if b != "sqlite" else b for b in BACKENDS])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty_database(request.param, tmp_path) as url:
        made = Database(request.param, url)
        yield made
        made.engine.dispose()


def driver(database: Database, tables: dict[str, Any] | None = None, **more: Any) -> SqlDriver:
    hosts = {"query": "select name, cores from hosts"}
    return SqlDriver("db", {"url": database.url, "tables": tables or {"hosts": hosts}, "poll_time": 0, **more})


def error_of(it: RunningDriver, table: str = "hosts") -> str:
    it._watcher.subscribe("db", table)
    it.wait(lambda: it.freshness(table).error is not None, lambda: "no error")
    return str(it.freshness(table).error)


def test_rows_of_every_type(database: Database) -> None:
    columns = ["name", {"name": "up", "type": "boolean"}, "price", "since", {"name": "cores", "type": "integer"}]
    query = "select cores, name, up, price, since, 'x' as more from hosts;"
    if database.backend == "sqlite" or database.backend == "mysql":
        query = query.replace("up,", "case when up then 'true' end as up,")
    with running(driver(database, {"hosts": {"query": query, "columns": columns}})) as it:
        it.subscribe()
        assert it.copy("hosts") == {
            ("h1", TRUE, 10.5, "2026-11-21", 4),
            ("h2", None, 3, None, None),
        }
        assert not it.driver.warnings


def test_columns_are_the_querys(database: Database) -> None:
    tables = {
        "hosts": {"query": "select name, cores from hosts -- all of them;"},
        "total": {"query": 'select count(*) as n, 5 as "big number" from hosts'.replace('"', quote(database))},
        "odd": {"query": "select name from hosts where name like '%1' and name <> 'a;b'", "columns": ["name"]},
        "renamed": {"query": "select name from hosts", "columns": [{"name": "host", "from": "name"}]},
    }
    with running(driver(database, tables)) as it:
        it.subscribe()
        assert it.call("schema")["hosts"].names == ("name", "cores")
        assert it.call("schema")["total"].names == ("n", "big_number")
        assert it.copy("total") == {(2, 5)}
        assert it.copy("odd") == {("h1",)}
        assert it.copy("renamed") == {("h1",), ("h2",)}


def quote(database: Database) -> str:
    return "`" if database.backend == "mysql" else '"'


def test_changes_are_seen(database: Database) -> None:
    with running(driver(database)) as it:
        it.subscribe()
        seen = len(it.updates)
        database.run("insert into hosts (name, cores) values ('h3', 8)", "delete from hosts where name = 'h1'")
        it.poll()
        it.settle()
        update = it.updates[seen]
        assert (list(update.insertions), list(update.retractions)) == ([("h3", 8)], [("h1", 4)])


def test_all_queries_of_a_poll_see_one_state(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        name: {"query": "select count(*) as n from hosts", "columns": [{"name": "n", "type": "integer"}]}
        for name in ("first", "second")
    }
    made = driver(database, tables)
    real = made._query
    if database.backend == "sqlite":
        database.run("pragma journal_mode = wal")

    def query(*arguments: Any) -> Any:
        found = real(*arguments)
        database.run(f"insert into hosts (name) values ('n{database.count()}')")
        return found

    monkeypatch.setattr(made, "_query", query)
    with running(made) as it:
        it.subscribe()
        assert it.copy("first") == it.copy("second") == {(2,)}
    assert database.count() == 4


WRITES = [
    "with a as (select 'x' as n) insert into hosts (name) select n from a",
    "with a as (select 1 as n) delete from hosts",
    "/* select */ select name from hosts for update",
]


@pytest.mark.parametrize("statement", WRITES)
def test_nothing_can_be_changed(database: Database, statement: str) -> None:
    tables = {"hosts": {"query": statement, "columns": ["name"]}}
    with running(driver(database, tables)) as it:
        error_of(it)
    assert database.count() == 2


NOT_DONE = re.compile("not authorized|prohibited|from within a transaction|may not be modified")


class TestSqliteReadsOneFile:
    """What is refused by the database itself, whatever the text of a query looks like."""

    @pytest.mark.parametrize(
        "statement",
        [
            "attach '{other}' as z",
            "attach '{new}' as z",
            "pragma query_only = 0",
            "pragma journal_mode = delete",
            "begin",
            "commit",
            "rollback",
            "savepoint a",
            "insert into hosts (name) values ('x') returning name",
            "create temporary table x (a)",
            "vacuum into '{new}'",
            "select load_extension('x')",
            "create table x (a)",
            "create virtual table x using fts5(a)",
            "update sqlite_master set sql = 'x'",
            "alter table hosts rename to x",
        ],
    )
    def test_refused(self, tmp_path: Path, statement: str) -> None:
        self.make(tmp_path)
        engine = make_engine(sa.make_url(f"sqlite:///{tmp_path}/own.db"), 1)
        before = sorted(path.name for path in tmp_path.iterdir())
        asked = statement.format(other=tmp_path / "other.db", new=tmp_path / "new.db")
        with reading(engine, 5) as connection:
            with pytest.raises(exc.DatabaseError, match=NOT_DONE):
                connection.exec_driver_sql(asked)
            assert connection.exec_driver_sql("select count(*) from hosts").scalar_one() == 0
        assert sorted(path.name for path in tmp_path.iterdir()) == before

    def test_another_file_is_not_written_by_a_row_of_queries(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        queries = [
            f"attach '{tmp_path}/other.db' as z",
            "pragma query_only=0",
            "insert into z.t values(7) returning x",
            "commit",
        ]
        made = SqlDriver("db", {"url": f"sqlite:///{tmp_path}/own.db", "tables": tables_of(["select 1 as x"] * 4)})
        made._specs = {
            name: replace(spec, rest={"query": query})
            for (name, spec), query in zip(made._specs.items(), queries, strict=True)
        }
        with running(made) as it:
            for table in made._specs:
                assert "not authorized" in (error := error_of(it, table)) or "no such table: z.t" in error
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            assert other.execute("select * from t").fetchall() == []

    def test_what_reading_needs(self, tmp_path: Path) -> None:
        self.make(tmp_path)
        queries = [
            "with recursive n(x) as (select 1 union all select x + 1 from n where x < 3) select x from n",
            "select x from words where x match 'b'",
            "select name as x from pragma_table_info('hosts')",
            "values (1)",
        ]
        with running(SqlDriver("db", {"url": f"sqlite:///{tmp_path}/own.db", "tables": tables_of(queries)})) as it:
            it.subscribe()
            assert [it.copy(f"t{n}") for n in range(4)] == [{(1,), (2,), (3,)}, {("a b",)}, {("name",)}, {(1,)}]

    @staticmethod
    def make(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "own.db")) as own, closing(sqlite3.connect(folder / "other.db")) as other:
            own.execute("create table hosts (name)")
            own.execute("create virtual table words using fts5(x)")
            own.execute("insert into words values ('a b')")
            own.commit()
            other.execute("create table t (x)")


def tables_of(queries: list[str]) -> dict[str, Any]:
    columns = {True: ["x"], False: [{"name": "x", "from": "column1"}]}
    return {
        f"t{number}": {"query": query, "columns": columns[not query.startswith("values")]}
        for number, query in enumerate(queries)
    }


def test_slow_queries_are_ended(database: Database) -> None:
    table = {"query": SLOW[database.backend], "columns": ["x"]}
    with running(driver(database, {"hosts": table}, poll_timeout=0.4)) as it:
        assert "in time" in error_of(it) or "not finished within" in error_of(it)
        it.call("ping")


def test_one_bad_query(database: Database) -> None:
    tables = {
        "hosts": {"query": "select name from hosts", "columns": ["name"]},
        "absent": {"query": "select x from nowhere", "columns": ["x"]},
        "misnamed": {"query": "select name from hosts", "columns": ["title"]},
    }
    with running(driver(database, tables)) as it:
        for table in tables:
            it._watcher.subscribe("db", table)
        it.wait(lambda: it.copy("hosts") == {("h1",), ("h2",)}, lambda: f"not read: {it.driver.freshness}")
        assert it.fresh("hosts")
        it.wait(
            lambda: all(it.freshness(table).error is not None for table in ("absent", "misnamed")),
            lambda: f"no errors: {it.driver.freshness}",
        )
        assert "table 'absent'" in str(it.freshness("absent").error)
        assert "the query has no column 'title'; it has: name" in str(it.freshness("misnamed").error)


def test_too_many_rows(database: Database) -> None:
    with running(driver(database, max_rows=1)) as it:
        assert "more than 1 rows" in error_of(it)


def test_a_column_that_is_two(database: Database) -> None:
    query = 'select 1 as "a b", 2 as a_b'.replace('"', quote(database))
    made = driver(database, {"hosts": {"query": query}})
    with pytest.raises(AssertionError, match="two columns of its query"), running(made, patience=3.0):
        pass


def test_a_column_that_is_there_twice(database: Database) -> None:
    made = driver(database, {"hosts": {"query": "select name, name from hosts"}})
    wanted = "Duplicate column name" if database.backend == "mysql" else "two columns of its query"
    with pytest.raises(AssertionError, match=wanted), running(made, patience=3.0):
        pass


def test_a_column_with_a_colon(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "own.db")) as own:
        own.execute("create table hosts (name)")
    tables = {"t": {"query": 'select 1 as "a:1", 2 as a'}}
    with running(SqlDriver("db", {"url": f"sqlite:///{tmp_path}/own.db", "tables": tables})) as it:
        it.subscribe()
        assert it.call("schema")["t"].names == ("a_1", "a")
        assert it.copy("t") == {(1, 2)}


def test_a_character_that_no_text_may_hold(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "own.db")) as own:
        own.execute("create table hosts (name)")
        own.execute("insert into hosts values ('a' || char(0) || 'b')")
        own.commit()
    tables = {"t": {"query": "select 1 as n, name from hosts"}}
    with running(SqlDriver("db", {"url": f"sqlite:///{tmp_path}/own.db", "tables": tables})) as it:
        assert "table 't', column 'name': U+0000 is a character that no text may hold" in error_of(it, "t")


@pytest.mark.database
def test_a_postgresql_type_of_its_own(tmp_path: Path) -> None:
    with empty_database("postgresql", tmp_path) as url:
        database = Database("postgresql", url)
        query = "select '[1,5)'::int4range as r, '10.0.0.1'::inet as i, array[1,2] as a, '{\"x\": 1}'::jsonb as j"
        with running(driver(database, {"t": {"query": query}})) as it:
            it.subscribe()
            ((found_range, address, array, document),) = it.copy("t")
            assert "1" in str(found_range)
            assert (address, array, document) == ("10.0.0.1", "[1,2]", '{"x":1}')


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://alice:se%2Fsame%204711@127.0.0.1:1/x"
    made = SqlDriver("db", {"url": url, "tables": {"t": {"query": "select 1", "columns": ["a"]}}, "poll_time": 0})
    with running(made) as it:
        text = error_of(it, "t") + repr(it.call("status")) + "".join(it.log.lines)
    assert "connection" in text.lower()
    for secret in ("se/same 4711", "se%2Fsame", url):
        assert secret not in text


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    made = SqlDriver(
        "db", {"url": f"sqlite:///{tmp_path}/a b%20?.db", "tables": {"t": {"query": "table x", "columns": ["a"]}}}
    )
    with running(made) as it:
        assert "unable to open database file" in error_of(it, "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "option", "error"),
    [
        ({"url": "nonsense"}, "url", "is not a URL of SQLAlchemy"),
        ({"url": "oracle+cx_oracle://sesame@h/x"}, "url", "is not installed"),
        ({"url": "klingon://sesame@h/x"}, "url", "is not installed"),
        ({"tables": {"t": ["a"]}}, "tables", "needs a query"),
        ({"tables": {"t": {"query": " "}}}, "tables", "needs a query"),
        ({"tables": {"t": {"query": "select 1; commit"}}}, "tables", "must be a single statement"),
        ({"tables": {"t": {"query": "select ';' -- ;\n; drop table x"}}}, "tables", "must be a single statement"),
        *(
            ({"tables": {"t": {"query": query}}}, "tables", "must begin with one of SELECT, WITH, VALUES, TABLE, SHOW")
            for query in (
                "commit",
                "SET SESSION TRANSACTION READ WRITE",
                "attach '/tmp/x.db' as z",
                "pragma query_only=0",
                "insert into t values (1) returning x",
                "/* select */ commit",
                "-- select\ncommit",
                "-- x\rcommit /*\nselect 1 */",
                "/* /* */ select */ commit",
                "/*! commit -- */ select 1\n*/",
                "/*M! commit -- */ select 1\n*/",
                "selection",
            )
        ),
    ],
)
def test_configurations_that_make_no_sense(config: dict[str, Any], option: str, error: str) -> None:
    with pytest.raises(ConfigError) as refused:
        SqlDriver("db", {"url": "sqlite://", "tables": {"t": {"query": "select 1 as a"}}, **config})
    assert error in str(refused.value)
    assert refused.value.option == option
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        r"select E'\''; commit; drop table x --'",
        "select $$'$$; commit; select $$'$$",
        "select 1 /* /* */ ' */; commit; --'",
        "select 1 #'\n; commit; #'",
        "select 1 --1; commit",
        "select 1 -- a\r; commit",
        "select [a'] ; commit; select 'b'",
    ],
)
def test_semicolons_that_databases_read_differently(query: str) -> None:
    url = "postgresql+psycopg2://a:b@127.0.0.1:1/x"
    with pytest.raises(ConfigError, match=r"a semicolon in it|must be a single statement"):
        SqlDriver("db", {"url": url, "tables": {"t": {"query": query}}})


@pytest.mark.parametrize("query", ["(select 1) union (select 2)", " /* a */ -- b\r\n/**/ Select 1", "table\thosts;"])
def test_queries_begin_in_several_ways(query: str) -> None:
    SqlDriver("db", {"url": "sqlite://", "tables": {"t": {"query": query}}})


def test_semicolons_that_end_nothing() -> None:
    query = "select ';' as \"a;b\", 'it''s;' /* ; */ as c -- ;\n ; "
    SqlDriver("db", {"url": "sqlite://", "tables": {"t": {"query": query}}})
