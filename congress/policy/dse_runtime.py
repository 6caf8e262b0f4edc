# SPDX-License-Identifier: Apache-2.0
"""The policy runtime: the engine as a service on the bus."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from congress.bus import context
from congress.bus.publisher import TablePublisher
from congress.bus.service import Timer, exposed
from congress.datalog.builtins.registry import Registry
from congress.datalog.engine import Delta, Engine, Limits
from congress.datalog.values import Row, Value
from congress.db.database import Database
from congress.db.errors import DbError
from congress.db.names import SERVICE as DEFINED
from congress.db.names import NameStore
from congress.db.policies import PolicyStore
from congress.db.rules import RuleStore
from congress.executions.model import Call, Origin
from congress.policy import errors, views
from congress.policy.action_catalog import ActionCatalog
from congress.policy.borrowing import Borrower
from congress.policy.dependencies import Dependencies, tables_read
from congress.policy.enforcement import ActionSink, Cause, Enforcer
from congress.policy.intake import Intake
from congress.policy.origins import Origins
from congress.policy.policies import Policies, RuleText
from congress.policy.preview import Bundle, Preview
from congress.policy.reading import PolicyReading
from congress.policy.simulation import Request, Simulation

LOG = logging.getLogger(__name__)

SERVICE: Final = "policy"
"""The runtime's name on the bus, where there is but one."""
LIMITS: Final = Limits(rows=5_000_000, seconds=20.0)
"""Below the time that the API waits for an answer: a rule that explodes costs the others a pause, not errors."""

T = TypeVar("T")


