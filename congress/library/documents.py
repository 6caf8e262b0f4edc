# SPDX-License-Identifier: Apache-2.0
"""A library policy as a document: what files hold and what the REST API takes.

::

    name: BadFlavors
    description: Servers of flavors that are not permitted.
    depends-on: [SecurityGroups]     # optional: other policies whose tables the rules read
    rules:
      - rule: permitted_flavor("m1.small")
        name: permitted              # optional, as is ``comment``
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from congress.datalog.diagnostics import Diagnostic
from congress.db.library import LibraryRecord
from congress.library.errors import LibraryPolicyInvalid
from congress.policy.errors import RuleInvalid
from congress.policy.naming import checked_abbreviation, checked_kind, checked_name, checked_rule_name
from congress.policy.policies import gathering, parse_one

KEYS: Final = ("name", "abbreviation", "description", "kind", "depends-on", "rules")
_RULE_KEYS: Final = ("rule", "name", "comment")
_LONGEST: Final = 255


def record_of(document: Mapping[str, Any]) -> LibraryRecord:
    """The record of a document, everything checked; what is left out has its default.

    Rules are read, so that what is in the library can be used; whether the tables they name are there shows when a
    policy is made of them.

    :raises PolicyRuntimeError: one of those for what is wrong with a part of it; ``RuleInvalid`` with every finding
        in all rules.
    """
    if unknown := [key for key in document if key not in KEYS]:
        raise LibraryPolicyInvalid(f"{str(unknown[0])!r:.100} is not a key of a library policy; they are {KEYS}")
    name = checked_name(document.get("name"))
    rules = document.get("rules")
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise LibraryPolicyInvalid("the rules of a library policy are a list")
    return LibraryRecord(
        name=name,
        abbreviation=checked_abbreviation(document.get("abbreviation"), name),
        description=_text(document.get("description"), "description").rstrip(),
        kind=checked_kind(document.get("kind")),
        depends_on=_names(document.get("depends-on")),
        rules=_rules(rules, name),
    )


def view_of(record: LibraryRecord, *, rules: bool = True) -> dict[str, Any]:
    """A library policy as clients see it."""
    shown: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "abbreviation": record.abbreviation,
        "description": record.description,
        "kind": record.kind,
        "depends-on": list(record.depends_on),
    }
    return {**shown, "rules": [dict(rule) for rule in record.rules]} if rules else shown


def _rules(given: Sequence[Any], policy: str) -> tuple[Mapping[str, Any], ...]:
    findings: list[Diagnostic] = []
    for number, rule in enumerate(given):
        _check_shape(rule, number)
        with gathering(findings):
            parse_one(rule["rule"], policy)
    if findings:
        raise RuleInvalid(diagnostics=findings)
    return tuple(dict(rule) for rule in given)


def _check_shape(rule: object, number: int) -> None:
    if not isinstance(rule, Mapping) or not isinstance(rule.get("rule"), str):
        raise LibraryPolicyInvalid(f"rules[{number}] must be an object whose `rule` is a text")
    checked_rule_name(rule.get("name"))
    for key, value in rule.items():
        if key not in _RULE_KEYS:
            raise LibraryPolicyInvalid(f"rules[{number}]: {str(key)!r:.100} is not a key of a rule")
        if key != "rule" and len(_text(value, f"rules[{number}].{key}")) > _LONGEST:
            raise LibraryPolicyInvalid(f"rules[{number}].{key} has more than {_LONGEST} characters")


def _text(value: object, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise LibraryPolicyInvalid(f"{what} must be a text")
    return value


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise LibraryPolicyInvalid("depends-on is a list of names of policies")
    return tuple(checked_name(name) for name in value)
