# SPDX-License-Identifier: Apache-2.0
"""What must hold for any text at all: the tests and the fuzzing harness ask it of whatever they think up."""

from congress.datalog.checks import check
from congress.datalog.diagnostics import CODES, Diagnostic, PolicyError
from congress.datalog.formatter import format as format_program
from congress.datalog.parser import parse, parse_partial


def examine(text: str) -> bool:
    """Parse, check, format and show ``text``; whether it was accepted by the parser.

    :raises AssertionError: when something does not hold; any other exception is a fault, too.
    """
    program, found = parse_partial(text)
    examine_findings(text, found)
    for rule in program.statements:
        assert 0 <= rule.span.start < rule.span.end <= len(text)
        assert rule.text.strip() == rule.text
    for comment in program.comments:
        assert text[comment.span.start : comment.span.end] == comment.text
    examine_findings(text, check(program))
    if found:
        return False
    formatted = format_program(program)
    again = parse(formatted)
    assert again == program
    assert [comment.text for comment in again.comments] == [comment.text for comment in program.comments]
    assert format_program(again) == formatted
    return True


def examine_findings(text: str, found: list[Diagnostic]) -> None:
    """Findings can be shown, lie in the text, and stand in its order."""
    assert [item.span for item in found] == sorted(item.span for item in found)
    for item in found:
        assert item.code in CODES
        assert 0 <= item.span.start <= item.span.end <= len(text)
        assert item.source.text == text
        assert item.line >= 1
        assert item.column >= 1
    if found:
        str(PolicyError(found)).encode()
