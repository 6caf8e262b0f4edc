# SPDX-License-Identifier: Apache-2.0
"""The graph of tables stays in order, whatever rules come and go and whatever is taken back."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Engine, NewRule
from congress.datalog.graph import Graph, Node
from congress.datalog.ordering import components
from congress.datalog.parser import parse_rule
from congress.datalog.schema import TableSchema

TABLES = [f"t{n}" for n in range(7)]
literals = st.one_of(
    st.sampled_from(TABLES).map("{}(x)".format),
    st.sampled_from(TABLES).map("not {}(x)".format),
    st.sampled_from(["s:a(x)", "late:b(x)"]),
)
heads = st.sampled_from(TABLES).map("{}(x)".format) | st.sampled_from(TABLES).map("{}(count(x))".format)
rules = st.builds(
    "{} :- {}".format, heads, st.lists(literals, max_size=2).map(lambda body: ", ".join(["s:a(x)", *body]))
)
batches = st.lists(rules, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("add"), batches),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 30), min_size=1, max_size=4)),
    st.tuples(st.just("try"), batches),
    st.tuples(st.just("service"), st.none()),
)


def check(graph: Graph) -> None:
    """Levels, components and ties are what the rules in force say they must be."""
    ties: Counter[tuple[Node, Node]] = Counter()
    strict: Counter[tuple[Node, Node]] = Counter()
    for node in graph.nodes.values():
        for rule in node.readers.values():
            edge = node, graph.nodes[rule.core.table]
            ties[edge] += 1
            strict[edge] += node.key in rule.negatives
        for operator in node.outputs:
            edge = node, graph.nodes[operator.stage.table]
            ties[edge] += 1
            strict[edge] += 1
    for node in graph.nodes.values():
        assert {f: (t.number, t.strict) for f, t in node.follows.items()} == {
            head: (number, strict[node, head]) for (source, head), number in ties.items() if source is node
        }
        assert all(node.precedes[p] is p.follows[node] for p in node.precedes)
    for (source, head), _ in ties.items():
        inside = source.component is not None and source.component is head.component
        assert source.level < head.level or inside
        assert not (inside and strict[source, head])
    groups = components({key: [f.key for f in node.follows] for key, node in graph.nodes.items()})
    for group in groups:
        node = graph.nodes[group[0]]
        if len(group) > 1 or node in node.follows:
            assert node.component is not None
            assert {n.key for n in node.component.nodes} == set(group)
            assert len({n.level for n in node.component.nodes}) == 1
        else:
            assert node.component is None


class Grown:
    """An engine whose rules come and go."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.engine.set_schema("s", {"a": TableSchema.of("x")})
        self.engine.create_policy("p")
        self.engine.apply({"s:a": ([(1,), (2,)], [])})
        self.ids = 0

    def take(self, what: str, given: list[str] | list[int] | None) -> None:
        match what:
            case "add":
                self.add(given or [])
            case "try":
                with self.engine.hypothetical():
                    self.add(given or [])
                    check(self.engine._graph)
            case "remove":
                ids = [new.id for new in self.engine.rules()]
                if ids:
                    self.engine.apply(remove={ids[int(n) % len(ids)] for n in given or ()})
            case _:
                if self.engine.schema("late") is None:
                    self.engine.set_schema("late", {"b": TableSchema.of("x")})
                else:
                    self.engine.delete_service("late")

    def add(self, texts: list[str] | list[int]) -> None:
        new = []
        for text in texts:
            self.ids += 1
            new.append(NewRule("p", parse_rule(str(text)), f"r{self.ids}"))
        before = self.engine.dump()
        try:
            self.engine.apply(add=new)
        except PolicyError:
            assert self.engine.dump() == before


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, min_size=4, max_size=14))
def test_it_stays_in_order(script: list[tuple[str, list[str] | list[int] | None]]) -> None:
    grown = Grown()
    for what, given_ in script:
        grown.take(what, given_)
        check(grown.engine._graph)


def test_a_circle_through_a_stage_is_found_while_other_ties_are_put_in_order() -> None:
    grown = Grown()
    for what, given_ in (
        ("add", ["t0(x) :- s:a(x)"]),
        ("remove", [0]),
        ("add", ["t1(x) :- s:a(x), t0(x)"]),
        ("add", ["t2(x) :- s:a(x)", "t0(count(x)) :- s:a(x), t0(x), t2(x)"]),
    ):
        grown.take(what, given_)
        check(grown.engine._graph)
    assert [new.rule.text for new in grown.engine.rules()] == ["t1(x) :- s:a(x), t0(x)"]
