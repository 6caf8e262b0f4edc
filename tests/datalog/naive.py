# SPDX-License-Identifier: Apache-2.0
"""The language's meaning, evaluated from scratch in the most obvious way: the engine is compared with this.

It shares with the engine the syntax objects, the values and the built-ins, nothing else.  Tables are sets
of tuples; every stratum is a loop that ends when nothing new is derived; a join is backtracking.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from congress.datalog import syntax
from congress.datalog.builtins.moments import parse_duration
from congress.datalog.builtins.registry import BARE_NAMES, Builtin, BuiltinError, Registry
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import FALSE, TRUE, Bool, Row, Value

UNDEFINED = (BuiltinError, TypeError, ValueError, ArithmeticError)
ARITHMETIC = {"+": "plus", "-": "minus", "*": "mul", "/": "div", "%": "mod"}
ORDERINGS = {"<": "lt", "<=": "lteq", ">": "gt", ">=": "gteq"}

Env = dict[str, Value]


class NotStratified(Exception):
    """A table depends on its own negation or on an aggregate of itself."""


@dataclass
class World:
    """All that decides what is true: statements by policy, rows by table, schemas by service, the time."""

    registry: Registry
    policies: dict[str, list[syntax.Rule]] = field(default_factory=dict)
    rows: dict[str, set[Row]] = field(default_factory=dict)
    schemas: dict[str, dict[str, TableSchema]] = field(default_factory=dict)
    now: float = 0.0


def evaluate(world: World) -> dict[str, set[Row]]:
    """The rows of every table that is not empty, by its key (``alice:error``, ``nova:servers``)."""
    rules = [Clause(rule, policy, world) for policy, rules in world.policies.items() for rule in rules]
    tables: dict[str, set[Row]] = {key: set(rows) for key, rows in world.rows.items()}
    for stratum in strata(rules):
        changed = True
        while changed:
            changed = False
            for clause in stratum:
                table = tables.setdefault(clause.table, set())
                new = set(clause.derive(tables)) - table
                changed = changed or bool(new)
                table |= new
    return {key: rows for key, rows in tables.items() if rows}


# -- names


def head_key(policy: str, head: syntax.Head) -> str:
    """The key of the table that a head derives; an action's has its number of arguments and their names."""
    if isinstance(head, syntax.Modal):
        names = sorted(str(named.column) for named in head.atom.named)
        return f"{policy}:{head.name}[{head.atom.name}]/{len(head.atom.args)}" + "".join("," + n for n in names)
    return f"{policy}:{head.table}{head.sign}"


def head_terms(head: syntax.Head) -> list[syntax.Term]:
    """A head's terms in the order of its columns."""
    atom = head.atom if isinstance(head, syntax.Modal) else head
    return [*atom.args, *(named.term for named in sorted(atom.named, key=lambda n: str(n.column)))]


def body_key(policy: str, atom: syntax.Atom) -> str:
    return f"{atom.service or policy}:{atom.table}{atom.sign}"


def columns_of(world: World, key: str) -> list[str | None] | None:
    """The table's column names, None where unnamed or where its rules disagree; None for an unknown table."""
    service, _, table = key.partition(":")
    if service in world.schemas:
        return list(world.schemas[service][table].names)
    names: list[set[str]] = []
    found = False
    for rule in world.policies.get(service, ()):
        if head_key(service, rule.head) != key:
            continue
        found = True
        terms = head_terms(rule.head)
        names += [set() for _ in range(len(terms) - len(names))]
        for votes, term in zip(names, terms, strict=True):
            votes |= {name for name in [column_name(term)] if name is not None}
    return [next(iter(n)) if len(n) == 1 else None for n in names] if found else None


def mentioned(rule: syntax.Rule) -> set[str]:
    """Services and other policies that a rule's body names."""
    atoms = [item.atom for item in rule.body if isinstance(item, syntax.Literal)]
    return {atom.service for atom in atoms if atom.service not in {None, "builtin"}}


