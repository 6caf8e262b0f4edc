# SPDX-License-Identifier: Apache-2.0
"""Rows and schemas in files: JSON, YAML and CSV.

JSON and YAML: ``{"nova:servers": [...]}`` or ``{"nova": {"servers": [...]}}``, each row a list or an object.
CSV: the table is the file's name, ``nova.servers.csv``, or ``servers.csv`` in a folder ``nova``; the first line has the
column names, in any order: columns of the table that it leaves out are null; numbers, ``true`` and ``false`` are read
as such, save in columns declared to hold strings, and an empty field is null.

A table without a declared schema has the columns of its first rows; from no rows nothing is known of it.

A value of another type than its column is declared with is refused; null is not, since examples leave columns out.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from congress.datalog.column_types import kind_of, kinds_of
from congress.datalog.constants import bad_character
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import NotAValue, Row, encode, encode_row, kind
from congress.tools.documents import DOCUMENTS, load_document, read_text
from congress.tools.errors import ToolError

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_COLUMN_KEYS = ("name", "type", "nullable", "description")
_WORDS = {"true": True, "false": False, "": None}


class _Field(str):
    """A field of a CSV file: a text that may mean something else."""

    __slots__ = ()


@dataclass(slots=True)
class Data:
    """Rows by table key, and the schemas of services as far as files tell."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    schemas: dict[str, dict[str, TableSchema]] = field(default_factory=dict)

    def add_schema(self, service: str, table: str, schema: TableSchema) -> None:
        self.schemas.setdefault(service, {})[table] = schema


def read_data(paths: Iterable[Path], schemas: Mapping[str, Mapping[str, TableSchema]]) -> Data:
    """Read data files and folders; a declared schema goes before what a file's columns suggest.

    :raises ToolError: when a file, a table or a row cannot be used.
    """
    data = Data(schemas={service: dict(tables) for service, tables in schemas.items()})
    for path in paths:
        for file in _files(path):
            for table, rows, columns in _tables(file):
                add_rows(data, table, rows, columns, str(file))
    return data


def read_schemas(paths: Iterable[Path]) -> dict[str, dict[str, TableSchema]]:
    """Read schema files: ``{service: {table: [column, ...]}}``, a column a name or ``{name, type, nullable}``."""
    found: dict[str, dict[str, TableSchema]] = {}
    for path in paths:
        for service, tables in parse_schemas(load_document(path), str(path)).items():
            known = found.setdefault(service, {})
            for table, schema in tables.items():
                if known.setdefault(table, schema) != schema:
                    raise ToolError(f"{path}: another file declares {service}:{table} with other columns")
    return found


def parse_schemas(document: object, where: str) -> dict[str, dict[str, TableSchema]]:
    """Schemas from a document; ``where`` is what errors call it."""
    if not isinstance(document, dict):
        raise ToolError(f"{where}: a schema is an object, {{service: {{table: [column, ...]}}}}")
    found: dict[str, dict[str, TableSchema]] = {}
    for service, tables in document.items():
        if not isinstance(tables, dict):
            raise ToolError(f"{where}: the tables of {service} are an object, {{table: [column, ...]}}")
        for table, columns in tables.items():
            if not isinstance(columns, list):
                raise ToolError(f"{where}: the columns of {service}:{table} are a list")
            schema = TableSchema(tuple(_column(column, f"{where}: {service}:{table}") for column in columns))
            _refuse_bad_names(schema.names, f"{where}: {service}:{table}")
            found.setdefault(str(service), {})[str(table)] = schema
    return found


def _column(column: object, where: str) -> Column:
    if isinstance(column, str):
        return Column(column)
    if isinstance(column, dict) and isinstance(column.get("name"), str):
        unknown = [key for key in column if key not in _COLUMN_KEYS]
        if unknown:
            raise ToolError(f"{where}: a column has no {unknown[0]!r}; it has {', '.join(_COLUMN_KEYS)}")
        nullable = column.get("nullable", True)
        if not isinstance(nullable, bool):
            raise ToolError(f"{where}: 'nullable' is true or false, not {nullable!r}")
        try:
            return Column(column["name"], str(column.get("type", "any")), nullable, str(column.get("description", "")))
        except ValueError as error:
            raise ToolError(f"{where}: {error}") from error
    raise ToolError(f"{where}: a column is a name or an object with 'name', not {column!r}")


def add_rows(data: Data, table: str, rows: Iterable[object], columns: list[str] | None, where: str) -> None:
    """Add rows to a table; its schema is made from the first rows when none was declared.

    :param rows: lists or objects.
    :param columns: the names of the columns that all rows, lists then, have in this order; without, that of the schema.
    """
    service, _, name = table.partition(":")
    if not (service and name):
        raise ToolError(f"{where}: a table is called service:table, not {table!r}")
    items = list(rows)
    schema = data.schemas.get(service, {}).get(name)
    if schema is None:
        schema = TableSchema.of(*(columns or _columns_of(items)))
        if not schema.arity:
            if items:
                raise ToolError(f"{where}: row 0 of {table} has no values")
            return
        data.add_schema(service, name, schema)
    if columns is not None:
        items = _in_order(items, columns, schema, f"{where}: {table}")
    into = data.rows.setdefault(table, [])
    for number, item in enumerate(items):
        into.append(_row(item, schema, f"{where}: row {number} of {table}"))


