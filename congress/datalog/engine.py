# SPDX-License-Identifier: Apache-2.0
"""The engine: tables of services, rules of policies, and every derived table kept exactly right between them.

One engine belongs to one thread.  Nothing here reads a clock, waits or does I/O: rows, rules and the time come in by
calls, and each call returns the consolidated change of every table.

A table is known by its key, ``service:table`` or ``policy:table``; the rows of ``execute[s:a(...)]`` heads are
tables too (:class:`~congress.datalog.definitions.ActionTable` tells whose).  Rows are tuples of
:mod:`congress.datalog.values`.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from congress.datalog import syntax
from congress.datalog.builtins import default_registry
from congress.datalog.builtins.registry import Registry
from congress.datalog.clock import next_tick
from congress.datalog.definitions import ActionTable, Definitions, TableInfo
from congress.datalog.diagnostics import Diagnostic
from congress.datalog.explain import Explainer, Proof, WhyNot
from congress.datalog.graph import Graph
from congress.datalog.limits import LimitExceeded, Limits
from congress.datalog.parser import parse_partial
from congress.datalog.planning import RulePlan, plan_of
from congress.datalog.profile import Profile, profile_of
from congress.datalog.program import EngineError, Program
from congress.datalog.query import Answer, run_query
from congress.datalog.runtime import EvaluationError, Meter
from congress.datalog.schema import TableSchema
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode
from congress.datalog.transaction import Transaction
from congress.datalog.type_flow import Derivation, flow_warnings
from congress.datalog.values import _SAFE, NotAValue, Row, encode_row
from congress.datalog.written import NewRule, Written, shape_of

__all__ = [
    "ActionTable", "Answer", "Delta", "Engine", "EngineError", "EvaluationError", "Limits", "NewRule", "Proof",
    "RuleStatus", "TableDelta", "TableInfo", "WhyNot",
]  # fmt: skip


class TableDelta(NamedTuple):
    """Rows that a table gained and lost."""

    insertions: list[Row]
    retractions: list[Row]

    def __bool__(self) -> bool:
        return bool(self.insertions or self.retractions)


Delta = dict[str, TableDelta]
"""What changed, by table key; only tables that did."""

Change = tuple[Iterable[Row], Iterable[Row]]


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """How a rule is doing."""

    id: str
    policy: str
    state: str  # "active", "waiting" (for a service, a table or a column) or "off" (over a limit, or wrong)
    diagnostics: tuple[Diagnostic, ...]
    errors: tuple[EvaluationError, ...]  # the first built-ins without an answer
    error_count: int


class Engine:
    """Policies, rules and rows, and everything that follows from them.

    :param registry: the built-ins; by default all that are installed.
    :param limits: bounds whose excess switches a rule off.
    :param clock: read only to enforce ``limits.seconds`` and for profiles; never for the time that rules see.
    :param now: the time that rules see until the first :meth:`advance`, in seconds since the epoch.
    """

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] | None = None,
        now: float = 0.0,
    ) -> None:
        self._now = now
        self._meter = Meter(limits or Limits(), clock)
        self._definitions = Definitions(registry if registry is not None else default_registry())
        self._graph = Graph()
        self._program = Program(self._definitions, self._graph, self._meter, lambda: self._now)
        self._outer: Transaction | None = None
        self._ids = 0
        self.exceeded: tuple[Diagnostic, ...] = ()
        """For each rule that the latest change made go over a limit, and that is off since, why."""

    @property
    def registry(self) -> Registry:
        """The built-ins that rules may use."""
        return self._definitions.registry

    # -- policies and services

    def create_policy(self, name: str, kind: str = "nonrecursive") -> Delta:
        """Make an empty policy.

        :raises EngineError: when a policy or service has the name.
        """
        if name in self._definitions.policies or name in self._definitions.services or name == "builtin":
            raise EngineError(f"the name {name!r} is taken")

        def change(tx: Transaction) -> None:
            self._definitions.policies[name] = kind
            tx.on_undo(lambda: self._definitions.policies.__delitem__(name))
            self._program.retry(tx, name)

        return self._transact(change)

    def delete_policy(self, name: str) -> Delta:
        """Remove a policy with all its rules; rules elsewhere that read its tables wait for it to come back."""
        if name not in self._definitions.policies:
            raise EngineError(f"there is no policy {name!r}")

        def change(tx: Transaction) -> None:
            self._program.remove(tx, [written.new.id for written in self._program.books.listed(name)])
            kind = self._definitions.policies.pop(name)
            tx.on_undo(lambda: self._definitions.policies.__setitem__(name, kind))
            self._program.forget_service(tx, name)

        return self._transact(change)

    def policies(self) -> dict[str, str]:
        """Policy names with their kinds."""
        return dict(self._definitions.policies)

    def set_schema(self, service: str, tables: Mapping[str, TableSchema]) -> Delta:
        """Say which tables a service has.  Rules that waited for them take effect; those that no longer fit go off.

        A table whose number of columns changed, or that is gone, loses its rows.

        :raises EngineError: when a policy has the name.
        """
        if service in self._definitions.policies or service == "builtin":
            raise EngineError(f"the name {service!r} is taken")
        before = self._definitions.services.get(service)
        if before == dict(tables):
            return {}
        old = before or {}

        def change(tx: Transaction) -> None:
            self._empty(tx, service, [t for t, s in old.items() if t not in tables or tables[t].arity != s.arity])
            self._definitions.services[service] = dict(tables)
            tx.on_undo(lambda: self._restore_service(service, before))
            self._program.retry(tx, service)
            for table, schema in tables.items():
                node = self._graph.nodes.get(f"{service}:{table}")
                if node is not None and node.table.arity != schema.arity:
                    self._program.set_arity(tx, node, schema.arity)

        return self._transact(change)

    def delete_service(self, service: str) -> Delta:
        """Forget a service and its rows; rules that read it wait for it to come back."""
        before = self._definitions.services.get(service)
        if before is None:
            raise EngineError(f"there is no service {service!r}")

        def change(tx: Transaction) -> None:
            del self._definitions.services[service]
            tx.on_undo(lambda: self._restore_service(service, before))
            self._program.forget_service(tx, service)
            self._empty(tx, service, before)

        return self._transact(change)

    def _restore_service(self, service: str, tables: dict[str, TableSchema] | None) -> None:
        """:param tables: None: it was not known."""
        if tables is None:
            del self._definitions.services[service]
        else:
            self._definitions.services[service] = tables

    def _empty(self, tx: Transaction, service: str, tables: Iterable[str]) -> None:
        for table in tables:
            node = self._graph.nodes.get(f"{service}:{table}")
            if node is not None and node.table.rows:
                tx.change_base(node, (), list(node.table.rows))
        tx.run()

    def schema(self, service: str) -> Mapping[str, TableSchema] | None:
        """The tables of a service, or None."""
        return self._definitions.services.get(service)

    def wanted(self) -> set[str]:
        """Keys of the tables outside this engine's policies that rules mention, their service known or not."""
        return set(self._program.books.wanted())

    # -- changes

    def apply(
        self,
        rows: Mapping[str, Change] | None = None,
        add: Iterable[NewRule] = (),
        remove: Iterable[str] = (),
        findings: Iterable[Diagnostic] = (),
    ) -> Delta:
        """Change rows and rules as one transaction: all of it, or nothing.

        :param rows: per table of a service, rows to insert and rows to retract.  A row that is there already, or
            that is not there to be retracted, is no change; one that is in both stays.  In tuples of nothing but
            texts, integers, booleans of the language and None the values are not looked at again: whoever lets them
            in from outside sees to it that integers are in range (:func:`~congress.datalog.values.encode_rows`) and
            that texts have no halves of surrogate pairs.
        :param add: rules to add, after ``remove``.
        :param remove: ids of rules to remove.
        :param findings: what is wrong with the texts that the new rules are from; with any, nothing is changed.
        :raises PolicyError: with these, and with every finding in the new rules.
        :raises EngineError: for an unknown table or id, or a row that does not fit; nothing changed.
        """
        changes = [] if rows is None else [self._checked(table, change) for table, change in rows.items()]
        added, removed, wrong = list(add), list(remove), list(findings)

        def change(tx: Transaction) -> None:
            if removed:
                self._program.remove(tx, removed)
            if added or wrong:
                self._program.add(tx, added, wrong)
            for key, arity, insertions, retractions in changes:
                node = self._graph.nodes.get(key) or self._graph.add(key, arity, Mode.BASE)
                tx.change_base(node, insertions, retractions)

        return self._transact(change)

    def load(self, table: str, rows: Iterable[Row]) -> Delta:
        """Replace all rows of a service's table; what stays is no change.

        :raises EngineError: for an unknown table, or a row that does not fit; nothing changed.
        """
        key, arity, wanted, _ = self._checked(table, (rows, ()))
        there = self._graph.tables[key].rows if key in self._graph.tables else {}
        keep = set(wanted) if there else set()
        gone = [row for row in there if row not in keep]

        def change(tx: Transaction) -> None:
            tx.change_base(self._graph.add(key, arity, Mode.BASE), wanted, gone)

        return self._transact(change)

    def add_rules(self, policy: str, text: str, name: str = "<string>") -> list[str]:
        """Parse a text and add all its rules and facts to a policy; their new ids.

        :raises PolicyError: with every finding in the text.
        """
        program, findings = parse_partial(text, name)
        new = [NewRule(policy, rule, self._new_id()) for rule in program.statements]
        self.apply(add=new, findings=findings)
        return [rule.id for rule in new]

    def advance(self, now: float) -> Delta:
        """Let the time pass: rules over the time come true or cease to.  Going back in time is no change."""
        if not _is_finite(now):
            raise EngineError("the time must be a finite number")
        if now <= self._now:
            return {}
        before = self._now

        def change(tx: Transaction) -> None:
            self._now = now
            tx.on_undo(lambda: setattr(self, "_now", before))
            for gates in list(self._program.gates.values()):
                for gate in gates:
                    acc: defaultdict[Row, int] = defaultdict(int)
                    undo = gate.advance(acc)
                    if undo is not None:
                        tx.on_undo(undo)
                        tx.operate(self._graph.nodes[gate.stage.table], acc)
            clock = self._graph.nodes.get(CLOCK)
            if clock is not None:  # who reads it next may come before the time next passes
                tx.change_base(clock, [(now,)], list(clock.table.rows))

        return self._transact(change)

    @property
    def now(self) -> float:
        """The time that rules see."""
        return self._now

    @property
    def next_wake(self) -> float | None:
        """When :meth:`advance` next has something to do; None when time alone changes nothing."""
        moments = [gate.next_wake for gates in self._program.gates.values() for gate in gates]
        clock = self._graph.nodes.get(CLOCK)
        if clock is not None and clock.readers:
            moments.append(next_tick((rule.core for rule in clock.readers.values()), self._now))
        return min((moment for moment in moments if moment is not None), default=None)

    @contextmanager
    def hypothetical(self) -> Iterator["Engine"]:
        """Whatever is changed inside the ``with`` block is taken back, exactly, at its end.

        >>> with engine.hypothetical():
        ...     delta = engine.apply({"nova:servers": ([row], [])})
        """
        outer = self._open()
        try:
            yield self
        finally:
            self._end(outer, keep=False)

    @contextmanager
    def transaction(self) -> Iterator["Engine"]:
        """Several changes as one: kept at the end of the ``with`` block, taken back exactly when it raises.

        Each change inside returns its own delta.
        """
        outer = self._open()
        try:
            yield self
        except BaseException:
            self._end(outer, keep=False)
            raise
        self._end(outer, keep=True)

    def _open(self) -> Transaction | None:
        """Begin a transaction for changes to come; the one that it is a part of."""
        outer, self._outer = self._outer, Transaction(self._graph, self._meter)
        self._meter.before = self._outer.said
        return outer

    def _end(self, outer: Transaction | None, *, keep: bool) -> None:
        """End it: keep the changes or take them back."""
        inner, self._outer = self._outer, outer
        assert inner is not None
        if not keep:
            inner.undo()
        elif outer is not None:
            outer.adopt(inner)
        else:
            inner.commit()
        if outer is not None:
            self._meter.before = outer.said

    # -- reading

    def rows(self, table: str) -> Collection[Row]:
        """The rows of a table: a live view, not to be changed; empty for a table that nothing defines."""
        found = self._graph.tables.get(table)
        return found.rows.keys() if found is not None else ()

    def tables(self, policy: str | None = None) -> list[TableInfo]:
        """All tables, or those of one policy or service."""
        found: list[TableInfo] = []
        for service, schemas in self._definitions.services.items():
            if policy in (None, service):
                found += [self._info(f"{service}:{table}", schema) for table, schema in schemas.items()]
        for key in self._definitions.tables:
            if policy is None or key.partition(":")[0] == policy:
                found.append(self._info(key))
        return found

    def table(self, key: str) -> TableInfo | None:
        """One table, or None when nothing defines it."""
        service, _, name = key.partition(":")
        schema = self._definitions.services.get(service, {}).get(name)
        if schema is None and key not in self._definitions.tables:
            return None
        return self._info(key, schema)

    def _info(self, key: str, schema: TableSchema | None = None) -> TableInfo:
        rows = len(self.rows(key))
        if schema is not None:
            return TableInfo(key, schema.names, "service", rows, None, schema)
        definition = self._definitions.tables[key]
        kind = "policy" if definition.action is None else "action"
        return TableInfo(key, definition.signature.columns, kind, rows, definition.action)

    def query(self, policy: str, query: str | syntax.Rule) -> Answer:
        """Answer a query in a policy's terms.

        It is an atom (``error(x, "n1")``), literals (``error(x, n), n != "n1"``) or a rule (``q(x) :- error(x, n)``),
        as a text or, a rule, as the parser made it.

        :raises PolicyError: when the query is wrong.
        """
        return run_query(query, policy, self._definitions, self._graph, self._meter, lambda: self._now)

    def rules(self, policy: str | None = None) -> list[NewRule]:
        """All rules, or those of one policy, in the order they came."""
        return [written.new for written in self._program.books.listed(policy)]

    def find_rule(self, policy: str, rule: syntax.Rule) -> str | None:
        """The id of a policy's rule or fact that is the same (but for the order of its literals), if there is one."""
        return self._program.books.find(shape_of(policy, rule))

    def status(self, rule_id: str) -> RuleStatus:
        """How a rule is doing.

        :raises EngineError: when there is no such rule.
        """
        written = self._written(rule_id)
        node = written.node
        return RuleStatus(
            rule_id,
            written.new.policy,
            written.state,
            (*written.diagnostics, *self._program.undefined(written)),
            tuple(node.errors) if node else (),
            node.error_count if node else 0,
        )

    def type_warnings(self) -> dict[str, list[Diagnostic]]:
        """By rule id, literals that never hold (or always do) by the types which flow through policies' tables.

        Those that a rule's status has already, by the types of services' columns, are left out.  All rules are gone
        through: about 40 microseconds each.
        """
        made = {
            rule_id: Derivation(
                written.new.rule,
                written.table,
                written.columns,
                written.fact,
                written.resolution.resolved if written.state == "active" else None,
            )
            for rule_id, written in self._program.rules.items()
        }
        found: dict[str, list[Diagnostic]] = {}
        for rule_id, findings in flow_warnings(made, self._definitions).items():
            said = {finding.span for finding in self._program.rules[rule_id].diagnostics}
            if fresh := [finding for finding in findings if finding.span not in said]:
                found[rule_id] = fresh
        return found

    def table_of(self, rule_id: str) -> str:
        """The key of the table that a rule or fact derives."""
        return self._written(rule_id).table

    def why(self, table: str, row: Row, *, limit: int = 200) -> Proof | None:
        """A proof of a row down to rows that services published and facts; None when the row is not there.

        :param limit: the most rows in the proof; beyond it, a branch says that it was cut.  No depth is too deep.
        """
        return Explainer(self._program).why(table, self._fitting(table, row), limit)

    def why_not(self, table: str, row: Row, *, limit: int = 5) -> WhyNot:
        """For each rule that could derive an absent row: the first literal that fails, and the nearest bindings.

        :param limit: the most near misses to list for one rule.
        """
        return Explainer(self._program).why_not(table, self._fitting(table, row), limit)

    def _fitting(self, table: str, row: Row) -> Row:
        """A row as values; one that no table of that name could hold is refused."""
        info = self.table(table)
        if info is not None and len(info.columns) != len(row):
            raise EngineError(f"{table} has {len(info.columns)} columns, not {len(row)}")
        return encode_row(row)

    def plan(self, rule_id: str) -> RulePlan:
        """How a rule is evaluated: join orders, generated code and the indexes it uses."""
        return plan_of(self._written(rule_id))

    def profile(self) -> Profile:
        """Rows and memory per table; evaluations, derivations and time per rule since :meth:`start_profile`."""
        return profile_of(self._program)

    def start_profile(self) -> None:
        """Count and time what rules do from now on (needs the engine's ``clock`` for times)."""
        self._meter.profile(on=True)

    def stop_profile(self) -> None:
        """Count and time no more; what was counted stays."""
        self._meter.profile(on=False)

    def derives(self, rule_id: str) -> bool:
        """Whether a rule derives any row from the present tables (a fact always does)."""
        written = self._written(rule_id)
        return written.fact is not None or self._program.derives(written)

    def dump(self) -> "Dump":
        """Everything the tables and indexes hold, comparable with ``==``."""
        return Dump({key: table.dump() for key, table in self._graph.tables.items()})

    def prepare(self) -> None:
        """Plan and compile every rule for every table it reads, and make the indexes that takes.

        Without this, each is done when it is first needed.
        """
        for written in self._program.rules.values():
            if written.node is not None:
                written.node.prepare()

    def _written(self, rule_id: str) -> Written:
        found = self._program.rules.get(rule_id)
        if found is None:
            raise EngineError(f"there is no rule with id {rule_id!r}")
        return found

    def _new_id(self) -> str:
        self._ids += 1
        while f"r{self._ids}" in self._program.rules:
            self._ids += 1
        return f"r{self._ids}"

    # -- transactions

    def _checked(self, key: str, change: Change) -> tuple[str, int, list[Row], list[Row]]:
        """A change of one table with its rows as values."""
        service, _, name = key.partition(":")
        schema = self._definitions.services.get(service, {}).get(name)
        if schema is None:
            raise EngineError(f"no service has a table {key!r}")
        arity = len(schema.columns)
        return key, arity, _values(key, arity, change[0]), _values(key, arity, change[1])

    def _transact(self, change: Callable[[Transaction], None]) -> Delta:
        """Run one change; a rule that goes over a limit is switched off, and the change made without it."""
        barred = self._program.barred
        try:
            while True:
                self._meter.turn += 1
                tx = Transaction(self._graph, self._meter)
                self._meter.before = tx.said
                try:
                    if barred:
                        self._program.switch_off(tx)
                    change(tx)
                    tx.run()
                    break
                except LimitExceeded as exceeded:
                    finding = self._limit_finding(exceeded)
                    tx.undo()
                    if exceeded.rule_id in barred:
                        raise EngineError(f"rule {exceeded.rule_id} cannot be switched off: {exceeded}") from exceeded
                    barred[exceeded.rule_id] = finding
                except BaseException:
                    tx.undo()
                    raise
        finally:
            self.exceeded = tuple(barred.values())
            barred.clear()
            if self._outer is not None:
                self._meter.before = self._outer.said
        delta = {
            key: TableDelta(list(gained), list(lost)) for key, (gained, lost) in tx.deltas.items() if gained or lost
        }
        if self._outer is not None:
            self._outer.adopt(tx)
        else:
            tx.commit()
        return delta

    def _limit_finding(self, exceeded: LimitExceeded) -> Diagnostic:
        rule = self._program.rules[exceeded.rule_id].new.rule
        hint = "make the rule more selective, or raise the limit; then remove the rule and add it again"
        return Diagnostic(exceeded.code, exceeded.message, rule.source, rule.span, hint)


