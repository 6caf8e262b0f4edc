# SPDX-License-Identifier: Apache-2.0
"""The rules of all policies: written, resolved, in force, waiting or switched off.

Every change is made within a :class:`~congress.datalog.transaction.Transaction`, whose journal takes it back.
"""

import difflib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from typing import Any

from congress.datalog import syntax
from congress.datalog.checks import check
from congress.datalog.circles import bad_circles, is_strict
from congress.datalog.codegen import UNDEFINED, Purpose
from congress.datalog.core import AggregateStage, Const, Equal, Resolved, TemporalStage, Test
from congress.datalog.definitions import ActionTable, Definitions
from congress.datalog.diagnostics import DatalogError, Diagnostic, PolicyError, register_code
from congress.datalog.graph import Component, Cycle, Graph, Node, body_tables, hidden_tables
from congress.datalog.operators import Aggregator, Operator, TemporalGate
from congress.datalog.ordering import sources_first
from congress.datalog.resolve import ARITY, Resolution, head_table, head_terms, literal_table, resolve
from congress.datalog.runtime import Meter, RuleNode
from congress.datalog.stages import CLOCK, NOW
from congress.datalog.table import Mode
from congress.datalog.transaction import Transaction
from congress.datalog.values import Row

UNSTRATIFIED = register_code("P001", "The rule makes a table depend on its own absence or on an aggregate of itself.")
UNKNOWN_POLICY = register_code("P002", "There is no policy of that name.")
DUPLICATE = register_code("P003", "The policy has this rule already.")
RULE_ID_TAKEN = register_code("P004", "Another rule has this id.")
UNDEFINED_TABLE = register_code("W103", "The rule reads a table that nothing derives, so it is empty.")
TOO_LONG = register_code("R105", "The body has more literals than can be joined.")

MAX_LITERALS = 64


class EngineError(DatalogError):
    """The engine refuses what it was asked; nothing changed."""


@dataclass(frozen=True, slots=True)
class NewRule:
    """A rule (or fact) for a policy; the id is the caller's."""

    policy: str
    rule: syntax.Rule
    id: str


@dataclass(eq=False, slots=True)
class Written:
    """A rule as it stands in a policy."""

    new: NewRule
    state: str = "active"  # or "waiting" or "off"
    limited: bool = False  # off because it went over a limit: nothing but a new rule changes that
    listed: bool = False  # among the users of the tables it reads
    checked: tuple[Diagnostic, ...] = ()  # warnings that hold whatever the schemas are
    diagnostics: tuple[Diagnostic, ...] = ()
    resolution: Resolution = field(default_factory=Resolution)
    node: RuleNode | None = None
    fact: Row | None = None
    table: str = ""
    columns: tuple[str | None, ...] = ()
    number: int = 0  # the rules in the order they came

    @property
    def shape(self) -> tuple[Any, ...]:
        return shape_of(self.new.policy, self.new.rule)


def shape_of(policy: str, rule: syntax.Rule) -> tuple[Any, ...]:
    """What makes two rules of a policy the same: all but the order of the body's literals."""
    return policy, rule.heads, frozenset(rule.body), rule.has_body


