# SPDX-License-Identifier: Apache-2.0
"""Alembic's folder: the environment, and one module per step in ``versions``."""
