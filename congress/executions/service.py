# SPDX-License-Identifier: Apache-2.0
"""The ledger of executions as a service on the bus: everything that changes a cloud goes through it."""

import logging
import math
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final

from congress.bus.errors import BusError
from congress.bus.service import Timer, exposed
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.values import TRUE, Row
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import Conflict, OutcomeUnknown, Stale, Unavailable
from congress.executions.admission import Admission
from congress.executions.answers import Answer
from congress.executions.backlog import Backlog, InDoubt, NotYet
from congress.executions.board import SHOWN, Board
from congress.executions.desk import BY_MODE, Desk
from congress.executions.dispatcher import Dispatcher
from congress.executions.guard import Guard
from congress.executions.guard_store import GuardStore
from congress.executions.ledger import Batch, Ledger
from congress.executions.model import Call, Execution, Origin, new_execution
from congress.executions.settings import Defaults
from congress.executions.signatures import Signatures
from congress.executions.states import Reason, State
from congress.executions.store import ExecutionStore

LOG = logging.getLogger(__name__)

NAME: Final = "executions"
_DAY: Final = 86_400.0
_LOOK: Final = 60.0  # seconds after which time-outs are looked after, whatever else happens
_PRUNE_EVERY: Final = 3600.0
_VERIFY_PAUSE: Final = 2.0  # doubled each time, up to
_VERIFY_PAUSE_MAX: Final = 60.0
_VERIFY_TIMES: Final = 10
_AWAIT: Final = 30.0  # seconds after its start in which a service that is away may be about to come
_AWAIT_LOOK: Final = 1.0
_VERIFY_TIMEOUT: Final = 30.0


