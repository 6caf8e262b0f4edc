# SPDX-License-Identifier: Apache-2.0
"""The part of the parser that knows where it is: its place in the tokens, its findings, its way on after an error."""

from typing import Final, NoReturn

from congress.datalog.diagnostics import Diagnostic, Source, Span, register_code
from congress.datalog.nodes import span as make_span
from congress.datalog.tokens import (
    COMPARISONS,
    ENDS,
    FOREIGN,
    QUOTES,
    SIGNS,
    Tokens,
    is_closed_string,
    is_name,
    is_number,
    tokenize,
)

UNEXPECTED = register_code("S001", "Something else is expected at this place.")
BAD_CHARACTER = register_code("S002", "The character belongs to no word or sign of the language.")
OPEN_STRING = register_code("S003", "A string is not closed on its line.")
OPERATOR = register_code("S009", "The operator is written differently in this language.")
STRING_PREFIX = register_code("S015", "Strings have no prefixes and are not joined by standing side by side.")
TOO_MANY = register_code("S018", "The text has so many errors that the rest of them is not shown.")

MAX_ERRORS: Final = 1000

_HINTS: Final = {
    "&": "literals are separated by a comma, which means and",
    "&&": "literals are separated by a comma, which means and",
    "|": "write one rule for each alternative",
    "||": "write one rule for each alternative",
    "?": "variables and queries are written without a question mark",
    "$": "variables are written without a sign before them",
    "@": "variables are written without a sign before them",
    "~": "negation is written not; a pattern is matched by matches(x, pattern)",
    "\\": "negation is written not, and unequal !=",
    "^": "write a power as a product",
    "{": "a rule is written head :- literal, literal",
    "\u00ac": "negation is written not",
    "\u2227": "literals are separated by a comma, which means and",
    "\u2228": "write one rule for each alternative",
    "\u2190": "a rule is written head :- literal, literal",
    "\u2192": "a rule is written head :- literal, literal",
    "\u2208": 'keep the values in a table: good("a") good("b")',
    "\u2212": "write the minus sign as -",
    "\u2013": "write the minus sign as -",
    "\u201c": 'strings stand in straight quotes: "text"',
    "\u201d": 'strings stand in straight quotes: "text"',
    "\u2018": "strings stand in straight quotes: 'text'",
    "\u2019": "strings stand in straight quotes: 'text'",
}


class Failed(Exception):
    """The statement cannot be read on; what is wrong was noted."""


class Reader:
    """One text being read.  Methods begin at token ``at`` and leave it after what they read."""

    __slots__ = ("at", "found", "margin", "source", "starts", "tokens", "toks")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens: Tokens = tokenize(source.text)
        self.toks = self.tokens.texts
        self.starts = self.tokens.starts
        self.at = 0
        self.margin = 0  # the indentation of the last statement that began a line
        self.found: list[Diagnostic] = []

    def note(self, code: str, message: str, span: Span, hint: str = "") -> None:
        """Report something and go on."""
        if len(self.found) < MAX_ERRORS:
            self.found.append(Diagnostic(code, message, self.source, span, hint))

    def fail(self, code: str, message: str, span: Span, hint: str = "") -> NoReturn:
        """Report something that makes the statement unreadable."""
        self.note(code, message, span, hint)
        raise Failed

    def span(self, index: int) -> Span:
        """Where a token stands."""
        start = self.starts[index]
        return make_span(start, start + len(self.toks[index]))

    def since(self, start: int) -> Span:
        """From an offset to the end of the token before ``at``."""
        last = self.at - 1
        return make_span(start, self.starts[last] + len(self.toks[last]))

    def unexpected(self, expected: str, hint: str = "") -> NoReturn:
        """Refuse the token at ``at``, for what it is or else because it is not what is expected."""
        at = self.at
        tok = self.toks[at]
        span = self.span(at)
        if not tok:
            self.fail(UNEXPECTED, f"expected {expected}, found the end of the text", span, hint)
        before = self.toks[at - 1] if at else ""
        if tok[0] in QUOTES:
            self.check_closed(at)
            if before[:1] in QUOTES or (self.tokens.adjacent(at) and is_name(before)):
                hint = 'there are no prefixes such as r"..."; concat(a, b) joins two texts'
                self.fail(STRING_PREFIX, "a string cannot follow a string or a name directly", span, hint)
        elif tok in FOREIGN:
            self.fail(OPERATOR, f"expected {expected}, found {tok}", span, hint or f"write {FOREIGN[tok]}")
        elif is_number(tok):
            if is_number(before) and self.tokens.adjacent(at):
                hint = "a text such as an address or a date stands in quotes"
        elif tok not in SIGNS and not is_name(tok):
            self.fail(BAD_CHARACTER, f"unexpected character {_shown(tok)}", span, _HINTS.get(tok, hint))
        self.fail(UNEXPECTED, f"expected {expected}, found {_shown(tok)}", span, hint)

    def check_closed(self, index: int) -> None:
        """Refuse a string that is not closed."""
        tok = self.toks[index]
        if not is_closed_string(tok):
            hint = f"close it with {tok[0]} on the same line; a line feed inside is written \\n"
            self.fail(OPEN_STRING, "the string is not closed", self.span(index), hint)

    def is_comparison(self) -> bool:
        """Whether a comparison operator follows, be it one of another language."""
        tok = self.toks[self.at]
        return tok in COMPARISONS or tok in FOREIGN

    def recover(self, first: int) -> None:
        """Go to where the statement after the one that began at token ``first`` seems to begin.

        That is a name after a ``;`` or ``.``, or one that begins a line and is not indented more than the statement.
        """
        toks = self.toks
        at = max(self.at, first)
        read = toks[first:at]
        depth = read.count("(") - read.count(")")
        indent = self.tokens.indent(first)
        if indent is not None:
            self.margin = indent
        while toks[at]:
            tok = toks[at]
            if at > first and (is_name(tok) or tok == "!"):
                here = self.tokens.indent(at)
                before = toks[at - 1]
                if here is not None and here <= self.margin and before not in {",", ":-"}:
                    break
                if before in ENDS and (depth <= 0 or here is not None):
                    break
            depth += (tok == "(") - (tok == ")")
            at += 1
        self.at = at


def _shown(tok: str) -> str:
    """A token in a message: not too long, and nothing that a terminal or a file could not take."""
    tok = tok if len(tok) < 60 else tok[:57] + "..."
    return tok if tok.isprintable() else ascii(tok)
