# SPDX-License-Identifier: Apache-2.0
"""Cloud services as they are stored: which driver, with which options.  Secrets are encrypted one by one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from congress.db import names
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import RecordNotFound, SecretUnreadable, Unstorable
from congress.db.models import services
from congress.db.records import new_id, utcnow
from congress.db.texts import storable


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """The definition of one service.

    ``config`` is a JSON object with all options in clear; ``secret_options`` names those of them that are
    encrypted in the database and shown to nobody.  ``unreadable`` names secret options that could not be
    decrypted when the record was read; they are missing in ``config``.
    """

    name: str
    driver: str
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)  # a record in a log shows no secret
    secret_options: frozenset[str] = frozenset()
    description: str = ""
    enabled: bool = True
    id: str = field(default_factory=new_id)
    created_at: datetime = field(default_factory=utcnow)
    updated_at: datetime = field(default_factory=utcnow)
    unreadable: frozenset[str] = frozenset()


class ServiceStore:
    """The stored services.  Any thread; every method is one transaction and blocks on the database."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    def all(self) -> list[ServiceRecord]:
        """Every service, oldest first."""
        query = sa.select(services).order_by(services.c.created_at, services.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [self._record(row) for row in rows]

    def get(self, service_id: str) -> ServiceRecord:
        """
        :raises RecordNotFound: no service has that id.
        """
        return self._one(services.c.id == service_id, service_id)

    def by_name(self, name: str) -> ServiceRecord:
        """
        :raises RecordNotFound: no service has that name.
        """
        return self._one(services.c.name == name, name)

    def create(self, service: ServiceRecord) -> None:
        """Store a new service.

        :raises NameTaken: a policy or a service has that name.
        :raises Unstorable: one of the texts or options cannot be kept.
        """
        values = self._values(service)

        def work(connection: sa.Connection) -> None:
            names.reserve(connection, service.name, names.SERVICE)
            connection.execute(services.insert().values(values))

        def done(connection: sa.Connection) -> bool:
            return _exists(connection, service.id)

        self._database.run(work, done)

    def update(self, service: ServiceRecord) -> None:
        """Store new options, description, driver or state of a service.  Its name never changes.

        Options in ``service.unreadable`` keep their encrypted value unless ``config`` has a new one.
        :raises RecordNotFound: no service has that id.
        """
        values = self._values(replace(service, updated_at=utcnow()))
        for key in ("id", "name", "created_at"):
            del values[key]

        def work(connection: sa.Connection) -> None:
            query = sa.select(services.c.secrets).where(services.c.id == service.id)
            old: str | None = connection.execute(query.with_for_update()).scalar()
            if old is None:
                raise RecordNotFound(f"there is no service with the id {service.id!r}")
            kept = {key: token for key, token in json.loads(old).items() if key in service.unreadable}
            secrets = json.dumps({**kept, **json.loads(str(values["secrets"]))})
            update = services.update().where(services.c.id == service.id)
            connection.execute(update.values({**values, "secrets": secrets}))

        self._database.run(work)

    def delete(self, service_id: str) -> None:
        """Forget a service and its kept rows; its name becomes free.

        :raises RecordNotFound: no service has that id.
        """

        def work(connection: sa.Connection) -> None:
            name = connection.execute(sa.select(services.c.name).where(services.c.id == service_id)).scalar()
            if name is None:
                raise RecordNotFound(f"there is no service with the id {service_id!r}")
            connection.execute(services.delete().where(services.c.id == service_id))
            names.release(connection, name)

        def done(connection: sa.Connection) -> bool:
            return not _exists(connection, service_id)

        self._database.run(work, done)

    def reencrypt(self) -> int:
        """Encrypt every secret anew under the newest key; how many.

        :raises SecretUnreadable: for a secret that none of the keys opens; then nothing is changed.
        """

        def work(connection: sa.Connection) -> int:
            query = sa.select(services.c.id, services.c.name, services.c.secrets).with_for_update()
            count = 0
            for service_id, name, text in connection.execute(query).all():
                tokens = json.loads(text)
                for option, token in tokens.items():
                    tokens[option] = self._cipher.encrypt(self._open(name, option, token))
                count += len(tokens)
                update = services.update().where(services.c.id == service_id)
                connection.execute(update.values(secrets=json.dumps(tokens)))
            return count

        return self._database.run(work)

    def _open(self, service: str, option: str, token: str) -> str:
        try:
            return self._cipher.decrypt(token)
        except SecretUnreadable as error:
            raise SecretUnreadable(f"no key opens the option {option!r} of the service {service!r}") from error

    def _one(self, condition: sa.ColumnElement[bool], key: str) -> ServiceRecord:
        with self._database.read() as connection:
            row = connection.execute(sa.select(services).where(condition)).first()
        if row is None:
            raise RecordNotFound(f"there is no service {key!r}")
        return self._record(row)

    def _record(self, row: sa.Row[Any]) -> ServiceRecord:
        config: dict[str, Any] = json.loads(row.config)
        tokens: dict[str, str] = json.loads(row.secrets)
        unreadable = set()
        for option, token in tokens.items():
            try:
                config[option] = json.loads(self._cipher.decrypt(token))
            except SecretUnreadable:
                unreadable.add(option)
        return ServiceRecord(
            id=row.id,
            name=row.name,
            driver=row.driver,
            description=row.description,
            enabled=row.enabled,
            config=config,
            secret_options=frozenset(tokens),
            created_at=row.created_at,
            updated_at=row.updated_at,
            unreadable=frozenset(unreadable),
        )

    def _values(self, service: ServiceRecord) -> dict[str, object]:
        try:
            public = {k: v for k, v in service.config.items() if k not in service.secret_options}
            config = json.dumps(public, allow_nan=False)
            secrets = {
                option: self._cipher.encrypt(json.dumps(service.config[option], allow_nan=False))
                for option in sorted(service.secret_options)
                if option in service.config
            }
        except (TypeError, ValueError) as error:
            raise Unstorable("config", "an option that is not JSON") from error
        return {
            "id": service.id,
            "name": storable("name", service.name),
            "driver": storable("driver", service.driver),
            "description": storable("description", service.description, None),
            "enabled": service.enabled,
            "config": config,
            "secrets": json.dumps(secrets),
            "created_at": service.created_at,
            "updated_at": service.updated_at,
        }


def _exists(connection: sa.Connection, service_id: str) -> bool:
    return connection.execute(sa.select(services.c.id).where(services.c.id == service_id)).first() is not None