def column_name(term: syntax.Term) -> str | None:
    if isinstance(term, syntax.Aggregate):
        return term.function
    return term.name if isinstance(term, syntax.Variable) else None


# -- a rule made ready: every argument is a constant, a variable or anything


@dataclass
class Lookup:
    """A table literal; an argument is a Constant, a Variable or Anonymous."""

    key: str
    args: list[syntax.Term]
    negated: bool


@dataclass
class Test:
    """A built-in."""

    __test__ = False

    builtin: Builtin
    inputs: list[syntax.Term]
    outputs: list[syntax.Term]
    negated: bool


@dataclass
class Equal:
    """``left = right``."""

    left: syntax.Term
    right: syntax.Term
    negated: bool


@dataclass
class Never:
    """``false``."""


Goal = Lookup | Test | Equal | Never


class Clause:
    """One rule of one policy."""

    def __init__(self, rule: syntax.Rule, policy: str, world: World) -> None:
        self.world = world
        self.policy = policy
        self.table = head_key(policy, rule.head)
        self.goals: list[Goal] = []
        self.fresh = 0
        for item in rule.body:
            self.add(item)
        self.head = [
            term if isinstance(term, syntax.Aggregate) else self.simple(term) for term in head_terms(rule.head)
        ]
        self.aggregates = any(isinstance(term, syntax.Aggregate) for term in self.head)

    def add(self, item: syntax.BodyItem) -> None:
        if isinstance(item, syntax.Comparison):
            left, right = durations(item.left, item.right)
            if item.op in ORDERINGS:
                builtin = self.builtin(ORDERINGS[item.op], 2)
                self.goals.append(Test(builtin, [self.simple(left), self.simple(right)], [], item.negated))
            else:
                negated = item.negated != (item.op == "!=")
                self.goals.append(Equal(self.simple(left), self.simple(right), negated))
            return
        atom = item.atom
        if atom.service is None and atom.table in {"true", "false"} and not atom.args:
            if (atom.table == "false") != item.negated:
                self.goals.append(Never())
        elif atom.service == "builtin" or (atom.service is None and atom.table in BARE_NAMES):
            found = self.builtin(atom.table, len(atom.args))
            terms = [self.simple(term) for term in atom.args]
            cut = len(found.inputs)
            self.goals.append(Test(found, terms[:cut], terms[cut:], item.negated))
        else:
            self.lookup(atom, item.negated)

    def lookup(self, atom: syntax.Atom, negated: bool) -> None:
        key = body_key(self.policy, atom)
        args = [self.simple(term) for term in atom.args]
        columns = columns_of(self.world, key)
        if columns is not None:
            assert len(args) <= len(columns), f"too many arguments for {key}"
            args += [syntax.Anonymous() for _ in range(len(columns) - len(args))]
            for named in atom.named:
                at = named.column if isinstance(named.column, int) else columns.index(named.column)
                args[at] = self.simple(named.term)
            service, _, table = key.partition(":")
            if service in self.world.schemas:
                described = self.world.schemas[service][table].columns
                args = [typed(arg, column) for arg, column in zip(args, described, strict=True)]
        self.goals.append(Lookup(key, args, negated))

    def simple(self, term: syntax.Term) -> syntax.Term:
        """The term itself, or a new variable for the value of an expression."""
        if isinstance(term, syntax.Operation):
            term = syntax.Call(ARITHMETIC[term.op], (term.left, term.right))
        if not isinstance(term, syntax.Call):
            return term
        inputs = [self.simple(arg) for arg in term.args]
        self.fresh += 1
        value = syntax.Variable(f"${self.fresh}")
        self.goals.append(Test(self.builtin(term.name, len(inputs) + 1), inputs, [value], False))
        return value

    def builtin(self, name: str, arity: int) -> Builtin:
        found = self.world.registry.find(name, arity)
        assert found is not None, f"no built-in {name}/{arity}"
        return found

    def derive(self, tables: Mapping[str, set[Row]]) -> Iterator[Row]:
        """The rows of the head's table that the rule derives."""
        if self.aggregates:
            yield from self.groups(tables)
            return
        for env in self.solve(self.goals, {}, tables):
            yield tuple(value_of(term, env) for term in self.head)

    def solve(self, goals: list[Goal], env: Env, tables: Mapping[str, set[Row]]) -> Iterator[Env]:
        """Every way to make the goals hold, in an order in which each is answerable when its turn comes."""
        if not goals:
            yield env
            return
        goal = next_goal(goals, env)
        rest = [other for other in goals if other is not goal]
        for extended in self.answer(goal, env, tables):
            yield from self.solve(rest, extended, tables)

    def answer(self, goal: Goal, env: Env, tables: Mapping[str, set[Row]]) -> Iterable[Env]:
        if isinstance(goal, Never):
            return []
        if isinstance(goal, Equal):
            return answer_equal(goal, env)
        if isinstance(goal, Test):
            return answer_test(goal, env, self.world.now)
        # A list: the table may grow while the rule that reads it goes on.
        found = [e for row in list(tables.get(goal.key, ())) if (e := unify(goal.args, row, env)) is not None]
        if goal.negated:
            return [] if found else [env]
        return found

    def groups(self, tables: Mapping[str, set[Row]]) -> Iterator[Row]:
        bindings: dict[object, Env] = {}
        for env in self.solve(self.goals, {}, tables):
            named = {name: value for name, value in env.items() if not name.startswith("$")}
            bindings[frozenset(named.items())] = named
        grouped: dict[Row, list[Env]] = {}
        for env in bindings.values():
            group = tuple(value_of(t, env) for t in self.head if not isinstance(t, syntax.Aggregate))
            grouped.setdefault(group, []).append(env)
        for group, envs in grouped.items():
            others = iter(group)
            row = [
                aggregate(term.function, [env[term.argument.name] for env in envs])
                if isinstance(term, syntax.Aggregate)
                else next(others)
                for term in self.head
            ]
            if SKIPPED not in row:
                yield tuple(row)


