# SPDX-License-Identifier: Apache-2.0
"""Rows that were pushed into a service and must outlive the process, one record a row."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa

from congress.datalog.values import Row, decode_row, encode_row
from congress.db.database import Database
from congress.db.errors import RecordNotFound
from congress.db.models import service_rows, services
from congress.db.texts import storable

_BATCH: Final = 500


class ServiceRowStore:
    """The kept rows of services.  Any thread; every method is one transaction and blocks on the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, service_id: str) -> dict[str, list[Row]]:
        """The rows of a service by table; a table without rows is not in it."""
        table, row = service_rows.c.table_name, service_rows.c.row
        query = sa.select(table, row).where(service_rows.c.service_id == service_id)
        found: dict[str, list[Row]] = {}
        with self._database.read() as connection:
            for name, text in connection.execute(query):
                found.setdefault(name, []).append(encode_row(json.loads(text)))
        return found

    def replace(self, service_id: str, table: str, rows: Iterable[Row]) -> None:
        """Make these the rows of a table.  Only the difference to what is there is written.

        :raises RecordNotFound: no service has that id.
        """
        wanted = _digests(rows)

        def work(connection: sa.Connection) -> None:
            _lock(connection, service_id)
            query = sa.select(service_rows.c.digest).where(*_where(service_id, table))
            present = set(connection.execute(query).scalars())
            _delete(connection, service_id, table, sorted(present - wanted.keys()))
            _insert(connection, service_id, table, {k: v for k, v in wanted.items() if k not in present})

        self._database.run(work)

    def change(self, service_id: str, table: str, insert: Iterable[Row], delete: Iterable[Row]) -> None:
        """Delete and insert rows of a table, with the meaning of sets; a row in both is there afterwards.

        :raises RecordNotFound: no service has that id.
        """
        added, removed = _digests(insert), _digests(delete)

        def work(connection: sa.Connection) -> None:
            _lock(connection, service_id)
            # What is to be there is deleted too: the insertion then never meets its own row.
            _delete(connection, service_id, table, sorted(removed.keys() | added.keys()))
            _insert(connection, service_id, table, added)

        self._database.run(work)

    def clear(self, service_id: str) -> None:
        """Forget all rows of a service."""

        def work(connection: sa.Connection) -> None:
            connection.execute(service_rows.delete().where(service_rows.c.service_id == service_id))

        self._database.run(work)


def _digests(rows: Iterable[Row]) -> dict[str, str]:
    """Each row as JSON by a digest of its value; ``1`` and ``1.0`` are one value and have one digest."""
    found = {}
    for row in rows:
        plain = decode_row(row)
        same = [int(v) if isinstance(v, float) and v.is_integer() else v for v in plain]
        key = hashlib.blake2b(json.dumps(same).encode(), digest_size=20).hexdigest()
        found[key] = json.dumps(plain, allow_nan=False)  # escaped to ASCII: any text is storable
    return found


def _lock(connection: sa.Connection, service_id: str) -> None:
    """Writers of one service's rows take turns, so each sees what the one before it left."""
    query = sa.select(services.c.id).where(services.c.id == service_id).with_for_update()
    if connection.execute(query).first() is None:
        raise RecordNotFound(f"there is no service with the id {service_id!r}")


def _where(service_id: str, table: str) -> list[sa.ColumnElement[bool]]:
    return [service_rows.c.service_id == service_id, service_rows.c.table_name == storable("table", table)]


def _delete(connection: sa.Connection, service_id: str, table: str, digests: Sequence[str]) -> None:
    for start in range(0, len(digests), _BATCH):
        batch = service_rows.c.digest.in_(digests[start : start + _BATCH])
        connection.execute(service_rows.delete().where(*_where(service_id, table), batch))


def _insert(connection: sa.Connection, service_id: str, table: str, rows: dict[str, str]) -> None:
    values = [
        {"service_id": service_id, "table_name": storable("table", table), "digest": digest, "row": text}
        for digest, text in rows.items()
    ]
    if values:
        connection.execute(service_rows.insert(), values)
