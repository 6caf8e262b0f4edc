# SPDX-License-Identifier: Apache-2.0
"""The policy library."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
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


def upgrade() -> None:
    op.create_table(
        "library_policies",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("abbreviation", sa.String(5), nullable=False),
        sa.Column("description", LONG_TEXT, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("depends_on", LONG_TEXT, nullable=False),
        sa.Column("rules", LONG_TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_library_policies"),
        sa.UniqueConstraint("name", name="uq_library_policies_name"),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("library_policies", if_exists=True)
