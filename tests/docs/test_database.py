# SPDX-License-Identifier: Apache-2.0
"""The page on the database has every table with every column."""

import re

from congress.db.models import metadata
from tests.docs.pages import DOCS


def test_every_column_is_described() -> None:
    text = (DOCS / "reference" / "database.rst").read_text(encoding="utf-8")
    found = re.split(r"^   \* - ``(\w+)``$", text.split("\nTables\n")[1].split("\nTimes are")[0], flags=re.MULTILINE)
    described = {
        name: set(re.findall(r"``(\w+)``", columns)) for name, columns in zip(found[1::2], found[2::2], strict=True)
    }
    assert set(described) == {*metadata.tables, "alembic_version"}
    missing = {name: {c.name for c in table.columns} - described[name] for name, table in metadata.tables.items()}
    assert not {name: columns for name, columns in missing.items() if columns}
