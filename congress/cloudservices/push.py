# SPDX-License-Identifier: Apache-2.0
"""A service whose rows are pushed by whoever knows them: a script, a monitoring system, another program."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import ClassVar

from congress.bus.service import exposed
from congress.cloudservices import rows as shapes
from congress.cloudservices import tabular
from congress.cloudservices.datasource_driver import Rows
from congress.cloudservices.errors import RowsError
from congress.cloudservices.options import Option
from congress.cloudservices.pushed_driver import PushedDriver
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row, Value, encode

Key = tuple[Value, ...]


class PushDriver(PushedDriver):
    """Tables of the user's own, filled over REST.

    A table with a ``key`` holds at most one row for each key: an inserted row takes the place of the one
    with the same key, and a row may be deleted by its key alone.
    """

    NAME: ClassVar[str] = "push"
    DESCRIPTION: ClassVar[str] = "Tables that are filled over REST: whole tables, or rows to insert and to delete"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "tables",
            "object",
            required=True,
            description="The tables: a list of columns for each, or an object with `columns`, `key` and "
            "`description`; a column is a name, or an object with `name`, `type`, `nullable` and `description`.",
        ),
    )

    def configure(self) -> None:
        specs = tabular.table_specs(self.config["tables"], keys=("key",))
        self._specs: Mapping[str, TableSchema] = {name: spec.schema for name, spec in specs.items()}
        self._keys = {name: _positions(spec) for name, spec in specs.items() if "key" in spec.rest}
        self._by_key: dict[str, dict[Key, Row]] = {table: {} for table in self._keys}

    def tables(self) -> Mapping[str, TableSchema]:
        return self._specs

    def replace_rows(self, tables: Mapping[str, Rows], unchanged: Iterable[str] = ()) -> bool:
        changed = super().replace_rows(tables, unchanged)
        for table in self._keys.keys() & tables.keys():
            self._by_key[table] = {self._key(table, row): row for row in self.table_rows(table)}
        return changed

    def change_sets(self, changes: Mapping[str, tuple[Set[Row], Set[Row]]]) -> bool:
        changed = super().change_sets(changes)
        for table in self._keys.keys() & changes.keys():
            by_key, (insertions, retractions) = self._by_key[table], changes[table]
            for row in retractions:
                by_key.pop(self._key(table, row), None)
            by_key.update((self._key(table, row), row) for row in insertions)
        return changed

    @exposed
    def table_webhook(self, table: str, payload: object) -> None:
        """Insert the row of a notification, or those of a list of them.

        A notification is an object; its keys that are no columns mean nothing here.
        :raises RowsError: it is none, a column of the key is not in it, or a value fits no row.
        """
        schema = self.schema_of(table)
        given = payload if isinstance(payload, list) else [payload]
        needed = [schema.columns[position].name for position in self._keys.get(table, ())]
        rows = []
        for number, record in enumerate(given):
            if not isinstance(record, Mapping):
                raise RowsError(f"table {table!r}: a notification is an object", table=table, row=number)
            if missing := [name for name in needed if name not in record]:
                raise RowsError(
                    f"table {table!r}: the notification has no {missing[0]!r}, which is of the key",
                    table=table,
                    row=number,
                    column=missing[0],
                )
            rows.append({name: record[name] for name in schema.names if name in record})
        self.change_rows(table, rows)

    def check_keys(self, table: str, rows: Sequence[Row]) -> None:
        if table not in self._keys:
            return
        seen: dict[Key, Row] = {}
        for number, row in enumerate(rows):
            if seen.setdefault(self._key(table, row), row) != row:
                shown = ", ".join(str(value) for value in self._key(table, row))
                raise RowsError(
                    f"table {table!r}, row {number}: there is another row with the key {shown:.200}",
                    table=table,
                    row=number,
                )

    def parse_deletions(self, table: str, given: object) -> list[Row]:
        keys = self._keys.get(table)
        if keys is None or not isinstance(given, Sequence) or isinstance(given, str):
            return super().parse_deletions(table, given)
        if not given:
            return []
        names = [self.schema_of(table).columns[position].name for position in keys]
        by_key = [row for row in given if isinstance(row, Mapping) and row.keys() == set(names)]
        whole = [row for row in given if not (isinstance(row, Mapping) and row.keys() == set(names))]
        found = [self._by_key[table].get(_values(table, row, names)) for row in by_key]
        return shapes.parse(table, self.schema_of(table), whole) + [row for row in found if row is not None]

    def replaced_by(self, table: str, rows: Sequence[Row]) -> list[Row]:
        if table not in self._keys:
            return []
        self.check_keys(table, rows)
        held = (self._by_key[table].get(self._key(table, row)) for row in rows)
        return [old for old, row in zip(held, rows, strict=True) if old is not None and old != row]

    def _key(self, table: str, row: Row) -> Key:
        return tuple(row[position] for position in self._keys[table])


def _positions(spec: tabular.TableSpec) -> tuple[int, ...]:
    names = tabular.names(spec.name, "key", spec.rest["key"], spec.columns)
    order = [column.name for column in spec.columns]
    return tuple(order.index(name) for name in names)


def _values(table: str, row: Mapping[str, object], names: Sequence[str]) -> Key:
    try:
        return tuple(encode(row[name]) for name in names)
    except TypeError as error:
        raise RowsError(f"table {table!r}: {error}", table=table) from error
