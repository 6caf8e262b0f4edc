# SPDX-License-Identifier: Apache-2.0
"""The tables of a cloud service and their rows; rows that are pushed."""

from typing import Any, Final

import webob

from congress.api.answers.common import DATA
from congress.api.answers.services import SERVICE_TABLE, SPEC
from congress.api.call import Call
from congress.api.controllers.services import both, name_of, table_of, tables_of
from congress.api.encoding import JSON
from congress.api.paging import Listing, chosen_columns, page_of_rows, row_listing, rows_response
from congress.api.routing import route
from congress.api.schema import Anything, Fields, Flag, Key, Listed, Parameter
from congress.api.shapes import Empty

_TABLES: Final = Listing(SERVICE_TABLE)
_TRACE: Final = {"trace": Parameter(Flag(), "Taken, and means nothing: rows of services have no rules.")}
_CHANGE: Final = Fields(
    {
        "insert": Key(Listed(), "Rows to add, as lists or objects.", default=()),
        "delete": Key(Listed(), "Rows to take away, as lists or objects.", default=()),
    },
    name="RowsChange",
)


class ServiceTablesController:
    """``/v1/cloud-services/{service}/tables`` and the same under ``/v1/data-sources``."""

    @route(
        "GET",
        **both("/{service}/tables"),
        summary="List the tables of a cloud service",
        **_TABLES.declared,
        errors=(404,),
    )
    def list_tables(self, call: Call, service: str) -> Any:
        return _TABLES.page(call, ({"id": table["table_id"]} for table in tables_of(call, service)))

    @route("GET", **both("/{service}/tables/{table}"), summary="Show a table", answer=SERVICE_TABLE, errors=(404,))
    def get_table(self, call: Call, service: str, table: str) -> Any:
        return {"id": table_of(call, service, table)["table_id"]}

    @route(
        "GET",
        **both("/{service}/tables/{table}/spec"),
        summary="Show the columns of a table",
        answer=SPEC,
        errors=(404,),
    )
    def spec(self, call: Call, service: str, table: str) -> Any:
        return table_of(call, service, table)

    @route(
        "GET",
        **both("/{service}/tables/{table}/rows"),
        summary="List the rows of a table, in the order of its columns",
        **row_listing(DATA, _TRACE),
        errors=(400, 404),
    )
    def list_rows(self, call: Call, service: str, table: str) -> Any:
        def columns() -> list[str]:
            return [column["name"] for column in table_of(call, service, table)["columns"]]

        rows, more = page_of_rows(call, call.backend.call(name_of(call, service), "rows", table=table), columns)
        return rows_response(call, rows, more, chosen_columns(call, rows, columns))

    @route(
        "PUT",
        **both("/{service}/tables/{table}/rows"),
        summary="Replace the whole of a pushed table",
        body=Listed(),
        answer=Empty(),
        errors=(400, 404),
    )
    def put_rows(self, call: Call, service: str, table: str) -> Any:
        call.backend.call(name_of(call, service), "put_rows", table=table, rows=call.body)
        return webob.Response(status=200, headerlist=[("Content-Type", JSON)])

    @route(
        "POST",
        **both("/{service}/tables/{table}/rows"),
        summary="Change a pushed table: rows to add and rows to take away, as one change",
        body=_CHANGE,
        answer=Empty(),
        errors=(400, 404),
    )
    def change_rows(self, call: Call, service: str, table: str) -> Any:
        name = name_of(call, service)
        call.backend.call(name, "change_rows", table=table, insert=call.body["insert"], delete=call.body["delete"])
        return webob.Response(status=200, headerlist=[("Content-Type", JSON)])

    @route(
        "POST",
        **both("/{service}/tables/{table}/webhook"),
        summary="Hand a notification for one table to a cloud service's driver",
        body=Anything(),
        answer=Empty(),
        errors=(400, 404),
    )
    def webhook(self, call: Call, service: str, table: str) -> Any:
        call.backend.call(name_of(call, service), "table_webhook", table=table, payload=call.body)
        return webob.Response(status=200, headerlist=[("Content-Type", JSON)])
