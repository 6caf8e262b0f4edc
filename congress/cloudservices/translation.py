# SPDX-License-Identifier: Apache-2.0
"""Making translators ready to run, and running them.

A list of objects is translated column by column, not object by object: each column is one list
comprehension, and a column whose values need no change is passed on as it is.  100 000 objects of 11 fields
take about 0.2 s.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, TypeAlias

from congress.cloudservices import convert
from congress.cloudservices.errors import TranslationError
from congress.cloudservices.rows import Checked
from congress.cloudservices.translators import Field, HDict, ListOf, Scalar, Translator, VDict
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row, Value

Tables: TypeAlias = dict[str, list[Row]]
Wanted: TypeAlias = frozenset[str]
Columns: TypeAlias = tuple[Column, ...]
_Get: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A translator made ready: the schemas of all its tables, and the function that fills them."""

    table: str
    schemas: Mapping[str, TableSchema]
    node: "_Node"

    def __call__(self, objects: Iterable[Any], wanted: Wanted | None = None) -> Tables:
        """The rows of all its tables (of the ``wanted`` ones, when given) for these objects.

        Every such table is in the result, empty ones too; rows may repeat.  Pure: any thread.
        :raises TranslationError: an object has not the declared shape, or an extract function failed; it
        names
            table, column and the number of the object.
        """
        tables = frozenset(self.schemas) if wanted is None else wanted & self.schemas.keys()
        out: Tables = {table: Checked(self.schemas[table].arity) for table in self.schemas if table in tables}
        if out:
            values = list(objects)
            self.node.fill(values, self.node.ids(values), out)
        return out


def compile_translator(translator: Translator) -> Compiled:
    """Make a translator ready.  Do it once, when the module is imported.

    :raises ValueError: tables or columns clash, or a parent key names no column of the parent.
    """
    schemas: dict[str, TableSchema] = {}
    node = _node(translator, schemas)
    return Compiled(translator.table, schemas, node)


def schemas_of(*compiled: Compiled) -> dict[str, TableSchema]:
    """The tables of several translators together, for a driver's ``TABLES``.

    :raises ValueError: two of them fill a table of the same name.
    """
    merged: dict[str, TableSchema] = {}
    for one in compiled:
        if clash := merged.keys() & one.schemas.keys():
            raise ValueError(f"table {sorted(clash)[0]!r} is filled by two translators")
        merged.update(one.schemas)
    return merged


class _Node:
    """One table: expands the values of its parent's field into objects, and those into columns."""

    def __init__(self, translator: Translator, schemas: dict[str, TableSchema], parent: Columns | None) -> None:
        self.translator = translator
        self.table = translator.table
        if self.table in schemas:
            raise ValueError(f"table {self.table!r} is filled by two translators")
        schemas[self.table] = TableSchema(())  # the parent's table comes before its children's
        self.tie = _tie(translator, parent)
        columns = (*self.tie, *self.own_columns())
        names = tuple(column.name for column in columns)
        if len(set(names)) < len(names):
            raise ValueError(f"table {self.table!r} has two columns of the same name: {', '.join(names)}")
        schemas[self.table] = TableSchema(columns, translator.description)
        self.children = self.make_children(schemas, columns)
        self.below: Wanted = frozenset({self.table}).union(*(child.below for child in self.children.values()))

    def own_columns(self) -> tuple[Column, ...]:
        """The columns after the tie."""
        return ()

    def make_children(self, schemas: dict[str, TableSchema], columns: Columns) -> dict[int, "_Node"]:
        """The nodes of the tables below, by the position of what they are filled from."""
        return {}

    def ids(self, values: list[Any]) -> list[Value]:
        """What ties the rows made of each value to its parent's row, where that is an id."""
        if self.translator.id_column is None:
            return []
        make = self.translator.id_of or _digest
        found = _each(lambda v: None if v is None else make(v), values, self.table, self.translator.id_column)
        return convert.column(found, "any")

    def fill(self, values: list[Any], ties: list[Value], out: Tables) -> None:
        """Add the rows for these values of the parent's field; ``ties`` go with them, or there are none."""
        if self.translator.extract is not None:
            values = _each(self.translator.extract, values, self.table, "")
        items, tied = self.expand(values, ties)
        columns: list[list[Value]] = [tied] if self.tie else []
        if not self.tie:
            tied = []
        self.add_columns(items, columns, out, tied)
        if self.table in out:
            out[self.table] += zip(*columns, strict=True)

    def expand(self, values: list[Any], ties: list[Value]) -> tuple[list[Any], list[Value]]:
        """The objects in the values, and the tie of each."""
        raise TypeError(self.table)

    def add_columns(self, items: list[Any], columns: list[list[Value]], out: Tables, tied: list[Value]) -> None:
        """Append the columns after the tie, and fill the tables below."""

    def down(self, child: "_Node", values: list[Any], by_name: Mapping[str, list[Value]], out: Tables) -> list[Value]:
        """Fill a table below; gives the ids for this table's column where it is tied by id."""
        key = child.translator.parent_key
        ties = by_name[key] if key is not None else child.ids(values)
        if not child.below.isdisjoint(out):
            child.fill(values, ties, out)
        return ties


