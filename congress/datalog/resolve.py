# SPDX-License-Identifier: Apache-2.0
"""From a rule as written to a rule that runs: names to positions, expressions to built-ins, constants to their types.

Nothing here changes the catalog; whatever is wrong comes back as diagnostics, all of it at once: a literal that is
wrong, or waits, is left out, and the others are held to what they would be held to beside it.
"""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from congress.datalog import syntax
from congress.datalog.builtins.moments import parse_duration
from congress.datalog.builtins.registry import BARE_NAMES, Builtin, BuiltinError, Registry
from congress.datalog.core import Arg, Const, Equal, Item, Negative, Positive, Resolved, Rule, Test, variables
from congress.datalog.diagnostics import NOWHERE, Diagnostic, Source, Span, register_code
from congress.datalog.instants import instant_warnings
from congress.datalog.safety import binds, closure, needs
from congress.datalog.schema import Column, TableSchema
from congress.datalog.stages import split_aggregate, split_temporal
from congress.datalog.type_inference import type_warnings
from congress.datalog.unbound import lasting, stand_in
from congress.datalog.values import FALSE, TRUE

UNKNOWN_SERVICE = register_code("N001", "The rule waits: no policy or cloud service of that name is known yet.")
UNKNOWN_TABLE = register_code("N002", "The rule waits: the table is not known yet.")
UNKNOWN_COLUMN = register_code("N003", "The table has no column of that name or index.")
DISPUTED_COLUMN = register_code("N004", "The rules that derive the table disagree on the name of that column.")
TOO_MANY = register_code("N005", "The literal has more arguments than the table has columns.")
COLUMN_TWICE = register_code("N006", "The column is given by position and by name.")
ARITY = register_code("N007", "The table has another number of columns.")
BUILTIN_ARITY = register_code("N008", "The built-in takes another number of arguments.")
UNKNOWN_BUILTIN = register_code("N009", "There is no built-in of that name.")
HEAD_UNSAFE = register_code("R101", "A variable of the head is bound by no literal of the body.")
BODY_UNSAFE = register_code("R102", "A literal needs a variable that nothing binds.")
NAMED_HEAD = register_code("R103", "Column names cannot stand in the head of a rule.")
BAD_DURATION = register_code("R104", "The text is not a duration.")
TYPED_CONSTANT = register_code("W101", "A text stands where the column holds booleans or null.")
NEVER = register_code("W102", "The constant can never equal a value of that column's type.")

_OPERATIONS = {"+": "plus", "-": "minus", "*": "mul", "/": "div", "%": "mod"}
_ORDERINGS = {"<": "lt", "<=": "lteq", ">": "gt", ">=": "gteq"}


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of a table: how many columns, their names (None where rules disagree), their types."""

    arity: int
    columns: tuple[str | None, ...]
    schema: TableSchema | None = None


class Catalog(Protocol):
    """What resolution asks of its surroundings."""

    registry: Registry

    def is_policy(self, name: str) -> bool: ...

    def service_tables(self, name: str) -> Mapping[str, TableSchema] | None: ...

    def signature(self, table: str) -> Signature | None: ...


@dataclass(slots=True)
class Resolution:
    """The outcome: ``resolved`` unless there are errors or something to wait for."""

    resolved: Resolved | None = None
    errors: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    waits: list[Diagnostic] = field(default_factory=list)
    # Derived tables whose signature this resolution relied on, with the number of arguments used.
    uses: dict[str, int] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    services: set[str] = field(default_factory=set)


def literal_table(atom: syntax.Atom, policy: str) -> str:
    """The key of the table that a literal reads."""
    return f"{atom.service or policy}:{atom.table}{atom.sign}"


def head_table(policy: str, head: syntax.Head) -> str:
    """The key of the table that a head derives."""
    if isinstance(head, syntax.Modal):
        atom = head.atom
        names = "".join("," + str(item.column) for item in sorted(atom.named, key=lambda n: str(n.column)))
        return f"{policy}:{head.name}[{atom.name}]/{len(atom.args)}{names}"
    return f"{policy}:{head.name}{head.sign}"


def head_terms(head: syntax.Head) -> tuple[syntax.Term, ...]:
    """The head's arguments in column order (named ones of an action in the order of their names)."""
    if isinstance(head, syntax.Modal):
        named = sorted(head.atom.named, key=lambda n: str(n.column))
        return head.atom.args + tuple(item.term for item in named)
    return head.args


