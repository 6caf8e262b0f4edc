# SPDX-License-Identifier: Apache-2.0
"""Rules as they are stored: their text just as it was written, in the order in which they came."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from congress.db.database import Database
from congress.db.errors import RecordNotFound
from congress.db.models import rules
from congress.db.records import new_id, utcnow
from congress.db.texts import storable


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """One rule of the policy ``policy_id``."""

    policy_id: str
    rule: str
    name: str | None = None
    comment: str = ""
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utcnow)


_COLUMNS = [rules.c.policy_id, rules.c.rule, rules.c.name, rules.c.comment, rules.c.id, rules.c.created_at]


class RuleStore:
    """The stored rules.  Any thread; every method is one transaction and blocks on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, policy_id: str | None = None) -> list[RuleRecord]:
        """Every rule, or those of one policy, in the order in which they came."""
        query = sa.select(*_COLUMNS).order_by(rules.c.sequence)
        if policy_id is not None:
            query = query.where(rules.c.policy_id == policy_id)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def get(self, rule_id: str) -> RuleRecord:
        """
        :raises RecordNotFound: no rule has that id.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(*_COLUMNS).where(rules.c.id == rule_id)).first()
        if row is None:
            raise RecordNotFound(f"there is no rule with the id {rule_id!r}")
        return _record(row)

    def change(self, policy_id: str, add: Sequence[RuleRecord] = (), remove: Sequence[str] = ()) -> None:
        """Add and remove rules of one policy: all of it or nothing.

        :raises RecordNotFound: the policy, or one of the rules to remove, is not there.
        :raises Unstorable: one of the texts cannot be kept.
        """

        def work(connection: sa.Connection) -> None:
            delete_rules(connection, policy_id, remove)
            insert_rules(connection, policy_id, add)

        def done(connection: sa.Connection) -> bool:
            wanted, unwanted = {rule.id for rule in add}, set(remove)
            query = sa.select(rules.c.id).where(rules.c.policy_id == policy_id)
            present = set(connection.execute(query).scalars())
            return wanted <= present and not unwanted & present

        self._database.run(work, done)

    def update(self, rule: RuleRecord) -> None:
        """Store other texts of a rule; it keeps its id and its place among the others.

        :raises RecordNotFound: the policy has no rule of that id.
        :raises Unstorable: one of the texts cannot be kept.
        """
        (values,) = _values([rule])
        mine = sa.and_(rules.c.policy_id == rule.policy_id, rules.c.id == rule.id)

        def work(connection: sa.Connection) -> None:
            # MySQL counts only rows that the update really altered.
            if connection.execute(sa.select(rules.c.id).where(mine)).first() is None:
                raise RecordNotFound(f"there is no rule with the id {rule.id!r} in the policy")
            texts = {key: values[key] for key in ("rule", "name", "comment")}
            connection.execute(rules.update().where(mine).values(texts))

        self._database.run(work)


def _values(added: Sequence[RuleRecord], policy_id: str | None = None) -> list[dict[str, Any]]:
    return [
        {
            "id": rule.id,
            "policy_id": policy_id or rule.policy_id,
            "rule": storable("rule", rule.rule, None),
            "name": None if rule.name is None else storable("name", rule.name),
            "comment": storable("comment", rule.comment),
            "created_at": rule.created_at,
        }
        for rule in added
    ]


def insert_rules(connection: sa.Connection, policy_id: str, added: Sequence[RuleRecord]) -> None:
    """Add rules inside the caller's transaction."""
    if not added:
        return
    values = _values(added, policy_id)
    try:
        connection.execute(rules.insert(), values)
    except exc.IntegrityError as error:
        raise RecordNotFound(f"there is no policy with the id {policy_id!r}") from error


def delete_rules(connection: sa.Connection, policy_id: str, removed: Sequence[str]) -> None:
    """Remove rules inside the caller's transaction."""
    for start in range(0, len(removed), 500):  # a statement takes a bounded number of parameters
        batch = list(dict.fromkeys(removed[start : start + 500]))
        query = rules.delete().where(rules.c.policy_id == policy_id, rules.c.id.in_(batch))
        if connection.execute(query).rowcount != len(batch):
            raise RecordNotFound("one of the rules to remove is not in the policy")


def _record(row: sa.Row[Any]) -> RuleRecord:
    return RuleRecord(**row._mapping)
