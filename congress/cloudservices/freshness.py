# SPDX-License-Identifier: Apache-2.0
"""How current a table is."""

from dataclasses import asdict, dataclass

from congress.bus.codec import portable


@portable
@dataclass(frozen=True, slots=True)
class Freshness:
    """How current a table's rows are.

    :ivar updated_at: when they were last known to be right (seconds since the epoch), changed or not; None:
    never.
    :ivar stale: whether the latest attempt to bring them up to date failed, or none has succeeded yet.
    :ivar error: what went wrong in that attempt.
    :ivar rows: how many there are.
    """

    updated_at: float | None = None
    stale: bool = True
    error: str | None = None
    rows: int = 0

    def to_dict(self) -> dict[str, object]:
        """The same for machines: plain JSON types."""
        return asdict(self)
