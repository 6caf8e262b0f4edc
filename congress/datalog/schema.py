# SPDX-License-Identifier: Apache-2.0
"""Typed columns and tables: what a cloud service says about the rows it publishes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TYPES = ("string", "integer", "float", "number", "boolean", "any")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the kind of its values, whether they may be null, and a sentence about it."""

    name: str
    type: str = "any"
    nullable: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"column {self.name!r} has type {self.type!r}; the types are {', '.join(TYPES)}")


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a table, in order, and a sentence about the table."""

    columns: tuple[Column, ...]
    description: str = ""

    @classmethod
    def of(cls, *names: str, description: str = "") -> "TableSchema":
        """A schema of untyped columns."""
        return cls(tuple(Column(name) for name in names), description)

    @property
    def arity(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def index(self, name: str) -> int | None:
        """The position of a column, or None."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        return None


Schemas = Mapping[str, TableSchema]


def schemas(tables: Mapping[str, Iterable[str]]) -> dict[str, TableSchema]:
    """Schemas of untyped columns from ``{"servers": ["id", "name"]}``."""
    return {table: TableSchema.of(*names) for table, names in tables.items()}
