# SPDX-License-Identifier: Apache-2.0
"""Questions that people type."""

from dataclasses import replace

from congress.datalog.diagnostics import Diagnostic, PolicyError, Source, Span
from congress.datalog.engine import Answer, Engine


def ask(engine: Engine, policy: str, text: str) -> Answer:
    """Answer a query in a policy's terms.

    :raises PolicyError: when the query is wrong; what it shows is the text as it was typed.
    """
    try:
        return engine.query(policy, text)
    except PolicyError as error:
        raise PolicyError([_as_typed(finding, text) for finding in error.diagnostics]) from error


def _as_typed(finding: Diagnostic, text: str) -> Diagnostic:
    """The engine makes a rule of literals by putting a head before them: a finding's place is in that rule."""
    before = len(finding.source.text) - len(text)
    if before <= 0 or not finding.source.text.endswith(text):
        return finding
    span = Span(max(0, finding.span.start - before), max(0, finding.span.end - before))
    return replace(finding, source=Source(text, finding.source.name), span=span)
