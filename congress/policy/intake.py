# SPDX-License-Identifier: Apache-2.0
"""How rows and schemas of other services get into the engine: the subscribing half of the runtime."""

import logging
import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from congress.bus.errors import BusError, NotFound
from congress.bus.service import Timer
from congress.bus.subscriber import Subscriber, TableUpdate
from congress.datalog.diagnostics import DatalogError
from congress.datalog.engine import Delta, Engine, EngineError
from congress.datalog.schema import TableSchema
from congress.datalog.values import Row
from congress.policy.deltas import merge
from congress.policy.enforcement import Cause
from congress.policy.sources import Change, Publisher, Source, Sources

LOG = logging.getLogger(__name__)

_ANSWER: Final = 30.0  # seconds that a service has to answer what nobody waits for
_AT_ONCE: Final = 2.0  # seconds that the engine waits for a service's answer, when a user waits for ours


class Intake(Subscriber):
    """Keeps the engine's copies of other services' tables exact.  Everything runs on the worker thread."""

    engine: Engine
    keep_copies = False  # the engine has them

    def __init__(self, name: str) -> None:
        """``self.engine`` is there already."""
        super().__init__(name)
        self.sources = Sources(self.engine.rows)
        self._defined: set[str] = set()
        self._look: Timer | None = None

    @abstractmethod
    def changed(self, delta: Delta, cause: Cause, initial: bool = False) -> None:
        """The engine changed.  :param initial: by what was so before the start."""

    @abstractmethod
    def advance(self) -> Delta:
        """Let the engine's time catch up; what changed by that."""

    @abstractmethod
    def wanted(self) -> set[str]:
        """Keys of the tables of services that rules read."""

    @abstractmethod
    def schema_changed(self) -> None:
        """Rules may have come into force, or out of it; before :meth:`changed` tells what follows from that."""

    @abstractmethod
    def is_defined(self, service: str) -> bool:
        """Whether a service of that name is defined, be it on the bus or not.  May block shortly."""

    def copy_of(self, publisher: str, table: str) -> Collection[Row]:
        return self.sources.copy_of(f"{publisher}:{table}")

    # Tables

    def rewire(self, initial: bool = False) -> None:
        """Subscribe to just the tables that rules read now.  :param initial: the rules were there at the start."""
        added, dropped = self.sources.want(self.wanted(), initial)
        for key in added:
            publisher, _, table = key.partition(":")
            self.subscribe(publisher, table)
        for key in dropped:
            publisher, _, table = key.partition(":")
            self.unsubscribe(publisher, table)
            rows = list(self.engine.rows(key))
            if rows:
                self.engine.apply({key: ((), rows)})  # no rule reads it any more: nothing follows
        if added:
            self._look_after_all()

    def on_updates(self, updates: list[TableUpdate]) -> None:
        changes = self.sources.receive(updates)
        publisher = self.sources.publishers.get(updates[0].publisher)
        if publisher is None:
            return
        if publisher.doubtful and publisher.schema_of == publisher.epoch:
            changes |= self._rows_that_came(publisher)
        self._feed(publisher, changes)
        self._look_after(publisher)

    def _rows_that_came(self, publisher: Publisher) -> dict[str, Change]:
        """What may be taken over without asking: everything in doubt, when every such table has rows."""
        if all(source.pending for source in publisher.doubtful):
            return self.sources.release(publisher, lambda source: True)
        return {}

    def _feed(self, publisher: Publisher, changes: Mapping[str, Change]) -> None:
        # A rule may ask for a table that the service has not: nothing comes of it, and the others must not wait for it.
        tables = self.engine.schema(publisher.name) or {}
        changes = {key: change for key, change in changes.items() if any(change) or key.partition(":")[2] in tables}
        if not changes:
            return
        before = self.advance()
        try:
            delta = self.engine.apply(changes)
        except EngineError:
            # The publisher's tables are not what its schema said.  Ask again; the bus brings the rows once more.
            publisher.schema_of = None
            self._look_after(publisher)
            self.changed(before, Cause("time"))
            raise
        initial = self.sources.applied(changes)
        if before:
            self.changed(before, Cause("time"))
        self.changed(delta, Cause("rows", dict(updates_ids(publisher, changes))), initial)

    # Services

    def on_publisher_gone(self, publisher: str) -> None:
        LOG.info("policy.service_gone runtime=%s service=%s", self.name, publisher)
        # Its definition may be deleted just before it goes, or just after.
        for seconds in (0.0, 1.0, 10.0):
            self.after(seconds, self._forget_deleted, publisher)

    def on_publisher_back(self, publisher: str) -> None:
        known = self.sources.publishers.get(publisher)
        if known is not None:
            known.soon()
            self._look_after(known)

    def _forget_deleted(self, service: str) -> None:
        """A service that was defined and is no more has no rows; one that is only away keeps its last ones."""
        if service not in self._defined or self.bus.has(service) or self.is_defined(service):
            return
        self._defined.discard(service)
        if self.engine.schema(service) is None:
            return
        LOG.info("policy.service_deleted runtime=%s service=%s", self.name, service)
        known = self.sources.publishers.get(service)
        if known is not None:  # before anything is concluded from what it has no more
            self.sources.publishers[service] = Publisher(
                service, {table: Source(source.key) for table, source in known.tables.items()}
            )
        self.changed(merge([self.advance(), self.engine.delete_service(service)]), Cause("schema"))

    def learn_services(self, names: Iterable[str]) -> None:
        """Get the schemas of services that a rule names, so that what is wrong with the rule is told at once.

        Blocks a little.  A service that is away or busy is asked again later; the rule waits.
        """
        for name in set(names):
            if self.engine.schema(name) is None and name != self.name and self.bus.has(name):
                try:
                    schema = self.call(name, "schema", timeout=_AT_ONCE)
                except BusError as error:
                    LOG.info("policy.no_schema service=%s error=%s", name, error)
                else:
                    self._set_schema(name, schema)

    # What is not known yet

    def _look_after_all(self) -> None:
        for publisher in list(self.sources.publishers.values()):
            self._look_after(publisher)

    def _look_after(self, publisher: Publisher) -> None:
        """Ask a publisher for what is missing: its schema, and whether rows kept aside are complete."""
        if publisher.asking or self.sources.publishers.get(publisher.name) is not publisher:
            return
        member = self.bus.find(publisher.name)
        question = None if member is None else self._question(publisher, member.instance)
        if member is None or question is None:
            return
        now = time.monotonic()
        if publisher.next_look > now:
            self._look_later()
            return
        publisher.later(now)
        publisher.asking = True
        try:
            answer = self.ask(publisher.name, question, timeout=_ANSWER)
        except BusError as error:
            self._answered(publisher, question, member.instance, error)
            return
        answer.add_done_callback(
            lambda done: self.submit(self._answered, publisher, question, member.instance, _outcome(done))
        )

    def _question(self, publisher: Publisher, instance: str) -> str | None:
        if publisher.schema_of != instance:
            return "schema"
        if publisher.doubtful:
            return "status"
        schema = self.engine.schema(publisher.name) or {}
        return "schema" if any(table not in schema for table in publisher.tables) else None

    def _look_later(self) -> None:
        if self._look is None:
            self._look = self.after(0.1, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._look_after_all()

    def _answered(self, publisher: Publisher, question: str, instance: str, answer: object) -> None:
        publisher.asking = False
        if self.sources.publishers.get(publisher.name) is not publisher:
            return
        if question == "schema":
            if isinstance(answer, Mapping):
                self._set_schema(publisher.name, answer)
                publisher.schema_of = instance
            elif not isinstance(answer, NotFound):
                LOG.info("policy.no_schema service=%s error=%s", publisher.name, answer)
            changes = self._rows_that_came(publisher) if publisher.schema_of == publisher.epoch else {}
        else:
            changes = self.sources.release(publisher, lambda source: _complete(source, answer))
        try:
            self._feed(publisher, changes)
        except EngineError as error:
            if publisher.trouble != str(error):  # it is looked at again and again: told once
                publisher.trouble = str(error)
                LOG.warning("policy.rows_do_not_fit service=%s error=%s", publisher.name, error)
        self._look_later()

    def _set_schema(self, service: str, tables: Mapping[str, TableSchema]) -> None:
        if self.is_defined(service):
            self._defined.add(service)
        before = self.advance()
        try:
            delta = self.engine.set_schema(service, tables)
        except DatalogError as error:
            LOG.error("policy.schema_refused service=%s error=%s", service, error)
            if before:
                self.changed(before, Cause("time"))
            return
        publisher = self.sources.publishers.get(service)
        sources = publisher.tables.values() if publisher is not None else ()
        initial = any(source.initial and not source.known for source in sources)
        self.schema_changed()
        if before:
            self.changed(before, Cause("time"))
        self.changed(delta, Cause("schema"), initial)


def updates_ids(publisher: Publisher, changes: Mapping[str, Any]) -> Mapping[str, str]:
    """The ids under which rows were published."""
    for source in publisher.tables.values():
        if source.key in changes and source.ids:
            return source.ids
    return {}


def _outcome(answer: "Future[Any]") -> object:
    error = answer.exception()
    return answer.result() if error is None else error


def _complete(source: Source, status: object) -> bool:
    """Whether a service's status says that it has read a table; one that says nothing about it has."""
    if source.pending:
        return True
    if isinstance(status, NotFound):
        return True  # it has no status to ask for
    if not isinstance(status, Mapping):
        return False
    table = status.get("tables", {}).get(source.key.partition(":")[2])
    return not isinstance(table, Mapping) or table.get("updated_at") is not None
