# SPDX-License-Identifier: Apache-2.0
"""Policies as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from congress.db import names
from congress.db.database import Database
from congress.db.errors import RecordNotFound
from congress.db.models import ABBREVIATION_LENGTH, policies
from congress.db.records import new_id, utcnow
from congress.db.rules import RuleRecord, delete_rules, insert_rules
from congress.db.texts import storable


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One policy without its rules."""

    name: str
    abbreviation: str = ""
    description: str = ""
    owner_id: str = "user"
    kind: str = "nonrecursive"
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utcnow)
    updated_at: datetime = field(default_factory=utcnow)


class PolicyStore:
    """The stored policies.  Any thread; every method is one transaction and blocks on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[PolicyRecord]:
        """Every policy, oldest first."""
        query = sa.select(policies).order_by(policies.c.created_at, policies.c.id)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def get(self, policy_id: str) -> PolicyRecord:
        """
        :raises RecordNotFound: no policy has that id.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(policies).where(policies.c.id == policy_id)).first()
        if row is None:
            raise RecordNotFound(f"there is no policy with the id {policy_id!r}")
        return _record(row)

    def create(self, policy: PolicyRecord, rules: Sequence[RuleRecord] = ()) -> None:
        """Store a policy together with its first rules: all of it or nothing.

        :raises NameTaken: a policy or a service has that name.
        :raises Unstorable: one of the texts cannot be kept.
        """
        values = _values(policy)

        def work(connection: sa.Connection) -> None:
            names.reserve(connection, policy.name, names.POLICY)
            connection.execute(policies.insert().values(values))
            insert_rules(connection, policy.id, rules)

        def done(connection: sa.Connection) -> bool:
            return _exists(connection, policy.id)

        self._database.run(work, done)

    def update(self, policy: PolicyRecord, add: Sequence[RuleRecord] = (), remove: Sequence[str] = ()) -> None:
        """Store new texts of a policy and a change of its rules: all of it or nothing.

        Its name and its kind never change.

        :raises RecordNotFound: the policy, or a rule to remove, is not there.
        """
        values = _values(policy)
        changed = {key: values[key] for key in ("abbreviation", "description", "owner_id", "updated_at")}

        def work(connection: sa.Connection) -> None:
            if not _exists(connection, policy.id):  # MySQL counts only rows that the update really altered
                raise RecordNotFound(f"there is no policy with the id {policy.id!r}")
            connection.execute(policies.update().where(policies.c.id == policy.id).values(changed))
            delete_rules(connection, policy.id, remove)
            insert_rules(connection, policy.id, add)

        self._database.run(work)

    def delete(self, policy_id: str) -> None:
        """Forget a policy and its rules; its name becomes free.

        :raises RecordNotFound: no policy has that id.
        """

        def work(connection: sa.Connection) -> None:
            name = connection.execute(sa.select(policies.c.name).where(policies.c.id == policy_id)).scalar()
            if name is None:
                raise RecordNotFound(f"there is no policy with the id {policy_id!r}")
            connection.execute(policies.delete().where(policies.c.id == policy_id))
            names.release(connection, name)

        def done(connection: sa.Connection) -> bool:
            return not _exists(connection, policy_id)

        self._database.run(work, done)


def _exists(connection: sa.Connection, policy_id: str) -> bool:
    return connection.execute(sa.select(policies.c.id).where(policies.c.id == policy_id)).first() is not None


def _record(row: sa.Row[Any]) -> PolicyRecord:
    return PolicyRecord(**row._mapping)


def _values(policy: PolicyRecord) -> dict[str, object]:
    return {
        "id": policy.id,
        "name": storable("name", policy.name),
        "abbreviation": storable("abbreviation", policy.abbreviation, ABBREVIATION_LENGTH),
        "description": storable("description", policy.description, None),
        "owner_id": storable("owner_id", policy.owner_id),
        "kind": policy.kind,
        "created_at": policy.created_at,
        "updated_at": policy.updated_at,
    }
