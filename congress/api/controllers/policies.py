# SPDX-License-Identifier: Apache-2.0
"""Policies."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import webob

from congress.api.answers.policies import CHANGED_POLICY, POLICY_STATUS, PREVIEW, SIMULATION
from congress.api.answers.policies import POLICY as POLICY_SHAPE
from congress.api.call import Call
from congress.api.controllers.executions import EXECUTE_BODY, executed
from congress.api.errors import ApiError
from congress.api.names import LIBRARY, POLICY
from congress.api.paging import Listing
from congress.api.routing import json_response, route
from congress.api.schema import Anything, Choice, Either, Fields, Flag, Key, Listed, Mapped, Parameter, Text

KINDS: Final = ("nonrecursive", "action", "database", "materialized", "z3")
_POLICIES: Final = Listing(POLICY_SHAPE)

RULE_BODY: Final = Fields(
    {
        "rule": Key(Text(1_000_000, shortest=1), "One rule or fact.", required=True, missing_code=1002),
        "name": Key(Text(nullable=True), "A name for it, without `/`.", default=None),
        "comment": Key(Text(nullable=True), "A comment on it.", default=None),
    },
    name="RuleCreate",
)
_DESCRIPTION: Final = Key(Text(65_535, nullable=True), "What the policy is for.", default=None)
_ABBREVIATION: Final = Key(
    Text(5, shortest=1, nullable=True, code=1022),
    "A short form for logs; by default the name's first five characters.",
    default=None,
)
_KIND: Final = Key(
    Choice(KINDS, nullable=True, fold=True),
    "One of the kinds of old; one engine evaluates them all. `action` policies describe actions.",
    default=None,
)
_RULES: Final = Listed(RULE_BODY, 100_000)
CREATE_BODY: Final = Either(
    {
        dict: Fields(
            {
                "name": Key(Text(255, nullable=True), "Its name; no other policy or service has it.", default=None),
                "description": _DESCRIPTION,
                "abbreviation": _ABBREVIATION,
                "kind": _KIND,
                "rules": Key(_RULES, "Rules to begin with: all of them are taken, or nothing is made."),
                "depends-on": Key(Listed(Text(255), 1000), "For readers, as in library policies; it is not kept."),
            },
            name="PolicyCreate",
        ),
        # With ``library_policy`` clients send nothing, in one of these forms.
        type(None): Mapped(nullable=True),
        list: Listed(Anything(), 0),
    }
)
_READ_ONLY: Final = ("id", "name", "owner_id", "kind")
_SAME: Final = {key: Key(Text(255), "As it is: it cannot be changed.") for key in _READ_ONLY}
_NEW_RULES: Final = Key(
    _RULES,
    "The rules that take the place of all it has: all of it or nothing. Without this key the rules stay.",
)
REPLACE_BODY: Final = Fields(
    {"description": _DESCRIPTION, "abbreviation": _ABBREVIATION, "rules": _NEW_RULES, **_SAME},
    name="PolicyReplace",
)
UPDATE_BODY: Final = Fields(
    {
        "description": Key(Text(65_535, nullable=True), "What the policy is for."),
        "abbreviation": Key(Text(5, shortest=1, nullable=True, code=1022), "A short form for logs."),
        "rules": _NEW_RULES,
        **_SAME,
    },
    name="PolicyUpdate",
)

SIMULATE_BODY: Final = Fields(
    {
        "query": Key(
            Either({str: Text(100_000, code=1004), dict: Mapped(), type(None): Mapped(nullable=True)}),
            'What is asked for in the end: `low(x)`, a rule, or `{"table": "low", "where": {column: value}}`.',
            default=None,
        ),
        "sequence": Key(
            Text(1_000_000, nullable=True, code=1004), "The steps, in the language of sequences.", default=None
        ),
        "steps": Key(
            Either({list: Listed(Mapped(), 10_000), type(None): Mapped(nullable=True)}),
            'The steps as JSON: `{"insert": {table: rows}}`, `{"delete": {table: rows}}`, `{"add_rule": text}`, '
            '`{"remove_rule": id, name or text}`, `{"action": {"name", "args", "options"}}`.',
            default=None,
        ),
        "action_policy": Key(
            Text(255, nullable=True, code=1004),
            "The policy that describes actions; with `steps`, `action` by default.",
            default=None,
        ),
    },
    name="SimulateRequest",
)
PREVIEW_BODY: Final = Fields(
    {
        "rules": Key(Listed(Either({str: Text(1_000_000), dict: RULE_BODY}), 100_000), "Rules to come.", default=()),
        "remove": Key(Listed(Text(1_000_000), 100_000), "Rules to go: ids, names or texts.", default=()),
        "replace": Key(Flag(), "Whether all other rules of the policy go.", default=False),
        "kind": Key(
            Choice(KINDS, nullable=True, fold=True), "The kind of a policy that is not there yet.", default=None
        ),
    },
    name="PreviewRequest",
)
SIMULATE_QUERY: Final = {
    "delta": Parameter(Flag(), "Only what changes in the answers, as `t+(...)` and `t-(...)`.", default=False),
    "trace": Parameter(Flag(), "With a text that tells what each step changed.", default=False),
}


def created(call: Call, made: dict[str, Any]) -> webob.Response:
    """201 with the address of what was made."""
    response = json_response(made, 201)
    response.headers["Location"] = f"{call.url}/{made['id']}"
    return response


def unchanged(body: Mapping[str, Any], current: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A body without the keys that cannot be changed, which clients send back as they got them.

    :raises ApiError: 400 when one of them has another value.
    """
    for key in keys:
        if key in body and body[key] != current.get(key):
            raise ApiError(400, f"{key} cannot be changed; it is {current.get(key)!r:.100}.", data={"place": key})
    return {key: value for key, value in body.items() if key not in keys}


