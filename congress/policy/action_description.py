# SPDX-License-Identifier: Apache-2.0
"""What actions do, as the rules of an action policy describe it: ``p+(x) :- act(x), q(x)``.

The rules are written as if the action policy, the policy that is asked and the action's own arguments were one.  To
evaluate them so, those that depend on the others are copied, with the names they mean, into a policy of their own
that is there for the time of a simulation; nobody else reads its tables.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from congress.datalog import syntax
from congress.datalog.builtins.registry import BARE_NAMES
from congress.datalog.engine import Engine, NewRule
from congress.datalog.unbound import is_stand_in
from congress.datalog.values import Bool, Row, Value
from congress.policy.errors import SimulationInvalid
from congress.policy.rehearsal import refuse_exceeded
from congress.policy.steps import Change, Invocation

ACTIONS = "action"
"""The table of an action policy that lists its actions by name."""
RESULT = "result"
"""The table of what an action hands to the next; in bodies, of what the one before it handed on."""
_HANDED = "result of this action"


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action does, and what it hands on."""

    change: Change
    results: tuple[Row, ...]


class ActionDescription:
    """The rules of one action policy, brought together with the policy that is asked.

    Used within ``hypothetical()``.  A change of the action policy's own rules after this was made is not seen.
    """

    def __init__(self, engine: Engine, action_policy: str, policy: str, invocations: Iterable[Invocation]) -> None:
        """:param invocations: all that will be carried out: their facts and what they read have to be known."""
        self._engine = engine
        self._home = action_policy
        self._policy = policy
        self._shadow = shadow_of(action_policy)
        self._rules: dict[str, list[syntax.Rule]] = {}
        for new in engine.rules(action_policy):
            if isinstance(new.rule.head, syntax.Atom):
                self._rules.setdefault(self._name(new.rule.head), []).append(new.rule)
        self.actions = {row[0] for row in engine.rows(f"{action_policy}:{ACTIONS}") if len(row) == 1}
        asked = list(invocations)
        self._given = {RESULT: 0, **{str(name): 0 for name in self.actions}}
        for invocation in asked:
            for head in invocation.rule.heads[1:]:
                assert isinstance(head, syntax.Atom)  # steps make sure of it
                self._given.setdefault(self._name(head), len(head.args))
        wanted = [RESULT, *(name for name in self._rules if name[-1] in "+-")]
        for invocation in asked:
            wanted += self._reads(invocation.rule)
        called = {self._name(invocation.rule.heads[0]) for invocation in asked}  # type: ignore[arg-type]  # as above
        self._idle = {str(name) for name in self.actions} - called - self._rules.keys()
        self._bridges = self._find_bridges()
        self._copied = self._find_copied()
        self._install(wanted)

    # What names mean

    def _name(self, atom: syntax.Atom) -> str:
        """A table as the action policy itself names it."""
        service = None if atom.service == self._home else atom.service
        return ("" if service is None else f"{service}:") + atom.table + atom.sign

    def _reads(self, rule: syntax.Rule) -> Iterator[str]:
        """The tables of a rule's body; none that are other services', and no built-ins."""
        for item in rule.body:
            if isinstance(item, syntax.Literal) and not _is_builtin(item.atom):
                name = self._name(item.atom)
                if ":" not in name or name in self._given or name in self._rules:
                    yield name

    def _find_bridges(self) -> dict[str, int]:
        """Tables that both policies have: they are read as one.  With their number of columns."""
        if self._home == self._policy:
            return {}
        found = {}
        # Of a table of the asked policy that happens to be called as an action is, no row is a call.
        mine = [
            name for name in (*self._rules, *self._given) if name not in self.actions and name not in (RESULT, ACTIONS)
        ]
        for name in mine:
            theirs = self._engine.table(f"{self._policy}:{name}")
            own = self._engine.table(f"{self._home}:{name}")
            arity = len(own.columns) if own is not None else self._given[name]
            if theirs is not None and theirs.kind == "policy" and len(theirs.columns) == arity:
                found[name] = arity
        return found

    def _find_copied(self) -> set[str]:
        """Tables that hold something else here than in the action policy itself."""
        copied = {*self._given, *self._bridges}
        while True:
            more = {
                name
                for name, rules in self._rules.items()
                if name not in copied
                and any(read in copied or read not in self._rules for rule in rules for read in self._reads(rule))
            }
            if not more:
                return copied
            copied |= more

    def _moved(self, rule: syntax.Rule) -> syntax.Rule:
        """A rule with the tables in its body named as they are called for the engine."""
        body = [
            replace(item, atom=self._moved_atom(item.atom)) if isinstance(item, syntax.Literal) else item
            for item in rule.body
        ]
        return replace(rule, body=tuple(body))

    def _moved_atom(self, atom: syntax.Atom) -> syntax.Atom:
        name = self._name(atom)
        if _is_builtin(atom) or (":" in name and name not in self._given and name not in self._rules):
            return atom
        if name in self._copied or (atom.sign and name not in self._rules):
            return replace(atom, service=None, table=name.removesuffix(atom.sign) if atom.sign else name)
        return replace(atom, service=self._home if name in self._rules else self._policy)

    def _install(self, wanted: Sequence[str]) -> None:
        """Copy what the effects depend on."""
        self._engine.create_policy(self._shadow, "action")
        todo = list(wanted)
        seen: set[str] = set()
        rules: list[syntax.Rule] = []
        while todo:
            name = todo.pop()
            if name in seen or name not in self._copied:
                continue
            seen.add(name)
            for rule in self._rules.get(name, ()):
                if not self._idle.isdisjoint(_positives(rule)):
                    continue  # it is about an action that nobody calls
                rules.append(self._local(rule))
                todo += self._reads(rule)
            if name in self._bridges:
                rules.append(self._bridge(name))
        self._engine.apply(add=[NewRule(self._shadow, rule, f"{self._shadow} {n}") for n, rule in enumerate(rules)])
        refuse_exceeded(self._engine)

    def _local(self, rule: syntax.Rule) -> syntax.Rule:
        local = self._moved(rule) if rule.has_body else rule
        head = local.head
        assert isinstance(head, syntax.Atom)  # others are not copied
        return replace(local, heads=(replace(head, table=_HANDED),)) if self._name(head) == RESULT else local

    def _bridge(self, name: str) -> syntax.Rule:
        columns = tuple(syntax.Variable(f"c{at}") for at in range(self._bridges[name]))
        theirs = syntax.Literal(syntax.Atom(self._policy, name, columns))
        return syntax.Rule((syntax.Atom(None, name, columns),), (theirs,), True)

    def remove(self) -> None:
        """Take it out again; to be made anew when the action policy itself changes."""
        self._engine.delete_policy(self._shadow)

    # Carrying out

    def carry_out(self, invocation: Invocation, results: Iterable[Row]) -> Effect | None:
        """What an action does; None when the body of its invocation has no answer.

        :param results: what the action before it handed on.
        """
        head = invocation.rule.head
        assert isinstance(head, syntax.Atom)  # steps make sure of it
        name = self._name(head)
        if name not in self.actions:
            listed = ", ".join(sorted(str(action) for action in self.actions)) or "none"
            raise SimulationInvalid(
                f"{name} is no action of policy {self._home!r} (it lists {listed}), nor an update: t+(...) or t-(...)"
            )
        names: dict[str, str] = {}  # what new things are called, by their stand-ins

        def named(row: Row) -> Row:
            return tuple(_named(value, names) for value in row)

        with self._engine.hypothetical():
            self._give((RESULT, row) for row in results)
            facts = self._answer(invocation.rule)
            if facts is None:
                return None
            self._give((table, named(row)) for table, row in facts)
            insertions: list[syntax.Rule] = []
            deletions: list[syntax.Rule] = []
            for table in self._rules:
                if table[-1] in "+-":
                    rows = dict.fromkeys(map(named, self._engine.rows(self._key(table))))
                    (insertions if table[-1] == "+" else deletions).extend(_fact(table[:-1], row) for row in rows)
            handed = dict.fromkeys(map(named, self._engine.rows(f"{self._shadow}:{_HANDED}")))
        return Effect(Change(invocation.text, tuple(insertions), tuple(deletions)), tuple(handed))

    def _key(self, name: str) -> str:
        return f"{self._shadow if name in self._copied else self._home}:{name}"

    def _give(self, facts: Iterable[tuple[str, Row]]) -> None:
        new = [_fact(table, row, prefixed=False) for table, row in dict.fromkeys(facts)]
        added = [
            NewRule(self._shadow, rule, f"{self._shadow} given {rule.heads!r}")
            for rule in new
            if self._engine.find_rule(self._shadow, rule) is None
        ]
        self._engine.apply(add=added)
        refuse_exceeded(self._engine)

    def _answer(self, rule: syntax.Rule) -> list[tuple[str, Row]] | None:
        """The facts that an invocation comes to: those of the first answer of its body, where it has one."""
        atoms = [head for head in rule.heads if isinstance(head, syntax.Atom)]
        for atom in atoms:
            self._check_head(atom)
        terms = tuple(term for atom in atoms for term in atom.args)
        if rule.has_body:
            question = replace(self._moved(rule), heads=(syntax.Atom(None, "invocation", terms),))
            rows = self._engine.query(self._shadow, question).rows
            if not rows:
                return None
            values = iter(min(rows, key=lambda row: [_place(value) for value in row]))
        else:
            values = iter([term.value for term in terms if isinstance(term, syntax.Constant)])
        return [(self._name(atom), tuple(next(values) for _ in atom.args)) for atom in atoms]

    def _check_head(self, atom: syntax.Atom) -> None:
        if atom.named:
            raise SimulationInvalid(f"the arguments of {atom.name} are given by position")
        owner = atom.service
        if owner not in (None, self._home) and (
            owner in self._engine.policies() or self._engine.schema(str(owner)) is not None
        ):
            raise SimulationInvalid(f"{atom.name} is a table of {owner}; what an action is given has a name of its own")