class ExecutionService(Desk, Board, Subscriber):
    """Takes in what is asked for, has the guard decide, sends it to its service and writes down what became of it.

    Its one worker thread does all of that, and each change is in the database before anything follows from it.  While
    the database does not answer, what comes in waits, in order, and nothing is sent.  Delivery: an action is sent at
    least once, under the execution's id as idempotency key, and never again once it may have been done.
    """

    def __init__(
        self,
        database: Database,
        cipher: Cipher,
        name: str = NAME,
        *,
        defaults: Defaults | None = None,
        retention: float = 30 * _DAY,
        now: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """
        :param database: upgraded; no other ledger works on its executions.
        :param defaults: the settings of guards that have none of their own.
        :param retention: seconds for which executions that are over are kept.
        :param now: seconds since 1970.
        """
        super().__init__(name)
        self._now = now
        self._retention = retention
        self.guards = GuardStore(database)
        self.guard = Guard(defaults)
        self.ledger = Ledger(ExecutionStore(database, cipher), now)
        self.admission = Admission(self.ledger, self.guard)
        self.signatures = Signatures(self.ask, self._instance_of, self.submit, self._look, now)
        self.dispatcher = Dispatcher(
            self.ledger,
            self.guard,
            self.admission,
            self.signatures,
            self.ask,
            self._answered,
            self._stale,
            rng or random.Random(),  # noqa: S311  # jitter only
            self._awaited,
        )
        self.state = "starting"
        self._backlog = Backlog(self.after, self._send_rest)
        self._looked = now()  # when everything that may be sent was looked at
        self._unsent = False  # whether nobody has looked yet at what may be sent
        self._doubt: Batch | None = None  # it may be in the database or not
        self._missed: set[str] = set()  # services for which something has waited since before the start
        self._patience = 0.0
        self._kept: dict[str, dict[str, Any]] = {}  # breakers as they are in the database
        self._pruned = 0.0
        self._answers: deque[tuple[str, int, Answer]] = deque()
        self._alarm: tuple[float, Timer] | None = None
        self._doubtful: Counter[str] = Counter()  # how often services were asked about executions of earlier lives

    # The service's life

    def on_start(self) -> None:
        self.subscribe("congress", "freshness")
        self._backlog.add(self._load, required=True)

    def _load(self) -> None:
        now = self._now()
        self.ledger.load()
        self.ledger.doubt_rows()
        self._missed = {service for service, _ in self.ledger.lanes(Batch())}
        self._patience = time.monotonic() + _AWAIT
        for (kind, name), settings in self.guards.all().items():
            self.override(kind, name, settings)
        self._kept = self.guards.breakers()
        self.guard.load(self.ledger.store.since(now - self.guard.settings.memory), self._kept, now)
        self.show([*self.ledger.store.latest(SHOWN), *self.ledger.places(), *self.ledger.all_open()])
        self._do(self.dispatcher.recover)
        self.show_breakers(self.guard.breakers, now)
        self.show_loaded()
        self.state = "running"
        LOG.info("executions.loaded open=%d", len(list(self.ledger.all_open())))
        self._durably(lambda: self.review(BY_MODE))
        self._prune_later()
        self._doubtful = Counter(dict.fromkeys((e.id for e in self._in_doubt()), 0))
        self._verify()
        self._look_for_services()

    # What the policy runtime tells.  Worker thread.

    def began(self, tables: Sequence[str]) -> None:
        """The tables of actions that rules make, after a start."""
        self._durably(lambda: self.do(lambda batch: self.admission.began(batch, tables)))

    def present(self, table: str, rows: Collection[Row]) -> None:
        """All rows of a table that are true; what is not among them is gone."""
        self._durably(lambda: self.do(lambda batch: self.admission.present(batch, table, rows)))

    def appeared(self, wanted: Sequence[tuple[Call, Origin]]) -> None:
        """Rows that are true, in one transaction."""
        self._knowing(wanted, lambda batch: self.admission.admit(batch, self.take_in(wanted, ""), self._now()))

    def vanished(self, places: Sequence[tuple[str, Row]], for_good: bool) -> None:
        """Rows that are true no more."""
        self._durably(lambda: self.do(lambda batch: self.admission.vanished(batch, places, for_good)))

    def forget(self, policy: str) -> None:
        """A policy is gone, and the settings of its guard with it."""

        def work() -> None:
            self.guards.delete("policy", policy)
            self.override("policy", policy, None)

        self._durably(work)

    def requested(self, execution_id: str, call: Call, origin: Origin) -> None:
        """A person asks for an action; its id is known already, and found from now on."""
        self.signatures.learn(call.service)

        def work(batch: Batch) -> None:
            self.admission.admit(batch, self.take_in([(call, origin)], execution_id), self._now())

        self._durably(lambda: self.do(work))

    # Working things off

    def _durably(self, work: Callable[[], object]) -> None:
        """Do something that needs the database, after everything that came before it, however long that takes."""
        self._backlog.add(work)

    def _look(self) -> None:
        """See what may be sent, once everything is worked off."""
        self._unsent = True
        self._backlog.go_on()

    def _send_rest(self) -> None:
        if self._unsent:
            self._durably(lambda: self.do(_nothing))

    def _knowing(self, wanted: Sequence[tuple[Call, Origin]], work: Callable[[Batch], object]) -> None:
        """Do something once the services have told their actions, or had their time to; in order with the rest."""

        def ready() -> None:
            if self.signatures.missing(call.service for call, _ in wanted):
                raise NotYet
            self.do(work)

        self._durably(ready)

    def do(self, work: Callable[[Batch], object]) -> None:
        if self.state == "starting":
            raise Unavailable("what is in it has not been read yet")
        self._do(work)

    def _do(self, work: Callable[[Batch], object]) -> None:
        self._resolve()
        go_back = self.guard.remember()
        batch = Batch()
        try:
            work(batch)
            self._pump(batch)
            done = self.ledger.write(batch)
        except OutcomeUnknown as error:
            self._doubt = batch
            self._backlog.first(self._resolve)
            raise InDoubt(str(error)) from error
        except (Conflict, Stale):
            go_back()
            self.ledger.load()  # somebody else was at it
            raise
        except BaseException:
            go_back()
            raise
        self._changed(done)

    def _pump(self, batch: Batch) -> None:
        """Have sent what may go, unless something waits that may make it pointless."""
        self._unsent = self._backlog.behind
        now = self._now()
        if not self._unsent:
            self._looked = now
            self.dispatcher.pump(batch, now)
        more = [self.admission.revive(batch, now), self.admission.take_up(batch, now)]
        if any(more) and not self._unsent:
            self.dispatcher.pump(batch, now)

    def _resolve(self) -> None:
        """Make a change come true of which nobody knows whether it did; it is the same one, so nothing happens twice.

        :raises Unavailable: the database does not tell.
        """
        if self._doubt is not None:
            self.dispatcher.sends = not self._backlog.behind
            try:
                done = self.ledger.write(self._doubt)
            except (Conflict, Stale):
                self._doubt = None
                self.ledger.load()
                raise
            finally:
                self.dispatcher.sends = True
            self._doubt = None
            self._changed(done)

    def _changed(self, executions: Sequence[Execution]) -> None:
        self.show(executions)
        self.count(executions)
        for execution in executions:
            if execution.state.terminal:
                self.guard.forget(execution)
                self.dispatcher.forget(execution.id)
        self._set_alarm(self._looked)

    def take_in(self, wanted: Sequence[tuple[Call, Origin]], execution_id: str) -> list[Execution]:
        now = self._now()
        found = self.admission.recognized([self._made(call, origin, now) for call, origin in wanted])
        return [replace(execution, id=execution_id) for execution in found] if execution_id else found

    def _made(self, call: Call, origin: Origin, now: float) -> Execution:
        return new_execution(self.signatures.marked(call), origin, now, self.signatures.of(call).arguments)

    def _answered(self, execution_id: str, sending: int, answer: Answer) -> None:
        """A service answered.  Any thread; answers that come together are written together."""
        self._answers.append((execution_id, sending, answer))
        self.submit(self._take_answers)

    def _take_answers(self) -> None:
        answers = [self._answers.popleft() for _ in range(len(self._answers))]
        if not answers:
            return

        self._durably(lambda: self.do(lambda batch: self.dispatcher.settle(batch, answers, self._now())))
        self._durably(self.keep_breakers)

    def keep_breakers(self) -> None:
        now = self._now()
        breakers = {service: breaker.to_dict() for service, breaker in self.guard.breakers.items()}
        for service, state in breakers.items():
            if self._kept.get(service) != state:
                self.guards.put_breaker(service, state)
        for service in self._kept.keys() - breakers.keys():
            self.guards.delete_breaker(service)
        self._kept = breakers
        self.show_breakers(self.guard.breakers, now)

    # Time

    def _set_alarm(self, looked: float) -> None:
        """:param looked: when everything was looked at: whatever has come since then is due at once."""
        waiting = self.ledger.next_moment(looked)
        wake = min(self.guard.wakes(looked), looked + _LOOK, *([] if waiting is None else [waiting]))
        if self._alarm is not None:
            if self._alarm[0] <= wake:
                return
            self._alarm[1].cancel()
        self._alarm = (wake, self.after(max(0.0, wake - self._now()), self._ring))

    def _ring(self) -> None:
        self._alarm = (math.inf, self.after(1.0, self._ring))  # in case that nothing can be done now
        if self._backlog.waiting:
            return
        self._durably(lambda: self.review((Reason.COOL_DOWN,)))
        self._durably(lambda: self.do(lambda batch: self.dispatcher.overdue(batch, self._now())))
        self.show_breakers(self.guard.breakers, self._now())
        self._prune_later()

    def _prune_later(self) -> None:
        now = self._now()
        if now >= self._pruned + _PRUNE_EVERY:
            self._pruned = now
            self._durably(lambda: self._prune(now - self._retention))

    def _prune(self, before: float) -> None:
        self.ledger.store.prune(before)
        self.expire(before)

    # What is stale, and what is in doubt

    def on_updates(self, updates: list[TableUpdate]) -> None:
        self._look()

    def _stale(self) -> set[str]:
        """The tables of services whose latest poll failed."""
        return {f"{row[0]}:{row[1]}" for row in self.copy_of("congress", "freshness") if row[3] is TRUE}

    def _instance_of(self, service: str) -> str | None:
        member = self.bus.find(service)
        return None if member is None else member.instance

    def _awaited(self, service: str) -> bool:
        """Whether a service has not come yet: its process may have started together with ours, or be about to."""
        return service in self._missed

    def _look_for_services(self) -> None:
        """Send what has waited since before the start to services that have come; in the end to the others as well."""
        late = time.monotonic() >= self._patience
        self._missed = {name for name in self._missed if not late and self._instance_of(name) is None}
        if self._missed:
            self.after(_AWAIT_LOOK, self._look_for_services)
        self._look()

    def _in_doubt(self) -> list[Execution]:
        return [e for e in self.ledger.in_state(State.HELD) if e.reason is Reason.UNKNOWN]

    def _verify(self, pause: float = _VERIFY_PAUSE) -> None:
        """Ask services what became of what they were at when this process died, as soon as they are there.

        Several times, for some are still at it, or not to be reached yet.
        """
        left = [e for e in self._in_doubt() if self._doubtful.get(e.id, _VERIFY_TIMES) < _VERIFY_TIMES]
        for execution in left:
            if self._instance_of(execution.call.service) is not None:
                self._doubtful[execution.id] += 1
                self._ask_about(execution)
        if left:
            self.after(pause, self._verify, min(2 * pause, _VERIFY_PAUSE_MAX))

    def _ask_about(self, execution: Execution) -> None:
        call, sending = execution.call, self.dispatcher.sending(execution.id)
        try:
            answer = self.ask(
                call.service,
                "verify",
                timeout=_VERIFY_TIMEOUT,
                execution_id=execution.id,
                name=call.action,
                positional=list(call.positional),
                named=dict(call.named),
            )
        except BusError:
            return
        answer.add_done_callback(lambda done: self.submit(self._verified, execution.id, sending, done))

    def _verified(self, execution_id: str, sending: int | None, answer: "Future[Any]") -> None:
        told = answer.result() if answer.exception() is None else None
        said, result = (str(told.get("state")), told.get("result")) if isinstance(told, Mapping) else (str(told), None)

        def work(batch: Batch) -> None:
            if self.dispatcher.sending(execution_id) == sending:  # it was not sent again meanwhile
                self.dispatcher.verified(batch, execution_id, said, result, self._now())

        self._durably(lambda: self.do(work))

    # As any service

    @exposed
    def actions(self) -> list[Any]:
        """None: it has others act."""
        return []

    @exposed
    def status(self) -> dict[str, Any]:
        """How the ledger is, as plain JSON types."""
        states = Counter(execution.state.value for execution in self.ledger.all_open())
        reasons = Counter(e.reason.value for e in self.ledger.in_state(State.HELD) if e.reason is not None)
        now = self._now()
        return {
            "name": self.name,
            "state": self.state,
            "open": dict(states),
            "held": dict(reasons),
            "left_out": dict(self.admission.left_out()),
            "breakers": {service: b.state(now).value for service, b in self.guard.breakers.items()},
            "waiting_for_database": len(self._backlog) if self._backlog.waiting else 0,
            "inbox": self.waiting,
            "faults": self.faults,
        } | self.numbers()


def _nothing(batch: Batch) -> None:
    """Only what may be sent is sent."""
