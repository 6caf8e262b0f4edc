# SPDX-License-Identifier: Apache-2.0
"""The tables of the database.  ``congress/db/migrations`` makes them; a test compares the two.

Times are UTC.  Identifiers are UUIDs as text.  Texts compare by their exact characters on every database.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

NAME_LENGTH: Final = 255
ABBREVIATION_LENGTH: Final = 5


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment with microseconds, always aware and in UTC."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "mysql":
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


LongText: Final = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")  # their TEXT ends at 64 KiB


class AnyTextType(sa.TypeDecorator[str]):
    """A text of any length with any characters in it, as people see it in almost every case.

    NUL and lone surrogates, which not every database keeps, are written as ``\\uXXXX``, and so a backslash as two.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(mysql.LONGTEXT() if dialect.name == "mysql" else sa.Text())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else _AWKWARD.sub(_escape, value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else _ESCAPED.sub(_unescape, value)


_AWKWARD: Final = re.compile("[\\\\\x00\ud800-\udfff]")
_ESCAPED: Final = re.compile(r"\\(?:\\|u([0-9a-f]{4}))")


def _escape(found: re.Match[str]) -> str:
    return "\\\\" if found[0] == "\\" else f"\\u{ord(found[0]):04x}"


def _unescape(found: re.Match[str]) -> str:
    return "\\" if found[1] is None else chr(int(found[1], 16))


AnyText: Final = AnyTextType()
Sequence: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # only INTEGER counts up by itself there
Uuid: Final = sa.String(36)

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)
_OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",  # names differ by case, as on the other databases
}

names: Final = sa.Table(
    "names",
    metadata,
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    comment="Every name in use; one row keeps policies and services from ever sharing one",
    **_OPTIONS,
)

policies: Final = sa.Table(
    "policies",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), sa.ForeignKey("names.name"), nullable=False, unique=True),
    sa.Column("abbreviation", sa.String(ABBREVIATION_LENGTH), nullable=False),
    sa.Column("description", LongText, nullable=False),
    sa.Column("owner_id", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    **_OPTIONS,
)

rules: Final = sa.Table(
    "rules",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True, autoincrement=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("policy_id", Uuid, sa.ForeignKey("policies.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("rule", LongText, nullable=False),
    sa.Column("name", sa.String(NAME_LENGTH)),
    sa.Column("comment", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    **_OPTIONS,
)

services: Final = sa.Table(
    "services",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), sa.ForeignKey("names.name"), nullable=False, unique=True),
    sa.Column("driver", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("description", LongText, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("config", LongText, nullable=False),  # JSON object of the options that are no secret
    sa.Column("secrets", LongText, nullable=False),  # JSON object: option to encrypted JSON value
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    **_OPTIONS,
)

service_rows: Final = sa.Table(
    "service_rows",
    metadata,
    sa.Column("service_id", Uuid, sa.ForeignKey("services.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("table_name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("digest", sa.String(40), primary_key=True),  # of the row: rows are a set
    sa.Column("row", LongText, nullable=False),  # JSON array
    **_OPTIONS,
)

executions: Final = sa.Table(
    "executions",
    metadata,
    sa.Column("sequence", Sequence, primary_key=True, autoincrement=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    # What an execution is; policy, service and action are for looking up, exact ones are in call and origin.
    sa.Column("policy", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("service", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("action", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", sa.Double, nullable=False, index=True),  # moments here: seconds since 1970
    sa.Column("call", LongText, nullable=False),  # JSON
    sa.Column("origin", LongText, nullable=False),  # JSON
    sa.Column("sealed", LongText),  # encrypted JSON: what is secret in the two
    # What became of it.
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("detail", AnyText, nullable=False),
    sa.Column("trigger_state", sa.String(16), nullable=False, index=True),
    sa.Column("set_id", sa.String(64), index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", sa.Double),
    sa.Column("deadline", sa.Double),
    sa.Column("approved_at", sa.Double, index=True),
    sa.Column("approved_by", AnyText, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("finished_at", sa.Double),
    sa.Column("token_hash", sa.String(128)),
    sa.Column("result", LongText),  # JSON
    sa.Column("error", AnyText),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("settled_at", sa.Double, index=True),  # when it finished; null while it is open or its row may be true
    sa.Index("ix_executions_policy", "policy", "sequence"),
    sa.Index("ix_executions_service", "service", "sequence"),
    sa.Index("ix_executions_state", "state", "sequence"),
    **_OPTIONS,
)

execution_events: Final = sa.Table(
    "execution_events",
    metadata,
    sa.Column("execution_id", Uuid, sa.ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("before", sa.String(16)),
    sa.Column("after", sa.String(16), nullable=False),
    sa.Column("who", AnyText, nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("detail", AnyText, nullable=False),
    **_OPTIONS,
)

guards: Final = sa.Table(
    "guards",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),  # policy or service
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("settings", LongText, nullable=False),  # JSON object
    **_OPTIONS,
)

breakers: Final = sa.Table(
    "breakers",
    metadata,
    sa.Column("service", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("state", LongText, nullable=False),  # JSON object
    **_OPTIONS,
)

library_policies: Final = sa.Table(
    "library_policies",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False, unique=True),  # not in names: nothing here is in force
    sa.Column("abbreviation", sa.String(ABBREVIATION_LENGTH), nullable=False),
    sa.Column("description", LongText, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("depends_on", LongText, nullable=False),  # JSON array of names
    sa.Column("rules", LongText, nullable=False),  # JSON array of objects, as they were given
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    **_OPTIONS,
)
