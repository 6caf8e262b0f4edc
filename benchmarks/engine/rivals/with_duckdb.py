# SPDX-License-Identifier: Apache-2.0
"""DuckDB in memory, on one thread.  Rows go in as numpy arrays, its fastest way in without another package.

It has no incremental views.  The delta queries for ports are written by hand; for the mixed batch the tables
are derived again and compared with what they were, which is faster than the delta queries would be.
"""

from collections.abc import Sequence

import duckdb
import numpy

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report

CANNOT = {
    "stream": "no delta queries for recursion",
    "unread": "tables without delta queries cost what an insertion costs",
    "rules": "it has no rules",
    "growth": "it has no rules",
    "cut": "no delta query for recursion; see closure for evaluation from scratch",
}
COLUMNS = {"servers": "id name status host tenant", "ports": "id s n", "networks": "id tenant shared"}
TABLES = {f"{service}:{table}": table for service, tables in cloud_workload.SCHEMA.items() for table in tables}
VIOLATION = """
SELECT p.s, p.n, count(*) AS k FROM {ports} p JOIN servers v ON v.id = p.s JOIN networks w ON w.id = p.n
WHERE w.shared <> 'true' AND NOT EXISTS (SELECT 1 FROM same_group g WHERE g.t1 = v.tenant AND g.t2 = w.tenant)
GROUP BY p.s, p.n
"""
CONNECTED = "SELECT s, n, count(*) AS k FROM {ports} GROUP BY s, n"


def _connect() -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(":memory:")
    db.execute("SET threads = 1")
    return db


def _insert(db: duckdb.DuckDBPyConnection, into: str, columns: str, rows: Sequence[Sequence[object]]) -> None:
    """``into`` is what stands before the SELECT: CREATE TABLE t AS, or INSERT INTO t."""
    arrays = {
        name: numpy.array(values, dtype=object if isinstance(values[0], str) else None)
        for name, values in zip(columns.split(), zip(*rows, strict=True), strict=True)
    }
    db.register("arrays", arrays)
    db.execute(f"{into} SELECT * FROM arrays")
    db.unregister("arrays")


def _loaded(data: Cloud, report: Report) -> duckdb.DuckDBPyConnection:
    db = _connect()
    with report.time("load"):
        for (table, columns), rows in zip(COLUMNS.items(), data, strict=True):
            _insert(db, f"CREATE TABLE {table} AS", columns, rows)
        _insert(db, "CREATE TABLE groups AS", "tenant name", cloud_workload.groups())
    with report.time("evaluate"):
        db.execute(
            "CREATE TABLE same_group AS SELECT DISTINCT a.tenant AS t1, b.tenant AS t2 "
            "FROM groups a JOIN groups b USING (name)"
        )
        db.execute("CREATE TABLE connected AS " + CONNECTED.format(ports="ports"))
        db.execute("CREATE TABLE error AS " + VIOLATION.format(ports="ports"))
    report.memory()
    return db


def load(size: int) -> Report:
    report = Report()
    db = _loaded(work.cloud(size), report)
    report.answer("connected", db.execute("SELECT s, n FROM connected").fetchall())
    report.answer("error", db.execute("SELECT s, n FROM error").fetchall())
    report.answer("same_group", db.execute("SELECT * FROM same_group").fetchall())
    return report


def _apply_ports(
    db: duckdb.DuckDBPyConnection, out: Sequence[work.Row], into: Sequence[work.Row]
) -> dict[str, list[tuple[str, str]]]:
    """The delta queries: the changed ports joined with the other tables, added to the counts."""
    db.execute("CREATE OR REPLACE TEMP TABLE d_ports (id VARCHAR, s VARCHAR, n VARCHAR, sign INTEGER)")
    for rows, sign in ((out, -1), (into, 1)):
        if not rows:
            continue
        _insert(db, "CREATE OR REPLACE TEMP TABLE given AS", "id s n", rows)
        db.execute(f"INSERT INTO d_ports SELECT id, s, n, {sign} FROM given")
    if out:
        db.execute("DELETE FROM ports WHERE (id, s, n) IN (SELECT id, s, n FROM d_ports WHERE sign < 0)")
    if into:
        db.execute("INSERT INTO ports SELECT id, s, n FROM d_ports WHERE sign > 0")
    delta = {}
    for table, query in (("connected", CONNECTED), ("error", VIOLATION)):
        signed = query.replace("count(*)", "sum(sign)").format(ports="d_ports")
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE flips AS SELECT d.s, d.n, d.k AS change, coalesce(t.k, 0) AS was "
            f"FROM ({signed}) d LEFT JOIN {table} t ON t.s = d.s AND t.n = d.n WHERE d.k <> 0"
        )
        db.execute(f"DELETE FROM {table} WHERE (s, n) IN (SELECT s, n FROM flips)")
        db.execute(f"INSERT INTO {table} SELECT s, n, was + change FROM flips WHERE was + change > 0")
        flips = db.execute("SELECT s, n, was FROM flips WHERE (was > 0) <> (was + change > 0)").fetchall()
        delta[f"{table} inserted"] = [(s, n) for s, n, was in flips if not was]
        delta[f"{table} retracted"] = [(s, n) for s, n, was in flips if was]
    return delta


