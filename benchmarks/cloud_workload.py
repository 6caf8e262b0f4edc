# SPDX-License-Identifier: Apache-2.0
"""The shared workload: a cloud of N servers, and smaller tasks, the same on every Python version.

It knows no engine.  Only ``random.Random(seed).random`` and ``randrange`` are used, whose streams are the
same on CPython 3.7 to 3.13, so figures taken years apart speak of the same work.
"""

import random
from collections.abc import Iterable, Sequence

TENANTS, GROUPS = 100, 10

Rows = list[tuple[str, ...]]
Cloud = tuple[Rows, Rows, Rows]

RULES = [
    "connected(s, n) :- neutron:ports(p, s, n)",
    "same_group(t1, t2) :- group(t1, g), group(t2, g)",
    "error(s, n) :- nova:servers(s, name, st, h, t), neutron:ports(p, s, n), "
    "neutron:networks(n, t2, shared), not same_group(t, t2), "
    "not equal(shared, 'true')",
]
SCHEMA = {
    "nova": {"servers": ("id", "name", "status", "host", "tenant")},
    "neutron": {"ports": ("id", "server_id", "network_id"), "networks": ("id", "tenant", "shared")},
}
TABLES = ("nova:servers", "neutron:ports", "neutron:networks")


def groups() -> list[tuple[str, str]]:
    """Tenant and group; a hundred tenants in ten groups."""
    return [(f"t{i}", f"g{i % GROUPS}") for i in range(TENANTS)]


def group_facts() -> list[str]:
    """The groups as facts of a policy."""
    return [f'group("{tenant}", "{group}")' for tenant, group in groups()]


def gen(n: int, seed: int = 1) -> Cloud:
    """n servers, 2n ports and n/50 networks (at least 10).

    A port goes, with probability 0.99, on a random network whose tenant is in the server's tenant group (on
    any network if that group has none), else on a uniformly random network.  20 % of the networks are shared.
    """
    r = random.Random(seed)
    m = max(10, n // 50)
    networks: Rows = []
    by_group: dict[int, list[str]] = {}
    for j in range(m):
        t = r.randrange(TENANTS)
        networks.append((f"n{j}", f"t{t}", "true" if r.random() < 0.2 else "false"))
        by_group.setdefault(t % GROUPS, []).append(f"n{j}")
    servers: Rows = []
    ports: Rows = []
    hosts = max(1, n // 20)
    for i in range(n):
        t = r.randrange(TENANTS)
        status = ("ACTIVE", "ERROR", "SHUTOFF")[r.randrange(3)]
        servers.append((f"s{i}", f"name{i}", status, f"h{r.randrange(hosts)}", f"t{t}"))
        for k in (0, 1):
            same = by_group.get(t % GROUPS)
            if same and r.random() < 0.99:
                network = same[r.randrange(len(same))]
            else:
                network = f"n{r.randrange(m)}"
            ports.append((f"p{2 * i + k}", f"s{i}", network))
    return servers, ports, networks


def long_ids(cloud: Cloud) -> Cloud:
    """The same cloud with identifiers of 36 characters, as real services hand out."""
    servers, ports, networks = cloud
    return (
        [(long_id(s[0]), *s[1:]) for s in servers],
        [(long_id(p[0]), long_id(p[1]), long_id(p[2])) for p in ports],
        [(long_id(n[0]), *n[1:]) for n in networks],
    )


def long_id(name: str) -> str:
    """36 characters for an identifier of one letter and a number."""
    number = int(name[1:])
    return f"{(ord(name[0]) * 2654435761 + number * 40503) % 2**32:08x}-0000-4000-8000-{number:012x}"


def expected(cloud: Cloud) -> set[tuple[str, str]]:
    """The answer to ``error(s, n)``, to check engines against."""
    servers, ports, networks = cloud
    tenant = {s[0]: int(s[4][1:]) for s in servers}
    network = {n[0]: (int(n[1][1:]), n[2]) for n in networks}
    out = set()
    for _, s, n in ports:
        owner, shared = network[n]
        if tenant[s] % GROUPS != owner % GROUPS and shared != "true":
            out.add((s, n))
    return out


def trigger_rows(servers: Sequence[tuple[str, ...]], networks: Iterable[tuple[str, ...]], k: int = 3) -> Rows:
    """k rows for ports, each of which makes exactly one new row of ``error``."""
    out: Rows = []
    for i in range(k):
        server = servers[(i + 1) * len(servers) // (k + 1)]
        group = int(server[4][1:]) % GROUPS
        foreign = [n for n in networks if n[2] == "false" and int(n[1][1:]) % GROUPS != group]
        out.append((f"x{i}", server[0], foreign[i][0]))
    return out


def chain(n: int, depth: int = 5) -> tuple[list[str], list[tuple[str, int]]]:
    """Rules that copy a table ``depth`` times, and its rows."""
    rules = ["c1(x, y) :- db:base(x, y)"]
    rules += [f"c{d}(x, y) :- c{d - 1}(x, y)" for d in range(2, depth + 1)]
    return rules, [(f"k{i}", i) for i in range(n)]


Pairs = list[tuple[int, int]]


def join3(n: int, seed: int = 7) -> tuple[str, Pairs, Pairs, Pairs]:
    """A join of three tables of n random pairs."""
    r = random.Random(seed)

    def make() -> Pairs:
        return [(r.randrange(n), r.randrange(n)) for _ in range(n)]

    return "j(x, w) :- db:a(x, y), db:b(y, z), db:c(z, w)", make(), make(), make()


def simple_rules(n: int) -> list[str]:
    """n rules over twenty tables, each with a head of its own."""
    return [f"p{i}(x) :- q{i % 10}(x, y), r{i % 7}(y, {i})" for i in range(n)]


def digraph(nodes: int = 1000, edges: int = 2000, seed: int = 3) -> Pairs:
    """Distinct random edges without loops."""
    r = random.Random(seed)
    out: dict[tuple[int, int], None] = {}
    while len(out) < edges:
        a, b = r.randrange(nodes), r.randrange(nodes)
        if a != b:
            out[a, b] = None
    return list(out)
