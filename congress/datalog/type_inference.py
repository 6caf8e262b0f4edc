# SPDX-License-Identifier: Apache-2.0
"""What the variables of a rule can hold, as far as the types of columns tell, and literals that therefore never hold.

A variable holds what is common to all that binds it: columns of services with a schema, outputs of built-ins,
constants.  Values are dynamically typed, so whatever is found here is a warning.

Each rule is looked at by itself, when it is resolved; a table of a policy then holds anything.  What is known beyond
that, :mod:`congress.datalog.type_flow` finds out for those who ask.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from congress.datalog import syntax
from congress.datalog.builtins.registry import Argument
from congress.datalog.column_types import (
    ANY,
    ARGUMENTS,
    BOOLEAN,
    NULL,
    NUMBER,
    TEXT,
    Kinds,
    Services,
    Tables,
    answers,
    kind_of,
)
from congress.datalog.constants import BadConstant, read_number, write_value
from congress.datalog.core import Arg, Const, Equal, Item, Negative, Positive, Test, variables
from congress.datalog.diagnostics import Diagnostic, Span, register_code
from congress.datalog.values import Value

NEVER_EQUAL = register_code("W104", "Values that must be equal have no common type: this never holds.")
ALWAYS_DIFFERENT = register_code("W105", "Values that must differ have no common type: this always holds.")
EQUAL_IN_NULL = register_code("W106", "Values that must be equal have no common type, but both may be null.")
NO_ANSWER = register_code("W107", "A built-in, ordering or aggregate has no answer for values of that type.")

_NAMES: Final = {TEXT: "strings", NUMBER: "numbers", BOOLEAN: "booleans", NULL: "null"}
_SINGLE: Final = {TEXT: "a string", NUMBER: "a number", BOOLEAN: "a boolean", NULL: "null"}
_ORDERINGS: Final = {"<": "lt", "<=": "lteq", ">": "gt", ">=": "gteq"}
_OPERATIONS: Final = {"+": "plus", "-": "minus", "*": "mul", "/": "div", "%": "mod"}


class _Place(NamedTuple):
    """An argument of a literal, by its position; the outputs of a built-in follow its inputs."""

    item: Item
    at: int


class _Held(NamedTuple):
    """What an argument can hold, and what says so."""

    kinds: Kinds
    origin: _Place | Const | None = None


_UNKNOWN: Final = _Held(ANY)


def type_warnings(
    rule: syntax.Rule, body: Sequence[Item], aggregates: Mapping[int, tuple[str, str]], services: Services
) -> list[Diagnostic]:
    """Warnings for the literals of a safe body that, by the types of services' columns, never hold (or always do).

    :param aggregates: function and variable by position in the head.
    """
    inference = Inference(body, Tables(services), rule)
    for at, (function, name) in aggregates.items():
        inference.aggregate(at, function, name)
    return inference.found


class Inference:
    """Goes through one body, tables first, every other literal when its variables are known."""

    def __init__(self, body: Sequence[Item], tables: Tables, rule: syntax.Rule | None) -> None:
        """:param rule: the rule as written; without one nothing is reported."""
        self.tables = tables
        self.rule = rule
        self.found: list[Diagnostic] = []
        self.known: dict[str, _Held] = {}
        self.blamed: set[Arg] = set()  # variables of which something was said
        self.dead = False  # a literal holds for no values
        later: list[Item] = []
        for item in body:
            if isinstance(item, Positive):
                self._positive(item)
            else:
                later.append(item)
        while later:
            blocked: list[Item] = []
            for item in later:
                if self._is_ready(item):
                    self._take(item)
                else:
                    blocked.append(item)
            if len(blocked) == len(later):
                break
            later = blocked

    def _is_ready(self, item: Item) -> bool:
        known = self.known
        if isinstance(item, Equal):
            free = [arg for arg in (item.left, item.right) if isinstance(arg, str) and arg not in known]
            return len(free) < 2 if not item.negated else not free
        needed = item.inputs if isinstance(item, Test) else item.args
        return not any(isinstance(arg, str) and arg not in known for arg in needed)

    def _take(self, item: Item) -> None:
        if isinstance(item, Negative):
            self._negative(item)
        elif isinstance(item, Test):
            self._test(item)
        elif isinstance(item, Equal):
            self._equal(item, item.left, item.right, item.negated)

    def held(self, arg: Arg) -> _Held:
        """What an argument can hold."""
        if isinstance(arg, Const):
            return _Held(kind_of(arg.value), arg)
        return self.known.get(arg, _UNKNOWN) if arg is not None else _UNKNOWN

    # -- literals

    def _positive(self, item: Positive) -> None:
        for place, arg, kinds in self._typed(item):
            self._meet(arg, _Held(kinds, place), place)
        for name in variables(item.args):
            self.known.setdefault(name, _UNKNOWN)

    def _typed(self, item: Positive | Negative) -> Iterator[tuple[_Place, Arg, Kinds]]:
        """The arguments of columns of which something is known; resolution looks at constants for services' columns."""
        tables = self.tables
        for at, (arg, kinds) in enumerate(zip(item.args, tables.kinds(item.table), strict=False)):
            if arg is not None and kinds != ANY and (isinstance(arg, str) or tables.schema(item.table) is None):
                yield _Place(item, at), arg, kinds

    def _meet(self, arg: Arg, new: _Held, place: _Place) -> None:
        """Let an argument hold nothing but what it also holds at this place."""
        old = self.held(arg)
        both = old.kinds & new.kinds
        if isinstance(arg, str) and (both != old.kinds or old.origin is None):
            self.known[arg] = _Held(both, new.origin)
        self._together((arg, old), (None, new), place)

    def _together(self, a: tuple[Arg, _Held], b: tuple[Arg, _Held], place: _Place) -> None:
        """Two that must be equal."""
        both = a[1].kinds & b[1].kinds
        if not both:
            self.dead = True
            self._differ(NEVER_EQUAL, a, b, place, "they are never equal")
        elif both == NULL and NULL not in (a[1].kinds, b[1].kinds):
            self._differ(EQUAL_IN_NULL, a, b, place, "they are equal only where both are null")

    def _apart(self, a: tuple[Arg, _Held], b: tuple[Arg, _Held], place: _Place) -> None:
        """Two that must differ."""
        if not a[1].kinds & b[1].kinds:
            self._differ(ALWAYS_DIFFERENT, a, b, place, "they always differ")

    def _negative(self, item: Negative) -> None:
        for place, arg, kinds in self._typed(item):
            self._apart((arg, self.held(arg)), (None, _Held(kinds, place)), place)

    def _equal(self, item: Test | Equal, left: Arg, right: Arg, negated: bool) -> None:
        if isinstance(left, Const) and isinstance(right, Const):
            return
        a, b = self.held(left), self.held(right)
        place = _Place(item, 0 if isinstance(left, Const) else 1)
        if negated:
            if NULL not in (a.kinds, b.kinds):  # that something is not null may be said of anything
                self._apart((left, a), (right, b), place)
        elif isinstance(left, str) and left not in self.known:
            self.known[left] = b
        elif isinstance(right, str) and right not in self.known:
            self.known[right] = a
        else:
            both = a.kinds & b.kinds
            narrow = _Held(both, a.origin if both == a.kinds else b.origin)
            self.known.update({arg: narrow for arg in (left, right) if isinstance(arg, str)})
            self._together((left, a), (right, b), place)

    def _test(self, item: Test) -> None:
        if item.builtin.name == "equal" and not item.outputs:
            self._equal(item, item.inputs[0], item.inputs[1], item.negated)
            return
        given = [self.held(arg) for arg in item.inputs]
        made = self._made(item, given)
        first = len(given)
        for at, (arg, kinds) in enumerate(zip(item.outputs, made, strict=True), first):
            place = _Place(item, at)
            if arg is None:
                continue
            if item.negated:
                self._apart((arg, self.held(arg)), (None, _Held(kinds, place)), place)
            elif isinstance(arg, str) and arg not in self.known:
                self.known[arg] = _Held(kinds, place)
            else:
                self._meet(arg, _Held(kinds, place), place)

    def _made(self, item: Test, given: list[_Held]) -> list[Kinds]:
        """What the outputs of a built-in can hold: nothing, where it has no answer."""
        builtin = item.builtin
        for at, (argument, held) in enumerate(zip(builtin.inputs, given, strict=True)):
            allowed = ARGUMENTS.get(argument.type, ANY)
            if not held.kinds & allowed:
                self._refuse(_Place(item, at), argument, allowed, held)
                return [0] * len(builtin.outputs)
        made = answers(builtin, [held.kinds for held in given])
        if made is not None:
            return made
        self.dead = True
        place = _Place(item, 0 if isinstance(item.inputs[0], Const) else 1)
        a, b = ((item.inputs[at], given[at]) for at in (0, 1))
        if builtin.name in _ORDERINGS.values():
            self._differ(NO_ANSWER, a, b, place, "the two have no order")
        else:
            hint = _mend((None, a[1]), (None, _Held(NUMBER))) or _mend((None, b[1]), (None, _Held(NUMBER)))
            self._differ(NO_ANSWER, a, b, place, f"{builtin.name} has no answer", hint)
        return [0] * len(builtin.outputs)

    def aggregate(self, at: int, function: str, name: str) -> None:
        """Check the variable under an aggregate in the head's position."""
        held = self.held(name)
        if function in ("sum", "avg") and held.kinds and not held.kinds & NUMBER and self.rule is not None:
            hint = _mend((name, held), (None, _Held(NUMBER)))
            span = _aggregated(self.rule, at)
            self._note(NO_ANSWER, f"{function} takes numbers; {self._says(held)}", span, name, hint, held)

    # -- findings

    def _differ(
        self, code: str, a: tuple[Arg, _Held], b: tuple[Arg, _Held], place: _Place, so: str, hint: str = ""
    ) -> None:
        """Report two that do not go together; ``so`` is what follows."""
        if self.rule is None or not (a[1].kinds and b[1].kinds) or a[0] in self.blamed or b[0] in self.blamed:
            return
        message = f"{self._says(a[1])}, {self._says(b[1])}: {so}"
        span = _span(self.rule, place, self.tables)
        self._note(code, message, span, a[0], hint or _mend(a, b) or _mend(b, a), a[1], b[1])
        self.blamed.update(arg for arg, _ in (a, b) if isinstance(arg, str))

    def _refuse(self, place: _Place, argument: Argument, allowed: Kinds, held: _Held) -> None:
        self.dead = True
        if self.rule is None or not held.kinds:
            return
        assert isinstance(place.item, Test)
        arg = place.item.inputs[place.at]
        takes = _SINGLE.get(allowed) or _list(allowed)
        if argument.type not in takes:
            takes += f" ({argument.type})"
        message = f"{place.item.builtin.name} takes {takes}; {self._says(held)}"
        if place.item.builtin.name in _ORDERINGS.values():
            message = "null has no order"
        hint = _mend((arg, held), (None, _Held(allowed)))
        if argument.type == "datetime" and held.kinds & NUMBER and isinstance(arg, str):
            hint = "make a datetime of the number with epoch_to_datetime"
        self._note(NO_ANSWER, message, _span(self.rule, place, self.tables), arg, hint, held)

    def _note(self, code: str, message: str, span: Span, arg: Arg, hint: str, *about: _Held) -> None:
        """Report something; nothing that follows from what was reported, or from tables that nothing derives."""
        if self.rule is None or arg in self.blamed or not all(held.kinds for held in about):
            return
        if isinstance(arg, str):
            self.blamed.add(arg)
        self.found.append(Diagnostic(code, message, self.rule.source, span, hint, "warning"))

    def _says(self, held: _Held) -> str:
        origin = held.origin
        if isinstance(origin, Const):
            return (
                f"{write_value(origin.value)} is {_SINGLE[held.kinds]}" if held.kinds != NULL else "the other is null"
            )
        if origin is None:
            return f"the other holds {_list(held.kinds)}"
        if isinstance(origin.item, Test):
            return f"{origin.item.builtin.name} makes {_list(held.kinds)}"
        assert isinstance(origin.item, Positive | Negative)
        table = origin.item.table
        return f"column {self.tables.column(table, origin.at)} of {table} holds {_list(held.kinds)}"


