# SPDX-License-Identifier: Apache-2.0
"""Syntax objects made fast: what the parser makes a dozen of for each rule.

A frozen dataclass sets each field through ``object.__setattr__``, which is most of a parser's time.  Here an object
is born as its mutable twin (the same slots, so the same layout) and only then becomes what it is: frozen like any
other.  Two to three times faster than the constructors, which remain the way for everybody else.
"""

from typing import Any

from congress.datalog.diagnostics import Source, Span
from congress.datalog.syntax import Atom, BodyItem, Constant, Head, Literal, Named, Rule, Term, Variable
from congress.datalog.values import Value

_tuple = tuple.__new__


def span(start: int, end: int) -> Span:
    """``Span(start, end)``"""
    return _tuple(Span, (start, end))


class _Variable:
    __slots__ = ("name", "span")


def variable(name: str, span: Span) -> Variable:
    """``Variable(name, span)``"""
    node: Any = _Variable()
    node.name = name
    node.span = span
    node.__class__ = Variable
    return node  # type: ignore[no-any-return]  # it has just become one


class _Constant:
    __slots__ = ("span", "value")


def constant(value: Value, span: Span) -> Constant:
    """``Constant(value, span)``"""
    node: Any = _Constant()
    node.value = value
    node.span = span
    node.__class__ = Constant
    return node  # type: ignore[no-any-return]  # it has just become one


class _Named:
    __slots__ = ("column", "span", "term")


def named(column: str | int, term: Term, span: Span) -> Named:
    """``Named(column, term, span)``"""
    node: Any = _Named()
    node.column = column
    node.term = term
    node.span = span
    node.__class__ = Named
    return node  # type: ignore[no-any-return]  # it has just become one


class _Atom:
    __slots__ = ("args", "name_span", "named", "service", "sign", "span", "table")


def atom(
    service: str | None,
    table: str,
    args: tuple[Term, ...],
    named: tuple[Named, ...],
    sign: str,
    span: Span,
    name_span: Span,
) -> Atom:
    """``Atom(...)``"""
    node: Any = _Atom()
    node.service = service
    node.table = table
    node.args = args
    node.named = named
    node.sign = sign
    node.span = span
    node.name_span = name_span
    node.__class__ = Atom
    return node  # type: ignore[no-any-return]  # it has just become one


class _Literal:
    __slots__ = ("atom", "negated", "span")


def literal(atom: Atom, negated: bool, span: Span) -> Literal:
    """``Literal(atom, negated, span)``"""
    node: Any = _Literal()
    node.atom = atom
    node.negated = negated
    node.span = span
    node.__class__ = Literal
    return node  # type: ignore[no-any-return]  # it has just become one


class _Rule:
    __slots__ = ("body", "has_body", "heads", "source", "span")


def rule(heads: tuple[Head, ...], body: tuple[BodyItem, ...], has_body: bool, span: Span, source: Source) -> Rule:
    """``Rule(...)``"""
    node: Any = _Rule()
    node.heads = heads
    node.body = body
    node.has_body = has_body
    node.span = span
    node.source = source
    node.__class__ = Rule
    return node  # type: ignore[no-any-return]  # it has just become one
