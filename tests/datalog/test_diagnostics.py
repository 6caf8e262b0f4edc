# SPDX-License-Identifier: Apache-2.0
"""Findings as people read them: short, whatever the text is like."""

import pytest

from congress.datalog.diagnostics import SHOWN, Diagnostic, PolicyError
from congress.datalog.engine import Engine
from congress.datalog.schema import Column, TableSchema

LONG = "a" * 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        f'p(x) :- s:t(x), x < "{LONG}"',
        f'p(x) :- s:t(x), x = "{LONG}"',
        f"p(x) :- s:{LONG}(x)",
        f"p(x) :- s:t({LONG}=x)",
        f"p({LONG}) :- s:t(x)",
        f"p(x) :- x = {LONG}(3)",
        f"{LONG}(x) :- s:t(x), not {LONG}(x)",
        f"p(x) :- {LONG}(x)",
        f'p(x) :- s:t(x) "{LONG}"',
    ],
)
def test_a_finding_on_a_long_text_is_short(text: str) -> None:
    engine = Engine()
    engine.set_schema("s", {"t": TableSchema((Column("id", "integer"),))})
    engine.create_policy("p")
    try:
        found = [d for rule_id in engine.add_rules("p", text) for d in engine.status(rule_id).diagnostics]
    except PolicyError as error:
        found = list(error.diagnostics)
    assert found
    for finding in found:
        assert len(finding.message) <= SHOWN
        assert len(finding.hint) <= SHOWN
        assert len(finding.render()) < 2000
        assert len(str(finding.to_dict())) < 2000


def test_a_long_message_is_shown_by_its_ends() -> None:
    assert Diagnostic("X", "b" * SHOWN).message == "b" * SHOWN
    message = Diagnostic("X", f"what is {LONG} never holds").message
    assert message.startswith("what is aaa")
    assert message.endswith("aaa never holds")
    assert " ... " in message
    assert len(message) == SHOWN
