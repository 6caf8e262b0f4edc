# SPDX-License-Identifier: Apache-2.0
"""Reads the EBNF of docs/reference/grammar.rst and makes random texts that it allows."""

import math
import re
from pathlib import Path
from random import Random
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "grammar.rst"

_TOKEN = re.compile(r"""\s*(?:("[^"]*"|'[^']*')|\?\s*([^?]*?)\s*\?|(\w+)|([\[\]{}()|;=]))""")


class Terminal(NamedTuple):
    """Text that stands for itself."""

    text: str


class Characters(NamedTuple):
    """A character that the page describes in words."""

    words: str


class Reference(NamedTuple):
    """The name of a rule."""

    name: str


class Choice(NamedTuple):
    """One of several sequences, from ``least`` to ``most`` times."""

    sequences: list[list["Node"]]
    least: int = 1
    most: int = 1


Node = Terminal | Characters | Reference | Choice
_MOST = 3


def read_block(name: str) -> dict[str, Choice]:
    """The rules of one of the page's blocks, in order."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"   :name: {name}\n\n((?:   .*\n|\n)+)", page)
    assert found, f"the page has no block {name}"
    return _Reader(found[1]).rules()


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens = list(_TOKEN.finditer(text))
        assert "".join(match[0] for match in self.tokens).split() == text.split(), "the EBNF has unknown signs"
        self.at = 0

    def sign(self) -> str:
        return self.tokens[self.at][4] or "" if self.at < len(self.tokens) else "end"

    def take(self) -> re.Match[str]:
        self.at += 1
        return self.tokens[self.at - 1]

    def rules(self) -> dict[str, Choice]:
        rules: dict[str, Choice] = {}
        while self.at < len(self.tokens):
            name = self.take()[3]
            assert name, "a rule begins with its name"
            assert name not in rules, f"{name} is defined twice"
            assert self.take()[4] == "="
            rules[name] = Choice(self.sequences())
            assert self.take()[4] == ";"
        return rules

    def sequences(self) -> list[list[Node]]:
        made: list[list[Node]] = [[]]
        while self.sign() not in {";", ")", "]", "}", "end"}:
            if self.sign() == "|":
                self.take()
                made.append([])
            else:
                made[-1].append(self.node())
        return made

    def node(self) -> Node:
        quoted, words, name, sign = self.take().groups()
        if quoted:
            return Terminal(quoted[1:-1])
        if words:
            return Characters(words)
        if name:
            return Reference(name)
        inner = self.sequences()
        closing = self.take()[4]
        assert sign + closing in {"()", "[]", "{}"}
        return Choice(inner, 1 if sign == "(" else 0, _MOST if sign == "{" else 1)


def terminals(rules: dict[str, Choice]) -> set[str]:
    """All texts that stand for themselves."""
    found: set[str] = set()

    def visit(node: Node) -> None:
        if isinstance(node, Terminal):
            found.add(node.text)
        elif isinstance(node, Choice):
            for sequence in node.sequences:
                for inner in sequence:
                    visit(inner)

    for choice in rules.values():
        visit(choice)
    return found


_MEANINGS = {
    "a letter of any script, or the underscore": "abcXYZ_éß名",
    "one of 0 to 9": "0123456789",
    "one of 1 to 9": "123456789",
    "one of 0 to 7": "01234567",
    "one of 0 to 9, a to f, A to F": "0123456789abcdefABCDEF",
    "any character but quotes, the backslash, the line feed and NUL": "a 1\t().,:;#/*é名😀\x01",
    "any character but the line feed": "ab \"'(),:-\\#é",
    "the line feed": "\n",
}


class Writer:
    """Makes random texts; deep ones become simple ones, so that all of them end."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.syntax = read_block("syntax")
        self.lexis = read_block("tokens")

    def tokens(self, name: str, depth: int = 0) -> list[str]:
        """The tokens of a random text of the rule ``name``."""
        if name in self.lexis:
            return [self.token(name)]
        return self._syntax(self.syntax[name], depth + 1)

    def _syntax(self, node: Node, depth: int) -> list[str]:
        if isinstance(node, Terminal):
            return [node.text]
        if isinstance(node, Reference):
            return self.tokens(node.name, depth)
        assert isinstance(node, Choice)
        made: list[str] = []
        most = node.least if depth > 12 else node.most
        for _ in range(self.random.randint(node.least, most)):
            # The first alternative of each rule ends soonest.
            sequence = node.sequences[0] if depth > 14 else self.random.choice(node.sequences)
            for inner in sequence:
                made += self._syntax(inner, depth)
        return made

    def token(self, name: str) -> str:
        """A random token of the rule ``name``."""
        while True:
            text = self._lexical(Reference(name))
            if self._allowed(name, text):
                return text

    def _lexical(self, node: Node) -> str:
        if isinstance(node, Terminal):
            return node.text
        if isinstance(node, Characters):
            return self.random.choice(_MEANINGS[node.words])
        if isinstance(node, Reference):
            node = self.lexis[node.name]
        times = self.random.randint(node.least, node.most)
        return "".join(self._lexical(inner) for _ in range(times) for inner in self.random.choice(node.sequences))

    @staticmethod
    def _allowed(name: str, text: str) -> bool:
        """What the page says in words below the blocks."""
        if name == "name":
            return not set(text) <= {"_"}
        if name == "comment":
            return "*/" not in text[:-2].removeprefix("/") if text.startswith("/*") else True
        if name == "float":
            return math.isfinite(float(text))
        return not re.search(r"\\u[dD][89a-fA-F]|\\x00|\\u0000", text)
