# SPDX-License-Identifier: Apache-2.0
"""SQLite in memory.  It has no incremental views: the delta queries of the changes are written by hand."""

import sqlite3
from collections.abc import Iterable, Sequence

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report

CANNOT = {
    "mixed": "only the delta queries for ports are written out",
    "stream": "no delta queries for recursion",
    "unread": "tables without delta queries cost what an insertion costs",
    "rules": "it has no rules",
    "growth": "it has no rules",
    "cut": "no delta query for recursion; see closure for evaluation from scratch",
}

# CROSS JOIN fixes the order of the join: with its own choice a delta costs a thousand times more.
VIOLATION = """
SELECT p.s, p.n, count(*)
FROM {ports} p CROSS JOIN networks w ON w.id = p.n CROSS JOIN servers v ON v.id = p.s
WHERE w.shared <> 'true' AND NOT EXISTS (SELECT 1 FROM same_group g WHERE g.t1 = v.tenant AND g.t2 = w.tenant)
GROUP BY p.s, p.n
"""
COUNTED = """
INSERT INTO {table} SELECT s, n, {sign} * k FROM temp.d_{table} WHERE true
ON CONFLICT (s, n) DO UPDATE SET k = k + excluded.k
"""


def _connect() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[Sequence[object]], width: int) -> None:
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)
    db.execute("COMMIT")


def _loaded(data: Cloud, report: Report) -> sqlite3.Connection:
    db = _connect()
    servers, ports, networks = data
    with report.time("load"):
        db.execute("CREATE TABLE servers (id PRIMARY KEY, name, status, host, tenant) WITHOUT ROWID")
        db.execute("CREATE TABLE ports (id PRIMARY KEY, s, n) WITHOUT ROWID")
        db.execute("CREATE TABLE networks (id PRIMARY KEY, tenant, shared) WITHOUT ROWID")
        db.execute("CREATE TABLE groups (tenant, name)")
        _insert(db, "servers", servers, 5)
        _insert(db, "ports", ports, 3)
        _insert(db, "networks", networks, 3)
        _insert(db, "groups", cloud_workload.groups(), 2)
    with report.time("evaluate"):
        db.execute("CREATE TABLE same_group (t1, t2, PRIMARY KEY (t1, t2)) WITHOUT ROWID")
        db.execute("INSERT INTO same_group SELECT DISTINCT a.tenant, b.tenant FROM groups a JOIN groups b USING (name)")
        db.execute("CREATE TABLE connected (s, n, k, PRIMARY KEY (s, n)) WITHOUT ROWID")
        db.execute("INSERT INTO connected SELECT s, n, count(*) FROM ports GROUP BY s, n")
        db.execute("CREATE TABLE error (s, n, k, PRIMARY KEY (s, n)) WITHOUT ROWID")
        db.execute("INSERT INTO error " + VIOLATION.format(ports="ports"))
    report.memory()
    return db


def load(size: int) -> Report:
    report = Report()
    db = _loaded(work.cloud(size), report)
    report.answer("connected", db.execute("SELECT s, n FROM connected"))
    report.answer("error", db.execute("SELECT s, n FROM error"))
    report.answer("same_group", db.execute("SELECT t1, t2 FROM same_group"))
    return report


class _Deltas:
    """Applies changed ports and tells which rows of ``connected`` and ``error`` came and went."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute("CREATE TEMP TABLE d_ports (id, s, n)")
        for table in ("connected", "error"):
            db.execute(f"CREATE TEMP TABLE d_{table} (s, n, k)")
            db.execute(f"CREATE TEMP TABLE was_{table} (s, n, k, PRIMARY KEY (s, n)) WITHOUT ROWID")

    def apply(self, out: Sequence[work.Row], into: Sequence[work.Row]) -> dict[str, list[tuple[str, str]]]:
        db = self.db
        db.execute("BEGIN")
        for rows, sign in ((out, -1), (into, 1)):
            if not rows:
                continue
            db.executemany("INSERT INTO d_ports VALUES (?, ?, ?)", rows)
            if sign > 0:
                db.execute("INSERT INTO ports SELECT * FROM d_ports")
            else:
                db.execute("DELETE FROM ports WHERE id IN (SELECT id FROM d_ports)")
            db.execute("INSERT INTO d_connected SELECT s, n, count(*) FROM d_ports GROUP BY s, n")
            db.execute("INSERT INTO d_error " + VIOLATION.format(ports="d_ports"))
            for table in ("connected", "error"):
                db.execute(
                    f"INSERT OR IGNORE INTO was_{table} SELECT d.s, d.n, coalesce(t.k, 0) FROM d_{table} d "
                    f"LEFT JOIN {table} t ON t.s = d.s AND t.n = d.n"
                )
                db.execute(COUNTED.format(table=table, sign=sign))
                db.execute(f"DELETE FROM d_{table}")
            db.execute("DELETE FROM d_ports")
        delta = {}
        for table in ("connected", "error"):
            flips = db.execute(
                f"SELECT w.s, w.n, w.k > 0 FROM was_{table} w CROSS JOIN {table} t "
                "ON t.s = w.s AND t.n = w.n WHERE (w.k > 0) <> (t.k > 0)"
            ).fetchall()
            delta[f"{table} inserted"] = [(s, n) for s, n, was in flips if not was]
            delta[f"{table} retracted"] = [(s, n) for s, n, was in flips if was]
            db.execute(f"DELETE FROM {table} WHERE k = 0 AND (s, n) IN (SELECT s, n FROM was_{table})")
            db.execute(f"DELETE FROM was_{table}")
        db.execute("COMMIT")
        return delta


def change(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    db = _loaded(data, report)
    deltas = _Deltas(db)
    laps = Laps()
    for row, sign in work.single_changes(data):
        laps.time(deltas.apply, [row] if sign < 0 else [], [row] if sign > 0 else [])
    report.spread("change", laps)
    report.answer("error", db.execute("SELECT s, n FROM error"))
    return report


def batch(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    db = _loaded(data, report)
    moves = work.port_batch(data)
    deltas = _Deltas(db)
    with report.time("batch"):
        delta = deltas.apply(moves.out["neutron:ports"], moves.into["neutron:ports"])
    for name, rows in delta.items():
        report.answer(name, rows)
    return report


def closure(size: int) -> Report:
    report = Report()
    db = _connect()
    edges = work.edges()
    with report.time("evaluate"):
        db.execute("CREATE TABLE edge (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID")
        _insert(db, "edge", edges, 2)
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
        db.execute("CREATE TABLE c0 (x, y)")
        _insert(db, "c0", given, 2)
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
            db.execute(f"CREATE TABLE {name} (x, y)")
            _insert(db, name, rows, 2)
            db.execute(f"CREATE INDEX {name}_x ON {name} (x)")
        db.execute(
            "CREATE TABLE j AS SELECT DISTINCT a.x, c.y FROM a CROSS JOIN b ON b.x = a.y CROSS JOIN c ON c.x = b.y"
        )
    with report.time("read"):
        joined = db.execute("SELECT * FROM j").fetchall()
    report.answer("j", joined)
    return report
