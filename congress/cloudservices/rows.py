# SPDX-License-Identifier: Apache-2.0
"""Rows that come from outside: brought into the shape of their table, or refused with row and column."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from congress.cloudservices.convert import kinds_of
from congress.cloudservices.errors import RowsError
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import NotAValue, Row, encode, encode_rows, kind


class Checked(list[Row]):
    """Rows of values, all of one width, as whoever made them saw to: they are not looked at once more."""

    __slots__ = ("width",)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width


def shaped(table: str, schema: TableSchema, rows: Iterable[Sequence[object]]) -> list[Row]:
    """A driver's rows, checked for width and for kinds of values but not for columns' types.

    About 0.1 microseconds a value.  :raises RowsError: with the number of the row.
    """
    if isinstance(rows, Checked) and rows.width == schema.arity:
        return rows
    try:
        encoded = encode_rows(rows)
    except NotAValue as error:
        raise RowsError(f"table {table!r}: {error}", table=table) from error
    except TypeError as error:
        raise RowsError(f"table {table!r}: rows must be a list of tuples ({error})", table=table) from error
    if set(map(len, encoded)) <= {schema.arity}:
        return encoded
    number = next(n for n, row in enumerate(encoded) if len(row) != schema.arity)
    raise RowsError(
        f"table {table!r}, row {number}: {schema.arity} columns were expected ({', '.join(schema.names)}), "
        f"not {len(encoded[number])}",
        table=table,
        row=number,
    )


def misfits(schema: TableSchema, rows: Iterable[Row]) -> dict[str, str]:
    """The columns that hold values of another type than declared, each with the kind of one such value."""
    found: dict[str, str] = {}
    for column, values in zip(schema.columns, zip(*rows, strict=True), strict=False):
        if not set(map(type, values)) <= kinds_of(column.type, column.nullable):
            allowed = kinds_of(column.type, column.nullable)
            found[column.name] = next(kind(value) for value in values if type(value) not in allowed)
    return found


def parse(table: str, schema: TableSchema, given: object) -> list[Row]:
    """Rows as users send them: a list of lists in column order, or of objects by column name; checked
    strictly.

    A nullable column may be left out of an object.  Booleans of Python and those of rows are both taken.
    :raises RowsError: naming the first row and column that do not fit.
    """
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise RowsError(f"table {table!r}: rows must be a list", table=table)
    if not given:
        return []
    if (fast := _parse_tuples(schema, given)) is not None:
        return fast
    return [_parse_row(table, schema, number, row) for number, row in enumerate(given)]


def _parse_tuples(schema: TableSchema, given: Sequence[Any]) -> list[Row] | None:
    """The rows at once where they are all lists or tuples and every value fits as it is."""
    if not set(map(type, given)) <= {list, tuple} or set(map(len, given)) != {schema.arity}:
        return None
    if not {bool, float}.isdisjoint(map(type, chain.from_iterable(given))):
        return None
    rows: list[Row] = list(map(tuple, given))
    for column, values in zip(schema.columns, zip(*rows, strict=True), strict=True):
        if not set(map(type, values)) <= kinds_of(column.type, column.nullable):
            return None
    return rows


def _parse_row(table: str, schema: TableSchema, number: int, row: object) -> Row:
    if isinstance(row, Mapping):
        unknown = next((key for key in row if schema.index(str(key)) is None), None)
        if unknown is not None:
            raise _wrong(table, number, str(unknown)[:60], f"there is no such column; {_columns(schema)}")
        missing = next((c for c in schema.columns if c.name not in row and not c.nullable), None)
        if missing is not None:
            raise _wrong(table, number, missing.name, "it is missing and must not be null")
        values: Sequence[object] = [row.get(column.name) for column in schema.columns]
    elif isinstance(row, Sequence) and not isinstance(row, str | bytes):
        values = row
    else:
        raise RowsError(
            f"table {table!r}, row {number}: a row is a list or an object, not a {type(row).__name__}",
            table=table,
            row=number,
        )
    if len(values) != schema.arity:
        raise RowsError(
            f"table {table!r}, row {number}: it has {len(values)} values; {_columns(schema)}",
            table=table,
            row=number,
        )
    return tuple(_parse_value(table, number, c, v) for c, v in zip(schema.columns, values, strict=True))


def _parse_value(table: str, number: int, column: Column, given: object) -> Any:
    try:
        value = encode(given)
    except NotAValue:
        raise _wrong(table, number, column.name, f"a {_json_kind(given)} cannot be a value in a row") from None
    if type(value) not in kinds_of(column.type, column.nullable):
        if value is None:
            raise _wrong(table, number, column.name, "it must not be null")
        raise _wrong(table, number, column.name, f"it must be of type {column.type}, not {kind(value)}")
    return value


def _json_kind(value: object) -> str:
    if isinstance(value, float):
        return "not-a-number or infinity"
    if isinstance(value, Mapping):
        return "nested object"
    return "nested list" if isinstance(value, Sequence) else type(value).__name__


def _columns(schema: TableSchema) -> str:
    return f"the columns are: {', '.join(schema.names)}"


def _wrong(table: str, number: int, column: str, what: str) -> RowsError:
    message = f"table {table!r}, row {number}, column {column!r}: {what}"
    return RowsError(message, table=table, row=number, column=column)