class Dump:
    """The contents of an engine.  Two are equal when all tables are, and the indexes that both have."""

    def __init__(self, tables: dict[str, tuple[str, dict[Row, int], dict[tuple[int, ...], Any]]]) -> None:
        self.tables = tables

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dump):
            return NotImplemented
        # An index made to answer a question is no change of what is known; nor is a table without rows.
        for key in self.tables.keys() | other.tables.keys():
            mine, theirs = self.tables.get(key), other.tables.get(key)
            if mine is None or theirs is None:
                if (mine or theirs or ("", {}, {}))[1]:
                    return False
                continue
            if mine[:2] != theirs[:2] or any(mine[2][c] != theirs[2][c] for c in mine[2].keys() & theirs[2].keys()):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up


def _is_finite(now: object) -> bool:
    try:
        return math.isfinite(now)  # type: ignore[arg-type]  # that is what is found out
    except (TypeError, OverflowError):
        return False


def _values(key: str, arity: int, rows: Iterable[Row]) -> list[Row]:
    """Rows of the right length holding nothing but values; lists of such tuples pass as they are."""
    kept = rows if type(rows) is list else list(rows)
    if not kept:
        return kept
    if len(kept) == 1:
        row = kept[0]
        if type(row) is tuple and len(row) == arity:
            for value in row:
                if type(value) not in _SAFE:
                    break
            else:
                return kept
    elif (
        set(map(type, kept)) == {tuple}
        and set(map(len, kept)) == {arity}
        and set(map(type, chain.from_iterable(kept))) <= _SAFE
    ):
        return kept
    made: list[Row] = []
    for row in kept:
        try:
            if isinstance(row, str | bytes | Mapping | Set):
                raise NotAValue(f"a {type(row).__name__} is no row: {row!r:.80}")
            made.append(encode_row(row))
        except (NotAValue, TypeError) as error:
            raise EngineError(f"a row of {key} does not fit: {error}") from error
        if len(made[-1]) != arity:
            raise EngineError(f"a row of {key} has {len(made[-1])} values; the table has {arity} columns")
    return made
