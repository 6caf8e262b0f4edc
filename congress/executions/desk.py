# SPDX-License-Identifier: Apache-2.0
"""What people may ask of the ledger: to look, to approve, to cancel, to try again, to set its guards."""

import hmac
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from congress.bus.service import Service, exposed
from congress.datalog.values import Value
from congress.db.errors import DbError, RecordNotFound
from congress.db.records import new_id
from congress.executions import errors
from congress.executions.admission import Admission
from congress.executions.breaker import Breaker
from congress.executions.dispatcher import Dispatcher, token_hash
from congress.executions.guard import Guard, held_by
from congress.executions.guard_store import GuardStore, Kind
from congress.executions.ledger import Batch, Ledger
from congress.executions.masks import Mask
from congress.executions.model import SOMEBODY, Call, Execution, Origin, event_shown, person, shown
from congress.executions.sets import ExecutionSet, sets_of, waiting
from congress.executions.settings import Caps, GuardInvalid, check_override, loosened, to_dict
from congress.executions.signatures import Signatures
from congress.executions.states import Reason, State, Trigger
from congress.executions.store import ExecutionFilter

LOG = logging.getLogger(__name__)

_OVER: Final = (State.FAILED, State.CANCELLED)
_GONE: Final = {
    Trigger.ENDED: "The row that asked for it is true no more",
    Trigger.SUSPENDED: "The rule that asked for it is gone, and nobody knows whether its row is still true",
}
_CANCELLABLE: Final = (State.PROPOSED, State.HELD, State.APPROVED, State.QUEUED)
BY_MODE: Final = (Reason.MODE_MONITOR, Reason.MODE_PROPOSE)
_CAPS: Final = frozenset({"max_rows", "max_percent", "percent_floor", "window"})
_OSCILLATION: Final = frozenset({"oscillation_count", "oscillation_window"})
EXPORTED: Final = 500
"""How many executions one page of an export has."""