class PoliciesController:
    """``/v1/policies``.  A policy is named by its id or its name."""

    @route("GET", "/v1/policies", "List policies", **_POLICIES.declared)
    def list_policies(self, call: Call) -> Any:
        return _POLICIES.page(call, call.backend.call(POLICY, "list_policies"))

    @route(
        "POST",
        "/v1/policies",
        "Make a policy, with rules or without, or of a policy of the library",
        query={"library_policy": Parameter(Text(255), "The policy of the library to make it of, by id or name.")},
        body=CREATE_BODY,
        body_optional=True,
        status=201,
        answer=CHANGED_POLICY,
        errors=(400, 404, 409),
        notes="With `library_policy` there need be no body; `name`, `description` and `abbreviation` in one go before "
        "the library's.",
    )
    def create_policy(self, call: Call) -> Any:
        library_policy = call.parameters["library_policy"]
        if library_policy is not None:
            document = _from_library(call, library_policy)
        elif isinstance(call.body, dict):
            document = dict(call.body)
        else:
            raise ApiError(400, "The request body must be an object with the name of the policy.", code=1010)
        document.pop("depends-on", None)
        return created(call, call.backend.call(POLICY, "create_policy", **document))

    @route("GET", "/v1/policies/{policy}", "Show a policy", answer=POLICY_SHAPE, errors=(404,))
    def get_policy(self, call: Call, policy: str) -> Any:
        return call.backend.call(POLICY, "get_policy", policy=policy)

    @route(
        "PUT",
        "/v1/policies/{policy}",
        "Replace the description, the abbreviation and, where given, the rules of a policy",
        body=REPLACE_BODY,
        answer=CHANGED_POLICY,
        errors=(400, 404),
        notes="Takes what `GET` answers. What the body leaves out gets its default, but rules stay.",
    )
    def replace_policy(self, call: Call, policy: str) -> Any:
        return _change(call, policy)

    @route(
        "PATCH",
        "/v1/policies/{policy}",
        "Change a policy",
        body=UPDATE_BODY,
        answer=CHANGED_POLICY,
        errors=(400, 404),
        notes="What the body leaves out stays.",
    )
    def update_policy(self, call: Call, policy: str) -> Any:
        return _change(call, policy)

    @route(
        "DELETE",
        "/v1/policies/{policy}",
        "Delete a policy and its rules",
        answer=POLICY_SHAPE,
        errors=(404,),
        notes="Answers the policy as it was.",
    )
    def delete_policy(self, call: Call, policy: str) -> Any:
        return call.backend.call(POLICY, "delete_policy", policy=policy)

    @route("GET", "/v1/policies/{policy}/status", "Show how a policy is", answer=POLICY_STATUS, errors=(404,))
    def policy_status(self, call: Call, policy: str) -> Any:
        return call.backend.call(POLICY, "policy_status", policy=policy)

    @route(
        "POST",
        "/v1/policies/{policy}",
        "Carry out an action as if the policy said so",
        action="execute",
        body=EXECUTE_BODY,
        status=204,
        errors=(400, 404),
        notes="`name` is `service:action`. The answer comes before the action has run.",
    )
    def execute(self, call: Call, policy: str) -> Any:
        call.backend.call(POLICY, "get_policy", policy=policy)
        return executed(call, policy=policy)

    @route(
        "POST",
        "/v1/policies/{policy}",
        "Tell what would hold after changes and actions",
        action="simulate",
        query=SIMULATE_QUERY,
        body=SIMULATE_BODY,
        answer=SIMULATION,
        errors=(400,),
        notes="Nothing changes, no action is carried out. Give `query`, `sequence` and `action_policy`, or `steps`.",
    )
    def simulate(self, call: Call, policy: str) -> Any:
        return call.backend.call(POLICY, "simulate", policy=policy, **call.parameters, **call.body)

    @route(
        "POST",
        "/v1/policies/{policy}",
        "Tell what a change of the rules would lead to",
        action="preview",
        body=PREVIEW_BODY,
        answer=PREVIEW,
        errors=(400, 404, 409),
        notes="Nothing changes, and no action is carried out. Rules that the policy has already stay as they are.",
    )
    def preview(self, call: Call, policy: str) -> Any:
        rules = [rule["rule"] if isinstance(rule, dict) else rule for rule in call.body["rules"]]
        return call.backend.call(POLICY, "preview", policy=policy, **{**call.body, "rules": rules})


def _change(call: Call, policy: str) -> Any:
    changes = dict(call.body)
    if any(key in changes for key in _READ_ONLY):
        changes = unchanged(changes, call.backend.call(POLICY, "get_policy", policy=policy), _READ_ONLY)
    return call.backend.call(POLICY, "update_policy", policy=policy, changes=changes)


def _from_library(call: Call, library_policy: str) -> dict[str, Any]:
    """What to make a policy of: the library's document, and over it what the request says."""
    document: dict[str, Any] = call.backend.call(LIBRARY, "get_library_policy", library_policy=library_policy)
    given = call.body if isinstance(call.body, dict) else {}
    if "rules" in given:
        raise ApiError(400, "The rules come from the library policy; the request cannot have its own.")
    given = {key: value for key, value in given.items() if value is not None}
    if "name" in given and "abbreviation" not in given:
        document["abbreviation"] = None  # it follows the name
    return {key: value for key, value in {**document, **given}.items() if key != "id"}
