# SPDX-License-Identifier: Apache-2.0
"""Queued executions on their way to services, and what comes back."""

import hashlib
import logging
import random
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from itertools import count
from typing import Any, Final

from congress.bus import context
from congress.bus.errors import BusError
from congress.executions.admission import Admission
from congress.executions.answers import Answer, answer_of, answer_to
from congress.executions.breaker import Outcome
from congress.executions.guard import Guard, Verdict
from congress.executions.ledger import ACCEPTED, Batch, Ledger
from congress.executions.masks import Mask
from congress.executions.model import Execution
from congress.executions.signatures import Signatures
from congress.executions.states import Reason, State, Trigger

LOG = logging.getLogger(__name__)

IN_DOUBT: Final = "the process ended while the service was at it"
_CANNOT_TELL: Final = "the service cannot tell whether it was done"
TOO_LATE: Final = "it was not sent: the database was away, and more has happened since"
UNTOLD: Final = "Since the start nobody has told whether its row is still true."
DONE: Final = "done"
"""What a service's ``verify`` says of an action that was carried out."""
NOT_DONE: Final = "not_done"
"""What it says of one that was not, and that nothing under way will carry out."""


class Dispatcher:
    """Sends executions to their services, never before the database knows.  The ledger's thread."""

    def __init__(
        self,
        ledger: Ledger,
        guard: Guard,
        admission: Admission,
        signatures: Signatures,
        ask: Callable[..., "Future[Any]"],
        answered: Callable[[str, int, Answer], None],
        stale: Callable[[], Collection[str]],
        rng: random.Random,
        awaited: Callable[[str], bool] = lambda service: False,
    ) -> None:
        """
        :param ask: as :meth:`congress.bus.service.Service.ask`.
        :param answered: is told of an answer, on any thread: the execution, which sending of it, the answer.
        :param stale: the tables that are stale now.
        :param awaited: whether a service is away and may be about to come: nothing is tried on it then.
        """
        self._ledger, self._guard, self._admission, self._signatures = ledger, guard, admission, signatures
        self.sends = True
        """Whether anything is sent; what is not is tried again later."""
        self._ask, self._answered, self._stale, self._awaited, self._rng = ask, answered, stale, awaited, rng
        self._numbers = count(1)
        self._sendings: dict[str, int] = {}  # the latest of each execution that is not over, in this life

    # Going out

    def pump(self, batch: Batch, now: float) -> None:
        """Have what may go sent when the batch is written."""
        stale = self._stale()
        running = self._ledger.running(batch)
        back: list[tuple[Execution, Verdict]] = []
        for service, lane in list(self._ledger.lanes(batch)):
            if self._awaited(service) or self._signatures.silent(service):
                continue
            for execution in lane:
                verdict = self._verdict(execution, now, stale, running)
                if verdict is None:
                    self._start(batch, execution, now)
                    running[service] += 1
                elif verdict.state is State.PROPOSED:
                    back.append((execution, verdict))
                elif verdict.state is not State.QUEUED:
                    self._keep(batch, execution, verdict)
                elif verdict.until is None:
                    break  # the service has enough to do
        self._admission.pull_back(batch, back)

    def _verdict(
        self, execution: Execution, now: float, stale: Collection[str], running: Mapping[str, int]
    ) -> Verdict | None:
        if self._ledger.untold(execution):
            return self._guard.in_time(execution, now) or Verdict(State.HELD, Reason.STALE, UNTOLD)
        return self._guard.clear(execution, now, stale, running)

    def _keep(self, batch: Batch, execution: Execution, verdict: Verdict) -> None:
        if verdict.state is State.FAILED:
            self._ledger.move(batch, execution, State.FAILED, "guard", verdict.reason, verdict.detail)
        elif verdict.reason is not execution.reason:
            more = {"not_before": verdict.until}
            self._ledger.move(batch, execution, State.HELD, "guard", verdict.reason, verdict.detail, **more)

    def _start(self, batch: Batch, execution: Execution, now: float) -> None:
        if not execution.call.readable:
            detail = "its secret arguments cannot be decrypted with the keys at hand"
            self._ledger.move(batch, execution, State.FAILED, "ledger", Reason.REFUSED, detail)
            batch.after.append(lambda: self._guard.finished(execution, Outcome.REFUSED, now))
            return
        if execution.state is State.HELD:
            self._ledger.move(batch, execution, State.APPROVED, "guard")
            self._ledger.move(batch, execution, State.QUEUED, "guard")
        token = secrets.token_urlsafe(32) if self._signatures.of(execution.call).asynchronous else None
        moved = self._ledger.move(
            batch,
            execution,
            State.RUNNING,
            "ledger",
            attempts=execution.attempts + 1,
            started_at=now,
            not_before=None,
            token_hash=None if token is None else token_hash(token),
        )
        batch.after.append(lambda: self._send(self._ledger.find(moved.id), token))

    def _send(self, execution: Execution, token: str | None) -> None:
        call, sending = execution.call, next(self._numbers)
        self._sendings[execution.id] = sending
        if not self.sends:
            self._answered(execution.id, sending, Answer(False, error=TOO_LATE, retryable=True))
            return
        settings = self._guard.settings.service(call.service)
        more = {} if token is None else {"completion_token": token}
        ids = {name: value for name, value in execution.origin.ids.items() if name != "idempotency_key"}
        try:
            with context.bind(**{**ids, "execution_id": execution.id}):
                answer = self._ask(
                    call.service,
                    "execute",
                    timeout=settings.timeout,
                    key=execution.id,
                    name=call.action,
                    positional=list(call.positional),
                    named=dict(call.named),
                    execution_id=execution.id,
                    **more,
                )
        except Exception as error:  # whatever it is, nothing was sent and nobody will answer
            if not isinstance(error, BusError):
                LOG.exception("execution.not_sent execution=%s", execution.id)
            self._answered(execution.id, sending, answer_to(error))
            return
        LOG.info("execution.sent execution=%s action=%s attempt=%d", execution.id, call.name, execution.attempts)
        answer.add_done_callback(lambda done: self._answered(execution.id, sending, _without(token, answer_of(done))))

    def sending(self, execution_id: str) -> int | None:
        """Which sending of an execution was the latest; None where it was in an earlier life."""
        return self._sendings.get(execution_id)

    def forget(self, execution_id: str) -> None:
        """It is over: no answer to what was sent counts any more."""
        self._sendings.pop(execution_id, None)

    # Coming back

    def settle(self, batch: Batch, answers: Sequence[tuple[str, int, Answer]], now: float) -> None:
        """Take in answers of services.

        What they tell of their services counts at once: it decides about what the same batch sends.
        """
        for execution_id, sending, answer in answers:
            execution = self._ledger.opened(execution_id)
            if execution is None or execution.state is not State.RUNNING or self.sending(execution_id) != sending:
                continue  # decided otherwise meanwhile
            self._conclude(batch, execution, answer, now)
            self._guard.finished(execution, self._outcome(answer), now)

    def _conclude(self, batch: Batch, execution: Execution, answer: Answer, now: float) -> None:
        known = self._signatures.of(execution.call)
        if answer.ok and execution.token_hash is not None:
            self._ledger.note(batch, execution, "ledger", ACCEPTED, detail=ACCEPTED, result=answer.result)
        elif answer.ok:
            self._ledger.move(batch, execution, State.SUCCEEDED, "ledger", result=answer.result, error=None)
        elif answer.maybe_done and not known.idempotent:
            detail = f"it may have been done: {answer.error}"
            self._ledger.move(batch, execution, State.HELD, "ledger", Reason.UNKNOWN, detail, error=answer.error)
        elif answer.retryable or answer.maybe_done:
            self._try_again(batch, execution, answer, now)
        else:
            reason = Reason.REFUSED if answer.refused else Reason.ERROR
            self._ledger.move(batch, execution, State.FAILED, "ledger", reason, answer.error or "", error=answer.error)

    def _try_again(self, batch: Batch, execution: Execution, answer: Answer, now: float) -> None:
        verdict = self._guard.retry(execution, answer.retry_after, now, self._rng)
        if execution.trigger in (Trigger.ENDED, Trigger.SUSPENDED):
            detail = f"its row is true no more; the last attempt: {answer.error}"
            self._ledger.move(batch, execution, State.FAILED, "ledger", Reason.ERROR, detail, error=answer.error)
        elif verdict.state is State.FAILED:
            detail = f"{verdict.detail} The last one: {answer.error}"
            self._ledger.move(batch, execution, State.FAILED, "ledger", verdict.reason, detail, error=answer.error)
        else:
            detail = f"attempt {execution.attempts}: {answer.error}"
            more = {"not_before": verdict.until, "error": answer.error}
            self._ledger.move(batch, execution, State.QUEUED, "ledger", None, detail, **more)

    @staticmethod
    def _outcome(answer: Answer) -> Outcome:
        if answer.ok:
            return Outcome.OK
        if answer.refused:
            return Outcome.REFUSED
        return Outcome.TROUBLE if answer.trouble else Outcome.FAILED

    # After a crash

    def recover(self, batch: Batch) -> None:
        """What ran when the process died: nobody can tell yet whether it was done.  Nothing of it is repeated."""
        for execution in list(self._ledger.in_state(State.RUNNING)):
            if execution.token_hash is None or execution.detail != ACCEPTED:
                self._ledger.move(batch, execution, State.HELD, "ledger", Reason.UNKNOWN, IN_DOUBT)

    def overdue(self, batch: Batch, now: float) -> None:
        """What a service accepted and did not complete within its deadline: nobody can tell what became of it."""
        for execution in list(self._ledger.in_state(State.RUNNING)):
            if execution.detail == ACCEPTED and execution.deadline is not None and now >= execution.deadline:
                detail = "the service accepted it and never told what became of it"
                self._ledger.move(batch, execution, State.HELD, "ledger", Reason.UNKNOWN, detail)

    def verified(self, batch: Batch, execution_id: str, said: str, result: object, now: float) -> None:
        """A service told of an execution in doubt: ``done``, ``not_done``, or anything else for unknown."""
        execution = self._ledger.opened(execution_id)
        if execution is None or execution.state is not State.HELD or execution.reason is not Reason.UNKNOWN:
            return
        if said == DONE:
            detail = "the service says that it was done"
            self._ledger.move(batch, execution, State.SUCCEEDED, "ledger", None, detail, result=result)
        elif said == NOT_DONE and execution.trigger in (Trigger.ENDED, Trigger.SUSPENDED):
            detail = "the service says that it was not done, and its row is true no more"
            self._ledger.move(batch, execution, State.OBSOLETE, "ledger", None, detail)
        elif said == NOT_DONE:
            self._admission.approve(batch, [execution], "ledger", now)
        elif not execution.detail.endswith(_CANNOT_TELL):
            detail = f"{execution.detail}; {_CANNOT_TELL}"
            self._ledger.note(batch, execution, "ledger", _CANNOT_TELL, detail=detail)


def _without(token: str | None, answer: Answer) -> Answer:
    """An answer in which the one-time token is masked: a service may repeat all that it was given."""
    if token is None:
        return answer
    result, error = Mask([token])([answer.result, answer.error])
    return replace(answer, result=result, error=error)


def token_hash(token: str) -> str:
    """What is kept of a one-time token."""
    return hashlib.sha256(token.encode()).hexdigest()
