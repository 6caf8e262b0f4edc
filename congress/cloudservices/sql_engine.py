# SPDX-License-Identifier: Apache-2.0
"""Connections to databases of others: read only, bounded in time, one at a time."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import NullPool

from congress.cloudservices.errors import ConfigError, DeadlineExceeded, PollError, Unavailable

# How each kind of database is told how long connecting may take.
_CONNECT_TIMEOUT: Final = {
    "psycopg2": "connect_timeout",
    "psycopg": "connect_timeout",
    "pymysql": "connect_timeout",
    "mysqldb": "connect_timeout",
    "pysqlite": "timeout",
}
# Queries are not looked through for parameters (a ``%`` is a ``%``), and their rows come bit by bit.
AS_IT_IS: Final = {"no_parameters": True, "stream_results": True}
# SQLite asks whether to go on after so many steps of its virtual machine: a few times a millisecond.
_STEPS: Final = 100_000
_SQLITE_READS: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# These tell something and set nothing; SQLite's full-text search asks for the first one by itself.
_SQLITE_TELLING: Final = frozenset(
    {"data_version", "table_info", "table_xinfo", "index_list", "index_info", "index_xinfo", "foreign_key_list"}
)


def make_engine(url: sa.URL, connect_timeout: float) -> sa.Engine:
    """An engine for one worker thread; connects when it is used, and anew for each poll.

    :raises ConfigError: the database's driver is not installed.
    """
    _check_installed(url)
    option = _CONNECT_TIMEOUT.get(url.get_driver_name())
    arguments = {option: max(1, int(connect_timeout))} if option is not None else {}
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        # Connecting would make an empty database where there is none.
        url = url.set(database=f"file:{quote(str(url.database))}", query={"mode": "ro", "uri": "true"})
    return sa.create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def _check_installed(url: sa.URL) -> None:
    """:raises ConfigError: the database's driver is not installed."""
    try:
        sa.create_engine(url, poolclass=NullPool)
    except (exc.ArgumentError, exc.NoSuchModuleError, ImportError) as error:
        name = url.drivername
        raise ConfigError(f"option 'url': the driver for {name!r} is not installed", "url") from error


@contextmanager
def reading(engine: sa.Engine, seconds: float) -> Iterator[sa.Connection]:
    """A transaction that sees one state of the database, changes nothing, and ends in time.

    :raises: SQLAlchemy's errors; see :func:`explained`.
    """
    dialect = engine.dialect.name
    with engine.connect() as connection:
        if dialect == "postgresql":
            connection = connection.execution_options(  # noqa: PLW2901  # the same one, with options
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        if dialect in ("mysql", "mariadb"):
            _limit_mysql(connection, seconds)
        if dialect == "sqlite":
            _limit_sqlite(connection, seconds)
        with connection.begin() as transaction:
            if dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
                _authorize_sqlite(connection, _only_reading)
            if dialect == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
            try:
                yield connection
            finally:
                if dialect == "sqlite":
                    _authorize_sqlite(connection, None)
                if transaction.is_active:
                    transaction.rollback()


def _limit_mysql(connection: sa.Connection, seconds: float) -> None:
    """Both time limits have names of their own in MySQL (milliseconds) and MariaDB (seconds)."""
    if getattr(connection.dialect, "is_mariadb", False):
        limit = f"SET SESSION max_statement_time = {max(0.001, seconds):.3f}"
    else:
        limit = f"SET SESSION max_execution_time = {max(1, int(seconds * 1000))}"
    for statement in (
        limit,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION TRANSACTION READ ONLY",
    ):
        connection.exec_driver_sql(statement)
    connection.commit()


def _limit_sqlite(connection: sa.Connection, seconds: float) -> None:
    raw: Any = connection.connection.dbapi_connection
    end = time.monotonic() + seconds
    raw.isolation_level = None  # the module would begin no transaction for reading
    raw.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    connection.exec_driver_sql("PRAGMA query_only = ON")
    connection.rollback()


def _authorize_sqlite(connection: sa.Connection, judge: Callable[..., int] | None) -> None:
    """SQLite asks ``judge`` about each thing that a statement would do; a read-only file is no bound for ATTACH."""
    raw: Any = connection.connection.dbapi_connection
    raw.set_authorizer(judge)


def _only_reading(action: int, first: str | None, second: str | None, *_where: str | None) -> int:
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if (first or "").lower() in _SQLITE_TELLING else sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() == "load_extension":
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master":
        # So it asks about virtual tables that it gets to know; a statement that wrote there would do more as well.
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _SQLITE_READS else sqlite3.SQLITE_DENY


def apart(connection: sa.Connection) -> AbstractContextManager[object]:
    """What fails inside leaves the transaction as it was; on SQLite, a query that fails does so by itself."""
    return nullcontext() if connection.dialect.name == "sqlite" else connection.begin_nested()


def explained(error: BaseException, asked: bool = False) -> PollError:
    """What a database's error means.  The statement and its parameters are not repeated.

    :param asked: whether a query had begun; then only a lost connection makes the database unavailable.
    """
    original = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    text = " ".join(str(original).split())[:300]
    if _is_late(original, text):
        return DeadlineExceeded(f"the query was not finished in time: {text}")
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    if lost or (not asked and isinstance(error, exc.OperationalError | exc.InterfaceError | OSError)):
        return Unavailable(text)
    return PollError(f"{type(original).__name__}: {text}")


def _is_late(original: BaseException, text: str) -> bool:
    # PostgreSQL: QueryCanceled; MariaDB: error 1969; MySQL: error 3024; SQLite: "interrupted".
    code = original.args[0] if original.args else None
    return type(original).__name__ == "QueryCanceled" or code in (1969, 3024) or text == "interrupted"
