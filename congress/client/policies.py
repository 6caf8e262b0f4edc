# SPDX-License-Identifier: Apache-2.0
"""Policies and their rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from congress.client.models import Answer, Policy, PolicyStatus, Preview, Rule, RuleStatus, Simulation
from congress.client.transport import Transport, path_of

RuleLike = str | Mapping[str, Any] | Rule
"""A rule's text; or ``{"rule": text, "name": ..., "comment": ...}``; or one that another policy has."""


def rule_body(rule: RuleLike) -> dict[str, Any]:
    """A rule as the API takes it."""
    if isinstance(rule, str):
        return {"rule": rule}
    if isinstance(rule, Rule):
        rule = {"rule": rule.rule, "name": rule.name, "comment": rule.comment}
    return {key: value for key, value in rule.items() if key in ("rule", "name", "comment") and value is not None}


class Policies:
    """``cloud.policies``.  A policy is named by its name or its id everywhere.

    ::

        cloud.policies.create("care", rules=["error(s) :- inventory:servers(id=s, owner=null)"])
        for policy in cloud.policies.list():
            print(policy.name, policy.description)
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, **query: Any) -> Iterator[Policy]:
        """Policies, oldest first.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``kind="action"``.
        """
        return self._transport.listed("/v1/policies", Policy.of, query)

    def get(self, policy: str) -> Policy:
        """One policy.

        :raises NotFound: there is none such.
        """
        return Policy.of(self._transport.get(path_of("policies", policy)))

    def create(
        self,
        name: str = "",
        *,
        description: str | None = None,
        kind: str = "",
        abbreviation: str = "",
        rules: Iterable[RuleLike] = (),
        library_policy: str = "",
    ) -> Policy:
        """Make a policy, with all of these rules or not at all.

        :param kind: ``nonrecursive`` by default; ``action`` policies describe actions, for simulation.
        :param library_policy: a policy of the library to make it from; then nothing else is needed, and what else is
            given goes before what the library says.  The rules are the library's.
        :raises InvalidRule: a rule is wrong; ``diagnostics`` has every finding in all of them.
        :raises Conflict: a policy or a service has the name.
        """
        texts = {"name": name, "kind": kind, "abbreviation": abbreviation, "rules": [rule_body(rule) for rule in rules]}
        body: dict[str, Any] = {key: value for key, value in texts.items() if value}
        if description is not None:
            body["description"] = description
        query = {"library_policy": library_policy} if library_policy else None
        return Policy.of(self._transport.post("/v1/policies", body, query))

    def update(
        self,
        policy: str,
        *,
        description: str | None = None,
        abbreviation: str | None = None,
        rules: Iterable[RuleLike] | None = None,
    ) -> Policy:
        """Change what is given, all of it or nothing.

        :param rules: the rules that take the place of all it has; those that stay the same keep their ids.
        """
        body: dict[str, Any] = {"description": description, "abbreviation": abbreviation}
        if rules is not None:
            body["rules"] = [rule_body(rule) for rule in rules]
        changes = {key: value for key, value in body.items() if value is not None}
        return Policy.of(self._transport.request("PATCH", path_of("policies", policy), changes))

    def delete(self, policy: str) -> Policy:
        """Delete a policy and its rules.

        :returns: the policy as it was.
        """
        return Policy.of(self._transport.request("DELETE", path_of("policies", policy)))

    def status(self, policy: str) -> PolicyStatus:
        """How a policy is: its rules by state, its tables by size, the actions it wants."""
        return PolicyStatus.of(self._transport.get(path_of("policies", policy, "status")))

    def query(self, policy: str, query: str) -> Answer:
        """Answer an atom (``error(x)``) or a rule (``q(x) :- error(x), x > 3``) in a policy's terms, now."""
        return Answer.of(self._act(policy, "query", {"query": query}))

    def simulate(
        self,
        policy: str,
        query: str | Mapping[str, Any] | None = None,
        *,
        steps: Sequence[Mapping[str, Any]] | None = None,
        sequence: str | None = None,
        action_policy: str | None = None,
        delta: bool = False,
        trace: bool = False,
    ) -> Simulation:
        """Tell what would hold after some steps.  Nothing changes, and no action is carried out.

        :param query: ``low(x)``, a rule, or ``{"table": "low", "where": {column: value}}``.
        :param steps: ``{"insert": {table: rows}}``, ``{"delete": {table: rows}}``, ``{"add_rule": text}``,
            ``{"remove_rule": id, name or text}``, ``{"action": {"name", "args", "options"}}``.
        :param sequence: the steps in the language of OpenStack Congress, instead of ``steps``.
        :param action_policy: the policy that describes actions; with ``steps``, ``action`` by default.
        :param delta: only what changes in the answers.
        :param trace: with a text that tells what each step changed.
        :raises InvalidRequest: a step is wrong; the message says which.
        """
        given = {"query": query, "steps": steps, "sequence": sequence, "action_policy": action_policy}
        body = {key: value for key, value in given.items() if value is not None}
        return Simulation.of(self._act(policy, "simulate", body, delta=delta, trace=trace))

    def preview(
        self,
        policy: str,
        rules: Iterable[RuleLike] = (),
        *,
        remove: Iterable[str] = (),
        replace: bool = False,
        kind: str = "",
    ) -> Preview:
        """Tell what a change of the rules would lead to, on the live data.  Nothing changes.

        :param rules: those to come.
        :param remove: ids, names or texts of those to go.
        :param replace: whether all other rules of the policy go.
        :param kind: of a policy that is not there yet.
        """
        body: dict[str, Any] = {
            "rules": [rule_body(rule) for rule in rules],
            "remove": list(remove),
            "replace": replace,
        }
        return Preview.of(self._act(policy, "preview", body | ({"kind": kind} if kind else {})))

    def _act(self, policy: str, action: str, body: Mapping[str, Any], **query: bool) -> Any:
        flags = {name: value for name, value in query.items() if value}
        return self._transport.post(path_of("policies", policy), body, {"action": action, **flags})