def change(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    db = _loaded(data, report)
    laps = Laps()
    for row, sign in work.single_changes(data, rounds=5, scattered=20):
        laps.time(_apply_ports, db, [row] if sign < 0 else [], [row] if sign > 0 else [])
    report.spread("change", laps)
    report.answer("error", db.execute("SELECT s, n FROM error").fetchall())
    return report


def batch(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    db = _loaded(data, report)
    moves = work.port_batch(data)
    with report.time("batch"):
        delta = _apply_ports(db, moves.out["neutron:ports"], moves.into["neutron:ports"])
    for name, rows in delta.items():
        report.answer(name, rows)
    return report


def mixed(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    db = _loaded(data, report)
    moves = work.mixed_batch(data)
    delta = {}
    with report.time("batch"):
        for key, table in TABLES.items():
            columns = COLUMNS[table]
            _insert(db, "CREATE OR REPLACE TEMP TABLE given AS", columns, moves.out[key])
            names = ", ".join(columns.split())
            db.execute(f"DELETE FROM {table} WHERE ({names}) IN (SELECT {names} FROM given)")
            _insert(db, f"INSERT INTO {table}", columns, moves.into[key])
        for table, query in (("connected", CONNECTED), ("error", VIOLATION)):
            db.execute(f"CREATE TABLE new_{table} AS " + query.format(ports="ports"))
            for name, a, b in (("inserted", f"new_{table}", table), ("retracted", table, f"new_{table}")):
                rows = db.execute(f"SELECT s, n FROM {a} EXCEPT SELECT s, n FROM {b}").fetchall()
                delta[f"{table} {name}"] = rows
            db.execute(f"DROP TABLE {table}")
            db.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
    for name, rows in delta.items():
        report.answer(name, rows)
    return report


def closure(size: int) -> Report:
    report = Report()
    db = _connect()
    edges = work.edges()
    with report.time("evaluate"):
        _insert(db, "CREATE TABLE edge AS", "a b", edges)
        db.execute(
            "CREATE TABLE closure AS WITH RECURSIVE path(a, b) AS (SELECT a, b FROM edge UNION "
            "SELECT p.a, e.b FROM path p JOIN edge e ON e.a = p.b) SELECT a, b FROM path"
        )
    with report.time("read"):
        rows = db.execute("SELECT a, b FROM closure").fetchall()
    report.answer("path", rows)
    return report


def chain(size: int) -> Report:
    report = Report()
    _, given = cloud_workload.chain(size)
    db = _connect()
    with report.time("evaluate"):
        _insert(db, "CREATE TABLE c0 AS", "x y", given)
        for depth in range(1, 6):
            db.execute(f"CREATE TABLE c{depth} AS SELECT DISTINCT x, y FROM c{depth - 1}")
    with report.time("read"):
        rows = db.execute("SELECT x, y FROM c5").fetchall()
    report.answer("c5", rows)
    return report


def join3(size: int) -> Report:
    report = Report()
    _, *tables = cloud_workload.join3(size)
    db = _connect()
    with report.time("evaluate"):
        for name, rows in zip("abc", tables, strict=True):
            _insert(db, f"CREATE TABLE {name} AS", "x y", rows)
        db.execute("CREATE TABLE j AS SELECT DISTINCT a.x, c.y FROM a JOIN b ON b.x = a.y JOIN c ON c.x = b.y")
    with report.time("read"):
        joined = db.execute("SELECT * FROM j").fetchall()
    report.answer("j", joined)
    return report
