# SPDX-License-Identifier: Apache-2.0
"""The engine and the naive evaluator side by side: the same steps, compared after each."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

from congress.datalog.builtins import core_registry
from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Delta, Engine, NewRule
from congress.datalog.limits import Limits
from congress.datalog.parser import parse
from congress.datalog.syntax import Literal, Rule
from congress.datalog.values import Row
from tests.datalog import naive
from tests.datalog.programs import (
    BASE,
    SCHEMAS,
    Advance,
    Hypothetical,
    Load,
    Policy,
    Rows,
    Rules,
    Service,
    Step,
)

Tables = dict[str, set[Row]]
REGISTRY = core_registry()


class Pair:
    """An engine, and the books from which the naive evaluator works out what it should say."""

    def __init__(self, limits: Limits | None = None, clock: Callable[[], float] | None = None) -> None:
        self.engine = Engine(registry=REGISTRY, limits=limits, clock=clock)
        self.services = {service: dict(tables) for service, tables in SCHEMAS.items()}
        self.policies = {"p", "q"}
        self.rules: dict[str, tuple[str, Rule]] = {}  # id -> policy and rule
        self.rows: Tables = {}
        self.ids = 0
        self.now = 0.0
        for service, tables in SCHEMAS.items():
            self.engine.set_schema(service, tables)
        for policy in sorted(self.policies):
            self.engine.create_policy(policy)
        self.tables: Tables = {}

    def run(self, steps: list[Step]) -> None:
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        """Take one step with both and compare them."""
        match step:
            case Rows(changes):
                self.change(changes, [], [])
            case Rules(remove, add, changes):
                ids = sorted(self.rules, key=lambda name: int(name[1:]))
                chosen = dict.fromkeys(ids[number % len(ids)] for number in remove if ids)
                parsed = [(policy, rule) for policy, text in add for rule in parse(text).statements]
                self.change(changes, list(chosen), parsed)
            case Load(table, rows):
                if self.has(table):
                    self.rows[table] = set(rows)
                    self.check(self.engine.load(table, list(rows)))
            case Service():
                self.toggle_service()
            case Policy():
                self.toggle_policy()
            case Advance(by):
                self.now += by
                self.check(self.engine.advance(self.now))
            case Hypothetical(steps):
                self.hypothetical(steps)

    def has(self, table: str) -> bool:
        return table.partition(":")[0] in self.services

    def change(
        self,
        changes: dict[str, tuple[list[Row], list[Row]]],
        remove: list[str],
        add: list[tuple[str, Rule]],
    ) -> None:
        """One transaction, which the engine has to accept or refuse for the right reason."""
        changes = {table: change for table, change in changes.items() if self.has(table)}
        before = dict(self.rules), deepcopy(self.rows)
        wanted: set[str] = set()
        for rule_id in remove:
            del self.rules[rule_id]
        new = []
        for policy, rule in add:
            self.ids += 1
            if policy not in self.policies:
                wanted.add("P002")
            elif any(shape(policy, rule) == shape(*known) for known in self.rules.values()):
                wanted.add("P003")
            self.rules[f"r{self.ids}"] = policy, rule
            new.append(NewRule(policy, rule, f"r{self.ids}"))
        for table, (insertions, retractions) in changes.items():
            # A row in both stays.
            self.rows[table] = (self.rows.get(table, set()) - set(retractions)) | set(insertions)
        if not wanted and not self.is_stratified_as_written():
            wanted.add("P001")
        try:
            delta = self.engine.apply(changes, new, remove)
        except PolicyError as error:
            if not {found.code for found in error.diagnostics} & wanted:
                raise AssertionError("refused for no good reason") from error
            self.rules, self.rows = before
            self.check({})
            return
        assert not wanted, f"accepted, but should have been refused as {wanted}"
        self.check(delta)

    def toggle_service(self) -> None:
        if "w" in self.services:
            del self.services["w"]
            self.rows.pop("w:m", None)
            self.check(self.engine.delete_service("w"))
            return
        self.services["w"] = dict(SCHEMAS["w"])
        if self.is_stratified():
            self.check(self.engine.set_schema("w", SCHEMAS["w"]))
        else:
            del self.services["w"]

    def toggle_policy(self) -> None:
        if "q" in self.policies:
            self.policies.discard("q")
            self.rules = {name: known for name, known in self.rules.items() if known[0] != "q"}
            self.check(self.engine.delete_policy("q"))
            return
        self.policies.add("q")
        if self.is_stratified():
            self.check(self.engine.create_policy("q"))
        else:
            self.policies.discard("q")

    def hypothetical(self, steps: list[Step]) -> None:
        """Whatever happens inside, afterwards every table and index is as it was."""
        services = deepcopy(self.services)
        before = dict(self.rules), deepcopy(self.rows), services, set(self.policies), self.tables, self.now
        dump = self.engine.dump()
        with self.engine.hypothetical():
            self.run(steps)
        self.rules, self.rows, self.services, self.policies, self.tables, self.now = before
        assert self.engine.dump() == dump, "not taken back exactly"
        self.check({})

    def is_stratified(self) -> bool:
        try:
            self.expected()
        except naive.NotStratified:
            return False
        return True

    def is_stratified_as_written(self) -> bool:
        """Whether the rules that are not off are stratified, those that wait included.

        What a rule reads of a policy that is not there cannot be in a circle.
        """
        off = self.off()
        world = naive.World(REGISTRY, {policy: [] for policy in self.policies}, {}, SCHEMAS)
        clauses = []
        for rule_id, (policy, rule) in self.rules.items():
            if rule_id not in off:
                body = [i for i in rule.body if not (isinstance(i, Literal) and i.atom.service in self.missing())]
                clauses.append(naive.Clause(replace(rule, body=tuple(body)), policy, world))
        try:
            naive.strata(clauses)
        except naive.NotStratified:
            return False
        return True

    def missing(self) -> set[str]:
        return {"p", "q"} - self.policies

    def off(self) -> set[str]:
        return {new.id for new in self.engine.rules() if self.engine.status(new.id).state == "off"}

    def expected(self) -> Tables:
        """What the naive evaluator says; rules that wait for what is not there, or are switched off, are left out."""
        present = self.policies | self.services.keys()
        policies: dict[str, list[Rule]] = {policy: [] for policy in self.policies}
        off = self.off()
        for rule_id, (policy, rule) in self.rules.items():
            if policy in policies and rule_id not in off and naive.mentioned(rule) <= present:
                policies[policy].append(rule)
        return naive.evaluate(naive.World(REGISTRY, policies, self.rows, self.services, self.now))

    def check(self, delta: Delta) -> None:
        """Every table is as it should be, and the change between then and now is what the engine said."""
        expected = self.expected()
        keys = {info.key for info in self.engine.tables()} | expected.keys() | BASE.keys()
        for key in sorted(keys):
            given = list(self.engine.rows(key))
            assert len(given) == len(set(given)), f"{key} has a row twice"
            assert set(given) == expected.get(key, set()), f"{key} differs"
        said = {key: (set(change.insertions), set(change.retractions)) for key, change in delta.items()}
        assert said == difference(self.tables, expected), "the delta is not the difference"
        for change in delta.values():
            assert len(change.insertions) == len(set(change.insertions))
            assert len(change.retractions) == len(set(change.retractions))
        self.tables = expected


def shape(policy: str, rule: Rule) -> object:
    """What makes two rules one: the same but for the order of the literals."""
    return policy, rule.heads, frozenset(rule.body), rule.has_body


def difference(before: Tables, after: Tables) -> dict[str, tuple[set[Row], set[Row]]]:
    """Rows gained and lost, for each table that changed."""
    out = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key, set()), after.get(key, set())
        if old != new:
            out[key] = (new - old, old - new)
    return out
