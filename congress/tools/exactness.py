# SPDX-License-Identifier: Apache-2.0
"""Rules that are off, wrong or over a limit, and the tables that are not what the policies say without them."""

from collections.abc import Iterator

from congress.datalog.diagnostics import Diagnostic, PolicyError
from congress.datalog.engine import Engine, EngineError
from congress.datalog.syntax import Literal, Rule


def off_rules(engine: Engine) -> set[str]:
    """The ids of the rules that are off."""
    return {new.id for new in engine.rules() if not new.rule.is_fact and engine.status(new.id).state == "off"}


def refuse_off(engine: Engine) -> None:
    """Stop where a rule is off.

    :raises PolicyError: why it is, for every such rule.
    """
    off = off_rules(engine)
    if off:
        raise PolicyError(finding for new in engine.rules() if new.id in off for finding in errors(engine, new.id))


def errors(engine: Engine, rule_id: str) -> list[Diagnostic]:
    """What is wrong with a rule; warnings left out."""
    return [finding for finding in engine.status(rule_id).diagnostics if finding.severity == "error"]


def tables_read(rule: Rule, policy: str) -> Iterator[str]:
    """The tables that the body of a rule reads, negated or not."""
    for item in rule.body:
        if isinstance(item, Literal):
            yield f"{item.atom.service or policy}:{item.atom.table}"


def inexact(engine: Engine) -> dict[str, str]:
    """Tables that may lack rows, or have too many, since a rule is off: its own and all that follow from it.

    Each with the id of such a rule.
    """
    found = {engine.table_of(rule_id): rule_id for rule_id in sorted(off_rules(engine))}
    readers: dict[str, list[str]] = {}
    for new in engine.rules() if found else ():
        for table in tables_read(new.rule, new.policy):
            readers.setdefault(table, []).append(engine.table_of(new.id))
    left = list(found)
    while left:
        table = left.pop()
        for reader in readers.get(table, ()):
            if reader not in found:
                found[reader] = found[table]
                left.append(reader)
    return found


def refuse_inexact(engine: Engine, *tables: str) -> None:
    """Stop at a table that is not what the policies say.

    :raises EngineError: with the rule that is off.
    """
    doubtful = inexact(engine)
    for table in tables:
        if table in doubtful:
            raise EngineError(f"what is in {table} is not known: rule {doubtful[table]} is off")
