# SPDX-License-Identifier: Apache-2.0
"""Executions and events as rows of the database, and back: exactly, and no secret in the clear."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from congress.datalog.values import FALSE, TRUE, Bool, Row
from congress.db.crypt import Cipher
from congress.db.errors import SecretUnreadable, Unstorable
from congress.db.models import NAME_LENGTH
from congress.executions.masks import MASK, Mask
from congress.executions.model import Call, Event, Execution, Origin, mask_of
from congress.executions.states import Reason, State, Trigger

FIXED: Final = frozenset({"id", "policy", "service", "action", "digest", "created_at"})
"""Columns that no change alters."""

SEALED: Final = frozenset({"call", "origin", "sealed"})
"""Columns that stay as they are when their secrets could not be read: the key may turn up again."""


def to_row(execution: Execution, cipher: Cipher, mask: Mask | None = None) -> dict[str, Any]:
    """The columns of an execution, all but ``sequence``.

    Where a service may have repeated a secret (detail, error, result) it is kept masked; ``mask`` does that.
    """
    call, origin = execution.call, execution.origin
    values: dict[str, Any] = {
        "id": execution.id,
        "policy": key_of(origin.policy),
        "service": key_of(call.service),
        "action": key_of(call.action),
        "digest": execution.digest,
        "created_at": execution.created_at,
        "version": execution.version,
        "state": execution.state.value,
        "reason": execution.reason.value if execution.reason else None,
        "detail": execution.detail,
        "trigger_state": execution.trigger.value,
        "set_id": execution.set_id,
        "attempts": execution.attempts,
        "not_before": execution.not_before,
        "deadline": execution.deadline,
        "approved_at": execution.approved_at,
        "approved_by": execution.approved_by,
        "started_at": execution.started_at,
        "finished_at": execution.finished_at,
        "token_hash": execution.token_hash,
        "result": execution.result,
        "error": execution.error,
        "updated_at": execution.updated_at,
        "settled_at": settled_at(execution),
        "sealed": None,
    }
    if call.secret:
        mask = mask or mask_of(call)
        values |= {name: mask(values[name]) for name in ("detail", "error", "result")}
        values["sealed"] = _seal(execution, cipher)
    values["result"] = _result_text(values["result"])
    values["call"] = _call_text(call)
    values["origin"] = _origin_text(origin, open_=not call.secret)
    return values


def from_row(row: sa.Row[Any], cipher: Cipher) -> Execution:
    """The execution of a row."""
    call, origin = _read(row, cipher)
    return Execution(
        id=row.id,
        call=call,
        origin=origin,
        digest=row.digest,
        created_at=row.created_at,
        updated_at=row.updated_at,
        state=State(row.state),
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
        trigger=Trigger(row.trigger_state),
        set_id=row.set_id,
        attempts=row.attempts,
        not_before=row.not_before,
        deadline=row.deadline,
        approved_at=row.approved_at,
        approved_by=row.approved_by,
        started_at=row.started_at,
        finished_at=row.finished_at,
        token_hash=row.token_hash,
        result=None if row.result is None else json.loads(row.result),
        error=row.error,
        version=row.version,
    )


def settled_at(execution: Execution) -> float | None:
    """When it was over, once nothing can come of it by itself: its row is gone, or never was."""
    if not execution.state.terminal or execution.trigger in (Trigger.LIVE, Trigger.SUSPENDED):
        return None
    return execution.updated_at if execution.finished_at is None else execution.finished_at


def event_to_row(event: Event, mask: Mask | None) -> dict[str, Any]:
    """The columns of an event; ``mask`` is its execution's, if that has secrets."""
    return {
        "execution_id": event.execution_id,
        "number": event.number,
        "at": event.at,
        "before": event.before.value if event.before else None,
        "after": event.after.value,
        "who": event.who,
        "reason": event.reason.value if event.reason else None,
        "detail": mask.text(event.detail) if mask else event.detail,
    }