# -- words and places


def _list(kinds: Kinds) -> str:
    return " or ".join(name for kind, name in _NAMES.items() if kinds & kind)


def _mend(one: tuple[Arg, _Held], other: tuple[Arg, _Held]) -> str:
    """How the first could be made what the other is."""
    arg, held = one
    wanted = other[1].kinds
    if isinstance(arg, Const):
        return _rewrite(arg.value, wanted)
    if isinstance(other[0], Const):
        return ""  # the constant is what can be written otherwise
    if held.kinds & NUMBER and wanted & TEXT:
        return "make a string of the number with to_string"
    if held.kinds & TEXT and wanted & NUMBER:
        return "make a number of the string with to_int or to_float"
    return ""


def _rewrite(value: Value, wanted: Kinds) -> str:
    """How to write a constant so that it is of a wanted kind."""
    if not isinstance(value, str):
        return f'write "{write_value(value)}" in quotes' if value is not None and wanted & TEXT else ""
    if wanted & BOOLEAN and value.lower() in ("true", "false"):
        return f"write {value.lower()} without quotes"
    if wanted & NULL and value in ("None", "null"):
        return "write null without quotes"
    try:
        return f"write {write_value(read_number(value))} without quotes" if wanted & NUMBER else ""
    except BadConstant:
        return ""


