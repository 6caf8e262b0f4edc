# SPDX-License-Identifier: Apache-2.0
"""Queries that no rule of the policy stands for."""

from typing import Any, Final

from congress.api.answers.policies import QUERIED
from congress.api.call import Call
from congress.api.names import POLICY
from congress.api.routing import route
from congress.api.schema import Fields, Key, Text

QUERY_BODY: Final = Fields(
    {"query": Key(Text(1_000_000, shortest=1), "A literal or a rule, in the policy's terms.", required=True)},
    name="QueryRequest",
)


class QuestionsController:
    """``POST /v1/policies/{policy}?action=query``."""

    @route(
        "POST",
        "/v1/policies/{policy}",
        "Answer a query",
        action="query",
        body=QUERY_BODY,
        answer=QUERIED,
        errors=(400, 404),
    )
    def query(self, call: Call, policy: str) -> Any:
        found = call.backend.call(POLICY, "query", policy=policy, text=call.body["query"])
        return {"columns": found["columns"], "results": [{"data": row} for row in found["rows"]]}
