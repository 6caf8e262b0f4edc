# SPDX-License-Identifier: Apache-2.0
"""Tables that users describe in a service's configuration (push, files, http_json and sql).

A table is a list of columns, or an object with a list of columns and whatever else the driver wants to know::

    {"servers": ["id", "name"],
     "volumes": {"columns": ["id", {"name": "size", "type": "integer", "from": "$.size_gb"}], "path":
     "/volumes"}}
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from congress.cloudservices.errors import ConfigError
from congress.datalog.schema import TYPES, Column, TableSchema

NAME: Final = re.compile(r"[^\W\d]\w*(\.\w+)*")
OPTION: Final = "tables"
_COLUMN_KEYS: Final = frozenset({"name", "type", "nullable", "description", "from"})


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of a configuration.

    :ivar columns: what is known of its columns; empty when the driver is to find out.
    :ivar sources: where each column's values come from, by the columns' order: the column's ``from``, or
        its name.
    :ivar rest: the driver's own keys.
    """

    name: str
    columns: tuple[Column, ...] = ()
    sources: tuple[str, ...] = ()
    description: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> TableSchema:
        return TableSchema(self.columns, self.description)


def table_specs(given: object, *, keys: Iterable[str] = (), needs_columns: bool = True) -> dict[str, TableSpec]:
    """The tables of a configuration's ``tables`` option.

    :param keys: what an object may hold beside ``columns`` and ``description``.
    :param needs_columns: whether columns must be given.
    :raises ConfigError: naming the table and what is wrong with it.
    """
    if not isinstance(given, Mapping) or not given:
        raise wrong("it must be an object with at least one table")
    return {name: _table(name, table, frozenset(keys), needs_columns) for name, table in given.items()}


def _table(name: object, given: object, keys: frozenset[str], needs_columns: bool) -> TableSpec:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise wrong(f"{name!r:.60} cannot name a table: letters, digits and _ are allowed, and dots between them")
    table = {"columns": given} if isinstance(given, list | tuple) else given
    if not isinstance(table, Mapping):
        raise wrong(f"table {name!r} must be a list of columns or an object")
    if unknown := sorted(str(key) for key in table.keys() - keys - {"columns", "description"}):
        known = ", ".join(sorted(keys | {"columns", "description"}))
        raise wrong(f"table {name!r} has an unknown key {unknown[0]!r:.60}; the keys are: {known}")
    columns = table.get("columns")
    if columns is None and needs_columns:
        raise wrong(f"table {name!r} needs columns")
    pairs = _columns(name, columns) if columns is not None else []
    return TableSpec(
        name,
        tuple(column for column, _ in pairs),
        tuple(source for _, source in pairs),
        _text(name, "description", table.get("description", "")),
        {key: value for key, value in table.items() if key in keys and value is not None},
    )


def _columns(table: str, given: object) -> list[tuple[Column, str]]:
    if not isinstance(given, list | tuple) or not given:
        raise wrong(f"table {table!r}: columns must be a list with at least one column")
    pairs = [_column(table, number, column) for number, column in enumerate(given)]
    seen: set[str] = set()
    for column, _ in pairs:
        if column.name in seen:
            raise wrong(f"table {table!r} has two columns {column.name!r}")
        seen.add(column.name)
    return pairs


def _column(table: str, number: int, given: object) -> tuple[Column, str]:
    column = {"name": given} if isinstance(given, str) else given
    if not isinstance(column, Mapping):
        raise wrong(f"table {table!r}, column {number}: it must be a name or an object")
    if unknown := sorted(str(key) for key in column.keys() - _COLUMN_KEYS):
        raise wrong(f"table {table!r}, column {number}: unknown key {unknown[0]!r:.60}")
    name = column.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise wrong(f"table {table!r}, column {number}: {name!r:.60} cannot name a column")
    where = f"table {table!r}, column {name!r}"
    type_ = column.get("type", "any")
    if type_ not in TYPES:
        raise wrong(f"{where}: there is no type {type_!r:.60}; the types are {', '.join(TYPES)}")
    nullable = column.get("nullable", True)
    if not isinstance(nullable, bool):
        raise wrong(f"{where}: nullable must be true or false")
    description = _text(table, f"column {name!r}: description", column.get("description", ""))
    source = _text(table, f"column {name!r}: from", column.get("from", name))
    return Column(name, type_, nullable, description), source


def names(table: str, key: str, given: object, columns: Iterable[Column]) -> tuple[str, ...]:
    """A list of a table's columns under one of the driver's keys.  :raises ConfigError: one is not there."""
    known = {column.name for column in columns}
    if not isinstance(given, list | tuple) or not given or not all(isinstance(name, str) for name in given):
        raise wrong(f"table {table!r}: {key} must be a list of columns")
    for name in given:
        if name not in known:
            raise wrong(f"table {table!r}: {key} names {name!r:.60}, which is none of its columns")
    return tuple(given)


def _text(table: str, key: str, given: object) -> str:
    if not isinstance(given, str):
        raise wrong(f"table {table!r}, {key}: it must be a string")
    return given


def wrong(what: str) -> ConfigError:
    """An error of the ``tables`` option."""
    return ConfigError(f"option {OPTION!r}: {what}", OPTION)


def as_name(text: str) -> str:
    """A column name made of a heading: ``"Host name"`` becomes ``Host_name``."""
    name = re.sub(r"\W+", "_", text.strip()).strip("_")
    return f"_{name}" if not name or name[0].isdigit() else name