class _Object(_Node):
    translator: HDict

    def own_columns(self) -> tuple[Column, ...]:
        return tuple(_column(f) for f in self.translator.fields if f.rows is None or f.rows.id_column)

    def make_children(self, schemas: dict[str, TableSchema], columns: Columns) -> dict[int, _Node]:
        self.getters = [_getter(f, self.translator.selector) for f in self.translator.fields]
        return {
            position: _node(field.rows, schemas, columns)
            for position, field in enumerate(self.translator.fields)
            if field.rows is not None
        }

    def expand(self, values: list[Any], ties: list[Value]) -> tuple[list[Any], list[Value]]:
        if self.translator.in_list:
            values, ties = _flatten(values, ties, self.table)
        items, tied = values, ties
        if None in values:
            items, tied = [v for v in values if v is not None], _keep(values, ties)
        if self.translator.selector == "key":
            _check_mappings(items, self.table)
        return items, tied

    def add_columns(self, items: list[Any], columns: list[list[Value]], out: Tables, tied: list[Value]) -> None:
        by_name: dict[str, list[Value]] = {self.tie[0].name: tied} if self.tie else {}
        whole = self.table in out  # else only what the tables below are tied by
        keys = {child.translator.parent_key for child in self.children.values()}
        below = {
            position: child
            for position, child in self.children.items()
            if child.translator.id_column or not child.below.isdisjoint(out)
        }
        fields = self.translator.fields
        here = [n for n, field in enumerate(fields) if field.rows is None and (whole or field.column in keys)]
        values = self.values_of([*here, *below], items)
        for position in here:
            field = fields[position]
            by_name[field.column] = _typed(values[position], field.type, self.table, field.column)
        for position, child in below.items():
            ties = self.down(child, values[position], by_name, out)
            if child.translator.id_column:
                by_name[fields[position].column] = ties
        if whole:
            columns += [by_name[column.name] for column in self.own_columns()]

    def values_of(self, positions: list[int], items: list[Any]) -> dict[int, list[Any]]:
        """These fields of every object."""
        fields = self.translator.fields
        found = self._of_keys(positions, items) if self.translator.selector == "key" else {}
        for position in positions:
            field = fields[position]
            if position not in found:
                found[position] = _each(self.getters[position], items, self.table, field.column)
            if field.extract is not None:
                found[position] = _extracted(field.extract, found[position], self.table, field.column)
        return found

    def _of_keys(self, positions: list[int], items: list[Any]) -> dict[int, list[Any]]:
        """Those that are keys of the objects, without a call for each value."""
        names = {p: name for p in positions if isinstance(name := self.translator.fields[p].name, str)}
        return {position: [item.get(name) for item in items] for position, name in names.items()}


