# SPDX-License-Identifier: Apache-2.0
"""Empty databases for tests, each with a name of its own, dropped afterwards."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from tests.requirements import require_or_skip

BACKENDS = ("sqlite", "postgresql", "mysql")
_SERVERS = {
    "postgresql": os.environ.get("CONGRESS_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/test"),
    "mysql": os.environ.get("CONGRESS_TEST_MYSQL", "mysql://root@127.0.0.1:3306/test"),
}
_DRIVERS = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}


@contextmanager
def empty_database(backend: str, folder: Path) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    if backend == "sqlite":
        yield f"sqlite:///{folder}/congress.sqlite"
        return
    url = sa.make_url(_SERVERS[backend])
    name = f"congress_{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(url.set(drivername=_DRIVERS[backend]), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
    except exc.OperationalError as error:
        require_or_skip("database", f"{backend} at {url.host}:{url.port}: {error.orig}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        force = " WITH (FORCE)" if backend == "postgresql" else ""
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}{force}"))
        server.dispose()
