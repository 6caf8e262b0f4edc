# SPDX-License-Identifier: Apache-2.0
"""clingo: all is grounded again after each change.  A stratified program is decided by grounding alone."""

from collections.abc import Sequence

import clingo

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud
from benchmarks.engine import work
from benchmarks.engine.figures import Laps, Report

CANNOT = {
    "batch": "it evaluates all again; see load",
    "mixed": "it evaluates all again; see load",
    "stream": "it evaluates all again after each change",
    "unread": "it evaluates all again after each change",
    "rules": "it has no rules that come and go",
    "growth": "it has no rules that come and go",
    "cut": "it evaluates all again; see closure",
}
LIMITS = {"change": 10_000}
CLOUD = """
connected(S, N) :- ports(P, S, N).
same_group(T1, T2) :- group(T1, G), group(T2, G).
error(S, N) :- servers(S, Name, St, H, T), ports(P, S, N), networks(N, T2, Shared),
               not same_group(T, T2), Shared != "true".
"""


def _facts(table: str, rows: Sequence[Sequence[object]]) -> str:
    """Rows of strings or integers as facts, by one format string for all."""
    form = ",".join('"%s"' if isinstance(value, str) else "%d" for value in rows[0])
    return "\n".join([f"{table}({form})." % tuple(row) for row in rows])


def _ground(*texts: str) -> clingo.Control:
    control = clingo.Control(["--warn=none"])
    for text in texts:
        control.add("base", [], text)
    control.ground([("base", [])])
    return control


def _rows(control: clingo.Control, table: str, arity: int) -> list[tuple[object, ...]]:
    return [
        tuple([a.string if a.type is clingo.SymbolType.String else a.number for a in atom.symbol.arguments])
        for atom in control.symbolic_atoms.by_signature(table, arity)
    ]


def _cloud(data: Cloud) -> list[str]:
    names = ("servers", "ports", "networks")
    texts = [_facts(name, rows) for name, rows in zip(names, data, strict=True)]
    return [CLOUD, _facts("group", cloud_workload.groups()), *texts]


def load(size: int) -> Report:
    report = Report()
    data = work.cloud(size)
    with report.time("load"):
        texts = _cloud(data)
    with report.time("evaluate"):
        control = _ground(*texts)
    report.memory()
    with report.time("read"):
        found = {table: _rows(control, table, 2) for table in ("connected", "same_group", "error")}
    for table, rows in found.items():
        report.answer(table, rows)
    return report


def _all_again(data: Cloud) -> None:
    _rows(_ground(*_cloud(data)), "error", 2)


def change(size: int) -> Report:
    """One port more and all again, three times."""
    report = Report()
    data = work.cloud(size)
    laps = Laps()
    for row in cloud_workload.trigger_rows(data[0], data[2]):
        laps.time(_all_again, (data[0], [*data[1], row], data[2]))
    report.spread("change", laps)
    report.answer("error", _rows(_ground(*_cloud(data)), "error", 2))
    return report


def closure(size: int) -> Report:
    report = Report()
    edges = work.edges()
    with report.time("evaluate"):
        control = _ground(_facts("edge", edges), "path(X,Y) :- edge(X,Y). path(X,Z) :- path(X,Y), edge(Y,Z).")
    with report.time("read"):
        rows = _rows(control, "path", 2)
    report.answer("path", rows)
    return report


def chain(size: int) -> Report:
    report = Report()
    _, given = cloud_workload.chain(size)
    with report.time("evaluate"):
        rules = "".join(f"c{depth}(X,Y) :- c{depth - 1}(X,Y). " for depth in range(1, 6))
        control = _ground(_facts("c0", given), rules)
    with report.time("read"):
        rows = _rows(control, "c5", 2)
    report.answer("c5", rows)
    return report


def join3(size: int) -> Report:
    report = Report()
    _, *tables = cloud_workload.join3(size)
    with report.time("evaluate"):
        texts = [_facts(name, rows) for name, rows in zip("abc", tables, strict=True)]
        control = _ground(*texts, "j(X,W) :- a(X,Y), b(Y,Z), c(Z,W).")
    with report.time("read"):
        rows = _rows(control, "j", 2)
    report.answer("j", rows)
    return report
