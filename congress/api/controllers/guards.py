# SPDX-License-Identifier: Apache-2.0
"""What keeps actions from doing harm: the guards of policies and services, breakers, and a look ahead."""

from typing import Any, Final

from congress.api.answers.common import results
from congress.api.answers.executions import (
    BREAKER,
    DRY_RUN,
    GUARD,
    POLICY_GUARD,
    POLICY_GUARD_BODY,
    SERVICE_GUARD,
    SERVICE_GUARD_BODY,
)
from congress.api.call import Call
from congress.api.controllers.policies import unchanged
from congress.api.controllers.services import name_of
from congress.api.errors import ApiError
from congress.api.names import LEDGER, POLICY
from congress.api.paging import Listing
from congress.api.routing import route
from congress.api.schema import Fields, Key, Mapped, Text, Told

_GUARDS: Final = Listing(GUARD)
_BREAKERS: Final = Listing(BREAKER)
_OF_POLICY: Final = "/v1/policies/{policy}/guard"
_OF_SERVICE: Final = "/v1/cloud-services/{service}/guard"
_ALIASES: Final = ("/v1/data-sources/{service}/guard",)
_POLICY_BODY: Final = Told(Mapped(), POLICY_GUARD_BODY)
_SERVICE_BODY: Final = Told(Mapped(), SERVICE_GUARD_BODY)
_NOTES: Final = (
    "The settings stand in the guard reference; they are given as they are, or under `own` as they are shown. "
    "What is held or proposed is decided about anew."
)
_READ_ONLY: Final = ("id", "kind", "name", "settings")
_BREAKER: Final = "/v1/breakers/{service}"
_WHY: Final = Fields({"detail": Key(Text(2000, nullable=True), "Why.", default=None)}, name="BreakerRequest")


class GuardsController:
    """The guards of policies and services."""

    @route(
        "GET",
        "/v1/guards",
        "List the guards that have settings of their own",
        **_GUARDS.declared,
    )
    def list_guards(self, call: Call) -> Any:
        return _GUARDS.page(call, call.backend.call(LEDGER, "list_guards"))

    @route("GET", _OF_POLICY, "Show the guard of a policy", answer=POLICY_GUARD, errors=(404,))
    def get_of_policy(self, call: Call, policy: str) -> Any:
        return call.backend.call(LEDGER, "get_guard", kind="policy", name=_policy(call, policy))

    @route(
        "PUT",
        _OF_POLICY,
        "Set the guard of a policy",
        body=_POLICY_BODY,
        answer=POLICY_GUARD,
        errors=(400, 404),
        notes=_NOTES,
    )
    def put_of_policy(self, call: Call, policy: str) -> Any:
        return _put(call, "policy", _policy(call, policy), False)

    @route(
        "PATCH",
        _OF_POLICY,
        "Change some settings of a policy's guard",
        body=_POLICY_BODY,
        answer=POLICY_GUARD,
        errors=(400, 404),
    )
    def patch_of_policy(self, call: Call, policy: str) -> Any:
        return _put(call, "policy", _policy(call, policy), True)

    @route("DELETE", _OF_POLICY, "Have a policy go by the default settings", answer=POLICY_GUARD, errors=(404,))
    def delete_of_policy(self, call: Call, policy: str) -> Any:
        return call.backend.call(LEDGER, "delete_guard", kind="policy", name=_policy(call, policy))

    @route("GET", _OF_SERVICE, "Show the guard of a service", aliases=_ALIASES, answer=SERVICE_GUARD, errors=(404,))
    def get_of_service(self, call: Call, service: str) -> Any:
        return call.backend.call(LEDGER, "get_guard", kind="service", name=name_of(call, service))

    @route(
        "PUT",
        _OF_SERVICE,
        "Set the guard of a service",
        aliases=_ALIASES,
        body=_SERVICE_BODY,
        answer=SERVICE_GUARD,
        errors=(400, 404),
        notes=_NOTES,
    )
    def put_of_service(self, call: Call, service: str) -> Any:
        return _put(call, "service", name_of(call, service), False)

    @route(
        "PATCH",
        _OF_SERVICE,
        "Change some settings of a service's guard",
        aliases=_ALIASES,
        body=_SERVICE_BODY,
        answer=SERVICE_GUARD,
        errors=(400, 404),
    )
    def patch_of_service(self, call: Call, service: str) -> Any:
        return _put(call, "service", name_of(call, service), True)

    @route(
        "DELETE",
        _OF_SERVICE,
        "Have a service go by the default settings",
        aliases=_ALIASES,
        answer=SERVICE_GUARD,
        errors=(404,),
    )
    def delete_of_service(self, call: Call, service: str) -> Any:
        return call.backend.call(LEDGER, "delete_guard", kind="service", name=name_of(call, service))

    @route(
        "POST",
        "/v1/policies/{policy}",
        "Tell which actions a policy wants now, and what the guard would say to each",
        action="dry-run",
        answer=results(DRY_RUN, links=False),
        rule="congress:policies:dry-run",
        access="reader",
        errors=(404,),
        notes="Nothing happens. `verdict` is `known` for rows that were acted on already, else approved, proposed, "
        "held or cancelled.",
    )
    def dry_run(self, call: Call, policy: str) -> Any:
        wanted = call.backend.call(POLICY, "actions_wanted", policy=policy)
        return {"results": call.backend.call(LEDGER, "dry_run", wanted=wanted)}


