# SPDX-License-Identifier: Apache-2.0
"""The syntax of the policy language as frozen objects, just as the parser read them.

Two objects are equal when they mean the same text; ``span`` (where it stood) never takes part in that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from congress.datalog.diagnostics import NOWHERE, Source, Span
from congress.datalog.values import Value


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal value: ``"abc"``, ``-3``, ``1.5``, ``true``, ``null``."""

    value: Value
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """A named variable."""

    name: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """``_``: any value, and another one at each place it stands."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """Arithmetic: ``left op right`` with op one of ``+ - * / %``."""

    op: str
    left: "Term"
    right: "Term"
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A built-in used as a value: ``age(c)``, ``lower(n)``: its inputs are given, its one output is the value."""

    name: str  # without the "builtin:" prefix
    args: tuple["Term", ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``count(s)``, ``sum(n)``, ``min(n)``, ``max(n)``, ``avg(n)``: stands in a rule's head only."""

    function: str
    argument: Variable
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Term: TypeAlias = Constant | Variable | Anonymous | Operation | Call | Aggregate


@dataclass(frozen=True, slots=True)
class Named:
    """``column=term`` (or ``3=term``: the column at that index, from 0)."""

    column: str | int
    term: Term
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Atom:
    """A table with arguments: ``nova:servers(s, name=n)``; ``sign`` is ``"+"`` or ``"-"`` on an update, else ``""``.

    ``service`` is the first part of a prefixed name (a policy or a cloud service), or None; ``table`` is the rest.
    """

    service: str | None
    table: str
    args: tuple[Term, ...] = ()
    named: tuple[Named, ...] = ()
    sign: str = ""
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    name_span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The table as written: ``nova:servers`` or ``p``."""
        return self.table if self.service is None else f"{self.service}:{self.table}"

    def terms(self) -> Iterator[Term]:
        """All argument terms, positional ones first."""
        yield from self.args
        for item in self.named:
            yield item.term


@dataclass(frozen=True, slots=True)
class Modal:
    """``execute[service:action(...)]`` (or ``insert[...]``, ``delete[...]``, which the checks refuse)."""

    name: str
    atom: Atom
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Literal:
    """A body atom, or its negation.  Built-ins by name (``builtin:lt(x, y)``) are literals too, as is ``true``."""

    atom: Atom
    negated: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left op right``; op is one of ``= != < <= > >=``; ``=`` binds a variable that nothing else binds."""

    op: str
    left: Term
    right: Term
    negated: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Head: TypeAlias = Atom | Modal
BodyItem: TypeAlias = Literal | Comparison


@dataclass(frozen=True, slots=True)
class Rule:
    """``heads :- body``; a fact has no body.  More than one head is legal only in a simulation sequence."""

    heads: tuple[Head, ...]
    body: tuple[BodyItem, ...] = ()
    has_body: bool = False  # ``p(1) :- true`` is a rule, ``p(1)`` is a fact
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    source: Source = field(default=Source(""), compare=False, repr=False)

    @property
    def head(self) -> Head:
        return self.heads[0]

    @property
    def is_fact(self) -> bool:
        return not self.has_body

    @property
    def text(self) -> str:
        """The rule as it was written."""
        return self.source.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its marks (``// ...``, ``# ...``, ``/* ... */``) as written."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Program:
    """All statements of a text in order, and its comments."""

    statements: tuple[Rule, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False)
    source: Source = field(default=Source(""), compare=False, repr=False)
