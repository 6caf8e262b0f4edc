# SPDX-License-Identifier: Apache-2.0
"""Executions, the sets in which they wait, guards and breakers."""

from typing import Final

from congress.api.answers.common import (
    ANYTHING,
    ARGUMENTS,
    INTEGER,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    NUMBER,
    ROW,
    TEXT,
    TEXTS,
)
from congress.api.answers.policies import PROOF
from congress.api.shapes import Between, ListOf, MapOf, Member, Nullable, Object, Plain, Shape, Words
from congress.executions.breaker import BreakerState
from congress.executions.settings import Caps, Mode, PolicyGuard, ServiceGuard, Setting, settings_of
from congress.executions.states import Reason, State, Trigger

_STATE: Final = Words(tuple(State))
_REASON: Final = Words(tuple(Reason), nullable=True)
_AT: Final = "in seconds since 1970"

EXECUTION: Final = Object(
    "Execution",
    "One action that was asked for and what has become of it.",
    {
        "id": Member(TEXT, "Its id."),
        "service": Member(TEXT, "The service that is to act."),
        "action": Member(TEXT, "The action."),
        "args": Member(ARGUMENTS, "Its arguments."),
        "policy": Member(TEXT, "The policy that asks for it; empty where none has to do with it."),
        "table": Member(TEXT, "The table whose row asks for it; empty where a person does."),
        "row": Member(ROW, "That row."),
        "rules": Member(TEXTS, "The ids of the rules that make that row."),
        "proof": Member(Nullable(PROOF), "Why that row was there."),
        "requested_by": Member(TEXT, "The person who asked for it."),
        "cause": Member(TEXT, "What made the row true: `rows`, `rules`, `time`, `schema`, `start`, or `request`."),
        "ids": Member(MapOf(TEXT), "The poll, request and the like that were in force then."),
        "sources": Member(TEXTS, "The tables of services that the row depends on."),
        "digest": Member(TEXT, "The same digest is the same action with the same arguments for the same policy."),
        "set": Member(MAYBE_TEXT, "The set in which it was held or proposed."),
        "state": Member(_STATE, "What is to become of it, or became of it."),
        "reason": Member(_REASON, "Why it is in this state, where that needs one."),
        "detail": Member(TEXT, "More about that, for people."),
        "trigger": Member(Words(tuple(Trigger)), "What is known of the row that asks for it."),
        "attempts": Member(INTEGER, "How often it was tried."),
        "not_before": Member(MAYBE_NUMBER, f"The next attempt is not before this moment, {_AT}."),
        "deadline": Member(MAYBE_NUMBER, f"It is not begun after this moment, {_AT}."),
        "approved_at": Member(MAYBE_NUMBER, f"When it was approved, {_AT}."),
        "approved_by": Member(TEXT, "By whom, as the trail names them."),
        "created_at": Member(NUMBER, f"When it was asked for, {_AT}."),
        "updated_at": Member(NUMBER, f"When it last changed, {_AT}."),
        "started_at": Member(MAYBE_NUMBER, f"When the last attempt began, {_AT}."),
        "finished_at": Member(MAYBE_NUMBER, f"When it was over, {_AT}."),
        "result": Member(ANYTHING, "What the service gave."),
        "error": Member(MAYBE_TEXT, "What went wrong."),
    },
)
EVENT: Final = Object(
    "ExecutionEvent",
    "One line of an execution's trail.",
    {
        "number": Member(INTEGER, "Its number, from 1."),
        "at": Member(NUMBER, f"When, {_AT}."),
        "before": Member(Words(tuple(State), nullable=True), "The state before; null in the first."),
        "after": Member(_STATE, "The state after."),
        "who": Member(TEXT, "A person as `user NAME`, `policy NAME`, `guard`, `ledger` or `the service`."),
        "reason": Member(_REASON, "Why."),
        "detail": Member(TEXT, "More about that, for people."),
    },
)
TRAILED: Final = EXECUTION.with_(
    "ExecutionWithTrail",
    "An execution with all that has happened to it.",
    trail=Member(ListOf(EVENT), "What happened, oldest first."),
)
SET: Final = Object(
    "ExecutionSet",
    "Executions that wait for one decision of a person.",
    {
        "id": Member(TEXT, "Its id."),
        "reason": Member(Words(tuple(Reason)), "Why they wait."),
        "policies": Member(TEXTS, "The policies that ask."),
        "services": Member(TEXTS, "The services that are to act."),
        "actions": Member(TEXTS, "The actions, as `service:action`."),
        "digest": Member(TEXT, "What an approval names: it is of exactly these executions."),
        "size": Member(INTEGER, "How many they are."),
        "detail": Member(TEXT, "More about the reason, for people."),
        "created_at": Member(NUMBER, f"When the oldest was asked for, {_AT}."),
    },
)
WHOLE_SET: Final = SET.with_(
    "ExecutionSetWithExecutions",
    "A set with its executions.",
    executions=Member(ListOf(EXECUTION), "The executions."),
)
DRY_RUN: Final = Object(
    "DryRun",
    "An action that a row asks for now, and what the guard would say.",
    {
        **{key: EXECUTION.members[key] for key in ("service", "action", "args", "policy", "table", "row", "rules")},
        "proof": EXECUTION.members["proof"],
        "verdict": Member(TEXT, "`known` for one that was acted on already, else the state that it would come to."),
        "reason": Member(_REASON, "Why."),
        "detail": Member(TEXT, "More about that, for people."),
        "execution": Member(MAYBE_TEXT, "The execution of one that is known."),
    },
)
BREAKER: Final = Object(
    "Breaker",
    "The circuit breaker of a service.",
    {
        "id": Member(TEXT, "The service."),
        "service": Member(TEXT, "The service."),
        "state": Member(Words(tuple(BreakerState)), "Whether anything is let through to it."),
        "failures": Member(INTEGER, "How many attempts in a row have found it in trouble."),
        "since": Member(MAYBE_NUMBER, f"Since when it is open, {_AT}."),
        "until": Member(MAYBE_NUMBER, f"Until when, {_AT}; null while a person is to close it."),
        "by": Member(TEXT, "The person who opened it; empty where failures did."),
        "detail": Member(TEXT, "Why."),
    },
)


