# SPDX-License-Identifier: Apache-2.0
"""When rules that read the time as a row have to be looked at again."""

import math
from collections.abc import Iterable

from congress.datalog.codegen import UNDEFINED
from congress.datalog.core import Const, Rule, Test
from congress.datalog.stages import NOW


def next_tick(rules: Iterable[Rule], now: float) -> float:
    """When an answer of a built-in that reads the clock may next change; within a second, where none can tell."""
    soonest = math.floor(now) + 1.0
    known: list[float] = []
    for rule in rules:
        for item in rule.body:
            if not isinstance(item, Test) or NOW not in item.inputs:
                continue
            rest = [arg.value for arg in item.inputs if isinstance(arg, Const)]
            if item.builtin.next_change is None or len(rest) + 1 < len(item.inputs):
                return soonest
            try:
                known.append(item.builtin.next_change(now, *rest))
            except UNDEFINED:
                continue  # it has no answer at any time
    return min(known, default=soonest)
