# SPDX-License-Identifier: Apache-2.0
"""Who is on the bus, as one node knows it from the announcements.  Pure state: the time is passed in.

A peer that is silent for too long is dead.  Silence counts only while this node hears its *own* announcements
come back: when it does not, the broker or its way there is at fault, and nobody is declared dead for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from congress.bus.messages import Joined, Left, Presence

SUCCEEDED = 3.0
"""After how many heartbeat intervals of silence a peer is dead whose name a newer node has.

A process that was restarted so takes the place of its former life soon; processes that share a name do no harm.
"""


@dataclass(frozen=True, slots=True)
class Member:
    """A service on the bus: its name, which life of it, and the node it lives on."""

    name: str
    instance: str
    node: str


@dataclass(slots=True)
class _Peer:
    revision: int
    heard: float
    services: Mapping[str, str] = field(default_factory=dict)
    succeeded: bool = False


def node_name(node: str) -> str:
    """The name that a process was given; after its last dot a node's id says which life of it it is."""
    return node.rpartition(".")[0]


class Directory:
    """The services of this node and of its peers.  Not thread-safe: its owner locks."""

    def __init__(self, node: str, interval: float, peer_timeout: float, now: float) -> None:
        self.node = node
        self.echo = now
        """When this node last heard itself."""
        self._interval = interval
        self._timeout = peer_timeout
        self._peers: dict[str, _Peer] = {}
        self._gone: dict[str, float] = {}
        self._local: dict[str, str] = {}
        self._members: dict[str, Member] = {}

    @property
    def members(self) -> Mapping[str, Member]:
        """Everybody, by name; where two nodes have a service of one name, the one that was there first."""
        return self._members

    @property
    def peers(self) -> frozenset[str]:
        """The other nodes that are there."""
        return frozenset(self._peers)

    def find(self, name: str) -> Member | None:
        """The service of that name.  Safe without a lock."""
        return self._members.get(name)

    def local(self) -> dict[str, str]:
        """Instance ids of this node's services by name."""
        return dict(self._local)

    def add_local(self, name: str, instance: str) -> list[Joined | Left]:
        """A service of this node.  :returns: what changed."""
        self._local[name] = instance
        return self._changes()

    def remove_local(self, name: str) -> list[Joined | Left]:
        """A service of this node is gone.  :returns: what changed."""
        self._local.pop(name, None)
        return self._changes()

    def hear(self, presence: Presence, now: float) -> list[Joined | Left]:
        """An announcement came.  :returns: what changed."""
        if presence.node == self.node:
            if now - self.echo > self._timeout:
                self._forgive(now)
            self.echo = now
            return []
        if presence.leaving:
            self._gone[presence.node] = now
            return self._drop(presence.node)
        if presence.node in self._gone:
            return []
        peer = self._peers.get(presence.node)
        if peer is None:
            for node, other in self._peers.items():
                other.succeeded = other.succeeded or node_name(node) == node_name(presence.node)
            peer = self._peers[presence.node] = _Peer(0, now)
        if presence.revision <= peer.revision:
            return []
        peer.revision, peer.heard = presence.revision, now
        if presence.services == peer.services:
            return []
        peer.services = dict(presence.services)
        return self._changes()

    def expire(self) -> tuple[list[str], list[Joined | Left]]:
        """Drop the peers that were silent too long.  :returns: which, and what changed."""
        for node, at in list(self._gone.items()):
            # Long after it left, no announcement of it can be on its way any more.
            if self.echo - at > 20 * self._timeout:
                del self._gone[node]
        silent = [node for node, peer in self._peers.items() if self.echo - peer.heard > self._patience(peer)]
        for node in silent:
            del self._peers[node]
        return silent, self._changes() if silent else []

    def _patience(self, peer: _Peer) -> float:
        """How long a peer may be silent; not long when another life of its process seems to have begun."""
        return min(SUCCEEDED * self._interval, self._timeout) if peer.succeeded else self._timeout

    def _forgive(self, now: float) -> None:
        """The way to the peers was cut and is mended: they get as long to be heard as if they had just been."""
        for peer in self._peers.values():
            peer.heard = now

    def _drop(self, node: str) -> list[Joined | Left]:
        return self._changes() if self._peers.pop(node, None) is not None else []

    def _changes(self) -> list[Joined | Left]:
        """Work out the members anew.  :returns: the difference, departures first."""
        before = self._members
        after: dict[str, Member] = {}
        nodes = {self.node: self._local} | {node: peer.services for node, peer in self._peers.items()}
        for node, services in nodes.items():
            for name, instance in services.items():
                known = after.get(name)
                if known is None or (instance, node) < (known.instance, known.node):
                    after[name] = Member(name, instance, node)
        self._members = after
        changes: list[Joined | Left] = [
            Left(member.name, member.instance, member.node)
            for name, member in before.items()
            if after.get(name) != member
        ]
        changes += [
            Joined(member.name, member.instance, member.node)
            for name, member in after.items()
            if before.get(name) != member
        ]
        return changes

    def clashes(self) -> list[str]:
        """Names that this node's services share with another node's."""
        return [
            name
            for name, instance in self._local.items()
            if (member := self._members.get(name)) is not None and member.instance != instance
        ]
