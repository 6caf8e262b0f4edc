# SPDX-License-Identifier: Apache-2.0
"""The policy library: policies to take and adapt, none of them in force."""

from typing import Any, Final

from congress.api.answers.policies import LIBRARY_POLICY
from congress.api.call import Call
from congress.api.controllers.policies import KINDS, created, unchanged
from congress.api.names import LIBRARY
from congress.api.paging import Listing
from congress.api.routing import route
from congress.api.schema import Choice, Fields, Flag, Key, Listed, Parameter, Text

_ONE: Final = "/v1/librarypolicies/{library_policy}"

_RULE: Final = Fields(
    {
        "rule": Key(Text(1_000_000, shortest=1), "One rule or fact.", required=True, missing_code=1002),
        "name": Key(Text(nullable=True), "A name for it, without `/`."),
        "comment": Key(Text(nullable=True), "A comment on it."),
    },
    name="LibraryRuleCreate",
)
_NAME: Final = Text(255, code=1010)
_RULES: Final = Listed(_RULE, 100_000)
_KEYS: Final = {
    "abbreviation": Key(
        Text(5, shortest=1, nullable=True, code=1022), "A short form; by default the name's first five characters."
    ),
    "description": Key(Text(65_535, nullable=True), "What the policy is for."),
    "kind": Key(Choice(KINDS, nullable=True, fold=True), "The kind of the policies made of it."),
    "depends-on": Key(Listed(Text(255), 1000), "Names of policies whose tables its rules read; it helps readers."),
}
_ID: Final = {"id": Key(Text(36), "As it is: it cannot be changed.")}
CREATE_BODY: Final = Fields(
    {
        "name": Key(_NAME, "Its name; no other policy of the library has it.", required=True, missing_code=1010),
        **_KEYS,
        "rules": Key(_RULES, "Its rules.", required=True),
    },
    name="LibraryPolicyCreate",
)
REPLACE_BODY: Final = Fields({**CREATE_BODY.keys, **_ID}, name="LibraryPolicyReplace")
UPDATE_BODY: Final = Fields(
    {"name": Key(_NAME, "Its name."), **_KEYS, "rules": Key(_RULES, "Its rules."), **_ID}, name="LibraryPolicyUpdate"
)
_RULES_TOO: Final = {"include_rules": Parameter(Flag(), "Whether rules are shown.", default=True)}
_LIBRARY: Final = Listing(LIBRARY_POLICY, more=_RULES_TOO)


class LibraryController:
    """``/v1/librarypolicies``.  A library policy is named by its id or its name."""

    @route(
        "GET",
        "/v1/librarypolicies",
        "List the policies of the library",
        **_LIBRARY.declared,
    )
    def list_library_policies(self, call: Call) -> Any:
        include_rules = call.parameters["include_rules"]
        return _LIBRARY.page(call, call.backend.call(LIBRARY, "list_library_policies", include_rules=include_rules))

    @route(
        "POST",
        "/v1/librarypolicies",
        "Add a policy to the library",
        body=CREATE_BODY,
        status=201,
        answer=LIBRARY_POLICY,
        errors=(400, 409),
        notes="Its rules must be readable; whether the tables they name are there shows when a policy is made of it.",
    )
    def create_library_policy(self, call: Call) -> Any:
        return created(call, call.backend.call(LIBRARY, "create_library_policy", document=call.body))

    @route("GET", _ONE, "Show a policy of the library", query=_RULES_TOO, answer=LIBRARY_POLICY, errors=(404,))
    def get_library_policy(self, call: Call, library_policy: str) -> Any:
        return call.backend.call(
            LIBRARY, "get_library_policy", library_policy=library_policy, include_rules=call.parameters["include_rules"]
        )

    @route(
        "PUT",
        _ONE,
        "Put another policy in the place of one of the library",
        body=REPLACE_BODY,
        answer=LIBRARY_POLICY,
        errors=(400, 404, 409),
        notes="What the body leaves out gets its default. Policies that were made of it stay as they are.",
    )
    def replace_library_policy(self, call: Call, library_policy: str) -> Any:
        document = self._without_id(call, library_policy)
        return call.backend.call(LIBRARY, "replace_library_policy", library_policy=library_policy, document=document)

    @route(
        "PATCH",
        _ONE,
        "Change a policy of the library",
        body=UPDATE_BODY,
        answer=LIBRARY_POLICY,
        errors=(400, 404, 409),
        notes="What the body leaves out stays. Policies that were made of it stay as they are.",
    )
    def update_library_policy(self, call: Call, library_policy: str) -> Any:
        changes = self._without_id(call, library_policy)
        return call.backend.call(LIBRARY, "update_library_policy", library_policy=library_policy, changes=changes)

    @route(
        "DELETE",
        _ONE,
        "Take a policy out of the library",
        answer=LIBRARY_POLICY,
        errors=(404,),
        notes="Answers the policy as it was. Policies that were made of it stay.",
    )
    def delete_library_policy(self, call: Call, library_policy: str) -> Any:
        return call.backend.call(LIBRARY, "delete_library_policy", library_policy=library_policy)

    @staticmethod
    def _without_id(call: Call, library_policy: str) -> dict[str, Any]:
        if "id" not in call.body:
            return dict(call.body)
        current = call.backend.call(LIBRARY, "get_library_policy", library_policy=library_policy, include_rules=False)
        return unchanged(call.body, current, ("id",))
