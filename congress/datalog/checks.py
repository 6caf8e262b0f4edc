# SPDX-License-Identifier: Apache-2.0
"""What can be said against a rule by looking at it alone, without other rules, tables or schemas.

Whether variables are bound, arities and columns fit, and programs can be stratified is for the engine to say.
"""

import difflib
from collections.abc import Iterable
from functools import cache
from typing import Final

from congress.datalog.builtins import default_registry
from congress.datalog.builtins.registry import BARE_NAMES, Builtin, Registry
from congress.datalog.diagnostics import Diagnostic, Span, register_code
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
    Operation,
    Program,
    Rule,
    Term,
    Variable,
)
from congress.datalog.tokens import AGGREGATES

SEVERAL_HEADS = register_code("R004", "A rule of a policy has more than one head.")
BAD_MODAL = register_code("R005", "Only execute[...] can stand in a head; insert[...] and delete[...] cannot.")
NO_SERVICE = register_code("R006", "An action is named without the service that is to execute it.")
NOT_GROUND = register_code("R007", "A fact holds something else than values.")
ANONYMOUS_HEAD = register_code("R008", "The anonymous variable _ stands in a head.")
FOREIGN_HEAD = register_code("R009", "A rule derives a table of another policy or service.")
OWN_PREFIX = register_code("R010", "The head of a rule names the rule's own policy.")
UPDATE = register_code("R011", "An update (p+ or p-) stands elsewhere than in a policy of kind action.")
BUILTIN_HEAD = register_code("R012", "A rule derives a table with the name of a built-in.")
UNKNOWN_BUILTIN = register_code("R013", "There is no built-in of that name.")
BUILTIN_ARITY = register_code("R014", "The built-in takes another number of arguments.")
BAD_AGGREGATE = register_code("R015", "An aggregate stands where none can, or not over one variable.")
EXPRESSION = register_code("R016", "An expression stands as an argument of a table.")
COLUMN_TWICE = register_code("R017", "A column is given twice.")
ANONYMOUS_VALUE = register_code("R018", "The anonymous variable _ stands in an expression or comparison.")
NAMED_BUILTIN = register_code("R019", "A built-in is given a named argument.")
BARE_BUILTIN = register_code("W001", "A built-in is named without the prefix builtin: (deprecated).")

KINDS: Final = frozenset({"nonrecursive", "action", "database", "materialized", "z3", "sequence"})
"""The kinds of policies, and ``sequence`` for the steps of a simulation."""


def check(
    program: Program | Rule,
    *,
    kind: str = "nonrecursive",
    policy: str | None = None,
    registry: Registry | None = None,
) -> list[Diagnostic]:
    """Everything that is wrong (or deprecated: severity ``warning``) with these rules, in the order of the text.

    :param kind: the policy's kind, one of :data:`KINDS`.
    :param policy: the name of the policy that the rules are for.
    :param registry: the built-ins there are; by default those that are installed.
    """
    checker = _Checker(kind, policy, registry or _installed())
    for rule in (program,) if isinstance(program, Rule) else program.statements:
        checker.check(rule)
    return sorted(checker.found, key=lambda item: item.span)


@cache
def _installed() -> Registry:
    return default_registry()


