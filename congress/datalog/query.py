# SPDX-License-Identifier: Apache-2.0
"""Ad-hoc questions: evaluated once, leaving nothing behind."""

from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from congress.datalog import syntax
from congress.datalog.checks import check
from congress.datalog.codegen import Purpose
from congress.datalog.core import AggregateStage, Negative, Positive
from congress.datalog.definitions import Definitions
from congress.datalog.diagnostics import Diagnostic, PolicyError, register_code
from congress.datalog.graph import Graph
from congress.datalog.operators import Aggregator, Operator, TemporalGate
from congress.datalog.parser import parse_body, parse_query
from congress.datalog.resolve import head_table, literal_table, resolve
from congress.datalog.runtime import EvaluationError, Meter, RuleNode
from congress.datalog.stages import CLOCK
from congress.datalog.table import Mode, Table
from congress.datalog.tokens import tokenize
from congress.datalog.values import Row

READS_ITSELF = register_code("P005", "A query reads the table that it asks for.")

ASK = "ask__"
"""The head of a query that is no rule."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows for which a query holds, one column per variable of its head (or atom), without order."""

    columns: tuple[str | None, ...]
    rows: list[Row]
    errors: tuple[EvaluationError, ...] = ()


def read_query(text: str) -> syntax.Rule:
    """A query as a rule: an atom, a rule, or several literals (whose variables are asked for).

    :raises PolicyError: when it is none of these.
    """
    query = parse_query(text) if ":-" in tokenize(text).texts else None
    return query if isinstance(query, syntax.Rule) else parse_body(text, syntax.Atom(None, ASK))


def run_query(
    query: str | syntax.Rule,
    policy: str,
    definitions: Definitions,
    graph: Graph,
    meter: Meter,
    now: Callable[[], float],
) -> Answer:
    """Answer a query as if it were a rule of the policy.

    :raises PolicyError: when it is no query that can be answered.
    """
    rule = _asking(read_query(query) if isinstance(query, str) else query)
    found = _findings(rule, policy, definitions)
    resolution = resolve(rule, policy, "?", definitions, faults=[finding.span for finding in found])
    found += [*resolution.errors, *(replace(wait, hint="", severity="error") for wait in resolution.waits)]
    if found or resolution.resolved is None:
        raise PolicyError(found)
    resolved = resolution.resolved
    extra: dict[str, Table] = {}
    for item in resolved.rule.body:
        if isinstance(item, Positive | Negative) and item.table not in graph.tables:
            extra[item.table] = Table(item.table, len(item.args), Mode.COUNTED)
            if item.table == CLOCK:
                extra[CLOCK].rows[(now(),)] = 1
    tables: Mapping[str, Table] = ChainMap(extra, graph.tables)
    node = RuleNode("?", policy, resolved.rule, resolved.table, (), tables, meter)
    acc: defaultdict[Row, int] = defaultdict(int)
    try:
        if all(tables[item.table].rows for _, item in node.core.positives()):
            node.run(None, Purpose.COUNT, (), 1, acc)
    finally:
        node.release()
    for stage in resolved.stages:
        operator: Operator = (
            Aggregator(stage, node.note) if isinstance(stage, AggregateStage) else TemporalGate(stage, node.note, now)
        )
        staged: defaultdict[Row, int] = defaultdict(int)
        operator.apply(list(acc), (), staged)
        acc = staged
    rows = [row for row, number in acc.items() if number]
    return Answer(resolved.columns, rows, tuple(node.errors))


def _findings(rule: syntax.Rule, policy: str, definitions: Definitions) -> list[Diagnostic]:
    """Why a query could not be a rule of the policy, by itself."""
    kind = definitions.policies.get(policy, "nonrecursive")
    found = [d for d in check(rule, kind=kind, policy=policy, registry=definitions.registry) if d.severity == "error"]
    head = head_table(policy, rule.head)
    for item in rule.body:
        if isinstance(item, syntax.Literal) and literal_table(item.atom, policy) == head:
            message = f"the query reads {head}, which is what it asks for"
            found.append(
                Diagnostic(READS_ITSELF, message, rule.source, item.atom.name_span, "give its head another name")
            )
    return found


def _asking(rule: syntax.Rule) -> syntax.Rule:
    """The rule with a head of all variables that its positive literals and comparisons name, where it has none yet."""
    if not isinstance(rule.head, syntax.Atom) or rule.head.table != ASK or rule.head.args:
        return rule
    names: dict[str, None] = {}
    for item in rule.body:
        names.update(dict.fromkeys(_variables(item)))
    return replace(rule, heads=(syntax.Atom(None, ASK, tuple(syntax.Variable(name) for name in names)),))


def _variables(part: object) -> Iterator[str]:
    if isinstance(part, syntax.Variable):
        yield part.name
        return
    parts: Iterable[object] = ()
    if isinstance(part, syntax.Literal):
        parts = () if part.negated else part.atom.terms()
    elif isinstance(part, syntax.Comparison | syntax.Operation):
        parts = (part.left, part.right)
    elif isinstance(part, syntax.Call):
        parts = part.args
    for inner in parts:
        yield from _variables(inner)
