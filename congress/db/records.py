# SPDX-License-Identifier: Apache-2.0
"""What every record has: an identifier and moments."""

import uuid
from datetime import UTC, datetime


def utcnow() -> datetime:
    """This moment."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh identifier."""
    return str(uuid.uuid4())
