# SPDX-License-Identifier: Apache-2.0
"""One set of names for policies and services.

A name is one row in one table, so two transactions that want it at once meet in the database, in whichever
processes they run: one of them gets it.
"""

from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from congress.db.database import Database
from congress.db.errors import NameTaken
from congress.db.models import names

POLICY: Final = "policy"
SERVICE: Final = "service"


def reserve(connection: sa.Connection, name: str, kind: str) -> None:
    """Take a name inside the caller's transaction.

    :raises NameTaken: somebody has it; the caller's transaction is still usable.
    """
    found = holder(connection, name)
    if found is not None:
        raise NameTaken(name, found)
    try:
        with connection.begin_nested():
            connection.execute(names.insert().values(name=name, kind=kind))
    except exc.IntegrityError as error:
        raise NameTaken(name, holder(connection, name) or "policy or service") from error


def release(connection: sa.Connection, name: str) -> None:
    """Give a name back, after what was called by it has gone."""
    connection.execute(names.delete().where(names.c.name == name))


def holder(connection: sa.Connection, name: str) -> str | None:
    """``"policy"``, ``"service"``, or None when the name is free."""
    found: str | None = connection.execute(sa.select(names.c.kind).where(names.c.name == name)).scalar()
    return found


class NameStore:
    """Who has which name.  Any thread; blocks on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def kind_of(self, name: str) -> str | None:
        """``"policy"``, ``"service"``, or None when the name is free."""
        with self._database.read() as connection:
            return holder(connection, name)
