# SPDX-License-Identifier: Apache-2.0
"""The inputs of every task, made from the shared workload; no engine in here."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import cloud_workload
from benchmarks.cloud_workload import Cloud

Row = tuple[str, ...]
Change = tuple[str, Row, int]  # table, row, +1 or -1

BATCH = 10_000
STREAM = 20_000
NODES, EDGES = 1000, 2000

SEVEN_RULES = [
    *cloud_workload.RULES,
    "reach(x, y) :- db:needs(x, y)",
    "reach(x, z) :- reach(x, y), db:needs(y, z)",
    "affected(x) :- reach(x, y), error(y, n)",
    "healthy(s) :- nova:servers(s, name, st, h, t), not affected(s)",
]
"""The cloud policy, and what failures reach: recursion and, after it, negation."""

SEVEN_TABLES = ("connected", "same_group", "error", "reach", "affected", "healthy")


def cloud(size: int) -> Cloud:
    return cloud_workload.gen(size)


def single_changes(data: Cloud, rounds: int = 200, scattered: int = 600, seed: int = 11) -> list[tuple[Row, int]]:
    """One-row changes of ports, each taken back by a later one.

    ``rounds`` times the three rows that each make one error, inserted and retracted in turn; then
    ``scattered`` existing ports, all over the table, retracted and inserted again.
    """
    servers, ports, networks = data
    out: list[tuple[Row, int]] = []
    for _ in range(rounds):
        for row in cloud_workload.trigger_rows(servers, networks):
            out += [(row, 1), (row, -1)]
    r = random.Random(seed)
    for _ in range(scattered):
        row = ports[r.randrange(len(ports))]
        out += [(row, -1), (row, 1)]
    return out


@dataclass(frozen=True)
class Batch:
    """Rows that go and rows that come, by table."""

    out: dict[str, list[Row]]
    into: dict[str, list[Row]]


def port_batch(data: Cloud, changes: int = BATCH, seed: int = 5) -> Batch:
    """Half as many ports as ``changes`` move to other networks."""
    _, ports, networks = data
    return _batch(ports=_moved(ports, changes // 2, 2, _network(networks), seed))


def mixed_batch(data: Cloud, changes: int = BATCH, seed: int = 6) -> Batch:
    """Ports move, servers change their tenant, networks theirs: 50, 47 and 3 per cent of the rows."""
    servers, ports, networks = data

    def tenant(r: random.Random) -> str:
        return f"t{r.randrange(cloud_workload.TENANTS)}"

    return _batch(
        ports=_moved(ports, changes // 4, 2, _network(networks), seed),
        servers=_moved(servers, changes * 47 // 200, 4, tenant, seed + 1),
        networks=_moved(networks, min(changes * 3 // 200, len(networks) // 2), 1, tenant, seed + 2),
    )


def _network(networks: list[Row]) -> Callable[[random.Random], str]:
    return lambda r: networks[r.randrange(len(networks))][0]


def _moved(
    rows: list[Row], count: int, column: int, value: Callable[[random.Random], str], seed: int
) -> list[tuple[Row, Row]]:
    """Pairs of a row and the same row with another value in a column."""
    r = random.Random(seed)
    chosen: dict[int, None] = {}
    while len(chosen) < min(count, len(rows) // 2):
        chosen[r.randrange(len(rows))] = None
    pairs = []
    for at in chosen:
        old = rows[at]
        new = old
        while new == old:
            new = (*old[:column], value(r), *old[column + 1 :])
        pairs.append((old, new))
    return pairs


def _batch(**moves: list[tuple[Row, Row]]) -> Batch:
    by_table = {table: moves[name] for table in cloud_workload.TABLES if (name := table.split(":")[1]) in moves}
    return Batch(
        {table: [old for old, _ in pairs] for table, pairs in by_table.items()},
        {table: [new for _, new in pairs] for table, pairs in by_table.items()},
    )


def changed(data: Cloud, batch: Batch) -> Cloud:
    """The cloud after a batch."""
    out = []
    for table, rows in zip(cloud_workload.TABLES, data, strict=True):
        gone = set(batch.out.get(table, ()))
        out.append([row for row in rows if row not in gone] + batch.into.get(table, []))
    return out[0], out[1], out[2]


def needs(size: int, seed: int = 21) -> list[Row]:
    """Which server needs which other, in groups of ten: about as many pairs as servers."""
    r = random.Random(seed)
    pairs: dict[Row, None] = {}
    for i in range(size):
        j = i - i % 10 + r.randrange(10)
        if i != j and j < size:
            pairs[f"s{i}", f"s{j}"] = None
    return list(pairs)


def stream(data: Cloud, count: int = STREAM, seed: int = 22) -> list[Change]:
    """One-row changes all over the seven rules: 60 % ports, 25 % needs, 15 % servers; none a no-op."""
    r = random.Random(seed)
    size = len(data[0])
    tables = {
        "neutron:ports": dict.fromkeys(data[1]),
        "db:needs": dict.fromkeys(needs(size)),
        "nova:servers": dict.fromkeys(data[0]),
    }
    listed = {table: list(rows) for table, rows in tables.items()}
    makers = {
        "neutron:ports": lambda k: (f"y{k}", f"s{r.randrange(size)}", data[2][r.randrange(len(data[2]))][0]),
        "db:needs": lambda k: _neighbours(r, size),
        "nova:servers": lambda k: (f"z{k}", "new", "ACTIVE", "h0", f"t{r.randrange(cloud_workload.TENANTS)}"),
    }
    out: list[Change] = []
    while len(out) < count:
        dice = r.random()
        table = "neutron:ports" if dice < 0.6 else "db:needs" if dice < 0.85 else "nova:servers"
        rows, order = tables[table], listed[table]
        if r.random() < 0.5:
            at = r.randrange(len(order))
            order[at], order[-1] = order[-1], order[at]
            row = order.pop()
            del rows[row]
            out.append((table, row, -1))
        else:
            row = makers[table](len(out))
            if row not in rows:
                rows[row] = None
                order.append(row)
                out.append((table, row, 1))
    return out


def _neighbours(r: random.Random, size: int) -> Row:
    """Two servers of one group of ten."""
    i = r.randrange(size)
    j = (i - i % 10 + (i + r.randrange(1, 10)) % 10) % size
    return f"s{i}", f"s{j}"


def growing(size: int) -> dict[str, tuple[str, list[str]]]:
    """Ways in which programs grow: by name a first rule, and rules to add one after the other."""
    return {
        "rules": ("p(x) :- q1(x, y)", cloud_workload.simple_rules(size)),
        "readers of one table, while a rule waits": (
            "w(x) :- later:t(x), p(x)",
            [f"p(x) :- q1(x, {i})" if i % 2 else f"p{i}(x) :- p(x)" for i in range(size)],
        ),
        "rules of a recursive table": ("p(x, y) :- q1(x, y)", [f"p(x, z) :- p(x, y), r{i}(y, z)" for i in range(size)]),
        "a chain from its end": ("p(x) :- p0(x)", [f"p{i}(x) :- p{i + 1}(x), q1(x, y)" for i in range(size)]),
    }


def edges() -> list[tuple[int, int]]:
    return cloud_workload.digraph(NODES, EDGES)


def edges_to_cut(count: int = 15, seed: int = 4) -> list[tuple[int, int]]:
    """Some of the edges that no other way goes around, so that each takes paths along when it is retracted."""
    given = edges()
    return random.Random(seed).sample([edge for edge in given if not _way_around(edge, given)], count)


def _way_around(edge: tuple[int, int], given: list[tuple[int, int]]) -> bool:
    ends: dict[int, list[int]] = {}
    for start, end in given:
        if (start, end) != edge:
            ends.setdefault(start, []).append(end)
    seen, todo = set(), [edge[0]]
    while todo:
        for end in ends.get(todo.pop(), ()):
            if end not in seen:
                seen.add(end)
                todo.append(end)
    return edge[1] in seen
