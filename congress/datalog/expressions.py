# SPDX-License-Identifier: Apache-2.0
"""The part of the parser that reads terms, arithmetic and comparisons."""

from typing import Final, NoReturn

from congress.datalog.constants import BadConstant, bad_character, read_number, read_string
from congress.datalog.diagnostics import Source, Span, register_code
from congress.datalog.nodes import constant as make_constant
from congress.datalog.nodes import variable as make_variable
from congress.datalog.reader import OPERATOR, UNEXPECTED, Reader
from congress.datalog.syntax import Anonymous, Call, Comparison, Constant, Operation, Term
from congress.datalog.tokens import (
    COMPARISONS,
    FOREIGN,
    MODALS,
    PRODUCTS,
    PYTHON_WORDS,
    QUOTES,
    SIGNS,
    SUMS,
    WORD_VALUES,
    is_name,
    is_number,
)

BAD_ESCAPE = register_code("S004", "A backslash in a string begins no known escape.")
BAD_NUMBER = register_code("S006", "A number is not written as numbers are, or is too large.")
TOO_DEEP = register_code("S007", "An expression has too many operations, calls or parentheses.")
PYTHON_WORD = register_code("S008", "True, False and None are written true, false and null, or in quotes as texts.")
RESERVED = register_code("S010", "The word is reserved and cannot name a table, a policy or a variable.")
NO_COMPARISON = register_code("S012", "An expression in a rule's body is not compared with anything.")
BAD_TEXT = register_code("S016", "A string holds a character that no text may hold (NUL, half of a surrogate pair).")
NOT_CALLABLE = register_code("S017", "Only built-ins can be called in an expression, with positional arguments.")

# How many operations and calls one expression may have, and how many pairs of parentheses: every walk over it stays
# far from Python's recursion limit, and what is within the limits can be written again within them.
MAX_OPERATIONS: Final = 50

# Words that are no variables in the place of a term.
NOT_VARIABLES: Final = frozenset({"not", "NOT", "_"}) | WORD_VALUES.keys() | PYTHON_WORDS.keys()

_RANKS: Final = dict.fromkeys(SUMS, 1) | dict.fromkeys(PRODUCTS, 2)
_TERM_HINTS: Final = {
    "*": "count(x) counts the different bindings of the variables that the body names; any of them will do for x",
    "+": "a number is written without a plus sign",
    ")": "is there a comma too many?",
    "[": "there are no lists",
    "!": "negation stands before a literal",
}
_GROUP_HINTS: Final = {
    ",": "literals cannot be grouped: give what belongs together a rule of its own",
    ";": "write one rule for each alternative",
}


