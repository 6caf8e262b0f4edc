# SPDX-License-Identifier: Apache-2.0
"""What a rule needs beyond a join: guards that move with the clock, and groups.

Such a rule is cut in two: its join derives a hidden table (named after the rule, with a ``#``), and a stage turns
that table's rows into rows of the head's table.
"""

from collections.abc import Mapping
from dataclasses import replace

from congress.datalog.builtins.registry import Argument
from congress.datalog.core import (
    AggregateStage,
    Arg,
    Const,
    Equal,
    Guard,
    Item,
    Negative,
    Positive,
    Rule,
    Stage,
    TemporalStage,
    Test,
    variables,
)
from congress.datalog.linear import FLIPPED, Step, isolate, step_of

CLOCK = "builtin:now"
"""The table of one row, the time in seconds since the epoch, for rules that cannot be cut."""

NOW = "$now"
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_AGE_TESTS = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_NOW_TESTS = {f"datetime_{name}": op for name, op in _AGE_TESTS.items()}

# A guard whose columns are still arguments: (op, datetime, seconds, whole seconds, literal of the written body).
OpenGuard = tuple[str, Arg, Arg, bool, int]


def split_temporal(rule: Rule, rule_id: str, *, by_clock: bool) -> tuple[Rule, tuple[OpenGuard, ...]]:
    """The rule without its temporal literals, and the guards that stand for them.

    Where a literal is no plain comparison with the time (or ``by_clock`` is set), the rule reads the clock's table.
    """
    temporal = [item for item in rule.body if isinstance(item, Test) and item.builtin.temporal]
    if not temporal:
        return rule, ()
    guards: list[OpenGuard] = []
    dropped: set[int] = set()
    for item in temporal:
        found = None if by_clock else _as_guard(rule, item)
        if found is None:
            return _read_clock(rule), ()
        guard, tests = found
        guards.append(guard)
        dropped |= {id(item), *map(id, tests)}
    body = tuple(item for item in rule.body if id(item) not in dropped)
    return replace(rule, body=body), tuple(guards)


def _as_guard(rule: Rule, item: Test) -> tuple[OpenGuard, list[Test]] | None:
    """The guard that ``age(c, v)`` or ``now(v)`` and the one comparison of v make together, and all that it is for.

    Between an age and its comparison, there may be steps that compute something of it with constants.
    """
    name = item.builtin.name
    operators = {"age": _AGE_TESTS, "now": _NOW_TESTS}.get(name)
    if operators is None or item.negated or not isinstance(item.outputs[0], str):
        return None
    moving = item.outputs[0]
    steps: list[Step] = []
    tests = [item]
    while True:
        users = [other for other in rule.body if other is not tests[-1] and moving in _mentions(other)]
        test = users[0] if len(users) == 1 and moving not in rule.args else None
        if not isinstance(test, Test) or test.builtin.temporal:
            return None
        tests.append(test)
        step = step_of(test, moving) if name == "age" else None
        if step is None:
            break
        steps.append(step)
        moving = step.made
    if test.builtin.name not in operators:
        return None
    op = operators[test.builtin.name]
    left, right = test.inputs
    if left == right:
        return None
    if right == moving:
        op, left, right = FLIPPED[op], right, left
    if any(right in other.outputs for other in rule.body if isinstance(other, Test) and other.builtin.temporal):
        return None  # both sides move
    if test.negated:
        op = _NEGATED[op]
    if name == "now":
        return (op, right, Const(0), True, test.source), tests
    if steps:
        isolated = isolate(op, right, steps)
        if isolated is None:
            return None
        op, right = isolated
    return (op, item.inputs[0], right, False, test.source), tests


def _mentions(item: Item) -> set[str]:
    if isinstance(item, Positive | Negative):
        return set(variables(item.args))
    if isinstance(item, Equal):
        return set(variables((item.left, item.right)))
    return set(variables(item.inputs + item.outputs))


def _read_clock(rule: Rule) -> Rule:
    body: list[Item] = [Positive(CLOCK, (NOW,))]
    for item in rule.body:
        if isinstance(item, Test) and item.builtin.temporal:
            builtin = replace(
                item.builtin,
                inputs=(Argument("now", "number"), *item.builtin.inputs),
                temporal=False,
                inline=None,
            )
            body.append(replace(item, builtin=builtin, inputs=(NOW, *item.inputs)))
        else:
            body.append(item)
    return replace(rule, body=tuple(body))


def split_aggregate(
    rule: Rule, aggregates: Mapping[int, tuple[str, str]], guards: tuple[OpenGuard, ...], rule_id: str
) -> tuple[Rule, tuple[Stage, ...]]:
    """The join to run and the stages after it; without guards and aggregates, the rule itself and none."""
    if not aggregates and not guards:
        return rule, ()
    hidden = f"{rule.table}#{rule_id}"
    kept: tuple[Arg, ...] = _named_variables(rule, guards) if aggregates else rule.args
    joined = list(kept)
    closed = tuple(
        Guard(op, _position(datetime, joined), _position(seconds, joined), whole, source)
        for op, datetime, seconds, whole, source in guards
    )
    stages: list[Stage] = []
    source = hidden
    if closed:
        target = f"{hidden}#now" if aggregates else rule.table
        stages.append(TemporalStage(source, target, tuple(range(len(kept))), closed))
        source = target
    if aggregates:
        output = tuple(
            (aggregates[at][0], kept.index(arg)) if at in aggregates else _group_column(arg, kept)
            for at, arg in enumerate(rule.args)
        )
        stages.append(AggregateStage(source, rule.table, output))
    return Rule(hidden, tuple(joined), rule.body), tuple(stages)


def _group_column(arg: Arg, kept: tuple[Arg, ...]) -> Const | int:
    return arg if isinstance(arg, Const) else kept.index(arg)


def _position(arg: Arg, joined: list[Arg]) -> Const | int:
    """Where the hidden table has this argument; it is added when it is not there yet."""
    if isinstance(arg, Const):
        return arg
    if arg not in joined:
        joined.append(arg)
    return joined.index(arg)


def _named_variables(rule: Rule, guards: tuple[OpenGuard, ...]) -> tuple[str, ...]:
    """The body's variables, those made for expressions left out, in order of appearance."""
    seen: dict[str, None] = {}
    for _, datetime, seconds, _, _ in guards:
        seen.update(dict.fromkeys(variables((datetime, seconds))))
    for item in rule.body:
        seen.update(dict.fromkeys(sorted(_mentions(item))))
    return tuple(name for name in seen if not name.startswith("$"))
