# SPDX-License-Identifier: Apache-2.0
"""The cases of ``cases/language``; its README.rst says how to write one."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from congress.datalog.builtins import core_registry
from congress.datalog.diagnostics import Diagnostic, PolicyError
from congress.datalog.engine import Delta, Engine, NewRule
from congress.datalog.parser import parse, parse_partial
from congress.datalog.program import UNDEFINED_TABLE
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row, encode_row
from tests.datalog import naive

FOLDER = Path(__file__).parent / "cases" / "language"
REGISTRY = core_registry()
STEP_KEYS = {
    "add", "remove", "insert", "retract", "services", "drop", "create", "delete", "now",
    "errors", "delta", "expect", "warnings", "waiting", "off", "undefined", "queries",
}  # fmt: skip
CASE_KEYS = (STEP_KEYS | {"name", "policy", "policies", "kinds", "rows", "steps"}) - {"add", "remove", "drop"}
FILE_KEYS = {"services", "rows", "policies"}


class Loader(yaml.SafeLoader):
    """YAML in which ``on``, ``off``, ``yes`` and ``no`` are texts, and ``1e3`` is a number."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":bool", ":float", ":timestamp"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("(true|false)$"), list("tf"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"-?[0-9]+(\.[0-9]+([eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)$"),
    list("-0123456789"),
)


def read() -> Iterator[Any]:
    """Every case of every file, with what the file gives to all of its cases."""
    for path in sorted(FOLDER.glob("*.yaml")):
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
        unknown = content.keys() - FILE_KEYS - {"cases"}
        assert not unknown, f"{path.name}: unknown keys {unknown}"
        for case in content["cases"]:
            common = {key: merged(content[key], case.get(key, {})) for key in FILE_KEYS & content.keys()}
            yield pytest.param({**case, **common}, id=f"{path.stem}: {case['name']}")


def merged(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What the file gives and what the case gives, whose word goes for a table of a service, rows or a policy."""
    both = {**common, **own}
    for key in common.keys() & own.keys():
        if isinstance(common[key], dict):
            both[key] = {**common[key], **own[key]}
    return both


CASES = list(read())


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    Case(case).run()


def test_there_are_many() -> None:
    names = Counter(case.id for case in CASES)
    assert len(names) == len(CASES), f"two cases have one name: {names.most_common(1)}"
    assert len(CASES) >= 300


class Case:
    """Runs one case in the engine, and beside it in the naive evaluator."""

    def __init__(self, case: dict[str, Any]) -> None:
        assert case.keys() <= CASE_KEYS, f"unknown keys: {case.keys() - CASE_KEYS}"
        self.case = case
        self.engine = Engine(registry=REGISTRY, now=case.get("now", 0.0))
        self.world = naive.World(REGISTRY, now=self.engine.now)
        self.services: set[str] = set()  # all that ever were
        self.ids = 0

    def run(self) -> None:
        case = self.case
        texts = dict(case.get("policies", {}))
        if "policy" in case:
            texts["p"] = case["policy"]
        for name in texts:
            self.engine.create_policy(name, case.get("kinds", {}).get(name, "nonrecursive"))
            self.world.policies[name] = []
        for service, tables in case.get("services", {}).items():
            self.set_schema(service, tables)
        first = {"insert": case.get("rows", {}), "add": texts}
        shared = STEP_KEYS - {"services", "now"}
        self.step({**first, **{key: value for key, value in case.items() if key in shared}})
        for step in case.get("steps", ()):
            assert step.keys() <= STEP_KEYS, f"unknown keys: {step.keys() - STEP_KEYS}"
            self.step(step)

    def set_schema(self, service: str, tables: dict[str, Any]) -> Delta:
        schemas = {name: schema(columns) for name, columns in tables.items()}
        for name, before in self.world.schemas.get(service, {}).items():
            if name not in schemas or schemas[name].arity != before.arity:
                self.world.rows.pop(f"{service}:{name}", None)
        self.world.schemas[service] = schemas
        self.services.add(service)
        return self.engine.set_schema(service, schemas)

    def step(self, step: dict[str, Any]) -> None:
        """One transaction (or one coming or going of a service or policy), and what is expected after it."""
        delta, found = self.attempt(step)
        assert codes(found, step.get("errors", ())) == sorted(step.get("errors", ())), str(PolicyError(found))
        assert all(d.message and d.source.text for d in found)
        if "delta" in step:
            expected = {table: change(given) for table, given in step["delta"].items()}
            assert derived(delta, self.services) == expected
        self.check(step)
        self.compare()

    def attempt(self, step: dict[str, Any]) -> tuple[Delta, Sequence[Diagnostic]]:
        try:
            return self.take(step), ()
        except PolicyError as error:
            return {}, error.diagnostics

    def take(self, step: dict[str, Any]) -> Delta:
        for service in step.get("drop", ()):
            del self.world.schemas[service]
            self.world.rows = {k: v for k, v in self.world.rows.items() if k.partition(":")[0] != service}
            return self.engine.delete_service(service)
        for service, tables in step.get("services", {}).items():
            return self.set_schema(service, tables)
        for policy in step.get("create", ()):
            self.world.policies[policy] = []
            return self.engine.create_policy(policy)
        for policy in step.get("delete", ()):
            del self.world.policies[policy]
            return self.engine.delete_policy(policy)
        if "now" in step:
            self.world.now = step["now"]
            return self.engine.advance(step["now"])
        return self.apply(step)

    def apply(self, step: dict[str, Any]) -> Delta:
        insertions = {table: rows(given) for table, given in step.get("insert", {}).items()}
        retractions = {table: rows(given) for table, given in step.get("retract", {}).items()}
        tables = insertions.keys() | retractions.keys()
        add, wrong = [], []
        for policy, text in step.get("add", {}).items():
            program, findings = parse_partial(text, policy)
            wrong += findings
            for rule in program.statements:
                self.ids += 1
                add.append(NewRule(policy, rule, f"rule{self.ids}"))
        remove = [self.find(policy, text) for policy, text in step.get("remove", {}).items()]
        delta = self.engine.apply(
            {table: (insertions.get(table, []), retractions.get(table, [])) for table in tables},
            add,
            [new.id for new in remove],
            wrong,
        )
        for new in remove:
            self.world.policies[new.policy].remove(new.rule)
        for new in add:
            self.world.policies[new.policy].append(new.rule)
        for table in tables:
            kept = self.world.rows.get(table, set()) - set(retractions.get(table, ()))
            self.world.rows[table] = kept | set(insertions.get(table, ()))
        return delta

    def find(self, policy: str, text: str) -> NewRule:
        [wanted] = parse(text).statements
        return next(new for new in self.engine.rules(policy) if new.rule == wanted)

    def check(self, step: dict[str, Any]) -> None:
        """What the step says must be so."""
        for table, expected in step.get("expect", {}).items():
            assert set(self.engine.rows(table)) == set(rows(expected)), table
        statuses = [self.engine.status(new.id) for new in self.engine.rules()]
        found: dict[str, list[Diagnostic]] = {"warnings": [], "waiting": [], "off": []}
        for status in statuses:
            for diagnostic in status.diagnostics:
                if diagnostic.code == UNDEFINED_TABLE:
                    continue  # cases are free to read tables that are empty for want of a rule
                state = status.state if diagnostic.code[0] != "W" else "warnings"
                found[state].append(diagnostic)
        for typed in self.engine.type_warnings().values():
            found["warnings"] += typed
        for state, diagnostics in found.items():
            wanted = step.get(state, [])
            assert codes(diagnostics, wanted) == sorted(wanted), state
        if "undefined" in step:
            errors = [str(error) for status in statuses for error in status.errors]
            assert bool(errors) == step["undefined"], errors
        for query in step.get("queries", ()):
            answer = self.engine.query(query.get("policy", "p"), query["text"])
            assert set(answer.rows) == set(rows(query["rows"])), query["text"]

    def compare(self) -> None:
        """Every table is what the naive evaluator says; rules that wait or are off are not its concern."""
        active = {(new.policy, new.rule) for new in self.engine.rules() if self.engine.status(new.id).state == "active"}
        policies = {
            policy: [rule for rule in rules if (policy, rule) in active]
            for policy, rules in self.world.policies.items()
        }
        world = naive.World(REGISTRY, policies, self.world.rows, self.world.schemas, self.world.now)
        expected = naive.evaluate(world)
        for key in {info.key for info in self.engine.tables()} | expected.keys():
            assert set(self.engine.rows(key)) == expected.get(key, set()), f"{key}: not what the oracle says"


def schema(columns: Iterable[str]) -> TableSchema:
    """``[id, name: string, up: boolean]``; a type that ends in ! is not nullable."""
    made = []
    for column in columns:
        name, kind = next(iter(column.items())) if isinstance(column, dict) else (column, "any")
        made.append(Column(name, kind.rstrip("!"), nullable=not kind.endswith("!")))
    return TableSchema(tuple(made))


def rows(given: Iterable[Iterable[Any]]) -> list[Row]:
    return [encode_row(row) for row in given]


def change(given: dict[str, Any]) -> tuple[set[Row], set[Row]]:
    assert given.keys() <= {"insert", "retract"}
    return set(rows(given.get("insert", ()))), set(rows(given.get("retract", ())))


def derived(delta: Delta, services: Container[str]) -> dict[str, tuple[set[Row], set[Row]]]:
    """What the transaction changed in policies' tables; the services' are what the step says."""
    return {
        key: (set(table.insertions), set(table.retractions))
        for key, table in delta.items()
        if key.partition(":")[0] not in services
    }


def codes(found: Iterable[Diagnostic], wanted: Iterable[str]) -> list[str]:
    """The codes, each with its place where one of the wanted has a place: ``R102`` or ``R102 1:17``."""
    placed = any(" " in item for item in wanted)
    return sorted(f"{d.code} {d.line}:{d.column}" if placed else d.code for d in found)
