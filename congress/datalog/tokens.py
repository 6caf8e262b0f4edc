# SPDX-License-Identifier: Apache-2.0
"""A policy text cut into tokens: one compiled pattern, one pass, time linear in the text.

A token is its text and nothing else (the parser tells its kind by looking at it); its place follows from the
lengths of all that stands before it.  Between two tokens stand blanks and comments.
"""

import re
from dataclasses import dataclass
from itertools import accumulate, compress
from operator import not_
from typing import Final

from congress.datalog.diagnostics import Span
from congress.datalog.syntax import Comment
from congress.datalog.values import FALSE, TRUE, Value

# Every repetition that could be tried in more than one way is possessive: no text makes the pattern go back far.
_NAME: Final = r"[^\W\d]\w*+(?:\.\w++)*+"
_DOUBLE: Final = r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"'
_SINGLE: Final = r"'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'"
_TOKEN: Final = re.compile(
    rf"""
      [(),]
    | {_NAME}(?::{_NAME})*+
    | \s++
    | :- | [!=]== | [!<>]= | =[=<>] | <> | [!<>=]
    | {_DOUBLE} | {_SINGLE} | ["'][^\n]*+
    | (?:[0-9]++\.(?=[eE][+-]?[0-9])|[0-9]++(?:\.[0-9]++)?|\.[0-9]++) (?:[eE][+-][0-9]++)? \w*+
    | (?://|\#)[^\n]*+ | /\*(?:[^*]++|\*(?!/))*+\*/ | /\*(?s:.*+)
    | &&? | \|\|?
    | (?s:.)
    """,
    re.VERBOSE,
)
_STRING: Final = re.compile(rf"{_DOUBLE}|{_SINGLE}")

END_MARKS: Final = 3  # how far past the last token the parser may look

AGGREGATES: Final = frozenset({"count", "sum", "min", "max", "avg"})
COMPARISONS: Final = frozenset({"=", "!=", "<", "<=", ">", ">="})
MODALS: Final = frozenset({"execute", "insert", "delete"})
NEGATIONS: Final = frozenset({"not", "NOT", "!"})
WORD_VALUES: Final[dict[str, Value]] = {"true": TRUE, "false": FALSE, "null": None}
PYTHON_WORDS: Final[dict[str, Value]] = {"True": TRUE, "False": FALSE, "None": None}
RESERVED_WORDS: Final = frozenset({"not", "NOT", "_"}) | MODALS | WORD_VALUES.keys()
# Comparisons as other languages write them, and what they are here.
FOREIGN: Final = {
    "==": "=", "===": "=", "<>": "!=", "!==": "!=", "=<": "<=", "=>": ">=", "≠": "!=", "≤": "<=", "≥": ">=",
}  # fmt: skip
_RULE: Final = "a rule is written head :- literal, literal"
_ALTERNATIVES: Final = "write one rule for each alternative"
_UNEQUAL: Final = "write a rule for what there is, and negate that: not some(x)"
_QUERY: Final = "a query is an atom, t(x), or a rule: answer(x) :- t(x), x > 1"
# Words of other languages that stand between or before literals there, with what is written here.  They may name
# tables; on one line with a statement that is not ended they are what they are elsewhere.
FOREIGN_WORDS: Final = {
    "in": 'write one rule for each value, or keep the values in a table: good("a") good("b")',
    "is": "write = or !=",
    "and": "literals are separated by a comma, which means and",
    "AND": "literals are separated by a comma, which means and",
    "or": _ALTERNATIVES, "OR": _ALTERNATIVES, "xor": _ALTERNATIVES, "else": _ALTERNATIVES,
    "like": "write starts_with(x, y), ends_with(x, y), contains(x, y) or matches(x, pattern)",
    "matches": "write matches(x, pattern)",
    "contains": "write contains(x, y)",
    "between": "write x >= 1, x <= 3",
    "mod": "write %", "div": "write floor(x / y)",
    "if": _RULE, "when": _RULE, "then": _RULE, "where": "conditions are literals of the body, after a comma",
    "unless": "write not before the literal",
    "exists": "a literal holds when there is a row: leave the word out", "some": "leave the word out",
    "forall": _UNEQUAL, "every": _UNEQUAL,
    "select": _QUERY, "SELECT": _QUERY,
}  # fmt: skip
_POLICY: Final = re.compile(_NAME)
SUMS: Final = frozenset({"+", "-"})
PRODUCTS: Final = frozenset({"*", "/", "%"})
OPERATORS: Final = COMPARISONS | FOREIGN.keys() | SUMS | PRODUCTS
ENDS: Final = frozenset({";", "."})
SIGNS: Final = OPERATORS | NEGATIONS | ENDS | frozenset({"(", ")", "[", "]", ",", ":", ":-"})
QUOTES: Final = frozenset({'"', "'"})


