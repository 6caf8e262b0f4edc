# SPDX-License-Identifier: Apache-2.0
"""What services say of themselves, in the words that clients of the API know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def status_view(status: Mapping[str, Any]) -> dict[str, Any]:
    """A service's status.

    Clients of old compare ``initialized`` with the text ``"True"`` and show the other three as they are, so those four
    stay texts; all else has types.
    """
    tables: Mapping[str, Mapping[str, Any]] = status.get("tables", {})
    at = status.get("last_updated")
    old = {
        "initialized": str(status.get("state") == "running"),
        "last_updated": "None" if at is None else datetime.fromtimestamp(at, UTC).isoformat(sep=" "),
        "last_error": str(status.get("error") or status.get("last_error")),
        "number_of_updates": str(status.get("number_of_updates", 0)),
        "subscriptions": [],
        "subscribers": sorted({name for table in tables.values() for name in table.get("subscribers", ())}),
    }
    return {**status, **old}
