# SPDX-License-Identifier: Apache-2.0
"""The database's shape: made and changed by the migrations that come with the package.

The server calls :func:`upgrade` at each start.  Several servers may do so at once: one works, others wait.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from congress.db.database import Database
from congress.db.errors import SchemaTooNew, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

LOG = logging.getLogger(__name__)

HEAD: Final = "0003"
"""The newest step.  Known here so that a start with nothing to do does not load Alembic (0.3 s)."""

_LOCK: Final = "congress-migrations"
_LOCK_NUMBER: Final = 7_236_489_001_344_127
_LOCK_SECONDS: Final = 120


def upgrade(database: Database, revision: str = HEAD) -> bool:
    """Bring the database to a revision, from empty or from any older one; whether there was anything to do.

    All of it or nothing on SQLite and PostgreSQL; on MySQL, which commits each change of a table, an
    interrupted upgrade goes on where it was.

    :raises SchemaTooNew: a newer version of this program has been here.
    :raises Unavailable: the database cannot be reached.
    """
    if current(database) == revision:
        return False
    return _move(database, revision, up=True)


def downgrade(database: Database, revision: str = "base") -> bool:
    """Take the database back to an older revision, or to nothing.  Data without a place there is lost."""
    return _move(database, revision, up=False)


def current(database: Database) -> str | None:
    """The revision of the database; None when it is empty."""
    with database.read() as connection:
        return _current(connection)


def _move(database: Database, revision: str, up: bool) -> bool:
    # Imported where it is needed: see HEAD.
    from alembic import command  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    with database.begin() as connection, _lock(connection):
        before = _current(connection)
        config = alembic_config(connection)
        if before is not None:
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            if before not in known:
                raise SchemaTooNew(f"the database has revision {before}, which this version does not know")
        (command.upgrade if up else command.downgrade)(config, revision)
        after = _current(connection)
    LOG.info("db.migrated from=%s to=%s", before, after)
    return before != after


def alembic_config(connection: sa.Connection) -> "Config":
    """What Alembic needs to work on an open connection."""
    from alembic.config import Config  # noqa: PLC0415  # see HEAD

    config = Config()
    config.set_main_option("script_location", "congress.db:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _current(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


@contextmanager
def _lock(connection: sa.Connection) -> Iterator[None]:
    """Hold others off.  On SQLite the transaction itself does: it has begun as a writer."""
    dialect = connection.dialect.name
    if dialect == "postgresql":
        # Waits as long as it takes: the lock_timeout of the connection bounds it, so lift that first.
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_NUMBER})
        yield
    elif dialect == "mysql":
        # Named per database: the lock belongs to the server.
        key = connection.execute(sa.text("SELECT CONCAT(:name, '.', MD5(DATABASE()))"), {"name": _LOCK}).scalar()
        parameters = {"key": key, "seconds": _LOCK_SECONDS}
        if connection.execute(sa.text("SELECT GET_LOCK(:key, :seconds)"), parameters).scalar() != 1:
            raise Unavailable("another process has been migrating the database for too long")
        try:
            yield
            # The lock is no part of the transaction: who takes it next must find all that was done.
            connection.execute(sa.text("COMMIT"))
        finally:
            connection.execute(sa.text("SELECT RELEASE_LOCK(:key)"), parameters)
    else:
        yield
