# SPDX-License-Identifier: Apache-2.0
"""The grammar in the docs is the parser's."""

import re
from random import Random

import pytest

from congress.datalog import tokens
from congress.datalog.expressions import MAX_OPERATIONS
from congress.datalog.parser import parse
from congress.datalog.tokens import tokenize
from tests.datalog.any_text import examine
from tests.datalog.ebnf import PAGE, Writer, read_block, terminals


def joined(parts, random, writer):
    """Tokens as a text: blanks and comments anywhere, but nothing where nothing is needed."""
    text = ""
    before = ""
    for part in parts:
        gap = random.choice(["", "", "", " ", "\n", "  \t", writer.token("comment")])
        # A slash before a comment would make another comment; a dot before a name would belong to it.
        apart = tokenize(before + gap + part).texts[:2] != [before, part] if before else False
        text += (f" {gap} " if apart or before in {"/", "."} else gap) + part
        before = part
    return text


@pytest.mark.parametrize("seed", range(20))
def test_the_parser_accepts_what_the_grammar_allows(seed):
    random = Random(seed)
    writer = Writer(random)
    for _ in range(20):
        parts = writer.tokens("program")
        if parts.count("(") + sum(part in "+-*/%" for part in parts) < MAX_OPERATIONS:
            assert examine(joined(parts, random, writer))


@pytest.mark.parametrize("rule", ["integer", "float", "string"])
def test_values(rule):
    random = Random(rule)
    writer = Writer(random)
    kinds = {"integer": int, "float": float, "string": str}
    for _ in range(300):
        token = writer.token(rule)
        (statement,) = parse(f"p({token})").statements
        (term,) = statement.head.args
        assert type(term.value) is kinds[rule]


def test_names():
    writer = Writer(Random(1))
    for _ in range(300):
        name = writer.token("name")
        (statement,) = parse(f"{name}(1)").statements
        assert statement.head.table == name


def test_every_rule_is_used_and_defined():
    syntax, lexis = read_block("syntax"), read_block("tokens")
    page = PAGE.read_text(encoding="utf-8")
    for name in [*syntax, *lexis]:
        assert name in {"program", "comment"} or len(re.findall(rf"(?<![\w:]){name}\b", page)) > 1
    # A reference to a rule that is not defined would be a KeyError here.
    writer = Writer(Random(0))
    for name in syntax:
        writer.tokens(name)
    for name in lexis:
        writer.token(name)


def test_every_sign_and_word_is_in_the_grammar():
    words = tokens.AGGREGATES | tokens.MODALS | tokens.WORD_VALUES.keys() | tokens.RESERVED_WORDS | {"builtin"}
    signs = tokens.SIGNS - tokens.FOREIGN.keys()
    assert terminals(read_block("syntax")) == words | signs


def test_reserved_words_are_listed():
    page = PAGE.read_text(encoding="utf-8")
    listed = page[page.index("Names and reserved words") : page.index("Service and table")]
    for word in tokens.RESERVED_WORDS | tokens.PYTHON_WORDS.keys():
        assert f"``{word}``" in listed


def test_limits_are_those_of_the_parser():
    assert f"at most {MAX_OPERATIONS} operations" in PAGE.read_text(encoding="utf-8")
