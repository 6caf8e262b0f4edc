# SPDX-License-Identifier: Apache-2.0
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from congress.db import database as module
from congress.db.database import Database
from congress.db.errors import Conflict, DbError, OutcomeUnknown, Unavailable
from congress.db.models import names, rules


def count(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.execute(sa.select(sa.func.count()).select_from(names)).scalar_one()
        return found


def insert(name: str) -> Callable[[sa.Connection], str]:
    def work(connection: sa.Connection) -> str:
        connection.execute(names.insert().values(name=name, kind="policy"))
        return name

    return work


def test_sqlite_is_durable_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "congress.sqlite"
    database = Database(f"sqlite:///{path}")
    with database.begin() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert pragmas == ["wal", 2]  # 2 is FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database.close()


def test_a_database_in_memory_is_one_for_all_threads() -> None:
    database = Database("sqlite://")
    with database.begin() as connection:
        names.create(connection)
    threads = [threading.Thread(target=lambda n=n: database.run(insert(f"n{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 8
    database.close()


@pytest.mark.parametrize("url", ["", "nonsense", "oracle://x", "mongodb://user:secret@host/db"])
def test_a_bad_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DbError) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_the_url_shown_has_no_password() -> None:
    assert "hunter2" not in Database("postgresql://me:hunter2@127.0.0.1/x").url


def test_an_error_rolls_back(database: Database) -> None:
    def work(connection: sa.Connection) -> None:
        insert("a")(connection)
        raise KeyError

    with pytest.raises(KeyError):
        database.run(work)
    assert count(database) == 0


def test_constraints_are_conflicts(database: Database) -> None:
    database.run(insert("a"))
    with pytest.raises(Conflict):
        database.run(insert("a"))
    with pytest.raises(Conflict), database.begin() as connection:
        insert("a")(connection)


def test_errors_show_no_values(database: Database) -> None:
    with pytest.raises(Unavailable) as caught, database.begin() as connection:
        connection.execute(sa.text("INSERT INTO nowhere VALUES (:v)"), {"v": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(Unavailable), database.read():
        raise AssertionError("reached")


def test_a_lost_race_is_run_again(database: Database) -> None:
    """Two transactions that lock two rows in opposite order: a deadlock on the servers, a wait on SQLite."""
    for name in ("a", "b"):
        database.run(insert(name))
    runs: list[str] = []
    both_hold_one = threading.Barrier(2)

    def cross(first: str, second: str) -> None:
        def work(connection: sa.Connection) -> None:
            runs.append(first)
            connection.execute(names.update().where(names.c.name == first).values(kind=f"{first}-1"))
            if database.dialect != "sqlite" and runs.count(first) == 1:
                both_hold_one.wait(10)
            connection.execute(names.update().where(names.c.name == second).values(kind=f"{first}-2"))

        database.run(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == (2 if database.dialect == "sqlite" else 3)
    with database.read() as connection:
        kinds = set(connection.execute(sa.select(names.c.kind)).scalars())
    assert kinds in ({"a-1", "a-2"}, {"b-1", "b-2"})


def test_a_deadlock_below_a_savepoint_is_run_again(database: Database) -> None:
    for name in ("a", "b"):
        database.run(insert(name))
    runs: list[str] = []
    both_hold_one = threading.Barrier(2)

    def cross(first: str, second: str) -> None:
        def work(connection: sa.Connection) -> None:
            runs.append(first)
            connection.execute(names.update().where(names.c.name == first).values(kind=first))
            if database.dialect != "sqlite" and runs.count(first) == 1:
                both_hold_one.wait(10)
            with connection.begin_nested():
                connection.execute(names.update().where(names.c.name == second).values(kind=first))

        database.run(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        kinds = set(connection.execute(sa.select(names.c.kind)).scalars())
    assert kinds in ({"a"}, {"b"})


def test_who_never_gets_a_turn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    url = f"sqlite:///{tmp_path}/x.sqlite"
    database, other = Database(url, lock_timeout=0.01), Database(url)
    with other.begin(), pytest.raises(Unavailable, match="locked"):
        database.run(insert("a"))
    database.close()
    other.close()


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.begin() as connection:
        insert("a")(connection)
        before = time.monotonic()
        assert count(database) == 0
        assert time.monotonic() - before < 1
    assert count(database) == 1


def _kill(database: Database, connection: sa.Connection) -> None:
    """Cut a connection at the server, as a restart of the server would."""
    own = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    with Database(database.engine.url.render_as_string(hide_password=False)).begin() as other:
        other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": own})


@pytest.mark.database
@pytest.mark.parametrize("shared", ["postgresql"], indirect=True)
def test_a_connection_lost_before_the_commit_costs_nothing(database: Database) -> None:
    runs = []

    def work(connection: sa.Connection) -> None:
        runs.append(1)
        if len(runs) == 1:
            _kill(database, connection)
        insert("a")(connection)

    database.run(work)
    assert (len(runs), count(database)) == (2, 1)


@pytest.mark.database
@pytest.mark.parametrize("shared", ["postgresql"], indirect=True)
@pytest.mark.parametrize("arrived", [False, True], ids=["not committed", "committed"])
def test_a_connection_lost_in_the_commit_is_settled(
    database: Database, arrived: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []
    commit = database.engine.dialect.do_commit

    def breaks(dbapi_connection: Any) -> None:
        monkeypatch.setattr(database.engine.dialect, "do_commit", commit)
        if arrived:
            commit(dbapi_connection)
        dbapi_connection.dbapi_connection.close()  # the driver's own connection
        commit(dbapi_connection)

    def work(connection: sa.Connection) -> str:
        runs.append(1)
        return insert("a")(connection)

    def done(connection: sa.Connection) -> bool:
        return connection.execute(sa.select(names.c.name)).first() is not None

    monkeypatch.setattr(database.engine.dialect, "do_commit", breaks)
    assert database.run(work, done) == "a"
    assert (len(runs), count(database)) == (1 if arrived else 2, 1)

    monkeypatch.setattr(database.engine.dialect, "do_commit", breaks)
    with pytest.raises(OutcomeUnknown):
        database.run(insert("b"))


def test_foreign_keys_hold(database: Database) -> None:
    values = {"id": "1", "policy_id": "none", "rule": "p(1)", "comment": "", "created_at": None}
    with pytest.raises(Conflict):
        database.run(lambda connection: connection.execute(rules.insert().values(values)))
