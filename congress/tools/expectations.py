# SPDX-License-Identifier: Apache-2.0
"""What a policy test says about tables: which ones it may speak of, and the rows it expects in them."""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from congress.datalog.engine import Engine, TableInfo
from congress.datalog.explain import show
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row
from congress.tools.datafiles import Data, add_rows, flatten
from congress.tools.errors import ToolError
from congress.tools.exactness import tables_read


def check(body: Mapping[str, Any], engine: Engine, where: str) -> Iterator[str]:
    """What is not as ``expect``, ``contains`` and ``absent`` say, and what they cannot mean."""
    for word, compare in (("expect", _exactly), ("contains", _contains), ("absent", _absent)):
        for table, rows, _ in flatten(body.get(word) or {}, where):
            try:
                refuse_unknown_table(engine, table)
                wanted = _rows(engine, table, rows, where)
            except ToolError as error:
                yield str(error)
                continue
            yield from compare(engine, table, wanted)


def refuse_unknown_table(engine: Engine, table: str) -> None:
    """Stop at a table that neither a schema nor a given row nor a rule knows: it is misspelt.

    :raises ToolError: with the nearest name there is.
    """
    if engine.table(table) is not None:
        return
    known = {info.key for info in engine.tables()} | _mentioned(engine)
    if table not in known:
        near = difflib.get_close_matches(table, sorted(known), 1)
        hint = f"did you mean {near[0]}?" if near else "no rule, schema or given row knows it"
        raise ToolError(f"there is no table {table}; {hint}")


def _mentioned(engine: Engine) -> set[str]:
    """The tables that bodies of rules read, whether or not anything derives them."""
    return {table for new in engine.rules() for table in tables_read(new.rule, new.policy)}


def _rows(engine: Engine, table: str, rows: list[object], where: str) -> set[Row]:
    if not rows:
        return set()
    info = engine.table(table)
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            _refuse_vague(row, info, f"{where}: row {number} of {table}")
    data = Data()
    if info is not None:
        service, _, name = table.partition(":")
        data.add_schema(service, name, info.schema or TableSchema.of(*(column or "?" for column in info.columns)))
    add_rows(data, table, rows, None, where)
    return set(data.rows[table])


def _refuse_vague(row: Mapping[str, object], info: TableInfo | None, where: str) -> None:
    """Stop at an object for a derived table whose rules do not agree on names, or that leaves a column out."""
    if info is not None and info.schema is not None:
        return
    columns = info.columns if info is not None else ()
    if not columns or None in columns or max(Counter(columns).values()) > 1:
        names = f"({', '.join(column or '?' for column in columns)})" if columns else "none"
        raise ToolError(f"{where} is an object, but its columns have no clear names: {names}; write it as a list")
    left_out = [column for column in columns if column not in row]
    if left_out and all(key in columns for key in row):
        raise ToolError(f"{where} leaves out the column {left_out[0]!r}")


def _exactly(engine: Engine, table: str, wanted: set[Row]) -> Iterator[str]:
    yield from _contains(engine, table, wanted)
    yield from _unwanted(engine, table, set(engine.rows(table)) - wanted)


def _contains(engine: Engine, table: str, wanted: set[Row]) -> Iterator[str]:
    for row in sorted(wanted - set(engine.rows(table)), key=repr):
        yield f"missing: {table}({', '.join(map(show, row))})\n{engine.why_not(table, row).render()}"


def _absent(engine: Engine, table: str, unwanted: set[Row]) -> Iterator[str]:
    yield from _unwanted(engine, table, unwanted & set(engine.rows(table)))


def _unwanted(engine: Engine, table: str, rows: set[Row]) -> Iterator[str]:
    for row in sorted(rows, key=repr):
        proof = engine.why(table, row)
        yield f"unexpected: {table}({', '.join(map(show, row))})\n{proof.render() if proof else ''}"