class Rules:
    """``cloud.rules``.  A rule is named by its id, or by its name where only one rule of the policy has it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, policy: str, **query: Any) -> Iterator[Rule]:
        """The rules of a policy, oldest first.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``name="low"``.
        """
        return self._transport.listed(path_of("policies", policy, "rules"), Rule.of, query)

    def get(self, policy: str, rule: str) -> Rule:
        """One rule.

        :raises NotFound: there is none such.
        """
        return Rule.of(self._transport.get(path_of("policies", policy, "rules", rule)))

    def create(self, policy: str, rule: str, *, name: str = "", comment: str = "") -> Rule:
        """Add a rule or a fact to a policy; it is in force when this returns.

        :raises InvalidRule: it is wrong; ``diagnostics`` says where and why.
        :raises Conflict: the policy has it already.
        """
        body = {"rule": rule, **{key: value for key, value in (("name", name), ("comment", comment)) if value}}
        return Rule.of(self._transport.post(path_of("policies", policy, "rules"), body))

    def update(
        self, policy: str, rule: str, *, text: str | None = None, name: str | None = None, comment: str | None = None
    ) -> Rule:
        """Change a rule's text, name or comment; what is not given stays."""
        given = {"rule": text, "name": name, "comment": comment}
        body = {key: value for key, value in given.items() if value is not None}
        return Rule.of(self._transport.request("PATCH", path_of("policies", policy, "rules", rule), body))

    def delete(self, policy: str, rule: str) -> Rule:
        """Delete a rule.

        :returns: the rule as it was.
        """
        return Rule.of(self._transport.request("DELETE", path_of("policies", policy, "rules", rule)))

    def status(self, policy: str, rule: str) -> RuleStatus:
        """Whether a rule is in force, and what is wrong with it if not."""
        return RuleStatus.of(self._transport.get(path_of("policies", policy, "rules", rule, "status")))