class Desk(Service):
    """The half of the ledger that answers people.  What it changes is in the database when it answers."""

    ledger: Ledger
    guard: Guard
    guards: GuardStore
    admission: Admission
    dispatcher: Dispatcher
    signatures: Signatures
    _now: Callable[[], float]

    @abstractmethod
    def do(self, work: Callable[[Batch], object]) -> None:
        """Have some work fill a batch, send what may go besides, and make it come true."""

    @abstractmethod
    def take_in(self, wanted: Sequence[tuple[Call, Origin]], execution_id: str) -> list[Execution]:
        """Executions for what is wanted."""

    @abstractmethod
    def keep_breakers(self) -> None:
        """Write down, and publish, what has become of breakers."""

    # Looking

    @exposed
    def list_executions(
        self,
        filters: Mapping[str, Any] | None = None,
        limit: int = 1000,
        after: str | None = None,
        oldest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """Executions, newest first unless said otherwise; the page after the execution ``after``.

        :param filters: as :class:`ExecutionFilter` has them.
        """
        with _told():
            found = self.ledger.store.find(ExecutionFilter(**(filters or {})), limit, after, oldest_first=oldest_first)
        return [shown(execution) for execution in found]

    @exposed
    def get_execution(self, execution: str) -> dict[str, Any]:
        """One execution with its trail, oldest line first.  :raises ExecutionNotFound: there is none."""
        found = self._find(execution)
        with _told():
            trail = self.ledger.store.events(found.id)
        return shown(found) | {"trail": [event_shown(event) for event in trail]}

    @exposed
    def export(self, filters: Mapping[str, Any] | None = None, after: str | None = None) -> list[dict[str, Any]]:
        """A page of executions with their trails, newest first; empty after the last."""
        with _told():
            found = self.ledger.store.find(ExecutionFilter(**(filters or {})), EXPORTED, after)
            trails = self.ledger.store.trails(execution.id for execution in found)
        return [shown(e) | {"trail": [event_shown(event) for event in trails[e.id]]} for e in found]

    @exposed
    def list_sets(self) -> list[dict[str, Any]]:
        """The sets that wait for a person's decision."""
        return [found.to_dict() for found in sets_of(self.ledger.all_open()).values()]

    @exposed
    def get_set(self, set_id: str) -> dict[str, Any]:
        """One set with its executions.  :raises SetNotFound: nothing of it waits."""
        found = self._set(set_id)
        return found.to_dict() | {"executions": [shown(execution) for execution in found.executions]}

    # Asking for actions

    @exposed
    def request(
        self,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
        policy: str = "",
        user: str = "",
        ids: Mapping[str, str] | None = None,
    ) -> str:
        """A person asks for ``service:action``; whoever calls has checked that there is such an action.

        :returns: the execution's id; it is in the database, and not done yet.
        """
        service, _, action = name.partition(":")
        self.signatures.learn(service)
        call = Call(service, action, tuple(positional), dict(named or {}))
        origin = Origin(policy=policy, requested_by=user or SOMEBODY, ids=dict(ids or {}))
        execution_id = new_id()
        with _told():
            new = self.take_in([(call, origin)], execution_id)
            self.do(lambda batch: self.admission.admit(batch, new, self._now()))
        return execution_id

    @exposed
    def dry_run(self, wanted: Sequence[tuple[Call, Origin]]) -> list[dict[str, Any]]:
        """What would become of actions if rows asked for all of them now; nothing happens."""
        new = self.take_in(wanted, "")
        known = [self.ledger.at(e.origin.table, e.origin.row) if e.origin.table else None for e in new]
        fresh = [execution for execution, before in zip(new, known, strict=True) if before is None]
        verdicts = iter(self.admission.verdicts(fresh, self._now()))
        return [_foreseen(e, before, verdicts) for e, before in zip(new, known, strict=True)]

    # Deciding

    @exposed
    def approve(self, set_id: str, digest: str, user: str = "") -> dict[str, Any]:
        """A person lets a set go: exactly the one whose digest was looked at.

        :raises SetNotFound: nothing of it waits.  :raises SetChanged: it is another one by now.
        """
        found = self._set(set_id)
        if not hmac.compare_digest(found.digest.encode(), digest.encode()):
            raise errors.SetChanged(
                f"The set has {len(found.executions)} executions and another digest by now; look at it again.",
                found.digest,
            )
        with _told():
            self.do(lambda batch: self.admission.approve(batch, found.executions, person(user), self._now()))
        return found.to_dict()

    @exposed
    def reject(self, set_id: str, user: str = "", detail: str = "") -> dict[str, Any]:
        """A person says no to all that waits in a set.  :raises SetNotFound: nothing of it does."""
        found = self._set(set_id)

        def work(batch: Batch) -> None:
            for execution in found.executions:
                self.ledger.move(batch, execution, State.CANCELLED, person(user), Reason.REJECTED, detail)

        with _told():
            self.do(work)
        return found.to_dict()

    @exposed
    def cancel(self, execution: str, user: str = "", detail: str = "") -> dict[str, Any]:
        """Have an execution not be done.  :raises StateConflict: it is running or over, or may have been done."""
        found = self._find(execution)
        if _in_doubt(found):
            raise errors.StateConflict("It was sent and may have been done, so it cannot be cancelled: settle it.")
        if found.state not in _CANCELLABLE:
            raise errors.StateConflict(f"It is {found.state}; only what is not with its service yet can be cancelled.")
        return self._move(found, State.CANCELLED, person(user), Reason.BY_USER, detail)

    @exposed
    def retry(self, execution: str, user: str = "", detail: str = "") -> dict[str, Any]:
        """Have one that failed, was cancelled or is in doubt done (again), as the guard lets it.

        :raises StateConflict: it is in another state, its row is gone, or the same action is on its way.
        """
        found = self._find(execution)
        if found.state not in _OVER and not _in_doubt(found):
            raise errors.StateConflict(
                f"It is {found.state}; only what failed, was cancelled or is in doubt is retried."
            )
        if found.trigger in _GONE:
            raise errors.StateConflict(f"{_GONE[found.trigger]}, so it is not retried.")
        if any(e.digest == found.digest and e.id != found.id for e in self.ledger.all_open()):
            raise errors.StateConflict("The same action with the same arguments is on its way already.")

        told = f"to be tried again: {detail}" if detail else "to be tried again"

        def work(batch: Batch) -> None:
            self.ledger.note(batch, found, person(user), told)
            self.admission.again(batch, [found], person(user), self._now())

        with _told():
            self.do(work)
        return shown(self.ledger.find(found.id))

    @exposed
    def settle(self, execution: str, outcome: str, user: str = "", detail: str = "") -> dict[str, Any]:
        """A person found out what became of one in doubt: ``succeeded`` or ``failed``.

        :raises StateConflict: it is not in doubt.
        """
        found = self._find(execution)
        if not _in_doubt(found):
            raise errors.StateConflict("Only an execution whose outcome is unknown can be settled.")
        reason = Reason.ERROR if outcome == State.FAILED else None
        return self._move(found, State(outcome), person(user), reason, detail)

    @exposed
    def complete(
        self, execution: str, token: str, outcome: str, result: object = None, error: str | None = None
    ) -> dict[str, Any]:
        """A service tells what became of an action that it had accepted.

        :raises TokenInvalid: the token is not this execution's, or was used.
        """
        found = self._find(execution)
        expected = found.token_hash or ""
        right = hmac.compare_digest(token_hash(token).encode(), expected.encode())
        if not (found.state is State.RUNNING or _in_doubt(found)) or not right:
            raise errors.TokenInvalid
        reason = Reason.ERROR if outcome == State.FAILED else None
        result, error = Mask([token])([result, error])
        more = {"result": result, "error": error, "token_hash": None}
        return self._move(found, State(outcome), "the service", reason, error or "", **more)

    # Guards and breakers

    @exposed
    def get_guard(self, kind: Kind, name: str) -> dict[str, Any]:
        """The settings that hold for a ``policy`` or ``service``, and those of them that are its own."""
        with _told():
            own = self.guards.get(kind, name)
        return self._guard_view(kind, name, own or {})

    @exposed
    def list_guards(self) -> list[dict[str, Any]]:
        """The policies and services that have settings of their own."""
        with _told():
            return [self._guard_view(key[0], key[1], own) for key, own in self.guards.all().items()]

    @exposed
    def put_guard(self, kind: Kind, name: str, settings: Mapping[str, Any], merge: bool = False) -> dict[str, Any]:
        """Set the guard of a policy or service: all that it has of its own, or with ``merge`` some of it.

        What the changed settings hold is decided about anew: a set only where they allow more, and as a whole.
        :raises GuardSettingsInvalid: with what to give.
        """
        with _told():
            own = {**((merge and self.guards.get(kind, name)) or {}), **settings}
            own = check_override(type(self._settings(kind, name)), own)
            before = self._settings(kind, name)
            self.guards.put(kind, name, own)
            self.override(kind, name, own)
            self._review_of(kind, name, before)
        return self._guard_view(kind, name, own)

    @exposed
    def delete_guard(self, kind: Kind, name: str) -> dict[str, Any]:
        """Have a policy or service go by the defaults again."""
        with _told():
            before = self._settings(kind, name)
            self.guards.delete(kind, name)
            self.override(kind, name, None)
            self._review_of(kind, name, before)
        return self._guard_view(kind, name, {})

    @exposed
    def list_breakers(self) -> list[dict[str, Any]]:
        """The breakers that are not closed, or have counted trouble."""
        now = self._now()
        return [_breaker_view(service, breaker, now) for service, breaker in sorted(self.guard.breakers.items())]

    @exposed
    def get_breaker(self, service: str) -> dict[str, Any]:
        """The breaker of one service; a closed one for whatever has met no trouble."""
        return _breaker_view(service, self.guard.breakers.get(service, Breaker()), self._now())

    @exposed
    def set_breaker(self, service: str, state: str, user: str = "", detail: str = "") -> dict[str, Any]:
        """Open a breaker until somebody closes it, or close it now."""
        now = self._now()
        if state == "open":
            self.guard.trip(service, user or SOMEBODY, now, None, detail)
        else:
            self.guard.reset(service, now)
        LOG.info("breaker.set service=%s state=%s by=%r detail=%r", service, state, person(user), detail)
        with _told():
            self.keep_breakers()
            self.do(lambda batch: None)
        return self.get_breaker(service)

    # Inside

    def review(self, reasons: Iterable[Reason], concerns: Callable[[Execution], bool] = lambda one: True) -> None:
        """Have the guard decide anew about what is held or proposed for one of these reasons."""
        wanted = set(reasons)
        held = self.ledger.in_state(State.HELD, State.PROPOSED)
        found = [one for one in held if one.reason in wanted and concerns(one)]
        if found:
            self.do(lambda batch: self.admission.again(batch, found, "guard", self._now()))

    def _review_of(self, kind: Kind, name: str, before: Caps) -> None:
        """Have the guard decide anew about what one policy's or service's settings hold; about nothing else.

        :param before: the settings that they were.
        """

        def concerns(one: Execution) -> bool:
            return name == (one.origin.policy if kind == "policy" else one.call.service)

        after = self._settings(kind, name)
        less = loosened(before, after)
        if after.mode is not before.mode:
            self.review(BY_MODE, concerns)
        if "cool_down" in less:
            self.review((Reason.COOL_DOWN,), concerns)
        for reason, settings in ((Reason.BLAST_RADIUS, _CAPS), (Reason.OSCILLATION, _OSCILLATION)):
            if less & settings:
                self._review_sets(reason, f"{kind}:{name}")
        self.do(lambda batch: None)

    def _review_sets(self, reason: Reason, scope: str) -> None:
        """Have the guard decide anew about each set that it holds for a reason; those that go count for the next."""
        for found in sets_of(self.ledger.all_open()).values():
            if found.reason is reason and any(held_by(one, scope) for one in found.executions):
                self.do(lambda batch, found=found: self.admission.again_as_one(batch, found.executions, self._now()))  # type: ignore[misc]  # a default

    def _find(self, execution: str) -> Execution:
        with _told():
            return self.ledger.find(execution)

    def _set(self, set_id: str) -> ExecutionSet:
        found = sets_of(e for e in self.ledger.all_open() if e.set_id == set_id and waiting(e))
        if set_id not in found:
            raise errors.SetNotFound(f"no set {set_id!r:.100} waits for a decision")
        return found[set_id]

    def _move(
        self, execution: Execution, state: State, who: str, reason: Reason | None, detail: str, **more: Any
    ) -> dict[str, Any]:
        with _told():
            self.do(lambda batch: self.ledger.move(batch, execution, state, who, reason, detail, **more))
            return shown(self.ledger.find(execution.id))

    def _settings(self, kind: Kind, name: str) -> Any:
        return self.guard.settings.policy(name) if kind == "policy" else self.guard.settings.service(name)

    def override(self, kind: Kind, name: str, own: Mapping[str, Any] | None) -> None:
        """Have settings hold, without keeping them."""
        before = self.guard.settings.memory
        self.guard.settings.override(kind, name, own)
        if self.guard.settings.memory > before:  # it has to know more of what was
            now = self._now()
            breakers = {service: breaker.to_dict() for service, breaker in self.guard.breakers.items()}
            self.guard.load(self.ledger.store.since(now - self.guard.settings.memory), breakers, now)

    def _guard_view(self, kind: Kind, name: str, own: Mapping[str, Any]) -> dict[str, Any]:
        effective = self._settings(kind, name)
        return {"id": f"{kind}:{name}", "kind": kind, "name": name, "settings": to_dict(effective), "own": dict(own)}


def _in_doubt(execution: Execution) -> bool:
    """Whether it may have been done, and nobody knows."""
    return execution.state is State.HELD and execution.reason is Reason.UNKNOWN


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the database and of settings, as clients know them."""
    try:
        yield
    except RecordNotFound as error:
        raise errors.ExecutionNotFound(str(error)) from error
    except DbError as error:
        raise errors.LedgerUnavailable(f"the ledger's database does not answer: {error}") from error
    except GuardInvalid as error:
        raise errors.GuardSettingsInvalid(str(error)) from error


def _foreseen(execution: Execution, before: Execution | None, verdicts: Iterator[Any]) -> dict[str, Any]:
    view = shown(execution)
    told = {key: view[key] for key in ("service", "action", "args", "policy", "table", "row", "rules", "proof")}
    if before is not None:
        reason = None if before.reason is None else before.reason.value
        detail = f"It was asked for already, and is {before.state}. {before.detail or ''}".rstrip()
        return told | {"verdict": "known", "execution": before.id, "reason": reason, "detail": detail}
    verdict = next(verdicts)
    reason = None if verdict.reason is None else verdict.reason.value
    return told | {"verdict": verdict.state.value, "execution": None, "reason": reason, "detail": verdict.detail}


def _breaker_view(service: str, breaker: Breaker, now: float) -> dict[str, Any]:
    return {"id": service, "service": service, "state": breaker.state(now).value, **breaker.to_dict()}
