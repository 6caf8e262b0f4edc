# SPDX-License-Identifier: Apache-2.0
"""Policies in files: a text of rules, or a YAML or JSON document as the REST API takes it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from congress.datalog.diagnostics import Diagnostic
from congress.datalog.parser import parse_partial
from congress.datalog.syntax import Rule
from congress.datalog.tokens import is_policy_name
from congress.tools.documents import DOCUMENTS, load_document, read_text
from congress.tools.errors import ToolError


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy as a file has it; ``findings`` are what the parser had to say."""

    name: str
    kind: str
    path: Path
    rules: tuple[Rule, ...]
    findings: tuple[Diagnostic, ...] = ()


def read_policies(paths: Iterable[Path]) -> list[PolicyFile]:
    """Read policy files, one policy each; its name is the document's, or the file's up to the first dot.

    :raises ToolError: when a file cannot be read, or two have one name.
    """
    found: list[PolicyFile] = []
    for path in paths:
        policy = read_policy(path)
        twin = next((other for other in found if other.name == policy.name), None)
        if twin is not None:
            raise ToolError(f"{path} and {twin.path} both hold a policy {policy.name!r}; rename one file")
        found.append(policy)
    return found


def read_policy(path: Path) -> PolicyFile:
    """Read one policy file."""
    text = read_text(path)
    if path.suffix in DOCUMENTS:
        return _from_document(path, text)
    program, findings = parse_partial(text, str(path))
    return PolicyFile(_name_of(path), "nonrecursive", path, program.statements, tuple(findings))


def _from_document(path: Path, text: str) -> PolicyFile:
    document = load_document(path, text)
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise ToolError(f"{path} is no policy: expected an object with 'name' and a list 'rules'")
    rules: list[Rule] = []
    findings: list[Diagnostic] = []
    for number, item in enumerate(document["rules"]):
        rule = item.get("rule") if isinstance(item, dict) else item
        if not isinstance(rule, str):
            raise ToolError(f"{path}: rules[{number}] has no text; write {{rule: 'p(x) :- q(x)'}}")
        program, found = parse_partial(rule, f"{path}:rules[{number}]")
        rules += program.statements
        findings += found
    name = document.get("name") or _name_of(path)
    refuse_bad_name(name, str(path))
    return PolicyFile(name, str(document.get("kind") or "nonrecursive").lower(), path, tuple(rules), tuple(findings))


def refuse_bad_name(name: object, where: str) -> None:
    """Stop at what no rule could mention as a policy.

    :raises ToolError: what a name is.
    """
    if not isinstance(name, str) or not is_policy_name(name):
        raise ToolError(
            f"{where}: {name!r:.100} cannot name a policy; a name is letters, digits, _ and dots between them"
        )


def _name_of(path: Path) -> str:
    stem = re.sub(r"\W", "_", path.name.partition(".")[0])
    return stem if is_policy_name(stem) else f"policy_{stem}".rstrip("_")
