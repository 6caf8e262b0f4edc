# SPDX-License-Identifier: Apache-2.0
"""All rules with their defaults, for oslo.policy: three for the roles, and one for each operation of the API."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from oslo_policy import policy

from congress.api.auth.names import Access
from congress.api.routing import Route

ROLES: Final[Mapping[Access, tuple[str, str]]] = {
    Access.ADMIN: ("role:admin", "Who may do everything: services and their credentials, actions, guards, approvals."),
    Access.MEMBER: (
        "rule:admin or (role:member and trusted:True)",
        "Who may write policies, rules and pushed rows. `trusted` is true for users of the password file, and for "
        "tokens of the projects in `[authorization] trusted_projects` or of the system.",
    ),
    Access.READER: ("rule:member or (role:reader and trusted:True)", "Who may read, ask and simulate."),
}


def role_rules() -> list[Any]:
    """The rules that the defaults of all others refer to."""
    return [policy.RuleDefault(str(access), check, text) for access, (check, text) in ROLES.items()]


def operation_rules(routes: Iterable[Route]) -> list[Any]:
    """A rule for each operation, with the routes that ask for it."""
    by_rule: dict[str, list[Route]] = {}
    for route in routes:
        by_rule.setdefault(route.rule, []).append(route)
    return [_documented(rule, declared) for rule, declared in sorted(by_rule.items())]


def _documented(rule: str, routes: list[Route]) -> Any:
    check = "@" if routes[0].access == Access.OPEN else f"rule:{routes[0].access}"
    summary = ". ".join(dict.fromkeys(route.summary for route in routes)) + "."
    operations = [
        {"method": route.method, "path": path + (f"?action={route.action}" if route.action else "")}
        for route in routes
        for path in (route.path, *route.aliases)
    ]
    return policy.DocumentedRuleDefault(rule, check, summary, operations)
