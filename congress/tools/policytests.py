# SPDX-License-Identifier: Apache-2.0
"""Tests of policies, written next to them: given rows, expected rows, and which rules never came into play.

A test file is YAML or JSON::

    policies: [netguard.policy]          # beside this file
    schema: {nova: {servers: [id, status]}}
    tests:
      - name: a server in ERROR is an error
        parameters: [{status: ERROR, found: [[s1]]}, {status: ACTIVE, found: []}]
        given: {"nova:servers": [[s1, $status]]}
        expect: {"netguard:error": $found}
        steps:
          - retract: {"nova:servers": [[s1, $status]]}
            absent: {"netguard:error": [[s1]]}

``expect`` has all rows of a table, ``contains`` some, ``absent`` rows that must not be there.  ``now`` sets the time,
``advance`` (in a step) lets it pass.  In a test with parameters, ``$$`` is a dollar sign.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from congress.datalog.builtins.moments import parse_duration
from congress.datalog.diagnostics import DatalogError, PolicyError
from congress.datalog.engine import Engine, Limits
from congress.tools.datafiles import Data, add_rows, flatten, parse_schemas
from congress.tools.documents import load_document, writable
from congress.tools.errors import ToolError
from congress.tools.exactness import refuse_off
from congress.tools.expectations import check, refuse_unknown_table
from congress.tools.policyfiles import read_policies
from congress.tools.workspace import LIMITS, Workspace, add_data, build, parse_now, schemas_of

_FILE_KEYS = {"policies", "schema", "tests", "now"}
_STEP_KEYS = {"insert", "retract", "advance", "expect", "contains", "absent"}
_TEST_KEYS = {"name", "parameters", "given", "rules", "now", "steps", "expect", "contains", "absent"}
_ROWS_KEYS = {"given", "insert", "retract", "expect", "contains", "absent"}
_NAME = re.compile(r"\$(\w+)|\$\{(\w+)\}|\$(\$)")


@dataclass(frozen=True, slots=True)
class Case:
    """One test with one set of parameters; ``error`` says why it cannot be run."""

    file: Path
    name: str
    body: Mapping[str, Any]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case: no failures means that it passed."""

    case: Case
    failures: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A test file of which nothing could be run, and why."""

    file: Path
    error: ToolError | DatalogError


Place = tuple[Path, str]
"""A rule in a file: policies of one name are different ones in different files."""


@dataclass(slots=True)
class Coverage:
    """Which rules derived something in some test: all with file, line and text, and the places of those that did."""

    rules: dict[Place, tuple[str, int, str]] = field(default_factory=dict)
    covered: set[Place] = field(default_factory=set)

    @property
    def missed(self) -> list[tuple[str, int, str]]:
        return [shown for place, shown in self.rules.items() if place not in self.covered]

    @property
    def percent(self) -> float:
        return 100.0 * len(self.covered) / len(self.rules) if self.rules else 100.0


@dataclass(slots=True)
class TestFile:
    """A test file and everything it names."""

    __test__ = False  # not a pytest class

    path: Path
    policies: list[Path]
    schema: Mapping[str, Any]
    now: str | None
    cases: list[Case]


def find_test_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are; of folders, all ``*_test.yaml`` and ``test_*.yaml`` (or .yml, .json) below.

    :raises ToolError: when a path is not there, or a folder has no tests.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
            continue
        if not path.is_dir():
            raise ToolError(f"{path} is not there")
        inside = [p for p in sorted(path.rglob("*")) if re.fullmatch(r"(test_.*|.*_test)\.(ya?ml|json)", p.name)]
        if not inside:
            raise ToolError(f"{path} has no policy tests; they are called NAME_test.yaml")
        found += inside
    return found


def read_test_file(path: Path) -> TestFile:
    """Read a test file.

    :raises ToolError: when it is none.
    """
    document = load_document(path)
    if not isinstance(document, dict) or not isinstance(document.get("tests"), list):
        raise ToolError(f"{path} is no test file: expected an object with 'policies' and a list 'tests'")
    _refuse_unknown(document, _FILE_KEYS, str(path))
    names = document.get("policies")
    names = [] if names is None else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ToolError(f"{path}: 'policies' is a list of file names")
    cases = [case for number, test in enumerate(document["tests"]) for case in _cases(path, number, test)]
    policies = [path.parent / name for name in names]
    schema = document.get("schema")
    return TestFile(path, policies, {} if schema is None else schema, document.get("now"), cases)


def _cases(path: Path, number: int, test: object) -> Iterator[Case]:
    if not isinstance(test, dict):
        raise ToolError(f"{path}: tests[{number}] is not an object")
    _refuse_unknown(test, _TEST_KEYS, f"{path}: tests[{number}]")
    name = writable(str(test.get("name") or f"test {number + 1}"))
    parameters = test.get("parameters")
    if parameters is None:
        yield _case(path, name, test)
        return
    if not isinstance(parameters, list) or not parameters or not all(isinstance(p, dict) for p in parameters):
        raise ToolError(f"{path}: the parameters of {name!r} are a list of objects, one or more")
    body = {key: value for key, value in test.items() if key != "parameters"}
    for values in parameters:
        shown = ", ".join(f"{key}={value}" for key, value in values.items())
        try:
            filled = _fill(body, values)
        except _NoValue as error:
            yield Case(path, writable(f"{name} [{shown}]"), {}, f"{path}: {name}: {error}")
        else:
            yield _case(path, f"{filled.get('name') or name} [{shown}]", filled)


def _case(path: Path, name: str, body: Mapping[str, Any]) -> Case:
    where = f"{path}: {name}"
    _refuse_shapeless(body, where)
    if not isinstance(body.get("rules"), str | None):
        raise ToolError(f"{where}: 'rules' is a text, with one rule after the other, not {body['rules']!r:.100}")
    steps = body.get("steps")
    steps = [] if steps is None else steps
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ToolError(f"{where}: 'steps' is a list of objects")
    for number, step in enumerate(steps, 1):
        _refuse_unknown(step, _STEP_KEYS, f"{where}: step {number}")
        _refuse_shapeless(step, f"{where}: step {number}")
    return Case(path, writable(name), body)


def _refuse_shapeless(body: Mapping[str, Any], where: str) -> None:
    for key in _ROWS_KEYS & body.keys():
        tables = body[key]
        if tables is not None and not isinstance(tables, dict):
            raise ToolError(f"{where}: {key!r} is an object, {{table: [row, ...]}}")
        for _ in flatten(tables or {}, where):
            pass


class _NoValue(Exception):
    """Parameters cannot be put in."""


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Put parameters in: ``$name`` alone becomes the value itself, within a text its text."""
    if isinstance(value, dict):
        filled = {_fill_name(key, values): _fill(item, values) for key, item in value.items()}
        if len(filled) < len(value):
            raise _NoValue(f"two of {', '.join(map(str, value))} have one name")
        return filled
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = _NAME.fullmatch(value)

    def parameter(found: re.Match[str]) -> Any:
        if found[3]:
            return "$"
        name = found[1] or found[2]
        if name not in values:
            there = ", ".join(map(str, values)) or "none"
            raise _NoValue(f"no parameter {name!r}; there are {there}; a dollar sign is $$")
        return values[name]

    return parameter(whole) if whole else _NAME.sub(lambda found: _text_of(parameter(found)), value)


