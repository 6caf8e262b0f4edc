# SPDX-License-Identifier: Apache-2.0
"""Tables of policies and services, their rows, and why a row is there or not.

A table is named as rules name it, ``owner:table``: ``alice:error``, ``nova:servers``.  ``alice:nova:servers`` is the
copy of a service's table that the rules of the policy alice see.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from congress.client.errors import NotFound, SettingsError
from congress.client.explanations import Why, WhyNot
from congress.client.models import Column, Table
from congress.client.transport import Transport, path_of
from congress.client.values import Row, Value, as_row

PAGE_ROWS = 10_000


def split(table: str) -> tuple[str, str]:
    """``("alice", "error")`` from ``"alice:error"``.

    :raises SettingsError: it is not of that form.
    """
    owner, colon, name = table.partition(":")
    if not (owner and colon and name):
        raise SettingsError(
            f"{table!r} is no table", "A table is named OWNER:TABLE, such as alice:error or nova:servers."
        )
    return owner, name


class Tables:
    """``cloud.tables``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def base(self, owner: str) -> tuple[str, ...]:
        """The segments of the address of a policy, or else of a service.

        :raises NotFound: neither is there.
        """
        try:
            self._transport.get(path_of("policies", owner))
            return ("policies", owner)
        except NotFound:
            pass
        try:
            self._transport.get(path_of("cloud-services", owner))
        except NotFound as error:
            raise NotFound(
                f"there is no policy and no service {owner!r}",
                status=404,
                hint="`congress policy list` and `congress service list` show what there is.",
                request_id=error.request_id,
            ) from error
        return ("cloud-services", owner)

    def list(self, owner: str, **query: Any) -> Iterator[Table]:
        """The tables of a policy or of a service.

        :param query: ``sort="name:desc,id"``, and filters by fields, each a value or a list of them:
            ``kind="policy"``.
        """
        return self._transport.listed(path_of(*self.base(owner), "tables"), Table.of, query)

    def get(self, table: str) -> Table:
        """One table, with its columns as far as they are known.

        :raises NotFound: there is none such.
        """
        owner, name = split(table)
        base = self.base(owner)
        details = ("spec",) if base[0] == "cloud-services" else ()
        return Table.of(self._transport.get(path_of(*base, "tables", name, *details)))

    def columns(self, table: str) -> tuple[Column, ...]:
        """The columns of a table in their order; empty where nobody knows them yet."""
        return self.get(table).columns


class Rows:
    """``cloud.rows``: what is in tables, and why.

    ::

        for row in cloud.rows.list("care:error"):
            print(row, cloud.rows.why("care:error", row).proof.render())
    """

    def __init__(self, transport: Transport, tables: Tables) -> None:
        self._transport = transport
        self._tables = tables

    def _path(self, table: str, *more: str) -> str:
        owner, name = split(table)
        return path_of(*self._tables.base(owner), "tables", name, *more)

    def list(
        self,
        table: str,
        *,
        where: Mapping[str, Value] | None = None,
        sort: str = "",
        columns: Iterable[str] = (),
        page: int | None = PAGE_ROWS,
    ) -> Iterator[Row]:
        """The rows of a table, with flat memory however many they are.

        :param where: only rows with these values in these columns, named, or by their number from 0 as text.
        :param sort: columns with commas between, each with ``:desc`` if need be.
        :param columns: only these, in this order.
        :param page: rows that are asked for at once.  Pages are in a fixed order: a row that comes or goes between
            two of them moves no other.  None reads all from one answer, which is of one moment; use it up soon then.
        """
        path = self._path(table, "rows")
        query = {
            "where": json.dumps(dict(where)) if where else None,
            "sort": sort or None,
            "fields": ",".join(columns) or None,
        }
        if page is None:
            return (as_row(entry["data"]) for entry in self._transport.lines(path, query))
        return (as_row(entry["data"]) for entry in self._transport.pages(path, query, page))

    def why(self, table: str, row: Iterable[Value]) -> Why:
        """Why a row is in a table of a policy: its proof, down to the rows that services published."""
        return Why.of(self._transport.get(_policy_table(table, "why"), _row(row)))

    def why_not(self, table: str, row: Iterable[Value]) -> WhyNot:
        """Why a row is not in a table of a policy: what each of its rules lacks."""
        return WhyNot.of(self._transport.get(_policy_table(table, "why-not"), _row(row)))

    def replace(self, table: str, rows: Iterable[Sequence[Value] | Mapping[str, Value]]) -> None:
        """Make these the rows of a service's table that is pushed, all at once.

        :param rows: lists in the order of the columns, or objects.
        :raises InvalidRequest: the service's tables cannot be pushed, or a row does not fit.
        """
        self._transport.request("PUT", _service_table(table), [_given(row) for row in rows])

    def change(
        self,
        table: str,
        *,
        insert: Iterable[Sequence[Value] | Mapping[str, Value]] = (),
        delete: Iterable[Sequence[Value] | Mapping[str, Value]] = (),
    ) -> None:
        """Add rows to a pushed table and take others away, as one change."""
        body = {"insert": [_given(row) for row in insert], "delete": [_given(row) for row in delete]}
        self._transport.post(_service_table(table), body)


def _given(row: Sequence[Value] | Mapping[str, Value]) -> Any:
    return dict(row) if isinstance(row, Mapping) else list(row)


def _row(row: Iterable[Value]) -> dict[str, str]:
    return {"row": json.dumps(as_row(row))}


def _policy_table(table: str, question: str) -> str:
    owner, name = split(table)
    return path_of("policies", owner, "tables", name, question)


def _service_table(table: str) -> str:
    owner, name = split(table)
    return path_of("cloud-services", owner, "tables", name, "rows")
