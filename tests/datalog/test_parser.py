# SPDX-License-Identifier: Apache-2.0
"""The parser: trees, places, all errors of a text at once, and the ways to call it."""

import gc

import pytest

from congress.datalog import parser
from congress.datalog.diagnostics import NOWHERE, PolicyError, Source, Span
from congress.datalog.nodes import atom, constant, literal, named, rule, variable
from congress.datalog.parser import parse, parse_partial, parse_query, parse_rule, parse_sequence
from congress.datalog.syntax import Atom, Comparison, Constant, Literal, Modal, Named, Operation, Rule, Variable
from tests.datalog import syntax_cases

TREES = syntax_cases.load("trees")
ERRORS = syntax_cases.load("errors")


@pytest.mark.parametrize("case", TREES, ids=lambda case: case["name"])
def test_tree(case):
    assert syntax_cases.tree(parse(case["text"]).statements) == case["tree"]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["name"])
def test_errors(case):
    program, found = parse_partial(case["text"])
    assert syntax_cases.matches(case["errors"], found), [item.render() for item in found]
    assert syntax_cases.tree(program.statements) == case.get("tree", [])
    with pytest.raises(PolicyError) as caught:
        parse(case["text"])
    assert list(caught.value.diagnostics) == found


def test_every_syntax_error_is_shown_by_a_case():
    seen = {line.split()[0] for case in ERRORS for line in case["errors"]}
    raised = parser_codes() - {parser.TOO_MANY, parser.ONE_STATEMENT}  # both have a test of their own
    assert seen == raised


def parser_codes():
    """The codes that the modules of the parser declare."""
    from congress.datalog import expressions, reader  # noqa: PLC0415  # only their names

    names = {}
    for module in (parser, expressions, reader):
        names.update(vars(module))
    return {value for name, value in names.items() if name.isupper() and isinstance(value, str) and len(value) == 4}


def texts(text, *spans):
    return [text[span.start : span.end] for span in spans]


def test_places():
    text = 'x(1). execute[nova:a+(x, "y", n = 3)] :- not s : t (_, a), x+ 1 > -y, !(b = f(2)) ;'
    program = parse(text, "file.rules")
    first, second = program.statements
    head = second.head
    assert isinstance(head, Modal)
    negated, more, last = second.body
    assert isinstance(negated, Literal)
    assert isinstance(more, Comparison)
    assert isinstance(last, Comparison)
    assert isinstance(more.left, Operation)
    assert texts(text, first.span, second.span) == ["x(1)", text[6:-2]]
    assert first.text == "x(1)"
    assert first.source is program.source
    assert program.source == Source(text, "file.rules")
    assert texts(text, head.span, head.atom.span) == [
        'execute[nova:a+(x, "y", n = 3)]',
        'nova:a+(x, "y", n = 3)',
    ]
    assert texts(text, head.atom.name_span, head.atom.named[0].span) == ["nova:a", "n = 3"]
    assert texts(text, *(term.span for term in head.atom.terms())) == ["x", '"y"', "3"]
    assert texts(text, negated.span, negated.atom.span, negated.atom.name_span) == [
        "not s : t (_, a)",
        "s : t (_, a)",
        "s : t",
    ]
    assert texts(text, more.span, more.left.span, more.left.right.span, more.right.span) == [
        "x+ 1 > -y",
        "x+ 1",
        "1",
        "-y",
    ]
    assert texts(text, last.span, last.left.span, last.right.span) == ["!(b = f(2))", "b", "f(2)"]


def test_places_of_comments():
    text = "// one  \np(1) /* two\n three */ # four"
    program = parse(text)
    assert [comment.text for comment in program.comments] == ["// one", "/* two\n three */", "# four"]
    assert texts(text, *(comment.span for comment in program.comments)) == [c.text for c in program.comments]


