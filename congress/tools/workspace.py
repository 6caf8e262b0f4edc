# SPDX-License-Identifier: Apache-2.0
"""Policies and data from files, put together in an engine."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from congress.datalog.builtins.moments import parse_datetime
from congress.datalog.diagnostics import Diagnostic
from congress.datalog.engine import Engine, EngineError, NewRule, RuleStatus
from congress.datalog.explain import show
from congress.datalog.limits import UNDEFINED_LITERAL, Limits
from congress.datalog.schema import TableSchema
from congress.datalog.syntax import Rule
from congress.tools.datafiles import Data, read_data, read_schemas
from congress.tools.errors import ToolError
from congress.tools.policyfiles import PolicyFile, read_policies

LIMITS = Limits(rows=5_000_000, seconds=20.0)
"""Those of the daemon, unless it is configured otherwise."""


@dataclass(slots=True)
class Workspace:
    """An engine with all policies of some files, and where its rules came from."""

    engine: Engine
    policies: list[PolicyFile]
    rules: dict[str, tuple[str, int]] = field(default_factory=dict)  # rule id -> file, line

    @property
    def default_policy(self) -> str:
        return self.policies[0].name if self.policies else "p"

    def findings(self) -> list[Diagnostic]:
        """What the engine has to say on rules that it accepted: warnings, and what rules wait for."""
        typed = self.engine.type_warnings()
        return [
            finding
            for rule_id in self.rules
            for finding in (*self.engine.status(rule_id).diagnostics, *typed.get(rule_id, ()))
        ]

    def passed_over(self) -> list[Diagnostic]:
        """A warning for each rule with rows for which a built-in or an aggregate had no answer."""
        rules = {new.id: new.rule for new in self.engine.rules()}
        return [
            _passed_over(rules[rule_id], status)
            for rule_id in self.rules
            if (status := self.engine.status(rule_id)).error_count
        ]


def _passed_over(rule: Rule, status: RuleStatus) -> Diagnostic:
    first = status.errors[0]
    span = rule.body[first.literal].span if 0 <= first.literal < len(rule.body) else rule.span
    inputs = ", ".join(show(value) for value in first.inputs)
    rows = "one row" if status.error_count == 1 else f"{status.error_count} rows"
    message = f"{rows} passed over: {first.message}"
    return Diagnostic(UNDEFINED_LITERAL, message, rule.source, span, f"the first was met with {inputs}", "warning")


def open_workspace(
    policies: Iterable[Path],
    data: Iterable[Path] = (),
    schemas: Iterable[Path] = (),
    now: str | None = None,
    limits: Limits = LIMITS,
) -> Workspace:
    """Read everything and evaluate it.

    :param now: the time that rules see; the real one by default.
    :raises ToolError: when a file cannot be used.
    :raises PolicyError: when a policy is wrong.
    """
    workspace, read = read_workspace(policies, data, schemas, now, limits)
    add_data(workspace.engine, read)
    return workspace


def read_workspace(
    policies: Iterable[Path],
    data: Iterable[Path] = (),
    schemas: Iterable[Path] = (),
    now: str | None = None,
    limits: Limits = LIMITS,
) -> tuple[Workspace, Data]:
    """Read everything, and evaluate no row yet.  The rules are held to the tables of the data, declared or not.

    The arguments and errors are those of :func:`open_workspace`.
    """
    files, read = read_policies(policies), read_data(data, read_schemas(schemas))
    return build(files, read.schemas, parse_now(now), limits), read


def parse_now(text: str | None) -> float:
    """The moment a text names, in seconds since the epoch; now, for none."""
    if text is None:
        return time.time()
    try:
        return parse_datetime(text)
    except Exception as error:  # the parsers of dates raise several kinds
        raise ToolError(f"{text!r} is no date and time; write it as 2026-01-31T12:00:00Z") from error


def build(
    policies: Iterable[PolicyFile],
    schemas: Mapping[str, Mapping[str, TableSchema]],
    now: float,
    limits: Limits = LIMITS,
) -> Workspace:
    """An engine with these policies, added as one transaction.

    :raises PolicyError: with every finding in all files.
    """
    engine = Engine(limits=limits, now=now, clock=time.perf_counter)
    workspace = Workspace(engine, list(policies))
    try:
        for policy in workspace.policies:
            engine.create_policy(policy.name, policy.kind)
        for service, tables in schemas.items():
            engine.set_schema(service, tables)
    except EngineError as error:
        raise ToolError(str(error)) from error
    new: list[NewRule] = []
    for policy in workspace.policies:
        for number, rule in enumerate(policy.rules, 1):
            line, _ = rule.source.position(rule.span.start)
            rule_id = f"{policy.name}.{number}"
            workspace.rules[rule_id] = (rule.source.name, line)
            new.append(NewRule(policy.name, rule, rule_id))
    engine.apply(add=new, findings=[finding for policy in workspace.policies for finding in policy.findings])
    return workspace


def add_data(engine: Engine, data: Data) -> None:
    """Give an engine schemas and rows, all of them or, with an error, none."""
    try:
        with engine.transaction():
            for service, tables in data.schemas.items():
                engine.set_schema(service, {**(engine.schema(service) or {}), **tables})
            if data.rows:
                engine.apply({table: (rows, ()) for table, rows in data.rows.items()})
    except EngineError as error:
        raise ToolError(str(error)) from error


def schemas_of(engine: Engine) -> dict[str, dict[str, TableSchema]]:
    """The schemas of services that an engine knows."""
    found: dict[str, dict[str, TableSchema]] = {}
    for info in engine.tables():
        if info.schema is not None:
            service, _, table = info.key.partition(":")
            found.setdefault(service, {})[table] = info.schema
    return found