@dataclass(slots=True)
class Tokens:
    """The tokens of a text, with empty strings after the last one.

    ``starts[i]`` is the offset of token i; the end marks stand at the end of the text.
    """

    text: str
    texts: list[str]
    starts: list[int]
    comments: tuple[Comment, ...]
    unclosed: Span | None  # a comment that nothing closes: it swallows the rest of the text

    def gap(self, index: int) -> str:
        """What stands between token ``index`` and the one before it."""
        begin = self.starts[index - 1] + len(self.texts[index - 1]) if index else 0
        return self.text[begin : self.starts[index]]

    def adjacent(self, index: int) -> bool:
        """Whether token ``index`` stands directly after the one before it."""
        return index > 0 and self.starts[index - 1] + len(self.texts[index - 1]) == self.starts[index]

    def indent(self, index: int) -> int | None:
        """How far token ``index`` is indented if it is the first of its line, else None."""
        gap = self.gap(index)
        newline = gap.rfind("\n")
        return len(gap) - newline - 1 if newline >= 0 or index == 0 else None


def tokenize(text: str) -> Tokens:
    """Cut ``text`` into tokens; never fails: what belongs to no token of the language is a token by itself."""
    begin = 1 if text.startswith("\ufeff") else 0  # a byte order mark
    pieces = _TOKEN.findall(text, begin)
    offsets = list(accumulate(map(len, pieces), initial=begin))
    comments: list[Comment] = []
    unclosed = None
    if "#" in text or "/" in text:
        keep = [_is_word(piece) for piece in pieces]
        for piece, offset in zip(pieces, offsets, strict=False):
            if piece[0] == "#" or piece[:2] in {"//", "/*"}:
                written = piece.rstrip()
                comments.append(Comment(written, Span(offset, offset + len(written))))
        if comments and comments[-1].text[:2] == "/*" and not _is_closed_comment(comments[-1].text):
            unclosed = comments.pop().span
    else:
        keep = list(map(not_, map(str.isspace, pieces)))
    texts = list(compress(pieces, keep))
    starts = list(compress(offsets, keep))
    texts.extend([""] * END_MARKS)
    starts.extend([len(text)] * END_MARKS)
    return Tokens(text, texts, starts, tuple(comments), unclosed)


def _is_word(piece: str) -> bool:
    """Whether a piece is a token, and neither blank nor a comment."""
    first = piece[0]
    return not (first.isspace() or first == "#" or (first == "/" and len(piece) > 1))


def _is_closed_comment(text: str) -> bool:
    return len(text) > 3 and text.endswith("*/")


def is_name(token: str) -> bool:
    """Whether a token is a name, perhaps with a prefix: ``x``, ``servers.pause``, ``nova:servers``."""
    if token.isidentifier():
        return True
    first = token[:1]
    return first == "_" or (first.isalnum() and not first.isdecimal())


def is_number(token: str) -> bool:
    """Whether a token begins as numbers do."""
    first = token[:1]
    return (first.isdecimal() and first.isascii()) or (first == "." and len(token) > 1)


def is_closed_string(token: str) -> bool:
    """Whether a token that begins with a quote is a whole string."""
    if "\\" in token:
        return _STRING.fullmatch(token) is not None
    return len(token) > 1 and token[-1] == token[0]


def is_policy_name(name: str) -> bool:
    """Whether rules can mention the tables of a policy with this name."""
    return _POLICY.fullmatch(name) is not None and name not in RESERVED_WORDS and name != "builtin"
