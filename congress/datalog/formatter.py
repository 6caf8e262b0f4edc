# SPDX-License-Identifier: Apache-2.0
"""Syntax objects back to text, in the one style that policies are written in.

A rule that fits in a line stands in one; else its head stands first and each literal on a line of its own, indented
by four blanks.  Comments stay where they belong, and so does a blank line between statements.  What is written
parses to the same program, and formatting it once more changes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from congress.datalog.constants import write_value
from congress.datalog.syntax import (
    Aggregate,
    Anonymous,
    Atom,
    BodyItem,
    Call,
    Comment,
    Comparison,
    Constant,
    Head,
    Modal,
    Operation,
    Program,
    Rule,
    Term,
    Variable,
)
from congress.datalog.tokens import AGGREGATES, PRODUCTS

WIDTH: Final = 100
_INDENT: Final = "    "

format_value = write_value


def format(program: Program) -> str:
    """The whole text of a program, comments included, in canonical style; ends with a line feed unless empty."""
    placed = bool(program.source.text) and all(rule.source == program.source for rule in program.statements)
    if placed:
        return _Layout(program).write()
    lines = [comment.text for comment in program.comments]
    lines += [format_rule(rule) for rule in program.statements]
    return "".join(line + "\n" for line in lines)


def format_rule(rule: Rule, width: int | None = WIDTH) -> str:
    """A rule on one line if it fits in ``width`` characters (None: in any case), else on several."""
    heads = ", ".join(format_head(head) for head in rule.heads)
    if not rule.has_body:
        return heads
    items = [format_item(item) for item in rule.body]
    line = f"{heads} :- {', '.join(items)}"
    if width is None or len(line) <= width:
        return line
    return f"{heads} :-\n" + ",\n".join(_INDENT + item for item in items)


def format_head(head: Head) -> str:
    """A head: a table or an action."""
    if isinstance(head, Modal):
        return f"{head.name}[{format_atom(head.atom, head=True)}]"
    return format_atom(head, head=True)


def format_item(item: BodyItem) -> str:
    """A literal or comparison of a body."""
    if isinstance(item, Comparison):
        text = f"{format_term(item.left)} {item.op} {format_term(item.right)}"
    else:
        text = format_atom(item.atom)
    return f"not {text}" if item.negated else text


def format_atom(atom: Atom, *, head: bool = False) -> str:
    """A table with its arguments; in a head the built-in ``max`` of one variable would be an aggregate."""
    args = [_head_term(term) if head else format_term(term) for term in atom.args]
    for item in atom.named:
        args.append(f"{item.column}={_head_term(item.term) if head else format_term(item.term)}")
    # Without parentheses the sign of an update could be taken for arithmetic with what follows.
    arguments = f"({', '.join(args)})" if args or atom.sign else ""
    return f"{atom.name}{atom.sign}{arguments}"


def _head_term(term: Term) -> str:
    if isinstance(term, Call) and term.name in AGGREGATES and len(term.args) == 1:
        return f"builtin:{format_term(term)}"
    return format_term(term)


def format_term(term: Term) -> str:
    """A term, with no more parentheses than it needs."""
    if isinstance(term, Variable):
        return term.name
    if isinstance(term, Constant):
        return write_value(term.value)
    if isinstance(term, Anonymous):
        return "_"
    if isinstance(term, Aggregate):
        return f"{term.function}({term.argument.name})"
    if isinstance(term, Call):
        return f"{term.name}({', '.join(map(format_term, term.args))})"
    rank = _rank(term)
    left, right = format_term(term.left), format_term(term.right)
    if _rank(term.left) < rank:
        left = f"({left})"
    if _rank(term.right) <= rank:
        right = f"({right})"
    return f"{left} {term.op} {right}"


def _rank(term: Term) -> int:
    """How tightly a term holds together: sums least."""
    if isinstance(term, Operation):
        return 2 if term.op in PRODUCTS else 1
    return 3


class _Layout:
    """Writes a program whose objects know where they stood in one source text."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.text = program.source.text
        self.lines: list[str] = []
        self.last_end: int | None = None  # where in the source what was written last ended
        self.rule_end: int | None = None  # the same, if that was a rule or a comment beside one

    def write(self) -> str:
        """The formatted text."""
        comments = self.program.comments
        next_comment = 0
        for rule in self.program.statements:
            first = next_comment
            while next_comment < len(comments) and comments[next_comment].span.start < rule.span.start:
                next_comment += 1
            self._outside(comments[first:next_comment])
            first = next_comment
            while next_comment < len(comments) and comments[next_comment].span.start < rule.span.end:
                next_comment += 1
            self._rule(rule, comments[first:next_comment])
        self._outside(comments[next_comment:])
        return "".join(line + "\n" for line in self.lines)

    def _outside(self, comments: Iterable[Comment]) -> None:
        """Comments between statements: beside the rule that ends on their line, else on a line of their own."""
        for comment in comments:
            if self.rule_end is not None and "\n" not in self.text[self.rule_end : comment.span.start]:
                gap = " " if self.last_end != self.rule_end else "  "
                self.lines[-1] += gap + comment.text
            else:
                self._blank(comment.span.start)
                self.lines.append(comment.text)
                self.rule_end = None
            self.last_end = comment.span.end

    def _blank(self, start: int) -> None:
        """Keep one of the blank lines before what starts there."""
        if self.last_end is not None and self.text.count("\n", self.last_end, start) > 1:
            self.lines.append("")

    def _rule(self, rule: Rule, comments: Sequence[Comment]) -> None:
        self._blank(rule.span.start)
        inside = 0
        if comments:
            turnstile = self._turnstile(rule, comments)
            while inside < len(comments) and comments[inside].span.start < turnstile:
                self.lines.append(comments[inside].text)  # from within the head: it goes above
                inside += 1
        if inside < len(comments):
            self._commented(rule, comments[inside:], turnstile)
        else:
            self.lines.append(format_rule(rule))
        self.last_end = self.rule_end = rule.span.end

    def _commented(self, rule: Rule, comments: Sequence[Comment], end: int) -> None:
        """A rule with comments in its body: one literal a line, each comment beside or above what it stood at."""
        self.lines.append(f"{', '.join(format_head(head) for head in rule.heads)} :-")
        done = 0
        for index, item in enumerate(rule.body):
            first = done
            while done < len(comments) and comments[done].span.start < item.span.end:
                done += 1
            self._inside(comments[first:done], end)
            comma = "," if index < len(rule.body) - 1 else ""
            self.lines.append(f"{_INDENT}{format_item(item)}{comma}")
            end = item.span.end

    def _turnstile(self, rule: Rule, comments: Sequence[Comment]) -> int:
        """Where the ``:-`` of a rule stands, which may have comments before it; the end of a fact."""
        if not rule.has_body:
            return rule.span.end
        start = rule.heads[-1].span.end
        for comment in comments:
            if comment.span.start >= start:
                found = self.text.find(":-", start, comment.span.start)
                if found >= 0:
                    return found
                start = comment.span.end
        return self.text.find(":-", start)

    def _inside(self, comments: Iterable[Comment], end: int) -> None:
        """Comments before a literal: those on the line where the one before it ended stay beside that."""
        gap = "  "
        for comment in comments:
            if "\n" not in self.text[end : comment.span.start]:
                self.lines[-1] += gap + comment.text
                gap = " "
            else:
                self.lines.append(_INDENT + comment.text)
                end = comment.span.start