class BreakersController:
    """``/v1/breakers``: the circuit breakers of services."""

    @route(
        "GET",
        "/v1/breakers",
        "List the breakers that are not closed or have counted trouble",
        **_BREAKERS.declared,
    )
    def list_breakers(self, call: Call) -> Any:
        return _BREAKERS.page(call, call.backend.call(LEDGER, "list_breakers"))

    @route("GET", _BREAKER, "Show the breaker of a service", answer=BREAKER, errors=(404,))
    def get_breaker(self, call: Call, service: str) -> Any:
        return call.backend.call(LEDGER, "get_breaker", service=name_of(call, service))

    @route(
        "POST",
        _BREAKER,
        "Let nothing through to a service until somebody closes its breaker",
        action="open",
        body=_WHY,
        body_optional=True,
        answer=BREAKER,
        errors=(404,),
    )
    def open_breaker(self, call: Call, service: str) -> Any:
        return _set_breaker(call, service, "open")

    @route(
        "POST",
        _BREAKER,
        "Let everything through to a service again",
        action="close",
        body=_WHY,
        body_optional=True,
        answer=BREAKER,
        errors=(404,),
    )
    def close_breaker(self, call: Call, service: str) -> Any:
        return _set_breaker(call, service, "closed")


def _policy(call: Call, policy: str) -> str:
    return str(call.backend.call(POLICY, "get_policy", policy=policy)["name"])


def _put(call: Call, kind: str, name: str, merge: bool) -> Any:
    settings = _own_settings(call, kind, name)
    return call.backend.call(LEDGER, "put_guard", kind=kind, name=name, settings=settings, merge=merge)


def _own_settings(call: Call, kind: str, name: str) -> dict[str, Any]:
    """The settings in a body: of themselves, or as a guard is shown.

    :raises ApiError: 400 for what is of another guard, or given in both forms.
    """
    if not call.body.keys() & {*_READ_ONLY, "own"}:
        return dict(call.body)
    current = call.backend.call(LEDGER, "get_guard", kind=kind, name=name)
    if call.body.get("settings", current["settings"]) != current["settings"]:
        message = "settings are shown, not set: what is to be other than the defaults stands in own."
        raise ApiError(400, message, data={"place": "settings"})
    given = unchanged(call.body, current, _READ_ONLY)
    own = given.pop("own", None)
    if own is None:
        return given
    if given or not isinstance(own, dict):
        message = "own must be an object, and settings stand in it or beside it, not both."
        raise ApiError(400, message, data={"place": "own"})
    return own


def _set_breaker(call: Call, service: str, state: str) -> Any:
    why = (call.body or {}).get("detail") or ""
    name = name_of(call, service)
    return call.backend.call(LEDGER, "set_breaker", service=name, state=state, user=call.user.who, detail=why)
