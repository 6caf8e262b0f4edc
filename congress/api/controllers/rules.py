# SPDX-License-Identifier: Apache-2.0
"""The rules of a policy."""

from typing import Any, Final

from congress.api.answers.policies import RULE, RULE_STATUS
from congress.api.call import Call
from congress.api.controllers.policies import RULE_BODY, created, unchanged
from congress.api.names import POLICY
from congress.api.paging import Listing
from congress.api.routing import route
from congress.api.schema import Fields, Key, Text

_RULES: Final = Listing(RULE)
_ONE: Final = "/v1/policies/{policy}/rules/{rule}"


_ID: Final = {"id": Key(Text(36), "As it is: it cannot be changed.")}
REPLACE_BODY: Final = Fields({**RULE_BODY.keys, **_ID}, name="RuleReplace")
UPDATE_BODY: Final = Fields(
    {
        "rule": Key(Text(1_000_000, shortest=1), "One rule or fact."),
        "name": Key(Text(nullable=True), "A name for it, without `/`."),
        "comment": Key(Text(nullable=True), "A comment on it."),
        **_ID,
    },
    name="RuleUpdate",
)


class RulesController:
    """``/v1/policies/{policy}/rules``.  A rule is named by its id, or by its name where only one has it."""

    @route(
        "GET",
        "/v1/policies/{policy}/rules",
        "List the rules of a policy",
        **_RULES.declared,
        errors=(404,),
    )
    def list_rules(self, call: Call, policy: str) -> Any:
        return _RULES.page(call, call.backend.call(POLICY, "list_rules", policy=policy))

    @route(
        "POST",
        "/v1/policies/{policy}/rules",
        "Add a rule to a policy",
        body=RULE_BODY,
        status=201,
        answer=RULE,
        errors=(400, 404, 409),
    )
    def create_rule(self, call: Call, policy: str) -> Any:
        return created(call, call.backend.call(POLICY, "create_rule", policy=policy, **call.body))

    @route("GET", _ONE, "Show a rule", answer=RULE, errors=(404,))
    def get_rule(self, call: Call, policy: str, rule: str) -> Any:
        return call.backend.call(POLICY, "get_rule", policy=policy, rule=rule)

    @route(
        "PUT",
        _ONE,
        "Put another rule in the place of one",
        body=REPLACE_BODY,
        answer=RULE,
        errors=(400, 404, 409),
        notes="It keeps its id; the old rule gives way to the new one as one change.",
    )
    def replace_rule(self, call: Call, policy: str, rule: str) -> Any:
        return _change(call, policy, rule)

    @route(
        "PATCH",
        _ONE,
        "Change a rule, its name or its comment",
        body=UPDATE_BODY,
        answer=RULE,
        errors=(400, 404, 409),
        notes="What the body leaves out stays. The rule keeps its id.",
    )
    def update_rule(self, call: Call, policy: str, rule: str) -> Any:
        return _change(call, policy, rule)

    @route("DELETE", _ONE, "Delete a rule", answer=RULE, errors=(404,), notes="Answers the rule as it was.")
    def delete_rule(self, call: Call, policy: str, rule: str) -> Any:
        return call.backend.call(POLICY, "delete_rule", policy=policy, rule=rule)

    @route(
        "GET",
        f"{_ONE}/status",
        "Show whether a rule is in force, and what is wrong with it if not",
        answer=RULE_STATUS,
        errors=(404,),
    )
    def rule_status(self, call: Call, policy: str, rule: str) -> Any:
        return call.backend.call(POLICY, "rule_status", policy=policy, rule=rule)


def _change(call: Call, policy: str, rule: str) -> Any:
    changes = dict(call.body)
    if "id" in changes:
        changes = unchanged(changes, call.backend.call(POLICY, "get_rule", policy=policy, rule=rule), ("id",))
    return call.backend.call(POLICY, "update_rule", policy=policy, rule=rule, changes=changes)
