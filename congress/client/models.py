# SPDX-License-Identifier: Apache-2.0
"""What the server tells of, as frozen objects.

Each has the fields that are listed here, and in ``raw`` all that the server sent: a newer server may tell more.
A field that the server left out has its default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self

from congress.client.errors import Diagnostic
from congress.client.values import Row, as_row


@cache
def _names(cls: type) -> frozenset[str]:
    return frozenset(item.name for item in fields(cls) if item.init) - {"raw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What all of them have in common."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The object for what the server sent."""
        known = {name: given[name] for name in _names(cls.__mro__[0]) if given.get(name) is not None}
        return cls(**{**known, **cls._nested(given)}, raw=given)

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fields that are objects of their own."""
        return {}


def _diagnostics(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"diagnostics": tuple(Diagnostic.of(item) for item in given.get("diagnostics") or ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Resource):
    """A rule or fact of a policy; ``rule`` is its text."""

    id: str = ""
    rule: str = ""
    name: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStatus(Resource):
    """How a rule is: ``state`` is ``active``, ``waiting`` (for a service, table or column) or ``off``."""

    id: str = ""
    name: str = ""
    comment: str = ""
    original_str: str = ""
    state: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    errors: Sequence[Mapping[str, Any]] = ()
    error_count: int = 0

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return _diagnostics(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Resource):
    """A policy.  ``rules`` are those that it was made with, where it was just made with rules; else empty."""

    id: str = ""
    name: str = ""
    description: str = ""
    abbreviation: str = ""
    kind: str = ""
    owner_id: str = ""
    rules: tuple[Rule, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"rules": tuple(Rule.of(rule) for rule in given.get("rules") or ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStatus(Resource):
    """How a policy is: its rules by state, its tables by number of rows, the actions that it wants."""

    id: str = ""
    name: str = ""
    rules: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, int] = field(default_factory=dict)
    actions: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Resource):
    """A column of a table."""

    name: str = ""
    type: str = ""
    nullable: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Resource):
    """A table of a policy or service.

    ``columns`` is empty where nobody knows them; ``rows`` is how many there are, None where that is not told;
    ``kind`` is ``policy``, ``service``, ``unknown`` or empty; ``action`` is what a row of it asks for, if it does.
    """

    id: str = ""
    kind: str = ""
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    action: str = ""
    description: str = ""

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "id": given.get("id") or given.get("table_id") or "",
            "columns": tuple(Column.of(column) for column in given.get("columns") or ()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Resource):
    """A cloud service.

    Secrets in ``config`` are never shown; they read ``<hidden>``.  ``state`` is ``running``, ``error`` and the like;
    ``error`` says what is wrong, if anything is.
    """

    id: str = ""
    name: str = ""
    driver: str = ""
    description: str = ""
    type: str = ""
    enabled: bool = True
    state: str = ""
    error: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus(Resource):
    """How a service is.  ``state`` is ``running``, ``error`` and the like; ``last_updated`` a time as text.

    The texts ``"True"``, ``"None"`` and so on are those of the API's first version; ``raw`` has the typed ones beside.
    """

    state: str = ""
    initialized: str = ""
    last_updated: str = ""
    last_error: str = ""
    number_of_updates: str = ""
    subscribers: Sequence[str] = ()

    @property
    def ready(self) -> bool:
        """Whether it runs."""
        return self.initialized == "True"


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument(Resource):
    """An argument of an action."""

    name: str = ""
    type: str = ""
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action(Resource):
    """An action that a service carries out."""

    name: str = ""
    description: str = ""
    args: tuple[Argument, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"args": tuple(Argument.of(argument) for argument in given.get("args") or ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver(Resource):
    """A driver that services can have.  ``config`` says of each option whether it is required."""

    id: str = ""
    description: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    secret: Sequence[str] = ()
    tables: tuple[Table, ...] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"tables": tuple(Table.of(table) for table in given.get("tables") or ())}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers to a query, one row for each binding of its variables."""

    columns: tuple[str | None, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        return cls(tuple(given.get("columns") or ()), tuple(as_row(entry["data"]) for entry in given["results"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Resource):
    """How a table would change.  At most so many rows are listed; ``inserted`` and ``retracted`` count all."""

    insertions: tuple[Row, ...] = ()
    retractions: tuple[Row, ...] = ()
    inserted: int = 0
    retracted: int = 0

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        listed = {name: tuple(as_row(row) for row in given.get(name) or ()) for name in ("insertions", "retractions")}
        counts = {"inserted": len(listed["insertions"]), "retracted": len(listed["retractions"])}
        return {**listed, **{name: given.get(name, number) for name, number in counts.items()}}


def _changes(given: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"changes": {table: Change.of(change) for table, change in (given.get("changes") or {}).items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation(Resource):
    """What would hold after some steps.

    ``result`` has the answers to the query as literals (``low("nut")``; with ``delta`` as ``low+("nut")``);
    ``actions`` would be carried out; ``changes`` by table and ``unsettled`` (tables whose rows are not known now)
    come with steps; ``trace`` where it was asked for.
    """

    result: Sequence[str] = ()
    actions: Sequence[Mapping[str, Any]] = ()
    changes: Mapping[str, Change] = field(default_factory=dict)
    unsettled: Sequence[str] = ()
    trace: str = ""

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return _changes(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview(Resource):
    """What a change of rules would lead to: rows that come and go by table, actions that would be asked for and
    that would be asked for no more, and how each new rule would be."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    actions: Sequence[Mapping[str, Any]] = ()
    withdrawn: Sequence[Mapping[str, Any]] = ()
    rules: Sequence[Mapping[str, Any]] = ()
    unsettled: Sequence[str] = ()

    @classmethod
    def _nested(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return _changes(given)
