# SPDX-License-Identifier: Apache-2.0
"""This project's engine, by its public interface alone."""

import gc
import time
from collections.abc import Callable, Sequence

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report
from congress.datalog.engine import Engine
from congress.datalog.schema import schemas

CANNOT: dict[str, str] = {}

Engine()  # the first one of a process looks for installed packages with built-ins: part of importing, as it were


def _engine(rules: Sequence[str], more: dict[str, dict[str, Sequence[str]]] | None = None) -> Engine:
    """An engine with the cloud's tables (and ``more``), the groups as facts and rules."""
    engine = Engine()
    for service, tables in {**cloud_workload.SCHEMA, **(more or {})}.items():
        engine.set_schema(service, schemas(tables))
    engine.create_policy("p")
    engine.add_rules("p", "\n".join([*rules, *cloud_workload.group_facts()]))
    return engine


def _load(engine: Engine, data: Cloud) -> None:
    engine.apply({table: (rows, ()) for table, rows in zip(cloud_workload.TABLES, data, strict=True)})


def _loaded(size: int, report: Report) -> tuple[Cloud, Engine]:
    """Rows go in and all three tables are derived as one transaction: from ready rows to a ready answer."""
    data = work.cloud(size)
    with report.time("evaluate"):
        engine = _engine(cloud_workload.RULES)
        _load(engine, data)
    report.memory()
    gc.freeze()
    return data, engine


def load(size: int) -> Report:
    report = Report()
    _, engine = _loaded(size, report)
    for table in ("connected", "same_group", "error"):
        report.answer(table, engine.rows(f"p:{table}"))
    return report


def change(size: int) -> Report:
    report = Report()
    data, engine = _loaded(size, report)
    changes = work.single_changes(data)
    key, apply = "neutron:ports", engine.apply
    # Done ahead here, so that no change pays for an index or a function that it is the first to need.
    start = time.perf_counter()
    engine.prepare()
    report.figures["prepare"] = time.perf_counter() - start
    gc.enable()
    laps = Laps()
    for row, sign in changes:
        given = {key: ((row,), ()) if sign > 0 else ((), (row,))}
        laps.time(apply, given)
    report.spread("change", laps)
    report.answer("error", engine.rows("p:error"))
    return report


