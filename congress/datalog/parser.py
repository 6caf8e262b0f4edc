# SPDX-License-Identifier: Apache-2.0
"""From a policy text to syntax objects, by recursive descent; docs/reference/grammar.rst has the grammar.

All errors of a text are found at once: after an error the parser goes on at the next statement.  No text makes it
raise anything but PolicyError, and its time is linear in the text.
"""

import gc
from collections.abc import Sequence
from typing import NoReturn

from congress.datalog.diagnostics import Diagnostic, PolicyError, Source, Span, register_code
from congress.datalog.expressions import NOT_VARIABLES, RESERVED, Expressions
from congress.datalog.nodes import atom as make_atom
from congress.datalog.nodes import literal as make_literal
from congress.datalog.nodes import named as make_named
from congress.datalog.nodes import rule as make_rule
from congress.datalog.nodes import variable as make_variable
from congress.datalog.reader import MAX_ERRORS, OPERATOR, TOO_MANY, Failed
from congress.datalog.syntax import (
    Aggregate,
    Atom,
    BodyItem,
    Call,
    Head,
    Literal,
    Modal,
    Named,
    Program,
    Rule,
    Term,
    Variable,
)
from congress.datalog.tokens import (
    AGGREGATES,
    ENDS,
    FOREIGN_WORDS,
    MODALS,
    NEGATIONS,
    OPERATORS,
    QUOTES,
    RESERVED_WORDS,
    SUMS,
    WORD_VALUES,
    is_name,
    is_number,
)

OPEN_COMMENT = register_code("S005", "A comment that begins with /* is not closed.")
AFTER_NAMED = register_code("S011", "A positional argument stands after a named one.")
EVENT = register_code("S013", "insert[...] and delete[...] of whole rules are not statements of a policy.")
ONE_STATEMENT = register_code("S014", "Exactly one statement is expected.")
NEGATED_HEAD = register_code("R001", "The head of a rule is negated.")
MODAL_IN_BODY = register_code("R002", "execute[...], insert[...] or delete[...] stands in the body of a rule.")
DOUBLE_NEGATION = register_code("R003", "A literal is negated twice.")

_BEFORE_ATOM = NEGATIONS | MODALS
# What may follow the sign of an update in a body; before anything else + and - are arithmetic.
_AFTER_SIGN = frozenset({"(", ",", ";", ".", ")", "]", ":-", ""})
_tuple = tuple.__new__


def parse(text: str, name: str = "<string>") -> Program:
    """All statements of ``text``; ``name`` is what errors call it by.

    :raises PolicyError: with every syntax error of the text.
    """
    program, found = parse_partial(text, name)
    if found:
        raise PolicyError(found)
    return program


def parse_partial(text: str, name: str = "<string>") -> tuple[Program, list[Diagnostic]]:
    """The statements that can be read, and what is wrong with these and with the others; raises nothing."""
    parser = _Parser(Source(text, name))
    pause = len(text) > 1000 and gc.isenabled()
    if pause:
        # The cycle collector would walk thousands of new objects, none in a cycle, again and again: half of the time.
        gc.disable()
    try:
        statements = tuple(parser.program())
    finally:
        if pause:
            gc.enable()
    program = Program(statements, parser.tokens.comments, parser.source)
    return program, sorted(parser.found, key=lambda item: item.span)


def parse_rule(text: str, name: str = "<string>") -> Rule:
    """The one statement of ``text``.

    :raises PolicyError: when there is another number of statements, or a syntax error.
    """
    program = parse(text, name)
    return _only(program.statements, program.source)


def parse_body(text: str, head: Atom, name: str = "<query>") -> Rule:
    """Literals, as the body of a rule with a head that is not in the text.

    :raises PolicyError: when they are no body, or something follows it.
    """
    parser = _Parser(Source(text, name))
    statements = parser.program(head)
    if parser.found:
        raise PolicyError(sorted(parser.found, key=lambda item: item.span))
    return _only(statements, parser.source)


