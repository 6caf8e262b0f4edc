# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between this daemon and an HTTP API, and what it means for a poll and for an action."""

import email.utils
import time
from collections.abc import Mapping

from congress.bus.codec import portable
from congress.cloudservices.errors import ActionFailed, PollError, RateLimited, Unavailable


@portable
class NotSent(Unavailable):
    """The service cannot be connected to: it was not asked."""

    code = "not_connected"


@portable
class BadAnswer(PollError):
    """The service's answer cannot be used."""

    code = "bad_answer"


@portable
class Refused(PollError):
    """The service answered with an error.

    :ivar status: the HTTP status.
    """

    code = "refused"

    def __init__(self, message: str | None = None, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    def data(self) -> dict[str, object]:
        return {"status": self.status}


def refusal(status: int, where: str, text: str, headers: Mapping[str, str]) -> PollError:
    """The error for an answer with a status of 400 or more."""
    shown = f"{where}: HTTP {status}" + (f": {text}" if text else "")
    wait = retry_after(headers.get("Retry-After"), time.time())
    if status in (413, 429) or (status == 503 and wait is not None):
        return RateLimited(shown, retry_after=wait)
    return Unavailable(shown) if status >= 500 else Refused(shown, status=status)


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a ``Retry-After`` header, which has seconds or a date; None where it has neither."""
    if not value:
        return None
    try:
        return max(0.0, min(float(value), 86400.0))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, min(moment - now, 86400.0))


def action_failure(error: PollError, idempotent: bool) -> ActionFailed:
    """What a failed request means for an action.

    =========================  =========  ==========
    what came                  retryable  maybe done
    =========================  =========  ==========
    no connection              yes        no
    429, 413, 503 with a wait  yes        no
    any other 5xx, no answer   yes        yes
    any other 4xx              no         no
    an answer without sense    no         yes
    =========================  =========  ==========
    """
    if isinstance(error, RateLimited):
        return ActionFailed(error.message, retryable=True, retry_after=error.retry_after)
    if isinstance(error, NotSent):
        return ActionFailed(error.message, retryable=True)
    if isinstance(error, Unavailable):
        return ActionFailed(error.message, retryable=True, maybe_done=not idempotent)
    return ActionFailed(error.message, maybe_done=isinstance(error, BadAnswer))
