# SPDX-License-Identifier: Apache-2.0
"""Which table is derived from which: levels that changes are passed along, and recursive components.

A node's level is above the levels of everything it is derived from, except inside a component, whose nodes share
one.  Rules are connected and disconnected one at a time; only the part of the graph they reach is looked at.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from congress.datalog.core import Negative, Positive, Rule, Stage
from congress.datalog.operators import Operator
from congress.datalog.runtime import RuleNode
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode, Table
from congress.datalog.values import Row


@dataclass(eq=False, slots=True)
class Component:
    """Tables that are derived from one another, and the round their next rows belong to."""

    nodes: list["Node"]
    clock: int = 0


@dataclass(eq=False, slots=True)
class Node:
    """A table in the graph: the rules that derive it, the rules and stages that read it."""

    key: str
    table: Table
    level: int = 0
    component: Component | None = None
    rules: dict[str, RuleNode] = field(default_factory=dict)
    readers: dict[str, RuleNode] = field(default_factory=dict)
    absences: dict[str, RuleNode] = field(default_factory=dict)  # those readers that negate it
    inputs: list[Operator] = field(default_factory=list)  # stages that put rows into this table
    outputs: list[Operator] = field(default_factory=list)  # stages that read it
    # Rows that hold whatever the rules say: facts and what stages put in, with how many times.
    given: dict[Row, int] = field(default_factory=dict)
    replan_at: int = 64  # rows at which the plans of the rules that read this table are due for a second look
    hidden: bool = False  # the engine's own: nobody hears of its changes


class Cycle(Exception):  # not an error yet: the caller knows what to say about it
    """A table depends on its own absence (or on an aggregate of itself); ``path`` leads around."""

    def __init__(self, path: Sequence[str]) -> None:
        self.path = tuple(path)
        super().__init__(" -> ".join(path))


Undo = Callable[[], None]
Merged = list[tuple[Node, Component | None]]


class Graph:
    """All nodes by table key."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.tables: dict[str, Table] = {}

    def node(self, key: str) -> Node:
        return self.nodes[key]

    def add(self, key: str, arity: int, mode: Mode) -> Node:
        """The node of that key, made when there is none."""
        node = self.nodes.get(key)
        if node is None:
            table = Table(key, arity, mode)
            node = self.nodes[key] = Node(
                key, table, level=0 if mode is Mode.BASE else 1, hidden="#" in key or key == CLOCK
            )
            self.tables[key] = table
        return node

    def drop(self, key: str) -> None:
        del self.nodes[key], self.tables[key]

    def tidy(self, keys: Iterable[str]) -> None:
        """Drop those tables that are empty and that no rule, no stage and no index has to do with any more."""
        for key in keys:
            node = self.nodes.get(key)
            if node is not None and not (
                node.rules
                or node.readers
                or node.inputs
                or node.outputs
                or node.given
                or node.component
                or (node.table.rows and key != CLOCK)
                or node.table.indexes
            ):
                self.drop(key)

    # -- edges

    def successors(self, node: Node) -> Iterator[tuple[Node, bool]]:
        """Nodes derived from this one, with whether absence or a whole group is what counts."""
        for rule in node.readers.values():
            yield self.nodes[rule.core.table], any(n.table == node.key for _, n in rule.core.negatives())
        for operator in node.outputs:
            yield self.nodes[operator.stage.table], True

    def predecessors(self, node: Node) -> Iterator[Node]:
        for rule in node.rules.values():
            for key in body_tables(rule.core):
                yield self.nodes[key]
        for operator in node.inputs:
            yield self.nodes[operator.stage.source]

    def connect(self, rule: RuleNode) -> None:
        """Put a rule's edges in.  Levels and components are :meth:`settle`'s business."""
        self.connect_rule(rule)
        for operator in rule.operators:
            self.nodes[operator.stage.source].outputs.append(operator)
            self.nodes[operator.stage.table].inputs.append(operator)

    def connect_rule(self, rule: RuleNode) -> None:
        """Put a rule's own edges in, not those of its stages."""
        self.nodes[rule.core.table].rules[rule.id] = rule
        for key in body_tables(rule.core):
            node = self.nodes[key]
            node.readers[rule.id] = rule
            if key in rule.negatives:
                node.absences[rule.id] = rule

    def disconnect(self, rule: RuleNode) -> None:
        """Take a rule's own edges out; its stages stay until :meth:`disconnect_stages`."""
        del self.nodes[rule.core.table].rules[rule.id]
        for key in body_tables(rule.core):
            node = self.nodes[key]
            del node.readers[rule.id]
            node.absences.pop(rule.id, None)

    def disconnect_stages(self, rule: RuleNode) -> None:
        """Take the edges of a rule's stages out."""
        for operator in rule.operators:
            self.nodes[operator.stage.source].outputs.remove(operator)
            self.nodes[operator.stage.table].inputs.remove(operator)

    # -- levels and components

    def settle(self, rule: RuleNode) -> tuple[Merged, Undo]:
        """Order the graph after :meth:`connect`, and say how to go back.

        Returns the nodes of a component that is new or grew (else none), each with the component it was in before,
        in an order in which none was derived from a later one's component.

        :raises Cycle: when the rule closes a cycle through negation, an aggregate or a guard; nothing changed.
        """
        merged: Merged = []
        undos: list[Undo] = []
        targets = [self.nodes[rule.core.table], *(self.nodes[o.stage.table] for o in rule.operators)]
        sources = [
            [self.nodes[k] for k in body_tables(rule.core)],
            *([self.nodes[o.stage.source]] for o in rule.operators),
        ]
        try:
            for target, origins in zip(targets, sources, strict=True):
                found, undo = self._settle_edge(target, origins)
                undos.append(undo)
                merged.extend(found)
        except Cycle:
            for step in reversed(undos):
                step()
            raise

        def go_back() -> None:
            for undo in reversed(undos):
                undo()

        return merged, go_back

    def _settle_edge(self, target: Node, origins: Sequence[Node]) -> tuple[Merged, Undo]:
        if not origins:
            return [], _nothing
        inside = target.component is not None and any(o.component is target.component for o in origins)
        if target.level > max(o.level for o in origins) and not inside:
            return [], _nothing
        forward = self._reach([target], lambda n: (s for s, _ in self.successors(n)))
        closing = [o for o in origins if o.key in forward]
        if not closing:
            return [], self._raise_levels(target)
        backward = self._reach(closing, self.predecessors, within=forward)
        members = [forward[key] for key in forward if key in backward]
        self._refuse_strict(members)
        merged, undo = self._merge(members)
        if not merged and any(o.level >= target.level and o.key not in backward for o in origins):
            return [], self._raise_levels(target)
        return merged, undo

    def _reach(
        self,
        start: Sequence[Node],
        step: Callable[[Node], Iterable[Node]],
        within: dict[str, Node] | None = None,
    ) -> dict[str, Node]:
        seen = {node.key: node for node in start}
        queue = list(start)
        while queue:
            for node in step(queue.pop()):
                if node.key not in seen and (within is None or node.key in within):
                    seen[node.key] = node
                    queue.append(node)
        return seen

    def _refuse_strict(self, members: Sequence[Node]) -> None:
        keys = {node.key for node in members}
        for node in members:
            for successor, strict in self.successors(node):
                if strict and successor.key in keys:
                    raise Cycle(self._path(successor, node, keys))

    def _path(self, start: Node, end: Node, keys: set[str]) -> list[str]:
        """A shortest way from one member to another, closed by its first step."""
        came: dict[str, Node | None] = {start.key: None}
        queue = [start]
        for node in queue:
            if node is end:
                break
            for successor, _ in self.successors(node):
                if successor.key in keys and successor.key not in came:
                    came[successor.key] = node
                    queue.append(successor)
        path: list[str] = []
        at: Node | None = end
        while at is not None:
            path.append(at.key)
            at = came.get(at.key)
        return [*reversed(path), start.key]

    def _merge(self, members: list[Node]) -> tuple[Merged, Undo]:
        keys = {node.key for node in members}
        if members[0].component is not None and {n.key for n in members[0].component.nodes} == keys:
            return [], _nothing
        old = [(node, node.component, node.level) for node in members]
        component = Component(members)
        level = 1 + max((p.level for node in members for p in self.predecessors(node) if p.key not in keys), default=0)
        for node in members:
            node.component = component
            node.level = max(level, *(lv for _, _, lv in old))
        undo_levels = self._raise_levels(members[0])

        def undo() -> None:
            undo_levels()
            for node, previous, old_level in old:
                node.component, node.level = previous, old_level

        ordered = sorted(old, key=lambda entry: entry[2])
        return [(node, previous) for node, previous, _ in ordered], undo

    def _raise_levels(self, start: Node) -> Undo:
        """Lift nodes until each is above what it is derived from, beginning with one that may be too low."""
        old: dict[str, tuple[Node, int]] = {}
        queue = [start]
        while queue:
            node = queue.pop()
            group = node.component.nodes if node.component else [node]
            keys = {n.key for n in group}
            below = max((p.level for n in group for p in self.predecessors(n) if p.key not in keys), default=0)
            if node is not start and node.level > below:
                continue
            for member in group:
                old.setdefault(member.key, (member, member.level))
                member.level = max(member.level, below + 1)
            for member in group:
                queue.extend(s for s, _ in self.successors(member) if s.key not in keys and s.level <= member.level)

        def undo() -> None:
            for node, level in old.values():
                node.level = level

        return undo

    def split(self, component: Component) -> tuple[list[Node], Undo] | None:
        """Take a component apart where its cycles are gone; the nodes that are recursive no more, or None."""
        parts = self._strong_parts(component.nodes)
        if len(parts) == 1 and (len(parts[0]) > 1 or self._reads_itself(parts[0][0])):
            return None
        old = [(node, node.component, node.level) for node in component.nodes]
        freed: list[Node] = []
        for part in parts:
            if len(part) > 1 or self._reads_itself(part[0]):
                made = Component(part, component.clock)
                for node in part:
                    node.component = made
            else:
                part[0].component = None
                freed.append(part[0])
        undos = [self._raise_levels(part[0]) for part in parts]

        def undo() -> None:
            for go_back in reversed(undos):
                go_back()
            for node, previous, level in old:
                node.component, node.level = previous, level

        return freed, undo

    def _reads_itself(self, node: Node) -> bool:
        return any(successor is node for successor, _ in self.successors(node))

    def _strong_parts(self, nodes: Sequence[Node]) -> list[list[Node]]:
        """Strongly connected parts, each before those derived from it (Kosaraju's two passes)."""
        inside = {node.key: node for node in nodes}
        order: list[Node] = []
        seen: set[str] = set()
        for root in nodes:
            if root.key in seen:
                continue
            seen.add(root.key)
            stack = [(root, iter([s for s, _ in self.successors(root)]))]
            while stack:
                node, rest = stack[-1]
                following = next((s for s in rest if s.key in inside and s.key not in seen), None)
                if following is None:
                    order.append(node)
                    stack.pop()
                else:
                    seen.add(following.key)
                    stack.append((following, iter([s for s, _ in self.successors(following)])))
        parts: list[list[Node]] = []
        done: set[str] = set()
        for root in reversed(order):
            if root.key not in done:
                left = {k: n for k, n in inside.items() if k not in done}
                part = self._reach([root], self.predecessors, within=left)
                done |= part.keys()
                parts.append(list(part.values()))
        return parts


def body_tables(rule: Rule) -> dict[str, None]:
    """The tables a rule reads, each once, in order."""
    return {item.table: None for item in rule.body if isinstance(item, Positive | Negative)}


def hidden_tables(rule: Rule, stages: Sequence[Stage]) -> list[tuple[str, int]]:
    """The engine's own tables that a rule needs, with their arities."""
    made = [(rule.table, len(rule.args))] if stages else []
    return made + [(stage.table, len(stage.output)) for stage in stages[:-1]]


def _nothing() -> None:
    """Nothing to undo."""
