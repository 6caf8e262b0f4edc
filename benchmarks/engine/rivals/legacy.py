# SPDX-License-Identifier: Apache-2.0
"""OpenStack Congress 11.0.0, its policy engine alone: no server, no bus, no database.

Runs in the environment that :mod:`benchmarks.engine.legacy_env` makes, with stand-ins for the parts of the server
that its engine module imports and does not use here, and for names that Python has dropped since.
"""

import collections
import collections.abc
import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report

CANNOT = {
    "cut": "it has no recursion",
    "closure": "it has no recursion",
    "stream": "it has no recursion",
}
LIMITS = {"load": 100_000, "change": 10_000, "unread": 100_000, "batch": 10_000, "mixed": 10_000, "growth": 1_000}
# What the engine module imports from the server around it.
SERVER = (
    "eventlet",
    "oslo_messaging",
    "oslo_messaging.exceptions",
    "congress.db",
    "congress.db.api",
    "congress.db.db_policy_rules",
    "congress.dse2",
    "congress.dse2.data_service",
    "congress.synchronizer",
    "congress.synchronizer.policy_rule_synchronizer",
)


class _StandIn(types.ModuleType):
    """Has every name, as a class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def _import() -> tuple[Any, Any, Any]:
    for name in dir(collections.abc):
        if name[0].isupper() and not hasattr(collections, name):
            setattr(collections, name, getattr(collections.abc, name))
    inspect.getargspec = inspect.getfullargspec  # type: ignore[attr-defined]  # it is gone since Python 3.11
    for name in SERVER:
        sys.modules[name] = _StandIn(name)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, sys.modules[name])
    names = ("congress.policy_engines.agnostic", "congress.datalog.compile", "congress.utils")
    agnostic, compiler, utils = map(importlib.import_module, names)
    return agnostic, compiler, utils


agnostic, compiler, utils = _import()


def _runtime(rules: Iterable[str], schema: dict[str, dict[str, Sequence[str]]]) -> Any:
    runtime = agnostic.Runtime()
    runtime.create_policy("p")
    for service, tables in schema.items():
        runtime.initialize_datasource(service, tables)
    for rule in rules:
        _insert(runtime, rule)
    return runtime


def _insert(runtime: Any, text: str) -> None:
    permitted, found = runtime.insert(text, "p")
    if not permitted:
        raise RuntimeError(f"{text}: {found}")


def _load(runtime: Any, tables: dict[str, Sequence[Sequence[object]]]) -> None:
    for key, rows in tables.items():
        service, _, table = key.partition(":")
        facts = (compiler.Fact(table, utils.tuple_to_congress(row)) for row in rows)
        runtime.initialize_tables([table], facts, target=service)


def _rows(runtime: Any, atom: str) -> list[tuple[str, ...]]:
    """All answers to a query: an atom with variables."""
    table = atom.partition("(")[0]
    found = runtime.select(compiler.parse1(atom), "p")
    return [tuple(argument.name for argument in literal.arguments) for literal in found if literal.table.table == table]


def _cloud(data: Cloud, report: Report) -> Any:
    runtime = _runtime([*cloud_workload.group_facts(), *cloud_workload.RULES], cloud_workload.SCHEMA)
    with report.time("load"):
        _load(runtime, dict(zip(cloud_workload.TABLES, data, strict=True)))
    return runtime


def load(size: int) -> Report:
    report = Report()
    runtime = _cloud(work.cloud(size), report)
    found = {}
    with report.time("evaluate"):
        for table in ("connected", "same_group", "error"):
            found[table] = _rows(runtime, f"{table}(x, y)")
    report.memory()
    for table, rows in found.items():
        report.answer(table, rows)
    return report


def _update(runtime: Any, service: str, table: str, row: Sequence[object], sign: int) -> None:
    literal = compiler.Literal.create_from_table_tuple(table, row)
    permitted, found = runtime.update([compiler.Event(formula=literal, insert=sign > 0, target=service)])
    if not permitted:
        raise RuntimeError(str(found))


def change(size: int) -> Report:
    """With a trigger on ``error``, as its server sets one for every table that somebody subscribes to."""
    report = Report()
    data = work.cloud(size)
    runtime = _cloud(data, report)
    flips: list[int] = []
    runtime.register_trigger("error", lambda table, old, new: flips.append(len(old ^ new)), policy="p")
    laps = Laps()
    for row in cloud_workload.trigger_rows(data[0], data[2], 2):
        for sign in (1, -1):
            laps.time(_update, runtime, "neutron", "ports", row, sign)
    if flips != [1] * len(laps.walls):
        raise RuntimeError(f"each change makes one row come or go, but: {flips}")
    report.spread("change", laps)
    report.answer("error", _rows(runtime, "error(x, y)"))
    return report


def unread(size: int) -> Report:
    report = Report()
    schema = {**cloud_workload.SCHEMA, "db": {"unread": ("x", "y")}}
    runtime = _runtime([*cloud_workload.group_facts(), *cloud_workload.RULES], schema)
    _load(runtime, dict(zip(cloud_workload.TABLES, work.cloud(size), strict=True)))
    runtime.register_trigger("error", lambda table, old, new: None, policy="p")
    laps = Laps()
    for number in range(20):
        laps.time(_update, runtime, "db", "unread", (f"u{number}", f"v{number}"), 1)
    report.spread("change", laps)
    return report


def _batch(size: int, make: Callable[[Cloud], work.Batch]) -> Report:
    """One update of many events; old and new rows are compared afterwards, outside of the time taken."""
    report = Report()
    data = work.cloud(size)
    runtime = _cloud(data, report)
    moves = make(data)
    flips: dict[str, tuple[set[Any], set[Any]]] = {}

    def note(table: Any, old: set[Any], new: set[Any]) -> None:
        flips[table[0]] = new - old, old - new

    for table in ("connected", "error"):
        runtime.register_trigger(table, note, policy="p")
    events = []
    for given, insert in ((moves.out, False), (moves.into, True)):
        for key, rows in given.items():
            service, _, table = key.partition(":")
            for row in rows:
                literal = compiler.Literal.create_from_table_tuple(table, row)
                events.append(compiler.Event(formula=literal, insert=insert, target=service))
    with report.time("batch"):
        runtime.update(events)
    for table, (gained, lost) in flips.items():
        for name, atoms in (("inserted", gained), ("retracted", lost)):
            report.answer(f"{table} {name}", [tuple(a.name for a in atom.arguments) for atom in atoms])
    return report


def batch(size: int) -> Report:
    return _batch(size, work.port_batch)


def mixed(size: int) -> Report:
    return _batch(size, work.mixed_batch)


def rules(size: int) -> Report:
    report = Report()
    texts = cloud_workload.simple_rules(size)
    with report.time("one call"):
        runtime = _runtime((), {})
        _insert(runtime, "\n".join(texts))
    with report.time("a call each"):
        runtime = _runtime((), {})
        for text in texts:
            _insert(runtime, text)
    report.figures["rules"] = len(re.findall(":-", runtime.policy("p")))
    return report


def growth(size: int) -> Report:
    report = Report()
    runtime = _runtime((), {})
    laps = Laps()
    for text in cloud_workload.simple_rules(size):
        laps.time(_insert, runtime, text)
    report.spread("first rules", laps[10:110])
    report.spread("last rules", laps[-100:])
    return report


def chain(size: int) -> Report:
    report = Report()
    texts, rows = cloud_workload.chain(size)
    with report.time("evaluate"):
        runtime = _runtime(texts, {"db": {"base": ("x", "y")}})
        _load(runtime, {"db:base": rows})
        found = _rows(runtime, "c5(x, y)")
    report.answer("c5", found)
    return report


def join3(size: int) -> Report:
    report = Report()
    text, *tables = cloud_workload.join3(size)
    with report.time("evaluate"):
        runtime = _runtime([text], {"db": {"a": ("x", "y"), "b": ("x", "y"), "c": ("x", "y")}})
        _load(runtime, {f"db:{name}": rows for name, rows in zip("abc", tables, strict=True)})
        found = _rows(runtime, "j(x, y)")
    report.answer("j", found)
    return report
