# SPDX-License-Identifier: Apache-2.0
"""The right answers, by set comprehensions that take no thought for speed."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Report

CANNOT: dict[str, str] = {}
Pairs = set[tuple[str, str]]


def cloud_tables(data: Cloud) -> dict[str, Pairs]:
    """The three derived tables of the cloud policy; servers may be missing from ``data``."""
    servers, ports, networks = data
    groups = cloud_workload.groups()
    same = {(a, b) for a, g in groups for b, h in groups if g == h}
    tenant = {s[0]: s[4] for s in servers}
    network = {n[0]: (n[1], n[2]) for n in networks}
    error = {
        (s, n)
        for _, s, n in ports
        if s in tenant and network[n][1] != "true" and (tenant[s], network[n][0]) not in same
    }
    return {"connected": {(s, n) for _, s, n in ports}, "same_group": same, "error": error}


def transitive(pairs: Iterable[tuple]) -> set[tuple]:
    """All pairs that a path joins, by a search from every node."""
    after = defaultdict(set)
    for a, b in pairs:
        after[a].add(b)
    out = set()
    for start in list(after):
        seen: set = set()
        todo = list(after[start])
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo.extend(after.get(node, ()))
        out |= {(start, node) for node in seen}
    return out


def load(size: int) -> Report:
    report = Report()
    for table, rows in cloud_tables(work.cloud(size)).items():
        report.answer(table, rows)
    return report


def change(size: int) -> Report:
    """Every change is taken back, so in the end there is what there was."""
    report = Report()
    report.answer("error", cloud_workload.expected(work.cloud(size)))
    return report


def _batch(size: int, make: Callable[[Cloud], work.Batch]) -> Report:
    report = Report()
    data = work.cloud(size)
    before = cloud_tables(data)
    after = cloud_tables(work.changed(data, make(data)))
    for table in ("connected", "error"):
        report.answer(f"{table} inserted", after[table] - before[table])
        report.answer(f"{table} retracted", before[table] - after[table])
    return report


def batch(size: int) -> Report:
    return _batch(size, work.port_batch)


def mixed(size: int) -> Report:
    return _batch(size, work.mixed_batch)


def stream(size: int) -> Report:
    data = work.cloud(size)
    tables = dict(zip(cloud_workload.TABLES, map(set, data), strict=True))
    tables["db:needs"] = set(work.needs(size))
    for table, row, sign in work.stream(data):
        (tables[table].add if sign > 0 else tables[table].remove)(row)
    derived = dict(cloud_tables(tuple(tables[t] for t in cloud_workload.TABLES)))
    derived["reach"] = transitive(tables["db:needs"])
    failing = {s for s, _ in derived["error"]}
    affected = {x for x, y in derived["reach"] if y in failing}
    derived["affected"] = {(x,) for x in affected}
    derived["healthy"] = {(s[0],) for s in tables["nova:servers"] if s[0] not in affected}
    report = Report()
    for table in work.SEVEN_TABLES:
        report.answer(table, derived[table])
    return report


def closure(size: int) -> Report:
    report = Report()
    report.answer("path", transitive(work.edges()))
    return report


def cut(size: int) -> Report:
    report = Report()
    for number, edge in enumerate(work.edges_to_cut()):
        report.answer(f"path without edge {number}", transitive(e for e in work.edges() if e != edge))
    return report


def chain(size: int) -> Report:
    report = Report()
    report.answer("c5", cloud_workload.chain(size)[1])
    return report


def join3(size: int) -> Report:
    _, a, b, c = cloud_workload.join3(size)
    by_first_b, by_first_c = defaultdict(list), defaultdict(list)
    for y, z in b:
        by_first_b[y].append(z)
    for z, w in c:
        by_first_c[z].append(w)
    report = Report()
    report.answer("j", {(x, w) for x, y in a for z in by_first_b[y] for w in by_first_c[z]})
    return report
