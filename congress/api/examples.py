# SPDX-License-Identifier: Apache-2.0
"""Examples of requests and their answers, recorded from the real daemon."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

PATH: Final = Path(__file__).with_name("examples.json")


@dataclass(frozen=True, slots=True)
class Example:
    """One request and its answer; ``kind`` is the content type of the answer, empty where it has no body."""

    operation: str  # the route's, such as "GET /v1/policies"
    request: str  # "GET /v1/policies?limit=1"
    status: int
    kind: str = ""
    answer: Any = None
    has_body: bool = False
    body: Any = None


@cache
def examples() -> tuple[Example, ...]:
    """All of them, in the order in which they were recorded."""
    return tuple(Example(**entry) for entry in orjson.loads(PATH.read_bytes()))
