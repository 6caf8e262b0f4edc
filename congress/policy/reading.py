# SPDX-License-Identifier: Apache-2.0
"""What others may ask the policy runtime, without changing anything."""

from typing import Any, Final, NoReturn

from congress.bus.service import Service, exposed
from congress.datalog.definitions import TableInfo
from congress.datalog.diagnostics import PolicyError
from congress.datalog.engine import Engine
from congress.datalog.query import read_query
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row, decode_row
from congress.policy import errors, views
from congress.policy.dependencies import tables_read
from congress.policy.enforcement import Enforcer
from congress.policy.mentions import Mentions
from congress.policy.policies import Policies
from congress.policy.sources import Sources

TRACED: Final = 100
"""How many rows a trace explains."""


class PolicyReading(Service):
    """The reading half of the runtime's interface.

    Policies, and rules within a policy, are named by id or name everywhere.  Rows are lists of row tuples, copied
    from the engine; everything else is plain JSON types.
    """

    engine: Engine
    policies: Policies
    sources: Sources
    enforcer: Enforcer

    # Policies and rules

    @exposed
    def list_policies(self) -> list[dict[str, Any]]:
        """Every policy, oldest first."""
        return [views.policy_view(policy.record) for policy in self.policies.all()]

    @exposed
    def get_policy(self, policy: str) -> dict[str, Any]:
        """One policy.  :raises PolicyNotFound: there is none."""
        return views.policy_view(self.policies.find(policy).record)

    @exposed
    def policy_status(self, policy: str) -> dict[str, Any]:
        """How a policy is: its rules by state, its tables, the actions it wants; of a service, its name."""
        if self._is_service(policy):
            return {"name": policy}
        return views.policy_status(self.engine, self.policies.find(policy), self.enforcer.waiting)

    @exposed
    def list_rules(self, policy: str) -> list[dict[str, Any]]:
        """The rules of a policy in the order in which they came."""
        return [views.rule_view(rule) for rule in self.policies.find(policy).rules.values()]

    @exposed
    def get_rule(self, policy: str, rule: str) -> dict[str, Any]:
        """One rule.  :raises RuleNotFound: the policy has none such."""
        found = self.policies.find(policy)
        return views.rule_view(self.policies.find_rule(found, rule))

    @exposed
    def rule_status(self, policy: str, rule: str) -> dict[str, Any]:
        """Whether a rule is ``active``, ``waiting`` (for a service, table or column) or ``off``, and why."""
        found = self.policies.find(policy)
        return views.rule_status(self.engine, self.policies.find_rule(found, rule))

    # Tables

    @exposed
    def list_tables(self, policy: str) -> list[dict[str, Any]]:
        """The tables that a policy's rules make or read; those of others with their prefix.  No action tables.

        A service's name is taken too, here and for tables and rows: its tables as far as rules read them.
        """
        if self._is_service(policy):
            read = [f"{policy}:{table}" for table in self.sources.publishers[policy].tables]
            return [views.table_view(policy, key, self.engine.table(key)) for key in read]
        found = self.policies.find(policy)
        name = found.record.name
        keys = {info.key: None for info in self.engine.tables(name) if info.action is None}
        for rule in found.rules.values():
            if rule.parsed is not None:
                keys |= dict.fromkeys(tables_read(name, rule.parsed))
        return [views.table_view(name, key, self.engine.table(key)) for key in keys]

    @exposed
    def get_table(self, policy: str, table: str) -> dict[str, Any]:
        """One table that a policy's rules make or read, action tables too.

        :raises TableNotFound: there is none such.
        """
        name, key = self._table_key(policy, table)
        return views.table_view(name, key, self.engine.table(key))

    @exposed
    def list_rows(self, policy: str, table: str) -> list[Row]:
        """The rows of a table that a policy's rules make or read, without order."""
        return list(self.engine.rows(self._table_key(policy, table)[1]))

    def _is_service(self, name: str) -> bool:
        """Whether this is no policy but a service some of whose tables rules read."""
        return name in self.sources.publishers and not self.policies.knows(name)

    def _table_key(self, policy: str, table: str) -> tuple[str, str]:
        """The name of a policy, or of a service, and the key of its table.  :raises TableNotFound: it has none."""
        if self._is_service(policy):
            if table in self.sources.publishers[policy].tables:
                return policy, f"{policy}:{table}"
            raise errors.TableNotFound(f"no rule reads a table {table!r:.100} of service {policy!r}")
        found = self.policies.find(policy)
        name = found.record.name
        own = f"{name}:{views.own_name(name, table)}"
        if self.engine.table(own) is not None:
            return name, own
        for rule in found.rules.values():
            if rule.parsed is not None:
                for key in tables_read(name, rule.parsed):
                    if table in (key, views.own_name(name, key)):
                        return name, key
        raise errors.TableNotFound(f"policy {name!r} has no table {table!r:.100}")

    # Explanations

    def _key_for(self, policy: str, table: str, row: Row) -> str:
        """The key of a table that could have a row.  :raises RowInvalid: it could not."""
        _, key = self._table_key(policy, table)
        info = self.engine.table(key)
        if info is not None and len(info.columns) != len(row):
            raise errors.RowInvalid(f"the row has {len(row)} values; {key} has {len(info.columns)} columns")
        return key

    @exposed
    def why(self, policy: str, table: str, row: Row) -> dict[str, Any]:
        """Why a row is there: its proof down to rows of services; ``holds`` is false when it is not there.

        :raises RowInvalid: no row of the table could be this one; so do the others.
        """
        key = self._key_for(policy, table, row)
        proof = self.engine.why(key, row)
        return {
            "row": list(decode_row(row)),
            "holds": proof is not None,
            "proof": None if proof is None else views.proof_view(proof, self.sources),
        }

    @exposed
    def why_rows(self, policy: str, table: str, rows: list[Row]) -> list[dict[str, Any] | None]:
        """The proofs of several rows, in their order; None for one that is not there (any more)."""
        proofs = [self.engine.why(self._key_for(policy, table, row), row) for row in rows]
        return [None if proof is None else views.proof_view(proof, self.sources) for proof in proofs]

    @exposed
    def why_not(self, policy: str, table: str, row: Row) -> dict[str, Any]:
        """Why a row is not there: for each rule, the literal that fails and how near it comes."""
        answer = self.engine.why_not(self._key_for(policy, table, row), row).to_dict()
        return {"row": answer["row"], "holds": answer["present"], "attempts": answer["rules"]}

    @exposed
    def trace(self, policy: str, table: str) -> str:
        """The proofs of a table's rows, at most ``TRACED``, as text."""
        _, key = self._table_key(policy, table)
        rows = list(self.engine.rows(key))
        proofs = [self.engine.why(key, row) for row in rows[:TRACED]]
        lines = [proof.render() for proof in proofs if proof is not None]
        if len(rows) > TRACED:
            lines.append(f"... and {len(rows) - TRACED} more rows")
        return "\n".join(lines)

    @exposed
    def query(self, policy: str, text: str) -> dict[str, Any]:
        """Answer an atom or a rule in a policy's terms; ``rows`` are row tuples.

        :raises RuleInvalid: with every finding in the query; a table of a policy that nothing mentions is one.
        """
        name = self.policies.find(policy).record.name
        try:
            query = read_query(text)
            slips = Mentions(self.engine, self.policies).check(name, query, text)
            answer = self.engine.query(name, query)
        except PolicyError as error:
            self._refuse_query(error)
        if slips:
            raise errors.RuleInvalid(diagnostics=slips)
        return {"columns": list(answer.columns), "rows": answer.rows}

    def _refuse_query(self, error: PolicyError) -> NoReturn:
        raise errors.RuleInvalid(diagnostics=error.diagnostics) from error

    # As any service

    @exposed
    def schema(self) -> dict[str, TableSchema]:
        """The tables of all policies, for rules of other runtimes: ``policy2:alice:error`` is our ``alice:error``.

        A column on whose name the rules do not agree is called ``column`` and its index.
        """
        return {info.key: _schema(info) for info in self.engine.tables() if info.kind == "policy"}

    @exposed
    def rows(self, table: str) -> list[Row]:
        """The rows of any table the engine has, by its key."""
        return list(self.engine.rows(table))

    @exposed
    def actions(self) -> list[Any]:
        """None: the runtime asks others to act."""
        return []


def _schema(table: TableInfo) -> TableSchema:
    names: list[str] = []
    for index, name in enumerate(table.columns):
        names.append(f"column{index}" if name is None or name in names else name)
    return TableSchema(tuple(Column(name) for name in names))