class Expressions(Reader):
    """Reads terms and comparisons."""

    __slots__ = ("operations", "parentheses")

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.operations = self.parentheses = 0  # how many more of them the expression may have

    # -- comparisons

    def comparison(self, first: int, negated: bool) -> Comparison:
        """``left op right``, perhaps in parentheses; ``first`` is the token it begins with, negation included."""
        start = self.starts[first]
        self.begin_expression()
        begin, known = self.at, len(self.found)
        tok = self.toks[begin]
        if tok == "(":  # either (x > 1) or (x + 1) * 2 > y
            self.at += 1
            left = self.expression()
            if self.is_comparison():
                op, right = self._operator(begin), self.expression()
                if self.toks[self.at] != ")":
                    self.unexpected("an operator or )")
                self.at += 1
                return Comparison(op, left, right, negated, self.since(start))
            self.at = begin
            self.begin_expression()
            del self.found[known:]
        elif not (tok in SUMS or tok[:1] in QUOTES or is_name(tok) or is_number(tok)):
            self.unexpected("a literal")
        left = self.expression()
        op, right = self._operator(begin), self.expression()
        if self.is_comparison():
            self.unexpected("a comma or the end of the rule", "write a < b < c as a < b, b < c")
        return Comparison(op, left, right, negated, self.since(start))

    def _operator(self, begin: int) -> str:
        """The operator after the expression that began at token ``begin``."""
        op = self.toks[self.at]
        if op in FOREIGN:
            self.note(OPERATOR, f"{op} is not an operator", self.span(self.at), f"write {FOREIGN[op]}")
            op = FOREIGN[op]
        elif op not in COMPARISONS:
            if op and op not in SIGNS and not is_name(op):
                self.unexpected("a comparison")
            message = "the expression is not compared with anything"
            hint = "write such as total = a + b, or n > 10"
            self.fail(NO_COMPARISON, message, self.since(self.starts[begin]), hint)
        self.at += 1
        return op

    # -- expressions

    def begin_expression(self) -> None:
        """Grant the next expression its operations and parentheses."""
        self.operations = self.parentheses = MAX_OPERATIONS

    def _operation(self, index: int) -> None:
        """Count an operation or call against the limit."""
        self.operations -= 1
        if self.operations < 0:
            self._too_deep("operations and calls", index)

    def _too_deep(self, what: str, index: int) -> NoReturn:
        message = f"an expression may have {MAX_OPERATIONS} {what}"
        self.fail(TOO_DEEP, message, self.span(index), "bind parts of it to variables: y = ..., z = y + ...")

    def expression(self, rank: int = 0) -> Term:
        """A term, or terms with operators that bind more tightly than ``rank``; those of one rank from the left."""
        start = self.starts[self.at]
        left = self._operand()
        while True:
            op = self.toks[self.at]
            tightness = _RANKS.get(op, 0)
            if tightness <= rank:
                return left
            self._operation(self.at)
            self.at += 1
            right = self.expression(tightness)
            left = Operation(op, left, right, self.since(start))

    def _operand(self) -> Term:
        """One term; a minus sign makes a number negative, and means ``0 - term`` elsewhere."""
        at = self.at
        tok = self.toks[at]
        if tok[:1] in QUOTES:
            text = self._string(at)
            self.at += 1
            return make_constant(text, self.span(at))
        if is_name(tok):
            return self._name_term(tok)
        if is_number(tok):
            return make_constant(self._number(), self.since(self.starts[at]))
        if tok == "-":
            return self._minus()
        if tok != "(":
            power = tok == "*" and self.toks[at - 1] == "*"
            self.unexpected("a term", "write a power as a product" if power else _TERM_HINTS.get(tok, ""))
        self.parentheses -= 1
        if self.parentheses < 0:
            self._too_deep("pairs of parentheses", at)
        self.at += 1
        term = self.expression()
        if self.toks[self.at] != ")":
            self.unexpected("an operator or )", _GROUP_HINTS.get(self.toks[self.at], ""))
        self.at += 1
        return term

    def _minus(self) -> Term:
        first = self.at
        start = self.starts[first]
        self._operation(first)
        self.at += 1
        if is_number(self.toks[self.at]):
            return Constant(self._number(-1), self.since(start))
        term = self._operand()
        return Operation("-", Constant(0, self.span(first)), term, self.since(start))

    def _name_term(self, tok: str) -> Term:
        """A variable, a word that is a value, ``_`` or a call."""
        span = self.span(self.at)
        self.at += 1
        if self.toks[self.at] == ":":
            tok = self.spaced_name(tok)
            span = self.since(span.start)
        if self.toks[self.at] == "(":
            return self._call(tok, span)
        if tok in NOT_VARIABLES:
            return self._word(tok, span)
        if ":" in tok:
            self.fail(UNEXPECTED, f"{tok} is not a variable", span, "a text with a colon stands in quotes")
        return make_variable(tok, span)

    def _word(self, tok: str, span: Span) -> Term:
        if tok == "_":
            return Anonymous(span)
        if tok in WORD_VALUES:
            return Constant(WORD_VALUES[tok], span)
        if tok not in PYTHON_WORDS:
            self.fail(RESERVED, f"{tok} is a reserved word", span, "negation stands before a literal")
        value = "null" if tok == "None" else tok.lower()
        message = f"{tok} is neither a value nor a variable"
        self.note(PYTHON_WORD, message, span, f'write {value}, or "{tok}" for the text')
        return Constant(PYTHON_WORDS[tok], span)

    def _call(self, tok: str, span: Span) -> Call:
        service, colon, name = tok.partition(":")
        if colon and (service != "builtin" or ":" in name):
            hint = "write it as a literal of its own, with a variable for what is wanted"
            self.note(NOT_CALLABLE, f"{tok} is a table and cannot be called", span, hint)
        elif tok in NOT_VARIABLES or tok in MODALS:
            self.note(RESERVED, f"{tok} is a reserved word and cannot be called", span)
        self._operation(self.at)
        self.at += 1
        args: list[Term] = []
        while self.toks[self.at] != ")" or args:
            if self.toks[self.at + 1] == "=":
                self.note(NOT_CALLABLE, "a call takes no named arguments", self.span(self.at))
                self.at += 2
            args.append(self.expression())
            if self.toks[self.at] != ",":
                break
            self.at += 1
        self.close_arguments()
        return Call(name if colon else tok, tuple(args), self.since(span.start))

    def close_arguments(self) -> None:
        """The ``)`` after arguments."""
        if self.toks[self.at] != ")":
            hint = ""
            if self.is_comparison():
                hint = "a comparison stands beside the literals of the body: t(x), x > 1"
            self.unexpected("a comma or )", hint if self.toks[self.at] in COMPARISONS else "")
        self.at += 1

    def spaced_name(self, name: str) -> str:
        """``service : table``, written with blanks, from the colon after ``name`` on."""
        while self.toks[self.at] == ":":
            self.at += 1
            if not is_name(self.toks[self.at]):
                self.unexpected("a name after the colon")
            name = f"{name}:{self.toks[self.at]}"
            self.at += 1
        return name

    # -- constants

    def _number(self, sign: int = 1) -> int | float:
        """The number at ``at``; goes past it."""
        first = self.at
        tok = self.toks[first]
        self.at += 1
        dot = self.toks[self.at] == "." and tok.isdecimal() and self.tokens.adjacent(self.at)
        if dot and self.toks[self.at + 1] in {",", ")"}:
            # Where the parentheses of arguments are open no statement can end: it is a float, 5.
            self.at += 1
            tok += "."
        try:
            return read_number(tok, sign)
        except BadConstant as error:
            self.note(BAD_NUMBER, f"{tok:.60} {error.message}", self.span(first), error.hint)
            return 0

    def _string(self, index: int) -> str:
        self.check_closed(index)
        text = self.toks[index][1:-1]
        if "\\" in text:
            text, unknown = read_string(text)
            for escape in unknown:
                start = self.starts[index] + 1 + escape.offset
                letter = escape.letter if escape.letter.isprintable() else ascii(escape.letter)[1:-1]
                hint = f"write \\\\{letter} for a backslash before {letter}"
                self.note(BAD_ESCAPE, f"\\{letter} is no escape", Span(start, start + 2), hint)
        bad = bad_character(text)
        if bad is not None:
            self.note(BAD_TEXT, f"a text cannot hold the character U+{ord(bad):04X}", self.span(index))
        return text
