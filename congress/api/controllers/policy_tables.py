# SPDX-License-Identifier: Apache-2.0
"""The tables of a policy, their rows, and why a row is there or not."""

from typing import Any, Final

from congress.api.answers.common import ROW, TEXT
from congress.api.answers.policies import EXPLAINED, TABLE, WHY, WHY_NOT
from congress.api.call import Call
from congress.api.names import POLICY
from congress.api.paging import (
    Listing,
    chosen_columns,
    entries_response,
    page_of_rows,
    parse_row,
    row_listing,
    rows_response,
)
from congress.api.routing import route
from congress.api.schema import Flag, Parameter, Text
from congress.api.shapes import Member
from congress.datalog.values import Row

_TABLE: Final = "/v1/policies/{policy}/tables/{table}"
_WHY_ROWS: Final = 100  # how many rows are explained where the client names no limit
_ROW: Final = {
    "row": Parameter(Text(65_536, shortest=2), 'The row as JSON, such as `["vm-1", 5]`.', required=True, json=ROW)
}
_TABLES: Final = Listing(TABLE)
_EXPLAIN: Final = {
    "trace": Parameter(Flag(), "Also tell, as text under `trace`, how the rows come about.", default=False),
    "why": Parameter(
        Flag(), f"Give each row its proof under `why`; at most {_WHY_ROWS} rows unless `limit` says.", default=False
    ),
}


class PolicyTablesController:
    """``/v1/policies/{policy}/tables``.  ``service:table`` shows the engine's copy of a service's table."""

    @route(
        "GET",
        "/v1/policies/{policy}/tables",
        "List the tables that a policy's rules make or read",
        **_TABLES.declared,
        errors=(404,),
    )
    def list_tables(self, call: Call, policy: str) -> Any:
        return _TABLES.page(call, call.backend.call(POLICY, "list_tables", policy=policy))

    @route("GET", _TABLE, "Show a table of a policy", answer=TABLE, errors=(404,))
    def get_table(self, call: Call, policy: str, table: str) -> Any:
        return call.backend.call(POLICY, "get_table", policy=policy, table=table)

    @route(
        "GET",
        f"{_TABLE}/rows",
        "List the rows of a table of a policy",
        **row_listing(EXPLAINED, _EXPLAIN, trace=Member(TEXT, "With `trace=true`: how the rows come about.", True)),
        errors=(400, 404),
    )
    def list_rows(self, call: Call, policy: str, table: str) -> Any:
        explain, trace = call.parameters["why"], call.parameters["trace"]
        if explain and call.parameters["limit"] is None:
            call.parameters["limit"] = _WHY_ROWS

        def columns() -> list[str | None] | None:
            known = call.backend.call(POLICY, "get_table", policy=policy, table=table)["columns"]
            return None if known is None else [column["name"] for column in known]

        rows, more = page_of_rows(call, call.backend.call(POLICY, "list_rows", policy=policy, table=table), columns)
        places = chosen_columns(call, rows, columns)
        if trace:
            more["trace"] = call.backend.call(POLICY, "trace", policy=policy, table=table)
        if not explain:
            return rows_response(call, rows, more, places)
        proofs = call.backend.call(POLICY, "why_rows", policy=policy, table=table, rows=list(rows))
        shown = rows if places is None else [[row[place] for place in places] for row in rows]
        return entries_response(call, [{"data": r, "why": why} for r, why in zip(shown, proofs, strict=True)], more)

    @route(
        "GET",
        f"{_TABLE}/why",
        "Tell why a row is in a table: the proof, down to the rows of services",
        query=_ROW,
        answer=WHY,
        errors=(400, 404),
    )
    def why(self, call: Call, policy: str, table: str) -> Any:
        return call.backend.call(POLICY, "why", policy=policy, table=table, row=_row_of(call))

    @route(
        "GET",
        f"{_TABLE}/why-not",
        "Tell why a row is not in a table: the literals that fail first",
        query=_ROW,
        answer=WHY_NOT,
        errors=(400, 404),
    )
    def why_not(self, call: Call, policy: str, table: str) -> Any:
        return call.backend.call(POLICY, "why_not", policy=policy, table=table, row=_row_of(call))


def _row_of(call: Call) -> Row:
    return parse_row(call.parameters["row"], "The query parameter row=")
