# SPDX-License-Identifier: Apache-2.0
"""Questions that people type: misspelt tables are no empty ones, and no answer comes from what is not known."""

from congress.datalog.engine import Answer, Engine
from congress.datalog.query import read_query
from congress.tools.exactness import refuse_inexact, tables_read
from congress.tools.expectations import refuse_unknown_table


def ask(engine: Engine, policy: str, text: str) -> Answer:
    """Answer a query in a policy's terms.

    :raises PolicyError: when it is wrong.
    :raises ToolError: when it reads a table that nothing knows.
    :raises EngineError: when it reads one that is not what the policies say, since a rule is off.
    """
    answer = engine.query(policy, text)  # what is wrong with the query itself comes first
    tables = [table for table in tables_read(read_query(text), policy) if not table.startswith("builtin:")]
    for table in tables:
        refuse_unknown_table(engine, table)
    refuse_inexact(engine, *tables)
    return answer