def event_from_row(row: sa.Row[Any]) -> Event:
    """The event of a row."""
    return Event(
        execution_id=row.execution_id,
        number=row.number,
        at=row.at,
        before=State(row.before) if row.before else None,
        after=State(row.after),
        who=row.who,
        reason=Reason(row.reason) if row.reason else None,
        detail=row.detail,
    )


def key_of(name: str) -> str:
    """What a name is looked up by: itself, or a digest of one that is too long or no text for every database.

    Rules may name services and actions that do not exist; their executions are kept like the others.
    """
    # MySQL does not tell a name from one with spaces at its end.
    if len(name) <= NAME_LENGTH and name.isprintable() and not name.endswith(" "):
        return name
    return "#" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def to_json(value: Any) -> str:
    """JSON in ASCII, which any database keeps.

    :raises Unstorable: it is no JSON.
    """
    try:
        return _STRICT.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unstorable("call", "an argument, a row or a proof that is not JSON") from error


def _result_text(value: Any) -> str | None:
    """What a service gave back; of what is no JSON the text, so that no outcome is ever lost over it."""
    if value is None:
        return None
    try:
        return _LENIENT.encode(value)
    except (TypeError, ValueError, RecursionError):
        return _LENIENT.encode(f"not JSON: {type(value).__name__}")


def _plain(value: object) -> Any:
    if isinstance(value, Bool):
        return bool(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _plain_or_text(value: object) -> Any:
    return _plain(value) if isinstance(value, Bool | Mapping) else str(value)


_STRICT: Final = json.JSONEncoder(default=_plain, separators=(",", ":"))
_LENIENT: Final = json.JSONEncoder(default=_plain_or_text, separators=(",", ":"))


def _row(values: list[Any]) -> Row:
    """Python's booleans at the top are those of rows; inside lists and mappings they are JSON's."""
    return tuple(TRUE if value is True else FALSE if value is False else value for value in values)


def _call_text(call: Call) -> str:
    kept: dict[str, Any] = {"service": call.service, "action": call.action}
    if call.secret:
        kept |= {**call.shown(), "secret": sorted(call.secret)}
    else:
        kept |= {"positional": call.positional, "named": call.named}
    return to_json(kept)


def _origin_text(origin: Origin, open_: bool) -> str:
    kept = {
        "policy": origin.policy,
        "table": origin.table,
        "rules": origin.rules,
        "requested_by": origin.requested_by,
        "cause": origin.cause,
        "ids": origin.ids,
        "sources": origin.sources,
        "population": origin.population,
    }
    if open_:
        kept |= {"row": origin.row, "proof": origin.proof}
    return to_json(kept)


def _seal(execution: Execution, cipher: Cipher) -> str:
    call, origin = execution.call, execution.origin
    kept = {
        "positional": {place: v for place, v in enumerate(call.positional) if str(place) in call.secret},
        "named": {name: v for name, v in call.named.items() if name in call.secret},
        "row": origin.row,
        "proof": origin.proof,
    }
    return cipher.encrypt(to_json(kept))


def _read(row: sa.Row[Any], cipher: Cipher) -> tuple[Call, Origin]:
    call, origin = json.loads(row.call), json.loads(row.origin)
    secret = frozenset(call.pop("secret", ()))
    readable = True
    if row.sealed is not None:
        try:
            sealed = json.loads(cipher.decrypt(row.sealed))
        except SecretUnreadable:
            sealed, readable = {"positional": {}, "named": {}, "row": [MASK], "proof": None}, False
        for place, value in sealed["positional"].items():
            call["positional"][int(place)] = value
        call["named"] |= sealed["named"]
        origin |= {"row": sealed["row"], "proof": sealed["proof"]}
    named = dict(zip(call["named"], _row(list(call["named"].values())), strict=True))
    lists = {name: tuple(origin[name]) for name in ("rules", "sources")}
    return (
        Call(call["service"], call["action"], _row(call["positional"]), named, secret, readable),
        Origin(**{**origin, **lists, "row": _row(origin["row"])}),
    )
