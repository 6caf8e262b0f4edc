# SPDX-License-Identifier: Apache-2.0
"""The rules of all policies: written, resolved, in force, waiting or switched off.

Every change is made within a :class:`~congress.datalog.transaction.Transaction`, whose journal takes it back.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial

from congress.datalog import syntax
from congress.datalog.checks import check
from congress.datalog.circles import circle, circles, is_strict
from congress.datalog.codegen import Purpose
from congress.datalog.components import rank, refresh, split
from congress.datalog.core import AggregateStage, Equal, Resolved, TemporalStage, Test
from congress.datalog.definitions import ActionTable, Definitions
from congress.datalog.diagnostics import DatalogError, Diagnostic, PolicyError, register_code
from congress.datalog.graph import Component, Cycle, Graph, Node, body_tables, hidden_tables
from congress.datalog.limits import LimitExceeded
from congress.datalog.operators import Aggregator, Operator, TemporalGate
from congress.datalog.ordering import sources_first
from congress.datalog.readings import Readings
from congress.datalog.resolve import ARITY, Resolution, head_table, head_terms, literal_table, resolve
from congress.datalog.runtime import Meter, RuleNode
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode
from congress.datalog.transaction import Transaction
from congress.datalog.values import Row
from congress.datalog.written import Books, NewRule, Written

UNKNOWN_POLICY = register_code("P002", "There is no policy of that name.")
DUPLICATE = register_code("P003", "The policy has this rule already.")
RULE_ID_TAKEN = register_code("P004", "Another rule has this id.")
UNDEFINED_TABLE = register_code("W103", "The rule reads a table that nothing derives, so it is empty.")
TOO_LONG = register_code("R105", "The body has more literals than can be joined.")

MAX_LITERALS = 64
FEW = 16
"""New rules for each of which it is asked whether it may close a circle; for more, circles are looked for at once."""


class EngineError(DatalogError):
    """The engine refuses what it was asked; nothing changed."""


class Program:
    """Rules by id, and the graph they make."""

    def __init__(self, definitions: Definitions, graph: Graph, meter: Meter, now: Callable[[], float]) -> None:
        self.definitions = definitions
        self.graph = graph
        self.meter = meter
        self._now = now
        self.books = Books()
        self.rules = self.books.rules
        self.readings = Readings()
        self.gates: dict[str, list[TemporalGate]] = {}
        self.barred: dict[str, Diagnostic] = {}  # rules that went over a limit in the change being tried again

    @property
    def now(self) -> float:
        """The time that rules see."""
        return self._now()

    # -- adding

    def add(self, tx: Transaction, new: Iterable[NewRule], findings: Iterable[Diagnostic] = ()) -> None:
        """Add rules to their policies.

        :param findings: what was found wrong before, in the texts that the rules are from.
        :raises PolicyError: with these, and with every finding in all of the rules.
        """
        found, given = list(findings), [Written(rule) for rule in new]
        batch = [written for written in given if self._admit(tx, written, found)]
        changed: dict[str, None] = {}
        for written in batch:
            found += self._define(tx, written, changed)
        for written in batch:
            written.resolution = self._resolution(written)
            found += written.resolution.errors
            tx.on_undo(self._note_reading(written))
        found += self._reconsider_users(tx, changed, batch)
        waits = self.books.waiting or any(written.resolution.waits for written in batch)
        if found or (waits and (len(batch) > FEW or self.readings.may_close(written.new.id for written in batch))):
            found += circles(batch, self._readers)
        if found:
            texts = {id(written.new.rule.source): number for number, written in enumerate(given)}
            raise PolicyError(sorted(found, key=lambda finding: texts.get(id(finding.source), len(given))))
        for written in _sources_first(batch, stable=False):
            try:
                self._install(tx, written)
            except PolicyError as error:
                raise PolicyError(circles(batch, self._readers) or error.diagnostics) from error

    def _note_reading(self, written: Written) -> Callable[[], None]:
        new = written.new
        uses = {table: is_strict(new.rule, new.policy, table) for table in written.resolution.uses}
        return self.readings.enter(new.id, written.table, uses)

    def _readers(self, table: str) -> Iterator[Written]:
        """The rules that read a policy's table, those that are off left out."""
        for rule_id in self.definitions.users.get(table, ()):
            written = self.rules[rule_id]
            if written.state != "off":
                yield written

    def _admit(self, tx: Transaction, written: Written, findings: list[Diagnostic]) -> bool:
        """Check what can be checked without looking at other tables, and enter the rule in the books.

        Whether the other checks are to see it: what is wrong with a rule may not be all that is.
        """
        new, rule = written.new, written.new.rule
        kind = self.definitions.policies.get(new.policy)
        if kind is None:
            findings.append(
                written.finding(UNKNOWN_POLICY, f"there is no policy {new.policy!r}", "create the policy first")
            )
            return False
        if new.id in self.rules:
            findings.append(written.finding(RULE_ID_TAKEN, f"rule id {new.id!r} is taken"))
            return False
        if self.books.find(written.shape) is not None:
            findings.append(written.finding(DUPLICATE, f"policy {new.policy} has this rule already"))
            return False
        checked = check(rule, kind=kind, policy=new.policy, registry=self.definitions.registry)
        errors = [finding for finding in checked if finding.severity == "error"]
        findings += errors
        if len(rule.body) > MAX_LITERALS:
            findings.append(
                written.finding(TOO_LONG, f"the body has more than {MAX_LITERALS} literals", "split the rule")
            )
        written.faults = tuple(finding.span for finding in errors)
        written.checked = written.diagnostics = tuple(d for d in checked if d.severity != "error")
        tx.on_undo(self.books.enter(written))
        return True

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
            message = f"{table} has {known.arity} columns elsewhere, {len(terms)} here"
            return [written.finding(ARITY, message, "give the head as many arguments, or use another table")]
        columns = _head_columns(rule, terms)
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
        return resolve(
            new.rule, new.policy, new.id, self.definitions, kind=kind, by_clock=by_clock, faults=written.faults
        )

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
            culprit = next((w for w in batch if w.table == table), written)
            return [
                culprit.finding(d.code, f"rule {written.new.id} would be wrong: {d.message}", d.hint)
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
        self.books.mention(written)
        undo = self._note_reading(written)

        def back() -> None:
            undo()
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
        self.books.sort(written)

        def back() -> None:
            written.state, written.diagnostics = before
            self.books.sort(written)

        tx.on_undo(back)

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
        self._set_state(tx, written, "active", written.warnings)
        try:
            self._connect_by_clock(tx, written)
        except Cycle as cycle:
            raise PolicyError([circle(written, cycle.path)]) from cycle

    def _install_again(self, tx: Transaction, written: Written) -> None:
        """Let a rule take effect that was accepted before: nobody is there to be refused, so it goes off."""
        try:
            self._install(tx, written)
        except PolicyError as error:
            self._set_state(tx, written, "off", (*written.warnings, *error.diagnostics))

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
            tx.on_commit(lambda: graph.tidy(_touched(rule)))
            raise
        tx.on_undo(lambda: self._take_apart(rule))
        tx.on_undo(rule.release)
        if merged:
            tx.on_undo(lambda: refresh(node for node, _ in merged))
        tx.on_undo(undo)
        if merged:
            rank(tx, merged)
        component = graph.nodes[rule.core.table].component
        if component is not None:
            rule.recursive = frozenset(node.key for node in component.nodes)
        self._set_node(tx, written, rule)
        gates = [o for o in rule.operators if isinstance(o, TemporalGate)]
        if gates:
            self.gates[rule.id] = gates
            tx.on_undo(lambda: _drop(self.gates.pop(rule.id)))
        tx.evaluate(rule)

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
        for written in sorted(self.books.circular.values(), key=lambda written: written.number):
            self._again(tx, written)  # the circle may be open now

    def _strike(self, tx: Transaction, written: Written, changed: dict[str, None]) -> None:
        """Take a withdrawn rule out of the books."""
        table, columns = written.table, written.columns
        action = self.definitions.tables[table].action
        tx.on_undo(self.readings.strike(written.new.id))
        tx.on_undo(self.books.strike(written))
        if self.definitions.define(table, columns, -1):
            changed[table] = None
        if table not in self.definitions.tables:
            tx.on_commit(lambda: self.graph.tidy((table,)))
        tx.on_undo(lambda: _drop(self.definitions.define(table, columns, 1, action)))

    def withdraw(self, tx: Transaction, written: Written) -> None:
        """Take a rule's effects back and its edges out; it stays in the books."""
        if written.fact is not None:
            if written.state == "active":
                tx.give(self.graph.nodes[written.table], written.fact, -1)
            return
        if written.listed:
            self._unlist(tx, written)
        rule = written.node
        if rule is not None:
            self._disconnect(tx, [written])

    def _disconnect(self, tx: Transaction, leaving: Iterable[Written]) -> None:
        """Take back what rules derive.  None of them is evaluated any more while the others take that in."""
        graph = self.graph
        rules: list[RuleNode] = []
        components: dict[Component, None] = {}
        for written in leaving:
            rule = written.node
            assert rule is not None
            rules.append(rule)
            component = graph.nodes[rule.core.table].component
            if component is not None and any(graph.nodes[k].component is component for k in body_tables(rule.core)):
                components[component] = None
            tx.withdraw(rule)
            graph.disconnect(rule)
            self._set_node(tx, written, None)
            tx.on_undo(partial(graph.connect_rule, rule))
            tx.on_commit(rule.release)
        staged = [rule for rule in rules if rule.operators]
        if staged:
            tx.run()  # the rules' last rows leave through their stages
        for rule in staged:
            graph.disconnect_stages(rule)
            tx.on_undo(partial(graph.connect_stages, rule))
            gates = self.gates.pop(rule.id, None)
            if gates is not None:
                tx.on_undo(partial(self.gates.__setitem__, rule.id, gates))
        for rule in rules:
            tx.on_commit(partial(self._tidy, rule))
        for component in components:
            split(tx, graph, component)

    def _tidy(self, rule: RuleNode) -> None:
        self.graph.tidy(_touched(rule))

    # -- services

    def retry(self, tx: Transaction, name: str) -> None:
        """A policy or service appeared or changed: look again at the rules that mention it."""
        again = [written for written in self.books.mentioning(name) if not written.limited]
        for written in _sources_first(again):
            self._again(tx, written)

    def forget_service(self, tx: Transaction, name: str) -> None:
        """A policy or service is gone: rules that read it wait for it to come back."""
        prefix = name + ":"
        ids = dict.fromkeys(written.new.id for written in self.books.mentioning(name))
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
            self._set_state(tx, written, "active", written.warnings)

    def switch_off(self, tx: Transaction) -> None:
        """Rules went over a limit: they stay in their policies but derive nothing until removed and added again."""
        rules = [self.rules[rule_id] for rule_id in self.barred if rule_id in self.rules]
        leaving = [written for written in rules if written.state == "active"]
        for written in leaving:
            self._unlist(tx, written)
        self._disconnect(tx, leaving)
        for written in leaving:
            self._limit(tx, written, (*written.diagnostics, self.barred[written.new.id]))
        tx.run()

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
            builtin = atom.table in self.definitions.registry
            meant = f"builtin:{atom.table}" if builtin else self.definitions.like(key)
            hint = f"is {meant} meant?" if meant else ""
            finding = written.finding(UNDEFINED_TABLE, f"no rule and no fact derives {key}", hint, atom.name_span)
            found.append(replace(finding, severity="warning"))
        return found

    def derives(self, written: Written) -> bool:
        """Whether a rule's body holds for some binding."""
        rule = written.node
        if rule is None or not all(self.graph.tables[item.table].rows for _, item in rule.core.positives()):
            return False
        found: set[Row] = set()
        rule.begin()
        with suppress(LimitExceeded):  # what it found until then has to do
            rule.run(None, Purpose.HEADS, (), 0, found)
        return bool(found)


def _sources_first(batch: list[Written], *, stable: bool = True) -> list[Written]:
    """``stable``: of rules that close a circle, it is the last that goes off."""
    return sources_first(batch, lambda written: written.table, lambda written: written.resolution.uses, stable=stable)


def _drop(result: object) -> None:
    """Make a call whose result nobody wants one that has none."""


def _touched(rule: RuleNode) -> Iterator[str]:
    """The tables that a rule reads or puts rows into."""
    yield from body_tables(rule.core)
    yield rule.core.table
    for operator in rule.operators:
        yield operator.stage.table


def _head_columns(rule: syntax.Rule, terms: tuple[syntax.Term, ...]) -> tuple[str | None, ...]:
    head = rule.head
    if isinstance(head, syntax.Modal):
        named = sorted(str(item.column) for item in head.atom.named)
        return (*[None] * len(head.atom.args), *named)
    if rule.is_fact:
        return (None,) * len(terms)
    names: list[str | None] = []
    for term in terms:
        if isinstance(term, syntax.Variable):
            names.append(term.name)
        else:
            names.append(term.function if isinstance(term, syntax.Aggregate) else None)
    return tuple(names)