def _text_of(value: object) -> str:
    """A value within a text, as the language writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _fill_name(name: Any, values: Mapping[str, Any]) -> Any:
    filled = _fill(name, values)
    if isinstance(filled, dict | list):
        raise _NoValue(f"{name!r} stands for a name, and is no text")
    return filled


def _refuse_unknown(document: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = [str(key) for key in document if key not in known]
    if unknown:
        raise ToolError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(known))}")


def read_test_files(paths: Iterable[Path]) -> tuple[list[TestFile], list[Broken]]:
    """Read test files, and tell which ones are none."""
    files: list[TestFile] = []
    broken: list[Broken] = []
    for path in paths:
        try:
            files.append(read_test_file(path))
        except ToolError as error:
            broken.append(Broken(path, error))
    return files, broken


def run_file(file: TestFile, coverage: Coverage, limits: Limits = LIMITS) -> Iterator[Result]:
    """Run all tests of a file, each in an engine of its own.

    :raises ToolError: when its schema or a policy cannot be read.
    :raises PolicyError: when a policy is wrong.
    """
    policies = read_policies(file.policies)
    schemas = parse_schemas(file.schema, str(file.path))
    for case in file.cases:
        started = time.perf_counter()
        failures: list[str] = []
        workspace = None
        try:
            if case.error:
                raise ToolError(case.error)
            now = parse_now(case.body.get("now") or file.now or "2026-01-01T00:00:00Z")
            workspace = build(policies, schemas, now, limits)
            failures.extend(_run(case, workspace, coverage))
        except (ToolError, DatalogError) as error:
            if isinstance(error, PolicyError) and workspace is None:
                raise  # the policies themselves are wrong, not this test
            failures.append(str(error))
        yield Result(case, tuple(map(writable, failures)), time.perf_counter() - started)


def _run(case: Case, workspace: Workspace, coverage: Coverage) -> Iterator[str]:
    engine, body = workspace.engine, case.body
    where = f"{case.file}: {case.name}"
    places = _places(workspace)
    for rule_id, (file, line) in workspace.rules.items():
        coverage.rules.setdefault(places[rule_id], (file, line, _text(engine, rule_id)))
    if body.get("rules"):
        engine.add_rules(workspace.default_policy, str(body["rules"]), where)
        refuse_off(engine)
    _change(engine, body.get("given") or {}, {}, where)
    yield from check(body, engine, where)
    _cover(workspace, places, coverage)
    for number, step in enumerate(body.get("steps") or [], 1):
        _change(engine, step.get("insert") or {}, step.get("retract") or {}, where)
        if step.get("advance") is not None:
            engine.advance(engine.now + _duration(step["advance"], f"{where}: step {number}"))
            refuse_off(engine)
        for failure in check(step, engine, where):
            yield f"step {number}: {failure}"
        _cover(workspace, places, coverage)


def _duration(value: object, where: str) -> float:
    seconds = parse_duration(str(value))
    if seconds < 0:
        raise ToolError(f"{where}: 'advance' is {value}, but the time does not go back")
    return seconds


def _text(engine: Engine, rule_id: str) -> str:
    policy = rule_id.rpartition(".")[0]
    return next(rule.rule.text for rule in engine.rules(policy) if rule.id == rule_id)


def _places(workspace: Workspace) -> dict[str, Place]:
    files = {policy.name: policy.path.resolve() for policy in workspace.policies}
    return {rule_id: (files[rule_id.rpartition(".")[0]], rule_id) for rule_id in workspace.rules}


def _cover(workspace: Workspace, places: Mapping[str, Place], coverage: Coverage) -> None:
    for rule_id, place in places.items():
        if place not in coverage.covered and workspace.engine.derives(rule_id):
            coverage.covered.add(place)


def _change(engine: Engine, insert: Mapping[str, Any], retract: Mapping[str, Any], where: str) -> None:
    inserted, retracted = _rows(engine, insert, where), _rows(engine, retract, where)
    add_data(engine, Data(schemas=inserted.schemas))
    changes = {
        table: (inserted.rows.get(table, []), retracted.rows.get(table, []))
        for table in inserted.rows.keys() | retracted.rows.keys()
    }
    engine.apply(changes)
    refuse_off(engine)


def _rows(engine: Engine, tables: Mapping[str, Any], where: str) -> Data:
    data = Data()
    declared = bool(schemas_of(engine))  # without any schema, the given rows say which tables there are
    for table, rows, _ in flatten(dict(tables), where):
        if declared:
            refuse_unknown_table(engine, table)
        service, _, name = table.partition(":")
        schema = (engine.schema(service) or {}).get(name)
        if schema is not None:
            data.add_schema(service, name, schema)
        add_rows(data, table, rows, None, where)
    return data
