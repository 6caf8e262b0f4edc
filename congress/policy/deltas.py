# SPDX-License-Identifier: Apache-2.0
"""Changes of tables one after another, as one change."""

from collections.abc import Iterable

from congress.datalog.engine import Delta, TableDelta
from congress.datalog.values import Row


def merge(deltas: Iterable[Delta]) -> Delta:
    """The net change of several that followed each other; a row that came and went again is not in it."""
    changed = [delta for delta in deltas if delta]
    if len(changed) <= 1:
        return changed[0] if changed else {}
    merged: Delta = {}
    for key in {key: None for delta in changed for key in delta}:
        parts = [delta[key] for delta in changed if key in delta]
        net = parts[0] if len(parts) == 1 else _net(parts)
        if net:
            merged[key] = net
    return merged


def _net(parts: Iterable[TableDelta]) -> TableDelta:
    gained: dict[Row, None] = {}
    lost: dict[Row, None] = {}
    for part in parts:
        for rows, into, out_of in ((part.retractions, lost, gained), (part.insertions, gained, lost)):
            for row in rows:
                if row in out_of:
                    del out_of[row]
                else:
                    into[row] = None
    return TableDelta(list(gained), list(lost))
