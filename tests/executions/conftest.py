# SPDX-License-Identifier: Apache-2.0
"""``database`` is every kind of database in turn, with all tables and nothing in them; ``moody`` one in memory that
fails when it is told to.
"""

from collections.abc import Iterator

import pytest

from congress.db.migrate import upgrade
from tests.db.conftest import cipher, database, shared
from tests.executions.bench import Moody

__all__ = ["cipher", "database", "shared"]


@pytest.fixture
def moody() -> Iterator[Moody]:
    made = Moody("sqlite://")
    upgrade(made)
    yield made
    made.mood = ""
    made.close()
