# SPDX-License-Identifier: Apache-2.0
"""``.. declared-own-tables::``: the tables that the daemon publishes about itself, with their columns."""

from collections.abc import Iterable, Iterator

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.cloudservices.service_tables import NAME, CongressService
from congress.executions import board

TABLES = {**CongressService.TABLES, **board.TABLES}


def tables_text() -> Iterator[str]:
    """A section for each table, a definition for each column."""
    for name, schema in sorted(TABLES.items()):
        title = f"{NAME}:{name}"
        yield from (f".. _own-table-{name}:", "", title, "-" * len(title), "", schema.description, "")
        for column in schema.columns:
            kind = f"{column.type}, or null" if column.nullable else column.type
            yield from (f"``{column.name}`` ({kind})", f"    {column.description.capitalize()}.", "")


class OwnTables(Declared):
    source = "declared-own-tables"

    def lines(self) -> Iterable[str]:
        return tables_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(OwnTables.source, OwnTables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
