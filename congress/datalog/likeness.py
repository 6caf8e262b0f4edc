# SPDX-License-Identifier: Apache-2.0
"""Names that are much like another, for hints."""

import difflib
from bisect import bisect
from collections.abc import Iterable
from typing import Final

AROUND: Final = 8
"""As many names before and after a name's place in the order, from its beginning and from its end, are compared."""


class Names:
    """Many names, of which not each has to be looked at."""

    def __init__(self, names: Iterable[str]) -> None:
        self._forward = sorted(names)
        self._backward = sorted(name[::-1] for name in self._forward)

    def like(self, name: str) -> str:
        """The one most like a name; empty when none is."""
        near = {*_around(self._forward, name), *(other[::-1] for other in _around(self._backward, name[::-1]))}
        return next(iter(difflib.get_close_matches(name, sorted(near), 1)), "")


def _around(names: list[str], name: str) -> list[str]:
    at = bisect(names, name)
    return names[max(0, at - AROUND) : at + AROUND]
