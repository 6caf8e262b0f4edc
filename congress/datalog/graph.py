# SPDX-License-Identifier: Apache-2.0
"""Which table is derived from which: levels that changes are passed along, and recursive components.

A node's level is above the levels of everything it is derived from, except inside a component, whose nodes share
one.  Rules are connected and disconnected one at a time; only the part of the graph that a new connection between two
tables reaches, and that is not in order yet, is looked at (as in Pearce and Kelly, "A Dynamic Topological Sort
Algorithm for Directed Acyclic Graphs", JEA 2006); a table that nothing derives is put below its readers instead.
"""

from collections.abc import Callable, Iterable, Sequence, Set
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


@dataclass(slots=True)
class Tie:
    """How many rules and stages derive one table from another, and for how many an absence or a group counts."""

    number: int = 0
    strict: int = 0


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
    follows: dict["Node", Tie] = field(default_factory=dict)  # tables derived from it
    precedes: dict["Node", Tie] = field(default_factory=dict)  # tables it is derived from
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

    def connect(self, rule: RuleNode) -> None:
        """Put a rule's edges in.  Levels and components are :meth:`settle`'s business."""
        self.connect_rule(rule)
        self.connect_stages(rule)

    def connect_rule(self, rule: RuleNode) -> None:
        """Put a rule's own edges in, not those of its stages."""
        head = self.nodes[rule.core.table]
        head.rules[rule.id] = rule
        for key in body_tables(rule.core):
            node = self.nodes[key]
            node.readers[rule.id] = rule
            if key in rule.negatives:
                node.absences[rule.id] = rule
            _tie(node, head, 1, strict=key in rule.negatives)

    def connect_stages(self, rule: RuleNode) -> None:
        """Put the edges of a rule's stages in."""
        for operator in rule.operators:
            self.nodes[operator.stage.source].outputs.append(operator)
            self.nodes[operator.stage.table].inputs.append(operator)
            self._tie_stage(operator, 1)

    def disconnect(self, rule: RuleNode) -> None:
        """Take a rule's own edges out; its stages stay until :meth:`disconnect_stages`."""
        head = self.nodes[rule.core.table]
        del head.rules[rule.id]
        for key in body_tables(rule.core):
            node = self.nodes[key]
            del node.readers[rule.id]
            node.absences.pop(rule.id, None)
            _tie(node, head, -1, strict=key in rule.negatives)

    def disconnect_stages(self, rule: RuleNode) -> None:
        """Take the edges of a rule's stages out."""
        for operator in rule.operators:
            self.nodes[operator.stage.source].outputs.remove(operator)
            self.nodes[operator.stage.table].inputs.remove(operator)
            self._tie_stage(operator, -1)

    def _tie_stage(self, operator: Operator, number: int) -> None:
        _tie(self.nodes[operator.stage.source], self.nodes[operator.stage.table], number, strict=True)

    # -- levels and components

    def settle(self, rule: RuleNode) -> tuple[Merged, Undo]:
        """Order the graph after :meth:`connect`, and say how to go back.

        Returns the nodes of a component that is new or grew (else none), each with the component it was in before,
        in an order in which none was derived from a later one's component.

        :raises Cycle: when the rule closes a cycle through negation, an aggregate or a guard; nothing changed.
        """
        merged: Merged = []
        undos: list[Undo] = []

        def go_back() -> None:
            for undo in reversed(undos):
                undo()

        def settle(target: Node, origins: Iterable[tuple[Node, bool]]) -> None:
            new = [origin for origin, strict in origins if _is_new(target.precedes[origin], strict=strict)]
            found, undo = self._settle_edges(target, new)
            undos.append(undo)
            merged.extend(found)

        # Ties that are not in order yet, and may close a circle, must not be met on the way: one after the other.
        untied = list(rule.operators)
        for operator in untied:
            self._tie_stage(operator, -1)
        try:
            origins = [(self.nodes[key], key in rule.negatives) for key in body_tables(rule.core)]
            settle(self.nodes[rule.core.table], origins)
            while untied:
                operator = untied.pop(0)
                self._tie_stage(operator, 1)
                settle(self.nodes[operator.stage.table], [(self.nodes[operator.stage.source], True)])
        except Cycle:
            for operator in untied:
                self._tie_stage(operator, 1)
            go_back()
            raise
        return merged, go_back

    def _settle_edges(self, target: Node, origins: Sequence[Node]) -> tuple[Merged, Undo]:
        """Bring order into edges that were not there before."""
        undo_lowering = _lower(target, [o for o in origins if o.level >= target.level and not o.precedes])
        wrong = [o for o in origins if o.level >= target.level and not _is_free(o, target)]
        if not wrong:
            return [], undo_lowering
        top = max(origin.level for origin in wrong)
        forward = self._reach([target], lambda n: [f for f in n.follows if f.level <= top])
        backward = self._reach([o for o in wrong if o in forward], lambda n: [p for p in n.precedes if p in forward])
        merged: Merged = []
        undo = _nothing
        if backward:
            members = [node for node in forward if node in backward]
            self._refuse_strict(members)
            merged, undo = self._merge(members)
        if not merged and any(origin not in backward for origin in wrong):
            undo = self._raise_levels(target)

        def go_back() -> None:
            undo()
            undo_lowering()

        return merged, go_back

    def _reach(self, start: Sequence[Node], step: Callable[[Node], Iterable[Node]]) -> dict[Node, None]:
        seen = dict.fromkeys(start)
        queue = list(start)
        while queue:
            for node in step(queue.pop()):
                if node not in seen:
                    seen[node] = None
                    queue.append(node)
        return seen

    def _refuse_strict(self, members: Sequence[Node]) -> None:
        inside = set(members)
        for node in members:
            for successor, tie in node.follows.items():
                if tie.strict and successor in inside:
                    raise Cycle(self._path(successor, node, inside))

    def _path(self, start: Node, end: Node, inside: set[Node]) -> list[str]:
        """A shortest way from one member to another, closed by its first step."""
        came: dict[str, Node | None] = {start.key: None}
        queue = [start]
        for node in queue:
            if node is end:
                break
            for successor in node.follows:
                if successor in inside and successor.key not in came:
                    came[successor.key] = node
                    queue.append(successor)
        path: list[str] = []
        at: Node | None = end
        while at is not None:
            path.append(at.key)
            at = came.get(at.key)
        return [*reversed(path), start.key]

    def _merge(self, members: list[Node]) -> tuple[Merged, Undo]:
        inside = set(members)
        if members[0].component is not None and set(members[0].component.nodes) == inside:
            return [], _nothing
        old = [(node, node.component, node.level) for node in members]
        component = Component(members)
        level = 1 + max((p.level for node in members for p in node.precedes if p not in inside), default=0)
        level = max(level, *(before for _, _, before in old))
        for node in members:
            node.component, node.level = component, level
        undo_levels = self._raise_levels(members[0])

        def undo() -> None:
            undo_levels()
            for node, previous, old_level in old:
                node.component, node.level = previous, old_level

        ordered = sorted(old, key=lambda entry: entry[2])
        return [(node, previous) for node, previous, _ in ordered], undo

    def _raise_levels(self, start: Node) -> Undo:
        """Lift nodes until each is above what it is derived from, beginning with one that may be too low."""
        old: dict[Node, int] = {}
        queue = [start]
        while queue:
            node = queue.pop()
            group = node.component.nodes if node.component else [node]
            inside = set(group)
            below = max((p.level for n in group for p in n.precedes if p not in inside), default=node.level - 1)
            if node is not start and node.level > below:
                continue
            for member in group:
                old.setdefault(member, member.level)
                member.level = max(member.level, below + 1)
            for member in group:
                queue.extend(f for f in member.follows if f not in inside and f.level <= member.level)

        def undo() -> None:
            for node, level in old.items():
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
        return node in node.follows

    def _strong_parts(self, nodes: Sequence[Node]) -> list[list[Node]]:
        """Strongly connected parts, each before those derived from it (Kosaraju's two passes)."""
        inside = set(nodes)
        order = self._postorder(nodes, inside)
        parts: list[list[Node]] = []
        for root in reversed(order):
            if root in inside:
                part = list(self._reach([root], lambda node: [p for p in node.precedes if p in inside]))
                inside.difference_update(part)
                parts.append(part)
        return parts

    def _postorder(self, nodes: Sequence[Node], inside: Set[Node]) -> list[Node]:
        """Nodes, each after all that follow from it and were not met before."""
        order: list[Node] = []
        seen: set[Node] = set()
        for root in nodes:
            if root in seen:
                continue
            seen.add(root)
            stack = [(root, iter(root.follows))]
            while stack:
                node, rest = stack[-1]
                following = next((s for s in rest if s in inside and s not in seen), None)
                if following is None:
                    order.append(node)
                    stack.pop()
                else:
                    seen.add(following)
                    stack.append((following, iter(following.follows)))
        return order


