# SPDX-License-Identifier: Apache-2.0
"""What is measured, at which sizes, and which figures of it stand in the tables."""

from dataclasses import dataclass

from benchmarks.engine import work


@dataclass(frozen=True)
class Figure:
    """A column of a task's table: the sum of these keys of a worker's figures."""

    title: str
    keys: tuple[str, ...]
    unit: str = "s"  # "s", "MiB" or "/s"


@dataclass(frozen=True)
class Task:
    """One kind of work.  The first figure is the one that engines are compared by."""

    name: str
    title: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    figures: tuple[Figure, ...]
    note: str = ""


CLOUD = (1_000, 10_000, 100_000, 1_000_000)
QUICK = (1_000, 10_000)
CHANGE = (
    Figure("median", ("change median",)),
    Figure("99th percentile", ("change p99",)),
    Figure("the same in CPU time", ("change CPU p99",)),
)

TASKS = (
    Task(
        "load",
        "Load a cloud and evaluate the policy",
        CLOUD,
        QUICK,
        (
            Figure("total CPU", ("load", "evaluate")),
            Figure("of it loading", ("load",)),
            Figure("memory", ("rss",), "MiB"),
        ),
        "Size: servers; there are twice as many ports. All three derived tables, but handwritten keeps only error. "
        "Memory is the process's peak, the given rows included.",
    ),
    Task(
        "change",
        "One changed row until the delta is out",
        CLOUD,
        QUICK,
        CHANGE,
        "Ports inserted and retracted. SQLite and DuckDB run delta queries written by hand; clingo does all again.",
    ),
    Task("unread", "One changed row of a table that no rule reads", CLOUD, QUICK, CHANGE),
    Task(
        "batch",
        "10 000 changed rows: ports moved to other networks",
        (10_000, 100_000, 1_000_000),
        (10_000,),
        (Figure("CPU", ("batch",)),),
        "One transaction until the delta is out. handwritten keeps only error.",
    ),
    Task(
        "mixed",
        "10 000 changed rows: ports, servers and networks",
        (10_000, 100_000, 1_000_000),
        (10_000,),
        (Figure("CPU", ("batch",)),),
        "One transaction until the delta is out; DuckDB derives all again and compares.",
    ),
    Task(
        "stream",
        "20 000 changes through seven rules with recursion and negation",
        (10_000,),
        (1_000,),
        (Figure("one at a time", ("one at a time",), "/s"), Figure("by hundreds", ("by hundreds",), "/s")),
    ),
    Task(
        "closure",
        "Transitive closure of a random digraph",
        (2_000,),
        (2_000,),
        (Figure("CPU", ("evaluate",)), Figure("reading the rows", ("read",))),
        "1 000 nodes, 2 000 edges, 630 695 pairs. Reading the pairs out is not counted where an engine has them in a "
        "form of its own.",
    ),
    Task(
        "cut",
        "One edge less in that digraph",
        (2_000,),
        (2_000,),
        (
            Figure("median", ("cut CPU median",)),
            Figure("worst of 15", ("cut CPU p99",)),
            Figure("from scratch", ("evaluate",)),
        ),
    ),
    Task(
        "rules",
        "1 000 rules parsed, checked and compiled",
        (1_000,),
        (200,),
        (Figure("one call", ("one call",)), Figure("a call each", ("a call each",))),
    ),
    Task(
        "growth",
        "A rule more when there are many",
        (1_000, 10_000),
        (1_000,),
        tuple(
            Figure(f"{which} 100 {shape}, median", (f"{which} {shape} CPU median",))
            for shape in work.growing(0)
            for which in ("last", "first")
        ),
    ),
    Task(
        "chain",
        "A chain of five rules",
        (10_000,),
        (10_000,),
        (Figure("CPU", ("evaluate",)), Figure("reading the rows", ("read",))),
    ),
    Task(
        "join3",
        "A join of three tables",
        (10_000,),
        (10_000,),
        (Figure("CPU", ("evaluate",)), Figure("reading the rows", ("read",))),
    ),
)
