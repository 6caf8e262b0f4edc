# SPDX-License-Identifier: Apache-2.0
"""Policies of the library as they are stored: texts to make policies of, none of them in force."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from congress.db.database import Database
from congress.db.errors import NameTaken, RecordNotFound
from congress.db.models import ABBREVIATION_LENGTH, library_policies
from congress.db.records import new_id, utcnow
from congress.db.texts import storable

LIBRARY: str = "library policy"
"""What the holder of a taken name is called."""


@dataclass(frozen=True, slots=True)
class LibraryRecord:
    """One policy of the library.  ``rules`` are objects with a key ``rule`` and perhaps others, as they were given."""

    name: str
    abbreviation: str = ""
    description: str = ""
    kind: str = "nonrecursive"
    depends_on: tuple[str, ...] = ()
    rules: tuple[Mapping[str, Any], ...] = ()
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utcnow)
    updated_at: datetime = field(default_factory=utcnow)


class LibraryStore:
    """The stored library.  Any thread; every method is one transaction and blocks on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, name: str | None = None) -> list[LibraryRecord]:
        """Every policy of the library, or the one with a name, in the order of their names."""
        query = sa.select(library_policies).order_by(library_policies.c.name)
        if name is not None:
            query = query.where(library_policies.c.name == name)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def is_empty(self) -> bool:
        """Whether nothing is in the library."""
        with self._database.read() as connection:
            return _first(connection) is None

    def find(self, key: str) -> LibraryRecord:
        """The policy with an id, else the one with that name.

        :raises RecordNotFound: there is none such.
        """
        columns = library_policies.c
        query = sa.select(library_policies).where(sa.or_(columns.id == key, columns.name == key))
        with self._database.read() as connection:
            found = [_record(row) for row in connection.execute(query)]
        if not found:
            raise RecordNotFound(f"there is no library policy {key!r:.100}")
        return next((record for record in found if record.id == key), found[0])

    def create(self, policy: LibraryRecord) -> None:
        """Add a policy.

        :raises NameTaken: one in the library has that name.
        :raises Unstorable: one of the texts cannot be kept.
        """
        values = _values(policy)

        def work(connection: sa.Connection) -> None:
            _insert(connection, values)

        self._database.run(work, _is_there(policy.id))

    def update(self, policy: LibraryRecord) -> None:
        """Store everything of a policy anew but its id and when it was made.

        :raises RecordNotFound: no policy has that id.
        :raises NameTaken: another one has its new name.
        """
        values = {**_values(policy), "updated_at": utcnow()}
        del values["id"], values["created_at"]

        def work(connection: sa.Connection) -> None:
            if not _is_there(policy.id)(connection):  # MySQL counts only rows that the update really altered
                raise RecordNotFound(f"there is no library policy with the id {policy.id!r}")
            try:
                with connection.begin_nested():
                    connection.execute(
                        library_policies.update().where(library_policies.c.id == policy.id).values(values)
                    )
            except exc.IntegrityError as error:
                raise NameTaken(policy.name, LIBRARY) from error

        self._database.run(work)

    def delete(self, policy_id: str) -> None:
        """Forget a policy.  :raises RecordNotFound: no policy has that id."""

        def work(connection: sa.Connection) -> None:
            query = library_policies.delete().where(library_policies.c.id == policy_id)
            if connection.execute(query).rowcount != 1:
                raise RecordNotFound(f"there is no library policy with the id {policy_id!r}")

        self._database.run(work, lambda connection: not _is_there(policy_id)(connection))

    def fill(self, policies: Iterable[LibraryRecord]) -> int:
        """Add policies to an empty library; to one that has any, nothing.  Several processes may do so at once.

        :returns: how many were added.
        """
        values = [_values(policy) for policy in policies]

        def work(connection: sa.Connection) -> int:
            if _first(connection) is not None:
                return 0
            try:
                with connection.begin_nested():
                    for each in values:
                        connection.execute(library_policies.insert().values(each))
            except exc.IntegrityError:
                return 0  # another process was faster
            return len(values)

        return self._database.run(work)

    def load(self, policies: Iterable[LibraryRecord], *, replace: bool = False) -> tuple[int, int]:
        """Add those whose names are not there yet; with ``replace``, store the others in place of what is there.

        :returns: how many were added and how many replaced.
        """
        given = [_values(policy) for policy in policies]

        def work(connection: sa.Connection) -> tuple[int, int]:
            query = sa.select(library_policies.c.name)
            present = set(connection.execute(query).scalars())
            added = replaced = 0
            for values in given:
                if values["name"] not in present:
                    _insert(connection, values)
                    added += 1
                elif replace:
                    changed = {key: value for key, value in values.items() if key not in ("id", "created_at")}
                    update = library_policies.update().where(library_policies.c.name == values["name"])
                    connection.execute(update.values(changed))
                    replaced += 1
            return added, replaced

        return self._database.run(work)


def _first(connection: sa.Connection) -> sa.Row[Any] | None:
    return connection.execute(sa.select(library_policies.c.id).limit(1)).first()


def _insert(connection: sa.Connection, values: Mapping[str, object]) -> None:
    try:
        with connection.begin_nested():
            connection.execute(library_policies.insert().values(values))
    except exc.IntegrityError as error:
        raise NameTaken(str(values["name"]), LIBRARY) from error


def _is_there(policy_id: str) -> Callable[[sa.Connection], bool]:
    query = sa.select(library_policies.c.id).where(library_policies.c.id == policy_id)
    return lambda connection: connection.execute(query).first() is not None


def _record(row: sa.Row[Any]) -> LibraryRecord:
    values = dict(row._mapping)
    values["depends_on"] = tuple(json.loads(values["depends_on"]))
    values["rules"] = tuple(json.loads(values["rules"]))
    return LibraryRecord(**values)


def _values(policy: LibraryRecord) -> dict[str, object]:
    return {
        "id": policy.id,
        "name": storable("name", policy.name),
        "abbreviation": storable("abbreviation", policy.abbreviation, ABBREVIATION_LENGTH),
        "description": storable("description", policy.description, None),
        "kind": policy.kind,
        "depends_on": json.dumps(policy.depends_on, ensure_ascii=False),
        "rules": storable("rules", json.dumps(policy.rules, ensure_ascii=False), None),
        "created_at": policy.created_at,
        "updated_at": policy.updated_at,
    }
