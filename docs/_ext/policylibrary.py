# SPDX-License-Identifier: Apache-2.0
"""``.. declared-library:: NAME``: a policy of the library, from the file that comes with the package."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from textwrap import indent

from declared import Declared
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from congress.datalog import syntax
from congress.db.library import LibraryRecord
from congress.library.files import SHIPPED, read_folder
from congress.policy.policies import parse_one


@cache
def shipped() -> dict[str, LibraryRecord]:
    """The policies that come with the package, by name."""
    return {record.name: record for record in read_folder(SHIPPED)}


def policy_text(name: str) -> Iterator[str]:
    """What it is for, what it needs, what to adapt, what it does, and all of its rules."""
    record = shipped()[name]
    rules = [parse_one(rule["rule"], name) for rule in record.rules]
    yield from (_escaped(" ".join(record.description.split())), "")
    if record.depends_on:
        yield from ("Needs the policies " + ", ".join(f":doc:`{other}`" for other in record.depends_on) + ".", "")
    services = _services(rules, {name, *record.depends_on})
    yield from ("Reads the cloud services " + ", ".join(f"``{service}``" for service in services) + ".", "")
    yield from _part("To adapt", (f"``{rule['rule'].strip()}``" for rule in record.rules if _adapt(rule)))
    yield from _part("Violations", (f"``{head}``" for head in _heads(rules) if head.startswith(("error(", "warning("))))
    yield from _part("Actions", sorted({f"``{_action(rule.head)}``" for rule in rules if _is_action(rule)}))
    yield from ("Rules", "-----", "", ".. code-block:: text", "")
    for rule in record.rules:
        text = rule["rule"].strip()
        note = " ".join((rule.get("comment") or "").split())
        yield indent(f"// {note}\n{text}" if note else text, "   ")
        yield ""


def _part(title: str, entries: Iterable[str]) -> Iterator[str]:
    lines = list(dict.fromkeys(entries))
    if lines:
        yield from (title, "-" * len(title), "", *(f"* {line}" for line in lines), "")


def _adapt(rule: Mapping[str, str]) -> bool:
    return (rule.get("comment") or "").startswith("Adapt this")


def _heads(rules: Iterable[syntax.Rule]) -> Iterator[str]:
    for rule in rules:
        if isinstance(rule.head, syntax.Atom) and rule.has_body:
            names = (term.name if isinstance(term, syntax.Variable) else "" for term in rule.head.args)
            yield f"{rule.head.table}({', '.join(names)})"


def _is_action(rule: syntax.Rule) -> bool:
    return isinstance(rule.head, syntax.Modal)


def _action(head: object) -> str:
    assert isinstance(head, syntax.Modal)
    return f"{head.atom.service}:{head.atom.table}"


def _services(rules: Iterable[syntax.Rule], policies: set[str]) -> list[str]:
    literals = (item for rule in rules for item in rule.body if isinstance(item, syntax.Literal))
    return sorted({literal.atom.service for literal in literals if literal.atom.service} - policies - {"builtin"})


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|]|_(?=\W|$))", r"\\\1", text)


class Library(Declared):
    source = "declared-library"

    def lines(self) -> Iterable[str]:
        return policy_text(self.arguments[0])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive(Library.source, Library)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
