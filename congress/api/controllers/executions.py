# SPDX-License-Identifier: Apache-2.0
"""Asking for actions, by the two body forms that clients have, and what became of them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import webob

from congress.api.answers.executions import EXECUTION, SET, TRAILED, WHOLE_SET
from congress.api.auth.names import Access
from congress.api.call import Call
from congress.api.encoding import NDJSON
from congress.api.errors import ApiError, failure_of
from congress.api.names import LEDGER, POLICY
from congress.api.paging import Listing, lines_of, ndjson_response, next_link
from congress.api.routing import route
from congress.api.schema import Anything, Choice, Either, Fields, Key, Listed, Mapped, Moment, Number, Parameter, Text
from congress.datalog.values import NotAValue, Value, encode
from congress.executions.states import Reason, State

EXECUTE_BODY: Final = Fields(
    {
        "name": Key(
            Text(510, shortest=1), "The action: `service:action` at a policy, `action` at a service.", required=True
        ),
        "args": Key(
            Either(
                {
                    list: Listed(),
                    dict: Fields(
                        {
                            "positional": Key(Listed(), "Positional arguments.", default=()),
                            "named": Key(Mapped(nullable=True), "Named arguments.", default=None),
                        }
                    ),
                    type(None): Mapped(nullable=True),
                }
            ),
            "Positional arguments as a list, or both kinds as an object.",
            default=None,
        ),
        "options": Key(
            Mapped(nullable=True), "Named arguments, beside a list of positional ones in `args`.", default=None
        ),
    },
    name="ExecuteRequest",
)


def arguments_of(body: Mapping[str, Any]) -> tuple[list[Value], dict[str, Value]]:
    """Positional and named arguments from either form of body.

    :raises ApiError: 400/1018 when one is a list or an object, which no row value can be, or given twice.
    """
    given, options = body["args"], dict(body["options"] or {})
    if isinstance(given, dict):
        positional, named = given["positional"], dict(given["named"] or {})
        if options:
            raise ApiError(400, "Named arguments stand in `args.named` or in `options`, not in both.", code=1018)
    else:
        positional, named = given or [], options
    try:
        return [_argument(value) for value in positional], {name: _argument(value) for name, value in named.items()}
    except NotAValue as error:
        raise ApiError(400, f"An argument of an action is not usable: {error}", code=1018) from error


def _argument(value: object) -> Any:
    # Structures go to arguments declared as JSON; the driver refuses them for any other.
    return value if isinstance(value, list | dict) else encode(value)


def split_action(name: str) -> tuple[str, str]:
    """``("nova", "servers.pause")`` from ``"nova:servers.pause"``.

    :raises ApiError: 400/1017 for no or several colons, or nothing on a side.
    """
    service, colon, action = name.partition(":")
    if not (service and colon and action) or ":" in action:
        raise ApiError(400, f"The action must be named service:action, not {name!r:.100}.", code=1017)
    return service, action


def executed(call: Call, *, policy: str = "", service: str = "") -> webob.Response:
    """Have an action written into the ledger and answer 204, with the address of the execution.

    The answer comes when the ledger has it, and before it is done.
    """
    name = f"{service}:{call.body['name']}" if service else call.body["name"]
    split_action(name)
    positional, named = arguments_of(call.body)
    given: dict[str, Any] = {"name": name, "positional": positional, "named": named}
    policy = call.backend.call(POLICY, "check_action", policy=policy, **given)
    ids = {"request_id": call.request_id}
    execution = call.backend.call(LEDGER, "request", policy=policy, user=call.user.who, ids=ids, **given)
    response = webob.Response(status=204, content_type=None)
    response.headers["Location"] = f"{call.root_url}/v1/executions/{execution}"
    return response


_ONE: Final = "/v1/executions/{execution}"
_MOST: Final = 1000
_DEFAULT: Final = 100
_NAME: Final = Text(510, shortest=1)
_SEVERAL: Final = ", separated by commas or given several times."
_FILTERS: Final = {
    "state": Parameter(Text(200), f"Only those in one of these states{_SEVERAL}", repeated=True),
    "reason": Parameter(Text(400), f"Only those with one of these reasons{_SEVERAL}", repeated=True),
    "policy": Parameter(Text(510), "Only those of a policy, by its name; an empty one: those of none."),
    "service": Parameter(_NAME, "Only those at a service, by its name."),
    "action": Parameter(_NAME, "Only those of an action, without its service."),
    "set": Parameter(_NAME, "Only those of a set."),
    "digest": Parameter(_NAME, "Only those with this digest: the same action for the same policy."),
    "since": Parameter(Moment(), "Only those asked for at or after this moment, in seconds since 1970."),
    "until": Parameter(Moment(), "Only those asked for before this moment, in seconds since 1970."),
}
_EXECUTIONS: Final = Listing(
    EXECUTION,
    more={
        **_FILTERS,
        "limit": Parameter(Number(1, _MOST), "At most so many; more are under the link `next`.", default=_DEFAULT),
        "marker": Parameter(Text(100), "Only those after this one: the `id` of the last of the page before."),
    },
    sorts=("created_at",),
    filtered=False,
)
_DETAIL: Final = Key(Text(2000, nullable=True), "Why, for the trail.", default=None)
_WHY_BODY: Final = Fields({"detail": _DETAIL}, name="DecisionRequest")
_OUTCOME: Final = Key(Choice(("succeeded", "failed")), "What became of it.", required=True)
_SETTLE_BODY: Final = Fields({"outcome": _OUTCOME, "detail": _DETAIL}, name="SettleRequest")
_COMPLETE_BODY: Final = Fields(
    {
        "token": Key(Text(200, shortest=1), "The token that the service got with the action.", required=True),
        "outcome": _OUTCOME,
        "result": Key(Anything(), "What it gave.", default=None),
        "error": Key(Text(10_000, nullable=True), "What went wrong.", default=None),
    },
    name="CompleteRequest",
)


def _filters(call: Call) -> dict[str, Any]:
    """The filters of a call, as the ledger has them.

    :raises ApiError: 400 for a state or reason that there is not.
    """
    given = {name: call.parameters[name] for name in _FILTERS if call.parameters[name] not in (None, [])}
    found = {{"set": "set_id"}.get(name, name): value for name, value in given.items()}
    for name, plural, kind in (("state", "states", State), ("reason", "reasons", Reason)):
        if name in found:
            words = [word.strip() for given in found.pop(name) for word in given.split(",")]
            unknown = [word for word in words if word not in list(kind)]
            if unknown:
                raise ApiError(400, f"There is no {name} {unknown[0]!r:.60}; there are {', '.join(kind)}.")
            found[plural] = words
    return found


class ExecutionsController:
    """``/v1/executions``: what was asked to be done and what became of it, newest first."""

    @route(
        "GET",
        "/v1/executions",
        "List executions, newest first",
        **_EXECUTIONS.declared,
        notes="With `sort=created_at` the oldest come first. The ledger keeps many, so it sorts and finds them only by "
        "what is named here; `state` and `reason` take several values, the others one.",
    )
    def list_executions(self, call: Call) -> Any:
        limit, after = call.parameters["limit"], call.parameters["marker"]
        asked: dict[str, Any] = {"filters": _filters(call), "limit": limit + 1, "after": after}
        if any(not down for _, down in _EXECUTIONS.order(call)):
            asked["oldest_first"] = True
        try:
            found = call.backend.call(LEDGER, "list_executions", **asked)
        except Exception as error:
            if after is None or failure_of(error).status != 404:
                raise
            raise ApiError(400, f"The marker {after!r:.100} is no entry of this list.") from error
        more = next_link(call, found[limit - 1]["id"]) if len(found) > limit else {}
        return _EXECUTIONS.given(call, found[:limit], more)

    @route(
        "GET",
        "/v1/executions/export",
        "Give executions with their trails as JSON Lines, newest first",
        query=_FILTERS,
        others={NDJSON: TRAILED},
        rule="congress:executions:list",
    )
    def export(self, call: Call) -> Any:
        filters = _filters(call)

        def pages() -> Iterator[list[dict[str, Any]]]:
            after = None
            while page := call.backend.call(LEDGER, "export", filters=filters, after=after):
                yield page
                after = page[-1]["id"]

        return ndjson_response(lines_of(pages()), {})

    @route("GET", _ONE, "Show an execution with its trail", answer=TRAILED, errors=(404,))
    def get_execution(self, call: Call, execution: str) -> Any:
        return call.backend.call(LEDGER, "get_execution", execution=execution)

    @route(
        "POST",
        _ONE,
        "Have an execution not be done",
        action="cancel",
        body=_WHY_BODY,
        body_optional=True,
        answer=EXECUTION,
        errors=(404, 409),
        notes="One that is with its service cannot be called back: 409.",
    )
    def cancel(self, call: Call, execution: str) -> Any:
        why = (call.body or {}).get("detail") or ""
        return call.backend.call(LEDGER, "cancel", execution=execution, user=call.user.who, detail=why)

    @route(
        "POST",
        _ONE,
        "Have an execution that failed, was cancelled or is in doubt done again",
        action="retry",
        body=_WHY_BODY,
        body_optional=True,
        answer=EXECUTION,
        errors=(404, 409),
        notes="The guard decides about it as about a new one.",
    )
    def retry(self, call: Call, execution: str) -> Any:
        why = (call.body or {}).get("detail") or ""
        return call.backend.call(LEDGER, "retry", execution=execution, user=call.user.who, detail=why)

    @route(
        "POST",
        _ONE,
        "Tell what became of an execution whose outcome is unknown",
        action="settle",
        body=_SETTLE_BODY,
        answer=EXECUTION,
        errors=(404, 409),
    )
    def settle(self, call: Call, execution: str) -> Any:
        told = {"outcome": call.body["outcome"], "detail": call.body["detail"] or ""}
        return call.backend.call(LEDGER, "settle", execution=execution, user=call.user.who, **told)

    @route(
        "POST",
        _ONE,
        "Tell what became of an execution that its service had accepted",
        action="complete",
        body=_COMPLETE_BODY,
        answer=EXECUTION,
        access=Access.OPEN,
        errors=(403, 404),
        notes="For the service: its one-time token is all that it has to show.",
    )
    def complete(self, call: Call, execution: str) -> Any:
        return call.backend.call(LEDGER, "complete", execution=execution, **call.body)


_SET: Final = "/v1/execution-sets/{set}"
_SETS: Final = Listing(SET)
_APPROVE_BODY: Final = Fields(
    {"digest": Key(Text(64, shortest=1), "The digest of the set as it was looked at.", required=True)},
    name="ApproveRequest",
)


class ExecutionSetsController:
    """``/v1/execution-sets``: executions that wait together for a person's word."""

    @route(
        "GET",
        "/v1/execution-sets",
        "List the sets of executions that wait for a decision",
        **_SETS.declared,
    )
    def list_sets(self, call: Call) -> Any:
        return _SETS.page(call, call.backend.call(LEDGER, "list_sets"))

    @route("GET", _SET, "Show a set", answer=WHOLE_SET, errors=(404,))
    def get_set(self, call: Call, set: str) -> Any:  # the name in the path
        return call.backend.call(LEDGER, "get_set", set_id=set)

    @route(
        "POST",
        _SET,
        "Let exactly this set go",
        action="approve",
        body=_APPROVE_BODY,
        answer=SET,
        errors=(404, 409),
        notes="When the set has another digest by now, nothing happens: 409 with the present one.",
    )
    def approve(self, call: Call, set: str) -> Any:
        return call.backend.call(LEDGER, "approve", set_id=set, digest=call.body["digest"], user=call.user.who)

    @route(
        "POST",
        _SET,
        "Have nothing of this set be done",
        action="reject",
        body=_WHY_BODY,
        body_optional=True,
        answer=SET,
        errors=(404,),
    )
    def reject(self, call: Call, set: str) -> Any:
        why = (call.body or {}).get("detail") or ""
        return call.backend.call(LEDGER, "reject", set_id=set, user=call.user.who, detail=why)
