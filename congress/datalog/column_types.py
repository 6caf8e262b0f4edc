# SPDX-License-Identifier: Apache-2.0
"""Sets of kinds of values: what columns may hold, and what built-ins take and make."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from congress.datalog.builtins.kinds import TYPES
from congress.datalog.builtins.registry import Builtin
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Bool, Value

Kinds: TypeAlias = int
"""A set of kinds of values; the empty one is that of a variable which nothing can bind."""

TEXT, NUMBER, BOOLEAN, NULL = 1, 2, 4, 8
SCALAR: Final = TEXT | NUMBER | BOOLEAN
ANY: Final = SCALAR | NULL

_COLUMNS: Final = {"string": TEXT, "integer": NUMBER, "float": NUMBER, "number": NUMBER, "boolean": BOOLEAN, "any": ANY}
ARGUMENTS: Final = dict.fromkeys(TYPES, TEXT) | {
    "any": ANY, "scalar": SCALAR, "comparable": SCALAR, "number": NUMBER, "integer": NUMBER, "boolean": BOOLEAN,
    "interval": NUMBER | TEXT,
}  # fmt: skip


def kind_of(value: Value) -> Kinds:
    """The kind of one value."""
    if isinstance(value, str):
        return TEXT
    if value is None:
        return NULL
    return BOOLEAN if isinstance(value, Bool) else NUMBER


def kinds_of(column: Column) -> Kinds:
    """The kinds of the values that a column is declared to hold."""
    return _COLUMNS[column.type] | NULL if column.nullable else _COLUMNS[column.type]


class Services(Protocol):
    """Who knows the schemas of services: None for what is no service."""

    def service_tables(self, name: str) -> Mapping[str, TableSchema] | None: ...


class Tables:
    """The kinds of tables' columns: those of services as declared, anything in others."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def schema(self, table: str) -> TableSchema | None:
        service, _, name = table.partition(":")
        tables = self.services.service_tables(service)
        return tables.get(name) if tables is not None else None

    def kinds(self, table: str) -> Sequence[Kinds]:
        """For each column; empty where nothing is known."""
        schema = self.schema(table)
        if schema is None:
            return ()
        return [kinds_of(column) for column in schema.columns]

    def column(self, table: str, at: int) -> str:
        """A column's name, or its index."""
        schema = self.schema(table)
        return str(at) if schema is None else schema.names[at]


def answers(builtin: Builtin, given: Sequence[Kinds]) -> list[Kinds] | None:
    """What the outputs can hold for inputs of these kinds, each of which is one that it takes; None for no answer."""
    special = _SPECIAL.get((builtin.name, builtin.arity))
    if special is not None:
        made = special(*given)
        return [made] if made else None
    shared = SCALAR
    for argument, kinds in zip(builtin.inputs, given, strict=True):
        if argument.type == "comparable":
            shared &= kinds
    if not shared:
        return None
    return [shared if a.type == "comparable" else ARGUMENTS.get(a.type, ANY) for a in builtin.outputs]


def _plus(a: Kinds, b: Kinds) -> Kinds:
    return a & b & (TEXT | NUMBER)


def _mul(a: Kinds, b: Kinds) -> Kinds:
    repeated = (a & TEXT and b & NUMBER) or (a & NUMBER and b & TEXT)
    return (a & b & NUMBER) | (TEXT if repeated else 0)


_SPECIAL: Final[Mapping[tuple[str, int], Callable[[Kinds, Kinds], Kinds]]] = {
    ("plus", 3): _plus,
    ("mul", 3): _mul,
    ("coalesce", 3): lambda a, default: (a & SCALAR) | default,
}
