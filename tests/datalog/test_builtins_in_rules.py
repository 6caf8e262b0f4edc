# SPDX-License-Identifier: Apache-2.0
"""The examples and cases of the built-ins, each as a rule of its own in the engine."""

import json
from pathlib import Path

from congress.datalog.builtins import core_registry
from congress.datalog.builtins.shelf import EXAMPLE_NOW, UNDEFINED
from congress.datalog.engine import Engine
from congress.datalog.syntax import Variable
from tests.datalog.literals import expected, read

REGISTRY = core_registry()
CASES = json.loads((Path(__file__).parent / "cases" / "builtins.json").read_text())


def test_examples_and_cases_mean_the_same_in_rules() -> None:
    engine = Engine(registry=REGISTRY, now=EXAMPLE_NOW)
    engine.create_policy("p")
    wanted = [(example.literal, example.result) for builtin in REGISTRY for example in builtin.examples] + [
        tuple(case) for case in CASES
    ]
    for number, (literal, result) in enumerate(wanted):
        names = sorted({arg.name for arg in read(literal)[1] if isinstance(arg, Variable)})
        [rule] = engine.add_rules("p", f"t{number}({', '.join(names)}) :- builtin:{literal}")
        rows = set(engine.rows(f"p:t{number}"))
        status = engine.status(rule)
        assert status.state == "active", literal
        if result == UNDEFINED:
            assert not rows, literal
            assert status.error_count == 1, literal
        elif isinstance(result, bool):
            assert bool(rows) == result, literal
        else:
            assert rows == {tuple(one[name] for name in names) for one in expected(result)}, literal
            assert status.error_count == 0, literal