def resolve(
    rule: syntax.Rule,
    policy: str,
    rule_id: str,
    catalog: Catalog,
    *,
    kind: str = "nonrecursive",
    by_clock: bool = False,
    faults: Collection[Span] = (),
) -> Resolution:
    """Resolve one rule with a body.

    :param by_clock: read the time as a table of one row instead of splitting off temporal guards (recursive rules
        need it so).
    :param faults: where something is wrong with the rule that was reported before; nothing is said twice.
    """
    return _Resolver(rule, policy, rule_id, catalog, kind, by_clock, faults).run()


class _Resolver:
    def __init__(
        self,
        rule: syntax.Rule,
        policy: str,
        rule_id: str,
        catalog: Catalog,
        kind: str,
        by_clock: bool,
        faults: Collection[Span],
    ) -> None:
        self.rule = rule
        self.policy = policy
        self.rule_id = rule_id
        self.catalog = catalog
        self.kind = kind
        self.by_clock = by_clock
        self.faults = faults
        self.out = Resolution()
        self.body: list[Item] = []
        self.unclear: set[str] = set()  # variables that literals which are left out would bind
        self.fresh = 0

    def run(self) -> Resolution:
        for position, item in enumerate(self.rule.body):
            self._item(item, position)
        args, aggregates = self._head()
        self._check_safety(args)
        if self.out.errors or self.out.waits or self.faults:
            return self.out
        self.out.warnings += type_warnings(self.rule, self.body, aggregates, self.catalog)
        self.out.warnings += instant_warnings(self.rule, self.body)
        table = head_table(self.policy, self.rule.head)
        core = Rule(table, args, tuple(self.body))
        core, temporal = split_temporal(core, self.rule_id, by_clock=self.by_clock)
        core, stages = split_aggregate(core, aggregates, temporal, self.rule_id)
        self.out.resolved = Resolved(core, stages, table, self._column_names(aggregates))
        return self.out

    # -- reporting

    def _report(self, into: list[Diagnostic], code: str, message: str, span: Span, hint: str = "") -> None:
        severity = "error" if into is self.out.errors else "warning"
        if span not in self.faults:
            into.append(Diagnostic(code, message, self.rule.source, span, hint, severity))

    def _has_fault(self, span: Span) -> bool:
        return any(span.start <= fault.start and fault.end <= span.end for fault in self.faults)

    # -- head

    def _head(self) -> tuple[tuple[Arg, ...], dict[int, tuple[str, str]]]:
        head = self.rule.head
        if isinstance(head, syntax.Atom) and head.named:
            self._report(self.out.errors, NAMED_HEAD, "a head's columns are given by position", head.named[0].span)
        args: list[Arg] = []
        aggregates: dict[int, tuple[str, str]] = {}
        for position, term in enumerate(head_terms(head)):
            if isinstance(term, syntax.Aggregate):
                aggregates[position] = (term.function, term.argument.name)
                args.append(term.argument.name)
            else:
                args.append(self._operand(term, position=-1))
        return tuple(args), aggregates

    def _column_names(self, aggregates: Mapping[int, tuple[str, str]]) -> tuple[str | None, ...]:
        head = self.rule.head
        if isinstance(head, syntax.Modal):
            named = sorted(str(item.column) for item in head.atom.named)
            return (*(term_name(t) for t in head.atom.args), *named)
        return tuple(
            aggregates[position][0] if position in aggregates else term_name(term)
            for position, term in enumerate(head.args)
        )

    def _check_safety(self, args: tuple[Arg, ...]) -> None:
        bound = self._report_stuck()
        spans = {t.name: t.span for t in self._head_variables()}
        made = self._may_be_made()
        given = lasting(self.body, bound) if made else []
        for name in dict.fromkeys(variables(args)):
            if name not in bound and name in made:
                self.body.append(stand_in(name, given))
            elif name not in bound:
                self._report(
                    self.out.errors,
                    HEAD_UNSAFE,
                    f"the body does not bind {name}",
                    spans.get(name, self.rule.span),
                    f'write "{name}" in quotes if the text is meant, or bind {name} in a positive literal',
                )

    def _report_stuck(self) -> set[str]:
        """Report literals that can never run, but for those that would if others did; all variables with a value."""
        bound, stuck = closure(self.body, self.unclear)
        while stuck:
            promised = set().union(*map(binds, stuck))
            missing = [(item, needs(item, bound) - promised) for item in stuck]
            if not any(names for _, names in missing):  # they wait for one another
                missing = [(item, needs(item, bound)) for item in stuck]
            for item, names in missing:
                if names:
                    self._report_unbound(item, sorted(name for name in names if not name.startswith("$")))
                    bound |= names | binds(item)
            bound, stuck = closure([item for item, names in missing if not names], bound)
        return bound

    def _report_unbound(self, item: Item, names: list[str]) -> None:
        if not names:
            return  # the inner part of an expression: its innermost literal is reported
        hint = f"bind {names[0]} in a positive literal"
        if isinstance(item, Negative) and isinstance(self.rule.body[item.source], syntax.Literal):
            hint = f"use _ instead of {names[0]} if any value will do, or {hint}"
        message = f"nothing binds {', '.join(names)}"
        self._report(self.out.errors, BODY_UNSAFE, message, self._span(item.source), hint)

    def _may_be_made(self) -> set[str]:
        """Head variables that need nothing to bind them: what an action policy describes may make new things."""
        head = self.rule.head
        if self.kind != "action" or isinstance(head, syntax.Modal):
            return set()
        aggregated = {term.argument.name for term in head.args if isinstance(term, syntax.Aggregate)}
        return {term.name for term in head.args if isinstance(term, syntax.Variable)} - aggregated

    def _head_variables(self) -> Iterable[syntax.Variable]:
        for term in head_terms(self.rule.head):
            if isinstance(term, syntax.Variable):
                yield term
            elif isinstance(term, syntax.Aggregate):
                yield term.argument

    def _span(self, source: int) -> Span:
        return self.rule.body[source].span if 0 <= source < len(self.rule.body) else self.rule.span

    # -- body

    def _item(self, item: syntax.BodyItem, position: int) -> None:
        resolved, said = len(self.body), len(self.out.errors) + len(self.out.waits)
        fault = self._has_fault(item.span)
        if isinstance(item, syntax.Literal):
            self._literal(item, position)
        elif not fault:
            self._comparison(item, position)
        if fault or len(self.out.errors) + len(self.out.waits) > said:
            del self.body[resolved:]
            self._leave_out(item, position)

    def _leave_out(self, item: syntax.BodyItem, position: int) -> None:
        """Let a literal that cannot be resolved bind what it would, and need what it would."""
        if isinstance(item, syntax.Literal):
            names, free = _variables(item.atom.terms()), not item.negated
        else:
            names, free = _variables((item.left, item.right)), False
            if item.op == "=" and not item.negated:
                self.unclear |= {side.name for side in (item.left, item.right) if isinstance(side, syntax.Variable)}
        if free:
            self.unclear |= set(names)
        else:
            self.body.append(Negative("", names, position))

    def _literal(self, item: syntax.Literal, position: int) -> None:
        atom = item.atom
        count = len(atom.args) + len(atom.named)
        if atom.service is None and atom.table in {"true", "false"} and not count:
            if (atom.table == "true") == item.negated:
                self.body.append(Equal(Const(TRUE), Const(FALSE), source=position))
            return
        bare = atom.service is None and atom.table in BARE_NAMES
        if atom.service == "builtin" or bare:
            if not self._has_fault(item.span):
                self._builtin(item, position)
        else:
            self._table_literal(item, position)

    def _builtin(self, item: syntax.Literal, position: int) -> None:
        atom = item.atom
        registry = self.catalog.registry
        found = registry.find(atom.table, len(atom.args))
        if found is None or atom.named:
            arities = [b.signature for b in registry.named(atom.table)]
            if arities:
                self._report(
                    self.out.errors, BUILTIN_ARITY, f"{atom.table} does not take {len(atom.args)} arguments",
                    atom.span, "it is " + " or ".join(arities),
                )  # fmt: skip
            else:
                near = difflib.get_close_matches(atom.table, [b.name for b in registry], 1)
                hint = f"did you mean builtin:{near[0]}?" if near else ""
                self._report(self.out.errors, UNKNOWN_BUILTIN, f"no built-in {atom.table}", atom.name_span, hint)
            return
        args = tuple(self._operand(term, position) for term in atom.args)
        cut = len(found.inputs)
        self.body.append(self._test(found, args[:cut], args[cut:], item.negated, position))

    def _test(
        self,
        builtin: Builtin,
        inputs: tuple[Arg, ...],
        outputs: tuple[Arg, ...],
        negated: bool,
        position: int,
    ) -> Test:
        # An anonymous input can never be bound: give it a name that the safety check reports.
        named = tuple("_" if arg is None else arg for arg in inputs)
        return Test(builtin, named, outputs, negated, position)

    def _comparison(self, item: syntax.Comparison, position: int) -> None:
        left, right = item.left, item.right
        if item.op in _ORDERINGS:
            left, right = self._durations(left, right)
            a, b = self._operand(left, position), self._operand(right, position)
            builtin = self.catalog.registry.find(_ORDERINGS[item.op], 2)
            assert builtin is not None
            self.body.append(self._test(builtin, (a, b), (), item.negated, position))
            return
        negated = item.negated != (item.op == "!=")
        if not negated and isinstance(left, syntax.Variable) and isinstance(right, syntax.Operation | syntax.Call):
            self._operand(right, position, into=left.name)
        elif not negated and isinstance(right, syntax.Variable) and isinstance(left, syntax.Operation | syntax.Call):
            self._operand(left, position, into=right.name)
        else:
            a, b = self._operand(left, position), self._operand(right, position)
            self.body.append(Equal("_" if a is None else a, "_" if b is None else b, negated, position))

    def _durations(self, left: syntax.Term, right: syntax.Term) -> tuple[syntax.Term, syntax.Term]:
        """``age(c) > "30d"``: the text beside an age is a duration."""
        if _is_age(left) and isinstance(right, syntax.Constant) and isinstance(right.value, str):
            return left, self._seconds(right)
        if _is_age(right) and isinstance(left, syntax.Constant) and isinstance(left.value, str):
            return self._seconds(left), right
        return left, right

    def _seconds(self, constant: syntax.Constant) -> syntax.Constant:
        try:
            return syntax.Constant(parse_duration(str(constant.value)), constant.span)
        except (BuiltinError, ValueError) as error:
            self._report(self.out.errors, BAD_DURATION, str(error), constant.span, 'write it as "30d", "12h" or "1w2d"')
            return constant

    def _operand(self, term: syntax.Term, position: int, into: str | None = None) -> Arg:
        """The argument for a term; an expression becomes a literal that binds a variable of its own."""
        if isinstance(term, syntax.Constant):
            return Const(term.value)
        if isinstance(term, syntax.Variable):
            return term.name
        if isinstance(term, syntax.Operation):
            return self._call(_OPERATIONS[term.op], (term.left, term.right), term.span, position, into)
        if isinstance(term, syntax.Call):
            return self._call(term.name, term.args, term.span, position, into)
        return None

    def _call(self, name: str, terms: tuple[syntax.Term, ...], span: Span, position: int, into: str | None) -> Arg:
        registry = self.catalog.registry
        found = registry.find(name, len(terms) + 1)
        if found is None or len(found.outputs) != 1:
            options = [b.signature for b in registry.named(name) if len(b.outputs) == 1]
            hint = "it is " + " or ".join(options) if options else ""
            code = BUILTIN_ARITY if options else UNKNOWN_BUILTIN
            self._report(self.out.errors, code, f"no built-in {name} makes a value of {len(terms)} inputs", span, hint)
            return None
        inputs = tuple(self._operand(term, position) for term in terms)
        if into is None:
            self.fresh += 1
            into = f"${self.fresh}"
        self.body.append(self._test(found, inputs, (into,), False, position))
        return into

    # -- tables

    def _table_literal(self, item: syntax.Literal, position: int) -> None:
        atom = item.atom
        key, signature = self._find(atom)
        if key is None:
            return
        given: list[Arg] = [self._operand(term, position) for term in atom.args]
        if signature is None:
            if atom.named:
                self._report(self.out.waits, UNKNOWN_TABLE, f"the columns of {key} are not known yet", atom.name_span)
                return
            args = given
        else:
            if len(given) > signature.arity:
                self._report(
                    self.out.errors, TOO_MANY,
                    f"{key} has {signature.arity} columns, not {len(given)}", atom.span, _columns_hint(signature),
                )  # fmt: skip
                return
            args = given + [None] * (signature.arity - len(given))
            for named in atom.named:
                self._place(named, args, len(given), signature, key, position)
            if signature.schema is not None:
                self._type_constants(atom, args, signature.schema)
        made = Negative if item.negated else Positive
        self.body.append(made(key, tuple(args), position))

    def _find(self, atom: syntax.Atom) -> tuple[str | None, Signature | None]:
        service = atom.service or self.policy
        key = f"{service}:{atom.table}{atom.sign}"
        catalog = self.catalog
        if service == self.policy or catalog.is_policy(service):
            signature = catalog.signature(key)
            self.out.uses[key] = max(self.out.uses.get(key, 0), len(atom.args))
            if atom.named:
                self.out.named.add(key)
            return key, signature
        self.out.services.add(service)
        tables = catalog.service_tables(service)
        if tables is None:
            near = ""
            self._report(
                self.out.waits, UNKNOWN_SERVICE, f"no policy or cloud service {service!r} is known yet",
                atom.name_span, near or "the rule becomes active when it appears",
            )  # fmt: skip
            return None, None
        schema = tables.get(atom.table)
        if schema is None:
            near_tables = difflib.get_close_matches(atom.table, list(tables), 1)
            hint = f"did you mean {service}:{near_tables[0]}?" if near_tables else f"{service} has " + _some(tables)
            self._report(
                self.out.waits,
                UNKNOWN_TABLE,
                f"{service} has no table {atom.table!r} yet",
                atom.name_span,
                hint,
            )
            return None, None
        return key, Signature(schema.arity, schema.names, schema)

    def _place(
        self,
        named: syntax.Named,
        args: list[Arg],
        positional: int,
        signature: Signature,
        key: str,
        position: int,
    ) -> None:
        column = named.column
        if isinstance(column, int):
            at = column if column < signature.arity else None
        else:
            at = signature.columns.index(column) if column in signature.columns else None
        if at is None:
            disputed = isinstance(column, str) and None in signature.columns
            near = difflib.get_close_matches(str(column), [c for c in signature.columns if c], 1)
            hint = f"did you mean {near[0]}?" if near else _columns_hint(signature)
            if disputed:
                hint = "give the column by its index, or let all rules for the table use one variable name; " + hint
            code = DISPUTED_COLUMN if disputed else UNKNOWN_COLUMN
            self._report(self.out.errors, code, f"{key} has no column {column!r}", named.span, hint)
        elif at < positional or args[at] is not None:
            self._report(self.out.errors, COLUMN_TWICE, f"column {column!r} of {key} is given twice", named.span)
        else:
            args[at] = self._operand(named.term, position)

    def _type_constants(self, atom: syntax.Atom, args: list[Arg], schema: TableSchema) -> None:
        for at, (arg, column) in enumerate(zip(args, schema.columns, strict=True)):
            if not isinstance(arg, Const) or column.type == "any":
                continue
            typed = _typed(arg, column)
            span = _span_of(atom, at, column.name)
            if typed is not arg:
                args[at] = typed
                meant = "null" if typed.value is None else str(typed.value)
                message = f"column {column.name} never holds the text {arg.value!r}; {meant} is meant"
                self._report(self.out.warnings, TYPED_CONSTANT, message, span, f"write {meant} without quotes")
            elif not _fits(arg, column):
                self._report(self.out.warnings, NEVER, f"column {column.name} is {column.type}: this never holds", span)


