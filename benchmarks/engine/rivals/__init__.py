# SPDX-License-Identifier: Apache-2.0
"""One module per engine: a function for each task it can do, and in ``CANNOT`` why it cannot do the others.

``LIMITS`` has, for some tasks, the largest size that ends in bearable time.

A function takes the size and returns a :class:`~benchmarks.engine.figures.Report`, in a process of its own.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rival:
    """An engine: its name in tables, its module here, and what it is."""

    name: str
    module: str
    about: str
    environment: str = ""  # "legacy": runs in the environment that legacy_env makes


RIVALS = (
    Rival("congress", "ours", "this project's engine"),
    Rival("handwritten", "by_hand", "Python written for the one task"),
    Rival("openstack-congress", "legacy", "the last OpenStack Congress, 11.0.0", "legacy"),
    Rival("clingo", "with_clingo", "answer set programming, C++"),
    Rival("egglog", "with_egglog", "equality saturation and Datalog, Rust"),
    Rival("duckdb", "with_duckdb", "analytical SQL database, C++, one thread"),
    Rival("sqlite", "with_sqlite", "SQL database, C, in memory"),
)
REFERENCE = Rival("reference", "reference", "plain Python sets: the answers to compare with")


def rival(name: str) -> Rival:
    """The engine of that name.

    :raises KeyError: when there is none.
    """
    return {r.name: r for r in (*RIVALS, REFERENCE)}[name]
