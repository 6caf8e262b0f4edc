# SPDX-License-Identifier: Apache-2.0
"""One database: an engine ready for what we promise, and transactions that are repeated when they must be.

What was committed survives ``kill -9`` (and, on SQLite, a power cut: write-ahead log with synchronous=FULL).
SQLite, PostgreSQL and MySQL or MariaDB are chosen by URL alone.
"""

import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc, pool

from congress.db.errors import Conflict, DbError, OutcomeUnknown, Unavailable

LOG = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS: Final = 8
"""How often a transaction is tried in all before a conflict with others becomes an error."""

_DRIVERS: Final = {
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_CONFLICT_STATES: Final = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock timeout
_CONFLICT_NUMBERS: Final = frozenset({1205, 1213, 1020})  # lock wait timeout, deadlock, record changed


class Database:
    """A pool of connections to one database.

    Every method may be called from any thread; all of them block on the database.  Stores share one object.
    """

    def __init__(self, url: str, *, pool_size: int = 5, lock_timeout: float = 10.0) -> None:
        """
        :param url: ``sqlite:///path``, ``sqlite://`` (in memory), ``postgresql://...``, ``mysql://...``
        :param lock_timeout: seconds that a transaction waits for others before it is tried again.
        :raises DbError: for a URL that nothing can be made of, or a database package that is not installed.
        """
        try:
            parsed = sa.make_url(url)
            parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
            self.engine = _make_engine(parsed, pool_size, lock_timeout)
        except (exc.ArgumentError, exc.NoSuchModuleError) as error:
            # The message of SQLAlchemy may hold the URL and so a password.
            raise DbError("the database URL is not one of sqlite://, postgresql:// or mysql://") from error
        except ModuleNotFoundError as error:
            raise DbError(f"the database URL needs the Python package {error.name!r}, which is not here") from error
        self.url = parsed.render_as_string(hide_password=True)
        self.dialect = self.engine.dialect.name
        self._away = False

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction that may write: committed at the end of the block, rolled back by any exception.

        Not repeated on conflicts; :meth:`run` is.
        :raises Conflict: a constraint of the database refused the change.
        :raises Unavailable: anything else that is wrong with the database.
        """
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One transaction that only reads: everything read in the block is one state (not on MySQL)."""
        with self._translated(), self.engine.connect() as plain:
            connection = plain.execution_options(congress_read=True)
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    def run(self, work: Callable[[sa.Connection], T], done: Callable[[sa.Connection], bool] | None = None) -> T:
        """Run ``work`` in a transaction; again, a bounded number of times, when it lost against another one.

        ``work`` must do nothing but talk to the connection, since it may run more than once; what it returned
        on the run that was committed is returned.  ``done`` tells, on a new connection, whether the change is
        in the database: it settles a connection that broke during the commit.

        :raises Conflict: a constraint of the database refused the change.
        :raises Unavailable: the database cannot be reached, or others won ``ATTEMPTS`` times in a row.
        :raises OutcomeUnknown: the connection broke during the commit and ``done`` could not be asked.
        """
        attempt = 0
        in_doubt: tuple[T, Exception] | None = None
        while True:
            attempt += 1
            committing = False
            try:
                with self.engine.begin() as connection:
                    if in_doubt is not None and done is not None and done(connection):
                        return in_doubt[0]
                    in_doubt = None
                    result = work(connection)
                    committing = True
                self._answered()
                return result
            except (exc.DBAPIError, exc.TimeoutError) as error:
                lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
                if committing and lost:
                    if done is None:
                        raise OutcomeUnknown from error
                    in_doubt = (result, error)
                if attempt >= ATTEMPTS or not (lost or in_doubt is not None or is_conflict(error)):
                    if in_doubt is not None:
                        raise OutcomeUnknown from in_doubt[1]
                    raise self._translate(error) from error
                LOG.info("db.retry attempt=%d reason=%s", attempt, _describe(error))
                time.sleep(min(1.0, 0.005 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311  # jitter only

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise self._translate(error) from error
        self._answered()

    def _translate(self, error: exc.DBAPIError | exc.TimeoutError) -> DbError:
        if isinstance(error, exc.IntegrityError):
            return Conflict()
        if not self._away:
            self._away = True
            LOG.error("db.unavailable url=%s reason=%s", self.url, _reason(error))
        return Unavailable(_describe(error))

    def _answered(self) -> None:
        if self._away:
            self._away = False
            LOG.info("db.recovered url=%s", self.url)

    def close(self) -> None:
        """Close every pooled connection.  The object may be used again; it then opens new ones."""
        self.engine.dispose()


def is_conflict(error: BaseException) -> bool:
    """Whether the same transaction can be expected to succeed when it is simply run again."""
    seen: BaseException | None = error
    while seen is not None:  # a deadlock takes MySQL's savepoints along, and the error of that hides the deadlock
        origin = getattr(seen, "orig", None)
        if isinstance(origin, sqlite3.OperationalError):
            return origin.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if getattr(origin, "pgcode", None) in _CONFLICT_STATES:
            return True
        if getattr(origin, "args", None) and origin.args[0] in _CONFLICT_NUMBERS:  # type: ignore[union-attr]
            return True
        seen = seen.__context__
    return False


def _describe(error: exc.DBAPIError | exc.TimeoutError) -> str:
    """The driver's own words, which (unlike SQLAlchemy's) have neither the statement nor its values."""
    if isinstance(error, exc.DBAPIError) and isinstance(error.orig, sqlite3.Error):
        return f"database: {error.orig}"
    if isinstance(error, exc.TimeoutError):
        return "database: no free connection"
    # Constraint errors of PostgreSQL and MySQL quote the offending values: the class has to do.
    name = type(error.orig).__name__
    if isinstance(error, exc.OperationalError | exc.InterfaceError):
        return f"the database does not answer ({name})"
    return f"database: {name}"


def _reason(error: exc.DBAPIError | exc.TimeoutError) -> str:
    """More of the driver's words, for those who run the daemon: what it says of a connection has no values in it."""
    if isinstance(error, exc.DBAPIError) and error.statement is None:
        return str(error.orig).partition("\n")[0]
    return _describe(error)


def _make_engine(url: sa.URL, pool_size: int, lock_timeout: float) -> sa.Engine:
    options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": 30}
    arguments: dict[str, Any] = {}
    backend = url.get_backend_name()
    if backend == "sqlite":
        arguments["timeout"] = lock_timeout
        options["poolclass"] = pool.QueuePool
        arguments["check_same_thread"] = False
        if not _sqlite_path(url):
            # A database in memory is its one connection; users wait for each other.
            options |= {"pool_size": 1, "max_overflow": 0}
        else:
            options |= {"pool_size": pool_size}
            _create_private(Path(_sqlite_path(url)))
    else:
        options |= {"pool_size": pool_size, "pool_pre_ping": True, "pool_recycle": 1800}
        if backend == "mysql":
            # The default there, REPEATABLE READ, takes gap locks that make unrelated inserts deadlock.
            options["isolation_level"] = "READ COMMITTED"
            # A server that is gone without a word must not hold its user for good; the lock of migrations takes 120 s.
            arguments |= {"charset": "utf8mb4", "connect_timeout": 10, "read_timeout": 150, "write_timeout": 150}
            arguments["init_command"] = f"SET SESSION innodb_lock_wait_timeout = {max(1, round(lock_timeout))}"
        elif backend == "postgresql":
            arguments |= {"connect_timeout": 10, "options": f"-c lock_timeout={round(lock_timeout * 1000)}"}
            arguments |= {"tcp_user_timeout": 20_000, "keepalives_idle": 10, "keepalives_interval": 5}
    engine = sa.create_engine(url, connect_args=arguments, **options)
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _sqlite_path(url: sa.URL) -> str:
    path = url.database or ""
    return "" if path == ":memory:" or path.startswith("file:") else path


def _create_private(path: Path) -> None:
    """Make the file of a new database readable by its owner only, before anything is in it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's own transaction handling begins too late and never immediately; we begin ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer that began as a reader cannot become a writer once another one was faster: it fails at once,
    # whatever the timeout.  So writers say so from the start.
    reading = connection.get_execution_options().get("congress_read", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
