# SPDX-License-Identifier: Apache-2.0
"""The ledger without threads and without a bus: a test runs its work, its time, its services and its database."""

import random
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from congress.bus.actor import Timer
from congress.bus.errors import NotFound
from congress.cloudservices.signatures import Action, ActionArgument
from congress.datalog.values import Row
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.errors import OutcomeUnknown, Unavailable
from congress.executions.model import Call, Execution, Origin
from congress.executions.service import ExecutionService

POLICY, TABLE = "p", "p:execute[nova:fix]/1"


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


class Moody(Database):
    """A database that goes away when it is told to.

    :ivar mood: empty; ``away``; ``lost``: the next commit does not arrive and nobody knows; ``arrived``: it does, and
        nobody knows.  After one of the latter two it is away.
    """

    mood = ""

    def run(self, work: Callable[[sa.Connection], Any], done: Any = None) -> Any:
        if self.mood == "away":
            raise Unavailable("away")
        if self.mood:
            arrived, self.mood = self.mood == "arrived", "away"
            if arrived:
                super().run(work, done)
            raise OutcomeUnknown
        return super().run(work, done)

    @contextmanager
    def read(self) -> Any:
        if self.mood == "away":
            raise Unavailable("away")
        with super().read() as connection:
            yield connection


@dataclass(frozen=True)
class Sent:
    """What a service was asked to do."""

    future: "Future[Any]"
    call: Mapping[str, Any]

    @property
    def id(self) -> str:
        found: str = self.call["execution_id"]
        return found


class Bench(ExecutionService):
    """A ledger whose surroundings are lists."""

    def __init__(self, database: Database, cipher: Cipher, clock: Clock, **options: Any) -> None:
        self.clock = clock
        self.jobs: deque[Callable[[], object]] = deque()
        self.due: list[Timer] = []
        self.lives = {"nova": "1"}  # the services that are there
        self.known: Mapping[str, list[Action]] = {"nova": [action("fix")]}
        self.sent: list[Sent] = []
        self.doubts: list[Sent] = []
        self.inquiries: list[Future[Any]] = []
        self.answers_inquiries = True
        super().__init__(database, cipher, now=clock, rng=random.Random(1), **options)

    def submit(self, function: Callable[..., object], *args: object) -> None:
        self.jobs.append(lambda: function(*args))

    def after(self, seconds: float, function: Callable[..., object], *args: object) -> Timer:
        self.due.append(Timer(self.clock() + seconds, lambda: function(*args)))
        return self.due[-1]

    def ask(self, target: str, method: str, /, *, timeout: float = 1, key: str | None = None, **args: Any) -> Any:
        if target not in self.lives:
            raise NotFound(f"there is no {target}")
        future: Future[Any] = Future()
        if method == "execute":
            self.sent.append(Sent(future, args))
        elif method == "verify":
            self.doubts.append(Sent(future, args))
        elif self.answers_inquiries:
            future.set_result(self.known[target])
        else:
            self.inquiries.append(future)
        return future

    def _instance_of(self, service: str) -> str | None:
        return self.lives.get(service)

    def publish(self, changes: Any) -> bool:
        return False

    def subscribe(self, publisher: str, table: str) -> None:
        pass

    def copy_of(self, publisher: str, table: str) -> Collection[Row]:
        return ()

    # What a test does

    def work(self) -> None:
        """Do all that there is to do now."""
        while self.jobs:
            self.jobs.popleft()()

    def start(self) -> "Bench":
        self.on_start()
        self.work()
        return self

    def wait(self, seconds: float) -> None:
        """Let time pass, and do what there is to do when."""
        end = self.clock.time + seconds
        while True:
            self.work()
            coming = [timer for timer in self.due if timer.when <= end]
            if not coming:
                break
            timer = min(coming, key=lambda timer: timer.when)
            self.due.remove(timer)
            self.clock.time = max(self.clock.time, timer.when)
            timer.run()
        self.clock.time = end

    def appear(self, *things: str, cause: str = "rows", **origin: Any) -> None:
        self.submit(self.appeared, [wish(thing, cause=cause, **origin) for thing in things])
        self.work()

    def vanish(self, *things: str, for_good: bool = True) -> None:
        self.submit(self.vanished, [(TABLE, (thing,)) for thing in things], for_good)
        self.work()

    def stand(self, *things: str) -> None:
        """These rows are true, and no others."""
        self.submit(self.present, TABLE, [(thing,) for thing in things])
        self.work()

    def answer(self, sent: Sent, given: object = None) -> None:
        """A service's answer, or its error."""
        if isinstance(given, Exception):
            sent.future.set_exception(given)
        else:
            sent.future.set_result(given)
        self.work()

    def one(self, thing: str) -> Execution:
        """The latest execution for a thing."""
        return next(e for e in self.ledger.store.find() if e.call.positional == (thing,))

    def states(self) -> dict[Any, str]:
        """The states of the latest execution for each thing."""
        return {e.call.positional[0]: e.state.value for e in reversed(self.ledger.store.find())}


def action(name: str, **more: Any) -> Action:
    """An action of one argument."""
    return Action(name, (ActionArgument("thing", "string"),), **more)


def wish(thing: str, **origin: Any) -> tuple[Call, Origin]:
    """What a row asks for."""
    return Call("nova", "fix", (thing,)), Origin(**{"policy": POLICY, "table": TABLE, "row": (thing,)} | origin)
