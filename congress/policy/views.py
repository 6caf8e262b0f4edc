# SPDX-License-Identifier: Apache-2.0
"""Policies, rules, tables and explanations as clients see them: plain JSON types."""

from collections.abc import Iterable
from typing import Any

from congress.datalog.definitions import TableInfo
from congress.datalog.diagnostics import Diagnostic
from congress.datalog.engine import Engine, Proof
from congress.datalog.values import decode, decode_row
from congress.db.policies import PolicyRecord
from congress.policy.policies import StoredPolicy, StoredRule
from congress.policy.sources import Publisher, Sources

SHOWN: int = 20
"""How many findings or errors of one rule are shown."""


def policy_view(policy: PolicyRecord) -> dict[str, Any]:
    """A policy without its rules."""
    return {
        "id": policy.id,
        "name": policy.name,
        "owner_id": policy.owner_id,
        "description": policy.description,
        "abbreviation": policy.abbreviation,
        "kind": policy.kind,
    }


def rule_view(rule: StoredRule) -> dict[str, Any]:
    """A rule, its text just as it was given."""
    record = rule.record
    return {"id": record.id, "rule": record.rule, "name": record.name, "comment": record.comment}


def rule_status(engine: Engine, rule: StoredRule) -> dict[str, Any]:
    """Whether a rule is in force, and if not why."""
    record = rule.record
    shown: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "comment": record.comment,
        "original_str": record.rule,
    }
    if rule.refused:
        return shown | {"state": "off", "diagnostics": _findings(rule.refused), "errors": [], "error_count": 0}
    status = engine.status(record.id)
    errors = [
        {"literal": error.literal, "inputs": [_plain(v) for v in error.inputs], "message": error.message}
        for error in status.errors[:SHOWN]
    ]
    return shown | {
        "state": status.state,
        "diagnostics": _findings(status.diagnostics),
        "errors": errors,
        "error_count": status.error_count,
    }


def rule_state(engine: Engine, rule: StoredRule) -> str:
    """``active``, ``waiting`` or ``off``."""
    return "off" if rule.refused else engine.status(rule.record.id).state


def policy_status(engine: Engine, policy: StoredPolicy, waiting: dict[str, int]) -> dict[str, Any]:
    """How a policy is: its rules by state, its tables by size, the actions it wants."""
    name = policy.record.name
    states = {"active": 0, "waiting": 0, "off": 0}
    for rule in policy.rules.values():
        states[rule_state(engine, rule)] += 1
    tables = engine.tables(name)
    return {
        "id": policy.record.id,
        "name": name,
        "rules": states,
        "tables": {own_name(name, table.key): table.rows for table in tables if table.action is None},
        "actions": [
            {
                "id": own_name(name, table.key),
                "service": table.action.service,
                "action": table.action.action,
                "rows": table.rows,
                "waiting": waiting.get(table.key, 0),
            }
            for table in tables
            if table.action is not None
        ],
    }


def own_name(policy: str, key: str) -> str:
    """A table as a policy's own rules name it: without the policy, but with any other prefix."""
    return key.removeprefix(f"{policy}:")


def table_view(policy: str, key: str, table: TableInfo | None) -> dict[str, Any]:
    """A table.  One that rules read and nothing defines (yet) has no columns that are known."""
    shown: dict[str, Any] = {"id": own_name(policy, key)}
    if table is None:
        return shown | {"kind": "unknown", "columns": None, "rows": 0}
    columns: list[dict[str, Any]] = [{"name": name} for name in table.columns]
    if table.schema is not None:
        columns = [
            {"name": c.name, "type": c.type, "nullable": c.nullable, "description": c.description}
            for c in table.schema.columns
        ]
    shown |= {"kind": table.kind, "columns": columns, "rows": table.rows}
    if table.action is not None:
        shown["action"] = f"{table.action.service}:{table.action.action}"
    return shown


def proof_view(proof: Proof, sources: Sources) -> dict[str, Any]:
    """A proof; each row that a service published says with which publication it came (or, long ago, before which)."""
    return proof.to_dict(lambda one: _published(one, sources))


def _published(proof: Proof, sources: Sources) -> dict[str, Any]:
    source = sources.find(proof.table) if proof.reason == "service" else None
    if source is None:
        return {}
    came = source.arrivals.of(proof.row)
    published = {
        "service": proof.table.partition(":")[0],
        "sequence": came.sequence,
        "or_before": came.or_before,
        "ids": dict(came.ids),
    }
    return {"published": published}


def publisher_view(publisher: Publisher, engine: Engine, present: bool) -> dict[str, Any]:
    """A service as the runtime knows it."""
    return {
        "present": present,
        "schema_known": engine.schema(publisher.name) is not None,
        "tables": {
            table: {
                "settled": source.settled,
                "rows": len(engine.rows(source.key)),
                "sequence": source.sequence,
            }
            for table, source in publisher.tables.items()
        },
    }


def rows_view(rows: Iterable[Any]) -> list[list[Any]]:
    """Rows as JSON lists."""
    return [list(decode_row(row)) for row in rows]


def _findings(found: Iterable[Diagnostic]) -> list[dict[str, object]]:
    return [finding.to_dict() for finding in found][:SHOWN]


def _plain(value: Any) -> Any:
    plain = decode(value)
    return plain if plain is None or isinstance(plain, str | int | float | bool) else str(plain)
