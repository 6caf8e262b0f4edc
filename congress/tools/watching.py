# SPDX-License-Identifier: Apache-2.0
"""Waiting for files to change."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

INTERVAL = 0.3
"""Seconds between two looks."""


def stamp(paths: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """When files were written and how large they are; those that are not there are left out."""
    found = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


def wait_for_change(paths: Callable[[], Iterable[Path]], sleep: Callable[[float], None] = time.sleep) -> None:
    """Return once any of the files is written, appears or goes."""
    before = stamp(paths())
    while stamp(paths()) == before:
        sleep(INTERVAL)