class _Items(_Node):
    """What VDict and ListOf share: one column of values, scalars or tables of their own."""

    translator: VDict | ListOf

    def make_children(self, schemas: dict[str, TableSchema], columns: Columns) -> dict[int, _Node]:
        value = self.translator.value
        return {} if isinstance(value, Scalar) else {0: _node(value, schemas, columns)}

    def value_columns(self) -> tuple[Column, ...]:
        value, name = self.translator.value, self.translator.value_column
        if isinstance(value, Scalar):
            return (Column(name, value.type, value.nullable, value.description),)
        if value.id_column is not None:
            return (Column(name, "any" if value.id_of else "string", True, f"id in {value.table}"),)
        return ()

    def add_values(self, found: list[Any], columns: list[list[Value]], out: Tables, own: Mapping[str, Any]) -> None:
        value = self.translator.value
        if isinstance(value, Scalar):
            if value.extract is not None:
                found = _extracted(value.extract, found, self.table, self.translator.value_column)
            columns.append(_typed(found, value.type, self.table, self.translator.value_column))
            return
        ties = self.down(self.children[0], found, own, out)
        if value.id_column is not None:
            columns.append(ties)


class _Mapping(_Items):
    translator: VDict

    def own_columns(self) -> tuple[Column, ...]:
        return (
            Column(self.translator.key_column, "string", False, self.translator.key_description),
            *self.value_columns(),
        )

    def expand(self, values: list[Any], ties: list[Value]) -> tuple[list[Any], list[Value]]:
        _check_mappings([v for v in values if v is not None], self.table)
        items = [item for value in values if value is not None for item in value.items()]
        return items, _repeat(values, ties)

    def add_columns(self, items: list[Any], columns: list[list[Value]], out: Tables, tied: list[Value]) -> None:
        keys = _typed([key for key, _ in items], "string", self.table, self.translator.key_column)
        own = {self.translator.key_column: keys} | ({self.tie[0].name: tied} if self.tie else {})
        columns.append(keys)
        self.add_values([value for _, value in items], columns, out, own)


class _List(_Items):
    translator: ListOf

    def own_columns(self) -> tuple[Column, ...]:
        return self.value_columns()

    def expand(self, values: list[Any], ties: list[Value]) -> tuple[list[Any], list[Value]]:
        return _flatten(values, ties, self.table)

    def add_columns(self, items: list[Any], columns: list[list[Value]], out: Tables, tied: list[Value]) -> None:
        self.add_values(items, columns, out, {self.tie[0].name: tied} if self.tie else {})


_KINDS: Final[Mapping[type, type[_Node]]] = {HDict: _Object, VDict: _Mapping, ListOf: _List}


def _node(translator: Translator, schemas: dict[str, TableSchema], parent: Columns | None = None) -> _Node:
    return _KINDS[type(translator)](translator, schemas, parent)


# Columns and values -------------------------------------------------------------------------------------


def _tie(translator: Translator, parent: Columns | None) -> Columns:
    """The first column of a table that is tied to another: the parent's key, or an id."""
    if translator.parent_key is not None:
        if parent is None:
            raise ValueError(f"table {translator.table!r} has a parent key and no parent")
        keys = [column for column in parent if column.name == translator.parent_key]
        if not keys:
            raise ValueError(f"table {translator.table!r}: its parent has no column {translator.parent_key!r}")
        return (Column(translator.parent_column, keys[0].type, True, translator.parent_description),)
    if translator.id_column is not None:
        type_ = "any" if translator.id_of else "string"
        return (Column(translator.id_column, type_, False, "id of the row"),)
    return ()


def _column(field: Field) -> Column:
    if field.rows is None:
        return Column(field.column, field.type, field.nullable, field.description)
    description = field.description or f"id in {field.rows.table}"
    return Column(field.column, "any" if field.rows.id_of else "string", True, description)