def _positives(rule: syntax.Rule) -> Iterator[str]:
    for item in rule.body:
        if isinstance(item, syntax.Literal) and not item.negated and item.atom.service is None:
            yield item.atom.table + item.atom.sign


def shadow_of(action_policy: str) -> str:
    """The policy that is there for the time of a simulation; no other can have such a name."""
    return f"{action_policy} in rehearsal"


def _is_builtin(atom: syntax.Atom) -> bool:
    if atom.service is not None:
        return atom.service == "builtin"
    if atom.table in ("true", "false") and not atom.args and not atom.named:
        return True
    return atom.table in BARE_NAMES and not atom.named and not atom.sign


def _fact(table: str, row: Row, prefixed: bool = True) -> syntax.Rule:
    service, _, name = table.rpartition(":") if prefixed else ("", "", table)
    return syntax.Rule((syntax.Atom(service or None, name, tuple(map(syntax.Constant, row))),))


def _named(value: Value, names: dict[str, str]) -> Value:
    """A value, or a fresh name for the new thing that it stands for."""
    if not is_stand_in(value):
        return value
    assert isinstance(value, str)  # stand-ins are texts
    return names.setdefault(value, str(uuid.uuid4()))


def _place(value: Value) -> tuple[str, float, str]:
    """Where a value stands in the order of answers."""
    if isinstance(value, str):
        return "text", 0.0, value
    if value is None:
        return "null", 0.0, ""
    return ("boolean", float(bool(value)), "") if isinstance(value, Bool) else ("number", value, "")
