# SPDX-License-Identifier: Apache-2.0
"""Settings of guards that differ from the configuration, and the states of breakers, as they are stored."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import sqlalchemy as sa

from congress.db.database import Database
from congress.db.errors import Conflict, Unstorable
from congress.db.models import breakers, guards
from congress.db.texts import storable

Kind = Literal["policy", "service"]

POLICY: Final = "policy"
SERVICE: Final = "service"


class GuardStore:
    """What was set for single policies and services.  Any thread; every method is one transaction and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """The settings of one policy or service; None when it has none of its own."""
        if not _is_storable(name):
            return None
        query = sa.select(guards.c.settings).where(guards.c.kind == kind, guards.c.name == name)
        with self._database.read() as connection:
            found: str | None = connection.execute(query).scalar()
        return None if found is None else _object(found)

    def all(self) -> dict[tuple[Kind, str], dict[str, Any]]:
        """All of them, by kind and name."""
        query = sa.select(guards).order_by(guards.c.kind, guards.c.name)
        with self._database.read() as connection:
            return {(row.kind, row.name): _object(row.settings) for row in connection.execute(query)}

    def put(self, kind: Kind, name: str, settings: Mapping[str, Any]) -> None:
        """Store the settings of one policy or service in place of those it has.

        :raises Unstorable: they are not JSON, or the name is none.
        """
        self._put(guards, {"kind": kind, "name": storable("name", name)}, "settings", _text("settings", settings))

    def delete(self, kind: Kind, name: str) -> bool:
        """Forget the settings of one policy or service; whether it had any."""
        return self._delete(guards, {"kind": kind, "name": name})

    def breakers(self) -> dict[str, dict[str, Any]]:
        """The states of breakers, by service."""
        with self._database.read() as connection:
            query = sa.select(breakers).order_by(breakers.c.service)
            return {row.service: _object(row.state) for row in connection.execute(query)}

    def put_breaker(self, service: str, state: Mapping[str, Any]) -> None:
        """Store the state of a service's breaker in place of the one it has.

        :raises Unstorable: it is not JSON, or the name is none.
        """
        self._put(breakers, {"service": storable("service", service)}, "state", _text("state", state))

    def delete_breaker(self, service: str) -> bool:
        """Forget the breaker of a service that has gone; whether there was one."""
        return self._delete(breakers, {"service": service})

    def _put(self, table: sa.Table, key: Mapping[str, str], column: str, text: str) -> None:
        def work(connection: sa.Connection) -> None:
            update = table.update().where(*_where(table, key)).values({column: text})
            if connection.execute(update).rowcount == 0:
                connection.execute(table.insert().values({**key, column: text}))

        def done(connection: sa.Connection) -> bool:
            return connection.execute(sa.select(table.c[column]).where(*_where(table, key))).scalar() == text

        try:
            self._database.run(work, done)
        except Conflict:  # somebody else's first settings of this name came in between: they are there to update now
            self._database.run(work, done)

    def _delete(self, table: sa.Table, key: Mapping[str, str]) -> bool:
        def work(connection: sa.Connection) -> bool:
            return connection.execute(table.delete().where(*_where(table, key))).rowcount > 0

        def done(connection: sa.Connection) -> bool:
            return connection.execute(sa.select(table.c[next(iter(key))]).where(*_where(table, key))).first() is None

        return all(map(_is_storable, key.values())) and self._database.run(work, done)


def _where(table: sa.Table, key: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _is_storable(name: str) -> bool:
    """Whether a name can have anything here; the databases stumble over the others, each in its own way."""
    try:
        storable("name", name)
    except Unstorable:
        return False
    return True


def _object(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def _text(field: str, value: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable(field, "not a JSON object") from error