class DseRuntime(TablePublisher, Intake, PolicyReading):
    """Hosts the engine on the bus.

    * It subscribes to just the tables of services that rules read; one publication is one transaction.
    * A subscription to ``policy:table`` sets a trigger: a snapshot, then the changes of just that table.
    * Policies and rules are changed in the engine and in the database, or in neither.
    * Rows that become true in a table of ``execute[...]`` rows go to the :class:`ActionSink`.

    All exposed methods run on the worker thread, one at a time; those that change something block on the database,
    and up to some seconds on a service whose tables or actions are not known yet.  What they raise is of
    :mod:`congress.policy.errors` and has a code and an HTTP status.
    """

    def __init__(
        self,
        database: Database,
        name: str = SERVICE,
        *,
        sink: ActionSink,
        registry: Registry | None = None,
        limits: Limits = LIMITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        :param database: upgraded; no other runtime works on its policies.
        :param sink: where actions go: the ledger.
        :param now: the time that rules see, in seconds since the epoch.
        """
        self.engine = Engine(registry=registry, limits=limits, clock=time.perf_counter, now=now())
        super().__init__(name)
        self.policies = Policies(self.engine, PolicyStore(database), RuleStore(database))
        self._dependencies = Dependencies()
        self._dependencies_known = False
        self.origins = Origins(self.engine, self.sources, self.leaves)
        self.enforcer = Enforcer(_Knowledge(self), sink)
        self.state = "starting"
        self._names = NameStore(database)
        self._catalog = ActionCatalog(self.call, self._instance_of, defined=self.is_defined)
        self._triggers: set[str] = set()
        self._now = now
        self._alarm: tuple[float, Timer] | None = None
        self._exceeded: object = self.engine.exceeded

    # The service's life

    def on_start(self) -> None:
        self._load(1.0)

    def _load(self, pause: float) -> None:
        before = time.perf_counter()
        try:
            delta = self.policies.load()
        except DbError as error:
            LOG.error("policy.load_failed runtime=%s error=%s", self.name, error)
            self.after(pause, self._load, min(2 * pause, 30.0))
            return
        self.state = "running"
        self._rules_changed(initial=True)
        self.enforcer.begin(self.engine.tables())
        self.changed(delta, Cause("rules"), initial=True)
        policies = self.policies.all()
        LOG.info(
            "policy.loaded runtime=%s policies=%d rules=%d seconds=%.3f",
            self.name,
            len(policies),
            sum(len(policy.rules) for policy in policies),
            time.perf_counter() - before,
        )

    @exposed
    def status(self) -> dict[str, Any]:
        """How the runtime is, as plain JSON types.

        ``tables`` has those that others subscribe to; ``updated_at`` is null while one of the services that a table's
        rows come from has not brought its rows yet.
        """
        states = {"active": 0, "waiting": 0, "off": 0}
        policies = self.policies.all()
        for policy in policies:
            for rule in policy.rules.values():
                states[views.rule_state(self.engine, rule)] += 1
        return {
            "name": self.name,
            "state": self.state,
            "policies": len(policies),
            "rules": states,
            "services": {
                name: views.publisher_view(publisher, self.engine, self.bus.has(name))
                for name, publisher in self.sources.publishers.items()
            },
            "tables": {
                table: {
                    "rows": len(self.engine.rows(table)),
                    "updated_at": self._now() if self.settled(table) else None,
                    "subscribers": sorted(self.subscribers(table)),
                }
                for table in sorted(self._triggers)
            },
            "actions_waiting": self.enforcer.waiting,
            "time": self.engine.now,
            "next_wake": self.engine.next_wake,
            "inbox": self.waiting,
            "faults": self.faults,
        }

    # What the engine's changes lead to

    def changed(self, delta: Delta, cause: Cause, initial: bool = False) -> None:
        self._tell_exceeded()
        if delta and self._triggers:
            shown = {key: delta[key] for key in delta if key in self._triggers}
            if shown:
                self.publish({key: (change.insertions, change.retractions) for key, change in shown.items()})
        if delta or self.enforcer.busy:
            self.enforcer.take(delta, cause, initial)
        self._set_alarm()

    def wanted(self) -> set[str]:
        return self.policies.wanted()

    def schema_changed(self) -> None:
        self._rules_changed()

    def _rules_changed(self, initial: bool = False) -> None:
        self._dependencies_known = False
        self.rewire(initial)

    def settled(self, table: str) -> bool:
        """Whether the rows that a table has are known to be true: nothing that may come would take them away."""
        if self.state != "running" or not self.sources.settled(self.leaves(table)):
            return False
        return self._dependencies.safe(table)

    def whole(self, table: str) -> bool:
        """Whether the rows that a table has are known to be all that there are."""
        return self.settled(table) and self._dependencies.whole(table)

    def leaves(self, table: str) -> Collection[str]:
        """The tables of services that a table depends on."""
        if not self._dependencies_known:
            self._dependencies.rebuild(self.policies.in_state("active"), self.policies.in_state("waiting"))
            self._dependencies_known = True
        return self._dependencies.leaves(table)

    # Publication

    def table_rows(self, table: str) -> Collection[Row]:
        return self.engine.rows(table)

    def on_first_subscriber(self, table: str) -> None:
        self._triggers.add(table)

    def on_last_unsubscribed(self, table: str) -> None:
        self._triggers.discard(table)

    # Time

    def advance(self) -> Delta:
        delta = self.engine.advance(self._now())
        self._tell_exceeded()
        return delta

    def _tell_exceeded(self) -> None:
        """Log, once, which rules the engine's latest change switched off."""
        if self.engine.exceeded is self._exceeded:
            return
        self._exceeded = self.engine.exceeded
        for finding in self.engine.exceeded:
            LOG.warning("policy.rule_switched_off runtime=%s error=%s", self.name, finding.render())

    def _set_alarm(self) -> None:
        wake = self.engine.next_wake
        if self._alarm is not None:
            if self._alarm[0] == wake:
                return
            self._alarm[1].cancel()
            self._alarm = None
        if wake is not None:
            # Not in one go: the clock that rules see may be set while we wait.
            pause = min(max(0.0, wake - self._now()), 60.0)
            self._alarm = (wake, self.after(pause, self._ring))

    def _ring(self) -> None:
        self._alarm = None
        self.changed(self.advance(), Cause("time"))

    # Policies and rules

    @exposed
    def create_policy(
        self,
        name: str | None = None,
        description: str | None = None,
        abbreviation: str | None = None,
        kind: str | None = None,
        rules: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Make a policy, with all of ``rules`` (each ``{"rule", "name", "comment"}``) or not at all.

        :raises PolicyNameTaken: a policy or service has the name.  :raises RuleInvalid: with every finding.
        """
        if isinstance(name, str) and self.bus.has(name):
            raise errors.PolicyNameTaken(f"the name {name!r} is taken by a service")
        texts = [_text(rule) for rule in rules or ()]
        self._learn(name or "", texts)
        policy = self._change(lambda: self.policies.create(name, description or "", abbreviation, kind, texts))
        shown = views.policy_view(policy.record)
        if rules is not None:
            shown["rules"] = [views.rule_view(rule) for rule in policy.rules.values()]
        return shown

    @exposed
    def update_policy(self, policy: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change ``description``, ``abbreviation`` or, as a whole, ``rules`` of a policy: all of it or nothing."""
        known = dict(changes)
        if "rules" in known:
            known["rules"] = [_text(rule) for rule in known["rules"]]
            self._learn(self.policies.find(policy).record.name, known["rules"])
        found = self._change(lambda: self.policies.update(policy, known))
        shown = views.policy_view(found.record)
        if "rules" in known:
            shown["rules"] = [views.rule_view(rule) for rule in found.rules.values()]
        return shown

    @exposed
    def delete_policy(self, policy: str) -> dict[str, Any]:
        """Delete a policy and its rules.  :returns: the policy as it was."""
        record = self._change(lambda: self.policies.delete(policy)).record
        self.enforcer.sink.forget(record.name)
        return views.policy_view(record)

    @exposed
    def create_rule(
        self, policy: str, rule: str, name: str | None = None, comment: str | None = None
    ) -> dict[str, Any]:
        """Add a rule to a policy.

        :raises RuleInvalid: with every finding.  :raises RuleExists: it is there already.
        :raises RuleNotPermitted: ``policy`` is a service.
        """
        text = RuleText(rule, name, comment or "")
        try:
            found = self.policies.find(policy)
        except errors.PolicyNotFound:
            if self.engine.schema(policy) is not None or self.bus.has(policy) or self.is_defined(policy):
                raise errors.RuleNotPermitted from None
            raise
        self._learn(found.record.name, [text])
        return views.rule_view(self._change(lambda: self.policies.add_rule(policy, text)))

    @exposed
    def update_rule(self, policy: str, rule: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change ``rule``, ``name`` or ``comment`` of a rule, which keeps its id.

        :raises RuleInvalid: with every finding.  :raises RuleExists: the policy has such a rule already.
        """
        if unknown := sorted(changes.keys() - {"rule", "name", "comment"}):
            raise errors.InvalidPolicy(f"{unknown[0]!r:.100} of a rule cannot be changed")
        if "rule" in changes:
            self._learn(self.policies.find(policy).record.name, [_text(changes)])
        return views.rule_view(self._change(lambda: self.policies.update_rule(policy, rule, changes)))

    @exposed
    def delete_rule(self, policy: str, rule: str) -> dict[str, Any]:
        """Delete a rule.  :returns: the rule as it was."""
        return views.rule_view(self._change(lambda: self.policies.delete_rule(policy, rule)))

    def _change(self, work: Callable[[], tuple[T, Delta]]) -> T:
        """Change policies or rules, and let follow what follows."""
        if self.state != "running":
            raise errors.StorageFailed("the stored policies have not been loaded yet")
        before = self.advance()
        try:
            result, delta = work()
        except errors.PolicyRuntimeError:
            self.changed(before, Cause("time"))
            raise
        self._rules_changed()
        if before:
            self.changed(before, Cause("time"))
        self.changed(delta, Cause("rules", context.ids()))
        return result

    def _learn(self, policy: str, texts: Sequence[RuleText]) -> None:
        """Get to know the services that new rules name, and refuse a rule that takes this runtime for one."""
        services: set[str] = set()
        for text in texts:
            try:
                services |= {key.partition(":")[0] for key in tables_read(policy, text.parsed(policy))}
            except errors.PolicyRuntimeError:
                continue  # told when all of it is checked
        known = {stored.record.name for stored in self.policies.all()} | {policy}
        if self.name in services - known:
            raise errors.RuleInvalid(
                f"{self.name!r} is this runtime itself: its policies' tables are named without it, as policy:table"
            )
        self.learn_services(services - known)

    def is_defined(self, service: str) -> bool:
        try:
            return self._names.kind_of(service) == DEFINED
        except DbError:
            return True  # nothing is forgotten because the database is away

    # What would be

    @exposed
    def simulate(
        self,
        policy: str,
        query: object = None,
        sequence: str | None = None,
        action_policy: str | None = None,
        delta: bool = False,
        trace: bool = False,
        steps: Sequence[Any] | None = None,
    ) -> dict[str, Any]:
        """What would hold in a policy after a sequence of changes and actions, and which actions would fire.

        Nothing changes, nothing is published and nothing fires.  :meth:`Simulation.run` tells what is in the answer.
        :raises SimulationIncomplete: something is missing.  :raises SimulationInvalid: whatever is wrong in it.
        """
        request = Request(policy, query, sequence, action_policy, steps, delta, trace)
        return Simulation(self.engine, self.policies, self._borrower(), self._catalog.secrets).run(request, self._now())

    @exposed
    def preview(
        self,
        policy: str,
        rules: Sequence[str] = (),
        remove: Sequence[str] = (),
        replace: bool = False,
        kind: str | None = None,
    ) -> dict[str, Any]:
        """What a change of a policy's rules would lead to.

        Nothing changes, nothing is published and nothing fires.  :meth:`Preview.run` tells what is in the answer.
        :raises RuleInvalid: with every finding in the rules.
        """
        bundle = Bundle(policy, tuple(rules), tuple(remove), replace, kind)
        return Preview(self.engine, self.policies, self._borrower(), self._catalog.secrets).run(bundle, self._now())

    def _borrower(self) -> Borrower:
        if self.state != "running":
            raise errors.StorageFailed("the stored policies have not been loaded yet")
        return Borrower(self.engine, self.sources, self.call, self.name)

    # Actions

    @exposed
    def execute(
        self,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
        policy: str = "",
    ) -> str:
        """Have ``service:action`` executed, by unicast to that service, as if ``policy`` asked for it.

        Returns an id at once, before it is done; the ledger of executions tells under it what became of it.
        :raises ServiceNotFound: the service is not on the bus (a bus ``NotFound`` too).
        :raises ActionNotFound: it has no such action.
        :raises ActionArgumentsInvalid: the arguments do not fit.
        """
        policy = self.check_action(name, positional, named, policy)
        service, _, action = name.partition(":")
        call = Call(service, action, tuple(positional), dict(named or {}))
        return self.enforcer.sink.requested(call, Origin(policy=policy, ids=dict(context.ids())))

    @exposed
    def check_action(
        self,
        name: str,
        positional: Sequence[Value] = (),
        named: Mapping[str, Value] | None = None,
        policy: str = "",
    ) -> str:
        """Raise what :meth:`execute` would; nothing is done.  :returns: the policy's name."""
        service, colon, action = name.partition(":")
        if not (service and colon and action):
            raise errors.ActionNameInvalid(f"an action is named service:action, not {name!r:.100}")
        if policy:
            policy = self.policies.find(policy).record.name
        if service == self.name:
            raise errors.ActionNotFound(f"service {service!r} has no action {action!r:.100}")
        self._catalog.check(service, action, tuple(positional), dict(named or {}))
        return policy

    @exposed
    def actions_wanted(self, policy: str) -> list[tuple[Call, Origin]]:
        """The actions that rows of a policy ask for now, each with its proof; for a dry run.

        :raises PolicyNotFound: there is none.
        """
        name = self.policies.find(policy).record.name
        found: list[tuple[Call, Origin]] = []
        for table in self.engine.tables(name):
            if table.action is not None:
                found += self.origins.of(table, list(self.engine.rows(table.key)), Cause("rows"))
        return found

    def _instance_of(self, service: str) -> str | None:
        member = self.bus.find(service)
        return None if member is None else member.instance


class _Knowledge:
    """The runtime as its enforcer sees it."""

    def __init__(self, runtime: DseRuntime) -> None:
        self._runtime = runtime
        self.table = runtime.engine.table
        self.rows = runtime.engine.rows
        self.settled = runtime.settled
        self.origins = runtime.origins.of

    def sure(self, key: str) -> bool:
        return self.table(key) is not None and self._runtime.whole(key)


def _text(rule: Mapping[str, Any]) -> RuleText:
    return RuleText(rule.get("rule", ""), rule.get("name"), rule.get("comment") or "")