def unread(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    engine = _engine(cloud_workload.RULES, {"db": {"unread": ("x", "y")}})
    _load(engine, data)
    gc.freeze()
    gc.enable()
    rows = [(f"u{i}", f"v{i}") for i in range(2000)]
    laps = Laps()
    for given in [((row,), ()) for row in rows] + [((), (row,)) for row in rows]:
        change = {"db:unread": given}
        laps.time(engine.apply, change)
    report.spread("change", laps)
    return report


def _batch(size: int, make: Callable[[Cloud], work.Batch]) -> Report:
    report = Report()
    data, engine = _loaded(size, report)
    moves = make(data)
    engine.prepare()
    gc.freeze()
    gc.enable()
    with report.time("batch"):
        delta = engine.apply({table: (moves.into[table], moves.out[table]) for table in moves.into})
    for table in ("connected", "error"):
        found = delta.get(f"p:{table}")
        report.answer(f"{table} inserted", found.insertions if found else ())
        report.answer(f"{table} retracted", found.retractions if found else ())
    return report


def batch(size: int) -> Report:
    return _batch(size, work.port_batch)


def mixed(size: int) -> Report:
    return _batch(size, work.mixed_batch)


def stream(size: int) -> Report:
    """Changes one at a time, then (in another engine) the same changes a hundred at a time."""
    report = Report()
    data = work.cloud(size)
    changes = work.stream(data)
    for name, together in (("one at a time", 1), ("by hundreds", 100)):
        engine = _engine(work.SEVEN_RULES, {"db": {"needs": ("x", "y")}})
        _load(engine, data)
        engine.apply({"db:needs": (work.needs(size), ())})
        engine.prepare()
        gc.freeze()
        gc.enable()
        start = time.process_time()
        for at in range(0, len(changes), together):
            _apply(engine, changes[at : at + together])
        report.figures[name] = len(changes) / (time.process_time() - start)
        gc.disable()
    for table in work.SEVEN_TABLES:
        report.answer(table, engine.rows(f"p:{table}"))
    return report


def _apply(engine: Engine, changes: Sequence[work.Change]) -> None:
    if len(changes) == 1:
        [(table, row, sign)] = changes
        engine.apply({table: ((row,), ()) if sign > 0 else ((), (row,))})
        return
    # The last word on a row is what counts.
    last = {(table, row): sign for table, row, sign in changes}
    given: dict[str, tuple[list[work.Row], list[work.Row]]] = {}
    for (table, row), sign in last.items():
        given.setdefault(table, ([], []))[0 if sign > 0 else 1].append(row)
    engine.apply(given)


PATHS = "path(x, y) :- g:edge(x, y). path(x, z) :- path(x, y), g:edge(y, z)."


def _graph() -> Engine:
    engine = Engine()
    engine.set_schema("g", schemas({"edge": ("a", "b")}))
    engine.create_policy("p")
    engine.add_rules("p", PATHS)
    return engine


def closure(size: int) -> Report:
    report = Report()
    edges = work.edges()
    with report.time("evaluate"):
        engine = _graph()
        engine.apply({"g:edge": (edges, ())})
    report.answer("path", engine.rows("p:path"))
    return report


def cut(size: int) -> Report:
    """An edge is retracted, and put back, after which everything is as it was."""
    report = Report()
    edges = work.edges()
    with report.time("evaluate"):
        engine = _graph()
        engine.apply({"g:edge": (edges, ())})
    engine.prepare()
    gc.freeze()
    laps = Laps()
    for number, edge in enumerate(work.edges_to_cut()):
        laps.time(engine.apply, {"g:edge": ((), (edge,))})
        report.answer(f"path without edge {number}", engine.rows("p:path"))
        engine.apply({"g:edge": ((edge,), ())})
    report.spread("cut", laps)
    return report


def rules(size: int) -> Report:
    """Parsed, checked and compiled; compiled for every table that a rule reads, which is more than rows may need."""
    report = Report()
    texts = cloud_workload.simple_rules(size)
    with report.time("one call"):
        engine = _engine(())
        engine.add_rules("p", "\n".join(texts))
        engine.prepare()
    with report.time("a call each"):
        engine = _engine(())
        for text in texts:
            engine.add_rules("p", text)
        engine.prepare()
    report.figures["rules"] = len(engine.rules("p")) - len(cloud_workload.group_facts())
    return report


def growth(size: int) -> Report:
    """What a rule costs when there are hardly any yet, and when there are many."""
    report = Report()
    for shape, (first, rules) in work.growing(size).items():
        engine = _engine([first])
        laps = Laps()
        for text in rules:
            laps.time(engine.add_rules, "p", text)
        report.spread(f"first {shape}", laps[10:110])
        report.spread(f"last {shape}", laps[-100:])
    return report


def chain(size: int) -> Report:
    report = Report()
    texts, rows = cloud_workload.chain(size)
    with report.time("evaluate"):
        engine = Engine()
        engine.set_schema("db", schemas({"base": ("x", "y")}))
        engine.create_policy("p")
        engine.add_rules("p", "\n".join(texts))
        engine.apply({"db:base": (rows, ())})
    report.answer("c5", engine.rows("p:c5"))
    return report


def join3(size: int) -> Report:
    report = Report()
    text, *tables = cloud_workload.join3(size)
    with report.time("evaluate"):
        engine = Engine()
        engine.set_schema("db", schemas({"a": ("x", "y"), "b": ("x", "y"), "c": ("x", "y")}))
        engine.create_policy("p")
        engine.add_rules("p", text)
        engine.apply({f"db:{name}": (rows, ()) for name, rows in zip("abc", tables, strict=True)})
    report.answer("j", engine.rows("p:j"))
    return report