def test_all_errors_of_a_text_are_shown_with_line_and_caret():
    with pytest.raises(PolicyError) as caught:
        parse('p(x) :- q(x == 1)\nr("\\d")\ns(True)', "a.rules")
    assert str(caught.value) == (
        "a.rules:1:13: error[S009]: expected a comma or ), found ==\n"
        "    p(x) :- q(x == 1)\n"
        "                ^^\n"
        "    hint: write =\n"
        "a.rules:2:4: error[S004]: \\d is no escape\n"
        '    r("\\d")\n'
        "       ^^\n"
        "    hint: write \\\\d for a backslash before d\n"
        "a.rules:3:3: error[S008]: True is neither a value nor a variable\n"
        "    s(True)\n"
        "      ^^^^\n"
        '    hint: write true, or "True" for the text'
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("p(x) :- q(x) x > 3", "comma is missing"),
        ("p(x) :- q(x) not r(x)", "comma is missing"),
        ("p(x) :- x > 1 :- r(x)", "a rule has one :-"),
        ("p(x) <- q(x)", "head :- literal"),
        ("p(10.0.0.1)", "quotes"),
        ("p(10.0.0.1/8)", "quotes"),
        ("p(x > 3)", "beside the literals"),
        ("p(x) :- x < y < z", "a < b, b < c"),
        ("t(count(*)) :- q(x)", "count(x)"),
        ("execute(nova:pause(x)) :- q(x)", "square brackets"),
        ("p(“x”)", "straight quotes"),
        ("p(x) :- q(x) && r(x)", "comma"),
        ("p(x) :- q(x) | r(x)", "one rule for each"),
        ("p(007)", "write 7"),
        ("p('a' 'b')", "concat"),
        ("p(r'x')", "concat"),
    ],
)
def test_hints(text, hint):
    _, found = parse_partial(text)
    assert any(hint in item.hint for item in found), [item.render() for item in found]


def test_errors_stop_at_a_thousand():
    _, found = parse_partial("p)\n" * 1500)
    assert len(found) == parser.MAX_ERRORS + 1
    assert found[-1].code == parser.TOO_MANY


def test_one_statement():
    assert parse_rule("p(x) :- q(x).").head == Atom(None, "p", (Variable("x"),))
    with pytest.raises(PolicyError, match=r"S014.*: one statement is expected, not 2"):
        parse_rule("p(1) q(2)")
    with pytest.raises(PolicyError, match=r"<string>:1:9: error\[S014\]: a statement is expected"):
        parse_rule("// none ")


def test_queries():
    assert parse_query("nova:servers(x, name=y)") == Atom(
        "nova", "servers", (Variable("x"),), (Named("name", Variable("y")),)
    )
    answer = parse_query("q(x) :- p(x), x > 1")
    assert isinstance(answer, Rule)
    assert len(answer.body) == 2
    action = parse_query("execute[nova:pause(x)]")
    assert isinstance(action, Rule)
    assert action.is_fact
    with pytest.raises(PolicyError, match="one atom or one rule"):
        parse_query("p(x), q(x)")


def test_sequences():
    steps = parse_sequence("p+(1) q-(2). act(3), options(4) :- r(5)")
    assert [len(step.heads) for step in steps.statements] == [1, 1, 2]


def test_objects_are_frozen_and_equal_to_constructed_ones():
    made = parse("p(x) :- q(x)").statements[0]
    x = Variable("x")
    assert made == Rule((Atom(None, "p", (x,)),), (Literal(Atom(None, "q", (x,))),), True)
    assert hash(made) == hash(parse("p( x ):-q( x )").statements[0])
    for node in (made, made.head, made.body[0], made.head.args[0]):
        with pytest.raises(AttributeError):
            node.span = NOWHERE


def test_fast_objects_are_the_same_as_constructed_ones():
    source = Source("text", "name")
    span, other = Span(1, 2), Span(3, 4)
    pairs = [
        (variable("x", span), Variable("x", span)),
        (constant("x", span), Constant("x", span)),
        (named("x", Variable("y"), span), Named("x", Variable("y"), span)),
        (
            atom("s", "t", (Variable("x"),), (), "+", span, other),
            Atom("s", "t", (Variable("x"),), (), "+", span, other),
        ),
        (literal(Atom(None, "p"), True, span), Literal(Atom(None, "p"), True, span)),
        (
            rule((Atom(None, "p"),), (), True, span, source),
            Rule((Atom(None, "p"),), (), True, span, source),
        ),
    ]
    for fast, slow in pairs:
        assert type(fast) is type(slow)
        for name in type(slow).__slots__:
            assert getattr(fast, name) == getattr(slow, name)


def test_the_collector_is_left_as_it_was():
    long = "p(x) :- q(x)\n" * 200
    gc.enable()
    parse(long)
    assert gc.isenabled()
    with pytest.raises(PolicyError):
        parse(long + ")")
    assert gc.isenabled()
    gc.disable()
    try:
        parse(long)
        assert not gc.isenabled()
    finally:
        gc.enable()
