# SPDX-License-Identifier: Apache-2.0
"""The ``error`` table of the shared workload, maintained by Python written for it alone.

Someone who knows the answer's shape wrote the joins, the indexes and the derivation counts for this one
policy. A general engine is measured against it, in the same run, as the practical limit of plain Python::

    error(s, n) :- nova:servers(s, name, st, h, t), neutron:ports(p, s, n),
                   neutron:networks(n, t2, shared), not same_group(t, t2),
                   not equal(shared, 'true')
"""

from collections.abc import Iterable, Sequence

Row = tuple[str, ...]


class CloudErrors:
    """error(server, network) with counts; ports come and go one at a time."""

    def __init__(self, groups: Iterable[tuple[str, str]]) -> None:
        self.group = dict(groups)
        self.tenant_of: dict[str, str] = {}
        self.network: dict[str, tuple[str, str]] = {}  # id -> (tenant, shared)
        self.ports_of_server: dict[str, list[Row]] = {}
        self.ports_of_network: dict[str, dict[Row, None]] = {}
        self.count: dict[tuple[str, str], int] = {}  # (server, network) -> derivations

    def load(self, servers: Sequence[Row], ports: Sequence[Row], networks: Sequence[Row]) -> None:
        """Fill the tables and the indexes that later changes need."""
        self.tenant_of = {s[0]: s[4] for s in servers}
        self.network = {n[0]: (n[1], n[2]) for n in networks}
        by_server, by_network = self.ports_of_server, self.ports_of_network
        for row in ports:
            _, server, network = row
            listed = by_server.get(server)
            if listed is None:
                by_server[server] = [row]
            else:
                listed.append(row)
            kept = by_network.get(network)
            if kept is None:
                by_network[network] = {row: None}
            else:
                kept[row] = None

    def evaluate(self, ports: Iterable[Row]) -> dict[tuple[str, str], int]:
        """All of ``error`` from scratch."""
        group, tenant_of, networks = self.group, self.tenant_of, self.network
        count = self.count
        for _, server, network in ports:
            tenant = tenant_of.get(server)
            found = networks.get(network)
            if tenant is None or found is None:
                continue
            if group[tenant] != group[found[0]] and found[1] != "true":
                key = (server, network)
                count[key] = count.get(key, 0) + 1
        return count

    def change_port(self, row: Row, sign: int) -> tuple[tuple[str, str], ...]:
        """Insert (+1) or retract (-1) one port; returns the rows of ``error`` that came or went."""
        _, server, network = row
        if sign > 0:
            self.ports_of_server.setdefault(server, []).append(row)
            self.ports_of_network.setdefault(network, {})[row] = None
        else:
            self.ports_of_server[server].remove(row)
            del self.ports_of_network[network][row]
        tenant = self.tenant_of.get(server)
        found = self.network.get(network)
        if tenant is None or found is None:
            return ()
        if self.group[tenant] == self.group[found[0]] or found[1] == "true":
            return ()
        key = (server, network)
        before = self.count.get(key, 0)
        after = before + sign
        if after:
            self.count[key] = after
        else:
            del self.count[key]
        return (key,) if not before or not after else ()
