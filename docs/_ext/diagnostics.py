# SPDX-License-Identifier: Apache-2.0
"""``.. declared-diagnostics::``: all codes of the language's diagnostics, with examples from the test cases."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from textwrap import indent

import yaml
from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

import congress.datalog
from congress.datalog.builtins import core_registry
from congress.datalog.checks import check
from congress.datalog.diagnostics import CODES, Diagnostic
from congress.datalog.parser import parse_partial

CASES = Path(__file__).parents[2] / "tests" / "datalog" / "cases" / "syntax"
FAMILIES = {
    "S": ("Syntax", "The text does not follow the :doc:`grammar`."),
    "R": ("Single rules", "The rule can be read, but makes no sense by itself."),
    "N": ("Names", "What a rule refers to does not exist or has another shape."),
    "P": ("Programs", "The rule does not go together with the other rules."),
    "E": ("Evaluation", "Something went wrong while the rule was evaluated."),
    "W": ("Warnings", "The rule is accepted; something about it is deprecated or looks like a mistake."),
}


def declared_codes() -> dict[str, str]:
    """All codes, those of modules that nobody has imported yet included."""
    for module in pkgutil.walk_packages(congress.datalog.__path__, "congress.datalog."):
        importlib.import_module(module.name)
    return dict(sorted(CODES.items()))


@cache
def _examples() -> dict[str, Diagnostic]:
    """For each code the first text of the test cases in which it is all that is wrong."""
    found: dict[str, Diagnostic] = {}
    for name in ("errors", "checks"):
        for case in yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8")):
            program, findings = parse_partial(case["text"], "policy")
            if name == "checks":
                kind, policy = case.get("kind", "nonrecursive"), case.get("policy")
                findings = check(program, kind=kind, policy=policy, registry=core_registry())
            if len(findings) == 1 and case["text"].isprintable():
                found.setdefault(findings[0].code, findings[0])
    return found


def diagnostics_text() -> Iterator[str]:
    """A section for each family of codes, a definition for each code."""
    codes = declared_codes()
    for letter, (title, meaning) in FAMILIES.items():
        yield from (title, "-" * len(title), "", meaning, "")
        for code, sentence in codes.items():
            if code[0] == letter:
                yield code
                yield f"    {_quoted(sentence)}"
                example = _examples().get(code)
                if example is not None:
                    yield from ("", "    ::", "", indent(example.render(), " " * 8))
                yield ""


def _quoted(sentence: str) -> str:
    """A sentence in which rst would find no markup of its own."""
    return sentence.replace("\\", "\\\\").replace("*", "\\*").replace("_", "\\_").replace("`", "\\`")


class Diagnostics(Declared):
    source = "declared-diagnostics"

    def lines(self) -> Iterable[str]:
        return diagnostics_text()


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(Diagnostics.source, Diagnostics)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
