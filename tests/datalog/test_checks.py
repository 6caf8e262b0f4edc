# SPDX-License-Identifier: Apache-2.0
"""The checks of single rules."""

import pytest

from congress.datalog import checks
from congress.datalog.builtins import core_registry
from congress.datalog.builtins.registry import BARE_NAMES, Registry
from congress.datalog.checks import check
from congress.datalog.parser import parse, parse_rule
from congress.datalog.syntax import Aggregate, Anonymous, Atom, Comparison, Constant, Literal, Rule, Variable
from tests.datalog import syntax_cases

CASES = syntax_cases.load("checks")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_check(case):
    found = check(
        parse(case["text"]),
        kind=case.get("kind", "nonrecursive"),
        policy=case.get("policy"),
        registry=core_registry(),
    )
    assert syntax_cases.matches(case["findings"], found), [item.render() for item in found]
    assert all((item.severity == "warning") == item.code.startswith("W") for item in found)


def test_every_finding_is_shown_by_a_case():
    seen = {line.split()[0] for case in CASES for line in case["findings"]}
    declared = {
        value
        for name, value in vars(checks).items()
        if name.isupper() and isinstance(value, str) and value[1:].isdigit()
    }
    assert seen == declared


def test_one_rule_and_other_built_ins():
    rule = parse_rule("p(x) :- q(x), builtin:len(x, y)")
    assert check(rule) == []
    assert [item.code for item in check(rule, registry=Registry())] == ["R013"]


def test_findings_show_the_text():
    (found,) = check(parse("p(1)\np(x + 1) :- q(x)", "a.rules"))
    assert found.render() == (
        "a.rules:2:3: error[R016]: an expression cannot be an argument of a table\n"
        "    p(x + 1) :- q(x)\n"
        "      ^^^^^\n"
        "    hint: bind it to a variable first: y = x + 1"
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("execute[pause(x)] :- p(x)", "execute[service:pause(...)], or execute[alice:pause(...)]"),
        ("p(x)", '"x"'),
        ("p(x) :- q(x), builtin:lenn(x, y)", "builtin:len"),
        ("p(x) :- q(x), y = lowr(x)", "lower"),
        ("p(x) :- q(x), builtin:len(x)", "len(a: string -> length: integer)"),
        ("p(x) :- q(x), count(x) > 1", "t(x, count(y))"),
        ("t(median(x)) :- q(x)", "avg, count, max, min, sum"),
        ("alice:p(x) :- q(x)", "leave it out: p"),
        ("p(x) :- len(x, y)", "builtin:len"),
    ],
)
def test_hints(text, hint):
    found = check(parse(text), policy="alice")
    assert any(hint in item.hint for item in found), [item.render() for item in found]


def test_hand_made_rules_are_checked_too():
    body = (
        Literal(Atom(None, "q", (Aggregate("count", Variable("x")),))),
        Comparison("=", Aggregate("sum", Variable("x")), Constant(1)),
    )
    rule = Rule((Atom(None, "p", (Aggregate("median", Variable("x")), Anonymous())),), body, True)
    assert sorted(item.code for item in check(rule)) == ["R008", "R015", "R015", "R015"]


def test_unknown_kind_of_policy():
    with pytest.raises(ValueError, match="no kind of policy"):
        check(parse("p(1)"), kind="other")


def test_old_names_of_built_ins_exist():
    registry = core_registry()
    assert all(name in registry for name in BARE_NAMES)