def _only(statements: Sequence[Rule], source: Source) -> Rule:
    if len(statements) == 1:
        return statements[0]
    if statements:
        message, span = f"one statement is expected, not {len(statements)}", statements[1].span
    else:
        message, span = "a statement is expected, there is none", Span(len(source.text), len(source.text))
    raise PolicyError([Diagnostic(ONE_STATEMENT, message, source, span)])


def parse_query(text: str, name: str = "<query>") -> Rule | Atom:
    """A query: an atom (its matching rows are asked for) or a rule (the rows of its head are).

    :raises PolicyError: when it is neither.
    """
    rule = parse_rule(text, name)
    if len(rule.heads) > 1:
        message = "a query is one atom or one rule"
        hint = "to join tables write a rule: answer(x) :- a(x), b(x)"
        raise PolicyError([Diagnostic(ONE_STATEMENT, message, rule.source, rule.heads[1].span, hint)])
    return rule.head if rule.is_fact and isinstance(rule.head, Atom) else rule


def parse_sequence(text: str, name: str = "<sequence>") -> Program:
    """The steps of a simulation: updates with signs, rules, actions; a step may have several heads.

    :raises PolicyError: with every syntax error of the text.
    """
    return parse(text, name)


class _Parser(Expressions):
    """Reads statements, atoms and arguments."""

    __slots__ = ()

    # -- statements

    def program(self, head: Atom | None = None) -> list[Rule]:
        """All statements that can be read; ``head`` is that of the first one where it begins with its body."""
        statements: list[Rule] = []
        toks = self.toks
        while toks[self.at]:
            first = self.at
            try:
                statements.append(self._statement(head))
            except Failed:
                self.recover(first)
            head = None
            if len(self.found) >= MAX_ERRORS:
                message = f"there are {MAX_ERRORS} errors up to here; what follows was not read"
                self.found.append(Diagnostic(TOO_MANY, message, self.source, self.span(self.at)))
                break
        if self.tokens.unclosed is not None:
            self.note(OPEN_COMMENT, "the comment is not closed", self.tokens.unclosed, "close it with */")
        return statements

    def _statement(self, head: Atom | None) -> Rule:
        toks = self.toks
        start = self.starts[self.at]
        body: tuple[BodyItem, ...] = ()
        if head is not None:
            heads: tuple[Head, ...] = (head,)
            has_body = True
            body = self._body()
        else:
            heads = (self._head(),)
            if toks[self.at] == ",":
                heads += self._more_heads()
            has_body = toks[self.at] == ":-"
            if has_body:
                self.at += 1
                body = self._body()
        rule = make_rule(heads, body, has_body, self.since(start), self.source)
        tok = toks[self.at]
        if tok in ENDS:
            self.at += 1
            return rule
        if tok in FOREIGN_WORDS or toks[self.at - 1] in FOREIGN_WORDS or tok in NEGATIONS:
            self._refuse_foreign_word(tok)
        if tok and not (is_name(tok) or tok == "!"):
            self._bad_end(has_body)
        return rule

    def _refuse_foreign_word(self, tok: str) -> None:
        """Where a statement is not ended: ``x in (1, 2)``, ``x not in (1, 2)``, ``exists t(x)``, all in one line; and a
        line that goes on with ``and t(x)``.
        """
        at = self.at
        after = self.toks[at + 1]
        if tok in NEGATIONS:
            word = 1 if after in FOREIGN_WORDS and not self._begins_line(at) else None
        elif tok in FOREIGN_WORDS:
            goes_on = not self._begins_line(at + 1) and (is_name(after) or after[:1] in QUOTES or is_number(after))
            word = 0 if goes_on or not self._begins_line(at) else None
        else:
            word = -1 if not self._begins_line(at) and (is_name(tok) or is_number(tok) or tok[:1] in QUOTES) else None
        if word is not None:
            found = self.toks[at + word]
            self.fail(OPERATOR, f"{found} is no word of this language", self.span(at + word), FOREIGN_WORDS[found])

    def _begins_line(self, index: int) -> bool:
        return "\n" in self.tokens.gap(index)

    def _more_heads(self) -> tuple[Head, ...]:
        heads: list[Head] = []
        while self.toks[self.at] == ",":
            self.at += 1
            heads.append(self._head())
        return tuple(heads)

    def _bad_end(self, has_body: bool) -> NoReturn:
        """Refuse what follows a statement that could end here."""
        tok, after = self.toks[self.at], self.toks[self.at + 1]
        if has_body:
            hint = "a rule has one :-; is a head missing before this one?" if tok == ":-" else ""
            self.unexpected("a comma or the end of the rule", hint)
        if tok in {"=", "=>"} or (tok, after) in {("<", "-"), (":", "=")}:
            self.unexpected(":-", "a rule is written head :- literal, literal")
        hint = "to go on with the rule before, a comma is missing" if tok in OPERATORS else ""
        if tok == "[":
            hint = "arguments stand in parentheses"
        self.unexpected(":- or the end of the statement", hint)

    def _head(self) -> Head:
        tok = self.toks[self.at]
        if tok in NEGATIONS:
            hint = "to go on with the rule before, a comma is missing" if self.at else ""
            self.note(NEGATED_HEAD, "a head cannot be negated", self.span(self.at), hint)
            self.at += 1
            tok = self.toks[self.at]
        if tok in MODALS and self.toks[self.at + 1] == "[":
            return self._modal()
        return self._atom(head=True)

    def _modal(self) -> Modal:
        start = self.starts[self.at]
        name = self.toks[self.at]
        self.at += 2
        atom = self._atom(head=True)
        tok = self.toks[self.at]
        if tok != "]":
            if name != "execute" and (tok == ":-" or tok in ENDS):
                self.fail(EVENT, f"{name}[...] of a rule is not a statement", self.since(start))
            self.unexpected("]")
        self.at += 1
        return Modal(name, atom, self.since(start))

    def _body(self) -> tuple[BodyItem, ...]:
        toks = self.toks
        items: list[BodyItem] = []
        while True:
            items.append(self._item())
            if toks[self.at] != ",":
                return tuple(items)
            self.at += 1

    def _item(self) -> BodyItem:
        """One literal or comparison."""
        toks = self.toks
        first = self.at
        tok = toks[first]
        negated = False
        if tok in _BEFORE_ATOM:
            if tok in NEGATIONS:
                negated = True
                tok = self._negation()
            if tok in MODALS and toks[self.at + 1] == "[":
                return self._modal_item(negated)
        if not (tok.isidentifier() or is_name(tok)):
            return self.comparison(first, negated)
        begin, known = self.at, len(self.found)
        atom = self._atom(head=False)
        if toks[self.at] in OPERATORS:  # it was the beginning of an expression
            self.at = begin
            del self.found[known:]
            return self.comparison(first, negated)
        if atom.sign and atom.name in WORD_VALUES:
            self._reserved(atom.name, atom.name_span, head=True, after=atom.sign)
        return make_literal(atom, negated, self.since(self.starts[first]) if negated else atom.span)

    def _negation(self) -> str:
        """Go past a negation; the token after it."""
        self.at += 1
        while self.toks[self.at] in NEGATIONS:
            self.note(DOUBLE_NEGATION, "the literal is negated twice", self.span(self.at), "leave out both")
            self.at += 1
        return self.toks[self.at]

    def _modal_item(self, negated: bool) -> Literal:
        """Refuse an action as a literal; it is passed on as one, for what else there may be to say of the rule."""
        modal = self._modal()
        hint = "use the literals from which the action follows"
        self.note(MODAL_IN_BODY, f"{modal.name}[...] cannot stand in a body", modal.span, hint)
        return make_literal(modal.atom, negated, modal.span)

    # -- atoms

    def _atom(self, head: bool) -> Atom:
        toks = self.toks
        at = self.at
        tok = toks[at]
        start = self.starts[at]
        if not (tok.isidentifier() or is_name(tok)):
            self.unexpected("a table")
        end = start + len(tok)
        at += 1
        after = toks[at]
        if after == ":":
            self.at = at
            tok = self.spaced_name(tok)
            at = self.at
            end = self.since(start).end
            after = toks[at]
        service: str | None = None
        table = tok
        if ":" in tok:
            service, _, table = tok.partition(":")
        name_span = _tuple(Span, (start, end))
        if tok in RESERVED_WORDS or service in RESERVED_WORDS:
            self._reserved(service or tok, name_span, head, after)
        sign = ""
        if after in SUMS and (head or toks[at + 1] in _AFTER_SIGN):
            sign = after
            end = self.starts[at] + 1
            at += 1
            after = toks[at]
        self.at = at
        if after != "(":
            return make_atom(service, table, (), (), sign, _tuple(Span, (start, end)), name_span)
        args, named = self._arguments(head)
        end = self.starts[self.at - 1] + 1
        return make_atom(service, table, args, named, sign, _tuple(Span, (start, end)), name_span)

    def _reserved(self, word: str, span: Span, head: bool, after: str) -> None:
        """Refuse a reserved word as a table, save for a value that stands as a literal or is compared."""
        if not head and word in WORD_VALUES and ((after != "(" and word != "null") or after in OPERATORS):
            return
        hint = ""
        if word in MODALS:
            hint = f"an action stands in square brackets: {word}[service:action(x)]"
        elif word in WORD_VALUES:
            hint = f"{word} is a value: it can be an argument, or be compared"
        self.note(RESERVED, f"{word} is a reserved word and cannot name a table", span, hint)

    def _arguments(self, head: bool) -> tuple[tuple[Term, ...], tuple[Named, ...]]:
        """``(...)``, by far the most frequent thing in a policy: variables are read right here."""
        toks, starts = self.toks, self.starts
        at = self.at + 1
        if toks[at] == ")":
            self.at = at + 1
            return (), ()
        args: list[Term] = []
        named: list[Named] = []
        while True:
            tok = toks[at]
            after = toks[at + 1]
            if (after == "," or after == ")") and tok.isidentifier() and tok not in NOT_VARIABLES:  # noqa: PLR1714  # twice as fast
                start = starts[at]
                plain = make_variable(tok, _tuple(Span, (start, start + len(tok))))
                at += 1
                if not named:
                    args.append(plain)
                    at += 1
                    if after == ",":
                        continue
                    self.at = at
                    return tuple(args), ()
                item: Term | Named = plain
            else:
                self.at = at
                item = self._argument(head)
                at = self.at
                after = toks[at]
            if isinstance(item, Named):
                named.append(item)
            else:
                if named:
                    hint = "put all positional arguments before the named ones"
                    self.note(AFTER_NAMED, "a positional argument after a named one", item.span, hint)
                args.append(item)
            if after != ",":
                break
            at += 1
        self.at = at
        self.close_arguments()
        return tuple(args), tuple(named)

    def _argument(self, head: bool) -> Term | Named:
        first = self.at
        if self.toks[first + 1] != "=":
            return self._value(head)
        column = self._column(self.toks[first])
        self.at += 2
        return make_named(column, self._value(head), self.since(self.starts[first]))

    def _column(self, tok: str) -> str | int:
        if is_name(tok) and ":" not in tok:
            return tok
        if not (tok.isascii() and tok.isdecimal() and len(tok) < 6):
            self.unexpected("a column's name or its index, from 0")
        return int(tok)

    def _value(self, head: bool) -> Term:
        """The term of an argument; in a head ``count(x)`` is an aggregate."""
        at = self.at
        tok, after = self.toks[at], self.toks[at + 1]
        if (after == "," or after == ")") and tok.isidentifier() and tok not in NOT_VARIABLES:  # noqa: PLR1714  # faster
            self.at = at + 1
            start = self.starts[at]
            return make_variable(tok, _tuple(Span, (start, start + len(tok))))
        self.begin_expression()
        term = self.expression()
        if head and isinstance(term, Call) and term.name in AGGREGATES and len(term.args) == 1:
            if self.source.text.startswith("builtin", term.span.start):
                return term
            argument = term.args[0]
            if isinstance(argument, Variable):
                return Aggregate(term.name, argument, term.span)
        return term
