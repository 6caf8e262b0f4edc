# SPDX-License-Identifier: Apache-2.0
"""What the ledger keeps: executions and their trail.  Times are seconds since 1970."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Final, Self

from congress.bus.codec import portable
from congress.datalog.values import Bool, Row, Value, decode
from congress.db.records import new_id
from congress.executions.masks import MASK, Mask
from congress.executions.states import Reason, State, Trigger, check

SOMEBODY: Final = "somebody"
"""A person where nobody has to say who they are."""


@portable
@dataclass(frozen=True, slots=True)
class Call:
    """One action of one service with its own arguments.

    An argument is a value, or for a parameter that takes JSON a list or a mapping.  ``secret`` has the names of
    arguments that nobody may see, and the places of such positional ones as ``"0"``, ``"1"``.  ``readable`` is false
    for one from the database whose secrets no key opens: it has ``***`` in their place and must not be carried out.
    """

    service: str
    action: str
    positional: tuple[Value, ...] = field(default=(), repr=False)  # a log shows no secret
    named: Mapping[str, Value] = field(default_factory=dict, repr=False)
    secret: frozenset[str] = frozenset()
    readable: bool = True

    @property
    def name(self) -> str:
        return f"{self.service}:{self.action}"

    def secrets(self) -> list[Any]:
        """The arguments that nobody may see."""
        if not self.secret:
            return []
        positional = [value for place, value in enumerate(self.positional) if str(place) in self.secret]
        return positional + [value for name, value in self.named.items() if name in self.secret]

    def shown(self) -> dict[str, Any]:
        """``positional`` and ``named`` as plain JSON types, secrets masked."""
        return {
            "positional": [
                MASK if str(place) in self.secret else plain(value) for place, value in enumerate(self.positional)
            ],
            "named": {name: MASK if name in self.secret else plain(value) for name, value in self.named.items()},
        }


@portable
@dataclass(frozen=True, slots=True)
class Origin:
    """Who wants it and why.

    ``policy`` is empty when no policy has to do with it, ``table`` and ``row`` when no row asks for it (a person does:
    ``requested_by``).  ``rules`` are ids, ``proof`` what the engine says to why, bounded in size, or None.  ``cause``
    is what made the row true: rows, rules, time, schema, start or request; ``ids`` are those in force then (poll,
    request).  ``sources`` are the tables of services that the row depends on, as ``service:table``; ``population`` is
    how many rows the largest of them has, 0 where that is not known.
    """

    policy: str = ""
    table: str = ""
    row: Row = field(default=(), repr=False)
    rules: tuple[str, ...] = ()
    proof: Mapping[str, Any] | None = field(default=None, repr=False)
    requested_by: str = ""
    cause: str = "request"
    ids: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    population: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One action that was asked for and what has become of it.

    ``digest`` is of policy, service, action and arguments: the same digest is the same action for the same policy; it
    stays as it was made.
    ``set_id`` names the set of which it was held or proposed, if it was.  ``version`` counts its changes; a change is
    written only over the version that it was made from.
    """

    id: str
    call: Call
    origin: Origin
    digest: str
    created_at: float
    updated_at: float
    state: State = State.APPROVED
    reason: Reason | None = None
    detail: str = ""
    trigger: Trigger = Trigger.NONE
    set_id: str | None = None
    attempts: int = 0
    not_before: float | None = None
    deadline: float | None = None
    approved_at: float | None = None
    approved_by: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    token_hash: str | None = field(default=None, repr=False)
    result: Any = None
    error: str | None = None
    version: int = 0

    def moved(self, state: State, now: float, reason: Reason | None = None, detail: str = "", **more: Any) -> Self:
        """The execution in another state.

        :raises IllegalTransition: there is no way there.
        """
        check(self.state, state)
        return replace(
            self, state=state, updated_at=now, reason=reason, detail=detail, version=self.version + 1, **more
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One line of an execution's trail.

    ``number`` counts from 1 within the execution; ``before`` is None for the first.  ``who`` is ``user NAME`` (see
    :func:`person`), ``policy NAME``, ``guard``, ``ledger`` or ``the service``.  A change without a change of state (the
    trigger ended, an attempt was made) has the same state twice.
    """

    execution_id: str
    number: int
    at: float
    before: State | None
    after: State
    who: str
    reason: Reason | None = None
    detail: str = ""


def person(user: str) -> str:
    """How a trail names a person: nobody can be called like a part of the program, or like a policy."""
    return f"user {user}" if user not in ("", SOMEBODY) else SOMEBODY


def is_person(who: str) -> bool:
    """Whether a trail names a person so."""
    return who == SOMEBODY or who.startswith("user ")


def plain(value: Any) -> Any:
    """A value, or a structure of them, as plain JSON types."""
    if isinstance(value, Bool):
        return bool(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def mask_of(call: Call) -> Mask:
    """What takes the secrets of a call out of anything else."""
    return Mask(call.secrets())


def shown(execution: Execution) -> dict[str, Any]:
    """An execution for everybody who may see it: plain JSON types, no secret in it."""
    call, origin, mask = execution.call, execution.origin, mask_of(execution.call)
    return {
        "id": execution.id,
        "service": call.service,
        "action": call.action,
        "args": call.shown(),
        "policy": origin.policy,
        "table": origin.table,
        "row": mask(plain(origin.row)),
        "rules": list(origin.rules),
        "proof": mask(plain(origin.proof)),
        "requested_by": origin.requested_by,
        "cause": origin.cause,
        "ids": dict(origin.ids),
        "sources": list(origin.sources),
        "digest": execution.digest,
        "set": execution.set_id,
        "state": execution.state.value,
        "reason": execution.reason.value if execution.reason else None,
        "detail": mask(execution.detail),
        "trigger": execution.trigger.value,
        "attempts": execution.attempts,
        "not_before": execution.not_before,
        "deadline": execution.deadline,
        "approved_at": execution.approved_at,
        "approved_by": execution.approved_by,
        "created_at": execution.created_at,
        "updated_at": execution.updated_at,
        "started_at": execution.started_at,
        "finished_at": execution.finished_at,
        "result": mask(plain(execution.result)),
        "error": mask(execution.error),
    }


def event_shown(event: Event, call: Call | None = None) -> dict[str, Any]:
    """A line of the trail as plain JSON types.

    Events from the database have no secrets in them; of others, ``call`` says which there might be.
    """
    return {
        "number": event.number,
        "at": event.at,
        "before": event.before.value if event.before else None,
        "after": event.after.value,
        "who": event.who,
        "reason": event.reason.value if event.reason else None,
        "detail": mask_of(call).text(event.detail) if call else event.detail,
    }


def digest_of(policy: str, call: Call, arguments: Sequence[str] = ()) -> str:
    """What tells whether two executions are the same action; ``1`` and ``1.0`` are one value.

    :param arguments: what the action takes, in order, where that is known: then it is all the same whether they are
        given by place or by name.
    """
    call = _placed(call, arguments)

    def plain(value: Value) -> Any:
        given = decode(value)
        return int(given) if isinstance(given, float) and given.is_integer() else given

    shown = [
        policy,
        call.service,
        call.action,
        [plain(value) for value in call.positional],
        {name: plain(value) for name, value in sorted(call.named.items())},
    ]
    text = json.dumps(shown, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _placed(call: Call, arguments: Sequence[str]) -> Call:
    """The call with as many arguments as possible in their places instead of by name."""
    given = len(call.positional)
    if not call.named or not call.named.keys().isdisjoint(arguments[:given]):
        return call  # none of them twice: it will be refused
    placed = list(takewhile(call.named.__contains__, arguments[given:]))
    named = {name: value for name, value in call.named.items() if name not in placed}
    return replace(call, positional=(*call.positional, *(call.named[name] for name in placed)), named=named)


def set_digest(executions: Sequence[Execution]) -> str:
    """What an approval is bound to: exactly these executions, in any order."""
    text = "\n".join(sorted(f"{execution.id} {execution.digest}" for execution in executions))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def new_execution(call: Call, origin: Origin, now: float, arguments: Sequence[str] = ()) -> Execution:
    """An execution that nothing has been decided about yet.  :param arguments: as of :func:`digest_of`."""
    trigger = Trigger.LIVE if origin.table else Trigger.NONE
    return Execution(new_id(), call, origin, digest_of(origin.policy, call, arguments), now, now, trigger=trigger)
