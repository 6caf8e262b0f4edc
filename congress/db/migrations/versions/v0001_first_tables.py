# SPDX-License-Identifier: Apache-2.0
"""Names, policies, rules, services and their kept rows.

MySQL commits after each statement, so a step may find the work of its own interrupted run: every statement
says "if not there yet".
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "if_not_exists": True,
}
LONG_TEXT: Final = sa.Text().with_variant(mysql.LONGTEXT(), "mysql")
MOMENT: Final = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
SEQUENCE: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "names",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_names"),
        comment="Every name in use; one row keeps policies and services from ever sharing one",
        **OPTIONS,
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("abbreviation", sa.String(5), nullable=False),
        sa.Column("description", LONG_TEXT, nullable=False),
        sa.Column("owner_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
        sa.UniqueConstraint("name", name="uq_policies_name"),
        sa.ForeignKeyConstraint(["name"], ["names.name"], name="fk_policies_name"),
        **OPTIONS,
    )
    op.create_table(
        "rules",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("policy_id", sa.String(36), nullable=False),
        sa.Column("rule", LONG_TEXT, nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("comment", sa.String(255), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_rules"),
        sa.UniqueConstraint("id", name="uq_rules_id"),
        sa.ForeignKeyConstraint(["policy_id"], ["policies.id"], name="fk_rules_policy_id", ondelete="CASCADE"),
        **OPTIONS,
    )
    if not any(index["name"] == "ix_rules_policy_id" for index in sa.inspect(op.get_bind()).get_indexes("rules")):
        op.create_index("ix_rules_policy_id", "rules", ["policy_id"])
    op.create_table(
        "services",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("driver", sa.String(255), nullable=False),
        sa.Column("description", LONG_TEXT, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("config", LONG_TEXT, nullable=False),
        sa.Column("secrets", LONG_TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_services"),
        sa.UniqueConstraint("name", name="uq_services_name"),
        sa.ForeignKeyConstraint(["name"], ["names.name"], name="fk_services_name"),
        **OPTIONS,
    )
    op.create_table(
        "service_rows",
        sa.Column("service_id", sa.String(36), nullable=False),
        sa.Column("table_name", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(40), nullable=False),
        sa.Column("row", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("service_id", "table_name", "digest", name="pk_service_rows"),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="fk_service_rows_service_id", ondelete="CASCADE"),
        **OPTIONS,
    )


def downgrade() -> None:
    for table in ("service_rows", "services", "rules", "policies", "names"):
        op.drop_table(table, if_exists=True)
