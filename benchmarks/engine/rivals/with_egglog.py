# SPDX-License-Identifier: Apache-2.0
"""egglog, by its own language: closure of a graph, and joins.  It has no negation and takes nothing back."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from egglog.bindings import EGraph

from benchmarks import cloud_workload
from benchmarks.engine import work
from benchmarks.engine.figures import Report

CANNOT = {
    "load": "it has no stratified negation",
    "change": "it has no stratified negation and no retraction",
    "batch": "it has no stratified negation and no retraction",
    "mixed": "it has no stratified negation and no retraction",
    "stream": "it has no stratified negation and no retraction",
    "unread": "it has no retraction",
    "rules": "its rules cannot be taken back",
    "growth": "its rules cannot be taken back",
    "cut": "it has no retraction",
}


def _run(
    report: Report, text: str, tables: dict[str, Sequence[Sequence[object]]], wanted: str
) -> list[tuple[object, ...]]:
    """Facts in by files, the fastest way it has; evaluation and reading are timed apart."""
    with tempfile.TemporaryDirectory() as folder, report.time("evaluate"):
        graph = EGraph(fact_directory=folder)
        for table, rows in tables.items():
            Path(folder, f"{table}.csv").write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
            text += f'\n(input {table} "{table}.csv")'
        graph.run_program(*graph.parse_program(text + "\n(run-schedule (saturate (run)))"))
    with report.time("read"):
        printed = graph.run_program(*graph.parse_program(f"(print-function {wanted} 10000000)"))
        return _parsed(str(printed[0]), wanted)


def _parsed(text: str, table: str) -> list[tuple[object, ...]]:
    """``(path 1 2)`` lines as rows."""
    start = len(table) + 2
    rows = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith(f"({table} "):
            rows.append(tuple(line[start : line.index(")")].replace('"', "").split(" ")))
    return rows


def closure(size: int) -> Report:
    report = Report()
    edges = work.edges()
    rows = _run(
        report,
        "(relation edge (i64 i64)) (relation path (i64 i64))"
        "(rule ((edge x y)) ((path x y))) (rule ((path x y) (edge y z)) ((path x z)))",
        {"edge": edges},
        "path",
    )
    report.answer("path", rows)
    return report


def chain(size: int) -> Report:
    report = Report()
    _, given = cloud_workload.chain(size)
    rules = "(relation c0 (String i64))"
    for depth in range(1, 6):
        rules += f"(relation c{depth} (String i64)) (rule ((c{depth - 1} x y)) ((c{depth} x y)))"
    rows = _run(report, rules, {"c0": given}, "c5")
    report.answer("c5", rows)
    return report


def join3(size: int) -> Report:
    report = Report()
    _, *tables = cloud_workload.join3(size)
    relations = "".join(f"(relation {name} (i64 i64))" for name in "abcj")
    rule = "(rule ((a x y) (b y z) (c z w)) ((j x w)))"
    rows = _run(report, relations + rule, dict(zip("abc", tables, strict=True)), "j")
    report.answer("j", rows)
    return report
