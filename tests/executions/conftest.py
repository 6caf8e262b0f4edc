# SPDX-License-Identifier: Apache-2.0
"""``database`` is every kind of database in turn, with all tables and nothing in them."""

from tests.db.conftest import cipher, database, shared

__all__ = ["cipher", "database", "shared"]
