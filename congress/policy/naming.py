# SPDX-License-Identifier: Apache-2.0
"""What a policy may be called, and its other short properties."""

from typing import Final

from congress.datalog.tokens import RESERVED_WORDS, is_policy_name
from congress.policy import errors

KINDS: Final = ("nonrecursive", "action", "database", "materialized", "z3")
"""The kinds that policies had of old.  One engine evaluates them all; an ``action`` policy describes actions."""


def checked_name(name: object) -> str:
    """A policy's name.

    :raises PolicyNameRequired: there is none.  :raises InvalidPolicyName: no rule could mention it.
    """
    if name is None or name == "":
        raise errors.PolicyNameRequired
    if not isinstance(name, str):
        raise errors.InvalidPolicyName("the name of a policy is a text")
    if name in RESERVED_WORDS or name == "builtin":
        raise errors.InvalidPolicyName(f"{name!r} is a word of the language")
    if not is_policy_name(name) or len(name) > 255:
        raise errors.InvalidPolicyName(
            f"{name!r:.100} cannot name a policy: a name is letters, digits, _ and dots between them, at most 255"
        )
    return name


def checked_abbreviation(abbreviation: object, name: str) -> str:
    """A policy's abbreviation: what was given, or the beginning of the name.

    :raises InvalidAbbreviation: it is no text, empty or too long.
    """
    if abbreviation is None:
        return name[:5]
    if not isinstance(abbreviation, str) or not 1 <= len(abbreviation) <= 5:
        raise errors.InvalidAbbreviation
    return abbreviation


def checked_rule_name(name: object) -> str | None:
    """A rule's name; an empty one is none.

    :raises InvalidRuleName: no address could have it.
    """
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise errors.InvalidRuleName("the name of a rule is a text")
    if "/" in name or name in (".", ".."):
        raise errors.InvalidRuleName(f"{name!r:.100} cannot name a rule: its address would lead elsewhere")
    return name


def checked_kind(kind: object) -> str:
    """A policy's kind, in lower case.

    :raises InvalidPolicy: there is no such kind.
    """
    if kind is None:
        return KINDS[0]
    if not isinstance(kind, str) or kind.lower() not in KINDS:
        raise errors.InvalidPolicy(f"there is no kind of policy {kind!r:.100}; the kinds are {', '.join(KINDS)}")
    return kind.lower()
