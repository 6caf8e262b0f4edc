# SPDX-License-Identifier: Apache-2.0
"""Run by Alembic for each command; works on the connection that :mod:`congress.db.migrate` hands over."""

from alembic import context

from congress.db.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transactional_ddl=True,  # the caller's transaction is the frame, on SQLite too
)
with context.begin_transaction():
    context.run_migrations()