class Program:
    """Rules by id, and the graph they make."""

    def __init__(self, definitions: Definitions, graph: Graph, meter: Meter, now: Callable[[], float]) -> None:
        self.definitions = definitions
        self.graph = graph
        self.meter = meter
        self._now = now
        self.rules: dict[str, Written] = {}
        self.waiting: dict[str, Written] = {}
        self.circular: dict[str, Written] = {}  # off, since they would close a circle
        self.by_policy: dict[str, dict[str, Written]] = {}
        self.gates: dict[str, list[TemporalGate]] = {}
        self.barred: dict[str, Diagnostic] = {}  # rules that went over a limit in the change being tried again
        self._shapes: dict[tuple[Any, ...], str] = {}
        self._by_service: dict[str, dict[str, None]] = {}
        self._numbers = count(1)
        self._in_order = True

    @property
    def now(self) -> float:
        """The time that rules see."""
        return self._now()

    def find(self, policy: str, rule: syntax.Rule) -> str | None:
        """The id of a policy's rule that is the same as this one."""
        return self._shapes.get(shape_of(policy, rule))

    def listed(self, policy: str | None = None) -> list[Written]:
        """All rules, or those of one policy, in the order they came."""
        if not self._in_order:  # a removal was undone
            for books in (self.rules, *self.by_policy.values()):
                ordered = sorted(books.items(), key=lambda entry: entry[1].number)
                books.clear()
                books.update(ordered)
            self._in_order = True
        return list((self.rules if policy is None else self.by_policy.get(policy, {})).values())

    # -- adding

    def add(self, tx: Transaction, new: Iterable[NewRule]) -> None:
        """Add rules to their policies.

        :raises PolicyError: with every finding in all of them.
        """
        batch = [Written(rule) for rule in new]
        findings: list[Diagnostic] = []
        for written in batch:
            findings += self._admit(tx, written)
        if not findings:
            changed: dict[str, None] = {}
            for written in batch:
                findings += self._define(tx, written, changed)
            for written in batch:
                written.resolution = self._resolution(written)
                findings += written.resolution.errors
            if not findings:
                findings += self._reconsider_users(tx, changed, batch) + self._waiting_circles(batch)
        if findings:
            raise PolicyError(findings)
        for written in _sources_first(batch):
            self._install(tx, written)

    def _waiting_circles(self, batch: list[Written]) -> list[Diagnostic]:
        """Circles that new rules close and of which a part waits; what is in force is the graph's business."""
        if not self.waiting and not any(written.resolution.waits for written in batch):
            return []
        readers: defaultdict[str, list[Written]] = defaultdict(list)
        for written in batch:
            for table in written.resolution.uses:
                readers[table].append(written)

        def followers(table: str) -> dict[str, bool]:
            found: dict[str, bool] = {}
            known = [self.rules[rule_id] for rule_id in self.definitions.users.get(table, ())]
            for written in (*readers.get(table, ()), *(w for w in known if w.state != "off")):
                if not found.get(written.table):
                    found[written.table] = is_strict(written.new.rule, written.new.policy, table)
            return found

        findings = []
        for tables, path in bad_circles([written.table for written in batch], followers):
            closing = [w for w in batch if w.table in tables and not tables.isdisjoint(w.resolution.uses)]
            if closing:
                findings.append(self._cycle_finding(closing[-1], path))
        return findings

    def _admit(self, tx: Transaction, written: Written) -> list[Diagnostic]:
        """Check what can be checked without looking at other tables, and enter the rule in the books."""
        new = written.new
        rule = new.rule
        kind = self.definitions.policies.get(new.policy)
        if kind is None:
            return [_finding(UNKNOWN_POLICY, f"there is no policy {new.policy!r}", rule, "create the policy first")]
        if new.id in self.rules:
            return [_finding(RULE_ID_TAKEN, f"rule id {new.id!r} is taken", rule)]
        found = check(rule, kind=kind, policy=new.policy, registry=self.definitions.registry)
        errors = [d for d in found if d.severity == "error"]
        if len(rule.body) > MAX_LITERALS:
            errors.append(_finding(TOO_LONG, f"the body has more than {MAX_LITERALS} literals", rule, "split the rule"))
        if errors:
            return errors
        written.checked = written.diagnostics = tuple(found)
        shape = written.shape
        if shape in self._shapes:
            return [_finding(DUPLICATE, f"policy {new.policy} has this rule already", rule, severity="error")]
        self._shapes[shape] = new.id
        written.number = next(self._numbers)
        self.rules[new.id] = written
        self.by_policy.setdefault(new.policy, {})[new.id] = written

        def forget() -> None:
            del self._shapes[shape], self.rules[new.id], self.by_policy[new.policy][new.id]

        tx.on_undo(forget)
        return []

    def _define(self, tx: Transaction, written: Written, changed: dict[str, None]) -> list[Diagnostic]:
        """Let the head say how many columns its table has and what they are called."""
        rule, policy = written.new.rule, written.new.policy
        terms = head_terms(rule.head)
        table = head_table(policy, rule.head)
        action = None
        if isinstance(rule.head, syntax.Modal):
            atom = rule.head.atom
            names = tuple(sorted(str(item.column) for item in atom.named))
            action = ActionTable(atom.service or policy, atom.table, len(atom.args), names)
        known = self.definitions.tables.get(table)
        if known is not None and known.arity != len(terms):
            return [
                _finding(
                    ARITY, f"{table} has {known.arity} columns elsewhere, {len(terms)} here", rule,
                    "give the head as many arguments, or use another table",
                )
            ]  # fmt: skip
        columns = _head_columns(rule.head, terms)
        written.table, written.columns = table, columns
        if rule.is_fact:
            written.fact = tuple([t.value for t in terms if isinstance(t, syntax.Constant)])
        if self.definitions.define(table, columns, 1, action):
            changed[table] = None
        tx.on_undo(lambda: _drop(self.definitions.define(table, columns, -1)))
        node = self.graph.nodes.get(table)
        if node is not None and node.table.arity != len(terms):
            self.set_arity(tx, node, len(terms))
        return []

    def set_arity(self, tx: Transaction, node: Node, arity: int) -> None:
        """A table that rules read before any rule derived it gets its real number of columns."""
        table = node.table
        before = table.arity
        table.arity = arity
        tx.on_undo(lambda: setattr(table, "arity", before))

    def _resolution(self, written: Written, *, by_clock: bool = False) -> Resolution:
        new = written.new
        if new.rule.is_fact:
            return Resolution()
        kind = self.definitions.policies.get(new.policy, "nonrecursive")
        return resolve(new.rule, new.policy, new.id, self.definitions, kind=kind, by_clock=by_clock)

    def _reconsider_users(self, tx: Transaction, changed: Iterable[str], batch: Iterable[Written]) -> list[Diagnostic]:
        """Rules that read a table whose signature changed may now mean something else, or fit no more."""
        fresh = {written.new.id for written in batch}
        ids = {
            rule_id: table
            for table in changed
            for rule_id in self.definitions.users.get(table, ())
            if rule_id not in fresh
        }
        findings: list[Diagnostic] = []
        for rule_id, table in ids.items():
            findings += self._reconsider(tx, self.rules[rule_id], table, batch)
        return findings

    def _reconsider(self, tx: Transaction, written: Written, table: str, batch: Iterable[Written]) -> list[Diagnostic]:
        if written.limited:
            return []
        before = written.resolution
        after = self._resolution(written)
        if after.errors:
            if written.state != "active":
                self._switch_off(tx, written, after)
                return []
            culprit = next((w for w in batch if w.table == table), None)
            rule = culprit.new.rule if culprit else written.new.rule
            return [
                _finding(d.code, f"rule {written.new.id} would be wrong: {d.message}", rule, d.hint)
                for d in after.errors
            ]
        if after.resolved != before.resolved or written.state != "active":
            self.withdraw(tx, written)
            self._set_resolution(tx, written, after)
            self._install_again(tx, written)
        else:
            self._warn(tx, written, after)
        return []

    def _switch_off(self, tx: Transaction, written: Written, resolution: Resolution) -> None:
        self.withdraw(tx, written)
        self._set_resolution(tx, written, resolution)
        self._list(tx, written)
        self._set_state(tx, written, "off", tuple(resolution.errors))

    def _list(self, tx: Transaction, written: Written) -> None:
        """Let the tables and services that a rule reads know it: what becomes of them may change what it means."""
        rule_id, uses = written.new.id, written.resolution.uses
        self.definitions.use(rule_id, uses)
        written.listed = True
        for service in written.resolution.services:
            self._by_service.setdefault(service, {})[rule_id] = None

        def back() -> None:
            self.definitions.unuse(rule_id, uses)
            written.listed = False

        tx.on_undo(back)

    def _unlist(self, tx: Transaction, written: Written) -> None:
        rule_id, uses = written.new.id, written.resolution.uses
        self.definitions.unuse(rule_id, uses)
        written.listed = False

        def back() -> None:
            self.definitions.use(rule_id, uses)
            written.listed = True

        tx.on_undo(back)

    def _set_resolution(self, tx: Transaction, written: Written, resolution: Resolution) -> None:
        before = written.resolution
        written.resolution = resolution
        tx.on_undo(lambda: setattr(written, "resolution", before))

    def _set_state(
        self, tx: Transaction, written: Written, state: str, diagnostics: tuple[Diagnostic, ...] | None = None
    ) -> None:
        before = written.state, written.diagnostics
        written.state = state
        if diagnostics is not None:
            written.diagnostics = diagnostics
        self._keep_lists(written)

        def back() -> None:
            written.state, written.diagnostics = before
            self._keep_lists(written)

        tx.on_undo(back)

    def _keep_lists(self, written: Written) -> None:
        """Enter a rule among those that wait and those in a circle, or strike it out there."""
        rule_id, state = written.new.id, written.state
        circular = state == "off" and any(d.code == UNSTRATIFIED for d in written.diagnostics)
        for listed, belongs in ((self.waiting, state == "waiting"), (self.circular, circular)):
            if belongs:
                listed[rule_id] = written
            else:
                listed.pop(rule_id, None)

    # -- putting into force

    def _install(self, tx: Transaction, written: Written) -> None:
        """Let a resolved rule take effect, or let it wait."""
        resolution = written.resolution
        rule_id = written.new.id
        if written.fact is not None:
            node = self._node(tx, written.table, len(written.fact), Mode.COUNTED)
            tx.give(node, written.fact, 1)
            return
        self._list(tx, written)
        if resolution.waits:
            self._set_state(tx, written, "waiting", (*written.checked, *resolution.waits))
            return
        if rule_id in self.barred:
            self._limit(tx, written, (*written.checked, self.barred[rule_id]))
            return
        assert resolution.resolved is not None
        self._set_state(tx, written, "active", _warnings(written))
        try:
            self._connect_by_clock(tx, written)
        except Cycle as cycle:
            raise PolicyError([self._cycle_finding(written, cycle.path)]) from cycle

    def _install_again(self, tx: Transaction, written: Written) -> None:
        """Let a rule take effect that was accepted before: nobody is there to be refused, so it goes off."""
        try:
            self._install(tx, written)
        except PolicyError as error:
            self._set_state(tx, written, "off", (*_warnings(written), *error.diagnostics))

    def _connect_by_clock(self, tx: Transaction, written: Written) -> None:
        """Connect a rule; those whose guards over the time are in a circle then read the clock instead.

        :raises Cycle: when an absence or an aggregate is in it, too.
        """
        cut: list[Written] = []
        while True:
            assert written.resolution.resolved is not None
            try:
                self._connect(tx, written, written.resolution.resolved)
            except Cycle as cycle:
                guarded = self._guarded(cycle, written)
                if guarded is None:
                    for other in cut:
                        self._set_by_clock(tx, other, by_clock=False)
                    raise
                if guarded is written:
                    self._set_resolution(tx, written, self._resolution(written, by_clock=True))
                else:
                    self._set_by_clock(tx, guarded)
                    cut.append(guarded)
            else:
                return

    def _guarded(self, cycle: Cycle, written: Written) -> Written | None:
        """The rule whose guard over the time is what must not be in this circle."""
        edge = cycle.path[-2:]
        resolved = written.resolution.resolved
        for stage in resolved.stages if resolved else ():
            if isinstance(stage, TemporalStage) and edge == (stage.source, stage.table):
                return written
        for rule_id, gates in self.gates.items():
            if any(edge == (gate.stage.source, gate.stage.table) for gate in gates):
                return self.rules[rule_id]
        return None

    def _set_by_clock(self, tx: Transaction, written: Written, *, by_clock: bool = True) -> None:
        """Let a rule in force read the clock's table, or be cut at its guards again."""
        self.withdraw(tx, written)
        resolution = self._resolution(written, by_clock=by_clock)
        assert resolution.resolved is not None
        self._set_resolution(tx, written, resolution)
        self._list(tx, written)
        self._connect(tx, written, resolution.resolved)

    def _cycle_finding(self, written: Written, way: Sequence[str]) -> Diagnostic:
        keys = [key.split("#")[0] for key in way]  # without the engine's own tables in between
        path = " -> ".join([key for key, _ in groupby(keys)] if len(set(keys)) > 1 else [keys[0], keys[0]])
        return _finding(
            UNSTRATIFIED, f"{written.table} would depend on its own absence or aggregate: {path}", written.new.rule,
            "negation and aggregates may only look at tables that do not depend on this one",
        )  # fmt: skip

    def _connect(self, tx: Transaction, written: Written, resolved: Resolved) -> None:
        for table, arity in hidden_tables(resolved.rule, resolved.stages):
            self._node(tx, table, arity, Mode.COUNTED)
        self._node(tx, resolved.table, len(resolved.columns), Mode.COUNTED)
        for item in resolved.rule.body:
            if isinstance(item, Test | Equal):
                continue
            mode = Mode.BASE if self._is_base(item.table) else Mode.COUNTED
            self._node(tx, item.table, len(item.args), mode)
        rule = RuleNode(
            written.new.id,
            written.new.policy,
            resolved.rule,
            resolved.table,
            (),
            self.graph.tables,
            self.meter,
        )
        rule.operators = self._operators(rule, resolved)
        graph = self.graph
        graph.connect(rule)
        try:
            merged, undo = graph.settle(rule)
            if merged:
                # What is under way counts derivations; it has to arrive before tables begin to rank their rows.
                undo()
                self._take_apart(rule)
                tx.run()
                graph.connect(rule)
                merged, undo = graph.settle(rule)
        except Cycle:
            self._take_apart(rule)
            raise
        tx.on_undo(lambda: self._take_apart(rule))
        tx.on_undo(rule.release)
        if merged:
            tx.on_undo(lambda: self._refresh(node for node, _ in merged))
        tx.on_undo(undo)
        if merged:
            self._rank(tx, merged)
        component = graph.nodes[rule.core.table].component
        if component is not None:
            rule.recursive = frozenset(node.key for node in component.nodes)
        self._set_node(tx, written, rule)
        gates = [o for o in rule.operators if isinstance(o, TemporalGate)]
        if gates:
            self.gates[rule.id] = gates
            tx.on_undo(lambda: _drop(self.gates.pop(rule.id)))
        tx.evaluate(rule, 1)

    def _set_node(self, tx: Transaction, written: Written, node: RuleNode | None) -> None:
        before = written.node
        written.node = node
        tx.on_undo(lambda: setattr(written, "node", before))

    def _take_apart(self, rule: RuleNode) -> None:
        self.graph.disconnect(rule)
        self.graph.disconnect_stages(rule)

    def _is_base(self, table: str) -> bool:
        service = table.partition(":")[0]
        return table == CLOCK or service in self.definitions.services

    def _node(self, tx: Transaction, key: str, arity: int, mode: Mode) -> Node:
        node = self.graph.nodes.get(key)
        if node is None:
            node = self.graph.add(key, arity, mode)
            tx.on_undo(lambda: self.graph.drop(key))
            if key == CLOCK:
                tx.change_base(node, [(self._now(),)], ())
        elif node.table.arity != arity and not node.table.rows:
            self.set_arity(tx, node, arity)  # nothing defines it any more: its readers say what it is
        return node

    def _operators(self, rule: RuleNode, resolved: Resolved) -> tuple[Operator, ...]:
        made: list[Operator] = []
        for stage in resolved.stages:
            if isinstance(stage, AggregateStage):
                made.append(Aggregator(stage, rule.note))
            else:
                made.append(TemporalGate(stage, rule.note, self._now))
        return tuple(made)

    # -- taking out of force

    def remove(self, tx: Transaction, ids: Iterable[str]) -> None:
        """Remove rules for good.

        :raises EngineError: when an id is unknown.
        """
        leaving = []
        for rule_id in dict.fromkeys(ids):
            written = self.rules.get(rule_id)
            if written is None:
                raise EngineError(f"there is no rule with id {rule_id!r}")
            leaving.append(written)
        changed: dict[str, None] = {}
        for written in leaving:
            self.withdraw(tx, written)
            self._strike(tx, written, changed)
        if changed:
            tx.run()  # rows go while their readers still know how many columns they have
        self._reconsider_users(tx, changed, ())
        for written in sorted(self.circular.values(), key=lambda written: written.number):
            self._again(tx, written)  # the circle may be open now

    def _strike(self, tx: Transaction, written: Written, changed: dict[str, None]) -> None:
        """Take a withdrawn rule out of the books."""
        new, shape = written.new, written.shape
        table, columns = written.table, written.columns
        action = self.definitions.tables[table].action
        del self._shapes[shape], self.rules[new.id], self.by_policy[new.policy][new.id]
        self.waiting.pop(new.id, None)
        self.circular.pop(new.id, None)
        if self.definitions.define(table, columns, -1):
            changed[table] = None

        def back() -> None:
            self._shapes[shape] = new.id
            self.rules[new.id] = self.by_policy[new.policy][new.id] = written
            self._in_order = False
            self._keep_lists(written)
            self.definitions.define(table, columns, 1, action)

        tx.on_undo(back)

    def withdraw(self, tx: Transaction, written: Written) -> None:
        """Take a rule's effects back and its edges out; it stays in the books."""
        if written.fact is not None:
            if written.state == "active":
                tx.give(self.graph.nodes[written.table], written.fact, -1)
            return
        rule_id = written.new.id
        if written.listed:
            self._unlist(tx, written)
        rule = written.node
        if rule is None:
            return
        graph = self.graph
        component = graph.nodes[rule.core.table].component
        tx.evaluate(rule, -1)
        graph.disconnect(rule)
        self._set_node(tx, written, None)

        tx.on_undo(lambda: graph.connect_rule(rule))
        if rule.operators:
            tx.run()  # the rule's last rows leave through its stages
            graph.disconnect_stages(rule)
            tx.on_undo(lambda: self._reconnect_stages(rule))
            gates = self.gates.pop(rule_id, None)
            if gates is not None:
                tx.on_undo(lambda: self.gates.__setitem__(rule_id, gates))
        tx.on_commit(rule.release)
        if component is not None and any(graph.nodes[k].component is component for k in body_tables(rule.core)):
            self._split(tx, component)

    def _reconnect_stages(self, rule: RuleNode) -> None:
        for operator in rule.operators:
            self.graph.nodes[operator.stage.source].outputs.append(operator)
            self.graph.nodes[operator.stage.table].inputs.append(operator)

    # -- recursive components

    def _rank(self, tx: Transaction, merged: list[tuple[Node, Component | None]]) -> None:
        """Turn the tables of a new component, lowest first, from counting derivations to ranking rows."""
        nodes = [node for node, _ in merged]
        component = nodes[0].component
        assert component is not None
        before = [(node, node.table.mode, node.table.rows) for node in nodes]
        offsets: dict[Component, int] = {}
        for node, previous in merged:
            table = node.table
            if previous is None:
                component.clock += 1
                table.rows = dict.fromkeys(table.rows, component.clock)
                table.mode = Mode.RANKED
                continue
            if previous not in offsets:
                offsets[previous] = component.clock
                component.clock += previous.clock
            offset = offsets[previous]
            table.rows = {row: rank + offset for row, rank in table.rows.items()}
        self._refresh(nodes)

        def back() -> None:
            for node, mode, rows in before:
                node.table.mode, node.table.rows = mode, rows

        tx.on_undo(back)

    def _refresh(self, nodes: Iterable[Node]) -> None:
        """Rules whose head is in a component have to know the component's tables."""
        for node in nodes:
            component = node.component
            keys = frozenset(n.key for n in component.nodes) if component is not None else frozenset()
            for rule in node.rules.values():
                if rule.recursive != keys:
                    rule.recursive = keys
                    rule.replan()

    def _split(self, tx: Transaction, component: Component) -> None:
        """A rule of the component went: tables that are recursive no more count derivations again."""
        members = component.nodes
        tx.run()
        result = self.graph.split(component)
        if result is None:
            return
        freed, undo = result
        tx.on_undo(lambda: self._refresh(members))
        tx.on_undo(undo)
        self._refresh(members)
        for node in freed:
            self._recount(tx, node)

    def _recount(self, tx: Transaction, node: Node) -> None:
        table = node.table
        before = table.rows
        counts = defaultdict(int, node.given)
        for rule in node.rules.values():
            if all(self.graph.tables[item.table].rows for _, item in rule.core.positives()):
                rule.run(None, Purpose.COUNT, (), 1, counts)
        table.rows = {row: counts[row] for row in before}
        table.mode = Mode.COUNTED

        def back() -> None:
            table.rows, table.mode = before, Mode.RANKED

        tx.on_undo(back)

    # -- services

    def retry(self, tx: Transaction, name: str) -> None:
        """A policy or service appeared or changed: look again at the rules that mention it."""
        again = []
        for rule_id in list(self._by_service.get(name, ())):
            written = self.rules.get(rule_id)
            if written is None or name not in written.resolution.services:
                self._by_service[name].pop(rule_id, None)
            elif not written.limited:
                again.append(written)
        for written in _sources_first(sorted(again, key=lambda written: written.number)):
            self._again(tx, written)

    def forget_service(self, tx: Transaction, name: str) -> None:
        """A policy or service is gone: rules that read it wait for it to come back."""
        prefix = name + ":"
        ids = dict.fromkeys(self._by_service.get(name, ()))
        for table in list(self.definitions.users):
            if table.startswith(prefix):
                ids.update(dict.fromkeys(self.definitions.users[table]))
        for rule_id in ids:
            written = self.rules.get(rule_id)
            if written is not None and not written.limited:
                self._again(tx, written)

    def _again(self, tx: Transaction, written: Written) -> None:
        """Resolve a rule anew, and let it take effect as it now is."""
        after = self._resolution(written)
        if after.errors:
            self._switch_off(tx, written, after)
        elif after.resolved != written.resolution.resolved or written.state != "active":
            self.withdraw(tx, written)
            self._set_resolution(tx, written, after)
            self._install_again(tx, written)
        else:
            self._warn(tx, written, after)

    def _warn(self, tx: Transaction, written: Written, resolution: Resolution) -> None:
        """A rule in force means what it did, but there may be something else to say of it."""
        if resolution.warnings != written.resolution.warnings:
            self._set_resolution(tx, written, replace(written.resolution, warnings=resolution.warnings))
            self._set_state(tx, written, "active", _warnings(written))

    def switch_off(self, tx: Transaction, rule_id: str) -> None:
        """A rule went over a limit: it stays in its policy but derives nothing until it is removed and added again."""
        written = self.rules[rule_id]
        if written.state == "active":
            self.withdraw(tx, written)
            self._limit(tx, written, (*written.diagnostics, self.barred[rule_id]))

    def _limit(self, tx: Transaction, written: Written, diagnostics: tuple[Diagnostic, ...]) -> None:
        written.limited = True
        tx.on_undo(lambda: setattr(written, "limited", False))
        self._set_state(tx, written, "off", diagnostics)

    def undefined(self, written: Written) -> list[Diagnostic]:
        """Warnings for tables of policies that a rule reads and nothing derives."""
        found = []
        for item in written.new.rule.body if written.state == "active" else ():
            if not isinstance(item, syntax.Literal):
                continue
            atom = item.atom
            key = literal_table(atom, written.new.policy)
            if key not in written.resolution.uses or key in self.definitions.tables:
                continue
            hint = f"is builtin:{atom.table} meant?" if atom.table in self.definitions.registry else ""
            near = difflib.get_close_matches(key, self.definitions.tables, 1)
            if near and not hint:
                hint = f"is {near[0]} meant?"
            message = f"no rule and no fact derives {key}"
            rule = written.new.rule
            found.append(Diagnostic(UNDEFINED_TABLE, message, rule.source, atom.name_span, hint, "warning"))
        return found

    def derives(self, written: Written) -> bool:
        """Whether a rule's body holds for some binding."""
        rule = written.node
        if rule is None or not all(self.graph.tables[item.table].rows for _, item in rule.core.positives()):
            return False
        found: set[Row] = set()
        rule.run(None, Purpose.HEADS, (), 0, found)
        return bool(found)

    def prepare(self) -> None:
        """Compile all functions that row changes can call for."""
        for written in self.rules.values():
            rule = written.node
            if rule is None:
                continue
            for table, places in (*rule.positives.items(), *rule.negatives.items()):
                inner = table in rule.recursive
                for occurrence in places:
                    for purpose in (Purpose.NEW, Purpose.HEADS) if inner else (Purpose.COUNT,):
                        rule.compiled(occurrence.start, purpose)
            for key, group in rule.negatives.items():
                for occurrence in group:
                    if occurrence.columns and not occurrence.whole:
                        rule.index(self.graph.tables[key], occurrence.columns)
            if rule.recursive:
                rule.compiled(None, Purpose.EXISTS)

    def next_tick(self) -> float:
        """When an answer of a built-in that reads the clock may next change; within a second, where none can tell."""
        now = self._now()
        soonest = math.floor(now) + 1.0
        known: list[float] = []
        for rule in self.graph.nodes[CLOCK].readers.values():
            for item in rule.core.body:
                if not isinstance(item, Test) or NOW not in item.inputs:
                    continue
                rest = [arg.value for arg in item.inputs if isinstance(arg, Const)]
                if item.builtin.next_change is None or len(rest) + 1 < len(item.inputs):
                    return soonest
                try:
                    known.append(item.builtin.next_change(now, *rest))
                except UNDEFINED:
                    continue  # it has no answer at any time
        return min(known, default=soonest)

    def wanted(self) -> set[str]:
        """Tables of cloud services (and of policies elsewhere) that rules mention, known or not."""
        found: set[str] = set()
        for written in self.rules.values():
            for item in written.new.rule.body:
                if isinstance(item, syntax.Literal) and item.atom.service is not None:
                    service = item.atom.service
                    if service in written.resolution.services:
                        found.add(item.atom.name)
        return found


def _sources_first(batch: list[Written]) -> list[Written]:
    return sources_first(batch, lambda written: written.table, lambda written: written.resolution.uses)


def _warnings(written: Written) -> tuple[Diagnostic, ...]:
    return *written.checked, *(d for d in written.resolution.warnings if d not in written.checked)


def _drop(result: object) -> None:
    """Make a call whose result nobody wants one that has none."""


def _head_columns(head: syntax.Head, terms: tuple[syntax.Term, ...]) -> tuple[str | None, ...]:
    if isinstance(head, syntax.Modal):
        named = sorted(str(item.column) for item in head.atom.named)
        return (*[None] * len(head.atom.args), *named)
    names: list[str | None] = []
    for term in terms:
        if isinstance(term, syntax.Variable):
            names.append(term.name)
        else:
            names.append(term.function if isinstance(term, syntax.Aggregate) else None)
    return tuple(names)


def _finding(code: str, message: str, rule: syntax.Rule, hint: str = "", severity: str = "error") -> Diagnostic:
    return Diagnostic(code, message, rule.source, rule.span, hint, severity)
