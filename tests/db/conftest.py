# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterator
from pathlib import Path

import pytest

from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.db.models import metadata
from tests.databases import BACKENDS, empty_database

MARKED = [pytest.param(name, marks=[pytest.mark.database] * (name != "sqlite")) for name in BACKENDS]


@pytest.fixture(params=MARKED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database with nothing in it, this test's alone."""
    with empty_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def empty(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture(scope="module", params=MARKED)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with empty_database(request.param, tmp_path_factory.mktemp("shared")) as made:
        database = Database(made)
        upgrade(database)
        yield database
        database.close()


@pytest.fixture
def database(shared: Database) -> Iterator[Database]:
    """With all tables and nothing in them; one for the tests of a module, since making one takes a while."""
    yield shared
    with shared.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@pytest.fixture
def cipher(tmp_path: Path) -> Cipher:
    return Cipher.open(tmp_path / "keys")