def _columns_of(items: list[object]) -> list[str]:
    names: dict[str, None] = {}
    for item in items:
        if isinstance(item, dict):
            names.update(dict.fromkeys(map(str, item)))
        elif not names:
            return [f"c{number}" for number in range(len(item) if isinstance(item, list | tuple) else 1)]
    return list(names)


def _in_order(items: list[Any], columns: list[str], schema: TableSchema, where: str) -> list[object]:
    """Rows of a file with a header, in the order of the schema; columns that the file leaves out are null."""
    _refuse_unknown_columns(columns, schema, where)
    if tuple(columns) == schema.names:
        return items
    places = [columns.index(name) if name in columns else None for name in schema.names]
    return [[None if place is None else item[place] for place in places] for item in items]


def _refuse_unknown_columns(names: Iterable[str], schema: TableSchema, where: str) -> None:
    known = schema.names
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ToolError(f"{where} has no column {unknown[0]!r}; the columns are {', '.join(known)}")


def _refuse_bad_names(names: Iterable[str], where: str) -> None:
    """Stop at columns that no rule could tell apart, or name."""
    for name, number in Counter(names).items():
        if not name:
            raise ToolError(f"{where}: a column has no name")
        if number > 1:
            raise ToolError(f"{where}: the column {name!r} is there twice")


def _row(item: object, schema: TableSchema, where: str) -> Row:
    if isinstance(item, dict):
        if not all(isinstance(key, str) for key in item):
            item = {str(key): value for key, value in item.items()}
        _refuse_unknown_columns(item, schema, where)
        item = [item.get(name) for name in schema.names]
    if not isinstance(item, list | tuple):
        item = [item]  # a table of one column may be written as a list of values
    if len(item) != schema.arity:
        raise ToolError(f"{where} has {len(item)} values, the table {schema.arity} columns")
    columns = schema.columns
    item = [_guess(v, c.type) if isinstance(v, _Field) else v for v, c in zip(item, columns, strict=True)]
    for value in item:
        if isinstance(value, str) and (bad := bad_character(value)):
            raise ToolError(f"{where}: U+{ord(bad):04X} is a character that no text may hold")
    try:
        row = encode_row(item)
    except NotAValue as error:
        raise ToolError(f"{where}: {error}") from error
    for value, column in zip(row, columns, strict=True):
        if value is not None and not kind_of(value) & kinds_of(column):
            raise ToolError(f"{where}, column {column.name!r}: it must be of type {column.type}, not {kind(value)}")
    return row


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    inside = sorted(p for p in path.rglob("*") if p.suffix in DOCUMENTS | {".csv"})
    if not inside:
        raise ToolError(f"{path} has no data: no .json, .yaml or .csv file")
    yield from inside


def _tables(path: Path) -> Iterator[tuple[str, list[object], list[str] | None]]:
    if path.suffix == ".csv":
        columns, rows = _read_csv(path)
        yield _table_of(path), rows, columns
        return
    if path.suffix not in DOCUMENTS and path.exists():
        raise ToolError(f"{path}: data is read from .json, .yaml and .csv files")
    yield from flatten(load_document(path), str(path))


def flatten(document: object, where: str) -> Iterator[tuple[str, list[object], None]]:
    """The tables of a document in either form."""
    if not isinstance(document, dict):
        raise ToolError(f'{where}: data is an object, {{"service:table": [row, ...]}}')
    for key, value in document.items():
        nested = value.items() if isinstance(value, dict) and ":" not in str(key) else [(None, value)]
        for table, rows in nested:
            if not isinstance(rows, list):
                raise ToolError(f"{where}: the rows of {key} are a list")
            yield f"{key}:{table}" if table is not None else str(key), rows, None


def _table_of(path: Path) -> str:
    service, dot, table = path.stem.partition(".")
    if dot:
        return f"{service}:{table}"
    return path.stem if ":" in path.stem else f"{path.parent.name}:{path.stem}"


def _read_csv(path: Path) -> tuple[list[str], list[object]]:
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise ToolError(f"{path} is empty; its first line has the column names")
        _refuse_bad_names(header, str(path))
        rows: list[object] = []
        for line in reader:
            if line and len(line) != len(header):
                raise ToolError(
                    f"{path}: line {reader.line_num} has {len(line)} values, the header {len(header)} names"
                )
            if line:
                rows.append([_Field(text) for text in line])
        return header, rows
    except csv.Error as error:
        raise ToolError(f"{path}: line {reader.line_num}: {error}") from error


def _guess(given: _Field, type_: str) -> Any:
    text = str(given)
    if text in _WORDS and (type_ != "string" or not text):
        return _WORDS[text]
    found = _NUMBER.fullmatch(text)
    if found is None or type_ == "string":
        return text
    try:
        return encode(float(text) if found[2] or found[3] else int(text))
    except (ValueError, NotAValue):
        return text  # more digits than any number of a cloud has
