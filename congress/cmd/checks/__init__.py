# SPDX-License-Identifier: Apache-2.0
"""What ``congress doctor`` looks at.

Each check is a function that yields findings; one that fails itself becomes a finding too, so that the others run.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"
SKIPPED: Final = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``state`` is ok, warning, error or skipped; ``next`` says what to do about it."""

    check: str
    state: str
    detail: str
    next: str = ""


def examine(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of one check; an exception that it did not expect is an error among them."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001  # whatever it is, the other checks shall run
        yield Finding(name, ERROR, f"{type(error).__name__}: {error}", "This is not foreseen; please report it.")