def _tie(source: Node, target: Node, number: int, *, strict: bool) -> None:
    """Note one rule or stage more (1) or less (-1) that derives a table from another."""
    tie = source.follows.get(target)
    if tie is None:
        tie = source.follows[target] = target.precedes[source] = Tie()
    tie.number += number
    tie.strict += number if strict else 0
    if not tie.number:
        del source.follows[target], target.precedes[source]


def _is_new(tie: Tie, *, strict: bool) -> bool:
    """Whether it is the latest rule that derives a table from another, or asks for an absence there."""
    return tie.number == 1 or (strict and tie.strict == 1)


def _is_free(origin: Node, target: Node) -> bool:
    """Whether an edge changes nothing, since both tables are in one component and no absence or group counts."""
    return origin.component is target.component is not None and not target.precedes[origin].strict


def _lower(target: Node, sources: Sequence[Node]) -> Undo:
    """Put tables that nothing derives below one that is derived from them; the others that are stand higher."""
    old = [(node, node.level) for node in sources]
    for node in sources:
        node.level = target.level - 1

    def undo() -> None:
        for node, level in old:
            node.level = level

    return undo


def body_tables(rule: Rule) -> dict[str, None]:
    """The tables a rule reads, each once, in order."""
    return {item.table: None for item in rule.body if isinstance(item, Positive | Negative)}


def hidden_tables(rule: Rule, stages: Sequence[Stage]) -> list[tuple[str, int]]:
    """The engine's own tables that a rule needs, with their arities."""
    made = [(rule.table, len(rule.args))] if stages else []
    return made + [(stage.table, len(stage.output)) for stage in stages[:-1]]


def _nothing() -> None:
    """Nothing to undo."""
