# SPDX-License-Identifier: Apache-2.0
"""What oslo.policy's tools ask for: the rules and the enforcer of this program, by entry points.

``oslopolicy-sample-generator --namespace congress`` writes a policy file with all rules and their defaults.
"""

from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from congress.api.application import routes
from congress.api.auth.rules import operation_rules, role_rules


def list_rules() -> list[Any]:
    """All rules (entry point ``oslo.policy.policies``)."""
    return [*role_rules(), *operation_rules(routes())]


def get_enforcer() -> Any:
    """An enforcer for the tools that look at a policy file (entry point ``oslo.policy.enforcer``).

    It reads the configuration files that the daemon reads.
    """
    cfg.CONF([], project="congress")
    made = policy.Enforcer(cfg.CONF)
    made.register_defaults(list_rules())
    return made
