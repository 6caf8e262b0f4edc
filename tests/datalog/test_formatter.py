# SPDX-License-Identifier: Apache-2.0
"""The formatter: its style, and that it changes nothing but the looks."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.formatter import format as format_program
from congress.datalog.formatter import format_atom, format_item, format_rule, format_term, format_value
from congress.datalog.parser import parse, parse_rule
from congress.datalog.syntax import Comment, Constant, Operation, Program, Variable
from congress.datalog.tokens import tokenize
from congress.datalog.values import FALSE, TRUE
from tests.datalog import strategies, syntax_cases

CASES = syntax_cases.load("format")
ACCEPTED = [case["text"] for case in CASES + syntax_cases.load("trees")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_format(case):
    assert format_program(parse(case["text"])) == case["formatted"]


def check_format(text):
    """Formatting keeps the program and its comments, and once is enough."""
    program = parse(text)
    formatted = format_program(program)
    again = parse(formatted)
    assert again == program
    assert syntax_cases.tree(again.statements) == syntax_cases.tree(program.statements)  # 1 and 1.0 differ here
    assert [comment.text for comment in again.comments] == [comment.text for comment in program.comments]
    assert format_program(again) == formatted


@pytest.mark.parametrize("text", ACCEPTED)
def test_format_keeps_the_meaning(text):
    check_format(text)


@given(strategies.programs)
def test_any_program_can_be_written_and_read(program):
    text = format_program(program)
    again = parse(text)
    assert again == program
    assert syntax_cases.tree(again.statements) == syntax_cases.tree(program.statements)
    assert format_program(again) == text


@given(strategies.programs, st.integers(0, 2**32))
def test_comments_and_blanks_anywhere(program, seed):
    tokens = [token for token in tokenize(format_program(program)).texts if token]
    text = strategies.respaced(tokens, Random(seed))
    assert parse(text) == program
    check_format(text)


@given(strategies.values)
def test_values(value):
    (rule,) = parse(f"p({format_value(value)})").statements
    (term,) = rule.head.args
    assert type(term.value) is type(value)
    assert term.value == value


def test_single_objects():
    rule = parse_rule("t(x, count(y)) :- a:b(x, n=y), not x + 1 > 2, builtin:len(x, 3)")
    assert format_rule(rule) == "t(x, count(y)) :- a:b(x, n=y), not x + 1 > 2, builtin:len(x, 3)"
    assert format_rule(rule, 40).splitlines() == [
        "t(x, count(y)) :-",
        "    a:b(x, n=y),",
        "    not x + 1 > 2,",
        "    builtin:len(x, 3)",
    ]
    assert format_rule(rule, None).count("\n") == 0
    assert format_item(rule.body[1]) == "not x + 1 > 2"
    assert format_atom(rule.body[0].atom) == "a:b(x, n=y)"
    assert format_term(Operation("*", Constant(-1), Operation("+", Variable("a"), Constant(TRUE)))) == "-1 * (a + true)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(TRUE, "true"), (FALSE, "false"), (None, "null"), (1, "1"), (1.0, "1.0"), ("1", '"1"'), ("\n", '"\\n"')],
)
def test_format_value(value, text):
    assert format_value(value) == text


def test_values_that_no_text_can_make_are_still_shown():
    assert format_value(math.inf) == '"inf"'
    assert format_value("\0\ud800") == '"\\x00\\ud800"'


def test_programs_without_a_text_are_written_too():
    rules = parse("p(x) :- q(x)").statements + parse("q(1)  // comment").statements
    comments = parse("// lost").comments
    assert format_program(Program(rules, comments)) == "// lost\np(x) :- q(x)\nq(1)\n"
    assert all(isinstance(comment, Comment) for comment in comments)
