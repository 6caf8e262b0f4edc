# SPDX-License-Identifier: Apache-2.0
"""Executions, their trail, settings of guards and states of breakers."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "if_not_exists": True,
}
LONG_TEXT: Final = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
SEQUENCE: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES: Final = {
    "ix_executions_policy": ["policy", "sequence"],
    "ix_executions_service": ["service", "sequence"],
    "ix_executions_state": ["state", "sequence"],
    "ix_executions_trigger_state": ["trigger_state"],
    "ix_executions_set_id": ["set_id"],
    "ix_executions_digest": ["digest"],
    "ix_executions_created_at": ["created_at"],
    "ix_executions_approved_at": ["approved_at"],
    "ix_executions_settled_at": ["settled_at"],
}


def upgrade() -> None:
    op.create_table(
        "executions",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("policy", sa.String(255), nullable=False),
        sa.Column("service", sa.String(255), nullable=False),
        sa.Column("action", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("call", LONG_TEXT, nullable=False),
        sa.Column("origin", LONG_TEXT, nullable=False),
        sa.Column("sealed", LONG_TEXT),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", LONG_TEXT, nullable=False),
        sa.Column("trigger_state", sa.String(16), nullable=False),
        sa.Column("set_id", sa.String(64)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.Double()),
        sa.Column("deadline", sa.Double()),
        sa.Column("approved_at", sa.Double()),
        sa.Column("approved_by", LONG_TEXT, nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("token_hash", sa.String(128)),
        sa.Column("result", LONG_TEXT),
        sa.Column("error", LONG_TEXT),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("settled_at", sa.Double()),
        sa.PrimaryKeyConstraint("sequence", name="pk_executions"),
        sa.UniqueConstraint("id", name="uq_executions_id"),
        **OPTIONS,
    )
    present = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("executions")}
    for name, columns in INDEXES.items():
        if name not in present:
            op.create_index(name, "executions", columns)
    op.create_table(
        "execution_events",
        sa.Column("execution_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("before", sa.String(16)),
        sa.Column("after", sa.String(16), nullable=False),
        sa.Column("who", LONG_TEXT, nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("detail", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "number", name="pk_execution_events"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name="fk_execution_events_execution_id", ondelete="CASCADE"
        ),
        **OPTIONS,
    )
    op.create_table(
        "guards",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("settings", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_guards"),
        **OPTIONS,
    )
    op.create_table(
        "breakers",
        sa.Column("service", sa.String(255), nullable=False),
        sa.Column("state", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("service", name="pk_breakers"),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("breakers", "guards", "execution_events", "executions"):
        op.drop_table(table, if_exists=True)
