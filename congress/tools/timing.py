# SPDX-License-Identifier: Apache-2.0
"""How long a policy takes over given data: all of it, and one changed row."""

import random
import statistics
import time
from dataclasses import dataclass

from congress.datalog.profile import Profile
from congress.datalog.values import Row
from congress.tools.datafiles import Data
from congress.tools.workspace import Workspace, add_data

CHANGES = 200
"""Rows taken out and put back, per table."""


@dataclass(frozen=True, slots=True)
class TableTiming:
    """One-row changes of one table: retraction and insertion, in microseconds."""

    table: str
    rows: int
    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured; times in seconds unless said otherwise."""

    rows: int
    load: float
    tables: tuple[TableTiming, ...]
    profile: Profile


def time_workspace(workspace: Workspace, read: Data) -> Timing:
    """Load the data with every rule timed, then change rows one at a time."""
    engine = workspace.engine
    engine.start_profile()
    start = time.perf_counter()
    add_data(engine, read)
    load = time.perf_counter() - start
    profile = engine.profile()
    engine.stop_profile()
    engine.prepare()
    chosen = random.Random(1)  # noqa: S311 - a sample, the same at every run
    tables = []
    for table, rows in read.rows.items():
        times = []
        for row in chosen.sample(rows, min(CHANGES, len(rows))):
            changes: list[tuple[list[Row], list[Row]]] = [([], [row]), ([row], [])]
            for change in changes:
                start = time.perf_counter()
                engine.apply({table: change})
                times.append(1e6 * (time.perf_counter() - start))
        if times:
            tables.append(TableTiming(table, len(rows), statistics.median(times), max(times)))
    return Timing(sum(map(len, read.rows.values())), load, tuple(tables), profile)
