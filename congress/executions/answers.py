# SPDX-License-Identifier: Apache-2.0
"""What a service's answer to an action means for the execution."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from congress.bus.errors import NotFound, Overloaded, Timeout

_REFUSED: Final = frozenset({"action_not_found", "invalid_arguments"})


@dataclass(frozen=True, slots=True)
class Answer:
    """``ok``: it was done (or accepted).  Otherwise: ``refused``, nothing was done and nothing will be; ``retryable``,
    a later attempt may succeed; ``maybe_done``, it may have been carried out all the same.
    """

    ok: bool
    result: Any = None
    error: str | None = None
    refused: bool = False
    retryable: bool = False
    maybe_done: bool = False
    retry_after: float | None = None
    trouble: bool = False  # the service itself is unwell


def answer_of(future: "Future[Any]") -> Answer:
    """The answer that a future of the bus holds; it is done."""
    error = future.exception()
    return Answer(True, future.result()) if error is None else answer_to(error)


def answer_to(error: BaseException) -> Answer:
    """What an error that came instead of a result means."""
    text = str(error) or type(error).__name__
    if isinstance(error, NotFound | Overloaded):  # not begun: it is not there now, or has too much to do
        return Answer(False, error=text, retryable=True, trouble=True)
    if isinstance(error, Timeout):
        return Answer(False, error=text, retryable=True, maybe_done=True, trouble=True)
    return Answer(
        False,
        error=text,
        refused=getattr(error, "code", None) in _REFUSED,
        retryable=bool(getattr(error, "retryable", False)),
        maybe_done=bool(getattr(error, "maybe_done", False)),
        retry_after=getattr(error, "retry_after", None),
        trouble=bool(getattr(error, "trouble", False)),
    )
