# SPDX-License-Identifier: Apache-2.0
"""Tables that are queries on a database: anything that SQLAlchemy can talk to."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy import exc

from congress.cloudservices import convert, sql_text, tabular
from congress.cloudservices.errors import ConfigError, PollError, Unavailable
from congress.cloudservices.options import Option
from congress.cloudservices.polling_driver import Fetched, PollingDriver
from congress.cloudservices.sql_engine import AS_IT_IS, apart, explained, make_engine, reading
from congress.cloudservices.tabular import TableSpec
from congress.datalog.schema import Column, TableSchema
from congress.datalog.values import Row

_BATCH: Final = 10_000


class SqlDriver(PollingDriver):
    """Each table is a query.

    All queries of a poll run in one read-only transaction, of an isolation level that shows them one state
    of the database where there is one.  A query that fails marks its own table stale; the others are read.
    Of SQLite's statements only those are carried out that read the one file.
    """

    NAME: ClassVar[str] = "sql"
    DESCRIPTION: ClassVar[str] = "Queries on any database that SQLAlchemy can talk to"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option(
            "url",
            required=True,
            secret=True,
            target=True,
            description="SQLAlchemy's URL of the database, such as `postgresql+psycopg2://user:password@host/database`.",
        ),
        Option(
            "tables",
            "object",
            required=True,
            description="The tables: for each an object with `query`, and where wanted `columns` and `description`; by "
            "default the columns are the query's. A column is a name, or an object with `name`, `from` (the query's "
            "name for it), `type`, `nullable`, `description`.",
        ),
        Option("connect_timeout", "number", default=10.0, minimum=1, maximum=600, description="Seconds to connect."),
        Option("max_rows", "integer", default=1_000_000, minimum=1, description="The most rows of one query."),
    )

    def configure(self) -> None:
        specs = tabular.table_specs(self.config["tables"], keys=("query",), needs_columns=False)
        try:
            url = sa.make_url(self.config["url"])
        except exc.ArgumentError:
            raise ConfigError("option 'url' is not a URL of SQLAlchemy", "url") from None
        for spec in specs.values():
            _check_query(spec, one_by_one=url.get_backend_name() == "sqlite")
        self._specs = specs
        if url.password:
            self.secrets += (str(url.password),)
        self.engine = make_engine(url, self.config["connect_timeout"])

    def open(self) -> None:
        """Find out the columns of the queries that are configured without."""
        unknown = [spec for spec in self._specs.values() if not spec.columns]
        if unknown:
            try:
                with reading(self.engine, self.time_left()) as connection:
                    for spec in unknown:
                        self._specs[spec.name] = _with_columns(spec, connection)
            except (exc.SQLAlchemyError, OSError) as error:
                raise explained(error) from error

    def close(self) -> None:
        self.engine.dispose()

    def tables(self) -> Mapping[str, TableSchema]:
        return {name: spec.schema for name, spec in self._specs.items()}

    def fetch(self, wanted: frozenset[str]) -> Mapping[str, Fetched]:
        try:
            with reading(self.engine, self.time_left()) as connection:
                return {table: self._query(self._specs[table], connection) for table in sorted(wanted)}
        except (exc.SQLAlchemyError, OSError) as error:
            raise explained(error) from error

    def _query(self, spec: TableSpec, connection: sa.Connection) -> Fetched:
        """The rows of a query, or what is wrong with it; a lost connection passes on."""
        self.time_left()
        try:
            with apart(connection):
                return self._rows(spec, connection)
        except exc.SQLAlchemyError as error:
            meant = explained(error, asked=True)
            if isinstance(meant, Unavailable):
                raise
            return PollError(f"table {spec.name!r}: {meant.message}")
        except PollError as error:
            return error

    def _rows(self, spec: TableSpec, connection: sa.Connection) -> list[Row]:
        result = connection.exec_driver_sql(spec.rest["query"], execution_options=AS_IT_IS)
        with closing(result):
            return self._translate(spec, result)

    def _translate(self, spec: TableSpec, result: sa.CursorResult[Any]) -> list[Row]:
        if not result.returns_rows:
            raise PollError(f"table {spec.name!r}: the query gives no rows")
        positions = _positions(spec, list(result.keys()))
        rows: list[Row] = []
        for batch in result.partitions(_BATCH):
            self.time_left()
            columns = list(zip(*batch, strict=True))
            shaped = (
                _column(spec.name, column, list(columns[position]))
                for position, column in zip(positions, spec.columns, strict=True)
            )
            rows += zip(*shaped, strict=True)
            if len(rows) > self.config["max_rows"]:
                most = self.config["max_rows"]
                raise PollError(f"table {spec.name!r}: the query gives more than {most} rows (option 'max_rows')")
        return rows


def _column(table: str, column: Column, given: list[Any]) -> list[Any]:
    try:
        values: list[Any] = convert.column(given, column.type)
    except TypeError:  # a type of the database's own, such as a range: its text is its value
        values = [_value(value, column.type) for value in given]
    if bad := convert.bad_text(values):
        raise PollError(f"table {table!r}, column {column.name!r}: {bad}")
    return values


def _value(value: Any, type_: str) -> Any:
    try:
        return convert.to_value(value, type_)
    except TypeError:
        return str(value)


def _check_query(spec: TableSpec, one_by_one: bool) -> None:
    """:raises ConfigError: there is no query, or something else, or more than one."""
    query = spec.rest.get("query")
    if not isinstance(query, str) or not query.strip():
        raise tabular.wrong(f"table {spec.name!r} needs a query")
    if wrong := sql_text.wrong_with(query, one_by_one):
        raise tabular.wrong(f"table {spec.name!r}: {wrong}")


def _with_columns(spec: TableSpec, connection: sa.Connection) -> TableSpec:
    """The table with the columns that its query has; the database runs it for nothing if it is clever."""
    query = spec.rest["query"].strip().rstrip(";")
    # The administrator's own query, within the bounds of a read-only transaction.
    asked = f"SELECT * FROM ({query}\n) AS congress_columns WHERE 1 = 0"  # noqa: S608  # as said
    names = _names(asked, connection)
    if connection.dialect.name == "sqlite" and any(":" in name for name in names):
        # SQLite calls the second of two columns ``id`` of an inner query ``id:1``.
        names = _names(query, connection)
    columns = tuple(Column(tabular.as_name(name)) for name in names)
    if len({column.name for column in columns}) < len(columns):
        raise PollError(f"table {spec.name!r}: two columns of its query have the same name; give them others")
    return replace(spec, columns=columns, sources=tuple(names))


def _names(query: str, connection: sa.Connection) -> list[str]:
    result = connection.exec_driver_sql(query, execution_options=AS_IT_IS)
    with closing(result):
        return list(result.keys())


def _positions(spec: TableSpec, names: list[str]) -> list[int]:
    """Where in the query's rows each column of the table is.  :raises PollError: one is not there."""
    for source in spec.sources:
        if source not in names:
            raise PollError(f"table {spec.name!r}: the query has no column {source!r}; it has: {', '.join(names)}")
    return [names.index(source) for source in spec.sources]