class _Checker:
    """Checks rules one after the other and gathers what it finds."""

    def __init__(self, kind: str, policy: str | None, registry: Registry) -> None:
        if kind not in KINDS:
            raise ValueError(f"there is no kind of policy called {kind!r}")
        self.policy = policy
        self.registry = registry
        self.sequence = kind == "sequence"
        self.updates = kind in {"action", "sequence"}
        self.found: list[Diagnostic] = []
        self.rule: Rule

    def check(self, rule: Rule) -> None:
        """Check one rule."""
        self.rule = rule
        if len(rule.heads) > 1 and not self.sequence:
            self._several_heads(rule)
        for head in rule.heads:
            self._head(head)
        for item in rule.body:
            self._item(item)

    def _note(self, code: str, message: str, span: Span, hint: str = "", severity: str = "error") -> None:
        self.found.append(Diagnostic(code, message, self.rule.source, span, hint, severity))

    # -- heads

    def _several_heads(self, rule: Rule) -> None:
        hint = "write one rule for each head" if rule.has_body else "write each fact as a statement of its own"
        self._note(SEVERAL_HEADS, "a rule has one head", rule.heads[1].span, hint)

    def _head(self, head: Head) -> None:
        if isinstance(head, Modal):
            self._action(head)
            atom = head.atom
        else:
            atom = head
            if atom.service is not None or atom.sign or atom.table in BARE_NAMES:
                self._head_name(atom)
        plain = head is atom and not atom.sign and not self.sequence
        ground = self.rule.is_fact
        for term in atom.terms() if atom.named else atom.args:
            if isinstance(term, Variable):
                if ground:
                    hint = f'write "{term.name}" in quotes if the text is meant'
                    self._note(NOT_GROUND, f"a fact cannot hold the variable {term.name}", term.span, hint)
            elif not isinstance(term, Constant):
                self._head_term(term, plain)
        if atom.named:
            self._columns(atom)

    def _action(self, head: Modal) -> None:
        atom = head.atom
        if head.name != "execute":
            hint = "only execute[service:action(x)] can be derived"
            self._note(BAD_MODAL, f"{head.name}[...] cannot stand in a head", head.span, hint)
        elif atom.service is None:
            message = f"the action {atom.table} has no service"
            hint = f"name the service that is to execute it: execute[service:{atom.table}(...)]"
            if self.policy is not None:
                hint += f", or execute[{self.policy}:{atom.table}(...)] for one of that name"
            self._note(NO_SERVICE, message, atom.name_span, hint)
        elif atom.service == "builtin":
            self._note(BUILTIN_HEAD, "a built-in is not an action", atom.name_span)
        if atom.sign:
            self._note(UPDATE, "an action has no sign", atom.span, f"leave the {atom.sign} out")

    def _head_name(self, atom: Atom) -> None:
        service = atom.service
        if atom.sign and not self.updates:
            hint = "updates describe what an action does; they belong in a policy of kind action"
            self._note(UPDATE, f"{atom.name}{atom.sign} is an update", atom.span, hint)
        elif service == "builtin" or (service is None and atom.table in BARE_NAMES):
            self._note(BUILTIN_HEAD, f"{atom.table} is a built-in", atom.name_span, "give the table another name")
        elif service is None or self.sequence:
            return
        elif service == self.policy:
            hint = f"leave it out: {atom.table}{atom.sign}"
            self._note(OWN_PREFIX, "a head does not name its own policy", atom.name_span, hint)
        elif not (atom.sign and self.updates):
            hint = f"derive a table of this policy, {atom.table}; others can read it"
            self._note(FOREIGN_HEAD, f"{atom.name} is a table of another policy or service", atom.name_span, hint)

    def _head_term(self, term: Term, plain: bool) -> None:
        if isinstance(term, Anonymous):
            hint = "name the value that is meant"
            if self.rule.is_fact:
                self._note(NOT_GROUND, "a fact cannot hold _", term.span, hint)
            else:
                self._note(ANONYMOUS_HEAD, "_ has no value that a head could take", term.span, hint)
        elif isinstance(term, Aggregate):
            self._aggregate(term, plain)
        elif isinstance(term, Call) and not self.rule.is_fact and self._meant_as_aggregate(term):
            known = ", ".join(sorted(AGGREGATES))
            if term.name in AGGREGATES:
                message = f"{term.name} is taken over one variable"
                hint = "bind the expression first: y = a + b; then take it over y"
            else:
                message, hint = f"there is no aggregate {term.name}", f"there are {known}"
            self._note(BAD_AGGREGATE, message, term.span, hint)
        else:
            self._expression_argument(term)

    def _meant_as_aggregate(self, term: Call) -> bool:
        return term.name in AGGREGATES or (len(term.args) == 1 and term.name not in self.registry)

    def _aggregate(self, term: Aggregate, plain: bool) -> None:
        shown = f"{term.function}({term.argument.name})"
        if term.function not in AGGREGATES:
            message = f"there is no aggregate {term.function}"
            self._note(BAD_AGGREGATE, message, term.span, f"there are {', '.join(sorted(AGGREGATES))}")
        elif self.rule.is_fact:
            self._note(NOT_GROUND, f"a fact cannot hold the aggregate {shown}", term.span, "give the rule a body")
        elif not plain:
            hint = f"derive a table first: t(x, {shown}) :- ..., and use its rows here"
            self._note(BAD_AGGREGATE, "an aggregate stands only in the head of a rule for a table", term.span, hint)

    # -- bodies

    def _item(self, item: BodyItem) -> None:
        if isinstance(item, Comparison):
            self._expression(item.left)
            self._expression(item.right)
        else:
            self._literal(item)

    def _literal(self, literal: Literal) -> None:
        atom = literal.atom
        if atom.service == "builtin":
            self._builtin(atom)
        elif atom.service is None and atom.table in BARE_NAMES and not atom.sign:
            hint = f"write builtin:{atom.table}"
            self._note(BARE_BUILTIN, f"{atom.table} is a built-in", atom.name_span, hint, severity="warning")
            self._builtin(atom)
        if atom.sign and not self.updates and atom.service != "builtin":
            hint = "only a policy of kind action knows updates"
            self._note(UPDATE, f"{atom.name}{atom.sign} is an update", atom.span, hint)
        for term in atom.terms() if atom.named else atom.args:
            if not isinstance(term, (Variable, Constant, Anonymous)):
                self._expression_argument(term)
        if atom.named:
            self._columns(atom)

    def _builtin(self, atom: Atom) -> None:
        name = atom.table
        if atom.sign:
            self._note(UPDATE, "a built-in has no sign", atom.span)
        if atom.named:
            self._note(NAMED_BUILTIN, f"{name} takes its arguments by position", atom.named[0].span, self._usage(name))
        elif name not in self.registry:
            self._unknown(name, atom.name_span, "builtin:")
        elif self.registry.find(name, len(atom.args)) is None:
            message = f"{name} does not take {_count(len(atom.args), 'argument')}"
            self._note(BUILTIN_ARITY, message, atom.span, self._usage(name))

    def _columns(self, atom: Atom) -> None:
        seen: set[str | int] = set(range(len(atom.args)))
        for item in atom.named:
            if item.column in seen:
                self._note(COLUMN_TWICE, f"the column {item.column} is given twice", item.span)
            seen.add(item.column)

    def _expression_argument(self, term: Term) -> None:
        if isinstance(term, Aggregate):
            hint = f"it stands in a head: t(x, {term.function}({term.argument.name})) :- ..."
            self._note(BAD_AGGREGATE, "an aggregate cannot stand in a body", term.span, hint)
            return
        text = self.rule.source.text[term.span.start : term.span.end]
        hint = f"bind it to a variable first: y = {text}" if 0 < len(text) <= 60 else "bind it to a variable first"
        if self.rule.is_fact:
            hint = "write the value itself, or give the rule a body that binds it to a variable"
        self._note(EXPRESSION, "an expression cannot be an argument of a table", term.span, hint)

    # -- expressions

    def _expression(self, term: Term) -> None:
        if isinstance(term, (Variable, Constant)):
            return
        if isinstance(term, Anonymous):
            self._note(ANONYMOUS_VALUE, "_ has no value", term.span, "name the variable that is meant")
        elif isinstance(term, Operation):
            self._expression(term.left)
            self._expression(term.right)
        elif isinstance(term, Call):
            self._call(term)
            for argument in term.args:
                self._expression(argument)
        else:
            self._expression_argument(term)

    def _call(self, term: Call) -> None:
        name, count = term.name, len(term.args)
        found = self.registry.find(name, count + 1)
        if found is not None and len(found.outputs) == 1:
            return
        if name in AGGREGATES and count < 2:
            hint = f"{name} is an aggregate; it stands in a head: t(x, {name}(y)) :- ..."
            self._note(BAD_AGGREGATE, f"{name} of one variable cannot be compared", term.span, hint)
        elif name not in self.registry:
            self._unknown(name, term.span)
        else:
            message = f"{name} makes no value from {_count(count, 'argument')}"
            self._note(BUILTIN_ARITY, message, term.span, self._usage(name))

    def _unknown(self, name: str, span: Span, prefix: str = "") -> None:
        near = difflib.get_close_matches(name, sorted({item.name for item in self.registry}), 1)
        hint = f"did you mean {prefix}{near[0]}?" if near else ""
        self._note(UNKNOWN_BUILTIN, f"there is no built-in {name}", span, hint)

    def _usage(self, name: str) -> str:
        return _alternatives(self.registry.named(name))


def _alternatives(builtins: Iterable[Builtin]) -> str:
    text = " or ".join(item.signature for item in builtins)
    return f"it is {text}" if text else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