def durations(left: syntax.Term, right: syntax.Term) -> tuple[syntax.Term, syntax.Term]:
    """``age(c) > "30d"``: the text beside an age is a number of seconds."""

    def seconds(term: syntax.Term) -> syntax.Term:
        text = isinstance(term, syntax.Constant) and isinstance(term.value, str)
        return syntax.Constant(parse_duration(term.value)) if text else term

    def is_age(term: syntax.Term) -> bool:
        return isinstance(term, syntax.Call) and term.name == "age"

    return (seconds(left) if is_age(right) else left), (seconds(right) if is_age(left) else right)


def typed(term: syntax.Term, column: Column) -> syntax.Term:
    """A constant as an old policy wrote it, ``"True"`` or ``"None"``, as the column means it."""
    if not isinstance(term, syntax.Constant):
        return term
    if column.type == "boolean" and term.value in ("True", "true", "False", "false"):
        return syntax.Constant(TRUE if term.value in ("True", "true") else FALSE)
    if column.type != "any" and column.nullable and term.value == "None":
        return syntax.Constant(None)
    return term


# -- answering goals


def is_free(term: syntax.Term, env: Env) -> bool:
    return isinstance(term, syntax.Variable) and term.name not in env


def value_of(term: syntax.Term, env: Env) -> Value:
    return env[term.name] if isinstance(term, syntax.Variable) else term.value


def next_goal(goals: list[Goal], env: Env) -> Goal:
    """A goal that can be answered now: a test if there is one, else the table of which most is known."""
    best: Lookup | None = None
    most = -1
    for goal in goals:
        if isinstance(goal, Lookup) and not goal.negated:
            known = sum(not isinstance(t, syntax.Anonymous) and not is_free(t, env) for t in goal.args)
            if known > most:
                best, most = goal, known
        elif is_ready(goal, env):
            return goal
    assert best is not None, "the rule is not safe"
    return best


