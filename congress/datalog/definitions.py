# SPDX-License-Identifier: Apache-2.0
"""What names mean: policies, cloud services and their schemas, and the columns that rules give their tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from congress.datalog.builtins.registry import Registry
from congress.datalog.likeness import Names
from congress.datalog.resolve import Signature
from congress.datalog.schema import TableSchema


@dataclass(frozen=True, slots=True)
class ActionTable:
    """A table of ``execute[...]`` rows: whose action it is and how a row's values become its arguments."""

    service: str
    action: str
    positional: int
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table as users see it."""

    key: str
    columns: tuple[str | None, ...]
    kind: str  # "service", "policy" or "action"
    rows: int
    action: ActionTable | None = None
    schema: TableSchema | None = None


@dataclass(slots=True)
class Definition:
    """A policy's table: its arity is that of its heads; a column is named where they agree."""

    arity: int
    votes: list[Counter[str]]
    action: ActionTable | None = None
    heads: int = 0  # rules and facts that derive it

    @property
    def signature(self) -> Signature:
        names = tuple(next(iter(v)) if len(v) == 1 else None for v in self.votes)
        return Signature(self.arity, names)

    def vote(self, columns: tuple[str | None, ...], number: int) -> None:
        """Count what a head calls the columns; None is no opinion."""
        self.heads += number
        for votes, name in zip(self.votes, columns, strict=True):
            if name is not None:
                votes[name] += number
                if not votes[name]:
                    del votes[name]


@dataclass(slots=True)
class Definitions:
    """All names an engine knows; the catalog that rules are resolved against."""

    registry: Registry
    policies: dict[str, str] = field(default_factory=dict)  # name -> kind
    services: dict[str, dict[str, TableSchema]] = field(default_factory=dict)
    tables: dict[str, Definition] = field(default_factory=dict)
    # Which rules rely on the signature of a policy's table, and with how many arguments.
    users: dict[str, dict[str, int]] = field(default_factory=dict)
    _names: Names | None = None

    # -- Catalog

    def is_policy(self, name: str) -> bool:
        return name in self.policies

    def service_tables(self, name: str) -> Mapping[str, TableSchema] | None:
        return self.services.get(name)

    def signature(self, table: str) -> Signature | None:
        found = self.tables.get(table)
        return found.signature if found is not None else None

    def like(self, table: str) -> str:
        """The policies' table whose key is most like another; empty when none is."""
        if self._names is None:
            self._names = Names(self.tables)
        return self._names.like(table)

    # -- heads

    def define(
        self, table: str, columns: tuple[str | None, ...], number: int, action: ActionTable | None = None
    ) -> bool:
        """Count one head more (``number`` 1) or less (-1); whether the table's signature changed by that."""
        found = self.tables.get(table)
        before = found.signature if found is not None else None
        if found is None:
            found = self.tables[table] = Definition(len(columns), [Counter() for _ in columns], action)
            self._names = None
        found.vote(columns, number)
        if not found.heads:
            del self.tables[table]
            self._names = None
            return True
        return before != found.signature

    def use(self, rule_id: str, tables: Mapping[str, int]) -> None:
        for table, count in tables.items():
            self.users.setdefault(table, {})[rule_id] = count

    def unuse(self, rule_id: str, tables: Mapping[str, int]) -> None:
        for table in tables:
            rules = self.users[table]
            del rules[rule_id]
            if not rules:
                del self.users[table]