def _variables(terms: Iterable[syntax.Term]) -> tuple[str, ...]:
    """All variables of some terms."""
    found: dict[str, None] = {}
    left = list(terms)
    while left:
        term = left.pop()
        if isinstance(term, syntax.Variable):
            found[term.name] = None
        elif isinstance(term, syntax.Operation):
            left += (term.left, term.right)
        elif isinstance(term, syntax.Call):
            left += term.args
    return tuple(found)


def term_name(term: syntax.Term) -> str | None:
    """The column name that a head's term gives."""
    return term.name if isinstance(term, syntax.Variable) else None


def _is_age(term: syntax.Term) -> bool:
    return isinstance(term, syntax.Call) and term.name == "age"


def _typed(arg: Const, column: Column) -> Const:
    if column.type == "boolean" and arg.value in ("True", "False", "true", "false"):
        return Const(TRUE if str(arg.value).lower() == "true" else FALSE)
    if column.nullable and arg.value == "None":
        return Const(None)
    return arg


def _fits(arg: Const, column: Column) -> bool:
    value = arg.value
    if value is None:
        return column.nullable
    if column.type == "boolean":
        return value is TRUE or value is FALSE
    if column.type == "string":
        return isinstance(value, str)
    return isinstance(value, int | float)


def _span_of(atom: syntax.Atom, at: int, name: str) -> Span:
    if at < len(atom.args):
        return atom.args[at].span
    return next((n.span for n in atom.named if n.column in (name, at)), atom.span)


def _columns_hint(signature: Signature) -> str:
    return "its columns are " + ", ".join(c or "?" for c in signature.columns) if signature.columns else "it has none"


def _some(names: Iterable[str], limit: int = 8) -> str:
    listed = sorted(names)
    return ", ".join(listed[:limit]) + (", ..." if len(listed) > limit else "") if listed else "no tables"


__all__ = ["NOWHERE", "Catalog", "Resolution", "Signature", "Source", "head_table", "head_terms", "resolve"]