def _getter(field: Field, selector: str) -> _Get:
    """A function from an object to the field's raw value, null where anything is missing."""
    names = (field.name,) if isinstance(field.name, str) else field.name
    return _by_attribute(names) if selector == "attribute" else _by_key(names)


def _by_attribute(names: tuple[str, ...]) -> _Get:
    path = tuple(part for name in names for part in name.split("."))
    if len(path) == 1:
        return lambda o: getattr(o, path[0], None)
    return lambda o: reduce(lambda at, name: getattr(at, name, None), path, o)


def _by_key(names: tuple[str, ...]) -> _Get:
    if len(names) == 1:
        return lambda o: o.get(names[0])
    return lambda o: reduce(_inwards, names, o)


def _inwards(at: Any, name: str) -> Any:
    return at.get(name) if isinstance(at, Mapping) else None


def _extracted(extract: _Get, values: list[Any], table: str, column: str) -> list[Any]:
    """What the function gets out of each value; null stays null."""
    try:
        return [None if value is None else extract(value) for value in values]
    except Exception:  # noqa: BLE001  # done once more, slowly, to say which value it was
        return _each(lambda value: None if value is None else extract(value), values, table, column)


def _each(function: _Get, values: list[Any], table: str, column: str) -> list[Any]:
    """The function's value for each; an error says for which."""
    try:
        return [function(value) for value in values]
    except Exception as error:
        for number, value in enumerate(values):
            try:
                function(value)
            except Exception as again:
                raise _wrong(table, column, number, f"{type(again).__name__}: {again}") from again
        raise _wrong(table, column, None, f"{type(error).__name__}: {error}") from error


def _typed(values: list[Any], type_: str, table: str, column: str) -> list[Value]:
    try:
        typed = convert.column(values, type_)
    except TypeError:
        typed = _each(lambda value: convert.to_value(value, type_), values, table, column)
    return _shared(typed) if type_ == "string" else typed


_SAMPLE: Final = 64


def _shared(values: list[Value]) -> list[Value]:
    """The same strings; those that occur again and again (states, projects, zones) are held once by the process.

    This halves the memory of rows, and makes comparing them mostly a comparison of addresses.
    """
    if len(set(values[:_SAMPLE])) * 2 > min(len(values), _SAMPLE):
        return values
    held = {value: sys.intern(value) if type(value) is str else value for value in set(values)}
    return [held[value] for value in values]


def _check_mappings(items: list[Any], table: str) -> None:
    if set(map(type, items)) <= {dict}:
        return
    for number, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise _wrong(table, "", number, f"an object was expected, not a {type(item).__name__}")


def _flatten(values: list[Any], ties: list[Value], table: str) -> tuple[list[Any], list[Value]]:
    if not set(map(type, values)) <= {list, type(None)}:
        for number, value in enumerate(values):
            if value is not None and not isinstance(value, list | tuple | set | frozenset):
                raise _wrong(table, "", number, f"a list was expected, not a {type(value).__name__}")
    return [item for value in values if value for item in value], _repeat(values, ties)


def _repeat(values: list[Any], ties: list[Value]) -> list[Value]:
    """The tie of each value once for each item in it."""
    if not ties:
        return ties
    return [tie for value, tie in zip(values, ties, strict=True) if value for _ in value]


def _keep(values: list[Any], ties: list[Value]) -> list[Value]:
    return [tie for value, tie in zip(values, ties, strict=True) if value is not None] if ties else ties


def _digest(value: Any) -> str:
    """An id made of the content: equal objects have equal ids."""
    return hashlib.blake2b(convert.json_text(value).encode(), digest_size=16).hexdigest()


def _wrong(table: str, column: str, number: int | None, what: str) -> TranslationError:
    place = f"table {table!r}" + (f", column {column!r}" if column else "")
    return TranslationError(place + (f", object {number}: " if number is not None else ": ") + what)
