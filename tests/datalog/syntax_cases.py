# SPDX-License-Identifier: Apache-2.0
"""The cases in ``cases/syntax/*.yaml``: a text, and the tree, the errors or the format that it must have.

A tree is written with one line a statement: ``(p x) <- (q x); (not (nova|servers x)); (> x 3)``.  An error is its
code, line and column, and perhaps a part of its message or hint: ``S001 1:5 found )``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from congress.datalog.constants import write_value
from congress.datalog.diagnostics import Diagnostic
from congress.datalog.syntax import (
    Aggregate,
    Anonymous,
    Atom,
    BodyItem,
    Call,
    Comparison,
    Constant,
    Head,
    Literal,
    Modal,
    Named,
    Operation,
    Rule,
    Term,
    Variable,
)

FOLDER = Path(__file__).parent / "cases" / "syntax"


def load(name: str) -> list[dict[str, Any]]:
    """All cases of a file, each with a ``name``."""
    cases = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    for index, case in enumerate(cases):
        case.setdefault("name", f"{index}: {case['text']:.40}")
    return list(cases)


def tree(rules: Iterable[Rule]) -> list[str]:
    """The statements as trees, a line each."""
    return [_rule(rule) for rule in rules]


def _rule(rule: Rule) -> str:
    heads = ", ".join(map(_head, rule.heads))
    return f"{heads} <- {'; '.join(map(_item, rule.body))}" if rule.has_body else heads


def _head(head: Head) -> str:
    return f"{head.name}[{_atom(head.atom)}]" if isinstance(head, Modal) else _atom(head)


def _item(item: BodyItem) -> str:
    if isinstance(item, Literal):
        text = _atom(item.atom)
    else:
        assert isinstance(item, Comparison)
        text = f"({item.op} {term(item.left)} {term(item.right)})"
    return f"(not {text})" if item.negated else text


def _atom(atom: Atom) -> str:
    name = (f"{atom.service}|" if atom.service is not None else "") + atom.table + atom.sign
    args = [term(item) for item in atom.args] + [_named(item) for item in atom.named]
    return f"({' '.join([name, *args])})"


def _named(item: Named) -> str:
    return f"{item.column}={term(item.term)}"


def term(item: Term) -> str:
    """A term as a tree."""
    if isinstance(item, Variable):
        return item.name
    if isinstance(item, Constant):
        return write_value(item.value)
    if isinstance(item, Anonymous):
        return "_"
    if isinstance(item, Operation):
        return f"({item.op} {term(item.left)} {term(item.right)})"
    if isinstance(item, Aggregate):
        return f"(aggregate {item.function} {item.argument.name})"
    assert isinstance(item, Call)
    return f"({' '.join(['call', item.name, *map(term, item.args)])})"


def errors(found: Iterable[Diagnostic]) -> list[str]:
    """Findings as code, line and column."""
    return [f"{item.code} {item.line}:{item.column}" for item in found]


def matches(expected: list[str], found: list[Diagnostic]) -> bool:
    """Whether the findings are the expected ones, with the parts of messages and hints that are given."""
    if len(expected) != len(found):
        return False
    for line, item in zip(expected, found, strict=True):
        code, place, *rest = line.split(" ", 2)
        if f"{code} {place}" != f"{item.code} {item.line}:{item.column}":
            return False
        if rest and rest[0] not in item.message and rest[0] not in item.hint:
            return False
    return True