def _setting(setting: Setting) -> Shape:
    if setting.kind is Mode:
        return Words(tuple(Mode))
    nullable = bool(setting.null)
    if setting.kind is bool:
        return Plain("boolean", "null") if nullable else Plain("boolean")
    return Between("integer" if setting.kind is int else "number", setting.low, setting.high, nullable)


def _settings(name: str, description: str, kind: type[Caps], *, optional: bool = False) -> Object:
    members = {key: Member(_setting(one), one.meaning, optional) for key, one in settings_of(kind).items()}
    return Object(name, description, members, closed=optional)


POLICY_SETTINGS: Final = _settings("PolicyGuardSettings", "All that holds for a policy's actions.", PolicyGuard)
SERVICE_SETTINGS: Final = _settings("ServiceGuardSettings", "All that holds for a service's actions.", ServiceGuard)
POLICY_OVERRIDE: Final = _settings(
    "PolicyGuardOverride", "What a policy has instead of the defaults.", PolicyGuard, optional=True
)
SERVICE_OVERRIDE: Final = _settings(
    "ServiceGuardOverride", "What a service has instead of the defaults.", ServiceGuard, optional=True
)


def _guard(name: str, kind: str, settings: Object, own: Object) -> Object:
    return Object(
        name,
        f"What keeps the actions of a {kind} from doing harm.",
        {
            "id": Member(TEXT, "Its name in lists."),
            "kind": Member(Words((kind,)), "Whose guard it is."),
            "name": Member(TEXT, f"The {kind}."),
            "settings": Member(settings, "All settings that hold for it."),
            "own": Member(own, "Those of them that are its own, not the defaults."),
        },
    )


def _guard_body(name: str, own: Object) -> Object:
    fixed = {key: Member(TEXT, "As it is: it cannot be changed.", optional=True) for key in ("id", "kind", "name")}
    shown = Member(MapOf(ANYTHING), "As they are: they follow from `own` and the defaults.", optional=True)
    given = Member(own, "All settings that are not the defaults, where they do not stand beside it.", optional=True)
    members = {**own.members, **fixed, "settings": shown, "own": given}
    return Object(name, "The settings that are not the defaults: as they are, or in `own`.", members, closed=True)


POLICY_GUARD: Final = _guard("PolicyGuard", "policy", POLICY_SETTINGS, POLICY_OVERRIDE)
SERVICE_GUARD: Final = _guard("ServiceGuard", "service", SERVICE_SETTINGS, SERVICE_OVERRIDE)
POLICY_GUARD_BODY: Final = _guard_body("PolicyGuardReplace", POLICY_OVERRIDE)
SERVICE_GUARD_BODY: Final = _guard_body("ServiceGuardReplace", SERVICE_OVERRIDE)
GUARD: Final = Object(
    "Guard",
    "The guard of a policy or a service.",
    {
        "id": Member(TEXT, "Its name in lists."),
        "kind": Member(Words(("policy", "service")), "Whose guard it is."),
        "name": Member(TEXT, "The policy or service."),
        "settings": Member(MapOf(ANYTHING), "All settings that hold for it."),
        "own": Member(MapOf(ANYTHING), "Those of them that are its own, not the defaults."),
    },
)