def _aggregated(rule: syntax.Rule, at: int) -> Span:
    """Where the variable of the aggregate is written that is at a position of the head."""
    term = rule.head.args[at] if isinstance(rule.head, syntax.Atom) else None
    return term.argument.span if isinstance(term, syntax.Aggregate) else rule.head.span


def _span(rule: syntax.Rule, place: _Place, tables: Tables) -> Span:
    """Where an argument is written, or else its literal."""
    item, at = place
    if not 0 <= item.source < len(rule.body):
        return rule.span
    written = rule.body[item.source]
    if isinstance(item, Positive | Negative):
        assert isinstance(written, syntax.Literal)
        atom = written.atom
        if at < len(atom.args):
            return atom.args[at].span
        name = tables.column(item.table, at)
        return next((n.span for n in atom.named if n.column in (name, at)), atom.span)
    sides = next((terms for terms in _calls(written, item) if at < len(terms)), ())
    return sides[at].span if sides else written.span


def _calls(written: syntax.BodyItem, item: Test | Equal) -> Iterator[Sequence[syntax.Term]]:
    """The arguments of what was written for a built-in or comparison."""
    name = item.builtin.name if isinstance(item, Test) else "="
    if isinstance(written, syntax.Comparison):
        if name in ("=", _ORDERINGS.get(written.op)):
            yield written.left, written.right
        terms: list[syntax.Term] = [written.left, written.right]
    else:
        if written.atom.table == name and isinstance(item, Test) and all(map(_means, written.atom.args, item.inputs)):
            yield written.atom.args
        terms = list(written.atom.args)
    while terms:
        term = terms.pop(0)
        if not isinstance(term, syntax.Operation | syntax.Call):
            continue
        args = (term.left, term.right) if isinstance(term, syntax.Operation) else term.args
        called = _OPERATIONS[term.op] if isinstance(term, syntax.Operation) else term.name
        if isinstance(item, Test) and called == name and all(map(_means, args, item.inputs)):
            yield (*args, term)
        terms += args


def _means(term: syntax.Term, arg: Arg) -> bool:
    if isinstance(term, syntax.Variable):
        return term.name == arg
    if isinstance(term, syntax.Constant):
        return isinstance(arg, Const) and arg.value == term.value
    return isinstance(arg, str) and arg.startswith("$")