def is_ready(goal: Goal, env: Env) -> bool:
    if isinstance(goal, Never):
        return True
    if isinstance(goal, Lookup):
        return not any(is_free(term, env) for term in goal.args)
    if isinstance(goal, Equal):
        free = is_free(goal.left, env) + is_free(goal.right, env)
        return free == 0 or (free == 1 and not goal.negated)
    needed = goal.inputs + goal.outputs if goal.negated else goal.inputs
    return not any(is_free(term, env) for term in needed)


def unify(args: Iterable[syntax.Term], row: Iterable[Value], env: Env) -> Env | None:
    """The environment in which the arguments are the row, or None."""
    out = env
    for term, value in zip(args, row, strict=True):
        if isinstance(term, syntax.Anonymous):
            continue
        if is_free(term, out):
            out = {**out, term.name: value}
        elif value_of(term, out) != value:
            return None
    return out


def answer_equal(goal: Equal, env: Env) -> list[Env]:
    if is_free(goal.left, env):
        return [{**env, goal.left.name: value_of(goal.right, env)}]
    if is_free(goal.right, env):
        return [{**env, goal.right.name: value_of(goal.left, env)}]
    equal = value_of(goal.left, env) == value_of(goal.right, env)
    return [env] if equal != goal.negated else []


def answer_test(goal: Test, env: Env, now: float) -> list[Env]:
    inputs: list[Any] = [value_of(term, env) for term in goal.inputs]
    if goal.builtin.temporal:
        inputs.insert(0, now)
    try:
        results = outcomes(goal.builtin, inputs)
    except UNDEFINED:
        return []  # neither the literal nor its negation holds
    found = [e for row in results if (e := unify(goal.outputs, row, env)) is not None]
    if goal.negated:
        return [] if found else [env]
    return found


def outcomes(builtin: Builtin, inputs: list[Any]) -> list[tuple[Any, ...]]:
    """The rows of outputs that a built-in gives."""
    given = builtin.function(*inputs)
    rows: list[tuple[Any, ...]] = []
    for result in list(given) if builtin.many else [given]:
        if not builtin.outputs:
            if result:
                rows.append(())
        else:
            rows.append((result,) if len(builtin.outputs) == 1 else tuple(result))
    return rows


# -- aggregates


class _Skipped:
    """No value of the group can be aggregated."""


SKIPPED: Any = _Skipped()


def aggregate(function: str, values: list[Value]) -> Value:
    """One value for a group's values, one for each binding; what the function cannot take is left out."""
    if function == "count":
        return len(values)
    if function in {"sum", "avg"}:
        return total([value for value in values if is_number(value)], average=function == "avg")
    kept: list[Any] = [value for value in values if value is not None]
    if len({family(value) for value in kept}) != 1:
        return SKIPPED  # nothing, or values that have no order among them
    return min(kept) if function == "min" else max(kept)


def is_number(value: Value) -> bool:
    return isinstance(value, int | float)


def family(value: Value) -> type:
    return int if is_number(value) else Bool if isinstance(value, Bool) else str


def total(numbers: list[Any], average: bool) -> Value:
    """The sum or the mean, exactly; rounded once where it is not an integer."""
    if not numbers:
        return SKIPPED
    exact = sum(map(Fraction, numbers)) / (len(numbers) if average else 1)
    if exact.denominator == 1 and not any(isinstance(number, float) for number in numbers):
        return int(exact)
    return float(exact)


# -- strata


def strata(clauses: list[Clause]) -> list[list[Clause]]:
    """The rules in groups such that each group needs only itself (without negation) and those before it.

    :raises NotStratified: when there is no such order.
    """
    level = dict.fromkeys((clause.table for clause in clauses), 0)
    changed = True
    while changed:
        changed = False
        for clause in clauses:
            for goal in clause.goals:
                if isinstance(goal, Lookup) and goal.key in level:
                    least = level[goal.key] + (goal.negated or clause.aggregates)
                    if level[clause.table] < least:
                        level[clause.table] = least
                        changed = True
        if max(level.values(), default=0) > len(level):
            raise NotStratified
    out: list[list[Clause]] = [[] for _ in range(max(level.values(), default=0) + 1)]
    for clause in clauses:
        out[level[clause.table]].append(clause)
    return out
