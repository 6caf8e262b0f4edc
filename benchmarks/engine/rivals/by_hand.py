# SPDX-License-Identifier: Apache-2.0
"""Python written for each task alone: no engine, the practical limit of the language."""

from collections import defaultdict

from benchmarks import cloud_workload, handwritten
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report

CANNOT = {
    "mixed": "it maintains ports only",
    "stream": "it is written for the error table only",
    "unread": "it has no tables that it does not read",
    "rules": "it has no rules",
    "growth": "it has no rules",
    "cut": "it cannot retract an edge; see closure for evaluation from scratch",
}


def _loaded(size: int, report: Report):
    data = work.cloud(size)
    errors = handwritten.CloudErrors(cloud_workload.groups())
    with report.time("load"):
        errors.load(*data)
    with report.time("evaluate"):
        errors.evaluate(data[1])
    report.memory()
    return data, errors


def load(size: int) -> Report:
    """The error table only; it does not keep the two others."""
    report = Report()
    _, errors = _loaded(size, report)
    report.answer("error", errors.count)
    return report


def change(size: int) -> Report:
    report = Report()
    data, errors = _loaded(size, report)
    laps = Laps()
    for row, sign in work.single_changes(data):
        laps.time(errors.change_port, row, sign)
    report.spread("change", laps)
    report.answer("error", errors.count)
    return report


def batch(size: int) -> Report:
    """The flips of a row are netted by hand; ``connected`` is not kept."""
    report = Report()
    data, errors = _loaded(size, report)
    moves = work.port_batch(data)
    net: dict[tuple[str, str], int] = defaultdict(int)
    with report.time("batch"):
        for rows, sign in ((moves.out["neutron:ports"], -1), (moves.into["neutron:ports"], 1)):
            for row in rows:
                for pair in errors.change_port(row, sign):
                    net[pair] += sign
        inserted = [pair for pair, n in net.items() if n > 0]
        retracted = [pair for pair, n in net.items() if n < 0]
    report.answer("error inserted", inserted)
    report.answer("error retracted", retracted)
    return report


def closure(size: int) -> Report:
    """A semi-naive loop."""
    report = Report()
    edges = work.edges()
    with report.time("evaluate"):
        after = defaultdict(list)
        for a, b in edges:
            after[a].append(b)
        path = set(edges)
        new = path
        while new:
            found = set()
            for x, y in new:
                for z in after.get(y, ()):
                    pair = (x, z)
                    if pair not in path:
                        found.add(pair)
            path |= found
            new = found
    report.answer("path", path)
    return report


def chain(size: int) -> Report:
    report = Report()
    _, rows = cloud_workload.chain(size)
    with report.time("evaluate"):
        table = set(rows)
        for _ in range(5):
            table = set(table)
    report.answer("c5", table)
    return report


def join3(size: int) -> Report:
    report = Report()
    _, a, b, c = cloud_workload.join3(size)
    with report.time("evaluate"):
        by_y, by_z = defaultdict(list), defaultdict(list)
        for y, z in b:
            by_y[y].append(z)
        for z, w in c:
            by_z[z].append(w)
        out = {(x, w) for x, y in a for z in by_y.get(y, ()) for w in by_z.get(z, ())}
    report.answer("j", out)
    return report
